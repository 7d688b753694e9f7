// states.test.mjs - thread states: decoding, sums against naive code, wakes, CPU lanes, stacks.

import test from 'node:test';
import assert from 'node:assert/strict';
import { runnersIn, stateStats, sumStates, threadStats } from '../../../static/calc/states.js';
import { markIdle } from '../../../static/calc/idle.js';
import { PixelLine, paintRow } from '../../../static/calc/lod.js';
import { wakeOf, wakesOf } from '../../../static/calc/wakes.js';
import { parseFilter } from '../../../static/calc/filter.js';
import { Search } from '../../../static/calc/search.js';
import { kindLanes, objectLanes } from '../../../static/data/derived.js';
import { eachSlice, sliceAt } from '../../../static/data/model.js';
import { HUE } from '../../../static/data/hues.js';
import { buildPyramid } from '../../../static/data/pyramid.js';
import { BLOCKED, STATES, packPlace, stateOf, unpackPlace } from '../../../static/data/states.js';
import { blockingFlame, lockStats } from '../../../static/calc/blocking.js';
import { flameTable } from '../../../static/calc/flame.js';
import { CaptureWriter, MS, othersCapture, statesCapture } from '../support/captures.mjs';
import { Naive } from '../support/naive.mjs';
import { random } from '../support/random.mjs';
import { read } from '../support/read.mjs';

const run = (generator) => { for (;;) { const step = generator.next(); if (step.done) return step.value; } };
const all = (row) => { const out = []; eachSlice(row, -Infinity, Infinity, (seg, i) => out.push({ seg, i, start: seg.start[i], dur: seg.dur[i], name: seg.name[i] })); return out; };

test('states come by name or by number, and unknown causes are blocked', () => {
    assert.deepEqual(['running', 'runnable', 'lock', 'network', 'file', 'something new'].map((n) => STATES[stateOf(999, n)]), ['running', 'runnable', 'lock', 'network', 'file', 'blocked']);
    assert.deepEqual([0, 1, 2, 3, 7, 8, 9, -1].map((v) => stateOf(v, undefined)), [0, 1, 2, 3, 7, 8, BLOCKED, BLOCKED]);
    for (const place of [{ object: -1, cpu: -1 }, { object: 0, cpu: 0 }, { object: 2 ** 31 - 1, cpu: 4095 }]) assert.deepEqual(unpackPlace(packPlace(place.object, place.cpu)), place);
});

test('a thread\'s states, what it waited for, and its stack are where the capture says', () => {
    const m = read(statesCapture().text());
    const row = m.row(1, 'state');
    assert.deepEqual(all(row).map((x) => STATES[x.name]), ['running', 'lock', 'runnable', 'running', 'network', 'running', 'blocked', 'running']);
    const lock = sliceAt(row, 200 * MS);
    assert.equal(m.objectName(unpackPlace(lock.seg.extra[lock.i]).object), 'db.lock');
    assert.deepEqual(m.frames(lock.seg.detail[lock.i]).map((f) => f.func), ['lock_acquire', 'db.query', 'handler', 'main']);
    assert.equal(m.objectName(99), 'object 99');
});

test('each CPU has a lane of what ran on it, disjoint and in order', () => {
    const m = read(statesCapture().text());
    assert.deepEqual(m.cpuLanes().map((l) => m.laneName(l)), ['CPU 0', 'CPU 1']);
    const [cpu0, cpu1] = m.cpuLanes().map((l) => all(l.rows[0]).map((x) => [x.start / MS, x.dur / MS, m.laneName(m.lane(x.name))]));
    assert.deepEqual(cpu0, [[0, 100, 'worker-1'], [500, 200, 'worker-2'], [800, 50, 'worker-1'], [900, 100, 'worker-1']]);
    assert.deepEqual(cpu1, [[0, 320, 'worker-2'], [320, 280, 'worker-1'], [850, 50, 'collector'], [950, 50, 'worker-2']]);
    assert.ok(!m.sortedLanes().some((l) => l.kind === 'cpu'));
});

test('other processes are on the lanes of the CPUs that they had', () => {
    const m = read(othersCapture().text());
    const [cpu0, cpu1, cpu2] = m.cpuLanes().map((l) => all(l.rows[0]).map(({ seg, i, start, dur }) => [start / MS, dur / MS, m.runnerName(seg, i), seg.hue[i] === HUE.none]));
    assert.deepEqual(cpu0, [[0, 100, 'worker-1', false], [300, 150, 'postgres (pid 812)', true], [500, 200, 'worker-2', false], [800, 50, 'worker-1', false], [900, 100, 'worker-1', false]]);
    assert.ok(cpu1.every(([, , , other]) => !other));
    assert.deepEqual(cpu2, [[0, 1000, 'sshd (pid 5)', true]]);
    assert.equal(m.ownCpus(), 2);
    assert.deepEqual(runnersIn(m, 300 * MS, 330 * MS), [['postgres (pid 812)', 30 * MS], ['sshd (pid 5)', 30 * MS], ['worker-2', 20 * MS], ['worker-1', 10 * MS]]);
    assert.deepEqual(runnersIn(m, 300 * MS, 330 * MS, true), [['postgres (pid 812)', 30 * MS], ['sshd (pid 5)', 30 * MS]]);
    assert.deepEqual(new Naive(othersCapture().text()).runners(300 * MS, 330 * MS), { 'postgres (pid 812)': 30 * MS, 'sshd (pid 5)': 30 * MS, 'worker-2': 20 * MS, 'worker-1': 10 * MS });
});

test('rows of other processes that cannot be are refused, and CPUs beyond all left out', () => {
    const other = (row) => { const w = statesCapture(); w.table('other', {}, [{ start: 0, dur: 1, cpu: 0, pid: 7, name: w.str('x'), flags: 0, ...row }]); return w.text(); };
    assert.throws(() => read(other({ dur: -1 })), /row 0 has start 0 and duration -1/);
    assert.throws(() => read(other({ pid: 'x' })), /column "pid"/);
    for (const cpu of [-1, 4096]) assert.equal(read(other({ cpu })).cpuLanes().length, 2);
});

test('wakes are found from both ends', () => {
    const m = read(statesCapture().text());
    const at = (lane, ms) => sliceAt(m.row(lane, 'state'), ms * MS);
    for (const ms of [200, 310, 400]) assert.deepEqual(wakeOf(m, at(1, ms), -1), { t: 300 * MS, from: 2, to: 1 }, `at ${ms} ms`);
    assert.deepEqual(wakeOf(m, at(2, 100), 1), { t: 300 * MS, from: 2, to: 1 });
    assert.deepEqual(wakesOf(m, at(3, 870)).map((w) => [w.from, w.to]), [[3, 1], [3, 2]]);
    assert.equal(wakeOf(m, at(2, 100), -1), null);
});

test('state sums equal naive code on random threads and ranges', () => {
    const r = random(5);
    for (let round = 0; round < 20; round++) {
        const w = new CaptureWriter();
        const naive = [];
        for (let lane = 1; lane <= 3; lane++) {
            w.lane(lane, `t${lane}`);
            let t = 0;
            const rows = Array.from({ length: 1500 }, () => {
                const row = { start: t, dur: Math.floor(r() * 50), state: Math.floor(r() * 7) };
                t += row.dur + (r() < 0.2 ? 3 : 0);
                return row;
            });
            w.table('state', { lane }, rows);
            naive.push(rows);
        }
        const [t0, t1] = round === 0 ? [-Infinity, Infinity] : [Math.floor(r() * 20000), 20000 + Math.floor(r() * 20000)];
        const got = run(stateStats(read(w.text()), t0, t1));
        const ns = new Array(STATES.length).fill(0);
        for (const rows of naive) for (const x of rows) ns[x.state] += Math.max(0, Math.min(t1, x.start + x.dur) - Math.max(t0, x.start));
        assert.deepEqual([...sumStates(got).ns], ns);
        naive.forEach((rows, k) => {
            const waits = rows.filter((x) => x.state >= 2).map((x) => Math.min(t1, x.start + x.dur) - Math.max(t0, x.start));
            assert.equal(got[k].longestWait?.ns ?? 0, Math.max(0, ...waits));
        });
    }
});

test('state: finds states, and text beside it what was waited for', () => {
    const m = read(statesCapture().text());
    const hits = (text) => new Search(m, parseFilter(text), m.sortedLanes()).times().length;
    assert.equal(hits('state:lock'), 1);
    assert.equal(hits('state:blocked'), 8);
    assert.equal(hits('state:blocked db.lock'), 1);
    assert.equal(hits('state:running dur>250ms'), 2);
    assert.match(parseFilter('state:flying').error, /none of running/);
});

test('objects and kinds of tasks have lanes of their own, whose rows do not overlap', () => {
    const m = read(statesCapture().text());
    assert.deepEqual(objectLanes(m).map((l) => [l.name, l.rows.length, l.rows[0].n]), [['db.lock', 1, 1], ['10.0.0.7:5432', 1, 1]]);
    const [kind] = kindLanes(m);
    assert.deepEqual([kind.name, kind.rows.map((r) => r.n)], ['GET /a', [1, 1]]);
});

test('stacks that point outside, or forward, are refused', () => {
    for (const up of [5, -1]) {
        const w = statesCapture();
        w.chunk('stack', {}, [{ frame: 0, up: 1 }, { frame: 0, up: up === 5 ? 99 : up }]);
        assert.throws(() => read(w.text()), /points .* back/);
    }
});

test('a state may name the call it was blocked in; before its birth and after its end a thread has no slice', () => {
    const w = new CaptureWriter();
    w.lane(1, 'a', { tid: 11 });
    w.lane(2, 'b', { tid: 12 });
    w.object(7, 'db.lock', 'lock');
    const [gone, lock, unknown, op] = ['gone', 'lock', 'unknown', 'mutex_lock'].map((x) => w.str(x));
    w.table('state', { lane: 1 }, [{ start: 0, dur: 10, state: gone, op: -1, object: -1 }, { start: 10, dur: 5 * MS, state: lock, op, object: 7 }, { start: 5 * MS + 10, dur: 9, state: unknown, op: -1, object: -1 }]);
    w.table('call', { lane: 1 }, [{ start: 10, dur: 5 * MS, op, object: 7, result: 12, task: -1, flags: 0 }]);
    const m = read(w.text());
    const row = m.row(1, 'state');
    assert.deepEqual(all(row).map((x) => STATES[x.name]), ['lock', 'unknown']);
    const [stat] = run(lockStats(m));
    assert.deepEqual([stat.name, [...stat.holders]], ['db.lock', [[2, 5 * MS]]]);
    assert.deepEqual(flameTable(run(blockingFlame(m, 'sync', 'object', { t0: 0, t1: Infinity, lane: null, task: null }))).map((x) => x.name).sort(), ['a', 'db.lock']);
    assert.equal(run(stateStats(m))[0].longestWait.ns, 5 * MS);
});

test('waits for a condition are no contention, and waits at a queue count once', () => {
    const w = new CaptureWriter();
    w.lane(1, 'a');
    w.object(7, '0x7f00', 'lock');
    w.object(8, 'jobs', 'queue');
    const [lock, op, mutex, empty] = ['lock', 'pthread_cond_wait', 'pthread_mutex_lock', 'empty'].map((x) => w.str(x));
    w.table('state', { lane: 1 }, [{ start: 0, dur: 10 * MS, state: lock, op, object: 7 }, { start: 20 * MS, dur: 30 * MS, state: lock, op, object: 7 }, { start: 60 * MS, dur: 2 * MS, state: lock, op: mutex, object: 7 }]);
    w.table('wait', { lane: 1 }, [{ start: 19 * MS, dur: 32 * MS, object: 8, why: empty, task: -1, flags: 0 }]);
    const m = read(w.text());
    assert.deepEqual(run(lockStats(m)).map((l) => [l.name, l.n, l.total / MS]), [['0x7f00', 1, 2]]);
    const by = Object.fromEntries(flameTable(run(blockingFlame(m, 'sync', 'object', { t0: 0, t1: Infinity, lane: null, task: null }))).map((x) => [x.name, x.total / MS]));
    assert.deepEqual(by, { '0x7f00': 12, jobs: 32, a: 44 });
});

test('a thread that waits throughout is idle, unless another one holds what it waits for', () => {
    const w = new CaptureWriter();
    const [lock, cond, mutex, network] = ['lock', 'pthread_cond_wait', 'pthread_mutex_lock', 'network'].map((s) => w.str(s));
    const all = { start: 0, dur: 1000 * MS, object: -1, stack: -1, cpu: -1 };
    [[lock, cond, 3], [lock, mutex, 3], [lock, cond, 1], [network, -1, 3]].forEach(([state, op, flags], i) => {
        w.lane(i + 1, `worker-${i + 1}`);
        w.table('state', { lane: i + 1 }, [{ ...all, state, op, flags }]);
    });
    const model = read(w.text());
    assert.deepEqual([1, 2, 3, 4].map((lane) => threadStats(model.row(lane, 'state'), 0, 1000 * MS).idle.reduce((a, b) => a + b)), [1000 * MS, 0, 0, 1000 * MS]);
    assert.deepEqual([1, 2, 3, 4].map((lane) => model.row(lane, 'state').segs[0].hue[0]), [HUE.waitEmpty, HUE.lock, HUE.lock, HUE.waitEmpty]);
});

/** Slices of a thread: what it is blocked in and whether that is idle; running between them. */
function idleOf(waits, more = () => {}) {
    const w = new CaptureWriter();
    const [running, lock, network] = ['running', 'lock', 'network'].map((s) => w.str(s));
    w.lane(1, 'worker-1');
    w.object(7, 'tcp 127.0.0.1:80 127.0.0.1:5000', 'socket');
    const stack = (w.table('frame', {}, [{ func: w.str('f'), file: -1, line: 0 }]), w.table('stack', {}, [{ frame: 0, up: 0 }]), 0);
    const ops = waits.map(([, op]) => w.str(op));
    w.table('state', { lane: 1 }, waits.flatMap(([at, op, deep], i) => [{ start: at * MS, dur: 50 * MS, state: op.startsWith('pthread') ? lock : network, object: 7, op: ops[i], stack: deep ? stack : -1, cpu: -1, flags: 0 },
        { start: (at + 50) * MS, dur: 50 * MS, state: running, object: -1, op: -1, stack: -1, cpu: 0, flags: 0 }]));
    w.table('call', { lane: 1 }, waits.map(([at], i) => ({ start: at * MS, dur: 50 * MS, op: ops[i], object: 7, result: 0, task: -1, flags: 0 })));
    more(w);
    const m = read(w.text());
    const before = threadStats(m.row(1, 'state'), 0, 1000 * MS);
    run(markIdle(m));
    const after = threadStats(m.row(1, 'state'), 0, 1000 * MS);
    assert.deepEqual([...after.ns], [...before.ns], 'what is blocked stays as long as it was');
    const found = all(m.row(1, 'state')).flatMap((x) => (STATES[x.name] === 'running' ? [] : [m.row(1, 'state').segs[0].hue[x.i] === HUE.waitEmpty]));
    assert.equal(after.idle.reduce((a, b) => a + b), 50 * MS * found.filter(Boolean).length);
    for (const { pyramid, n, start, dur, hue, t0, t1 } of m.row(1, 'state').segs) {
        const fresh = new Uint8Array(pyramid.length);
        buildPyramid(fresh, n, start, dur, hue, t0, t1);
        assert.deepEqual(pyramid, fresh, 'far away it looks the same');
    }
    const line = new PixelLine(1000);
    paintRow(line, m.row(1, 'state').segs, 0, MS);
    waits.forEach(([at], i) => assert.equal(line.hue[at + 25] === HUE.waitEmpty, found[i], `the pixel at ${at + 25} ms`));
    return found;
}

test('a wait for work is idle, one in the midst of work is not', () => {
    assert.deepEqual(idleOf([[0, 'epoll_wait'], [100, 'accept', true], [200, 'recv'], [300, 'pthread_mutex_lock', true], [400, 'pthread_cond_wait'], [500, 'poll']]), [true, true, false, false, false, false]);
    const region = (w) => w.table('region', { lane: 1, depth: 0 }, [{ start: 160 * MS, dur: 110 * MS, name: w.str('handle'), task: -1, flags: 0 }]);
    assert.deepEqual(idleOf([[0, 'poll'], [100, 'pthread_cond_wait', true], [200, 'pthread_cond_wait'], [300, 'sem_wait']], region), [true, true, false, true]);
    const work = (w) => w.table('work', { lane: 1 }, [{ start: 50 * MS, dur: 130 * MS, task: 0, flags: 0 }, { start: 260 * MS, dur: 30 * MS, task: 0, flags: 0 }]);
    assert.deepEqual(idleOf([[0, 'poll'], [100, 'poll'], [200, 'poll'], [300, 'poll']], work), [true, false, true, true]);
    const wait = (why) => (w) => w.table('wait', { lane: 1 }, [{ start: 95 * MS, dur: 60 * MS, object: 7, why: w.str(why), task: -1, flags: 0 }]);
    assert.deepEqual([wait('empty'), wait('full')].map((more) => idleOf([[100, 'pthread_cond_wait']], more)), [[true], [false]]);
});

test('a thread is held up while a request is open that it alone serves, or that it asks and hears the answer of', () => {
    const asked = (...rows) => (w) => w.table('request', {}, rows.map(([start, dur, lane, end_lane, flags = 0]) => ({ start: start * MS, dur: dur * MS, object: 7, side: w.str('asked'), lane, end_lane, flags })));
    const waits = [[0, 'epoll_wait'], [100, 'epoll_wait'], [200, 'epoll_wait'], [300, 'epoll_wait']];
    assert.deepEqual(idleOf(waits, asked([60, 60, 1, 1], [70, 10, 1, 1], [260, 500, 1, -1, 2])), [true, false, true, false]);
    assert.deepEqual(idleOf([[300, 'poll']], asked([60, 60, 1, 1])), [false], 'poll may be for an answer');
    assert.deepEqual(idleOf(waits, asked([60, 400, 1, 2], [60, 400, 2, 2], [60, 400, 1, -1])), [true, true, true, true], 'handed on, of others, never answered');
});

test('a lock that has only an address is called by as much of its end as no other lock has', () => {
    const titles = (objects) => {
        const c = new CaptureWriter();
        objects.forEach(([kind, name], i) => c.object(i, name, kind));
        const model = read(c.text());
        return objects.map((_, i) => model.objectTitle(i));
    };
    assert.deepEqual(titles([['lock', '0x556f84840bc0'], ['lock', '0x556f84840bf0'], ['lock', 'db.lock'], ['queue', '0x1234'], ['lock', '0x7ff0']]), ['lock bc0', 'lock bf0', 'db.lock', '0x1234', 'lock ff0']);
    assert.deepEqual(titles([['lock', '0x556f84841bc0'], ['lock', '0x556f84840bc0'], ['lock', '0x556f84840bc0']]), ['lock 1bc0', 'lock 0bc0', 'lock 0bc0']);
});

test('a call that goes on does not lie over those that ended before it', () => {
    const w = new CaptureWriter();
    const [get, put] = [w.str('pthread_mutex_lock'), w.str('write')];
    w.lane(1, 'worker-1');
    w.table('call', { lane: 1 }, [{ start: 100 * MS, dur: 10 * MS, op: put, object: -1, result: 0, task: -1, flags: 0 }, { start: 300 * MS, dur: 10 * MS, op: put, object: -1, result: 0, task: -1, flags: 0 }]);
    w.table('call', { lane: 1 }, [{ start: 0, dur: 1000 * MS, op: get, object: -1, result: 0, task: -1, flags: 3 }]);
    const row = read(w.text()).row(1, 'call');
    assert.deepEqual(row.segs.flatMap((s) => Array.from(s.start, (at, i) => [at / MS, s.dur[i] / MS])), [[100, 10], [300, 10], [310, 690]]);
});
