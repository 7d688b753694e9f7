// tasks.js - tasks by kind, and the tasks of one kind: the histogram's bars choose which are listed.

import { histogram } from '../calc/hist.js';
import { percentile } from '../calc/stats.js';
import { inPieces } from '../calc/regions.js';
import { SPLIT, splitTasks } from '../calc/split.js';
import { taskKinds } from '../calc/tasks.js';
import { copyLine, facts, fill, h, nothing } from '../dom.js';
import { count, duration, instant, percent } from '../fmt.js';
import { formatHash } from '../url.js';
import { foreign, statusWord } from '../view/details.js';
import { requestsSection } from './requests.js';
import { histogramView } from '../view/histogram.js';
import { splitBar } from '../view/splitbar.js';
import { Table, byNumber, shareBar } from '../view/table.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../app.js').App} App */

/** So many of the longest are split: enough to tell, and quick. */
const SPLIT_MAX = 2000;

/** @type {import('../app.js').Page} */
export function tasksPage(app, params) {
    const node = h('div', { class: 'page' });
    const draw = () => {
        const model = app.needModel();
        if (params.kind === undefined) fill(node, ...kindList(app, model));
        else fill(node, ...oneKind(app, model, params));
    };
    draw();
    return { node, title: 'Tasks', grown: () => { if (!app.needModel().loading) draw(); } };
}

/** @param {App} app @param {Model} model */
function kindList(app, model) {
    const kinds = taskKinds(model);
    const most = kinds.reduce((m, k) => Math.max(m, k.total), 0);
    const num = (/** @type {string} */ title, /** @type {(k: import('../calc/tasks.js').KindStat) => number} */ get, /** @type {(n: number) => string} */ show) => ({ title, num: true, down: true, sort: byNumber(get), cell: (/** @type {import('../calc/tasks.js').KindStat} */ k) => show(get(k)) });
    const table = new Table('Tasks by kind', [
        { title: 'Kind', name: true, sort: (a, b) => (model.string(a.kind) < model.string(b.kind) ? -1 : 1), cell: (k) => h('a', { href: formatHash('tasks', { ...app.link(), kind: k.kind }) }, foreign(model.string(k.kind), 200)) },
        num('Count', (k) => k.n, count), num('p50', (k) => k.p50, duration), num('p90', (k) => k.p90, duration), num('p99', (k) => k.p99, duration), num('Max', (k) => k.max, duration),
        num('Total', (k) => k.total, duration), { title: '', bar: true, cell: (k) => shareBar(k.total, most) },
        { ...num('Failed', (k) => k.failed, count), cell: (k) => h('span', { class: k.failed ? 'bad' : 'muted' }, count(k.failed)) }, num('Not ended', (k) => k.open, count),
    ], kinds, { sorted: 6, csv: 'tasks' });
    return [h('h1', null, 'Tasks'), kinds.length === 0 ? noTasks(app) : table.node, requestsSection(app)];
}

/** @param {App} app */
function noTasks(app) {
    return nothing('This capture has no tasks', 'A task is one request, job or message, from its beginning to its end, on whichever threads work for it. A program says so:',
        copyLine('TTAP_TASK_BEGIN(&task, "GET /a", NULL);  …  ttap_task_end(&task);', 'how a task is named'), 'With sampling, a short window may hold none of those that are kept.',
        h('div', { class: 'row' }, 'What every program shows: ', h('a', { href: formatHash('threads', app.link()) }, 'threads'), h('a', { href: formatHash('blocking', app.link()) }, 'what they waited for')));
}

/** Where the time of those listed went; filled in as it is known. @param {Model} model @param {number[]} ids @param {number} all */
function splitCard(model, ids, all) {
    const card = h('section', { class: 'card', 'aria-label': 'Where the time went' }, h('h2', null, `Where the time went${all > ids.length ? `, of the ${count(ids.length)} longest` : ''}`));
    inPieces(splitTasks(model, ids)).then((ns) => {
        if (!ns) return;
        const total = ns.reduce((a, b) => a + b, 0);
        card.append(splitBar(ns), h('p', { class: 'parts' }, SPLIT.map((p, i) => (ns[i] > 0 ? h('span', null, h('span', { class: `statebox part-${p}` }), `${p} ${percent(ns[i], total)}`) : null))));
    });
    return ids.length ? card : null;
}

/** @param {App} app @param {Model} model @param {Record<string, string>} params */
function oneKind(app, model, params) {
    const kind = Number(params.kind);
    const tasks = model.tasks();
    const dur = tasks.column('dur');
    const status = tasks.column('status');
    /** @type {number[]} */
    let rows = [];
    tasks.column('kind').forEach((k, i) => { if (k === kind) rows.push(i); });
    const ended = Float64Array.from(rows.filter((i) => status[i] !== 2), (i) => dur[i]).sort();
    const from = params.from === undefined ? -Infinity : Number(params.from);
    const to = params.to === undefined ? Infinity : Number(params.to);
    const bars = histogram(ended);
    const isLast = bars.length > 0 && to >= bars[bars.length - 1].to;
    const chosen = params.from !== undefined || params.to !== undefined;
    const go = (/** @type {Record<string, string|number|undefined>} */ more) => { location.hash = formatHash('tasks', { ...app.link(), kind, ...more }); };
    const all = rows.length;
    const only = params.status ?? '';
    rows = rows.filter((i) => (!chosen || (dur[i] >= from && (dur[i] < to || (isLast && dur[i] === to)))) && (only === '' || status[i] === Number(only)));
    rows.sort((a, b) => dur[b] - dur[a]);
    const at = (/** @type {number} */ i) => tasks.at(i);
    const table = new Table('Tasks', [
        { title: 'Task', sort: byNumber((i) => at(i).id), cell: (i) => h('a', { href: formatHash('task', { ...app.link(), id: at(i).id }) }, `#${at(i).id}`) },
        { title: 'Start', num: true, sort: byNumber((i) => at(i).start), cell: (i) => instant(at(i).start, 1e3) },
        { title: 'Duration', num: true, down: true, sort: byNumber((i) => at(i).dur), cell: (i) => duration(at(i).dur) },
        { title: '', bar: true, cell: (i) => shareBar(at(i).dur, ended[ended.length - 1] ?? 0) },
        { title: 'Status', sort: byNumber((i) => at(i).status), cell: (i) => statusWord(at(i)) },
        { title: 'Began on', name: true, cell: (i) => (at(i).lane < 0 ? '' : foreign(model.laneName(model.lane(at(i).lane)), 60)) },
        { title: 'Text', name: true, cell: (i) => (at(i).text < 0 ? '' : foreign(model.string(at(i).text), 120)) },
    ], rows, { sorted: 2, csv: 'tasks-of-a-kind' });
    const status_ = h('select', { 'aria-label': 'Status', onchange: (/** @type {Event} */ e) => go({ from: params.from, to: params.to, status: /** @type {HTMLSelectElement} */ (e.target).value }) },
        [['', 'all'], ['0', 'ok'], ['1', 'failed'], ['2', 'not ended']].map(([v, text]) => h('option', { value: v, selected: only === v }, text)));
    const p = (/** @type {number} */ q) => percentile(ended, q);
    return [
        h('div', { class: 'row' }, h('a', { href: formatHash('tasks', app.link()) }, 'Tasks'), h('span', { class: 'muted', 'aria-hidden': 'true' }, '/'), h('h1', null, foreign(model.string(kind), 300))),
        h('section', { class: 'card', 'aria-label': 'Latency' },
            facts([['Count', count(all)], ['p50 · p90 · p99 · max', [p(0.5), p(0.9), p(0.99), p(1)].map(duration).join(' · ')]]),
            bars.length ? histogramView('Durations', bars, chosen ? [from, to] : null, [{ title: 'p50', at: p(0.5) }, { title: 'p99', at: p(0.99) }],
                (bar) => go(bar ? { from: bar.from, to: bar.to, status: only } : { status: only })) : h('p', { class: 'muted' }, 'None has ended.')),
        splitCard(model, rows.slice(0, SPLIT_MAX).map((i) => at(i).id), rows.length),
        h('div', { class: 'row' }, h('h2', null, `${count(rows.length)} of ${count(all)} tasks`),
            chosen ? h('span', { class: 'muted' }, `from ${duration(from)} to ${duration(to)}`) : null,
            chosen ? h('button', { type: 'button', onclick: () => go({ status: only }) }, 'Show all durations') : null,
            h('span', { class: 'grow' }), h('label', { class: 'field' }, 'Status', status_)),
        table.node,
    ];
}
