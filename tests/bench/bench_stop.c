/* bench_stop.c - how long a stop takes while four threads record all they can, on however few processors there are.
 *
 *   ttap__sub_stop() ........ gate closed, as the emitters see it ........ trailer in the queue, as a reader that takes everything sees it
 *                    |<----------- gate ---------->|
 *                    |<------------------------------- trailer ------------------------------->|
 *
 * What may take long: the drainer is to be scheduled among four threads that never sleep, and packs what they left in all the chunks of the budget.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture.h"
#include "tracetap/tracetap.h"

enum { EMITTERS = 4, CAPTURES = 200, WINDOW_US = 30000 };

static double asked_ns, closed_ns, trailer_ns; /* asked: 0 while nobody stops */
static bool over;

static double load_ns(double *at)
{
    double value;
    __atomic_load(at, &value, __ATOMIC_SEQ_CST);
    return value;
}

static void store_ns(double *at, double value)
{
    __atomic_store(at, &value, __ATOMIC_SEQ_CST);
}

static void see_the_gate(void)
{
    double none = 0, now_ns = bench_now_ns();
    if (load_ns(&asked_ns) > 0 && !TTAP_ENABLED(TTAP_GROUPS_ALL))
        __atomic_compare_exchange(&closed_ns, &none, &now_ns, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *emit(void *unused)
{
    int64_t value = 0;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 100; i++) {
            TTAP_REGION("work");
            TTAP_COUNTER("value", value++);
        }
        see_the_gate();
    }
    return unused;
}

static void *take_everything(void *arg)
{
    struct ttap__sub *sub = arg;
    static unsigned char piece[65536];
    ttap__thread_is_own();
    while (ttap__sub_state(sub) == TTAP__SUB_RECORDING) {
        ttap__sub_wait(sub, 100);
        while (ttap__sub_read(sub, piece, sizeof(piece)))
            ;
    }
    store_ns(&trailer_ns, bench_now_ns());
    return NULL;
}

static void one_capture(double *gate_ms, double *trailer_ms)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub *sub;
    pthread_t reader;
    if (ttap__sub_open(&opts, &sub) || pthread_create(&reader, NULL, take_everything, sub))
        bench_fail("the capture did not start");
    usleep(WINDOW_US);
    store_ns(&closed_ns, 0);
    double stop_ns = bench_now_ns();
    store_ns(&asked_ns, stop_ns);
    ttap__sub_stop(sub, TTAP__END_STOPPED);
    pthread_join(reader, NULL);
    while (!(load_ns(&closed_ns) > 0)) /* every emitter waits for a processor */
        usleep(100);
    store_ns(&asked_ns, 0);
    *gate_ms = (load_ns(&closed_ns) - stop_ns) / 1e6;
    *trailer_ms = (load_ns(&trailer_ns) - stop_ns) / 1e6;
    ttap__sub_close(sub);
}

int main(int argc, char **argv)
{
    static double gate_ms[CAPTURES], trailer_ms[CAPTURES];
    pthread_t emitters[EMITTERS];
    bench_begin("stop", argc, argv);
    size_t captures = bench_is_short() ? 10 : CAPTURES;
    for (int i = 0; i < EMITTERS; i++)
        pthread_create(&emitters[i], NULL, emit, NULL);
    for (size_t i = 0; i < captures; i++)
        one_capture(&gate_ms[i], &trailer_ms[i]);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < EMITTERS; i++)
        pthread_join(emitters[i], NULL);
    bench_figure("gate_p50_ms", bench_percentile(gate_ms, captures, 50), 0, "from the stop until emitters see the gate closed");
    bench_figure("gate_p99_ms", bench_percentile(gate_ms, captures, 99), 50, "");
    bench_figure("gate_max_ms", bench_percentile(gate_ms, captures, 100), 0, "");
    bench_figure("trailer_p50_ms", bench_percentile(trailer_ms, captures, 50), 0, "from the stop until the trailer can be read");
    bench_figure("trailer_p99_ms", bench_percentile(trailer_ms, captures, 99), 50, "");
    bench_figure("trailer_max_ms", bench_percentile(trailer_ms, captures, 100), 0, "");
    return bench_end();
}
