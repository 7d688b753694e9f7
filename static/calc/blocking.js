// blocking.js - what threads were blocked by, as weighted paths, and how locks were fought for.

import { eachSlice, sliceAt } from '../data/model.js';
import { RUNNABLE, STATES, unpackPlace } from '../data/states.js';
import { addPath, addStack, flameNode } from './flame.js';
import { Numbers, summarize } from './stats.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {'stack'|'object'|'thread'} GroupBy */
/** @typedef {{t0: number, t1: number, lane: number|null, task: number|null}} Scope */

/** Tabs of the page: which states each is about, and whether waits at queues belong to it. @type {Record<string, {title: string, states: number[], queues: boolean}>} */
export const BLOCKING = {
    sync: { title: 'Synchronisation', states: [STATES.indexOf('lock')], queues: true },
    network: { title: 'Network', states: [STATES.indexOf('network')], queues: false },
    syscall: { title: 'Files and calls', states: [STATES.indexOf('file'), STATES.indexOf('blocked')], queues: false },
    sleep: { title: 'Sleep', states: [STATES.indexOf('sleep')], queues: false },
    sched: { title: 'Scheduler', states: [RUNNABLE], queues: false },
};

/** @param {Model} model @param {string} kind of BLOCKING @param {Scope} scope @param {(w: {lane: number, start: number, ns: number, object: number, stack: number, what: string}) => void} visit @returns {Generator<void, void>} */
export function* eachWait(model, kind, scope, visit) {
    const { states, queues } = BLOCKING[kind];
    for (const row of model.rowsOf('state')) {
        if (scope.lane !== null && row.lane !== scope.lane) continue;
        const waits = queues ? model.row(row.lane, 'wait') : undefined;
        const calls = model.row(row.lane, 'call');
        eachSlice(row, scope.t0, scope.t1, (seg, i) => {
            if (!states.includes(seg.name[i])) return;
            if (waits && sliceAt(waits, seg.start[i] + seg.dur[i] / 2)) return; /* the queue's name says more, and comes below */
            const from = Math.max(scope.t0, seg.start[i]);
            visit({ lane: row.lane, start: from, ns: Math.min(scope.t1, seg.start[i] + seg.dur[i]) - from, object: unpackPlace(seg.extra?.[i] ?? 0).object, stack: seg.detail?.[i] ?? -1, what: whatOf(model, calls, seg, i) });
        });
        yield;
    }
    if (!queues) return;
    for (const row of model.rowsOf('wait')) {
        if (scope.lane !== null && row.lane !== scope.lane) continue;
        eachSlice(row, scope.t0, scope.t1, (seg, i) => {
            if (scope.task !== null && seg.task[i] !== scope.task) return;
            const from = Math.max(scope.t0, seg.start[i]);
            visit({ lane: row.lane, start: from, ns: Math.min(scope.t1, seg.start[i] + seg.dur[i]) - from, object: seg.extra?.[i] ?? -1, stack: -1, what: `queue ${model.string(seg.name[i])}` });
        });
        yield;
    }
}

/** The call in which it was met, else the cause. A state with a stack has room for nothing else: its call is found by its time. @param {Model} model @param {import('../data/types.js').Row|undefined} calls @param {import('../data/types.js').Seg} seg @param {number} i */
function whatOf(model, calls, seg, i) {
    const detail = seg.detail?.[i] ?? -1;
    if (detail <= -2) return model.string(-2 - detail);
    const call = detail >= 0 && calls ? sliceAt(calls, seg.start[i] + seg.dur[i] / 2) : null;
    return call ? model.string(call.seg.name[call.i]) : STATES[seg.name[i]];
}

/** @param {Model} model @param {string} kind @param {GroupBy} by @param {Scope} scope @returns {Generator<void, import('./flame.js').FlameNode>} */
export function* blockingFlame(model, kind, by, scope) {
    const root = flameNode(BLOCKING[kind].title);
    yield* eachWait(model, kind, scope, (w) => {
        if (by === 'stack' && w.stack >= 0) return addStack(root, model.frames(w.stack), w.ns);
        const thread = model.laneName(model.lane(w.lane));
        const object = w.object >= 0 ? model.objectName(w.object) : w.what;
        addPath(root, by === 'thread' ? [thread, object] : [object, thread], w.ns);
    });
    return root;
}

/** @param {Model} model @param {Scope} scope @param {boolean} [alloc] @returns {import('./flame.js').FlameNode} CPU samples by function, or those of allocations by bytes; the weight is CPU time, or the number of samples where the capture does not say for what time they stand */
export function cpuFlame(model, scope, alloc) {
    const root = flameNode('all samples');
    const { t, lane, stack, task, cpu } = model.samples(alloc);
    const timed = cpu.some((ns) => ns > 0);
    /** @type {Map<number, {n: number, weight: number}>} */
    const sums = new Map();
    for (let i = 0; i < t.length; i++) {
        if (t[i] < scope.t0 || t[i] >= scope.t1 || (scope.lane !== null && lane[i] !== scope.lane) || (scope.task !== null && task[i] !== scope.task)) continue;
        let sum = sums.get(stack[i]);
        if (!sum) sums.set(stack[i], (sum = { n: 0, weight: 0 }));
        sum.n++;
        sum.weight += timed ? cpu[i] : 1;
    }
    for (const [id, { n, weight }] of sums) id < 0 ? addPath(root, ['(stack not known)'], weight, n) : addStack(root, model.frames(id), weight, n);
    return root;
}

/** @typedef {{object: number, name: string, kind: string, n: number, total: number, any: number, p99: number, max: number, waiters: Map<number, number>, wakers: Map<number, number>, holders: Map<number, number>, worst: {lane: number, start: number, ns: number, stack: number}, bins: Float64Array}} LockStat */

/** Who waits at an empty queue, for a condition or for a thread's end has nothing to do: only locks and full queues are fought for. */
const CONTENDED = /lock|^queue full$/;

export const STRIP_BINS = 160;

/** Locks and full queues by how long was waited for them. @param {Model} model @returns {Generator<void, LockStat[]>} */
export function* lockStats(model) {
    /** @type {Map<number, LockStat & {values: Numbers, starts: Numbers, ends: Numbers}>} */
    const locks = new Map();
    const binNs = model.duration / STRIP_BINS;
    const wakes = model.wakes();
    yield* eachWait(model, 'sync', { t0: 0, t1: model.duration, lane: null, task: null }, (w) => {
        if (w.object < 0 || !CONTENDED.test(w.what)) return;
        let lock = locks.get(w.object);
        if (!lock) {
            lock = { object: w.object, name: model.objectName(w.object), kind: model.objects.get(w.object)?.kind ?? '', n: 0, total: 0, any: 0, p99: 0, max: 0, waiters: new Map(), wakers: new Map(), holders: new Map(), worst: { ...w, ns: -1 }, bins: new Float64Array(STRIP_BINS), values: new Numbers(), starts: new Numbers(), ends: new Numbers() };
            locks.set(w.object, lock);
        }
        lock.values.push(w.ns);
        lock.starts.push(w.start);
        lock.ends.push(w.start + w.ns);
        lock.waiters.set(w.lane, (lock.waiters.get(w.lane) ?? 0) + w.ns);
        if (w.ns > lock.worst.ns) lock.worst = w;
        addToBins(lock.bins, w.start / binNs, (w.start + w.ns) / binNs);
        const waker = wakerAt(wakes, w.lane, w.start, w.start + w.ns);
        if (waker >= 0) lock.wakers.set(waker, (lock.wakers.get(waker) ?? 0) + 1);
    });
    yield* addHolders(model, locks);
    return [...locks.values()].map(({ values, starts, ends, ...l }) => {
        const { n, total, p99, max } = summarize(values.values());
        return { ...l, n, total, p99, max, any: unionNs(starts.values().sort(), ends.values().sort()) };
    }).sort((a, b) => b.total - a.total);
}

/** Time that at least one of many spans covers. @param {Float64Array} starts sorted @param {Float64Array} ends sorted */
function unionNs(starts, ends) {
    let [sum, from] = [0, 0];
    for (let i = 0; i < starts.length; i++) {
        if (i === 0 || starts[i] > ends[i - 1]) from = starts[i]; /* all before have ended */
        if (i + 1 === starts.length || starts[i + 1] > ends[i]) sum += ends[i] - from;
    }
    return sum;
}

/** A hooked call that waited for a lock says which thread held it. @param {Model} model @param {Map<number, LockStat>} locks @returns {Generator<void, void>} */
function* addHolders(model, locks) {
    const byTid = new Map([...model.lanes.values()].filter((l) => l.tid > 0).map((l) => [l.tid, l.id]));
    for (const row of model.rowsOf('call')) {
        eachSlice(row, -Infinity, Infinity, (seg, i) => {
            const object = seg.extra?.[i] ?? -1;
            const lock = locks.get(object);
            const holder = byTid.get(seg.detail?.[i] ?? 0);
            if (lock && holder !== undefined && model.objects.get(object)?.kind === 'lock') lock.holders.set(holder, (lock.holders.get(holder) ?? 0) + seg.dur[i]);
        });
        yield;
    }
}

/** Frames between the program's call and the wait: the hooks' own, and the C library's. */
const OF_THE_CALL = /^(_*(pthread|sem)_\w+|lock_contended|lock_unusual)$/;

/** Where the program waits longest: the function that asked for the lock, else the innermost region; "" if the capture has neither. @param {Model} model @param {LockStat} lock */
export function placeOf(model, { worst }) {
    const frame = worst.stack < 0 ? null : model.frames(worst.stack).find((f) => !OF_THE_CALL.test(f.func));
    if (frame) return frame.func;
    const open = (model.lanes.get(worst.lane)?.rows ?? []).filter((r) => r.table === 'region').map((r) => sliceAt(r, worst.start)).filter((s) => s !== null);
    return open.length ? model.string(open[open.length - 1].seg.name[open[open.length - 1].i]) : '';
}

/**
 * Of the waits for one lock: the time in which whoever had it was ready to run, and had no CPU. That time the lock is not to blame for.
 *
 *   A  holds ....|runnable ....|holds|                 a wait says who had the lock when it began; from the end of another's wait on,
 *   B  |waits for A .................|holds            that one has it
 *   C      |waits for A .............|waits for B ..|
 *
 * @param {Model} model @param {number} object @returns {Generator<void, number>} ns, summed over the waits
 */
export function* starvedNs(model, object) {
    const byTid = new Map([...model.lanes.values()].filter((l) => l.tid > 0).map((l) => [l.tid, l.id]));
    /** @type {{lane: number, from: number, to: number, holder: number}[]} */
    const waits = [];
    for (const row of model.rowsOf('call')) {
        eachSlice(row, -Infinity, Infinity, (seg, i) => {
            if (seg.extra?.[i] === object && CONTENDED.test(model.string(seg.name[i]))) waits.push({ lane: row.lane, from: seg.start[i], to: seg.start[i] + seg.dur[i], holder: byTid.get(seg.detail?.[i] ?? 0) ?? -1 });
        });
        yield;
    }
    waits.sort((a, b) => a.to - b.to);
    let sum = 0;
    for (let k = 0; k < waits.length; k++) {
        let [until, first] = [waits[k].to, k];
        while (first > 0 && waits[first - 1].to > waits[k].from) { /* backwards through those that had it meanwhile */
            first--;
            sum += runnableNs(model, waits[first].lane, waits[first].to, until);
            until = waits[first].to;
        }
        sum += runnableNs(model, waits[k].holder, waits[k].from, until);
        if (k % 256 === 0) yield;
    }
    return sum;
}

/** @param {Model} model @param {number} lane @param {number} from @param {number} to */
function runnableNs(model, lane, from, to) {
    const row = model.row(lane, 'state');
    let ns = 0;
    if (row && to > from) eachSlice(row, from, to, (seg, i) => { if (seg.name[i] === RUNNABLE) ns += Math.min(to, seg.start[i] + seg.dur[i]) - Math.max(from, seg.start[i]); });
    return ns;
}

/** @param {Float64Array} bins @param {number} from in bins @param {number} to */
function addToBins(bins, from, to) {
    for (let b = Math.max(0, Math.floor(from)); b < bins.length && b < to; b++) bins[b] += Math.min(b + 1, to) - Math.max(b, from);
}

/** @param {import('../data/types.js').WakeChunk} wakes @param {number} lane @param {number} from @param {number} to @returns {number} the lane whose wake ended a wait, -1 */
function wakerAt(wakes, lane, from, to) {
    let lo = 0;
    let hi = wakes.t.length;
    while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (wakes.t[mid] <= to) lo = mid + 1;
        else hi = mid;
    }
    for (let i = lo - 1; i >= 0 && wakes.t[i] >= from; i--) if (wakes.to[i] === lane) return wakes.from[i];
    return -1;
}
