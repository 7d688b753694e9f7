// requests.js - what connections were asked, by whom is asked: in a program that nobody annotated this stands in for tasks.

import { Numbers } from './stats.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{name: string, served: boolean, start: Float64Array, dur: Float64Array, worst: [number, number]}} Asked  start and dur in no order; both of the answered alone */

/**
 * Served requests by the address they came to, asked ones by the address they went to: "tcp LOCAL REMOTE", "unix PATH -".
 * @param {string} connection @param {boolean} served
 */
export function sideName(connection, served) {
    const [kind, local, remote, ...more] = connection.split(' ');
    if (more.length || !remote) return `${served ? 'served' : 'asked'}: ${connection}`;
    const far = remote === '-' ? local : remote;
    return served ? `served at ${kind} ${local === '-' ? remote : local}` : `asked of ${kind} ${far}`;
}

/** @param {Model} model @returns {Generator<void, Asked[]>} */
export function* requestKinds(model) {
    /** @type {Map<string, {name: string, served: boolean, starts: Numbers, durs: Numbers, worst: [number, number]}>} */
    const kinds = new Map();
    /** @type {Map<string, string>} */
    const names = new Map();
    for (const c of model.requestChunks) {
        for (let i = 0; i < c.t.length; i++) {
            if (c.end[i] < 0 || c.flags[i] !== 0) continue;
            const key = `${c.object[i]} ${c.side[i]}`;
            const served = model.string(c.side[i]) === 'served';
            const name = names.get(key) ?? sideName(model.objectName(c.object[i]), served);
            names.set(key, name);
            let kind = kinds.get(name);
            if (!kind) kinds.set(name, (kind = { name, served, starts: new Numbers(), durs: new Numbers(), worst: [0, -1] }));
            kind.starts.push(c.t[i]);
            kind.durs.push(c.dur[i]);
            if (c.dur[i] > kind.worst[1] - kind.worst[0]) kind.worst = [c.t[i], c.t[i] + c.dur[i]];
        }
        yield;
    }
    return [...kinds.values()].map(({ starts, durs, ...k }) => ({ ...k, start: starts.values(), dur: durs.values() }));
}

/** Time in which any of @served was open, and of that, in which any of @asked was too. @param {Asked[]} served @param {Asked} asked @returns {{any: number, both: number}} */
export function askedWhileServing(served, asked) {
    const ends = [...served.map((k) => ({ k, mine: 1 })), { k: asked, mine: 0 }].flatMap(({ k, mine }) => Array.from(k.start, (t, i) => [{ t, mine, step: 1 }, { t: t + k.dur[i], mine, step: -1 }]).flat());
    ends.sort((a, b) => a.t - b.t);
    const open = [0, 0];
    let [any, both, at] = [0, 0, 0];
    for (const { t, mine, step } of ends) {
        if (open[1] > 0) any += t - at;
        if (open[1] > 0 && open[0] > 0) both += t - at;
        at = t;
        open[mine] += step;
    }
    return { any, both };
}
