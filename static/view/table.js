// table.js - a sortable table of any length: only the rows in view exist. A real <table>, so that screen readers know what it is.

import { fill, h, heads } from '../dom.js';
import { saveCsv } from './csv.js';

/** @typedef {import('../dom.js').Child} Child */
/**
 * @template T
 * @typedef {{title: string, cell: (row: T) => Child, sort?: (a: T, b: T) => number, num?: boolean, name?: boolean, bar?: boolean, down?: boolean}} Column  down: largest first at the first click
 */

const ROW_HEIGHT = 28;
/** Up to this many rows the table is simply whole, and scrolls with the page. */
const WHOLE_MAX = 60;
const OVERSCAN = 8;

/** @template T */
export class Table {
    /**
     * @param {string} label @param {Column<T>[]} columns @param {T[]} rows
     * @param {{sorted?: number, selected?: (row: T) => boolean, csv?: string}} [options] sorted: column by which the rows already come; csv: name of the file that a button saves
     */
    constructor(label, columns, rows, options = {}) {
        this.columns = columns;
        this.rows = rows.slice();
        this.options = options;
        this.sortBy = options.sorted ?? -1;
        this.down = this.sortBy >= 0 && (columns[this.sortBy].down ?? false);
        this.head = h('tr', null);
        this.tbody = h('tbody', null);
        this.table = h('table', { 'aria-label': label, 'aria-rowcount': rows.length + 1 }, h('thead', null, this.head), this.tbody);
        this.whole = rows.length <= WHOLE_MAX;
        this.area = h('div', { class: this.whole ? 'scroll' : 'virtual', tabindex: 0, role: 'region', 'aria-label': label, onscroll: () => this.draw() }, this.table);
        const csv = options.csv;
        this.node = csv === undefined || rows.length === 0 ? this.area : h('div', { class: 'tablebox' }, this.area, h('button', { type: 'button', class: 'quiet csv', 'aria-label': `Save ${label} as CSV`, onclick: () => saveCsv(csv, this.asText()) }, 'CSV'));
        this.drawHead();
        this.draw();
        if (!this.whole) requestAnimationFrame(() => this.draw());
    }

    drawHead() {
        fill(this.head, this.columns.map((c, k) => {
            const sorted = this.sortBy === k ? (this.down ? 'descending' : 'ascending') : null;
            return h('th', { scope: 'col', class: c.num ? 'num' : '', 'aria-sort': sorted },
                c.sort ? h('button', { type: 'button', onclick: () => this.sort(k) }, c.title, sorted ? (this.down ? ' ▾' : ' ▴') : '') : c.title);
        }));
    }

    /** @param {number} k */
    sort(k) {
        const compare = this.columns[k].sort;
        if (!compare) return;
        this.down = this.sortBy === k ? !this.down : (this.columns[k].down ?? false);
        this.sortBy = k;
        const sign = this.down ? -1 : 1;
        this.rows.sort((a, b) => sign * compare(a, b));
        this.drawHead();
        this.draw();
        /** @type {HTMLElement|null} */ (this.head.children[k].querySelector('button'))?.focus();
    }

    draw() {
        const n = this.rows.length;
        const from = this.whole ? 0 : Math.max(0, Math.floor(this.area.scrollTop / ROW_HEIGHT) - OVERSCAN);
        const to = this.whole ? n : Math.min(n, from + Math.ceil((this.area.clientHeight || 600) / ROW_HEIGHT) + 2 * OVERSCAN);
        const pad = (/** @type {number} */ rows) => (rows > 0 ? h('tr', { class: 'pad', 'aria-hidden': 'true' }, h('td', { colspan: this.columns.length, style: { height: `${rows * ROW_HEIGHT}px` } })) : null);
        fill(this.tbody, pad(from), this.rows.slice(from, to).map((row, i) => this.rowNode(row, from + i)), pad(n - to));
    }

    /** What the cells show, row by row. @returns {string[][]} */
    asText() {
        const columns = this.columns.filter((c) => c.title !== '' && !c.bar);
        return [columns.map((c) => c.title), ...this.rows.map((row) => columns.map((c) => h('span', null, c.cell(row)).textContent ?? ''))];
    }

    /** @param {T} row @param {number} index */
    rowNode(row, index) {
        return h('tr', { 'aria-rowindex': index + 2, 'aria-selected': this.options.selected?.(row) ? 'true' : null },
            this.columns.map((c) => h('td', { class: [c.num ? 'num' : '', c.name ? 'name' : '', c.bar ? 'barcell' : ''].join(' ').trim() || null }, c.cell(row))));
    }
}

/** What a chart shows in numbers, closed under it. @param {string} label @param {string[]} titles @param {string[][]} rows */
export function asTable(label, titles, rows) {
    return h('details', null, h('summary', null, 'As a table'), h('table', { 'aria-label': label }, heads(...titles.map((t) => `>${t}`)),
        h('tbody', null, rows.map((r) => h('tr', null, r.map((c) => h('td', { class: 'num' }, c)))))));
}

/** @template T @param {(row: T) => number} get @returns {(a: T, b: T) => number} missing values first */
export function byNumber(get) {
    return (a, b) => {
        const [x, y] = [get(a), get(b)];
        return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : -1) : Number.isNaN(y) ? 1 : x - y;
    };
}

/** A bar as long as its share, for a cell beside the number it shows. @param {number} part @param {number} whole */
export function shareBar(part, whole) {
    return h('span', { class: 'bar', 'aria-hidden': 'true', style: { width: `${whole > 0 ? Math.max(0, Math.min(100, (100 * part) / whole)) : 0}%` } });
}
