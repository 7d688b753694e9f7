/* test_roster.c - runs of events as the engine is given them. */
#include <unistd.h>

#include "arena.h"
#include "roster.h"
#include "statements.h"

static struct ttap__source_run runs[8];
static unsigned run_count;

void __wrap_ttap__source_events(const struct ttap__source *source, const struct ttap__source_run *run);
void __wrap_ttap__source_events(const struct ttap__source *source, const struct ttap__source_run *run)
{
    (void)source;
    if (run_count < 8)
        runs[run_count++] = *run;
}

static void event(struct ttap__sched_thread *thread, uint64_t ns)
{
    ttap__thread_event(thread, TTAP__SCHED_PREEMPT, ns, ns, 0);
}

/* Of each run the window asks when it begins, and leaves out what lies before its own beginning. On a busy machine the first record behind that came
 * late, with a time before it: all of its run was left out, as a hole in the numbers, 92 events wide. */
static void a_record_that_comes_late_is_in_the_window_of_the_one_before_it(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(ttap__arena());
    struct ttap__sched_thread *thread = ttap__threads_add(getpid(), getpid());
    CU_ASSERT_PTR_NOT_NULL_FATAL(thread);
    event(thread, 1000);
    ttap__thread_flush(thread); /* a window begins */
    event(thread, 900);
    event(thread, 1100);
    ttap__thread_flush(thread);
    CU_ASSERT_EQUAL_FATAL(run_count, 2);
    CU_ASSERT_EQUAL(runs[0].first_ns, 1000);
    CU_ASSERT_EQUAL(runs[1].first_ns, 1000);
    CU_ASSERT(runs[1].first_seq == 1 && runs[1].count == 2 && runs[1].base_ticks == 1000 && runs[1].last_ticks == 1100);
    ttap__threads_forget();
}

static CU_TestInfo statements[] = {
    {"a record that comes late is in the window of the one before it", a_record_that_comes_late_is_in_the_window_of_the_one_before_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
