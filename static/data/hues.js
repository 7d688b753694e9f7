// hues.js - which palette index a slice gets. Made in the worker, turned into colours by view/palette.js.
//
// 0..23 are chosen by a hash of the text, so the same name has the same colour in every lane and every capture.

export const NAME_HUES = 24;
export const HUE = { none: 24, waitFull: 25, waitEmpty: 26, gc: 27, lost: 28, running: 29, runnable: 30, blocked: 31, lock: 32, network: 33, file: 34, sleep: 35 };
export const HUES = 36;

/** FNV-1a over the first characters: a name of a megabyte must not cost a megabyte. @param {string} text */
export function hueOfText(text) {
    let h = 0x811c9dc5;
    const n = Math.min(text.length, 64);
    for (let i = 0; i < n; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    h ^= h >>> 15;
    return (h >>> 0) % NAME_HUES;
}

/** So that the lanes of the threads a program works with differ. @param {number} lane on a CPU's lane, a thread has this colour */
export function hueOfLane(lane) {
    return (lane * 11) % NAME_HUES;
}

/** Neighbouring task numbers get colours far apart: 7 steps of 24. @param {number} task */
export function hueOfTask(task) {
    return task < 0 ? HUE.none : (task * 7) % NAME_HUES;
}
