// splitbar.js - a time in parts as one bar, and the same in words.

import { SPLIT } from '../calc/split.js';
import { h } from '../dom.js';
import { duration, percent } from '../fmt.js';

/** @type {Record<string, string>} */
const WORDS = { running: 'running', runnable: 'runnable: waited for a CPU', gc: 'stopped by the collector', queue: 'queue: a thread waited at it', lock: 'lock', network: 'network', file: 'file or call', sleep: 'sleep', blocked: 'blocked, cause unknown', working: 'worked on a thread whose state is not on record', queued: 'queued: from one thread to the next', other: 'other: nobody worked for it' };

/** @param {ArrayLike<number>} ns by part @param {readonly string[]} parts @returns {HTMLElement} */
export function splitBar(ns, parts = SPLIT) {
    const all = Array.from(ns).reduce((a, b) => a + b, 0);
    const words = parts.map((p, i) => (ns[i] > 0 ? `${p} ${percent(ns[i], all)}` : '')).filter(Boolean).join(', ');
    return h('span', { class: 'splitbar', role: 'img', 'aria-label': words || 'nothing', title: words },
        parts.map((p, i) => (ns[i] > 0 && all > 0 ? h('span', { class: `part-${p}`, style: { width: `${(100 * ns[i]) / all}%` } }) : null)));
}

/** @param {ArrayLike<number>} ns @param {number} wall */
export function splitTable(ns, wall) {
    return h('table', { 'aria-label': 'Parts of its time' }, h('tbody', null,
        SPLIT.map((p, i) => (ns[i] > 0 ? h('tr', null, h('th', { scope: 'row' }, h('span', { class: `statebox part-${p}` }), WORDS[p]), h('td', { class: 'num' }, duration(ns[i])), h('td', { class: 'num' }, percent(ns[i], wall))) : null)),
        h('tr', { class: 'sum' }, h('th', { scope: 'row' }, 'wall time'), h('td', { class: 'num' }, duration(Array.from(ns).reduce((a, b) => a + b, 0))), h('td', { class: 'num' }, '100 %'))));
}
