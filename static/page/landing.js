// landing.js - what the tracer is doing, the button that starts it, and what it has kept.

import { ApiError } from '../api.js';
import { copyLine, facts, fill, h } from '../dom.js';
import { bytes, count, duration, percent, visible } from '../fmt.js';
import { formatHash } from '../url.js';

/** @typedef {import('../app.js').App} App */
/** @typedef {import('../api.js').Status} Status */
/** @typedef {import('../api.js').CaptureInfo} CaptureInfo */

const POLL_IDLE_MS = 2000;
const POLL_RECORDING_MS = 250;

/** @type {import('../app.js').Page} */
export function landingPage(app) {
    const page = new Landing(app);
    page.poll();
    return { node: page.node, title: 'Capture', destroy: () => page.stop() };
}

class Landing {
    /** @param {App} app */
    constructor(app) {
        this.app = app;
        this.timer = 0;
        this.stopped = false;
        this.formFor = '';
        this.tableFor = '';
        /** @type {CaptureInfo|null} the one started here */
        this.running = null;
        this.status = h('section', { class: 'card', 'aria-label': 'Status' }, h('h2', null, 'Status'), h('p', { class: 'muted' }, 'Asking the service…'));
        this.form = h('section', { class: 'card', 'aria-label': 'Capture' });
        this.progress = h('div', { role: 'status', 'aria-live': 'polite' });
        this.list = h('section', { class: 'card', 'aria-label': 'Captures' });
        this.message = h('div', { role: 'alert' });
        this.node = h('div', { class: 'page' }, h('h1', { class: 'visually-hidden' }, 'Capture'), this.message, h('div', { class: 'cards' }, this.form, this.status), this.list, dropArea(app));
    }

    stop() {
        this.stopped = true;
        clearTimeout(this.timer);
    }

    async poll() {
        clearTimeout(this.timer);
        try {
            const status = await this.app.api.status();
            if (this.stopped) return;
            this.app.setStatus(status);
            this.show(status);
            fill(this.message);
        } catch (e) {
            if (this.stopped) return;
            this.showError(e);
        }
        this.timer = window.setTimeout(() => this.poll(), this.running ? POLL_RECORDING_MS : POLL_IDLE_MS);
    }

    /** @param {unknown} e */
    showError(e) {
        if (e instanceof ApiError && e.status === 401) return this.askToken(e);
        const text = e instanceof Error ? e.message : String(e);
        const hint = e instanceof ApiError ? e.hint : '';
        fill(this.message, h('p', { class: 'notice error' }, h('b', null, text), hint ? ` ${hint}` : null));
    }

    /** @param {ApiError} e */
    askToken(e) {
        if (this.message.querySelector('form')) return;
        const input = h('input', { type: 'password', 'aria-label': 'Token', autocomplete: 'off' });
        fill(this.message, h('form', { class: 'notice', onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            this.app.api.token = input.value.trim();
            fill(this.message);
            this.poll();
        } }, h('b', null, 'This service asks for a token.'), h('p', { class: 'muted' }, e.hint || 'It is kept in memory until this page is closed. It can also be given as #token=… at the end of the address.'),
        h('div', { class: 'row' }, input, h('button', { class: 'primary' }, 'Use token'))));
        input.focus();
    }

    // ---- what is shown ----

    /** @param {Status} status */
    show(status) {
        const isFile = status.mode === 'file';
        this.form.hidden = isFile;
        fill(this.status, ...(isFile ? fileCard(status) : statusCard(status)));
        if (!isFile) this.showForm(status);
        this.running = status.captures.find((c) => c.kind === 'kept' && c.state !== 'ended') ?? null;
        this.showProgress();
        this.showList(status);
        if (isFile && status.captures.length > 0 && !this.app.cameFromInside) this.app.go(formatHash('timeline', { cap: status.captures[0].id }));
    }

    /** Made once: polling must not take away what one is typing. @param {Status} status */
    showForm(status) {
        const known = status.groups.known.join(',');
        if (this.formFor === known) return;
        this.formFor = known;
        const seconds = h('input', { type: 'number', id: 'seconds', min: '0.001', max: status.limits.seconds_max, step: 'any', value: '5', required: true });
        const rate = h('input', { type: 'text', id: 'sample', size: 14, placeholder: rule(status), 'aria-describedby': 'sample-help', spellcheck: 'false' });
        const samples = h('input', { type: 'number', id: 'samples', min: '0', max: '1000', step: '1', placeholder: 'none', 'aria-describedby': 'sample-help' });
        const alloc = h('input', { type: 'number', id: 'alloc', min: '1024', max: '1073741824', placeholder: 'none', 'aria-describedby': 'sample-help' });
        const groups = status.groups.known.map((g) => ({ g, box: h('input', { type: 'checkbox', checked: true, value: g }) }));
        this.start = h('button', { class: 'primary' }, 'Start capture');
        const line = h('div');
        const chosen = () => groups.filter((x) => x.box.checked).map((x) => x.g);
        const draw = () => {
            const all = chosen().length === groups.length;
            const query = [`seconds=${seconds.value || 5}`, all || chosen().length === 0 ? '' : `events=${chosen().join(',')}`, rate.value.trim() ? `sample=${rate.value.trim()}` : '', Number(samples.value) > 0 ? `samples=${samples.value}` : '', Number(alloc.value) > 0 ? `alloc_samples=${alloc.value}` : '', 'format=json'].filter(Boolean).join('&');
            fill(line, copyLine(`curl -OJ '${this.app.api.url('../trace')}?${query}'`, 'curl command'));
        };
        const form = h('form', { class: 'card', style: { padding: '0', border: '0' }, oninput: draw, onsubmit: (/** @type {Event} */ e) => {
            e.preventDefault();
            this.startCapture(Number(seconds.value), chosen(), groups.length, rate.value.trim(), Number(samples.value), Number(alloc.value));
        } },
        h('div', { class: 'row' }, h('label', { class: 'field', for: 'seconds' }, 'Seconds', seconds), h('label', { class: 'field', for: 'sample' }, 'Keep tasks', rate), h('label', { class: 'field', for: 'samples' }, 'Samples a second', samples), h('label', { class: 'field', for: 'alloc' }, 'Bytes a sample', alloc), h('span', { class: 'grow' }), this.start),
        h('fieldset', { class: 'groups' }, h('legend', null, 'Events'), h('div', { class: 'row' }, groups.map(({ g, box }) => h('label', { class: 'check' }, box, visible(g, 40))))),
        h('p', { class: 'muted', id: 'sample-help' }, 'Keep tasks: a rate such as 0.01, or by kind: 0.01,checkout=1. Empty: the service\'s own setting. Samples: stacks of running threads, and of waits over 1 ms, for the page CPU; 99 costs little. Bytes a sample: stacks of allocations there; 524288 is usual.'));
        fill(this.form, h('h2', null, 'Capture'), form, this.progress, h('h3', null, 'The same without a browser'), line);
        draw();
    }

    /** @param {number} seconds @param {string[]} events @param {number} known @param {string} sample @param {number} samples @param {number} alloc */
    async startCapture(seconds, events, known, sample, samples, alloc) {
        try {
            /** @type {{seconds: number, events?: string[], sample?: string, samples?: number, alloc_samples?: number}} */
            const body = { seconds };
            if (events.length < known) body.events = events;
            if (sample) body.sample = sample;
            if (samples > 0) body.samples = samples;
            if (alloc > 0) body.alloc_samples = alloc;
            this.running = await this.app.api.start(body);
            this.watched = this.running.id;
            fill(this.message);
            this.showProgress();
        } catch (e) {
            this.showError(e);
            return;
        }
        this.poll();
    }

    showProgress() {
        const c = this.running;
        if (this.start) this.start.disabled = c !== null;
        if (!c) {
            if (this.progress.childElementCount > 0) this.finished();
            return;
        }
        const part = c.duration_ns > 0 ? Math.min(1, c.elapsed_ns / c.duration_ns) : 0;
        if (!this.progressBar?.isConnected) {
            this.progressBar = h('progress', { max: '1', 'aria-label': 'Recording' });
            this.progressText = h('span', { class: 'muted' });
            const id = c.id;
            fill(this.progress, h('div', { class: 'row' }, this.progressBar), h('div', { class: 'row' }, h('span', { class: 'state recording' }, 'Recording'), this.progressText, h('span', { class: 'grow' }),
                h('button', { type: 'button', onclick: () => this.act(() => this.app.api.stop(id)) }, 'Stop now')));
        }
        this.progressBar.value = part;
        if (this.progressText) this.progressText.textContent = `${duration(Math.max(0, c.remaining_ns))} left · ${count(c.events)} events · ${bytes(c.bytes)}${c.lost ? ` · ${count(c.lost)} lost` : ''}`;
    }

    /** The capture begun here is ready: a link, in the place where one has been looking. */
    finished() {
        if (this.watched === undefined) return fill(this.progress);
        const id = this.watched;
        this.watched = undefined;
        const open = h('a', { href: formatHash('timeline', { cap: id }), class: 'state on' }, `Capture ${id} is ready: open it`);
        fill(this.progress, open);
        if (document.activeElement === document.body || document.activeElement === this.start) open.focus();
    }

    /** @param {() => Promise<unknown>} action */
    async act(action) {
        try {
            await action();
        } catch (e) {
            this.showError(e);
        }
        this.poll();
    }

    /** @param {Status} status */
    showList(status) {
        const kept = status.captures.filter((c) => c.kind === 'kept').reverse();
        const key = JSON.stringify(kept.map((c) => [c.id, c.state, c.state === 'ended' || c.bytes, c.reading]));
        if (key === this.tableFor) return;
        this.tableFor = key;
        const head = ['Capture', 'Started', 'Window', 'Events', 'Size', 'Lost', 'Download', ''].map((t, k) => h('th', { scope: 'col', class: k >= 2 && k <= 5 ? 'num' : '' }, t || h('span', { class: 'visually-hidden' }, 'Delete')));
        fill(this.list, h('h2', null, 'Kept captures'), kept.length === 0
            ? h('p', { class: 'muted' }, 'None yet. They are kept in the service\'s memory until newer ones need the room.')
            : h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Kept captures' }, h('table', { 'aria-label': 'Kept captures' }, h('thead', null, h('tr', null, head)), h('tbody', null, kept.map((c) => this.captureRow(c, status))))));
    }

    /** @param {CaptureInfo} c @param {Status} status */
    captureRow(c, status) {
        const recording = c.state === 'recording';
        const started = new Date(Number(c.started_unix_ns.slice(0, -6)));
        return h('tr', null,
            h('td', null, recording ? h('span', { class: 'state recording' }, `#${c.id}`) : h('a', { href: formatHash('timeline', { cap: c.id }) }, `Open #${c.id}`)),
            h('td', null, started.toLocaleTimeString('en-GB')),
            h('td', { class: 'num' }, duration(recording ? c.duration_ns : c.elapsed_ns)),
            h('td', { class: 'num' }, count(c.delivered)),
            h('td', { class: 'num' }, bytes(c.bytes)),
            h('td', { class: 'num' }, c.lost ? h('span', { class: 'bad' }, count(c.lost)) : '0'),
            h('td', null, recording ? h('span', { class: 'muted' }, 'recording') : h('span', { class: 'row' }, status.formats.map((f) => this.downloadLink(c, f)))),
            h('td', { class: 'num' }, status.mode === 'file' ? null : h('button', { type: 'button', 'aria-label': `Delete capture ${c.id}`, onclick: () => this.act(() => this.app.api.remove(c.id)) }, 'Delete')));
    }

    /** @param {CaptureInfo} c @param {import('../api.js').Format} f */
    downloadLink(c, f) {
        const { api } = this.app;
        const props = { href: api.dataUrl(c.id, f.name), download: '', title: f.doc, 'aria-label': `Download capture ${c.id} as ${f.name}` };
        if (!api.token) return h('a', props, f.name);
        return h('a', { ...props, onclick: (/** @type {Event} */ e) => {
            e.preventDefault();
            this.act(() => api.download(c.id, f.name, f.extension));
        } }, f.name);
    }
}

/** @param {Status} status the sampling in force, as one would type it */
function rule(status) {
    const kinds = Object.entries(status.sampling.kinds).slice(0, 3).map(([k, v]) => `,${k.slice(0, 20)}=${v}`).join('');
    return `${status.sampling.default}${kinds}`;
}

/** @param {Status} s */
function statusCard(s) {
    return [
        h('div', { class: 'row' }, h('h2', null, 'Status'), h('span', { class: `state ${s.recording ? 'recording' : 'on'}` }, s.recording ? `recording ${s.groups.recording.map((g) => visible(g, 30)).join(', ')}` : 'idle')),
        facts([
            ['Process', `${visible(s.exe, 100)}, pid ${s.pid}, up ${duration(s.uptime_ns)}`],
            ['Threads', count(s.threads)],
            ['Memory', `${bytes(s.memory.used_bytes)} of ${bytes(s.memory.budget_bytes)} (${percent(s.memory.used_bytes, s.memory.budget_bytes)}) in ${count(s.memory.buffers)} buffers`],
            ['Events so far', `${count(s.events.recorded)}${s.events.sampled_out ? `, ${count(s.events.sampled_out)} sampled out` : ''}`],
            ['Lost so far', s.events.lost ? h('span', { class: 'bad' }, count(s.events.lost)) : 'nothing'],
            ['Own cost', `${duration(s.cost.drainer_cpu_ns)} CPU since the start (${percent(s.cost.drainer_cpu_ns, s.uptime_ns)} of one core)`],
            ['Sampling', `keeps ${rule(s)}`],
        ]),
        h('h3', null, 'Sources'),
        h('ul', { class: 'sources' }, s.sources.map((x) => h('li', null, h('span', { class: `state ${x.state === 'on' ? 'on' : ''}` }, visible(x.name, 60)), ' ', h('span', { class: 'muted' }, x.state === 'on' ? `on${x.why ? `: ${visible(x.why, 300)}` : ''}` : `off: ${visible(x.why || 'not enabled', 300)}`),
            x.enable ? copyLine(x.enable, `what enables ${x.name}`) : null))),
        h('p', { class: 'muted' }, `tracetap ${visible(s.version, 40)}`),
    ];
}

/** @param {Status} s */
function fileCard(s) {
    return [h('h2', null, 'File'), facts([['Recorded by', visible(s.exe, 100)], ['Process', s.pid ? String(s.pid) : null], ['Viewer', `tracetap ${visible(s.version, 40)}`]])];
}

/** @param {App} app */
function dropArea(app) {
    const input = h('input', { type: 'file', id: 'file', class: 'visually-hidden', accept: '.json,.gz,.trace,application/json', onchange: (/** @type {Event} */ e) => {
        const file = /** @type {HTMLInputElement} */ (e.target).files?.[0];
        if (file) app.openFile(file);
    } });
    return h('section', { class: 'drop', 'aria-label': 'Open a file' }, input,
        h('button', { type: 'button', onclick: () => input.click() }, 'Open a file…'), h('span', null, 'or drop a capture here: ', h('code', null, '.json'), ' or ', h('code', null, '.json.gz'), '. It stays in this browser.'));
}
