/* Parts of the model against naive ones, and the model's bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "idmap.h"
#include "model.h"
#include "statements.h"
#include "text_capture.h"
#include "timebase.h"

static unsigned random_below(unsigned *random, unsigned limit)
{
    *random = *random * 1103515245 + 12345;
    return (*random >> 16) % limit;
}

/* ---- idmap ---- */

static void an_idmap_is_a_table_of_ids_whatever_comes_and_goes(void)
{
    enum { IDS = 300 };
    uint32_t naive[IDS];
    struct ttap__allowance allowance = {.limit = 1 << 20};
    struct ttap__idmap map = {0};
    unsigned random = 3;
    memset(naive, 0xff, sizeof naive);
    for (int step = 0; step < 100000; step++) {
        unsigned index = random_below(&random, IDS);
        uint64_t id = index % 3 == 0 ? index : index % 3 == 1 ? (uint64_t)index << 40 : UINT64_MAX - index; /* dense, sparse, huge */
        if (random_below(&random, 2)) {
            CU_ASSERT_TRUE(ttap__idmap_put(&map, &allowance, id, (uint32_t)step));
            naive[index] = (uint32_t)step;
        } else {
            ttap__idmap_remove(&map, id);
            naive[index] = TTAP__IDMAP_NONE;
        }
        unsigned other = random_below(&random, IDS);
        uint64_t other_id = other % 3 == 0 ? other : other % 3 == 1 ? (uint64_t)other << 40 : UINT64_MAX - other;
        CU_ASSERT_EQUAL(ttap__idmap_get(&map, other_id), naive[other]);
    }
    CU_ASSERT_TRUE(map.room <= 512);
    ttap__idmap_free(&map, &allowance);
    CU_ASSERT_EQUAL(allowance.used, 0);
}

static void an_idmap_stops_at_its_allowance(void)
{
    struct ttap__allowance allowance = {.limit = 10000};
    struct ttap__idmap map = {0};
    uint64_t id = 0;
    while (ttap__idmap_put(&map, &allowance, id, 1))
        id++;
    CU_ASSERT_TRUE(id > 100 && allowance.used <= 10000 && !allowance.no_memory);
    CU_ASSERT_EQUAL(ttap__idmap_get(&map, id - 1), 1);
    CU_ASSERT_EQUAL(ttap__idmap_get(&map, id), TTAP__IDMAP_NONE);
    ttap__idmap_free(&map, &allowance);
}

/* ---- Time ---- */

static void time_is_a_line_between_pairs(void)
{
    static struct ttap__timebase time;
    struct ttap__header header = {.ticks_per_second = 2000000000, .base_ticks = 1000, .base_mono_ns = 500};
    ttap__timebase_start(&time, &header);
    CU_ASSERT_EQUAL(ttap__ns(&time, 1000), 0);
    CU_ASSERT_EQUAL(ttap__ns(&time, 3000), 1000); /* nominal: half a nanosecond a tick */
    CU_ASSERT_EQUAL(ttap__ns(&time, 0), -500);
    ttap__timebase_pair(&time, &(struct ttap__clock_pair){3000, 2500, 0}); /* one ns a tick */
    CU_ASSERT_EQUAL(ttap__ns(&time, 2000), 1000);
    CU_ASSERT_EQUAL(ttap__ns(&time, 4000), 3000);
    CU_ASSERT_EQUAL(ttap__ns(&time, 0), -1000);                            /* backwards by the first slope */
    ttap__timebase_pair(&time, &(struct ttap__clock_pair){4000, 4500, 0}); /* two */
    CU_ASSERT_EQUAL(ttap__ns(&time, 3500), 3000);
    CU_ASSERT_EQUAL(ttap__ns(&time, 5000), 6000);
    CU_ASSERT_EQUAL(ttap__ns(&time, 2000), 1000); /* late events still find their segment */
}

static void pairs_that_do_not_rise_are_ignored(void)
{
    static struct ttap__timebase time;
    struct ttap__header header = {.ticks_per_second = 1000000000, .base_ticks = 1000, .base_mono_ns = 1000};
    ttap__timebase_start(&time, &header);
    ttap__timebase_pair(&time, &(struct ttap__clock_pair){1000, 9000, 0});
    ttap__timebase_pair(&time, &(struct ttap__clock_pair){9000, 1000, 0});
    ttap__timebase_pair(&time, &(struct ttap__clock_pair){500, 500, 0});
    CU_ASSERT_EQUAL(ttap__ns(&time, 3000), 2000);
}

static void more_pairs_than_are_kept_keep_the_latest(void)
{
    static struct ttap__timebase time;
    struct ttap__header header = {.ticks_per_second = 1000000000};
    ttap__timebase_start(&time, &header);
    for (uint64_t i = 1; i <= 5 * TTAP__SEGMENTS_MAX; i++)
        ttap__timebase_pair(&time, &(struct ttap__clock_pair){i * 1000, i * 1000 + i % 3, 0});
    uint64_t last = 5 * TTAP__SEGMENTS_MAX;
    CU_ASSERT_EQUAL(ttap__ns(&time, last * 1000), (int64_t)(last * 1000 + last % 3));
    CU_ASSERT_TRUE(time.count <= TTAP__SEGMENTS_MAX);
}

static void times_stay_within_what_a_json_number_holds(void)
{
    static struct ttap__timebase time;
    struct ttap__header header = {.ticks_per_second = 1000000};
    ttap__timebase_start(&time, &header);
    CU_ASSERT_EQUAL(ttap__ns(&time, UINT64_MAX / 2), TTAP__TIME_MAX_NS);
    CU_ASSERT_EQUAL(ttap__ns(&time, UINT64_MAX / 2 + 2), -TTAP__TIME_MAX_NS);
    CU_ASSERT_EQUAL(ttap__ns(&time, UINT64_MAX), -1000); /* wrapped: one tick before the base */
}

/* ---- Rows ---- */

struct told {
    unsigned tasks, ended, strings, regions, waits;
    int64_t last_end, first_after;
    bool in_order;
    struct ttap__task_out last;
    uint64_t untold;
};

static int on_task(void *arg, const struct ttap__task_out *row)
{
    struct told *told = arg;
    told->tasks++;
    told->ended += row->status != 2;
    if (row->status != 2) {
        told->in_order = told->in_order && row->start_ns + row->dur_ns >= told->last_end;
        told->last_end = row->start_ns + row->dur_ns;
    }
    told->last = *row;
    return 0;
}

static int on_string(void *arg, uint32_t number, struct ttap__text text)
{
    struct told *told = arg;
    (void)text;
    CU_ASSERT_EQUAL(number, told->strings);
    told->strings++;
    return 0;
}

static int on_region(void *arg, const struct ttap__region_row *row)
{
    (void)row;
    ((struct told *)arg)->regions++;
    return 0;
}

static int on_end(void *arg, const struct ttap__end_row *row)
{
    ((struct told *)arg)->untold = row->untold;
    return 0;
}

static const struct ttap__rows rows = {.string = on_string, .region = on_region, .task = on_task, .end = on_end};

static size_t model_run(const struct wire *wire, struct told *told, size_t limit)
{
    struct ttap__allowance allowance = {.limit = limit};
    struct ttap__model *model = ttap__model_new(&rows, told, &allowance);
    told->in_order = true;
    CU_ASSERT_EQUAL(ttap__model_feed(model, wire->bytes, wire->len), 0);
    CU_ASSERT_EQUAL(ttap__model_finish(model), 0);
    size_t used = allowance.used;
    ttap__model_free(model);
    CU_ASSERT_EQUAL(allowance.used, 0);
    return used;
}

static void chunk_head(struct wire *wire, uint64_t thread, uint64_t seq, uint64_t base, uint64_t count)
{
    wire_block_open(wire, 5);
    wire_varint(wire, thread);
    wire_u8(wire, 0);
    wire_varint(wire, seq);
    wire_varint(wire, base);
    wire_varint(wire, 0);
    wire_varint(wire, count);
    wire_varint(wire, 0);
    wire_varint(wire, seq);
    for (int i = 0; i < 6; i++)
        wire_varint(wire, 0);
}

static void task_event(struct wire *wire, bool end, uint64_t *last, uint64_t task)
{
    wire_u8(wire, end ? 9 : 8);
    wire_varint(wire, 1);
    wire_zigzag(wire, task - *last);
    *last = task;
    wire_zigzag(wire, 0 - task); /* parent 0 */
    *last = 0;
    wire_varint(wire, 0);
    if (end) {
        wire_zigzag(wire, 5);
        wire_varint(wire, 0);
    }
}

/* @count tasks begin and, when @end, end; a hundred a chunk. */
static struct wire many_tasks(unsigned count, bool end)
{
    struct wire wire = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (unsigned first = 0; first < count; first += 100) {
        uint64_t last = 0;
        chunk_head(&wire, 1, (uint64_t)first * (1 + end), (uint64_t)first * 2, 100 * (1 + end));
        for (unsigned i = 1; i <= 100; i++) {
            task_event(&wire, false, &last, ((uint64_t)first + i) << 20);
            if (end)
                task_event(&wire, true, &last, ((uint64_t)first + i) << 20);
        }
        wire_block_close(&wire);
    }
    return wire;
}

static void each_of_many_tasks_has_one_row_in_order_of_ends(void)
{
    struct wire wire = many_tasks(100000, true);
    struct told told = {0};
    size_t used = model_run(&wire, &told, TTAP__ALLOWANCE_BYTES);
    CU_ASSERT_EQUAL(told.tasks, 100000);
    CU_ASSERT_EQUAL(told.ended, 100000);
    CU_ASSERT_TRUE(told.in_order);
    CU_ASSERT_EQUAL(told.untold, 0);
    CU_ASSERT_TRUE(used < 2 << 20); /* what ended is forgotten */
    wire_free(&wire);
}

static void tasks_that_never_end_stop_at_the_allowance(void)
{
    struct wire wire = many_tasks(200000, false);
    struct told told = {0};
    CU_ASSERT_TRUE(model_run(&wire, &told, TTAP__ALLOWANCE_BYTES) <= TTAP__ALLOWANCE_BYTES);
    CU_ASSERT_TRUE(told.tasks > 5000 && told.tasks < 200000);
    CU_ASSERT_TRUE(told.untold > 0);
    wire_free(&wire);
}

/* Late news of a task whose end came first, from a chunk of another thread. */
static void what_is_said_of_a_task_after_its_end_still_reaches_its_row(void)
{
    static const char text[] = "thread 2 at 3000: task_end task=5 kind=\"job\" start=1000 status=1\n"
                               "thread 1 at 1000: task_begin task=5 kind=\"job\"\n"
                               "thread 1 at 2000: task_fail task=5 code=7 text=\"late\"\n"
                               "thread 1 at 2000: task_trace task=5 trace_hi=1 trace_lo=2\n";
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    struct told told = {0};
    CU_ASSERT_TRUE_FATAL(text_capture_to_wire(text, strlen(text), &wire, error));
    model_run(&wire, &told, TTAP__ALLOWANCE_BYTES);
    CU_ASSERT_EQUAL(told.tasks, 1);
    CU_ASSERT_EQUAL(told.last.code, 7);
    CU_ASSERT_EQUAL(told.last.trace_lo, 2);
    CU_ASSERT_EQUAL(told.last.status, 1);
    CU_ASSERT_EQUAL(told.last.dur_ns, 2000);
    CU_ASSERT_EQUAL(told.last.lane, 1); /* thread 1's lane, where it began */
    CU_ASSERT_EQUAL(told.last.end_lane, 0);
    wire_free(&wire);
}

static void a_second_end_changes_nothing(void)
{
    static const char text[] = "thread 1 at 1000: task_begin task=5 kind=\"job\"\n"
                               "thread 1 at 2000: task_end task=5 kind=\"job\" start=1000 status=0\n"
                               "thread 1 at 3000: task_end task=5 kind=\"job\" start=1000 status=1\n";
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    struct told told = {0};
    CU_ASSERT_TRUE_FATAL(text_capture_to_wire(text, strlen(text), &wire, error));
    model_run(&wire, &told, TTAP__ALLOWANCE_BYTES);
    CU_ASSERT_EQUAL(told.tasks, 1);
    CU_ASSERT_EQUAL(told.last.dur_ns, 1000);
    CU_ASSERT_EQUAL(told.last.status, 0);
    wire_free(&wire);
}

/* Nesting deeper than is kept: outer ones still close where they should. */
static void nesting_without_end_is_bounded(void)
{
    struct wire wire = {0};
    struct told told = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    chunk_head(&wire, 1, 0, 0, 20000);
    for (int i = 0; i < 10000; i++)
        wire_bytes(&wire, "\x01\x01\x00", 3);
    for (int i = 0; i < 10000; i++)
        wire_bytes(&wire, "\x02\x01", 2);
    wire_block_close(&wire);
    CU_ASSERT_TRUE(model_run(&wire, &told, TTAP__ALLOWANCE_BYTES) < 1 << 20);
    CU_ASSERT_EQUAL(told.regions, 1024);
    CU_ASSERT_EQUAL(told.untold, 10000 - 1024);
    wire_free(&wire);
}

static void names_beyond_the_limit_share_a_question_mark(void)
{
    struct wire wire = {0};
    struct told told = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (uint64_t id = 1; id <= 200000; id++) {
        wire_block_open(&wire, 3);
        wire_varint(&wire, 1);
        wire_varint(&wire, id * UINT64_C(0x9e3779b97f4a7c15));
        wire_text(&wire, "name");
        wire_block_close(&wire);
    }
    CU_ASSERT_TRUE(model_run(&wire, &told, TTAP__ALLOWANCE_BYTES) <= TTAP__ALLOWANCE_BYTES);
    CU_ASSERT_TRUE(told.strings > 10000 && told.strings <= 65536);
    wire_free(&wire);
}

static CU_TestInfo statements[] = {
    {"an idmap is a table of ids whatever comes and goes", an_idmap_is_a_table_of_ids_whatever_comes_and_goes},
    {"an idmap stops at its allowance", an_idmap_stops_at_its_allowance},
    {"time is a line between pairs", time_is_a_line_between_pairs},
    {"pairs that do not rise are ignored", pairs_that_do_not_rise_are_ignored},
    {"more pairs than are kept keep the latest", more_pairs_than_are_kept_keep_the_latest},
    {"times stay within what a JSON number holds", times_stay_within_what_a_json_number_holds},
    {"each of many tasks has one row in order of ends", each_of_many_tasks_has_one_row_in_order_of_ends},
    {"tasks that never end stop at the allowance", tasks_that_never_end_stop_at_the_allowance},
    {"what is said of a task after its end still reaches its row", what_is_said_of_a_task_after_its_end_still_reaches_its_row},
    {"a second end changes nothing", a_second_end_changes_nothing},
    {"nesting without end is bounded", nesting_without_end_is_bounded},
    {"names beyond the limit share a question mark", names_beyond_the_limit_share_a_question_mark},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
