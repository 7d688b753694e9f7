// mmu.js - minimum mutator utilisation: in the worst window of a given length, how much of it was the program's own.
//
// Only windows that begin where a pause does are tried: moved right until its left edge meets a pause, or left to the begin of the pause
// it cuts, a window never gains.

/** @typedef {{from: number, to: number}} Pause */

/** @param {Pause[]} pauses sorted, disjoint @param {number} window @param {number} duration of the capture @returns {number} 0..1 */
export function mmu(pauses, window, duration) {
    if (pauses.length === 0) return 1;
    const w = Math.min(window, duration);
    const before = new Float64Array(pauses.length + 1);
    pauses.forEach((p, i) => { before[i + 1] = before[i] + p.to - p.from; });
    const pausedUntil = (/** @type {number} */ t) => {
        let lo = 0;
        let hi = pauses.length;
        while (lo < hi) {
            const mid = (lo + hi) >> 1;
            if (pauses[mid].to <= t) lo = mid + 1;
            else hi = mid;
        }
        return before[lo] + (lo < pauses.length ? Math.max(0, t - pauses[lo].from) : 0);
    };
    let most = 0;
    for (const p of pauses) {
        const from = Math.min(p.from, duration - w);
        most = Math.max(most, pausedUntil(from + w) - pausedUntil(from));
    }
    return Math.max(0, 1 - most / w);
}

/** @param {Pause[]} pauses @param {number} duration @returns {{window: number, utilisation: number}[]} from 10 us to the whole, 1, 2, 5 a decade */
export function mmuCurve(pauses, duration) {
    const out = [];
    for (let decade = 1e4; decade < duration; decade *= 10) for (const m of [1, 2, 5]) if (decade * m < duration) out.push({ window: decade * m, utilisation: mmu(pauses, decade * m, duration) });
    out.push({ window: duration, utilisation: mmu(pauses, duration, duration) });
    return out;
}
