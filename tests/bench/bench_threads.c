/* bench_threads.c - how long a capture of the scheduler takes to begin and to end in a process of 1,000 threads.
 *
 *   asked for ........ gate open: the first event can be told        asked to stop ........ trailer in the queue
 *       |<-------- start -------->|                                        |<----- stop ----->|
 *
 * In both, each thread is looked at: events of the kernel are opened for it, its totals and the call it sleeps in are read. So CPU time is told as well, of
 * the whole process: it does not depend on what else the machine does. The threads sleep a second at a time, each in its own turn.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "tracetap/tracetap.h"

enum { THREADS = 1000, THREADS_SHORT = 50, CAPTURES = 41, CAPTURES_SHORT = 3, WINDOW_US = 100000, NAP_S = 1, STACK_BYTES = 1 << 17 };

static bool over;

static void *nap(void *unused)
{
    struct timespec length = {NAP_S, 0};
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
        nanosleep(&length, NULL);
    return unused;
}

static double cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct moment {
    double clock_ns, cpu_ns;
};

static struct moment now(void)
{
    return (struct moment){bench_now_ns(), cpu_ns()};
}

/* What one capture took, in milliseconds. */
struct taken {
    double *start_ms, *start_cpu_ms, *stop_ms, *stop_cpu_ms;
};

static void tell(struct moment from, double *clock_ms, double *cpu_ms)
{
    struct moment to = now();
    *clock_ms = (to.clock_ns - from.clock_ns) / 1e6;
    *cpu_ms = (to.cpu_ns - from.cpu_ns) / 1e6;
}

static void read_to_the_end(struct ttap__sub *sub)
{
    static unsigned char piece[65536];
    while (ttap__sub_state(sub) == TTAP__SUB_RECORDING) {
        ttap__sub_wait(sub, 100);
        while (ttap__sub_read(sub, piece, sizeof(piece)))
            ;
    }
}

static void one_capture(const struct taken *taken, size_t i)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub *sub;
    opts.groups = TTAP_GROUP_SCHED | TTAP_GROUP_LOG;
    struct moment asked = now();
    if (ttap__sub_open(&opts, &sub))
        bench_fail("the capture did not start");
    while (!TTAP_ENABLED(TTAP_GROUP_LOG))
        usleep(100);
    tell(asked, &taken->start_ms[i], &taken->start_cpu_ms[i]);
    usleep(WINDOW_US);
    asked = now();
    ttap__sub_stop(sub, TTAP__END_STOPPED);
    read_to_the_end(sub);
    tell(asked, &taken->stop_ms[i], &taken->stop_cpu_ms[i]);
    ttap__sub_close(sub);
    usleep(WINDOW_US); /* what is left behind is put away */
}

static void start_threads(pthread_t *threads, size_t count)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], &attr, nap, NULL))
            bench_fail("a thread cannot be made");
        if (i % 20 == 0)
            usleep(1000); /* their turns are spread */
    }
    pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
    static double start_ms[CAPTURES], start_cpu_ms[CAPTURES], stop_ms[CAPTURES], stop_cpu_ms[CAPTURES];
    static pthread_t threads[THREADS];
    bench_begin("threads", argc, argv);
    size_t captures = bench_is_short() ? CAPTURES_SHORT : CAPTURES, count = bench_is_short() ? THREADS_SHORT : THREADS;
    struct taken taken = {start_ms, start_cpu_ms, stop_ms, stop_cpu_ms};
    start_threads(threads, count);
    for (size_t i = 0; i < captures; i++)
        one_capture(&taken, i);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    bench_figure("start_p50_ms", bench_percentile(start_ms, captures, 50), 100, "from the request until the first event can be told");
    bench_figure("start_p90_ms", bench_percentile(start_ms, captures, 90), 0, "");
    bench_figure("start_cpu_ms", bench_percentile(start_cpu_ms, captures, 50), 0, "of that: CPU time of the process, median");
    bench_figure("stop_p50_ms", bench_percentile(stop_ms, captures, 50), 100, "from the stop until the trailer can be read");
    bench_figure("stop_p90_ms", bench_percentile(stop_ms, captures, 90), 0, "");
    bench_figure("stop_cpu_ms", bench_percentile(stop_cpu_ms, captures, 50), 0, "");
    return bench_end();
}
