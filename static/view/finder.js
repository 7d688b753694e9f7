// finder.js - the search box of the timeline: how many hits, and from one to the next.

import { parseFilter } from '../calc/filter.js';
import { Search } from '../calc/search.js';
import { upperBound } from '../data/model.js';
import { h } from '../dom.js';
import { count } from '../fmt.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */

export class Finder {
    /** @param {Timeline} tl @param {string} text */
    constructor(tl, text) {
        this.tl = tl;
        /** @type {{search: Search, times: Float64Array, k: number}|null} */
        this.found = null;
        /** @type {{text: string, filter: import('../calc/filter.js').Filter}|null} */
        this.last = null;
        this.box = h('input', { type: 'search', placeholder: 'Search   /', 'aria-label': 'Search names, tasks and logs', value: text, spellcheck: 'false',
            title: 'db.query   thread:worker*   task:#9   state:lock   dur>5ms', onkeydown: (/** @type {KeyboardEvent} */ e) => this.key(e) });
        this.words = h('span', { class: 'muted', role: 'status', 'aria-live': 'polite' });
    }

    focus() {
        this.box.focus();
        this.box.select();
    }

    /** @param {KeyboardEvent} e */
    key(e) {
        if (e.key === 'Escape') this.tl.focusLanes();
        if (e.key !== 'Enter') return;
        if (!this.found || this.found.search.filter !== this.filterOf(this.box.value)) this.run(this.box.value, true);
        else this.step(e.shiftKey ? -1 : 1);
        if (this.found && this.found.times.length > 0) this.tl.focusLanes();
        this.tl.keep();
    }

    /** @param {string} text the same text gives the same object @returns {import('../calc/filter.js').Filter} */
    filterOf(text) {
        if (!this.last || this.last.text !== text) this.last = { text, filter: parseFilter(text) };
        return this.last.filter;
    }

    /** @param {string} text @param {boolean} go to the first hit in view or after it */
    run(text, go) {
        const { tl } = this;
        const filter = this.filterOf(text);
        const search = new Search(tl.model, filter, tl.layout.boxes.flatMap((b) => (b.kind === 'lane' ? [b.lane] : [])));
        const times = search.times();
        this.found = search.empty ? null : { search, times, k: -1 };
        tl.minimap.hits = this.found ? times : new Float64Array(0);
        if (go && times.length > 0) this.hit(Math.min(times.length - 1, upperBound(times, times.length, tl.view.t0 - 1)));
        this.showCount(filter.error);
        tl.invalidate();
    }

    /** @param {string} error */
    showCount(error) {
        const f = this.found;
        this.words.textContent = error || (!f ? '' : f.times.length === 0 ? 'nothing found' : f.k < 0 ? `${count(f.times.length)} hits` : `${count(f.k + 1)} of ${count(f.times.length)}`);
    }

    /** @param {-1|1} step round at the ends */
    step(step) {
        if (!this.found && this.box.value) return this.run(this.box.value, true);
        const f = this.found;
        if (!f || f.times.length === 0) return;
        this.hit((Math.max(f.k, step > 0 ? -1 : 0) + step + f.times.length) % f.times.length);
    }

    /** @param {number} k */
    hit(k) {
        const f = this.found;
        const hit = f?.search.at(f.times, k);
        if (!f || !hit) return;
        f.k = k;
        this.tl.goTo({ slice: hit.slice, lane: hit.lane, mark: hit.mark });
        this.showCount('');
    }
}
