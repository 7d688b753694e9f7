// range.js - what the regions of a time range add up to. No percentiles and no lists, so a range of millions of slices is summed while
// one still holds the mouse: one pass over flat arrays a row, and a second pointer in the row around it for what is its own time.

import { segAfter, upperBound } from '../data/model.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Row} Row */
/** @typedef {{n: Float64Array, total: Float64Array, self: Float64Array}} RangeSums  by name */
/** @typedef {{name: number, n: number, total: number, self: number}} RangeStat */

/** @param {Model} model @param {number} t0 @param {number} t1 @returns {Generator<void, RangeStat[]>} one row a step; most time first */
export function* rangeStats(model, t0, t1) {
    const names = model.strings.length;
    const sums = { n: new Float64Array(names), total: new Float64Array(names), self: new Float64Array(names) };
    for (const row of model.rowsOf('region')) {
        addRow(sums, row, model.row(row.lane, 'region', row.depth - 1), t0, t1);
        yield;
    }
    const stats = [];
    for (let name = 0; name < names; name++) if (sums.n[name] > 0) stats.push({ name, n: sums.n[name], total: sums.total[name], self: Math.max(0, sums.self[name]) });
    return stats.sort((a, b) => b.total - a.total);
}

/** @param {RangeSums} sums @param {Row} row @param {Row|undefined} outer @param {number} t0 @param {number} t1 */
function addRow(sums, row, outer, t0, t1) {
    const { n, total, self } = sums;
    const names = n.length;
    let o = outer ? segAfter(outer.segs, t0) : 0; /* the chunk around, and the slice in it, that the last slice lay in */
    let k = 0;
    for (let s = segAfter(row.segs, t0); s < row.segs.length && row.segs[s].t0 < t1; s++) {
        const seg = row.segs[s];
        const { start, dur, name } = seg;
        for (let i = Math.max(0, upperBound(start, seg.n, t0) - 1); i < seg.n && start[i] < t1; i++) {
            const at = start[i];
            const end = at + dur[i];
            if (end <= t0 && at < t0) continue;
            const d = (end < t1 ? end : t1) - (at > t0 ? at : t0);
            const id = name[i];
            if (id < 0 || id >= names) continue;
            n[id]++;
            total[id] += d;
            self[id] += d;
            if (!outer) continue;
            while (o < outer.segs.length) {
                const around = outer.segs[o];
                while (k < around.n && around.start[k] + around.dur[k] <= at) k++;
                if (k < around.n) {
                    if (around.start[k] <= at && around.name[k] >= 0 && around.name[k] < names) self[around.name[k]] -= d;
                    break;
                }
                o++;
                k = 0;
            }
        }
    }
}
