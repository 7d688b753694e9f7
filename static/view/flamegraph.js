// flamegraph.js - a tree of weights as boxes one below the other; click or Enter zooms in, Escape out, arrows go from box to box.

import { flameBoxes, flameTable, lineOf } from '../calc/flame.js';
import { fill, h } from '../dom.js';
import { count, percent, visible } from '../fmt.js';
import { hueOfText } from '../data/hues.js';
import { foreign } from './details.js';
import { palette } from './palette.js';
import { Table, byNumber, shareBar } from './table.js';

/** @typedef {import('../calc/flame.js').FlameNode} FlameNode */

const ROW_PX = 20;
/** Boxes narrower than this share are not drawn: nobody could read or hit them. */
const LEAST = 1 / 700;
const DEPTH_MAX = 120;

/** @param {string} label @param {FlameNode} root @param {(weight: number) => string} show @param {string} unit of n */
export function flameGraph(label, root, show, unit) {
    /** @type {FlameNode[]} */
    let zoom = [root];
    const area = h('div', { class: 'flame', role: 'tree', 'aria-label': label });
    const where = h('p', { class: 'muted', role: 'status', 'aria-live': 'polite' });
    const draw = (/** @type {FlameNode|null} */ focus) => {
        const boxes = flameBoxes(zoom, LEAST).filter((b) => b.depth < DEPTH_MAX);
        const css = palette().css;
        const words = (/** @type {FlameNode} */ n) => `${visible(n.name, 200)}: ${show(n.total)} (${percent(n.total, root.total)}), self ${show(n.self)}, ${count(n.n)} ${unit}${n.lines.size ? `, ${visible(lineOf(n), 120)}` : ''}`;
        area.style.height = `${ROW_PX * (1 + boxes.reduce((m, b) => Math.max(m, b.depth), 0))}px`;
        const nodes = boxes.map((b) => h('button', { type: 'button', role: 'treeitem', 'aria-level': b.depth + 1, tabindex: b.node === (focus ?? zoom[zoom.length - 1]) ? 0 : -1, 'aria-label': words(b.node), title: words(b.node),
            style: { left: `${b.x * 100}%`, width: `${b.w * 100}%`, top: `${b.depth * ROW_PX}px`, background: b.depth === 0 ? 'var(--sunken)' : css[hueOfText(b.node.name)] },
            onclick: () => { zoom = b.path; draw(b.node); }, onfocus: () => { where.textContent = words(b.node); } }, visible(b.node.name, 120)));
        fill(area, nodes);
        where.textContent = words(focus ?? zoom[zoom.length - 1]);
        area.onkeydown = (e) => {
            const k = nodes.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
            const b = boxes[k];
            if (!b) return;
            /** @type {Record<string, () => number>} */
            const to = {
                ArrowUp: () => boxes.findIndex((x) => x.depth === b.depth - 1 && x.x <= b.x + 1e-9 && x.x + x.w >= b.x + b.w - 1e-9),
                ArrowDown: () => boxes.findIndex((x) => x.depth === b.depth + 1 && x.x >= b.x - 1e-9 && x.x < b.x + b.w),
                ArrowRight: () => nearest(boxes, b, 1),
                ArrowLeft: () => nearest(boxes, b, -1),
            };
            if (e.key === 'Escape' && zoom.length > 1) {
                zoom = zoom.slice(0, -1);
                draw(zoom[zoom.length - 1]);
                focusOf(area)?.focus();
            } else if (to[e.key]) {
                const next = nodes[to[e.key]()];
                if (next) {
                    nodes[k].tabIndex = -1;
                    next.tabIndex = 0;
                    next.focus();
                }
            } else return;
            e.preventDefault();
            e.stopPropagation();
        };
        if (focus) focusOf(area)?.focus();
    };
    draw(null);
    return h('div', { class: 'flamebox' }, where, area, flameTwin(label, root, show, unit));
}

/** @param {Element} area @returns {HTMLElement|null} */
function focusOf(area) {
    return area.querySelector('[tabindex="0"]');
}

/** @param {import('../calc/flame.js').FlameBox[]} boxes @param {import('../calc/flame.js').FlameBox} b @param {1|-1} step */
function nearest(boxes, b, step) {
    const row = boxes.filter((x) => x.depth === b.depth).sort((p, q) => p.x - q.x);
    return boxes.indexOf(row[row.indexOf(b) + step]);
}

/** @param {string} label @param {FlameNode} root @param {(weight: number) => string} show @param {string} unit */
function flameTwin(label, root, show, unit) {
    /** @typedef {ReturnType<typeof flameTable>[0]} Row */
    const num = (/** @type {string} */ title, /** @type {(r: Row) => number} */ get, /** @type {(n: number) => string} */ text) => ({ title, num: true, down: true, sort: byNumber(get), cell: (/** @type {Row} */ r) => text(get(r)) });
    const rows = flameTable(root);
    return new Table(`${label}, as a table`, [
        { title: 'Name', name: true, sort: (a, b) => (a.name < b.name ? -1 : 1), cell: (r) => foreign(r.name, 200) },
        num('Self', (r) => r.self, show), { title: '', bar: true, cell: (r) => shareBar(r.self, root.total) }, num('Total', (r) => r.total, show), num('Share', (r) => r.total / Math.max(1, root.total), (v) => percent(v, 1)), num(unit, (r) => r.n, count),
        ...(rows.some((r) => r.lines.size) ? [{ title: 'Line', cell: (/** @type {Row} */ r) => (r.lines.size ? foreign(lineOf(r), 120) : '') }] : []),
    ], rows, { sorted: 1, csv: 'profile' }).node;
}
