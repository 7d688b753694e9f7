// load.js - starts the worker for one source and feeds the model with what it sends.

import { markIdle } from '../calc/idle.js';
import { inPieces } from '../calc/regions.js';
import { Model } from './model.js';

/** @typedef {{kind: 'capture', id: number, url: string, headers: Record<string, string>}|{kind: 'file', name: string, file: File}} Source */
/** @typedef {{bytes: number, totalBytes: number, rows: number}} Progress */

/** The only address from which the page may run a worker; the policy `trusted-types tracetap` allows no other way. */
const CARRIED = document.getElementById('ttap-worker')?.textContent; /* a file of view/export.js has it inside, as a plain script */
const WORKER_URL = CARRIED ? URL.createObjectURL(new Blob([CARRIED], { type: 'text/javascript' })) : new URL('data/worker.js', document.baseURI).href;

/** @typedef {{createPolicy(name: string, rules: {createScriptURL(s: string): string}): {createScriptURL(s: string): string}}} TrustedTypes */
const trustedTypes = /** @type {{trustedTypes?: TrustedTypes}} */ (globalThis).trustedTypes;
const policy = trustedTypes?.createPolicy('tracetap', {
    createScriptURL(s) {
        if (s !== WORKER_URL) throw new TypeError('only the viewer\'s own worker may run');
        return s;
    },
});

export class Loading {
    /**
     * @param {Source} source
     * @param {{head: () => void, progress: (p: Progress) => void, done: () => void, failed: (code: string, message: string) => void}} on
     */
    constructor(source, on) {
        this.source = source;
        this.model = new Model();
        const worker = new Worker(/** @type {any} */ (policy ? policy.createScriptURL(WORKER_URL) : WORKER_URL), CARRIED ? {} : { type: 'module' });
        this.worker = worker;
        worker.onmessage = ({ data }) => {
            if (data.type === 'head') {
                this.model.head = data.head;
                on.head();
            } else if (data.type === 'batch') {
                this.model.add(data.batch);
            } else if (data.type === 'progress') {
                on.progress(data);
            } else if (data.type === 'done') {
                this.model.end = data.end;
                this.model.stopped = data.stopped ? data.stopped.message : null;
                worker.terminate();
                inPieces(markIdle(this.model)).then(() => {
                    this.model.loading = false;
                    this.model.version++;
                    on.done();
                });
            } else if (data.type === 'error') {
                worker.terminate();
                on.failed(data.code, data.message);
            }
        };
        worker.onerror = () => on.failed('read', 'The viewer\'s worker could not be started.');
        worker.postMessage(source.kind === 'file' ? { file: source.file } : { url: source.url, headers: source.headers });
    }

    cancel() {
        this.worker.terminate();
    }
}
