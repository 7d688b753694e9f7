// keys.js - one place for all keys: what a page binds works at once and is listed under "?".

/** @typedef {{keys: string[], what: string, group: string, run: (event: KeyboardEvent) => void, onlyIn?: Element}} Binding  onlyIn: while this has the focus, or nothing has */

/** @type {Set<Binding>} */
const bindings = new Set();

/** @param {Binding[]} list @returns {() => void} takes them away again */
export function bind(list) {
    for (const b of list) bindings.add(b);
    return () => list.forEach((b) => bindings.delete(b));
}

/** @returns {Binding[]} */
export function allBindings() {
    return [...bindings];
}

/** "Shift+A"; letters are compared without regard to shift unless it is named. @param {KeyboardEvent} event */
function nameOf(event) {
    const key = event.key === ' ' ? 'Space' : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shifted = event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key));
    return shifted ? `Shift+${key}` : key;
}

/** @param {EventTarget|null} target */
function takesText(target) {
    return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !(target instanceof HTMLInputElement && target.type === 'checkbox');
}

/** @param {KeyboardEvent} event */
function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || takesText(event.target) || document.querySelector('dialog[open]')) return;
    const name = nameOf(event);
    for (const b of bindings) {
        if (!b.keys.includes(name)) continue;
        if (b.onlyIn && document.activeElement !== document.body && document.activeElement !== b.onlyIn && document.activeElement?.id !== 'main') continue;
        event.preventDefault();
        b.run(event);
        return;
    }
}

document.addEventListener('keydown', onKey);
