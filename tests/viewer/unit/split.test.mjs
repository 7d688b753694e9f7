// split.test.mjs - a task's time in parts, against code that asks at every nanosecond what holds then.

import test from 'node:test';
import assert from 'node:assert/strict';
import { SPLIT, splitTask, splitTasks } from '../../../static/calc/split.js';
import { STATES } from '../../../static/data/states.js';
import { CaptureWriter, MS, knownCapture, statesCapture } from '../support/captures.mjs';
import { random } from '../support/random.mjs';
import { read } from '../support/read.mjs';

/** Parts with something in them. */
const parts = (ns, unit = 1) => Object.fromEntries(SPLIT.map((name, p) => [name, ns[p] / unit]).filter(([, v]) => v > 0));

test('the parts of a known task are what one reads off the picture', () => {
    const m = read(statesCapture().text());
    assert.deepEqual(parts(splitTask(m, 0), MS), { running: 340, runnable: 20, lock: 200, network: 200, other: 40 });
    assert.deepEqual(parts(splitTask(m, 1), MS), { running: 420, sleep: 180 });
    const run = splitTasks(m, [0, 1]);
    let step;
    do step = run.next(); while (!step.done);
    assert.equal(step.value.reduce((a, b) => a + b, 0) / MS, 1400);
    assert.deepEqual(parts(splitTask(read(knownCapture().text()), 0), MS), { queue: 30, working: 370 });
    assert.equal(splitTask(m, 99), null);
});

/** Random spans that do not overlap. */
function spans(r, end, longest, gap) {
    const out = [];
    for (let t = Math.floor(r() * gap); t < end;) {
        const dur = Math.min(end - t, 1 + Math.floor(r() * longest));
        out.push({ start: t, dur });
        t += dur + Math.floor(r() * gap);
    }
    return out;
}

/** Who had it last is not who has it next. */
function handedOn(world, task, t) {
    const works = world.lanes.flatMap((lane) => lane.work.filter((x) => x.task === task.id).map((x) => ({ lane: lane.id, from: x.start, to: x.start + x.dur })));
    const seen = works.filter((x) => x.to > task.start && x.from < task.start + task.dur);
    let last = { lane: task.lane, from: -Infinity, to: -Infinity };
    for (const x of seen) if (x.to <= t && (x.to > last.to || (x.to === last.to && x.from >= last.from))) last = x;
    let next = { lane: task.end_lane, from: Infinity };
    for (const x of seen) if (x.from > t && x.from < next.from) next = x;
    return last.lane >= 0 && next.lane >= 0 && last.lane !== next.lane;
}

/** The same by asking at each nanosecond. */
function naive(world, task) {
    const ns = new Array(SPLIT.length).fill(0);
    const holds = (list, t) => list.find((x) => t >= x.start && t < x.start + x.dur);
    for (let t = task.start; t < task.start + task.dur; t++) {
        const now = new Set();
        for (const lane of world.lanes) {
            const work = holds(lane.work, t);
            if (work?.task === task.id) {
                now.add('working');
                const state = lane.states && holds(lane.states, t);
                if (state) {
                    const name = STATES[state.state];
                    now.add(name);
                    if (state.state >= 2 && state.state <= 7 && world.gc.some((g) => holds([g], t))) now.add('gc');
                }
            }
            if (holds(lane.waits, t)?.task === task.id) now.add('queue');
        }
        if (t >= 0 && handedOn(world, task, t)) now.add('queued');
        ns[SPLIT.findIndex((name) => now.has(name) || name === 'other')]++;
    }
    return ns;
}

test('on random captures the parts equal the naive ones, and sum to the wall time', () => {
    const r = random(11);
    for (let round = 0; round < 60; round++) {
        const w = new CaptureWriter({ dur_ns: 400 });
        const why = w.str('full');
        const kind = w.str('job');
        const world = { lanes: [], gc: round % 3 ? spans(r, 400, 40, 150).map((g) => ({ ...g, phase: kind, flags: 0 })) : [] };
        for (let id = 1; id <= 3; id++) {
            w.lane(id, `t${id}`);
            const lane = {
                id,
                work: spans(r, 400, 120, 30).map((x) => ({ ...x, task: Math.floor(r() * 3), flags: 0 })),
                states: id === 3 && round % 2 ? null : spans(r, 400, 25, r() < 0.5 ? 1 : 12).map((x) => ({ ...x, state: Math.floor(r() * 9) })),
                waits: spans(r, 400, 30, 120).map((x) => ({ ...x, object: 1, why, task: Math.floor(r() * 3), flags: 0 })),
            };
            world.lanes.push(lane);
            w.table('work', { lane: id }, lane.work);
            if (lane.states) w.table('state', { lane: id }, lane.states);
            w.table('wait', { lane: id }, lane.waits);
        }
        w.table('gc', { lane: 1 }, world.gc);
        const tasks = [0, 1, 2].map((id) => { const start = Math.floor(r() * 200) - 40; return { id, parent: -1, kind, start, dur: 1 + Math.floor(r() * 250), status: 0, lane: Math.floor(r() * 5) - 1, end_lane: Math.floor(r() * 5) - 1 }; });
        w.table('task', {}, tasks);
        const m = read(w.text());
        for (const task of tasks) {
            const got = [...splitTask(m, task.id)];
            assert.deepEqual(got, naive(world, task), `round ${round}, task ${task.id}`);
            assert.equal(got.reduce((a, b) => a + b, 0), task.dur);
        }
    }
});

test('from one thread to the next a task is queued; what one thread leaves and takes up again is not', () => {
    const parts_ = (works, task) => {
        const w = new CaptureWriter();
        const kind = w.str('job');
        [1, 2, 3].forEach((id) => w.lane(id, `t${id}`));
        for (const id of [1, 2, 3]) w.table('work', { lane: id }, works.filter((x) => x[0] === id).map(([, start, dur]) => ({ start: start * MS, dur: dur * MS, task: 0, flags: 0 })));
        w.table('task', {}, [{ id: 0, parent: -1, kind, start: 0, dur: 100 * MS, status: 0, lane: 1, end_lane: 1, ...task }]);
        return parts(splitTask(read(w.text()), 0), MS);
    };
    assert.deepEqual(parts_([[2, 20, 10], [3, 50, 10]], {}), { working: 20, queued: 80 }, 'begun by one, worked for by two, ended by the first');
    assert.deepEqual(parts_([[1, 20, 10], [1, 50, 10]], {}), { working: 20, other: 80 }, 'one thread alone');
    assert.deepEqual(parts_([[1, 0, 10], [2, 50, 10]], { end_lane: 2 }), { working: 20, queued: 40, other: 40 });
    assert.deepEqual(parts_([[1, 0, 30], [2, 10, 10], [3, 60, 40]], { end_lane: 3 }), { working: 70, queued: 30 }, 'two at once: the one that left it last');
    assert.deepEqual(parts_([[2, 20, 10]], { status: 2, end_lane: -1 }), { working: 10, queued: 20, other: 70 }, 'nobody has taken it up yet');
    assert.deepEqual(parts_([], { end_lane: 2 }), { queued: 100 });
    assert.deepEqual(parts_([[2, 20, 10]], { start: -50 * MS, dur: 100 * MS, end_lane: 2 }), { working: 10, queued: 20, other: 70 }, 'what was before the window is not on record');
});
