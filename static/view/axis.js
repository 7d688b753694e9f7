// axis.js - round steps of time, at a distance the eye can use.

import { instant } from '../fmt.js';

/** @param {number} span ns shown @param {number} width px @param {number} [minPx] @returns {number} ns between labelled ticks: 1, 2 or 5 times a power of ten */
export function tickStep(span, width, minPx = 95) {
    const raw = Math.max(1, (span * minPx) / width);
    const power = 10 ** Math.floor(Math.log10(raw));
    for (const m of [1, 2, 5, 10]) if (m * power >= raw * (1 - 1e-9)) return m * power;
    return 10 * power;
}

/** @param {number} t0 @param {number} t1 @param {number} step @returns {number[]} */
export function ticks(t0, t1, step) {
    const out = [];
    for (let k = Math.ceil(t0 / step); k * step <= t1 && out.length < 200; k++) out.push(k * step);
    return out;
}

/**
 * @param {CanvasRenderingContext2D} g scaled to CSS pixels @param {{t0: number, t1: number, span: number}} view
 * @param {number} width @param {number} height @param {{text: string, line: string, muted: string}} colours
 */
export function drawAxis(g, view, width, height, colours) {
    const step = tickStep(view.span, width);
    g.clearRect(0, 0, width, height);
    g.font = '11px system-ui, sans-serif';
    g.textBaseline = 'middle';
    g.strokeStyle = colours.line;
    g.beginPath();
    for (const t of ticks(view.t0, view.t1, step / 5)) {
        const x = Math.round(((t - view.t0) / view.span) * width) + 0.5;
        const major = Math.abs(t / step - Math.round(t / step)) < 1e-6;
        g.moveTo(x, height);
        g.lineTo(x, height - (major ? 8 : 4));
    }
    g.stroke();
    g.fillStyle = colours.muted;
    for (const t of ticks(view.t0, view.t1, step)) {
        const text = instant(t, step);
        const x = ((t - view.t0) / view.span) * width + 4;
        const long = g.measureText(text).width;
        g.fillText(text, x + long <= width ? x : x - long - 8, 10); /* at the right edge, on the other side of its tick */
    }
}
