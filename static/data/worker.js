// worker.js - reads one capture, from the network or a file, away from the page: bytes -> lines -> batches.
//
// One worker reads one capture and is then done; to cancel, the page terminates it.

import { LineSplitter } from './stream.js';
import { Decoder, DecodeError } from './decode.js';

/** A batch is handed over at most this often: seldom enough to be cheap, often enough for lanes to appear as they arrive. */
const BATCH_MS = 100;

/** @param {unknown} message @param {Transferable[]} [move] */
const post = (message, move = []) => /** @type {{postMessage(m: unknown, t: Transferable[]): void}} */ (/** @type {unknown} */ (self)).postMessage(message, move);

/** @param {{url: string, headers: Record<string, string>}} source */
async function openUrl(source) {
    const response = await fetch(source.url, { headers: source.headers, cache: 'no-store' });
    if (!response.ok || !response.body) {
        let message = `The service answered ${response.status}.`;
        try {
            const body = await response.json();
            if (typeof body?.error?.message === 'string') message = [body.error.message, body.error.hint].filter((s) => typeof s === 'string').join(' ');
        } catch { /* the status alone must do */ }
        throw new DecodeError('damaged', message);
    }
    return { stream: response.body, totalBytes: Number(response.headers.get('content-length')) || 0 };
}

/** @param {ReadableStream<Uint8Array>} stream @returns {Promise<ReadableStream<Uint8Array>>} unpacked, if it is gzip */
async function unpacked(stream) {
    const [peek, rest] = await firstPiece(stream);
    if (peek.length < 2 || peek[0] !== 0x1f || peek[1] !== 0x8b) return rest;
    return /** @type {ReadableStream<Uint8Array>} */ (rest.pipeThrough(/** @type {any} */ (new DecompressionStream('gzip'))));
}

/**
 * At least two bytes of the stream, and a stream of everything.
 * @param {ReadableStream<Uint8Array>} stream @returns {Promise<[Uint8Array, ReadableStream<Uint8Array>]>}
 */
async function firstPiece(stream) {
    const reader = stream.getReader();
    let head = new Uint8Array(0);
    while (head.length < 2) {
        const { done, value } = await reader.read();
        if (done) break;
        const joined = new Uint8Array(head.length + value.length);
        joined.set(head);
        joined.set(value, head.length);
        head = joined;
    }
    const rest = new ReadableStream({
        start(controller) {
            if (head.length > 0) controller.enqueue(head);
        },
        async pull(controller) {
            const { done, value } = await reader.read();
            if (done) controller.close();
            else controller.enqueue(value);
        },
        cancel: (why) => reader.cancel(why),
    });
    return [head, rest];
}

/** @param {import('./types.js').Batch} batch */
function postBatch(batch) {
    /** @type {ArrayBufferLike[]} */
    const move = batch.segs.map((s) => s.seg.buffer);
    for (const m of batch.marks) move.push(m.t.buffer, m.name.buffer, m.task.buffer);
    for (const p of batch.points) move.push(p.t.buffer, p.v.buffer);
    for (const w of batch.wakes) move.push(w.t.buffer, w.from.buffer, w.to.buffer);
    for (const r of batch.requests) move.push(r.t.buffer, r.dur.buffer, r.object.buffer, r.side.buffer, r.end.buffer, r.flags.buffer);
    for (const s of [...batch.samples, ...batch.allocSamples]) move.push(s.t.buffer, s.lane.buffer, s.stack.buffer, s.task.buffer, s.cpu.buffer);
    post({ type: 'batch', batch }, /** @type {ArrayBuffer[]} */ (move));
}

/** @param {ReadableStream<Uint8Array>} stream @param {number} totalBytes */
async function read(stream, totalBytes) {
    const splitter = new LineSplitter();
    const decoder = new Decoder();
    let bytes = 0;
    let lastPost = performance.now();
    let headSent = false;
    /** @type {{message: string}|null} */
    let stopped = null;

    const hand = () => {
        if (decoder.head && !headSent) {
            headSent = true;
            post({ type: 'head', head: decoder.head });
        }
        if (headSent) postBatch(decoder.take());
        post({ type: 'progress', bytes, totalBytes, rows: decoder.rows });
        lastPost = performance.now();
    };
    /** What came before the damage stays valid. @param {unknown} e */
    const stop = (e) => {
        if (!decoder.head || (e instanceof DecodeError && e.code !== 'damaged')) throw e;
        stopped = { message: e instanceof Error ? e.message : String(e) };
    };

    const counted = new TransformStream({ transform(piece, out) { bytes += piece.length; out.enqueue(piece); } });
    const reader = (await unpacked(stream.pipeThrough(counted))).getReader();
    try {
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            splitter.feed(value, (line) => {
                decoder.line(line);
                if (performance.now() - lastPost > BATCH_MS) hand();
            });
            if (decoder.lineNo === 0) refuseBinary(splitter);
        }
        splitter.finish((line) => lastLine(decoder, line));
    } catch (e) {
        stop(e);
    }
    try {
        decoder.finish();
    } catch (e) {
        stop(e);
    }
    hand();
    post({ type: 'done', end: decoder.end, stopped });
}

/** A line without an end is whole, or it was cut. @param {Decoder} decoder @param {string} line */
function lastLine(decoder, line) {
    try {
        decoder.line(line);
    } catch (e) {
        if (!decoder.head) throw e;
        throw new DecodeError('damaged', `the file ends in the middle of line ${decoder.lineNo}`);
    }
}

/** Other formats may go on for long without a line end: tell by how they begin. @param {LineSplitter} splitter */
function refuseBinary(splitter) {
    const first = splitter.pieces[0];
    if (!first || first.length < 8) return;
    const head = String.fromCharCode(...first.subarray(0, 8));
    if (head === 'TRACETAP') throw new DecodeError('native', 'This is a capture in the native format.');
    if (!head.trimStart().startsWith('{') && head.trim() !== '') throw new DecodeError('foreign', 'This is not a tracetap capture: it does not begin with {"format":"tracetap".');
}

self.onmessage = async (/** @type {MessageEvent} */ event) => {
    try {
        const source = event.data;
        const { stream, totalBytes } = source.file ? { stream: source.file.stream(), totalBytes: source.file.size } : await openUrl(source);
        await read(stream, totalBytes);
    } catch (e) {
        const known = e instanceof DecodeError;
        const message = known || !(e instanceof Error) ? String(e instanceof Error ? e.message : e) : `Reading failed: ${e.message}`;
        post({ type: 'error', code: known ? e.code : 'read', message });
    }
};
