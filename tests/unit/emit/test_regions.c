/* test_regions.c - regions of one thread: nesting, and what readers are told when an end is missing, doubled or too deep. */
#include <setjmp.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static struct recording r;

static void start(void)
{
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static const char *kind_at(size_t i)
{
    static const char *const names[] = {[TTAP__REGION_BEGIN] = "begin",
                                        [TTAP__REGION_END] = "end",
                                        [TTAP__REGION_END_AT] = "end_at",
                                        [TTAP__REGION_END_OPEN] = "end_open",
                                        [TTAP__INSTANT] = "instant"};
    return i < r.events_count && r.events[i].kind <= TTAP__INSTANT && names[r.events[i].kind] ? names[r.events[i].kind] : "?";
}

/* The kinds that arrived, as words. */
static void arrived(const char *expected)
{
    char text[4096] = "";
    for (size_t i = 0; i < r.events_count && strlen(text) < 4000; i++)
        strcat(strcat(text, i ? " " : ""), kind_at(i));
    CU_ASSERT_STRING_EQUAL(text, expected);
    if (strcmp(text, expected))
        fprintf(stderr, "    arrived: %s\n", text);
}

static void begins_and_ends_arrive_in_order_with_their_names(void)
{
    start();
    {
        TTAP_REGION("outer");
        {
            TTAP_REGION("inner");
        }
        TTAP_REGION_BEGIN("second");
        TTAP_REGION_END("second");
    }
    CU_ASSERT(recording_stop(&r));
    arrived("begin begin end begin end end");
    CU_ASSERT_STRING_EQUAL(r.events[0].name, "outer");
    CU_ASSERT_STRING_EQUAL(r.events[1].name, "inner");
    CU_ASSERT_STRING_EQUAL(r.events[3].name, "second");
    for (size_t i = 1; i < r.events_count; i++)
        CU_ASSERT(r.events[i].ticks >= r.events[i - 1].ticks);
    recording_free(&r);
}

static void an_end_without_a_begin_is_told_as_one_that_began_before(void)
{
    TTAP_REGION_BEGIN("began before");
    TTAP_REGION_BEGIN("also before");
    start();
    TTAP_REGION_END("also before");
    TTAP_REGION_END("began before");
    TTAP_REGION_END("never began");
    CU_ASSERT(recording_stop(&r));
    arrived("end_open end_open end_open");
    CU_ASSERT_STRING_EQUAL(r.events[0].name, "also before");
    CU_ASSERT_STRING_EQUAL(r.events[1].name, "began before");
    CU_ASSERT(r.events[0].a[1] == 1 && r.events[1].a[1] == 2 && r.events[2].a[1] == 3); /* levels: the next encloses the last */
    recording_free(&r);
}

static void a_region_that_is_never_ended_stays_open(void)
{
    start();
    TTAP_REGION_BEGIN("left open");
    CU_ASSERT(recording_stop(&r));
    arrived("begin");
    recording_free(&r);
    start(); /* and is forgotten by the next capture */
    TTAP_REGION_BEGIN("fresh");
    TTAP_REGION_END("fresh");
    CU_ASSERT(recording_stop(&r));
    arrived("begin end");
    CU_ASSERT(r.events[0].head_regions == 0);
    recording_free(&r);
}

static void longjmp_leaves_regions_that_the_enclosing_end_closes(void)
{
    static jmp_buf out;
    start();
    TTAP_REGION_BEGIN("around");
    if (!setjmp(out)) {
        TTAP_REGION_BEGIN("skipped");
        TTAP_REGION_BEGIN("skipped too");
        longjmp(out, 1);
    }
    TTAP_REGION_END("around");
    TTAP_REGION_BEGIN("after");
    TTAP_REGION_END("after");
    CU_ASSERT(recording_stop(&r));
    arrived("begin begin begin end_at begin end");
    const struct recorded_event *end = recording_find(&r, TTAP__REGION_END_AT, "around", 0);
    CU_ASSERT(end && end->a[1] == 0);
    recording_free(&r);
}

/* Without an enclosing region nothing ever closes what longjmp skipped; a hundred thousand rounds must still add up. */
static void a_longjmp_loop_stays_exact_and_readable(void)
{
    static jmp_buf out;
    static volatile int round;
    start();
    for (round = 0; round < 20000; round++) {
        if (!setjmp(out)) {
            TTAP_REGION("left by longjmp");
            longjmp(out, 1);
        }
    }
    TTAP_REGION_BEGIN("whole");
    TTAP_REGION_END("whole");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, "left by longjmp") == 20000);
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, "whole") == 1);
    CU_ASSERT_STRING_EQUAL(kind_at(r.events_count - 1), "end");
    recording_free(&r);
}

static void depths(int deep)
{
    TTAP_REGION_BEGIN("level");
    if (deep > 1)
        depths(deep - 1);
    TTAP_REGION_END("level");
}

static void recursion_with_equal_names_pairs_innermost_first(void)
{
    start();
    depths(3);
    CU_ASSERT(recording_stop(&r));
    arrived("begin begin begin end end end");
    recording_free(&r);
}

static void deeper_than_64_is_recorded_and_finds_its_way_back(void)
{
    start();
    depths(200);
    TTAP_REGION_BEGIN("next");
    TTAP_REGION_END("next");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.events_count == 402);
    CU_ASSERT(recording_count(&r, TTAP__REGION_END_OPEN, NULL) == 0);
    CU_ASSERT(recording_count(&r, TTAP__REGION_END, NULL) == 201);
    recording_free(&r);
}

/* Heads list 64 regions. The plain end of a deeper one that an earlier block began once closed one of those that were listed. */
static void deep_regions_from_earlier_blocks_close_nothing_that_is_listed(void)
{
    start();
    for (int i = 0; i < 200; i++)
        TTAP_REGION_BEGIN("deep");
    for (int i = 0; i < 2000; i++)
        TTAP_INSTANT("filler");
    for (int i = 0; i < 200; i++)
        TTAP_REGION_END("deep");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__REGION_END, NULL) == 64);
    CU_ASSERT(recording_count(&r, TTAP__REGION_END_AT, "deep") == 136);
    for (size_t i = 0; i < r.events_count; i++)
        CU_ASSERT(r.events[i].kind != TTAP__REGION_END_AT || r.events[i].a[1] == 64);
    recording_free(&r);
}

static void the_heads_of_later_blocks_tell_what_is_open(void)
{
    start();
    TTAP_REGION_BEGIN("spans blocks");
    TTAP_REGION_BEGIN("spans them too");
    for (int i = 0; i < 3000; i++)
        TTAP_INSTANT("filler");
    TTAP_REGION_END("spans them too");
    TTAP_REGION_END("spans blocks");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.runs > 2);
    CU_ASSERT(r.events[r.events_count - 3].head_regions == 2);
    recording_free(&r);
}

static void mixed_ends_close_what_their_name_says(void)
{
    start();
    TTAP_REGION_BEGIN("a");
    TTAP_REGION_BEGIN("b");
    TTAP_REGION_END("a"); /* closes b as well */
    TTAP_REGION_END("b"); /* nothing of that name is open any more */
    TTAP_REGION_BEGIN("c");
    TTAP_REGION_END("c");
    CU_ASSERT(recording_stop(&r));
    arrived("begin begin end_at end_open begin end");
    recording_free(&r);
}

static void a_group_that_is_not_asked_for_is_not_recorded(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.groups = TTAP_GROUP_LOG;
    CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
    TTAP_REGION_BEGIN("not wanted");
    TTAP_INSTANT("wanted");
    TTAP_REGION_END("not wanted");
    CU_ASSERT(recording_stop(&r));
    arrived("instant");
    CU_ASSERT(r.filtered == 0);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"begins and ends arrive in order with their names", begins_and_ends_arrive_in_order_with_their_names},
    {"an end without a begin is told as one that began before", an_end_without_a_begin_is_told_as_one_that_began_before},
    {"a region that is never ended stays open", a_region_that_is_never_ended_stays_open},
    {"longjmp leaves regions that the enclosing end closes", longjmp_leaves_regions_that_the_enclosing_end_closes},
    {"a longjmp loop stays exact and readable", a_longjmp_loop_stays_exact_and_readable},
    {"recursion with equal names pairs innermost first", recursion_with_equal_names_pairs_innermost_first},
    {"deeper than 64 is recorded and finds its way back", deeper_than_64_is_recorded_and_finds_its_way_back},
    {"deep regions from earlier blocks close nothing that is listed", deep_regions_from_earlier_blocks_close_nothing_that_is_listed},
    {"the heads of later blocks tell what is open", the_heads_of_later_blocks_tell_what_is_open},
    {"mixed ends close what their name says", mixed_ends_close_what_their_name_says},
    {"a group that is not asked for is not recorded", a_group_that_is_not_asked_for_is_not_recorded},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
