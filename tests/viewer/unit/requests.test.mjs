// requests.test.mjs - what connections were asked: by address, against naive code, and what is found of it where nobody annotated.

import test from 'node:test';
import assert from 'node:assert/strict';
import { findings } from '../../../static/calc/findings.js';
import { askedWhileServing, requestKinds, sideName } from '../../../static/calc/requests.js';
import { CaptureWriter, MS, hostileNames } from '../support/captures.mjs';
import { random } from '../support/random.mjs';
import { read } from '../support/read.mjs';

const run = (generator) => { for (;;) { const step = generator.next(); if (step.done) return step.value; } };

/** A proxy: each of @served is [connection, start, dur], as is each of @asked, in ms. */
function proxy(served, asked, more = () => {}) {
    const w = new CaptureWriter();
    w.lane(1, 'worker');
    ['tcp 10.0.0.1:80 10.9.9.9:5000', 'tcp 10.0.0.1:80 10.9.9.9:5001', 'tcp 10.0.0.1:40000 10.0.0.7:5432', 'unix /run/s -'].forEach((name, i) => w.object(i, name, 'descriptor'));
    const side = { served: w.str('served'), asked: w.str('asked') };
    const rows = [...served.map((r) => [...r, side.served]), ...asked.map((r) => [...r, side.asked])];
    w.table('request', {}, rows.map(([object, start, dur, is, end = 1, flags = 0]) => ({ start: start * MS, dur: dur * MS, object, side: is, lane: 1, end_lane: end, in: 1, out: 2, receives: 1, sends: 1, flags })));
    more(w);
    return read(w.text());
}

test('connections go by the address on our side where we serve, on theirs where we ask', () => {
    for (const [name, served, asked] of [['tcp 1.2.3.4:80 5.6.7.8:4000', 'served at tcp 1.2.3.4:80', 'asked of tcp 5.6.7.8:4000'], ['unix /run/s -', 'served at unix /run/s', 'asked of unix /run/s'], ['unix - /run/s', 'served at unix /run/s', 'asked of unix /run/s'], ['fd 7', 'served: fd 7', 'asked: fd 7']]) {
        assert.deepEqual([sideName(name, true), sideName(name, false)], [served, asked]);
    }
    for (const name of hostileNames(300)) assert.ok(sideName(name, true).length <= name.length + 20);
});

test('requests are gathered by address; what nobody answered, or the window cut, is left out', () => {
    const m = proxy([[0, 10, 5], [1, 12, 9], [3, 20, 1]], [[2, 11, 3], [2, 30, 4]], (w) => w.table('request', {}, [{ start: 50 * MS, dur: 900 * MS, object: 0, side: 0, lane: 1, end_lane: -1, flags: 0 }, { start: 60 * MS, dur: 800 * MS, object: 0, side: 0, lane: 1, end_lane: 1, flags: 2 }]));
    const kinds = run(requestKinds(m)).map((k) => [k.name, k.served, [...k.dur].map((d) => d / MS), k.worst.map((t) => t / MS)]);
    assert.deepEqual(kinds, [['served at tcp 10.0.0.1:80', true, [5, 9], [12, 21]], ['served at unix /run/s', true, [1], [20, 21]], ['asked of tcp 10.0.0.7:5432', false, [3, 4], [30, 34]]]);
    assert.equal(m.skipped.request, undefined);
});

test('the time in which a peer was asked while serving equals asking at each nanosecond', () => {
    const r = random(51);
    const kind = (n) => ({ name: '', served: true, start: Float64Array.from({ length: n }, () => Math.floor(r() * 300)), dur: Float64Array.from({ length: n }, () => Math.floor(r() * 40)), worst: [0, 0] });
    for (let round = 0; round < 100; round++) {
        const [served, asked] = [[kind(round % 9), kind(round % 4)], kind(round % 7)];
        const open = (k, t) => k.start.some((s, i) => t >= s && t < s + k.dur[i]);
        let [any, both] = [0, 0];
        for (let t = 0; t < 400; t++) {
            if (!served.some((k) => open(k, t))) continue;
            any++;
            if (open(asked, t)) both++;
        }
        assert.deepEqual(askedWhileServing(served, asked), { any, both });
    }
});

test('a peer that is slow for most of the serving is found; a quick one, a seldom asked one, and one of an annotated program are not', () => {
    const found = (m) => run(findings(m)).map((f) => [f.kind, f.object, f.range.map((t) => t / MS)]);
    const ten = (dur, every = 100) => Array.from({ length: 9 }, (_, i) => [2, i * every + 5, dur]);
    const serving = Array.from({ length: 9 }, (_, i) => [i % 2, i * 100, 70]);
    assert.deepEqual(found(proxy(serving, [...ten(50), [2, 950, 45]])), [['slow peer', 'tcp 10.0.0.7:5432', [5, 55]]]);
    assert.deepEqual(found(proxy(serving, ten(3))), []);
    assert.deepEqual(found(proxy(serving, ten(20))), []);
    assert.deepEqual(found(proxy([], ten(50))), []);
    assert.deepEqual(found(proxy(serving, ten(50), (w) => w.table('task', {}, [{ id: 0, parent: -1, kind: w.str('GET'), start: 0, dur: 9 * MS, status: 0 }]))), []);
});
