// pointer.js - mouse, pen and wheel on the lanes and the axis: drag moves, shift and drag selects a range, a click picks.

import { duration, instant, value, visible } from '../fmt.js';
import { fill, h } from '../dom.js';
import { sliceAt, upperBound } from '../data/model.js';
import { sliceText } from './draw.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */
/** @typedef {import('./overlay.js').Pick} Pick */

export const DRAG_FROM_PX = 4;
const NEAR_PX = 4;
const MARK_NEAR_PX = 6;

/** What lies at a place. @param {Timeline} tl @param {number} x @param {number} y within the canvas @returns {Pick|null} */
export function pickAt(tl, x, y) {
    const hit = tl.layout.at(y + tl.body.scrollTop);
    if (!hit || hit.box.kind !== 'lane') return null;
    const { lane } = hit.box;
    const t = tl.timeAt(x);
    if (hit.marks) {
        const { marks } = lane;
        const at = upperBound(marks.t, marks.t.length, t);
        const near = [at - 1, at].filter((i) => i >= 0 && i < marks.t.length).sort((a, b) => Math.abs(marks.t[a] - t) - Math.abs(marks.t[b] - t))[0];
        if (near !== undefined && Math.abs(marks.t[near] - t) <= MARK_NEAR_PX * tl.nsPerPx) return { slice: null, lane, mark: near };
    }
    const slice = hit.row && sliceAt(hit.row.row, t, NEAR_PX * tl.nsPerPx);
    if (slice) return { slice, lane, mark: -1 };
    const lost = lane.rows.find((r) => r.table === 'lost');
    const gap = lost && sliceAt(lost, t, NEAR_PX * tl.nsPerPx);
    return gap ? { slice: gap, lane, mark: -1 } : null;
}

/** A pick in two lines. @param {import('../data/model.js').Model} model @param {Pick} pick @param {number} nsPerPx @returns {[string, string]} */
export function pickWords(model, pick, nsPerPx) {
    if (pick.slice) {
        const { row, seg, i } = pick.slice;
        const task = row.table !== 'work' && seg.task[i] >= 0 ? ` · ${visible(model.taskTitle(seg.task[i]), 60)}` : '';
        return [visible(sliceText(model, row, seg, i), 200), `${duration(seg.dur[i])} from ${instant(seg.start[i], nsPerPx)}${task}`];
    }
    if (!pick.lane) return ['', ''];
    const { marks } = pick.lane;
    const name = model.string(marks.name[pick.mark]);
    const text = marks.text[pick.mark];
    return [visible(text === null ? name : `${name}: ${text.slice(0, 400)}`, 300), instant(marks.t[pick.mark], nsPerPx)];
}

/** @param {import('../data/types.js').Series} series @param {number} t @param {number} nsPerPx @returns {[string, string]} */
function seriesWords(series, t, nsPerPx) {
    const i = upperBound(series.t, series.n, t) - 1;
    return [visible(series.title, 200), i < 0 ? 'no value yet' : `${value(series.v[i])} since ${instant(series.t[i], nsPerPx)}`];
}

/** The words beside the pointer. */
export class Tip {
    constructor() {
        this.node = h('div', { class: 'tl-tip', hidden: true });
    }

    /** @param {PointerEvent} e @param {[string, string]} words */
    show(e, words) {
        fill(this.node, h('b', null, h('bdi', { dir: 'ltr' }, words[0])), h('br', null), words[1]);
        this.node.hidden = false;
        const { offsetWidth: w, offsetHeight: hh } = this.node;
        const x = e.clientX + 14 + w > innerWidth ? Math.max(0, e.clientX - w - 10) : e.clientX + 14;
        const y = e.clientY + 16 + hh > innerHeight ? e.clientY - hh - 10 : e.clientY + 16;
        this.node.style.transform = `translate(${x}px, ${y}px)`;
    }

    hide() {
        this.node.hidden = true;
    }
}

/** @param {Timeline} tl @param {PointerEvent} e */
function hoverAt(tl, e) {
    tl.cursorX = e.offsetX;
    tl.hover = pickAt(tl, e.offsetX, e.offsetY);
    const box = tl.layout.at(e.offsetY + tl.body.scrollTop)?.box;
    if (tl.hover) tl.tip.show(e, pickWords(tl.model, tl.hover, tl.nsPerPx));
    else if (box?.kind === 'series') tl.tip.show(e, seriesWords(box.series, tl.timeAt(e.offsetX), tl.nsPerPx));
    else tl.tip.hide();
    tl.invalidateOver();
}

/** @param {Timeline} tl @param {PointerEvent} e */
function click(tl, e) {
    const pick = pickAt(tl, e.offsetX, e.offsetY);
    if (pick && tl.options.open) return tl.options.open(pick);
    tl.body.focus({ preventScroll: true });
    tl.select(pick);
}

/** @param {Timeline} tl @param {WheelEvent} e @param {boolean} zooms */
function wheel(tl, e, zooms) {
    const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1;
    const x = e.clientX - tl.base.getBoundingClientRect().left;
    if (zooms) {
        e.preventDefault();
        tl.zoomBy(Math.exp(Math.max(-200, Math.min(200, e.deltaY * unit)) * 0.0025), Math.max(0, Math.min(tl.width, x)));
    } else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
        e.preventDefault();
        tl.view.pan((e.deltaX || e.deltaY) * unit * tl.nsPerPx);
        tl.invalidate();
    }
}

/** @param {Timeline} tl */
export function listenPointer(tl) {
    /** @type {{x: number, y: number, t0: number, t1: number, top: number, mode: ''|'pan'|'range', at: number}|null} */
    let drag = null;
    const { base, body } = tl;
    base.addEventListener('pointerdown', (e) => {
        if (e.button !== 0) return;
        base.setPointerCapture(e.pointerId);
        drag = { x: e.offsetX, y: e.clientY, t0: tl.view.t0, t1: tl.view.t1, top: body.scrollTop, mode: '', at: tl.timeAt(e.offsetX) };
    });
    base.addEventListener('pointermove', (e) => {
        if (!drag) return hoverAt(tl, e);
        if (!drag.mode && Math.hypot(e.offsetX - drag.x, e.clientY - drag.y) >= DRAG_FROM_PX) drag.mode = e.shiftKey ? 'range' : 'pan';
        if (drag.mode === 'pan') {
            const ns = (drag.x - e.offsetX) * tl.nsPerPx;
            tl.view.set(drag.t0 + ns, drag.t1 + ns);
            body.scrollTop = drag.top + drag.y - e.clientY;
            body.classList.add('panning');
        } else if (drag.mode === 'range') {
            const t = tl.timeAt(e.offsetX);
            tl.setRange([Math.max(0, Math.min(t, drag.at)), Math.min(tl.model.duration, Math.max(t, drag.at))], false);
        }
        tl.tip.hide();
        tl.invalidate();
    });
    const up = (/** @type {PointerEvent} */ e) => {
        if (drag && !drag.mode && e.type === 'pointerup') click(tl, e);
        if (drag?.mode === 'range') tl.setRange(tl.range, true);
        drag = null;
        body.classList.remove('panning');
    };
    base.addEventListener('pointerup', up);
    base.addEventListener('pointercancel', up);
    base.addEventListener('pointerleave', () => {
        tl.hover = null;
        tl.cursorX = -1;
        tl.tip.hide();
        tl.invalidateOver();
    });
    base.addEventListener('dblclick', () => tl.zoomToSelection());
    body.addEventListener('wheel', (e) => wheel(tl, e, e.ctrlKey || e.metaKey), { passive: false });
}

/** @param {Timeline} tl */
export function listenAxis(tl) {
    const { axis } = tl;
    let from = -1;
    const dragged = (/** @type {PointerEvent} */ e) => /** @type {[number, number]} */ ([tl.timeAt(Math.min(from, e.offsetX)), tl.timeAt(Math.max(from, e.offsetX))]);
    axis.addEventListener('wheel', (e) => wheel(tl, e, true), { passive: false });
    axis.addEventListener('pointerdown', (e) => {
        axis.setPointerCapture(e.pointerId);
        from = e.offsetX;
    });
    axis.addEventListener('pointermove', (e) => {
        if (from >= 0 && Math.abs(e.offsetX - from) >= DRAG_FROM_PX) tl.setRange(dragged(e), false);
    });
    axis.addEventListener('pointerup', (e) => {
        if (from >= 0 && Math.abs(e.offsetX - from) >= DRAG_FROM_PX) {
            tl.view.jump(...dragged(e));
            tl.setRange(null, true);
        }
        from = -1;
        tl.invalidate();
    });
}
