// requests.js - what connections were asked, beside the tasks: in a program that nobody annotated all there is to see of its requests.

import { inPieces } from '../calc/regions.js';
import { requestKinds } from '../calc/requests.js';
import { summarize } from '../calc/stats.js';
import { fill, h } from '../dom.js';
import { count, duration } from '../fmt.js';
import { foreign } from '../view/details.js';
import { Table, byNumber } from '../view/table.js';
import { timeLink } from './scope.js';

/** Filled in when it has been added up; empty if the capture has none. @param {import('../app.js').App} app */
export function requestsSection(app) {
    const node = h('section', { 'aria-label': 'Requests of connections', hidden: true });
    inPieces(requestKinds(app.needModel()), () => false).then((kinds) => {
        if (!kinds?.length) return;
        const rows = kinds.map((k) => ({ ...k, ...summarize(k.dur) }));
        /** @typedef {typeof rows[0]} Row */
        const num = (/** @type {string} */ title, /** @type {(r: Row) => number} */ get, /** @type {(n: number) => string} */ show) => ({ title, num: true, down: true, sort: byNumber(get), cell: (/** @type {Row} */ r) => show(get(r)) });
        rows.sort((a, b) => b.total - a.total);
        node.hidden = false;
        fill(node, h('h2', null, 'Requests of connections'), h('p', { class: 'muted' }, 'From receive to send where this program serves, from send to receive where it asks: as its sockets saw it.'), new Table('Requests of connections', [
            { title: 'Connections', name: true, sort: (a, b) => (a.name < b.name ? -1 : 1), cell: (r) => foreign(r.name, 120) }, num('Count', (r) => r.n, count),
            num('p50', (r) => r.p50, duration), num('p90', (r) => r.p90, duration), num('p99', (r) => r.p99, duration), { ...num('Max', (r) => r.max, duration), cell: (r) => timeLink(app, r.worst[0], r.worst[1], duration(r.max)) }, num('Total', (r) => r.total, duration),
        ], rows, { sorted: 6, csv: 'requests' }).node);
    });
    return node;
}
