// measure.mjs - what one loading of the viewer costs in a real Chromium: frames, long tasks, memory.

import fs from 'node:fs';

export const rank = (values, p) => values.slice().sort((x, y) => x - y)[Math.min(values.length - 1, Math.floor(p * values.length))] ?? NaN;

/** Put into the page before anything of it runs. */
export async function instrument(page) {
    await page.addInitScript(() => {
        const w = /** @type {any} */ (window);
        w.frames_ = [];
        w.tasks_ = [];
        const raf = window.requestAnimationFrame.bind(window);
        window.requestAnimationFrame = (run) => raf((t) => {
            const from = performance.now();
            run(t);
            w.frames_.push(performance.now() - from);
        });
        new PerformanceObserver((list) => { for (const e of list.getEntries()) w.tasks_.push([e.startTime, e.duration]); }).observe({ type: 'longtask', buffered: true });
    });
}

/** The process that the page lives in: the renderer with most memory; 0 if the browser does not tell. @returns {Promise<number>} pid */
async function rendererPid(context) {
    const session = (await context.browser()?.newBrowserCDPSession().catch(() => null)) ?? (await context.newCDPSession(context.pages()[0]));
    const { processInfo } = await session.send('SystemInfo.getProcessInfo').catch(() => ({ processInfo: [] }));
    const bySize = processInfo.filter((p) => p.type === 'renderer').map((p) => ({ pid: p.id, mb: memoryMb(p.id) }));
    return bySize.sort((x, y) => y.mb - x.mb)[0]?.pid ?? 0;
}

/** @param {number} pid */
function memoryMb(pid) {
    return (Number(fs.readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096) / 1e6;
}

/** Resident, in MB. */
export async function rendererMb(context) {
    const pid = await rendererPid(context);
    return pid ? memoryMb(pid) : NaN;
}

/** What the page's own thread used, and how long it waited for a CPU that others had, in ms: how far to trust times on a busy machine. */
export async function pageCpu(context) {
    const pid = await rendererPid(context);
    const [cpu, waited] = pid ? fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map((ns) => Number(ns) / 1e6) : [NaN, NaN];
    return { cpu, waited };
}

/**
 * The browser's own record of the page's tasks while @act runs: the longest by CPU time, which other programs on the machine do not
 * lengthen. @param {() => Promise<void>} act @returns {Promise<number>} ms
 */
export async function longestTaskCpuMs(context, act) {
    const session = (await context.browser()?.newBrowserCDPSession().catch(() => null)) ?? (await context.newCDPSession(context.pages()[0]));
    /** @type {{pid: number, ms: number}[]} */
    const tasks = [];
    session.on('Tracing.dataCollected', ({ value }) => {
        for (const e of value) if (e.tid === e.pid && e.name.endsWith('RunTask') && e.tdur) tasks.push({ pid: e.pid, ms: e.tdur / 1000 });
    });
    await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['toplevel', 'disabled-by-default-devtools.timeline'] } });
    await act();
    const complete = new Promise((done) => session.once('Tracing.tracingComplete', done));
    await session.send('Tracing.end');
    await complete;
    const pid = await rendererPid(context); /* a navigation may have moved the page to another process */
    const own = tasks.filter((t) => t.pid === pid);
    return own.length ? own.reduce((most, t) => Math.max(most, t.ms), 0) : NaN;
}

/** Until all of a capture is there. @returns {Promise<{first: number, all: number, longest: number, long: number}>} ms; long: tasks over 50 ms */
export async function loaded(page, limitMs) {
    return page.evaluate((limit) => new Promise((done) => {
        let first = 0;
        const look = () => {
            if (!first && document.querySelectorAll('.tl-name').length >= 5) first = performance.now();
            const finished = document.querySelector('.tl-side')?.textContent?.includes('Ended by');
            if ((!finished || !first) && performance.now() < limit) return setTimeout(look, 5);
            const all = performance.now();
            setTimeout(() => {
                const tasks = (/** @type {any} */ (window)).tasks_.map((t) => t[1]);
                done({ first, all, longest: Math.max(0, ...tasks), long: tasks.length });
            }, 100);
        };
        look();
    }), limitMs);
}

/** Script time per frame while something moves. @param {(k: number) => Promise<void>} act @returns {Promise<number[]>} ms */
export async function frames(page, times, act) {
    await page.evaluate(() => { (/** @type {any} */ (window)).frames_ = []; });
    for (let k = 0; k < times; k++) {
        await act(k);
        await page.evaluate(() => new Promise((go) => setTimeout(go, 16)));
    }
    return (await page.evaluate(() => (/** @type {any} */ (window)).frames_)).filter((v) => v > 0.2);
}

/** Over the whole capture, zooming in, panning close up, zooming out. @returns {Promise<Record<string, number[]>>} */
export async function move(page, times) {
    await page.keyboard.press('0');
    const canvas = await page.locator('.tl-canvas').first().boundingBox();
    await page.mouse.move(canvas.x + canvas.width / 2, canvas.y + 300);
    const wheel = async (dy) => { await page.keyboard.down('Control'); await page.mouse.wheel(0, dy); await page.keyboard.up('Control'); };
    return {
        whole: await frames(page, times, (k) => wheel(k % 2 ? -8 : 8)),
        in: await frames(page, times, () => wheel(-60)),
        near: await frames(page, times, (k) => page.keyboard.press(k % 20 < 10 ? 'd' : 'a')),
        out: await frames(page, times, () => wheel(60)),
    };
}
