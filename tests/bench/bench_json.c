/* bench_json.c - how fast a capture becomes viewer JSON, and whether memory stays flat in its length.
 *
 * A capture of region pairs (four deep, 20 names, in tasks) is recorded into memory by the engine itself, then converted, as
 * `tracetap convert` and the endpoint do, into a sink that only counts. Twice: 1 million and 10 million spans; CPU time, one thread.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "tracetap/tracetap.h"

struct bytes {
    unsigned char *at;
    size_t used, room;
};

static int keep(void *arg, const void *piece, size_t len)
{
    struct bytes *bytes = arg;
    if (bytes->used + len > bytes->room) {
        bytes->room = (bytes->used + len) * 2;
        bytes->at = realloc(bytes->at, bytes->room);
        if (!bytes->at)
            return -1;
    }
    memcpy(bytes->at + bytes->used, piece, len);
    bytes->used += len;
    return 0;
}

static void nest(struct ttap_name *names, unsigned number, unsigned depth)
{
    ttap_region_begin(&names[(number + depth) % 20]);
    if (depth < 3)
        nest(names, number, depth + 1);
    ttap_region_end(&names[(number + depth) % 20]);
}

static struct bytes record_spans(size_t spans)
{
    static char texts[20][16];
    static struct ttap_name names[20], kind = TTAP_NAME_INIT("request");
    for (int i = 0; i < 20; i++) {
        snprintf(texts[i], sizeof(texts[i]), "step-%d", i);
        names[i].text = texts[i];
    }
    struct bytes bytes = {0};
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    struct ttap_capture *capture;
    if (ttap_capture_start(&opts, keep, &bytes, &capture))
        bench_fail("the capture did not start");
    struct ttap_task task, before;
    for (size_t made = 0; made < spans; made += 4) {
        if (made % 100 == 0) {
            ttap_task_begin(&task, &kind, NULL);
            ttap_task_enter(&task, &before);
        }
        nest(names, (unsigned)(made / 4), 0);
        if (made % 100 == 96) {
            ttap_task_leave(&before);
            ttap_task_end(&task);
        }
        if (made % 100000 == 0)
            usleep(2000); /* the drainer shares two CPUs with us: nothing shall be lost here */
    }
    if (ttap_capture_stop(capture))
        bench_fail("no memory for the capture");
    return bytes;
}

static int count(void *arg, const void *piece, size_t len)
{
    (void)piece;
    *(size_t *)arg += len;
    return 0;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

struct outcome {
    double spans_per_s, peak_bytes, json_bytes;
};

static struct outcome convert(size_t spans)
{
    struct bytes capture = record_spans(spans);
    size_t json_bytes = 0, before = heap_bytes(), peak = before;
    double start_ns = bench_thread_cpu_ns();
    struct ttap__convert *convert = ttap__convert_new("json", count, &json_bytes);
    for (size_t at = 0; at < capture.used; at += 65536) {
        size_t n = capture.used - at < 65536 ? capture.used - at : 65536;
        if (ttap__convert_feed(convert, capture.at + at, n))
            bench_fail("the conversion failed");
        size_t now = at % (65536 * 16) ? 0 : heap_bytes();
        peak = now > peak ? now : peak;
    }
    if (ttap__convert_finish(convert))
        bench_fail("the conversion failed");
    double cpu_ns = bench_thread_cpu_ns() - start_ns;
    ttap__convert_free(convert);
    free(capture.at);
    return (struct outcome){(double)spans / cpu_ns * 1e9, (double)(peak - before), (double)json_bytes};
}

int main(int argc, char **argv)
{
    bench_begin("json", argc, argv);
    size_t million = bench_is_short() ? 10000 : 1000000;
    struct outcome small = convert(million), large = convert(10 * million);
    bench_figure("spans_per_s_1m", small.spans_per_s, -10e6, "1 million spans, one core");
    bench_figure("spans_per_s_10m", large.spans_per_s, -10e6, "10 million");
    bench_figure("bytes_per_span", large.json_bytes / (10.0 * (double)million), 0, "of JSON");
    bench_figure("peak_bytes_1m", small.peak_bytes, 8 << 20, "heap while converting");
    bench_figure("peak_bytes_10m", large.peak_bytes, 8 << 20, "the same: flat");
    return bench_end();
}
