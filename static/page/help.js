// help.js - all keys that work right now, from keys.js itself, so that the list is never wrong.

import { h } from '../dom.js';
import { allBindings } from '../keys.js';

/** @type {Record<string, string>} */
const SHOWN = { ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' };

/** @param {string} key */
function keyCap(key) {
    return h('kbd', null, key.split('+').filter(Boolean).map((k) => SHOWN[k] ?? (k.length === 1 ? k.toUpperCase() : k)).join(' ') || '+');
}

export function showHelp() {
    const groups = new Map();
    for (const b of allBindings()) groups.set(b.group, [...(groups.get(b.group) ?? []), b]);
    const dialog = h('dialog', { 'aria-label': 'Keys' },
        [...groups].map(([group, list]) => [h('h2', null, group), h('div', { class: 'keylist' },
            list.map((/** @type {import('../keys.js').Binding} */ b) => h('div', null, h('span', null, b.what), h('span', null, b.keys.map((k) => [keyCap(k), ' '])))))]),
        h('h2', null, 'Pointer'),
        h('div', { class: 'keylist' }, [['Wheel', 'scroll lanes'], ['Ctrl + wheel, or wheel on the axis', 'zoom at the pointer'], ['Shift + wheel', 'move in time'], ['Drag', 'move'], ['Shift + drag', 'range and its totals'], ['Drag on the axis', 'zoom to that'], ['Double click', 'zoom to the slice']]
            .map(([keys, what]) => h('div', null, h('span', null, what), h('span', { class: 'muted' }, keys)))),
        h('h2', null, 'Search'),
        h('p', { class: 'muted' }, 'Text, and words such as ', h('code', null, 'thread:worker*'), ' ', h('code', null, 'task:"GET /a"'), ' ', h('code', null, 'task:#9'), ' ', h('code', null, 'dur>5ms'), '; all must hold.'),
        h('p', { class: 'row' }, h('span', { class: 'grow' }), h('button', { type: 'button', autofocus: true, onclick: () => dialog.close() }, 'Close')));
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
}
