// findings.js - what to look at first, each with its figures, what to try and the place in the timeline.

import { RULES, findings } from '../calc/findings.js';
import { inPieces } from '../calc/regions.js';
import { fill, h } from '../dom.js';
import { percent, visible } from '../fmt.js';
import { formatHash } from '../url.js';
import { timeLink } from './scope.js';

/** @type {import('../app.js').Page} */
export function findingsPage(app) {
    const node = h('div', { class: 'page' });
    let turn = 0;
    const draw = async () => {
        const mine = ++turn;
        const model = app.needModel();
        fill(node, h('h1', null, 'Findings'), h('p', { class: 'muted', role: 'status' }, 'Looking…'));
        const found = await inPieces(findings(model), () => mine !== turn);
        if (!found) return;
        fill(node, h('h1', null, 'Findings'), found.length === 0 ? h('p', { class: 'notice' }, h('b', null, 'Nothing stands out.'), ' No lock, queue, collector or peer took a large share of this window.', model.rowsOf('state').length ? '' : ' Without thread states only queues and collectors can be judged.') : null,
            found.map((f) => h('section', { class: 'card finding', 'aria-label': visible(f.title, 200) }, h('div', { class: 'row' }, h('span', { class: 'tag' }, f.kind), h('h2', null, visible(f.title, 200)), h('span', { class: 'grow' }), timeLink(app, f.range[0], f.range[1], 'Show the worst')),
                h('p', null, visible(f.words, 400)), h('p', { class: 'muted' }, 'Try: ', f.advice, /contention/.test(f.kind) ? [' ', h('a', { href: formatHash('contention', app.link()) }, 'All of them')] : null))),
            h('p', { class: 'muted' }, `A lock is named from ${percent(RULES.lock, 1)} of the window in waits on, a full queue from ${percent(RULES.queue, 1)}, runnable spikes from ${percent(RULES.runnable, 1)}, idle CPUs from ${percent(RULES.idle, 1)}, a collector from ${percent(RULES.gc, 1)} or a phase of 20 ms, a peer from ${percent(RULES.peer, 1)} of the tasks' time.`));
    };
    draw();
    return { node, title: 'Findings', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => { turn++; } };
}
