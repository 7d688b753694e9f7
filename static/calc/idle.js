// idle.js - is a blocked thread held up, or has it only nothing to do?
//
//   at hand       |--------|        |------|       tasks worked for, regions, full queues, requests from receive to send
//   states   |poll|run|lock|run|poll|run|...
//   idle      ^^^^              ^^^^
//
// A wait is idle if nothing is at hand in it, and its call is one that ends with new work. A condition, a semaphore, poll may stand for
// anything, an answer, too: those count only on threads that tell what they work at.

import { HUE } from '../data/hues.js';
import { buildPyramid } from '../data/pyramid.js';
import { FOR_ANYTHING, FOR_WORK } from '../data/states.js';
import { OPEN_END } from '../data/model.js';
import { firstAfter, merged } from './split.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {(from: number, to: number) => boolean} AtHand  asked with times that only grow */

/** @param {import('../data/types.js').Row} row @returns {AtHand} */
function slicesOf({ segs, table }) {
    let [s, k] = [0, 0];
    return (from, to) => {
        for (; s < segs.length; s++, k = 0) {
            const { n, start, dur, hue } = segs[s];
            while (k < n && start[k] + dur[k] <= from) k++;
            if (k < n) return start[k] < to && (table !== 'wait' || hue[k] === HUE.waitFull);
        }
        return false;
    };
}

/** Those that one thread alone serves, or asks and hears the answer of. @param {Model} model @returns {Generator<void, Map<number, AtHand>>} by lane */
function* requestsOf(model) {
    /** @type {Map<number, import('./split.js').Span[]>} */
    const lanes = new Map();
    for (const { t, dur, lane, end, flags } of model.requestChunks) {
        for (let i = 0; i < t.length; i++) {
            if (end[i] !== lane[i] && !(end[i] < 0 && flags[i] & OPEN_END)) continue;
            const span = { lane: lane[i], from: t[i], to: t[i] + dur[i] };
            const all = lanes.get(lane[i]);
            if (all) all.push(span);
            else lanes.set(lane[i], [span]);
        }
        yield;
    }
    return new Map([...lanes].map(([lane, all]) => {
        const open = merged(all);
        return [lane, (from, to) => open[firstAfter(open, from)]?.from < to];
    }));
}

/** Gives waits for work their colour. @param {Model} model @returns {Generator<void, void>} */
export function* markIdle(model) {
    const requests = yield* requestsOf(model);
    for (const row of model.rowsOf('state')) {
        const rows = model.lane(row.lane).rows.filter((r) => r.depth === 0 && /^(work|region|wait)$/.test(r.table));
        const served = requests.get(row.lane);
        const atHand = [...rows.map(slicesOf), ...(served ? [served] : [])];
        const may = rows.length > 0 ? FOR_WORK | FOR_ANYTHING : FOR_WORK;
        for (const seg of row.segs) {
            const { n, start, dur, hue, flags } = seg;
            let found = false;
            for (let i = 0; i < n; i++) {
                if (!(flags[i] & may) || atHand.some((is) => is(start[i], start[i] + dur[i]))) continue;
                hue[i] = HUE.waitEmpty;
                found = true;
            }
            if (found) buildPyramid(seg.pyramid.fill(0), n, start, dur, hue, seg.t0, seg.t1);
            yield;
        }
    }
}
