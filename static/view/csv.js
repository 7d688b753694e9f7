// csv.js - rows as comma-separated text (RFC 4180), for spreadsheets and scripts.

import { saveBlob } from './picture.js';

/**
 * A field that a spreadsheet would take for a formula gets an apostrophe before it: names come from the traced program.
 * @param {string|number} value
 */
export function csvField(value) {
    if (typeof value === 'number') return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/** @param {(string|number)[][]} rows */
export function csvText(rows) {
    return rows.map((r) => r.map(csvField).join(',') + '\r\n').join('');
}

/** @param {string} name @param {(string|number)[][]} rows */
export function saveCsv(name, rows) {
    saveBlob(`${name}.csv`, new Blob([csvText(rows)], { type: 'text/csv' }));
}
