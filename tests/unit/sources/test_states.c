/* test_states.c - from the events of a scheduler stream to spans: what each pair of events means, and that spans tile whatever comes. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "states.h"

static struct ttap__states states;
static struct ttap__state_span told[4096];
static struct ttap__state_wake woken[64];
static unsigned told_count, woken_count;

static void on_span(void *arg, const struct ttap__state_span *span)
{
    (void)arg;
    if (told_count < 4096)
        told[told_count] = *span;
    told_count++;
}

static void on_wake(void *arg, const struct ttap__state_wake *wake)
{
    (void)arg;
    if (woken_count < 64)
        woken[woken_count] = *wake;
    woken_count++;
}

static const struct ttap__states_tell tell = {on_span, on_wake, NULL};

static void begin(void)
{
    memset(&states, 0, sizeof(states));
    told_count = woken_count = 0;
}

static void event(uint8_t kind, int64_t ns, uint64_t a, uint64_t b)
{
    struct ttap__kind_row row = {.number = kind, .known = kind};
    struct ttap__event e = {.row = &row, .a = {a, b}};
    ttap__states_event(&states, &e, ns, &tell);
}

enum { EXACT, SAMPLED };
enum { READY = 5 };

static void look(int64_t ns, uint64_t state, uint64_t run_ns, uint64_t wait_ns, uint64_t slices, int64_t call, uint64_t how)
{
    struct ttap__kind_row row = {.number = TTAP__SCHED_LOOK, .known = TTAP__SCHED_LOOK};
    struct ttap__event e = {.row = &row, .a = {state, 0, run_ns, wait_ns, slices, (uint64_t)call, call == 202, how}};
    ttap__states_event(&states, &e, ns, &tell);
}

static void is(unsigned at, uint8_t state, int64_t start_ns, int64_t end_ns)
{
    CU_ASSERT_FATAL(at < told_count);
    CU_ASSERT_EQUAL(told[at].state, state);
    CU_ASSERT_EQUAL(told[at].start_ns, start_ns);
    CU_ASSERT_EQUAL(told[at].end_ns, end_ns);
}

static void end(int64_t ns, unsigned spans)
{
    ttap__states_finish(&states, ns, &tell);
    CU_ASSERT_EQUAL(told_count, spans);
}

static void switches_are_spans(void)
{
    begin();
    look(10, TTAP__STATE_BLOCKED, 0, 0, 1, -1, EXACT);
    event(TTAP__SCHED_RUN, 100, 3, 0);
    event(TTAP__SCHED_PREEMPT, 150, 0, 0);
    event(TTAP__SCHED_RUN, 200, 1, 0);
    event(TTAP__SCHED_BLOCK, 300, 0, 0);
    end(1000, 5);
    is(0, TTAP__STATE_BLOCKED, 0, 100);
    is(1, TTAP__STATE_RUNNING, 100, 150);
    is(2, TTAP__STATE_RUNNABLE, 150, 200);
    is(3, TTAP__STATE_RUNNING, 200, 300);
    is(4, TTAP__STATE_BLOCKED, 300, 1000);
    CU_ASSERT_EQUAL(told[1].cpu, 3);
    CU_ASSERT_EQUAL(told[3].cpu, 1);
    CU_ASSERT_EQUAL(told[2].cpu, -1);
    CU_ASSERT_EQUAL(told[0].flags, TTAP__OPEN_START);
    CU_ASSERT_EQUAL(told[1].flags, 0);
    CU_ASSERT_EQUAL(told[4].flags, TTAP__OPEN_END);
    CU_ASSERT_EQUAL(states.disagreements, 0);
}

static void who_never_woke_is_blocked_for_all_of_the_window(void)
{
    begin();
    look(5, TTAP__STATE_BLOCKED, 100, 0, 7, 202, EXACT);
    look(990, TTAP__STATE_BLOCKED, 100, 0, 7, 202, EXACT);
    end(1000, 1);
    is(0, TTAP__STATE_BLOCKED, 0, 1000);
    CU_ASSERT_EQUAL(told[0].call, 202);
    CU_ASSERT_EQUAL(told[0].why, 1);
    CU_ASSERT_EQUAL(told[0].flags, TTAP__OPEN_START | TTAP__OPEN_END);
}

static void a_wake_ends_the_wait_and_begins_the_latency(void)
{
    begin();
    look(0, TTAP__STATE_BLOCKED, 0, 0, 1, 0, EXACT);
    event(TTAP__SCHED_WAKE, 50, 9, 1);
    event(TTAP__SCHED_RUN, 70, 0, 0);
    event(TTAP__SCHED_BLOCK, 80, 0, 0);
    event(TTAP__SCHED_WAKE, 90, 0, 3);
    end(100, 5);
    is(0, TTAP__STATE_BLOCKED, 0, 50);
    is(1, TTAP__STATE_RUNNABLE, 50, 70);
    is(4, TTAP__STATE_RUNNABLE, 90, 100);
    CU_ASSERT_EQUAL_FATAL(woken_count, 2);
    CU_ASSERT(woken[0].at_ns == 50 && woken[0].run_ns == 20 && woken[0].by == 9 && woken[0].cause == 1);
    CU_ASSERT(woken[1].at_ns == 90 && woken[1].run_ns == -1 && woken[1].by == 0 && woken[1].cause == 3);
}

static void running_or_runnable_is_what_the_next_event_shows(void)
{
    begin();
    look(0, READY, 0, 0, 1, -1, EXACT);
    event(TTAP__SCHED_BLOCK, 40, 0, 0);
    end(100, 2);
    is(0, TTAP__STATE_RUNNING, 0, 40);
    begin();
    look(0, READY, 0, 0, 1, -1, EXACT);
    event(TTAP__SCHED_RUN, 40, 0, 0);
    end(100, 2);
    is(0, TTAP__STATE_RUNNABLE, 0, 40);
}

static void who_neither_left_nor_got_a_cpu_had_it_or_waited_by_its_totals(void)
{
    begin();
    look(0, READY, 5, 0, 1, -1, EXACT);
    look(1000000, READY, 900005, 0, 1, -1, EXACT);
    end(1000000, 1);
    is(0, TTAP__STATE_RUNNING, 0, 1000000);
    begin();
    look(0, READY, 5, 0, 1, -1, EXACT);
    look(1000000, READY, 5, 0, 1, -1, EXACT);
    end(1000000, 1);
    is(0, TTAP__STATE_RUNNABLE, 0, 1000000);
}

static void a_thread_of_the_window_is_gone_before_and_after(void)
{
    begin();
    event(TTAP__SCHED_BEGIN, 200, 4, 0);
    event(TTAP__SCHED_RUN, 210, 0, 0);
    event(TTAP__SCHED_END, 300, 0, 0);
    end(1000, 4);
    is(0, TTAP__STATE_GONE, 0, 200);
    is(1, TTAP__STATE_RUNNABLE, 200, 210);
    is(2, TTAP__STATE_RUNNING, 210, 300);
    is(3, TTAP__STATE_GONE, 300, 1000);
}

static void where_events_are_missing_nothing_is_known(void)
{
    begin();
    look(0, TTAP__STATE_BLOCKED, 0, 0, 1, 0, EXACT);
    event(TTAP__SCHED_RUN, 100, 0, 0);
    ttap__states_lost(&states);
    event(TTAP__SCHED_RUN, 500, 0, 0);
    ttap__states_lost(&states);
    end(1000, 2);
    is(1, TTAP__STATE_UNKNOWN, 100, 1000);
    CU_ASSERT_EQUAL(states.disagreements, 0);
}

static void a_look_that_knows_nothing_takes_back_the_time_since_the_event_before(void)
{
    begin();
    look(0, TTAP__STATE_BLOCKED, 0, 0, 1, 0, EXACT);
    event(TTAP__SCHED_RUN, 100, 0, 0);
    look(500, TTAP__STATE_UNKNOWN, 0, 0, 1, -1, EXACT);
    event(TTAP__SCHED_RUN, 500, 0, 0);
    end(1000, 3);
    is(0, TTAP__STATE_BLOCKED, 0, 100);
    is(1, TTAP__STATE_UNKNOWN, 100, 500);
    is(2, TTAP__STATE_RUNNING, 500, 1000);
    CU_ASSERT_EQUAL(states.disagreements, 0);
}

static void what_cannot_follow_is_counted(void)
{
    begin();
    look(0, TTAP__STATE_BLOCKED, 0, 0, 1, 0, EXACT);
    event(TTAP__SCHED_BLOCK, 100, 0, 0);
    end(1000, 2);
    CU_ASSERT_EQUAL(states.disagreements, 1);
}

static uint64_t sum_of(uint8_t state, bool estimated)
{
    uint64_t ns = 0;
    for (unsigned i = 0; i < told_count; i++)
        if (told[i].state == state && !estimated == !(told[i].flags & TTAP__ESTIMATED))
            ns += (uint64_t)(told[i].end_ns - told[i].start_ns);
    return ns;
}

static void between_two_looks_are_their_totals(void)
{
    begin();
    look(0, TTAP__STATE_BLOCKED, 1000, 500, 10, 0, SAMPLED);
    look(100000000, TTAP__STATE_BLOCKED, 31000, 10500, 14, 0, SAMPLED);
    look(200000000, TTAP__STATE_BLOCKED, 31000, 10500, 14, 0, SAMPLED);
    ttap__states_finish(&states, 200000000, &tell);
    CU_ASSERT_EQUAL(sum_of(TTAP__STATE_RUNNING, true), 30000);
    CU_ASSERT_EQUAL(sum_of(TTAP__STATE_RUNNABLE, true), 10000);
    CU_ASSERT_EQUAL(sum_of(TTAP__STATE_BLOCKED, true), 199960000);
    CU_ASSERT_EQUAL(sum_of(TTAP__STATE_RUNNING, false) + sum_of(TTAP__STATE_BLOCKED, false), 0);
}

static void totals_beyond_the_time_there_is_are_cut(void)
{
    begin();
    look(0, READY, 0, 0, 1, -1, SAMPLED);
    look(100, TTAP__STATE_BLOCKED, 70, UINT64_MAX, 9, 0, SAMPLED);
    look(200, READY, UINT64_MAX / 2, 3, 12, -1, SAMPLED);
    ttap__states_finish(&states, 200, &tell);
    CU_ASSERT_EQUAL(told[0].start_ns, 0);
    CU_ASSERT_EQUAL(told[told_count - 1].end_ns, 200);
}

static void a_guess_does_not_reach_back_behind_the_look_before(void)
{
    begin();
    look(0, READY, 0, 0, 1, -1, SAMPLED);
    look(50000000, READY, 0, 0, 1, -1, SAMPLED);         /* waited all the time */
    look(100000000, READY, 50000000, 0, 1, -1, SAMPLED); /* ran all the time */
    look(150000000, READY, 50000000, 0, 1, -1, SAMPLED);
    ttap__states_finish(&states, 150000000, &tell);
    CU_ASSERT_EQUAL(sum_of(TTAP__STATE_RUNNING, true), 50000000);
}

/* Any events in any order, with any numbers: spans begin at 0, end at the end, touch, and are never empty. */
static void spans_tile_whatever_comes(void)
{
    srand(7);
    for (int round = 0; round < 20000; round++) {
        begin();
        int64_t ns = 0, end_ns = 1000000;
        unsigned events = 1 + (unsigned)rand() % 30;
        for (unsigned i = 0; i < events; i++) {
            uint8_t kind = (uint8_t)(TTAP__SCHED_RUN + rand() % 7);
            ns += rand() % 3 ? rand() % 40000 : -(rand() % 100);
            uint64_t huge = rand() % 10 ? 0 : UINT64_MAX - (uint64_t)rand() % 3;
            if (kind == TTAP__SCHED_LOOK)
                look(ns, (uint64_t)rand() % 7 + huge, (uint64_t)rand() + huge, (uint64_t)rand() + huge, (uint64_t)rand() % 3, rand() % 400 - 2,
                     (uint64_t)rand() % 2);
            else
                event(kind, ns, (uint64_t)rand() % 4 + huge, (uint64_t)rand() % 2);
            if (rand() % 20 == 0)
                ttap__states_lost(&states);
        }
        ttap__states_finish(&states, end_ns > states.last_ns ? end_ns : states.last_ns, &tell);
        int64_t at = 0;
        for (unsigned i = 0; i < told_count; i++) {
            CU_ASSERT_EQUAL_FATAL(told[i].start_ns, at);
            CU_ASSERT_FATAL(told[i].end_ns > at && told[i].state < TTAP__STATES);
            at = told[i].end_ns;
        }
        CU_ASSERT_EQUAL_FATAL(at, end_ns > states.last_ns ? end_ns : states.last_ns);
    }
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("states", NULL, NULL);
    CU_ADD_TEST(suite, switches_are_spans);
    CU_ADD_TEST(suite, who_never_woke_is_blocked_for_all_of_the_window);
    CU_ADD_TEST(suite, a_wake_ends_the_wait_and_begins_the_latency);
    CU_ADD_TEST(suite, running_or_runnable_is_what_the_next_event_shows);
    CU_ADD_TEST(suite, who_neither_left_nor_got_a_cpu_had_it_or_waited_by_its_totals);
    CU_ADD_TEST(suite, a_thread_of_the_window_is_gone_before_and_after);
    CU_ADD_TEST(suite, where_events_are_missing_nothing_is_known);
    CU_ADD_TEST(suite, a_look_that_knows_nothing_takes_back_the_time_since_the_event_before);
    CU_ADD_TEST(suite, what_cannot_follow_is_counted);
    CU_ADD_TEST(suite, between_two_looks_are_their_totals);
    CU_ADD_TEST(suite, totals_beyond_the_time_there_is_are_cut);
    CU_ADD_TEST(suite, a_guess_does_not_reach_back_behind_the_look_before);
    CU_ADD_TEST(suite, spans_tile_whatever_comes);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
