/* bench_emit.c - what an annotation costs the calling thread.
 *
 * Recording is measured inside a task with three regions open, through the shared library, while curl reads the capture from the
 * endpoint. Short runs of region pairs (20,000, 0.4 ms) alternate with equal runs of the floor: two readings of the processor's counter and two
 * 16-byte stores into a ring, which is the least that any tracer with two timestamps must do. A ratio of neighbours cancels what the machine does
 * meanwhile; 31 medians of 84 such ratios, over 10^8 events, so that each chunk is reused many times.
 *
 * What disturbs it: where the two CPUs are hyperthreads of one core, the drainer's work on the sibling slows the emitter, which executes more
 * instructions than the floor does. region_pair_ratio_quiet is the tenth percentile: runs in which the sibling slept.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracetap/http.h"

enum { PAIRS = 20000, MEDIANS = 31, ALTERNATIONS = 84, RING_WORDS = 1 << 20 /* 8 MiB, what a second of chunks amounts to */ };

static struct ttap_name pair_name = TTAP_NAME_INIT("pair");
static struct ttap_name outer_name = TTAP_NAME_INIT("outer");
static struct ttap_name kind_name = TTAP_NAME_INIT("request");

struct ring {
    uint64_t *words;
    size_t at;
};

static struct ring ring_new(void)
{
    struct ring ring = {malloc(RING_WORDS * sizeof(uint64_t)), 0};
    memset(ring.words, 1, RING_WORDS * sizeof(uint64_t));
    return ring;
}

static __attribute__((noinline)) void run_floor(struct ring *ring)
{
    for (uint64_t i = 0; i < PAIRS; i++) {
        uint64_t *cell = ring->words + ring->at;
        cell[0] = bench_counter() << 8 | 1;
        cell[1] = i;
        bench_barrier();
        cell[2] = bench_counter() << 8 | 2;
        cell[3] = i;
        bench_barrier();
        ring->at = (ring->at + 4) & (RING_WORDS - 1);
    }
}

static __attribute__((noinline)) void run_pairs(struct ring *unused)
{
    (void)unused;
    for (int i = 0; i < PAIRS; i++) {
        ttap_region_begin(&pair_name);
        bench_barrier();
        ttap_region_end(&pair_name);
        bench_barrier();
    }
}

static __attribute__((noinline)) void run_tasks(struct ring *unused)
{
    (void)unused;
    for (int i = 0; i < PAIRS; i++) {
        struct ttap_task task, before;
        ttap_task_begin(&task, &kind_name, NULL);
        ttap_task_enter(&task, &before);
        ttap_task_leave(&before);
        ttap_task_end(&task);
    }
}

/* A thousand places in the code, each with a name of its own. */
#define SITE_(n)                                                                                                                                     \
    TTAP_REGION_BEGIN("site " #n);                                                                                                                   \
    TTAP_REGION_END("site " #n);
#define SITES10_(n) SITE_(n##0) SITE_(n##1) SITE_(n##2) SITE_(n##3) SITE_(n##4) SITE_(n##5) SITE_(n##6) SITE_(n##7) SITE_(n##8) SITE_(n##9)
#define SITES100_(n)                                                                                                                                 \
    SITES10_(n##0)                                                                                                                                   \
    SITES10_(n##1) SITES10_(n##2) SITES10_(n##3) SITES10_(n##4) SITES10_(n##5) SITES10_(n##6) SITES10_(n##7) SITES10_(n##8) SITES10_(n##9)

static __attribute__((noinline)) void run_sites(struct ring *unused)
{
    (void)unused;
    for (int i = 0; i < PAIRS / 1000; i++) {
        SITES100_(1) SITES100_(2) SITES100_(3) SITES100_(4) SITES100_(5) SITES100_(6) SITES100_(7) SITES100_(8) SITES100_(9) SITES100_(10)
    }
}

typedef void (*run_fn)(struct ring *ring);

static double ns_a_pair(run_fn run, struct ring *ring, double (*clock)(void))
{
    double start = clock();
    run(ring);
    return (clock() - start) / PAIRS;
}

static double best_of(run_fn run, int tries)
{
    double *ns = malloc((size_t)tries * sizeof(*ns));
    for (int i = 0; i < tries; i++)
        ns[i] = ns_a_pair(run, NULL, bench_now_ns);
    double median = bench_median(ns, (size_t)tries);
    free(ns);
    return median;
}

struct ratios {
    double median, quiet, pair_ns, floor_ns;
};

static struct ratios alternate(run_fn run, double (*clock)(void), int medians)
{
    struct ring ring = ring_new();
    double middle[MEDIANS], quiet[MEDIANS], pair_ns[MEDIANS], floor_ns[MEDIANS];
    for (int m = 0; m < medians; m++) {
        double pair[ALTERNATIONS], floor[ALTERNATIONS], ratio[ALTERNATIONS];
        for (int i = 0; i < ALTERNATIONS; i++) {
            floor[i] = ns_a_pair(run_floor, &ring, clock);
            pair[i] = ns_a_pair(run, &ring, clock);
            ratio[i] = pair[i] / floor[i];
        }
        middle[m] = bench_median(ratio, ALTERNATIONS);
        quiet[m] = bench_percentile(ratio, ALTERNATIONS, 10);
        pair_ns[m] = bench_median(pair, ALTERNATIONS);
        floor_ns[m] = bench_median(floor, ALTERNATIONS);
    }
    free(ring.words);
    size_t n = (size_t)medians;
    return (struct ratios){bench_median(middle, n), bench_median(quiet, n), bench_median(pair_ns, n), bench_median(floor_ns, n)};
}

/* The caches are full of something else before each pair. */
static double cold_pair_ns(void)
{
    enum { TRIES = 301, EVICT_BYTES = 16 << 20 };
    unsigned char *other = malloc(EVICT_BYTES);
    double ns[TRIES];
    for (int i = 0; i < TRIES; i++) {
        for (size_t at = 0; at < EVICT_BYTES; at += 64)
            other[at]++;
        bench_barrier();
        double start = bench_now_ns();
        ttap_region_begin(&pair_name);
        ttap_region_end(&pair_name);
        ns[i] = bench_now_ns() - start;
    }
    double clock_ns[TRIES];
    for (int i = 0; i < TRIES; i++) {
        double start = bench_now_ns();
        clock_ns[i] = bench_now_ns() - start;
    }
    free(other);
    return bench_median(ns, TRIES) - bench_median(clock_ns, TRIES);
}

static void open_three_regions(void)
{
    for (int i = 0; i < 3; i++)
        ttap_region_begin(&outer_name);
}

static void enter_task(void)
{
    static struct ttap_task task, before;
    ttap_task_begin(&task, &kind_name, NULL);
    ttap_task_enter(&task, &before);
}

static void *second_thread(void *result)
{
    bench_pin(1);
    enter_task();
    open_three_regions();
    *(struct ratios *)result = alternate(run_pairs, bench_thread_cpu_ns, bench_is_short() ? 1 : 5);
    return NULL;
}

static double two_threads_ratio(void)
{
    struct ratios first, second;
    pthread_t thread;
    pthread_create(&thread, NULL, second_thread, &second);
    first = alternate(run_pairs, bench_thread_cpu_ns, bench_is_short() ? 1 : 5);
    pthread_join(thread, NULL);
    return (first.median + second.median) / 2;
}

static void wait_for_gate(bool open)
{
    for (int i = 0; i < 5000 && !!TTAP_ENABLED(TTAP_GROUP_REGION) != open; i++)
        usleep(1000);
    if (!!TTAP_ENABLED(TTAP_GROUP_REGION) != open)
        bench_fail(open ? "the capture did not start" : "the capture did not stop");
}

static void measure_recording(unsigned port)
{
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    ttap_status_get(&before);
    pid_t client = bench_client(port, "/debug/trace?seconds=300", "/dev/null");
    wait_for_gate(true);
    open_three_regions();
    struct ratios pairs = alternate(run_pairs, bench_now_ns, bench_is_short() ? 1 : MEDIANS);
    bench_figure("region_pair_ratio", pairs.median, 1.10, "recording pair / (two counter readings + two 16-byte stores)");
    bench_figure("region_pair_ratio_quiet", pairs.quiet, 0, "the same while the drainer sleeps");
    bench_figure("region_pair_ns", pairs.pair_ns, 0, "");
    bench_figure("floor_ns", pairs.floor_ns, 0, "");
    ttap_status_get(&after);
    double events = (double)(after.events - before.events);
    bench_figure("events", events, 0, "recorded while measuring");
    bench_figure("lost", (double)(after.lost - before.lost), 0, "of them");
    bench_figure("drainer_ns_per_event", (double)(after.drainer_cpu_ns - before.drainer_cpu_ns) / events, 25, "CPU time of the drainer");
    bench_figure("sites1000_pair_ns", alternate(run_sites, bench_now_ns, bench_is_short() ? 1 : 5).pair_ns, 0, "1,000 places in turn");
    bench_figure("cold_pair_ns", cold_pair_ns(), 0, "caches evicted before each pair");
    bench_figure("two_threads_ratio", two_threads_ratio(), 1.15, "two threads at once, thread CPU time, against the floor in the same threads");
    bench_client_end(client);
    wait_for_gate(false);
}

static void measure_muted(unsigned port)
{
    pid_t client = bench_client(port, "/debug/trace?seconds=300&sample=0", "/dev/null");
    wait_for_gate(true);
    bench_figure("muted_pair_ns", best_of(run_pairs, bench_is_short() ? 5 : 301), 6, "in a task that sampling leaves out");
    bench_client_end(client);
    wait_for_gate(false);
}

int main(int argc, char **argv)
{
    bench_begin("emit", argc, argv);
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    opts.port = 0;
    struct ttap_http *http;
    if (ttap_http_start(&opts, &http))
        bench_fail(ttap_http_error());
    bench_pin(0); /* this thread; the endpoint's and the drainer's may run anywhere */
    enter_task();
    int tries = bench_is_short() ? 5 : 301;
    bench_figure("idle_pair_ns", best_of(run_pairs, tries), 0.5, "region pair while nobody listens");
    bench_figure("idle_task_ns", best_of(run_tasks, tries), 15, "task begin + enter + leave + end while nobody listens");
    measure_recording(ttap_http_port(http));
    measure_muted(ttap_http_port(http));
    ttap_http_stop(http);
    return bench_end();
}
