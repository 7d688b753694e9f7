// split.js - where one task's time went, so that the parts sum to its wall time.
//
//   task    |--------------------------------------------|
//   works   |  worker-1 ........  |      | worker-2 .... |        each instant counts once, for the first of SPLIT that holds on any
//   states  | running | lock | run|      | net  | running|        thread working for it then
//   parts     running   lock  run queued   net    running
//
// A blocked thread while a collector's phase runs is "gc"; one that waits at a queue for this task "queue". A thread that works without
// a state on record is "working": it may have run or not, we do not know. Where nobody works for it, the task is "queued" if the thread
// that takes it up next is another one than it left (it began on one, too, and another one may end it), else that is "other".

import { eachSlice } from '../data/model.js';
import { STATES, isBlocked } from '../data/states.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{lane: number, from: number, to: number}} Span */

/** Parts, and which of them an instant counts for: the first that holds. */
export const SPLIT = ['running', 'runnable', 'gc', 'queue', 'lock', 'network', 'file', 'sleep', 'blocked', 'working', 'queued', 'other'];
const PART = new Map(SPLIT.map((name, i) => [name, i]));
const GC = 2;
const QUEUE = 3;
const WORKING = 9;
const QUEUED = 10;
const OTHER = 11;
const PART_OF_STATE = STATES.map((s) => PART.get(s) ?? WORKING);

/** @param {Model} model @param {'work'|'wait'} table @returns {Map<number, Span[]>} by task */
function spansByTask(model, table) {
    return model.memo(`${table} by task`, () => {
        /** @type {Map<number, Span[]>} */
        const map = new Map();
        for (const row of model.rowsOf(table)) {
            for (const seg of row.segs) {
                for (let i = 0; i < seg.n; i++) {
                    const task = seg.task[i];
                    if (task < 0) continue;
                    const span = { lane: row.lane, from: seg.start[i], to: seg.start[i] + seg.dur[i] };
                    const list = map.get(task);
                    if (list) list.push(span);
                    else map.set(task, [span]);
                }
            }
        }
        return map;
    });
}

/** Times in which any collector's phase ran, without overlaps. @param {Model} model @returns {Span[]} */
export function gcSpans(model) {
    return model.memo('gc spans', () => {
        /** @type {Span[]} */
        const all = [];
        for (const row of model.rowsOf('gc')) eachSlice(row, -Infinity, Infinity, (seg, i) => all.push({ lane: row.lane, from: seg.start[i], to: seg.start[i] + seg.dur[i] }));
        return merged(all);
    });
}

/** The same times without overlaps. @param {Span[]} all @returns {Span[]} */
export function merged(all) {
    /** @type {Span[]} */
    const out = [];
    for (const s of all.sort((a, b) => a.from - b.from)) {
        const last = out[out.length - 1];
        if (last && s.from <= last.to) last.to = Math.max(last.to, s.to);
        else out.push(s);
    }
    return out;
}

/** @param {Span[]} sorted disjoint @param {number} t @returns {number} the first that ends after t */
export function firstAfter(sorted, t) {
    let lo = 0;
    let hi = sorted.length;
    while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (sorted[mid].to <= t) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/** What holds when: +1 at its begin, -1 at its end. */
class Sweep {
    /** @param {number} from @param {number} to */
    constructor(from, to) {
        this.from = from;
        this.to = to;
        /** @type {{t: number, part: number, step: 1|-1}[]} */
        this.edges = [];
    }

    /** @param {number} part @param {number} from @param {number} to */
    add(part, from, to) {
        const [a, b] = [Math.max(from, this.from), Math.min(to, this.to)];
        if (b > a) this.edges.push({ t: a, part, step: 1 }, { t: b, part, step: -1 });
    }

    /** @returns {Float64Array} ns by part; what nothing covers is "other" */
    sums() {
        const ns = new Float64Array(SPLIT.length);
        const open = new Int32Array(SPLIT.length);
        this.edges.sort((a, b) => a.t - b.t);
        let at = this.from;
        for (const e of this.edges) {
            ns[firstOpen(open)] += e.t - at;
            at = e.t;
            open[e.part] += e.step;
        }
        ns[OTHER] += this.to - at;
        return ns;
    }
}

/** @param {Int32Array} open */
function firstOpen(open) {
    for (let p = 0; p < open.length; p++) if (open[p] > 0) return p;
    return OTHER;
}

/** A blocked state, cut where the collector ran. @param {Sweep} sweep @param {Span[]} gcs @param {number} part @param {number} from @param {number} to */
function addBlocked(sweep, gcs, part, from, to) {
    sweep.add(part, from, to);
    for (let k = firstAfter(gcs, from); k < gcs.length && gcs[k].from < to; k++) sweep.add(GC, Math.max(from, gcs[k].from), Math.min(to, gcs[k].to));
}

/** From where a thread left the task to where another one enters it. @param {Sweep} sweep @param {import('../data/types.js').Task} task @param {Span[]} works */
function addQueued(sweep, task, works) {
    let { lane, start: left } = task;
    const ended = { lane: task.endLane, from: sweep.to, to: sweep.to };
    for (const next of [...works.filter((w) => w.to > sweep.from && w.from < sweep.to).sort((a, b) => a.from - b.from), ended]) {
        if (next.lane !== lane && next.lane >= 0 && lane >= 0) sweep.add(QUEUED, Math.max(0, left), next.from); /* before the window it is not on record */
        if (next.to < left) continue;
        left = next.to;
        lane = next.lane;
    }
}

/** @param {Model} model @param {number} id @returns {Float64Array|null} ns by part of SPLIT, summing to the task's duration */
export function splitTask(model, id) {
    const task = model.task(id);
    if (!task) return null;
    const sweep = new Sweep(task.start, task.start + task.dur);
    const gcs = gcSpans(model);
    const works = spansByTask(model, 'work').get(id) ?? [];
    addQueued(sweep, task, works);
    for (const work of works) {
        sweep.add(WORKING, work.from, work.to);
        const states = model.row(work.lane, 'state');
        if (!states) continue;
        eachSlice(states, work.from, work.to, (seg, i) => {
            const [from, to] = [Math.max(work.from, seg.start[i]), Math.min(work.to, seg.start[i] + seg.dur[i])];
            const part = PART_OF_STATE[seg.name[i]];
            if (!isBlocked(seg.name[i])) sweep.add(part, from, to);
            else addBlocked(sweep, gcs, part, from, to);
        });
    }
    for (const wait of spansByTask(model, 'wait').get(id) ?? []) sweep.add(QUEUE, wait.from, wait.to);
    return sweep.sums();
}

/** @param {Model} model @param {number[]} ids @returns {Generator<void, Float64Array>} the sum of many */
export function* splitTasks(model, ids) {
    const sum = new Float64Array(SPLIT.length);
    for (const id of ids) {
        splitTask(model, id)?.forEach((ns, p) => { sum[p] += ns; });
        yield;
    }
    return sum;
}
