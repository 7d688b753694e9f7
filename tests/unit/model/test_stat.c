/* Figures of a capture: what is counted, and what does not add up is said. */
#include <errno.h>
#include <string.h>

#include "fail_malloc.h"
#include "stat.h"
#include "statements.h"
#include "text_capture.h"

enum {
    KINDS = 0
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) +1
#include "events.def"
#undef TTAP_KIND
};

static struct wire wire_of(const char *text)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    bool good = text_capture_to_wire(text, strlen(text), &wire, error);
    if (!good)
        printf("%s\n", error);
    CU_ASSERT_TRUE_FATAL(good);
    return wire;
}

static struct ttap__stat *stat_of(const char *text)
{
    struct wire wire = wire_of(text);
    struct ttap__stat *stat = ttap__stat_new();
    ttap__stat_feed(stat, wire.bytes, wire.len);
    wire_free(&wire);
    return stat;
}

static const char good[] = "header base_ticks=1000 base_mono_ns=1000 base_wall_ns=1700000000000000000 duration_ns=9000 exe=\"svc\" sample=\"a=0.5\"\n"
                           "note key=\"source.sched\" value=\"off\"\n"
                           "threads thread=1 tid=801 name=\"main\"\nthreads thread=2 tid=802 name=\"worker\"\n"
                           "thread 1 at 2000: region_begin name=\"a\"\n"
                           "thread 1 at 2100: region_end\n"
                           "thread 1 signal at 2200: instant name=\"tick\"\n"
                           "chunk thread=2 base=3000 filtered=10\n"
                           "thread 2 at 3000: region_begin name=\"a\"\n"
                           "loss thread=2 reason=queue lost=4 filtered=1 from=3000 to=4000\n"
                           "loss thread=0 reason=full first_seq=0 lost=2 from=1000 to=4000\n"
                           "sampled_out thread=2 n=90\n"
                           "account\n"
                           "trailer reason=stopped end_ticks=6000 drainer_cpu_ns=77\n";

static void figures_are_those_of_the_blocks(void)
{
    struct ttap__stat *stat = stat_of(good);
    const struct ttap__stat_result *result = ttap__stat_finish(stat);
    CU_ASSERT_STRING_EQUAL(result->identity, "exact");
    CU_ASSERT_TRUE(result->has_header && result->exact && !result->truncated);
    CU_ASSERT_STRING_EQUAL(result->problem, "");
    CU_ASSERT_STRING_EQUAL(result->exe, "svc");
    CU_ASSERT_STRING_EQUAL(result->sample, "a=0.5");
    CU_ASSERT_STRING_EQUAL(result->reason_name, "stopped");
    CU_ASSERT_EQUAL(result->notes_count, 1);
    CU_ASSERT_STRING_EQUAL(result->notes[0].value, "off");
    CU_ASSERT_EQUAL(result->delivered, 4);
    CU_ASSERT_EQUAL(result->filtered, 11);
    CU_ASSERT_EQUAL(result->lost[TTAP__LOSS_QUEUE], 4);
    CU_ASSERT_EQUAL(result->lost[TTAP__LOSS_FULL], 2);
    CU_ASSERT_EQUAL(result->lost[0], 6);
    CU_ASSERT_EQUAL(result->sampled_out, 90);
    CU_ASSERT_EQUAL(result->emitted, 21);
    CU_ASSERT_EQUAL(result->offered, 111);
    CU_ASSERT_EQUAL(result->window_ns, 5000);
    CU_ASSERT_EQUAL(result->drainer_cpu_ns, 77);
    CU_ASSERT_EQUAL(result->kinds_count, KINDS);
    CU_ASSERT_EQUAL(result->kinds[0].delivered, 2);
    CU_ASSERT_STRING_EQUAL(result->kinds[0].name, "region_begin");
    CU_ASSERT_EQUAL(result->threads_count, 3);
    CU_ASSERT_STRING_EQUAL(result->threads[0].name, "main");
    CU_ASSERT_EQUAL(result->threads[0].delivered, 3);
    CU_ASSERT_EQUAL(result->threads[0].signal_delivered, 1);
    CU_ASSERT_EQUAL(result->threads[1].lost[TTAP__LOSS_QUEUE], 4);
    CU_ASSERT_EQUAL(result->threads[1].sampled_out, 90);
    CU_ASSERT_EQUAL(result->threads[2].thread, 0);
    ttap__stat_free(stat);
}

/* One wrong number at a time, in an otherwise good capture: each must be named. */
static void each_thing_that_does_not_add_up_is_named(void)
{
    static const struct {
        const char *end, *says;
    } wrong[] = {
        {"account\ntrailer delivered=3\n", "the trailer says 3 delivered, the accounts 2"},
        {"account\ntrailer filtered=1\n", "filtered"},
        {"account\ntrailer sampled_out=5\n", "sampled out"},
        {"account\ntrailer lost_stall=5\n", "lost"},
        {"account\ntrailer streams=2\n", "streams"},
        {"account\ntrailer events=9\n", "events"},
        {"account\ntrailer blocks=3\n", "blocks"},
        {"account\ntrailer bytes=3\n", "bytes"},
        {"trailer\n", "has no account"},
        {"account thread=1 end_seq=3\ntrailer\n", "are not 2 events"},
        {"account thread=1 end_seq=3 delivered=3\ntrailer\n", "blocks of 0 to 2, account of 0 to 3"},
        {"account thread=1 delivered=1 filtered=1\ntrailer\n", "blocks have 2 delivered"},
        {"account thread=1 delivered=1 lost_late=1\ntrailer\n", "blocks have 2 delivered"},
        {"account thread=1\naccount thread=1\ntrailer\n", "two accounts"},
        {"account\nthread 1 at 5000: instant name=\"late\"\ntrailer\n", "after its account"},
        {"chunk thread=1 first_seq=1 base=3000\nthread 1 at 3000: region_end\naccount\ntrailer\n", "where the window began"},
        {"chunk thread=1 first_seq=3 base=3000 delivered_before=2 lost_before=1\nthread 1 at 3000: region_end\n"
         "account thread=1 start_seq=0 end_seq=4 delivered=3 lost_full=1\ntrailer\n",
         "2 to 3 is in no block"},
        {"loss thread=1 reason=9 lost=1\naccount\ntrailer\n", "reason 9"},
    };
    static const char begin[] = "thread 1 at 1000: region_begin name=\"a\"\nthread 1 at 1100: region_end\n";
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s", begin, wrong[i].end);
        struct ttap__stat *stat = stat_of(text);
        const struct ttap__stat_result *result = ttap__stat_finish(stat);
        if (result->exact || !strstr(result->identity, wrong[i].says))
            printf("%s says: %s\n", wrong[i].end, result->identity);
        CU_ASSERT_TRUE(!result->exact && strstr(result->identity, wrong[i].says));
        ttap__stat_free(stat);
    }
}

/* Threads whose accounts were folded into thread 0's row, because the queue stayed full. */
static void thread_0_may_account_for_streams_without_a_row(void)
{
    static const char begin[] = "thread 1 at 1000: region_begin name=\"a\"\nthread 1 at 1100: region_end\n";
    char text[512];
    snprintf(text, sizeof text, "%saccount thread=0 start_seq=0 end_seq=7 delivered=2 lost_queue=5\ntrailer\n", begin);
    struct ttap__stat *stat = stat_of(text);
    CU_ASSERT_STRING_EQUAL(ttap__stat_finish(stat)->identity, "exact");
    ttap__stat_free(stat);
    snprintf(text, sizeof text, "%saccount thread=0 start_seq=0 end_seq=6 delivered=1 lost_queue=5\ntrailer\n", begin);
    stat = stat_of(text);
    CU_ASSERT_FALSE(ttap__stat_finish(stat)->exact);
    ttap__stat_free(stat);
}

static void blocks_of_a_stream_may_come_in_any_order(void)
{
    struct ttap__stat *stat = stat_of("chunk thread=1 first_seq=4 base=3000 delivered_before=2 lost_before=2\nthread 1 at 3000: instant name=\"c\"\n"
                                      "chunk thread=1 first_seq=0 base=1000 delivered_before=0 lost_before=0\n"
                                      "thread 1 at 1000: instant name=\"a\"\nthread 1 at 1000: instant name=\"b\"\n"
                                      "loss thread=1 first_seq=2 lost=2 reason=queue from=1 to=2\n"
                                      "account thread=1 start_seq=0 end_seq=5 delivered=3 lost_queue=2\ntrailer\n");
    CU_ASSERT_STRING_EQUAL(ttap__stat_finish(stat)->identity, "exact");
    ttap__stat_free(stat);
}

static void a_cut_capture_is_counted_to_its_last_whole_block(void)
{
    struct wire wire = wire_of(good);
    uint64_t delivered = 0;
    for (size_t len = 0; len < wire.len; len++) {
        struct ttap__stat *stat = ttap__stat_new();
        CU_ASSERT_EQUAL(ttap__stat_feed(stat, wire.bytes, len), 0);
        const struct ttap__stat_result *result = ttap__stat_finish(stat);
        CU_ASSERT_TRUE(result->truncated && !result->exact && result->problem[0]);
        CU_ASSERT_TRUE(result->bytes <= len && result->delivered >= delivered);
        CU_ASSERT_STRING_EQUAL(result->reason_name, "cut");
        delivered = result->delivered;
        ttap__stat_free(stat);
    }
    CU_ASSERT_EQUAL(delivered, 4);
    wire_free(&wire);
}

static void each_failing_allocation_is_reported(void)
{
    struct wire wire = wire_of(good);
    long allowed = 0;
    for (bool delivered = true; delivered; allowed++) {
        fail_malloc_after(allowed);
        struct ttap__stat *stat = ttap__stat_new();
        int rc = stat ? ttap__stat_feed(stat, wire.bytes, wire.len) : -ENOMEM;
        if (stat)
            ttap__stat_finish(stat);
        ttap__stat_free(stat);
        delivered = fail_malloc_off();
        CU_ASSERT_EQUAL(rc, delivered ? -ENOMEM : 0);
    }
    CU_ASSERT_TRUE(allowed > 6);
    wire_free(&wire);
}

static CU_TestInfo statements[] = {
    {"figures are those of the blocks", figures_are_those_of_the_blocks},
    {"each thing that does not add up is named", each_thing_that_does_not_add_up_is_named},
    {"thread 0 may account for streams without a row", thread_0_may_account_for_streams_without_a_row},
    {"blocks of a stream may come in any order", blocks_of_a_stream_may_come_in_any_order},
    {"a cut capture is counted to its last whole block", a_cut_capture_is_counted_to_its_last_whole_block},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
