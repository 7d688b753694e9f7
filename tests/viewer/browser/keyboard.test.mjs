// keyboard.test.mjs - a whole session without a mouse: from the first page over a capture and every page to what one takes away.
//
// Nothing here points: focus is moved with Tab, and a pointer that was pressed anyway is a failure. Where a step back is asked for, it is the
// browser's own, since a headless one has no window that would take Alt and an arrow.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { StandIn } from '../support/server.mjs';
import { openBrowser } from '../support/browser.mjs';
import { statesCapture } from '../support/captures.mjs';

/** More stops than any page has. */
const STOPS_MAX = 160;

/** @type {StandIn} */
let standIn;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let b;
let base = '';

before(async () => {
    standIn = new StandIn({ recorded: statesCapture().text() });
    base = await standIn.listen();
    standIn.add(statesCapture().text());
    b = await openBrowser();
    b.page.on('filechooser', () => undefined); /* from the beginning: turned on when a key is already on its way, it may come too late */
    await b.page.addInitScript("for (const kind of ['pointerdown', 'mousedown', 'touchstart', 'wheel']) addEventListener(kind, () => ttapReport(`a pointer: ${kind}`), true)");
});
after(async () => {
    await b?.close();
    standIn.close();
});
afterEach(() => {
    assert.deepEqual(b.wrongs.splice(0), []);
});

/** What a screen reader would call the thing that has the focus. */
function focused() {
    return b.page.evaluate(() => {
        const e = /** @type {HTMLElement} */ (document.activeElement);
        const label = e instanceof HTMLInputElement || e instanceof HTMLSelectElement ? e.labels?.[0]?.textContent : '';
        return (e.getAttribute('aria-label') || label || e.textContent || e.title || '').trim().slice(0, 200);
    });
}

/** @param {string} keys one after the other, with blanks between them */
async function press(keys) {
    for (const key of keys.split(' ')) await b.page.keyboard.press(key);
}

/** Tab until the focus is on what has this name. @param {RegExp|string} name @param {boolean} [back] with Shift */
async function tabTo(name, back = false) {
    const seen = [];
    for (let k = 0; k < STOPS_MAX; k++) {
        await press(back ? 'Shift+Tab' : 'Tab');
        const now = await focused();
        if (typeof name === 'string' ? now === name : name.test(now)) return;
        seen.push(now.slice(0, 30));
    }
    assert.fail(`Tab does not lead to ${name}; it leads to ${[...new Set(seen)].join(' | ')}`);
}

/** @param {string} text in place of what is there */
async function type(text) {
    await press('Control+a');
    await b.page.keyboard.type(text);
}

const side = () => b.page.getByRole('complementary', { name: 'Details' });
const title = (/** @type {string} */ name) => b.page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();

/** @param {string} words a part of the address, which follows the view a little later */
const address = (words) => b.page.waitForFunction((w) => location.hash.includes(w), words);

/** @param {() => Promise<void>} act @returns {Promise<{name: string, bytes: Buffer}>} the file that it saves */
async function saved(act) {
    const waiting = b.page.waitForEvent('download');
    await act();
    const download = await waiting;
    return { name: download.suggestedFilename(), bytes: fs.readFileSync(await download.path()) };
}

/** Opens what is kept, on the page of that name. @param {string} page */
async function open(page) {
    await b.goto(`${base}#/${page}?cap=1`);
    await b.page.getByRole('main').getByRole(page === 'timeline' ? 'application' : 'heading', page === 'timeline' ? {} : { level: 1 }).first().waitFor();
    await b.page.locator('.banner.info progress').waitFor({ state: 'detached' });
}

test('a capture is taken, watched and opened', async () => {
    const { page } = b;
    await b.goto(base);
    await page.getByRole('button', { name: 'Start capture' }).waitFor();
    await press('Tab');
    assert.equal(await focused(), 'Skip to content');
    await press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    await tabTo(/^Seconds/);
    await type('0.3');
    await tabTo('gc');
    await press('Space');
    await tabTo('Start capture', true);
    await press('Enter');
    const ready = page.getByRole('link', { name: /is ready: open it/ });
    await ready.waitFor();
    assert.deepEqual(standIn.bodies.at(-1), { seconds: 0.3, events: ['task', 'region', 'log', 'counter', 'queue'] });
    assert.match(await focused(), /is ready: open it/, 'the focus waits where the answer comes');
    await press('Enter');
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await side().getByText('Ended by').waitFor();
    assert.match(await focused(), /^Timeline/);
});

test('the timeline is moved in, selected in, searched and followed', async () => {
    const { page } = b;
    await open('timeline');
    const view = async () => {
        await page.waitForFunction(() => document.querySelector('.tl-view')?.textContent); // a frame behind the lanes
        return page.locator('.tl-view').innerText();
    };
    const moved = (/** @type {string} */ from) => page.waitForFunction((t) => document.querySelector('.tl-view')?.textContent !== t, from);
    for (const key of ['w', 'd', 'a', 's', '+', '-']) {
        const before_ = await view();
        await press(key);
        if (key !== '-') await moved(before_); /* that may be all again */
    }
    await press('0');
    await press('/');
    await page.keyboard.type('thread:worker-1 state:lock');
    await press('Enter');
    await side().getByRole('heading', { name: 'blocked, lock: db.lock' }).waitFor();
    await page.getByText('1 of 1').waitFor();
    await press('z');
    await address('t=0.08');
    await press('[');
    await side().getByRole('heading', { name: 'running on CPU 1' }).waitFor();
    assert.match(await side().innerText(), /worker-2[^]*Woke worker-1/);
    await press(']');
    await side().getByRole('heading', { name: /^runnable/ }).waitFor();
    await press('Enter');
    assert.equal(await focused(), 'Details');
    await tabTo('worker-2');
    await press('Enter');
    await side().getByRole('heading', { name: 'running on CPU 1' }).waitFor();
    await press('Escape');
    assert.match(await focused(), /^Timeline/);
    await press('0 ArrowRight');
    await address('sel=');
    await press('ArrowRight ArrowDown ArrowUp ArrowLeft p');
    await address('pin=');
    await press('r');
    await side().getByRole('table', { name: 'States in this range' }).waitFor();
    await press('Escape');
    await side().getByText('Legend').waitFor();
});

test('lanes are chosen, hidden and brought back, and slices are a table too', async () => {
    const { page } = b;
    await open('timeline');
    const lanes = () => page.locator('.tl-name').count();
    const all = await lanes();
    const until = (/** @type {number} */ n) => page.waitForFunction((want) => document.querySelectorAll('.tl-name').length === want, n);
    await press('/');
    await page.keyboard.type('db.query');
    await press('Enter h');
    await until(all - 1);
    await tabTo('Show 1 hidden');
    await press('Enter');
    await until(all);
    await tabTo('View ▾');
    await press('Enter');
    assert.equal(await focused(), 'Lanes of');
    await tabTo('counters');
    await press('Space');
    await until(all - 1);
    await press('Escape');
    await address('show=-series');
    await press('t');
    await tabTo('Slices in view');
    await tabTo('db.query');
    await press('Enter');
    await side().getByRole('heading', { name: 'db.query' }).waitFor();
});

test('the timeline is saved as a picture and as one file', async () => {
    await open('timeline');
    await tabTo('Save what is in view as a picture');
    const picture = await saved(() => press('Enter'));
    assert.equal(picture.name, 'timeline.png');
    assert.equal(picture.bytes.subarray(1, 4).toString(), 'PNG');
    await tabTo('Save the capture and its viewer as one HTML file');
    const file = await saved(() => press('Enter'));
    assert.match(file.name, /\.html$/);
    assert.match(file.bytes.toString(), /^<!DOCTYPE html>/);
});

test('from the keys to the tasks, one of them, its region and its events', async () => {
    const { page } = b;
    await open('timeline');
    await press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await press('Escape 3');
    await title('Tasks');
    await tabTo('GET /a');
    await press('Enter');
    await title('GET /a');
    await tabTo(/: 1$/);
    await press('Enter');
    await page.getByRole('heading', { name: '1 of 2 tasks' }).waitFor();
    await tabTo('Show all durations');
    await press('Enter');
    await page.getByRole('heading', { name: '2 of 2 tasks' }).waitFor();
    await tabTo('#0');
    await press('Enter');
    await title('#0');
    await page.getByRole('table', { name: 'Parts of its time' }).waitFor();
    await tabTo('Its events');
    await press('Enter');
    await title('Events');
    await page.goBack();
    await title('#0');
    await page.goBack();
    await title('GET /a');
    await page.goForward();
    await title('#0');
    await press('4');
    await title('Regions');
    await tabTo('handle_request');
    await press('Enter');
    await title('handle_request');
    await tabTo('As a table');
    await press('Enter');
    await page.getByRole('table', { name: 'Durations' }).waitFor();
});

test('threads, blocking, contention, CPU and collector are read and saved', async () => {
    const { page } = b;
    await open('threads');
    await title('Threads');
    await tabTo(/^CPU time/);
    await press('Enter');
    assert.equal(await page.getByRole('columnheader', { name: /^CPU time/ }).getAttribute('aria-sort'), 'descending');
    assert.match(await focused(), /^CPU time/, 'the focus stays on the title that was pressed');
    await tabTo('Save Threads as CSV');
    const csv = await saved(() => press('Enter'));
    assert.match(csv.bytes.toString(), /^Thread,tid,[^]*worker-1,801,/);
    await press('6');
    await title('Blocking');
    await tabTo('Network');
    await press('Enter');
    await page.getByRole('tree', { name: 'Network' }).getByRole('treeitem').first().waitFor();
    await tabTo(/^Network: 200/);
    await press('ArrowDown');
    assert.match(await focused(), /: 200\.0 ms \(100 %\)/);
    await press('Enter Escape');
    await press('7');
    await title('Contention');
    await tabTo('db.lock');
    await press('Enter');
    await page.getByRole('table', { name: 'Who let go' }).waitFor();
    await press('8');
    await title('CPU');
    await tabTo(/^all samples/);
    await press('ArrowDown');
    assert.match(await focused(), /^main/);
    await press('9');
    await title('Collector and memory');
    await tabTo('As a table');
    await press('Enter');
    await page.getByRole('table', { name: 'Minimum mutator utilisation' }).waitFor();
});

test('events are filtered, a finding is followed, two captures are compared', async () => {
    const { page } = b;
    await open('timeline');
    await tabTo('Events');
    await press('Enter');
    await title('Events');
    await tabTo('Filter');
    await type('state:lock');
    await press('Enter');
    await page.getByText('1 event', { exact: true }).waitFor();
    await tabTo('0.100000000 s');
    await press('Enter');
    await side().getByRole('heading', { name: 'blocked, lock: db.lock' }).waitFor();
    await tabTo('Findings', true);
    await press('Enter');
    await title('Findings');
    await tabTo('Show the worst');
    await press('Enter');
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await tabTo('Compare', true);
    await press('Enter');
    await title('Compare');
    await tabTo(/^The capture before/);
    const chooser = page.waitForEvent('filechooser');
    await press('Enter');
    await (await chooser).setFiles({ name: 'before.json', mimeType: 'application/json', buffer: Buffer.from(statesCapture().text()) });
    await page.getByRole('table', { name: 'Tasks compared' }).waitFor();
});

test('the theme is changed, a capture downloaded and deleted, a file opened', async () => {
    const { page } = b;
    await b.goto(base);
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    const download = page.getByRole('link', { name: 'Download capture 1 as json' });
    await download.waitFor();
    await tabTo('Theme: auto');
    await press('Enter');
    assert.equal(await theme(), 'light');
    await press('Enter');
    assert.equal(await theme(), 'dark');
    await press('Enter');
    assert.equal(await focused(), 'Theme: auto');
    await tabTo('Download capture 1 as json');
    const json = await saved(() => press('Enter'));
    assert.equal(json.name, 'svc-71.json');
    assert.equal(JSON.parse(json.bytes.toString()).format, 'tracetap');
    await tabTo('Delete capture 1');
    await press('Enter');
    await download.waitFor({ state: 'detached' });
    await tabTo('Open a file…');
    const chooser = page.waitForEvent('filechooser');
    await press('Enter');
    await (await chooser).setFiles({ name: 'mine.json', mimeType: 'application/json', buffer: Buffer.from(json.bytes) });
    await page.getByRole('application', { name: /Timeline/ }).waitFor();
    await page.getByText('mine.json').first().waitFor();
});
