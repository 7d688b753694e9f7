// captures.mjs - captures made by script, in the viewer's JSON: small known ones, hostile ones, large ones.

/** Collects chunks; strings are numbered as they are first used. */
export class CaptureWriter {
    constructor(head = {}) {
        this.head = { t0_unix_ns: '1795362301000000000', dur_ns: 1_000_000_000, pid: 71, exe: 'sample', cpus: 2, clock: 'tsc', groups: 63, sample: '', producer: 'tracetap test', notes: { 'source.sched': 'off: not part of this build' }, ...head };
        this.lines = [];
        this.ids = new Map();
        this.rows = 0;
    }

    str(text) {
        let id = this.ids.get(text);
        if (id === undefined) {
            id = this.ids.size;
            this.ids.set(text, id);
            this.lines.push(JSON.stringify({ t: 'str', base: id, v: [text] }));
        }
        return id;
    }

    lane(id, name, more = {}) {
        this.lines.push(JSON.stringify({ t: 'lane', id, kind: 'thread', pid: 71, tid: 800 + id, name, sort: id, ...more }));
    }

    object(id, name, kind = 'queue') {
        this.lines.push(JSON.stringify({ t: 'object', id, kind, name }));
    }

    /** rows: objects with `start` (or `t`) and further columns; written as chunks of 16,384. */
    table(t, key, rows) {
        for (let from = 0; from < rows.length; from += 16384) this.chunk(t, key, rows.slice(from, from + 16384));
    }

    chunk(t, key, rows) {
        const n = rows.length;
        if (n === 0) return;
        const chunk = { t, ...key, n };
        const timed = !['task', 'attr', 'frame', 'stack'].includes(t);
        if (timed) {
            let now = rows[0].start;
            chunk.t0 = now;
            chunk.dt = rows.map((r) => { const d = r.start - now; now = r.start; return d; });
        }
        for (const column of Object.keys(rows[0])) {
            if (timed && column === 'start') continue;
            const values = rows.map((r) => r[column]);
            const mixed = t === 'attr';
            chunk[column] = !mixed && values.every((v) => v === values[0]) ? values[0] : values;
        }
        this.lines.push(ascii(JSON.stringify(chunk)));
        this.rows += n;
    }

    text({ end = {}, account = {} } = {}) {
        const last = { dur_ns: this.head.dur_ns, reason: 'window', truncated: false, identity: 'exact', rows: this.rows,
            account: { events: 4, delivered: 4, filtered: 0, lost_full: 0, lost_nested: 0, lost_queue: 0, lost_late: 0, lost_stall: 0, sampled_out: 0, ...account }, ...end };
        return `{"format":"tracetap","version":1,"capture":${JSON.stringify(this.head)},\n"chunks":[\n`.replace(',\n"chunks"', ',"chunks"') + this.lines.join(',\n') + `\n],"end":${JSON.stringify(last)}}\n`;
    }
}

function ascii(json) {
    return json.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export const MS = 1_000_000;

/**
 * Known to the pixel: 1 s, worker-1, worker-2, worker-10 and an idle one, nested regions, tasks, waits, gc, loss, counters, logs.
 * worker-1: handle 100..500 ms with parse 100..200 and query 250..450; worker-2: handle 600..900; worker-10: open from before 0..300.
 */
export function knownCapture() {
    const w = new CaptureWriter();
    w.lane(1, 'worker-1');
    w.lane(2, 'worker-10');
    w.lane(3, 'worker-2');
    w.lane(4, 'idle-thread');
    w.object(1, 'jobs');
    const [handle, parse, query, get, put, mark, phase, note, full, empty, heap, late] = ['handle_request', 'parse', 'db.query', 'GET /a', 'PUT /b', 'cache miss', 'mark', 'db', 'full', 'empty', 'heap bytes', 'queue'].map((s) => w.str(s));
    const timedOut = w.str('upstream timed out');
    const [url, tries] = [w.str('url'), w.str('tries')];
    w.table('region', { lane: 1, depth: 0 }, [{ start: 100 * MS, dur: 400 * MS, name: handle, task: 0, flags: 0 }]);
    w.table('region', { lane: 1, depth: 1 }, [{ start: 100 * MS, dur: 100 * MS, name: parse, task: 0, flags: 0 }, { start: 250 * MS, dur: 200 * MS, name: query, task: 0, flags: 0 }]);
    w.table('region', { lane: 3, depth: 0 }, [{ start: 600 * MS, dur: 300 * MS, name: handle, task: 1, flags: 0 }]);
    w.table('region', { lane: 2, depth: -1 }, [{ start: 0, dur: 300 * MS, name: query, task: 2, flags: 1 }]);
    w.table('region', { lane: 2, depth: 0 }, [{ start: 50 * MS, dur: 100 * MS, name: parse, task: 2, flags: 0 }, { start: 900 * MS, dur: 100 * MS, name: handle, task: -1, flags: 2 }]);
    w.table('work', { lane: 1 }, [{ start: 100 * MS, dur: 400 * MS, task: 0, flags: 0 }]);
    w.table('work', { lane: 3 }, [{ start: 600 * MS, dur: 300 * MS, task: 1, flags: 0 }]);
    w.table('work', { lane: 2 }, [{ start: 0, dur: 300 * MS, task: 2, flags: 1 }]);
    w.table('wait', { lane: 3 }, [{ start: 0, dur: 590 * MS, object: 1, why: empty, task: -1, flags: 1 }]);
    w.table('wait', { lane: 1 }, [{ start: 460 * MS, dur: 30 * MS, object: 1, why: full, task: 0, flags: 0 }]);
    w.table('gc', { lane: 1 }, [{ start: 700 * MS, dur: 50 * MS, phase, flags: 0 }]);
    w.table('lost', { lane: 2 }, [{ start: 400 * MS, dur: 100 * MS, count: 120, reason: late }]);
    w.table('log', { lane: 1 }, [{ start: 300 * MS, cat: note, text: 'retry after 20 ms', task: 0 }]);
    w.table('instant', { lane: 3 }, [{ start: 650 * MS, name: mark, task: 1 }]);
    w.table('counter', { lane: 1, name: heap }, [0, 100, 200, 300, 700, 800].map((t, i) => ({ start: t * MS, v: (i % 4) * 1000 })));
    w.table('depth', { lane: 3, object: 1 }, [0, 250, 500, 750].map((t, i) => ({ start: t * MS, v: i * i })));
    w.table('task', {}, [
        { id: 2, parent: -1, kind: put, start: -200 * MS, dur: 500 * MS, status: 0, lane: 2, end_lane: 2, code: 0, text: -1, trace: '', flags: 1 },
        { id: 0, parent: -1, kind: get, start: 100 * MS, dur: 400 * MS, status: 0, lane: 1, end_lane: 1, code: 0, text: -1, trace: '4bf92f3577b34da6a3ce929d0e0e4736', flags: 0 },
        { id: 1, parent: 0, kind: get, start: 600 * MS, dur: 300 * MS, status: 1, lane: 3, end_lane: 3, code: -110, text: timedOut, trace: '', flags: 0 },
    ]);
    w.table('attr', {}, [{ task: 0, key: url, value: '/a?x=1' }, { task: 0, key: tries, value: 3 }]);
    return w;
}

/** The same beside other processes: one on CPU 0 while worker-1 waits for it, and one that has a CPU for itself. */
export function othersCapture(head = {}) {
    const w = statesCapture(head);
    const [postgres, sshd] = [w.str('postgres'), w.str('sshd')];
    w.table('other', {}, [{ start: 300 * MS, dur: 150 * MS, cpu: 0, pid: 812, name: postgres, flags: 0 }, { start: 0, dur: 1000 * MS, cpu: 2, pid: 5, name: sshd, flags: 1 }]);
    return w;
}

/**
 * Threads that run, wait and wake, known to the pixel: 1 s, two CPUs. worker-2 holds db.lock until 300 ms, worker-1 waits for it from 100;
 * both then run, wait for the network, and are stopped by the collector from 850 to 900.
 */
export function statesCapture(head = {}) {
    const w = new CaptureWriter(head);
    w.lane(1, 'worker-1');
    w.lane(2, 'worker-2');
    w.lane(3, 'collector');
    w.object(7, 'db.lock', 'lock');
    w.object(8, '10.0.0.7:5432', 'fd');
    const s = Object.fromEntries(['running', 'runnable', 'lock', 'network', 'sleep', 'file', 'blocked'].map((n) => [n, w.str(n)]));
    const [get, handle, query, lock, sweep, heap, main, handler, dbc] = ['GET /a', 'handle_request', 'db.query', 'lock_acquire', 'pause', 'heap bytes', 'main', 'handler', 'db.c'].map((n) => w.str(n));
    w.chunk('frame', { base: 0 }, [{ func: main, file: dbc, line: 10 }, { func: handler, file: dbc, line: 40 }, { func: query, file: dbc, line: 88 }, { func: lock, file: dbc, line: 7 }]);
    w.chunk('stack', { base: 0 }, [{ frame: 0, up: 0 }, { frame: 1, up: 1 }, { frame: 2, up: 1 }, { frame: 3, up: 1 }]);
    const states = (lane, list) => {
        let t = 0;
        w.table('state', { lane }, list.map(([state, until, more = {}]) => {
            const row = { start: t * MS, dur: (until - t) * MS, state: s[state], object: more.object ?? -1, stack: more.stack ?? -1, cpu: more.cpu ?? -1 };
            t = until;
            return row;
        }));
    };
    states(1, [['running', 100, { cpu: 0 }], ['lock', 300, { object: 7, stack: 3 }], ['runnable', 320], ['running', 600, { cpu: 1 }], ['network', 800, { object: 8, stack: 2 }], ['running', 850, { cpu: 0 }], ['blocked', 900], ['running', 1000, { cpu: 0 }]]);
    states(2, [['running', 320, { cpu: 1 }], ['sleep', 500], ['running', 700, { cpu: 0 }], ['file', 850, { stack: 2 }], ['blocked', 900], ['runnable', 950], ['running', 1000, { cpu: 1 }]]);
    states(3, [['sleep', 850], ['running', 900, { cpu: 1 }], ['sleep', 1000]]);
    w.chunk('wake', {}, [{ start: 300 * MS, lane: 2, to: 1 }, { start: 500 * MS, lane: 1, to: 2 }, { start: 800 * MS, lane: -1, to: 1 }, { start: 900 * MS, lane: 3, to: 1 }, { start: 900 * MS, lane: 3, to: 2 }]);
    w.table('region', { lane: 1, depth: 0 }, [{ start: 50 * MS, dur: 750 * MS, name: handle, task: 0, flags: 0 }]);
    w.table('region', { lane: 1, depth: 1 }, [{ start: 100 * MS, dur: 250 * MS, name: query, task: 0, flags: 0 }]);
    w.table('region', { lane: 2, depth: 0 }, [{ start: 10 * MS, dur: 290 * MS, name: query, task: 1, flags: 0 }]);
    w.table('work', { lane: 1 }, [{ start: 50 * MS, dur: 760 * MS, task: 0, flags: 0 }]);
    w.table('work', { lane: 2 }, [{ start: 10 * MS, dur: 600 * MS, task: 1, flags: 0 }]);
    w.table('gc', { lane: 3 }, [{ start: 850 * MS, dur: 50 * MS, phase: sweep, flags: 0 }]);
    w.table('counter', { lane: 3, name: heap }, [0, 200, 400, 600, 800, 900].map((t, i) => ({ start: t * MS, v: i === 5 ? 1000 : i * 1500 })));
    w.chunk('alloc_sample', {}, [3000, 1000, 500].map((weight, i) => ({ start: i * MS, bytes: 10, weight, lane: 1 + (i % 2), stack: [3, 2, -1][i], task: i - 1 })));
    w.chunk('sample', {}, Array.from({ length: 40 }, (_, i) => ({ start: (10 + i * 20) * MS, lane: 1 + (i % 2), stack: [3, 2, 1][i % 3], task: i % 2 })));
    w.table('task', {}, [
        { id: 0, parent: -1, kind: get, start: 50 * MS, dur: 800 * MS, status: 0, lane: 1, end_lane: 1, code: 0, text: -1, trace: '', flags: 0 },
        { id: 1, parent: -1, kind: get, start: 10 * MS, dur: 600 * MS, status: 0, lane: 2, end_lane: 2, code: 0, text: -1, trace: '', flags: 0 },
    ]);
    return w;
}

/** Text that tries to be markup, to hide, to turn around, to be huge, or to be no text at all. @param {number} n */
export function hostileNames(n) {
    const fixed = ['<img src=x onerror=alert(1)>', '<script>alert(1)</script>', '"><svg onload=alert(1)>', 'javascript:alert(1)', "';alert(1)//", '\u202egnitirw denrut\u202c', '\u0000\u0001\u001b[31mred\u001b[0m\r\n\t', '\ud800', 'a\udc00b', '\ufeff\u200b\u2060',
        'مرحبا بالعالم', '名前', '👩‍👩‍👧‍👦', '', ' ', '__proto__', 'constructor', 'toString', '%s%n%x', '${7*7}', '{{7*7}}', '../../etc/passwd', 'x'.repeat(1 << 20), '\u0301'.repeat(500), '<', '&lt;', '\u2028\u2029', 'a'.repeat(300) + '<b>'];
    let seed = 7;
    const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) / 0x7fffffff;
    const pieces = [...fixed.slice(0, 12), '<', '>', '"', '\'', '&', '\u202e', '\ud83d', 'name', ' '];
    const names = fixed.slice();
    while (names.length < n) names.push(Array.from({ length: 1 + Math.floor(random() * 4) }, () => pieces[Math.floor(random() * pieces.length)]).join(''));
    return names;
}

/** Stands for bytes that are no UTF-8, see hostileBytes(). */
const BROKEN = 'BROKEN-UTF-8';

/** Hostile text in every place where text goes. @param {number} [n] names */
export function hostileCapture(n = 300) {
    const names = hostileNames(n);
    const w = new CaptureWriter({ exe: names[0], producer: names[5], notes: { [names[1]]: names[2] }, sample: names[3] });
    names.slice(0, 28).forEach((name, i) => w.lane(i + 1, name));
    names.slice(0, 10).forEach((name, i) => w.object(i + 1, name));
    const ids = names.map((name) => w.str(name));
    const span = 1000 * MS / names.length;
    w.table('region', { lane: 1, depth: 0 }, names.map((_, i) => ({ start: Math.floor(i * span), dur: Math.floor(span * 0.9), name: ids[i], task: i, flags: 0 })));
    w.table('work', { lane: 1 }, names.map((_, i) => ({ start: Math.floor(i * span), dur: Math.floor(span * 0.9), task: i, flags: 0 })));
    names.slice(0, 10).forEach((_, i) => w.table('wait', { lane: i + 2 }, [{ start: 0, dur: 900 * MS, object: i + 1, why: ids[i], task: i, flags: 3 }]));
    w.table('log', { lane: 2 }, names.map((text, i) => ({ start: Math.floor(i * span), cat: ids[i], text, task: i })));
    w.table('instant', { lane: 3 }, names.map((_, i) => ({ start: Math.floor(i * span), name: ids[i], task: -1 })));
    names.slice(0, 6).forEach((_, i) => w.table('counter', { lane: 1, name: ids[i] }, [{ start: 0, v: 1 }, { start: 500 * MS, v: 5 }]));
    w.table('gc', { lane: 4 }, [{ start: 0, dur: 10 * MS, phase: ids[0], flags: 0 }]);
    w.table('lost', { lane: 5 }, [{ start: 0, dur: 10 * MS, count: 5, reason: ids[1] }]);
    w.table('task', {}, names.map((_, i) => ({ id: i, parent: i - 1, kind: ids[i], start: Math.floor(i * span), dur: Math.floor(span * 0.9), status: i % 3, lane: 1, end_lane: 1, code: i, text: ids[(i * 7) % names.length], trace: i % 2 ? names[1] : '', flags: 0 })));
    w.table('attr', {}, names.map((value, i) => ({ task: i, key: ids[i], value: i % 2 ? value : i })));
    hostileThreads(w, names, ids);
    return w;
}

/** Of lanes 6 to 28: functions and files of samples, locks and peers that tasks wait for, the calls they wait in, a full queue. @param {CaptureWriter} w @param {string[]} names @param {number[]} ids */
function hostileThreads(w, names, ids) {
    const [running, lock, network, full] = ['running', 'lock', 'network', 'full'].map((s) => w.str(s));
    w.table('frame', { base: 0 }, names.map((_, i) => ({ func: ids[i], file: ids[(i * 3) % names.length], line: i })));
    w.table('stack', { base: 0 }, names.map((_, i) => ({ frame: i, up: i % 3 === 0 ? 0 : 1 })));
    w.table('sample', {}, names.map((_, i) => ({ start: i * 1000, cpu_ns: MS, lane: 6 + (i % 23), stack: i, task: i })));
    for (let lane = 6; lane <= 28; lane++) {
        const [name, asked, connection] = [names[lane - 1], w.str(`${names[lane - 1].slice(0, 5000)} lock`), 100 + lane];
        w.object(lane + 20, name, 'lock');
        w.object(lane + 60, name, 'queue');
        w.object(connection, name, 'descriptor');
        const parts = [[lock, lane + 20, 0], [running, -1, 150], [lock, lane + 20, 200], [network, connection, 350], [running, -1, 800], [running, -1, 1000]];
        w.table('state', { lane }, parts.slice(0, -1).map(([state, object, from], k) => ({ start: from * MS, dur: (parts[k + 1][2] - from) * MS, state, object, cpu: object < 0 ? lane % 2 : -1, op: object < 0 ? -1 : asked, stack: k === 2 ? lane : -1 })));
        w.table('call', { lane }, [0, 200].map((t) => ({ start: t * MS, dur: 150 * MS, op: asked, object: lane + 20, result: 801, task: -1, flags: 0 })));
        w.table('wait', { lane }, [810, 900].map((t) => ({ start: t * MS, dur: 50 * MS, object: lane + 60, why: full, task: lane, flags: 0 })));
        w.table('work', { lane }, [{ start: 350 * MS, dur: 450 * MS, task: lane, flags: 0 }]);
    }
}

/** The same with each twentieth name holding bytes that are no UTF-8: cut sequences, overlong forms, surrogates, lone continuations. @param {number} n @returns {Buffer} */
export function hostileBytes(n) {
    const w = hostileCapture(n);
    for (let i = 0; i < n / 20; i++) w.str(`${BROKEN}${i}`);
    w.table('region', { lane: 2, depth: 0 }, Array.from({ length: Math.floor(n / 20) }, (_, i) => ({ start: i * 1000, dur: 900, name: w.str(`${BROKEN}${i}`), task: -1, flags: 0 })));
    const bad = ['\xff\xfe', '\xc3', '\xe2\x80', '\xed\xa0\x80', '\xc0\xaf', '\xf4\x90\x80\x80', '\x80\x80<b>'];
    const text = Buffer.from(w.text()).toString('latin1').replace(new RegExp(`${BROKEN}(\\d+)`, 'g'), (_, i) => `${bad[i % bad.length]}${i}`);
    return Buffer.from(text, 'latin1');
}

/** Like a busy service: @slices regions on 50 threads, four deep, 20 names; 1 s a thread for each 20,000. */
export function* largeCapture(slices, threads = 50) {
    const depths = 4;
    const names = Array.from({ length: 20 }, (_, i) => `function_${i}`);
    const perRow = Math.ceil(slices / threads / depths);
    const dur = perRow * 250_000;
    yield `{"format":"tracetap","version":1,"capture":{"t0_unix_ns":"1795362301000000000","dur_ns":${dur},"pid":71,"exe":"large","cpus":8,"clock":"tsc","groups":63,"sample":"","producer":"test","notes":{}},"chunks":[\n`;
    yield JSON.stringify({ t: 'str', base: 0, v: names }) + ',\n';
    let seed = 42;
    const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    for (let lane = 1; lane <= threads; lane++) yield JSON.stringify({ t: 'lane', id: lane, kind: 'thread', pid: 71, tid: 800 + lane, name: `worker-${lane}`, sort: lane }) + ',\n';
    const CHUNK = 16384;
    const now = new Float64Array(threads * depths);
    for (let from = 0; from < perRow; from += CHUNK) {
        const n = Math.min(CHUNK, perRow - from);
        for (let r = 0; r < threads * depths; r++) {
            const dt = new Array(n);
            const d = new Array(n);
            const name = new Array(n);
            const t0 = Math.floor(now[r]);
            let t = t0;
            for (let i = 0; i < n; i++) {
                const gap = Math.floor(random() * 60_000);
                const len = Math.floor((0.1 + random() * 0.9) * 190_000 * (random() < 0.01 ? 4 : 1) * (random() < 0.97 ? 1 : 0.1));
                dt[i] = i === 0 ? gap : gap + d[i - 1];
                d[i] = len;
                name[i] = Math.floor(random() * 20);
                t += dt[i];
            }
            now[r] = t + d[n - 1];
            yield JSON.stringify({ t: 'region', lane: 1 + Math.floor(r / depths), depth: r % depths, n, t0, dt, dur: d, name, task: -1, flags: 0 }) + ',\n';
        }
    }
    yield `{"t":"lost","lane":1,"n":0,"t0":0,"dt":[],"dur":0,"count":0,"reason":0}\n],"end":{"dur_ns":${Math.ceil(Math.max(...now))},"reason":"window","truncated":false,"identity":"exact","rows":${slices},"account":{"delivered":${slices * 2}}}}\n`;
}
