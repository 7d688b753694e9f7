// pages.test.mjs - the pages in a real Chromium, against the stand-in, or with TTAP_BASE_URL against a live endpoint.
//
// What needs a known capture opens one as a file, so that it holds at any endpoint. Every test ends by asking what went wrong
// meanwhile: console errors, policy reports, dialogs, requests off origin. There must be nothing.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { HUE, hueOfText } from '../../../static/data/hues.js';
import { sliceColours } from '../../../static/view/colours.js';
import { ROW_HEIGHT } from '../../../static/view/lanes.js';
import { StandIn } from '../support/server.mjs';
import { openBrowser } from '../support/browser.mjs';
import { CaptureWriter, hostileBytes, hostileNames, knownCapture, largeCapture, othersCapture, statesCapture, MS } from '../support/captures.mjs';

const live = process.env.TTAP_BASE_URL;
/** @type {StandIn} */
let standIn;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let b;
let base = '';

before(async () => {
    standIn = new StandIn();
    base = live ?? (await standIn.listen());
    b = await openBrowser();
});
after(async () => {
    await b?.close();
    standIn.close();
});
afterEach(() => {
    const wrongs = b.wrongs.splice(0);
    assert.deepEqual(wrongs, []);
});

/** @param {string|Buffer} content @param {string} [name] */
async function openFile(content, name = 'known.json') {
    await b.goto(`${base}#/`);
    await b.page.locator('input[type=file]').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(content) });
}

async function openKnown() {
    await openFile(knownCapture().text());
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
}

/** Two frames after loading has ended. */
async function settled() {
    await b.page.locator('.banner.info progress').waitFor({ state: 'detached' });
    await b.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))));
}

const side = () => b.page.getByRole('complementary', { name: 'Details' });

const VARIABLES = [...fs.readFileSync(new URL('../../../static/css/theme.css', import.meta.url), 'utf8').matchAll(/--([a-z-]+):/g)].map((m) => m[1]);

/** The colours of the theme in force. What is embedded has no modules that a page could be asked for, so they are made here. */
async function colours() {
    const values = await b.page.evaluate((names) => {
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--${n}`).trim()]));
    }, VARIABLES);
    return { rgb: sliceColours((name) => values[name]), hex: (name) => [1, 3, 5].map((i) => parseInt(values[name].slice(i, i + 2), 16)) };
}

/** Where a time and a row of a lane lie on the page. The layout is the product's; times and lanes are the capture's. */
async function place(lane, table, depth, t) {
    return b.page.evaluate(async ({ lane: l, table: tb, depth: d, t: time, heights: ROW_HEIGHT }) => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-canvas'));
        const names = [...document.querySelectorAll('.tl-name')];
        const name = /** @type {HTMLElement} */ (names.find((n) => /** @type {HTMLElement} */ (n).title === l));
        const box = canvas.getBoundingClientRect();
        const order = JSON.parse(document.documentElement.dataset.rows ?? '{}')[l];
        let y = name.getBoundingClientRect().top + 4;
        for (const [rt, rd] of order) {
            if (rt === tb && rd === d) { y += ROW_HEIGHT[rt] / 2 - 1; break; }
            y += ROW_HEIGHT[rt];
        }
        const x = box.left + ((time / 1e9 + 0.02) / 1.04) * box.width;
        return { x, y, cx: x - box.left, cy: y - box.top };
    }, { lane, table, depth, t, heights: ROW_HEIGHT });
}

/** Rows of the known capture, lane by lane, top down. */
const ROWS = { 'worker-1': [['work', 0], ['wait', 0], ['gc', 0], ['region', 0], ['region', 1]], 'worker-2': [['work', 0], ['wait', 0], ['region', 0]], 'worker-10': [['work', 0], ['region', -1], ['region', 0]] };

async function tellRows() {
    await b.page.evaluate((rows) => { document.documentElement.dataset.rows = JSON.stringify(rows); }, ROWS);
}

/** @returns {Promise<[number, number, number]>} */
async function pixel(lane, table, depth, t) {
    const { cx, cy } = await place(lane, table, depth, t);
    return b.page.evaluate(({ x, y }) => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-canvas'));
        const dpr = canvas.width / canvas.getBoundingClientRect().width;
        const d = canvas.getContext('2d').getImageData(Math.round(x * dpr), Math.round(y * dpr), 1, 1).data;
        return [d[0], d[1], d[2]];
    }, { x: cx, y: cy });
}

const near = (a, c) => a.every((v, i) => Math.abs(v - c[i]) <= 3);

test('the first page tells what the tracer does, and offers a capture', async () => {
    await b.goto(base);
    const { page } = b;
    await page.getByRole('button', { name: 'Start capture' }).waitFor();
    await page.getByRole('region', { name: 'Status' }).getByText('annotations').waitFor();
    assert.equal(await page.getByLabel('Seconds').inputValue(), '5');
    assert.ok((await page.getByRole('checkbox').count()) >= 6);
    assert.match(await page.getByRole('textbox', { name: 'curl command' }).innerText(), /curl -OJ '.*\/debug\/trace\?seconds=5&format=json'/);
    await page.getByLabel('Seconds').fill('2');
    await page.getByRole('checkbox', { name: 'gc' }).uncheck();
    const others = (await page.getByRole('checkbox').evaluateAll((all) => all.map((c) => /** @type {HTMLInputElement} */ (c).value))).filter((g) => g !== 'gc');
    assert.ok((await page.getByRole('textbox', { name: 'curl command' }).innerText()).includes(`seconds=2&events=${others.join(',')}&format=json`));
});

test('a capture is started, watched, stopped, opened and deleted', async () => {
    await b.goto(base);
    const { page } = b;
    await page.getByLabel('Seconds').fill('20');
    await page.getByRole('checkbox', { name: 'gc' }).uncheck();
    await page.getByRole('button', { name: 'Start capture' }).click();
    await page.getByRole('progressbar', { name: 'Recording' }).waitFor();
    await page.getByText(/1\d\.\d+ s left/).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Start capture' }).isDisabled());
    if (!live) assert.deepEqual(standIn.bodies.at(-1), { seconds: 20, events: ['task', 'region', 'log', 'counter', 'queue'] });
    await page.getByRole('button', { name: 'Stop now' }).click();
    const open = page.getByRole('link', { name: /is ready: open it/ });
    await open.waitFor();
    const id = (await open.innerText()).match(/\d+/)[0];
    await open.click();
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    assert.match(page.url(), new RegExp(`#/timeline\\?cap=${id}`));
    assert.ok((await page.locator('.tl-name').count()) > 0);
    await page.getByRole('navigation').getByRole('link', { name: 'Capture' }).click();
    await page.getByRole('link', { name: `Download capture ${id} as json` }).waitFor();
    await page.getByRole('button', { name: `Delete capture ${id}` }).click();
    await page.getByRole('button', { name: `Delete capture ${id}` }).waitFor({ state: 'detached' });
});

test('a refused capture says why, with the service\'s own words', { skip: live ? 'stand-in only' : false }, async () => {
    await b.goto(base);
    await b.page.getByLabel('Seconds').evaluate((i) => { i.removeAttribute('max'); });
    await b.page.getByLabel('Seconds').fill('400');
    await b.page.getByRole('button', { name: 'Start capture' }).click();
    await b.page.getByText('allowed is more than 0, up to 300').waitFor();
    b.wrongs.splice(0, b.wrongs.length, ...b.wrongs.filter((w) => !/status of 400/.test(w)));
});

test('the colour at a place and time is the colour of what happened there', async () => {
    for (const theme of /** @type {const} */ (['light', 'dark'])) {
        await b.page.emulateMedia({ colorScheme: theme });
        await openKnown();
        await tellRows();
        const { rgb, hex } = await colours();
        const expected = { handle: rgb[hueOfText('handle_request')], parse: rgb[hueOfText('parse')], query: rgb[hueOfText('db.query')], full: rgb[HUE.waitFull], empty: rgb[HUE.waitEmpty], gc: rgb[HUE.gc], bg: hex('bg') };
        const probes = [['worker-1', 'region', 0, 450, 'handle'], ['worker-1', 'region', 0, 550, 'bg'], ['worker-1', 'region', 0, 90, 'bg'], ['worker-1', 'region', 1, 190, 'parse'], ['worker-1', 'region', 1, 225, 'bg'], ['worker-1', 'region', 1, 440, 'query'],
            ['worker-1', 'gc', 0, 725, 'gc'], ['worker-2', 'region', 0, 880, 'handle'], ['worker-2', 'wait', 0, 500, 'empty'], ['worker-10', 'region', -1, 280, 'query'], ['worker-10', 'region', 0, 140, 'parse'], ['worker-10', 'region', 0, 210, 'bg']];
        for (const [lane, table, depth, ms, what] of probes) {
            const got = await pixel(lane, table, depth, ms * MS);
            assert.ok(near(got, expected[what]), `${theme}: ${lane} ${table} ${depth} at ${ms} ms is ${got}, not ${what} ${expected[what]}`);
        }
    }
    await b.page.emulateMedia({ colorScheme: 'light' });
});

test('at twice the pixel density the colours are where they were', async () => {
    const fine = await openBrowser({ scale: 2 });
    const before_ = b;
    try {
        b = fine;
        await openKnown();
        await tellRows();
        const query = (await colours()).rgb[hueOfText('db.query')];
        assert.ok(near(await pixel('worker-1', 'region', 1, 440 * MS), query));
        assert.deepEqual(fine.wrongs, []);
    } finally {
        b = before_;
        await fine.close();
    }
});

/** Of the capture with states. */
async function openStates(capture = statesCapture()) {
    await openFile(capture.text(), 'states.json');
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    const thread = [['state', 0], ['work', 0], ['region', 0], ['region', 1]];
    await b.page.evaluate((rows) => { document.documentElement.dataset.rows = JSON.stringify(rows); }, { 'worker-1': thread, 'worker-2': thread, 'CPU 0': [['cpu', 0]], 'CPU 1': [['cpu', 0]], collector: [['state', 0]] });
}

test('the overview counts a thread without tasks and regions where it runs', async () => {
    await openStates();
    const panel = (await colours()).hex('panel');
    const overview = (/** @type {number} */ ms) => b.page.evaluate((part) => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-mini'));
        return [...canvas.getContext('2d').getImageData(Math.round(part * canvas.width), Math.round(canvas.height * 0.8), 1, 1).data].slice(0, 3);
    }, (ms / 1000 + 0.02) / 1.04);
    assert.ok(!near(await overview(875), panel), 'the collector runs');
    assert.ok(near(await overview(950), panel), 'it sleeps, and nobody else works');
});

/** How many of a row's pixels down a column have its colour. @param {number} ms @returns {Promise<number>} share of the row's height */
async function filled(lane, ms, colour) {
    const { cx, cy } = await place(lane, 'state', 0, ms * MS);
    return b.page.evaluate(({ x, y, c }) => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-canvas'));
        const d = canvas.getContext('2d').getImageData(Math.round(x), Math.round(y) - 9, 4, 18).data;
        let rows = 0;
        for (let k = 0; k < 18; k++) {
            let hit = false;
            for (let i = 0; i < 4; i++) hit ||= [0, 1, 2].every((j) => Math.abs(d[(k * 4 + i) * 4 + j] - c[j]) <= 40);
            if (hit) rows++;
        }
        return rows / 18;
    }, { x: cx, y: cy, c: colour });
}

test('thread states have the colour and the height of what the thread did', async () => {
    for (const theme of /** @type {const} */ (['light', 'dark'])) {
        await b.page.emulateMedia({ colorScheme: theme });
        await openStates();
        const { rgb } = await colours();
        const hues = Object.fromEntries(Object.entries(HUE).map(([k, v]) => [k, rgb[v]]));
        for (const [lane, ms, hue, least, most] of [['worker-1', 50, 'running', 0.95, 1], ['worker-1', 500, 'running', 0.95, 1], ['worker-2', 925, 'runnable', 0.6, 0.75], ['worker-1', 205, 'lock', 0.4, 0.6], ['worker-1', 703, 'network', 0.4, 0.6], ['worker-2', 406, 'sleep', 0.35, 0.6], ['worker-2', 790, 'file', 0.4, 0.6]]) {
            const share = await filled(lane, ms, hues[hue]);
            assert.ok(share >= least && share <= most, `${theme}: ${lane} at ${ms} ms is ${hue} over ${share} of its height`);
        }
        assert.ok(near(await pixel('CPU 0', 'cpu', 0, 670 * MS), await pixel('CPU 1', 'cpu', 0, 250 * MS)), 'worker-2 has one colour on both CPUs');
    }
    await b.page.emulateMedia({ colorScheme: 'light' });
});

test('other processes are on the lanes of the CPUs, and named where a thread waited for one', async () => {
    await openStates(othersCapture());
    const { page } = b;
    assert.ok(near(await pixel('CPU 0', 'cpu', 0, 440 * MS), (await colours()).rgb[HUE.none]));
    const other = await place('CPU 0', 'cpu', 0, 375 * MS);
    await page.mouse.click(other.x, other.y);
    await side().getByRole('heading', { name: 'postgres (pid 812)' }).waitFor();
    await side().getByRole('heading', { name: 'Another process on a CPU' }).waitFor();
    assert.equal(await side().getByRole('button', { name: 'To the thread' }).count(), 0);
    assert.match(await side().innerText(), /150\.0 ms/);
    const waits = await place('worker-1', 'state', 0, 310 * MS);
    await page.mouse.click(waits.x, waits.y);
    await side().getByRole('heading', { name: /^runnable/ }).waitFor();
    assert.match(await side().innerText(), /Meanwhile on CPUs\s+postgres \(pid 812\) 20\.00 ms, worker-2 20\.00 ms, sshd \(pid 5\) 20\.00 ms/);
});

test('the selection shows who woke whom, and keys follow', async () => {
    await openStates();
    const { page } = b;
    const at = await place('worker-1', 'state', 0, 200 * MS);
    await page.mouse.click(at.x, at.y + 5);
    await side().getByRole('heading', { name: 'blocked, lock: db.lock' }).waitFor();
    assert.match(await side().innerText(), /Woken by worker-2[^]*Stack[^]*lock_acquire[^]*db\.query/);
    await page.waitForFunction(() => { /* an arrow; it is drawn with the next frame */
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-over'));
        const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let blue = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && d[i + 2] > 180 && d[i] < 60) blue++;
        return blue > 60;
    });
    await page.keyboard.press('[');
    await side().getByRole('heading', { name: 'running on CPU 1' }).waitFor();
    assert.match(await side().innerText(), /worker-2[^]*Woke worker-1/);
    await page.keyboard.press(']');
    await side().getByRole('heading', { name: /runnable/ }).waitFor();
    await page.keyboard.press('r');
    await side().getByRole('table', { name: 'States in this range' }).getByRole('row', { name: /runnable/ }).waitFor();
});

test('lanes by CPU, task or object, and without states, and the address keeps it', async () => {
    await openStates();
    const { page } = b;
    const names = () => page.locator('.tl-name').evaluateAll((all) => all.map((n) => /** @type {HTMLElement} */ (n).title).sort());
    await page.getByRole('button', { name: 'View ▾' }).click();
    for (const [by, lanes] of [['cpu', ['CPU 0', 'CPU 1', 'heap bytes']], ['object', ['10.0.0.7:5432', 'CPU 0', 'CPU 1', 'db.lock', 'heap bytes']], ['task', ['CPU 0', 'CPU 1', 'GET /a', 'heap bytes']], ['process', ['71 · collector', '71 · worker-1', '71 · worker-2', 'CPU 0', 'CPU 1', 'heap bytes']]]) {
        await page.getByLabel('Lanes of').selectOption(by);
        await page.waitForTimeout(60);
        assert.deepEqual(await names(), lanes, by);
    }
    await page.getByLabel('Lanes of').selectOption('thread');
    for (const part of ['states', 'counters', 'CPUs above the threads']) await page.getByRole('checkbox', { name: part }).uncheck();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => location.hash.includes('show=-state,-cpu,-series'));
    assert.deepEqual(await names(), ['collector', 'worker-1', 'worker-2']);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save what is in view as a picture' }).click();
    assert.equal((await download).suggestedFilename(), 'timeline.png');
});

test('lost ranges are hatched, and open ends are torn', async () => {
    await openKnown();
    await tellRows();
    const count = await b.page.evaluate(() => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-canvas'));
        const name = /** @type {HTMLElement} */ ([...document.querySelectorAll('.tl-name')].find((n) => /** @type {HTMLElement} */ (n).title === 'worker-10'));
        const g = canvas.getContext('2d');
        const y = name.getBoundingClientRect().top - canvas.getBoundingClientRect().top + 20;
        const x = (t) => ((t + 0.02) / 1.04) * canvas.width;
        const row = g.getImageData(x(0.4), y, x(0.5) - x(0.4), 1).data;
        let red = 0;
        for (let i = 0; i < row.length; i += 4) if (row[i] > row[i + 2] + 40) red++;
        return { red, width: row.length / 4 };
    });
    assert.ok(count.red > count.width * 0.15 && count.red < count.width * 0.85, JSON.stringify(count));
});

test('a click selects; the panel tells name, duration, self time, task and log', async () => {
    await openKnown();
    await tellRows();
    const at = await place('worker-1', 'region', 0, 220 * MS);
    await b.page.mouse.move(at.x, at.y);
    await b.page.locator('.tl-tip').getByText('handle_request').waitFor();
    await b.page.mouse.click(at.x, at.y);
    await side().getByRole('heading', { name: 'handle_request' }).waitFor();
    const text = await side().innerText();
    for (const part of ['400.0 ms', '100.0 ms (25 %)', '0.100000000 s', 'GET /a #0', '/a?x=1', 'retry after 20 ms', 'worker-1']) assert.ok(text.includes(part), `${part} in ${text}`);
    await b.page.waitForFunction(() => location.hash.includes('sel=1,region,0,100000000'));
    await side().getByRole('link', { name: 'GET /a #0' }).first().click();
    await b.page.getByRole('heading', { name: '#0' }).waitFor();
    assert.match(await b.page.getByRole('region', { name: 'Task', exact: true }).innerText(), /400\.0 ms \(100 %\)[^]*jobs full[^]*30\.00 ms/);
});

test('everything on the timeline works with keys alone', async () => {
    await openKnown();
    const { page } = b;
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('role')), 'application');
    const view = async () => {
        await page.waitForFunction(() => document.querySelector('.tl-view')?.textContent); // a frame behind the lanes
        return page.locator('.tl-view').innerText();
    };
    const all = await view();
    await page.keyboard.press('w');
    await page.waitForFunction((t) => document.querySelector('.tl-view')?.textContent !== t, all);
    await page.keyboard.press('d');
    await page.keyboard.press('0');
    await page.waitForFunction((t) => document.querySelector('.tl-view')?.textContent === t, all);
    await page.keyboard.press('ArrowRight');
    await side().getByRole('heading', { name: 'GET /a #0' }).waitFor();
    for (const key of ['ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
    await side().getByRole('heading', { name: 'parse' }).waitFor();
    await page.keyboard.press('ArrowRight');
    await side().getByRole('heading', { name: 'db.query' }).waitFor();
    await page.keyboard.press('z');
    await page.waitForFunction((t) => document.querySelector('.tl-view')?.textContent !== t, all);
    await page.keyboard.press('Backspace');
    await page.waitForFunction((t) => document.querySelector('.tl-view')?.textContent === t, all);
    await page.keyboard.press('p');
    await page.waitForFunction(() => document.querySelector('.tl-name')?.classList.contains('pinned') || document.querySelector('.tl-name.pinned') !== null);
    await page.keyboard.press('r');
    await side().getByRole('heading', { name: 'Range' }).waitFor();
    await side().getByRole('cell', { name: 'handle_request' }).waitFor();
    await page.keyboard.press('Escape');
    await side().getByText('Legend').waitFor();
    await page.keyboard.press('t');
    await page.getByRole('region', { name: 'Slices in view' }).getByRole('button', { name: 'db.query' }).first().waitFor();
    await page.keyboard.press('t');
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keys' });
    await help.getByText('Zoom in').waitFor();
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'detached' });
    await page.keyboard.press('3');
    await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
});

test('Tab reaches every control, and each has a name', async () => {
    await openKnown();
    const unnamed = await b.page.evaluate(() => [...document.querySelectorAll('button, input, select, a[href], [tabindex="0"]')].filter((e) => !(e.getAttribute('aria-label') || e.textContent?.trim() || e.closest('label'))).map((e) => e.outerHTML.slice(0, 120)));
    assert.deepEqual(unnamed, []);
    await b.page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
    const seen = new Set();
    for (let i = 0; i < 40; i++) {
        await b.page.keyboard.press('Tab');
        seen.add(await b.page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''));
    }
    for (const name of ['Show all (0)', 'Search names, tasks and logs', 'Next hit (N)', 'Table', 'Details', 'Keys and help']) assert.ok(seen.has(name), `${name} in ${[...seen].join(' | ')}`);
});

test('a search counts its hits, goes from one to the next, and comes back', async () => {
    await openKnown();
    const { page } = b;
    await page.keyboard.press('/');
    await page.keyboard.type('query');
    await page.keyboard.press('Enter');
    await page.getByText('1 of 2').waitFor();
    await side().getByRole('heading', { name: 'db.query' }).waitFor();
    assert.match(await side().innerText(), /300\.0 ms[^]*worker-10/);
    await page.keyboard.press('n');
    await page.getByText('2 of 2').waitFor();
    assert.match(await side().innerText(), /200\.0 ms[^]*worker-1/);
    await page.keyboard.press('n');
    await page.getByText('1 of 2').waitFor();
    await page.keyboard.press('Shift+N');
    await page.getByText('2 of 2').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('no such thing');
    await page.keyboard.press('Enter');
    await page.getByText('nothing found').waitFor();
});

test('wheel, drag and the overview move the view, and never out of the capture', async () => {
    await openKnown();
    const { page } = b;
    const canvas = await page.locator('.tl-canvas').first().boundingBox();
    const [cx, cy] = [canvas.x + canvas.width / 2, canvas.y + canvas.height / 2];
    await page.mouse.move(cx, cy);
    await page.keyboard.down('Control');
    for (let i = 0; i < 12; i++) await page.mouse.wheel(0, -120);
    await page.keyboard.up('Control');
    /** The address follows the view after a while. @param {(a: number, z: number) => boolean} holds */
    const until = async (holds) => {
        for (let k = 0; ; k++) {
            const [a, z] = (await page.evaluate(() => /t=(-?[\d.]+?\d)-(-?[\d.]+)/.exec(location.hash)?.slice(1, 3).map(Number))) ?? [NaN, NaN];
            if (holds(a, z)) return;
            assert.ok(k < 150, `the view is ${a} to ${z}`);
            await page.waitForTimeout(100);
        }
    };
    await until((a, z) => z - a < 0.1 && a < 0.5 && z > 0.45);
    await page.mouse.down();
    await page.mouse.move(cx + 5000, cy, { steps: 4 });
    await page.mouse.up();
    for (let i = 0; i < 120; i++) await page.keyboard.press('a');
    await until((a) => Math.abs(a + 0.02) < 1e-6); /* the left end: 2 % before the capture, and no further */
    const mini = await page.locator('.tl-mini').boundingBox();
    await page.mouse.click(mini.x + mini.width * 0.75, mini.y + 20);
    await until((a, z) => a < 0.76 && z > 0.759);
    await page.keyboard.press('Home');
    await page.waitForFunction(() => !/[?&]t=/.test(location.hash));
});

test('shift and drag select a range, and its totals appear', async () => {
    await openKnown();
    await tellRows();
    const from = await place('worker-2', 'region', 0, 150 * MS);
    const to = await place('worker-2', 'region', 0, 350 * MS);
    await b.page.keyboard.down('Shift');
    await b.page.mouse.move(from.x, from.y);
    await b.page.mouse.down();
    await b.page.mouse.move(to.x, to.y, { steps: 5 });
    await b.page.mouse.up();
    await b.page.keyboard.up('Shift');
    await side().getByRole('cell', { name: 'db.query' }).waitFor();
    assert.match(await side().innerText(), /Range[^]*(199|200|201)\.\d ms/);
});

test('tasks: by kind, a bar of the histogram, one task, its parent', async () => {
    await openKnown();
    const { page } = b;
    await page.getByRole('navigation').getByRole('link', { name: 'Tasks' }).click();
    const table = page.getByRole('table', { name: 'Tasks by kind' });
    assert.match(await table.getByRole('row', { name: /GET \/a/ }).innerText(), /2\s+300\.0 ms\s+400\.0 ms\s+400\.0 ms\s+400\.0 ms\s+700\.0 ms\s+1\s+0/);
    await table.getByRole('button', { name: /Count/ }).click();
    assert.equal(await table.getByRole('columnheader', { name: /Count/ }).getAttribute('aria-sort'), 'descending');
    await table.getByRole('link', { name: 'GET /a' }).click();
    await page.getByRole('heading', { name: '2 of 2 tasks' }).waitFor();
    await page.getByRole('button', { name: /: 1$/ }).first().press('Enter');
    await page.getByRole('heading', { name: '1 of 2 tasks' }).waitFor();
    await page.getByRole('button', { name: 'Show all durations' }).click();
    await page.getByLabel('Status').selectOption('1');
    await page.getByRole('heading', { name: '1 of 2 tasks' }).waitFor();
    assert.match(await page.getByRole('table', { name: 'Tasks' }).innerText(), /failed, code -110[^]*upstream timed out/);
    await page.getByRole('link', { name: '#1', exact: true }).click();
    await page.getByRole('heading', { name: '#1' }).waitFor();
    await page.getByRole('region', { name: 'Threads it touched' }).getByText('worker-2').waitFor();
    await page.getByRole('link', { name: 'GET /a #0' }).click();
    await page.getByRole('region', { name: 'Child tasks' }).getByText('GET /a #1').waitFor();
    await page.goBack();
    await page.getByRole('heading', { name: '#1' }).waitFor();
    await page.getByRole('link', { name: 'Show in the timeline' }).click();
    await page.waitForFunction(() => /t=0\.588/.test(location.hash));
});

test('regions: by name, then the longest of one name, then the timeline', async () => {
    await openKnown();
    const { page } = b;
    await page.getByRole('navigation').getByRole('link', { name: 'Regions' }).click();
    const row = page.getByRole('table', { name: 'Regions by name' }).getByRole('row', { name: /handle_request/ });
    assert.match(await row.innerText(), /3\s+800\.0 ms\s+500\.0 ms/);
    await row.getByRole('link').click();
    await page.getByRole('heading', { name: '3 regions' }).waitFor();
    await page.getByText('As a table').click();
    await page.getByRole('table', { name: 'Durations' }).waitFor();
    await page.getByRole('table', { name: 'Longest' }).getByRole('link').first().click();
    await side().getByRole('heading', { name: 'handle_request' }).waitFor();
});

/** No element nor attribute came from text, no text is endless, and nothing is pushed out of its place. */
async function unharmed() {
    const found = await b.page.evaluate(() => {
        const all = [...document.querySelectorAll('*')];
        const leaves = [...document.querySelectorAll('main *')].filter((e) => e.childElementCount === 0);
        const wrong = [];
        if (document.querySelector('main img, main script, main iframe, body > img, main style, main b > b')) wrong.push('an element came from text');
        for (const e of all) for (const a of e.attributes) if (a.name.startsWith('on')) wrong.push(`attribute ${a.name}`);
        const longest = leaves.reduce((m, e) => Math.max(m, (e.textContent ?? '').length), 0);
        if (longest >= 5000) wrong.push(`a text of ${longest} characters`);
        if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth} wide`);
        const top = document.querySelector('.top')?.getBoundingClientRect();
        if (!top || top.top > 0 || top.height > 60) wrong.push(`the header is ${top?.height} high`);
        const heights = [...new Set([...document.querySelectorAll('.virtual tbody tr:not(.pad)')].map((r) => Math.round(r.getBoundingClientRect().height)))];
        if (heights.length > 1 || heights.some((v) => v !== 28)) wrong.push(`table rows of ${heights} pixels`);
        for (const n of document.querySelectorAll('.tl-name')) if (n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).overflow !== 'hidden') wrong.push('a lane name hangs out');
        for (const n of document.querySelectorAll('.tl-tip:not([hidden]), .tl-side')) if (n.getBoundingClientRect().width > 400) wrong.push(`${n.className} is wide`);
        return wrong;
    });
    assert.deepEqual(found, [], b.page.url());
}

/** Pages that must have something to show of the hostile capture: an empty page proves nothing. */
const SHOW_NAMES = /#\/(tasks\?cap=file$|regions\?cap=file$|events\?cap=file$|threads|blocking|contention|cpu|gc|findings)/;

test('ten thousand hostile names are text wherever they appear, and nothing runs or breaks', async () => {
    await openFile(hostileBytes(10_000), '<img src=x onerror=alert(1)>.json');
    const { page } = b;
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    await unharmed();
    await page.keyboard.press('t');
    for (let i = 0; i < 12; i++) await page.keyboard.press(i % 5 === 4 ? 'ArrowDown' : 'ArrowRight');
    await unharmed();
    for (const name of hostileNames(40).slice(0, 28)) {
        await page.getByRole('searchbox').fill(name.slice(0, 500));
        await page.getByRole('searchbox').press('Enter');
    }
    await unharmed();
    await page.keyboard.press('Escape');
    await page.keyboard.press('t');
    for (let k = 0; k < 40; k++) await page.mouse.move(200 + k * 20, 160 + (k % 20) * 30); /* words beside the pointer */
    await unharmed();
    for (const hash of ['#/tasks?cap=file', '#/tasks?cap=file&kind=22', '#/task?cap=file&id=22', '#/task?cap=file&id=0', '#/regions?cap=file', '#/regions?cap=file&name=1', '#/tasks?cap=file&kind=<b>', '#/task?cap=file&id=__proto__',
        '#/events?cap=file', '#/events?cap=file&q=<b>', '#/threads?cap=file', '#/blocking?cap=file&by=object', '#/blocking?cap=file&of=network&by=stack', '#/contention?cap=file&object=27', '#/cpu?cap=file', '#/gc?cap=file', '#/findings?cap=file', '#/compare?cap=file&with=__proto__']) {
        await page.evaluate((h) => { location.hash = h; }, hash);
        await page.locator('h1').first().waitFor();
        await page.getByText(/^(Adding up|Looking)…$/).waitFor({ state: 'detached' });
        await page.waitForTimeout(100);
        await unharmed();
        if (SHOW_NAMES.test(hash)) assert.match(await page.locator('main').innerText(), /<img src=x onerror|<script>alert|‹202E›gnitirw/, `${hash} shows none of the names`);
        if ((await page.locator('.virtual').count()) === 0) continue;
        for (const part of [0.1, 0.35, 0.7, 1]) {
            await page.evaluate((p) => { const v = /** @type {HTMLElement} */ (document.querySelector('.virtual')); v.scrollTop = v.scrollHeight * p; }, part);
            await page.waitForTimeout(40);
            await unharmed();
        }
    }
    await page.getByLabel('The capture before').setInputFiles({ name: '"><img src=x onerror=alert(1)>.json', mimeType: 'application/json', buffer: hostileBytes(300) });
    await page.getByRole('table', { name: 'Regions compared' }).waitFor();
    await unharmed();
});

test('hostile names in one HTML file from disk are text as well', async () => {
    await openFile(hostileBytes(1000), '</script><img src=x onerror=alert(1)>.json');
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    const download = b.page.waitForEvent('download');
    await b.page.getByRole('button', { name: 'Save the capture and its viewer as one HTML file' }).click();
    const file = path.join(os.tmpdir(), `tracetap-<b>hostile-${process.pid}.html`);
    await (await download).saveAs(file);
    try {
        await b.goto(`file://${encodeURI(file)}`);
        await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
        await settled();
        await unharmed();
        for (const name of ['Tasks', 'Regions', 'Threads', 'Blocking', 'Contention', 'CPU', 'GC', 'Events', 'Findings']) {
            await toPage(name);
            await b.page.getByText(/^(Adding up|Looking)…$/).waitFor({ state: 'detached' });
            await b.page.waitForTimeout(100);
            await unharmed();
            assert.match(await b.page.locator('main').innerText(), /<img src=x onerror|<script>alert|‹202E›gnitirw/, `${name} shows none of the names`);
        }
    } finally {
        fs.rmSync(file, { force: true });
    }
});

test('a packed file opens as a plain one does', async () => {
    await openFile(zlib.gzipSync(knownCapture().text()), 'known.json.gz');
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    assert.equal(await b.page.locator('.tl-name').count(), 5);
});

test('a file dropped on the page opens', async () => {
    await b.goto(base);
    await b.page.getByRole('button', { name: 'Open a file…' }).waitFor();
    await b.page.evaluate((text) => {
        const data = new DataTransfer();
        data.items.add(new File([text], 'dropped.json'));
        window.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }, knownCapture().text());
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await b.page.getByText('dropped.json').first().waitFor();
});

test('a cut file shows what it has and says that it was cut', async () => {
    const text = knownCapture().text();
    await openFile(text.slice(0, text.indexOf('"t":"log"') + 20));
    await b.page.getByText('This capture is incomplete.').waitFor();
    await b.page.getByText(/ends in the middle of line \d+/).waitFor();
    assert.ok((await b.page.locator('.tl-name').count()) >= 3);
    await openFile(zlib.gzipSync(text).subarray(0, 900), 'cut.json.gz');
    await b.page.getByText('This capture is incomplete.').waitFor();
    await openFile(knownCapture().text({ end: { truncated: true, reason: 'cut', identity: 'thread 2 lost 5 more than it says' }, account: { lost_queue: 120 } }));
    for (const words of ['This capture was cut.', 'thread 2 lost 5 more than it says', '120 events were lost.']) await b.page.getByText(words).waitFor();
});

test('foreign files get a clear answer, the native one the exact command', async () => {
    await openFile('TRACETAP\x01\x00\x00\x00\x00\x00\x00\x00\x01TTB', "it's.trace");
    await b.page.getByText("tracetap view 'it'\\''s.trace'").waitFor();
    const cases = [['{"traceEvents":[]}', /Chrome trace/], ['\x0a\x0b\x0c binary \x00\xff'.repeat(50), /not a tracetap capture/], ['', /empty/], ['{"format":"tracetap","version":9,"chunks":[\n]}', /version 9/], ['\x1f\x8bnot gzip at all', /failed/]];
    for (const [content, words] of cases) {
        await openFile(Buffer.from(content, 'latin1'), 'other.bin');
        await b.page.getByRole('alert').getByText(words).waitFor();
    }
    await b.page.getByRole('link', { name: 'To the captures' }).click();
    await b.page.getByRole('button', { name: 'Start capture' }).waitFor();
});

test('a capture that is gone says so, and leads back', async () => {
    await b.goto(`${base}#/timeline?cap=999999`);
    await b.page.getByRole('alert').getByText(/999999/).first().waitFor();
    b.wrongs.splice(0, b.wrongs.length, ...b.wrongs.filter((w) => !/status of 404/.test(w)));
    await b.page.getByRole('link', { name: 'To the captures' }).click();
    await b.page.getByRole('button', { name: 'Start capture' }).waitFor();
});

test('an address leads to the same view again', async () => {
    await openKnown();
    await b.page.evaluate(() => { location.hash = '#/timeline?cap=file&t=0.200000000-0.400000000&sel=1,region,1,250000000&q=parse&hide=3'; });
    await side().getByRole('heading', { name: 'db.query' }).waitFor();
    await b.page.getByText('2 hits').waitFor();
    await b.page.locator('.tl-view', { hasText: /^0\.2000 s \+ 200\.0 ms$/ }).waitFor(); // a frame behind the lanes
    assert.equal(await b.page.getByTitle('worker-2', { exact: true }).count(), 0);
    await b.page.waitForTimeout(400);
    assert.match(await b.page.evaluate(() => location.hash), /t=0\.200000000-0\.400000000&sel=1,region,1,250000000&q=parse&hide=3/);
});

test('the theme switch wins over the system, and comes back to it', async () => {
    await b.goto(base);
    const theme = () => b.page.evaluate(() => document.documentElement.dataset.theme);
    const button = b.page.getByRole('button', { name: /Theme/ });
    assert.equal(await theme(), 'light');
    await button.click();
    await button.click();
    assert.equal(await theme(), 'dark');
    assert.equal(await button.innerText(), 'Theme: dark');
    await button.click();
    assert.equal(await theme(), 'light');
});

test('many lanes scroll inside the timeline, and the page stays where it is', async () => {
    await openFile([...largeCapture(20000, 60)].join(''), 'large.json');
    await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    await b.page.getByRole('searchbox').fill('thread:worker-60 function');
    await b.page.getByRole('searchbox').press('Enter');
    await b.page.getByText(/^1 of/).waitFor();
    const [doc, inner, lanes, view, at] = await b.page.evaluate(() => {
        const body = /** @type {HTMLElement} */ (document.querySelector('.tl-body'));
        return [document.documentElement.scrollHeight, innerHeight, body.scrollHeight, body.clientHeight, body.scrollTop];
    });
    assert.equal(doc, inner);
    assert.ok(view < inner && lanes > 4000 && at > lanes - 2 * view, `${view} ${lanes} ${at}`);
    await b.page.getByTitle('worker-60', { exact: true }).waitFor();
});

test('at 360 pixels the pages do not scroll sideways', async () => {
    await openKnown();
    await b.page.setViewportSize({ width: 360, height: 740 });
    for (const hash of ['#/', '#/tasks?cap=file', '#/tasks?cap=file&kind=3', '#/task?cap=file&id=0', '#/regions?cap=file', '#/regions?cap=file&name=0', '#/threads?cap=file', '#/blocking?cap=file', '#/contention?cap=file&object=1', '#/cpu?cap=file', '#/gc?cap=file', '#/events?cap=file', '#/findings?cap=file', '#/compare?cap=file', '#/timeline?cap=file']) {
        await b.page.evaluate((h) => { location.hash = h; }, hash);
        await b.page.waitForTimeout(250);
        const [inner, doc] = await b.page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
        assert.ok(doc <= inner, `${hash}: ${doc} > ${inner}`);
        const [header, tab] = await b.page.evaluate(() => ['.top', '[aria-current=page]'].map((s) => document.querySelector(s)?.getBoundingClientRect()).map((r) => r && { right: r.right, left: r.left, height: r.height }));
        assert.ok(header.height < 80, `${hash}: the header is ${header.height} high`);
        assert.ok(tab.left >= 0 && tab.right <= inner, `${hash}: the page's name in the header lies from ${tab.left} to ${tab.right}`);
    }
    await b.page.setViewportSize({ width: 1400, height: 860 });
});

test('a service with a token asks for it, and takes it from the address without leaving it there', { skip: live ? 'stand-in only' : false }, async () => {
    const guarded = new StandIn({ token: 'se cret', prefix: '/behind/a/proxy' });
    const address = await guarded.listen();
    guarded.add(knownCapture().text());
    try {
        await b.goto(address);
        await b.page.getByText('This service asks for a token.').waitFor();
        b.wrongs.splice(0, b.wrongs.length, ...b.wrongs.filter((w) => !/status of 401/.test(w)));
        await b.page.getByLabel('Token').fill('se cret');
        await b.page.getByRole('button', { name: 'Use token' }).click();
        await b.page.getByRole('button', { name: 'Start capture' }).waitFor();
        await b.goto(`${address}#/timeline?cap=1&token=se%20cret`);
        await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
        assert.ok(!b.page.url().includes('cret'), b.page.url());
        await b.page.getByRole('navigation').getByRole('link', { name: 'Capture' }).click();
        const download = b.page.waitForEvent('download');
        await b.page.getByRole('link', { name: 'Download capture 1 as json' }).click();
        assert.equal((await download).suggestedFilename(), 'svc-71.json');
    } finally {
        await b.page.goto('about:blank');
        guarded.close();
    }
});

test('a file served by the command opens at once', { skip: live ? 'stand-in only' : false }, async () => {
    const viewing = new StandIn({ mode: 'file' });
    viewing.add(knownCapture().text());
    try {
        await b.goto(await viewing.listen());
        await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
        await b.page.getByRole('navigation').getByRole('link', { name: 'Capture' }).click();
        await b.page.getByRole('region', { name: 'Status' }).getByText('Recorded by').waitFor();
        assert.equal(await b.page.getByRole('button', { name: 'Start capture' }).count(), 0);
    } finally {
        await b.page.goto('about:blank'); /* it would go on asking */
        viewing.close();
    }
});

test('one HTML file with the capture inside opens from disk, with every page and without a service', async () => {
    await openStates();
    const download = b.page.waitForEvent('download');
    await b.page.getByRole('button', { name: 'Save the capture and its viewer as one HTML file' }).click();
    const file = path.join(os.tmpdir(), `tracetap-export-${process.pid}.html`);
    await (await download).saveAs(file);
    const requests = [];
    const hear = (r) => { if (!/^(file|blob|data):/.test(r.url())) requests.push(r.url()); };
    b.page.on('request', hear);
    try {
        await b.goto(`file://${file}`);
        await b.page.getByRole('application', { name: /Timeline/ }).waitFor();
        await settled();
        assert.deepEqual(await b.page.locator('.tl-name').evaluateAll((all) => all.map((n) => /** @type {HTMLElement} */ (n).title)), ['heap bytes', 'CPU 0', 'CPU 1', 'collector', 'worker-1', 'worker-2']);
        for (const name of ['Tasks', 'Regions', 'Threads', 'Blocking', 'Contention', 'CPU', 'Events', 'Findings']) {
            await b.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
            await b.page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
        }
        assert.equal(await b.page.getByRole('link', { name: 'Capture', exact: true }).count(), 0);
        assert.deepEqual(requests, []);
    } finally {
        b.page.off('request', hear);
        fs.rmSync(file, { force: true });
    }
});

/** @param {string} name of the page in the header */
async function toPage(name) {
    await b.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
}

test('threads, blocking, contention, CPU and GC tell what the states say', async () => {
    await openStates();
    const { page } = b;
    await toPage('Threads');
    const threads = page.getByRole('table', { name: 'Threads' });
    assert.match(await threads.getByRole('row', { name: /worker-1/ }).innerText(), /801[^]*53 %[^]*2\.0 %[^]*45 %[^]*530\.0 ms[^]*20\.00 ms[^]*200\.0 ms[^]*db\.lock/);
    await threads.getByRole('row', { name: /worker-1/ }).getByRole('link', { name: '200.0 ms' }).click();
    await side().getByRole('heading', { name: 'blocked, lock: db.lock' }).waitFor();
    await toPage('Blocking');
    const tree = page.getByRole('tree', { name: 'Synchronisation' });
    await tree.getByRole('treeitem', { name: /^lock_acquire: 200\.0 ms \(100 %\)/ }).waitFor();
    await page.getByRole('navigation', { name: 'Blocked by' }).getByRole('link', { name: 'Scheduler' }).click();
    await page.getByRole('tree', { name: 'Scheduler' }).waitFor(); /* else the choice is that of the page before */
    await page.getByLabel('By', { exact: true }).selectOption('thread');
    await page.getByRole('tree', { name: 'Scheduler' }).getByRole('treeitem', { name: /^worker-2: 50\.00 ms/ }).waitFor();
    await page.getByLabel('Thread', { exact: true }).selectOption({ label: 'worker-1' });
    await page.getByRole('tree', { name: 'Scheduler' }).getByRole('treeitem', { name: /^worker-2/ }).waitFor({ state: 'detached' });
    await toPage('Contention');
    await page.getByRole('table', { name: 'Locks and full queues' }).getByRole('link', { name: 'db.lock' }).click();
    await page.getByRole('table', { name: 'Who let go' }).getByRole('row', { name: /worker-2/ }).waitFor();
    await page.getByRole('region', { name: 'Stack of the longest wait' }).getByText('db.query').waitFor();
    await toPage('CPU');
    await page.getByRole('tree', { name: 'CPU samples' }).getByRole('treeitem', { name: /^db\.query: 27 \(68 %\)/ }).waitFor();
    await page.getByRole('navigation', { name: 'Of' }).getByRole('link', { name: 'Allocated bytes' }).click();
    await page.getByRole('tree', { name: 'Allocated bytes' }).getByRole('treeitem', { name: /^main: .*\(89 %\)/ }).waitFor();
    await toPage('GC');
    assert.match(await page.getByRole('table', { name: 'Phases' }).innerText(), /pause[^]*50\.00 ms[^]*collector[^]*2/);
    await page.getByRole('region', { name: 'Utilisation' }).getByText('As a table').click();
    await page.getByRole('table', { name: 'Minimum mutator utilisation' }).getByRole('row', { name: '1.000 s 95 %' }).waitFor();
    const heap = page.getByRole('region', { name: 'Memory' });
    await heap.getByText('As a table').click();
    assert.equal(await heap.getByRole('table', { name: 'heap bytes' }).getByRole('row').count(), 1 + 6);
    await heap.getByRole('row', { name: '0.200000 s 1,500' }).waitFor();
});

/** Charts that are not part of a table, and have none beside them. */
const chartsAlone = () => b.page.evaluate(() => [...document.querySelectorAll('main svg[role], main [role=tree], main canvas[role]')]
    .filter((c) => c.checkVisibility() && !c.closest('td') && !(c.closest('section') ?? document).querySelector('table')).map((c) => c.getAttribute('aria-label')));

test('every chart has a table with its numbers', async () => {
    await openStates();
    const { page } = b;
    let charts = 0;
    const look = async () => {
        assert.deepEqual(await chartsAlone(), [], page.url());
        charts += await page.locator('main svg[role], main [role=tree]').count();
    };
    const tree = '[role=tree]';
    for (const [name, first, chart] of [['Tasks', /^GET/, 'table'], ['Regions', /^handle_request$/, 'table'], ['Threads', null, 'table'], ['Blocking', null, tree], ['Contention', /^db\.lock$/, 'table'], ['CPU', null, tree], ['GC', null, 'svg.chart']]) {
        await toPage(name);
        await page.locator('.tl-mini').waitFor({ state: 'detached' });
        await page.getByRole('navigation', { name: 'Pages' }).locator('[aria-current=page]', { hasText: name }).waitFor();
        await page.getByRole('main').locator(chart).first().waitFor();
        await look();
        if (!first) continue;
        const from = page.url();
        await page.getByRole('main').getByRole('link', { name: first }).first().click();
        await page.waitForURL((url) => url.href !== from);
        await settled();
        await look();
    }
    assert.ok(charts >= 6, `${charts} charts were seen`);
    await toPage('Timeline');
    await page.getByRole('button', { name: 'Table', exact: true }).click();
    await page.getByRole('table').first().waitFor();
});

test('a flame graph is walked with keys, zoomed into and out of', async () => {
    await openStates();
    const { page } = b;
    await toPage('CPU');
    const item = (name) => page.getByRole('treeitem', { name });
    await item(/^all samples/).focus();
    for (const name of [/^main/, /^handler/, /^db\.query/]) {
        await page.keyboard.press('ArrowDown');
        assert.match(await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? ''), name);
    }
    await page.keyboard.press('Enter');
    const [zoomed, all] = [await item(/^db\.query/).boundingBox(), await item(/^all samples/).boundingBox()];
    assert.ok(Math.abs(zoomed.width - all.width) < 2);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => (document.activeElement?.getAttribute('aria-label') ?? '').startsWith('handler'));
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    assert.ok((await item(/^db\.query/).boundingBox()).width < all.width * 0.7);
});

test('events are listed, filtered, saved and found again in the timeline', async () => {
    await openStates();
    const { page } = b;
    await toPage('Events');
    await page.getByText('24 events').waitFor();
    await page.getByLabel('Filter').fill('state:lock');
    await page.getByLabel('Filter').press('Enter');
    await page.getByText('1 event', { exact: true }).waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'CSV' }).first().click();
    const csv = fs.readFileSync(await (await download).path(), 'utf8');
    assert.equal(csv, 'time_ns,duration_ns,thread,tid,type,name,task\r\n100000000,200000000,worker-1,801,state,"blocked, lock: db.lock",\r\n');
    await page.getByRole('table', { name: 'Events' }).getByRole('link', { name: '0.100000000 s' }).click();
    await side().getByRole('heading', { name: 'blocked, lock: db.lock' }).waitFor();
});

test('a task tells where its time went, and the parts sum to it', async () => {
    await openStates();
    await b.page.evaluate(() => { location.hash = '#/task?cap=file&id=0'; });
    const table = b.page.getByRole('table', { name: 'Parts of its time' });
    await table.waitFor();
    assert.match((await table.innerText()).replace(/\s+/g, ' '), /running 340\.0 ms 43 %.*CPU 20\.00 ms.*lock 200\.0 ms.*network 200\.0 ms.*other.* 40\.00 ms.*wall time 800\.0 ms 100 %/);
});

test('requests of connections stand beside the tasks, are compared, and a slow peer is found in them', async () => {
    const proxy = (/** @type {number} */ ms) => {
        const w = new CaptureWriter();
        w.lane(1, 'worker');
        w.object(0, 'tcp 10.0.0.1:80 10.9.9.9:5000', 'descriptor');
        w.object(1, 'tcp 10.0.0.1:40000 <b>10.0.0.7:5432</b>', 'descriptor');
        const [served, asked] = ['served', 'asked'].map((x) => w.str(x));
        w.table('request', {}, Array.from({ length: 40 }, (_, i) => ({ start: (i >> 1) * 50 * MS, dur: (i % 2 ? ms : ms + 2) * MS, object: i % 2, side: i % 2 ? asked : served, lane: 1, end_lane: 1, in: 1, out: 1, receives: 1, sends: 1, flags: 0 })));
        return w.text();
    };
    const { page } = b;
    await openFile(proxy(30), 'slow.json');
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    assert.equal(await page.getByText('unknown to this viewer').count(), 0);
    await toPage('Tasks');
    const table = page.getByRole('table', { name: 'Requests of connections' });
    assert.match(await table.getByRole('row', { name: /asked of tcp <b>10\.0\.0\.7:5432<\/b>/ }).innerText(), /20\s+30\.00 ms\s+30\.00 ms\s+30\.00 ms\s+30\.00 ms\s+600\.0 ms/);
    assert.match(await table.getByRole('row', { name: /served at tcp 10\.0\.0\.1:80/ }).innerText(), /20\s+32\.00 ms/);
    await toPage('Findings');
    await page.getByRole('region', { name: 'Requests wait for tcp <b>10.0.0.7:5432</b>' }).getByText(/asked 20 times, p50 30\.00 ms.*in 94 % of the time/).waitFor();
    await toPage('Compare');
    await page.getByLabel('The capture before').setInputFiles({ name: 'quick.json', mimeType: 'application/json', buffer: Buffer.from(proxy(3)) });
    await page.getByText(/^Changed: asked of tcp <b>10\.0\.0\.7:5432<\/b> \(10\.0 × slower\), served at tcp 10\.0\.0\.1:80 \(6\.4 × slower\)\.$/).waitFor();
});

test('findings lead to the place; two captures side by side name what changed', async () => {
    await openStates();
    const { page } = b;
    await toPage('Findings');
    const finding = page.getByRole('region', { name: 'The collector took time from the work' });
    await finding.getByRole('link', { name: 'Show the worst' }).click();
    await page.waitForFunction(() => /t=0\.8250*-0\.9250*/.test(location.hash));
    const kind = (w, name, ms) => w.table('task', {}, Array.from({ length: 20 }, (_, i) => ({ id: (name === 'GET /a' ? 0 : 100) + i, parent: -1, kind: w.str(name), start: i * MS, dur: (ms + (i % 5)) * MS, status: 0 })));
    const capture = (slow) => { const w = new CaptureWriter(); kind(w, 'GET /a', slow); kind(w, 'GET /b', 5); return w.text(); };
    await openFile(capture(4), 'after.json');
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await settled();
    await toPage('Compare');
    await page.getByLabel('The capture before').setInputFiles({ name: 'before.json', mimeType: 'application/json', buffer: Buffer.from(capture(16)) });
    await page.getByText(/^Changed: GET \/a \(3\.0 × faster\)\.$/).waitFor();
    const table = page.getByRole('table', { name: 'Tasks compared' });
    assert.match(await table.getByRole('row', { name: /GET \/b/ }).innerText(), /same/);
});

test('keys alone lead to every page', async () => {
    await openStates();
    for (const [key, name] of [['3', 'Tasks'], ['4', 'Regions'], ['5', 'Threads'], ['6', 'Blocking'], ['7', 'Contention'], ['8', 'CPU'], ['9', 'Collector and memory']]) {
        await b.page.keyboard.press(key);
        await b.page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
    }
});
