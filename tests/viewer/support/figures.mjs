// figures.mjs - how a benchmark of the viewer prints: as tests/bench/bench.c does, a table or with --json one object.

export class Figures {
    /** @param {string} name @param {string[]} options */
    constructor(name, options) {
        this.json = options.includes('--json');
        this.check = options.includes('--check');
        this.missed = false;
        /** @type {Record<string, string|number>} */
        this.all = { bench: name };
        if (!this.json) console.log(name);
    }

    /** @param {string} key @param {number} value @param {number} bar 0: none; smaller is better @param {string} meaning */
    add(key, value, bar, meaning) {
        const rounded = Number(value.toPrecision(5));
        const missed = bar > 0 && !(rounded <= bar);
        this.missed ||= missed;
        this.all[key] = rounded;
        if (!this.json) console.log(`  ${key.padEnd(34)} ${String(Number(value.toPrecision(4))).padStart(9)}  ${(bar ? `<= ${bar}${missed ? '  MISSED' : ''}` : '').padEnd(18)} ${meaning}`);
    }

    /** @returns {number} exit code */
    end() {
        if (this.json) console.log(JSON.stringify(this.all));
        return this.check && this.missed ? 1 : 0;
    }
}
