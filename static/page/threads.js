// threads.js - each thread: how it spent its time, how often it was switched in, and its longest wait.

import { inPieces } from '../calc/regions.js';
import { stateStats } from '../calc/states.js';
import { RUNNABLE, RUNNING, STATES, isBlocked } from '../data/states.js';
import { fill, h } from '../dom.js';
import { count, duration, percent } from '../fmt.js';
import { formatHash } from '../url.js';
import { foreign } from '../view/details.js';
import { splitBar } from '../view/splitbar.js';
import { Table, byNumber } from '../view/table.js';
import { scopeOf, timeLink } from './scope.js';

/** @typedef {import('../calc/states.js').ThreadStats} ThreadStats */

/** @type {import('../app.js').Page} */
export function threadsPage(app, params) {
    const node = h('div', { class: 'page' });
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        const scope = scopeOf(params);
        fill(node, h('h1', null, 'Threads'), h('p', { class: 'muted', role: 'status' }, 'Adding up…'));
        const stats = await inPieces(stateStats(model, scope.t0, scope.t1), () => mine !== turn);
        if (!stats) return;
        fill(node, h('h1', null, 'Threads'), stats.length ? table(app, stats) : plain(app));
    };
    draw();
    return { node, title: 'Threads', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}

/** @param {import('../app.js').App} app @param {ThreadStats[]} stats */
function table(app, stats) {
    const model = app.needModel();
    const add = (/** @type {Float64Array} */ ns) => ns.reduce((a, b) => a + b, 0);
    const all = (/** @type {ThreadStats} */ t) => add(t.ns);
    const share = (/** @type {string} */ title, /** @type {(t: ThreadStats) => number} */ get) => ({ title, num: true, down: true, sort: byNumber((/** @type {ThreadStats} */ t) => get(t) / all(t)), cell: (/** @type {ThreadStats} */ t) => percent(get(t), all(t)) });
    const blocked = (/** @type {ThreadStats} */ t) => t.ns.reduce((sum, ns, s) => sum + (isBlocked(s) ? ns : 0), 0);
    return new Table('Threads', [
        { title: 'Thread', name: true, sort: byNumber((t) => model.sortedLanes().indexOf(model.lane(t.lane))), cell: (t) => h('a', { href: formatHash('timeline', { ...app.link(), pin: t.lane }) }, foreign(model.laneName(model.lane(t.lane)), 100)) },
        { title: 'tid', num: true, sort: byNumber((t) => model.lane(t.lane).tid), cell: (t) => String(model.lane(t.lane).tid || '') },
        { title: 'States', bar: true, cell: (t) => splitBar([...t.ns.map((ns, s) => ns - t.idle[s]), add(t.idle)], [...STATES, 'idle']) },
        share('Running', (t) => t.ns[RUNNING]), share('Runnable', (t) => t.ns[RUNNABLE]), share('Blocked', blocked), share('Of that idle', (t) => add(t.idle)),
        { title: 'CPU time', num: true, down: true, sort: byNumber((t) => t.ns[RUNNING]), cell: (t) => duration(t.ns[RUNNING]) },
        { title: 'Switched in', num: true, down: true, sort: byNumber((t) => t.switches), cell: (t) => count(t.switches) },
        { title: 'Longest for a CPU', num: true, down: true, sort: byNumber((t) => t.longest[RUNNABLE]), cell: (t) => (t.n[RUNNABLE] ? duration(t.longest[RUNNABLE]) : '') },
        { title: 'Longest wait', num: true, down: true, sort: byNumber((t) => t.longestWait?.ns ?? NaN), cell: (t) => (t.longestWait ? timeLink(app, t.longestWait.start, t.longestWait.start + t.longestWait.ns, duration(t.longestWait.ns), `${t.lane},state,0,${t.longestWait.start}`) : '') },
        { title: 'For', name: true, cell: (t) => (t.longestWait ? (t.longestWait.object >= 0 ? foreign(model.objectTitle(t.longestWait.object), 60) : STATES[t.longestWait.state]) : '') },
    ], stats, { csv: 'threads' }).node;
}

/** Without states: what each thread has on record. @param {import('../app.js').App} app */
function plain(app) {
    const model = app.needModel();
    const slices = (/** @type {import('../data/types.js').Lane} */ l) => l.rows.reduce((n, r) => n + r.n, 0);
    return [h('p', { class: 'muted' }, 'This capture has no thread states: the first page says which source gives them, and what turns it on.'), new Table('Threads', [
        { title: 'Thread', name: true, cell: (l) => h('a', { href: formatHash('timeline', { ...app.link(), pin: l.id }) }, foreign(model.laneName(l), 100)) },
        { title: 'tid', num: true, sort: byNumber((l) => l.tid), cell: (l) => String(l.tid || '') },
        { title: 'Slices', num: true, down: true, sort: byNumber(slices), cell: (l) => count(slices(l)) },
        { title: 'Logs, instants', num: true, down: true, sort: byNumber((l) => l.marks.t.length), cell: (l) => count(l.marks.t.length) },
    ], model.sortedLanes(), { csv: 'threads' }).node];
}
