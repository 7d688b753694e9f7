/* gc_work.c - a program with Boehm's collector that measures its pauses itself, by callbacks of its own.
 *
 *   gc_work CYCLES [--capture FILE] [--incremental]
 *
 * Four threads allocate lists; the main thread asks for a collection CYCLES times. Prints one line a pause, as the program saw it, `pause BEGIN_NS
 * DUR_NS`, then `stopped N` (suspensions of threads) and `callbacks kept` if its own callbacks are still those it set. With --capture it
 * links and records itself; without, the recording is somebody else's business.
 */
#define GC_THREADS
#include <fcntl.h>
#include <gc/gc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef GC_WORK_CAPTURES
#include "tracetap/tracetap.h"

static int write_piece(void *fd, const void *bytes, size_t len_bytes)
{
    return write(*(int *)fd, bytes, len_bytes) == (ssize_t)len_bytes ? 0 : -1;
}
#endif

enum { WORKERS = 4, PAUSES_MAX = 100000, KEPT = 2000 };

struct node {
    struct node *next;
    long payload[6];
};

static struct {
    uint64_t begin_ns, end_ns;
} pauses[PAUSES_MAX];
static unsigned pauses_count;
static unsigned stopped;                         /* both under the collector's lock */
static GC_on_collection_event_proc phase_before; /* who was there is called on */
static GC_on_thread_event_proc thread_before;
static atomic_bool over;
static atomic_uint at_work;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void GC_CALLBACK on_phase(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD && pauses_count < PAUSES_MAX)
        pauses[pauses_count].begin_ns = now_ns();
    if (phase_before)
        phase_before(event);
    if (event == GC_EVENT_POST_START_WORLD && pauses_count < PAUSES_MAX)
        pauses[pauses_count++].end_ns = now_ns();
}

static void GC_CALLBACK on_thread(GC_EventType event, void *thread)
{
    if (thread_before)
        thread_before(event, thread);
    stopped += event == GC_EVENT_THREAD_SUSPENDED;
}

static void *allocate(void *unused)
{
    struct node *kept = NULL;
    unsigned length = 0;
    atomic_fetch_add(&at_work, 1);
    while (!atomic_load(&over)) {
        struct node *node = GC_MALLOC(sizeof(*node));
        node->next = length < KEPT ? kept : NULL;
        length = length < KEPT ? length + 1 : 0;
        kept = node;
        if (length % 500 == 0)
            sched_yield();
    }
    return unused;
}

static void work(unsigned cycles)
{
    pthread_t worker[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&worker[i], NULL, allocate, NULL);
    while (atomic_load(&at_work) < WORKERS)
        usleep(1000);
    for (unsigned i = 0; i < cycles; i++) {
        GC_gcollect();
        usleep(2000);
    }
    atomic_store(&over, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(worker[i], NULL);
}

/* The same, recorded by this program. */
static int record(const char *file, unsigned cycles)
{
#ifdef GC_WORK_CAPTURES
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    opts.duration_ns = 0;
    int error = ttap_capture_start(&opts, write_piece, &fd, &capture);
    if (error) {
        fprintf(stderr, "capture: %s\n", strerror(-error));
        return 1;
    }
    work(cycles);
    return ttap_capture_stop(capture) || close(fd);
#else
    (void)cycles;
    fprintf(stderr, "%s: this build records nothing\n", file);
    return 2;
#endif
}

static bool callbacks_are_mine(void)
{
    return GC_get_on_collection_event() == on_phase && GC_get_on_thread_event() == on_thread;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--capture") && i + 1 < argc)
            file = argv[++i];
        else if (!strcmp(argv[i], "--incremental"))
            GC_enable_incremental();
    }
    GC_INIT();
    phase_before = GC_get_on_collection_event();
    thread_before = GC_get_on_thread_event();
    GC_set_on_collection_event(on_phase);
    GC_set_on_thread_event(on_thread);
    unsigned cycles = argc > 1 ? (unsigned)atoi(argv[1]) : 50;
    if (file ? record(file, cycles) : (work(cycles), 0))
        return 1;
    for (unsigned i = 0; i < pauses_count; i++)
        printf("pause %llu %llu\n", (unsigned long long)pauses[i].begin_ns, (unsigned long long)(pauses[i].end_ns - pauses[i].begin_ns));
    printf("stopped %u\n", stopped);
    for (int tries = 0; tries < 5000 && !callbacks_are_mine(); tries++)
        usleep(1000); /* a source stops just behind the end of its last window */
    if (callbacks_are_mine())
        puts("callbacks kept");
    return 0;
}
