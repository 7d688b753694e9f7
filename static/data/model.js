// model.js - a capture in memory, as the pages read it. Fed with batches from the worker, grows while it loads.
//
//   Model -> lanes -> rows (one table, one depth: disjoint slices) -> segs (1,024 slices and their pyramid)
//         -> series (counters, queue depths), tasks, attributes
//
// What is derived (tasks by kind, series, lane order) is made when asked for and kept until the model's `version` has moved on.

import { unpackSeg } from './seg.js';
import { naturalCompare } from '../calc/sort.js';
import { Numbers } from '../calc/stats.js';
import { CPU_LANE } from './states.js';

/** @typedef {import('./types.js').Lane} Lane */
/** @typedef {import('./types.js').Row} Row */
/** @typedef {import('./types.js').Seg} Seg */
/** @typedef {import('./types.js').Slice} Slice */
/** @typedef {import('./types.js').Series} Series */
/** @typedef {import('./types.js').Task} Task */
/** @typedef {{func: string, file: string, place: string}} Frame  place: "file.c:12", as far as it is known */

export const OPEN_START = 1;
export const OPEN_END = 2;
/** Of a state: how long is known, where between two looks is not. */
export const ESTIMATED = 4;
/** Points per block of a series, whose least and greatest value are kept. */
export const SERIES_BLOCK = 64;
const LOCK_ADDRESS = /^0x[0-9a-f]{4,16}$/;

/** Order of the rows inside a lane, top down. */
const TABLE_ORDER = { cpu: 0, state: 0, work: 1, wait: 2, gc: 3, region: 4, call: 5, lost: 6 };

export class Model {
    constructor() {
        this.version = 0;
        /** @type {import('./types.js').CaptureHead|null} */
        this.head = null;
        /** @type {import('./types.js').CaptureEnd|null} */
        this.end = null;
        /** @type {string|null} what stopped the reading, if something did */
        this.stopped = null;
        this.loading = true;
        /** @type {string[]} */
        this.strings = [];
        /** @type {Map<number, Lane>} */
        this.lanes = new Map();
        /** @type {Map<number, import('./types.js').QueueObject>} */
        this.objects = new Map();
        /** @type {Record<string, number>} */
        this.skipped = {};
        this.latest = 0;
        this.sliceCount = 0;
        this.markCount = 0;
        /** @type {Map<string, {kind: 'counter'|'depth', key: number, pid: number, t: Numbers, v: Numbers, series: Series|null}>} */
        this.points = new Map();
        /** @type {import('./types.js').TaskChunk[]} */
        this.taskChunks = [];
        /** @type {import('./types.js').AttrChunk[]} */
        this.attrChunks = [];
        /** @type {import('./types.js').WakeChunk[]} */
        this.wakeChunks = [];
        /** @type {import('./types.js').SampleChunk[]} */
        this.sampleChunks = [];
        /** @type {import('./types.js').SampleChunk[]} */
        this.allocSampleChunks = [];
        /** @type {import('./types.js').RequestChunk[]} */
        this.requestChunks = [];
        /** @type {import('./types.js').FrameChunk[]} */
        this.frameChunks = [];
        /** @type {import('./types.js').StackChunk[]} */
        this.stackChunks = [];
        /** @type {Map<number, import('./types.js').Allocated>} by lane */
        this.allocated = new Map();
        /** @type {Map<string, {version: number, value: unknown}>} */
        this.derived = new Map();
    }

    /** @template T @param {string} key @param {() => T} make @returns {T} */
    memo(key, make) {
        const known = this.derived.get(key);
        if (known && known.version === this.version) return /** @type {T} */ (known.value);
        const value = make();
        this.derived.set(key, { version: this.version, value });
        return value;
    }

    /** @param {import('./types.js').Batch} batch */
    add(batch) {
        for (const s of batch.strings) this.strings.push(s);
        for (const l of batch.lanes) Object.assign(this.lane(l.id), l);
        for (const o of batch.objects) this.objects.set(o.id, o);
        for (const s of batch.segs) this.addSeg(s.table, s.lane, s.depth, unpackSeg(s.seg));
        for (const m of batch.marks) this.addMarks(m);
        for (const p of batch.points) this.addPoints(p);
        this.taskChunks.push(...batch.tasks);
        this.attrChunks.push(...batch.attrs);
        this.wakeChunks.push(...batch.wakes);
        this.sampleChunks.push(...batch.samples);
        this.allocSampleChunks.push(...batch.allocSamples);
        this.requestChunks.push(...batch.requests);
        this.frameChunks.push(...batch.frames);
        this.stackChunks.push(...batch.stacks);
        for (const a of batch.allocs) this.addAllocated(a);
        for (const [table, n] of Object.entries(batch.skipped)) this.skipped[table] = (this.skipped[table] ?? 0) + n;
        this.version++;
    }

    /** @param {number} id @returns {Lane} */
    lane(id) {
        let lane = this.lanes.get(id);
        if (!lane) {
            lane = { id, kind: id <= CPU_LANE ? 'cpu' : 'thread', pid: 0, tid: 0, name: '', sort: 0, rows: [], marks: { t: [], name: [], task: [], text: [] } };
            this.lanes.set(id, lane);
        }
        return lane;
    }

    /** @param {import('./types.js').RowTable} table @param {number} laneId @param {number} depth @param {Seg} seg */
    addSeg(table, laneId, depth, seg) {
        const lane = this.lane(laneId);
        let row = lane.rows.find((r) => r.table === table && r.depth === depth);
        if (!row) {
            row = { table, lane: laneId, depth, segs: [], n: 0 };
            lane.rows.push(row);
            lane.rows.sort((a, b) => TABLE_ORDER[a.table] - TABLE_ORDER[b.table] || a.depth - b.depth);
        }
        const last = row.segs[row.segs.length - 1];
        row.segs.push(seg);
        if (last && last.t0 > seg.t0) row.segs.sort((a, b) => a.t0 - b.t0);
        row.n += seg.n;
        if (table !== 'cpu') this.sliceCount += seg.n; /* those are counted on their threads */
        this.latest = Math.max(this.latest, seg.t1);
    }

    /** @param {import('./types.js').MarkChunk} chunk */
    addMarks(chunk) {
        const marks = this.lane(chunk.lane).marks;
        const sorted = marks.t.length === 0 || chunk.n === 0 || marks.t[marks.t.length - 1] <= chunk.t[0];
        for (let i = 0; i < chunk.n; i++) {
            marks.t.push(chunk.t[i]);
            marks.name.push(chunk.name[i]);
            marks.task.push(chunk.task[i]);
            marks.text.push(chunk.text ? chunk.text[i] : null);
        }
        if (!sorted) sortMarks(marks);
        if (chunk.n > 0) this.latest = Math.max(this.latest, chunk.t[chunk.n - 1]);
        this.markCount += chunk.n;
    }

    /** @param {import('./types.js').Allocated} more */
    addAllocated(more) {
        const sums = this.allocated.get(more.lane) ?? { lane: more.lane, calls: 0, bytes: 0, frees: 0 };
        this.allocated.set(more.lane, { lane: more.lane, calls: sums.calls + more.calls, bytes: sums.bytes + more.bytes, frees: sums.frees + more.frees });
    }

    /** @param {import('./types.js').PointChunk} chunk */
    addPoints(chunk) {
        const pid = chunk.kind === 'counter' ? this.lane(chunk.lane).pid : 0; /* each process has counters of its own */
        const key = `${chunk.kind} ${chunk.key} ${pid}`;
        let p = this.points.get(key);
        if (!p) {
            p = { kind: chunk.kind, key: chunk.key, pid, t: new Numbers(), v: new Numbers(), series: null };
            this.points.set(key, p);
        }
        for (let i = 0; i < chunk.t.length; i++) {
            p.t.push(chunk.t[i]);
            p.v.push(chunk.v[i]);
        }
        p.series = null;
    }

    /** What the capture covers: 0 .. this. */
    get duration() {
        return Math.max(this.end?.dur_ns ?? 0, this.latest, this.end ? 0 : (this.head?.dur_ns ?? 0), 1000);
    }

    /** @param {number} id */
    string(id) {
        return this.strings[id] ?? (id < 0 ? '' : `string ${id}`);
    }

    /** @param {Lane} lane */
    laneName(lane) {
        if (lane.kind === 'cpu') return `CPU ${CPU_LANE - lane.id}`;
        if (lane.id < 0) return 'threads without a record';
        const name = lane.name || (lane.tid ? `thread ${lane.tid}` : `lane ${lane.id}`);
        return lane.kind === 'signal' ? `${name} · signals` : name;
    }

    /** Natural order of names; a thread's signal lane comes after its own. @returns {Lane[]} */
    sortedLanes() {
        return this.memo('lanes', () => [...this.lanes.values()].filter((l) => l.kind !== 'cpu').sort((a, b) =>
            naturalCompare(a.name, b.name) || a.tid - b.tid || (a.kind === 'signal' ? 1 : 0) - (b.kind === 'signal' ? 1 : 0) || a.sort - b.sort || a.id - b.id));
    }

    /** @returns {Lane[]} */
    cpuLanes() {
        return this.memo('cpu lanes', () => [...this.lanes.values()].filter((l) => l.kind === 'cpu').sort((a, b) => b.id - a.id));
    }

    /** How many CPUs ran a thread of the program. */
    ownCpus() {
        return this.memo('own cpus', () => this.cpuLanes().filter((l) => l.rows.some((r) => r.segs.some((s) => s.name.some((n) => n >= 0)))).length);
    }

    /** Who had a CPU: a thread, or another process. @param {Seg} seg of a CPU's lane @param {number} i */
    runnerName({ name, extra }, i) {
        return name[i] < -1 ? `${this.string(-2 - name[i]) || 'process'} (pid ${extra?.[i]})` : this.laneName(this.lane(name[i]));
    }

    /** Who woke whom, in order of time. @returns {import('./types.js').WakeChunk} */
    wakes() {
        return this.memo('wakes', () => sortByTime({ t: joined(Float64Array, this.wakeChunks.map((c) => c.t)), from: joined(Int32Array, this.wakeChunks.map((c) => c.from)), to: joined(Int32Array, this.wakeChunks.map((c) => c.to)) }));
    }

    /** CPU samples, or those of allocations, in order of time. @param {boolean} [alloc] @returns {import('./types.js').SampleChunk} */
    samples(alloc) {
        const chunks = alloc ? this.allocSampleChunks : this.sampleChunks;
        const all = (/** @type {'lane'|'stack'|'task'} */ k) => joined(Int32Array, chunks.map((c) => c[k]));
        return this.memo(`samples${alloc}`, () => sortByTime({ t: joined(Float64Array, chunks.map((c) => c.t)), lane: all('lane'), stack: all('stack'), task: all('task'), cpu: joined(Float64Array, chunks.map((c) => c.cpu)) }));
    }

    /** The functions of a stack, innermost first. @param {number} stack @returns {Frame[]} */
    frames(stack) {
        const s = this.memo('stacks', () => ({ frame: joined(Int32Array, this.stackChunks.map((c) => c.frame)), parent: joined(Int32Array, this.stackChunks.map((c) => c.parent)) }));
        const f = this.memo('frames', () => ({ func: joined(Int32Array, this.frameChunks.map((c) => c.func)), file: joined(Int32Array, this.frameChunks.map((c) => c.file)), line: joined(Int32Array, this.frameChunks.map((c) => c.line)) }));
        const out = [];
        for (let at = stack; at >= 0 && at < s.frame.length; at = s.parent[at]) {
            const k = s.frame[at];
            const file = this.string(f.file[k] ?? -1);
            out.push({ func: k >= 0 && k < f.func.length ? this.string(f.func[k]) : `frame ${k}`, file, place: file.slice(file.lastIndexOf('/') + 1) + (file && f.line[k] > 0 ? `:${f.line[k]}` : '') });
        }
        return out;
    }

    /** What the program calls an object. @param {number} id */
    objectName(id) {
        const o = this.objects.get(id);
        return o?.name || (o ? `${o.kind} ${id}` : `object ${id}`);
    }

    /** The same where there is little room: a lock that has only an address is called by the end of it. @param {number} id */
    objectTitle(id) {
        const name = this.objectName(id);
        return LOCK_ADDRESS.test(name) && this.objects.get(id)?.kind === 'lock' ? `lock ${name.slice(-this.lockDigits())}` : name;
    }

    /** So many that no two locks of the capture have the same. */
    lockDigits() {
        return this.memo('lock digits', () => {
            const all = [...new Set([...this.objects.values()].filter((o) => o.kind === 'lock' && LOCK_ADDRESS.test(o.name)).map((o) => o.name))];
            let digits = 3;
            while (digits < 16 && new Set(all.map((name) => name.slice(-digits))).size < all.length) digits++;
            return digits;
        });
    }

    /** @param {number} lane @param {import('./types.js').RowTable} table @param {number} [depth] */
    row(lane, table, depth = 0) {
        return this.lanes.get(lane)?.rows.find((r) => r.table === table && r.depth === depth);
    }

    /** @param {import('./types.js').RowTable} table @returns {Row[]} */
    rowsOf(table) {
        return this.memo(`rows ${table}`, () => this.sortedLanes().flatMap((l) => l.rows.filter((r) => r.table === table)));
    }

    /** @returns {Series[]} counters by name, then queue depths by queue */
    series() {
        return this.memo('series', () => [...this.points.values()].map((p) => (p.series ??= this.makeSeries(p)))
            .sort((a, b) => (a.kind === b.kind ? naturalCompare(a.title, b.title) : a.kind === 'counter' ? -1 : 1)));
    }

    /** @param {{kind: 'counter'|'depth', key: number, pid: number, t: Numbers, v: Numbers}} p @returns {Series} */
    makeSeries(p) {
        const several = p.kind === 'counter' && [...this.points.values()].some((other) => other.kind === 'counter' && other.key === p.key && other.pid !== p.pid);
        const title = p.kind === 'counter' ? `${this.string(p.key)}${several ? ` · ${p.pid}` : ''}` : (this.objects.get(p.key)?.name ?? `queue ${p.key}`);
        return buildSeries(title, p.kind, p.t.values(), p.v.values());
    }

    /** @returns {{n: number, column: (name: 'id'|'parent'|'kind'|'start'|'dur'|'status') => Float64Array, at: (i: number) => Task, indexOf: (id: number) => number}} */
    tasks() {
        return this.memo('tasks', () => makeTasks(this.taskChunks));
    }

    /** @param {number} id @returns {Task|null} */
    task(id) {
        const i = id < 0 ? -1 : this.tasks().indexOf(id);
        return i < 0 ? null : this.tasks().at(i);
    }

    /** @param {number} id the words that name a task everywhere: its kind and number */
    taskTitle(id) {
        const task = this.task(id);
        return task && task.kind >= 0 ? `${this.string(task.kind)} #${id}` : `task #${id}`;
    }

    /** @param {number} taskId @returns {{key: string, value: string|number}[]} */
    attrs(taskId) {
        const index = this.memo('attrs', () => {
            /** @type {Map<number, [number, number][]>} */
            const map = new Map();
            this.attrChunks.forEach((chunk, c) => chunk.task.forEach((task, i) => {
                const list = map.get(task);
                if (list) list.push([c, i]);
                else map.set(task, [[c, i]]);
            }));
            return map;
        });
        return (index.get(taskId) ?? []).map(([c, i]) => ({ key: this.string(this.attrChunks[c].key[i]), value: this.attrChunks[c].value[i] }));
    }

    /** @param {number} parent @returns {number[]} */
    children(parent) {
        const index = this.memo('children', () => {
            const tasks = this.tasks();
            /** @type {Map<number, number[]>} */
            const map = new Map();
            tasks.column('parent').forEach((p, i) => {
                if (p < 0) return;
                const list = map.get(p);
                if (list) list.push(tasks.column('id')[i]);
                else map.set(p, [tasks.column('id')[i]]);
            });
            return map;
        });
        return index.get(parent) ?? [];
    }

    /** What the open end of the capture lost. */
    lostTotal() {
        const a = this.end?.account ?? {};
        return ['lost_full', 'lost_nested', 'lost_queue', 'lost_late', 'lost_stall'].reduce((sum, k) => sum + (a[k] ?? 0), 0);
    }
}

/** @template {Float64Array|Int32Array} T @param {new (n: number) => T} type @param {T[]} pieces @returns {T} */
function joined(type, pieces) {
    const all = new type(pieces.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of pieces) {
        all.set(/** @type {any} */ (p), at);
        at += p.length;
    }
    return all;
}

/** Columns of the same length, by their time. @template {{t: Float64Array}} T @param {T} columns @returns {T} */
function sortByTime(columns) {
    const { t } = columns;
    const order = Uint32Array.from(t, (_, i) => i).sort((a, b) => t[a] - t[b] || a - b);
    const out = /** @type {Record<string, any>} */ ({});
    for (const [key, column] of Object.entries(columns)) out[key] = column.map((/** @type {number} */ _, /** @type {number} */ i) => column[order[i]]);
    return /** @type {T} */ (out);
}

/** @param {import('./types.js').Marks} marks */
function sortMarks(marks) {
    const order = marks.t.map((_, i) => i).sort((a, b) => marks.t[a] - marks.t[b]);
    marks.t = order.map((i) => marks.t[i]);
    marks.name = order.map((i) => marks.name[i]);
    marks.task = order.map((i) => marks.task[i]);
    marks.text = order.map((i) => marks.text[i]);
}

/**
 * @param {string} title @param {'counter'|'depth'} kind @param {Float64Array} t @param {Float64Array} v
 * @returns {Series} sorted by time, whichever threads the points came from
 */
export function buildSeries(title, kind, t, v) {
    let sorted = true;
    for (let i = 1; i < t.length && sorted; i++) sorted = t[i - 1] <= t[i];
    if (!sorted) {
        const order = Uint32Array.from(t, (_, i) => i).sort((a, b) => t[a] - t[b] || a - b);
        const [st, sv] = [t, v];
        t = Float64Array.from(order, (i) => st[i]);
        v = Float64Array.from(order, (i) => sv[i]);
    }
    const blocks = Math.ceil(t.length / SERIES_BLOCK);
    const lo = new Float64Array(blocks).fill(Infinity);
    const hi = new Float64Array(blocks).fill(-Infinity);
    for (let i = 0; i < v.length; i++) {
        const b = (i / SERIES_BLOCK) | 0;
        if (v[i] < lo[b]) lo[b] = v[i];
        if (v[i] > hi[b]) hi[b] = v[i];
    }
    return { title, kind, n: t.length, t, v, lo, hi, min: lo.reduce((a, b) => Math.min(a, b), Infinity), max: hi.reduce((a, b) => Math.max(a, b), -Infinity) };
}

/** @param {import('./types.js').TaskChunk[]} chunks */
function makeTasks(chunks) {
    const n = chunks.reduce((sum, c) => sum + c.n, 0);
    /** @type {Map<string, Float64Array>} */
    const columns = new Map();
    const column = (/** @type {'id'|'parent'|'kind'|'start'|'dur'|'status'|'lane'|'end_lane'|'code'|'text'|'flags'} */ name) => {
        let all = columns.get(name);
        if (!all) {
            all = new Float64Array(n);
            let at = 0;
            for (const c of chunks) {
                all.set(c[name], at);
                at += c.n;
            }
            columns.set(name, all);
        }
        return all;
    };
    const firstOf = chunks.map(((at) => (/** @type {{n: number}} */ c) => (at += c.n) - c.n)(0));
    const trace = (/** @type {number} */ i) => {
        let c = 0;
        while (c + 1 < chunks.length && firstOf[c + 1] <= i) c++;
        const value = chunks[c].trace;
        return typeof value === 'string' ? value : value[i - firstOf[c]];
    };
    /** @type {Map<number, number>|null} */
    let index = null;
    return {
        n,
        column,
        /** @param {number} i */
        at: (i) => ({ id: column('id')[i], parent: column('parent')[i], kind: column('kind')[i], start: column('start')[i], dur: column('dur')[i], status: column('status')[i],
            lane: column('lane')[i], endLane: column('end_lane')[i], code: column('code')[i], text: column('text')[i], flags: column('flags')[i], trace: trace(i) }),
        /** @param {number} id */
        indexOf: (id) => {
            if (!index) {
                index = new Map();
                const ids = column('id');
                for (let i = 0; i < n; i++) index.set(ids[i], i);
            }
            return index.get(id) ?? -1;
        },
    };
}

// ---- Finding slices ----

/** @param {Seg[]} segs @param {number} t @returns {number} the first seg that ends after t */
export function segAfter(segs, t) {
    let lo = 0;
    let hi = segs.length;
    while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (segs[mid].t1 <= t) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/** @param {ArrayLike<number>} sorted @param {number} n @param {number} t @returns {number} the first index whose value is > t */
export function upperBound(sorted, n, t) {
    let lo = 0;
    let hi = n;
    while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (sorted[mid] <= t) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/** The slice at time t, or the nearest one within reach on either side. @param {Row} row @param {number} t @param {number} [reach] @returns {Slice|null} */
export function sliceAt(row, t, reach = 0) {
    /** @type {Slice|null} */
    let best = null;
    let bestGap = Infinity;
    for (let s = segAfter(row.segs, t - reach); s < row.segs.length && row.segs[s].t0 <= t + reach; s++) {
        const seg = row.segs[s];
        const at = upperBound(seg.start, seg.n, t);
        for (const i of [at - 1, at]) {
            if (i < 0 || i >= seg.n) continue;
            const from = seg.start[i];
            const to = from + seg.dur[i];
            const gap = t < from ? from - t : t >= to ? t - to : -1;
            if (gap <= reach && gap < bestGap) {
                best = { row, seg, i };
                bestGap = gap;
            }
        }
    }
    return best;
}

/** The slice before or after this one in its row. @param {Slice} slice @param {-1|1} step @returns {Slice|null} */
export function neighbour({ row, seg, i }, step) {
    if (i + step >= 0 && i + step < seg.n) return { row, seg, i: i + step };
    const next = row.segs[row.segs.indexOf(seg) + step];
    return next ? { row, seg: next, i: step > 0 ? 0 : next.n - 1 } : null;
}

/** Calls back for each slice that overlaps [t0, t1), in order. @param {Row} row @param {number} t0 @param {number} t1 @param {(seg: Seg, i: number) => void} visit */
export function eachSlice(row, t0, t1, visit) {
    for (let s = segAfter(row.segs, t0); s < row.segs.length && row.segs[s].t0 < t1; s++) {
        const seg = row.segs[s];
        let i = Math.max(0, upperBound(seg.start, seg.n, t0) - 1);
        for (; i < seg.n && seg.start[i] < t1; i++) if (seg.start[i] + seg.dur[i] > t0 || seg.start[i] >= t0) visit(seg, i);
    }
}

/** Duration of a region without what the regions directly inside it took. @param {Model} model @param {Slice} slice */
export function selfTime(model, { row, seg, i }) {
    const from = seg.start[i];
    const to = from + seg.dur[i];
    const inner = model.row(row.lane, 'region', row.depth + 1);
    let covered = 0;
    if (inner) eachSlice(inner, from, to, (s, k) => { covered += Math.max(0, Math.min(to, s.start[k] + s.dur[k]) - Math.max(from, s.start[k])); });
    return Math.max(0, seg.dur[i] - covered);
}
