// draw.js - the base layer: everything that depends on model, view and theme alone. Hover and selection are overlay.js.
//
//   slices -> calc/lod.js -> one line of pixels a row -> strip image (width x rows) -> each line stretched to its row's height
//
// Only then come, for the few slices that are wide enough, labels and torn edges, and marks, series and hatched losses.

import { PixelLine, levelFor, paintRow, paintSeries } from '../calc/lod.js';
import { RUNNABLE, RUNNING, STATES, UNKNOWN, STATE_LETTERS, unpackPlace } from '../data/states.js';
import { ESTIMATED, OPEN_END, OPEN_START, SERIES_BLOCK, eachSlice, segAfter, upperBound } from '../data/model.js';
import { HUE } from '../data/hues.js';
import { bytes, value, visible } from '../fmt.js';
import { MARKS_HEIGHT } from './lanes.js';
import { palette } from './palette.js';
import { tickStep, ticks } from './axis.js';

/** Wide enough for three letters. */
const LABEL_FROM_PX = 24;
const TORN_FROM_PX = 5;
/** Something that fills less of a pixel must still be seen. */
const COVER_LEAST = 0.3;
/** Running fills a row, runnable two thirds of it and dotted, blocked half: three bands from top to bottom, each with fewer states left out. */
const STATE_BANDS = [{ from: 0, to: 1 / 3, least: 0 }, { from: 1 / 3, to: 1 / 2, least: 1 }, { from: 1 / 2, to: 1, least: 2 }];
const WHOLE = { from: 0, to: 1, least: 2 };
const HATCH_FROM_PX = 12;
const FONT = '11px system-ui, "Liberation Sans", sans-serif';
const FONT_SMALL = '10px system-ui, "Liberation Sans", sans-serif';

/** @typedef {import('./lanes.js').LaneBox} LaneBox */
/** @typedef {import('./lanes.js').RowBox} RowBox */
/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{model: Model, boxes: LaneBox[], scrollTop: number, t0: number, t1: number, width: number, height: number, dpr: number, gc: boolean}} Scene */

export class Painter {
    constructor() {
        this.strip = document.createElement('canvas');
        const g = this.strip.getContext('2d', { willReadFrequently: true });
        if (!g) throw new Error('This browser has no 2D canvas.');
        this.stripContext = g;
        /** @type {ImageData|null} */
        this.image = null;
        this.pixels = new Uint32Array(0);
        this.line = new PixelLine(0);
        this.lo = new Float64Array(0);
        this.hi = new Float64Array(0);
        /** Text of a name and its width in pixels, by string number. @type {Map<number, {text: string, width: number}>} */
        this.labels = new Map();
        /** @type {Model|null} */
        this.labelsOf = null;
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene */
    draw(g, scene) {
        const { width, height, dpr } = scene;
        const p = palette();
        if (this.labelsOf !== scene.model) {
            this.labels.clear();
            this.labelsOf = scene.model;
        }
        g.setTransform(dpr, 0, 0, dpr, 0, 0);
        g.fillStyle = p.get('bg');
        g.fillRect(0, 0, width, height);
        this.outside(g, scene);
        this.grid(g, scene);
        if (scene.gc) this.gcBands(g, scene);
        const rows = scene.boxes.flatMap((b) => (b.kind === 'lane' ? b.rows : []));
        this.rows(g, scene, rows);
        this.texts(g, scene, rows);
        for (const box of scene.boxes) {
            if (box.kind === 'series') this.series(g, scene, box);
            else this.laneExtras(g, scene, box);
        }
    }

    /** The margin around the capture is not part of it. @param {CanvasRenderingContext2D} g @param {Scene} scene */
    outside(g, scene) {
        const x = (/** @type {number} */ t) => ((t - scene.t0) / (scene.t1 - scene.t0)) * scene.width;
        g.fillStyle = palette().get('sunken');
        const left = x(0);
        const right = x(scene.model.duration);
        if (left > 0) g.fillRect(0, 0, left, scene.height);
        if (right < scene.width) g.fillRect(right, 0, scene.width - right, scene.height);
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene */
    grid(g, scene) {
        const step = tickStep(scene.t1 - scene.t0, scene.width);
        g.strokeStyle = palette().get('grid');
        g.lineWidth = 1;
        g.beginPath();
        for (const t of ticks(scene.t0, scene.t1, step)) {
            const x = Math.round(((t - scene.t0) / (scene.t1 - scene.t0)) * scene.width) + 0.5;
            g.moveTo(x, 0);
            g.lineTo(x, scene.height);
        }
        g.stroke();
        g.strokeStyle = palette().get('line');
        g.beginPath();
        for (const box of scene.boxes) {
            const y = Math.round(box.y + box.height - scene.scrollTop) - 0.5;
            g.moveTo(0, y);
            g.lineTo(scene.width, y);
        }
        g.stroke();
    }

    /** A collector holds up everybody, so its phases are seen in all lanes. @param {CanvasRenderingContext2D} g @param {Scene} scene */
    gcBands(g, scene) {
        const rows = scene.model.rowsOf('gc');
        if (rows.length === 0) return;
        const px = (scene.t1 - scene.t0) / scene.width;
        const line = this.lineOf(scene.width);
        for (const row of rows) paintRow(line, row.segs, scene.t0, px);
        g.fillStyle = palette().get('gc-band');
        for (let x = 0; x < scene.width; x++) {
            if (line.cover[x] < 0.25) continue;
            const from = x;
            while (x < scene.width && line.cover[x] >= 0.25) x++;
            g.fillRect(from, 0, x - from, scene.height);
        }
    }

    /** @param {number} width */
    lineOf(width) {
        if (this.line.width !== width) this.line = new PixelLine(width);
        else this.line.clear();
        return this.line;
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene @param {RowBox[]} rows */
    rows(g, scene, rows) {
        if (rows.length === 0) return;
        const w = Math.round(scene.width * scene.dpr);
        const px = (scene.t1 - scene.t0) / w;
        const bands = rows.flatMap((box) => (box.row.table === 'state' ? STATE_BANDS : [WHOLE]).map((band) => ({ box, band })));
        if (!this.image || this.strip.width !== w || this.strip.height < bands.length) {
            this.strip.width = w;
            this.strip.height = Math.max(bands.length, this.strip.height);
            this.image = new ImageData(w, this.strip.height);
            this.pixels = new Uint32Array(this.image.data.buffer);
        }
        const colours = palette().rgb.map(([r, gr, b]) => r | (gr << 8) | (b << 16));
        bands.forEach(({ box, band }, k) => {
            if (band.from === 0) {
                this.lineOf(w);
                paintRow(this.line, box.row.segs, scene.t0, px);
            }
            const out = this.pixels.subarray(k * w, (k + 1) * w);
            colourLine(out, this.line, colours);
            if (band !== WHOLE) thinOut(out, this.line, band, scene.dpr);
        });
        this.stripContext.putImageData(this.image, 0, 0, 0, 0, w, bands.length);
        g.imageSmoothingEnabled = false;
        bands.forEach(({ box, band }, k) => {
            const y = Math.round(box.y - scene.scrollTop);
            const [from, to] = [Math.round(box.height * band.from), Math.round(box.height * band.to)];
            g.drawImage(this.strip, 0, k, w, 1, 0, y + from, scene.width, to - from);
        });
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene @param {RowBox[]} rows */
    texts(g, scene, rows) {
        const px = (scene.t1 - scene.t0) / scene.width;
        g.textBaseline = 'middle';
        for (const box of rows) {
            const { segs } = box.row;
            for (let s = segAfter(segs, scene.t0); s < segs.length && segs[s].t0 < scene.t1; s++) {
                const seg = segs[s];
                if (seg.longest < TORN_FROM_PX * px) continue;
                if (levelFor(seg, px / scene.dpr) >= 0) {
                    for (const i of seg.wide) this.decorate(g, scene, box, seg, i, px);
                } else {
                    for (let i = Math.max(0, upperBound(seg.start, seg.n, scene.t0) - 1); i < seg.n && seg.start[i] < scene.t1; i++) this.decorate(g, scene, box, seg, i, px);
                }
            }
        }
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene @param {RowBox} box @param {import('../data/types.js').Seg} seg @param {number} i @param {number} px */
    decorate(g, scene, box, seg, i, px) {
        const dur = seg.dur[i];
        if (dur < TORN_FROM_PX * px) return;
        const from = (seg.start[i] - scene.t0) / px;
        const to = from + dur / px;
        const y = Math.round(box.y - scene.scrollTop);
        if (to < 0 || from > scene.width) return;
        if (box.row.table === 'state') return stateSigns(g, box, y, seg, i, Math.max(0, from), Math.min(scene.width, to));
        if (seg.flags[i] & OPEN_START) torn(g, from, y, box.height, 1);
        if (seg.flags[i] & OPEN_END) torn(g, to, y, box.height, -1);
        const left = Math.max(0, from) + 4 + (seg.flags[i] & OPEN_START ? 3 : 0);
        const room = Math.min(scene.width, to) - left - (seg.flags[i] & OPEN_END ? 8 : 3);
        if (room < LABEL_FROM_PX - 7 || box.row.table === 'gc') return;
        g.font = box.height > 13 ? FONT : FONT_SMALL;
        const label = this.label(g, scene.model, box.row, seg, i);
        const text = fit(label, room);
        if (!text) return;
        g.fillStyle = seg.hue[i] === HUE.waitFull ? '#1b1200' : palette().get(seg.hue[i] === HUE.waitEmpty ? 'muted' : 'slice-text');
        g.fillText(text, left, y + box.height / 2 + 0.5);
    }

    /** @param {CanvasRenderingContext2D} g @param {Model} model @param {import('../data/types.js').Row} row @param {import('../data/types.js').Seg} seg @param {number} i */
    label(g, model, row, seg, i) {
        const byTask = row.table === 'work';
        const key = row.table === 'cpu' ? -1e12 - seg.name[i] - 2 ** 24 * (seg.extra?.[i] ?? 0) : byTask ? -3 - seg.task[i] : row.table === 'wait' || row.table === 'call' ? 1e9 + (row.table === 'call' ? 2 ** 50 : 0) + seg.name[i] + 65536 * (seg.extra ? seg.extra[i] : 0) : seg.name[i];
        let known = this.labels.get(key);
        if (!known) {
            const text = visible(byTask ? model.taskTitle(seg.task[i]) : sliceText(model, row, seg, i), 160);
            known = { text, width: g.measureText(text).width };
            if (this.labels.size > 50000) this.labels.clear();
            if (!byTask || !model.loading) this.labels.set(key, known); /* a task's kind may still be on its way */
        }
        return known;
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene @param {LaneBox & {kind: 'lane'}} box */
    laneExtras(g, scene, box) {
        if (box.marksY >= 0) this.marks(g, scene, box);
        const lost = box.lane.rows.find((r) => r.table === 'lost');
        if (!lost) return;
        const px = (scene.t1 - scene.t0) / scene.width;
        const y = box.y - scene.scrollTop + 1;
        let drawnTo = -1;
        eachSlice(lost, scene.t0, scene.t1, (seg, i) => {
            const from = Math.max(0, (seg.start[i] - scene.t0) / px);
            const to = Math.min(scene.width, Math.max(from + 3, (seg.start[i] + seg.dur[i] - scene.t0) / px));
            if (to <= drawnTo + 1) return;
            hatch(g, from, y, to - from, box.height - 2, palette().css[HUE.lost]);
            drawnTo = to;
        });
    }

    /** Log lines are triangles, instants diamonds. Where they lie closer than a sign is wide, one stands for all. @param {CanvasRenderingContext2D} g @param {Scene} scene @param {LaneBox & {kind: 'lane'}} box */
    marks(g, scene, box) {
        const { t, text } = box.lane.marks;
        const px = (scene.t1 - scene.t0) / scene.width;
        const y = box.marksY - scene.scrollTop + MARKS_HEIGHT / 2 - 1;
        g.fillStyle = palette().get('mark');
        g.beginPath();
        let i = upperBound(t, t.length, scene.t0 - 5 * px);
        while (i < t.length && t[i] <= scene.t1 + 5 * px) {
            const x = (t[i] - scene.t0) / px;
            const next = upperBound(t, t.length, t[i] + 5 * px);
            if (next - i > 3) g.rect(x - 1, y - 4, 5, 8);
            else if (text[i] === null) diamond(g, x, y);
            else triangle(g, x, y);
            i = Math.max(i + 1, next);
        }
        g.fill();
    }

    /** @param {CanvasRenderingContext2D} g @param {Scene} scene @param {LaneBox & {kind: 'series'}} box */
    series(g, scene, box) {
        const { series } = box;
        const w = Math.ceil(scene.width);
        if (this.lo.length < w) {
            this.lo = new Float64Array(w);
            this.hi = new Float64Array(w);
        }
        const px = (scene.t1 - scene.t0) / scene.width;
        paintSeries(series, SERIES_BLOCK, scene.t0, px, w, this.lo, this.hi);
        const low = Math.min(0, series.min);
        const scale = (box.height - 9) / (series.max - low || 1);
        const bottom = box.y + box.height - 4 - scene.scrollTop;
        const y = (/** @type {number} */ v) => bottom - (v - low) * scale;
        g.fillStyle = palette().get('series-fill');
        g.strokeStyle = palette().get('series');
        g.lineWidth = 1;
        const path = new Path2D();
        const end = Math.min(w, (scene.model.duration - scene.t0) / px);
        for (let x = 0; x < end; x++) {
            if (Number.isNaN(this.lo[x])) continue;
            const top = y(this.hi[x]);
            g.fillRect(x, top, 1, y(Math.max(0, low)) - top);
            path.moveTo(x, top);
            path.lineTo(x, Math.max(y(this.lo[x]), top + 1));
        }
        g.save();
        g.translate(0.5, 0);
        g.stroke(path);
        g.restore();
        g.font = FONT_SMALL;
        g.textBaseline = 'top';
        const most = series.title.includes('bytes') ? bytes(series.max) : value(series.max);
        g.fillStyle = palette().get('bg');
        g.globalAlpha = 0.8; /* the line runs behind it */
        g.fillRect(0, box.y - scene.scrollTop + 1, g.measureText(most).width + 6, 12);
        g.globalAlpha = 1;
        g.fillStyle = palette().get('muted');
        g.fillText(most, 3, box.y - scene.scrollTop + 2);
        g.textBaseline = 'middle';
    }
}

/** What a slice is called. @param {Model} model @param {import('../data/types.js').Row} row @param {import('../data/types.js').Seg} seg @param {number} i @returns {string} */
export function sliceText(model, row, seg, i) {
    switch (row.table) {
        case 'work': return model.taskTitle(seg.task[i]);
        case 'wait': return `${seg.extra ? (model.objects.get(seg.extra[i])?.name ?? `queue ${seg.extra[i]}`) : 'queue'}: ${model.string(seg.name[i])}`;
        case 'lost': return `lost: ${model.string(seg.name[i])}`;
        case 'call': return seg.extra && seg.extra[i] >= 0 ? `${model.string(seg.name[i])}: ${model.objectTitle(seg.extra[i])}` : model.string(seg.name[i]);
        case 'cpu': return model.runnerName(seg, i);
        case 'state': return stateText(model, seg, i);
        default: return model.string(seg.name[i]);
    }
}

/** @param {Model} model @param {import('../data/types.js').Seg} seg @param {number} i */
function stateText(model, seg, i) {
    const state = seg.name[i];
    const { object, cpu } = unpackPlace(seg.extra?.[i] ?? 0);
    if (state === RUNNING) return cpu >= 0 ? `running on CPU ${cpu}` : 'running';
    if (state === RUNNABLE) return 'runnable: waits for a CPU';
    const op = seg.detail && seg.detail[i] <= -2 ? ` in ${model.string(-2 - seg.detail[i])}` : '';
    const idle = seg.hue[i] === HUE.waitEmpty ? '; idle: waits for work' : '';
    const what = (object >= 0 ? `: ${model.objectTitle(object)}` : '') + op + (seg.flags[i] & ESTIMATED ? ' (about)' : '');
    if (state === UNKNOWN) return 'state unknown';
    return `${state === 2 ? 'blocked' : `blocked, ${STATES[state]}`}${what}${idle}`;
}

/** Takes out of a band what does not reach that high, and dots what is runnable. @param {Uint32Array} out @param {PixelLine} line @param {{least: number}} band @param {number} dpr */
function thinOut(out, line, band, dpr) {
    const dot = Math.max(1, Math.round(2 * dpr));
    for (let x = 0; x < line.width; x++) {
        if (out[x] === 0) continue;
        const hue = line.hue[x];
        const rank = hue === HUE.running ? 0 : hue === HUE.runnable ? 1 : 2;
        if (rank > band.least) out[x] = 0;
        else if (rank === 1 && ((x / dot) | 0) % 2 === 1) out[x] = (out[x] & 0x00ffffff) | 0x70000000;
    }
}

/** Hatches of one's own for each cause, and its letter. @param {CanvasRenderingContext2D} g @param {RowBox} box @param {number} y @param {import('../data/types.js').Seg} seg @param {number} i @param {number} from @param {number} to */
function stateSigns(g, box, y, seg, i, from, to) {
    const state = seg.name[i];
    if (seg.hue[i] === HUE.waitEmpty) return idleSign(g, box, y, from, to);
    const letter = STATE_LETTERS[state];
    if (!letter || to - from < HATCH_FROM_PX) return;
    const top = y + Math.round(box.height / 2);
    const height = box.height - Math.round(box.height / 2);
    g.save();
    g.beginPath();
    g.rect(from, top, to - from, height);
    g.clip();
    g.strokeStyle = palette().get('state-hatch');
    g.lineWidth = 1;
    g.beginPath();
    const step = 4 + state;
    const lean = state % 3 === 0 ? height : state % 3 === 1 ? -height : 0;
    for (let x = Math.floor((from - height) / step) * step; x < to + height; x += step) {
        g.moveTo(x, top + height);
        g.lineTo(x + lean, top);
    }
    g.stroke();
    g.restore();
    if (to - from < LABEL_FROM_PX) return;
    g.font = FONT_SMALL;
    g.fillStyle = palette().get('muted');
    g.fillText(letter, from + 3, y + box.height / 4 + 0.5);
}

/** Nothing happened, and that in one word. @param {CanvasRenderingContext2D} g @param {RowBox} box @param {number} y @param {number} from @param {number} to */
function idleSign(g, box, y, from, to) {
    if (to - from < LABEL_FROM_PX) return;
    g.font = FONT_SMALL;
    g.fillStyle = palette().get('muted');
    g.fillText('idle', from + 4, y + box.height / 4 + 0.5);
}

/** @param {Uint32Array} out @param {PixelLine} line @param {number[]} colours */
function colourLine(out, line, colours) {
    const { cover, hue, width } = line;
    for (let x = 0; x < width; x++) {
        const c = cover[x];
        if (c === 0) {
            out[x] = 0;
            continue;
        }
        const alpha = c > 0.996 ? 255 : (255 * (c < COVER_LEAST ? COVER_LEAST : c)) | 0;
        out[x] = (colours[hue[x]] | (alpha << 24)) >>> 0;
    }
}

/** @param {{text: string, width: number}} label @param {number} room */
function fit(label, room) {
    if (label.width <= room) return label.text;
    const keep = Math.floor((label.text.length * room) / label.width) - 2;
    if (keep < 2) return '';
    const end = /[\ud800-\udbff]/.test(label.text[keep - 1]) ? keep - 1 : keep;
    return label.text.slice(0, end) + '…';
}

/** Teeth in the background's colour: the slice goes on where we cannot see. @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} height @param {1|-1} inward */
function torn(g, x, y, height, inward) {
    const teeth = Math.max(2, Math.round(height / 5));
    g.fillStyle = palette().get('bg');
    g.beginPath();
    g.moveTo(x - inward, y);
    for (let k = 0; k < teeth; k++) {
        g.lineTo(x + 4 * inward, y + ((k + 0.5) * height) / teeth);
        g.lineTo(x - inward, y + ((k + 1) * height) / teeth);
    }
    g.fill();
}

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} w @param {number} height @param {string} colour */
function hatch(g, x, y, w, height, colour) {
    g.save();
    g.beginPath();
    g.rect(x, y, w, height);
    g.clip();
    g.strokeStyle = colour;
    g.lineWidth = 1.5;
    g.globalAlpha = 0.75;
    g.beginPath();
    const from = Math.floor((x - height) / 6) * 6;
    for (let k = from; k < x + w; k += 6) {
        g.moveTo(k, y + height);
        g.lineTo(k + height, y);
    }
    g.stroke();
    g.restore();
}

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y */
function diamond(g, x, y) {
    g.moveTo(x, y - 4);
    g.lineTo(x + 3.5, y);
    g.lineTo(x, y + 4);
    g.lineTo(x - 3.5, y);
    g.closePath();
}

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y */
function triangle(g, x, y) {
    g.moveTo(x, y + 4);
    g.lineTo(x - 3.5, y - 3);
    g.lineTo(x + 3.5, y - 3);
    g.closePath();
}

