// api.js - the service's endpoint (docs/http.md), relative to this page, so that a path prefix or a proxy changes nothing.

/** @typedef {{id: number, url: string|null, kind: string, state: string, reason: string|null, started_unix_ns: string, duration_ns: number, elapsed_ns: number, remaining_ns: number,
 *   groups: string[], bytes: number, events: number, delivered: number, filtered: number, lost: number, sampled_out: number, reading: boolean, format: string}} CaptureInfo */
/** @typedef {{name: string, state: string, why: string, enable: string}} Source */
/** @typedef {{name: string, media_type: string, extension: string, doc: string}} Format */
/** @typedef {{version: string, mode?: string, exe: string, pid: number, uptime_ns: number, recording: boolean, groups: {known: string[], recording: string[]}, captures: CaptureInfo[],
 *   captures_active: number, limits: {seconds_max: number}, formats: Format[], sampling: {default: number, kinds: Record<string, number>}, threads: number,
 *   memory: {budget_bytes: number, used_bytes: number, buffers: number, buffer_bytes: number}, events: {recorded: number, lost: number, sampled_out: number},
 *   cost: {drainer_cpu_ns: number}, sources: Source[], streaming?: {available: boolean, why: string, enable: string}}} Status */

export class ApiError extends Error {
    /** @param {number} status 0: no answer at all @param {string} code @param {string} message @param {string} hint */
    constructor(status, code, message, hint) {
        super(message);
        this.status = status;
        this.code = code;
        this.hint = hint;
    }
}

export class Api {
    constructor() {
        this.base = new URL('../', new URL('.', document.baseURI)); /* .../debug/trace/ui/ -> .../debug/trace/ */
        /** In memory only: a token in storage would outlive the visit. @type {string|null} */
        this.token = null;
    }

    /** @param {string} path */
    url(path) {
        return new URL(path, this.base).href;
    }

    /** @returns {Record<string, string>} */
    headers() {
        return this.token ? { Authorization: `Bearer ${this.token}` } : {};
    }

    /** @param {string} path @param {{method?: string, json?: unknown}} [options] @returns {Promise<Response>} */
    async request(path, options = {}) {
        /** @type {RequestInit} */
        const init = { method: options.method ?? 'GET', headers: this.headers(), cache: 'no-store' };
        if (options.json !== undefined) {
            init.body = JSON.stringify(options.json);
            init.headers = { ...this.headers(), 'Content-Type': 'application/json' };
        }
        let response;
        try {
            response = await fetch(this.url(path), init);
        } catch {
            throw new ApiError(0, 'unreachable', 'The service does not answer.', 'Is it still running?');
        }
        if (!response.ok) throw await errorOf(response);
        return response;
    }

    /** @returns {Promise<Status>} */
    async status() {
        return (await this.request('status')).json();
    }

    /** @returns {Promise<CaptureInfo[]>} */
    async captures() {
        return (await (await this.request('captures')).json()).captures;
    }

    /** @param {number} id @returns {Promise<CaptureInfo>} */
    async capture(id) {
        return (await this.request(`captures/${id}`)).json();
    }

    /** @param {{seconds: number, events?: string[], sample?: string}} body @returns {Promise<CaptureInfo>} */
    async start(body) {
        return (await this.request('captures', { method: 'POST', json: body })).json();
    }

    /** @param {number} id @returns {Promise<CaptureInfo>} */
    async stop(id) {
        return (await this.request(`captures/${id}/stop`, { method: 'POST' })).json();
    }

    /** @param {number} id */
    async remove(id) {
        await this.request(`captures/${id}`, { method: 'DELETE' });
    }

    /** @param {number} id @param {string} format */
    dataUrl(id, format) {
        return this.url(`captures/${id}?format=${encodeURIComponent(format)}`);
    }

    /** With a token a plain link cannot ask: fetched, then saved. @param {number} id @param {string} format @param {string} extension */
    async download(id, format, extension) {
        const response = await this.request(`captures/${id}?format=${encodeURIComponent(format)}`);
        const named = /filename="([^"\\/]+)"/.exec(response.headers.get('content-disposition') ?? '');
        const url = URL.createObjectURL(await response.blob());
        const link = document.createElement('a');
        link.href = url;
        link.download = named ? named[1] : `capture-${id}.${extension}`;
        link.click();
        setTimeout(() => URL.revokeObjectURL(url), 60000);
    }
}

/** @param {Response} response */
async function errorOf(response) {
    let body;
    try {
        body = await response.json();
    } catch { /* not from our service: the status must do */ }
    const e = body?.error ?? {};
    const text = (/** @type {unknown} */ v, /** @type {string} */ otherwise) => (typeof v === 'string' && v ? v : otherwise);
    return new ApiError(response.status, text(e.code, ''), text(e.message, `The service answered ${response.status}.`), text(e.hint, ''));
}
