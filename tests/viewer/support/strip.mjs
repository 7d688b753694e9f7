// strip.mjs - what the build does to a module or style sheet before it is embedded: TTAP_STRIP names the program (server/strip_assets.c).

import { execFileSync } from 'node:child_process';

/** @param {string|Buffer} source @param {'js'|'css'} language */
export function stripText(source, language) {
    return execFileSync(process.env.TTAP_STRIP ?? '', [language], { input: source, maxBuffer: 1 << 26, stdio: ['pipe', 'pipe', 'pipe'] });
}
