// pyramid.js - what up to 1,024 slices look like from further and further away.
//
//   level 0   [                 1 cell                 ]      Level L cuts the time from the first start to the last end into 2^L equal
//   level 1   [     cell        |        cell          ]      cells. A cell is two bytes: the hue that covers most of it, and how much of
//   ...                                                       it is covered by anything (0 none .. 255 all; never 0 when something is there).
//   level 11  [|||||||| 2,048 cells, two a slice |||||||]     Levels lie one after the other, level 0 first: level L begins at cell 2^L - 1.
//
// Every level is computed from the slices themselves, so the dominant hue of a wide cell is the true one and not a vote of votes.
// One pyramid a row would need buckets as fine as the densest burst; one a chunk adapts to the density of its slices.

/** Slices a pyramid covers at most. 1,024 makes a chunk of 32 KB, and a screen-wide row seldom crosses more than a few of them. */
export const SEG_SLICES = 1024;

/** @param {number} n slices @returns {number} the finest level: two cells a slice, as far as a power of two allows */
export function finestLevel(n) {
    let level = 1;
    while (level < 11 && 1 << level < 2 * n) level++;
    return level;
}

/** @param {number} n slices @returns {number} bytes of the whole pyramid */
export function pyramidBytes(n) {
    return 2 * ((1 << (finestLevel(n) + 1)) - 1);
}

const covered = new Float64Array(256); // per hue, of the cell at hand; all zero between cells
const touched = new Uint8Array(256);

/**
 * @param {Uint8Array} out pyramidBytes(n) zeroed bytes
 * @param {number} level
 * @param {number} n
 * @param {ArrayLike<number>} start sorted
 * @param {ArrayLike<number>} dur
 * @param {ArrayLike<number>} hue
 * @param {number} t0
 * @param {number} t1
 */
function buildLevel(out, level, n, start, dur, hue, t0, t1) {
    const cells = 1 << level;
    const width = (t1 - t0) / cells;
    const base = 2 * (cells - 1);
    let cell = 0;
    let hues = 0;
    const flush = () => {
        let total = 0;
        let most = -1;
        let mostHue = 0;
        for (let k = 0; k < hues; k++) {
            const h = touched[k];
            const c = covered[h];
            total += c;
            if (c > most) {
                most = c;
                mostHue = h;
            }
            covered[h] = 0;
        }
        if (hues > 0) {
            out[base + 2 * cell] = mostHue;
            out[base + 2 * cell + 1] = Math.max(1, Math.min(255, Math.round((255 * total) / width)));
        }
        hues = 0;
    };
    for (let i = 0; i < n; i++) {
        const from = start[i] - t0;
        const to = Math.max(from + dur[i], from);
        const first = Math.min(cells - 1, Math.floor(from / width));
        let last = Math.min(cells - 1, Math.floor(to / width));
        if (last > first && to <= last * width) last--; /* ends exactly where that cell begins */
        const h = hue[i];
        for (let c = Math.max(first, cell); c <= last; c++) {
            if (c !== cell) {
                flush();
                cell = c;
            }
            const piece = Math.min(to, (c + 1) * width) - Math.max(from, c * width);
            let known = false;
            for (let k = 0; k < hues && !known; k++) known = touched[k] === h;
            if (!known) touched[hues++] = h;
            covered[h] += Math.max(piece, 0);
        }
    }
    flush();
}

/**
 * @param {Uint8Array} out pyramidBytes(n) zeroed bytes
 * @param {number} n
 * @param {ArrayLike<number>} start sorted
 * @param {ArrayLike<number>} dur
 * @param {ArrayLike<number>} hue
 * @param {number} t0
 * @param {number} t1
 */
export function buildPyramid(out, n, start, dur, hue, t0, t1) {
    if (t1 <= t0) t1 = t0 + 1;
    for (let level = finestLevel(n); level >= 0; level--) buildLevel(out, level, n, start, dur, hue, t0, t1);
}
