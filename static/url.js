// url.js - the address after the #: page, capture, view. Everything a link needs, nothing that only this visit knows.
//
//   #/timeline?cap=c12&t=1.203100000-1.219400000&sel=3,region,0,1203100&q=db
//
// A token may be given as #token=...; it is taken out of the address at once and kept in memory only.

/** @typedef {{page: string, params: Record<string, string>}} Route */

/** @param {string} hash @returns {Route} */
export function parseHash(hash) {
    const m = /^#?\/?([a-z]*)(?:\?(.*))?$/s.exec(hash);
    /** @type {Record<string, string>} */
    const params = {};
    if (m?.[2]) for (const [k, v] of new URLSearchParams(m[2])) params[k] = v;
    return { page: m?.[1] || '', params };
}

/** @param {string} page @param {Record<string, string|number|undefined|null>} [params] the empty ones are left out */
export function formatHash(page, params = {}) {
    const pairs = [];
    for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== null && v !== '') pairs.push(`${k}=${encode(String(v))}`);
    return `#/${page}${pairs.length ? '?' + pairs.join('&') : ''}`;
}

/** Readable where the address allows it, and safe for lone surrogates. @param {string} s */
function encode(s) {
    const whole = s.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
    return encodeURIComponent(whole).replace(/%2C/g, ',').replace(/%3A/g, ':').replace(/%2F/g, '/');
}

/** Seconds with all nine digits: a view must come back to the nanosecond. @param {number} t0 @param {number} t1 in ns */
export function formatRange(t0, t1) {
    return `${(t0 / 1e9).toFixed(9)}-${(t1 / 1e9).toFixed(9)}`;
}

/** @param {string|undefined} s @returns {[number, number]|null} ns */
export function parseRange(s) {
    const m = /^(-?\d{1,9}(?:\.\d{1,9})?)-(-?\d{1,9}(?:\.\d{1,9})?)$/.exec(s ?? '');
    if (!m) return null;
    const t0 = Math.round(Number(m[1]) * 1e9);
    const t1 = Math.round(Number(m[2]) * 1e9);
    return t1 > t0 ? [t0, t1] : null;
}

/** @param {string|undefined} s @returns {number[]} */
export function parseIds(s) {
    return (s ?? '').split(',').filter((x) => /^-?\d{1,15}$/.test(x)).map(Number);
}

/** @param {string} hash @returns {{token: string|null, rest: string}} the token, and the address without it */
export function takeToken(hash) {
    const m = /^#(?:(.*?)[&?])?token=([^&]*)(?:&(.*))?$/s.exec(hash);
    if (!m) return { token: null, rest: hash };
    const before = m[1] ?? '';
    const rest = m[3] ? `${before}${before.includes('?') ? '&' : before ? '?' : ''}${m[3]}` : before;
    let token = m[2];
    try {
        token = decodeURIComponent(token);
    } catch { /* not encoded, then as it stands */ }
    return { token, rest: rest ? `#${rest}` : '' };
}
