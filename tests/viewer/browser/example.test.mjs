// example.test.mjs - two real captures of the example, with a slow lock and a collector under pressure, and without: what the pages show of them, what
// Compare says, and the one HTML file made of one. Figures are asked of the JSON by naive.mjs, not of the viewer.
//
//   TTAP_EXAMPLE=PIPELINE TTAP_PRELOAD=LIBRARY node --test browser/example.test.mjs

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { count, duration, percent } from '../../../static/fmt.js';
import { openBrowser } from '../support/browser.mjs';
import { Naive } from '../support/naive.mjs';
import { StandIn } from '../support/server.mjs';
import { recorded } from '../support/service.mjs';

const SECONDS = 1.5;
/** @type {{text: string, naive: Naive}} */
let bad;
/** @type {{text: string, naive: Naive}} */
let good;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let b;
let base = '';
const standIn = new StandIn();

before(async () => {
    const capture = async (/** @type {string[]} */ switches) => {
        const { text } = await recorded(process.env.TTAP_EXAMPLE ?? '', process.env.TTAP_PRELOAD ?? '', switches, SECONDS, '&samples=199');
        return { text, naive: new Naive(text) };
    };
    bad = await capture(['--slow-lock', '--alloc-pressure']);
    good = await capture([]);
    base = await standIn.listen();
    b = await openBrowser();
});
after(async () => {
    await b?.close();
    standIn.close();
});
afterEach(() => assert.deepEqual(b.wrongs.splice(0), []));

/** @param {string} text @param {string} name */
async function open(text, name) {
    await b.goto(`${base}#/`);
    await b.page.locator('input[type=file]').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await b.page.locator('.banner.info progress').waitFor({ state: 'detached' });
}

/** @param {string} name of the page in the header */
async function toPage(name) {
    await b.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
}

/** @param {import('playwright-core').Locator} node what must be in it, in this order */
async function says(node, ...parts) {
    await node.first().waitFor();
    const text = (await node.first().innerText()).replace(/\s+/g, ' ');
    let at = 0;
    for (const part of parts) {
        const found = text.indexOf(part, at);
        assert.ok(found >= 0, `"${part}" is not in "${text.slice(0, 600)}", from character ${at} on`);
        at = found + part.length;
    }
}

/** Most of the waits are for it. */
function hotLock() {
    return Object.entries(bad.naive.contended()).sort(([, p], [, q]) => q.total - p.total)[0];
}

async function findingsAreThere() {
    await toPage('Findings');
    const { name, n, total, max } = hotLock()[1];
    await says(b.page.getByRole('region', { name: new RegExp(`^Threads wait for ${name}${/^0x/.test(name) ? ' in (cache_lookup|cache.lock wait)' : ''}$`) }), `${n} waits, ${duration(total)} in all`, `longest ${duration(max)} in cache`);
    const phases = bad.naive.tables.gc;
    const gc = bad.naive.covered(phases.map((g) => [g.start, g.start + g.dur]));
    await says(b.page.getByRole('region', { name: 'The collector took time from the work' }), `${phases.length} phase`, `${duration(gc)} in all (${percent(gc, bad.naive.duration)} of the window)`);
}

async function samplesAreThere() {
    await toPage('CPU');
    const { total, self } = bad.naive.samples();
    const all = bad.naive.tables.sample.reduce((sum, s) => sum + s.cpu_ns, 0);
    const table = b.page.getByRole('table', { name: 'CPU samples, as a table' });
    for (const [name, ns] of Object.entries(self).sort(([, p], [, q]) => q - p).slice(0, 3)) {
        await says(table.getByRole('row').filter({ has: b.page.getByRole('cell', { name, exact: true }) }), name, duration(ns), duration(total[name]), percent(total[name] / all, 1));
    }
}

async function phasesAreThere() {
    await toPage('GC');
    const phases = bad.naive.tables.gc.slice().sort((p, q) => p.start - q.start);
    const table = b.page.getByRole('table', { name: 'Phases' });
    await table.waitFor();
    for (const [i, g] of phases.slice(0, 5).entries()) {
        const middle = g.start + g.dur / 2;
        const blocked = bad.naive.tables.state.filter((s) => s.lane !== g.lane && ['blocked', 'lock', 'network', 'file', 'sleep'].includes(s.is) && s.start <= middle && s.start + s.dur > middle).length;
        await says(table.locator('tbody tr').nth(i), 'sweep', duration(g.dur), bad.naive.laneName(g.lane), String(blocked));
    }
    await b.page.getByRole('region', { name: 'Utilisation' }).getByText('As a table').click();
    for (const window of [1e6, 1e7, 1e8]) await says(b.page.getByRole('table', { name: 'Minimum mutator utilisation' }).getByRole('row', { name: new RegExp(`^${duration(window)} `) }), percent(bad.naive.utilisation(window), 1));
}

test('findings, samples, phases, waits and locks of a real capture are those of its JSON', async () => {
    await open(bad.text, 'bad.json');
    await findingsAreThere();
    await samplesAreThere();
    await phasesAreThere();
    await toPage('Contention');
    const [, { name, n, total, max, waiters }] = hotLock();
    await says(b.page.getByRole('table', { name: 'Locks and full queues' }).getByRole('row', { name }), name, 'cache', 'lock', count(n), duration(total), duration(max), String(Object.keys(waiters).length));
    await b.page.getByRole('link', { name, exact: true }).click();
    for (const [thread, ns] of Object.entries(waiters)) await says(b.page.getByRole('table', { name: 'Who waited' }).getByRole('row', { name: new RegExp(`^${thread} `) }), duration(ns));
    await toPage('Blocking');
    for (const [tab, page] of [['Synchronisation', 'sync'], ['Network', 'network'], ['Sleep', 'sleep'], ['Scheduler', 'sched']]) {
        await b.page.getByRole('navigation', { name: 'Blocked by' }).getByRole('link', { name: tab }).click();
        await b.page.getByRole('tree', { name: tab }).waitFor();
        const waits = bad.naive.waits(page);
        await says(b.page.getByRole('region', { name: 'Waits' }), count(waits.length), duration(waits.reduce((sum, w) => sum + w.dur, 0)), duration(waits.reduce((most, w) => Math.max(most, w.dur), 0)));
    }
});

test('beside a run without the slow lock, Compare names the tasks that waited for it first', async () => {
    await open(good.text, 'good.json');
    await toPage('Compare');
    await b.page.getByLabel('The capture before').setInputFiles({ name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from(bad.text) });
    const median = (/** @type {Naive} */ naive, /** @type {string} */ kind) => {
        const all = naive.tables.task.filter((t) => naive.strings[t.kind] === kind && t.status !== 2).map((t) => t.dur).sort((p, q) => p - q);
        return all[Math.ceil(all.length / 2) - 1];
    };
    const faster = ['lookup price', 'lookup stock', 'lookup reviews', 'GET /item'].map((kind) => ({ kind, times: median(bad.naive, kind) / median(good.naive, kind) })).sort((p, q) => q.times - p.times);
    const words = await b.page.getByText(`Changed: ${faster[0].kind} (${faster[0].times.toFixed(1)} × faster)`).innerText();
    for (const { kind, times } of faster.filter((f) => f.kind.startsWith('lookup'))) assert.ok(words.includes(`${kind} (${times.toFixed(1)} × faster)`), `${kind} in ${words}`);
    await b.page.getByText(/^Changed: cache\.lock (held|wait) \(\d.* × faster\), cache\.lock (held|wait)/).waitFor();
    await b.page.getByText(/Only before: allocate\./).waitFor();
});

test('the one HTML file of a real capture shows states, samples and phases from disk, and asks nobody', async () => {
    await open(bad.text, 'bad.json');
    const lanes = await b.page.locator('.tl-name').evaluateAll((all) => all.map((n) => /** @type {HTMLElement} */ (n).title));
    const download = b.page.waitForEvent('download');
    await b.page.getByRole('button', { name: 'Save the capture and its viewer as one HTML file' }).click();
    const file = path.join(os.tmpdir(), `tracetap-example-${process.pid}.html`);
    await (await download).saveAs(file);
    /** @type {string[]} */
    const requests = [];
    const hear = (/** @type {import('playwright-core').Request} */ r) => { if (!/^(file|blob|data):/.test(r.url())) requests.push(r.url()); };
    b.page.on('request', hear);
    await b.context.setOffline(true);
    try {
        await b.goto(`file://${file}`);
        await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
        await b.page.locator('.banner.info progress').waitFor({ state: 'detached' });
        assert.deepEqual(await b.page.locator('.tl-name').evaluateAll((all) => all.map((n) => /** @type {HTMLElement} */ (n).title)), lanes);
        await findingsAreThere();
        await samplesAreThere();
        await phasesAreThere();
        await toPage('Threads');
        const [lane] = Object.entries(hotLock()[1].waiters).sort(([, p], [, q]) => q - p)[0];
        const blocked = bad.naive.tables.state.filter((s) => bad.naive.laneName(s.lane) === lane && ['blocked', 'lock', 'network', 'file', 'sleep'].includes(s.is));
        await says(b.page.getByRole('table', { name: 'Threads' }).getByRole('row', { name: lane }), lane, duration(blocked.reduce((most, s) => Math.max(most, s.dur), 0)));
        await toPage('Compare');
        await b.page.getByLabel('The capture before').setInputFiles({ name: 'good.json', mimeType: 'application/json', buffer: Buffer.from(good.text) });
        await b.page.getByText(/^Changed: lookup \w+ \(\d.* × slower\)/).waitFor();
        assert.deepEqual(requests, []);
    } finally {
        await b.context.setOffline(false);
        b.page.off('request', hear);
        fs.rmSync(file, { force: true });
    }
});
