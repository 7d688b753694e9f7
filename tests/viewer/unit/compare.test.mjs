// compare.test.mjs - two captures by name: against naive code, and how often chance alone is called a change.

import test from 'node:test';
import assert from 'node:assert/strict';
import { compareByName, longerShare, longerTail, taskDurations } from '../../../static/calc/compare.js';
import { CaptureWriter, MS } from '../support/captures.mjs';
import { random } from '../support/random.mjs';
import { read } from '../support/read.mjs';

const sorted = (n, draw) => Float64Array.from({ length: n }, draw).sort();
const pair = (a, b) => compareByName(new Map([['x', a]]), new Map([['x', b]]))[0];

test('how often b is longer equals asking each pair', () => {
    const r = random(31);
    for (let round = 0; round < 50; round++) {
        const [a, b] = [sorted(1 + Math.floor(r() * 30), () => Math.floor(r() * 12)), sorted(1 + Math.floor(r() * 30), () => Math.floor(r() * 12))];
        let sum = 0;
        for (const x of a) for (const y of b) sum += y > x ? 1 : y === x ? 0.5 : 0;
        assert.ok(Math.abs(longerShare(a, b) - sum / (a.length * b.length)) < 1e-12);
    }
});

test('the tail is what lies beyond the common 90th percentile, either way round', () => {
    const a = sorted(100, (_, i) => i);
    const b = sorted(100, (_, i) => (i < 80 ? i : 1000 + i));
    const deviation = Math.sqrt(0.1 * 0.9 * (2 / 100)); /* 20 of 200 are beyond the 180th of all, and all of them are b's */
    assert.ok(Math.abs(longerTail(a, b) - 20 / 100 / deviation) < 1e-9);
    assert.equal(longerTail(b, a), -longerTail(a, b));
    assert.equal(longerTail(a, a), 0);
});

test('runs that are alike have changed in one of a thousand names at most, and a changed one is found', () => {
    const r = random(32);
    const draw = () => 2e6 * Math.exp(0.4 * (r() + r() + r() - 1.5)) * (r() < 0.05 ? 7 : 1); /* one in twenty waits for something */
    let alarms = 0;
    for (let round = 0; round < 3000; round++) alarms += Number(pair(sorted(50 + round % 300, draw), sorted(50 + (round * 7) % 300, draw)).changed !== '');
    assert.ok(alarms <= 3, `${alarms} of 3000`);
    for (let round = 0; round < 50; round++) {
        const before = sorted(300, draw);
        const slower = pair(before, sorted(300, () => draw() * 1.5));
        assert.deepEqual([slower.changed, slower.ratio > 1.2], ['median', true]);
        const tail = pair(before, sorted(300, () => draw() * (r() < 0.2 ? 8 : 1)));
        assert.deepEqual([tail.changed, tail.ratio > 1.5], ['tail', true]);
        assert.equal(pair(sorted(300, () => draw() * (r() < 0.2 ? 8 : 1)), before).changed, 'tail');
    }
});

test('nanoseconds are no change, nor are four tasks', () => {
    assert.equal(pair(sorted(300, () => 40), sorted(300, () => 900)).changed, '');
    assert.equal(pair(sorted(4, () => MS), sorted(300, () => 9 * MS)).changed, '');
    assert.equal(pair(sorted(300, () => MS), sorted(300, () => 9 * MS)).changed, 'median');
});

test('tasks that had not ended are left out, and a name of one capture alone has nothing to be compared with', () => {
    const capture = (names) => {
        const w = new CaptureWriter();
        w.table('task', {}, names.flatMap((name, k) => Array.from({ length: 10 }, (_, i) => ({ id: k * 10 + i, parent: -1, kind: w.str(name), start: i * MS, dur: (i + 1) * MS, status: i === 9 ? 2 : i % 2 }))));
        return taskDurations(read(w.text()));
    };
    const [a, b] = [capture(['GET', 'old']), capture(['GET', 'new'])];
    assert.deepEqual([...a.get('GET')], [1, 2, 3, 4, 5, 6, 7, 8, 9].map((v) => v * MS));
    assert.deepEqual(compareByName(a, b).map((c) => [c.name, c.changed, c.a.length, c.b.length]).sort(), [['GET', '', 9, 9], ['new', '', 0, 9], ['old', '', 9, 0]]);
});
