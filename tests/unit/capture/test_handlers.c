/* test_handlers.c - what handlers record inside an event: which task it belongs to. The thread enters tasks on its other stream, so the
 * handlers' stream has to be told.
 *
 * No signals here: a thread whose first stream is busy is, for the engine, a handler inside an event. */
#include "arena.h"
#include "subs.h"

static struct ttap_name a_kind = TTAP_NAME_INIT("a"), b_kind = TTAP_NAME_INIT("b");

static void in_handler(struct ttap_name *what)
{
    struct ttap__slot_stream *normal = ttap__tls->stream[0].shared;
    CU_ASSERT_PTR_NOT_NULL_FATAL(normal);
    ttap__store(&normal->busy, INT64_MAX); /* an event far up the stack: else it is one that was left by a jump */
    ttap_instant(what);
    ttap__store_release(&normal->busy, 0);
}

/* Some rounds of: for none, for a, for b, for a; each with one record of a handler, named after it. */
static void work(struct ttap_task *a, struct ttap_task *b, int rounds)
{
    static struct ttap_name none = TTAP_NAME_INIT("for none"), for_a = TTAP_NAME_INIT("for a"), for_b = TTAP_NAME_INIT("for b");
    ttap_task_begin(a, &a_kind, NULL);
    ttap_task_begin(b, &b_kind, NULL);
    for (int i = 0; i < rounds; i++) {
        struct ttap_task before;
        in_handler(&none);
        ttap_task_enter(a, &before);
        in_handler(&for_a);
        ttap_task_enter(b, NULL);
        in_handler(&for_b);
        in_handler(&for_b);
        ttap_task_enter(a, NULL);
        in_handler(&for_a);
        ttap_task_leave(&before);
    }
}

/* How many records of handlers named @name there are, and that all belong to @task. */
static size_t count_for(const struct recording *r, const char *name, uint64_t task)
{
    size_t count = 0;
    for (const struct recorded_event *event; (event = recording_find(r, TTAP__INSTANT, name, count)); count++)
        CU_ASSERT(event->level == 1 && event->task == task);
    return count;
}

static void it_belongs_to_the_task_of_that_moment(void)
{
    struct recording r;
    struct ttap_task a, b;
    TTAP_INSTANT("attach");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    work(&a, &b, 500); /* several chunks */
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT(count_for(&r, "for none", 0) == 500 && count_for(&r, "for a", a.id) == 1000 && count_for(&r, "for b", b.id) == 1000);
    recording_free(&r);
}

static void each_subscriber_gets_what_belongs_to_the_tasks_it_keeps(void)
{
    struct recording of_a, of_b;
    struct ttap_task a, b;
    struct ttap__sub *one = open_sub(TTAP_GROUPS_ALL, "0,a=1"), *two = open_sub(TTAP_GROUPS_ALL, "0,b=1");
    work(&a, &b, 100);
    CU_ASSERT(finish_sub(one, &of_a) && finish_sub(two, &of_b));
    CU_ASSERT(count_for(&of_a, "for none", 0) == 100 && count_for(&of_a, "for a", a.id) == 200 && count_for(&of_a, "for b", b.id) == 0);
    CU_ASSERT(count_for(&of_b, "for none", 0) == 100 && count_for(&of_b, "for a", a.id) == 0 && count_for(&of_b, "for b", b.id) == 200);
    recording_free(&of_a);
    recording_free(&of_b);
}

static void a_newcomer_sees_the_task_that_nobody_kept_before(void)
{
    static struct ttap_name before_it = TTAP_NAME_INIT("before it"), seen = TTAP_NAME_INIT("seen");
    struct recording of_one, of_two;
    struct ttap_task a, before;
    struct ttap__sub *one = open_sub(TTAP_GROUPS_ALL, "0");
    in_handler(&before_it);
    ttap_task_begin(&a, &a_kind, NULL);
    ttap_task_enter(&a, &before);
    in_handler(&before_it);
    struct ttap__sub *two = open_sub(TTAP_GROUPS_ALL, "1");
    in_handler(&seen);
    ttap_task_leave(&before);
    CU_ASSERT(finish_sub(one, &of_one) && finish_sub(two, &of_two));
    CU_ASSERT(count_for(&of_one, "before it", 0) == 1 && count_for(&of_one, "seen", 0) == 0);
    CU_ASSERT(count_for(&of_two, "before it", 0) == 0 && count_for(&of_two, "seen", a.id) == 1);
    recording_free(&of_one);
    recording_free(&of_two);
}

static CU_TestInfo statements[] = {
    {"it belongs to the task of that moment", it_belongs_to_the_task_of_that_moment},
    {"each subscriber gets what belongs to the tasks it keeps", each_subscriber_gets_what_belongs_to_the_tasks_it_keeps},
    {"a newcomer sees the task that nobody kept before", a_newcomer_sees_the_task_that_nobody_kept_before},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
