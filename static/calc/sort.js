// sort.js - natural order: worker-2 before worker-10.

/** Only so much of a name is compared: hostile names may be megabytes long. */
const COMPARE_MAX = 256;
const PART = /\d+|\D+/g;

/** @param {string} a @param {string} b */
export function naturalCompare(a, b) {
    const as = a.slice(0, COMPARE_MAX).match(PART) ?? [];
    const bs = b.slice(0, COMPARE_MAX).match(PART) ?? [];
    for (let i = 0; i < as.length && i < bs.length; i++) {
        const x = as[i];
        const y = bs[i];
        if (x === y) continue;
        const digits = isDigit(x) && isDigit(y);
        const order = digits ? compareDigits(x, y) : x < y ? -1 : 1;
        if (order !== 0) return order;
    }
    return as.length - bs.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** @param {string} s */
function isDigit(s) {
    return s[0] >= '0' && s[0] <= '9';
}

/** Of any length, so not as numbers. @param {string} a @param {string} b */
function compareDigits(a, b) {
    const x = a.replace(/^0+/, '');
    const y = b.replace(/^0+/, '');
    if (x.length !== y.length) return x.length - y.length;
    return x < y ? -1 : x > y ? 1 : 0;
}
