// details.js - what is known about the thing selected; with nothing selected, about the capture.

import { ESTIMATED, OPEN_END, OPEN_START, selfTime } from '../data/model.js';
import { laneMarks } from '../calc/tasks.js';
import { runnersIn, sumStates } from '../calc/states.js';
import { wakesOf } from '../calc/wakes.js';
import { RUNNABLE, STATES, unpackPlace } from '../data/states.js';
import { facts, h, heads } from '../dom.js';
import { count, duration, instant, percent, value, visible } from '../fmt.js';
import { formatHash } from '../url.js';
import { palette } from './palette.js';
import { sliceText } from './draw.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('./overlay.js').Pick} Pick */
/** @typedef {Record<string, string|undefined>} LinkParams  what every link keeps: the capture */

/** A long text in the panel: enough to recognise it, the whole would be a megabyte. */
const TEXT_MAX = 2000;
const LOGS_MAX = 50;
const WAKES_MAX = 12;
const FRAMES_MAX = 64;
const RUNNERS_MAX = 5;

/** @param {string} text @param {number} [max] */
export function foreign(text, max = TEXT_MAX) {
    return h('bdi', { class: 'foreign', dir: 'ltr' }, visible(text, max));
}

/** @param {Model} model @param {number} id @param {LinkParams} link */
export function taskLink(model, id, link) {
    return id < 0 ? null : h('a', { href: formatHash('task', { ...link, id }) }, foreign(model.taskTitle(id), 120));
}

/** @param {Model} model @param {number} id */
export function attrTable(model, id) {
    const attrs = model.attrs(id);
    if (attrs.length === 0) return null;
    return h('table', { 'aria-label': 'Attributes' }, h('tbody', null, attrs.slice(0, 200).map((a) =>
        h('tr', null, h('th', { scope: 'row' }, foreign(a.key, 100)), h('td', null, typeof a.value === 'number' ? value(a.value) : foreign(a.value, 500))))));
}

/** @param {Model} model @param {{lane: number, t: number, name: number, text: string|null}[]} marks @param {boolean} withLane */
export function markList(model, marks, withLane) {
    if (marks.length === 0) return null;
    return h('ul', { class: 'loglist' }, marks.slice(0, LOGS_MAX).map((m) => h('li', null,
        h('span', { class: 'muted mono' }, instant(m.t, 1e3)), ' ',
        withLane ? [h('span', { class: 'muted' }, foreign(model.laneName(model.lane(m.lane)), 40)), ' '] : null,
        h('b', null, foreign(model.string(m.name), 80)), m.text === null ? ' (instant)' : [': ', foreign(m.text, 500)])),
    marks.length > LOGS_MAX ? h('li', { class: 'muted' }, `and ${count(marks.length - LOGS_MAX)} more`) : null);
}

/** @param {number} flags */
function openWords(flags) {
    const words = [];
    if (flags & OPEN_START) words.push('began before the window');
    if (flags & ESTIMATED) words.push('the length is known, where between two looks is not');
    if (flags & OPEN_END) words.push('had not ended when the window did');
    return words.join('; ');
}

const TABLE_TITLES = { cpu: 'On a CPU', call: 'Call', state: 'Thread state', region: 'Region', work: 'Work for a task', wait: 'Wait at a queue', gc: 'Collector phase', lost: 'Lost events' };

/** @typedef {(lane: number, t: number) => void} Jump */

/** @param {Model} model @param {Pick} pick @param {LinkParams} link @param {Jump} jump */
export function pickDetails(model, pick, link, jump) {
    if (pick.slice) return sliceDetails(model, pick.slice, link, jump);
    const lane = pick.lane;
    if (!lane) return [];
    const { marks } = lane;
    const i = pick.mark;
    return [
        h('h2', null, foreign(model.string(marks.name[i]))),
        h('h3', null, marks.text[i] === null ? 'Instant' : 'Log line'),
        marks.text[i] === null ? null : h('p', null, foreign(marks.text[i] ?? '')),
        facts([['At', instant(marks.t[i], 1)], ['Thread', foreign(model.laneName(lane), 200)], ['Task', taskLink(model, marks.task[i], link)]]),
    ];
}

/** @param {Model} model @param {import('../data/types.js').Slice} slice @param {LinkParams} link @param {Jump} jump */
function sliceDetails(model, slice, link, jump) {
    const { row, seg, i } = slice;
    const lane = model.lane(row.lane);
    const [from, dur] = [seg.start[i], seg.dur[i]];
    const task = seg.task[i];
    const isOther = row.table === 'cpu' && seg.name[i] < -1;
    const self = row.table === 'region' ? selfTime(model, slice) : NaN;
    const logs = laneMarks(model, row.lane, from, from + dur, LOGS_MAX + 1);
    return [
        h('h2', null, h('span', { class: 'swatch', style: { background: palette().css[seg.hue[i]] } }), foreign(sliceText(model, row, seg, i))),
        h('h3', null, isOther ? 'Another process on a CPU' : TABLE_TITLES[row.table]),
        facts([
            ['Duration', h('b', null, duration(dur))],
            ['Self', Number.isNaN(self) ? null : `${duration(self)} (${percent(self, dur)})`],
            ['Start', instant(from, 1)],
            ['End', instant(from + dur, 1)],
            ['Thread', foreign(model.laneName(lane), 200)],
            ['Depth', row.table === 'region' ? String(row.depth) : null],
            ['Task', taskLink(model, task, link)],
            ['Object', objectFact(model, slice)],
            ['Returned', row.table === 'call' && seg.detail ? String(seg.detail[i]) : null],
            ['Events lost', row.table === 'lost' && seg.extra ? count(seg.extra[i]) : null],
            ['Meanwhile on CPUs', row.table === 'state' && seg.name[i] === RUNNABLE ? runnersFact(model, from, from + dur) : null],
            ['Note', openWords(seg.flags[i])],
        ]),
        row.table === 'state' || row.table === 'region' ? wakeFacts(model, slice, jump) : null,
        row.table === 'cpu' && !isOther ? h('button', { type: 'button', onclick: () => jump(seg.name[i], from) }, 'To the thread') : null,
        row.table === 'state' && seg.detail && seg.detail[i] >= 0 ? stackList(model, seg.detail[i]) : null,
        row.table === 'region' ? h('a', { href: formatHash('regions', { ...link, name: seg.name[i] }) }, 'All regions of this name') : null,
        task >= 0 ? [taskFacts(model, task), attrTable(model, task)] : null,
        logs.length ? [h('h3', null, 'Logs and instants on this thread meanwhile'), markList(model, logs, false)] : null,
    ];
}

/** @param {Model} model @param {number} from @param {number} to */
function runnersFact(model, from, to) {
    const all = runnersIn(model, from, to).slice(0, RUNNERS_MAX);
    return all.length ? foreign(all.map(([who, ns]) => `${who} ${duration(ns)}`).join(', '), 400) : null;
}

/** What it waits for or calls, where the title has only a part of its name. @param {Model} model @param {import('../data/types.js').Slice} slice */
function objectFact(model, { row, seg, i }) {
    const object = row.table === 'state' ? unpackPlace(seg.extra?.[i] ?? 0).object : row.table === 'call' ? (seg.extra?.[i] ?? -1) : -1;
    return object >= 0 && model.objectTitle(object) !== model.objectName(object) ? h('span', { class: 'mono' }, foreign(model.objectName(object), 200)) : null;
}

/** Who woke this thread, and whom it woke, each a jump. @param {Model} model @param {import('../data/types.js').Slice} slice @param {Jump} jump */
function wakeFacts(model, slice, jump) {
    const wakes = wakesOf(model, slice).slice(0, WAKES_MAX);
    if (wakes.length === 0) return null;
    return h('ul', { class: 'loglist', 'aria-label': 'Wakes' }, wakes.map((w) => {
        const woken = w.to === slice.row.lane;
        const other = woken ? w.from : w.to;
        const name = other < 0 && !model.lanes.has(other) ? 'the kernel' : visible(model.laneName(model.lane(other)), 80);
        return h('li', null, woken ? 'Woken by ' : 'Woke ', h('button', { type: 'button', class: 'linklike', onclick: () => jump(other, woken ? w.t : w.t + 1) }, name), h('span', { class: 'muted mono' }, ` ${instant(w.t, 1e3)}`));
    }));
}

/** @param {Model} model @param {number} stack innermost function first */
export function stackList(model, stack) {
    return [h('h3', null, 'Stack'), h('ol', { class: 'loglist mono' }, model.frames(stack).slice(0, FRAMES_MAX).map((f) => h('li', null, foreign(f.func, 200), f.place ? h('span', { class: 'muted', title: visible(f.file) }, ' ', foreign(f.place, 120)) : null)))];
}

/** @param {Model} model @param {number} id */
function taskFacts(model, id) {
    const task = model.task(id);
    if (!task) return null;
    return [h('h3', null, 'Its task'), facts([
        ['Duration', duration(task.dur)],
        ['Start', instant(task.start, 1)],
        ['Status', statusWord(task)],
        ['Text', task.text >= 0 ? foreign(model.string(task.text), 500) : null],
    ])];
}

/** @param {import('../data/types.js').Task} task */
export function statusWord(task) {
    if (task.status === 1) return h('span', { class: 'state failed' }, `failed${task.code ? `, code ${task.code}` : ''}`);
    return task.status === 2 ? 'not ended' : 'ok';
}

/** @param {Model} model */
export function captureDetails(model) {
    const { head, end } = model;
    if (!head) return [];
    const a = end?.account ?? {};
    const lost = model.lostTotal();
    const began = /^\d{10,19}$/.test(head.t0_unix_ns) ? new Date(Number(BigInt(head.t0_unix_ns) / 1000000n)) : null;
    return [
        h('h2', null, foreign(head.exe || 'Capture', 200)),
        facts([
            ['Process', head.pid ? String(head.pid) : null],
            ['Recorded', began ? began.toLocaleString('en-GB') : null],
            ['Window', duration(model.duration)],
            ['Ended by', end ? end.reason : null],
            ['Threads', count([...model.lanes.values()].filter((l) => l.kind !== 'signal' && l.id >= 0).length)],
            ['Slices', count(model.sliceCount)],
            ['Tasks', count(model.tasks().n)],
            ['Logs, instants', model.markCount ? count(model.markCount) : null],
            ['Events', a.delivered !== undefined ? count(a.delivered) : null],
            ['Lost', lost > 0 ? h('span', { class: 'bad' }, count(lost)) : end ? 'nothing' : null],
            ['Sampled out', a.sampled_out ? count(a.sampled_out) : null],
            ['Sampling', head.sample || null],
            ['Clock', head.clock || null],
            ['Made by', head.producer ? foreign(head.producer, 100) : null],
        ]),
        legend(model),
        h('p', { class: 'muted' }, 'Press ', h('kbd', null, '?'), ' for all keys.'),
        notes(head.notes),
    ];
}

/** @param {Record<string, string>} all */
function notes(all) {
    const pairs = Object.entries(all).slice(0, 40);
    if (pairs.length === 0) return null;
    return [h('h3', null, 'Sources'), facts(pairs.map(([k, v]) => /** @type {[string, import('../dom.js').Child]} */ ([visible(k.replace(/^source\./, ''), 60), foreign(v, 300)])))];
}

const LEGEND = [['running', 'runs on a CPU'], ['runnable', 'could run, waits for a CPU'], ['lock', 'L  waits for a lock'], ['network', 'N  waits for the network'], ['file', 'F  waits for a file or a call'], ['sleep', 'Z  sleeps'], ['blocked', 'B  waits, cause unknown'], ['unknown', '?  not known']];

/** @param {Model} model */
function legend(model) {
    const states = model.rowsOf('state').length > 0;
    return h('div', { class: 'legend', role: 'group', 'aria-label': 'Legend' }, h('h3', null, 'Legend'),
        states ? LEGEND.map(([state, words]) => h('span', null, h('i', { class: `state-${state}` }), words)) : null,
        h('span', null, h('i', { class: 'part-idle' }), 'idle: waits for work, with no task, region or request at hand'),
        h('span', null, h('i', { class: 'full' }), 'waits at a full queue: held up'),
        h('span', null, h('i', { class: 'state-gc' }), 'garbage collector'),
        h('span', null, h('i', { class: 'lost' }), 'events were lost here'));
}

/**
 * @param {Model} model @param {[number, number]} range
 * @param {{regions: import('../calc/range.js').RangeStat[], states: import('../calc/states.js').ThreadStats[]}|null} stats null while they are computed
 * @param {{zoom: () => void, clear: () => void}} act
 */
export function rangeDetails(model, range, stats, act) {
    return [
        h('h2', null, 'Range'),
        facts([['Length', h('b', null, duration(range[1] - range[0]))], ['From', instant(range[0], 1)], ['To', instant(range[1], 1)]]),
        h('div', { class: 'row' }, h('button', { type: 'button', onclick: act.zoom }, 'Zoom to it (Z)'), h('button', { type: 'button', onclick: act.clear }, 'Clear (Esc)')),
        stats === null ? h('p', { class: 'muted' }, 'Adding up…') : [stateTable(stats.states), h('table', null,
            h('caption', { class: 'visually-hidden' }, 'Regions in this range'),
            heads('Region', '>n', '>Self', '>Total'),
            h('tbody', null, stats.regions.slice(0, 60).map((r) => h('tr', null, h('td', { class: 'name' }, foreign(model.string(r.name), 120)), h('td', { class: 'num' }, count(r.n)),
                h('td', { class: 'num' }, duration(r.self)), h('td', { class: 'num' }, duration(r.total))))))],
    ];
}


/** @param {import('../calc/states.js').ThreadStats[]} threads */
function stateTable(threads) {
    if (threads.length === 0) return null;
    const sum = sumStates(threads);
    const [all, idle] = [sum.ns, sum.idle].map((ns) => ns.reduce((a, b) => a + b, 0));
    return h('table', null, h('caption', { class: 'visually-hidden' }, 'States in this range'), heads('State', '>n', '>Time', '>Share', '>Longest'),
        h('tbody', null, STATES.map((name, s) => (sum.n[s] === 0 ? null : h('tr', null, h('th', { scope: 'row' }, h('span', { class: `statebox state-${name}` }), name), h('td', { class: 'num' }, count(sum.n[s])), h('td', { class: 'num' }, duration(sum.ns[s])),
            h('td', { class: 'num' }, percent(sum.ns[s], all)), h('td', { class: 'num' }, duration(sum.longest[s]))))),
            idle > 0 ? h('tr', null, h('th', { scope: 'row' }, h('span', { class: 'statebox part-idle' }), 'of that idle'), h('td'), h('td', { class: 'num' }, duration(idle)), h('td', { class: 'num' }, percent(idle, all)), h('td')) : null));
}
