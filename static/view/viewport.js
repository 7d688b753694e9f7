// viewport.js - which time is shown. Always within the capture and 2 % around it, so one cannot get lost.

/** Closer than this there is nothing to see: clocks tick in nanoseconds. */
const SPAN_MIN_NS = 50;
const MARGIN = 0.02;
const HISTORY_MAX = 50;

export class Viewport {
    /** @param {number} duration */
    constructor(duration) {
        this.duration = duration;
        this.from = 0;     /* what "all" means: the capture, or the part a page is about */
        this.to = duration;
        this.t0 = 0;
        this.t1 = 0;
        /** @type {[number, number][]} */
        this.history = [];
        this.fit();
    }

    get span() {
        return this.t1 - this.t0;
    }

    get atFit() {
        const [a, b] = this.bounds();
        return this.t0 <= a + 1 && this.t1 >= b - 1;
    }

    /** @returns {[number, number]} */
    bounds() {
        const margin = MARGIN * (this.to - this.from);
        return [this.from - margin, this.to + margin];
    }

    /** While a capture loads it grows; a view of all of it grows along. @param {number} duration */
    setDuration(duration) {
        const fits = this.atFit;
        this.duration = duration;
        this.to = duration;
        if (fits) this.fit();
    }

    fit() {
        const [a, b] = this.bounds();
        this.t0 = a;
        this.t1 = b;
    }

    /** @param {number} t0 @param {number} t1 */
    set(t0, t1) {
        const [a, b] = this.bounds();
        const span = Math.min(Math.max(t1 - t0, SPAN_MIN_NS), b - a);
        const mid = (t0 + t1) / 2;
        this.t0 = Math.min(Math.max(mid - span / 2, a), b - span);
        this.t1 = this.t0 + span;
    }

    /** A jump one may want to take back. @param {number} t0 @param {number} t1 */
    jump(t0, t1) {
        this.history.push([this.t0, this.t1]);
        if (this.history.length > HISTORY_MAX) this.history.shift();
        this.set(t0, t1);
    }

    back() {
        const last = this.history.pop();
        if (last) this.set(last[0], last[1]);
        else this.fit();
    }

    /** @param {number} factor < 1 closer @param {number} t stays where it is */
    zoom(factor, t) {
        const [a, b] = this.bounds();
        const span = Math.min(Math.max(this.span * factor, SPAN_MIN_NS), b - a);
        const part = (t - this.t0) / this.span;
        this.set(t - part * span, t - part * span + span);
    }

    /** @param {number} ns */
    pan(ns) {
        this.set(this.t0 + ns, this.t1 + ns);
    }

    /** So that [t0, t1) can be seen: not moved if it can already, else centred; widened if it has no room. @param {number} t0 @param {number} t1 */
    reveal(t0, t1) {
        if (t0 >= this.t0 && t1 <= this.t1 && t1 - t0 > this.span / 400) return;
        const span = t1 - t0 > this.span * 0.8 || t1 - t0 < this.span / 400 ? Math.max((t1 - t0) * 3, SPAN_MIN_NS) : this.span;
        const mid = (t0 + t1) / 2;
        this.jump(mid - span / 2, mid + span / 2);
    }
}
