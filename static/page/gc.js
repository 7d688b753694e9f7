// gc.js - collections, what they cost the program, and memory over time.

import { mmuCurve } from '../calc/mmu.js';
import { gcSpans } from '../calc/split.js';
import { eachSlice, sliceAt } from '../data/model.js';
import { isBlocked } from '../data/states.js';
import { facts, fill, h, s } from '../dom.js';
import { count, duration, instant, percent, value, visible } from '../fmt.js';
import { formatHash } from '../url.js';
import { foreign } from '../view/details.js';
import { Table, asTable, byNumber } from '../view/table.js';
import { timeLink } from './scope.js';

/** @typedef {{start: number, dur: number, lane: number, name: number}} Phase */

const PHASES_MAX = 20000;
const STOPPED = 'stopped'; /* what a collector does to another thread: docs/format.md */
const [W, H] = [640, 180];
const POINTS_MAX = 400;

/** @type {import('../app.js').Page} */
export function gcPage(app) {
    const node = h('div', { class: 'page' });
    const draw = () => {
        const model = app.needModel();
        const phases = phasesOf(model);
        fill(node, h('h1', null, 'Collector and memory'), phases.length ? cycles(app, phases) : h('p', { class: 'muted' }, 'This capture has no collector\'s phases. Boehm\'s collector is found where a program has it; others tell of theirs with ttap_gc_begin() and ttap_gc_end().'), ...allocation(app), ...heaps(model));
    };
    draw();
    return { node, title: 'GC', grown: () => { if (!app.needModel().loading) draw(); } };
}

/** @param {import('../data/model.js').Model} model @returns {Phase[]} */
function phasesOf(model) {
    /** @type {Phase[]} */
    const out = [];
    for (const row of model.rowsOf('gc')) {
        eachSlice(row, -Infinity, Infinity, (seg, i) => {
            if (model.string(seg.name[i]) === STOPPED) return; /* of a thread; its pause is here */
            if (out.length < PHASES_MAX) out.push({ start: seg.start[i], dur: seg.dur[i], lane: row.lane, name: seg.name[i] });
        });
    }
    return out.sort((a, b) => a.start - b.start);
}

/** Asked for when a row is drawn: a capture has many phases, times many threads. @param {(p: Phase) => number} count @returns {(p: Phase) => number} */
function once(count) {
    /** @type {Map<Phase, number>} */
    const known = new Map();
    return (p) => {
        const n = known.get(p) ?? count(p);
        known.set(p, n);
        return n;
    };
}

/** Threads that were blocked, or stopped by it, in the middle of a phase. @param {import('../data/model.js').Model} model @param {number} own @param {number} t */
function stoppedAt(model, own, t) {
    /** @type {Set<number>} */
    const lanes = new Set();
    for (const row of [...model.rowsOf('state'), ...model.rowsOf('gc')]) {
        const s = row.lane === own ? null : sliceAt(row, t);
        if (s && (row.table === 'gc' ? model.string(s.seg.name[s.i]) === STOPPED : isBlocked(s.seg.name[s.i]))) lanes.add(row.lane);
    }
    return lanes.size;
}

/** @param {import('../app.js').App} app @param {Phase[]} phases */
function cycles(app, phases) {
    const model = app.needModel();
    const spans = gcSpans(model);
    const total = spans.reduce((sum, p) => sum + p.to - p.from, 0);
    const curve = mmuCurve(spans, model.duration);
    const stopped = once((/** @type {Phase} */ p) => stoppedAt(model, p.lane, p.start + p.dur / 2));
    const table = new Table('Phases', [
        { title: 'Start', num: true, sort: byNumber((p) => p.start), cell: (p) => timeLink(app, p.start, p.start + p.dur, instant(p.start, 1e3), `${p.lane},gc,0,${p.start}`) },
        { title: 'Phase', name: true, cell: (p) => foreign(model.string(p.name), 80) },
        { title: 'Duration', num: true, down: true, sort: byNumber((p) => p.dur), cell: (p) => duration(p.dur) },
        { title: 'Thread', name: true, cell: (p) => foreign(model.laneName(model.lane(p.lane)), 60) },
        { title: 'Threads blocked meanwhile', num: true, down: true, sort: byNumber(stopped), cell: (p) => (model.rowsOf('state').length ? count(stopped(p)) : '–') },
    ], phases, { sorted: 0, csv: 'gc' });
    return [h('section', { class: 'card', 'aria-label': 'Utilisation' }, h('h2', null, 'Minimum mutator utilisation'),
        facts([['Phases', count(phases.length)], ['Total', `${duration(total)} (${percent(total, model.duration)} of the window)`], ['Longest', duration(spans.reduce((most, p) => Math.max(most, p.to - p.from), 0))]]),
        mmuChart(curve), asTable('Minimum mutator utilisation', ['Window', 'At least the program\'s'], curve.map((c) => [duration(c.window), percent(c.utilisation, 1)]))), table.node];
}

/** @param {{window: number, utilisation: number}[]} curve */
function mmuChart(curve) {
    const [lo, hi] = [Math.log(curve[0].window), Math.log(curve[curve.length - 1].window)];
    const x = (/** @type {number} */ w) => 44 + ((Math.log(w) - lo) / Math.max(1e-9, hi - lo)) * (W - 56);
    const y = (/** @type {number} */ u) => 10 + (1 - u) * (H - 40);
    return s('svg', { class: 'chart', viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': 'In the worst window of each length, the share of time that was the program\'s' },
        [0, 0.5, 1].map((u) => [s('line', { x1: 44, x2: W - 12, y1: y(u), y2: y(u) }), s('text', { x: 4, y: y(u) + 4 }, percent(u, 1))]),
        curve.filter((_, i) => i % 3 === 0).map((c) => s('text', { x: x(c.window) - 12, y: H - 8 }, duration(c.window).replace(/\.?0+ /, ' '))),
        s('polyline', { points: curve.map((c) => `${x(c.window).toFixed(1)},${y(c.utilisation).toFixed(1)}`).join(' ') }));
}

/** What each thread allocated in the window. @param {import('../app.js').App} app */
function allocation(app) {
    const model = app.needModel();
    const rows = [...model.allocated.values()];
    if (rows.length === 0) return [];
    return [new Table('Allocation by thread', [
        { title: 'Thread', name: true, cell: (a) => foreign(model.laneName(model.lane(a.lane)), 60) },
        { title: 'Allocations', num: true, down: true, sort: byNumber((a) => a.calls), cell: (a) => count(a.calls) },
        { title: 'Bytes asked for', num: true, down: true, sort: byNumber((a) => a.bytes), cell: (a) => count(a.bytes) },
        { title: 'Frees', num: true, down: true, sort: byNumber((a) => a.frees), cell: (a) => count(a.frees) },
    ], rows, { sorted: 2, csv: 'allocation' }).node, h('a', { href: formatHash('cpu', { ...app.link(), of: 'alloc' }) }, 'Where: stacks')];
}

/** Counters that speak of memory. @param {import('../data/model.js').Model} model */
function heaps(model) {
    const series = model.series().filter((x) => /heap|bytes|alloc|rss|memory/i.test(x.title) && x.n > 1).slice(0, 6);
    return series.map((x) => {
        const step = Math.max(1, Math.ceil(x.n / POINTS_MAX));
        const low = Math.min(0, x.min);
        const px = (/** @type {number} */ t) => 4 + (t / model.duration) * (W - 8);
        const py = (/** @type {number} */ v) => 8 + (1 - (v - low) / (x.max - low || 1)) * (H - 24);
        let points = '';
        /** @type {string[][]} */
        const rows = [];
        for (let i = 0; i < x.n; i += step) {
            rows.push([instant(x.t[i], 1e3), value(x.v[i])]);
            points += `${px(x.t[i]).toFixed(1)},${py(i ? x.v[i - step] : x.v[0]).toFixed(1)} ${px(x.t[i]).toFixed(1)},${py(x.v[i]).toFixed(1)} `;
        }
        points += `${px(model.duration).toFixed(1)},${py(x.v[x.n - 1]).toFixed(1)}`;
        return h('section', { class: 'card', 'aria-label': 'Memory' }, h('h2', null, foreign(x.title, 120)), facts([['Least · most · last', [x.min, x.max, x.v[x.n - 1]].map(value).join(' · ')]]),
            s('svg', { class: 'chart', viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `From ${value(x.min)} to ${value(x.max)}` }, s('polyline', { points })), asTable(visible(x.title, 120), ['Time', 'Value'], rows));
    });
}
