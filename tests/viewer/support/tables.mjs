// tables.mjs - what the pages show of one real capture, against what naive.mjs makes of its JSON.

import assert from 'node:assert/strict';
import { BLOCKING, blockingFlame, cpuFlame, lockStats } from '../../../static/calc/blocking.js';
import { flameTable } from '../../../static/calc/flame.js';
import { markIdle } from '../../../static/calc/idle.js';
import { mmuCurve } from '../../../static/calc/mmu.js';
import { SPLIT, gcSpans, splitTask } from '../../../static/calc/split.js';
import { runnersIn, stateStats } from '../../../static/calc/states.js';
import { STATES } from '../../../static/data/states.js';
import { Naive } from './naive.mjs';
import { read } from './read.mjs';

const TASKS_MAX = 60;

export const run = (generator) => { for (;;) { const step = generator.next(); if (step.done) return step.value; } };
const positive = (pairs) => Object.fromEntries(pairs.filter(([, v]) => v > 0));
const mostFrequent = (list) => list.reduce((best, v) => (count(list, v) > count(list, best) ? v : best), list[0] ?? -1);
const count = (list, v) => list.filter((x) => x === v).length;

function samples(model, naive) {
    const rows = naive.tables.sample;
    const [lane, task] = [mostFrequent(rows.map((s) => s.lane)), mostFrequent(rows.map((s) => s.task).filter((t) => t >= 0))];
    const [t0, t1] = [naive.duration / 4, naive.duration / 2];
    const none = { t0: -Infinity, t1: Infinity, lane: null, task: null };
    for (const [scope, which] of [[none, () => true], [{ ...none, lane }, (s) => s.lane === lane], [{ ...none, task }, (s) => s.task === task], [{ ...none, t0, t1 }, (s) => s.start >= t0 && s.start < t1]]) {
        const got = flameTable(cpuFlame(model, scope));
        const want = naive.samples(which);
        assert.deepEqual(positive(got.map((x) => [x.name, x.total])), want.total);
        assert.deepEqual(positive(got.map((x) => [x.name, x.self])), want.self);
    }
    return rows.length;
}

function waits(model, naive) {
    const all = { t0: 0, t1: Infinity, lane: null, task: null };
    for (const page of Object.keys(BLOCKING)) {
        for (const by of /** @type {const} */ (['thread', 'object'])) {
            for (const scope of [all, { ...all, t0: Math.floor(naive.duration / 3), t1: Math.floor(naive.duration / 2) }]) {
                const outer = [...run(blockingFlame(model, page, by, scope)).children.values()];
                assert.deepEqual(positive(outer.map((x) => [x.name, x.total])), naive.waited(page, by, scope.t0, scope.t1), `${page} by ${by}`);
            }
        }
    }
    const locks = run(lockStats(model));
    assert.deepEqual(Object.fromEntries(locks.map((l) => [l.object, { name: l.name, n: l.n, total: l.total, max: l.max, waiters: Object.fromEntries([...l.waiters].map(([lane, ns]) => [model.laneName(model.lane(lane)), ns])), any: l.any }])), naive.contended());
    return locks.length;
}

function collector(model, naive) {
    const spans = gcSpans(model);
    assert.equal(spans.reduce((s, p) => s + p.to - p.from, 0), naive.covered(naive.tables.gc.map((g) => [g.start, g.start + g.dur])));
    for (const { window, utilisation } of mmuCurve(spans, model.duration)) assert.ok(Math.abs(utilisation - naive.utilisation(window)) < 1e-9, `in ${window} ns ${utilisation}, not ${naive.utilisation(window)}`);
    return naive.tables.gc.length;
}

function states(model, naive) {
    for (const thread of run(stateStats(model))) {
        const own = naive.tables.state.filter((s) => s.lane === thread.lane);
        assert.deepEqual([...thread.ns], STATES.map((name) => own.filter((s) => s.is === name).reduce((sum, s) => sum + s.dur, 0)), naive.laneName(thread.lane));
        assert.equal(thread.idle.reduce((a, b) => a + b), own.filter((s) => naive.idle(s)).reduce((sum, s) => sum + s.dur, 0), `idle of ${naive.laneName(thread.lane)}`);
        assert.equal(thread.switches, own.filter((s) => s.is === 'running').length);
    }
}

/** Of what two clocks say of one CPU one slice gives way to the other, by less than 1 us. */
function runners(model, naive) {
    for (const [t0, t1] of [[0, naive.duration], [naive.duration / 3, naive.duration / 2]]) {
        const [got, want] = [Object.fromEntries(runnersIn(model, t0, t1)), naive.runners(t0, t1)];
        for (const who of new Set([...Object.keys(got), ...Object.keys(want)])) assert.ok(Math.abs((got[who] ?? 0) - (want[who] ?? 0)) <= 1e3 + 0.001 * (want[who] ?? 0), `${who} had CPUs for ${got[who]} ns, not ${want[who]}`);
    }
    return naive.tables.other.length;
}

function splits(model, naive) {
    const tasks = naive.tables.task;
    const queued = new Set(naive.tables.wait.map((w) => w.task).filter((t) => t >= 0).slice(0, TASKS_MAX));
    const some = tasks.filter((t, i) => queued.has(t.id) || i % Math.ceil(tasks.length / TASKS_MAX) === 0);
    for (const task of some) {
        const got = splitTask(model, task.id);
        assert.deepEqual(positive(SPLIT.map((part, i) => [part, got[i]])), naive.split(task), `task ${task.id}`);
        assert.equal(got.reduce((a, b) => a + b, 0), task.dur);
    }
    return some.length;
}

/** @param {string} text a capture @returns {string} how much was compared */
export function compareTables(text) {
    const [model, naive] = [read(text), new Naive(text)];
    run(markIdle(model));
    states(model, naive);
    return `${runners(model, naive)} stretches of others, ${samples(model, naive)} samples, ${waits(model, naive)} locks and queues, ${collector(model, naive)} phases, ${splits(model, naive)} tasks equal the naive tables`;
}
