// service.mjs - the example service, recorded: what it does wrong is a switch of its.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const WARM_UP_MS = 300;
/** In clock ticks. @returns {number} CPU time that the machine has spent on anything */
const machineTicks = () => fs.readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/).slice(1, 9).reduce((sum, v, i) => sum + (i === 3 || i === 4 ? 0 : Number(v)), 0);
const processTicks = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').slice(11, 13).reduce((sum, v) => sum + Number(v), 0);
const TICKS_A_SECOND = 100;

/** Hooks are preloaded, since locks are known by them alone. */
export class Example {
    /** @param {string} program @param {string} preload @param {string[]} switches */
    constructor(program, preload, switches) {
        this.program = program;
        this.service = spawn(program, ['--listen', '127.0.0.1:0', '--seconds', '60', ...switches], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, LD_PRELOAD: preload } });
    }

    /** @returns {Promise<string>} its address */
    ready() {
        return new Promise((done, failed) => {
            let said = '';
            this.service.stdout.on('data', (piece) => {
                said += piece;
                const m = /tracetap:\s+(http:\S+)/.exec(said);
                if (m) done(m[1]);
            });
            this.service.on('exit', (code) => failed(new Error(`${this.program} ended with ${code}; it said: ${said}`)));
        });
    }

    /** @param {number} seconds @param {string} [more] of the query @returns {Promise<{text: string, others: number}>} others: the share of the machine's CPU time that other processes had meanwhile */
    async record(seconds, more = '') {
        const base = await this.ready();
        await new Promise((go) => setTimeout(go, WARM_UP_MS));
        const ticks = () => machineTicks() - processTicks(this.service.pid) - processTicks(process.pid);
        const [from, began] = [ticks(), performance.now()];
        const answer = await fetch(new URL(`debug/trace?seconds=${seconds}&format=json${more}`, base));
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
        return { text, others: (ticks() - from) / TICKS_A_SECOND / ((performance.now() - began) / 1000) / os.cpus().length };
    }

    /** Where the kernel has put the program. @returns {number} address of the first byte of its file */
    base() {
        const real = fs.realpathSync(this.program);
        const line = fs.readFileSync(`/proc/${this.service.pid}/maps`, 'utf8').split('\n').find((l) => l.endsWith(` ${real}`) && l.split(/\s+/)[2] === '00000000');
        return parseInt(line ?? '', 16);
    }

    stop() {
        this.service.removeAllListeners('exit');
        this.service.kill();
    }
}

/** @param {string} program @param {string} preload @param {string[]} switches @param {number} seconds @param {string} [more] */
export async function recorded(program, preload, switches, seconds, more) {
    const example = new Example(program, preload, switches);
    try {
        const capture = await example.record(seconds, more);
        return { ...capture, base: example.base() };
    } finally {
        example.stop();
    }
}
