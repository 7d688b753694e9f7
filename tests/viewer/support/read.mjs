// read.mjs - a capture's text as the viewer's model, without a worker.

import { Decoder } from '../../../static/data/decode.js';
import { Model } from '../../../static/data/model.js';
import { LineSplitter } from '../../../static/data/stream.js';

/** @param {string} text @param {number} [piece] bytes at a time */
export function read(text, piece = 1 << 20) {
    const decoder = new Decoder();
    const splitter = new LineSplitter();
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += piece) splitter.feed(bytes.subarray(at, at + piece), (line) => decoder.line(line));
    splitter.finish((line) => decoder.line(line));
    decoder.finish();
    const model = new Model();
    model.head = decoder.head;
    model.add(decoder.take());
    model.end = decoder.end;
    model.loading = false;
    return model;
}
