// app.js - the frame around the pages: header, address, the one capture that is open, messages about it.
//
//   address (#/page?cap=..) -> route() -> the capture, if another one is asked for -> the page
//
// One capture is open at a time. It stays open from page to page; pages read it and draw again when it has grown.

import { Api } from './api.js';
import { Loading } from './data/load.js';
import { fill, h, s } from './dom.js';
import { bytes, count, percent, visible } from './fmt.js';
import { bind } from './keys.js';
import { blockingPage } from './page/blocking.js';
import { comparePage } from './page/compare.js';
import { contentionPage } from './page/contention.js';
import { cpuPage } from './page/cpu.js';
import { eventsPage } from './page/events.js';
import { findingsPage } from './page/findings.js';
import { gcPage } from './page/gc.js';
import { showHelp } from './page/help.js';
import { landingPage } from './page/landing.js';
import { regionsPage } from './page/regions.js';
import { taskPage } from './page/task.js';
import { threadsPage } from './page/threads.js';
import { tasksPage } from './page/tasks.js';
import { timelinePage } from './page/timeline.js';
import { nextTheme, theme } from './theme.js';
import { formatHash, parseHash, takeToken } from './url.js';
import { carriedCapture } from './view/export.js';

/** @typedef {import('./data/model.js').Model} Model */
/** @typedef {{node: Element, title: string, grown?: () => void, shown?: () => void, destroy?: () => void}} PageView */
/** @typedef {(app: App, params: Record<string, string>) => PageView} Page */

/** @type {Record<string, {make: Page, needs: boolean}>} */
const PAGES = {
    '': { make: landingPage, needs: false },
    timeline: { make: timelinePage, needs: true },
    tasks: { make: tasksPage, needs: true },
    task: { make: taskPage, needs: true },
    regions: { make: regionsPage, needs: true },
    threads: { make: threadsPage, needs: true },
    blocking: { make: blockingPage, needs: true },
    contention: { make: contentionPage, needs: true },
    cpu: { make: cpuPage, needs: true },
    gc: { make: gcPage, needs: true },
    events: { make: eventsPage, needs: true },
    findings: { make: findingsPage, needs: true },
    compare: { make: comparePage, needs: true },
};

const NAV = [['', 'Capture'], ['timeline', 'Timeline'], ['tasks', 'Tasks'], ['regions', 'Regions'], ['threads', 'Threads'], ['blocking', 'Blocking'], ['contention', 'Contention'], ['cpu', 'CPU'], ['gc', 'GC'], ['events', 'Events'], ['findings', 'Findings'], ['compare', 'Compare']];

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
    const node = document.getElementById(id);
    if (!node) throw new Error(`#${id} is missing`);
    return node;
}

export class App {
    constructor() {
        this.api = new Api();
        this.main = byId('main');
        this.top = byId('top');
        this.banners = byId('banners');
        /** @type {Loading|null} */
        this.loading = null;
        /** @type {import('./data/load.js').Progress|null} */
        this.progress = null;
        /** @type {{code: string, message: string}|null} */
        this.failure = null;
        /** @type {PageView|null} */
        this.page = null;
        this.pageName = '';
        this.shownHash = '';
        this.cameFromInside = false;
        /** @type {import('./api.js').Status|null} */
        this.status = null;
        this.process = '';
        /** Opened from one HTML file: there is no service. */
        this.carried = carriedCapture();
    }

    start() {
        const { token, rest } = takeToken(location.hash);
        if (token !== null) {
            this.api.token = token;
            history.replaceState(null, '', rest || '#/');
        }
        window.addEventListener('hashchange', () => this.hashChanged());
        byId('skip').addEventListener('click', (e) => { e.preventDefault(); this.main.focus(); });
        this.listenDrop();
        bind([{ keys: ['?'], what: 'This list', group: 'Everywhere', run: showHelp }, ...NAV.slice(0, 9).map(([page, title], k) => ({ keys: [String(k + 1)], what: `To ${title}`, group: 'Everywhere', run: () => this.openTab(page) }))]);
        if (this.carried) this.load({ kind: 'file', name: this.carried.name, file: this.carried });
        this.route();
    }

    // ---- address ----

    hashChanged() {
        const { token, rest } = takeToken(location.hash);
        if (token !== null) {
            this.api.token = token;
            history.replaceState(null, '', rest || '#/');
        }
        if (location.hash === this.shownHash) return;
        this.cameFromInside = true;
        this.route();
    }

    /** @param {string} hash */
    go(hash) {
        location.hash = hash;
    }

    /** Follows what the page shows, without a step in the history. @param {string} hash */
    replace(hash) {
        if (hash === this.shownHash) return;
        this.shownHash = hash;
        history.replaceState(null, '', hash);
    }

    /** What links to other pages keep. @returns {Record<string, string|undefined>} */
    link() {
        const source = this.loading?.source;
        return source ? { cap: source.kind === 'capture' ? String(source.id) : 'file' } : {};
    }

    /** @param {string} page */
    openTab(page) {
        if (page === '' || this.loading) this.go(formatHash(page, page === '' ? {} : this.link()));
    }

    route() {
        this.shownHash = location.hash;
        const { page, params } = parseHash(location.hash);
        const known = PAGES[page] ?? PAGES[''];
        if (known.needs && params.cap && params.cap !== 'file') this.openCapture(Number(params.cap));
        this.show(this.known(page), params);
    }

    /** @param {string} page */
    known(page) {
        return this.carried && page === '' ? 'timeline' : PAGES[page] ? page : '';
    }

    // ---- the capture ----

    /** @returns {Model} */
    needModel() {
        if (!this.loading) throw new Error('no capture is open');
        return this.loading.model;
    }

    /** @param {number} id */
    openCapture(id) {
        const source = this.loading?.source;
        if (source?.kind === 'capture' && source.id === id && !this.failure) return;
        this.load({ kind: 'capture', id, url: this.api.dataUrl(id, 'json'), headers: this.api.headers() });
    }

    /** @param {File} file */
    openFile(file) {
        this.load({ kind: 'file', name: file.name, file });
        const hash = formatHash('timeline', { cap: 'file' });
        if (location.hash === hash) this.route();
        else this.go(hash);
    }

    /** @param {import('./data/load.js').Source} source */
    load(source) {
        this.loading?.cancel();
        this.failure = null;
        this.progress = { bytes: 0, totalBytes: 0, rows: 0 };
        const mine = new Loading(source, {
            head: () => this.loading === mine && this.reroute(),
            progress: (p) => {
                if (this.loading !== mine) return;
                this.progress = p;
                this.drawBanners();
                this.page?.grown?.();
            },
            done: () => {
                if (this.loading !== mine) return;
                this.progress = null;
                this.drawBanners();
                this.drawTop();
                this.page?.grown?.();
            },
            failed: (code, message) => {
                if (this.loading !== mine) return;
                this.progress = null;
                this.failure = { code, message };
                this.reroute();
            },
        });
        this.loading = mine;
    }

    /** The page as it should be now that the capture is there, or is not. */
    reroute() {
        const { page, params } = parseHash(location.hash);
        this.show(this.known(page), params);
    }

    // ---- frame ----

    /** @param {string} name @param {Record<string, string>} params */
    show(name, params) {
        this.page?.destroy?.();
        this.page = null;
        const { make, needs } = PAGES[name];
        const ready = !needs || (this.loading?.model.head && !this.failure);
        const page = ready ? make(this, params) : this.waiting();
        this.page = page;
        this.pageName = name;
        fill(this.main, page.node);
        document.title = `${page.title} · ${this.captureTitle() || 'tracetap'}`;
        this.drawTop();
        this.drawBanners();
        page.shown?.();
        if (!page.shown && this.cameFromInside) this.main.focus({ preventScroll: true });
        window.scrollTo(0, 0);
    }

    /** @returns {PageView} */
    waiting() {
        const back = this.carried ? null : h('p', null, h('a', { href: formatHash('') }, 'To the captures'));
        if (this.failure) return { node: h('div', { class: 'notice error', role: 'alert' }, ...this.failureWords(this.failure), back), title: 'Cannot open' };
        if (this.progress) return { node: h('div', { class: 'notice', role: 'status' }, h('b', null, 'Loading…'), h('progress', { 'aria-label': 'Loading' })), title: 'Loading' };
        return { node: h('div', { class: 'notice' }, h('b', null, 'No capture is open.'), h('p', { class: 'muted' }, 'A file that was opened here stays in the browser only until the page is loaded again.'), back), title: 'No capture' };
    }

    /** @param {{code: string, message: string}} failure @returns {import('./dom.js').Child[]} */
    failureWords({ code, message }) {
        const source = this.loading?.source;
        const name = source?.kind === 'file' ? source.name : `capture ${source?.kind === 'capture' ? source.id : ''}`;
        if (code === 'native') {
            const quoted = `'${name.replace(/'/g, '\'\\\'\'')}'`;
            return [h('b', null, `${visible(name, 200)} is in the native format.`), h('p', null, 'This page reads its JSON form. The command shows the file in a browser:'), h('pre', null, h('code', null, `tracetap view ${visible(quoted, 400)}`))];
        }
        return [h('b', null, `${visible(name, 200)} cannot be shown.`), h('p', null, visible(message, 600)),
            code === 'foreign' ? h('p', { class: 'muted' }, 'This page opens captures of format=json, also packed with gzip.') : null];
    }

    captureTitle() {
        const source = this.loading?.source;
        const head = this.loading?.model.head;
        if (!source || !head) return '';
        const what = source.kind === 'file' ? source.name : `#${source.id}`;
        return `${visible(head.exe || 'capture', 40)} ${visible(what, 60)}`;
    }

    drawTop() {
        const link = this.link();
        const open = this.loading !== null && this.failure === null;
        const current = this.pageName === 'task' ? 'tasks' : this.pageName;
        const words = { auto: 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark' };
        const themeButton = h('button', { type: 'button', class: 'quiet', onclick: () => { themeButton.textContent = words[nextTheme()]; } }, words[theme()]);
        fill(this.top,
            h('a', { class: 'brand', href: formatHash('') }, s('svg', { width: 18, height: 18, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('rect', { width: 16, height: 16, rx: 3, fill: '#0b6e4f' }),
                s('path', { d: 'M3 5h7M5 8h8M3 11h5', stroke: '#fff', 'stroke-width': 2, 'stroke-linecap': 'round' })), 'tracetap'),
            h('nav', { 'aria-label': 'Pages' }, NAV.filter(([page]) => page !== '' || !this.carried).map(([page, title]) => {
                const usable = page === '' || open;
                return h('a', { href: usable ? formatHash(page, page === '' ? {} : link) : null, 'aria-disabled': usable ? null : 'true', 'aria-current': page === current ? 'page' : null }, title);
            })),
            h('span', { class: 'grow' }),
            h('span', { class: 'what' }, this.captureTitle() || this.process),
            themeButton,
            h('button', { type: 'button', class: 'quiet icon', 'aria-label': 'Keys and help', title: 'Keys (?)', onclick: showHelp }, '?'));
        this.top.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }

    /** @param {import('./api.js').Status} status */
    setStatus(status) {
        this.status = status;
        const process = `${visible(status.exe, 40)} (pid ${status.pid})`;
        if (process === this.process) return;
        this.process = process;
        this.drawTop();
    }

    drawBanners() {
        const wanted = this.pageName !== '' && !this.failure && this.loading;
        fill(this.banners, wanted ? this.bannerNodes(this.needModel()) : null);
    }

    /** @param {Model} model @returns {import('./dom.js').Child[]} */
    bannerNodes(model) {
        const p = this.progress;
        if (p) {
            return [h('div', { class: 'banner info', role: 'status' }, 'Loading', h('progress', { 'aria-label': 'Loading', max: p.totalBytes ? '1' : null, value: p.totalBytes ? p.bytes / p.totalBytes : undefined }),
                `${bytes(p.bytes)}${p.totalBytes ? ` (${percent(p.bytes, p.totalBytes)})` : ''}, ${count(p.rows)} rows`)];
        }
        const out = [];
        const { end, stopped } = model;
        if (stopped) out.push(h('div', { class: 'banner error', role: 'alert' }, h('b', null, 'This capture is incomplete.'), `Reading stopped: ${visible(stopped, 300)}. What came before is shown; all counts are lower bounds.`));
        else if (!end || end.truncated) out.push(h('div', { class: 'banner', role: 'status' }, h('b', null, 'This capture was cut.'), 'What arrived is shown; all counts are lower bounds.'));
        if (end && end.identity !== '' && end.identity !== 'exact') out.push(h('div', { class: 'banner', role: 'status' }, h('b', null, 'The account does not add up.'), visible(end.identity, 400)));
        const lost = model.lostTotal();
        if (lost > 0) out.push(h('div', { class: 'banner', role: 'status' }, h('b', null, `${count(lost)} events were lost.`), 'Where is hatched in the timeline.'));
        const unknown = Object.keys(model.skipped);
        if (unknown.length) out.push(h('div', { class: 'banner info' }, `Not shown, unknown to this viewer: ${unknown.slice(0, 8).map((u) => visible(u, 40)).join(', ')}.`));
        return out;
    }

    listenDrop() {
        const hasFile = (/** @type {DragEvent} */ e) => e.dataTransfer?.types.includes('Files') ?? false;
        window.addEventListener('dragover', (e) => {
            if (!hasFile(e)) return;
            e.preventDefault();
            document.body.classList.add('dropping');
        });
        window.addEventListener('dragleave', (e) => { if (!e.relatedTarget) document.body.classList.remove('dropping'); });
        window.addEventListener('drop', (e) => {
            document.body.classList.remove('dropping');
            const file = e.dataTransfer?.files[0];
            if (!file) return;
            e.preventDefault();
            this.openFile(file);
        });
    }
}

new App().start();
