/* test_collector.c - the source "gc" in front of a collector that this program plays: callbacks of the program are called once each, whatever it does
 * with ours, and are put back unless it has set others since. */
#include <CUnit/Basic.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tracetap/tracetap.h"

/* ---- The collector: gc.h, as far as the source knows it ---- */

typedef void (*phase_callback)(int event);
typedef void (*thread_callback)(int event, void *thread);

enum { START, MARK_START, MARK_END, RECLAIM_START, RECLAIM_END, END, PRE_STOP, POST_STOP, PRE_START, POST_START, SUSPENDED, UNSUSPENDED };

#define EVENTS_OF_A_CYCLE 10u /* four phases, and a thread that is stopped */
#define EXPORTED __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the collector's; callbacks are called with it */
static phase_callback phases;
static thread_callback threads;

EXPORTED void GC_set_on_collection_event(phase_callback callback);
EXPORTED phase_callback GC_get_on_collection_event(void);
EXPORTED void GC_set_on_thread_event(thread_callback callback);
EXPORTED thread_callback GC_get_on_thread_event(void);

void GC_set_on_collection_event(phase_callback callback)
{
    pthread_mutex_lock(&lock);
    phases = callback;
    pthread_mutex_unlock(&lock);
}

phase_callback GC_get_on_collection_event(void)
{
    pthread_mutex_lock(&lock);
    phase_callback callback = phases;
    pthread_mutex_unlock(&lock);
    return callback;
}

void GC_set_on_thread_event(thread_callback callback)
{
    pthread_mutex_lock(&lock);
    threads = callback;
    pthread_mutex_unlock(&lock);
}

thread_callback GC_get_on_thread_event(void)
{
    pthread_mutex_lock(&lock);
    thread_callback callback = threads;
    pthread_mutex_unlock(&lock);
    return callback;
}

static void cycle(void)
{
    static const int before[] = {START, PRE_STOP}, behind[] = {POST_STOP, MARK_START, MARK_END, PRE_START},
                     last[] = {POST_START, RECLAIM_START, RECLAIM_END, END};
    pthread_mutex_lock(&lock);
    for (size_t i = 0; phases && i < sizeof(before) / sizeof(before[0]); i++)
        phases(before[i]);
    if (threads)
        threads(SUSPENDED, (void *)pthread_self());
    for (size_t i = 0; phases && i < sizeof(behind) / sizeof(behind[0]); i++)
        phases(behind[i]);
    if (threads)
        threads(UNSUSPENDED, (void *)pthread_self());
    for (size_t i = 0; phases && i < sizeof(last) / sizeof(last[0]); i++)
        phases(last[i]);
    pthread_mutex_unlock(&lock);
}

/* ---- The program's callbacks ---- */

enum { PHASES_OF_A_CYCLE = 10, WRAPS = 6 };
static unsigned own_phases, own_threads, wrapped;
static phase_callback inner[WRAPS];

static void own_phase(int event)
{
    (void)event;
    own_phases++;
}

static void own_thread(int event, void *thread)
{
    (void)event;
    (void)thread;
    own_threads++;
}

/* Each calls on who was there before. */
#define WRAP(n)                                                                                                                                      \
    static void wrap_##n(int event)                                                                                                                  \
    {                                                                                                                                                \
        wrapped++;                                                                                                                                   \
        if (inner[n])                                                                                                                                \
            inner[n](event);                                                                                                                         \
    }
WRAP(0)
WRAP(1)
WRAP(2)
WRAP(3)
WRAP(4)
WRAP(5)
static const phase_callback wraps[WRAPS] = {wrap_0, wrap_1, wrap_2, wrap_3, wrap_4, wrap_5};

static void wrap_what_is_there(int n)
{
    inner[n] = GC_get_on_collection_event();
    GC_set_on_collection_event(wraps[n]);
}

/* ---- Windows ---- */

static int forget_bytes(void *unused, const void *bytes, size_t len_bytes)
{
    (void)unused;
    (void)bytes;
    (void)len_bytes;
    return 0;
}

static uint64_t events_so_far(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    return status.events;
}

/* One cycle in a window, in which the program may first do something. How many events that made. */
static uint64_t recorded_cycle(void (*before)(int n), int n)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    opts.duration_ns = 0;
    opts.groups = TTAP_GROUP_GC;
    uint64_t events = events_so_far();
    CU_ASSERT_EQUAL_FATAL(ttap_capture_start(&opts, forget_bytes, NULL, &capture), 0);
    if (before)
        before(n);
    cycle();
    CU_ASSERT_EQUAL(ttap_capture_stop(capture), 0);
    return events_so_far() - events;
}

/* The source stops just behind the end of its last window. */
static bool becomes(phase_callback callback)
{
    for (int tries = 0; tries < 20000 && GC_get_on_collection_event() != callback; tries++)
        usleep(1000);
    return GC_get_on_collection_event() == callback;
}

static bool tells_of_threads; /* not every C library has their numbers where we can find them */

static void without_callbacks_there_are_none_again(void)
{
    uint64_t events = recorded_cycle(NULL, 0);
    tells_of_threads = events == EVENTS_OF_A_CYCLE;
    CU_ASSERT_TRUE(tells_of_threads || events == EVENTS_OF_A_CYCLE - 2);
    CU_ASSERT_TRUE(becomes(NULL));
    CU_ASSERT_PTR_NULL((void *)GC_get_on_thread_event());
}

static uint64_t of_a_cycle(void)
{
    return tells_of_threads ? EVENTS_OF_A_CYCLE : EVENTS_OF_A_CYCLE - 2;
}

static void callbacks_of_the_program_are_called_once_and_put_back(void)
{
    GC_set_on_collection_event(own_phase);
    GC_set_on_thread_event(own_thread);
    for (unsigned i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(recorded_cycle(NULL, 0), of_a_cycle());
        CU_ASSERT_TRUE(becomes(own_phase));
        CU_ASSERT_EQUAL(own_phases, i * PHASES_OF_A_CYCLE);
        CU_ASSERT_EQUAL(own_threads, i * 2);
    }
}

/* Others are put on top of ours in each window, and call on ours for ever. From some depth on ours stay where they are, which is still good enough. */
static void callbacks_set_in_a_window_stay_and_everybody_is_called_once(void)
{
    own_phases = 0;
    for (int n = 0; n < WRAPS; n++) {
        wrapped = 0;
        unsigned before = own_phases;
        CU_ASSERT_EQUAL(recorded_cycle(wrap_what_is_there, n), of_a_cycle());
        CU_ASSERT_TRUE(becomes(wraps[n]));
        CU_ASSERT_EQUAL(wrapped, (unsigned)(n + 1) * PHASES_OF_A_CYCLE);
        CU_ASSERT_EQUAL(own_phases - before, PHASES_OF_A_CYCLE);
    }
    wrapped = 0;
    cycle();
    CU_ASSERT_EQUAL(wrapped, WRAPS * PHASES_OF_A_CYCLE);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("collector", NULL, NULL);
    CU_ADD_TEST(suite, without_callbacks_there_are_none_again);
    CU_ADD_TEST(suite, callbacks_of_the_program_are_called_once_and_put_back);
    CU_ADD_TEST(suite, callbacks_set_in_a_window_stay_and_everybody_is_called_once);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
