// speed.mjs - how fast a large capture appears and moves: node speed.mjs [SLICES]. Prints what it measures; fails only where something
// hangs. The bars are bench.mjs's.

import { StandIn } from '../support/server.mjs';
import { openBrowser } from '../support/browser.mjs';
import { largeCapture } from '../support/captures.mjs';
import { instrument, loaded, move, rank } from '../support/measure.mjs';

const slices = Number(process.argv[2] ?? 1_000_000);
const HANG_MS = 60_000;
const HANG_FRAME_MS = 1000;
const ms = (v) => `${v.toFixed(1)} ms`;

const server = new StandIn();
const id = server.add(() => largeCapture(slices));
const base = await server.listen();
const b = await openBrowser({ width: 1600, height: 900 });
await instrument(b.page);
await b.goto(`${base}#/timeline?cap=${id}`);
const load = await loaded(b.page, HANG_MS);
console.log(`${slices} slices: first lanes ${ms(load.first)}, all ${ms(load.all)}; longest task on the page ${ms(load.longest)}, ${load.long} over 50 ms`);
let worst = 0;
for (const [name, times] of Object.entries(await move(b.page, 40))) {
    worst = Math.max(worst, rank(times, 0.95));
    console.log(`${name}: script per frame p50 ${ms(rank(times, 0.5))}, p95 ${ms(rank(times, 0.95))}, max ${ms(Math.max(...times))} (${times.length} frames)`);
}
await b.close();
server.close();
if (b.wrongs.length) console.log(b.wrongs.join('\n'));
process.exit(load.all >= HANG_MS || worst > HANG_FRAME_MS || b.wrongs.length ? 1 : 0);
