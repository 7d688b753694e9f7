// task.js - one task: what it was, what its time went into, and the lanes it touched, alone.

import { splitTask } from '../calc/split.js';
import { taskMarks, taskUse } from '../calc/tasks.js';
import { facts, fill, h, heads, nothing } from '../dom.js';
import { count, duration, instant, percent } from '../fmt.js';
import { formatHash, formatRange } from '../url.js';
import { attrTable, foreign, markList, statusWord, taskLink } from '../view/details.js';
import { splitBar, splitTable } from '../view/splitbar.js';
import { Timeline } from '../view/timeline.js';

const CHILDREN_MAX = 100;

/** @type {import('../app.js').Page} */
export function taskPage(app, params) {
    const node = h('div', { class: 'page' });
    /** @type {Timeline|null} */
    let timeline = null;
    const draw = () => {
        timeline?.destroy();
        timeline = null;
        const model = app.needModel();
        const id = Number(params.id);
        const task = model.task(id);
        if (!task) return fill(node, h('h1', null, `Task #${params.id}`), model.loading ? h('p', { class: 'muted' }, 'Still loading…') : nothing('There is no such task in this capture', h('a', { href: formatHash('tasks', app.link()) }, 'All tasks')));
        const use = taskUse(model, id);
        const t0 = Math.max(0, task.start);
        const t1 = Math.max(t0 + 1000, Math.min(model.duration, task.start + task.dur));
        const pad = (t1 - t0) * 0.04;
        const link = app.link();
        const toTimeline = (/** @type {string} */ sel) => formatHash('timeline', { ...link, t: formatRange(t0 - pad, t1 + pad), sel });
        timeline = use.lanes.size === 0 ? null : new Timeline(model, { link, params: {}, only: use.lanes, range: [t0, t1], open: ({ slice: s }) => {
            location.hash = toTimeline(s ? `${s.row.lane},${s.row.table},${s.row.depth},${s.seg.start[s.i]}` : '');
        } });
        fill(node, ...head(app, model, task, use), timeline ? h('section', { class: 'card', 'aria-label': 'Threads it touched' },
            h('div', { class: 'row' }, h('h2', null, `${count(use.lanes.size)} ${use.lanes.size === 1 ? 'thread' : 'threads'}`), h('span', { class: 'grow' }), h('a', { href: toTimeline('') }, 'Show in the timeline')), timeline.node) : null,
        ...rest(app, model, id));
    };
    draw();
    return { node, title: 'Task', grown: () => { if (!app.needModel().loading) draw(); }, destroy: () => timeline?.destroy() };
}

/** @param {import('../app.js').App} app @param {import('../data/model.js').Model} model @param {import('../data/types.js').Task} task @param {import('../calc/tasks.js').TaskUse} use */
function head(app, model, task, use) {
    const link = app.link();
    const split = splitTask(model, task.id) ?? new Float64Array(0);
    return [
        h('div', { class: 'row' }, h('a', { href: formatHash('tasks', link) }, 'Tasks'), h('span', { class: 'muted', 'aria-hidden': 'true' }, '/'),
            h('a', { href: formatHash('tasks', { ...link, kind: task.kind }) }, foreign(model.string(task.kind), 200)), h('span', { class: 'muted', 'aria-hidden': 'true' }, '/'), h('h1', null, `#${task.id}`)),
        h('div', { class: 'cards' },
            h('section', { class: 'card', 'aria-label': 'Task' }, facts([
                ['Duration', h('b', null, duration(task.dur))],
                ['Status', statusWord(task)],
                ['Text', task.text >= 0 ? foreign(model.string(task.text), 1000) : null],
                ['Start', `${instant(task.start, 1)}${task.start < 0 ? ' (before the window)' : ''}`],
                ['Began on', task.lane >= 0 ? foreign(model.laneName(model.lane(task.lane)), 100) : null],
                ['Ended on', task.endLane >= 0 ? foreign(model.laneName(model.lane(task.endLane)), 100) : null],
                ['Parent', taskLink(model, task.parent, link)],
                ['Trace id', task.trace ? h('span', { class: 'mono' }, foreign(task.trace, 100)) : null],
                ['Threads worked for it', `${duration(use.workedNs)} (${percent(use.workedNs, task.dur)})`],
                .../** @type {[string, string][]} */ (use.waits.slice(0, 8).map((w) => [`Waited: ${w.object.slice(0, 60)} ${w.why}`, `${duration(w.ns)} in ${count(w.n)}`])),
            ]), attrTable(model, task.id), h('div', { class: 'row' }, h('a', { href: formatHash('cpu', { ...link, task: task.id }) }, 'CPU samples of it'), h('a', { href: formatHash('events', { ...link, task: task.id }) }, 'Its events'))),
            h('section', { class: 'card', 'aria-label': 'Where the time went' }, h('h2', null, 'Where the time went'), splitBar(split), splitTable(split, task.dur))),
    ];
}

/** @param {import('../app.js').App} app @param {import('../data/model.js').Model} model @param {number} id */
function rest(app, model, id) {
    const marks = taskMarks(model, id);
    const children = model.children(id);
    return [
        children.length ? h('section', { class: 'card', 'aria-label': 'Child tasks' }, h('h2', null, `${count(children.length)} child ${children.length === 1 ? 'task' : 'tasks'}`),
            h('div', { class: 'scroll' }, h('table', { 'aria-label': 'Child tasks' }, heads('Task', '>Start', '>Duration', 'Status'),
                h('tbody', null, children.slice(0, CHILDREN_MAX).map((c) => {
                    const child = model.task(c);
                    return child ? h('tr', null, h('td', { class: 'name' }, taskLink(model, c, app.link())), h('td', { class: 'num' }, instant(child.start, 1e3)), h('td', { class: 'num' }, duration(child.dur)), h('td', null, statusWord(child))) : null;
                }))))) : null,
        marks.length ? h('section', { class: 'card', 'aria-label': 'Logs' }, h('h2', null, 'Logs and instants'), markList(model, marks, true)) : null,
    ];
}
