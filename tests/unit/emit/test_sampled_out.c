/* test_sampled_out.c - what sampling leaves out leaves no event on any thread, only a count; what it keeps is whole. */
#include <pthread.h>
#include <string.h>

#include "recording.h"
#include "signal_storm.h"
#include "statements.h"

static struct recording r;

static void start(const char *sample)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.sample = sample;
    CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
}

/* Everything one can say while working for a task. */
static void work(const struct ttap_task *task)
{
    struct ttap_task before;
    ttap_task_enter(task, &before);
    TTAP_REGION_BEGIN("work");
    TTAP_INSTANT("work");
    TTAP_COUNTER("work", 1);
    TTAP_LOG("work", "text", 4);
    TTAP_TASK_ATTR_INT(task, "work", 1);
    TTAP_REGION_END("work");
    ttap_task_leave(&before);
}

static void *work_elsewhere(void *arg)
{
    struct ttap_task child;
    work(arg);
    TTAP_TASK_BEGIN(&child, "child", arg);
    work(&child);
    ttap_task_end(&child);
    return NULL;
}

static struct ttap_task whole_tree(struct ttap_name *kind)
{
    struct ttap_task task;
    pthread_t thread;
    ttap_task_begin(&task, kind, NULL);
    work(&task);
    pthread_create(&thread, NULL, work_elsewhere, &task);
    pthread_join(thread, NULL);
    ttap_task_fail(&task, 1, "failed");
    return task;
}

static void a_tree_at_rate_0_records_nothing_on_any_thread_and_is_counted(void)
{
    struct ttap_name kind = TTAP_NAME_INIT("dropped");
    start("0");
    whole_tree(&kind);
    CU_ASSERT(recording_stop(&r));
    /* The enter of something that is not shown needs no event where nothing was shown before. */
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, NULL) == 0);
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, NULL) == 0 && recording_count(&r, TTAP__REGION_END, NULL) == 0);
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, NULL) == 0 && recording_count(&r, TTAP__TASK_END, NULL) == 0);
    for (size_t i = 0; i < r.events_count; i++)
        CU_ASSERT(r.events[i].task == 0 && r.events[i].kind == TTAP__TASK_ENTER);
    CU_ASSERT(r.sampled_out > 0);
    recording_free(&r);
}

static void a_tree_at_rate_1_is_whole_with_its_children_on_other_threads(void)
{
    struct ttap_name kind = TTAP_NAME_INIT("kept");
    start("0,kept=1");
    struct ttap_task task = whole_tree(&kind);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "work") == 3);
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, "work") == 3 && recording_count(&r, TTAP__REGION_END, NULL) == 3);
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "kept") == 1 && recording_count(&r, TTAP__TASK_BEGIN, "child") == 1);
    const struct recorded_event *child = recording_find(&r, TTAP__TASK_BEGIN, "child", 0);
    CU_ASSERT(child && child->a[1] == task.id);
    CU_ASSERT(r.sampled_out == 0);
    recording_free(&r);
}

static void what_happens_outside_of_any_task_is_always_kept(void)
{
    struct ttap_name kind = TTAP_NAME_INIT("dropped");
    start("0");
    TTAP_INSTANT("outside before");
    whole_tree(&kind);
    TTAP_INSTANT("outside after");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, NULL) == 2);
    recording_free(&r);
}

static void rates_go_by_the_kind_of_the_root(void)
{
    struct ttap_name kept = TTAP_NAME_INIT("kept"), child_kind = TTAP_NAME_INIT("child");
    start("1,child=0"); /* children of a kept root are kept, whatever a root of their kind would be */
    whole_tree(&kept);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "child") == 1);
    recording_free(&r);
    start("1,child=0");
    whole_tree(&child_kind);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, NULL) == 0);
    recording_free(&r);
}

static void a_rate_keeps_about_its_share_and_each_tree_wholly_or_not_at_all(void)
{
    enum { TASKS = 20000 };
    start("0.1");
    for (int i = 0; i < TASKS; i++) {
        struct ttap_task task;
        TTAP_TASK_BEGIN(&task, "shared", NULL);
        work(&task);
        ttap_task_end(&task);
    }
    CU_ASSERT(recording_stop(&r));
    size_t begun = recording_count(&r, TTAP__TASK_BEGIN, NULL);
    CU_ASSERT(begun > 1750 && begun < 2250); /* 2,000 expected, 6 sigma is 255 */
    CU_ASSERT(recording_count(&r, TTAP__TASK_END, NULL) == begun);
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "work") == begun);
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, "work") == begun);
    recording_free(&r);
}

/* Regions around an unkept task stay paired: the depth is followed although nothing is written. */
static void regions_around_a_dropped_task_stay_paired(void)
{
    struct ttap_task task, before;
    start("0");
    TTAP_REGION_BEGIN("around");
    TTAP_TASK_BEGIN(&task, "dropped", NULL);
    ttap_task_enter(&task, &before);
    TTAP_REGION_BEGIN("hidden");
    ttap_task_leave(&before);
    TTAP_REGION_END("hidden"); /* ends outside of the task: a begin that nobody saw */
    TTAP_REGION_END("around");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, NULL) == 1);
    CU_ASSERT(recording_count(&r, TTAP__REGION_END, NULL) + recording_count(&r, TTAP__REGION_END_AT, "around") >= 1);
    recording_free(&r);
}

/* Two counters of the same word, one from a handler that interrupts the other's read and write: each lost update would show. */
static uint64_t handler_events;

static void count_in_handler(int signo)
{
    (void)signo;
    TTAP_INSTANT("in handler");
    handler_events++;
}

/* What a window in which a dropped task is entered, has so many events and is left, counts as sampled out. */
static uint64_t sampled_out_of(int events)
{
    struct ttap_task task, before;
    struct signal_storm storm;
    start("0");
    TTAP_TASK_BEGIN(&task, "dropped", NULL);
    ttap_task_enter(&task, &before);
    handler_events = 0;
    if (events) {
        CU_ASSERT_FATAL(signal_storm_start(&storm, SIGUSR1, 20000) == 0);
        for (int i = 0; i < events; i++)
            TTAP_INSTANT("not kept");
        signal_storm_stop(&storm);
    }
    ttap_task_leave(&before);
    CU_ASSERT(recording_stop(&r));
    uint64_t sampled_out = r.sampled_out;
    recording_free(&r);
    return sampled_out;
}

static void what_is_sampled_out_is_counted_exactly_under_signals(void)
{
    enum { EVENTS = 30000000 };
    signal_storm_handle(SIGUSR1, count_in_handler);
    uint64_t around = sampled_out_of(0), counted = sampled_out_of(EVENTS) - around;
    CU_ASSERT(handler_events > 0);
    CU_ASSERT(counted == EVENTS + handler_events);
    if (counted != EVENTS + handler_events)
        fprintf(stderr, "    counted %llu of %llu\n", (unsigned long long)counted, (unsigned long long)(EVENTS + handler_events));
}

static CU_TestInfo statements[] = {
    {"a tree at rate 0 records nothing on any thread and is counted", a_tree_at_rate_0_records_nothing_on_any_thread_and_is_counted},
    {"a tree at rate 1 is whole with its children on other threads", a_tree_at_rate_1_is_whole_with_its_children_on_other_threads},
    {"what happens outside of any task is always kept", what_happens_outside_of_any_task_is_always_kept},
    {"rates go by the kind of the root", rates_go_by_the_kind_of_the_root},
    {"a rate keeps about its share and each tree wholly or not at all", a_rate_keeps_about_its_share_and_each_tree_wholly_or_not_at_all},
    {"regions around a dropped task stay paired", regions_around_a_dropped_task_stay_paired},
    {"what is sampled out is counted exactly under signals", what_is_sampled_out_is_counted_exactly_under_signals},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
