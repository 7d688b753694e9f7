// browser.mjs - a Chromium page that remembers everything it should not have done.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.TTAP_CHROMIUM ?? '/usr/bin/chromium';

/** @param {{theme?: 'light'|'dark', width?: number, height?: number, scale?: number}} [options] */
export async function openBrowser(options = {}) {
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tracetap-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: CHROMIUM, headless: true, colorScheme: options.theme ?? 'light', viewport: { width: options.width ?? 1400, height: options.height ?? 860 }, deviceScaleFactor: options.scale ?? 1, acceptDownloads: true,
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--font-render-hinting=none'],
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(15000);
    /** What went wrong; the advice to read canvases differently comes from the tests' own probes. @type {string[]} */
    const wrongs = [];
    page.on('console', (m) => { if ((m.type() === 'error' || m.type() === 'warning') && !m.text().includes('willReadFrequently')) wrongs.push(`console ${m.type()}: ${m.text()}`); });
    page.on('pageerror', (e) => wrongs.push(`page error: ${e.stack ?? e}`));
    page.on('dialog', (d) => { wrongs.push(`dialog: ${d.message()}`); d.dismiss(); });
    let origin = '';
    page.on('request', (r) => { if (origin && !r.url().startsWith(origin) && !/^(blob|data):/.test(r.url())) wrongs.push(`request off origin: ${r.url()}`); });
    await page.exposeFunction('ttapReport', (/** @type {string} */ text) => { wrongs.push(text); });
    await page.addInitScript("addEventListener('securitypolicyviolation', (e) => ttapReport(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`))");
    return {
        page, context, wrongs,
        /** @param {string} url */
        async goto(url) {
            origin = url.startsWith('file:') ? 'file://' : new URL(url).origin;
            await page.goto('about:blank');
            await page.goto(url);
        },
        async close() {
            await context.close();
            fs.rmSync(profile, { recursive: true, force: true });
        },
    };
}
