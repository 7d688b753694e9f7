// stats.js - numbers about many durations.

/**
 * The p-th percentile by nearest rank: the smallest value that at least p of all values do not exceed. Always a value that occurred.
 * @param {ArrayLike<number>} sorted ascending @param {number} p 0..1
 */
export function percentile(sorted, p) {
    if (sorted.length === 0) return NaN;
    const rank = Math.ceil(p * sorted.length - 1e-9); /* 0.9 * 10 must be 9, not 9.000000000000002 */
    return sorted[Math.min(sorted.length - 1, Math.max(0, rank - 1))];
}

/** @typedef {{n: number, total: number, p50: number, p90: number, p99: number, max: number}} Summary */

/** @param {Float64Array} values sorted by this call @returns {Summary} */
export function summarize(values) {
    values.sort();
    let total = 0;
    for (const v of values) total += v;
    return { n: values.length, total, p50: percentile(values, 0.5), p90: percentile(values, 0.9), p99: percentile(values, 0.99), max: values.length ? values[values.length - 1] : NaN };
}

/** Doubles, growing. */
export class Numbers {
    constructor() {
        this.n = 0;
        this.array = new Float64Array(16);
    }

    /** @param {number} v */
    push(v) {
        if (this.n === this.array.length) {
            const bigger = new Float64Array(2 * this.n);
            bigger.set(this.array);
            this.array = bigger;
        }
        this.array[this.n++] = v;
    }

    values() {
        return this.array.slice(0, this.n);
    }
}
