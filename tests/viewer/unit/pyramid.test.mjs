import test from 'node:test';
import assert from 'node:assert/strict';
import { buildPyramid, finestLevel, pyramidBytes } from '../../../static/data/pyramid.js';
import { SegBuilder, unpackSeg } from '../../../static/data/seg.js';
import { PixelLine, levelFor, paintRow, paintSeries } from '../../../static/calc/lod.js';
import { SERIES_BLOCK, buildSeries, eachSlice, neighbour, sliceAt } from '../../../static/data/model.js';
import { random } from '../support/random.mjs';

/** Disjoint slices; bursty ones lie in clusters with long silence between. */
function slices(rand, n, bursty) {
    let t = Math.floor(rand() * 1e6);
    return Array.from({ length: n }, () => {
        t += Math.floor(rand() * (bursty && rand() < 0.02 ? 1e9 : 1000));
        const dur = Math.floor(rand() * (rand() < 0.05 ? 50000 : 800));
        const slice = { start: t, dur, hue: Math.floor(rand() * 5) };
        t += dur;
        return slice;
    });
}

function brute(list, from, to) {
    const by = new Map();
    let any = false;
    for (const s of list) {
        const piece = Math.min(to, s.start + s.dur) - Math.max(from, s.start);
        if (piece > 0) by.set(s.hue, (by.get(s.hue) ?? 0) + piece);
        if (piece > 0 || (s.start >= from && s.start < to)) any = true;
    }
    return { by, total: [...by.values()].reduce((a, b) => a + b, 0), any };
}

function rowOf(list) {
    const b = new SegBuilder(false);
    const segs = [];
    for (const s of list) {
        b.add(s.start, s.dur, s.hue, -1, 0, 0, s.hue);
        if (b.full()) segs.push(unpackSeg(b.seal()));
    }
    if (b.n) segs.push(unpackSeg(b.seal()));
    return { table: 'region', lane: 1, depth: 0, segs, n: list.length };
}

for (const bursty of [false, true]) {
    test(`every cell of every level says what brute force says, ${bursty ? 'bursty' : 'even'} rows`, () => {
        const rand = random(11);
        for (const n of [1, 2, 3, 17, 200, 1024]) {
            const list = slices(rand, n, bursty);
            const t0 = list[0].start;
            const t1 = Math.max(list[n - 1].start + list[n - 1].dur, t0 + 1);
            const out = new Uint8Array(pyramidBytes(n));
            buildPyramid(out, n, list.map((s) => s.start), list.map((s) => s.dur), list.map((s) => s.hue), t0, t1);
            for (let level = 0; level <= finestLevel(n); level++) {
                const cells = 2 ** level;
                const width = (t1 - t0) / cells;
                for (let c = 0; c < cells; c += n === 1024 && level > 8 ? 7 : 1) {
                    const want = brute(list, t0 + c * width, t0 + (c + 1) * width);
                    const cover = out[2 * (cells - 1 + c) + 1];
                    assert.ok(Math.abs(cover / 255 - Math.min(1, want.total / width)) <= 1.01 / 255 + 1e-9, `n ${n} level ${level} cell ${c}: ${cover} for ${want.total / width}`);
                    if (want.total / width < 1e-6) continue;
                    const most = Math.max(...want.by.values());
                    assert.ok((want.by.get(out[2 * (cells - 1 + c)]) ?? 0) >= most - width * 1e-6, `n ${n} level ${level} cell ${c}: hue`);
                }
            }
        }
    });
}

test('a slice that ends where a cell begins leaves that cell empty', () => {
    const out = new Uint8Array(pyramidBytes(2));
    buildPyramid(out, 2, [0, 768], [512, 256], [1, 2], 0, 1024);
    assert.deepEqual([...out.slice(6, 14)], [1, 255, 1, 255, 0, 0, 2, 255]);
});

test('far away, a row that is half covered is half covered in every pixel', () => {
    const row = rowOf(Array.from({ length: 20480 }, (_, i) => ({ start: i * 1000, dur: 500, hue: 3 })));
    for (const width of [97, 300, 333]) {
        const line = new PixelLine(width);
        paintRow(line, row.segs, 0, 20480e3 / width);
        for (let x = 1; x < width - 1; x++) assert.ok(Math.abs(line.cover[x] - 0.5) < 0.04, `width ${width} pixel ${x}: ${line.cover[x]}`);
    }
});

test('a row of pixels covers what its slices cover, at every distance', () => {
    const rand = random(12);
    for (const bursty of [false, true]) {
        const list = slices(rand, 5000, bursty);
        const row = rowOf(list);
        const end = list[list.length - 1].start + list[list.length - 1].dur;
        for (const zoom of [1, 0.3, 0.02, 0.001]) {
            const width = 400;
            const span = (end - list[0].start) * zoom;
            const v0 = list[0].start + (end - list[0].start - span) * 0.4;
            const px = span / width;
            const line = new PixelLine(width);
            paintRow(line, row.segs, v0, px);
            let worst = 0;
            for (let x = 0; x < width; x += 3) {
                const want = Math.min(1, brute(list, v0 + x * px, v0 + (x + 1) * px).total / px);
                const wide = brute(list, v0 + (x - 1.2) * px, v0 + (x + 2.2) * px).total / px; /* a cell is up to a pixel wide, and slices give a pixel to the gap */
                assert.ok(line.cover[x] <= Math.min(wide, 3) + 0.05, `zoom ${zoom} pixel ${x}: ${line.cover[x]} where there is ${wide}`);
                worst += Math.abs(Math.min(1, line.cover[x]) - want);
            }
            assert.ok(worst / (width / 3) < 0.2, `zoom ${zoom}, bursty ${bursty}: off by ${worst / (width / 3)} on average`);
        }
    }
});

test('a solid row has no stripes', () => {
    const row = rowOf(Array.from({ length: 3000 }, (_, i) => ({ start: i * 1000, dur: 1000, hue: 3 })));
    for (const width of [131, 400, 777, 1400]) {
        const line = new PixelLine(width);
        paintRow(line, row.segs, 0, 3e6 / width);
        for (let x = 1; x < width - 1; x++) assert.ok(line.cover[x] > 0.97 && line.hue[x] === 3, `width ${width} pixel ${x}: ${line.cover[x]}`);
    }
});

test('the level read is the coarsest whose cells are no wider than a pixel', () => {
    const { segs } = rowOf(slices(random(13), 1024, false));
    for (const px of [1, 10, 100, 1000, 1e5, 1e8]) {
        const level = levelFor(segs[0], px);
        const cell = (k) => (segs[0].t1 - segs[0].t0) / 2 ** k;
        if (level < 0) assert.ok(cell(finestLevel(1024)) > px);
        else assert.ok(cell(level) <= px * (1 + 1e-9) && (level === 0 || cell(level - 1) > px));
    }
});

test('slices out of order are put in order, and long ones keep their length', () => {
    const b = new SegBuilder(true);
    b.add(5000, 10, 1, 7, 2.5, 0, 1);
    b.add(100, 5e9, 2, 8, -1, 3, 2);
    b.add(200, 0, 3, -1, 0, 0, 3);
    const seg = unpackSeg(b.seal());
    assert.deepEqual([...seg.start], [100, 200, 5000]);
    assert.deepEqual([...seg.dur], [5e9, 0, 10]);
    assert.deepEqual([...seg.task], [8, -1, 7]);
    assert.deepEqual([...seg.extra], [-1, 0, 2.5]);
    assert.deepEqual([seg.t0, seg.t1, seg.longest], [100, 5e9 + 100, 5e9]);
    assert.equal(b.n, 0);
});

test('a slice is found where it is, and nothing is found where there is none', () => {
    const rand = random(14);
    const list = slices(rand, 3000, true);
    const row = rowOf(list);
    for (let k = 0; k < 2000; k++) {
        const t = list[0].start + rand() * (list[2999].start - list[0].start);
        const want = list.find((s) => t >= s.start && t < s.start + s.dur);
        const got = sliceAt(row, t);
        assert.equal(got ? got.seg.start[got.i] : undefined, want?.start);
    }
});

test('from slice to slice one comes along the whole row and back', () => {
    const row = rowOf(slices(random(15), 2500, false));
    let at = { row, seg: row.segs[0], i: 0 };
    let steps = 0;
    for (let next = neighbour(at, 1); next; next = neighbour(at, 1)) { at = next; steps++; }
    assert.equal(steps, 2499);
    for (let prev = neighbour(at, -1); prev; prev = neighbour(at, -1)) { at = prev; steps--; }
    assert.equal(steps, 0);
});

test('each slice within a time is visited once', () => {
    const list = slices(random(16), 2500, false).map((s) => ({ ...s, dur: Math.max(1, s.dur) }));
    const row = rowOf(list);
    const [t0, t1] = [list[400].start + 1, list[1900].start];
    const seen = [];
    eachSlice(row, t0, t1, (seg, i) => seen.push(seg.start[i]));
    assert.deepEqual(seen, list.filter((s) => s.start < t1 && (s.start + s.dur > t0 || s.start >= t0)).map((s) => s.start));
});

test('a counter keeps its least and greatest value in each pixel', () => {
    const rand = random(17);
    const n = 5000;
    const t = Float64Array.from({ length: n }, () => Math.floor(rand() * 1e6));
    const v = Float64Array.from({ length: n }, () => Math.floor(rand() * 2000) - 1000);
    const series = buildSeries('x', 'counter', t.slice(), v.slice());
    const points = [...t].map((time, i) => ({ time, v: v[i], i })).sort((a, b) => a.time - b.time || a.i - b.i);
    for (const [v0, px, width] of [[0, 1e6 / 300, 300], [2e5, 7, 500], [-1000, 5000, 250]]) {
        const lo = new Float64Array(width);
        const hi = new Float64Array(width);
        paintSeries(series, SERIES_BLOCK, v0, px, width, lo, hi);
        for (let x = 0; x < width; x += 7) {
            const [a, b] = [v0 + x * px, v0 + (x + 1) * px];
            const before = points.filter((p) => p.time <= a || (x === 0 && p.time <= v0)).at(-1);
            const inside = points.filter((p) => p.time > a && p.time <= b);
            const all = [...(before ? [before] : []), ...inside].map((p) => p.v);
            assert.equal(lo[x], all.length ? Math.min(...all) : NaN, `pixel ${x} from ${a}`);
            assert.equal(hi[x], all.length ? Math.max(...all) : NaN);
        }
    }
});
