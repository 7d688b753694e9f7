// cpu.js - CPU samples as a flame graph, or those of allocations, for all or for one thread, task or range; off the CPU is the page Blocking.

import { cpuFlame } from '../calc/blocking.js';
import { fill, h } from '../dom.js';
import { bytes, count, duration } from '../fmt.js';
import { formatHash } from '../url.js';
import { flameGraph } from '../view/flamegraph.js';
import { scopeBar, scopeOf } from './scope.js';

/** @type {import('../app.js').Page} */
export function cpuPage(app, params) {
    const node = h('div', { class: 'page' });
    const draw = () => {
        const alloc = params.of === 'alloc';
        const root = cpuFlame(app.needModel(), scopeOf(params), alloc);
        const show = root.total === root.n ? count : alloc ? bytes : duration;
        const tabs = h('nav', { class: 'tabs', 'aria-label': 'Of' }, [['', 'CPU time'], ['alloc', 'Allocated bytes']].map(([of, title]) => h('a', { href: formatHash('cpu', { ...params, of: of || undefined }), 'aria-current': of === (alloc ? 'alloc' : '') ? 'page' : null }, title)));
        fill(node, h('h1', null, 'CPU'), tabs, scopeBar(app, 'cpu', params, h('a', { href: formatHash('blocking', { ...params, of: 'sync' }) }, 'Off the CPU: blocking')),
            root.n > 0 ? flameGraph(alloc ? 'Allocated bytes' : 'CPU samples', root, show, 'samples') : h('p', { class: 'muted' }, app.needModel().samples(alloc).t.length ? 'No sample lies in this selection.' : alloc ? 'This capture has no samples of allocations. They are taken on request, of programs under tracetap run: alloc_samples=524288 in the address, or Bytes a sample on the first page.' : 'This capture has no CPU samples. They are taken on request: samples=99 in the address, or Samples a second on the first page, which also says whether this service can take them.'));
    };
    draw();
    return { node, title: 'CPU', grown: () => { if (!app.needModel().loading) draw(); } };
}
