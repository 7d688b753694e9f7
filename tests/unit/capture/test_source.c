/* test_source.c - a source that hears of things late.
 *
 * A window that begins while another's edge is not yet passed is given events from behind its
 * beginning first; of what a thread's buffer had no room for, the kernel's count then says only that it was before that edge:
 *
 *   window            | begins
 *   told to it              events 0, 1 | 6 lost, by the edge | events 8, 9
 *
 * It had been left out of the window, as one from before it, and the numbers 2 to 7 were in no block.
 *
 * A thread that lives for less than a tick is over for its slot before the source tells of it. Its name came from the kernel then, which knows the
 * thread no more, and replaced the one that it had given itself: a forked child went without its name where a machine was busy.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "clock.h"
#include "emit.h"
#include "engine.h"
#include "kinds.h"
#include "recording.h"
#include "source.h"
#include "statements.h"

enum { TOLD = 2, LOST = 6 };

static uint64_t number;
static int short_lived; /* its thread id; 0: tell of a loss instead */
static const struct ttap__source late;

static void nothing(void) {}

static void tell(uint32_t index, uint64_t first_seq, uint64_t ns, uint64_t ticks)
{
    static const unsigned char two[] = {TTAP__SCHED_PREEMPT, 0, TTAP__SCHED_PREEMPT, 0};
    struct ttap__source_run run = {.index = index,
                                   .number = number,
                                   .first_seq = first_seq,
                                   .first_ns = ns,
                                   .base_ticks = ticks,
                                   .last_ticks = ticks,
                                   .count = TOLD,
                                   .events = two,
                                   .bytes = sizeof(two)};
    ttap__source_events(&late, &run);
}

/* At the beginning of the window. */
static void tell_of_a_loss(uint64_t mono_ns)
{
    uint64_t ticks = ttap__ticks();
    number = ttap__source_number(getpid(), getpid());
    tell(0, 0, mono_ns + 1, ticks);
    ttap__source_lost(&late, 0, number, TOLD, LOST, ticks, ticks - ttap__clock_ticks_per_second());
    tell(0, TOLD + LOST, mono_ns + 1, ticks);
}

/* At its end. */
static void tell_of_the_short_lived(uint64_t mono_ns)
{
    number = ttap__source_number(getpid(), short_lived);
    tell(1, 0, mono_ns - 1, ttap__ticks());
}

static void edge(uint64_t mono_ns)
{
    static bool told;
    if (short_lived)
        tell_of_the_short_lived(mono_ns);
    else if (!told)
        tell_of_a_loss(mono_ns);
    told = true;
}

static struct ttap__source_thread thread_at(uint32_t index)
{
    return (struct ttap__source_thread){getpid(), index ? short_lived : getpid(), number, TTAP__SOURCE_NAME_FIRST};
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

static void *live_shortly(void *tid)
{
    ttap_thread_name("short-lived");
    TTAP_INSTANT("here");
    *(int *)tid = gettid();
    return NULL;
}

static bool has_slot(int tid)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__load_acquire(&arena->slots_made);
    for (uint32_t i = 0; i < made; i++)
        if (ttap__load(&arena->slot[i].tid) == tid && ttap__load_acquire(&arena->slot[i].state) != TTAP__SLOT_FREE)
            return true;
    return false;
}

static void a_thread_keeps_its_name_where_a_source_tells_of_it_after_its_end(void)
{
    struct recording r;
    pthread_t thread;
    int tid = 0;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, live_shortly, &tid) == 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 10000 && has_slot(tid); i++)
        usleep(1000);
    CU_ASSERT_FALSE(has_slot(tid));
    short_lived = tid;
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *here = recording_find(&r, TTAP__INSTANT, "here", 0);
    CU_ASSERT_FATAL(here != NULL);
    CU_ASSERT_EQUAL(here->thread, number);
    CU_ASSERT_STRING_EQUAL(recording_thread(&r, number)->name, "short-lived");
    recording_free(&r);
    short_lived = 0;
}

static CU_TestInfo statements[] = {
    {"a loss from before a window that has later events is told to it", a_loss_from_before_a_window_that_has_later_events_is_told_to_it},
    {"a thread keeps its name where a source tells of it after its end", a_thread_keeps_its_name_where_a_source_tells_of_it_after_its_end},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
