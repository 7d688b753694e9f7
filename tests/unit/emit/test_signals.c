/* test_signals.c - handlers that record, in the middle of recording. The counters say exactly what must arrive. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "recording.h"
#include "signal_storm.h"
#include "statements.h"

enum { THREADS = 4 };
static struct recording r;
static struct ttap_name tiles[2 * THREADS]; /* even: the thread's own, odd: its first handler's */
static const char *const tile_texts[2 * THREADS] = {"tile.0", "tile.1", "tile.2", "tile.3", "tile.4", "tile.5", "tile.6", "tile.7"};
static __thread unsigned me;
static __thread int64_t from_handler;
static int64_t told[2 * THREADS];
static unsigned second_level;

static void start(void)
{
    for (int i = 0; i < 2 * THREADS; i++)
        tiles[i] = (struct ttap_name){tile_texts[i], 0};
    memset(told, 0, sizeof(told));
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static void emit_in_handler(int signo)
{
    (void)signo;
    ttap_counter(&tiles[2 * me + 1], from_handler++);
}

static void *emit_under_a_storm(void *arg)
{
    struct signal_storm storm;
    me = (unsigned)(uintptr_t)arg;
    from_handler = 0;
    int stormy = !signal_storm_start(&storm, SIGUSR1, 10000);
    int64_t i = 0;
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        for (int k = 0; k < 2000; k++)
            ttap_counter(&tiles[2 * me], i++);
        sched_yield(); /* the drainer has to get a processor, or the budget ends it */
        clock_gettime(CLOCK_MONOTONIC, &now);
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    } while (now.tv_sec - begun.tv_sec < 2 && i < 200000);
    if (stormy)
        signal_storm_stop(&storm);
    told[2 * me] = i;
    told[2 * me + 1] = from_handler;
    return stormy ? arg : NULL;
}

static void at_10_kHz_on_every_thread_nothing_is_lost(void)
{
    pthread_t threads[THREADS];
    signal_storm_handle(SIGUSR1, emit_in_handler);
    start();
    for (uintptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, emit_under_a_storm, (void *)t);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    size_t nested = 0;
    for (size_t i = 0; i < r.events_count; i++)
        nested += r.events[i].level == 1;
    printf("(%zu events, %zu of them inside others) ", r.events_count, nested);
    CU_ASSERT(nested > 0);
    for (unsigned t = 0; t < 2 * THREADS; t++) {
        const struct validation_tile *tile = validation_tile(&r.check, t);
        CU_ASSERT_PTR_NOT_NULL_FATAL(tile);
        CU_ASSERT((int64_t)tile->delivered == told[t] && tile->missing == 0 && tile->duplicates == 0);
    }
    recording_free(&r);
}

/* The second handler's signal is raised by the first handler while that is inside an emission: not from C, so both storm on their own and
 * the second may interrupt the first anywhere. */
static void emit_on_second_level(int signo)
{
    (void)signo;
    static struct ttap_name name = TTAP_NAME_INIT("second level");
    ttap_instant(&name);
    second_level++;
}

static void emit_a_lot_in_handler(int signo)
{
    (void)signo;
    for (int i = 0; i < 200; i++)
        ttap_counter(&tiles[1], from_handler++);
}

static void what_a_second_handler_loses_is_counted_exactly(void)
{
#if defined(__SANITIZE_THREAD__)
    printf("(not under ThreadSanitizer, which puts signals off) ");
    return;
#endif
    struct signal_storm first, second;
    signal_storm_handle(SIGUSR1, emit_a_lot_in_handler);
    signal_storm_handle(SIGUSR2, emit_on_second_level);
    me = 0;
    from_handler = 0;
    second_level = 0;
    uint64_t lost_nested = 0;
    size_t delivered = 0;
    /* Until it has happened: a second level needs two coincidences, which mostly take a round, and beside other tests have taken more than 20. */
    for (int round = 0; round < 200 && !lost_nested; round++) {
        start();
        from_handler = 0;
        second_level = 0;
        CU_ASSERT_FATAL(signal_storm_start(&first, SIGUSR1, 5000) == 0 && signal_storm_start(&second, SIGUSR2, 20000) == 0);
        int64_t i = 0;
        for (; i < 400000; i++) {
            ttap_counter(&tiles[0], i);
            if (i % 20000 == 0)
                sched_yield();
        }
        signal_storm_stop(&second);
        signal_storm_stop(&first);
        CU_ASSERT(recording_stop(&r));
        lost_nested = r.lost[TTAP__LOSS_NESTED];
        delivered = recording_count(&r, TTAP__INSTANT, "second level");
        CU_ASSERT(delivered + lost_nested + r.lost[TTAP__LOSS_FULL] >= second_level);
        if (!r.lost[TTAP__LOSS_FULL])
            CU_ASSERT(delivered + lost_nested == second_level);
        const struct validation_tile *own = validation_tile(&r.check, 0);
        CU_ASSERT(r.lost[TTAP__LOSS_FULL] || (own && (int64_t)own->delivered == i)); /* the first levels lose nothing */
        recording_free(&r);
    }
    printf("(%u on the second level, %llu lost) ", second_level, (unsigned long long)lost_nested);
    CU_ASSERT(lost_nested > 0);
}

/* Tasks are entered and left in handlers too; what they interrupt must not notice. */
static void enter_and_leave_in_handler(int signo)
{
    struct ttap_task task, before, now;
    (void)signo;
    TTAP_TASK_BEGIN(&task, "handler's task", NULL);
    ttap_task_enter(&task, &before);
    ttap_task_current(&now);
    from_handler += now.id == task.id;
    ttap_task_leave(&before);
    ttap_task_end(&task);
    second_level++;
}

static void a_handler_that_works_for_a_task_of_its_own_does_not_disturb_the_current_one(void)
{
    struct signal_storm storm;
    struct ttap_task one, two, none, now;
    unsigned wrong = 0;
    from_handler = 0;
    second_level = 0;
    TTAP_TASK_BEGIN(&one, "one", NULL);
    TTAP_TASK_BEGIN(&two, "two", &one);
    signal_storm_handle(SIGUSR1, enter_and_leave_in_handler);
    for (int recording = 0; recording < 2; recording++) {
        if (recording)
            start();
        CU_ASSERT_FATAL(signal_storm_start(&storm, SIGUSR1, 10000) == 0);
        for (int i = 0; i < 100000; i++) {
            const struct ttap_task *task = i % 2 ? &one : &two;
            ttap_task_enter(task, &none);
            ttap_task_current(&now);
            wrong += memcmp(&now, task, sizeof(now)) != 0;
        }
        ttap_task_enter(NULL, NULL);
        signal_storm_stop(&storm);
        if (recording) {
            CU_ASSERT(recording_stop(&r));
            recording_free(&r);
        }
    }
    CU_ASSERT(wrong == 0);
    CU_ASSERT(second_level > 0 && from_handler == second_level);
}

static CU_TestInfo statements[] = {
    {"at 10 kHz on every thread nothing is lost", at_10_kHz_on_every_thread_nothing_is_lost},
    {"what a second handler loses is counted exactly", what_a_second_handler_loses_is_counted_exactly},
    {"a handler that works for a task of its own does not disturb the current one",
     a_handler_that_works_for_a_task_of_its_own_does_not_disturb_the_current_one},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
