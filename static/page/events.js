// events.js - a list of everything, with the same filter words as the search; CSV of what is listed.

import { EVENTS_MAX, listEvents } from '../calc/events.js';
import { parseFilter } from '../calc/filter.js';
import { inPieces } from '../calc/regions.js';
import { fill, h } from '../dom.js';
import { count, duration, instant } from '../fmt.js';
import { formatHash, formatRange } from '../url.js';
import { saveCsv } from '../view/csv.js';
import { foreign, taskLink } from '../view/details.js';
import { sliceText } from '../view/draw.js';
import { Table } from '../view/table.js';
import { scopeBar, scopeOf } from './scope.js';

/** @typedef {import('../calc/events.js').Event} Event */
/** @typedef {import('../data/model.js').Model} Model */

/** @type {import('../app.js').Page} */
export function eventsPage(app, params) {
    const node = h('div', { class: 'page' });
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        const filter = parseFilter(params.q ?? '');
        const scope = scopeOf(params);
        const box = h('input', { type: 'search', 'aria-label': 'Filter', placeholder: 'db.query  thread:worker*  state:lock  dur>5ms', size: 34, value: params.q ?? '', spellcheck: 'false' });
        const words = h('span', { class: 'muted', role: 'status', 'aria-live': 'polite' }, 'Listing…');
        const save = h('button', { type: 'button', disabled: true }, 'CSV');
        const body = h('div', { class: 'pagebody' });
        fill(node, h('h1', null, 'Events'), scopeBar(app, 'events', params,
            h('form', { class: 'row', onsubmit: (/** @type {globalThis.Event} */ e) => { e.preventDefault(); location.hash = formatHash('events', { ...params, q: box.value }); } }, box, h('button', null, 'Filter')), save), words, body);
        const list = await inPieces(listEvents(model, filter, scope.t0, scope.t1), () => mine !== turn);
        if (!list) return;
        const events = scope.lane === null && scope.task === null ? list.events : list.events.filter((e) => (scope.lane === null || e.lane.id === scope.lane) && (scope.task === null || taskOf(e) === scope.task));
        words.textContent = filter.error || `${count(events.length)} ${events.length === 1 ? 'event' : 'events'}${list.more ? `: the first ${count(EVENTS_MAX)} found; a filter brings the others` : ''}`;
        save.disabled = events.length === 0;
        save.onclick = () => saveCsv('events', [['time_ns', 'duration_ns', 'thread', 'tid', 'type', 'name', 'task'], ...events.map((e) => [e.t, durOf(e) ?? '', model.laneName(e.lane), e.lane.tid, typeOf(e), nameOf(model, e), taskOf(e) < 0 ? '' : taskOf(e)])]);
        fill(body, new Table('Events', [
            { title: 'Time', num: true, cell: (e) => h('a', { href: linkOf(app, e) }, instant(e.t, 1)) },
            { title: 'Thread', name: true, cell: (e) => foreign(model.laneName(e.lane), 60) },
            { title: 'Type', cell: typeOf },
            { title: 'Name', name: true, cell: (e) => foreign(nameOf(model, e), 160) },
            { title: 'Duration', num: true, cell: (e) => { const d = durOf(e); return d === null ? '' : duration(d); } },
            { title: 'Task', name: true, cell: (e) => taskLink(model, taskOf(e), app.link()) },
        ], events).node);
    };
    draw();
    return { node, title: 'Events', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}

/** @param {Event} e */
function durOf(e) {
    return e.slice ? e.slice.seg.dur[e.slice.i] : null;
}

/** @param {Event} e */
function taskOf(e) {
    return e.slice ? e.slice.seg.task[e.slice.i] : e.lane.marks.task[e.mark];
}

/** @param {Event} e */
function typeOf(e) {
    if (!e.slice) return e.lane.marks.text[e.mark] === null ? 'instant' : 'log';
    return e.slice.row.table;
}

/** @param {Model} model @param {Event} e */
function nameOf(model, e) {
    if (e.slice) return sliceText(model, e.slice.row, e.slice.seg, e.slice.i);
    const text = e.lane.marks.text[e.mark];
    const name = model.string(e.lane.marks.name[e.mark]);
    return text === null ? name : `${name}: ${text}`;
}

/** @param {import('../app.js').App} app @param {Event} e */
function linkOf(app, e) {
    const pad = Math.max(1000, (durOf(e) ?? 0) * 2);
    const sel = e.slice ? `${e.lane.id},${e.slice.row.table},${e.slice.row.depth},${e.t}` : undefined;
    return formatHash('timeline', { ...app.link(), t: formatRange(e.t - pad, e.t + (durOf(e) ?? 0) + pad), sel });
}
