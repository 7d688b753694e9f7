// theme.js - light, dark, or what the system says; the choice is kept in this browser if it allows.

/** @typedef {'auto'|'light'|'dark'} Theme */

const KEY = 'tracetap-theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Theme} */
let choice = 'auto';

try {
    const kept = localStorage.getItem(KEY);
    if (kept === 'light' || kept === 'dark') choice = kept;
} catch { /* no storage: the system's theme */ }

function apply() {
    document.documentElement.dataset.theme = choice === 'auto' ? (dark.matches ? 'dark' : 'light') : choice;
    for (const listener of listeners) listener();
}

dark.addEventListener('change', apply);
apply();

/** @returns {Theme} */
export function theme() {
    return choice;
}

/** @returns {Theme} auto -> light -> dark -> auto */
export function nextTheme() {
    choice = choice === 'auto' ? 'light' : choice === 'light' ? 'dark' : 'auto';
    try {
        localStorage.setItem(KEY, choice);
    } catch { /* lasts for this visit */ }
    apply();
    return choice;
}

/** @param {() => void} listener @returns {() => void} stops it */
export function onTheme(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}
