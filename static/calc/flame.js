// flame.js - weighted paths -> a tree, and the tree -> rectangles. A node's width is what went through it.

/** @typedef {{name: string, total: number, self: number, n: number, children: Map<string, FlameNode>, lines: Map<string, number>}} FlameNode  lines: weight by source line */
/** @typedef {{node: FlameNode, path: FlameNode[], x: number, w: number, depth: number}} FlameBox  x and w: 0..1 */

/** @param {string} name @returns {FlameNode} */
export function flameNode(name) {
    return { name, total: 0, self: 0, n: 0, children: new Map(), lines: new Map() };
}

/** @param {FlameNode} root @param {string[]} path outermost first @param {number} weight @param {number} [n] how many @param {string[]} [lines] of the path, "" where not known */
export function addPath(root, path, weight, n = 1, lines = []) {
    let node = root;
    node.total += weight;
    node.n += n;
    for (const [k, name] of path.entries()) {
        let child = node.children.get(name);
        if (!child) node.children.set(name, (child = flameNode(name)));
        child.total += weight;
        child.n += n;
        if (lines[k]) addTo(child.lines, lines[k], weight);
        node = child;
    }
    node.self += weight;
}

/** @param {Map<string, number>} sums @param {string} key @param {number} weight */
function addTo(sums, key, weight) {
    sums.set(key, (sums.get(key) ?? 0) + weight);
}

/** @param {FlameNode} root @param {import('../data/model.js').Frame[]} frames innermost first @param {number} weight @param {number} [n] */
export function addStack(root, frames, weight, n) {
    const path = frames.slice().reverse();
    addPath(root, path.map((f) => f.func), weight, n, path.map((f) => f.place));
}

/** The source line that weighs most, "" if none is known. @param {{lines: Map<string, number>}} node */
export function lineOf(node) {
    const [top] = [...node.lines].sort((a, b) => b[1] - a[1]);
    return top ? `${node.lines.size > 1 ? 'most ' : ''}at ${top[0]}` : '';
}

/**
 * Boxes below the last node of a path, and that path itself over the whole width. Heaviest to the left; what is narrower than @least is left out.
 * @param {FlameNode[]} zoom from the root @param {number} least @returns {FlameBox[]}
 */
export function flameBoxes(zoom, least) {
    /** @type {FlameBox[]} */
    const boxes = zoom.map((node, depth) => ({ node, path: zoom.slice(0, depth + 1), x: 0, w: 1, depth }));
    const all = zoom[zoom.length - 1].total;
    const walk = (/** @type {FlameBox} */ box) => {
        let x = box.x;
        for (const node of [...box.node.children.values()].sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1))) {
            const w = all > 0 ? node.total / all : 0;
            if (w < least) break;
            const inner = { node, path: [...box.path, node], x, w, depth: box.depth + 1 };
            boxes.push(inner);
            walk(inner);
            x += w;
        }
    };
    walk(boxes[boxes.length - 1]);
    return boxes;
}

/** Self and total by name; a name inside itself counts once. @param {FlameNode} root @returns {{name: string, self: number, total: number, n: number, lines: Map<string, number>}[]} */
export function flameTable(root) {
    /** @type {Map<string, {name: string, self: number, total: number, n: number, lines: Map<string, number>}>} */
    const rows = new Map();
    const walk = (/** @type {FlameNode} */ node, /** @type {Set<string>} */ above) => {
        for (const child of node.children.values()) {
            let row = rows.get(child.name);
            if (!row) rows.set(child.name, (row = { name: child.name, self: 0, total: 0, n: 0, lines: new Map() }));
            row.self += child.self;
            for (const [line, weight] of child.lines) addTo(row.lines, line, weight);
            const inside = above.has(child.name);
            if (!inside) {
                row.total += child.total;
                row.n += child.n;
                above.add(child.name);
            }
            walk(child, above);
            if (!inside) above.delete(child.name);
        }
    };
    walk(root, new Set());
    return [...rows.values()].sort((a, b) => b.self - a.self || b.total - a.total);
}
