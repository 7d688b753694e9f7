// minimap.js - all of the capture in one strip: how many lanes were busy when, where the search found something, and what is in view.

import { PixelLine, paintRow } from '../calc/lod.js';
import { HUE } from '../data/hues.js';
import { context, h, sizeCanvas } from '../dom.js';
import { palette } from './palette.js';

const HEIGHT = 42;
/** So long are rows summed before the page gets a turn again: 10,000 lanes must not stop it. */
const TURN_MS = 8;

export class Minimap {
    /** @param {import('./viewport.js').Viewport} view @param {() => void} changed */
    constructor(view, changed) {
        this.view = view;
        this.changed = changed;
        this.canvas = h('canvas', { class: 'tl-mini', role: 'img', 'aria-label': 'Overview: busy threads over the whole capture; drag to move the view' });
        this.busy = new Float32Array(0);
        this.madeFor = '';
        this.turns = 0;
        this.still = document.createElement('canvas');
        /** @type {unknown[]} */
        this.stillOf = [];
        /** @type {Float64Array} */
        this.hits = new Float64Array(0);
        this.dragging = false;
        this.canvas.addEventListener('pointerdown', (e) => this.drag(e, true));
        this.canvas.addEventListener('pointermove', (e) => this.drag(e, false));
        this.canvas.addEventListener('pointerup', () => { this.dragging = false; });
    }

    /** @param {PointerEvent} event @param {boolean} down */
    drag(event, down) {
        if (down) {
            this.dragging = true;
            this.canvas.setPointerCapture(event.pointerId);
        }
        if (!this.dragging) return;
        const [a, b] = this.view.bounds();
        const t = a + (event.offsetX / this.canvas.clientWidth) * (b - a);
        const span = this.view.atFit ? (b - a) / 10 : this.view.span;
        this.view.set(t - span / 2, t + span / 2);
        this.changed();
    }

    /**
     * Sums what tells best that a lane is busy: its tasks; its regions; that it runs or could. While a capture loads, each of its batches has this done anew:
     * then not in the frame that draws the lanes, which is long enough. @param {import('../data/model.js').Model} model @param {number} width
     */
    measure(model, width) {
        const [a, b] = this.view.bounds();
        const key = `${model.version} ${width} ${a} ${b}`;
        if (this.madeFor === key) return;
        this.madeFor = key;
        const px = (b - a) / width;
        const sum = new Float32Array(width);
        const line = new PixelLine(width);
        const rows = [...model.lanes.values()].map((l) => l.rows.find((r) => r.table === 'work') ?? l.rows.find((r) => r.table === 'region') ?? l.rows.find((r) => r.table === 'state')).filter((r) => r !== undefined);
        const turn = (/** @type {number} */ from) => {
            if (this.madeFor !== key) return;
            const until = performance.now() + TURN_MS;
            let k = from;
            for (; k < rows.length && performance.now() < until; k++) {
                line.clear();
                paintRow(line, rows[k].segs, a, px);
                const all = rows[k].table !== 'state';
                for (let x = 0; x < width; x++) if (all || line.hue[x] === HUE.running || line.hue[x] === HUE.runnable) sum[x] += Math.min(1, line.cover[x]);
            }
            this.turns++;
            if (k < rows.length) setTimeout(() => turn(k), 0);
            else if (from > 0 || model.loading) {
                this.busy = sum;
                requestAnimationFrame(() => this.draw(model, width));
            }
        };
        if (model.loading) return void setTimeout(() => turn(0), 0);
        turn(0);
        this.busy = sum;
    }

    /** What does not move with the view is drawn once. @param {number} width @param {number} dpr @param {(t: number) => number} x */
    drawStill(width, dpr, x) {
        const p = palette();
        const now = [this.busy, this.turns, this.hits, p, dpr];
        if (now.every((v, k) => v === this.stillOf[k])) return;
        this.stillOf = now;
        sizeCanvas(this.still, width, HEIGHT);
        const g = context(this.still);
        g.setTransform(dpr, 0, 0, dpr, 0, 0);
        g.fillStyle = p.get('panel');
        g.fillRect(0, 0, width, HEIGHT);
        const most = this.busy.reduce((m, v) => Math.max(m, v), 1);
        g.fillStyle = p.get('series');
        g.globalAlpha = 0.55;
        for (let k = 0; k < this.busy.length; k++) {
            const height = (this.busy[k] / most) * (HEIGHT - 9);
            if (height > 0) g.fillRect(k, HEIGHT - 3 - Math.max(1, height), 1, Math.max(1, height));
        }
        g.globalAlpha = 1;
        g.fillStyle = p.get('state-full');
        let last = -2;
        for (const t of this.hits) {
            const at = Math.round(x(t));
            if (at === last) continue;
            g.fillRect(at, 0, 1, 5);
            last = at;
        }
    }

    /** @param {import('../data/model.js').Model} model @param {number} width */
    draw(model, width) {
        if (width < 10) return;
        this.measure(model, width);
        const dpr = sizeCanvas(this.canvas, width, HEIGHT);
        const g = context(this.canvas);
        const p = palette();
        const [a, b] = this.view.bounds();
        const x = (/** @type {number} */ t) => ((t - a) / (b - a)) * width;
        g.setTransform(dpr, 0, 0, dpr, 0, 0);
        this.drawStill(width, dpr, x);
        g.drawImage(this.still, 0, 0, width, HEIGHT);
        const from = x(this.view.t0);
        const to = Math.max(from + 3, x(this.view.t1));
        g.fillStyle = p.get('sunken');
        g.globalAlpha = 0.72;
        g.fillRect(0, 0, from, HEIGHT);
        g.fillRect(to, 0, width - to, HEIGHT);
        g.globalAlpha = 1;
        g.strokeStyle = p.get('muted');
        g.lineWidth = 1;
        g.strokeRect(Math.round(from) + 0.5, 0.5, Math.round(to - from) - 1, HEIGHT - 1);
    }
}
