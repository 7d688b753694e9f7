// compare.js - two captures by name: what became slower, faster, more or less.

import { upperBound } from '../data/model.js';
import { percentile } from './stats.js';

/** @typedef {{name: string, a: Float64Array, b: Float64Array, p50a: number, p50b: number, p90a: number, p90b: number, p99a: number, p99b: number, ratio: number, changed: ''|'median'|'tail'}} Change  a, b: sorted durations; ratio: of the medians, or where only the slowest tenth has changed, of the 90th percentiles */

/** Fewer than this say nothing about a percentile. */
export const LEAST = 5;
/** Medians closer than this are called the same; the slowest tenth varies more from run to run. */
const FACTOR = 1.2;
const TAIL_FACTOR = 1.5;
/** So many standard deviations more or fewer beyond the common 90th percentile: chance does that once in 2,000 names. */
const TAIL_SURE = 3.5;
/** A difference of less is what the clock and the caches of a run make. */
const LEAST_NS = 1000;

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

/**
 * In standard deviations: how many more of b than of a are beyond the 90th percentile of both together, than if they were alike.
 * @param {Float64Array} a sorted @param {Float64Array} b sorted
 */
export function longerTail(a, b) {
    const [na, nb] = [a.length, b.length];
    const both = new Float64Array(na + nb);
    both.set(a);
    both.set(b, na);
    const limit = percentile(both.sort(), 0.9);
    const [xa, xb] = [a, b].map((list) => list.length - upperBound(list, list.length, limit));
    const p = (xa + xb) / (na + nb);
    const deviation = Math.sqrt(p * (1 - p) * (1 / na + 1 / nb));
    return deviation > 0 ? (xb / nb - xa / na) / deviation : 0;
}

/** @param {number} before @param {number} after @param {number} factor */
function far(before, after, factor) {
    return Math.abs(after - before) >= LEAST_NS && (after >= before * factor || before >= after * factor);
}

/** @param {string} name @param {Float64Array} a @param {Float64Array} b @returns {Change} */
function compared(name, a, b) {
    const [p50a, p50b, p90a, p90b, p99a, p99b] = [0.5, 0.9, 0.99].flatMap((p) => [percentile(a, p), percentile(b, p)]);
    const enough = a.length >= LEAST && b.length >= LEAST;
    const median = enough && far(p50a, p50b, FACTOR) && Math.abs(longerShare(a, b) - 0.5) > 0.2 + 1 / Math.sqrt(Math.max(1, Math.min(a.length, b.length)));
    const tail = enough && !median && far(p90a, p90b, TAIL_FACTOR) && Math.abs(longerTail(a, b)) > TAIL_SURE;
    return { name, a, b, p50a, p50b, p90a, p90b, p99a, p99b, ratio: tail ? p90b / p90a : p50b / p50a, changed: median ? 'median' : tail ? 'tail' : '' };
}

/** @param {Map<string, Float64Array>} before sorted durations by name @param {Map<string, Float64Array>} after @returns {Change[]} the changed first, the largest change first */
export function compareByName(before, after) {
    const none = new Float64Array(0);
    const out = [...new Set([...before.keys(), ...after.keys()])].map((name) => compared(name, before.get(name) ?? none, after.get(name) ?? none));
    const size = (/** @type {Change} */ c) => (Number.isFinite(c.ratio) && c.ratio > 0 ? Math.abs(Math.log(c.ratio)) : 0);
    return out.sort((x, y) => Number(y.changed !== '') - Number(x.changed !== '') || size(y) - size(x));
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
