// search.js - next, previous and number of hits, over everything that has a name.
//
// Nothing is indexed: one pass over a million slices compares a million numbers, since each distinct string is matched once.

import { isEmpty } from './filter.js';
import { unpackPlace } from '../data/states.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Lane} Lane */
/** @typedef {import('../data/types.js').Row} Row */
/** @typedef {import('./filter.js').Filter} Filter */
/** @typedef {{t: number, lane: Lane, slice: import('../data/types.js').Slice|null, mark: number}} Hit  a slice, or the mark of that index */

const TABLES = new Set(['region', 'work', 'wait', 'gc']);
const STATE_TABLE = new Set(['state']);

export class Search {
    /** @param {Model} model @param {Filter} filter @param {Lane[]} lanes in the order in which they are shown @param {boolean} [everything] an empty filter lets all through */
    constructor(model, filter, lanes, everything = false) {
        this.model = model;
        this.filter = filter;
        this.lanes = filter.thread ? lanes.filter((l) => filter.thread?.test(model.laneName(l).slice(0, 4096))) : lanes;
        /** @type {Map<number, boolean>} */
        this.stringHit = new Map();
        /** @type {Map<number, boolean>} */
        this.taskHit = new Map();
        this.everything = everything;
        this.empty = isEmpty(filter) && !everything;
        this.wantsTask = filter.task !== null || filter.taskId !== null;
        this.wantsDur = filter.minNs > 0 || filter.maxNs < Infinity;
    }

    /** @param {string} s */
    textMatches(s) {
        if (this.filter.text.length === 0) return true;
        const low = s.toLowerCase();
        return this.filter.text.every((w) => low.includes(w));
    }

    /** @param {number} id */
    stringMatches(id) {
        let hit = this.stringHit.get(id);
        if (hit === undefined) this.stringHit.set(id, (hit = this.textMatches(this.model.string(id))));
        return hit;
    }

    /** @param {number} id */
    taskMatches(id) {
        if (!this.wantsTask) return true;
        if (this.filter.taskId !== null) return id === this.filter.taskId;
        if (id < 0) return false;
        let hit = this.taskHit.get(id);
        if (hit === undefined) {
            const task = this.model.task(id);
            this.taskHit.set(id, (hit = task !== null && (this.filter.task?.test(this.model.string(task.kind).slice(0, 4096)) ?? false)));
        }
        return hit;
    }

    /** @param {Row} row @param {import('../data/types.js').Seg} seg @param {number} i */
    sliceMatches(row, seg, i) {
        const dur = seg.dur[i];
        if (dur < this.filter.minNs || dur > this.filter.maxNs) return false;
        if (row.table === 'state') return (this.filter.state?.has(seg.name[i]) ?? false) && !this.wantsTask && this.stateMatches(seg, i);
        if (row.table === 'work' ? !this.workMatches(seg.task[i]) : !this.stringMatches(seg.name[i])) return false;
        return this.taskMatches(seg.task[i]);
    }

    /** Text beside state: is looked for in what was waited for. @param {import('../data/types.js').Seg} seg @param {number} i */
    stateMatches(seg, i) {
        if (this.filter.text.length === 0) return true;
        const { object } = unpackPlace(seg.extra?.[i] ?? 0);
        return object >= 0 && this.textMatches(this.model.objectName(object));
    }

    /** A work slice has the name of its task's kind. @param {number} id */
    workMatches(id) {
        if (this.filter.text.length === 0) return true;
        const task = this.model.task(id);
        return task !== null && this.stringMatches(task.kind);
    }

    /** @param {(hit: Hit) => void} visit in no order of time; the object is used again for the next */
    each(visit) {
        if (this.empty) return;
        for (const lane of this.lanes) this.eachOf(lane, visit);
    }

    /** @param {Lane} lane @param {(hit: Hit) => void} visit */
    eachOf(lane, visit) {
        /** @type {Hit} */
        const hit = { t: 0, lane, slice: null, mark: -1 };
        for (const row of lane.rows) {
            if (!this.everything && !(this.filter.state ? STATE_TABLE : TABLES).has(row.table)) continue;
            for (const seg of row.segs) {
                for (let i = 0; i < seg.n; i++) {
                    if (!this.everything && !this.sliceMatches(row, seg, i)) continue;
                    hit.t = seg.start[i];
                    hit.slice = { row, seg, i };
                    visit(hit);
                }
            }
        }
        hit.slice = null;
        if (!this.wantsDur && !this.filter.state) this.eachMark(lane, hit, visit);
    }

    /** @param {Lane} lane @param {Hit} hit @param {(hit: Hit) => void} visit */
    eachMark(lane, hit, visit) {
        const { marks } = lane;
        for (let i = 0; i < marks.t.length; i++) {
            const text = marks.text[i];
            const matches = this.stringMatches(marks.name[i]) || (text !== null && this.textMatches(text));
            if (!matches || !this.taskMatches(marks.task[i])) continue;
            hit.t = marks.t[i];
            hit.mark = i;
            visit(hit);
        }
        hit.mark = -1;
    }

    /** The hits' times, sorted; hits at one time count each. */
    times() {
        /** @type {number[]} */
        const t = [];
        this.each((hit) => t.push(hit.t));
        return Float64Array.from(t).sort();
    }

    /**
     * The k-th hit in order of time, and top down among those of one time.
     * @param {Float64Array} times from times() @param {number} k @returns {Hit|null}
     */
    at(times, k) {
        const t = times[k];
        let skip = 0;
        while (k - skip - 1 >= 0 && times[k - skip - 1] === t) skip++;
        /** @type {Hit|null} */
        let found = null;
        this.each((hit) => {
            if (hit.t === t && skip-- === 0) found = { ...hit };
        });
        return found;
    }
}
