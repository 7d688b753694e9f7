// export.js - a capture with its viewer as one HTML file, which opens from disk and asks nobody for anything.
//
//   <style> the style sheets | <script text/plain> the worker, packed | <script text/plain> the capture, gzip in base64 | <script module> app.js, packed
//
// Packed means: an entry and all it imports as one text without imports, as server/pack_modules.cmake does when the viewer is embedded.
// Opened, data/load.js finds the worker and app.js the capture by their ids.

import { saveBlob } from './picture.js';

export const CAPTURE_ID = 'ttap-capture';
export const WORKER_ID = 'ttap-worker';
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:";

/** @param {string} path relative to the page @param {Map<string, number>} numbers @param {string[]} out */
async function packInto(path, numbers, out) {
    const response = await fetch(new URL(path, document.baseURI), { cache: 'no-store' });
    if (!response.ok) throw new Error(`${path}: the service answered ${response.status}`);
    let text = await response.text();
    for (const [line, names, from] of [...text.matchAll(/^import \{([^}]*)\} from '([^']*)';$/gm)]) {
        const used = new URL(from, new URL(path, 'http://x/')).pathname.slice(1);
        if (!numbers.has(used)) await packInto(used, numbers, out);
        text = text.replace(line, () => `const {${names.replace(/ as /g, ': ')}} = m${numbers.get(used)};`);
    }
    const exported = [...text.matchAll(/^export (?:async )?(?:function\*? |class |const )([\w$]+)/gm)].map((m) => m[1]);
    numbers.set(path, numbers.size);
    out.push(`const m${numbers.get(path)} = (() => {\n${text.replace(/^export (?=async |function|class|const)/gm, '')}\nreturn { ${exported.join(', ')} };\n})();\n`);
}

/** @param {string} entry @returns {Promise<string>} safe inside a script element */
export async function packed(entry) {
    /** @type {string[]} */
    const out = [];
    await packInto(entry, new Map(), out);
    return out.join('').replace(/<(?=\/script|!--)/gi, '\\x3c');
}

/** @param {import('../data/load.js').Source} source @returns {Promise<string>} gzip, in base64 */
async function captureText(source) {
    const body = source.kind === 'file' ? source.file.stream() : (await fetch(source.url, { headers: source.headers })).body;
    const bytes = await new Response(body).blob();
    const head = new Uint8Array(await bytes.slice(0, 2).arrayBuffer());
    const gzip = head[0] === 0x1f && head[1] === 0x8b;
    const small = gzip ? bytes : await new Response(bytes.stream().pipeThrough(new CompressionStream('gzip'))).blob();
    return new Promise((done, failed) => {
        const reader = new FileReader();
        reader.onload = () => done(String(reader.result).split(',')[1]);
        reader.onerror = () => failed(reader.error);
        reader.readAsDataURL(small);
    });
}

/** @param {import('../data/load.js').Source} source @returns {Promise<Blob>} */
export async function htmlFile(source) {
    const sheets = [...document.querySelectorAll('link[rel="stylesheet"]')].map((l) => /** @type {HTMLLinkElement} */ (l).href);
    const styles = await Promise.all(sheets.map(async (url) => (await fetch(url)).text()));
    const [app, worker, capture] = [await packed('app.js'), await packed('data/worker.js'), await captureText(source)];
    return new Blob(['<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="', POLICY, '">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>tracetap</title>\n<style>\n',
        ...styles, '</style>\n</head>\n<body>\n<a class="skip" href="#main" id="skip">Skip to content</a>\n<header class="top" id="top"></header>\n<div id="banners"></div>\n<main id="main" tabindex="-1"></main>\n',
        `<script type="text/plain" id="${WORKER_ID}">`, worker, `</`, `script>\n<script type="text/plain" id="${CAPTURE_ID}">`, capture, '</', 'script>\n<script type="module">', app, '</', 'script>\n</body>\n</html>\n'], { type: 'text/html' });
}

/** @param {import('../data/load.js').Source} source */
export async function saveHtml(source) {
    saveBlob(`${source.kind === 'file' ? source.name.replace(/(\.json)?(\.gz)?$/, '') : `capture-${source.id}`}.html`, await htmlFile(source));
}

/** The capture that this file brings along, if it is such a file. @returns {File|null} */
export function carriedCapture() {
    const text = document.getElementById(CAPTURE_ID)?.textContent;
    if (!text) return null;
    const raw = atob(text.trim());
    return new File([Uint8Array.from(raw, (c) => c.charCodeAt(0))], decodeURIComponent(location.pathname.split('/').pop() ?? 'capture'));
}
