// picture.js - what is in view as a PNG: the axis, the names, the lanes and what is selected.

import { h } from '../dom.js';
import { visible } from '../fmt.js';
import { palette } from './palette.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */

const NAMES_PX = 184;
const AXIS_PX = 24;

/** @param {Timeline} tl */
export function drawPicture(tl) {
    const dpr = tl.base.width / tl.width;
    const canvas = h('canvas', { width: Math.round((tl.width + NAMES_PX) * dpr), height: Math.round((tl.height + AXIS_PX) * dpr) });
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const p = palette();
    g.fillStyle = p.get('panel');
    g.fillRect(0, 0, canvas.width, canvas.height);
    g.scale(dpr, dpr);
    g.drawImage(tl.axis, NAMES_PX, 0, tl.width, AXIS_PX);
    for (const layer of [tl.base, tl.over]) g.drawImage(layer, NAMES_PX, AXIS_PX, tl.width, tl.height);
    g.font = '12px system-ui, sans-serif';
    g.textBaseline = 'top';
    g.fillStyle = p.get('text');
    for (const box of tl.layout.visible(tl.body.scrollTop, tl.body.scrollTop + tl.height)) g.fillText(visible(box.title, 40), 8, AXIS_PX + box.y - tl.body.scrollTop + 4, NAMES_PX - 16);
    return canvas;
}

/** @param {string} name @param {Blob} blob */
export function saveBlob(name, blob) {
    const url = URL.createObjectURL(blob);
    const link = h('a', { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** @param {Timeline} tl */
export function savePicture(tl) {
    drawPicture(tl).toBlob((blob) => { if (blob) saveBlob('timeline.png', blob); });
}
