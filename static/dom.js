// dom.js - elements from calls. Text becomes text nodes, always: there is no way to pass markup.

/**
 * Lists may be nested.
 * @typedef {Node|string|number|null|undefined|false|readonly any[]} Child
 */

const SVG = 'http://www.w3.org/2000/svg';

/** @param {Element} node @param {Record<string, unknown>} props */
function setProps(node, props) {
    for (const [key, value] of Object.entries(props)) {
        if (value === undefined || value === null || value === false) continue;
        if (key.startsWith('on') && typeof value === 'function') node.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
        else if (key === 'style') for (const [k, v] of Object.entries(/** @type {Record<string, string>} */ (value))) /** @type {HTMLElement} */ (node).style.setProperty(k, v);
        else if (key === 'value' || key === 'checked' || key === 'disabled') /** @type {any} */ (node)[key] = value;
        else node.setAttribute(key, value === true ? '' : String(value));
    }
}

/** @param {Element} node @param {Child[]} children */
function append(node, children) {
    for (const child of children) {
        if (Array.isArray(child)) append(node, child);
        else if (child instanceof Node) node.append(child);
        else if (child !== null && child !== undefined && child !== false) node.append(document.createTextNode(String(child)));
    }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, unknown>|null} [props] attributes; on* are listeners, style is an object @param {Child[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
    const node = document.createElement(tag);
    if (props) setProps(node, props);
    append(node, children);
    return node;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Record<string, unknown>|null} [props] @param {Child[]} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, props, ...children) {
    const node = document.createElementNS(SVG, tag);
    if (props) setProps(node, props);
    append(node, children);
    return node;
}

/** @param {Element} node @param {Child[]} children */
export function fill(node, ...children) {
    node.replaceChildren();
    append(node, children);
}

/** The first row of a table. @param {string[]} titles those with ">" before them are of numbers */
export function heads(...titles) {
    return h('thead', null, h('tr', null, titles.map((t) => h('th', { scope: 'col', class: t[0] === '>' ? 'num' : '' }, t.replace('>', '')))));
}

/** Definition list of names and values; pairs with an empty value are left out. @param {[string, Child][]} pairs */
export function facts(pairs) {
    return h('dl', { class: 'facts' }, pairs.filter(([, v]) => v !== null && v !== undefined && v !== '' && v !== false).map(([k, v]) => [h('dt', null, k), h('dd', null, v)]));
}

/** In place of what a page would show: why there is none, and what would change that. @param {string} title @param {Child[]} words paragraphs and lines of code */
export function nothing(title, ...words) {
    return h('section', { class: 'nothing', 'aria-label': title }, s('svg', { width: 34, height: 34, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('path', { d: 'M2 4.5h5M2 8h9M2 11.5h3' })), h('h2', null, title),
        words.map((w) => (w instanceof Node ? w : h('p', null, w))));
}

/** A line of code with a button that copies it. @param {string} text @param {string} label */
export function copyLine(text, label) {
    const button = h('button', { type: 'button', 'aria-label': `Copy ${label}`, onclick: () => copy(text, button) }, 'Copy');
    return h('div', { class: 'copyline' }, h('code', { tabindex: 0, role: 'textbox', 'aria-readonly': 'true', 'aria-label': label }, text), button);
}

/** @param {string} text @param {HTMLButtonElement} button says whether it worked */
async function copy(text, button) {
    try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
    } catch {
        button.textContent = 'Select and copy';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

/** A canvas for @width x @height CSS pixels. @param {HTMLCanvasElement} canvas @param {number} width @param {number} height @returns {number} device pixels per CSS pixel */
export function sizeCanvas(canvas, width, height) {
    const dpr = window.devicePixelRatio || 1;
    const [w, hh] = [Math.max(1, Math.round(width * dpr)), Math.max(1, Math.round(height * dpr))];
    if (canvas.width !== w) canvas.width = w;
    if (canvas.height !== hh) canvas.height = hh;
    return dpr;
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
export function context(canvas) {
    const g = canvas.getContext('2d');
    if (!g) throw new Error('This browser has no 2D canvas.');
    return g;
}
