// contention.js - each lock and full queue: how often and how long it was waited for, by whom, and who let go.

import { STRIP_BINS, lockStats, placeOf } from '../calc/blocking.js';
import { inPieces } from '../calc/regions.js';
import { facts, fill, h, s } from '../dom.js';
import { count, duration, instant, percent } from '../fmt.js';
import { formatHash } from '../url.js';
import { foreign, stackList } from '../view/details.js';
import { Table, asTable, byNumber, shareBar } from '../view/table.js';
import { timeLink } from './scope.js';

/** @typedef {import('../calc/blocking.js').LockStat} LockStat */
const STRIP_HEIGHT = 46;

/** @type {import('../app.js').Page} */
export function contentionPage(app, params) {
    const node = h('div', { class: 'page' });
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        fill(node, h('h1', null, 'Contention'), h('p', { class: 'muted', role: 'status' }, 'Adding up…'));
        const locks = await inPieces(lockStats(model), () => mine !== turn);
        if (!locks) return;
        const chosen = locks.find((l) => String(l.object) === params.object);
        const most = locks.reduce((m, l) => Math.max(m, l.total), 0);
        const num = (/** @type {string} */ title, /** @type {(l: LockStat) => number} */ get, /** @type {(n: number) => string} */ show) => ({ title, num: true, down: true, sort: byNumber(get), cell: (/** @type {LockStat} */ l) => show(get(l)) });
        const table = new Table('Locks and full queues', [
            { title: 'Object', name: true, sort: (a, b) => (a.name < b.name ? -1 : 1), cell: (l) => h('a', { href: formatHash('contention', { ...app.link(), object: l.object }) }, foreign(l.name, 120)) },
            { title: 'Longest in', name: true, cell: (l) => foreign(placeOf(model, l), 80) }, { title: 'Kind', cell: (l) => foreign(l.kind || 'lock', 30) }, num('Waits', (l) => l.n, count), num('Total', (l) => l.total, duration), { title: '', bar: true, cell: (l) => shareBar(l.total, most) },
            num('p99', (l) => l.p99, duration), num('Longest', (l) => l.max, duration), num('Threads', (l) => l.waiters.size, count),
            { title: 'Let go by', name: true, cell: (l) => { const w = topOf(l.wakers); return w ? [foreign(model.laneName(model.lane(w[0])), 60), ` ${percent(w[1], l.n)}`] : ''; } },
        ], locks, { sorted: 3, csv: 'contention', selected: (l) => l === chosen });
        fill(node, h('h1', null, 'Contention'), locks.length ? table.node : h('p', { class: 'muted' }, 'Nothing was waited for: no lock, and no queue was full.'), chosen ? detail(app, chosen) : null);
    };
    draw();
    return { node, title: 'Contention', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}

/** @param {Map<number, number>} map */
function topOf(map) {
    return [...map].sort((a, b) => b[1] - a[1])[0] ?? null;
}

/** @param {import('../app.js').App} app @param {LockStat} lock */
function detail(app, lock) {
    const model = app.needModel();
    const list = (/** @type {string} */ title, /** @type {Map<number, number>} */ map, /** @type {(n: number) => string} */ show) => h('section', { class: 'card', 'aria-label': title }, h('h3', null, title), map.size === 0 ? h('p', { class: 'muted' }, 'Not on record: no wakes in this capture.')
        : h('table', { 'aria-label': title }, h('tbody', null, [...map].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([lane, n]) => h('tr', null, h('td', { class: 'name' }, foreign(model.laneName(model.lane(lane)), 80)), h('td', { class: 'num' }, show(n)))))));
    return h('section', { class: 'pagebody', 'aria-label': 'One object' }, h('h2', null, foreign(lock.name, 200)), h('section', { class: 'card', 'aria-label': 'Over time' }, strip(lock), numbers(lock, model.duration / STRIP_BINS),
        facts([['Longest wait', [duration(lock.worst.ns), ' on ', foreign(model.laneName(model.lane(lock.worst.lane)), 80), ' ', timeLink(app, lock.worst.start, lock.worst.start + lock.worst.ns, 'show', `${lock.worst.lane},state,0,${lock.worst.start}`)]]])),
    h('div', { class: 'cards' }, list('Who waited', lock.waiters, duration), lock.holders.size ? list('Who held it', lock.holders, duration) : null, list('Who let go', lock.wakers, (n) => `${count(n)} ×`),
        h('section', { class: 'card', 'aria-label': 'Stack of the longest wait' }, lock.worst.stack >= 0 ? stackList(model, lock.worst.stack) : [h('h3', null, 'Stack of the longest wait'), h('p', { class: 'muted' }, 'Not on record.')])));
}

/** Threads waiting, over the whole capture. @param {LockStat} lock */
function strip(lock) {
    const most = Math.max(1, ...lock.bins);
    return s('svg', { class: 'strip', viewBox: `0 0 ${STRIP_BINS} ${STRIP_HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Threads waiting over time, ${Number(most.toFixed(1))} at most` },
        Array.from(lock.bins, (v, i) => (v > 0 ? s('rect', { x: i, width: 1, y: STRIP_HEIGHT - Math.max(1, (v / most) * STRIP_HEIGHT), height: Math.max(1, (v / most) * STRIP_HEIGHT) }) : null)));
}

/** Where nobody waited there is no row. @param {LockStat} lock @param {number} ns a bin's */
function numbers(lock, ns) {
    return asTable('Threads waiting over time', ['From', 'Threads, on average'], Array.from(lock.bins, (v, i) => [instant(i * ns, ns), v.toFixed(2)]).filter((_, i) => lock.bins[i] > 0));
}
