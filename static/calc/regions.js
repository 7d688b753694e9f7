// regions.js - totals by region name: how often, how long with and without what lies inside, and the tail.

import { eachSlice } from '../data/model.js';
import { Numbers, summarize } from './stats.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{name: number, n: number, total: number, self: number, p50: number, p90: number, p99: number, max: number, durations: Float64Array}} RegionStat */

/**
 * Rows are worked off one after the other, with a pause between them, so that a page with ten million slices stays alive.
 * @param {Model} model @param {number} [t0] @param {number} [t1] only what overlaps this range, and only by as much
 * @returns {Generator<void, RegionStat[]>}
 */
export function* regionStats(model, t0 = -Infinity, t1 = Infinity) {
    /** @type {Map<number, {durations: Numbers, self: number}>} */
    const byName = new Map();
    const of = (/** @type {number} */ name) => {
        let s = byName.get(name);
        if (!s) byName.set(name, (s = { durations: new Numbers(), self: 0 }));
        return s;
    };
    for (const row of model.rowsOf('region')) {
        const outer = model.row(row.lane, 'region', row.depth - 1);
        const parents = outer ? new OuterCursor(outer) : null;
        eachSlice(row, t0, t1, (seg, i) => {
            const from = Math.max(t0, seg.start[i]);
            const d = Math.min(t1, seg.start[i] + seg.dur[i]) - from;
            const s = of(seg.name[i]);
            s.durations.push(d);
            s.self += d;
            const parent = parents?.nameAt(seg.start[i]) ?? null; /* what is inside counts against the region around it */
            if (parent !== null) of(parent).self -= d;
        });
        yield;
    }
    const stats = [];
    for (const [name, s] of byName) {
        const durations = s.durations.values();
        stats.push({ name, self: Math.max(0, s.self), durations, ...summarize(durations) });
        if (stats.length % 64 === 0) yield;
    }
    return stats.sort((a, b) => b.total - a.total);
}

/** Walks the row one level further out, in step with the row inside. */
class OuterCursor {
    /** @param {import('../data/types.js').Row} row */
    constructor(row) {
        this.row = row;
        this.s = 0;
        this.i = 0;
    }

    /** @param {number} t not before the t of earlier calls @returns {number|null} */
    nameAt(t) {
        const { segs } = this.row;
        while (this.s < segs.length) {
            const seg = segs[this.s];
            while (this.i < seg.n && seg.start[this.i] + seg.dur[this.i] <= t) this.i++;
            if (this.i < seg.n) return seg.start[this.i] <= t ? seg.name[this.i] : null;
            this.s++;
            this.i = 0;
        }
        return null;
    }
}

/** Short enough that keys and frames do not wait. */
const PIECE_MS = 20;
const channel = typeof MessageChannel === 'function' ? new MessageChannel() : null;
/** @type {(() => void)[]} */
const waiting = [];
if (channel) {
    channel.port1.onmessage = () => waiting.shift()?.();
    /** @type {{unref?: () => void}} */ (channel.port1).unref?.(); /* where there is no page, it keeps nothing alive */
}

/** After what else waits for its turn; timers of no time would each cost four milliseconds. @returns {Promise<void>} */
function nextTurn() {
    return new Promise((resume) => {
        if (!channel) return void setTimeout(resume, 0);
        waiting.push(resume);
        channel.port2.postMessage(0);
    });
}

/** Runs a generator in pieces of a few milliseconds. @template T @param {Generator<void, T>} work @param {() => boolean} [cancelled] @returns {Promise<T|null>} null when cancelled */
export async function inPieces(work, cancelled = () => false) {
    for (;;) {
        const until = performance.now() + PIECE_MS;
        do {
            const step = work.next();
            if (step.done) return step.value;
        } while (performance.now() < until);
        await nextTurn();
        if (cancelled()) return null;
    }
}
