// bench.mjs - the viewer's figures and bars: node bench.mjs TRACETAP SPANS [--json] [--check] [--short].
//
// TRACETAP is the command, SPANS the program of spans.c. Captures are generated and served from loopback as the service would;
// made beforehand, so that making them is not measured. speedscope opens the same spans, as its own format, in the same run.

import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { StandIn } from '../support/server.mjs';
import { openBrowser } from '../support/browser.mjs';
import { largeCapture } from '../support/captures.mjs';
import { Figures } from '../support/figures.mjs';
import { instrument, loaded, move, longestTaskCpuMs, pageCpu, rank, rendererMb } from '../support/measure.mjs';

const [tracetap, spans, ...options] = process.argv.slice(2);
const short = options.includes('--short');
const LIMIT_MS = 120_000;
const FRAMES = short ? 6 : 60;
const figures = new Figures('viewer', options);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tracetap-bench-'));

const browser = () => openBrowser({ width: 1600, height: 900 });

/** @param {string} name @param {number} slices @param {Record<string, number>} bars */
async function generated(name, slices, bars) {
    const server = new StandIn();
    const text = [...largeCapture(slices)];
    const pieces = [];
    for (let i = 0; i < text.length; i += 64) pieces.push(Buffer.from(text.slice(i, i + 64).join('')));
    const id = server.add(() => pieces);
    const base = await server.listen();
    const b = await browser();
    try {
        await instrument(b.page);
        await b.goto(base);
        await b.page.waitForTimeout(300);
        const empty = await rendererMb(b.context);
        /** @type {Awaited<ReturnType<typeof loaded>>} */
        let load = { first: NaN, all: NaN, longest: NaN, long: 0 };
        const longestCpu = await longestTaskCpuMs(b.context, async () => {
            await b.goto(`${base}#/timeline?cap=${id}`);
            load = await loaded(b.page, LIMIT_MS);
        });
        const after = await pageCpu(b.context);
        figures.add(`${name}_first_s`, load.first / 1000, bars.first, 'first lanes drawn, from the navigation on');
        figures.add(`${name}_all_s`, load.all / 1000, 0, 'all of it there');
        figures.add(`${name}_longest_task_cpu_ms`, longestCpu, 50, 'longest task of the page while loading, in CPU time');
        figures.add(`${name}_longest_task_ms`, load.longest, 0, 'longest by the clock, with what others took (0: none over 50 ms)');
        figures.add(`${name}_page_cpu_s`, after.cpu / 1000, 0, 'CPU of the page\'s thread until then');
        figures.add(`${name}_page_waited_s`, after.waited / 1000, 0, 'and how long it waited for a CPU that others had: 0 on a quiet machine');
        const moved = await move(b.page, FRAMES);
        figures.add(`${name}_frame_p95_ms`, Math.max(...Object.values(moved).map((t) => rank(t, 0.95))), 10, 'script per frame, 50 lanes: the worst of whole, zooming in and out, close up');
        await b.page.waitForTimeout(short ? 100 : 2000);
        figures.add(`${name}_memory_mb`, (await rendererMb(b.context)) - empty, bars.memory, 'renderer, above an empty page');
        if (bars.range) figures.add(`${name}_range_ms`, await rangeMs(b.page), bars.range, 'statistics of a range of a tenth of the capture');
        if (b.wrongs.length) throw new Error(b.wrongs.join('\n'));
    } finally {
        await b.close();
        server.close();
    }
}

/** From the key that asks for a range's statistics to the table. @returns {Promise<number>} the median of five */
async function rangeMs(page) {
    const times = [];
    for (let k = 0; k < 5; k++) {
        await page.keyboard.press('Escape');
        await page.keyboard.press('0');
        for (let i = 0; i < 5; i++) await page.keyboard.press('w'); /* 0.6 ^ 5 = 8 % of it */
        await page.waitForTimeout(100);
        times.push(await page.evaluate(() => new Promise((done) => {
            const from = performance.now();
            document.dispatchEvent(new KeyboardEvent('keydown', { key: 'r', bubbles: true }));
            const look = () => (document.querySelector('.tl-side td.name') ? done(performance.now() - from) : setTimeout(look, 0));
            look();
        })));
    }
    return rank(times, 0.5);
}

/** @param {number} count spans in a native file, shown by the command */
async function nativeFile(count) {
    const file = path.join(folder, 'spans.trace');
    if (spawnSync(spans, [file, String(count)], { stdio: 'inherit' }).status !== 0) throw new Error('no capture was made');
    const b = await browser(); /* before the command: its start is not the viewer's */
    const from = performance.now();
    const viewer = spawn(tracetap, ['view', '--no-open', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    try {
        const { url, own } = await new Promise((found, failed) => {
            let said = '';
            const hear = (piece) => {
                said += piece;
                const m = /http:\S+/.exec(said);
                if (m) found({ url: m[0], own: performance.now() - from });
            };
            viewer.stdout.on('data', hear);
            viewer.stderr.on('data', hear);
            viewer.on('exit', () => failed(new Error(`tracetap view ended; it said: ${said}`)));
        });
        await instrument(b.page);
        await b.goto(url);
        const load = await loaded(b.page, LIMIT_MS); /* from the navigation on */
        figures.add('native_10m_first_s', (load.first + own) / 1000, 3, '`tracetap view` of a native file: first lanes, from the command on');
        figures.add('native_10m_all_s', (load.all + own) / 1000, 15, 'and all of it');
        figures.add('native_10m_serving_s', own / 1000, 0, 'of both: until the command gave its address');
    } finally {
        viewer.removeAllListeners('exit');
        viewer.kill();
        await b.close();
    }
}

/** The generated spans as speedscope's own format: one profile a row, since its profiles are stacks. @param {number} slices */
function speedscopeFile(slices) {
    const names = [];
    const profiles = [];
    const open = new Map();
    for (const line of largeCapture(slices)) {
        if (!line.startsWith('{"t":')) continue;
        const c = JSON.parse(line.slice(0, line.indexOf('}') + 1));
        if (c.t === 'str') names.push(...c.v);
        if (c.t !== 'region') continue;
        const key = `${c.lane}/${c.depth}`;
        if (!open.has(key)) open.set(key, { type: 'evented', name: `worker-${c.lane} depth ${c.depth}`, unit: 'nanoseconds', startValue: 0, endValue: 0, events: [] });
        const p = open.get(key);
        let t = c.t0;
        for (let i = 0; i < c.n; i++) {
            t += c.dt[i];
            p.events.push({ type: 'O', frame: c.name[i], at: t }, { type: 'C', frame: c.name[i], at: t + c.dur[i] });
            p.endValue = t + c.dur[i];
        }
    }
    profiles.push(...open.values());
    return JSON.stringify({ $schema: 'https://www.speedscope.app/file-format-schema.json', shared: { frames: names.map((name) => ({ name })) }, profiles });
}

/** @param {number} slices */
async function speedscope(slices) {
    const root = fileURLToPath(new URL('../node_modules/speedscope/dist/release/', import.meta.url));
    if (!fs.existsSync(root)) return console.error('speedscope is not installed: npm ci --prefix tests/viewer; left out');
    const profile = Buffer.from(speedscopeFile(slices));
    const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };
    const server = http.createServer((req, res) => {
        const name = new URL(req.url ?? '', 'http://x').pathname;
        const file = path.join(root, path.normalize(name === '/' ? '/index.html' : name));
        const body = name === '/profile.json' ? profile : fs.existsSync(file) ? fs.readFileSync(file) : null;
        res.writeHead(body ? 200 : 404, { 'Content-Type': types[path.extname(file)] ?? 'application/json' });
        res.end(body);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', () => done(null)));
    const base = `http://127.0.0.1:${server.address().port}/`;
    const b = await browser();
    try {
        await instrument(b.page);
        await b.goto(base);
        await b.page.waitForTimeout(500);
        const empty = await rendererMb(b.context);
        await b.goto(`${base}#profileURL=${encodeURIComponent(`${base}profile.json`)}`);
        const ready = await b.page.evaluate((limit) => new Promise((done) => {
            const look = () => (document.body.textContent?.includes('Left Heavy') || performance.now() > limit ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))) : setTimeout(look, 5));
            look();
        }), LIMIT_MS);
        await b.page.waitForTimeout(short ? 100 : 2000);
        const tasks = await b.page.evaluate(() => (/** @type {any} */ (window)).tasks_.map((t) => t[1]));
        figures.add('speedscope_1m_ready_s', ready / 1000, 0, 'yardstick: speedscope with the same spans');
        figures.add('speedscope_1m_longest_task_ms', Math.max(0, ...tasks), 0, 'its longest task');
        figures.add('speedscope_1m_memory_mb', (await rendererMb(b.context)) - empty, 0, 'its renderer, above its empty page');
    } finally {
        await b.close();
        server.close();
    }
}

try {
    await generated('1m', short ? 20_000 : 1_000_000, { first: 1, memory: 120, range: 50 });
    await speedscope(short ? 20_000 : 1_000_000);
    await generated('10m', short ? 50_000 : 10_000_000, { first: 4, memory: 600, range: 50 });
    await nativeFile(short ? 50_000 : 10_000_000);
} finally {
    fs.rmSync(folder, { recursive: true, force: true });
}
process.exit(figures.end());
