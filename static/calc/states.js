// states.js - how threads spent a time: running, runnable, or blocked by what.

import { HUE } from '../data/hues.js';
import { eachSlice } from '../data/model.js';
import { RUNNING, STATES, isBlocked, unpackPlace } from '../data/states.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{ns: Float64Array, n: Float64Array, longest: Float64Array, idle: Float64Array}} StateSums  by state; idle: of ns, in waits for work */
/** @typedef {StateSums & {lane: number, switches: number, longestWait: {ns: number, start: number, state: number, object: number}|null}} ThreadStats  */

/** @returns {StateSums} */
export function emptySums() {
    return { ns: new Float64Array(STATES.length), n: new Float64Array(STATES.length), longest: new Float64Array(STATES.length), idle: new Float64Array(STATES.length) };
}

/**
 * One thread. A chunk that lies wholly inside the range is still walked: a state has a duration, and the pyramid only shares.
 * @param {import('../data/types.js').Row} row @param {number} t0 @param {number} t1 @returns {ThreadStats}
 */
export function threadStats(row, t0, t1) {
    /** @type {ThreadStats} */
    const stats = { ...emptySums(), lane: row.lane, switches: 0, longestWait: null };
    eachSlice(row, t0, t1, (seg, i) => {
        const state = seg.name[i];
        const ns = Math.min(t1, seg.start[i] + seg.dur[i]) - Math.max(t0, seg.start[i]);
        stats.ns[state] += ns;
        stats.n[state]++;
        if (seg.hue[i] === HUE.waitEmpty) stats.idle[state] += ns;
        if (ns > stats.longest[state]) stats.longest[state] = ns;
        if (state === RUNNING) stats.switches++;
        else if (isBlocked(state) && (!stats.longestWait || ns > stats.longestWait.ns)) stats.longestWait = { ns, start: seg.start[i], state, object: unpackPlace(seg.extra?.[i] ?? 0).object };
    });
    return stats;
}

/** @param {Model} model @param {number} [t0] @param {number} [t1] @returns {Generator<void, ThreadStats[]>} threads that have states, one a step */
export function* stateStats(model, t0 = -Infinity, t1 = Infinity) {
    const out = [];
    for (const row of model.rowsOf('state')) {
        out.push(threadStats(row, t0, t1));
        yield;
    }
    return out;
}

/**
 * Who had the CPUs in a time, those that had them for longest first.
 * @param {Model} model @param {number} t0 @param {number} t1 @param {boolean} [others] other processes alone @returns {[string, number][]} with how many ns
 */
export function runnersIn(model, t0, t1, others) {
    /** @type {Map<string, number>} */
    const sums = new Map();
    for (const lane of model.cpuLanes()) {
        for (const row of lane.rows) {
            eachSlice(row, t0, t1, (seg, i) => {
                if (others && seg.name[i] >= 0) return;
                const who = model.runnerName(seg, i);
                sums.set(who, (sums.get(who) ?? 0) + Math.min(t1, seg.start[i] + seg.dur[i]) - Math.max(t0, seg.start[i]));
            });
        }
    }
    return [...sums].sort((a, b) => b[1] - a[1]);
}

/** @param {ThreadStats[]} threads @returns {StateSums} */
export function sumStates(threads) {
    const sum = emptySums();
    for (const t of threads) {
        for (let s = 0; s < STATES.length; s++) {
            sum.ns[s] += t.ns[s];
            sum.n[s] += t.n[s];
            sum.idle[s] += t.idle[s];
            sum.longest[s] = Math.max(sum.longest[s], t.longest[s]);
        }
    }
    return sum;
}
