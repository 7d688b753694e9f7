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

const covered = new Float64Array(256); // per hue, of the cell at hand; valid where stamp says so
const stamp = new Float64Array(256);   // the cell, counted over all calls, that covered[hue] belongs to
const touched = new Uint8Array(256);   // the hues of the cell at hand
let cellCount = 0;

/** @param {Uint8Array} out @param {number} at byte of the cell @param {number} hues @param {number} width of the cell, in ns */
function writeCell(out, at, hues, width) {
    let total = 0;
    let most = -1;
    let mostHue = 0;
    for (let k = 0; k < hues; k++) {
        const c = covered[touched[k]];
        total += c;
        if (c > most) {
            most = c;
            mostHue = touched[k];
        }
    }
    const share = (255 * total) / width;
    out[at] = mostHue;
    out[at + 1] = share < 1 ? 1 : share > 254.5 ? 255 : (share + 0.5) | 0;
}

/**
 * One pass over the slices, one cell at hand. Cells that a slice fills from edge to edge belong to it alone and are written at once.
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
    const inverse = cells / (t1 - t0);
    const base = 2 * (cells - 1);
    let cell = -1;
    let hues = 0;
    for (let i = 0; i < n; i++) {
        const from = start[i] - t0;
        const to = from + dur[i];
        const h = hue[i];
        const first = Math.max(cell, Math.min(cells - 1, (from * inverse) | 0));
        if (first !== cell) {
            if (hues > 0) writeCell(out, base + 2 * cell, hues, width);
            cell = first;
            hues = 0;
            cellCount++;
        }
        const end = (cell + 1) * width;
        const piece = (to < end ? to : end) - (from > cell * width ? from : cell * width);
        if (stamp[h] !== cellCount) {
            stamp[h] = cellCount;
            covered[h] = piece > 0 ? piece : 0;
            touched[hues++] = h;
        } else if (piece > 0) covered[h] += piece;
        if (to <= end || cell === cells - 1) continue;
        writeCell(out, base + 2 * cell, hues, width);
        let last = Math.min(cells - 1, (to * inverse) | 0);
        if (to <= last * width) last--; /* ends exactly where that cell begins */
        for (cell++; cell < last; cell++) {
            out[base + 2 * cell] = h;
            out[base + 2 * cell + 1] = 255;
        }
        cell = Math.max(last, first);
        hues = 0;
        cellCount++;
        if (last === first) continue;
        stamp[h] = cellCount;
        covered[h] = to - cell * width;
        touched[hues++] = h;
    }
    if (hues > 0) writeCell(out, base + 2 * cell, hues, width);
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
