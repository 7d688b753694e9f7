// names.js - the column of lane names: only those in view exist, and each is moved rather than made again.

import { h } from '../dom.js';
import { visible } from '../fmt.js';

/** @typedef {import('./timeline.js').Timeline} Timeline */
/** @typedef {import('./lanes.js').LaneBox} LaneBox */

/** Below this a lane has no room for a second line. */
const TWO_LINES_FROM_PX = 34;

export class Names {
    /** @param {Timeline} tl */
    constructor(tl) {
        this.tl = tl;
        this.node = h('div', { class: 'tl-names' });
        /** @type {Map<number, HTMLElement>} */
        this.made = new Map();
    }

    clear() {
        this.made.forEach((n) => n.remove());
        this.made.clear();
    }

    /** @param {LaneBox[]} boxes @param {number} scrollTop */
    draw(boxes, scrollTop) {
        const seen = new Set(boxes.map((b) => b.id));
        for (const [id, node] of this.made) {
            if (seen.has(id)) continue;
            node.remove();
            this.made.delete(id);
        }
        for (const box of boxes) {
            let node = this.made.get(box.id);
            if (!node || node.dataset.title !== box.title.slice(0, 200)) {
                node?.remove();
                node = this.make(box);
                this.made.set(box.id, node);
                this.node.append(node);
            }
            node.style.transform = `translateY(${Math.round(box.y - scrollTop)}px)`;
            if (node.style.height !== `${box.height}px`) node.style.height = `${box.height}px`;
        }
    }

    /** @param {LaneBox} box */
    make(box) {
        const { tl } = this;
        const title = visible(box.title, 200);
        const sub = box.kind === 'lane' && box.lane.tid && box.height > TWO_LINES_FROM_PX ? h('div', { class: 'sub' }, `tid ${box.lane.tid}`) : null;
        const pinned = tl.pinned.has(box.id);
        const act = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ run, /** @type {boolean|undefined} */ pressed) =>
            h('button', { type: 'button', 'aria-label': label, title: label, tabindex: -1, 'aria-pressed': pressed === undefined ? null : String(pressed), onclick: run }, text);
        const buttons = box.kind === 'lane' && !tl.compact ? [act('⇡', `Pin ${title}`, () => tl.togglePin(box.id), pinned), act('×', `Hide ${title}`, () => tl.hide(box.id), undefined)] : null;
        return h('div', { class: pinned ? 'tl-name pinned' : 'tl-name', title, 'data-title': box.title.slice(0, 200) }, h('span', null, h('bdi', { dir: 'ltr' }, title), sub), buttons);
    }
}
