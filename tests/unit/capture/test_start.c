/* test_start.c - each allocation of starting and running a capture fails once: a clean error or a capture that adds up, and nothing kept. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "subs.h"

/* Countdown over all threads: the allocation that reaches 0 fails, or all from there on. */
static long countdown;
static int persistent, armed, failed;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg);

static int fails(void)
{
    if (!__atomic_load_n(&armed, __ATOMIC_RELAXED))
        return 0;
    long left = __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED);
    if (left && !(persistent && left < 0))
        return 0;
    __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    return 1;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(thread, attr, body, arg);
}

static void arm(long nth, int all_after)
{
    failed = 0;
    countdown = nth;
    persistent = all_after;
    __atomic_store_n(&armed, 1, __ATOMIC_RELAXED);
}

static void disarm(void)
{
    __atomic_store_n(&armed, 0, __ATOMIC_RELAXED);
}

/* Written bytes, in memory that is there already. */
static unsigned char sink[4u << 20];
static size_t sunk;

static int to_sink(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    if (sunk + len > sizeof(sink))
        return -EFBIG;
    memcpy(sink + sunk, bytes, len);
    sunk += len;
    return 0;
}

static void nothing_is_left(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    for (int i = 0; i < 1000; i++) {
        ttap_status_get(&status);
        if (!status.captures && !status.groups)
            break;
        nap_ms(1);
    }
    CU_ASSERT(status.captures == 0 && status.groups == 0);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
}

/* True when nothing failed any more: all have had their turn. */
static bool with_the_nth_failing(long nth, int all_after)
{
    struct ttap_capture *capture = NULL;
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    sunk = 0;
    arm(nth, all_after);
    int error = ttap_capture_start(&opts, to_sink, NULL, &capture);
    if (error) {
        disarm();
        CU_ASSERT(error == -ENOMEM || error == -EAGAIN);
        CU_ASSERT(!capture && failed);
        nothing_is_left();
        return false;
    }
    for (int i = 0; i < 3000; i++)
        TTAP_COUNTER("tile.0", i);
    nap_ms(12);
    int result = ttap_capture_stop(capture);
    disarm();
    CU_ASSERT(result == 0 || (failed && result == -ENOMEM));
    if (!result) { /* whatever failed, what was delivered adds up */
        struct recording r;
        CU_ASSERT(recording_of_bytes(&r, sink, sunk));
        CU_ASSERT(failed || r.events_count == 3000);
        recording_free(&r);
    }
    nothing_is_left();
    return !failed;
}

static void each_failing_alone(void)
{
    long nth = 1;
    while (!with_the_nth_failing(nth, 0) && nth < 200)
        nth++;
    printf("(%ld allocations) ", nth - 1);
    CU_ASSERT(nth > 3 && nth < 200);
}

static void each_failing_with_all_after_it(void)
{
    long nth = 1;
    while (!with_the_nth_failing(nth, 1) && nth < 200)
        nth++;
    CU_ASSERT(nth > 3 && nth < 200);
}

static void kept_captures_too(void)
{
    for (long nth = 1; nth < 50; nth++) {
        struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
        uint64_t id = 0;
        arm(nth, 0);
        int error = ttap__kept_start(&opts, &id);
        TTAP_INSTANT("kept");
        nap_ms(8);
        disarm();
        CU_ASSERT(error == 0 || error == -ENOMEM || error == -EAGAIN);
        if (!error)
            CU_ASSERT(ttap__kept_delete(id) == 0);
        CU_ASSERT(ttap__kept_list(NULL, 0) == 0);
        nothing_is_left();
        if (!failed)
            break;
    }
}

/* The engine's larger pieces come from mmap, by its own system call: the address space runs out instead. */
static void without_address_space_the_start_is_refused_or_the_capture_adds_up(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf("(not under sanitizers, which need the address space themselves) ");
#else
    struct rlimit before, tight;
    getrlimit(RLIMIT_AS, &before);
    tight = before;
    nap_ms(1500); /* the memory of earlier captures is back */
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CU_ASSERT(fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    unsigned refused = 0, ran = 0;
    CU_ASSERT(ttap_budget_set(256u << 20) == 0); /* a larger area than the one that is mapped */
    for (unsigned more_kb = 0; more_kb < 200000; more_kb += 5000) {
        struct ttap_capture *capture = NULL;
        struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
        opts.duration_ns = 0;
        sunk = 0;
        tight.rlim_cur = pages * 4096 + more_kb * 1024ull;
        setrlimit(RLIMIT_AS, &tight);
        int error = ttap_capture_start(&opts, to_sink, NULL, &capture);
        if (!error) {
            for (int i = 0; i < 1000; i++)
                TTAP_COUNTER("tile.0", i);
            error = ttap_capture_stop(capture);
            ran += !error;
        }
        setrlimit(RLIMIT_AS, &before);
        CU_ASSERT(error == 0 || error == -ENOMEM || error == -EAGAIN);
        refused += error != 0;
        if (!error) {
            struct recording r;
            CU_ASSERT(recording_of_bytes(&r, sink, sunk));
            recording_free(&r);
        }
        nothing_is_left();
    }
    printf("(%u refused, %u ran) ", refused, ran);
    CU_ASSERT(refused > 0 && ran > 0);
#endif
}

static CU_TestInfo statements[] = {
    {"each failing alone", each_failing_alone},
    {"each failing with all after it", each_failing_with_all_after_it},
    {"kept captures too", kept_captures_too},
    {"without address space the start is refused or the capture adds up", without_address_space_the_start_is_refused_or_the_capture_adds_up},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
