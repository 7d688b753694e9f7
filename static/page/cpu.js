// cpu.js - CPU samples as a flame graph, for all or for one thread, task or range; off the CPU is the page Blocking.

import { cpuFlame } from '../calc/blocking.js';
import { fill, h } from '../dom.js';
import { count, duration } from '../fmt.js';
import { formatHash } from '../url.js';
import { flameGraph } from '../view/flamegraph.js';
import { scopeBar, scopeOf } from './scope.js';

/** @type {import('../app.js').Page} */
export function cpuPage(app, params) {
    const node = h('div', { class: 'page' });
    const draw = () => {
        const root = cpuFlame(app.needModel(), scopeOf(params));
        fill(node, h('h1', null, 'CPU'), scopeBar(app, 'cpu', params, h('a', { href: formatHash('blocking', { ...params, of: 'sync' }) }, 'Off the CPU: blocking')),
            root.n > 0 ? flameGraph('CPU samples', root, root.total === root.n ? count : duration, 'samples') : h('p', { class: 'muted' }, app.needModel().samples().t.length ? 'No sample lies in this selection.' : 'This capture has no CPU samples. They are taken on request: samples=99 in the address, or Samples a second on the first page, which also says whether this service can take them.'));
    };
    draw();
    return { node, title: 'CPU', grown: () => { if (!app.needModel().loading) draw(); } };
}
