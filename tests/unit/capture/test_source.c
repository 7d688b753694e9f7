/* test_source.c - a source that hears of things late. A window that begins while another's edge is not yet passed is given events from behind its
 * beginning first; of what a thread's buffer had no room for, the kernel's count then says only that it was before that edge:
 *
 *   window            | begins
 *   told to it              events 0, 1 | 6 lost, by the edge | events 8, 9
 *
 * It had been left out of the window, as one from before it, and the numbers 2 to 7 were in no block.
 */
#include <stdlib.h>
#include <unistd.h>

#include "capture.h"
#include "clock.h"
#include "engine.h"
#include "kinds.h"
#include "recording.h"
#include "source.h"
#include "statements.h"

enum { TOLD = 2, LOST = 6 };

static uint64_t number;
static const struct ttap__source late;

static void nothing(void) {}

static void tell(uint64_t first_seq, uint64_t ns, uint64_t ticks)
{
    static const unsigned char two[] = {TTAP__SCHED_PREEMPT, 0, TTAP__SCHED_PREEMPT, 0};
    struct ttap__source_run run = {.number = number,
                                   .first_seq = first_seq,
                                   .first_ns = ns,
                                   .base_ticks = ticks,
                                   .last_ticks = ticks,
                                   .count = TOLD,
                                   .events = two,
                                   .bytes = sizeof(two)};
    ttap__source_events(&late, &run);
}

static void edge(uint64_t mono_ns)
{
    static bool once;
    if (once)
        return; /* the window's end */
    once = true;
    uint64_t ticks = ttap__ticks();
    number = ttap__source_number(getpid(), getpid());
    tell(0, mono_ns + 1, ticks);
    ttap__source_lost(&late, 0, number, TOLD, LOST, ticks, ticks - ttap__clock_ticks_per_second());
    tell(TOLD + LOST, mono_ns + 1, ticks);
}

static struct ttap__source_thread thread_at(uint32_t index)
{
    (void)index;
    return (struct ttap__source_thread){getpid(), getpid(), number, 2};
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    (void)size;
    *on = true;
    *why = *enable = 0;
}

static const struct ttap__source late = {
    .name = "late",
    .groups = TTAP_GROUP_SCHED,
    .level = TTAP__LEVEL_SCHED,
    .start = nothing,
    .edge = edge,
    .stop = nothing,
    .after_fork = nothing,
    .thread = thread_at,
    .status = status,
};
const struct ttap__source *const ttap__sources_linked[] = {&late, NULL};

static void a_loss_from_before_a_window_that_has_later_events_is_told_to_it(void)
{
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT_EQUAL(recording_lost(&r), LOST);
    CU_ASSERT_EQUAL(r.delivered, 2 * TOLD);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"a loss from before a window that has later events is told to it", a_loss_from_before_a_window_that_has_later_events_is_told_to_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
