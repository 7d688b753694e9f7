/* test_time.c - cells carry 56 bits of time: what the packer makes of them at the wrap, and where time steps back. */
#include <string.h>

#include "emit.h"
#include "packer.h"
#include "statements.h"

static struct ttap__run run;
static struct ttap__follow follow;
static struct ttap__keep keep_all = {.otherwise = TTAP__KEEP_ALL};
static const struct ttap__view view = {TTAP_GROUPS_ALL, &keep_all};
static uint64_t cells[2 * TTAP__CHUNK_CELLS];

static void cell(unsigned at, uint64_t ticks, unsigned kind, uint64_t arg)
{
    cells[2 * at] = ticks << 8 | kind;
    cells[2 * at + 1] = arg;
}

static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        value |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80))
            return value;
    }
}

/* Times of a run of instants, as a reader sees them. */
static unsigned read_times(uint64_t *times, unsigned max)
{
    const unsigned char *at = run.events;
    uint64_t now = run.base_ticks;
    unsigned count = 0;
    while (at < run.events + run.event_bytes && count < max) {
        if (*at == TTAP__KIND_TIME_BACK) {
            at++;
            now -= varint(&at);
            continue;
        }
        CU_ASSERT(*at == TTAP__INSTANT);
        at++;
        now += varint(&at);
        varint(&at);
        times[count++] = now;
    }
    return count;
}

static void times_are_kept(uint64_t base, const int64_t *steps, unsigned count)
{
    uint64_t expected[32], times[32];
    memset(&follow, 0, sizeof(follow));
    for (unsigned i = 0; i < count; i++) {
        expected[i] = (i ? expected[i - 1] : base) + (uint64_t)steps[i];
        cell(i, expected[i], TTAP__INSTANT, 1);
    }
    ttap__pack(&run, &follow, &view, cells, count, base);
    CU_ASSERT(run.cells == count && run.count == count && !run.damaged);
    CU_ASSERT(run.base_ticks == expected[0] && run.last_ticks == expected[count - 1]);
    CU_ASSERT(read_times(times, 32) == count);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT(times[i] == expected[i]);
}

static void around_each_wrap_times_rise_on(void)
{
    static const int64_t steps[] = {0, 1, 8, 1, 1, 1, 200, 1ll << 40};
    for (uint64_t turn = 1; turn < 256; turn *= 2)
        for (uint64_t before = 0; before < 20; before++)
            times_are_kept((turn << 56) - before, steps, 8);
}

static void the_64_bit_counter_may_wrap_too(void)
{
    static const int64_t steps[] = {0, 5, 5, 5};
    times_are_kept(UINT64_MAX - 7, steps, 4);
}

static void a_step_back_is_told_as_one(void)
{
    static const int64_t steps[] = {100, -3, 10, -1, -1, 0, 50};
    times_are_kept(1u << 20, steps, 7);
    times_are_kept((UINT64_C(1) << 56) - 102, steps, 7); /* over the wrap and back */
}

static void an_event_before_the_chunk_was_taken_is_before_it(void)
{
    static const int64_t steps[] = {-5, 1};
    times_are_kept((UINT64_C(3) << 56) + 2, steps, 2);
}

static CU_TestInfo statements[] = {
    {"around each wrap times rise on", around_each_wrap_times_rise_on},
    {"the 64-bit counter may wrap too", the_64_bit_counter_may_wrap_too},
    {"a step back is told as one", a_step_back_is_told_as_one},
    {"an event before the chunk was taken is before it", an_event_before_the_chunk_was_taken_is_before_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
