// regions.js - all regions by name, and the longest ones of one name.

import { histogram } from '../calc/hist.js';
import { inPieces, regionStats } from '../calc/regions.js';
import { copyLine, facts, fill, h, nothing } from '../dom.js';
import { count, duration, instant } from '../fmt.js';
import { formatHash, formatRange } from '../url.js';
import { foreign, taskLink } from '../view/details.js';
import { histogramView } from '../view/histogram.js';
import { Table, byNumber, shareBar } from '../view/table.js';

/** @typedef {import('../calc/regions.js').RegionStat} RegionStat */
/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../app.js').App} App */

/** As many of the longest as one can look through. */
const LONGEST = 2000;

/** @type {import('../app.js').Page} */
export function regionsPage(app, params) {
    const node = h('div', { class: 'page' });
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        fill(node, h('h1', null, 'Regions'), h('p', { class: 'muted', role: 'status' }, 'Adding up…'));
        const stats = await model.memo('region stats', () => inPieces(regionStats(model)));
        if (mine !== turn || !stats) return;
        if (params.name === undefined) fill(node, ...nameList(app, model, stats));
        else fill(node, ...oneName(app, model, stats, params));
    };
    draw();
    return { node, title: 'Regions', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}

/** @param {App} app @param {Model} model @param {RegionStat[]} stats */
function nameList(app, model, stats) {
    const most = stats.reduce((m, r) => Math.max(m, r.self), 0);
    const num = (/** @type {string} */ title, /** @type {(r: RegionStat) => number} */ get, /** @type {(n: number) => string} */ show) => ({ title, num: true, down: true, sort: byNumber(get), cell: (/** @type {RegionStat} */ r) => show(get(r)) });
    const table = new Table('Regions by name', [
        { title: 'Region', name: true, sort: (a, b) => (model.string(a.name) < model.string(b.name) ? -1 : 1), cell: (r) => h('a', { href: formatHash('regions', { ...app.link(), name: r.name }) }, foreign(model.string(r.name), 200)) },
        num('Count', (r) => r.n, count), num('Total', (r) => r.total, duration), num('Self', (r) => r.self, duration), { title: '', bar: true, cell: (r) => shareBar(r.self, most) },
        num('p50', (r) => r.p50, duration), num('p99', (r) => r.p99, duration), num('Max', (r) => r.max, duration),
    ], stats, { sorted: 2, csv: 'regions' });
    return [h('h1', null, 'Regions'), stats.length ? table.node : noRegions(app)];
}

/** @param {App} app */
function noRegions(app) {
    return nothing('This capture has no regions', 'A region is a part of the program with a name, such as a query or a step of a request. A program says where it is:',
        copyLine('TTAP_REGION("db.query");', 'how a region is named'), h('div', { class: 'row' }, 'What every program shows: ', h('a', { href: formatHash('cpu', app.link()) }, 'where its CPU time went'), h('a', { href: formatHash('blocking', app.link()) }, 'what it waited for')));
}

/** @param {App} app @param {Model} model @param {RegionStat[]} stats @param {Record<string, string>} params */
function oneName(app, model, stats, params) {
    const name = Number(params.name);
    const title = h('div', { class: 'row' }, h('a', { href: formatHash('regions', app.link()) }, 'Regions'), h('span', { class: 'muted', 'aria-hidden': 'true' }, '/'), h('h1', null, foreign(model.string(name), 300)));
    const stat = stats.find((r) => r.name === name);
    if (!stat) return [title, h('p', { class: 'muted' }, 'There is none of this name.')];
    const chosen = params.from !== undefined;
    const from = chosen ? Number(params.from) : -Infinity;
    const to = chosen ? Number(params.to) : Infinity;
    const list = longest(model, name, from, to);
    const link = app.link();
    const go = (/** @type {Record<string, string|number|undefined>} */ more) => { location.hash = formatHash('regions', { ...link, name, ...more }); };
    const bars = histogram(stat.durations);
    const table = new Table('Longest', [
        { title: 'Start', num: true, sort: byNumber((x) => x.start), cell: (x) => h('a', { href: formatHash('timeline', { ...link, t: formatRange(x.start - x.dur, x.start + 2 * x.dur + 50), sel: `${x.lane},region,${x.depth},${x.start}` }) }, instant(x.start, 1e3)) },
        { title: 'Duration', num: true, down: true, sort: byNumber((x) => x.dur), cell: (x) => duration(x.dur) },
        { title: '', bar: true, cell: (x) => shareBar(x.dur, stat.max) },
        { title: 'Thread', name: true, cell: (x) => foreign(model.laneName(model.lane(x.lane)), 60) },
        { title: 'Task', name: true, cell: (x) => taskLink(model, x.task, link) },
    ], list, { sorted: 1, csv: 'regions-of-a-name' });
    return [title, h('section', { class: 'card', 'aria-label': 'Durations' },
        facts([['Count', count(stat.n)], ['Total · self', `${duration(stat.total)} · ${duration(stat.self)}`], ['p50 · p99 · max', [stat.p50, stat.p99, stat.max].map(duration).join(' · ')]]),
        histogramView('Durations', bars, chosen ? [from, to] : null, [{ title: 'p50', at: stat.p50 }, { title: 'p99', at: stat.p99 }], (bar) => go(bar ? { from: bar.from, to: bar.to } : {}))),
    h('div', { class: 'row' }, h('h2', null, list.length < LONGEST ? `${count(list.length)} regions` : `The ${count(LONGEST)} longest`),
        chosen ? [h('span', { class: 'muted' }, `from ${duration(from)} to ${duration(to)}`), h('button', { type: 'button', onclick: () => go({}) }, 'Show all durations')] : null), table.node];
}

/** @typedef {{lane: number, depth: number, start: number, dur: number, task: number}} Instance */

/** @param {Model} model @param {number} name @param {number} from @param {number} to both included: the last bar includes its end */
function longest(model, name, from, to) {
    /** @type {Instance[]} */
    let list = [];
    let least = from;
    for (const row of model.rowsOf('region')) {
        for (const seg of row.segs) {
            if (seg.longest < least) continue;
            for (let i = seg.name.indexOf(name); i >= 0; i = seg.name.indexOf(name, i + 1)) {
                if (seg.dur[i] < least || seg.dur[i] > to) continue;
                list.push({ lane: row.lane, depth: row.depth, start: seg.start[i], dur: seg.dur[i], task: seg.task[i] });
            }
            if (list.length < 4 * LONGEST) continue;
            list = list.sort((a, b) => b.dur - a.dur).slice(0, LONGEST);
            least = list[list.length - 1].dur;
        }
    }
    return list.sort((a, b) => b.dur - a.dur).slice(0, LONGEST);
}
