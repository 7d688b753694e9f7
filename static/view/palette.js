// palette.js - the theme's variables as canvas colours, read once for each theme.

import { onTheme } from '../theme.js';
import { sliceColours } from './colours.js';

/** @typedef {{rgb: [number, number, number][], css: string[], get: (variable: string) => string}} Palette */

/** @returns {Palette} */
function read() {
    const style = getComputedStyle(document.documentElement);
    /** Asked for with every label, and the style engine is slow to answer. @type {Map<string, string>} */
    const known = new Map();
    const get = (/** @type {string} */ name) => {
        let colour = known.get(name);
        if (colour === undefined) known.set(name, (colour = style.getPropertyValue(`--${name}`).trim()));
        return colour;
    };
    const rgb = sliceColours(get);
    return { rgb, css: rgb.map((c) => `rgb(${c.join(',')})`), get };
}

/** @type {Palette|null} */
let current = null;
onTheme(() => { current = null; });

/** The colours of the theme in force. */
export function palette() {
    return (current ??= read());
}
