// hist.js - durations over a logarithmic axis: latencies span decades, and the tail is the point.
//
// Bars have round edges: 1, 2, 5 a decade when the values span much, finer when they span little.

/** @typedef {{from: number, to: number, n: number}} Bar  from <= value < to; the last bar includes its end */

/** Edges within a decade, coarse to fine; the finest that needs no more than BARS_MAX bars is taken. */
const STEPS = [[1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2]];
const BARS_MAX = 48;

/** @param {number} min @param {number} max @param {number[]} steps */
function edgesBetween(min, max, steps) {
    const edges = [];
    for (let decade = Math.floor(Math.log10(min)) - 1; decade <= Math.ceil(Math.log10(max)) + 1; decade++) {
        for (const step of steps) edges.push(Number((step * 10 ** decade).toPrecision(6)));
    }
    let first = 0;
    while (first + 1 < edges.length && edges[first + 1] <= min) first++;
    let last = first + 1;
    while (last + 1 < edges.length && edges[last] <= max) last++;
    return edges.slice(first, last + 1);
}

/**
 * @param {ArrayLike<number>} values any order; those <= 0 count into the first bar
 * @returns {Bar[]} without gaps; empty for no values
 */
export function histogram(values) {
    if (values.length === 0) return [];
    let min = Infinity;
    let max = -Infinity;
    for (let i = 0; i < values.length; i++) {
        if (values[i] > 0) min = Math.min(min, values[i]);
        max = Math.max(max, values[i]);
    }
    if (!(max > 0)) return [{ from: 0, to: 1, n: values.length }];
    let edges = edgesBetween(min, max, STEPS[0]);
    for (const steps of STEPS.slice(1)) {
        const finer = edgesBetween(min, max, steps);
        if (finer.length - 1 <= BARS_MAX) edges = finer;
    }
    const bars = edges.slice(0, -1).map((from, i) => ({ from, to: edges[i + 1], n: 0 }));
    for (let i = 0; i < values.length; i++) bars[barOf(edges, values[i])].n++;
    if (min > 0 && bars[0].n > 0) for (let i = 0; i < values.length; i++) if (values[i] <= 0) { bars[0].from = 0; break; }
    return bars;
}

/** @param {number[]} edges @param {number} value */
function barOf(edges, value) {
    let lo = 0;
    let hi = edges.length - 2;
    while (lo < hi) {
        const mid = (lo + hi + 1) >> 1;
        if (edges[mid] <= value) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}
