// menu.js - what the timeline shows: lanes of what, and which tables in them. The choice is part of the address.

import { h } from '../dom.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */

/** @type {[import('./lanes.js').By, string][]} */
const BY = [['thread', 'threads'], ['process', 'threads, by process'], ['cpu', 'CPUs'], ['task', 'tasks, by kind'], ['object', 'objects waited for']];
/** @type {[string, string][]} */
const PARTS = [['state', 'states'], ['cpu', 'CPUs above the threads'], ['work', 'tasks'], ['wait', 'waits at queues'], ['region', 'regions'], ['call', 'hooked calls'], ['gc', 'collector'], ['marks', 'logs and instants'], ['series', 'counters'], ['wakes', 'wake arrows of the selection'], ['idle', 'threads without events']];
/** Not shown unless asked for. */
export const OFF = new Set(['idle']);

/** "cpu,-state,idle": lanes by CPU, no states, with idle threads. @param {string} text @returns {{by: import('./lanes.js').By, shown: Set<string>}} */
export function parseShow(text) {
    const shown = new Set(PARTS.map(([p]) => p).filter((p) => !OFF.has(p)));
    /** @type {import('./lanes.js').By} */
    let by = 'thread';
    for (const word of text.split(',')) {
        const named = BY.find(([b]) => word === `by-${b}`);
        if (named) by = named[0];
        else if (word.startsWith('-')) shown.delete(word.slice(1));
        else if (PARTS.some(([p]) => p === word)) shown.add(word);
    }
    return { by, shown };
}

/** @param {import('./lanes.js').By} by @param {Set<string>} shown */
export function formatShow(by, shown) {
    const words = PARTS.map(([p]) => (shown.has(p) === OFF.has(p) ? (OFF.has(p) ? p : `-${p}`) : '')).filter(Boolean);
    return [by === 'thread' ? '' : `by-${by}`, ...words].filter(Boolean).join(',');
}

export class Menu {
    /** @param {Timeline} tl */
    constructor(tl) {
        this.tl = tl;
        const by = h('select', { 'aria-label': 'Lanes of', onchange: () => this.change() }, BY.map(([v, text]) => h('option', { value: v, selected: tl.by === v }, text)));
        const boxes = PARTS.map(([part, text]) => ({ part, box: h('input', { type: 'checkbox', checked: tl.shown.has(part), onchange: () => this.change() }), text }));
        this.by = by;
        this.boxes = boxes;
        this.panel = h('div', { class: 'tl-menu', role: 'group', 'aria-label': 'What the timeline shows', hidden: true, onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === 'Escape') { e.stopPropagation(); this.toggle(false); } } },
            h('label', { class: 'field' }, 'Lanes of', by), boxes.map(({ box, text }) => h('label', { class: 'check' }, box, text)));
        this.button = h('button', { type: 'button', 'aria-expanded': 'false', title: 'What the timeline shows (V)', onclick: () => this.toggle() }, 'View ▾');
        this.node = h('div', { class: 'tl-menubox' }, this.button, this.panel);
    }

    /** @param {boolean} [open] */
    toggle(open = this.panel.hidden) {
        this.panel.hidden = !open;
        this.button.setAttribute('aria-expanded', String(open));
        if (open) this.by.focus();
        else this.button.focus();
    }

    change() {
        const { tl } = this;
        tl.by = /** @type {import('./lanes.js').By} */ (this.by.value);
        tl.shown = new Set(this.boxes.filter((b) => b.box.checked).map((b) => b.part));
        tl.relayout();
    }
}
