// derived.js - lanes that no thread has: one per object that was waited for, one per kind of task. Made when first asked for.
//
// Slices of one such lane overlap (many threads wait for one lock), so they are laid into rows: each goes into the first row that is
// free. What finds none within ROWS_MAX is counted, and the lane's title tells.

import { hueOfLane, hueOfTask } from './hues.js';
import { eachSlice } from './model.js';
import { SegBuilder, unpackSeg } from './seg.js';
import { RUNNING, unpackPlace } from './states.js';
import { count } from '../fmt.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./types.js').Lane} Lane */
/** @typedef {{start: number, dur: number, name: number, task: number, hue: number}} Piece */

/** More rows than that are not read any more. */
const ROWS_MAX = 24;
/** Far below CPUs, so that no number means two things. */
const OBJECT_LANE = -1e9;
const KIND_LANE = -2e9;

/** @param {number} id @param {string} name @param {import('./types.js').RowTable} table @param {Piece[]} pieces @returns {Lane} */
function packed(id, name, table, pieces) {
    pieces.sort((a, b) => a.start - b.start || b.dur - a.dur);
    /** @type {{end: number, builder: SegBuilder, segs: import('./types.js').Seg[]}[]} */
    const rows = [];
    let left = 0;
    for (const p of pieces) {
        let row = rows.find((r) => r.end <= p.start);
        if (!row && rows.length < ROWS_MAX) rows.push((row = { end: 0, builder: new SegBuilder(false), segs: [] }));
        if (!row) {
            left++;
            continue;
        }
        row.end = p.start + p.dur;
        row.builder.add(p.start, p.dur, p.name, p.task, 0, 0, p.hue);
        if (row.builder.full()) row.segs.push(unpackSeg(row.builder.seal()));
    }
    return { id, kind: 'derived', pid: 0, tid: 0, sort: 0, name: left ? `${name} (+${count(left)} more)` : name, marks: { t: [], name: [], task: [], text: [] },
        rows: rows.map((r, depth) => {
            if (r.builder.n > 0) r.segs.push(unpackSeg(r.builder.seal()));
            return { table, lane: id, depth, segs: r.segs, n: r.segs.reduce((n, s) => n + s.n, 0) };
        }) };
}

/** @param {Map<number, Piece[]>} groups @param {number} key @param {Piece} piece */
function put(groups, key, piece) {
    const list = groups.get(key);
    if (list) list.push(piece);
    else groups.set(key, [piece]);
}

/** Who waited for what: waits at queues, and blocked states that name an object. @param {Model} model @returns {Lane[]} */
export function objectLanes(model) {
    return model.memo('object lanes', () => {
        /** @type {Map<number, Piece[]>} */
        const groups = new Map();
        for (const table of /** @type {const} */ (['wait', 'state'])) {
            for (const row of model.rowsOf(table)) {
                eachSlice(row, -Infinity, Infinity, (seg, i) => {
                    const object = table === 'wait' ? (seg.extra?.[i] ?? -1) : seg.name[i] === RUNNING ? -1 : unpackPlace(seg.extra?.[i] ?? 0).object;
                    if (object >= 0) put(groups, object, { start: seg.start[i], dur: seg.dur[i], name: row.lane, task: -1, hue: hueOfLane(row.lane) });
                });
            }
        }
        return [...groups].map(([id, list]) => packed(OBJECT_LANE - id, model.objectTitle(id), 'cpu', list)).sort((a, b) => total(b) - total(a));
    });
}

/** @param {Lane} lane */
function total(lane) {
    let ns = 0;
    for (const row of lane.rows) for (const seg of row.segs) for (const d of seg.dur) ns += d;
    return ns;
}

/** Every task of a kind, side by side. @param {Model} model @returns {Lane[]} */
export function kindLanes(model) {
    return model.memo('kind lanes', () => {
        const tasks = model.tasks();
        const [id, kind, start, dur] = [tasks.column('id'), tasks.column('kind'), tasks.column('start'), tasks.column('dur')];
        /** @type {Map<number, Piece[]>} */
        const groups = new Map();
        for (let i = 0; i < tasks.n; i++) {
            const from = Math.max(0, start[i]);
            put(groups, kind[i], { start: from, dur: Math.max(0, start[i] + dur[i] - from), name: -1, task: id[i], hue: hueOfTask(id[i]) });
        }
        return [...groups].map(([k, list]) => packed(KIND_LANE - k, model.string(k) || 'tasks', 'work', list)).sort((a, b) => total(b) - total(a));
    });
}
