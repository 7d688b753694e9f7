// compare.js - the open capture beside another one: tasks and regions, by their durations.

import { LEAST, compareByName, taskDurations } from '../calc/compare.js';
import { inPieces, regionStats } from '../calc/regions.js';
import { histogram } from '../calc/hist.js';
import { requestKinds } from '../calc/requests.js';
import { Loading } from '../data/load.js';
import { upperBound } from '../data/model.js';
import { fill, h, s } from '../dom.js';
import { count, duration, visible } from '../fmt.js';
import { formatHash } from '../url.js';
import { foreign } from '../view/details.js';
import { Table, byNumber } from '../view/table.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../calc/compare.js').Change} Change */

const [W, H] = [260, 34];

/** @type {import('../app.js').Page} */
export function comparePage(app, params) {
    const node = h('div', { class: 'page' });
    const body = h('div', { class: 'pagebody' });
    let turn = 0;
    /** @type {Loading|null} */
    let other = null;
    const show = async (/** @type {Model} */ before, /** @type {string} */ name) => {
        const mine = ++turn;
        fill(body, h('p', { class: 'muted', role: 'status' }, 'Adding up…'));
        const old = () => mine !== turn;
        const [a, b] = [await regions(before, old), await regions(app.needModel(), old)];
        const [asked, askedNow] = [await requests(before, old), await requests(app.needModel(), old)];
        if (old() || !a || !b || !asked || !askedNow) return;
        fill(body, h('p', null, 'Before: ', h('b', null, visible(name, 100)), `, ${duration(before.duration)}. After: `, h('b', null, app.captureTitle()), `, ${duration(app.needModel().duration)}.`),
            ...section('Tasks', compareByName(taskDurations(before), taskDurations(app.needModel()))), ...section('Regions', compareByName(a, b)), ...(asked.size + askedNow.size > 0 ? section('Requests of connections', compareByName(asked, askedNow)) : []));
    };
    const load = (/** @type {import('../data/load.js').Source} */ source, /** @type {string} */ name) => {
        other?.cancel();
        fill(body, h('p', { class: 'muted', role: 'status' }, 'Loading the other capture…'));
        const mine = new Loading(source, { head: () => {}, progress: () => {}, done: () => { if (other === mine) show(mine.model, name); }, failed: (_, message) => { if (other === mine) fill(body, h('p', { class: 'notice error', role: 'alert' }, visible(message, 400))); } });
        other = mine;
    };
    const file = h('input', { type: 'file', class: 'visually-hidden', 'aria-label': 'The capture before', accept: '.json,.gz,application/json', onchange: () => { const f = file.files?.[0]; if (f) load({ kind: 'file', name: f.name, file: f }, f.name); } });
    const own = app.loading?.source.kind === 'capture' ? app.loading.source.id : null;
    const kept = (app.status?.captures ?? []).filter((c) => c.kind === 'kept' && c.state === 'ended' && c.id !== own);
    const pick = kept.length === 0 ? null : h('select', { 'aria-label': 'Capture before', onchange: (/** @type {Event} */ e) => { const v = /** @type {HTMLSelectElement} */ (e.target).value; if (v) location.hash = formatHash('compare', { ...app.link(), with: v }); } },
        h('option', { value: '' }, 'a kept capture…'), kept.map((c) => h('option', { value: c.id, selected: params.with === String(c.id) }, `#${c.id}`)));
    fill(node, h('h1', null, 'Compare'), h('div', { class: 'row' }, h('span', null, 'With an earlier capture:'), pick, file, h('button', { type: 'button', onclick: () => file.click() }, 'Open its file…')), body);
    fill(body, h('p', { class: 'muted' }, 'Tasks and regions of the same name are put side by side; those whose durations have truly changed come first.'));
    if (/^\d{1,9}$/.test(params.with ?? '')) load({ kind: 'capture', id: Number(params.with), url: app.api.dataUrl(Number(params.with), 'json'), headers: app.api.headers() }, `#${params.with}`);
    return { node, title: 'Compare', destroy: () => { turn++; other?.cancel(); } };
}

/** @param {Model} model @param {() => boolean} old @returns {Promise<Map<string, Float64Array>|null>} */
async function regions(model, old) {
    const stats = await inPieces(regionStats(model), old);
    return stats && new Map(stats.map((r) => [model.string(r.name), r.durations]));
}

/** @param {Model} model @param {() => boolean} old @returns {Promise<Map<string, Float64Array>|null>} */
async function requests(model, old) {
    const kinds = await inPieces(requestKinds(model), old);
    return kinds && new Map(kinds.map((k) => [k.name, k.dur.sort()]));
}

/** @param {string} title @param {Change[]} changes */
function section(title, changes) {
    const num = (/** @type {string} */ head, /** @type {(c: Change) => number} */ get, /** @type {(n: number) => string} */ show) => ({ title: head, num: true, down: true, sort: byNumber(get), cell: (/** @type {Change} */ c) => show(get(c)) });
    const changed = changes.filter((c) => c.changed !== '');
    const table = new Table(`${title} compared`, [
        { title: 'Name', name: true, sort: (a, b) => (a.name < b.name ? -1 : 1), cell: (c) => foreign(c.name, 160) },
        { title: 'Change', sort: byNumber((c) => c.ratio), cell: (c) => verdict(c) },
        num('n before', (c) => c.a.length, count), num('n after', (c) => c.b.length, count), num('p50 before', (c) => c.p50a, duration), num('p50 after', (c) => c.p50b, duration), num('p90 before', (c) => c.p90a, duration), num('p90 after', (c) => c.p90b, duration), num('p99 before', (c) => c.p99a, duration), num('p99 after', (c) => c.p99b, duration),
        { title: 'Before above, after below', cell: (c) => twoHistograms(c) },
    ], changes, { csv: title.toLowerCase() });
    const only = (/** @type {string} */ when, /** @type {'a'|'b'} */ here, /** @type {'a'|'b'} */ there) => {
        const names = changes.filter((c) => c[here].length >= LEAST && c[there].length === 0);
        return names.length ? ` Only ${when}: ${names.slice(0, 5).map((c) => visible(c.name, 60)).join(', ')}${names.length > 5 ? ` and ${count(names.length - 5)} more` : ''}.` : '';
    };
    return [h('h2', null, title), h('p', { role: 'status' }, changed.length === 0 ? `None of ${count(changes.length)} has changed.` : `Changed: ${changed.slice(0, 5).map((c) => `${visible(c.name, 60)} (${times(c)})`).join(', ')}${changed.length > 5 ? ` and ${count(changed.length - 5)} more` : ''}.`, only('before', 'a', 'b'), only('after', 'b', 'a')), table.node];
}

/** @param {Change} c */
function times({ ratio, changed }) {
    return `${ratio >= 1 ? `${ratio.toFixed(1)} × slower` : `${(1 / ratio).toFixed(1)} × faster`}${changed === 'tail' ? ' in the slowest tenth' : ''}`;
}

/** @param {Change} c */
function verdict(c) {
    if (c.a.length === 0) return 'new';
    if (c.b.length === 0) return 'gone';
    if (c.a.length < LEAST || c.b.length < LEAST) return h('span', { class: 'muted' }, 'too few to tell');
    return c.changed ? h('b', { class: c.ratio > 1 ? 'bad' : 'good' }, times(c)) : h('span', { class: 'muted' }, 'same');
}

/** Both over the same axis. @param {Change} c */
function twoHistograms(c) {
    const both = new Float64Array(c.a.length + c.b.length);
    both.set(c.a);
    both.set(c.b, c.a.length);
    const bars = histogram(both);
    const counts = (/** @type {Float64Array} */ values) => {
        const ends = bars.map((bar, i) => (i === bars.length - 1 ? values.length : upperBound(values, values.length, bar.to - 0.5)));
        return ends.map((end, i) => end - (i ? ends[i - 1] : 0));
    };
    const [a, b] = [counts(c.a), counts(c.b)];
    const w = W / Math.max(12, bars.length);
    const rects = (/** @type {number[]} */ list, /** @type {1|-1} */ up, /** @type {string} */ cls) => {
        const most = Math.max(1, ...list);
        return list.map((n, i) => (n === 0 ? null : s('rect', { class: cls, x: i * w, width: Math.max(1, w - 1), y: up > 0 ? H / 2 - (n / most) * (H / 2 - 1) : H / 2 + 1, height: Math.max(1, (n / most) * (H / 2 - 1)) })));
    };
    return s('svg', { class: 'pair', width: W, height: 20, viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `p50 ${duration(c.p50a)} before, ${duration(c.p50b)} after` }, rects(a, 1, 'before'), rects(b, -1, 'after'));
}
