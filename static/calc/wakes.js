// wakes.js - who woke whom.

import { upperBound } from '../data/model.js';
import { RUNNABLE, RUNNING } from '../data/states.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Slice} Slice */
/** @typedef {{t: number, from: number, to: number}} Wake */

/** Arrows of one selection beyond this would hide what they point at. */
const ARROWS_MAX = 40;

/** @param {Model} model @param {number} t0 @param {number} t1 @param {(w: Wake) => boolean} wanted @param {number} limit @returns {Wake[]} */
function wakesBetween(model, t0, t1, wanted, limit) {
    const { t, from, to } = model.wakes();
    const out = [];
    for (let i = upperBound(t, t.length, t0 - 0.5); i < t.length && t[i] <= t1 && out.length < limit; i++) {
        const wake = { t: t[i], from: from[i], to: to[i] };
        if (wanted(wake)) out.push(wake);
    }
    return out;
}

/** The wake that ended a wait, or led to a running slice; after a runnable slice the one at its start. @param {Model} model @param {Slice} slice @returns {Wake|null} */
function wakerOf(model, { row, seg, i }) {
    const state = seg.name[i];
    const [from, to] = [seg.start[i], seg.start[i] + seg.dur[i]];
    const before = i > 0 ? seg.start[i - 1] : from;
    const [a, b] = state === RUNNING ? [before, from] : state === RUNNABLE ? [before, from + 1] : [from, to + 1];
    const found = wakesBetween(model, a, b, (w) => w.to === row.lane, Infinity);
    return found[found.length - 1] ?? null;
}

/** @param {Model} model @param {Slice} slice @returns {Wake[]} the one before it, and those it made */
export function wakesOf(model, slice) {
    const { row, seg, i } = slice;
    if (row.table !== 'state' && row.table !== 'region') return [];
    const to = seg.start[i] + seg.dur[i];
    const waker = row.table === 'state' ? wakerOf(model, slice) : null;
    const woken = row.table === 'region' || seg.name[i] === RUNNING ? wakesBetween(model, seg.start[i], to, (w) => w.from === row.lane, ARROWS_MAX) : [];
    return waker ? [waker, ...woken] : woken;
}

/** @param {Model} model @param {Slice} slice @param {-1|1} step @returns {Wake|null} who woke it, or the first that it woke */
export function wakeOf(model, slice, step) {
    const all = wakesOf(model, slice);
    return all.find((w) => (step < 0 ? w.to === slice.row.lane : w.from === slice.row.lane)) ?? null;
}
