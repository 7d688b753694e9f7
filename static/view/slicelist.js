// slicelist.js - what the timeline shows, as a table: for those who read rather than look.

import { eachSlice } from '../data/model.js';
import { fill, h, heads } from '../dom.js';
import { duration, instant } from '../fmt.js';
import { foreign, taskLink } from './details.js';
import { sliceText } from './draw.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */
/** @typedef {import('../data/types.js').Slice} Slice */

const ROWS_MAX = 500;

/** @param {Timeline} tl @param {Element} node */
export function fillSliceList(tl, node) {
    const { slices, more } = slicesInView(tl);
    fill(node, h('table', null,
        h('caption', { class: 'visually-hidden' }, 'Slices in view'),
        heads('>Start', '>Duration', 'What', 'Thread', 'Kind', 'Task'),
        h('tbody', null, slices.map((slice) => rowOf(tl, slice)))),
    more ? h('p', { class: 'banner info' }, `The first ${ROWS_MAX} are listed; zoom in for the others.`) : null);
}

/** @param {Timeline} tl @returns {{slices: Slice[], more: boolean}} in order of time */
function slicesInView(tl) {
    /** @type {Slice[]} */
    const slices = [];
    let more = false;
    for (const box of tl.layout.visible(tl.body.scrollTop, tl.body.scrollTop + tl.height)) {
        if (box.kind !== 'lane') continue;
        for (const row of box.lane.rows) {
            let n = 0;
            eachSlice(row, tl.view.t0, tl.view.t1, (seg, i) => {
                if (n++ < ROWS_MAX) slices.push({ row, seg, i });
                else more = true;
            });
        }
    }
    slices.sort((a, b) => a.seg.start[a.i] - b.seg.start[b.i]);
    return { slices: slices.slice(0, ROWS_MAX), more: more || slices.length > ROWS_MAX };
}

/** @param {Timeline} tl @param {Slice} slice */
function rowOf(tl, slice) {
    const { model, options } = tl;
    const { row, seg, i } = slice;
    const lane = model.lane(row.lane);
    return h('tr', null, h('td', { class: 'num mono' }, instant(seg.start[i], 1e3)), h('td', { class: 'num mono' }, duration(seg.dur[i])),
        h('td', { class: 'name' }, h('button', { type: 'button', class: 'linklike', onclick: () => tl.goTo({ slice, lane, mark: -1 }) }, foreign(sliceText(model, row, seg, i), 100))),
        h('td', { class: 'name' }, foreign(model.laneName(lane), 60)), h('td', null, row.table === 'region' ? `region ${row.depth}` : row.table), h('td', null, taskLink(model, seg.task[i], options.link)));
}
