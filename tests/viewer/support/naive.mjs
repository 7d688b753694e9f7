// naive.mjs - a capture's JSON as plain rows, and the pages' tables computed from them the slow way: every row asked about every other.
//
// Shares nothing with the viewer but the names of states: what the viewer decodes, packs, clips and sums is done here once more.

/** @typedef {{start: number, dur: number, lane: number, [column: string]: any}} Row */

/** Blocked, by what: what docs/format.md lists, and how a page calls it. */
const PAGES = { sync: ['lock'], network: ['network'], syscall: ['file', 'blocked'], sleep: ['sleep'], sched: ['runnable'] };
const BLOCKED = ['blocked', 'lock', 'network', 'file', 'sleep'];
/** Ends with new work; and what may do so, on threads that tell what they work at. */
const FOR_WORK = ['accept', 'epoll_wait'];
const FOR_ANYTHING = ['poll', 'select', 'io_uring_wait', 'pthread_cond_wait', 'sem_wait', 'sigwait'];
/** An instant of a task counts for the first of these that holds. */
const PARTS = ['running', 'runnable', 'gc', 'queue', 'lock', 'network', 'file', 'sleep', 'blocked', 'working', 'queued'];

const overlap = (a, b, c, d) => Math.max(0, Math.min(b, d) - Math.max(a, c));
const add = (map, key, ns) => { if (ns > 0) map[key] = (map[key] ?? 0) + ns; };

export class Naive {
    /** @param {string} text */
    constructor(text) {
        const doc = JSON.parse(text);
        this.duration = doc.end.dur_ns;
        this.notes = doc.capture.notes;
        this.strings = [];
        this.lanes = new Map();
        this.objects = new Map();
        /** @type {Record<string, Row[]>} */
        this.tables = { state: [], wait: [], call: [], gc: [], sample: [], frame: [], stack: [], work: [], task: [], region: [], request: [], other: [] };
        for (const c of doc.chunks) {
            if (c.t === 'str') this.strings.push(...c.v);
            else if (c.t === 'lane') this.lanes.set(c.id, c);
            else if (c.t === 'object') this.objects.set(c.id, c);
            else if (this.tables[c.t]) this.rows(c);
        }
        for (const s of this.tables.state) s.is = this.strings[s.state];
        this.tables.state = this.tables.state.filter((s) => s.is !== 'gone');
        this.stacks = [];
        this.tables.stack.forEach((s, i) => this.stacks.push([this.strings[this.tables.frame[s.frame].func], ...(s.up > 0 ? this.stacks[i - s.up] : [])]));
    }

    rows(c) {
        let t = c.t0 ?? 0;
        for (let i = 0; i < c.n; i++) {
            const row = Object.fromEntries(Object.entries(c).filter(([k]) => !['t', 'n', 't0', 'dt'].includes(k)).map(([k, v]) => [k, Array.isArray(v) ? v[i] : v]));
            if (c.dt !== undefined) row.start = t += Array.isArray(c.dt) ? c.dt[i] : c.dt;
            this.tables[c.t].push(row);
        }
    }

    laneName(id) {
        const lane = this.lanes.get(id);
        return `${lane.name || `thread ${lane.tid}`}${lane.kind === 'signal' ? ' · signals' : ''}`;
    }

    /** CPU time by function: in it or below, and in it alone. @param {(s: Row) => boolean} [which] */
    samples(which = () => true) {
        const [total, self] = [{}, {}];
        for (const s of this.tables.sample.filter(which)) {
            const path = s.stack < 0 ? ['(stack not known)'] : this.stacks[s.stack];
            for (const name of new Set(path)) add(total, name, s.cpu_ns);
            add(self, path[0], s.cpu_ns);
        }
        return { total, self };
    }

    /** Who had the CPUs. @param {number} t0 @param {number} t1 */
    runners(t0, t1) {
        const sums = {};
        for (const s of this.tables.state) if (s.is === 'running' && s.cpu >= 0) add(sums, this.laneName(s.lane), overlap(s.start, s.start + s.dur, t0, t1));
        for (const o of this.tables.other) add(sums, `${this.strings[o.name] || 'process'} (pid ${o.pid})`, overlap(o.start, o.start + o.dur, t0, t1));
        return sums;
    }

    /** What threads waited for on one page. @param {string} page of PAGES @returns {(Row & {what: string})[]} */
    waits(page) {
        const queued = page === 'sync' ? this.tables.wait : [];
        const states = this.tables.state.filter((s) => PAGES[page].includes(s.is) && !queued.some((w) => w.lane === s.lane && s.start + s.dur / 2 >= w.start && s.start + s.dur / 2 < w.start + w.dur));
        return [...states.map((s) => ({ ...s, what: s.op >= 0 ? this.strings[s.op] : s.is })), ...queued.map((w) => ({ ...w, what: `queue ${this.strings[w.why]}` }))];
    }

    /** @param {string} page @param {'thread'|'object'} by @param {number} [t0] @param {number} [t1] */
    waited(page, by, t0 = 0, t1 = Infinity) {
        const sums = {};
        for (const w of this.waits(page)) add(sums, by === 'thread' ? this.laneName(w.lane) : (this.objects.get(w.object)?.name ?? w.what), overlap(w.start, w.start + w.dur, t0, t1));
        return sums;
    }

    /** Locks and full queues. */
    contended() {
        const out = {};
        for (const w of this.waits('sync').filter((x) => x.object >= 0 && /lock|^queue full$/.test(x.what))) {
            const o = (out[w.object] ??= { name: this.objects.get(w.object).name, n: 0, total: 0, max: 0, waiters: {}, spans: [] });
            o.n++;
            o.total += w.dur;
            o.max = Math.max(o.max, w.dur);
            add(o.waiters, this.laneName(w.lane), w.dur);
            o.spans.push([w.start, w.start + w.dur]);
        }
        for (const o of Object.values(out)) {
            o.any = this.covered(o.spans);
            delete o.spans;
        }
        return out;
    }

    /** Between neighbouring ends of spans it is all the same: is any of them there? @param {[number, number][]} spans */
    covered(spans) {
        const ends = [...new Set(spans.flat())].sort((a, b) => a - b);
        return ends.slice(1).reduce((sum, t, i) => sum + (spans.some(([a, b]) => a <= ends[i] && b >= t) ? t - ends[i] : 0), 0);
    }

    /** The least share of a window that no phase of a collector took: the worst one begins or ends where a phase does. @param {number} window */
    utilisation(window) {
        const spans = this.tables.gc.map((g) => /** @type {[number, number]} */ ([g.start, g.start + g.dur]));
        const begins = [0, this.duration - window, ...spans.flatMap(([a, b]) => [a, b, a - window, b - window])].map((t) => Math.min(Math.max(0, t), this.duration - window));
        return Math.min(1, ...begins.map((t) => 1 - this.covered(spans.map(([a, b]) => /** @type {[number, number]} */ ([Math.max(a, t), Math.min(b, t + window)])).filter(([a, b]) => b > a)) / window));
    }

    /** Blocked with nothing at hand, until there is work; or throughout, and by no other thread. @param {Row} s of `state` */
    idle(s) {
        if (!BLOCKED.includes(s.is)) return false;
        const [op, mine] = [this.strings[s.op] ?? '', (/** @type {Row} */ x) => x.lane === s.lane];
        if ((s.flags & 3) === 3 && !/mutex|rwlock|spin|flock/.test(op)) return true;
        const served = this.tables.request.filter(mine).filter((x) => (x.end_lane < 0 ? x.flags & 2 : x.end_lane === x.lane));
        const [work, region, wait] = [this.tables.work, this.tables.region.filter((x) => x.depth === 0), this.tables.wait].map((rows) => rows.filter(mine));
        const known = [work, region, wait].some((rows) => rows.length > 0);
        if (!FOR_WORK.includes(op) && !(known && FOR_ANYTHING.includes(op))) return false;
        return ![...work, ...region, ...served, ...wait.filter((x) => this.strings[x.why] === 'full')].some((x) => x.start < s.start + s.dur && x.start + x.dur > s.start);
    }

    /** Whoever had it last until @from is not who has it next from @to on. @param {Row} task @param {Row[]} works of it @param {number} from @param {number} to */
    handedOn(task, works, from, to) {
        const before = works.filter((w) => w.start + w.dur <= from).sort((a, b) => b.start + b.dur - a.start - a.dur || b.start - a.start)[0] ?? { lane: task.lane };
        const after = works.filter((w) => w.start >= to).sort((a, b) => a.start - b.start)[0] ?? { lane: task.end_lane };
        return before.lane >= 0 && after.lane >= 0 && before.lane !== after.lane;
    }

    /** @param {Row} task @returns {Record<string, number>} ns by part, summing to its wall time */
    split(task) {
        const [from, to] = [task.start, task.start + task.dur]; /* what was before 0 is not on record */
        const here = (list) => list.filter((x) => overlap(x.start, x.start + x.dur, from, to) > 0);
        const works = here(this.tables.work).filter((w) => w.task === task.id);
        const waits = here(this.tables.wait).filter((w) => w.task === task.id);
        const lanes = new Set(works.map((w) => w.lane));
        const [states, gcs] = [here(this.tables.state).filter((s) => lanes.has(s.lane)), here(this.tables.gc)];
        const cuts = [...new Set([from, to, 0, ...[...works, ...waits, ...states, ...gcs].flatMap((x) => [x.start, x.start + x.dur])])].filter((t) => t >= from && t <= to).sort((a, b) => a - b);
        const sums = {};
        for (let i = 1; i < cuts.length; i++) {
            const at = (x) => x.start <= cuts[i - 1] && x.start + x.dur >= cuts[i];
            const working = works.filter(at).map((w) => w.lane);
            const now = new Set(working.length ? ['working'] : []);
            for (const s of states) {
                if (!at(s) || !working.includes(s.lane)) continue;
                now.add(s.is === 'unknown' ? 'working' : s.is);
                if (BLOCKED.includes(s.is) && gcs.some(at)) now.add('gc');
            }
            if (waits.some(at)) now.add('queue');
            if (cuts[i - 1] >= 0 && this.handedOn(task, works, cuts[i - 1], cuts[i])) now.add('queued');
            add(sums, PARTS.find((p) => now.has(p)) ?? 'other', cuts[i] - cuts[i - 1]);
        }
        return sums;
    }
}
