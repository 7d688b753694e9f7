// service.mjs - the viewer against a real service: node service.mjs PROGRAM. Starts it, runs those tests of the pages against it that depend on the
// service, then captures and looks for what the service is known to do. TTAP_SHOTS=FOLDER leaves four pictures there; TTAP_ONLY_LOOK=1 runs no
// page tests; TTAP_PRELOAD is preloaded into it, so that waits have their causes.

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import path from 'node:path';
import { openBrowser } from '../support/browser.mjs';

/** What a real endpoint could answer differently from the stand-in, against which all the tests of the pages run. */
const LIVE = ['first page tells', 'is started, watched, stopped', 'colour at a place', 'thread states have', 'a packed file opens', 'a capture that is gone', 'do not scroll sideways', 'one HTML file'];

const program = process.argv[2];
const service = spawn(program, ['--listen', '127.0.0.1:0', '--small-queue', '--alloc-pressure', '--seconds', '290'], { stdio: ['ignore', 'pipe', 'inherit'], env: process.env.TTAP_PRELOAD ? { ...process.env, LD_PRELOAD: process.env.TTAP_PRELOAD } : process.env });

/** @returns {Promise<string>} */
function address() {
    return new Promise((found, failed) => {
        let said = '';
        service.stdout.on('data', (piece) => {
            said += piece;
            const m = /tracetap:\s+(http:\S+)/.exec(said);
            if (m) found(m[1]);
        });
        service.on('exit', (code) => failed(new Error(`${program} ended with ${code}; it said: ${said}`)));
    });
}

/** @param {string} base */
async function look(base) {
    const b = await openBrowser({ height: 900 });
    const { page } = b;
    try {
        await b.goto(base);
        await page.getByLabel('Seconds').fill('2');
        await page.getByRole('button', { name: 'Start capture' }).click();
        await page.getByRole('link', { name: /is ready: open it/ }).waitFor();
        await page.waitForTimeout(300);
        await shot(page, 'landing');
        await page.getByRole('link', { name: /is ready: open it/ }).click();
        await page.getByText('Ended by').waitFor();
        const lanes = await page.locator('.tl-name').allInnerTexts();
        assert.ok(lanes.length >= 6, `lanes: ${lanes}`);
        await page.keyboard.press('/');
        await page.keyboard.type('enrich dur>3ms');
        await page.keyboard.press('Enter');
        await page.getByRole('complementary', { name: 'Details' }).getByRole('heading', { name: 'Region', exact: true }).waitFor();
        for (let i = 0; i < 9; i++) await page.keyboard.press('n'); /* away from the window's edge */
        await page.keyboard.press('z');
        for (let i = 0; i < 4; i++) await page.keyboard.press('s');
        await page.waitForTimeout(400);
        await shot(page, 'timeline');
        await page.getByRole('navigation').getByRole('link', { name: 'Tasks' }).click();
        const tasks = page.getByRole('table', { name: 'Tasks by kind' });
        await tasks.waitFor();
        console.log(await tasks.innerText());
        await tasks.getByRole('link').first().click();
        await page.getByRole('table', { name: 'Tasks' }).getByRole('link').first().click();
        await page.getByRole('region', { name: 'Threads it touched' }).waitFor();
        await page.getByRole('heading', { name: 'Where the time went' }).waitFor();
        await page.waitForTimeout(300);
        await shot(page, 'task');
        await page.getByRole('navigation').getByRole('link', { name: 'Findings' }).click();
        await page.getByRole('region', { name: 'Threads wait for room in enrich.in' }).waitFor(); /* --small-queue */
        await shot(page, 'findings');
        await page.getByRole('navigation').getByRole('link', { name: 'Regions' }).click();
        await page.getByRole('table', { name: 'Regions by name' }).getByRole('row').nth(2).waitFor();
        assert.deepEqual(b.wrongs, []);
    } finally {
        await b.close();
    }
}

/** @param {import('playwright-core').Page} page @param {string} name */
async function shot(page, name) {
    if (process.env.TTAP_SHOTS) await page.screenshot({ path: path.join(process.env.TTAP_SHOTS, `${name}.png`) });
}

let failed = true;
try {
    const base = new URL('debug/trace/ui/', await address()).href;
    await look(base);
    const pages = process.env.TTAP_ONLY_LOOK ? { status: 0 } : spawnSync(process.execPath, ['--test', '--test-timeout=250000', `--test-name-pattern=${LIVE.join('|')}`, fileURLToPath(new URL('pages.test.mjs', import.meta.url))], { env: { ...process.env, TTAP_BASE_URL: base }, stdio: 'inherit' });
    failed = pages.status !== 0;
} catch (e) {
    console.error(e);
} finally {
    service.kill();
}
process.exit(failed ? 1 : 0);
