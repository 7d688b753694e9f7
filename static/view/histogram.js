// histogram.js - durations as bars over a logarithmic axis. A bar is a button: it selects what fell into it.

import { h, heads, s } from '../dom.js';
import { count, duration, percent } from '../fmt.js';

/** @typedef {import('../calc/hist.js').Bar} Bar */

const HEIGHT = 168;
const BOTTOM = 34;
const TOP = 16;
const WIDTH = 960;
/** Fewer bars do not get broader than this many would. */
const BARS_LEAST = 12;

/**
 * @param {string} label @param {Bar[]} bars @param {[number, number]|null} selected @param {{title: string, at: number}[]} lines percentiles
 * @param {((bar: Bar|null) => void)|null} choose its argument is null for the selected bar again, which takes the choice back; without it bars are only looked at
 */
export function histogramView(label, bars, selected, lines, choose) {
    const most = bars.reduce((m, b) => Math.max(m, b.n), 1);
    const total = bars.reduce((m, b) => m + b.n, 0);
    const w = WIDTH / Math.max(bars.length, BARS_LEAST);
    const isSelected = (/** @type {Bar} */ b) => selected !== null && b.from >= selected[0] && b.to <= selected[1];
    const nodes = bars.map((bar, k) => barNode(bar, k * w, w, most, isSelected(bar), choose && (() => choose(isSelected(bar) ? null : bar))));
    const every = Math.max(1, Math.ceil(bars.length / 11));
    const labels = bars.filter((_, k) => k % every === 0).map((bar, k) => s('text', { x: k * every * w + 2, y: HEIGHT - 18 }, bar.from === 0 ? '0' : short(bar.from)));
    const shown = lines.filter((l) => Number.isFinite(l.at)).map((l) => ({ ...l, x: xOf(bars, l.at, w) }));
    const together = shown.length === 2 && shown[1].x - shown[0].x < 28; /* their words would lie on each other */
    const marks = (together ? [{ ...shown[1], title: shown.map((l) => l.title).join(', ') }] : shown).map(({ x, title }) => {
        return s('g', { 'pointer-events': 'none' }, s('line', { x1: x, x2: x, y1: TOP - 2, y2: HEIGHT - BOTTOM, 'stroke-dasharray': '3 3' }), s('text', { x: Math.min(x + 3, WIDTH - 52), y: 11 }, title));
    });
    const svg = s('svg', { class: 'hist', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'group', 'aria-label': label },
        s('line', { x1: 0, x2: WIDTH, y1: HEIGHT - BOTTOM + 0.5, y2: HEIGHT - BOTTOM + 0.5 }), nodes, marks, labels);
    const twin = h('details', null, h('summary', null, 'As a table'), h('div', { class: 'scroll' }, h('table', { 'aria-label': label },
        heads('>From', '>To', '>Count', '>Share'),
        h('tbody', null, bars.map((b) => h('tr', null, h('td', { class: 'num' }, duration(b.from)), h('td', { class: 'num' }, duration(b.to)), h('td', { class: 'num' }, count(b.n)), h('td', { class: 'num' }, percent(b.n, total))))))));
    return h('div', null, svg, twin);
}

/** @param {Bar} bar @param {number} x @param {number} w @param {number} most @param {boolean} pressed @param {(() => void)|null} choose */
function barNode(bar, x, w, most, pressed, choose) {
    const full = HEIGHT - BOTTOM - TOP;
    const height = bar.n === 0 ? 0 : Math.max(2, (bar.n / most) * full);
    const words = `${duration(bar.from)} to ${duration(bar.to)}: ${count(bar.n)}`;
    if (!choose) return s('g', { role: 'img', 'aria-label': words }, s('title', null, words), s('rect', { class: 'hbar', x: x + 1, y: HEIGHT - BOTTOM - height, width: Math.max(1, w - 2), height }));
    return s('g', { role: 'button', tabindex: bar.n > 0 ? 0 : -1, 'aria-pressed': String(pressed), 'aria-label': words, onclick: choose,
        onkeydown: (/** @type {KeyboardEvent} */ e) => {
            if (e.key !== 'Enter' && e.key !== ' ') return;
            e.preventDefault();
            choose();
        } },
    s('title', null, words), s('rect', { class: 'hbar', x: x + 1, y: HEIGHT - BOTTOM - height, width: Math.max(1, w - 2), height }), s('rect', { class: 'hit', x, y: TOP, width: w, height: full }));
}

/** @param {Bar[]} bars @param {number} at @param {number} w */
function xOf(bars, at, w) {
    const k = Math.max(0, bars.findIndex((b) => at < b.to));
    const bar = at >= bars[bars.length - 1].to ? bars[bars.length - 1] : bars[k];
    const part = bar.from > 0 ? Math.log(at / bar.from) / Math.log(bar.to / bar.from) : at / bar.to;
    return (bars.indexOf(bar) + Math.min(1, Math.max(0, part))) * w;
}

/** @param {number} ns */
function short(ns) {
    const [v, unit] = ns >= 1e9 ? [ns / 1e9, 's'] : ns >= 1e6 ? [ns / 1e6, 'ms'] : ns >= 1e3 ? [ns / 1e3, 'µs'] : [ns, 'ns'];
    return `${Number(v.toPrecision(3))} ${unit}`;
}
