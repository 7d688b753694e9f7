// findings.mjs - what the example service does wrong is found, with the true object; a healthy run has no finding of any kind; a run beside a fixed one
// names what has changed; and the pages' tables of all these captures equal naive ones: node findings.mjs PIPELINE PRELOAD.
//
// Other programs on the machine can truly take CPUs from the healthy run's threads. So its findings about CPUs count only where others had little.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { compareByName, taskDurations } from '../../static/calc/compare.js';
import { findings } from '../../static/calc/findings.js';
import { regionStats } from '../../static/calc/regions.js';
import { Naive } from './support/naive.mjs';
import { read } from './support/read.mjs';
import { recorded } from './support/service.mjs';
import { compareTables, run } from './support/tables.mjs';

const [program, preload] = process.argv.slice(2);
const SECONDS = 2;
/** Of the machine's CPU time: more than this in other hands explains threads that wait for a CPU. */
const OTHERS_MANY = 0.2;
const COLD_CACHES_NS = 20e3; // threads that waited find them cold: a reply of 3 us may truly take 5
const ABOUT_CPUS = ['runnable spike', 'idle CPUs'];

/** @param {string[]} switches @param {string} [more] */
async function capture(switches, more) {
    const { text, others, base } = await recorded(program, preload, switches, SECONDS, more);
    const model = read(text);
    const found = run(findings(model));
    console.log(`${switches.join(' ') || 'nothing wrong'} (others had ${Math.round(others * 100)} % of the machine): ${found.map((f) => `${f.kind}: ${f.title} (${f.words})`).join('; ') || 'none'}; ${compareTables(text)}`);
    return { text, others, base, model, found, naive: new Naive(text) };
}

/** @typedef {Awaited<ReturnType<typeof capture>>} Capture */

/** @param {Capture} c */
function healthy({ found, others }) {
    const explained = found.filter((f) => ABOUT_CPUS.includes(f.kind) && others > OTHERS_MANY);
    for (const f of explained) console.log(`   accepted, since other processes kept the machine busy: ${f.kind}`);
    assert.deepEqual(found.filter((f) => !explained.includes(f)), []);
}

/** The first of its kind: on a machine that others keep busy there may be a second, smaller one. @param {Capture} c @param {string} kind @returns {import('../../static/calc/findings.js').Finding} */
function theOne({ found }, kind) {
    const first = found.find((f) => f.kind === kind);
    assert.ok(first, `no ${kind}`);
    return first;
}

/** The one that the program waits for where it says that it waits for it. Goes by its variable's name, with its address by the program's own symbol table;
 * where that cannot be read, by its address. @param {Capture} c */
function trueLock({ base, naive }) {
    const [begins, ends] = [naive.tables.region.filter((r) => naive.strings[r.name] === 'cache.lock wait'), naive.tables.call.filter((c) => /mutex_lock/.test(naive.strings[c.op]))];
    const inside = ends.filter((c) => begins.some((r) => r.lane === c.lane && r.start <= c.start && r.start + r.dur >= c.start + c.dur));
    const objects = [...new Set(inside.map((c) => c.object))].map((id) => naive.objects.get(id));
    assert.equal(objects.length, 1, `the region is around calls for ${objects.map((o) => o.name)}`);
    const [{ name, address }] = objects;
    const symbol = symbolOf('cache_lock');
    if (symbol === null) assert.match(name, /^0x/);
    else assert.deepEqual({ name, address }, { name: 'cache_lock', address: `0x${(base + symbol).toString(16)}` });
    return name;
}

/** Where it is in the program's file; null: its symbol table cannot be read. @param {string} variable */
function symbolOf(variable) {
    try {
        const [, digits] = new RegExp(`^([0-9a-f]+) \\w ${variable}$`, 'm').exec(execFileSync('nm', [program], { encoding: 'utf8' })) ?? [];
        if (digits) return parseInt(digits, 16);
        console.log(`   ${program} has no symbol ${variable}`);
    } catch (e) {
        console.log(`   the symbol table is not asked: ${e}`);
    }
    return null;
}

/** @param {Capture} before @param {Capture} after */
function compared(before, after) {
    const regions = (c) => new Map(run(regionStats(c.model)).map((r) => [c.model.string(r.name), r.durations]));
    const [tasks, parts] = [compareByName(taskDurations(before.model), taskDurations(after.model)), compareByName(regions(before), regions(after))];
    const words = (list) => list.filter((c) => c.changed).map((c) => `${c.name} ${(c.p50a / 1e6).toFixed(3)} to ${(c.p50b / 1e6).toFixed(3)} ms`).join(', ');
    console.log(`--slow-lock, then without: tasks ${words(tasks)}; regions ${words(parts)}`);
    assert.match(tasks[0].name, /^lookup /);
    for (const kind of ['lookup price', 'lookup stock', 'lookup reviews']) assert.ok(tasks.some((c) => c.name === kind && c.changed === 'median' && c.ratio < 0.8), kind);
    assert.match(parts[0].name, /^cache\.lock (held|wait)$/);
    assert.ok(parts[0].ratio < 0.2);
    const moved = (name) => parts.some((c) => c.name === name && c.changed === 'median' && Math.abs(c.p50b - c.p50a) > COLD_CACHES_NS);
    for (const name of ['fetch', 'reply']) assert.ok(!moved(name) || after.others > OTHERS_MANY || before.others > OTHERS_MANY, name);
}

const calm = await capture([]);
healthy(calm);
healthy(await capture([], '&samples=99'));

const queue = await capture(['--small-queue']);
assert.equal(theOne(queue, 'queue contention').object, 'enrich.in');

const lock = await capture(['--slow-lock'], '&samples=99');
const finding = theOne(lock, 'lock contention');
assert.equal(finding.object, trueLock(lock));
assert.match(finding.title, finding.object === 'cache_lock' ? /^Threads wait for cache_lock$/ : /in (cache_lookup|cache\.lock wait)$/);
assert.match(finding.words, /longest [\d.]+ m?s in (cache_lookup|cache\.lock wait)/);
compared(lock, calm);

const garbage = await capture(['--alloc-pressure'], '&samples=199');
assert.equal(theOne(garbage, 'work stopped by GC').object, 'collector');
assert.ok(garbage.naive.tables.gc.some((g) => garbage.naive.strings[g.phase] === 'sweep'));

const crowd = await capture(['--oversubscribe']);
if (/^on: every switch/.test(crowd.naive.notes['source.sched'] ?? '')) assert.equal(theOne(crowd, 'runnable spike').object, 'compactor');
else console.log(`   who waits for a CPU cannot be told here: sched is ${crowd.naive.notes['source.sched']}`);
for (const c of [queue, lock, garbage, crowd]) for (const f of c.found) assert.ok(f.range[0] >= 0 && f.range[1] > f.range[0] && f.range[1] <= c.model.duration, `${f.kind} from ${f.range}`);
