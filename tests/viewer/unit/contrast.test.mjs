// contrast.test.mjs - every text against every ground that it stands on, in both themes: at least 4.5 : 1 (WCAG 2, AA). Computed from the
// variables of css/theme.css, which are the only colours there are.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { HUE, NAME_HUES } from '../../../static/data/hues.js';
import { sliceColours } from '../../../static/view/colours.js';

const LEAST = 4.5;
const css = (file) => fs.readFileSync(new URL(`../../../static/css/${file}`, import.meta.url), 'utf8');

/** @param {string} selector @returns {Record<string, string>} */
function variables(selector) {
    const block = css('theme.css').split(selector)[1].split('}')[0];
    return Object.fromEntries([...block.matchAll(/--([a-z-]+):\s*([^;]+);/g)].map((m) => [m[1], m[2]]));
}

const light = variables(':root {');
const THEMES = { light, dark: { ...light, ...variables(':root[data-theme="dark"] {') } };

const rgb = (/** @type {string} */ hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** @param {number[]} colour */
function luminance(colour) {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** @param {number[]} a @param {number[]} b */
function contrast(a, b) {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
}

/** What stands on what. */
const PAIRS = { text: ['bg', 'panel', 'sunken', 'accent-soft', 'warn-soft', 'bad-soft'], muted: ['bg', 'panel', 'sunken', 'state-idle'], link: ['bg', 'panel', 'sunken', 'accent-soft'], bad: ['bg', 'panel', 'sunken', 'bad-soft'],
    warn: ['bg', 'panel', 'sunken', 'warn-soft'], accent: ['bg', 'panel'], 'accent-text': ['accent'] };

for (const [theme, all] of Object.entries(THEMES)) {
    test(`text can be read on everything it stands on, ${theme}`, () => {
        const pairs = Object.entries(PAIRS).flatMap(([ink, grounds]) => grounds.map((ground) => ({ ink, ground, ratio: contrast(rgb(all[ink]), rgb(all[ground])) })));
        console.log(`${theme}: least ${Math.min(...pairs.map((p) => p.ratio)).toFixed(2)}`);
        assert.deepEqual(pairs.filter((p) => p.ratio < LEAST).map((p) => `${p.ink} on ${p.ground}: ${p.ratio.toFixed(2)}`), []);
    });

    test(`names can be read in slices of every colour, ${theme}`, () => {
        const colours = sliceColours((name) => all[name]);
        const ratios = [...Array(NAME_HUES).keys(), HUE.none].map((hue) => contrast(rgb(all['slice-text']), colours[hue]));
        console.log(`${theme}: least ${Math.min(...ratios).toFixed(2)}`);
        assert.deepEqual(ratios.flatMap((r, hue) => (r < LEAST ? [`hue ${hue}: ${r.toFixed(2)}`] : [])), []);
        assert.ok(contrast(rgb('#1b1200'), colours[HUE.waitFull]) >= LEAST);
    });
}

/** How people see who lack one of three cones: Machado et al. 2009, in linear light. */
const EYES = {
    all: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
    tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

/** OKLab (Ottosson 2020), where 0.02 is about the least difference that is seen. @param {number[]} colour @param {number[]} eye */
function seen(colour, eye) {
    const light_ = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    const [r, g, b] = [0, 3, 6].map((k) => Math.min(1, Math.max(0, eye[k] * light_[0] + eye[k + 1] * light_[1] + eye[k + 2] * light_[2])));
    const [l, m, s] = [0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b, 0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b, 0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b].map(Math.cbrt);
    return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

for (const [theme, all] of Object.entries(THEMES)) {
    test(`waits for work look like none that hold up, to all eyes, ${theme}`, () => {
        const apart = Object.entries(EYES).flatMap(([eye, matrix]) => ['running', 'runnable', 'blocked', 'lock', 'network', 'file', 'sleep', 'gc'].map((state) => {
            const [a, b] = [all['state-idle'], all[`state-${state}`]].map((hex) => seen(rgb(hex), matrix));
            return { eye, state, by: Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) };
        })).sort((a, b) => a.by - b.by);
        console.log(`${theme}: least ${apart[0].by.toFixed(3)}, ${apart[0].state}, ${apart[0].eye}; without sleep ${apart.find((x) => x.state !== 'sleep')?.by.toFixed(3)}`);
        /* sleep is as calm, and has hatches and a letter beside */
        assert.deepEqual(apart.filter((x) => x.by < (x.state === 'sleep' ? 0.03 : 0.08)), []);
    });
}

test('there are no colours but those of the theme', () => {
    for (const file of ['base.css', 'timeline.css']) assert.deepEqual(css(file).match(/#[0-9a-f]{3,8}\b/gi) ?? [], [], file);
});
