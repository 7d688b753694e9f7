// timeline.js - the timeline: puts lanes, layers and panels together, and holds what is in view and selected. What is drawn is draw.js,
// where is lanes.js; pointer.js and commands.js move it.
//
//   bar      | fit  -  +  back | search  2 of 14 | shown: 1.203 s, 16 ms | view | table
//   overview | busy threads over the whole capture, view box
//   axis     | 1.203 s      1.204 s                          | side: what is selected
//   lanes    | names (DOM)  | base canvas, overlay canvas    |
//
// Frames are drawn on change only, one request at a time.

import { sliceAt } from '../data/model.js';
import { rangeStats } from '../calc/range.js';
import { inPieces } from '../calc/regions.js';
import { stateStats } from '../calc/states.js';
import { wakeOf } from '../calc/wakes.js';
import { context, fill, h, sizeCanvas } from '../dom.js';
import { count, duration, instant, visible } from '../fmt.js';
import { bind } from '../keys.js';
import { onTheme } from '../theme.js';
import { formatRange, parseIds, parseRange } from '../url.js';
import { drawAxis } from './axis.js';
import { timelineKeys } from './commands.js';
import { captureDetails, pickDetails, rangeDetails } from './details.js';
import { Painter } from './draw.js';
import { Finder } from './finder.js';
import { Layout } from './lanes.js';
import { Menu, formatShow, parseShow } from './menu.js';
import { Minimap } from './minimap.js';
import { Names } from './names.js';
import { drawOverlay } from './overlay.js';
import { palette } from './palette.js';
import { Tip, listenAxis, listenPointer, pickWords } from './pointer.js';
import { savePicture } from './picture.js';
import { fillSliceList } from './slicelist.js';
import { Viewport } from './viewport.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('./overlay.js').Pick} Pick */
/** @typedef {{link: Record<string, string|undefined>, params: Record<string, string>, keep?: (params: Record<string, string|undefined>) => void,
 *   only?: Set<number>, range?: [number, number], open?: (pick: Pick) => void, save?: () => Promise<void>}} Options
 *   only and range make it a compact part of another page: no bar, no overview, no side panel, no keys */

const AXIS_HEIGHT = 24;
const KEEP_MS = 250;
/** A compact timeline is no higher than this, and scrolls. */
const COMPACT_HEIGHT = 360;

export class Timeline {
    /** @param {Model} model @param {Options} options */
    constructor(model, options) {
        const { params } = options;
        this.model = model;
        this.options = options;
        this.compact = options.only !== undefined;
        this.view = new Viewport(model.duration);
        this.pinned = new Set(parseIds(params.pin));
        this.hidden = new Set(parseIds(params.hide));
        const { by, shown } = parseShow(params.show ?? '');
        this.by = by;
        this.shown = shown;
        this.layout = new Layout(model, this.choices());
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
        this.around = 0;
        this.baseDirty = true;
        this.overlaid = false; /* something is on the overlay */
        this.keepTimer = 0;
        this.pendingSelect = params.sel ?? '';
        this.rangeTurn = 0;
        /** @type {(() => void)[]} */
        this.undo = [];
        this.painter = new Painter();
        /** A view from the address, until all of the capture is there. @type {[number, number]|null} */
        this.wantedView = null;
        this.base = h('canvas', { class: 'tl-canvas' });
        this.over = h('canvas', { class: 'tl-canvas tl-over' });
        this.names = new Names(this);
        this.stick = h('div', { class: 'tl-stick' }, this.names.node, this.base, this.over);
        this.space = h('div', { class: 'tl-space' }, this.stick);
        this.body = h('div', { class: 'tl-body', tabindex: 0, role: 'application', 'aria-roledescription': 'timeline',
            'aria-label': 'Timeline. W and S zoom, A and D move, arrows go from slice to slice, question mark lists all keys.' }, this.space);
        this.axis = h('canvas', { class: 'tl-axis', role: 'img', 'aria-label': 'Time axis: wheel zooms, drag selects what to zoom to' });
        this.minimap = new Minimap(this.view, () => this.invalidate());
        this.live = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
        this.tip = new Tip();
        this.side = h('aside', { class: 'tl-side', 'aria-label': 'Details', tabindex: 0 });
        this.table = h('div', { class: 'tl-table', hidden: true, tabindex: 0, role: 'region', 'aria-label': 'Slices in view' });
        this.lanesLabel = h('div', { class: 'tl-label' });
        this.finder = new Finder(this, params.q ?? '');
        this.menu = new Menu(this);
        this.viewText = h('span', { class: 'tl-view' });
        this.emptyButton = h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: () => this.toggleEmpty() });
        this.unhideButton = h('button', { type: 'button', class: 'quiet', onclick: () => { this.hidden.clear(); this.relayout(); } });
        this.tableButton = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => this.toggleTable() }, 'Table');
        this.node = this.build();
        this.startView();
        this.listen();
        if (params.q) this.finder.run(params.q, false);
        this.showSide();
        if (this.pendingSelect) this.restoreSelection();
        this.invalidate();
    }

    /** @returns {import('./lanes.js').Choices} */
    choices() {
        return { only: this.options.only ?? null, pinned: this.pinned, hidden: this.hidden, by: this.by, shown: this.shown };
    }

    // ---- building ----

    build() {
        const { compact } = this;
        const main = h('div', { class: 'tl-main' },
            compact ? null : h('div', { class: 'tl-strip' }, h('div', { class: 'tl-label' }, 'Overview'), this.minimap.canvas),
            h('div', { class: 'tl-strip' }, this.lanesLabel, this.axis), this.body, this.table, this.live, this.tip.node);
        if (compact) this.body.style.height = `${Math.min(COMPACT_HEIGHT, this.layout.height + 4)}px`;
        return h('section', { class: compact ? 'tl compact' : 'tl', 'aria-label': 'Timeline' }, compact ? null : this.buildBar(), main, compact ? null : this.side);
    }

    buildBar() {
        const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ run) =>
            h('button', { type: 'button', class: 'icon', 'aria-label': label, title: label, onclick: () => { run(); this.invalidate(); } }, text);
        return h('div', { class: 'tl-bar', role: 'toolbar', 'aria-label': 'Timeline' },
            button('Fit', 'Show all (0)', () => this.view.fit()), button('−', 'Zoom out (S)', () => this.zoomBy(2)), button('+', 'Zoom in (W)', () => this.zoomBy(0.5)),
            button('↶', 'Back to the view before (Backspace)', () => this.view.back()), h('span', { class: 'sep' }),
            this.finder.box, button('‹', 'Previous hit (Shift+N)', () => this.finder.step(-1)), button('›', 'Next hit (N)', () => this.finder.step(1)), this.finder.words,
            h('span', { class: 'grow' }), this.viewText, this.emptyButton, this.unhideButton, this.menu.node, this.tableButton,
            button('PNG', 'Save what is in view as a picture', () => savePicture(this)),
            this.options.save ? button('HTML', 'Save the capture and its viewer as one HTML file', () => this.saveAll()) : null);
    }

    async saveAll() {
        this.live.textContent = 'Saving…';
        try {
            await this.options.save?.();
            this.live.textContent = 'Saved.';
        } catch (e) {
            this.live.textContent = `Not saved: ${e instanceof Error ? e.message : e}`;
            this.live.classList.remove('visually-hidden');
        }
    }

    startView() {
        const { range, params } = this.options;
        const wanted = parseRange(params.t);
        if (range) {
            this.view.from = range[0];
            this.view.to = range[1];
            this.view.fit();
        } else if (wanted) {
            this.view.set(wanted[0], wanted[1]);
            this.wantedView = wanted;
        }
    }

    listen() {
        const resized = new ResizeObserver(() => this.resize());
        resized.observe(this.body);
        this.undo.push(() => resized.disconnect(), onTheme(() => { this.showSide(); this.invalidate(); }));
        this.body.addEventListener('scroll', () => this.invalidate());
        listenPointer(this);
        listenAxis(this);
        if (!this.compact) this.undo.push(bind(timelineKeys(this)));
    }

    destroy() {
        for (const undo of this.undo) undo();
        cancelAnimationFrame(this.frame);
        cancelAnimationFrame(this.around);
        clearTimeout(this.keepTimer);
        this.rangeTurn++;
    }

    focusLanes() {
        this.body.focus({ preventScroll: true });
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

    // ---- selection ----

    /** @param {Pick|null} pick */
    select(pick) {
        this.selected = pick;
        if (pick) {
            this.range = null;
            this.live.textContent = pickWords(this.model, pick, this.nsPerPx).join(', ') + (pick.lane ? `, ${visible(this.model.laneName(pick.lane), 80)}` : '');
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

    /** What a lane did at a time, its state first. @param {number} laneId @param {number} t */
    goToLane(laneId, t) {
        const lane = this.model.lanes.get(laneId);
        const slice = lane?.rows.filter((r) => r.table !== 'lost').map((r) => sliceAt(r, t)).find((s) => s !== null);
        if (lane && slice) this.goTo({ slice, lane, mark: -1 });
    }

    /** @param {-1|1} step back to who woke the selected thread, or on to whom it woke */
    followWake(step) {
        const s = this.selected?.slice;
        const wake = s && wakeOf(this.model, s, step);
        if (wake) this.goToLane(step < 0 ? wake.from : wake.to, step < 0 ? wake.t : wake.t + 1);
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
        else if (this.selected) fill(this.side, ...pickDetails(model, this.selected, this.options.link, (lane, t) => this.goToLane(lane, t)));
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
        const old = () => turn !== this.rangeTurn;
        const states = await inPieces(stateStats(this.model, range[0], range[1]), old);
        const regions = states && (await inPieces(rangeStats(this.model, range[0], range[1]), old));
        if (states && regions && !old() && this.range) fill(this.side, ...rangeDetails(this.model, range, { states, regions }, this.rangeActs()));
    }

    rangeOfSelection() {
        const s = this.selected?.slice;
        this.setRange(s ? [s.seg.start[s.i], s.seg.start[s.i] + s.seg.dur[s.i]] : [Math.max(0, this.view.t0), Math.min(this.model.duration, this.view.t1)], true);
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

    // ---- lanes ----

    relayout() {
        this.layout = new Layout(this.model, this.choices());
        this.names.clear();
        this.invalidate();
    }

    toggleEmpty() {
        if (!this.shown.delete('idle')) this.shown.add('idle');
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

    // ---- frames ----

    /** More of the capture has arrived. */
    grown() {
        this.view.setDuration(this.model.duration);
        if (this.wantedView) this.view.set(this.wantedView[0], this.wantedView[1]);
        if (!this.model.loading) this.wantedView = null;
        this.layout = new Layout(this.model, this.choices());
        if (!this.range && !this.model.loading) this.showSide(); /* wakes and stacks of a selection come last */
        if (this.pendingSelect) this.restoreSelection();
        if (!this.model.loading && this.options.params.q) this.finder.run(this.options.params.q, false);
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
        drawOverlay(context(this.over), { model: this.model, layout: this.layout, scrollTop: this.body.scrollTop, t0: this.view.t0, t1: this.view.t1, width: this.width, height: this.height, dpr,
            hover: this.hover, selected: this.selected, range: this.range, cursorX: this.cursorX, wakes: this.shown.has('wakes') });
    }

    drawBase() {
        const { view, width, height, model } = this;
        const scrollTop = this.body.scrollTop;
        this.sizeLayers();
        const dpr = sizeCanvas(this.base, width, height);
        const boxes = this.layout.visible(scrollTop, scrollTop + height);
        this.painter.draw(context(this.base), { model, boxes, scrollTop, t0: view.t0, t1: view.t1, width, height, dpr, gc: this.shown.has('gc') });
        this.names.draw(boxes, scrollTop);
        this.lanesLabel.textContent = `${count(this.layout.boxes.length)} ${this.layout.boxes.length === 1 ? 'lane' : 'lanes'}`;
        if (!model.loading) this.drawAround();
        else if (!this.around) this.around = requestAnimationFrame(() => this.drawAround()); /* the page has other things to do then: two short frames */
    }

    /** Axis, overview and bar. */
    drawAround() {
        const { view, width } = this;
        this.around = 0;
        const axisDpr = sizeCanvas(this.axis, width, AXIS_HEIGHT);
        const g = context(this.axis);
        const p = palette();
        this.axis.style.maxWidth = `${width}px`;
        g.setTransform(axisDpr, 0, 0, axisDpr, 0, 0);
        drawAxis(g, view, width, AXIS_HEIGHT, { text: p.get('text'), line: p.get('line-strong'), muted: p.get('muted') });
        if (!this.compact) this.drawFrame();
    }

    sizeLayers() {
        const { width, height } = this;
        const total = `${Math.max(this.layout.height, 40)}px`;
        if (this.space.style.height !== total) this.space.style.height = total;
        for (const [node, w] of /** @type {[HTMLElement, number][]} */ ([[this.stick, 0], [this.base, width], [this.over, width]])) {
            if (w && node.style.width !== `${w}px`) node.style.width = `${w}px`;
            if (node.style.height !== `${height}px`) node.style.height = `${height}px`;
        }
    }

    /** What is around the lanes. */
    drawFrame() {
        this.minimap.canvas.style.maxWidth = `${this.width}px`;
        this.minimap.draw(this.model, this.width);
        this.drawBar();
        if (!this.table.hidden) fillSliceList(this, this.table);
        this.keep();
    }

    drawBar() {
        const { layout, viewText, emptyButton, unhideButton } = this;
        const showEmpty = this.shown.has('idle');
        viewText.textContent = `${instant(Math.max(0, this.view.t0), this.view.span / 1000)} + ${duration(this.view.span)}`;
        emptyButton.hidden = layout.emptyCount === 0 && !showEmpty;
        emptyButton.textContent = showEmpty ? 'Hide idle threads' : `${count(layout.emptyCount)} idle ${layout.emptyCount === 1 ? 'thread' : 'threads'}`;
        emptyButton.setAttribute('aria-pressed', String(showEmpty));
        unhideButton.hidden = layout.hiddenCount === 0;
        unhideButton.textContent = `Show ${count(layout.hiddenCount)} hidden`;
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
                q: this.finder.box.value || undefined,
                pin: [...this.pinned].join(',') || undefined,
                hide: [...this.hidden].join(',') || undefined,
                show: formatShow(this.by, this.shown) || undefined,
            });
        }, KEEP_MS);
    }
}
