import test from 'node:test';
import assert from 'node:assert/strict';
import { Decoder, DecodeError } from '../../../static/data/decode.js';
import { LineSplitter } from '../../../static/data/stream.js';
import { Model, selfTime, sliceAt } from '../../../static/data/model.js';
import { regionStats } from '../../../static/calc/regions.js';
import { rangeStats } from '../../../static/calc/range.js';
import { taskKinds, taskMarks, taskUse } from '../../../static/calc/tasks.js';
import { parseFilter } from '../../../static/calc/filter.js';
import { Search } from '../../../static/calc/search.js';
import { Layout } from '../../../static/view/lanes.js';
import { formatShow, parseShow } from '../../../static/view/menu.js';
import { read } from '../support/read.mjs';
import { CaptureWriter, MS, hostileCapture, hostileNames, knownCapture, largeCapture } from '../support/captures.mjs';

const drain = (work) => { for (;;) { const step = work.next(); if (step.done) return step.value; } };
const lanesOf = (model) => model.sortedLanes().map((l) => model.laneName(l));

test('a known capture comes out as it was written', () => {
    const m = read(knownCapture().text());
    assert.deepEqual(lanesOf(m), ['idle-thread', 'worker-1', 'worker-2', 'worker-10']);
    const row = m.row(1, 'region', 1);
    assert.deepEqual([...row.segs[0].start], [100 * MS, 250 * MS]);
    assert.deepEqual([...row.segs[0].name].map((i) => m.string(i)), ['parse', 'db.query']);
    assert.equal(m.duration, 1000 * MS);
    assert.equal(m.taskTitle(0), 'GET /a #0');
    assert.deepEqual(m.attrs(0), [{ key: 'url', value: '/a?x=1' }, { key: 'tries', value: 3 }]);
    assert.deepEqual(m.children(0), [1]);
    assert.equal(m.task(1).status, 1);
    assert.equal(m.string(m.task(1).text), 'upstream timed out');
    assert.equal(m.task(0).trace, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.deepEqual(m.series().map((s) => [s.title, s.max]), [['heap bytes', 3000], ['jobs', 9]]);
    assert.equal(m.row(2, 'lost').segs[0].extra[0], 120);
});

test('each process has counters of its own, and what threads allocate is summed up', () => {
    const w = new CaptureWriter();
    for (const [id, pid] of [[1, 10], [2, 20]]) w.lane(id, `main-${id}`, { pid, tid: pid });
    const name = w.str('memory.resident_bytes');
    for (const lane of [1, 2]) w.table('counter', { lane, name }, [{ start: 0, v: lane * 100 }, { start: MS, v: lane * 1000 }]);
    for (const bytes of [64, 36]) w.table('alloc', { lane: 2 }, [{ start: bytes, calls: 2, bytes, frees: 1 }, { start: bytes, calls: 1, bytes: 0, frees: 0 }]);
    const m = read(w.text());
    assert.deepEqual(m.series().map((s) => [s.title, s.n, s.max]), [['memory.resident_bytes · 10', 2, 1000], ['memory.resident_bytes · 20', 2, 2000]]);
    assert.deepEqual([...m.allocated.values()], [{ lane: 2, calls: 6, bytes: 100, frees: 2 }]);
});

test('the same comes out byte by byte, and with any size of piece', () => {
    const text = knownCapture().text();
    const whole = JSON.stringify(read(text), (k, v) => (v instanceof Map ? [...v] : k === 'derived' ? undefined : v));
    for (const piece of [1, 2, 3, 7, 64, 1000]) assert.equal(JSON.stringify(read(text, piece), (k, v) => (v instanceof Map ? [...v] : k === 'derived' ? undefined : v)), whole, `pieces of ${piece}`);
});

test('cut at any length, a capture is a clear error or a shorter capture, and never more than the whole', () => {
    const text = knownCapture().text();
    const rows = read(text).sliceCount;
    for (let n = 0; n < text.length; n++) {
        try {
            const m = read(text.slice(0, n));
            assert.ok(m.sliceCount <= rows);
            assert.ok(m.end === null || n >= text.length - 1);
        } catch (e) {
            assert.ok(e instanceof DecodeError, `at ${n}: ${e.stack}`);
        }
    }
});

test('a document that another tool has reformatted is read too', () => {
    const doc = JSON.parse(knownCapture().text());
    for (const text of [JSON.stringify(doc), JSON.stringify(doc, null, 2)]) {
        const m = read(text);
        assert.equal(m.sliceCount, read(knownCapture().text()).sliceCount);
        assert.equal(m.end.reason, 'window');
    }
});

test('files of other formats are named for what they are', () => {
    const cases = [['', 'foreign'], ['TRACETAP\x01\x00', 'native'], ['{"traceEvents":[]}', 'foreign'], ['[{"ph":"X"}]', 'foreign'], ['hello', 'foreign'], ['{"format":"other","version":1,"chunks":[]}', 'foreign'],
        ['{"format":"tracetap","version":2,"capture":{},"chunks":[\n]}', 'version'], ['{"a":', 'foreign'], ['{"format":"tracetap",\n"version":1,', 'damaged']];
    for (const [text, code] of cases) assert.throws(() => read(text), (e) => e instanceof DecodeError && e.code === code, text);
});

test('a chunk that does not fit is refused with the name of table and column', () => {
    const head = '{"format":"tracetap","version":1,"capture":{},"chunks":[\n';
    const bad = [
        ['{"t":"region","lane":1,"depth":0,"n":2,"t0":0,"dt":[0],"dur":1,"name":0,"task":-1,"flags":0}', /region.*"dt"/],
        ['{"t":"region","lane":1,"depth":0,"n":-1,"t0":0,"dt":0,"dur":1,"name":0}', /"n" is -1/],
        ['{"t":"region","lane":1,"depth":0,"n":1e9,"t0":0,"dt":0,"dur":1,"name":0}', /"n" is 1000000000/],
        ['{"t":"region","lane":"x","depth":0,"n":0,"t0":0,"dt":[],"dur":[],"name":[]}', /"lane"/],
        ['{"t":"region","lane":1,"depth":0,"n":1,"t0":0,"dt":0,"dur":-5,"name":0}', /duration -5/],
        ['{"t":"region","lane":1,"depth":0,"n":1,"t0":1e999,"dt":0,"dur":1,"name":0}', /start Infinity/],
        ['{"t":"region","lane":1,"depth":0,"n":1,"t0":0,"dt":[null],"dur":1,"name":0}', /"dt", row 0/],
        ['{"t":"region","lane":1,"depth":0,"n":2,"t0":0,"dt":[0,1,2],"dur":1,"name":0,"task":-1,"flags":0}', /region.*"dt"/],
        ['{"t":"str","base":5,"v":["a"]}', /"base" is 5/],
        ['{"t":"str","base":0,"v":7}', /"v"/],
        ['{"t":"log","lane":1,"n":2,"t0":0,"dt":0,"cat":0,"text":["a"]}', /"text"/],
        ['{"t":"attr","n":2,"task":0,"key":0,"value":[1]}', /"value"/],
        ['{"t":', /line 2 is not JSON/],
        ['7', /not an object/],
    ];
    for (const [chunk, message] of bad) assert.throws(() => read(`${head}${chunk},\n],"end":{}}`), (e) => e instanceof DecodeError && e.code === 'damaged' && message.test(e.message), chunk);
});

test('unknown tables, keys and columns are skipped and counted', () => {
    const text = knownCapture().text().replace('"chunks":[\n', '"chunks":[\n{"t":"aura","lane":1,"n":3,"to":[1,2,3]},\n{"t":"aura"},\n').replace('"depth":0', '"future":[1,2],"depth":0');
    const m = read(text);
    assert.deepEqual(m.skipped, { aura: 2 });
    assert.equal(m.sliceCount, read(knownCapture().text()).sliceCount);
});

test('strings and names that do not exist do no harm', () => {
    const w = new CaptureWriter();
    w.table('region', { lane: 99, depth: 0 }, [{ start: 0, dur: 5, name: 12345, task: 777, flags: 255 }]);
    const m = read(w.text());
    assert.equal(m.string(12345), 'string 12345');
    assert.equal(m.taskTitle(777), 'task #777');
    assert.deepEqual(lanesOf(m), ['lane 99']);
});

test('rows in many small chunks make the same row as in one', () => {
    const rows = Array.from({ length: 3000 }, (_, i) => ({ start: i * 100, dur: 50, name: 0, task: i % 5, flags: 0 }));
    const one = new CaptureWriter();
    const many = new CaptureWriter();
    one.str('a');
    many.str('a');
    one.table('region', { lane: 1, depth: 0 }, rows);
    for (let i = 0; i < rows.length; i += 3) many.chunk('region', { lane: 1, depth: 0 }, rows.slice(i, i + 3));
    const [a, b] = [read(one.text()), read(many.text())].map((m) => m.row(1, 'region', 0).segs.map((s) => [s.n, s.t0, s.t1, [...s.task], [...s.pyramid]]));
    assert.deepEqual(a, b);
    assert.deepEqual(a.map((s) => s[0]), [1024, 1024, 952]);
});

test('time spent inside other regions is not self time, also around regions that began before the window', () => {
    const m = read(knownCapture().text());
    assert.equal(selfTime(m, sliceAt(m.row(1, 'region', 0), 110 * MS)), 100 * MS);
    assert.equal(selfTime(m, sliceAt(m.row(2, 'region', -1), 110 * MS)), 200 * MS);
    const stats = drain(regionStats(m));
    const of = (name) => stats.find((s) => m.string(s.name) === name);
    assert.deepEqual([of('handle_request').n, of('handle_request').total, of('handle_request').self], [3, 800 * MS, 500 * MS]);
    assert.deepEqual([of('db.query').n, of('db.query').total, of('db.query').self], [2, 500 * MS, 400 * MS]);
    assert.equal(of('parse').max, 100 * MS);
});

test('region totals equal those of naive code over a large capture, and over a part of it', () => {
    const m = read([...largeCapture(20000, 3)].join(''));
    for (const [t0, t1] of [[-Infinity, Infinity], [20 * MS, 90 * MS]]) {
        const naive = new Map();
        for (const row of m.rowsOf('region')) {
            for (const seg of row.segs) {
                for (let i = 0; i < seg.n; i++) {
                    const d = Math.min(t1, seg.start[i] + seg.dur[i]) - Math.max(t0, seg.start[i]);
                    if (d > 0) naive.set(seg.name[i], (naive.get(seg.name[i]) ?? 0) + d);
                }
            }
        }
        const stats = drain(regionStats(m, t0, t1));
        assert.equal(stats.length, naive.size);
        for (const s of stats) assert.ok(Math.abs(s.total - naive.get(s.name)) < 1, `${s.total} ${naive.get(s.name)}`);
        const sums = drain(rangeStats(m, t0, t1));
        assert.deepEqual(sums, stats.map(({ name, n, total, self }) => ({ name, n, total, self })), `${t0}`);
    }
});

test('tasks are counted by kind; the open and the failed ones apart', () => {
    const kinds = taskKinds(read(knownCapture().text()));
    assert.deepEqual(kinds.map((k) => [k.n, k.failed, k.open, k.total, k.p50, k.max]), [[2, 1, 0, 700 * MS, 300 * MS, 400 * MS], [1, 0, 0, 500 * MS, 500 * MS, 500 * MS]]);
});

test('a task that has not ended is counted, but is no latency', () => {
    const w = new CaptureWriter();
    const kind = w.str('job');
    w.table('task', {}, [1, 2, 9].map((ms, i) => ({ id: i, parent: -1, kind, start: 0, dur: ms * MS, status: i === 2 ? 2 : 0 })));
    const [k] = taskKinds(read(w.text()));
    assert.deepEqual([k.n, k.open, k.max, k.total], [3, 1, 2 * MS, 3 * MS]);
});

test('a task knows its lanes, its work, its waits and its log', () => {
    const m = read(knownCapture().text());
    const use = taskUse(m, 0);
    assert.deepEqual([...use.lanes], [1]);
    assert.equal(use.workedNs, 400 * MS);
    assert.deepEqual(use.waits, [{ why: 'full', object: 'jobs', n: 1, ns: 30 * MS }]);
    assert.deepEqual(taskMarks(m, 0).map((x) => x.text), ['retry after 20 ms']);
});

test('the search finds exactly what naive code finds, and walks through it in order of time', () => {
    const m = read(knownCapture().text());
    const lanes = m.sortedLanes();
    const times = (text) => [...new Search(m, parseFilter(text), lanes).times()].map((t) => t / MS);
    assert.deepEqual(times('query'), [0, 250]);
    assert.deepEqual(times('QUERY thread:worker-1'), [250]);
    assert.deepEqual(times('parse dur>50ms'), [50, 100]);
    assert.deepEqual(times('handle dur>=100ms dur<=300ms'), [600, 900]);
    assert.deepEqual(times('task:#1'), [600, 600, 650]);
    assert.deepEqual(times('task:PUT* query'), [0]);
    assert.deepEqual(times('retry'), [300]);
    assert.deepEqual(times('cache'), [650]);
    assert.deepEqual(times('GET'), [100, 600]);
    assert.deepEqual(times('nothing like it'), []);
    assert.deepEqual(times(''), []);
    const search = new Search(m, parseFilter('task:#1'), lanes);
    const all = search.times();
    const hits = [0, 1, 2].map((k) => search.at(all, k));
    assert.deepEqual(hits.map((h) => (h.slice ? h.slice.row.table : 'mark')), ['work', 'region', 'mark']);
});

test('hostile names arrive unchanged and break nothing', () => {
    const m = read(hostileCapture().text());
    const names = hostileNames(300);
    assert.deepEqual(names.map((_, i) => m.strings.includes(names[i])), names.map(() => true));
    taskKinds(m);
    drain(regionStats(m));
    for (const name of names) new Search(m, parseFilter(name.slice(0, 300)), m.sortedLanes()).times();
    assert.equal(m.attrs(1)[0].value, names[1]);
});

test('lanes lie one below the other: regions by depth, those from before the window above', () => {
    const m = read(knownCapture().text());
    const layout = new Layout(m, { only: null, pinned: new Set([2]), hidden: new Set([3]), ...parseShow('') });
    assert.deepEqual(layout.boxes.map((b) => b.title), ['worker-10', 'heap bytes', 'jobs · depth', 'worker-1']);
    assert.equal(layout.emptyCount, 1);
    assert.equal(layout.hiddenCount, 1);
    assert.deepEqual(layout.boxes[0].rows.map((r) => [r.row.table, r.row.depth]), [['work', 0], ['region', -1], ['region', 0]]);
    let y = 0;
    for (const box of layout.boxes) {
        assert.equal(box.y, y);
        assert.equal(layout.at(y + box.height / 2).box, box);
        y += box.height;
    }
    assert.equal(layout.at(y + 1), null);
});

test('a line longer than allowed is refused, not kept', () => {
    const splitter = new LineSplitter(100);
    assert.throws(() => { for (let i = 0; i < 20; i++) splitter.feed(new Uint8Array(10).fill(65), () => {}); }, RangeError);
});

test('what is shown survives the way through the address', () => {
    for (const text of ['', 'by-cpu', '-state,idle', 'by-object,-cpu,-wakes']) {
        const { by, shown } = parseShow(text);
        assert.equal(formatShow(by, shown), text);
    }
    assert.equal(formatShow(parseShow('nonsense,-nothing').by, parseShow('nonsense,-nothing').shown), '');
});
