/* bench_hooks.c - what a hooked call costs the calling thread beyond the call itself.
 *
 * The calls measured are ones that libc answers without asking the kernel: a clock_nanosleep() on a clock that it must refuse (an event of two cells while
 * somebody records), and an uncontended pthread_mutex_lock() (none). Each run of the hooked call alternates with equal runs of libc's own function, called
 * as it is without hooks (a call of a jump through a pointer, which is what the linker makes of a call into a library), and of the floor: two readings of
 * the processor's counter and a 32-byte store. The difference of neighbours is the hook; medians of many. One call on a descriptor is there for what such
 * calls take in all: a write() of nothing to /dev/null. "bare" is the least that a function takes that comes back between the program and libc.
 *
 * The hooks come as they do to any program: the preloaded library. So this program executes itself with it.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracetap/http.h"

enum { CALLS = 20000, MEDIANS = 31, ALTERNATIONS = 40, RING_WORDS = 1 << 20 /* 8 MiB, what a second of chunks amounts to */ };

static uint64_t *ring;
static size_t ring_at;
static int null_fd;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const struct timespec soon = {0, 1};

/* libc's own: what the hooks call. Volatile, so that they stay calls through a pointer. */
static int (*volatile own_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
static int (*volatile own_lock)(pthread_mutex_t *);
static int (*volatile own_unlock)(pthread_mutex_t *);
static ssize_t (*volatile own_write)(int, const void *, size_t);

static __attribute__((noinline)) void run_floor(void)
{
    for (uint64_t i = 0; i < CALLS; i++) {
        uint64_t *cell = ring + ring_at;
        uint64_t start = bench_counter();
        bench_barrier();
        cell[0] = bench_counter() << 8 | 1;
        cell[1] = i;
        cell[2] = start;
        cell[3] = i;
        bench_barrier();
        ring_at = (ring_at + 4) & (RING_WORDS - 1);
    }
}

static __attribute__((noinline)) void run_sleeps(void)
{
    for (int i = 0; i < CALLS; i++)
        clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &soon, NULL);
}

static __attribute__((noinline)) int jump_to_sleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left)
{
    return own_clock_nanosleep(clock, flags, length, left);
}

static __attribute__((noinline)) int pass_on_sleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left)
{
    int result = own_clock_nanosleep(clock, flags, length, left);
    bench_barrier(); /* no tail call: a hook comes back, too */
    return result;
}

static int (*volatile bare_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *) = pass_on_sleep;

static __attribute__((noinline)) int jump_to_bare_sleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left)
{
    return bare_clock_nanosleep(clock, flags, length, left);
}

static __attribute__((noinline)) void run_bare_sleeps(void)
{
    for (int i = 0; i < CALLS; i++)
        jump_to_bare_sleep(CLOCK_THREAD_CPUTIME_ID, 0, &soon, NULL);
}

static __attribute__((noinline)) void run_own_sleeps(void)
{
    for (int i = 0; i < CALLS; i++)
        jump_to_sleep(CLOCK_THREAD_CPUTIME_ID, 0, &soon, NULL);
}

static __attribute__((noinline)) void run_locks(void)
{
    for (int i = 0; i < CALLS; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
}

static __attribute__((noinline)) int jump_to_lock(pthread_mutex_t *which)
{
    return own_lock(which);
}

static __attribute__((noinline)) int jump_to_unlock(pthread_mutex_t *which)
{
    return own_unlock(which);
}

static __attribute__((noinline)) void run_own_locks(void)
{
    for (int i = 0; i < CALLS; i++) {
        jump_to_lock(&mutex);
        jump_to_unlock(&mutex);
    }
}

static __attribute__((noinline)) void run_writes(void)
{
    for (int i = 0; i < CALLS; i++)
        if (write(null_fd, "", 0) != 0)
            bench_fail("/dev/null refuses to be written");
}

static __attribute__((noinline)) ssize_t jump_to_write(int fd, const void *bytes, size_t len)
{
    return own_write(fd, bytes, len);
}

static __attribute__((noinline)) void run_own_writes(void)
{
    for (int i = 0; i < CALLS; i++)
        if (jump_to_write(null_fd, "", 0) != 0)
            bench_fail("/dev/null refuses to be written");
}

/* The least that standing between a program and its libc takes: one more call through a pointer. */
static __attribute__((noinline)) ssize_t pass_on_write(int fd, const void *bytes, size_t len)
{
    ssize_t result = own_write(fd, bytes, len);
    bench_barrier(); /* no tail call: a hook comes back, too */
    return result;
}

static ssize_t (*volatile bare_write)(int, const void *, size_t) = pass_on_write;

static __attribute__((noinline)) void run_bare_writes(void)
{
    for (int i = 0; i < CALLS; i++)
        if (bare_write(null_fd, "", 0) != 0)
            bench_fail("/dev/null refuses to be written");
}

static double ns_a_call(void (*run)(void))
{
    double start = bench_now_ns();
    run();
    return (bench_now_ns() - start) / CALLS;
}

struct figures {
    double hook_ns, floor_ns, ratio;
};

static struct figures alternate(void (*hooked)(void), void (*own)(void))
{
    double ratios[MEDIANS], hooks[MEDIANS], floors[MEDIANS];
    size_t medians = bench_is_short() ? 1 : MEDIANS, alternations = bench_is_short() ? 10 : ALTERNATIONS;
    for (size_t m = 0; m < medians; m++) {
        double ratio[ALTERNATIONS], hook[ALTERNATIONS], floor[ALTERNATIONS];
        for (size_t i = 0; i < alternations; i++) {
            floor[i] = ns_a_call(run_floor);
            double with = ns_a_call(hooked);
            hook[i] = with - ns_a_call(own);
            ratio[i] = hook[i] / floor[i];
        }
        ratios[m] = bench_median(ratio, alternations);
        hooks[m] = bench_median(hook, alternations);
        floors[m] = bench_median(floor, alternations);
    }
    return (struct figures){bench_median(hooks, medians), bench_median(floors, medians), bench_median(ratios, medians)};
}

static void wait_for_gate(bool open)
{
    for (int i = 0; i < 5000 && !!TTAP_ENABLED(TTAP_GROUP_SLEEP) != open; i++)
        usleep(1000);
    if (!!TTAP_ENABLED(TTAP_GROUP_SLEEP) != open)
        bench_fail(open ? "the capture did not start" : "the capture did not stop");
}

static void measure_idle(void)
{
    struct figures locks = alternate(run_locks, run_own_locks);
    bench_figure("idle_lock_ns", locks.hook_ns / 2, 0.4, "an uncontended lock or unlock, nobody recording");
    bench_figure("idle_sleep_ns", alternate(run_sleeps, run_own_sleeps).hook_ns, 0, "a call that may sleep: what it waits in is noted always");
    bench_figure("bare_sleep_ns", alternate(run_bare_sleeps, run_own_sleeps).hook_ns, 0, "of that: standing between a program and its libc");
    bench_figure("idle_write_ns", alternate(run_writes, run_own_writes).hook_ns, 0, "a system call on a descriptor, noted too");
    bench_figure("bare_write_ns", alternate(run_bare_writes, run_own_writes).hook_ns, 0, "of that: one more call through a pointer");
}

static void measure_recording(unsigned port)
{
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    ttap_status_get(&before);
    pid_t client = bench_client(port, "/debug/trace?seconds=300&events=lock,net,file,sleep", "/dev/null");
    wait_for_gate(true);
    struct figures sleeps = alternate(run_sleeps, run_own_sleeps);
    bench_figure("sleep_ratio", sleeps.ratio, 1.25, "recording hook / (two counter readings + a 32-byte store)");
    bench_figure("sleep_ns", sleeps.hook_ns, 0, "");
    bench_figure("floor_ns", sleeps.floor_ns, 0, "");
    bench_figure("lock_pair_ns", alternate(run_locks, run_own_locks).hook_ns, 0, "an uncontended lock and its unlock: no event");
    struct figures writes = alternate(run_writes, run_bare_writes);
    bench_figure("write_ratio", writes.ratio, 0, "a system call on a descriptor, beyond the bare one / the floor");
    bench_figure("write_ns", writes.hook_ns, 0, "");
    ttap_status_get(&after);
    bench_figure("events", (double)(after.events - before.events), 0, "recorded while measuring");
    bench_figure("lost", (double)(after.lost - before.lost), 0, "of them");
    bench_client_end(client);
    wait_for_gate(false);
}

/* Execute this program again with the hooks, as a preloaded library. */
static void preload_hooks(char **argv)
{
    static const char done[] = "BENCH_HOOKS_PRELOADED";
    const char *library = getenv("TRACETAP_PRELOAD");
    if (getenv(done))
        return;
    setenv(done, "1", 1);
    setenv("LD_PRELOAD", library ? library : TRACETAP_PRELOAD, 1);
    execv("/proc/self/exe", argv);
    bench_fail("cannot execute itself");
}

static void *own(void *libc, const char *name)
{
    void *found = dlsym(libc, name);
    if (!found)
        bench_fail("libc lacks a function");
    return found;
}

static void find_own(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!libc)
        bench_fail("this is not glibc");
    own_clock_nanosleep = (int (*)(clockid_t, int, const struct timespec *, struct timespec *))own(libc, "clock_nanosleep");
    own_lock = (int (*)(pthread_mutex_t *))own(libc, "pthread_mutex_lock");
    own_unlock = (int (*)(pthread_mutex_t *))own(libc, "pthread_mutex_unlock");
    own_write = (ssize_t(*)(int, const void *, size_t))own(libc, "write");
    if ((void *)own_write == dlsym(RTLD_DEFAULT, "write"))
        bench_fail("libtracetap-preload.so was not loaded: there are no hooks to measure");
}

int main(int argc, char **argv)
{
    preload_hooks(argv);
    unsetenv("LD_PRELOAD"); /* not for the client */
    bench_begin("hooks", argc, argv);
    find_own();
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    opts.port = 0;
    struct ttap_http *http;
    if (ttap_http_start(&opts, &http))
        bench_fail(ttap_http_error());
    bench_pin(0); /* this thread; the endpoint's and the drainer's may run anywhere */
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ring = malloc(RING_WORDS * sizeof(*ring));
    memset(ring, 1, RING_WORDS * sizeof(*ring));
    measure_idle();
    measure_recording(ttap_http_port(http));
    ttap_http_stop(http);
    return bench_end();
}
