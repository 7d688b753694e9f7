// speed.mjs - how fast a large capture appears and moves. Prints what it measures; fails only where something hangs.
//
// node speed.mjs [SLICES]: load from loopback, first useful frame, then frames while zooming and panning over the whole screen.

import { StandIn } from '../support/server.mjs';
import { openBrowser } from '../support/browser.mjs';
import { largeCapture } from '../support/captures.mjs';

const slices = Number(process.argv[2] ?? 1_000_000);
const HANG_MS = 60_000;

const server = new StandIn();
const text = [...largeCapture(slices)]; /* made beforehand: the time to make it is not the viewer's */
const pieces = [];
for (let i = 0; i < text.length; i += 64) pieces.push(text.slice(i, i + 64).join(''));
const id = server.add(() => pieces);
const base = await server.listen();
const b = await openBrowser({ width: 1600, height: 900 });

await b.page.addInitScript(() => {
    const w = /** @type {any} */ (window);
    w.frames_ = [];
    w.gaps = [];
    const raf = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (run) => raf((t) => {
        const from = performance.now();
        run(t);
        w.frames_.push(performance.now() - from);
    });
    let last = performance.now();
    const beat = () => {
        const now = performance.now();
        w.gaps.push(now - last);
        last = now;
        setTimeout(beat, 0);
    };
    beat();
});

const rank = (values, p) => values.slice().sort((x, y) => x - y)[Math.min(values.length - 1, Math.floor(p * values.length))] ?? NaN;
const ms = (v) => `${v.toFixed(1)} ms`;

await b.goto(`${base}#/timeline?cap=${id}`);
const loaded = await b.page.evaluate((limit) => new Promise((done) => {
    let first = 0;
    const look = () => {
        const lanes = document.querySelectorAll('.tl-name').length;
        if (!first && lanes >= 5) first = performance.now();
        const finished = document.querySelector('.tl-side')?.textContent?.includes('Ended by');
        if (finished || performance.now() > limit) setTimeout(() => done({ first, all: performance.now(), gap: Math.max(...(/** @type {any} */ (window)).gaps.slice(3)) }), 50);
        else setTimeout(look, 5);
    };
    look();
}), HANG_MS);
console.log(`${slices} slices, ${(pieces.reduce((s, p) => s + p.length, 0) / 1e6).toFixed(1)} MB: first useful frame ${ms(loaded.first)}, all ${ms(loaded.all)}, longest gap on the page ${ms(loaded.gap)}`);

/** @param {string} name @param {(k: number) => Promise<void>} act */
async function measure(name, act) {
    await b.page.evaluate(() => { (/** @type {any} */ (window)).frames_ = []; });
    for (let k = 0; k < 60; k++) {
        await act(k);
        await b.page.evaluate(() => new Promise((go) => setTimeout(go, 16)));
    }
    const frames = (await b.page.evaluate(() => (/** @type {any} */ (window)).frames_)).filter((v) => v > 0.2);
    console.log(`${name}: script per frame p50 ${ms(rank(frames, 0.5))}, p95 ${ms(rank(frames, 0.95))}, max ${ms(Math.max(...frames))} (${frames.length} frames)`);
    return rank(frames, 0.95);
}

await b.page.keyboard.press('0');
const canvas = await b.page.locator('.tl-canvas').first().boundingBox();
await b.page.mouse.move(canvas.x + canvas.width / 2, canvas.y + 300);
const wheel = async (dy) => { await b.page.keyboard.down('Control'); await b.page.mouse.wheel(0, dy); await b.page.keyboard.up('Control'); };
const worst = Math.max(
    await measure('whole capture, moving by wheel at full extent', (k) => wheel(k % 2 ? -8 : 8)),
    await measure('zooming in', () => wheel(-60)),
    await measure('panning close up', (k) => b.page.keyboard.press(k % 20 < 10 ? 'd' : 'a')),
    await measure('zooming out', () => wheel(60)),
);
const heap = await b.page.evaluate(() => (/** @type {any} */ (performance)).memory?.usedJSHeapSize ?? 0);
console.log(`JS heap ${(heap / 1e6).toFixed(0)} MB (without array buffers)`);
await b.close();
server.close();
if (b.wrongs.length) console.log(b.wrongs.join('\n'));
process.exit(loaded.all >= HANG_MS || worst > 1000 || b.wrongs.length ? 1 : 0);
