/* test_windows.c - when a window opens, when it closes, who may have one. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "subs.h"

static struct recording r;

static int to_nowhere(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

static void a_window_is_as_long_as_asked_whatever_happens_in_it(void)
{
    static const uint64_t durations_ns[] = {1000, 1000000, 50000000, 300000000};
    for (int i = 0; i < 4; i++) {
        struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
        struct emitters e;
        opts.duration_ns = durations_ns[i];
        emitters_start(&e, 2, 500);
        CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
        for (int ms = 0; TTAP_ENABLED(TTAP_GROUPS_ALL) && ms < 20000; ms++) /* not stopped by us: the drainer may be late on a busy machine */
            nap_ms(1);
        CU_ASSERT(recording_stop(&r));
        emitters_stop(&e);
        uint64_t window_ns = r.end_mono_ns - r.start_mono_ns;
        CU_ASSERT(r.reason == TTAP__END_WINDOW && r.duration_ns == durations_ns[i]);
        CU_ASSERT(window_ns >= durations_ns[i]);
        CU_ASSERT(window_ns < durations_ns[i] + 2000000000u);
        printf("(%.3f ms for %.3f) ", (double)window_ns / 1e6, (double)durations_ns[i] / 1e6);
        for (size_t k = 0; k < r.events_count; k++) /* nothing from outside of it */
            CU_ASSERT(r.events[k].ticks <= r.end_ticks);
        recording_free(&r);
    }
}

static void what_is_emitted_after_start_returned_is_in_it_and_after_stop_is_not(void)
{
    TTAP_INSTANT("before");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    TTAP_INSTANT("first");
    TTAP_INSTANT("last");
    CU_ASSERT(recording_stop(&r));
    TTAP_INSTANT("after");
    CU_ASSERT(r.events_count == 2 && recording_count(&r, 0, "first") == 1 && recording_count(&r, 0, "last") == 1);
    CU_ASSERT(r.reason == TTAP__END_STOPPED);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
    recording_free(&r);
}

static void max_bytes_ends_it_early(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct emitters e;
    opts.duration_ns = 20000000000u;
    opts.max_bytes = 100000;
    CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
    emitters_start(&e, 2, 500);
    while (TTAP_ENABLED(TTAP_GROUPS_ALL))
        nap_ms(1);
    emitters_stop(&e);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.reason == TTAP__END_BYTES);
    CU_ASSERT(r.len >= 100000 && r.len < 4000000);
    recording_free(&r);
}

static void options_out_of_range_are_refused_and_change_nothing(void)
{
    struct ttap_capture *capture = (void *)&r;
    struct ttap_capture_opts good = TTAP_CAPTURE_OPTS_INIT, opts;
    opts = good, opts.duration_ns = 999;
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    opts = good, opts.duration_ns = 600000000001u;
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    opts = good, opts.groups = 0;
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    opts = good, opts.groups = UINT64_C(1) << 32;
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    opts = good, opts.sample = "2";
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    opts = good, opts.size = 4;
    CU_ASSERT(ttap_capture_start(&opts, to_nowhere, NULL, &capture) == -EINVAL);
    CU_ASSERT(ttap_capture_start(&good, NULL, NULL, &capture) == -EINVAL);
    opts = good, opts.duration_ns = 0;
    CU_ASSERT(ttap_capture_fd(1, &opts) == -EINVAL);
    CU_ASSERT(capture == (void *)&r);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
}

static void an_older_programs_shorter_options_get_the_defaults(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.size = offsetof(struct ttap_capture_opts, groups);
    opts.duration_ns = 1000000;
    opts.groups = 0; /* all behind size is not read */
    opts.max_bytes = 1;
    opts.sample = (const char *)1;
    CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
}

static void one_too_many_is_refused_until_one_is_closed(void)
{
    struct ttap__sub *subs[TTAP__SUBS_MAX + 1];
    CU_ASSERT(ttap__captures_max() == 4);
    CU_ASSERT(ttap__captures_max_set(0) == -EINVAL && ttap__captures_max_set(17) == -EINVAL);
    for (unsigned max = 1; max <= 16; max *= 4) {
        struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
        struct ttap__sub *none = NULL;
        CU_ASSERT(ttap__captures_max_set(max) == 0);
        for (unsigned i = 0; i < max; i++)
            subs[i] = open_sub(TTAP_GROUPS_ALL, NULL);
        CU_ASSERT(ttap__sub_open(&opts, &none) == -EBUSY && !none);
        ttap__sub_close(subs[0]);
        subs[0] = open_sub(TTAP_GROUPS_ALL, NULL);
        for (unsigned i = 0; i < max; i++)
            ttap__sub_close(subs[i]);
    }
    ttap__captures_max_set(4);
}

static void stop_all_ends_every_window_for_shutdown(void)
{
    struct ttap__sub *subs[3];
    size_t len;
    for (int i = 0; i < 3; i++)
        subs[i] = open_sub(TTAP_GROUPS_ALL, NULL);
    uint64_t begun_ns = now_ns();
    ttap__captures_stop_all();
    CU_ASSERT(now_ns() - begun_ns < 3000000000u);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(ttap__sub_state(subs[i]) == TTAP__SUB_DRAINING);
        unsigned char *bytes = read_to_end(subs[i], &len);
        CU_ASSERT(recording_of_bytes(&r, bytes, len) && r.reason == TTAP__END_SHUTDOWN);
        recording_free(&r);
        free(bytes);
        ttap__sub_close(subs[i]);
    }
    ttap__captures_stop_all(); /* and with nothing to stop it returns */
}

static void stop_does_not_wait_for_busy_emitters(void)
{
    struct emitters e;
    uint64_t worst_ns = 0;
    emitters_start(&e, 4, 0);
    for (int i = 0; i < 20; i++) {
        struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
        nap_ms(2);
        uint64_t begun_ns = now_ns();
        ttap__sub_stop(sub, TTAP__END_STOPPED);
        while (ttap__sub_state(sub) == TTAP__SUB_RECORDING)
            sched_yield();
        uint64_t took_ns = now_ns() - begun_ns;
        worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
        ttap__sub_close(sub);
    }
    emitters_stop(&e);
    printf("(worst %.1f ms) ", (double)worst_ns / 1e6);
    CU_ASSERT(worst_ns < 30000000000u); /* 50 ms is the aim; the slack is for sanitizers on a loaded machine */
}

/* ---- Start and stop from many threads ---- */

#if defined(__SANITIZE_THREAD__)
enum { TOGGLERS = 4, CYCLES = 15 }; /* twenty times slower, and most of it is the validator reading */
#else
enum { TOGGLERS = 4, CYCLES = 250 };
#endif
static unsigned busy, wrong, exact_ones, with_events;

static void *toggle(void *arg)
{
    for (int i = 0; i < CYCLES; i++) {
        struct recording mine;
        struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
        opts.duration_ns = i % 2 ? 0 : 5000000;
        int error = recording_start(&mine, &opts);
        if (error) {
            __atomic_fetch_add(error == -EBUSY ? &busy : &wrong, 1, __ATOMIC_RELAXED);
            free(mine.bytes);
            continue;
        }
        if (i % 3)
            nap_ms(2);
        __atomic_fetch_add(recording_stop(&mine) ? &exact_ones : &wrong, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&with_events, mine.events_count != 0, __ATOMIC_RELAXED);
        recording_free(&mine);
    }
    return arg;
}

static void a_thousand_windows_from_four_threads_over_16_emitters_are_all_exact(void)
{
    struct emitters e;
    pthread_t threads[TOGGLERS];
    emitters_start(&e, 16, 20);
    for (int i = 0; i < TOGGLERS; i++)
        pthread_create(&threads[i], NULL, toggle, NULL);
    for (int i = 0; i < TOGGLERS; i++)
        pthread_join(threads[i], NULL);
    emitters_stop(&e);
    printf("(%u exact, %u with events) ", exact_ones, with_events);
    CU_ASSERT(wrong == 0);
    CU_ASSERT(busy == 0 && exact_ones == TOGGLERS * CYCLES); /* four at once are allowed */
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
}

/* ---- Afterwards ---- */

static unsigned thread_count(void)
{
    unsigned threads = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof(line), status))
        sscanf(line, "Threads: %u", &threads);
    if (status)
        fclose(status);
    return threads;
}

static void memory_and_thread_go_back_a_second_after_the_last_listener(void)
{
    struct emitters e;
    struct ttap_status status = {.size = sizeof(status)};
    struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
    emitters_start(&e, 4, 0);
    nap_ms(50);
    ttap_status_get(&status);
    CU_ASSERT(status.used_bytes > 0 && status.chunks_live > 0);
    ttap__sub_close(sub);
    unsigned with_drainer = thread_count();
    for (int i = 0; i < 200 && (thread_count() == with_drainer || status.used_bytes); i++) { /* 10 s at most */
        nap_ms(50);
        ttap_status_get(&status);
    }
    CU_ASSERT(thread_count() == with_drainer - 1);
    CU_ASSERT(status.used_bytes == 0 && status.chunks_live == 0);
    emitters_stop(&e);
}

static CU_TestInfo statements[] = {
    {"a window is as long as asked", a_window_is_as_long_as_asked_whatever_happens_in_it},
    {"what is emitted after start is in it, after stop is not", what_is_emitted_after_start_returned_is_in_it_and_after_stop_is_not},
    {"max_bytes ends it early", max_bytes_ends_it_early},
    {"options out of range are refused and change nothing", options_out_of_range_are_refused_and_change_nothing},
    {"an older program's shorter options get the defaults", an_older_programs_shorter_options_get_the_defaults},
    {"one too many is refused until one is closed", one_too_many_is_refused_until_one_is_closed},
    {"stop_all ends every window for shutdown", stop_all_ends_every_window_for_shutdown},
    {"stop does not wait for busy emitters", stop_does_not_wait_for_busy_emitters},
    {"a thousand windows from four threads over 16 emitters are all exact", a_thousand_windows_from_four_threads_over_16_emitters_are_all_exact},
    {"memory and thread go back a second after the last listener", memory_and_thread_go_back_a_second_after_the_last_listener},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
