// analysis.test.mjs - flame graphs, contention, mutator utilisation, findings: against naive code and known captures.

import test from 'node:test';
import assert from 'node:assert/strict';
import { addPath, addStack, flameBoxes, flameNode, flameTable, lineOf } from '../../../static/calc/flame.js';
import { blockingFlame, cpuFlame, lockStats, placeOf, starvedNs } from '../../../static/calc/blocking.js';
import { findings } from '../../../static/calc/findings.js';
import { mmu, mmuCurve } from '../../../static/calc/mmu.js';
import { CaptureWriter, MS, knownCapture, largeCapture, statesCapture } from '../support/captures.mjs';
import { random } from '../support/random.mjs';
import { read } from '../support/read.mjs';

const run = (generator) => { for (;;) { const step = generator.next(); if (step.done) return step.value; } };
const ALL = { t0: 0, t1: Infinity, lane: null, task: null };

test('a flame graph holds each path\'s weight once on every level, and its boxes do not overlap', () => {
    const r = random(3);
    for (let round = 0; round < 20; round++) {
        const root = flameNode('all');
        const paths = Array.from({ length: 200 }, () => ({ path: Array.from({ length: 1 + Math.floor(r() * 6) }, () => 'abcd'[Math.floor(r() * 4)]), weight: Math.floor(r() * 100) }));
        for (const p of paths) addPath(root, p.path, p.weight);
        const naiveTotal = (prefix) => paths.filter((p) => prefix.every((x, i) => p.path[i] === x)).reduce((s, p) => s + p.weight, 0);
        const boxes = flameBoxes([root], 0);
        for (const b of boxes) assert.equal(b.node.total, naiveTotal(b.path.slice(1).map((n) => n.name)));
        for (const depth of new Set(boxes.map((b) => b.depth))) {
            const row = boxes.filter((b) => b.depth === depth).sort((a, b) => a.x - b.x);
            for (let i = 1; i < row.length; i++) assert.ok(row[i].x >= row[i - 1].x + row[i - 1].w - 1e-9);
        }
        for (const row of flameTable(root)) {
            assert.equal(row.total, paths.filter((p) => p.path.includes(row.name)).reduce((s, p) => s + p.weight, 0));
            assert.equal(row.self, paths.filter((p) => p.path[p.path.length - 1] === row.name).reduce((s, p) => s + p.weight, 0));
        }
        const child = [...root.children.values()][0];
        assert.equal(flameBoxes([root, child], 0)[1].w, 1);
        assert.ok(flameBoxes([root], 0.1).every((b) => b.w >= 0.1));
    }
});

test('blocked time goes to the stack, object or thread that the capture names', () => {
    const m = read(statesCapture().text());
    const table = (kind, by, scope = ALL) => Object.fromEntries(flameTable(run(blockingFlame(m, kind, by, scope))).map((x) => [x.name, x.total / MS]));
    assert.deepEqual(table('sync', 'stack'), { lock_acquire: 200, 'db.query': 200, handler: 200, main: 200 });
    assert.deepEqual(table('network', 'object'), { 'worker-1': 200, '10.0.0.7:5432': 200 });
    assert.deepEqual(table('sched', 'thread'), { runnable: 70, 'worker-1': 20, 'worker-2': 50 });
    assert.deepEqual(table('network', 'object', { ...ALL, t0: 650 * MS, t1: 700 * MS }), { 'worker-1': 50, '10.0.0.7:5432': 50 });
    assert.deepEqual(table('network', 'object', { ...ALL, lane: 2 }), {});
});

test('samples are counted by function, for a thread, a task and a range', () => {
    const m = read(statesCapture().text());
    const total = (scope) => cpuFlame(m, { ...ALL, ...scope }).total;
    assert.deepEqual([total({}), total({ lane: 1 }), total({ task: 1 }), total({ t0: 10 * MS, t1: 50 * MS }), total({ lane: 3 })], [40, 20, 20, 2, 0]);
    const main = flameTable(cpuFlame(m, ALL)).find((x) => x.name === 'main');
    assert.deepEqual([main.total, main.self], [40, 0]);
});

test('allocated bytes are told by function, for a thread, a task and a range', () => {
    const m = read(statesCapture().text());
    const total = (scope) => cpuFlame(m, { ...ALL, ...scope }, true).total;
    assert.deepEqual([total({}), total({ lane: 1 }), total({ task: 0 }), total({ t0: 2 * MS }), total({ lane: 3 })], [4500, 3500, 1000, 500, 0]);
    const table = flameTable(cpuFlame(m, ALL, true));
    assert.deepEqual(['main', '(stack not known)'].map((name) => table.find((x) => x.name === name).total), [4000, 500]);
    assert.equal(cpuFlame(m, ALL).total, 40); /* and CPU samples are none of them */
});

test('a function in a flame graph tells the line that weighs most', () => {
    const root = flameNode('all');
    const stack = (...places) => places.map((place, i) => ({ func: 'abc'[i], file: '', place }));
    addStack(root, stack('a.c:1', '', 'c.c:9'), 2);
    addStack(root, stack('a.c:2', '', 'c.c:9'), 3);
    addStack(root, stack('a.c:1', '', 'c.c:9'), 2);
    assert.deepEqual(flameTable(root).map((row) => [row.name, row.total, lineOf(row)]).sort(), [['a', 7, 'most at a.c:1'], ['b', 7, ''], ['c', 7, 'at c.c:9']]);
    const m = read(statesCapture().text());
    assert.deepEqual(m.frames(m.samples().stack.find((s) => s >= 0)).at(-1), { func: 'main', file: 'db.c', place: 'db.c:10' });
});

test('a lock knows its waits, who waited and who let go', () => {
    const [lock, queue] = [run(lockStats(read(statesCapture().text())))[0], run(lockStats(read(knownCapture().text())))[0]];
    assert.deepEqual([lock.name, lock.n, lock.total / MS, [...lock.waiters], [...lock.wakers], lock.worst.start / MS], ['db.lock', 1, 200, [[1, 200 * MS]], [[2, 1]], 100]);
    assert.ok(Math.abs(lock.bins.reduce((a, b) => a + b, 0) * (1000 / 160) - 200) < 1e-6);
    assert.deepEqual([queue.name, queue.n, queue.total / MS], ['jobs', 1, 30]); /* not the wait at the empty queue */
});

test('minimum mutator utilisation equals trying every window', () => {
    const r = random(9);
    for (let round = 0; round < 40; round++) {
        const duration = 200;
        const pauses = [];
        for (let t = Math.floor(r() * 30); t < duration - 12;) {
            const dur = 1 + Math.floor(r() * 12);
            pauses.push({ from: t, to: t + dur });
            t += dur + 1 + Math.floor(r() * 40);
        }
        for (const w of [1, 2, 5, 17, 60, 199, 200, 500]) {
            const win = Math.min(w, duration);
            let worst = 1;
            for (let s = 0; s + win <= duration; s++) worst = Math.min(worst, 1 - pauses.reduce((sum, p) => sum + Math.max(0, Math.min(p.to, s + win) - Math.max(p.from, s)), 0) / win);
            assert.ok(Math.abs(mmu(pauses, w, duration) - worst) < 1e-9, `round ${round}, window ${w}: ${mmu(pauses, w, duration)}, not ${worst}`);
        }
    }
    assert.equal(mmu([], 5, 10), 1);
    const curve = mmuCurve([{ from: 0, to: 50 * MS }], 1000 * MS);
    assert.deepEqual([curve[0].utilisation, curve[curve.length - 1].utilisation], [0, 0.95]);
});

/** Threads with given states, in ms: [state, until, more]. */
function withStates(threads, extra = () => {}) {
    const w = new CaptureWriter({ cpus: 2 });
    w.object(7, 'db.lock', 'lock');
    w.object(8, '10.0.0.7:5432', 'fd');
    w.object(9, 'jobs', 'queue');
    threads.forEach((list, k) => {
        w.lane(k + 1, `worker-${k + 1}`);
        let t = 0;
        w.table('state', { lane: k + 1 }, list.map(([state, until, object = -1]) => {
            const row = { start: t * MS, dur: (until - t) * MS, state, object, cpu: state === 0 ? k % 2 : -1 };
            t = until;
            return row;
        }));
    });
    extra(w);
    return read(w.text());
}
const kinds = (m) => run(findings(m)).map((f) => [f.kind, f.object]);

test('each bad pattern gives its finding with the true object, and a healthy capture none', () => {
    const calm = [[0, 490], [6, 1000]];
    assert.deepEqual(kinds(withStates([calm, calm])), []);
    assert.deepEqual(kinds(read([...largeCapture(2000, 3)].join(''))), []);
    const both = withStates([[[0, 200], [3, 300, 7], [0, 600], [3, 700, 7], [0, 1000]], [[0, 1000]]]);
    assert.deepEqual(kinds(both), [['lock contention', 'db.lock']]);
    assert.deepEqual(run(findings(both))[0].range, [200 * MS, 300 * MS]);
    const full = withStates([calm, calm], (w) => { const why = w.str('full'); w.table('wait', { lane: 1 }, [100, 300].map((t) => ({ start: t * MS, dur: 50 * MS, object: 9, why, task: -1, flags: 0 }))); });
    assert.deepEqual(kinds(full), [['queue contention', 'jobs']]);
    const empty = withStates([calm, calm], (w) => { const why = w.str('empty'); w.table('wait', { lane: 1 }, [100, 300].map((t) => ({ start: t * MS, dur: 150 * MS, object: 9, why, task: -1, flags: 0 }))); });
    assert.deepEqual(kinds(empty), []);
    const crowd = Array.from({ length: 4 }, () => [[6, 500], [1, 540], [6, 1000]]);
    assert.deepEqual(kinds(withStates([[[0, 1000]], [[0, 1000]], ...crowd])), [['runnable spike', 'worker']]);
    const waits = [[[1, 500], [0, 1000]], [[6, 450], [0, 1000]]];
    assert.deepEqual(kinds(withStates(waits)), [['idle CPUs', '']]);
    assert.match(run(findings(withStates(waits)))[0].words, /of the window\); other processes may have had it$/);
    const beside = withStates(waits, (w) => w.table('other', {}, [{ start: 100 * MS, dur: 200 * MS, cpu: 1, pid: 812, name: w.str('postgres'), flags: 0 }]));
    assert.match(run(findings(beside))[0].words, /in the longest stretch of it, of 500\.0 ms, others had CPUs: postgres \(pid 812\) 200\.0 ms$/);
    assert.deepEqual(kinds(withStates([calm, calm], (w) => { const phase = w.str('pause'); w.table('gc', { lane: 1 }, [{ start: 500 * MS, dur: 40 * MS, phase, flags: 0 }]); })), [['work stopped by GC', 'collector']]);
    const peer = withStates([[[0, 100], [4, 500, 8], [0, 600], [6, 1000]], calm], (w) => {
        const kind = w.str('GET');
        w.table('work', { lane: 1 }, [{ start: 0, dur: 600 * MS, task: 0, flags: 0 }]);
        w.table('task', {}, [{ id: 0, parent: -1, kind, start: 0, dur: 600 * MS, status: 0 }]);
    });
    assert.deepEqual(kinds(peer), [['slow peer', '10.0.0.7:5432']]);
});

/** One lock with random owners: each thread asks, waits until it is free, holds it, and has no CPU for part of that. */
function lockWorld(r) {
    const w = new CaptureWriter({ cpus: 2 });
    w.object(7, '0x7f00', 'lock');
    const op = w.str('pthread_mutex_lock');
    const threads = Array.from({ length: 4 }, (_, k) => ({ tid: 11 + k, states: [], calls: [], t: 0 }));
    threads.forEach((th, k) => w.lane(k + 1, `worker-${k + 1}`, { tid: th.tid }));
    const waits = [];
    let [free, owner] = [0, -1];
    for (let round = 0; round < 200; round++) {
        const k = [0, 1, 2, 3].reduce((a, b) => (threads[b].t < threads[a].t ? b : a));
        const th = threads[k];
        const add = (state, until, object = -1) => { if (until > th.t) th.states.push({ start: th.t, dur: until - th.t, state, object }); th.t = Math.max(th.t, until); };
        add(6, th.t + 1 + Math.floor(r() * 60));
        const asked = th.t;
        if (free > asked) {
            th.calls.push({ start: asked, dur: free - asked, op, object: 7, result: threads[owner].tid, task: -1, flags: 0 });
            add(3, free, 7);
            waits.push({ lane: k + 1, from: asked, to: free });
        }
        owner = k;
        for (let part = 0; part < 3; part++) add([0, 1, 6][Math.floor(r() * 3)], th.t + 1 + Math.floor(r() * 10));
        free = th.t;
    }
    threads.forEach((th, k) => { w.table('state', { lane: k + 1 }, th.states); w.table('call', { lane: k + 1 }, th.calls); });
    return { model: read(w.text()), waits, threads };
}

test('waits for a lock, the time with any of them, and what of it the holder had no CPU, equal naive code', () => {
    const r = random(41);
    for (let round = 0; round < 20; round++) {
        const { model, waits, threads } = lockWorld(r);
        const [lock] = run(lockStats(model));
        const covered = new Set();
        for (const w of waits) for (let t = w.from; t < w.to; t++) covered.add(t);
        assert.deepEqual([lock.n, lock.total, lock.any, lock.max], [waits.length, waits.reduce((s, w) => s + w.to - w.from, 0), covered.size, Math.max(...waits.map((w) => w.to - w.from))]);
        /* who has it at t: who asked last and got it; each wait ends when its thread gets it */
        let starved = 0;
        for (const w of waits) {
            for (let t = w.from; t < w.to; t++) {
                const since = waits.filter((x) => x.to <= t && x.to > w.from).sort((a, b) => a.to - b.to).at(-1)?.lane;
                const first = threads[w.lane - 1].calls.find((c) => c.start === w.from).result - 10;
                starved += Number(threads[(since ?? first) - 1].states.some((s) => s.state === 1 && t >= s.start && t < s.start + s.dur));
            }
        }
        assert.equal(run(starvedNs(model, 7)), starved, `round ${round}`);
    }
});

/** worker-1 holds, worker-2 waits for twice 100 ms; the holder meanwhile is in @state. */
function heldIn(state, more = () => {}) {
    return withStates([[[0, 100], [state, 200], [0, 500], [state, 600], [0, 1000]], [[0, 100], [3, 200, 7], [0, 500], [3, 600, 7], [0, 1000]]], (w) => {
        w.lane(1, 'worker-1', { tid: 11 });
        const op = w.str('pthread_mutex_lock');
        w.table('call', { lane: 2 }, [100, 500].map((t) => ({ start: t * MS, dur: 100 * MS, op, object: 7, result: 11, task: -1, flags: 0 })));
        more(w);
    });
}

test('a lock whose holder had no CPU is not to blame, one whose holder slept is', () => {
    assert.deepEqual(kinds(heldIn(6)), [['lock contention', 'db.lock']]);
    assert.deepEqual(kinds(heldIn(1)), []);
});

test('where a lock is waited for is the function that asked, else the innermost region', () => {
    const place = (m) => placeOf(m, run(lockStats(m))[0]);
    assert.equal(place(heldIn(6)), '');
    assert.equal(place(heldIn(6, (w) => {
        w.table('region', { lane: 2, depth: 0 }, [{ start: 0, dur: 900 * MS, name: w.str('handle'), task: -1, flags: 0 }]);
        w.table('region', { lane: 2, depth: 1 }, [{ start: 50 * MS, dur: 300 * MS, name: w.str('lookup'), task: -1, flags: 0 }]);
    })), 'lookup');
    const stacked = statesCapture();
    assert.equal(place(read(stacked.text())), 'lock_acquire');
});

test('a wait for a condition is no contention, with a stack as without', () => {
    const w = new CaptureWriter();
    w.lane(1, 'a');
    w.object(7, '0x7f00', 'lock');
    const [lock, op, func] = ['lock', 'pthread_cond_wait', 'batch_wait'].map((x) => w.str(x));
    w.chunk('frame', { base: 0 }, [{ func, file: -1, line: 0 }]);
    w.chunk('stack', { base: 0 }, [{ frame: 0, up: 0 }]);
    w.table('state', { lane: 1 }, [{ start: 0, dur: 10 * MS, state: lock, op, object: 7, stack: 0 }, { start: 20 * MS, dur: 900 * MS, state: lock, op, object: 7, stack: 0 }]);
    w.table('call', { lane: 1 }, [{ start: 0, dur: 10 * MS, op, object: 7, result: 0, task: -1, flags: 0 }, { start: 20 * MS, dur: 900 * MS, op, object: 7, result: 0, task: -1, flags: 0 }]);
    const m = read(w.text());
    assert.deepEqual(run(lockStats(m)), []);
    assert.deepEqual(kinds(m), []);
});
