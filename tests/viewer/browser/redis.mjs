// redis.mjs - the viewer on a program that knows nothing of it: node redis.mjs TRACETAP.
//
//   redis-benchmark -> unix socket -> redis-server under `tracetap run` -> its endpoint -> the pages, in both themes
//
// A second is recorded from the first page. What the pages must then show is computed from the same capture's JSON: how busy the machine was
// is not asked about. Where the kernel does not tell who woke whom (tier 2), or nothing at all, that much is left out, and said.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { markIdle } from '../../../static/calc/idle.js';
import { HUE } from '../../../static/data/hues.js';
import { eachSlice } from '../../../static/data/model.js';
import { STATES, unpackPlace } from '../../../static/data/states.js';
import { sliceColours } from '../../../static/view/colours.js';
import { formatRange } from '../../../static/url.js';
import { openBrowser } from '../support/browser.mjs';
import { read } from '../support/read.mjs';
import { run } from '../support/tables.mjs';

const [tracetap] = process.argv.slice(2);
/** Many more than redis needs to let its second thread write. */
const CLIENTS = 50;
/** So long a program may take to answer on a machine with other work. */
const PATIENCE_MS = 30_000;
/** Captures until one holds a thread that another one woke from a lock: a machine with much else to do may have none. */
const TRIES = 3;

/** @param {string} why */
function skip(why) {
    console.log(`skipped: ${why}`);
    process.exit(77);
}

/** @param {string} what @param {() => unknown} holds */
async function until(what, holds) {
    for (const end = Date.now() + PATIENCE_MS; !holds();) {
        assert.ok(Date.now() < end, `waited in vain for ${what}`);
        await new Promise((go) => setTimeout(go, 50));
    }
}

for (const program of ['redis-server', 'redis-benchmark', 'redis-cli']) if (spawnSync(program, ['--version']).error) skip(`${program} is not installed`);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tracetap-redis-'));
const socket = path.join(folder, 's');
/** With a file system of its own, in which the kernel's trace events can be read, where that is allowed. */
const WITH_TRACEFS = ['-m', 'sh', '-c', 'mount -t tracefs nodev /sys/kernel/tracing && exec "$@"', '-'];
const before = spawnSync('unshare', [...WITH_TRACEFS, 'true']).status === 0 ? ['unshare', ...WITH_TRACEFS] : [];
const command = [...before, tracetap, 'run', '-l', '127.0.0.1:0', '--linger', '0.1', '--', 'redis-server', '--port', '0', '--unixsocket', socket, '--save', '', '--io-threads', '2', '--dir', folder];
const server = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
let said = '';
server.stderr.on('data', (piece) => { said += piece; });
/** @type {import('node:child_process').ChildProcess|null} */
let load = null;

/** @param {number} clients in place of those there are */
function begin(clients) {
    load?.kill();
    load = spawn('redis-benchmark', ['-s', socket, '-c', String(clients), '-n', '1000000000', '-t', 'set,get', '-q'], { stdio: 'ignore' });
}

/** @returns {Promise<string>} where the pages are */
async function started() {
    const address = () => /tracetap: (http:\S+)/.exec(said)?.[1];
    await until('redis', () => {
        assert.equal(server.exitCode, null, `it ended; it said: ${said}`);
        return address() && fs.existsSync(socket);
    });
    begin(CLIENTS);
    const commands = () => Number(/total_commands_processed:(\d+)/.exec(spawnSync('redis-cli', ['-s', socket, 'info', 'stats'], { encoding: 'utf8' }).stdout)?.[1] ?? 0);
    await until('its load', () => commands() > 1000);
    return new URL('debug/trace/ui/', address()).href;
}

/** @typedef {import('../../../static/data/model.js').Model} Model */
/** @typedef {{lane: import('../../../static/data/types.js').Lane, start: number, dur: number, state: number, hue: number, object: number}} Span */

/** @param {Model} model @param {(s: Span) => boolean} wanted @returns {Span|null} the longest one that lies wholly in the window */
function longest(model, wanted) {
    /** @type {Span|null} */
    let best = null;
    for (const row of model.rowsOf('state')) {
        eachSlice(row, 0, model.duration, (seg, i) => {
            const span = { lane: model.lane(row.lane), start: seg.start[i], dur: seg.dur[i], state: seg.name[i], hue: seg.hue[i], object: unpackPlace(seg.extra?.[i] ?? 0).object };
            if ((!best || span.dur > best.dur) && wanted(span)) best = span;
        });
    }
    return best;
}

const LOCK = STATES.indexOf('lock');
const NETWORK = STATES.indexOf('network');

/** A wait in that state that was ended by another thread of redis, or by the kernel and others. @param {Model} model @param {number} state @param {boolean} byThread */
function woken(model, state, byThread) {
    const { t, from, to } = model.wakes();
    const wakes = new Set(Array.from(t, (at, i) => (from[i] >= 0 === byThread ? `${to[i]} ${at}` : '')));
    return longest(model, (s) => s.state === state && s.start > 0 && wakes.has(`${s.lane.id} ${s.start + s.dur}`));
}

const b = await openBrowser();
const { page } = b;
page.setDefaultTimeout(PATIENCE_MS);
const side = () => page.getByRole('complementary', { name: 'Details' });

/** @param {string} base @returns {Promise<{id: number, model: Model}>} what the first page recorded */
async function record(base) {
    await b.goto(base);
    await page.getByLabel('Seconds').fill('1');
    await page.getByLabel('Samples a second').fill('99');
    await page.getByRole('button', { name: 'Start capture' }).click();
    const ready = page.getByRole('link', { name: /is ready: open it/ });
    await ready.waitFor();
    const id = Number(/\d+/.exec(await ready.innerText())?.[0]);
    const model = read(await (await fetch(new URL(`../captures/${id}?format=json`, base))).text());
    run(markIdle(model));
    return { id, model };
}

/** @param {Model} model @param {Span} span @returns {string} an address with it in the middle third, selected */
function around(span, id) {
    return `#/timeline?cap=${id}&t=${formatRange(span.start - span.dur, span.start + 2 * span.dur)}&sel=${span.lane.id},state,0,${span.start}`;
}

/** @param {string} hash */
async function to(hash) {
    await page.evaluate((h) => { location.hash = h; }, hash);
}

async function settled() {
    await page.locator('.banner.info progress').waitFor({ state: 'detached' });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))));
}

/** Opens it anew: pages are shown with nothing selected before. @param {string} base @param {string} hash */
async function openTimeline(base, hash) {
    await b.goto(base + hash);
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await side().getByRole('heading', { level: 2 }).first().waitFor();
    await settled();
}

/** Pixels of a colour in the middle of the view, in the row of a lane's states. @param {string} base @param {number} id @param {Span} span */
async function probe(base, id, span) {
    await openTimeline(base, around(span, id));
    const values = await page.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries([...style].filter((n) => n.startsWith('--')).map((n) => [n.slice(2), style.getPropertyValue(n).trim()]));
    });
    const colour = sliceColours((name) => values[name])[span.hue];
    return page.evaluate(({ title, sub, c }) => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-canvas'));
        const names = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.tl-name')]);
        const name = names.find((n) => n.dataset.title === title && (n.textContent ?? '').includes(sub)) ?? names.find((n) => n.dataset.title === title);
        if (!name) return -1;
        const y = name.getBoundingClientRect().top - canvas.getBoundingClientRect().top + 4;
        const d = canvas.getContext('2d')?.getImageData(Math.round(canvas.width / 2) - 4, Math.round(y), 9, 18).data ?? [];
        let n = 0;
        for (let i = 0; i < d.length; i += 4) if (c.every((v, k) => Math.abs(v - d[i + k]) <= 3)) n++;
        return n;
    }, { title: span.lane.name, sub: `tid ${span.lane.tid}`, c: colour });
}

/** @param {string} base @param {number} id @param {Model} model */
async function seesLanes(base, id, model) {
    await openTimeline(base, `#/timeline?cap=${id}`);
    const names = await page.locator('.tl-name').evaluateAll((all) => all.map((n) => /** @type {HTMLElement} */ (n).dataset.title));
    for (const name of ['redis-server', 'bio_close_file', 'io_thd_1']) assert.ok(names.includes(name), `${name} in ${names}`);
    assert.ok((await page.title()).startsWith('Timeline · redis-server'), await page.title());
    assert.equal(await side().getByRole('heading', { level: 2 }).first().innerText(), 'redis-server');
    return model.rowsOf('state').length > 0;
}

/** @param {string} base @param {number} id @param {Model} model */
async function seesStates(base, id, model) {
    for (const name of ['running', 'runnable', 'network', 'lock']) {
        const state = STATES.indexOf(name);
        /* what the thread does there fills the pixels that are looked at, and began in the window */
        const span = longest(model, (s) => s.state === state && s.start > 0 && s.start + s.dur < model.duration);
        if (!span) {
            assert.notEqual(name, 'running');
            console.log(`no thread was ${name} in this second`);
            continue;
        }
        const n = await probe(base, id, span);
        assert.ok(n >= 20, `${name} of ${span.lane.name} at ${span.start}, ${span.dur} ns long: ${n} pixels of its colour`);
        const words = name === 'running' ? /^running on CPU \d+$/ : name === 'runnable' ? /^runnable/ : new RegExp(`^blocked, ${name}: .+`);
        const title = await side().getByRole('heading', { level: 2 }).first().innerText();
        assert.match(title, words);
        assert.equal(title.endsWith('idle: waits for work'), span.hue === HUE.waitEmpty, title);
    }
}

/** @param {string} base @param {number} id @param {Span} span a wait that something from elsewhere ended */
async function seesItWasWoken(base, id, span) {
    await openTimeline(base, around(span, id));
    await side().getByRole('list', { name: 'Wakes' }).getByText(/Woken by/).waitFor();
}

/** @param {string} base @param {number} id @param {Span} span a wait for a lock that another thread ended */
async function seesWhoWoke(base, id, span) {
    await seesItWasWoken(base, id, span);
    await side().getByRole('heading', { name: /^blocked, lock: / }).waitFor();
    const blue = await page.evaluate(() => {
        const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector('.tl-over'));
        const wake = getComputedStyle(document.documentElement).getPropertyValue('--wake').trim();
        const c = [1, 3, 5].map((i) => parseInt(wake.slice(i, i + 2), 16));
        const d = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        let n = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && c.every((v, k) => Math.abs(v - d[i + k]) < 40)) n++;
        return n;
    });
    assert.ok(blue > 30, `${blue} pixels of an arrow`);
    const before_ = page.url();
    await page.keyboard.press('[');
    await page.waitForFunction((u) => location.href !== u && /sel=\d+,state/.test(location.hash), before_);
    assert.match(await side().innerText(), new RegExp(`Woke ${span.lane.name}|Thread\\s+(?!${span.lane.name})`));
}

/** Every page by role and label, with what this capture must give it. @param {number} id @param {Model} model @param {boolean} states */
async function seesPages(id, model, states) {
    const table = (/** @type {string} */ name) => page.getByRole('table', { name, exact: true });
    const pages = page.getByRole('navigation', { name: 'Pages' });
    const main = page.getByRole('main');
    const nav = async (/** @type {string} */ name) => {
        await pages.getByRole('link', { name, exact: true }).click();
        await pages.locator('a[aria-current=page]', { hasText: name }).waitFor();
        await main.getByRole('heading', { level: 1 }).waitFor();
    };
    await nav('Tasks');
    await main.getByRole('region', { name: 'This capture has no tasks' }).getByRole('link', { name: 'threads' }).waitFor();
    await nav('Regions');
    await main.getByRole('region', { name: 'This capture has no regions' }).waitFor();
    await nav('Threads');
    const threads = [...model.lanes.values()].filter((l) => l.kind === 'thread' && l.id >= 0 && l.rows.length > 0);
    for (const l of threads) await table('Threads').getByRole('row', { name: new RegExp(`\\b${l.tid}\\b`) }).waitFor();
    await nav('Blocking');
    if (states) await page.getByRole('tree', { name: 'Synchronisation' }).getByRole('treeitem').nth(1).waitFor();
    await nav('Contention');
    if (woken(model, LOCK, true)) await main.getByRole('table').first().getByRole('row').nth(1).waitFor();
    await nav('CPU');
    if (model.samples().t.length > 0) await page.getByRole('tree', { name: 'CPU samples' }).getByRole('treeitem').nth(1).waitFor();
    else console.log('no samples in this second');
    await nav('GC');
    await main.getByText('memory.resident_bytes').first().waitFor({ state: 'attached' });
    await nav('Events');
    assert.ok((await table('Events').getByRole('row').count()) > 10);
    await nav('Findings');
    await nav('Compare');
    await page.getByLabel('The capture before').waitFor({ state: 'attached' });
    await nav('Capture');
    await page.getByRole('region', { name: 'Status' }).getByText(/redis-server, pid \d+/).waitFor();
    await page.getByRole('link', { name: `Download capture ${id} as json` }).waitFor();
}

/** Pages that one reads on a telephone. @param {number} id */
async function staysNarrow(id) {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const name of ['', 'tasks', 'regions', 'threads', 'blocking', 'contention', 'cpu', 'gc', 'events', 'findings', 'compare']) {
        await to(`#/${name}?cap=${id}`);
        await page.locator('h1').first().waitFor({ state: 'attached' });
        await settled();
        const [inner, doc] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
        assert.ok(doc <= inner, `${name || 'the first page'} is ${doc} pixels wide`);
    }
    await page.setViewportSize({ width: 1400, height: 860 });
}

let failed = true;
try {
    const base = await started();
    let { id, model } = await record(base);
    const tells = model.head?.notes['source.sched'] ?? '';
    console.log(`source.sched: ${tells}`);
    const wakes = tells.includes('who woke whom') && !tells.includes('not who woke whom');
    for (let k = 1; wakes && k < TRIES && !woken(model, LOCK, true); k++) ({ id, model } = await record(base));
    if (wakes && !woken(model, LOCK, true)) {
        begin(1); /* one that is answered before it asks again lets redis wait, however few turns both get */
        for (let k = 0; k < TRIES && !woken(model, NETWORK, false); k++) ({ id, model } = await record(base));
    }
    const [byThread, byOthers] = [woken(model, LOCK, true), woken(model, NETWORK, false)];
    console.log(`capture ${id}: ${model.sliceCount} slices, ${model.wakes().t.length} wakes, ${model.samples().t.length} samples`);
    for (const theme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme: theme });
        const states = await seesLanes(base, id, model);
        if (states) await seesStates(base, id, model);
        else console.log('no states here');
        if (wakes) assert.ok(byThread ?? byOthers, 'nothing was woken');
        if (byThread) await seesWhoWoke(base, id, byThread);
        else console.log('no thread was woken from a lock by another one');
        if (byOthers) await seesItWasWoken(base, id, byOthers);
    }
    await seesPages(id, model, model.rowsOf('state').length > 0);
    await staysNarrow(id);
    assert.deepEqual(b.wrongs, []);
    failed = false;
} catch (e) {
    console.error(e, b.wrongs);
} finally {
    await b.close();
    load?.kill();
    server.kill();
    await until('redis to end', () => server.exitCode !== null || server.signalCode !== null);
    fs.rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
