// attacks.mjs - what a page from elsewhere can make a real browser do to the endpoint: node attacks.mjs BUSY_SERVICE
//
//      origins:  another site, the same host on another port, the same host by another name, no origin at all, a name re-bound to 127.0.0.1
//      shapes:   elements (img, script, ...), fetch without and with CORS, forms, navigation and frames, WebSocket and other ways to connect
//
// Every shape from every origin must be refused, start nothing and read nothing. Each is then done by a page of the endpoint's own origin, where those that
// are meant to work do start a capture: so none of them fails for another reason. 77: skipped, and why is printed.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import http from 'node:http';
import fs from 'node:fs';
import assert from 'node:assert/strict';

const CHROMIUM = process.env.TTAP_CHROMIUM ?? '/usr/bin/chromium';
const STEP_MS = 15000, ALL_MS = 90000; /* against hangs only: a step takes a fraction of a second, everything 30 s */
const skip = (/** @type {string} */ why) => { console.log(`skipped: ${why}`); process.exit(77); };
if (!fs.existsSync(CHROMIUM)) skip(`there is no ${CHROMIUM}; set TTAP_CHROMIUM`);
const { chromium } = await import('playwright-core').catch(() => skip('the npm package playwright-core is missing: npm ci --prefix tests/viewer'));

/* Each gets the address to ask and returns what it managed to read. They run inside the page. */
const GETS = {
    img: `(url) => new Promise((done) => { const e = new Image(); e.onload = () => done('loaded'); e.onerror = () => done(''); e.src = url; })`,
    script: `(url) => new Promise((done) => { const e = document.createElement('script'); e.onload = () => done('ran'); e.onerror = () => done(''); e.src = url; document.head.append(e); })`,
    stylesheet: `(url) => new Promise((done) => { const e = document.createElement('link'); e.rel = 'stylesheet'; e.onload = () => done('loaded'); e.onerror = () => done(''); e.href = url; document.head.append(e); })`,
    'link prefetch': `(url) => new Promise((done) => { const e = document.createElement('link'); e.rel = 'prefetch'; e.onload = () => done(''); e.onerror = () => done(''); e.href = url; document.head.append(e); setTimeout(() => done(""), 400); })`,
    video: `(url) => new Promise((done) => { const e = document.createElement('video'); e.onloadeddata = () => done('loaded'); e.onerror = () => done(''); e.src = url; e.load(); })`,
    'fetch no-cors': `(url) => fetch(url, { mode: 'no-cors' }).then((r) => r.text()).catch(() => '')`,
    'fetch cors': `(url) => fetch(url).then(async (r) => r.status + await r.text()).catch(() => '')`,
    'fetch cors with a preflight': `(url) => fetch(url, { headers: { 'X-Asked': '1' } }).then(async (r) => r.status + await r.text()).catch(() => '')`,
    XMLHttpRequest: `(url) => new Promise((done) => { const x = new XMLHttpRequest(); x.onload = () => done(x.responseText); x.onerror = () => done(''); x.open('GET', url); x.send(); })`,
    EventSource: `(url) => new Promise((done) => { const e = new EventSource(url); e.onopen = () => done('open'); e.onmessage = (m) => done(m.data); e.onerror = () => { e.close(); done(''); }; })`,
    WebSocket: `(url) => new Promise((done) => { const e = new WebSocket(url.replace('http', 'ws')); e.onopen = () => done('open'); e.onerror = () => done(''); })`,
    'a form that gets': `(url) => new Promise((done) => { const u = new URL(url), f = document.createElement('form'), i = document.createElement('iframe'); i.name = 'in' + Math.random(); f.target = i.name; f.action = u.origin + u.pathname;
        for (const [k, v] of u.searchParams) { const e = document.createElement('input'); e.name = k; e.value = v; f.append(e); }
        document.body.append(i, f); f.submit(); setTimeout(() => { try { done(i.contentDocument.body.innerText); } catch { done(''); } }, 300); })`,
    iframe: `(url) => new Promise((done) => { const i = document.createElement('iframe'); i.src = url; document.body.append(i); setTimeout(() => { try { done(i.contentDocument.body.innerText); } catch { done(''); } }, 300); })`,
    object: `(url) => new Promise((done) => { const e = document.createElement('object'); e.data = url; e.onload = () => done(''); e.onerror = () => done(''); document.body.append(e); setTimeout(() => done(""), 400); })`,
    worker: `(url) => new Promise((done) => { const w = new Worker(URL.createObjectURL(new Blob(['try { importScripts(' + JSON.stringify(url) + '); postMessage("ran"); } catch { postMessage(""); }']))); w.onmessage = (m) => done(m.data); w.onerror = () => done(''); })`,
    'window.open': `(url) => new Promise((done) => { const w = open(url); setTimeout(() => { let read = ''; try { read = w.document.body.innerText; } catch {} w?.close(); done(read); }, 300); })`,
};
/* Browsers send these without asking anybody first: their type is one that forms have. */
const POSTS = {
    'fetch no-cors post': `(url) => fetch(url, { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: '{"seconds":5}' }).then((r) => r.text()).catch(() => '')`,
    beacon: `(url) => (navigator.sendBeacon(url, new Blob(['{"seconds":5}'], { type: 'text/plain' })), '')`,
    'a form that posts': `(url) => new Promise((done) => { const f = document.createElement('form'), i = document.createElement('iframe'); i.name = 'in' + Math.random(); f.target = i.name; f.method = 'POST'; f.enctype = 'text/plain'; f.action = url;
        const e = document.createElement('input'); e.name = '{"seconds":5,"a":"'; e.value = '"}'; f.append(e); document.body.append(i, f); f.submit(); setTimeout(() => { try { done(i.contentDocument.body.innerText); } catch { done(''); } }, 300); })`,
};
const JSON_POST = { 'fetch cors post': `(url) => fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"seconds":0.05}' }).then(async (r) => r.status + await r.text()).catch(() => '')` };

// ---- The service ----

const service = spawn(process.argv[2], ['--requests-per-s', '100', '--captures-max', '16'], { stdio: ['pipe', 'pipe', 'inherit'] });
/** @type {string[]} */
const said = [];
createInterface({ input: service.stdout }).on('line', (line) => said.push(line));

/** @param {() => any} condition @param {number} ms */
async function until(condition, ms) {
    for (const end = Date.now() + ms; Date.now() < end; await new Promise((go) => setTimeout(go, 10))) if (condition()) return true;
    return false;
}
const countOf = (/** @type {string} */ word) => said.filter((line) => line.includes(word)).length;
if (!await until(() => countOf('port ') === 1, 20000)) throw new Error(`the service said ${said}`);
const port = Number(said.find((line) => line.startsWith('port '))?.slice(5));
const status = () => fetch(`http://127.0.0.1:${port}/debug/trace/status`).then((r) => r.json());

// ---- The pages ----

const PAGE = '<!doctype html><title>elsewhere</title><body>';
const elsewhere = http.createServer((req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE));
await new Promise((done) => elsewhere.listen(0, '127.0.0.1', () => done(0)));
const otherPort = /** @type {any} */ (elsewhere.address()).port;

const browser = await chromium.launch({
    executablePath: CHROMIUM, headless: true, timeout: 30000,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-popup-blocking',
        '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets,LocalNetworkAccessForWorkers', /* newer browsers ask the user; what is shown is our own defence */
        '--host-resolver-rules=MAP attacker.example 127.0.0.1'],
});
const context = await browser.newContext();
context.setDefaultTimeout(STEP_MS);
/* One page for all: a tab opened after one was closed amid its navigation never came, and the test hung. */
const page = await context.newPage();
/* A page of that origin, made of thin air where the service itself would have to serve it: as before a name is re-bound. */
const MADE = '/a-page-of-this-origin';
await context.route((url) => url.pathname === MADE, (route) => route.fulfill({ contentType: 'text/html', body: PAGE }));

const ours = `http://localhost:${port}`;
const ORIGINS = [
    { name: 'another site', at: `http://attacker.example:${otherPort}/`, asks: ours },
    { name: 'the same host on another port', at: `http://localhost:${otherPort}/`, asks: ours },
    { name: 'the same host by another name', at: `http://127.0.0.1:${otherPort}/`, asks: ours },
    { name: 'our own port by another name', at: `http://127.0.0.1:${port}${MADE}`, asks: ours },
    { name: 'no origin', at: `data:text/html,${PAGE}`, asks: ours },
    { name: 'a re-bound name', at: `http://attacker.example:${port}${MADE}`, asks: `http://attacker.example:${port}` },
];

/** One shape: what it read, whether the service refused or recorded. */
async function attempt(code, url) {
    const before = { refused: countOf('refused with'), gates: countOf('gate '), started: (await status()).captures_started };
    const read = await Promise.race([page.evaluate(`(${code})(${JSON.stringify(url)})`),
        new Promise((_, fail) => setTimeout(() => fail(new Error(`no end within ${STEP_MS} ms at ${page.url()}: ${code.slice(0, 80)}`)), STEP_MS).unref())]);
    await new Promise((go) => setTimeout(go, 100)); /* the log has ten lines a second */
    await until(() => countOf('refused with') > before.refused || countOf('gate ') > before.gates, 1500);
    return { read: String(read ?? ''), refused: countOf('refused with') > before.refused, started: (await status()).captures_started - before.started };
}

const wrong = [];
let tried = 0, arrived = 0;
async function attackFrom(origin) {
    await page.goto(origin.at);
    const all = [...Object.entries(GETS).map(([n, c]) => [n, c, '/debug/trace?seconds=5']), ...Object.entries({ ...POSTS, ...JSON_POST }).map(([n, c]) => [n, c, '/debug/trace/captures']),
        ['the status', GETS['fetch cors'], '/debug/trace/status'], ['a frame of the viewer', GETS.iframe, '/debug/trace/ui/']];
    for (const [shape, code, target] of all) {
        const got = await attempt(code, origin.asks + target);
        tried++;
        arrived += Number(got.refused);
        /* A page of the re-bound name may read the refusal itself: that is all there is. */
        const harmless = got.read === '' || (origin.name === 'a re-bound name' && got.read.includes('"forbidden"') && !got.read.includes('captures_started'));
        if (!harmless || got.started !== 0) wrong.push(`${shape} from ${origin.name}: read ${JSON.stringify(got.read.slice(0, 60))}, started ${got.started}`);
        if (!got.refused) console.log(`   did not reach the service: ${shape} from ${origin.name}`);
    }
    /* The page goes there itself. */
    const before = (await status()).captures_started;
    const answer = page.waitForResponse((r) => r.url().startsWith(origin.asks + '/debug/trace')).catch(() => null);
    await page.evaluate(`location.href = ${JSON.stringify(`${origin.asks}/debug/trace?seconds=5`)}`);
    const code = (await answer)?.status();
    await page.waitForURL(`${origin.asks}/debug/trace?seconds=5`); /* else it would interrupt the next one */
    if (code !== 403 || (await status()).captures_started !== before) wrong.push(`navigation from ${origin.name}: ${code}`);
}

async function control() {
    await page.goto(ours + MADE);
    for (const [shape, code] of Object.entries(GETS)) {
        const got = await attempt(code, `${ours}/debug/trace?seconds=0.05`);
        if (got.started < 1 || got.refused) wrong.push(`${shape} from our own page: started ${got.started}, refused ${got.refused}`);
    }
    for (const [shape, code] of Object.entries(JSON_POST)) {
        const got = await attempt(code, `${ours}/debug/trace/captures`);
        if (!got.read.startsWith('202') || got.started !== 1) wrong.push(`${shape} from our own page: ${got.read}`);
    }
    for (const [shape, code] of Object.entries(POSTS)) { /* these lack the type, wherever they come from */
        const got = await attempt(code, `${ours}/debug/trace/captures`);
        if (!got.refused || got.started) wrong.push(`${shape} from our own page: refused ${got.refused}, started ${got.started}`);
    }
    const read = await page.evaluate(`(${GETS['fetch cors']})(${JSON.stringify(`${ours}/debug/trace/status`)})`);
    if (!String(read).startsWith('200{')) wrong.push(`the status from our own page: ${read}`);
}

const watchdog = setTimeout(() => {
    console.error(`not done within ${ALL_MS} ms; the page is at ${page.url()}, after ${tried} attempts`);
    service.kill('SIGKILL');
    browser.close().finally(() => process.exit(1));
    setTimeout(() => process.exit(1), 5000);
}, ALL_MS);
let failed = true;
try {
    for (const origin of ORIGINS) await attackFrom(origin);
    const after = await status();
    assert.equal(after.captures_started, 0);
    assert.equal(countOf('gate '), 0); /* the service's own word for it */
    await control();
    console.log(`${tried} attempts from ${ORIGINS.length} origins, ${arrived} of them reached the service and were refused; ${Object.keys(GETS).length + 1} shapes work from our own page`);
    assert.deepEqual(wrong, []);
    assert.ok(arrived > tried / 2, `only ${arrived} reached the service`);
    failed = false;
} catch (e) {
    console.error(e);
} finally {
    clearTimeout(watchdog);
    await browser.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
    service.stdin.end();
    setTimeout(() => service.kill('SIGKILL'), 5000).unref();
}
process.exitCode = failed ? 1 : 0;
