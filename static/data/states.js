// states.js - what a thread can be doing, and how a slice of the table `state` keeps it.
//
// A state comes as one of these names (a string number) or as its place in this list. Causes that we do not know are "blocked".

import { HUE } from './hues.js';

export const STATES = ['running', 'runnable', 'blocked', 'lock', 'network', 'file', 'sleep', 'gc', 'unknown'];
export const RUNNING = 0;
export const RUNNABLE = 1;
export const BLOCKED = 2;
export const UNKNOWN = 8;
/** The thread does not exist yet, or any more: no slice. */
export const GONE = 9;
/** One letter a cause, for slices with room for it: colour is never the only sign. */
export const STATE_LETTERS = ['', '', 'B', 'L', 'N', 'F', 'Z', 'G', '?'];
export const STATE_HUES = [HUE.running, HUE.runnable, HUE.blocked, HUE.lock, HUE.network, HUE.file, HUE.sleep, HUE.gc, HUE.none];
/** CPUs are lanes of their own, numbered down from here: no lane of a capture has such a number. */
export const CPU_LANE = -100000;
export const CPUS_MAX = 4096;

const BY_NAME = new Map([...STATES.map((s, i) => /** @type {[string, number]} */ ([s, i])), ['gone', GONE]]);

/** @param {number} value @param {string|undefined} name the string of that number */
export function stateOf(value, name) {
    return BY_NAME.get(name ?? '') ?? (value >= 0 && value < STATES.length ? value : BLOCKED);
}

/** Flags of a state: blocked in a call that ends with new work, or in one that may. */
export const FOR_WORK = 16;
export const FOR_ANYTHING = 32;

/** @param {number} state blocked by whatever */
export function isBlocked(state) {
    return state >= BLOCKED && state < UNKNOWN;
}

/* Object and CPU share the slice's one double: object + 1 below, CPU + 1 above. */
const CPU_UNIT = 2 ** 33;

/** @param {number} object @param {number} cpu -1: none */
export function packPlace(object, cpu) {
    return Math.max(0, object + 1) + Math.max(0, cpu + 1) * CPU_UNIT;
}

/** @param {number} extra @returns {{object: number, cpu: number}} */
export function unpackPlace(extra) {
    return { object: (extra % CPU_UNIT) - 1, cpu: Math.floor(extra / CPU_UNIT) - 1 };
}
