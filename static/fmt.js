// fmt.js - numbers and foreign text, as they are shown.

/** @type {[number, string][]} */
const TIME_UNITS = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];

/** Four digits: 1.234 ms, 12.34 ms, 123.4 ms. @param {number} ns */
export function duration(ns) {
    if (!Number.isFinite(ns)) return '–';
    const sign = ns < 0 ? '-' : '';
    const abs = Math.abs(ns);
    if (abs >= 3600e9) return `${sign}${Math.floor(abs / 3600e9)} h ${Math.floor((abs % 3600e9) / 60e9)} min`;
    if (abs >= 100e9) return `${sign}${Math.floor(abs / 60e9)} min ${Math.floor((abs % 60e9) / 1e9)} s`;
    const [unit, name] = TIME_UNITS.find(([u]) => abs >= u) ?? TIME_UNITS[3];
    const v = abs / unit;
    return `${sign}${unit === 1 ? Math.round(v) : v.toPrecision(4)} ${name}`;
}

/** A point in time within the capture, as exact as the step between neighbouring labels asks for. @param {number} ns @param {number} stepNs */
export function instant(ns, stepNs) {
    const digits = Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(Math.max(1, stepNs)) + 1e-9)));
    return `${(ns / 1e9).toFixed(digits)} s`;
}

/** @param {number} n */
export function bytes(n) {
    if (!Number.isFinite(n)) return '–';
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let u = 0;
    while (n >= 1000 && u < units.length - 1) {
        n /= 1000;
        u++;
    }
    return `${u === 0 || n >= 100 ? Math.round(n) : n.toPrecision(3)} ${units[u]}`;
}

const integer = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 6 });

/** @param {number} n */
export function count(n) {
    return Number.isFinite(n) ? integer.format(n) : '–';
}

/** @param {number} n */
export function value(n) {
    return Number.isFinite(n) ? decimal.format(n) : '–';
}

/** @param {number} part @param {number} whole */
export function percent(part, whole) {
    if (part > 0 && part / whole < 0.001) return '< 0.1 %';
    return whole > 0 ? `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 1 : 0)} %` : '–';
}

/** Controls, marks that turn the direction of writing, and halves of characters are shown by number, so that a name cannot rearrange what is around it. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * Text that came from the traced program, safe to look at: cut, and with nothing invisible in it. Still only ever a text node.
 * @param {string} s @param {number} [max] characters
 */
export function visible(s, max = 300) {
    const cut = s.length > max ? s.slice(0, max) : s;
    const seen = cut.replace(UNSEEN, (c) => {
        const code = c.charCodeAt(0);
        return `‹${code.toString(16).toUpperCase().padStart(code < 256 ? 2 : 4, '0')}›`;
    });
    return s.length > max ? `${seen}… (${count(s.length)} characters)` : seen || '(no name)';
}
