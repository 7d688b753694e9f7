// overlay.js - the layer above: selection, hover, the range, search hits. Redrawn alone when only these change.

import { palette } from './palette.js';
import { MARKS_HEIGHT } from './lanes.js';
import { duration } from '../fmt.js';
import { wakesOf } from '../calc/wakes.js';

/** @typedef {import('../data/types.js').Slice} Slice */
/** @typedef {{slice: Slice|null, lane: import('../data/types.js').Lane|null, mark: number}} Pick  a slice, or a mark of a lane */
/** @typedef {{model: import('../data/model.js').Model, wakes: boolean, layout: import('./lanes.js').Layout, scrollTop: number, t0: number, t1: number, width: number, height: number, dpr: number,
 *   hover: Pick|null, selected: Pick|null, range: [number, number]|null, cursorX: number}} OverScene */

/** @param {CanvasRenderingContext2D} g @param {OverScene} scene */
export function drawOverlay(g, scene) {
    const { dpr, width, height } = scene;
    const p = palette();
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    g.clearRect(0, 0, width, height);
    if (scene.range) drawRange(g, scene, scene.range);
    if (scene.cursorX >= 0) {
        g.fillStyle = p.get('line-strong');
        g.fillRect(Math.round(scene.cursorX), 0, 1, height);
    }
    if (scene.hover) outline(g, scene, scene.hover, p.get('muted'), 1);
    if (scene.selected?.slice && scene.wakes) for (const wake of wakesOf(scene.model, scene.selected.slice)) arrow(g, scene, wake);
    if (scene.selected) outline(g, scene, scene.selected, p.get('select'), 2);
}

/** @param {CanvasRenderingContext2D} g @param {OverScene} scene @param {[number, number]} range */
function drawRange(g, scene, range) {
    const x0 = xOf(scene, range[0]);
    const x1 = xOf(scene, range[1]);
    const p = palette();
    g.fillStyle = p.get('range');
    g.fillRect(x0, 0, x1 - x0, scene.height);
    g.fillStyle = p.get('focus');
    g.fillRect(Math.round(x0), 0, 1, scene.height);
    g.fillRect(Math.round(x1), 0, 1, scene.height);
    const text = duration(range[1] - range[0]);
    g.font = '600 11px system-ui, sans-serif';
    const w = g.measureText(text).width + 10;
    const x = Math.min(Math.max((x0 + x1) / 2 - w / 2, 0), scene.width - w);
    g.fillRect(x, 3, w, 17);
    g.fillStyle = p.get('panel');
    g.textBaseline = 'middle';
    g.fillText(text, x + 5, 12);
}

/** From the thread that woke to the one it woke, both at that time; a lane out of sight has its arrow at the edge. @param {CanvasRenderingContext2D} g @param {OverScene} scene @param {import('../calc/wakes.js').Wake} wake */
function arrow(g, scene, wake) {
    const [from, to] = [wake.from, wake.to].map((id) => scene.layout.laneBox(id));
    if (!from || !to || from === to) return;
    const x = xOf(scene, wake.t);
    if (x < -2 || x > scene.width + 2) return;
    const [y0, y1] = [from, to].map((b) => Math.min(scene.height + 20, Math.max(-20, b.y + 11 - scene.scrollTop)));
    const down = Math.sign(y1 - y0);
    g.strokeStyle = g.fillStyle = palette().get('wake');
    g.lineWidth = 1.5;
    g.beginPath();
    g.arc(x, y0, 2.5, 0, 7);
    g.moveTo(x, y0);
    g.bezierCurveTo(x + 14, y0 + (y1 - y0) / 3, x + 14, y1 - (y1 - y0) / 3, x + 2, y1);
    g.stroke();
    g.beginPath();
    g.moveTo(x, y1);
    g.lineTo(x + 7, y1 - 4 * down - 3);
    g.lineTo(x + 6, y1 - 6 * down + 3);
    g.fill();
}

/** @param {OverScene} scene @param {number} t */
function xOf(scene, t) {
    return ((t - scene.t0) / (scene.t1 - scene.t0)) * scene.width;
}

/** @param {CanvasRenderingContext2D} g @param {OverScene} scene @param {Pick} pick @param {string} colour @param {number} thick */
function outline(g, scene, pick, colour, thick) {
    g.strokeStyle = colour;
    g.lineWidth = thick;
    if (pick.slice) {
        const { row, seg, i } = pick.slice;
        const found = scene.layout.boxOf(row);
        if (!found) return;
        const x0 = Math.max(-4, xOf(scene, seg.start[i]));
        const x1 = Math.min(scene.width + 4, Math.max(xOf(scene, seg.start[i] + seg.dur[i]), x0 + 3));
        g.strokeRect(x0 - thick / 2, Math.round(found.row.y - scene.scrollTop) - thick / 2, x1 - x0 + thick, found.row.height + thick);
        return;
    }
    const box = pick.lane ? scene.layout.laneBox(pick.lane.id) : null;
    if (!box || box.kind !== 'lane' || !pick.lane) return;
    g.strokeRect(xOf(scene, pick.lane.marks.t[pick.mark]) - 6, box.marksY - scene.scrollTop - 1, 12, MARKS_HEIGHT);
}
