// decode.js - lines of the viewer JSON (docs/format.md, section 7) -> batches of typed arrays.
//
//   {"format":"tracetap",...,"chunks":[      head
//   {"t":"str",...},                         chunks, one a line
//   ],"end":{...}}                           end; without it the capture was cut
//
// Nothing in the file is trusted: every count, column and number is checked before it is used, and what does not fit is a DecodeError
// that names table and column. A file that was pretty-printed by another tool has no such lines; it is then read whole.
// Rows are gathered per (lane, table, depth) over chunk borders, since a service short of memory writes many small chunks.

import { SegBuilder } from './seg.js';
import { HUE, hueOfLane, hueOfTask, hueOfText } from './hues.js';
import { CPUS_MAX, CPU_LANE, FOR_ANYTHING, FOR_WORK, GONE, RUNNING, STATE_HUES, isBlocked, packPlace, stateOf } from './states.js';
import { Numbers } from '../calc/stats.js';

/** Twice what the format allows: a reader should be more generous than the writer, but bounded. */
const ROWS_MAX = 32768;
/** A document without lines is read in one piece up to this size. */
const WHOLE_MAX = 256 * 1024 * 1024;
/** Began before the window and had not ended with it. */
const THROUGHOUT = 3;
/** A thread that spends all of the window in such a call is held up by another one; in any other call, it has nothing to do. */
const OTHERS_HOLD_IT = /mutex|rwlock|spin|flock/;

/** @param {string} op */
function waitsFor(op) {
    return /^(accept|epoll_wait)$/.test(op) ? FOR_WORK : /^(poll|select|io_uring_wait|pthread_cond_wait|sem_wait|sigwait)$/.test(op) ? FOR_ANYTHING : 0;
}

export class DecodeError extends Error {
    /** @param {'foreign'|'native'|'damaged'|'version'} code @param {string} message */
    constructor(code, message) {
        super(message);
        this.code = code;
    }
}

/** @typedef {import('./types.js').Batch} Batch */
/** @typedef {import('./types.js').RowTable} RowTable */
/** @typedef {Record<string, unknown>} Chunk */

/** @returns {Batch} */
function emptyBatch() {
    return { strings: [], lanes: [], objects: [], segs: [], marks: [], points: [], tasks: [], attrs: [], wakes: [], samples: [], allocSamples: [], requests: [], frames: [], stacks: [], allocs: [], skipped: {} };
}

/** @param {Chunk} chunk @param {string} message @returns {never} */
function damaged(chunk, message) {
    throw new DecodeError('damaged', `table "${String(chunk.t).slice(0, 40)}": ${message}`);
}

/** @param {Chunk} chunk @param {string} key @param {number} [fallback] @returns {number} */
function number(chunk, key, fallback) {
    const v = chunk[key];
    if (typeof v === 'number') return v;
    if (v === undefined && fallback !== undefined) return fallback;
    return damaged(chunk, `"${key}" is not a number`);
}

/** @param {Chunk} chunk @param {string} key @returns {string} */
function text(chunk, key) {
    const v = chunk[key];
    return typeof v === 'string' ? v : v === undefined ? '' : damaged(chunk, `"${key}" is not a string`);
}

/** @param {Chunk} chunk @returns {number} */
function rowCount(chunk) {
    const n = number(chunk, 'n');
    return Number.isInteger(n) && n >= 0 && n <= ROWS_MAX ? n : damaged(chunk, `"n" is ${n}, allowed are 0 to ${ROWS_MAX}`);
}

/**
 * A column of numbers: an array of n, or one number that stands for all.
 * @template {Float64Array|Int32Array|Uint8Array} T
 * @param {Chunk} chunk @param {string} key @param {number} n @param {new (n: number) => T} type @param {number} [fallback] when the column is missing
 * @returns {T}
 */
function column(chunk, key, n, type, fallback) {
    const v = chunk[key] ?? fallback;
    const out = new type(n);
    if (typeof v === 'number') return /** @type {T} */ (out.fill(v));
    if (!Array.isArray(v) || v.length !== n) return damaged(chunk, `column "${key}" is not ${n} numbers`);
    for (let i = 0; i < n; i++) {
        const x = v[i];
        if (typeof x !== 'number') return damaged(chunk, `column "${key}", row ${i}, is not a number`);
        out[i] = x;
    }
    return out;
}

/** @param {Chunk} chunk @param {string} key @param {number} n @returns {string[]} */
function texts(chunk, key, n) {
    const v = chunk[key];
    if (typeof v === 'string') return new Array(n).fill(v);
    if (!Array.isArray(v) || v.length !== n) return damaged(chunk, `column "${key}" is not ${n} strings`);
    return v.map((x) => (typeof x === 'string' ? x : String(x)));
}

/** @param {Chunk} chunk @param {number} n @returns {Float64Array} */
function times(chunk, n) {
    const t = column(chunk, 'dt', n, Float64Array);
    let now = number(chunk, 't0', 0);
    for (let i = 0; i < n; i++) {
        now += t[i];
        t[i] = now;
    }
    return t;
}

export class Decoder {
    constructor() {
        /** @type {import('./types.js').CaptureHead|null} */
        this.head = null;
        /** @type {import('./types.js').CaptureEnd|null} */
        this.end = null;
        this.rows = 0;
        this.lineNo = 0;
        /** @type {Batch} */
        this.batch = emptyBatch();
        /** @type {string[]} */
        this.strings = [];
        /** @type {number[]} */
        this.stringHue = [];
        /** @type {number[]} */
        this.stringWait = [];
        /** @type {Map<string, {table: RowTable, lane: number, depth: number, builder: SegBuilder, end: number}>} */
        this.builders = new Map();
        /** What each CPU ran, until all threads have told; pid: of another process, whose name is string -2 - lane. @type {Map<number, {t: Numbers, d: Numbers, lane: Numbers, pid: Numbers}>} */
        this.cpus = new Map();
        this.stacks = 0;
        /** @type {string[]|null} lines of a document that does not keep to one chunk a line */
        this.whole = null;
        this.wholeLength = 0;
    }

    /** @param {string} line */
    line(line) {
        this.lineNo++;
        if (this.whole) return this.keepWhole(line);
        if (this.end || line === '') return;
        if (!this.head) return this.firstLine(line);
        if (line.startsWith(']')) return this.lastLine(line);
        this.chunk(this.parse(line.endsWith(',') ? line.slice(0, -1) : line));
    }

    /** Everything ready so far. @returns {Batch} */
    take() {
        const batch = this.batch;
        this.batch = emptyBatch();
        return batch;
    }

    /** After the last line: packs what is still being gathered. */
    finish() {
        if (this.whole) this.readWhole();
        if (!this.head) throw new DecodeError('foreign', 'The file is empty.');
        for (const [cpu, ran] of this.cpus) this.cpuRow(cpu, ran);
        this.cpus.clear();
        for (const b of this.builders.values()) if (b.builder.n > 0) this.seal(b);
        this.builders.clear();
    }

    /** @param {string} json @returns {Chunk} */
    parse(json) {
        let value;
        try {
            value = JSON.parse(json);
        } catch (e) {
            throw new DecodeError('damaged', `line ${this.lineNo} is not JSON (${e instanceof Error ? e.message.slice(0, 120) : e})`);
        }
        if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new DecodeError('damaged', `line ${this.lineNo} is not an object`);
        return value;
    }

    /** @param {string} line */
    firstLine(line) {
        if (line.startsWith('TRACETAP')) throw new DecodeError('native', 'This is a capture in the native format.');
        const oneChunkALine = line.endsWith('"chunks":[');
        if (!oneChunkALine) {
            if (!/^\s*\{/.test(line)) throw new DecodeError('foreign', 'This is not a tracetap capture: it does not begin with {"format":"tracetap".');
            this.whole = [];
            return this.keepWhole(line);
        }
        this.readHead(this.parse(line + ']}'));
    }

    /** @param {Chunk} doc */
    readHead(doc) {
        if (doc.format !== 'tracetap') {
            const chrome = 'traceEvents' in doc;
            throw new DecodeError('foreign', chrome ? 'This is a Chrome trace (traceEvents); this viewer reads captures of format=json.'
                : 'This is not a tracetap capture: "format" is not "tracetap".');
        }
        if (doc.version !== 1) throw new DecodeError('version', `This capture has version ${String(doc.version).slice(0, 20)}; this viewer reads version 1.`);
        const c = /** @type {Chunk} */ (doc.capture && typeof doc.capture === 'object' ? doc.capture : {});
        const str = (/** @type {unknown} */ v) => (typeof v === 'string' ? v : '');
        const num = (/** @type {unknown} */ v) => (typeof v === 'number' && Number.isFinite(v) ? v : 0);
        /** @type {Record<string, string>} */
        const notes = {};
        if (c.notes && typeof c.notes === 'object') for (const [k, v] of Object.entries(c.notes)) notes[k] = String(v);
        this.head = { t0_unix_ns: str(c.t0_unix_ns), dur_ns: num(c.dur_ns), pid: num(c.pid), exe: str(c.exe), cpus: num(c.cpus), clock: str(c.clock),
            sample: str(c.sample), producer: str(c.producer), notes };
    }

    /** @param {string} line */
    lastLine(line) {
        const rest = line.replace(/^\]\s*,?/, '');
        const doc = this.parse('{' + rest);
        this.readEnd(doc.end);
    }

    /** @param {unknown} value */
    readEnd(value) {
        const end = /** @type {Chunk} */ (value && typeof value === 'object' ? value : {});
        /** @type {Record<string, number>} */
        const account = {};
        if (end.account && typeof end.account === 'object') for (const [k, v] of Object.entries(end.account)) if (typeof v === 'number') account[k] = v;
        this.end = { dur_ns: typeof end.dur_ns === 'number' && end.dur_ns > 0 ? end.dur_ns : 0, reason: typeof end.reason === 'string' ? end.reason : '',
            truncated: end.truncated === true, identity: typeof end.identity === 'string' ? end.identity : '', rows: typeof end.rows === 'number' ? end.rows : 0, account };
    }

    /** @param {string} line */
    keepWhole(line) {
        if (!this.whole) return;
        this.wholeLength += line.length;
        if (this.wholeLength > WHOLE_MAX) throw new DecodeError('foreign', 'This file does not have one chunk a line, and is too large to be read in one piece.');
        this.whole.push(line);
    }

    readWhole() {
        const json = (this.whole ?? []).join('\n');
        this.whole = null;
        let doc;
        try {
            doc = JSON.parse(json);
        } catch (e) {
            const looksLikeOurs = /^\s*\{\s*"format"\s*:\s*"tracetap"/.test(json);
            throw new DecodeError(looksLikeOurs ? 'damaged' : 'foreign', looksLikeOurs ? 'The document was cut, and it does not have one chunk a line.'
                : 'This is not a tracetap capture: it is not a JSON document of ours.');
        }
        this.readHead(doc);
        if (!Array.isArray(doc.chunks)) throw new DecodeError('damaged', '"chunks" is not an array');
        for (const chunk of doc.chunks) if (chunk && typeof chunk === 'object') this.chunk(chunk);
        if (doc.end) this.readEnd(doc.end);
    }

    /** @param {Chunk} c */
    chunk(c) {
        switch (c.t) {
            case 'str': return this.strChunk(c);
            case 'lane': return this.laneChunk(c);
            case 'object': return void this.batch.objects.push({ id: number(c, 'id'), kind: text(c, 'kind'), name: text(c, 'name') });
            case 'region': return this.rowsChunk(c, 'region', number(c, 'depth'), 'name', null);
            case 'work': return this.rowsChunk(c, 'work', 0, null, null);
            case 'wait': return this.rowsChunk(c, 'wait', 0, 'why', 'object');
            case 'state': return this.stateChunk(c);
            case 'call': return this.rowsChunk(c, 'call', 0, 'op', 'object', 'result');
            case 'release': return; /* who let go of what: the wakes tell it too */
            case 'wake': return this.wakeChunk(c);
            case 'other': return this.otherChunk(c);
            case 'sample': return this.sampleChunk(c, this.batch.samples, 'cpu_ns');
            case 'request': return this.requestChunk(c);
            case 'frame': return this.frameChunk(c);
            case 'stack': return this.stackChunk(c);
            case 'gc': return this.rowsChunk(c, 'gc', 0, 'phase', null);
            case 'lost': return this.rowsChunk(c, 'lost', 0, 'reason', 'count');
            case 'log': return this.marksChunk(c, 'cat', true);
            case 'instant': return this.marksChunk(c, 'name', false);
            case 'counter': return this.pointsChunk(c, 'counter', 'name');
            case 'depth': return this.pointsChunk(c, 'depth', 'object');
            case 'alloc_sample': return this.sampleChunk(c, this.batch.allocSamples, 'weight');
            case 'alloc': return this.allocChunk(c);
            case 'task': return this.taskChunk(c);
            case 'attr': return this.attrChunk(c);
            default: {
                const name = String(c.t).slice(0, 40);
                this.batch.skipped[name] = (this.batch.skipped[name] ?? 0) + 1;
            }
        }
    }

    /** @param {Chunk} c */
    strChunk(c) {
        const v = c.v;
        if (!Array.isArray(v)) return damaged(c, '"v" is not an array');
        if (c.base !== this.strings.length) return damaged(c, `"base" is ${String(c.base)}, but ${this.strings.length} strings came before`);
        for (const s of v) {
            const value = typeof s === 'string' ? s : String(s);
            this.strings.push(value);
            this.stringHue.push(hueOfText(value));
            this.stringWait.push(waitsFor(value));
            this.batch.strings.push(value);
        }
    }

    /** @param {Chunk} c */
    laneChunk(c) {
        this.batch.lanes.push({ id: number(c, 'id'), kind: text(c, 'kind'), pid: number(c, 'pid', 0), tid: number(c, 'tid', 0), name: text(c, 'name'), sort: number(c, 'sort', 0) });
    }

    /**
     * @param {Chunk} c @param {RowTable} table @param {number} depth
     * @param {string|null} nameKey @param {string|null} extraKey @param {string|null} [detailKey]
     */
    rowsChunk(c, table, depth, nameKey, extraKey, detailKey = null) {
        const n = rowCount(c);
        const lane = number(c, 'lane');
        const t = times(c, n);
        const dur = column(c, 'dur', n, Float64Array);
        const name = nameKey ? column(c, nameKey, n, Int32Array) : null;
        const task = column(c, 'task', n, Int32Array, -1);
        const extra = extraKey ? column(c, extraKey, n, Float64Array, -1) : null;
        const flags = column(c, 'flags', n, Uint8Array, 0);
        const detail = detailKey ? column(c, detailKey, n, Int32Array, 0) : null;
        const row = this.builder(table, lane, depth, extra !== null, detail !== null);
        for (let i = 0; i < n; i++) {
            const from = table === 'call' && (flags[i] & THROUGHOUT) === THROUGHOUT ? Math.max(t[i], Math.min(row.end, t[i] + dur[i])) : t[i]; /* it began after the last one that ended */
            const d = dur[i] - (from - t[i]);
            if (!(d >= 0) || !Number.isFinite(from + d)) return damaged(c, `row ${i} has start ${from} and duration ${d}`);
            row.end = from + d;
            const id = name ? name[i] : -1;
            row.builder.add(from, d, id, task[i], extra ? extra[i] : 0, flags[i], this.hue(table, id, task[i]), detail ? detail[i] : -1);
            if (row.builder.full()) this.seal(row);
        }
        this.rows += n;
    }

    /** @param {Chunk} c */
    stateChunk(c) {
        const n = rowCount(c);
        const lane = number(c, 'lane');
        const t = times(c, n);
        const dur = column(c, 'dur', n, Float64Array);
        const [state, object, stack, cpu, op] = ['state', 'object', 'stack', 'cpu', 'op'].map((k) => column(c, k, n, Int32Array, -1));
        const flags = column(c, 'flags', n, Uint8Array, 0);
        const row = this.builder('state', lane, 0, true, true);
        for (let i = 0; i < n; i++) {
            const [from, d] = [t[i], dur[i]];
            if (!(d >= 0) || !Number.isFinite(from + d)) return damaged(c, `row ${i} has start ${from} and duration ${d}`);
            const s = stateOf(state[i], this.strings[state[i]]);
            if (s === GONE) continue;
            const blocked = isBlocked(s);
            const idle = blocked && (flags[i] & THROUGHOUT) === THROUGHOUT && !OTHERS_HOLD_IT.test(this.strings[op[i]] ?? '');
            const detail = stack[i] >= 0 ? stack[i] : op[i] >= 0 ? -2 - op[i] : -1;
            row.builder.add(from, d, s, -1, packPlace(object[i], cpu[i]), blocked ? flags[i] | (this.stringWait[op[i]] ?? 0) : flags[i], idle ? HUE.waitEmpty : STATE_HUES[s], detail);
            if (row.builder.full()) this.seal(row);
            if (s === RUNNING && cpu[i] >= 0 && cpu[i] < CPUS_MAX) this.ran(cpu[i], from, d, lane, 0);
        }
        this.rows += n;
    }

    /** Other processes, seen from the CPUs. @param {Chunk} c */
    otherChunk(c) {
        const n = rowCount(c);
        const t = times(c, n);
        const [dur, pid] = ['dur', 'pid'].map((k) => column(c, k, n, Float64Array));
        const [cpu, name] = ['cpu', 'name'].map((k) => column(c, k, n, Int32Array));
        for (let i = 0; i < n; i++) {
            if (!(dur[i] >= 0) || !Number.isFinite(t[i] + dur[i])) return damaged(c, `row ${i} has start ${t[i]} and duration ${dur[i]}`);
            if (cpu[i] >= 0 && cpu[i] < CPUS_MAX) this.ran(cpu[i], t[i], dur[i], -2 - name[i], pid[i]);
        }
        this.rows += n;
    }

    /** @param {number} cpu @param {number} from @param {number} dur @param {number} lane @param {number} pid */
    ran(cpu, from, dur, lane, pid) {
        let c = this.cpus.get(cpu);
        if (!c) this.cpus.set(cpu, (c = { t: new Numbers(), d: new Numbers(), lane: new Numbers(), pid: new Numbers() }));
        c.pid.push(pid);
        c.t.push(from);
        c.d.push(dur);
        c.lane.push(lane);
    }

    /** The same slices seen from the CPU, in order of time. @param {number} cpu @param {{t: Numbers, d: Numbers, lane: Numbers, pid: Numbers}} ran */
    cpuRow(cpu, ran) {
        const [t, d, lane, pid] = [ran.t.values(), ran.d.values(), ran.lane.values(), ran.pid.values()];
        const order = Uint32Array.from(t, (_, i) => i).sort((a, b) => t[a] - t[b] || a - b);
        const row = this.builder('cpu', CPU_LANE - cpu, 0, pid.some((p) => p !== 0));
        let end = -Infinity;
        for (const i of order) {
            const from = Math.max(t[i], end); /* two clocks may disagree by a little; a row's slices do not overlap */
            end = Math.max(from, t[i] + d[i]);
            row.builder.add(from, end - from, lane[i], -1, pid[i], 0, lane[i] < 0 ? HUE.none : hueOfLane(lane[i]));
            if (row.builder.full()) this.seal(row);
        }
    }

    /** @param {Chunk} c */
    wakeChunk(c) {
        const n = rowCount(c);
        this.batch.wakes.push({ t: times(c, n), from: column(c, 'lane', n, Int32Array, -1), to: column(c, 'to', n, Int32Array) });
        this.rows += n;
    }

    /** @param {Chunk} c @param {import('./types.js').SampleChunk[]} to @param {string} weight */
    sampleChunk(c, to, weight) {
        const n = rowCount(c);
        to.push({ t: times(c, n), lane: column(c, 'lane', n, Int32Array), stack: column(c, 'stack', n, Int32Array), task: column(c, 'task', n, Int32Array, -1), cpu: column(c, weight, n, Float64Array, 0) });
        this.rows += n;
    }

    /** @param {Chunk} c */
    requestChunk(c) {
        const n = rowCount(c);
        this.batch.requests.push({ t: times(c, n), dur: column(c, 'dur', n, Float64Array), object: column(c, 'object', n, Int32Array, -1), lane: column(c, 'lane', n, Int32Array, -1), side: column(c, 'side', n, Int32Array, -1), end: column(c, 'end_lane', n, Int32Array, -1), flags: column(c, 'flags', n, Int32Array, 0) });
        this.rows += n;
    }

    /** @param {Chunk} c */
    frameChunk(c) {
        const n = rowCount(c);
        this.batch.frames.push({ func: column(c, 'func', n, Int32Array), file: column(c, 'file', n, Int32Array, -1), line: column(c, 'line', n, Int32Array, 0) });
    }

    /** A parent always comes before its children, so walking up ends. @param {Chunk} c */
    stackChunk(c) {
        const n = rowCount(c);
        const frame = column(c, 'frame', n, Int32Array);
        const parent = column(c, 'up', n, Int32Array, 0);
        for (let i = 0; i < n; i++) {
            const self = this.stacks + i;
            if (parent[i] < 0 || parent[i] > self) return damaged(c, `row ${i} points ${parent[i]} back, but ${self} stacks came before`);
            parent[i] = parent[i] === 0 ? -1 : self - parent[i];
        }
        this.stacks += n;
        this.batch.stacks.push({ frame, parent });
    }

    /** @param {RowTable} table @param {number} name @param {number} task */
    hue(table, name, task) {
        if (table === 'region' || table === 'call') return this.stringHue[name] ?? HUE.none;
        if (table === 'work') return hueOfTask(task);
        if (table === 'wait') return this.strings[name] === 'full' ? HUE.waitFull : HUE.waitEmpty;
        return table === 'gc' ? HUE.gc : HUE.lost;
    }

    /** @param {RowTable} table @param {number} lane @param {number} depth @param {boolean} hasExtra @param {boolean} [hasDetail] */
    builder(table, lane, depth, hasExtra, hasDetail = false) {
        const key = `${table} ${lane} ${depth}`;
        let b = this.builders.get(key);
        if (!b) {
            b = { table, lane, depth, builder: new SegBuilder(hasExtra, hasDetail), end: -Infinity };
            this.builders.set(key, b);
        }
        return b;
    }

    /** @param {{table: RowTable, lane: number, depth: number, builder: SegBuilder}} b */
    seal(b) {
        this.batch.segs.push({ table: b.table, lane: b.lane, depth: b.depth, seg: b.builder.seal() });
    }

    /** @param {Chunk} c @param {string} nameKey @param {boolean} withText */
    marksChunk(c, nameKey, withText) {
        const n = rowCount(c);
        this.batch.marks.push({ lane: number(c, 'lane'), n, t: times(c, n), name: column(c, nameKey, n, Int32Array), task: column(c, 'task', n, Int32Array, -1),
            text: withText ? texts(c, 'text', n) : null });
        this.rows += n;
    }

    /** @param {Chunk} c @param {'counter'|'depth'} kind @param {string} key */
    pointsChunk(c, kind, key) {
        const n = rowCount(c);
        this.batch.points.push({ kind, lane: number(c, 'lane'), key: number(c, key), t: times(c, n), v: column(c, 'v', n, Float64Array) });
        this.rows += n;
    }

    /** @param {Chunk} c */
    allocChunk(c) {
        const n = rowCount(c);
        const sum = (/** @type {string} */ key) => column(c, key, n, Float64Array).reduce((a, b) => a + b, 0);
        this.batch.allocs.push({ lane: number(c, 'lane'), calls: sum('calls'), bytes: sum('bytes'), frees: sum('frees') });
        this.rows += n;
    }

    /** @param {Chunk} c */
    taskChunk(c) {
        const n = rowCount(c);
        const f = (/** @type {string} */ key, /** @type {number} */ fallback) => column(c, key, n, Float64Array, fallback);
        const trace = c.trace === undefined ? '' : typeof c.trace === 'string' ? c.trace : texts(c, 'trace', n);
        this.batch.tasks.push({ n, id: column(c, 'id', n, Float64Array), parent: f('parent', -1), kind: f('kind', -1), start: column(c, 'start', n, Float64Array),
            dur: column(c, 'dur', n, Float64Array), status: f('status', 0), lane: f('lane', -1), end_lane: f('end_lane', -1), code: f('code', 0), text: f('text', -1),
            flags: f('flags', 0), trace });
        this.rows += n;
    }

    /** @param {Chunk} c */
    attrChunk(c) {
        const n = rowCount(c);
        const value = c.value;
        if (!Array.isArray(value) || value.length !== n) return damaged(c, `column "value" is not ${n} values`);
        this.batch.attrs.push({ task: column(c, 'task', n, Int32Array), key: column(c, 'key', n, Int32Array), value: value.map((v) => (typeof v === 'number' ? v : String(v))) });
        this.rows += n;
    }
}
