/* test_events.c - logs, counters, queues, collectors: each value as it was given. */
#include <limits.h>
#include <time.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static struct recording r;
static struct ttap_name category = TTAP_NAME_INIT("category");

static void start(void)
{
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static void stop(void)
{
    CU_ASSERT(recording_stop(&r));
}

static void logs_of_every_length_from_0_to_600_are_kept_up_to_512_bytes(void)
{
    char text[601];
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 31 + 7); /* all byte values, also 0 */
    start();
    for (size_t len = 0; len <= 600; len++)
        ttap_log(&category, text, len);
    stop();
    CU_ASSERT(r.events_count == 601);
    for (size_t len = 0; len < r.events_count; len++) {
        size_t kept = len < TTAP_LOG_BYTES_MAX ? len : TTAP_LOG_BYTES_MAX;
        wrong += r.events[len].text_len != kept || memcmp(r.events[len].text, text, kept);
    }
    CU_ASSERT(wrong == 0);
    recording_free(&r);
}

static void a_log_without_text_is_empty(void)
{
    start();
    ttap_log(&category, NULL, 100);
    ttap_log(&category, "", 0);
    ttap_log(&category, "cut", SIZE_MAX < 3 ? 0 : 3);
    stop();
    CU_ASSERT(r.events_count == 3 && r.events[0].text_len == 0 && r.events[1].text_len == 0 && r.events[2].text_len == 3);
    recording_free(&r);
}

static void logf_formats_and_is_cut_at_511_bytes(void)
{
    char longest[700];
    memset(longest, 'f', 699);
    longest[699] = 0;
    start();
    ttap_logf(&category, "%s is %d", "seven", 7);
    ttap_logf(&category, "%s", longest);
    ttap_logf(&category, "%s", "");
    stop();
    CU_ASSERT(r.events_count >= 2);
    CU_ASSERT(!memcmp(r.events[0].text, "seven is 7", 10) && r.events[0].text_len == 10);
    CU_ASSERT(r.events[1].text_len == 511);
    recording_free(&r);
}

static void counters_keep_the_extremes_of_64_bits(void)
{
    static const int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1ll << 32, -(1ll << 32), 127, -128};
    unsigned wrong = 0;
    start();
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        TTAP_COUNTER("extreme", values[i]);
    stop();
    CU_ASSERT(r.events_count == sizeof(values) / sizeof(values[0]));
    for (size_t i = 0; i < r.events_count; i++)
        wrong += (int64_t)r.events[i].a[1] != values[i] || strcmp(r.events[i].name, "extreme");
    CU_ASSERT(wrong == 0);
    recording_free(&r);
}

static void queues_have_numbers_of_their_own_and_tell_depths_and_causes(void)
{
    static struct ttap_queue one = TTAP_QUEUE_INIT("same name"), other = TTAP_QUEUE_INIT("same name");
    start();
    ttap_queue_enqueue(&one, 1);
    ttap_queue_enqueue(&other, UINT64_MAX);
    ttap_queue_dequeue(&one, 0);
    ttap_queue_wait_begin(&one, TTAP_QUEUE_EMPTY);
    ttap_queue_wait_end(&one, TTAP_QUEUE_EMPTY);
    ttap_queue_wait_begin(&other, TTAP_QUEUE_FULL);
    ttap_queue_wait_end(&other, TTAP_QUEUE_FULL);
    stop();
    static const unsigned kinds[] = {TTAP__QUEUE_ENQUEUE,  TTAP__QUEUE_ENQUEUE,    TTAP__QUEUE_DEQUEUE, TTAP__QUEUE_WAIT_BEGIN,
                                     TTAP__QUEUE_WAIT_END, TTAP__QUEUE_WAIT_BEGIN, TTAP__QUEUE_WAIT_END};
    static const uint64_t args[] = {1, UINT64_MAX, 0, TTAP_QUEUE_EMPTY, TTAP_QUEUE_EMPTY, TTAP_QUEUE_FULL, TTAP_QUEUE_FULL};
    CU_ASSERT_FATAL(r.events_count == 7);
    for (size_t i = 0; i < 7; i++) {
        CU_ASSERT(r.events[i].kind == kinds[i]);
        CU_ASSERT(r.events[i].a[2] == args[i]);
        CU_ASSERT_STRING_EQUAL(r.events[i].name, "same name");
    }
    CU_ASSERT(r.events[0].a[0] != r.events[1].a[0] && r.events[0].a[0] == r.events[2].a[0] && r.events[1].a[0] == r.events[6].a[0]);
    recording_free(&r);
}

static void phases_of_a_collector_arrive_as_pairs(void)
{
    start();
    TTAP_GC_BEGIN("mark");
    TTAP_GC_BEGIN("pause");
    TTAP_GC_END("pause");
    TTAP_GC_END("mark");
    stop();
    CU_ASSERT(r.events_count == 4);
    CU_ASSERT(r.events[0].kind == TTAP__GC_BEGIN && r.events[3].kind == TTAP__GC_END);
    CU_ASSERT_STRING_EQUAL(r.events[1].name, "pause");
    CU_ASSERT_STRING_EQUAL(r.events[3].name, "mark");
    recording_free(&r);
}

/* Texts that do not fit the rest of a chunk take a fresh one; no cell may be skipped or shared on the way. */
static void events_of_mixed_sizes_fill_many_chunks_without_a_gap(void)
{
    char text[512];
    unsigned wrong = 0;
    memset(text, 'm', sizeof(text));
    start();
    for (int i = 0; i < 20000; i++) {
        if (i % 3 == 0)
            ttap_log(&category, text, (size_t)(i * 37) % 513);
        else if (i % 3 == 1)
            TTAP_COUNTER("mixed", i);
        else
            TTAP_INSTANT("mixed");
        if (i % 4000 == 0)
            nanosleep(&(struct timespec){0, 6000000}, NULL); /* some chunks are drained half full */
    }
    stop();
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT_FATAL(r.events_count == 20000);
    for (size_t i = 0; i < r.events_count; i++)
        wrong +=
            r.events[i].seq != i + r.events[0].seq || (i % 3 == 1 && r.events[i].a[1] != i) || (i % 3 == 0 && r.events[i].text_len != i * 37 % 513);
    CU_ASSERT(wrong == 0);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"logs of every length from 0 to 600 are kept up to 512 bytes", logs_of_every_length_from_0_to_600_are_kept_up_to_512_bytes},
    {"a log without text is empty", a_log_without_text_is_empty},
    {"logf formats and is cut at 511 bytes", logf_formats_and_is_cut_at_511_bytes},
    {"counters keep the extremes of 64 bits", counters_keep_the_extremes_of_64_bits},
    {"queues have numbers of their own and tell depths and causes", queues_have_numbers_of_their_own_and_tell_depths_and_causes},
    {"phases of a collector arrive as pairs", phases_of_a_collector_arrive_as_pairs},
    {"events of mixed sizes fill many chunks without a gap", events_of_mixed_sizes_fill_many_chunks_without_a_gap},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
