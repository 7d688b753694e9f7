// filter.js - what the search box understands.
//
//   db.query                text, in names, task kinds, log lines and instants; letter case does not matter
//   "two words"             the same, with a blank
//   thread:worker*          only on threads of that name; * stands for anything
//   task:GET*  task:#9      only what belongs to tasks of that kind, or to that task
//   state:lock              states only: running runnable blocked lock network file sleep; blocked stands for every cause
//   dur>5ms  dur<=200us     by duration; s ms us ns
//
// All words must hold.

import { STATES, isBlocked } from '../data/states.js';

/** @typedef {{text: string[], thread: RegExp|null, task: RegExp|null, taskId: number|null, state: Set<number>|null, minNs: number, maxNs: number, error: string}} Filter */

/** @type {Record<string, number>} */
const UNITS = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9 };
const WORD = /(?:[a-z]+:)?"[^"]*"?|\S+/gi;

/** A pattern with * and nothing else special, over the whole of a name. @param {string} pattern */
export function glob(pattern) {
    const parts = pattern.split('*').map((p) => p.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('[^]*')}$`, 'i');
}

/** @param {string} input @returns {Filter} */
export function parseFilter(input) {
    /** @type {Filter} */
    const f = { text: [], thread: null, task: null, taskId: null, state: null, minNs: 0, maxNs: Infinity, error: '' };
    for (const word of input.slice(0, 500).match(WORD) ?? []) addWord(f, word);
    return f;
}

/** @param {Filter} f @param {string} word */
function addWord(f, word) {
    const dur = /^dur(>=?|<=?)(\d+(?:\.\d+)?)(ns|us|µs|ms|s)?$/i.exec(word);
    if (dur) {
        const ns = Number(dur[2]) * UNITS[(dur[3] ?? 'ns').toLowerCase()];
        if (dur[1].startsWith('>')) f.minNs = Math.max(f.minNs, ns);
        else f.maxNs = Math.min(f.maxNs, ns);
        return;
    }
    if (/^dur[<>]/i.test(word)) {
        f.error = `"${word}" is not understood: write for example dur>5ms`;
        return;
    }
    const key = /^(thread|task|state):(.*)$/is.exec(word);
    const value = (key ? key[2] : word).replace(/^"|"$/g, '');
    if (!key) {
        if (value) f.text.push(value.toLowerCase());
    } else if (key[1].toLowerCase() === 'state') addState(f, value.toLowerCase());
    else if (key[1].toLowerCase() === 'thread') f.thread = glob(value);
    else if (/^#\d+$/.test(value)) f.taskId = Number(value.slice(1));
    else f.task = glob(value);
}

/** @param {Filter} f @param {string} name */
function addState(f, name) {
    const states = name === 'blocked' ? STATES.map((_, i) => i).filter(isBlocked) : STATES.flatMap((s, i) => (name && s.startsWith(name) ? [i] : []));
    if (states.length === 0) f.error = `"state:${name}" is none of ${STATES.join(', ')}`;
    f.state = new Set(states);
}

/** @param {Filter} f */
export function isEmpty(f) {
    return f.text.length === 0 && !f.thread && !f.task && !f.state && f.taskId === null && f.minNs === 0 && f.maxNs === Infinity;
}
