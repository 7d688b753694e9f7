/* test_tasks.c - handles, the current task, what is said about a task, and W3C trace context. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "recording.h"
#include "statements.h"

static struct recording r;
static struct ttap_name order = TTAP_NAME_INIT("order"), payment = TTAP_NAME_INIT("payment");

static void start(void)
{
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static const struct recorded_event *first(unsigned kind)
{
    const struct recorded_event *event = recording_find(&r, kind, NULL, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    return event;
}

/* ---- Handles ---- */

static void a_handle_is_whole_while_nobody_listens(void)
{
    struct ttap_task root, child;
    memset(&root, 0xee, sizeof(root));
    memset(&child, 0xee, sizeof(child));
    ttap_task_begin(&root, &order, NULL);
    ttap_task_begin(&child, &payment, &root);
    CU_ASSERT(root.id != 0 && root.parent == 0 && root.start_ticks != 0);
    CU_ASSERT(root.kind == ttap_name("order") && root.root_kind == root.kind);
    CU_ASSERT(root.trace_id[0] == 0 && root.trace_id[1] == 0 && root.flags == 0);
    CU_ASSERT(child.id != 0 && child.id != root.id && child.parent == root.id && child.start_ticks >= root.start_ticks);
    CU_ASSERT(child.kind == ttap_name("payment") && child.root_kind == root.kind && child.draw == root.draw);
}

static void a_handle_may_be_its_own_parent_argument(void)
{
    struct ttap_task task;
    ttap_task_begin(&task, &order, NULL);
    uint64_t id = task.id;
    uint32_t draw = task.draw;
    ttap_task_begin(&task, &payment, &task);
    CU_ASSERT(task.parent == id && task.id != id && task.draw == draw && task.root_kind == ttap_name("order"));
}

enum { THREADS = 16, TASKS = 20000 };

static void *begin_many(void *arg)
{
    uint64_t *ids = arg;
    struct ttap_task task;
    for (int i = 0; i < TASKS; i++) {
        ttap_task_begin(&task, &order, NULL);
        ids[i] = task.id;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void ids_are_unique_over_threads_also_of_threads_that_follow_each_other(void)
{
    uint64_t *ids = malloc(2 * THREADS * TASKS * sizeof(*ids));
    unsigned twice = 0;
    for (int round = 0; round < 2; round++) { /* the second round's threads take over the slots of the first's */
        pthread_t threads[THREADS];
        for (int t = 0; t < THREADS; t++)
            pthread_create(&threads[t], NULL, begin_many, ids + (round * THREADS + t) * TASKS);
        for (int t = 0; t < THREADS; t++)
            pthread_join(threads[t], NULL);
    }
    qsort(ids, 2 * THREADS * TASKS, sizeof(*ids), compare);
    for (size_t i = 1; i < 2 * THREADS * TASKS; i++)
        twice += ids[i] == ids[i - 1];
    CU_ASSERT(twice == 0);
    CU_ASSERT(ids[0] != 0);
    free(ids);
}

static void draws_are_spread_evenly(void)
{
    enum { DRAWS = 100000 };
    unsigned below[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        struct ttap_task task;
        ttap_task_begin(&task, &order, NULL);
        below[(uint64_t)task.draw * 10 >> 32]++;
    }
    for (int i = 0; i < 10; i++) /* 10,000 expected in each tenth; 5 sigma is 474 */
        CU_ASSERT(below[i] > 9500 && below[i] < 10500);
}

/* ---- The current task ---- */

static void the_current_task_is_kept_while_nobody_listens(void)
{
    struct ttap_task task, before, now;
    ttap_task_current(&now);
    CU_ASSERT(now.id == 0);
    ttap_task_begin(&task, &order, NULL);
    ttap_task_enter(&task, &before);
    CU_ASSERT(before.id == 0);
    ttap_task_current(&now);
    CU_ASSERT(!memcmp(&now, &task, sizeof(now)));
    ttap_task_leave(&before);
    ttap_task_current(&now);
    CU_ASSERT(now.id == 0);
}

static void entering_and_leaving_nest(void)
{
    struct ttap_task outer, inner, before_outer, before_inner, before_none, now;
    ttap_task_begin(&outer, &order, NULL);
    ttap_task_begin(&inner, &payment, &outer);
    start();
    ttap_task_enter(&outer, &before_outer);
    ttap_task_enter(&inner, &before_inner);
    ttap_task_enter(NULL, &before_none);
    ttap_task_current(&now);
    CU_ASSERT(now.id == 0);
    ttap_task_leave(&before_none);
    ttap_task_current(&now);
    CU_ASSERT(!memcmp(&now, &inner, sizeof(now)));
    ttap_task_leave(&before_inner);
    ttap_task_current(&now);
    CU_ASSERT(!memcmp(&now, &outer, sizeof(now)));
    ttap_task_leave(&before_outer);
    CU_ASSERT(recording_stop(&r));
    const uint64_t expected[] = {outer.id, inner.id, 0, inner.id, outer.id, 0};
    CU_ASSERT_FATAL(r.events_count == 6);
    for (int i = 0; i < 6; i++)
        CU_ASSERT(r.events[i].task == expected[i]);
    recording_free(&r);
}

static void entering_may_use_one_struct_for_both(void)
{
    struct ttap_task task, now;
    ttap_task_begin(&task, &order, NULL);
    uint64_t id = task.id;
    ttap_task_enter(&task, &task);
    ttap_task_current(&now);
    CU_ASSERT(now.id == id && task.id == 0);
    ttap_task_leave(&task);
}

static void a_task_entered_before_the_window_is_its_current_task_with_its_true_start(void)
{
    struct ttap_task task, before;
    ttap_task_begin(&task, &order, NULL);
    ttap_task_enter(&task, &before);
    start();
    TTAP_INSTANT("inside");
    CU_ASSERT(TTAP_ENABLED(TTAP_GROUPS_ALL));
    ttap_task_leave(&before);
    ttap_task_end(&task);
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *end = first(TTAP__TASK_END);
    CU_ASSERT(first(TTAP__INSTANT)->task == task.id);
    CU_ASSERT(end->a[0] == task.id && end->a[3] == task.start_ticks && task.start_ticks < r.start_ticks);
    CU_ASSERT(r.tasks_count == 1 && r.tasks[0].task == task.id && r.tasks[0].start_ticks == task.start_ticks);
    CU_ASSERT(r.tasks_count == 1 && !strcmp(r.tasks[0].kind, "order"));
    recording_free(&r);
}

/* ---- Events ---- */

static void *end_it(void *arg)
{
    ttap_task_end(arg);
    return NULL;
}

static void a_task_may_end_on_another_thread(void)
{
    struct ttap_task task;
    pthread_t thread;
    start();
    TTAP_TASK_BEGIN(&task, "order", NULL);
    pthread_create(&thread, NULL, end_it, &task);
    pthread_join(thread, NULL);
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *begin = first(TTAP__TASK_BEGIN), *end = first(TTAP__TASK_END);
    CU_ASSERT(begin->a[0] == task.id && end->a[0] == task.id && begin->thread != end->thread);
    CU_ASSERT(begin->ticks <= end->ticks && end->a[3] == task.start_ticks && end->a[4] == 0);
    CU_ASSERT_STRING_EQUAL(end->name, "order");
    recording_free(&r);
}

static void failing_tells_code_and_text_and_ends_the_task(void)
{
    char longest[700];
    memset(longest, 'w', 699);
    longest[699] = 0;
    struct ttap_task one, two, three;
    start();
    ttap_task_begin(&one, &order, NULL);
    ttap_task_begin(&two, &order, NULL);
    ttap_task_begin(&three, &order, NULL);
    ttap_task_fail(&one, INT64_MIN, "out of stock");
    ttap_task_fail(&two, 7, NULL);
    ttap_task_fail(&three, -1, longest);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT_FATAL(recording_count(&r, TTAP__TASK_FAIL, NULL) == 3 && recording_count(&r, TTAP__TASK_END, NULL) == 3);
    const struct recorded_event *fail = first(TTAP__TASK_FAIL);
    CU_ASSERT(fail->a[0] == one.id && (int64_t)fail->a[1] == INT64_MIN && fail->text_len == 12 && !memcmp(fail->text, "out of stock", 12));
    CU_ASSERT(recording_find(&r, TTAP__TASK_FAIL, NULL, 1)->text_len == 0);
    CU_ASSERT(recording_find(&r, TTAP__TASK_FAIL, NULL, 2)->text_len == TTAP_LOG_BYTES_MAX);
    CU_ASSERT(first(TTAP__TASK_END)->a[4] == 1); /* status: failed */
    recording_free(&r);
}

static void attributes_arrive_with_key_and_value(void)
{
    struct ttap_task task;
    start();
    ttap_task_begin(&task, &order, NULL);
    TTAP_TASK_ATTR_INT(&task, "bytes", INT64_MIN);
    TTAP_TASK_ATTR_STR(&task, "path", "/a/b");
    TTAP_TASK_ATTR_STR(&task, "nothing", NULL);
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *integer = first(TTAP__TASK_ATTR_INT), *text = first(TTAP__TASK_ATTR_STR);
    CU_ASSERT(integer->a[0] == task.id && !strcmp(integer->name, "bytes") && (int64_t)integer->a[2] == INT64_MIN);
    CU_ASSERT(text->a[0] == task.id && !strcmp(text->name, "path") && text->text_len == 4 && !memcmp(text->text, "/a/b", 4));
    CU_ASSERT(recording_find(&r, TTAP__TASK_ATTR_STR, "nothing", 0)->text_len == 0);
    recording_free(&r);
}

static void a_handle_that_was_never_begun_records_nothing(void)
{
    struct ttap_task none = TTAP_TASK_NONE;
    start();
    ttap_task_end(&none);
    ttap_task_fail(&none, 1, "x");
    TTAP_TASK_ATTR_INT(&none, "k", 1);
    TTAP_TASK_ATTR_STR(&none, "k", "v");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.events_count == 0);
    recording_free(&r);
}

/* ---- W3C trace context ---- */

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const struct {
    const char *header;
    int taken;
} headers[] = {
    {"00-" TRACE "-" SPAN "-01", 1},
    {"00-" TRACE "-" SPAN "-00", 1},
    {"00-" TRACE "-" SPAN "-ff", 1},
    {"01-" TRACE "-" SPAN "-01", 1},      /* later versions: read as 00 */
    {"cc-" TRACE "-" SPAN "-01-more", 1}, /* and may have more behind a dash */
    {"00-" TRACE "-" SPAN "-01-more", 0}, /* version 00 may not */
    {"cc-" TRACE "-" SPAN "-01more", 0},
    {"ff-" TRACE "-" SPAN "-01", 0}, /* version ff is forbidden */
    {"00-00000000000000000000000000000000-" SPAN "-01", 0},
    {"00-" TRACE "-0000000000000000-01", 0},
    {"00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", 0}, /* upper case is not allowed */
    {"00-" TRACE "-" SPAN, 0},
    {"00-" TRACE "-" SPAN "-", 0},
    {"00-" TRACE "-" SPAN "-0", 0},
    {"00-" TRACE "-" SPAN "-0g", 0},
    {"00-" TRACE "-" SPAN "-011", 0},
    {"00_" TRACE "-" SPAN "-01", 0},
    {"00-" TRACE "_" SPAN "-01", 0},
    {"00-" TRACE "-" SPAN "_01", 0},
    {"0-" TRACE "-" SPAN "-01", 0},
    {" 00-" TRACE "-" SPAN "-01", 0},
    {"00-" TRACE "-" SPAN "-01 ", 0},
    {"", 0},
    {"0", 0},
    {"-", 0},
    {"zz", 0},
    {NULL, 0},
};

static void headers_are_taken_exactly_when_they_are_well_formed(void)
{
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct ttap_task task;
        int taken = ttap_task_begin_remote(&task, &order, headers[i].header);
        CU_ASSERT(taken == headers[i].taken);
        if (taken != headers[i].taken)
            fprintf(stderr, "    header '%s': %d\n", headers[i].header, taken);
        CU_ASSERT(task.id != 0 && task.parent == 0 && task.kind == ttap_name("order"));
        CU_ASSERT(task.trace_id[0] == (taken ? 0x0af7651916cd43ddu : 0) && task.trace_id[1] == (taken ? 0x8448eb211c80319cu : 0));
    }
}

/* Cut at every length, each copy in an allocation of exactly that size, so that reading further is an error to the sanitizer. */
static void a_header_cut_anywhere_is_refused_and_not_read_beyond(void)
{
    static const char whole[] = "00-" TRACE "-" SPAN "-01";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *cut = malloc(len + 1);
        struct ttap_task task;
        memcpy(cut, whole, len);
        cut[len] = 0;
        CU_ASSERT(ttap_task_begin_remote(&task, &order, cut) == 0);
        free(cut);
    }
}

static void a_remote_trace_goes_on_to_children_and_out_again(void)
{
    struct ttap_task task, child;
    char out[TTAP_TRACEPARENT_BYTES], expected[TTAP_TRACEPARENT_BYTES];
    start();
    CU_ASSERT(ttap_task_begin_remote(&task, &order, "00-" TRACE "-" SPAN "-01") == 1);
    ttap_task_begin(&child, &payment, &task);
    ttap_task_traceparent(&child, out);
    snprintf(expected, sizeof(expected), "00-" TRACE "-%016llx-01", (unsigned long long)child.id);
    CU_ASSERT_STRING_EQUAL(out, expected);
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *trace = first(TTAP__TASK_TRACE);
    CU_ASSERT(trace->a[0] == task.id && trace->a[1] == 0x0af7651916cd43ddu && trace->a[2] == 0x8448eb211c80319cu &&
              trace->a[3] == 0xb7ad6b7169203331u);
    recording_free(&r);
}

static void a_local_task_gets_one_trace_id_and_keeps_it(void)
{
    struct ttap_task task, other;
    char one[TTAP_TRACEPARENT_BYTES], two[TTAP_TRACEPARENT_BYTES], third[TTAP_TRACEPARENT_BYTES];
    ttap_task_begin(&task, &order, NULL);
    ttap_task_begin(&other, &order, NULL);
    ttap_task_traceparent(&task, one);
    ttap_task_traceparent(&task, two);
    ttap_task_traceparent(&other, third);
    CU_ASSERT_STRING_EQUAL(one, two);
    CU_ASSERT(memcmp(one, third, 35) != 0);
    CU_ASSERT(strlen(one) == 55 && !memcmp(one, "00-", 3) && !strcmp(one + 52, "-00")); /* nobody keeps it */
    CU_ASSERT(ttap_task_begin_remote(&other, &order, one) == 1);                        /* what we write we read */
    CU_ASSERT(other.trace_id[0] == task.trace_id[0] && other.trace_id[1] == task.trace_id[1]);
}

static void services_with_equal_rates_keep_the_same_traces(void)
{
    struct ttap_task one, two;
    ttap_task_begin_remote(&one, &order, "00-" TRACE "-" SPAN "-01");
    ttap_task_begin_remote(&two, &payment, "00-" TRACE "-00f067aa0ba902b7-01");
    CU_ASSERT(one.draw == two.draw);
}

static CU_TestInfo statements[] = {
    {"a handle is whole while nobody listens", a_handle_is_whole_while_nobody_listens},
    {"a handle may be its own parent argument", a_handle_may_be_its_own_parent_argument},
    {"ids are unique over threads", ids_are_unique_over_threads_also_of_threads_that_follow_each_other},
    {"draws are spread evenly", draws_are_spread_evenly},
    {"the current task is kept while nobody listens", the_current_task_is_kept_while_nobody_listens},
    {"entering and leaving nest", entering_and_leaving_nest},
    {"entering may use one struct for both", entering_may_use_one_struct_for_both},
    {"a task entered before the window has its true start", a_task_entered_before_the_window_is_its_current_task_with_its_true_start},
    {"a task may end on another thread", a_task_may_end_on_another_thread},
    {"failing tells code and text and ends the task", failing_tells_code_and_text_and_ends_the_task},
    {"attributes arrive with key and value", attributes_arrive_with_key_and_value},
    {"a handle that was never begun records nothing", a_handle_that_was_never_begun_records_nothing},
    {"headers are taken exactly when they are well formed", headers_are_taken_exactly_when_they_are_well_formed},
    {"a header cut anywhere is refused and not read beyond", a_header_cut_anywhere_is_refused_and_not_read_beyond},
    {"a remote trace goes on to children and out again", a_remote_trace_goes_on_to_children_and_out_again},
    {"a local task gets one trace id and keeps it", a_local_task_gets_one_trace_id_and_keeps_it},
    {"services with equal rates keep the same traces", services_with_equal_rates_keep_the_same_traces},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
