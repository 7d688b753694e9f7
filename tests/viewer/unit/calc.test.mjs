import test from 'node:test';
import assert from 'node:assert/strict';
import { naturalCompare } from '../../../static/calc/sort.js';
import { percentile, summarize } from '../../../static/calc/stats.js';
import { histogram } from '../../../static/calc/hist.js';
import { glob, isEmpty, parseFilter } from '../../../static/calc/filter.js';
import { formatHash, formatRange, parseHash, parseIds, parseRange, takeToken } from '../../../static/url.js';
import { bytes, duration, instant, visible } from '../../../static/fmt.js';
import { Viewport } from '../../../static/view/viewport.js';
import { tickStep, ticks } from '../../../static/view/axis.js';
import { hostileNames } from '../support/captures.mjs';
import { random } from '../support/random.mjs';

test('names sort as people count', () => {
    const sorted = ['worker-2', 'worker-10', 'worker-1', 'main', 'worker-02', 'a9b10', 'a9b2', ''];
    assert.deepEqual(sorted.slice().sort(naturalCompare), ['', 'a9b2', 'a9b10', 'main', 'worker-1', 'worker-02', 'worker-2', 'worker-10']);
});

test('natural order is a total order, also for hostile names and digits longer than a number', () => {
    const names = [...hostileNames(60), '9'.repeat(40), '8'.repeat(40), '10', '9', '010'];
    for (const a of names) {
        assert.equal(naturalCompare(a, a), 0);
        for (const b of names) assert.equal(Math.sign(naturalCompare(a, b)), -Math.sign(naturalCompare(b, a)) || 0);
    }
    assert.ok(naturalCompare('8'.repeat(40), '9'.repeat(40)) < 0);
    assert.ok(naturalCompare('9'.repeat(39), '1' + '0'.repeat(39)) < 0);
});

test('a percentile is the smallest value that so many do not exceed', () => {
    const rand = random(1);
    for (const n of [1, 2, 3, 10, 99, 100, 101]) {
        const values = Float64Array.from({ length: n }, () => Math.floor(rand() * 50)).sort();
        for (const p of [0, 0.01, 0.5, 0.9, 0.99, 1]) {
            const got = percentile(values, p);
            const naive = values.find((v) => values.filter((x) => x <= v).length >= p * n - 1e-9);
            assert.equal(got, naive, `n ${n} p ${p}`);
        }
    }
    assert.ok(Number.isNaN(percentile([], 0.5)));
    assert.equal(percentile(Array.from({ length: 100 }, (_, i) => i + 1), 0.07), 7, '0.07 * 100 is a little more than 7 in doubles');
});

test('a summary does not depend on the order of its values', () => {
    assert.deepEqual(summarize(Float64Array.of(5, 1, 3)), { n: 3, total: 9, p50: 3, p90: 5, p99: 5, max: 5 });
});

test('each value falls into exactly one bar, the one that holds it', () => {
    const rand = random(2);
    for (const spread of [0.1, 1, 3, 6, 9]) {
        const values = Float64Array.from({ length: 500 }, () => Math.round(100 * 10 ** (rand() * spread)));
        const bars = histogram(values);
        assert.ok(bars.length > 0 && bars.length <= 48, `${bars.length} bars`);
        assert.equal(bars.reduce((s, b) => s + b.n, 0), values.length);
        bars.forEach((bar, k) => {
            if (k > 0) assert.equal(bars[k - 1].to, bar.from);
            const last = k === bars.length - 1;
            assert.equal(bar.n, values.filter((v) => v >= bar.from && (v < bar.to || (last && v === bar.to))).length, `${bar.from}..${bar.to}`);
        });
    }
});

test('a histogram of nothing, of zeros and of one value can be drawn', () => {
    assert.deepEqual(histogram([]), []);
    assert.equal(histogram([0, 0]).reduce((s, b) => s + b.n, 0), 2);
    assert.equal(histogram([7]).reduce((s, b) => s + b.n, 0), 1);
    assert.equal(histogram([0, 1e6])[0].from, 0);
});

test('the search box understands text, threads, tasks and durations', () => {
    const f = parseFilter('Query thread:worker* task:"GET /a" dur>5ms dur<=2s "two words"');
    assert.deepEqual(f.text, ['query', 'two words']);
    assert.ok(f.thread.test('WORKER-10') && !f.thread.test('main'));
    assert.ok(f.task.test('GET /a') && !f.task.test('GET /ab'));
    assert.equal(f.minNs, 5e6);
    assert.equal(f.maxNs, 2e9);
    assert.equal(parseFilter('task:#9').taskId, 9);
    assert.match(parseFilter('dur>abc').error, /dur>5ms/);
    assert.ok(isEmpty(parseFilter('   ')));
    assert.ok(glob('a.b*').test('a.bc') && !glob('a.b*').test('axb'));
});

test('no search text can break or stall the filter', () => {
    for (const name of hostileNames(200)) {
        const began = performance.now();
        const f = parseFilter(`${name} thread:${name} task:${'*'.repeat(30)}`);
        f.task?.test('x'.repeat(4096));
        assert.ok(performance.now() - began < 2000);
    }
});

test('an address comes back as it was, whatever it carries', () => {
    for (const q of hostileNames(100).map((s) => s.slice(0, 2000))) {
        const { page, params } = parseHash(formatHash('timeline', { cap: 12, q, none: undefined, empty: '' }));
        assert.equal(page, 'timeline');
        assert.equal(params.cap, '12');
        assert.equal(params.q ?? '', q.toWellFormed());
        assert.ok(!('none' in params) && !('empty' in params));
    }
    assert.deepEqual(parseHash('#<script>'), { page: '', params: {} });
    assert.deepEqual(parseHash('#/task?id=%ff').page, 'task');
});

test('a range comes back to the nanosecond, also before zero', () => {
    assert.deepEqual(parseRange(formatRange(1203100001, 1219400002)), [1203100001, 1219400002]);
    assert.deepEqual(parseRange(formatRange(-20000000, 5)), [-20000000, 5]);
    for (const bad of [undefined, '', '1', '2-1', '1-1', 'a-b', '1e9-2e9', '-', '1-2-3']) assert.equal(parseRange(bad), null, String(bad));
    assert.deepEqual(parseIds('3,x,-1,5e3,7'), [3, -1, 7]);
});

test('a token is taken out of the address, and the rest stays', () => {
    assert.deepEqual(takeToken('#token=abc'), { token: 'abc', rest: '' });
    assert.deepEqual(takeToken('#/timeline?cap=2&token=a%20b'), { token: 'a b', rest: '#/timeline?cap=2' });
    assert.deepEqual(takeToken('#token=x&/tasks'), { token: 'x', rest: '#/tasks' });
    assert.deepEqual(takeToken('#/timeline?token=x&cap=2'), { token: 'x', rest: '#/timeline?cap=2' });
    assert.deepEqual(takeToken('#/timeline?cap=2'), { token: null, rest: '#/timeline?cap=2' });
    assert.equal(takeToken('#token=%zz').token, '%zz');
});

test('numbers are shown with the digits that matter', () => {
    assert.deepEqual([0, 1, 999, 1234, 12.3e6, 5e9, 250e9, 7.5e12, NaN, -2e6].map(duration), ['0 ns', '1 ns', '999 ns', '1.234 µs', '12.30 ms', '5.000 s', '4 min 10 s', '2 h 5 min', '–', '-2.000 ms']);
    assert.equal(instant(1203100000, 1e6), '1.203 s');
    assert.equal(instant(1, 1), '0.000000001 s');
    assert.deepEqual([0, 999, 1000, 123456, 1.5e9].map(bytes), ['0 B', '999 B', '1.00 kB', '123 kB', '1.50 GB']);
});

test('foreign text is cut, and nothing in it stays invisible or turns the writing around', () => {
    for (const name of hostileNames(300)) {
        const seen = visible(name);
        assert.ok(seen.length > 0 && seen.length < 2500);
        assert.ok(seen.isWellFormed());
        assert.doesNotMatch(seen, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/);
    }
    assert.match(visible('x'.repeat(1 << 20)), /1,048,576 characters/);
    assert.equal(visible('👩‍👩'.slice(0, 1)), '‹D83D›');
    assert.equal(visible('naïve 名前'), 'naïve 名前');
});

test('no way of moving leaves the capture', () => {
    const rand = random(3);
    const v = new Viewport(1e9);
    for (let i = 0; i < 5000; i++) {
        const k = Math.floor(rand() * 5);
        if (k === 0) v.zoom(rand() * 3 + 0.01, v.t0 + rand() * v.span);
        if (k === 1) v.pan((rand() - 0.5) * 3e9);
        if (k === 2) v.jump(rand() * 3e9 - 1e9, rand() * 3e9 - 1e9);
        if (k === 3) v.back();
        if (k === 4) v.reveal(rand() * 1e9, rand() * 1e9);
        assert.ok(v.t0 >= -2e7 - 1 && v.t1 <= 1.02e9 + 1 && v.span >= 49.9, `${v.t0} ${v.t1}`);
    }
    v.fit();
    assert.deepEqual([v.t0, v.t1], [-2e7, 1.02e9]);
});

test('zooming keeps the time under the pointer where it is', () => {
    const v = new Viewport(1e9);
    const part = (3e8 - v.t0) / v.span;
    v.zoom(0.1, 3e8);
    v.zoom(0.5, 3e8);
    assert.ok(Math.abs((3e8 - v.t0) / v.span - part) < 1e-9);
});

test('ticks are round, and far enough apart', () => {
    for (const span of [50, 999, 1e6, 3.7e9, 3e11]) {
        const step = tickStep(span, 1400);
        assert.ok((step / span) * 1400 >= 94);
        assert.match(String(step), /^[125]0*$/);
        assert.ok(ticks(0, span, step).length <= 16);
    }
});
