// lanes.js - where lanes and their rows lie, top down. Pure: model and choices in, boxes out.

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {import('../data/types.js').Lane} Lane */
/** @typedef {import('../data/types.js').Row} Row */
/** @typedef {{row: Row, y: number, height: number}} RowBox */
/** @typedef {{kind: 'lane', id: number, lane: Lane, y: number, height: number, rows: RowBox[], marksY: number, title: string}
 *        | {kind: 'series', id: number, series: import('../data/types.js').Series, y: number, height: number, title: string}} LaneBox */

export const ROW_HEIGHT = { work: 13, wait: 13, gc: 9, region: 17, lost: 0 };
export const MARKS_HEIGHT = 12;
const SERIES_HEIGHT = 34;
const LANE_PAD = 4;
const LANE_MIN = 22;

/** @typedef {{only: Set<number>|null, pinned: Set<number>, hidden: Set<number>, showEmpty: boolean, series: boolean}} Choices */

/** @param {Lane} lane */
export function isEmptyLane(lane) {
    return lane.rows.length === 0 && lane.marks.t.length === 0;
}

export class Layout {
    /** @param {Model} model @param {Choices} choices */
    constructor(model, choices) {
        /** @type {LaneBox[]} */
        this.boxes = [];
        this.height = 0;
        this.hiddenCount = 0;
        this.emptyCount = 0;
        const lanes = model.sortedLanes().filter((l) => this.wanted(l, choices));
        const pinned = lanes.filter((l) => choices.pinned.has(l.id));
        for (const lane of pinned) this.addLane(model, lane);
        if (choices.series) model.series().forEach((series, i) => this.addSeries(series, i));
        for (const lane of lanes) if (!choices.pinned.has(lane.id)) this.addLane(model, lane);
    }

    /** @param {Lane} lane @param {Choices} choices */
    wanted(lane, choices) {
        if (choices.only) return choices.only.has(lane.id);
        if (choices.hidden.has(lane.id)) {
            this.hiddenCount++;
            return false;
        }
        if (isEmptyLane(lane) && !choices.showEmpty && !choices.pinned.has(lane.id)) {
            this.emptyCount++;
            return false;
        }
        return true;
    }

    /** @param {Model} model @param {Lane} lane */
    addLane(model, lane) {
        let y = this.height + LANE_PAD;
        /** @type {RowBox[]} */
        const rows = [];
        for (const row of lane.rows) {
            const height = ROW_HEIGHT[row.table];
            if (height === 0) continue;
            rows.push({ row, y, height: height - 1 });
            y += height;
        }
        const marksY = lane.marks.t.length > 0 ? y : -1;
        if (marksY >= 0) y += MARKS_HEIGHT;
        const height = Math.max(LANE_MIN, y + LANE_PAD - this.height);
        this.boxes.push({ kind: 'lane', id: lane.id, lane, y: this.height, height, rows, marksY, title: model.laneName(lane) });
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
