// timeline.js - the timeline: puts lanes, layers, panels, pointer and keys together. What is drawn is draw.js, where is lanes.js.
//
//   bar      | fit  -  +  back | search  2 of 14 | lanes | table | shown: 1.203 s, 16 ms
//   overview | busy threads over the whole capture, view box
//   axis     | 1.203 s      1.204 s                          | side: what is selected
//   lanes    | names (DOM)  | base canvas, overlay canvas    |
//
// Frames are drawn on change only, one request at a time.

import { eachSlice, neighbour, sliceAt, upperBound } from '../data/model.js';
import { parseFilter } from '../calc/filter.js';
import { Search } from '../calc/search.js';
import { inPieces, regionStats } from '../calc/regions.js';
import { context, fill, h, sizeCanvas } from '../dom.js';
import { count, duration, instant, value, visible } from '../fmt.js';
import { bind } from '../keys.js';
import { onTheme } from '../theme.js';
import { formatRange, parseIds, parseRange } from '../url.js';
import { drawAxis } from './axis.js';
import { captureDetails, foreign, pickDetails, rangeDetails, taskLink } from './details.js';
import { Painter, sliceText } from './draw.js';
import { Layout } from './lanes.js';
import { Minimap } from './minimap.js';
import { drawOverlay } from './overlay.js';
import { palette } from './palette.js';
import { Viewport } from './viewport.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Slice} Slice */
/** @typedef {import('./overlay.js').Pick} Pick */
/** @typedef {{link: Record<string, string|undefined>, params: Record<string, string>, keep?: (params: Record<string, string|undefined>) => void,
 *   only?: Set<number>, range?: [number, number], open?: (pick: Pick) => void}} Options
 *   only and range make it a compact part of another page: no bar, no overview, no side panel, no keys */

const AXIS_HEIGHT = 24;
const NEAR_PX = 4;
const DRAG_FROM_PX = 4;
const TABLE_MAX = 500;
const KEEP_MS = 250;

export class Timeline {
    /** @param {Model} model @param {Options} options */
    constructor(model, options) {
        this.model = model;
        this.options = options;
        this.compact = options.only !== undefined;
        this.view = new Viewport(model.duration);
        this.pinned = new Set(parseIds(options.params.pin));
        this.hidden = new Set(parseIds(options.params.hide));
        this.showEmpty = false;
        this.layout = new Layout(model, this.choices());
        this.layoutOf = model.version;
        /** @type {Pick|null} */
        this.selected = null;
        /** @type {Pick|null} */
        this.hover = null;
        /** @type {[number, number]|null} */
        this.range = null;
        this.cursorX = -1;
        this.width = 0;
        this.height = 0;
        this.frame = 0;
        this.baseDirty = true;
        this.overlaid = false; /* something is on the overlay */
        this.keepTimer = 0;
        this.pendingSelect = options.params.sel ?? '';
        /** @type {{search: Search, times: Float64Array, k: number}|null} */
        this.found = null;
        this.rangeTurn = 0;
        /** @type {Map<number, HTMLElement>} */
        this.names = new Map();
        /** @type {(() => void)[]} */
        this.undo = [];
        this.painter = new Painter();
        /** A view from the address, until all of the capture is there. @type {[number, number]|null} */
        this.wantedView = null;
        /** @type {{text: string, filter: import('../calc/filter.js').Filter}|null} */
        this.lastFilter = null;
        this.base = h('canvas', { class: 'tl-canvas' });
        this.over = h('canvas', { class: 'tl-canvas tl-over' });
        this.nameColumn = h('div', { class: 'tl-names' });
        this.stick = h('div', { class: 'tl-stick' }, this.nameColumn, this.base, this.over);
        this.space = h('div', { class: 'tl-space' }, this.stick);
        this.body = h('div', { class: 'tl-body', tabindex: 0, role: 'application', 'aria-roledescription': 'timeline',
            'aria-label': 'Timeline. W and S zoom, A and D move, arrows go from slice to slice, question mark lists all keys.' }, this.space);
        this.axis = h('canvas', { class: 'tl-axis', role: 'img', 'aria-label': 'Time axis: wheel zooms, drag selects what to zoom to' });
        this.minimap = new Minimap(this.view, () => this.invalidate());
        this.live = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
        this.tip = h('div', { class: 'tl-tip', hidden: true });
        this.side = h('aside', { class: 'tl-side', 'aria-label': 'Details', tabindex: 0 });
        this.table = h('div', { class: 'tl-table', hidden: true, tabindex: 0, role: 'region', 'aria-label': 'Slices in view' });
        this.lanesLabel = h('div', { class: 'tl-label' });
        this.searchBox = h('input', { type: 'search', placeholder: 'Search   /', 'aria-label': 'Search names, tasks and logs', value: options.params.q ?? '', spellcheck: 'false',
            title: 'db.query   thread:worker*   task:#9   dur>5ms', onkeydown: (/** @type {KeyboardEvent} */ e) => this.searchKey(e) });
        this.searchCount = h('span', { class: 'muted', role: 'status', 'aria-live': 'polite' });
        this.viewText = h('span', { class: 'tl-view' });
        this.emptyButton = h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: () => this.toggleEmpty() });
        this.unhideButton = h('button', { type: 'button', class: 'quiet', onclick: () => { this.hidden.clear(); this.relayout(); } });
        this.tableButton = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => this.toggleTable() }, 'Table');
        this.node = this.build();
        const wanted = options.range ?? parseRange(options.params.t);
        if (options.range) {
            this.view.from = options.range[0];
            this.view.to = options.range[1];
            this.view.fit();
        } else if (wanted) {
            this.view.set(wanted[0], wanted[1]);
            this.wantedView = wanted;
        }
        this.listen();
        if (options.params.q) this.runSearch(options.params.q, false);
        this.showSide();
        if (this.pendingSelect) this.restoreSelection();
        this.invalidate();
    }

    /** @returns {import('./lanes.js').Choices} */
    choices() {
        return { only: this.options.only ?? null, pinned: this.pinned, hidden: this.hidden, showEmpty: this.showEmpty, series: !this.compact };
    }

    // ---- building ----

    build() {
        const main = h('div', { class: 'tl-main' },
            this.compact ? null : h('div', { class: 'tl-strip' }, h('div', { class: 'tl-label' }, 'Overview'), this.minimap.canvas),
            h('div', { class: 'tl-strip' }, this.lanesLabel, this.axis), this.body, this.table, this.live, this.tip);
        if (this.compact) this.body.style.height = `${Math.min(360, this.layout.height + 4)}px`;
        return h('section', { class: this.compact ? 'tl compact' : 'tl', 'aria-label': 'Timeline' }, this.compact ? null : this.buildBar(), main, this.compact ? null : this.side);
    }

    buildBar() {
        const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ run) =>
            h('button', { type: 'button', class: 'icon', 'aria-label': label, title: label, onclick: () => { run(); this.invalidate(); } }, text);
        return h('div', { class: 'tl-bar', role: 'toolbar', 'aria-label': 'Timeline' },
            button('Fit', 'Show all (0)', () => this.view.fit()), button('−', 'Zoom out (S)', () => this.zoomBy(2)), button('+', 'Zoom in (W)', () => this.zoomBy(0.5)),
            button('↶', 'Back to the view before (Backspace)', () => this.view.back()), h('span', { class: 'sep' }),
            this.searchBox, button('‹', 'Previous hit (Shift+N)', () => this.step(-1)), button('›', 'Next hit (N)', () => this.step(1)), this.searchCount,
            h('span', { class: 'grow' }), this.viewText, this.emptyButton, this.unhideButton, this.tableButton);
    }

    listen() {
        const resized = new ResizeObserver(() => this.resize());
        resized.observe(this.body);
        this.undo.push(() => resized.disconnect(), onTheme(() => { this.showSide(); this.invalidate(); }));
        this.body.addEventListener('scroll', () => this.invalidate());
        this.listenPointer();
        this.listenAxis();
        if (!this.compact) this.undo.push(bind(this.bindings()));
    }

    destroy() {
        for (const undo of this.undo) undo();
        cancelAnimationFrame(this.frame);
        clearTimeout(this.keepTimer);
        this.rangeTurn++;
    }

    // ---- time and pixels ----

    get nsPerPx() {
        return this.view.span / Math.max(1, this.width);
    }

    /** @param {number} x */
    timeAt(x) {
        return this.view.t0 + x * this.nsPerPx;
    }

    /** @param {number} factor @param {number} [x] px that stays where it is; without: the selection if in view, else the middle */
    zoomBy(factor, x) {
        let t = this.timeAt(x ?? this.width / 2);
        const s = this.selected?.slice;
        if (x === undefined && s) {
            const mid = s.seg.start[s.i] + s.seg.dur[s.i] / 2;
            if (mid > this.view.t0 && mid < this.view.t1) t = mid;
        }
        this.view.zoom(factor, t);
        this.invalidate();
    }

    /** @param {number} part of what is shown */
    panBy(part) {
        this.view.pan(part * this.view.span);
        this.invalidate();
    }

    // ---- pointer ----

    listenPointer() {
        /** @type {{x: number, y: number, t0: number, t1: number, top: number, mode: ''|'pan'|'range', at: number}|null} */
        let drag = null;
        const { base, body } = this;
        base.addEventListener('pointerdown', (e) => {
            if (e.button !== 0) return;
            base.setPointerCapture(e.pointerId);
            drag = { x: e.offsetX, y: e.clientY, t0: this.view.t0, t1: this.view.t1, top: body.scrollTop, mode: '', at: this.timeAt(e.offsetX) };
        });
        base.addEventListener('pointermove', (e) => {
            if (!drag) return this.hoverAt(e);
            if (!drag.mode && Math.hypot(e.offsetX - drag.x, e.clientY - drag.y) >= DRAG_FROM_PX) drag.mode = e.shiftKey ? 'range' : 'pan';
            if (drag.mode === 'pan') {
                const ns = (drag.x - e.offsetX) * this.nsPerPx;
                this.view.set(drag.t0 + ns, drag.t1 + ns);
                body.scrollTop = drag.top + drag.y - e.clientY;
                body.classList.add('panning');
            } else if (drag.mode === 'range') {
                const t = this.timeAt(e.offsetX);
                this.setRange([Math.max(0, Math.min(t, drag.at)), Math.min(this.model.duration, Math.max(t, drag.at))], false);
            }
            this.hideTip();
            this.invalidate();
        });
        const up = (/** @type {PointerEvent} */ e) => {
            if (drag && !drag.mode && e.type === 'pointerup') this.click(e);
            if (drag?.mode === 'range') this.setRange(this.range, true);
            drag = null;
            body.classList.remove('panning');
        };
        base.addEventListener('pointerup', up);
        base.addEventListener('pointercancel', up);
        base.addEventListener('pointerleave', () => this.hoverNothing());
        base.addEventListener('dblclick', () => this.zoomToSelection());
        body.addEventListener('wheel', (e) => this.wheel(e, e.ctrlKey || e.metaKey), { passive: false });
    }

    listenAxis() {
        const { axis } = this;
        let from = -1;
        axis.addEventListener('wheel', (e) => this.wheel(e, true), { passive: false });
        axis.addEventListener('pointerdown', (e) => {
            axis.setPointerCapture(e.pointerId);
            from = e.offsetX;
        });
        axis.addEventListener('pointermove', (e) => {
            if (from >= 0 && Math.abs(e.offsetX - from) >= DRAG_FROM_PX) this.setRange([this.timeAt(Math.min(from, e.offsetX)), this.timeAt(Math.max(from, e.offsetX))], false);
        });
        axis.addEventListener('pointerup', (e) => {
            if (from >= 0 && Math.abs(e.offsetX - from) >= DRAG_FROM_PX) {
                this.view.jump(this.timeAt(Math.min(from, e.offsetX)), this.timeAt(Math.max(from, e.offsetX)));
                this.setRange(null, true);
            }
            from = -1;
            this.invalidate();
        });
    }

    /** @param {WheelEvent} e @param {boolean} zooms */
    wheel(e, zooms) {
        const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1;
        const x = e.clientX - this.base.getBoundingClientRect().left;
        if (zooms) {
            e.preventDefault();
            this.zoomBy(Math.exp(Math.max(-200, Math.min(200, e.deltaY * unit)) * 0.0025), Math.max(0, Math.min(this.width, x)));
        } else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
            e.preventDefault();
            this.view.pan((e.deltaX || e.deltaY) * unit * this.nsPerPx);
            this.invalidate();
        }
    }

    /** @param {number} x @param {number} y within the canvas @returns {Pick|null} */
    pickAt(x, y) {
        const hit = this.layout.at(y + this.body.scrollTop);
        if (!hit || hit.box.kind !== 'lane') return null;
        const { lane } = hit.box;
        const t = this.timeAt(x);
        if (hit.marks) {
            const { marks } = lane;
            const at = upperBound(marks.t, marks.t.length, t);
            const near = [at - 1, at].filter((i) => i >= 0 && i < marks.t.length).sort((a, b) => Math.abs(marks.t[a] - t) - Math.abs(marks.t[b] - t))[0];
            if (near !== undefined && Math.abs(marks.t[near] - t) <= 6 * this.nsPerPx) return { slice: null, lane, mark: near };
        }
        if (hit.row) {
            const slice = sliceAt(hit.row.row, t, NEAR_PX * this.nsPerPx);
            if (slice) return { slice, lane, mark: -1 };
        }
        const lost = lane.rows.find((r) => r.table === 'lost');
        const slice = lost && sliceAt(lost, t, NEAR_PX * this.nsPerPx);
        return slice ? { slice, lane, mark: -1 } : null;
    }

    /** @param {PointerEvent} e */
    hoverAt(e) {
        this.cursorX = e.offsetX;
        this.hover = this.pickAt(e.offsetX, e.offsetY);
        const series = this.layout.at(e.offsetY + this.body.scrollTop)?.box;
        if (this.hover) this.showTip(e, this.pickWords(this.hover));
        else if (series?.kind === 'series') this.showTip(e, this.seriesWords(series.series, this.timeAt(e.offsetX)));
        else this.hideTip();
        this.invalidateOver();
    }

    hoverNothing() {
        this.hover = null;
        this.cursorX = -1;
        this.hideTip();
        this.invalidateOver();
    }

    /** @param {Pick} pick @returns {[string, string]} */
    pickWords(pick) {
        const { model } = this;
        if (pick.slice) {
            const { row, seg, i } = pick.slice;
            const task = row.table !== 'work' && seg.task[i] >= 0 ? ` · ${visible(model.taskTitle(seg.task[i]), 60)}` : '';
            return [visible(sliceText(model, row, seg, i), 200), `${duration(seg.dur[i])} from ${instant(seg.start[i], this.nsPerPx)}${task}`];
        }
        if (!pick.lane) return ['', ''];
        const { marks } = pick.lane;
        const text = marks.text[pick.mark];
        return [visible(text === null ? model.string(marks.name[pick.mark]) : `${model.string(marks.name[pick.mark])}: ${text.slice(0, 400)}`, 300), instant(marks.t[pick.mark], this.nsPerPx)];
    }

    /** @param {import('../data/types.js').Series} series @param {number} t @returns {[string, string]} */
    seriesWords(series, t) {
        const i = upperBound(series.t, series.n, t) - 1;
        return [visible(series.title, 200), i < 0 ? 'no value yet' : `${value(series.v[i])} since ${instant(series.t[i], this.nsPerPx)}`];
    }

    /** @param {PointerEvent} e @param {[string, string]} words */
    showTip(e, words) {
        fill(this.tip, h('b', null, h('bdi', { dir: 'ltr' }, words[0])), h('br', null), words[1]);
        this.tip.hidden = false;
        const { offsetWidth: w, offsetHeight: hh } = this.tip;
        const x = e.clientX + 14 + w > innerWidth ? Math.max(0, e.clientX - w - 10) : e.clientX + 14;
        const y = e.clientY + 16 + hh > innerHeight ? e.clientY - hh - 10 : e.clientY + 16;
        this.tip.style.transform = `translate(${x}px, ${y}px)`;
    }

    hideTip() {
        this.tip.hidden = true;
    }

    /** @param {PointerEvent} e */
    click(e) {
        const pick = this.pickAt(e.offsetX, e.offsetY);
        if (pick && this.options.open) return this.options.open(pick);
        this.body.focus({ preventScroll: true });
        this.select(pick);
    }

    // ---- selection ----

    /** @param {Pick|null} pick */
    select(pick) {
        this.selected = pick;
        if (pick) {
            this.range = null;
            this.live.textContent = this.pickWords(pick).join(', ') + (pick.lane ? `, ${visible(this.model.laneName(pick.lane), 80)}` : '');
        }
        this.showSide();
        this.invalidateOver();
        this.keep();
    }

    /** Selects, and moves so that it can be seen. @param {Pick} pick */
    goTo(pick) {
        if (pick.slice) this.view.reveal(pick.slice.seg.start[pick.slice.i], pick.slice.seg.start[pick.slice.i] + pick.slice.seg.dur[pick.slice.i]);
        else if (pick.lane) this.view.reveal(pick.lane.marks.t[pick.mark], pick.lane.marks.t[pick.mark]);
        this.scrollTo(pick);
        this.select(pick);
        this.invalidate();
    }

    /** @param {Pick} pick */
    scrollTo(pick) {
        const y = (pick.slice ? this.layout.boxOf(pick.slice.row)?.row.y : undefined) ?? (pick.lane ? this.layout.laneBox(pick.lane.id)?.y : undefined);
        if (y === undefined) return;
        if (y < this.body.scrollTop + 10 || y + 30 > this.body.scrollTop + this.height) this.body.scrollTop = y - this.height / 2;
    }

    showSide() {
        if (this.compact) return;
        const { model } = this;
        if (this.range) fill(this.side, ...rangeDetails(model, this.range, null, this.rangeActs()));
        else if (this.selected) fill(this.side, ...pickDetails(model, this.selected, this.options.link));
        else fill(this.side, ...captureDetails(model));
    }

    rangeActs() {
        return { zoom: () => this.zoomToSelection(), clear: () => this.setRange(null, true) };
    }

    /** @param {[number, number]|null} range @param {boolean} final the pointer was let go: add up */
    async setRange(range, final) {
        this.range = range;
        if (range) this.selected = null;
        this.invalidateOver();
        if (!final) return;
        const turn = ++this.rangeTurn;
        this.showSide();
        if (!range) return;
        const stats = await inPieces(regionStats(this.model, range[0], range[1]), () => turn !== this.rangeTurn);
        if (stats && turn === this.rangeTurn && this.range) fill(this.side, ...rangeDetails(this.model, range, stats, this.rangeActs()));
    }

    zoomToSelection() {
        const s = this.selected?.slice;
        if (this.range) {
            this.view.jump(this.range[0], this.range[1]);
            this.setRange(null, true);
        } else if (s) {
            const [from, dur] = [s.seg.start[s.i], Math.max(s.seg.dur[s.i], 20)];
            this.view.jump(from - dur * 0.1, from + dur * 1.1);
        }
        this.invalidate();
    }

    /** With nothing selected: the first slice in view. Else the neighbour in its row. @param {-1|1} step */
    moveAlong(step) {
        const s = this.selected?.slice;
        if (!s) {
            const first = this.firstInView();
            if (first) this.select(first);
            return;
        }
        const next = neighbour(s, step);
        if (next) this.goTo({ slice: next, lane: this.model.lane(next.row.lane), mark: -1 });
    }

    /** @returns {Pick|null} */
    firstInView() {
        for (const box of this.layout.visible(this.body.scrollTop, this.body.scrollTop + this.height)) {
            if (box.kind !== 'lane') continue;
            for (const { row } of box.rows) {
                /** @type {Slice|null} */
                let first = null;
                eachSlice(row, this.view.t0, this.view.t1, (seg, i) => { first ??= { row, seg, i }; });
                if (first) return { slice: first, lane: box.lane, mark: -1 };
            }
        }
        return null;
    }

    /** To the row above or below that has something at this time. @param {-1|1} step */
    moveAcross(step) {
        const s = this.selected?.slice;
        if (!s) {
            this.body.scrollTop += step * 60;
            return;
        }
        const rows = this.layout.boxes.flatMap((b) => (b.kind === 'lane' ? b.rows : []));
        const t = Math.max(this.view.t0, s.seg.start[s.i]) + 0.5;
        for (let k = rows.findIndex((r) => r.row === s.row) + step; k >= 0 && k < rows.length; k += step) {
            const slice = sliceAt(rows[k].row, t, 20 * this.nsPerPx);
            if (slice) return this.goTo({ slice, lane: this.model.lane(slice.row.lane), mark: -1 });
        }
    }

    // ---- search ----

    /** @param {KeyboardEvent} e */
    searchKey(e) {
        if (e.key === 'Escape') this.body.focus({ preventScroll: true });
        if (e.key !== 'Enter') return;
        if (!this.found || this.found.search.filter !== this.filterOf(this.searchBox.value)) this.runSearch(this.searchBox.value, true);
        else this.step(e.shiftKey ? -1 : 1);
        if (this.found && this.found.times.length > 0) this.body.focus({ preventScroll: true });
        this.keep();
    }

    /** @param {string} text the same text gives the same object @returns {import('../calc/filter.js').Filter} */
    filterOf(text) {
        if (!this.lastFilter || this.lastFilter.text !== text) this.lastFilter = { text, filter: parseFilter(text) };
        return this.lastFilter.filter;
    }

    /** @param {string} text @param {boolean} go to the first hit in view or after it */
    runSearch(text, go) {
        const filter = this.filterOf(text);
        const search = new Search(this.model, filter, this.layout.boxes.flatMap((b) => (b.kind === 'lane' ? [b.lane] : [])));
        const times = search.times();
        this.found = search.empty ? null : { search, times, k: -1 };
        this.minimap.hits = this.found ? times : new Float64Array(0);
        if (go && times.length > 0) this.hit(Math.min(times.length - 1, upperBound(times, times.length, this.view.t0 - 1)));
        this.showCount(filter.error);
        this.invalidate();
    }

    /** @param {string} error */
    showCount(error) {
        const f = this.found;
        this.searchCount.textContent = error || (!f ? '' : f.times.length === 0 ? 'nothing found' : f.k < 0 ? `${count(f.times.length)} hits` : `${count(f.k + 1)} of ${count(f.times.length)}`);
    }

    /** @param {-1|1} step round at the ends */
    step(step) {
        if (!this.found && this.searchBox.value) return this.runSearch(this.searchBox.value, true);
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
        this.goTo({ slice: hit.slice, lane: hit.lane, mark: hit.mark });
        this.showCount('');
    }

    // ---- lanes ----

    relayout() {
        this.layout = new Layout(this.model, this.choices());
        this.layoutOf = this.model.version;
        this.body.style.setProperty('--rows', String(this.layout.boxes.length));
        this.names.forEach((n) => n.remove());
        this.names.clear();
        this.invalidate();
    }

    toggleEmpty() {
        this.showEmpty = !this.showEmpty;
        this.relayout();
    }

    /** @param {number} id */
    togglePin(id) {
        if (!this.pinned.delete(id)) this.pinned.add(id);
        this.relayout();
    }

    /** @param {number} id */
    hide(id) {
        this.hidden.add(id);
        this.pinned.delete(id);
        if (this.selected?.lane?.id === id) this.select(null);
        this.relayout();
    }

    toggleTable() {
        const show = this.table.hidden;
        this.table.hidden = !show;
        this.tableButton.setAttribute('aria-pressed', String(show));
        this.invalidate();
    }

    // ---- keys ----

    /** @returns {import('../keys.js').Binding[]} */
    bindings() {
        const onlyIn = this.body;
        const group = 'Timeline';
        const key = (/** @type {string[]} */ keys, /** @type {string} */ what, /** @type {() => void} */ run, /** @type {Element|undefined} */ inside) => ({ keys, what, group, onlyIn: inside, run: () => { run(); this.invalidate(); } });
        const lane = (/** @type {(id: number) => void} */ act) => () => { if (this.selected?.lane) act(this.selected.lane.id); };
        return [
            key(['w', '+', '='], 'Zoom in', () => this.zoomBy(0.6), undefined),
            key(['s', '-'], 'Zoom out', () => this.zoomBy(1 / 0.6), undefined),
            key(['a', 'Shift+ArrowLeft'], 'Move left', () => this.panBy(-0.15), undefined),
            key(['d', 'Shift+ArrowRight'], 'Move right', () => this.panBy(0.15), undefined),
            key(['0', 'Home'], 'Show all', () => this.view.fit(), undefined),
            key(['ArrowLeft'], 'Slice before; without selection: select the first in view', () => this.moveAlong(-1), onlyIn),
            key(['ArrowRight'], 'Next slice', () => this.moveAlong(1), onlyIn),
            key(['ArrowUp'], 'Row above at this time; without selection: scroll', () => this.moveAcross(-1), onlyIn),
            key(['ArrowDown'], 'Row below', () => this.moveAcross(1), onlyIn),
            key(['PageUp'], 'Scroll up', () => { this.body.scrollTop -= this.height * 0.8; }, onlyIn),
            key(['PageDown'], 'Scroll down', () => { this.body.scrollTop += this.height * 0.8; }, onlyIn),
            key(['Enter'], 'To the details of what is selected', () => this.side.focus(), onlyIn),
            key(['z', 'f'], 'Zoom to the selection or range', () => this.zoomToSelection(), undefined),
            key(['Backspace'], 'Back to the view before', () => this.view.back(), undefined),
            key(['r'], 'Range over the selection, or over the view', () => this.rangeOfSelection(), undefined),
            key(['Escape'], 'Clear selection and range', () => { this.setRange(null, true); this.select(null); this.body.focus({ preventScroll: true }); }, undefined),
            key(['/'], 'Search', () => { this.searchBox.focus(); this.searchBox.select(); }, undefined),
            key(['n'], 'Next hit', () => this.step(1), undefined),
            key(['Shift+n'], 'Previous hit', () => this.step(-1), undefined),
            key(['p'], 'Pin the selection\'s lane to the top', lane((id) => this.togglePin(id)), undefined),
            key(['h'], 'Hide the selection\'s lane', lane((id) => this.hide(id)), undefined),
            key(['t'], 'Table of the slices in view', () => this.toggleTable(), undefined),
        ];
    }

    rangeOfSelection() {
        const s = this.selected?.slice;
        this.setRange(s ? [s.seg.start[s.i], s.seg.start[s.i] + s.seg.dur[s.i]] : [Math.max(0, this.view.t0), Math.min(this.model.duration, this.view.t1)], true);
    }

    // ---- frames ----

    /** More of the capture has arrived. */
    grown() {
        this.view.setDuration(this.model.duration);
        if (this.wantedView) this.view.set(this.wantedView[0], this.wantedView[1]);
        if (!this.model.loading) this.wantedView = null;
        this.layout = new Layout(this.model, this.choices());
        this.layoutOf = this.model.version;
        if (!this.selected && !this.range && !this.model.loading) this.showSide();
        if (this.pendingSelect) this.restoreSelection();
        if (!this.model.loading && this.options.params.q) this.runSearch(this.options.params.q, false);
        this.invalidate();
    }

    restoreSelection() {
        const [lane, table, depth, start] = this.pendingSelect.split(',');
        const row = this.model.row(Number(lane), /** @type {import('../data/types.js').RowTable} */ (table), Number(depth));
        const slice = row ? sliceAt(row, Number(start)) : null;
        if (slice && slice.seg.start[slice.i] === Number(start)) {
            this.pendingSelect = '';
            const pick = { slice, lane: this.model.lane(slice.row.lane), mark: -1 };
            this.select(pick);
            requestAnimationFrame(() => requestAnimationFrame(() => this.scrollTo(pick))); /* only now has it a height */
        } else if (!this.model.loading) this.pendingSelect = '';
    }

    resize() {
        const names = parseFloat(getComputedStyle(this.node).getPropertyValue('--names')) || 184;
        this.width = Math.max(50, this.body.clientWidth - names);
        this.height = Math.max(20, this.body.clientHeight);
        this.invalidate();
    }

    invalidate() {
        this.baseDirty = true;
        this.invalidateOver();
    }

    invalidateOver() {
        if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
    }

    draw() {
        this.frame = 0;
        if (this.width === 0) return;
        if (this.baseDirty) this.drawBase();
        this.baseDirty = false;
        const something = this.hover !== null || this.selected !== null || this.range !== null || this.cursorX >= 0;
        if (!something && !this.overlaid) return;
        this.overlaid = something;
        const dpr = sizeCanvas(this.over, this.width, this.height);
        drawOverlay(context(this.over), { layout: this.layout, scrollTop: this.body.scrollTop, t0: this.view.t0, t1: this.view.t1, width: this.width, height: this.height, dpr,
            hover: this.hover, selected: this.selected, range: this.range, cursorX: this.cursorX });
    }

    drawBase() {
        const { view, width, height, model } = this;
        const scrollTop = this.body.scrollTop;
        const total = `${Math.max(this.layout.height, 40)}px`;
        if (this.space.style.height !== total) this.space.style.height = total;
        for (const [node, w, hh] of /** @type {[HTMLElement, number, number][]} */ ([[this.stick, 0, height], [this.base, width, height], [this.over, width, height]])) {
            if (w && node.style.width !== `${w}px`) node.style.width = `${w}px`;
            if (node.style.height !== `${hh}px`) node.style.height = `${hh}px`;
        }
        const dpr = sizeCanvas(this.base, width, height);
        const boxes = this.layout.visible(scrollTop, scrollTop + height);
        this.painter.draw(context(this.base), { model, boxes, scrollTop, t0: view.t0, t1: view.t1, width, height, dpr });
        this.drawNames(boxes, scrollTop);
        const axisDpr = sizeCanvas(this.axis, width, AXIS_HEIGHT);
        const g = context(this.axis);
        const p = palette();
        this.axis.style.maxWidth = `${width}px`;
        g.setTransform(axisDpr, 0, 0, axisDpr, 0, 0);
        drawAxis(g, view, width, AXIS_HEIGHT, { text: p.get('text'), line: p.get('line-strong'), muted: p.get('muted') });
        if (!this.compact) {
            this.minimap.canvas.style.maxWidth = `${width}px`;
            this.minimap.draw(model, width);
            this.drawBar();
            if (!this.table.hidden) this.fillTable();
            this.keep();
        }
        this.lanesLabel.textContent = `${count(this.layout.boxes.length)} ${this.layout.boxes.length === 1 ? 'lane' : 'lanes'}`;
    }

    drawBar() {
        this.viewText.textContent = `${instant(Math.max(0, this.view.t0), this.view.span / 1000)} + ${duration(this.view.span)}`;
        this.emptyButton.hidden = this.layout.emptyCount === 0 && !this.showEmpty;
        this.emptyButton.textContent = this.showEmpty ? 'Hide idle threads' : `${count(this.layout.emptyCount)} idle ${this.layout.emptyCount === 1 ? 'thread' : 'threads'}`;
        this.emptyButton.setAttribute('aria-pressed', String(this.showEmpty));
        this.unhideButton.hidden = this.layout.hiddenCount === 0;
        this.unhideButton.textContent = `Show ${count(this.layout.hiddenCount)} hidden`;
    }

    /** @param {import('./lanes.js').LaneBox[]} boxes @param {number} scrollTop */
    drawNames(boxes, scrollTop) {
        const seen = new Set(boxes.map((b) => b.id));
        for (const [id, node] of this.names) {
            if (seen.has(id)) continue;
            node.remove();
            this.names.delete(id);
        }
        for (const box of boxes) {
            let node = this.names.get(box.id);
            if (!node || node.dataset.title !== box.title.slice(0, 200)) {
                node?.remove();
                node = this.nameNode(box);
                this.names.set(box.id, node);
                this.nameColumn.append(node);
            }
            node.style.transform = `translateY(${Math.round(box.y - scrollTop)}px)`;
            if (node.style.height !== `${box.height}px`) node.style.height = `${box.height}px`;
        }
    }

    /** @param {import('./lanes.js').LaneBox} box */
    nameNode(box) {
        const title = visible(box.title, 200);
        const sub = box.kind === 'lane' && box.lane.tid && box.height > 34 ? h('div', { class: 'sub' }, `tid ${box.lane.tid}`) : null;
        const pinned = this.pinned.has(box.id);
        const act = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ run, /** @type {boolean|undefined} */ pressed) =>
            h('button', { type: 'button', 'aria-label': label, title: label, tabindex: -1, 'aria-pressed': pressed === undefined ? null : String(pressed), onclick: run }, text);
        const buttons = box.kind === 'lane' && !this.compact ? [act('⇡', `Pin ${title}`, () => this.togglePin(box.id), pinned), act('×', `Hide ${title}`, () => this.hide(box.id), undefined)] : null;
        return h('div', { class: pinned ? 'tl-name pinned' : 'tl-name', title, 'data-title': box.title.slice(0, 200) }, h('span', null, h('bdi', { dir: 'ltr' }, title), sub), buttons);
    }

    /** The same as the picture, for those who read rather than look. */
    fillTable() {
        /** @type {{slice: Slice, t: number}[]} */
        const slices = [];
        let more = false;
        for (const box of this.layout.visible(this.body.scrollTop, this.body.scrollTop + this.height)) {
            if (box.kind !== 'lane') continue;
            for (const row of box.lane.rows) {
                let n = 0;
                eachSlice(row, this.view.t0, this.view.t1, (seg, i) => {
                    if (n++ < TABLE_MAX) slices.push({ slice: { row, seg, i }, t: seg.start[i] });
                    else more = true;
                });
            }
        }
        slices.sort((a, b) => a.t - b.t);
        more ||= slices.length > TABLE_MAX;
        const th = (/** @type {string} */ text, /** @type {string} */ cls = '') => h('th', { scope: 'col', class: cls }, text);
        fill(this.table, h('table', null,
            h('caption', { class: 'visually-hidden' }, 'Slices in view'),
            h('thead', null, h('tr', null, th('Start', 'num'), th('Duration', 'num'), th('What'), th('Thread'), th('Kind'), th('Task'))),
            h('tbody', null, slices.slice(0, TABLE_MAX).map(({ slice }) => this.tableRow(slice)))),
        more ? h('p', { class: 'banner info' }, `The first ${TABLE_MAX} are listed; zoom in for the others.`) : null);
    }

    /** @param {Slice} slice */
    tableRow(slice) {
        const { row, seg, i } = slice;
        const { model } = this;
        const lane = model.lane(row.lane);
        return h('tr', null, h('td', { class: 'num mono' }, instant(seg.start[i], 1e3)), h('td', { class: 'num mono' }, duration(seg.dur[i])),
            h('td', { class: 'name' }, h('button', { type: 'button', class: 'linklike', onclick: () => this.goTo({ slice, lane, mark: -1 }) }, foreign(sliceText(model, row, seg, i), 100))),
            h('td', { class: 'name' }, foreign(model.laneName(lane), 60)), h('td', null, row.table === 'region' ? `region ${row.depth}` : row.table), h('td', null, taskLink(model, seg.task[i], this.options.link)));
    }

    /** The address follows the view, but not every frame of a drag. */
    keep() {
        if (!this.options.keep) return;
        clearTimeout(this.keepTimer);
        this.keepTimer = window.setTimeout(() => {
            const s = this.selected?.slice;
            this.options.keep?.({
                t: this.view.atFit ? undefined : formatRange(this.view.t0, this.view.t1),
                sel: s ? `${s.row.lane},${s.row.table},${s.row.depth},${s.seg.start[s.i]}` : this.pendingSelect || undefined,
                q: this.searchBox.value || undefined,
                pin: [...this.pinned].join(',') || undefined,
                hide: [...this.hidden].join(',') || undefined,
            });
        }, KEEP_MS);
    }
}
