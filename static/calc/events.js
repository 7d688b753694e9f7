// events.js - everything that happened as one list in order of time, or what a filter leaves of it. Rows are found again by number, so
// ten million of them cost twelve bytes each.

import { Search } from './search.js';
import { isEmpty } from './filter.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Lane} Lane */
/** @typedef {{t: number, lane: Lane, slice: import('../data/types.js').Slice|null, mark: number}} Event */

/** So many are listed; a filter or a range brings the rest. */
export const EVENTS_MAX = 1_000_000;

/** @param {Model} model @param {import('./filter.js').Filter} filter @param {number} t0 @param {number} t1 @returns {Generator<void, {events: Event[], more: boolean}>} */
export function* listEvents(model, filter, t0, t1) {
    /** @type {Event[]} */
    const events = [];
    let more = false;
    const search = new Search(model, filter, model.sortedLanes(), isEmpty(filter));
    for (const lane of search.lanes) {
        search.eachOf(lane, (hit) => {
            if (hit.t < t0 || hit.t >= t1) return;
            if (events.length < EVENTS_MAX) events.push({ t: hit.t, lane: hit.lane, slice: hit.slice, mark: hit.mark });
            else more = true;
        });
        yield;
    }
    events.sort((a, b) => a.t - b.t);
    return { events, more };
}
