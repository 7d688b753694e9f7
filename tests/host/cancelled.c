/* cancelled.c - threads that are cancelled while they wait in a capture call. One kept the engine's lock for ever. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "recording.h"

static int ready;

static void *capture(void *arg)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 3000000;
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    (void)ttap_capture_fd(*(int *)arg, &opts);
    pthread_testcancel();
    return NULL;
}

static void *start_and_stop(void *arg)
{
    struct recording *r = arg;
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    if (!recording_start(r, NULL))
        r->result = ttap_capture_stop(r->capture);
    pthread_testcancel();
    return NULL;
}

static void cancel_after(void *(*body)(void *), void *arg, unsigned spins)
{
    pthread_t thread;
    ready = 0;
    pthread_create(&thread, NULL, body, arg);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        sched_yield();
    for (volatile unsigned i = 0; i < spins; i++)
        ;
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

int main(void)
{
#ifdef __SANITIZE_ADDRESS__
    puts("skipped: a cancelled thread leaves the guards of its stack frames behind, and the sanitizer's own code walks into them");
    return 77;
#endif
    int fd = memfd_create("capture", MFD_CLOEXEC);
    struct ttap_status status = {.size = sizeof(status)};
    for (unsigned i = 0; i < 100; i++) {
        struct recording r;
        cancel_after(capture, &fd, i * 20000);
        memset(&r, 0, sizeof(r));
        cancel_after(start_and_stop, &r, i * 5000);
        recording_free(&r);
    }
    ttap_status_get(&status);
    struct recording r;
    int started = recording_start(&r, NULL);
    TTAP_INSTANT("after");
    bool exact = !started && recording_stop(&r) && recording_count(&r, 0, "after") == 1;
    printf("%u captures left, then %s\n", status.captures, exact ? "exact" : "not exact");
    recording_free(&r);
    return status.captures || !exact;
}
