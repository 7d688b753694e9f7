// flame.js - weighted paths -> a tree, and the tree -> rectangles. A node's width is what went through it.

/** @typedef {{name: string, total: number, self: number, n: number, children: Map<string, FlameNode>}} FlameNode */
/** @typedef {{node: FlameNode, path: FlameNode[], x: number, w: number, depth: number}} FlameBox  x and w: 0..1 */

/** @param {string} name @returns {FlameNode} */
export function flameNode(name) {
    return { name, total: 0, self: 0, n: 0, children: new Map() };
}

/** @param {FlameNode} root @param {string[]} path outermost first @param {number} weight @param {number} [n] how many */
export function addPath(root, path, weight, n = 1) {
    let node = root;
    node.total += weight;
    node.n += n;
    for (const name of path) {
        let child = node.children.get(name);
        if (!child) node.children.set(name, (child = flameNode(name)));
        child.total += weight;
        child.n += n;
        node = child;
    }
    node.self += weight;
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

/** Self and total by name; a name inside itself counts once. @param {FlameNode} root @returns {{name: string, self: number, total: number, n: number}[]} */
export function flameTable(root) {
    /** @type {Map<string, {name: string, self: number, total: number, n: number}>} */
    const rows = new Map();
    const walk = (/** @type {FlameNode} */ node, /** @type {Set<string>} */ above) => {
        for (const child of node.children.values()) {
            let row = rows.get(child.name);
            if (!row) rows.set(child.name, (row = { name: child.name, self: 0, total: 0, n: 0 }));
            row.self += child.self;
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
