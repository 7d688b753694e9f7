/* shim.c - what shim.h puts in the place of the C library and the kernel. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

/* Same signatures as in shim.h, which cannot be included here: it would replace what this file stands on. */
uint64_t sim_counter(void);
int sim_cpuid(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d);
int sim_clock_gettime(clockid_t clock, struct timespec *out);
int sim_nanosleep(const struct timespec *length, struct timespec *left);
int sim_getcpuclockid(pthread_t thread, clockid_t *clock);
int sim_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg);
int sim_join(pthread_t thread, void **result);
int sim_key_create(pthread_key_t *key, void (*destroy)(void *));
int sim_setspecific(pthread_key_t key, const void *value);
void sim_run_destructors(struct fiber *fiber);
int sim_sigmask(int how, const sigset_t *set, sigset_t *before);
int sim_once(pthread_once_t *once, void (*call)(void));
int sim_mutex_init(pthread_mutex_t *mutex);
int sim_mutex_lock(pthread_mutex_t *mutex);
int sim_mutex_unlock(pthread_mutex_t *mutex);
int sim_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int sim_cond_wake(pthread_cond_t *cond, bool all);
void *sim_realloc(void *old, size_t bytes);
void *sim_calloc(size_t count, size_t bytes);
void sim_free(void *memory);
int sim_open(const char *path);
ssize_t sim_read(int fd, void *out, size_t max);
ssize_t sim_write(int fd, const void *bytes, size_t len);
int sim_close(int fd);
int sim_poll(struct pollfd *fd);
ssize_t sim_readlink(char *out, size_t size);
long ttap__syscall6(long number, long a, long b, long c, long d, long e, long f);
void *ttap__map(size_t bytes);
void ttap__unmap(void *memory, size_t bytes);
long ttap__advise(void *memory, size_t bytes, int advice);
int ttap__gettid(void);
int ttap__getpid(void);

/* ---- Time ---- */

/* 3 ticks a nanosecond, from a point where cells' 56 bits wrap within the first hours. */
uint64_t world_ticks_at(uint64_t ns)
{
    return ns * 3 + (UINT64_C(1) << 56) - WORLD_S * 3 * 500000;
}

/* Each stretch of running is on another processor. */
uint64_t sim_counter(void)
{
    world_now_ns += 8;
    uint64_t skew = world_faults.skew_ticks ? (world_fiber ? world_fiber->on_ns : 0) % world_faults.skew_ticks : 0;
    return world_ticks_at(world_now_ns) + skew;
}

int sim_cpuid(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    (void)leaf;
    *a = *b = *c = 0;
    *d = world_faults.clock == 1 ? 1u << 8 : 0;
    return 1;
}

static void put_time(struct timespec *out, uint64_t ns)
{
    out->tv_sec = (time_t)(ns / WORLD_S);
    out->tv_nsec = (long)(ns % WORLD_S);
}

static uint64_t ns_of(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * WORLD_S + (uint64_t)time->tv_nsec;
}

int sim_clock_gettime(clockid_t clock, struct timespec *out)
{
    world_point();
    world_now_ns += 20;
    uint64_t ns = world_now_ns;
    if (clock == CLOCK_REALTIME)
        ns += WORLD_S * 1700000000;
    else if (clock != CLOCK_MONOTONIC)
        ns = world_fiber ? world_fiber->ran_ns + world_now_ns - world_fiber->on_ns : 0;
    put_time(out, ns);
    return 0;
}

int sim_nanosleep(const struct timespec *length, struct timespec *left)
{
    (void)left;
    world_sleep_until(world_now_ns + ns_of(length));
    return 0;
}

int sim_getcpuclockid(pthread_t thread, clockid_t *clock)
{
    (void)thread;
    *clock = CLOCK_THREAD_CPUTIME_ID;
    return 0;
}

/* ---- Threads ---- */

int sim_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
    struct fiber *f = world_chance(world_faults.no_thread) ? NULL : world_start(main, arg, NULL);
    if (!f)
        return EAGAIN;
    f->is_drainer = attr != NULL; /* the other thread of the engine, a capture's, has none */
    f->masked = world_fiber && world_fiber->masked;
    *thread = (pthread_t)f->tid;
    world_trace("starts thread %d%s", f->tid, f->is_drainer ? " (drainer)" : "");
    world_point();
    return 0;
}

int sim_join(pthread_t thread, void **result)
{
    (void)result;
    for (struct fiber *f; (f = world_fiber_of((int)thread));)
        world_wait(f);
    return 0;
}

static void (*destroy_key)(void *);

int sim_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    *key = 1;
    destroy_key = destroy;
    return 0;
}

int sim_setspecific(pthread_key_t key, const void *value)
{
    (void)key;
    world_fiber->key_value = (void *)(uintptr_t)value;
    return 0;
}

void sim_run_destructors(struct fiber *fiber)
{
    for (int rounds = 0; rounds < 4 && fiber->key_value && destroy_key; rounds++) {
        void *value = fiber->key_value;
        fiber->key_value = NULL;
        destroy_key(value);
    }
}

/* All or nothing is all that the engine asks for. */
int sim_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    if (before) {
        sigemptyset(before);
        if (world_fiber && world_fiber->masked)
            sigfillset(before);
    }
    if (world_fiber && set && how == SIG_SETMASK)
        world_fiber->masked = sigismember(set, SIGUSR1);
    return 0;
}

int sim_once(pthread_once_t *once, void (*call)(void))
{
    if (!*(int *)once) {
        *(int *)once = 1;
        call();
    }
    return 0;
}

/* ---- Locks: the first word of a mutex is its owner's thread id ---- */

static int self(void)
{
    return world_fiber ? world_fiber->tid : 1;
}

int sim_mutex_init(pthread_mutex_t *mutex)
{
    *(int *)mutex = 0;
    return 0;
}

int sim_mutex_lock(pthread_mutex_t *mutex)
{
    int *owner = (int *)mutex;
    world_point();
    if (*owner == self())
        world_fail("thread %d locks a mutex that it holds", self());
    while (*owner)
        world_wait(mutex);
    *owner = self();
    return 0;
}

int sim_mutex_unlock(pthread_mutex_t *mutex)
{
    int *owner = (int *)mutex;
    if (*owner != self())
        world_fail("thread %d unlocks a mutex that %d holds", self(), *owner);
    *owner = 0;
    world_wake(mutex);
    world_point();
    return 0;
}

int sim_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    uint64_t limit_ns = until ? ns_of(until) : UINT64_MAX;
    bool spurious = world_chance(world_faults.spurious);
    *(int *)mutex = 0; /* not sim_mutex_unlock(): between unlocking and waiting nothing may happen */
    world_wake(mutex);
    world_fiber->idle_from_ns = world_now_ns;
    bool called = world_wait_until(cond, spurious && limit_ns > world_now_ns ? world_now_ns : limit_ns);
    while (*(int *)mutex)
        world_wait(mutex);
    *(int *)mutex = self();
    return !called && !spurious ? ETIMEDOUT : 0;
}

int sim_cond_wake(pthread_cond_t *cond, bool all)
{
    (void)all; /* more may wake than were asked for: whoever waits must look again anyway */
    world_wake(cond);
    world_point();
    return 0;
}

/* ---- Memory ---- */

bool world_was_short_of_memory, world_was_short_of_mappings;

void *sim_realloc(void *old, size_t bytes)
{
    if (world_chance(world_faults.no_memory)) {
        world_was_short_of_memory = true;
        return NULL;
    }
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        world_fail("the simulation itself is out of memory");
    world_held.allocations += !old;
    return memory;
}

void *sim_calloc(size_t count, size_t bytes)
{
    void *memory = sim_realloc(NULL, count * bytes);
    return memory ? memset(memory, 0, count * bytes) : NULL;
}

void sim_free(void *memory)
{
    world_held.allocations -= memory != NULL;
    free(memory);
}

void *ttap__map(size_t bytes)
{
    world_point();
    if (world_chance(world_faults.no_mapping)) {
        world_was_short_of_mappings = true;
        return NULL;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        world_fail("the simulation itself is out of memory");
    world_held.mapped_bytes += bytes;
    world_held.segments += bytes == WORLD_SEGMENT_BYTES;
    return memory;
}

void ttap__unmap(void *memory, size_t bytes)
{
    world_held.mapped_bytes -= bytes;
    world_held.segments -= bytes == WORLD_SEGMENT_BYTES;
    munmap(memory, bytes);
}

long ttap__advise(void *memory, size_t bytes, int advice)
{
    return advice == MADV_DONTNEED ? madvise(memory, bytes, advice) : 0; /* nobody forks here */
}

/* ---- Descriptors ---- */

enum { COMM_FD = 900, CLOCKSOURCE_FD };
static int comm_tid;

int sim_open(const char *path)
{
    world_point();
    if (world_chance(world_faults.no_descriptor) || sscanf(path, "/proc/self/task/%d/comm", &comm_tid) != 1)
        return -1;
    world_held.descriptors++;
    return COMM_FD;
}

ssize_t sim_read(int fd, void *out, size_t max)
{
    (void)fd;
    int n = snprintf(out, max, "sim-%d\n", comm_tid);
    return n < (int)max ? n : (ssize_t)max - 1;
}

/* The program's name is in each capture, and the simulation's own would make other histories of a seed. */
ssize_t sim_readlink(char *out, size_t size)
{
    static const char link[] = "/bin/service";
    size_t n = sizeof(link) - 1 < size ? sizeof(link) - 1 : size;
    memcpy(out, link, n);
    return (ssize_t)n;
}

int sim_close(int fd)
{
    (void)fd;
    world_held.descriptors--;
    return 0;
}

ssize_t sim_write(int fd, const void *bytes, size_t len)
{
    world_point();
    long n = world_sink_write(fd, bytes, len);
    if (n >= 0)
        return n;
    errno = (int)-n;
    return -1;
}

int sim_poll(struct pollfd *fd)
{
    world_sink_poll(fd->fd);
    return 1;
}

/* ---- The kernel, as trace/emit calls it ---- */

static long random_bytes(unsigned char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)world_draw();
    return (long)len;
}

long ttap__syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    (void)a, (void)d, (void)e, (void)f;
    world_point();
    switch (number) {
    case SYS_openat: /* only clock.c does: which clock source the kernel uses */
        return CLOCKSOURCE_FD;
    case SYS_read:
        memcpy((void *)b, "tsc", (size_t)c < 3 ? (size_t)c : 3);
        return 3;
    case SYS_getrandom:
        return random_bytes((unsigned char *)a, (size_t)b);
    case SYS_sigaltstack: /* to be told of it: no fiber has one, and handlers run where they interrupt */
        *(stack_t *)b = (stack_t){.ss_flags = SS_DISABLE};
        return 0;
    case SYS_tgkill: /* with signal 0: is there such a thread? */
        return world_fiber_of((int)b) ? 0 : -ESRCH;
    case SYS_close:
    case SYS_membarrier: /* order is that of the program */
        return 0;
    default:
        world_fail("system call %ld is not simulated", number);
    }
}

int ttap__gettid(void)
{
    return self();
}

int ttap__getpid(void)
{
    return 4711;
}

/* ---- trace/sources: none; what the kernel says is not simulated ---- */
struct ttap__source;
extern const struct ttap__source *const ttap__sources_linked[];
const struct ttap__source *const ttap__sources_linked[] = {NULL};
