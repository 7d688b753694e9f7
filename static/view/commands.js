// commands.js - what keys do on the timeline, and how they go from slice to slice.

import { eachSlice, neighbour, sliceAt } from '../data/model.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */
/** @typedef {import('../data/types.js').Slice} Slice */
/** @typedef {import('./overlay.js').Pick} Pick */

/** How far from the time at hand a slice of the next row may begin, to be gone to. */
const ACROSS_PX = 20;

/** @param {Timeline} tl @returns {Pick|null} */
function firstInView(tl) {
    for (const box of tl.layout.visible(tl.body.scrollTop, tl.body.scrollTop + tl.height)) {
        if (box.kind !== 'lane') continue;
        for (const { row } of box.rows) {
            /** @type {Slice|null} */
            let first = null;
            eachSlice(row, tl.view.t0, tl.view.t1, (seg, i) => { first ??= { row, seg, i }; });
            if (first) return { slice: first, lane: box.lane, mark: -1 };
        }
    }
    return null;
}

/** With nothing selected: the first slice in view. Else the neighbour in its row. @param {Timeline} tl @param {-1|1} step */
function moveAlong(tl, step) {
    const s = tl.selected?.slice;
    if (!s) {
        const first = firstInView(tl);
        if (first) tl.select(first);
        return;
    }
    const next = neighbour(s, step);
    if (next) tl.goTo({ slice: next, lane: tl.model.lane(next.row.lane), mark: -1 });
}

/** To the row above or below that has something at this time. @param {Timeline} tl @param {-1|1} step */
function moveAcross(tl, step) {
    const s = tl.selected?.slice;
    if (!s) {
        tl.body.scrollTop += step * 60;
        return;
    }
    const rows = tl.layout.boxes.flatMap((b) => (b.kind === 'lane' ? b.rows : []));
    const t = Math.max(tl.view.t0, s.seg.start[s.i]) + 0.5;
    for (let k = rows.findIndex((r) => r.row === s.row) + step; k >= 0 && k < rows.length; k += step) {
        const slice = sliceAt(rows[k].row, t, ACROSS_PX * tl.nsPerPx);
        if (slice) return tl.goTo({ slice, lane: tl.model.lane(slice.row.lane), mark: -1 });
    }
}

/** @param {Timeline} tl @returns {import('../keys.js').Binding[]} */
export function timelineKeys(tl) {
    const { view, body } = tl;
    const here = (/** @type {string[]} */ keys, /** @type {string} */ what, /** @type {() => void} */ run, /** @type {Element|undefined} */ onlyIn = undefined) => ({ keys, what, group: 'Timeline', onlyIn, run: () => { run(); tl.invalidate(); } });
    const inLanes = (/** @type {string[]} */ keys, /** @type {string} */ what, /** @type {() => void} */ run) => here(keys, what, run, body);
    const lane = (/** @type {(id: number) => void} */ act) => () => { if (tl.selected?.lane) act(tl.selected.lane.id); };
    return [
        here(['w', '+', '='], 'Zoom in', () => tl.zoomBy(0.6)),
        here(['s', '-'], 'Zoom out', () => tl.zoomBy(1 / 0.6)),
        here(['a', 'Shift+ArrowLeft'], 'Move left', () => tl.panBy(-0.15)),
        here(['d', 'Shift+ArrowRight'], 'Move right', () => tl.panBy(0.15)),
        here(['0', 'Home'], 'Show all', () => view.fit()),
        inLanes(['ArrowLeft'], 'Slice before; without selection: select the first in view', () => moveAlong(tl, -1)),
        inLanes(['ArrowRight'], 'Next slice', () => moveAlong(tl, 1)),
        inLanes(['ArrowUp'], 'Row above at this time; without selection: scroll', () => moveAcross(tl, -1)),
        inLanes(['ArrowDown'], 'Row below', () => moveAcross(tl, 1)),
        inLanes(['PageUp'], 'Scroll up', () => { body.scrollTop -= tl.height * 0.8; }),
        inLanes(['PageDown'], 'Scroll down', () => { body.scrollTop += tl.height * 0.8; }),
        inLanes(['Enter'], 'To the details of what is selected', () => tl.side.focus()),
        here(['z', 'f'], 'Zoom to the selection or range', () => tl.zoomToSelection()),
        here(['Backspace'], 'Back to the view before', () => view.back()),
        here(['r'], 'Range over the selection, or over the view', () => tl.rangeOfSelection()),
        here(['Escape'], 'Clear selection and range', () => { tl.setRange(null, true); tl.select(null); tl.focusLanes(); }),
        here(['['], 'To the thread that woke this one', () => tl.followWake(-1)),
        here([']'], 'To the thread that this one woke', () => tl.followWake(1)),
        here(['/'], 'Search', () => tl.finder.focus()),
        here(['n'], 'Next hit', () => tl.finder.step(1)),
        here(['Shift+n'], 'Previous hit', () => tl.finder.step(-1)),
        here(['p'], 'Pin the selection\'s lane to the top', lane((id) => tl.togglePin(id))),
        here(['h'], 'Hide the selection\'s lane', lane((id) => tl.hide(id))),
        here(['t'], 'Table of the slices in view', () => tl.toggleTable()),
        here(['v'], 'What the timeline shows', () => tl.menu.toggle()),
    ];
}
