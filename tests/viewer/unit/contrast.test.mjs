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

test('there are no colours but those of the theme', () => {
    for (const file of ['base.css', 'timeline.css']) assert.deepEqual(css(file).match(/#[0-9a-f]{3,8}\b/gi) ?? [], [], file);
});
