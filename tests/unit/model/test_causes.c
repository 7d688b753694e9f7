/* test_causes.c - which call a blocked stretch belongs to. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "causes.h"

static struct ttap__allowance allowance;
static struct ttap__causes causes;
static struct ttap__cause_span told[8192];
static unsigned told_count;

static void tell(void *arg, const struct ttap__cause_span *span)
{
    (void)arg;
    told[told_count++] = *span;
}

static void begin(void)
{
    allowance = (struct ttap__allowance){.limit = 1 << 20};
    causes = (struct ttap__causes){.allowance = &allowance};
    told_count = 0;
}

static void call(int64_t start_ns, int64_t end_ns, uint8_t why, int32_t object)
{
    ttap__causes_call(&causes, &(struct ttap__cause_call){.start_ns = start_ns, .end_ns = end_ns, .why = why, .op = 7, .object = object, .stack = -1},
                      tell, NULL);
}

static void span(uint8_t state, int64_t start_ns, int64_t end_ns)
{
    ttap__causes_span(&causes, &(struct ttap__state_span){.state = state, .cpu = -1, .call = -1, .start_ns = start_ns, .end_ns = end_ns}, tell, NULL);
}

static void finish(void)
{
    ttap__causes_finish(&causes, tell, NULL);
    ttap__causes_free(&causes);
    CU_ASSERT_EQUAL(allowance.used, 0);
}

static void a_stretch_within_a_call_is_the_calls(void)
{
    begin();
    call(100, 200, 2, 5);
    span(TTAP__STATE_RUNNING, 0, 110);
    span(TTAP__STATE_BLOCKED, 110, 190);
    span(TTAP__STATE_RUNNING, 190, 300);
    CU_ASSERT_EQUAL(told_count, 3); /* nothing to wait for */
    CU_ASSERT_EQUAL(told[1].span.why, 2);
    CU_ASSERT_EQUAL(told[1].object, 5);
    CU_ASSERT_EQUAL(told[1].op, 7);
    CU_ASSERT_EQUAL(told[0].object, -1);
    finish();
}

static void a_stretch_waits_for_the_call_that_returns_after_it(void)
{
    begin();
    call(0, 10, 1, 1);
    span(TTAP__STATE_BLOCKED, 110, 190);
    span(TTAP__STATE_RUNNING, 190, 300);
    CU_ASSERT_EQUAL(told_count, 0);
    call(100, 200, 4, -1);
    CU_ASSERT_EQUAL(told_count, 2);
    CU_ASSERT_EQUAL(told[0].span.why, 4);
    finish();
}

static void of_nested_calls_the_inner_one_counts(void)
{
    begin();
    call(110, 180, 3, 1); /* a handler's, inside the other */
    call(100, 200, 2, 2);
    span(TTAP__STATE_BLOCKED, 120, 170);
    CU_ASSERT_EQUAL(told[0].object, 1);
    finish();
    begin();
    call(110, 120, 3, 1);
    call(100, 200, 2, 2);
    span(TTAP__STATE_BLOCKED, 112, 190); /* mostly outside the handler */
    CU_ASSERT_EQUAL(told[0].object, 2);
    finish();
}

static void what_a_handler_calls_does_not_hide_the_call_it_interrupted(void)
{
    begin();
    call(0, 10, 3, 1);
    span(TTAP__STATE_BLOCKED, 110, 190);
    span(TTAP__STATE_RUNNING, 190, 500);
    call(200, 250, 3, 2); /* by a handler that ends the wait; these return first */
    call(260, 270, 3, 2);
    CU_ASSERT_EQUAL(told_count, 0);
    call(100, 300, 2, 5);
    CU_ASSERT_EQUAL(told_count, 2);
    CU_ASSERT_EQUAL(told[0].object, 5);
    finish();
}

/* Scheduler records come up to 100 ms behind the calls. A server that makes 200,000 a second had no cause for 3 % of its waits, because only the
 * last 4,096 calls were kept; of them nine tenths were such as return at once. */
static void a_long_call_is_remembered_over_many_short_ones(void)
{
    begin();
    for (int i = 0; i < 1000; i++) {
        int64_t at = i * 100000;
        call(at, at + 20000, 2, i);
        for (int k = 0; k < 20; k++)
            call(at + 20000 + k * 1000, at + 20800 + k * 1000, 3, 7777);
    }
    for (int i = 0; i < 1000; i++)
        span(TTAP__STATE_BLOCKED, i * 100000 + 2000, i * 100000 + 19000);
    CU_ASSERT_EQUAL(told_count, 1000);
    for (unsigned i = 0; i < told_count; i++)
        CU_ASSERT_EQUAL(told[i].object, (int)i);
    CU_ASSERT_EQUAL(causes.unexplained, 0);
    finish();
}

static void of_too_many_calls_the_short_ones_go_however_long_they_are(void)
{
    for (int64_t length_ns = 1; length_ns > 0; length_ns = length_ns > INT64_MAX / 2 ? -1 : length_ns * 2) {
        begin();
        for (int i = 0; i < TTAP__CAUSE_CALLS_MAX + 1; i++)
            call(0, length_ns, 2, i);
        CU_ASSERT(causes.calls_count <= TTAP__CAUSE_CALLS_MAX / 2 + 1);
        finish();
    }
    begin();
    for (int i = 0; i < TTAP__CAUSE_CALLS_MAX + 1; i++)
        call(INT64_MIN, INT64_MAX, 2, i);
    CU_ASSERT(causes.calls_count <= TTAP__CAUSE_CALLS_MAX / 2 + 1);
    finish();
}

/* A page that was not there, say. Thousands of calls later it goes without a cause, and those behind it have theirs. */
static void what_no_call_covers_keeps_nothing_from_its_cause(void)
{
    begin();
    call(0, 10, 3, 1);
    span(TTAP__STATE_BLOCKED, 110, 190);
    for (int i = 0; i < 2 * TTAP__CAUSE_CALLS_MAX; i++) {
        call(1000 + i * 100, 1000 + i * 100 + 60, 2, i);
        if (i % 200 == 0)
            span(TTAP__STATE_BLOCKED, 1000 + i * 100 + 10, 1000 + i * 100 + 50);
    }
    finish();
    CU_ASSERT_EQUAL(told_count, 1 + (2 * TTAP__CAUSE_CALLS_MAX + 199) / 200);
    CU_ASSERT_EQUAL(told[0].object, -1);
    for (unsigned i = 1; i < told_count; i++)
        CU_ASSERT_EQUAL(told[i].object, (int)(i - 1) * 200);
}

static void a_call_that_covers_less_than_half_is_not_the_cause(void)
{
    begin();
    call(100, 140, 2, 2);
    span(TTAP__STATE_BLOCKED, 100, 200);
    finish();
    CU_ASSERT_EQUAL(told_count, 1);
    CU_ASSERT_EQUAL(told[0].span.why, 0);
    CU_ASSERT_EQUAL(causes.unexplained, 1);
}

static void what_waits_is_told_in_order_at_the_end(void)
{
    begin();
    call(0, 5, 1, 1);
    for (int i = 0; i < 200; i++)
        span(i % 2 ? TTAP__STATE_RUNNING : TTAP__STATE_BLOCKED, 10 + i * 10, 20 + i * 10);
    finish();
    CU_ASSERT_EQUAL(told_count, 200);
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(told[i].span.start_ns, 10 + i * 10);
}

/* One call that began before the window, and at each of 1,000 wakes found its lock taken again. */
static unsigned explained_of_a_thousand_wakes(size_t limit_bytes)
{
    begin();
    allowance.limit = limit_bytes;
    call(0, 5, 2, 1);
    for (int i = 0; i < 1000; i++) {
        span(TTAP__STATE_BLOCKED, 10 + i * 10, 18 + i * 10);
        span(TTAP__STATE_RUNNING, 18 + i * 10, 20 + i * 10);
    }
    call(6, 20000, 1, 9);
    finish();
    CU_ASSERT_EQUAL(told_count, 2000);
    unsigned explained = 0;
    for (unsigned i = 0; i < told_count; i++) {
        CU_ASSERT_EQUAL(told[i].span.start_ns, (int64_t)(i % 2 ? 18 : 10) + i / 2 * 10);
        explained += told[i].span.state == TTAP__STATE_BLOCKED && told[i].object == 9 && told[i].span.why == 1;
    }
    return explained;
}

static void a_call_explains_each_stretch_of_its_wait_however_many(void)
{
    CU_ASSERT_EQUAL(explained_of_a_thousand_wakes(1 << 20), 1000);
    unsigned when_memory_is_short = explained_of_a_thousand_wakes(32 << 10);
    CU_ASSERT(when_memory_is_short >= TTAP__CAUSE_SPANS_MIN / 2 && when_memory_is_short < 1000);
}

static void a_hundred_milliseconds_of_calls_may_come_first(void)
{
    begin();
    for (int i = 0; i < 4000; i++)
        call(i * 100 + 10, i * 100 + 60, 2, i);
    for (int i = 0; i < 4000; i++)
        span(TTAP__STATE_BLOCKED, i * 100 + 20, i * 100 + 50);
    CU_ASSERT_EQUAL(told_count, 4000);
    for (int i = 0; i < 4000; i++)
        CU_ASSERT_EQUAL(told[i].object, i);
    finish();
}

static void without_memory_states_are_told_without_causes(void)
{
    begin();
    allowance.limit = 0;
    call(100, 200, 2, 5);
    span(TTAP__STATE_BLOCKED, 110, 190);
    CU_ASSERT_EQUAL(told_count, 1);
    CU_ASSERT_EQUAL(told[0].span.why, 0);
    finish();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        {"a stretch within a call is the call's", a_stretch_within_a_call_is_the_calls},
        {"a stretch waits for the call that returns after it", a_stretch_waits_for_the_call_that_returns_after_it},
        {"what a handler calls does not hide the call it interrupted", what_a_handler_calls_does_not_hide_the_call_it_interrupted},
        {"what no call covers keeps nothing from its cause", what_no_call_covers_keeps_nothing_from_its_cause},
        {"of nested calls the inner one counts", of_nested_calls_the_inner_one_counts},
        {"a call that covers less than half is not the cause", a_call_that_covers_less_than_half_is_not_the_cause},
        {"what waits is told in order at the end", what_waits_is_told_in_order_at_the_end},
        {"a call explains each stretch of its wait, however many", a_call_explains_each_stretch_of_its_wait_however_many},
        {"a hundred milliseconds of calls may come first", a_hundred_milliseconds_of_calls_may_come_first},
        {"a long call is remembered over many short ones", a_long_call_is_remembered_over_many_short_ones},
        {"of too many calls the short ones go, however long they are", of_too_many_calls_the_short_ones_go_however_long_they_are},
        {"without memory states are told without causes", without_memory_states_are_told_without_causes},
        CU_TEST_INFO_NULL};
    static CU_SuiteInfo suites[] = {{"causes", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    CU_initialize_registry();
    CU_register_suites(suites);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
