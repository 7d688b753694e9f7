// lod.js - one row of slices -> one line of pixels, at a cost bounded by pixels and not by slices.
//
// For each chunk of 1,024 slices: if a cell of some level is no wider than a pixel, the coarsest such level is read; else the chunk is
// so close that its slices are added themselves. Each pixel gets the hue that covers most of it and how much of it is covered.
// A cell that lies across two pixels gives each its share; otherwise solid rows would show stripes.

import { finestLevel } from '../data/pyramid.js';
import { segAfter, upperBound } from '../data/model.js';

/** @typedef {import('../data/types.js').Seg} Seg */

/** A slice this many pixels wide gives up its last one, so that neighbours of one colour stay apart. */
export const GAP_FROM_PX = 3;

export class PixelLine {
    /** @param {number} width */
    constructor(width) {
        this.width = width;
        this.cover = new Float32Array(width);  /* 0 nothing .. 1 all of the pixel */
        this.most = new Float32Array(width);   /* the largest single share so far */
        this.hue = new Uint8Array(width);      /* whose it was */
    }

    clear() {
        this.cover.fill(0);
        this.most.fill(0);
    }

    /** @param {number} x pixel @param {number} share 0..1 @param {number} hue */
    add(x, share, hue) {
        if (x < 0 || x >= this.width) return;
        this.cover[x] += share;
        if (share > this.most[x]) {
            this.most[x] = share;
            this.hue[x] = hue;
        }
    }

    /** @param {number} from in pixels @param {number} to @param {number} hue */
    addSpan(from, to, hue) {
        const a = Math.max(0, from);
        const b = Math.min(this.width, to);
        if (b <= a) {
            if (from >= 0 && from < this.width) this.add(from | 0, 1e-4, hue); /* without length, but there */
            return;
        }
        let x = a | 0;
        const last = Math.min(this.width - 1, b | 0);
        if (x === last) return this.add(x, b - a, hue);
        this.add(x, x + 1 - a, hue);
        for (x++; x < last; x++) {
            this.cover[x] = 1;
            this.most[x] = 1;
            this.hue[x] = hue;
        }
        if (b > last) this.add(last, b - last, hue);
    }
}

/** @param {Seg} seg @param {number} nsPerPx @returns {number} the level to read, or -1: draw the slices */
export function levelFor(seg, nsPerPx) {
    const px = (seg.t1 - seg.t0) / nsPerPx;
    if (px <= 1) return 0;
    const level = Math.ceil(Math.log2(px));
    return level <= finestLevel(seg.n) ? level : -1;
}

/** @param {PixelLine} line @param {Seg} seg @param {number} level @param {number} v0 @param {number} nsPerPx */
function addCells(line, seg, level, v0, nsPerPx) {
    const cells = 1 << level;
    const base = 2 * (cells - 1);
    const { pyramid } = seg;
    const { width, cover, most, hue } = line;
    const step = Math.max(seg.t1 - seg.t0, 1e-9) / cells / nsPerPx;
    const scale = 1 / 255;
    const origin = (seg.t0 - v0) / nsPerPx;
    const first = Math.max(0, Math.floor(-origin / step));
    const last = Math.min(cells, Math.ceil((width - origin) / step));
    for (let c = first; c < last; c++) {
        const amount = pyramid[base + 2 * c + 1];
        if (amount === 0) continue;
        const h = pyramid[base + 2 * c];
        const from = origin + c * step;
        const x = Math.floor(from);
        const share = amount * step * scale;
        const over = from + step - x - 1;
        const right = over > 1e-6 ? amount * over * scale : 0;
        const left = share - right;
        if (x >= 0 && x < width) {
            cover[x] += left;
            if (left > most[x]) {
                most[x] = left;
                hue[x] = h;
            }
        }
        if (right > 0 && x + 1 >= 0 && x + 1 < width) {
            cover[x + 1] += right;
            if (right > most[x + 1]) {
                most[x + 1] = right;
                hue[x + 1] = h;
            }
        }
    }
}

/** @param {PixelLine} line @param {Seg} seg @param {number} v0 @param {number} v1 @param {number} nsPerPx */
function addSlices(line, seg, v0, v1, nsPerPx) {
    const { start, dur, hue, n } = seg;
    for (let i = Math.max(0, upperBound(start, n, v0) - 1); i < n && start[i] < v1; i++) {
        const from = (start[i] - v0) / nsPerPx;
        const to = from + dur[i] / nsPerPx;
        line.addSpan(from, to - from >= GAP_FROM_PX ? to - 1 : to, hue[i]);
    }
}

/** Adds what a row shows from v0 on. @param {PixelLine} line @param {Seg[]} segs @param {number} v0 @param {number} nsPerPx */
export function paintRow(line, segs, v0, nsPerPx) {
    const v1 = v0 + line.width * nsPerPx;
    for (let s = segAfter(segs, v0); s < segs.length && segs[s].t0 < v1; s++) {
        const seg = segs[s];
        const level = levelFor(seg, nsPerPx);
        if (level < 0) addSlices(line, seg, v0, v1, nsPerPx);
        else addCells(line, seg, level, v0, nsPerPx);
    }
}

/**
 * Least and greatest value of a step function in each pixel; a pixel without points keeps the value before it.
 * @param {import('../data/types.js').Series} series @param {number} block points per block of lo and hi
 * @param {number} v0 @param {number} nsPerPx @param {number} width @param {Float64Array} lo @param {Float64Array} hi NaN before the first point
 */
export function paintSeries(series, block, v0, nsPerPx, width, lo, hi) {
    const { t, v, n } = series;
    let i = upperBound(t, n, v0);
    let now = i > 0 ? v[i - 1] : NaN;
    for (let x = 0; x < width; x++) {
        const end = v0 + (x + 1) * nsPerPx;
        let least = now;
        let most = now;
        const from = i;
        if (i < n && t[i] < end) i += upperBound(t.subarray(i, n), n - i, end);
        for (let k = from; k < i;) {
            const whole = k % block === 0 && k + block <= i;
            const a = whole ? series.lo[k / block] : v[k];
            const b = whole ? series.hi[k / block] : v[k];
            if (!(a >= least)) least = a;
            if (!(b <= most)) most = b;
            k += whole ? block : 1;
        }
        if (i > from) now = v[i - 1];
        lo[x] = least;
        hi[x] = most;
    }
}
