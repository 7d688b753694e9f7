// lanes.js - where lanes and their rows lie, top down. Pure: model and choices in, boxes out.

import { kindLanes, objectLanes } from '../data/derived.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Lane} Lane */
/** @typedef {import('../data/types.js').Row} Row */
/** @typedef {{row: Row, y: number, height: number}} RowBox */
/** @typedef {{kind: 'lane', id: number, lane: Lane, y: number, height: number, rows: RowBox[], marksY: number, title: string}
 *        | {kind: 'series', id: number, series: import('../data/types.js').Series, y: number, height: number, title: string}} LaneBox */

/** @typedef {'thread'|'process'|'cpu'|'task'|'object'} By */

export const ROW_HEIGHT = { cpu: 15, state: 19, work: 13, wait: 13, gc: 9, region: 17, call: 12, lost: 0 };
export const MARKS_HEIGHT = 12;
const SERIES_HEIGHT = 34;
const LANE_PAD = 4;
const LANE_MIN = 22;

/** shown: tables and parts that are drawn; only: nothing but these lanes @typedef {{only: Set<number>|null, pinned: Set<number>, hidden: Set<number>, by: By, shown: Set<string>}} Choices */

/** @param {Lane} lane */
export function isEmptyLane(lane) {
    return lane.rows.length === 0 && lane.marks.t.length === 0;
}

/** @param {Model} model @param {By} by @returns {Lane[]} */
function lanesBy(model, by) {
    if (by === 'cpu') return model.cpuLanes();
    if (by === 'object') return objectLanes(model);
    if (by === 'task') return kindLanes(model);
    const lanes = model.sortedLanes();
    return by === 'process' ? lanes.slice().sort((a, b) => a.pid - b.pid) : lanes;
}

export class Layout {
    /** @param {Model} model @param {Choices} choices */
    constructor(model, choices) {
        this.choices = choices;
        /** @type {LaneBox[]} */
        this.boxes = [];
        this.height = 0;
        this.hiddenCount = 0;
        this.emptyCount = 0;
        const compact = choices.only !== null;
        const lanes = lanesBy(model, choices.by).filter((l) => this.wanted(l));
        for (const lane of lanes) if (choices.pinned.has(lane.id)) this.addLane(model, lane);
        if (choices.shown.has('series') && !compact) model.series().forEach((series, i) => this.addSeries(series, i));
        if (choices.shown.has('cpu') && !compact && choices.by !== 'cpu') for (const lane of model.cpuLanes()) if (this.wanted(lane)) this.addLane(model, lane);
        for (const lane of lanes) if (!choices.pinned.has(lane.id)) this.addLane(model, lane);
    }

    /** @param {Lane} lane */
    wanted(lane) {
        const { only, hidden, shown, pinned } = this.choices;
        if (only) return only.has(lane.id);
        if (hidden.has(lane.id)) {
            this.hiddenCount++;
            return false;
        }
        if (isEmptyLane(lane) && !shown.has('idle') && !pinned.has(lane.id)) {
            this.emptyCount++;
            return false;
        }
        return true;
    }

    /** @param {Model} model @param {Lane} lane */
    addLane(model, lane) {
        const { shown, by } = this.choices;
        let y = this.height + LANE_PAD;
        /** @type {RowBox[]} */
        const rows = [];
        for (const row of lane.rows) {
            const height = ROW_HEIGHT[row.table];
            if (height === 0 || (row.table !== 'cpu' && lane.kind !== 'derived' && !shown.has(row.table))) continue;
            rows.push({ row, y, height: height - 1 });
            y += height;
        }
        const marksY = lane.marks.t.length > 0 && shown.has('marks') ? y : -1;
        if (marksY >= 0) y += MARKS_HEIGHT;
        const height = Math.max(LANE_MIN, y + LANE_PAD - this.height);
        const title = lane.kind === 'derived' ? lane.name : by === 'process' && lane.pid ? `${lane.pid} · ${model.laneName(lane)}` : model.laneName(lane);
        this.boxes.push({ kind: 'lane', id: lane.id, lane, y: this.height, height, rows, marksY, title });
        this.height += height;
    }

    /** @param {import('../data/types.js').Series} series @param {number} i */
    addSeries(series, i) {
        const title = series.kind === 'depth' ? `${series.title} · depth` : series.title;
        this.boxes.push({ kind: 'series', id: -1000 - i, series, y: this.height, height: SERIES_HEIGHT, title });
        this.height += SERIES_HEIGHT;
    }

    /** Boxes that reach into [y0, y1). @param {number} y0 @param {number} y1 */
    visible(y0, y1) {
        let lo = 0;
        let hi = this.boxes.length;
        while (lo < hi) {
            const mid = (lo + hi) >> 1;
            if (this.boxes[mid].y + this.boxes[mid].height <= y0) lo = mid + 1;
            else hi = mid;
        }
        const from = lo;
        while (lo < this.boxes.length && this.boxes[lo].y < y1) lo++;
        return this.boxes.slice(from, lo);
    }

    /** @param {number} y @returns {{box: LaneBox, row: RowBox|null, marks: boolean}|null} */
    at(y) {
        const box = this.visible(y, y + 1)[0];
        if (!box) return null;
        if (box.kind === 'series') return { box, row: null, marks: false };
        const row = box.rows.find((r) => y >= r.y && y <= r.y + r.height) ?? null;
        return { box, row, marks: box.marksY >= 0 && y >= box.marksY && y < box.marksY + MARKS_HEIGHT };
    }

    /** @param {Row} row @returns {{box: LaneBox, row: RowBox}|null} */
    boxOf(row) {
        const box = this.boxes.find((b) => b.kind === 'lane' && b.id === row.lane);
        if (!box || box.kind !== 'lane') return null;
        const found = box.rows.find((r) => r.row === row);
        return found ? { box, row: found } : null;
    }

    /** @param {number} laneId */
    laneBox(laneId) {
        return this.boxes.find((b) => b.kind === 'lane' && b.id === laneId) ?? null;
    }
}
