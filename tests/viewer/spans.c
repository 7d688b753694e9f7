/* spans.c - a native capture with as many spans as asked for: spans FILE COUNT. The viewer's benchmark opens it with `tracetap view`.
 *
 * 50 threads, one after the other in turns so that the drainer keeps up: 4 regions deep, 20 names, as tests/viewer/support/captures.mjs
 * makes them. What was lost is printed; a capture in which much was lost is no measure.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tracetap/tracetap.h>
#include <unistd.h>

#define THREADS 50
#define DEPTH 4
#define NAMES 20
/* So many spans, then a pause in which the drainer takes them: without it a tenth was lost. */
#define BURST 2000
#define PAUSE_NS 500000

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static long spans_each;
static struct ttap_name names[NAMES];

static void nest(unsigned *seed, int depth)
{
    struct ttap_name *name = &names[(unsigned)rand_r(seed) % NAMES];
    const long until = rand_r(seed) % 20;
    ttap_region_begin(name);
    for (volatile long i = 0; i < until; i++)
        ;
    if (depth > 1)
        nest(seed, depth - 1);
    ttap_region_end(name);
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", seed);
    ttap_thread_name(name);
    for (long done = 0; done < spans_each;) {
        pthread_mutex_lock(&turn);
        for (const long end = done + BURST; done < end && done < spans_each; done += DEPTH)
            nest(&seed, DEPTH);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        pthread_mutex_unlock(&turn);
    }
    return NULL;
}

static int to_file(void *arg, const void *bytes, size_t len_bytes)
{
    return write(*(int *)arg, bytes, len_bytes) == (ssize_t)len_bytes ? 0 : -EIO;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atol(argv[2]) <= 0) {
        fprintf(stderr, "usage: spans FILE COUNT\n");
        return 2;
    }
    spans_each = atol(argv[2]) / THREADS;
    for (int i = 0; i < NAMES; i++) {
        char text[24];
        snprintf(text, sizeof(text), "function_%d", i);
        names[i].id = ttap_name(text);
    }
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.groups = TTAP_GROUP_REGION | TTAP_GROUP_TASK;
    struct ttap_capture *capture;
    const int failed = fd < 0 ? -errno : ttap_capture_start(&opts, to_file, &fd, &capture);
    if (failed) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-failed));
        return 1;
    }
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return ttap_capture_stop(capture) == 0 ? 0 : 1;
}
