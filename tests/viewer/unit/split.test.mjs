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
        const tasks = [0, 1, 2].map((id) => { const start = Math.floor(r() * 200) - 40; return { id, parent: -1, kind, start, dur: 1 + Math.floor(r() * 250), status: 0 }; });
        w.table('task', {}, tasks);
        const m = read(w.text());
        for (const task of tasks) {
            const got = [...splitTask(m, task.id)];
            assert.deepEqual(got, naive(world, task), `round ${round}, task ${task.id}`);
            assert.equal(got.reduce((a, b) => a + b, 0), task.dur);
        }
    }
});
