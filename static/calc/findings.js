// findings.js - what a capture suggests to look at first. Each finding names its figures, what to try, and where to look.
//
// A rule speaks only above a share of the window below which nobody would mind; the shares are in RULES, to be argued about in one place.

import { eachSlice } from '../data/model.js';
import { RUNNABLE, RUNNING, STATES, unpackPlace } from '../data/states.js';
import { duration, percent } from '../fmt.js';
import { lockStats, placeOf, starvedNs } from './blocking.js';
import { askedWhileServing, requestKinds } from './requests.js';
import { gcSpans } from './split.js';
import { runnersIn } from './states.js';
import { summarize } from './stats.js';

/** @typedef {import('../data/model.js').Model} Model */
/** @typedef {{kind: string, title: string, object: string, words: string, advice: string, range: [number, number], share: number}} Finding */

export const RULES = {
    runnable: 0.02, /* of the window with more runnable threads than CPUs */
    idle: 0.4,      /* of the window with a CPU that ran none of ours beside a runnable thread: others may have it, so only much counts */
    gc: 0.005,      /* of the window with a phase while threads were blocked or tasks open */
    gcPauseNs: 20e6,
    queue: 0.02,    /* of the window with a thread waiting at one full queue */
    lock: 0.1,      /* the same for one lock, without its longest wait and without the part in which its holder had no CPU. On a busy machine single stalls of 0.4 s with half
                       of a healthy program behind one lock were seen: a sum over threads, or one such stall, would be called contention */
    lockOnce: 0.25, /* of the window, for one wait alone: something keeps the lock for long */
    peer: 0.2,      /* of all tasks' time waiting for one peer */
    asked: 0.5,     /* where there are no tasks, of the time with a request being served: one peer was being asked then */
    askedNs: 5e6,   /* and took so long in the median. A proxy always asks: a peer that answers at once is not slow */
};
/** A capture shorter than this says nothing about shares. */
const WINDOW_LEAST_NS = 1e6;

/** @param {Model} model @returns {Generator<void, Finding[]>} the largest share first */
export function* findings(model) {
    /** @type {Finding[]} */
    const out = [];
    if (model.duration < WINDOW_LEAST_NS) return out;
    const locks = yield* lockStats(model);
    for (const lock of locks) {
        const isQueue = lock.kind === 'queue';
        if (lock.n < 2 || lock.any / model.duration < (isQueue ? RULES.queue : RULES.lock)) continue;
        const starved = isQueue ? 0 : Math.min(lock.total, yield* starvedNs(model, lock.object));
        const blamed = (1 - starved / lock.total) / model.duration;
        if (isQueue || (lock.any - lock.max) * blamed >= RULES.lock || lock.max * blamed >= RULES.lockOnce) out.push(lockFinding(model, lock, lock.any * blamed, starved));
    }
    yield;
    out.push(...runnableFindings(model));
    yield;
    out.push(...gcFinding(model));
    yield;
    out.push(...peerFindings(model));
    if (model.tasks().n === 0) out.push(...askedFindings(yield* requestKinds(model)));
    return out.sort((a, b) => b.share - a.share);
}

/** @param {Model} model @param {import('./blocking.js').LockStat} lock @param {number} share @param {number} starved ns in which its holder had no CPU @returns {Finding} */
function lockFinding(model, lock, share, starved) {
    const isQueue = lock.kind === 'queue';
    const [waker, times] = [...lock.wakers].sort((a, b) => b[1] - a[1])[0] ?? [-1, 0];
    const place = placeOf(model, lock);
    const figures = `some thread waited for ${percent(lock.any, model.duration)} of the window: ${lock.n} waits, ${duration(lock.total)} in all over ${lock.waiters.size} ${lock.waiters.size === 1 ? 'thread' : 'threads'}, longest ${duration(lock.max)}${place ? ` in ${place}` : ''}`;
    const by = times > lock.n / 2 ? `, mostly let go by ${model.laneName(model.lane(waker))}` : '';
    const late = starved > lock.total / 10 ? `; for ${duration(starved)} its holder was ready to run and had no CPU` : '';
    return {
        kind: isQueue ? 'queue contention' : 'lock contention', object: lock.name, share, range: [lock.worst.start, lock.worst.start + lock.worst.ns],
        title: isQueue ? `Threads wait for room in ${lock.name}` : `Threads wait for ${lock.name}${/^0x/.test(lock.name) && place ? ` in ${place}` : ''}`,
        words: figures + by + late,
        advice: isQueue ? 'More consumers, a larger queue if bursts are short, or less work per item.' : 'Hold it for less: move work out of it, split it, or read without it.',
    };
}

/** Where many could run and few did: one pass over all changes of state. @param {Model} model @returns {Finding[]} */
function runnableFindings(model) {
    const rows = model.rowsOf('state');
    const cpus = model.head?.cpus ?? 0;
    if (rows.length === 0 || cpus < 1) return [];
    /** @type {{t: number, running: number, runnable: number}[]} */
    const steps = [];
    for (const row of rows) {
        eachSlice(row, 0, model.duration, (seg, i) => {
            const s = seg.name[i];
            if (s !== RUNNING && (s !== RUNNABLE || seg.flags[i] !== 0)) return; /* a wait whose begin or end was not seen proves nothing */
            const d = { running: s === RUNNING ? 1 : 0, runnable: s === RUNNABLE ? 1 : 0 };
            steps.push({ t: seg.start[i], ...d }, { t: seg.start[i] + seg.dur[i], running: -d.running, runnable: -d.runnable });
        });
    }
    steps.sort((a, b) => a.t - b.t);
    const spike = new Episode();
    const idle = new Episode();
    let [running, runnable, most] = [0, 0, 0];
    steps.forEach((s, k) => {
        running += s.running;
        runnable += s.runnable;
        const next = steps[k + 1]?.t ?? model.duration;
        spike.add(runnable > cpus, s.t, next);
        idle.add(runnable > 0 && running < Math.min(cpus, model.ownCpus() || cpus), s.t, next);
        most = Math.max(most, runnable);
    });
    /** @type {Finding[]} */
    const out = [];
    if (spike.total / model.duration >= RULES.runnable) {
        const who = crowdOf(model, spike.longest);
        out.push({ kind: 'runnable spike', object: who, share: spike.total / model.duration, range: spike.longest, title: `More than ${cpus} threads were ready to run, on ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}`,
            words: `for ${duration(spike.total)} (${percent(spike.total, model.duration)} of the window), ${most} at most; longest ${duration(spike.longest[1] - spike.longest[0])}, mostly ${who}`, advice: 'Fewer threads, spread periodic work, or more CPUs; see who ran in that range.' });
    }
    if (idle.total / model.duration >= RULES.idle) {
        const others = runnersIn(model, ...idle.longest, true).slice(0, 3).map(([who, ns]) => `${who} ${duration(ns)}`).join(', ');
        out.push({ kind: 'idle CPUs', object: '', share: idle.total / model.duration, range: idle.longest, title: 'A CPU ran none of this program while a thread was ready to run',
            words: `for ${duration(idle.total)} (${percent(idle.total, model.duration)} of the window); ${others ? `in the longest stretch of it, of ${duration(idle.longest[1] - idle.longest[0])}, others had CPUs: ${others}` : 'other processes may have had it'}`, advice: 'Look at affinity masks, CPU quotas of the container, and who else runs on the machine.' });
    }
    return out;
}

/** Whose threads, by their names without numbers, wanted a CPU for longest in a range. @param {Model} model @param {[number, number]} range */
function crowdOf(model, [t0, t1]) {
    /** @type {Map<string, number>} */
    const sums = new Map();
    for (const row of model.rowsOf('state')) {
        const lane = model.lane(row.lane);
        const name = model.laneName(lane).replace(/(.)[-_ :#/.]*\d+$/, '$1');
        eachSlice(row, t0, t1, (seg, i) => {
            if (seg.name[i] === RUNNING || seg.name[i] === RUNNABLE) sums.set(name, (sums.get(name) ?? 0) + Math.min(t1, seg.start[i] + seg.dur[i]) - Math.max(t0, seg.start[i]));
        });
    }
    return [...sums].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

/** Time during which something held, and its longest stretch. */
class Episode {
    constructor() {
        this.total = 0;
        /** @type {[number, number]} */
        this.longest = [0, 0];
        this.from = -1;
    }

    /** @param {boolean} holds @param {number} from @param {number} to */
    add(holds, from, to) {
        if (!holds) {
            this.from = -1;
            return;
        }
        if (this.from < 0) this.from = from;
        this.total += to - from;
        if (to - this.from > this.longest[1] - this.longest[0]) this.longest = [this.from, to];
    }
}

/** @param {Model} model @returns {Finding[]} */
function gcFinding(model) {
    const spans = gcSpans(model);
    if (spans.length === 0) return [];
    const total = spans.reduce((s, p) => s + p.to - p.from, 0);
    const worst = spans.reduce((a, b) => (b.to - b.from > a.to - a.from ? b : a));
    const tasks = model.tasks();
    const [start, dur] = [tasks.column('start'), tasks.column('dur')];
    let hit = 0;
    for (let i = 0; i < tasks.n; i++) if (start[i] < worst.to && start[i] + dur[i] > worst.from) hit++;
    const share = total / model.duration;
    if (share < RULES.gc && worst.to - worst.from < RULES.gcPauseNs) return [];
    return [{ kind: 'work stopped by GC', object: 'collector', share, range: [worst.from, worst.to], title: 'The collector took time from the work',
        words: `${spans.length} ${spans.length === 1 ? 'phase' : 'phases'}, ${duration(total)} in all (${percent(total, model.duration)} of the window), longest ${duration(worst.to - worst.from)} with ${hit} ${hit === 1 ? 'task' : 'tasks'} open`,
        advice: 'Allocate less in the hot path, collect in smaller steps, or at times without requests.' }];
}

/** @param {Model} model @returns {Finding[]} */
function peerFindings(model) {
    const dur = model.tasks().column('dur');
    const taskNs = dur.reduce((a, b) => a + b, 0);
    if (taskNs === 0) return [];
    const network = STATES.indexOf('network');
    /** @type {Map<number, {ns: number, n: number, worst: [number, number]}>} */
    const peers = new Map();
    for (const row of model.rowsOf('work')) {
        const states = model.row(row.lane, 'state');
        if (!states) continue;
        eachSlice(row, 0, model.duration, (work, w) => {
            const [a, b] = [work.start[w], work.start[w] + work.dur[w]];
            if (work.task[w] >= 0) eachSlice(states, a, b, (seg, i) => {
                const { object } = unpackPlace(seg.extra?.[i] ?? 0);
                if (seg.name[i] !== network || object < 0) return;
                const [from, to] = [Math.max(a, seg.start[i]), Math.min(b, seg.start[i] + seg.dur[i])];
                const p = peers.get(object) ?? { ns: 0, n: 0, worst: [0, 0] };
                p.ns += to - from;
                p.n++;
                if (to - from > p.worst[1] - p.worst[0]) p.worst = [from, to];
                peers.set(object, p);
            });
        });
    }
    return [...peers].filter(([, p]) => p.ns / taskNs >= RULES.peer).map(([object, p]) => ({ kind: 'slow peer', object: model.objectName(object), share: p.ns / taskNs, range: p.worst, title: `Tasks wait for ${model.objectName(object)}`,
        words: `${p.n} waits, ${duration(p.ns)} in all (${percent(p.ns, taskNs)} of the tasks' time), longest ${duration(p.worst[1] - p.worst[0])}`, advice: 'Look at the other side at that time; ask it once for many, in parallel, or keep its answers.' }));
}

/** Nobody annotated: what connections show. @param {import('./requests.js').Asked[]} kinds @returns {Finding[]} */
function askedFindings(kinds) {
    const served = kinds.filter((k) => k.served);
    return kinds.filter((k) => !k.served && k.dur.length > 1).flatMap((k) => {
        const { n, p50, max } = summarize(k.dur.slice());
        if (p50 < RULES.askedNs) return [];
        const { any, both } = askedWhileServing(served, k);
        if (any === 0 || both / any < RULES.asked) return [];
        const peer = k.name.replace(/^asked(:| of) /, '');
        return [{ kind: 'slow peer', object: peer, share: both / any, range: k.worst, title: `Requests wait for ${peer}`,
            words: `asked ${n} times, p50 ${duration(p50)}, longest ${duration(max)}; it was being asked in ${percent(both, any)} of the time in which requests were served`, advice: 'Look at the other side at that time; ask it once for many, in parallel, or keep its answers.' }];
    });
}
