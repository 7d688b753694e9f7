// scope.js - of which thread, task and time a page speaks: read from the address, shown with a way back to all.

import { h } from '../dom.js';
import { duration, instant, visible } from '../fmt.js';
import { formatHash, formatRange, parseRange } from '../url.js';

/** @param {Record<string, string>} params @returns {import('../calc/blocking.js').Scope} */
export function scopeOf(params) {
    const range = parseRange(params.t);
    const id = (/** @type {string|undefined} */ s) => (/^-?\d{1,15}$/.test(s ?? '') ? Number(s) : null);
    return { t0: range ? range[0] : -Infinity, t1: range ? range[1] : Infinity, lane: id(params.lane), task: id(params.task) };
}

/** @param {import('../app.js').App} app @param {string} page @param {Record<string, string>} params @param {import('../dom.js').Child[]} more further controls */
export function scopeBar(app, page, params, ...more) {
    const model = app.needModel();
    const scope = scopeOf(params);
    const go = (/** @type {Record<string, string|undefined>} */ changed) => { location.hash = formatHash(page, { ...params, ...changed }); };
    const threads = h('select', { 'aria-label': 'Thread', onchange: (/** @type {Event} */ e) => go({ lane: /** @type {HTMLSelectElement} */ (e.target).value || undefined }) },
        h('option', { value: '' }, 'all threads'), model.sortedLanes().slice(0, 2000).map((l) => h('option', { value: l.id, selected: scope.lane === l.id }, visible(model.laneName(l), 60))));
    const chip = (/** @type {string} */ text, /** @type {string} */ key) => h('button', { type: 'button', class: 'chip', 'aria-label': `${text}: take away`, onclick: () => go({ [key]: undefined }) }, text, ' ×');
    return h('div', { class: 'row' }, more, h('label', { class: 'field' }, 'Thread', threads),
        scope.t1 < Infinity ? chip(`${instant(scope.t0, 1e5)} + ${duration(scope.t1 - scope.t0)}`, 't') : null, scope.task !== null ? chip(visible(model.taskTitle(scope.task), 60), 'task') : null);
}

/** A link to the timeline around a time. @param {import('../app.js').App} app @param {number} from @param {number} to @param {import('../dom.js').Child} words @param {string} [sel] */
export function timeLink(app, from, to, words, sel) {
    const pad = Math.max(100, (to - from) * 0.5);
    return h('a', { href: formatHash('timeline', { ...app.link(), t: formatRange(from - pad, to + pad), sel }) }, words);
}
