// colours.js - what colour a slice has, from the theme's variables. Names get 24 hues of one lightness and chroma, so that none shouts;
// every other one is a little darker, since neighbouring hues alone are hard to tell apart.

import { HUE, HUES, NAME_HUES } from '../data/hues.js';

/** OKLCH -> sRGB bytes (Ottosson 2020), clipped. @param {number} l @param {number} c @param {number} hueDeg @returns {[number, number, number]} */
export function oklch(l, c, hueDeg) {
    const a = c * Math.cos((hueDeg * Math.PI) / 180);
    const b = c * Math.sin((hueDeg * Math.PI) / 180);
    const L = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const M = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const S = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const linear = [4.0767416621 * L - 3.3077115913 * M + 0.2309699292 * S, -1.2684380046 * L + 2.6097574011 * M - 0.3413193965 * S, -0.0041960863 * L - 0.7034186147 * M + 1.707614701 * S];
    const byte = (/** @type {number} */ x) => Math.round(255 * Math.min(1, Math.max(0, x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055)));
    return [byte(linear[0]), byte(linear[1]), byte(linear[2])];
}

/** @param {string} hex #rrggbb @returns {[number, number, number]} */
function rgbOf(hex) {
    const n = parseInt(hex.trim().slice(1, 7), 16);
    return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/** By palette index, see data/hues.js. @param {(variable: string) => string} get of the theme @returns {[number, number, number][]} */
export function sliceColours(get) {
    const [light, dark, chroma] = ['slice-light', 'slice-dark', 'slice-chroma'].map((v) => Number(get(v)));
    /** @type {[number, number, number][]} */
    const rgb = new Array(HUES);
    for (let i = 0; i < NAME_HUES; i++) rgb[i] = oklch(i % 2 ? dark : light, chroma, 25 + (360 / NAME_HUES) * i);
    rgb[HUE.none] = rgbOf(get('line-strong'));
    rgb[HUE.waitFull] = rgbOf(get('state-full'));
    rgb[HUE.waitEmpty] = rgbOf(get('state-idle'));
    rgb[HUE.gc] = rgbOf(get('state-gc'));
    for (const state of /** @type {const} */ (['lost', 'running', 'runnable', 'blocked', 'lock', 'network', 'file', 'sleep'])) rgb[HUE[state]] = rgbOf(get(`state-${state}`));
    return rgb;
}
