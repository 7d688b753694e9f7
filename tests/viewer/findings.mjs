// findings.mjs - what the example service does wrong is found, with its object; when nothing is wrong, none of it: node findings.mjs PIPELINE PRELOAD.
//
// Hooks are preloaded, since locks are known by them alone. What other programs on the machine can cause (threads that wait for a CPU) is
// not asked about in the runs that do not provoke it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { findings } from '../../static/calc/findings.js';
import { read } from './support/read.mjs';

const [program, preload] = process.argv.slice(2);

/** @param {string[]} switches @returns {Promise<import('../../static/calc/findings.js').Finding[]>} of two seconds */
async function found(switches) {
    const service = spawn(program, ['--listen', '127.0.0.1:0', '--seconds', '60', ...switches], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, LD_PRELOAD: preload } });
    try {
        const base = await new Promise((done, failed) => {
            let said = '';
            service.stdout.on('data', (piece) => {
                said += piece;
                const m = /tracetap:\s+(http:\S+)/.exec(said);
                if (m) done(m[1]);
            });
            service.on('exit', (code) => failed(new Error(`${program} ended with ${code}; it said: ${said}`)));
        });
        await new Promise((go) => setTimeout(go, 300));
        const model = read(await (await fetch(new URL('debug/trace?seconds=2&format=json', base))).text());
        const work = findings(model);
        for (;;) {
            const step = work.next();
            if (step.done) return step.value;
        }
    } finally {
        service.removeAllListeners('exit');
        service.kill();
    }
}

const CASES = [[[], null, null], [['--small-queue'], 'queue contention', /^enrich\.in$/], [['--slow-lock'], 'lock contention', /./], [['--alloc-pressure'], 'work stopped by GC', /^collector$/], [['--oversubscribe'], 'runnable spike', /^$/]];
const OF_THE_PROGRAM = ['queue contention', 'lock contention', 'work stopped by GC'];
for (const [switches, kind, object] of CASES) {
    const all = await found(switches);
    console.log(`${switches.join(' ') || 'nothing wrong'}: ${all.map((f) => `${f.kind} ${f.object} (${f.words})`).join('; ') || 'none'}`);
    if (kind === null) assert.deepEqual(all.filter((f) => OF_THE_PROGRAM.includes(f.kind)), []);
    else assert.ok(all.some((f) => f.kind === kind && object.test(f.object)), `${switches} gave no ${kind}`);
}
