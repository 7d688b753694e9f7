// strip.mjs - a file of the viewer as it is embedded: TTAP_STRIP names the program that the build runs over it (server/strip_assets.c).

import fs from 'node:fs';
import { execFileSync } from 'node:child_process';

export const STRIP = process.env.TTAP_STRIP ?? '';

/** @param {string|Buffer} source @param {'js'|'css'} language */
export function stripText(source, language) {
    return execFileSync(STRIP, [language], { input: source, maxBuffer: 1 << 26, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** @param {string} file @returns {Buffer} */
export function asEmbedded(file) {
    const body = fs.readFileSync(file);
    const language = /\.(js|css)$/.exec(file)?.[1];
    return STRIP && language ? stripText(body, /** @type {'js'|'css'} */ (language)) : body;
}
