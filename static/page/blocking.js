// blocking.js - what threads were blocked by: network, synchronisation, calls, sleep, and waiting for a CPU.

import { BLOCKING, blockingFlame, eachWait } from '../calc/blocking.js';
import { histogram } from '../calc/hist.js';
import { inPieces } from '../calc/regions.js';
import { Numbers, summarize } from '../calc/stats.js';
import { facts, fill, h } from '../dom.js';
import { count, duration } from '../fmt.js';
import { formatHash } from '../url.js';
import { flameGraph } from '../view/flamegraph.js';
import { histogramView } from '../view/histogram.js';
import { scopeBar, scopeOf } from './scope.js';

/** @type {import('../app.js').Page} */
export function blockingPage(app, params) {
    const node = h('div', { class: 'page' });
    const kind = BLOCKING[params.of] ? params.of : 'sync';
    const by = /** @type {import('../calc/blocking.js').GroupBy} */ (['stack', 'object', 'thread'].includes(params.by) ? params.by : 'stack');
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        const scope = scopeOf(params);
        const go = (/** @type {Record<string, string|undefined>} */ more) => formatHash('blocking', { ...params, ...more });
        const tabs = h('nav', { class: 'tabs', 'aria-label': 'Blocked by' }, Object.entries(BLOCKING).map(([k, { title }]) => h('a', { href: go({ of: k }), 'aria-current': k === kind ? 'page' : null }, title)));
        const group = h('select', { 'aria-label': 'By', onchange: (/** @type {Event} */ e) => { location.hash = go({ by: /** @type {HTMLSelectElement} */ (e.target).value }); } },
            ['stack', 'object', 'thread'].map((v) => h('option', { value: v, selected: v === by }, v)));
        const body = h('div', { class: 'pagebody' }, h('p', { class: 'muted', role: 'status' }, 'Adding up…'));
        fill(node, h('h1', null, 'Blocking'), tabs, scopeBar(app, 'blocking', params, h('label', { class: 'field' }, 'By', group)), body);
        const old = () => mine !== turn;
        const values = new Numbers();
        await inPieces(eachWait(model, kind, scope, (w) => values.push(w.ns)), old);
        const root = await inPieces(blockingFlame(model, kind, by, scope), old);
        if (!root || old()) return;
        if (root.n === 0) return fill(body, h('p', { class: 'muted' }, nothing(model, kind)));
        const all = values.values();
        const s = summarize(all);
        const bars = histogram(all);
        fill(body, h('section', { class: 'card', 'aria-label': 'Waits' }, facts([['Waits', count(s.n)], ['Total', duration(s.total)], ['p50 · p90 · p99 · max', [s.p50, s.p90, s.p99, s.max].map(duration).join(' · ')]]),
            histogramView(kind === 'sched' ? 'From runnable to running' : 'How long', bars, null, [{ title: 'p50', at: s.p50 }, { title: 'p99', at: s.p99 }], null)),
        flameGraph(BLOCKING[kind].title, root, duration, 'waits'));
    };
    draw();
    return { node, title: 'Blocking', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}

/** @param {import('../data/model.js').Model} model @param {string} kind */
function nothing(model, kind) {
    if (model.rowsOf('state').length > 0) return `No thread was blocked that way (${BLOCKING[kind].title.toLowerCase()}).`;
    return 'This capture has no thread states, so it cannot tell. The first page says which source gives them, and what turns it on.';
}
