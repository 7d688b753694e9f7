// seg.js - the slices of one row, gathered until there are 1,024, then packed into one buffer with their pyramid.
//
//   | start f64 n | dur f64 or u32 n | extra f64 n, if any | name i32 n | task i32 n | detail i32 n, if any | wide u16 16 | flags u8 n | hue u8 n | pyramid |
//
// Doubles first, then words, then bytes: each array begins aligned whatever n is.

import { SEG_SLICES, buildPyramid, pyramidBytes } from './pyramid.js';

/** Slices of a chunk that are checked for a label even where the chunk is drawn from its pyramid. */
export const WIDE_SLICES = 16;
const U32_LIMIT = 2 ** 32;

/** @typedef {import('./types.js').Seg} Seg */
/** @typedef {import('./types.js').PackedSeg} PackedSeg */

/** @param {PackedSeg} p @returns {Seg} views on the packed buffer */
export function unpackSeg(p) {
    const { n, buffer } = p;
    let at = 0;
    const f64 = () => view(Float64Array, 8);
    /** @template {Float64Array|Uint32Array|Int32Array|Uint16Array|Uint8Array} T
     *  @param {new (b: ArrayBuffer, o: number, n: number) => T} type @param {number} bytes @param {number} [count] @returns {T} */
    const view = (type, bytes, count = n) => {
        const array = new type(buffer, at, count);
        at += bytes * count;
        return array;
    };
    const start = f64();
    const wideDur = p.wideDur ? f64() : null;
    const extra = p.hasExtra ? f64() : null;
    const dur = wideDur ?? view(Uint32Array, 4);
    const name = view(Int32Array, 4);
    const task = view(Int32Array, 4);
    const detail = p.hasDetail ? view(Int32Array, 4) : null;
    const wide = view(Uint16Array, 2, Math.min(n, WIDE_SLICES));
    const flags = view(Uint8Array, 1);
    const hue = view(Uint8Array, 1);
    const pyramid = view(Uint8Array, 1, pyramidBytes(n));
    let t1 = 0;
    let longest = 0;
    if (n > 0) t1 = start[n - 1] + dur[n - 1];
    for (let i = 0; i < wide.length; i++) {
        const w = wide[i];
        longest = Math.max(longest, dur[w]);
        t1 = Math.max(t1, start[w] + dur[w]);
    }
    return { n, t0: n > 0 ? start[0] : 0, t1, longest, start, dur, name, task, extra, detail, flags, hue, pyramid, wide };
}

/** @param {number} n @param {boolean} wideDur @param {boolean} hasExtra @param {boolean} hasDetail */
function packedBytes(n, wideDur, hasExtra, hasDetail) {
    return n * (8 + (wideDur ? 8 : 4) + (hasExtra ? 8 : 0) + 4 + 4 + (hasDetail ? 4 : 0) + 1 + 1) + 2 * Math.min(n, WIDE_SLICES) + pyramidBytes(n);
}

export class SegBuilder {
    /** @param {boolean} hasExtra @param {boolean} [hasDetail] */
    constructor(hasExtra, hasDetail = false) {
        this.hasExtra = hasExtra;
        this.hasDetail = hasDetail;
        this.n = 0;
        this.sorted = true;
        this.durMax = 0;
        this.size = 16; /* most rows of a capture with thousands of threads stay small */
        this.start = new Float64Array(this.size);
        this.dur = new Float64Array(this.size);
        this.extra = new Float64Array(hasExtra ? this.size : 0);
        this.name = new Int32Array(this.size);
        this.task = new Int32Array(this.size);
        this.detail = new Int32Array(hasDetail ? this.size : 0);
        this.flags = new Uint8Array(this.size);
        this.hue = new Uint8Array(this.size);
    }

    grow() {
        this.size *= 2;
        /** @template {Float64Array|Int32Array|Uint8Array} T @param {T} old @returns {T} */
        const bigger = (old) => {
            const array = new /** @type {any} */ (old.constructor)(this.size);
            array.set(old);
            return array;
        };
        this.start = bigger(this.start);
        this.dur = bigger(this.dur);
        if (this.hasExtra) this.extra = bigger(this.extra);
        this.name = bigger(this.name);
        this.task = bigger(this.task);
        if (this.hasDetail) this.detail = bigger(this.detail);
        this.flags = bigger(this.flags);
        this.hue = bigger(this.hue);
    }

    /** @param {number} start @param {number} dur @param {number} name @param {number} task @param {number} extra @param {number} flags @param {number} hue @param {number} [detail] */
    add(start, dur, name, task, extra, flags, hue, detail = -1) {
        const n = this.n;
        if (n === this.size) this.grow();
        if (n > 0 && start < this.start[n - 1]) this.sorted = false;
        if (dur > this.durMax) this.durMax = dur;
        this.start[n] = start;
        this.dur[n] = dur;
        if (this.hasExtra) this.extra[n] = extra;
        if (this.hasDetail) this.detail[n] = detail;
        this.name[n] = name;
        this.task[n] = task;
        this.flags[n] = flags;
        this.hue[n] = hue;
        this.n = n + 1;
    }

    full() {
        return this.n === SEG_SLICES;
    }

    /** Only files of other makers need this. */
    sort() {
        const order = Uint16Array.from({ length: this.n }, (_, i) => i).sort((a, b) => this.start[a] - this.start[b] || this.dur[b] - this.dur[a]);
        for (const column of [this.start, this.dur, this.name, this.task, this.flags, this.hue, ...(this.hasExtra ? [this.extra] : []), ...(this.hasDetail ? [this.detail] : [])]) {
            const old = column.slice(0, this.n);
            for (let k = 0; k < this.n; k++) column[k] = old[order[k]];
        }
    }

    /** What was gathered, packed; the builder is empty again. @returns {PackedSeg} */
    seal() {
        const n = this.n;
        if (!this.sorted) this.sort();
        const wideDur = this.durMax >= U32_LIMIT;
        const packed = { n, buffer: new ArrayBuffer(packedBytes(n, wideDur, this.hasExtra, this.hasDetail)), wideDur, hasExtra: this.hasExtra, hasDetail: this.hasDetail };
        const seg = unpackSeg(packed);
        seg.start.set(this.start.subarray(0, n));
        seg.dur.set(this.dur.subarray(0, n));
        if (seg.extra) seg.extra.set(this.extra.subarray(0, n));
        seg.name.set(this.name.subarray(0, n));
        seg.task.set(this.task.subarray(0, n));
        if (seg.detail) seg.detail.set(this.detail.subarray(0, n));
        seg.flags.set(this.flags.subarray(0, n));
        seg.hue.set(this.hue.subarray(0, n));
        let t1 = 0;
        for (let i = 0; i < n; i++) t1 = Math.max(t1, this.start[i] + this.dur[i]);
        markWide(seg);
        buildPyramid(seg.pyramid, n, seg.start, seg.dur, seg.hue, seg.start[0], t1);
        this.n = 0;
        this.sorted = true;
        this.durMax = 0;
        return packed;
    }
}

/** The longest slices, and the one that ends last: unpackSeg takes the end of the chunk from these. @param {Seg} seg */
function markWide(seg) {
    const { n, start, dur, wide } = seg;
    const room = wide.length;
    let latest = 0;
    for (let i = 1; i < n; i++) if (start[i] + dur[i] > start[latest] + dur[latest]) latest = i;
    if (n === room) {
        for (let i = 0; i < n; i++) wide[i] = i;
        return;
    }
    /* insertion into a short sorted list: nearly every slice fails the first comparison */
    wide[0] = latest;
    let kept = 1;
    for (let i = 0; i < n; i++) {
        if (i === latest || (kept === room && dur[i] <= dur[wide[kept - 1]])) continue;
        let k = kept < room ? kept++ : kept - 1;
        for (; k > 1 && dur[wide[k - 1]] < dur[i]; k--) wide[k] = wide[k - 1];
        wide[k] = i;
    }
}
