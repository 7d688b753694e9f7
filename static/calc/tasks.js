// tasks.js - tasks by kind, and what one task's time went into.

import { summarize } from './stats.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{kind: number, n: number, total: number, p50: number, p90: number, p99: number, max: number, failed: number, open: number}} KindStat */

/** @param {Model} model @returns {KindStat[]} most time first; percentiles are of tasks that ended */
export function taskKinds(model) {
    const tasks = model.tasks();
    const [kind, dur, status] = [tasks.column('kind'), tasks.column('dur'), tasks.column('status')];
    /** @type {Map<number, number[]>} */
    const rows = new Map();
    for (let i = 0; i < tasks.n; i++) {
        const list = rows.get(kind[i]);
        if (list) list.push(i);
        else rows.set(kind[i], [i]);
    }
    const stats = [];
    for (const [k, list] of rows) {
        const ended = list.filter((i) => status[i] !== 2);
        const s = summarize(Float64Array.from(ended, (i) => dur[i]));
        stats.push({ ...s, kind: k, n: list.length, failed: list.filter((i) => status[i] === 1).length, open: list.length - ended.length });
    }
    return stats.sort((a, b) => b.total - a.total);
}

/** @typedef {{lanes: Set<number>, workedNs: number, waitedNs: number, waits: {why: string, object: string, n: number, ns: number}[]}} TaskUse */

/** The lanes a task touched, and how long it was worked for and waited at queues. @param {Model} model @param {number} id @returns {TaskUse} */
export function taskUse(model, id) {
    /** @type {TaskUse} */
    const use = { lanes: new Set(), workedNs: 0, waitedNs: 0, waits: [] };
    /** @type {Map<string, TaskUse['waits'][0]>} */
    const waits = new Map();
    for (const lane of model.lanes.values()) {
        for (const row of lane.rows) {
            eachOfTask(row, id, (seg, i) => {
                use.lanes.add(lane.id);
                if (row.table === 'work') use.workedNs += seg.dur[i];
                if (row.table === 'wait') addWait(model, waits, seg, i);
            });
        }
        if (lane.marks.task.includes(id)) use.lanes.add(lane.id);
    }
    use.waits = [...waits.values()].sort((a, b) => b.ns - a.ns);
    use.waitedNs = use.waits.reduce((sum, w) => sum + w.ns, 0);
    return use;
}

/** @param {import('../data/types.js').Row} row @param {number} id @param {(seg: import('../data/types.js').Seg, i: number) => void} visit */
function eachOfTask(row, id, visit) {
    for (const seg of row.segs) for (let i = seg.task.indexOf(id); i >= 0; i = seg.task.indexOf(id, i + 1)) visit(seg, i);
}

/** @param {Model} model @param {Map<string, TaskUse['waits'][0]>} waits @param {import('../data/types.js').Seg} seg @param {number} i */
function addWait(model, waits, seg, i) {
    const object = seg.extra ? (model.objects.get(seg.extra[i])?.name ?? `queue ${seg.extra[i]}`) : '';
    const why = model.string(seg.name[i]);
    const key = `${why} ${object}`;
    const w = waits.get(key) ?? { why, object, n: 0, ns: 0 };
    w.n++;
    w.ns += seg.dur[i];
    waits.set(key, w);
}

/** Log lines and instants of one task, in order of time. @param {Model} model @param {number} id */
export function taskMarks(model, id) {
    const found = [];
    for (const lane of model.lanes.values()) {
        const { marks } = lane;
        for (let i = marks.task.indexOf(id); i >= 0; i = marks.task.indexOf(id, i + 1)) found.push({ lane: lane.id, t: marks.t[i], name: marks.name[i], text: marks.text[i] });
    }
    return found.sort((a, b) => a.t - b.t);
}

/** Log lines and instants on one lane within a time. @param {Model} model @param {number} lane @param {number} t0 @param {number} t1 @param {number} limit */
export function laneMarks(model, lane, t0, t1, limit) {
    const marks = model.lanes.get(lane)?.marks;
    const found = [];
    if (marks) for (let i = marks.t.findIndex((t) => t >= t0); i >= 0 && i < marks.t.length && marks.t[i] <= t1 && found.length < limit; i++) found.push({ lane, t: marks.t[i], name: marks.name[i], text: marks.text[i] });
    return found;
}

