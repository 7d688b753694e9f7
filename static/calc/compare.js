// compare.js - two captures by name: what became slower, faster, more or less.

import { percentile } from './stats.js';

/** @typedef {{name: string, a: Float64Array, b: Float64Array, p50a: number, p50b: number, p99a: number, p99b: number, ratio: number, changed: boolean}} Change  a, b: sorted durations */

/** Fewer than this say nothing about a percentile. */
export const LEAST = 5;
/** Medians closer than this are called the same. */
const FACTOR = 1.2;

/**
 * How sure a difference is: the share of pairs in which b is longer (Mann and Whitney), 0.5 when the two are alike.
 * @param {Float64Array} a sorted @param {Float64Array} b sorted
 */
export function longerShare(a, b) {
    let [below, same] = [0, 0];
    let [lo, hi] = [0, 0];
    for (const v of b) {
        while (lo < a.length && a[lo] < v) lo++;
        while (hi < a.length && a[hi] <= v) hi++;
        below += lo;
        same += hi - lo;
    }
    return a.length && b.length ? (below + same / 2) / (a.length * b.length) : 0.5;
}

/** @param {Map<string, Float64Array>} before sorted durations by name @param {Map<string, Float64Array>} after @returns {Change[]} the changed first, the largest change first */
export function compareByName(before, after) {
    const none = new Float64Array(0);
    const out = [];
    for (const name of new Set([...before.keys(), ...after.keys()])) {
        const [a, b] = [before.get(name) ?? none, after.get(name) ?? none];
        const [p50a, p50b] = [percentile(a, 0.5), percentile(b, 0.5)];
        const ratio = p50b / p50a;
        const enough = a.length >= LEAST && b.length >= LEAST;
        const far = ratio >= FACTOR || ratio <= 1 / FACTOR;
        const sure = Math.abs(longerShare(a, b) - 0.5) > 0.2 + 1 / Math.sqrt(Math.max(1, Math.min(a.length, b.length)));
        out.push({ name, a, b, p50a, p50b, p99a: percentile(a, 0.99), p99b: percentile(b, 0.99), ratio, changed: enough && far && sure });
    }
    const size = (/** @type {Change} */ c) => (Number.isFinite(c.ratio) && c.ratio > 0 ? Math.abs(Math.log(c.ratio)) : 0);
    return out.sort((x, y) => Number(y.changed) - Number(x.changed) || size(y) - size(x));
}

/** @param {import('../data/model.js').Model} model @returns {Map<string, Float64Array>} ended tasks by kind */
export function taskDurations(model) {
    const tasks = model.tasks();
    const [kind, dur, status] = [tasks.column('kind'), tasks.column('dur'), tasks.column('status')];
    /** @type {Map<string, number[]>} */
    const map = new Map();
    for (let i = 0; i < tasks.n; i++) {
        if (status[i] === 2) continue;
        const name = model.string(kind[i]);
        const list = map.get(name);
        if (list) list.push(dur[i]);
        else map.set(name, [dur[i]]);
    }
    return new Map([...map].map(([name, list]) => [name, Float64Array.from(list).sort()]));
}
