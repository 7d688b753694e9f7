// server.mjs - a stand-in for the service, as docs/http.md describes it: the viewer's files with their headers, status, and captures.
//
// Used as a module by the browser tests, or: node server.mjs [PORT] to look at the viewer by hand.

import http from 'node:http';
import { promises as fs } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { knownCapture } from './captures.mjs';

/** The sources, or with TTAP_EMBEDDED what the build embedded. */
const STATIC = process.env.TTAP_EMBEDDED || fileURLToPath(new URL('../../../static/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
export const HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; font-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tracetap",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
};
const GROUPS = ['task', 'region', 'log', 'counter', 'queue', 'gc'];
const FORMATS = [{ name: 'native', media_type: 'application/octet-stream', extension: 'trace', doc: 'the native format, docs/format.md' }, { name: 'json', media_type: 'application/json', extension: 'json', doc: 'what the viewer reads' }];

export class StandIn {
    /** @param {{token?: string, prefix?: string, mode?: string, recorded?: string}} [options] recorded: what a capture that is started holds */
    constructor(options = {}) {
        this.options = options;
        this.prefix = options.prefix ?? '';
        this.captures = new Map();
        this.nextId = 1;
        this.bodies = [];
        this.server = http.createServer((req, res) => this.answer(req, res).catch((e) => { res.writeHead(500); res.end(String(e)); }));
    }

    async listen(port = 0) {
        await new Promise((done) => this.server.listen(port, '127.0.0.1', done));
        return `http://127.0.0.1:${this.server.address().port}${this.prefix}/debug/trace/ui/`;
    }

    close() {
        this.server.closeAllConnections();
        this.server.close();
    }

    /** A capture that is there already. @param {string|(() => Iterable<string>)} text */
    add(text, seconds = 1) {
        const id = this.nextId++;
        this.captures.set(id, { id, seconds, begun: Date.now() - seconds * 1000, ended: Date.now(), text, groups: GROUPS });
        return id;
    }

    info(c) {
        const end = Math.min(c.ended ?? Infinity, c.begun + c.seconds * 1000);
        const over = Date.now() >= end;
        const elapsed = (Math.min(end, Date.now()) - c.begun) * 1e6;
        return { id: c.id, url: `/debug/trace/captures/${c.id}`, kind: 'kept', state: over ? 'ended' : 'recording', reason: over ? 'window' : null, started_unix_ns: `${c.begun}000000`, duration_ns: c.seconds * 1e9,
            elapsed_ns: elapsed, remaining_ns: c.seconds * 1e9 - elapsed, groups: c.groups, bytes: Math.floor(elapsed / 1000), queued_bytes: 0, events: Math.floor(elapsed / 5000), delivered: Math.floor(elapsed / 5000),
            filtered: 0, lost: 0, sampled_out: 0, reading: false, format: 'native' };
    }

    status() {
        const captures = [...this.captures.values()].map((c) => this.info(c));
        const recording = captures.some((c) => c.state === 'recording');
        return { version: '0.1.0', api: 1, ...(this.options.mode ? { mode: this.options.mode } : {}), exe: 'svc', pid: 71, uptime_ns: 259_200e9, now_unix_ns: `${Date.now()}000000`, recording, groups: { known: GROUPS, recording: recording ? GROUPS : [] }, captures,
            captures_active: 0, captures_started: this.nextId - 1, limits: { seconds_max: 300, captures_max: 4 }, formats: FORMATS, sampling: { default: 1, kinds: {} }, threads: 14, names: { used: 120, max: 65536, full: 0 },
            memory: { budget_bytes: 67108864, used_bytes: 1310720, buffers: 14, buffer_bytes: 8192 }, events: { recorded: 410000, lost: 0, sampled_out: 0 }, cost: { drainer_cpu_ns: 1200000, lease_expired: 0, conversions: 0 },
            streaming: { available: true, why: '', enable: '' }, sources: [{ name: 'annotations', state: 'on', why: '', enable: '' }, { name: 'sched', state: 'off', why: 'not part of this build', enable: '' }, { name: 'hooks', state: 'on', why: 'every switch; not who woke whom: the id of sched_waking cannot be read from tracefs', enable: 'AmbientCapabilities=CAP_PERFMON and a readable tracefs: mount -t tracefs nodev /sys/kernel/tracing; tracetap run -- ./svc' }] };
    }

    async answer(req, res) {
        const url = new URL(req.url, 'http://x');
        const send = (status, body, type = 'application/json', more = {}) => {
            res.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Cache-Control': 'no-store', ...more });
            res.end(body);
        };
        const error = (status, code, message) => send(status, JSON.stringify({ error: { code, message, hint: '' } }));
        if (!url.pathname.startsWith(`${this.prefix}/debug/trace/`)) return error(404, 'not_found', 'no such path');
        const p = url.pathname.slice(`${this.prefix}/debug/trace/`.length);
        if (p.startsWith('ui/')) return this.asset(p.slice(3) || 'index.html', send, error);
        if (this.options.token && req.headers.authorization !== `Bearer ${this.options.token}`) return error(401, 'unauthorized', 'a token is needed');
        if (p === 'status') return send(200, JSON.stringify(this.status()));
        if (p === 'captures' && req.method === 'GET') return send(200, JSON.stringify({ captures: [...this.captures.values()].map((c) => this.info(c)) }));
        if (p === 'captures' && req.method === 'POST') return this.start(req, send, error);
        const m = /^captures\/(\d+)(\/stop)?$/.exec(p);
        const c = m && this.captures.get(Number(m[1]));
        if (!c) return error(404, 'not_found', `there is no capture ${m ? m[1] : p}; it may have been evicted`);
        if (m[2]) {
            c.ended = Date.now();
            return send(200, JSON.stringify(this.info(c)));
        }
        if (req.method === 'DELETE') {
            this.captures.delete(c.id);
            return send(204, '');
        }
        const format = url.searchParams.get('format');
        if (!format) return send(200, JSON.stringify(this.info(c)));
        const disposition = { 'Content-Disposition': `attachment; filename="svc-71.${format === 'json' ? 'json' : 'trace'}"` };
        if (typeof c.text === 'string') return send(200, c.text, 'application/json', disposition);
        res.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json', ...disposition });
        for (const piece of c.text()) if (!res.write(piece)) await new Promise((go) => res.once('drain', go));
        res.end();
    }

    async start(req, send, error) {
        let body = '';
        for await (const piece of req) body += piece;
        const asked = JSON.parse(body);
        this.bodies.push(asked);
        if (!(asked.seconds > 0 && asked.seconds <= 300)) return error(400, 'bad_body', `seconds=${asked.seconds}: allowed is more than 0, up to 300`);
        const id = this.nextId++;
        const c = { id, seconds: asked.seconds, begun: Date.now(), ended: null, text: this.options.recorded ?? knownCapture().text(), groups: asked.events ?? GROUPS };
        this.captures.set(id, c);
        send(202, JSON.stringify(this.info(c)), 'application/json', { Location: `/debug/trace/captures/${id}` });
    }

    async asset(name, send, error) {
        const file = path.join(STATIC, path.normalize(`/${name}`));
        try {
            send(200, await fs.readFile(file), TYPES[path.extname(file)] ?? 'application/octet-stream');
        } catch {
            error(404, 'not_found', name);
        }
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const server = new StandIn();
    server.add(knownCapture().text());
    console.log(await server.listen(Number(process.argv[2] ?? 0)));
}
