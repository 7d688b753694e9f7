/* test_preempted.c - threads that are stopped, or left for ever, in the middle of an event. The halves of an event are called one by one. */
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "emit.h"
#include "recording.h"
#include "statements.h"

static struct recording r;

static void start(const char *sample)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.sample = sample;
    CU_ASSERT_FATAL(recording_start(&r, &opts) == 0);
}

/* A handler that entered a task which nobody keeps closed the fast path under an event that was using it: the event then wrote through
 * a null pointer. */
static void a_handler_that_enters_a_muted_task_does_not_break_the_event_it_interrupts(void)
{
    NOT_UNDER_TSAN("it has no fast path");
    struct ttap_task task;
    start("0");
    TTAP_INSTANT("first"); /* the thread has a chunk now */
    struct ttap__record *rec = ttap__tls;
    struct ttap__fast f;
    if (!ttap__fast_open(&f, rec, TTAP_GROUP_LOG, 1)) {
        printf("(no fast path here) ");
    } else {
        TTAP_TASK_BEGIN(&task, "handler's", NULL);
        ttap_task_enter(&task, NULL);
        CU_ASSERT(rec->fast == NULL);
        ttap__fast_publish(&f, rec, TTAP__INSTANT, ttap_name("interrupted"), 1);
        ttap_task_enter(NULL, NULL);
    }
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "interrupted") == 1 || !ttap__light_busy);
    recording_free(&r);
}

/* What siglongjmp() out of a handler leaves behind: busy, for as long as the thread lives. */
static void an_event_that_is_never_finished_is_late_once_and_not_in_each_later_window(void)
{
    start(NULL);
    TTAP_INSTANT("first");
    struct ttap__slot_stream *shared = ttap__tls->stream[0].shared;
    ttap__store(&shared->busy, 1);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.lost[TTAP__LOSS_LATE] == 1);
    recording_free(&r);
    for (int i = 0; i < 3; i++) {
        start(NULL);
        TTAP_INSTANT("later");
        CU_ASSERT(recording_stop(&r));
        CU_ASSERT(recording_lost(&r) == 0 && recording_count(&r, TTAP__INSTANT, "later") == 1);
        recording_free(&r);
    }
    ttap__store_release(&shared->busy, 0);
}

/* A thread had taken a chunk and not shown it yet when the memory went back to the system: the chunk then had two owners. */
static void memory_is_not_given_back_while_a_chunk_is_on_its_way_to_its_thread(void)
{
    start(NULL);
    TTAP_INSTANT("first");
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
    uint32_t made = ttap__load(&ttap__arena_here()->chunks_made);
    struct ttap__slot_stream *shared = ttap__tls->stream[0].shared;
    CU_ASSERT(made > 0 && ttap__load(&shared->published) == 0);
    ttap__store(&shared->busy, 1);
    usleep((TTAP__LINGER_MS + 500) * 1000);
    CU_ASSERT(ttap__load(&ttap__arena_here()->chunks_made) == made);
    ttap__store_release(&shared->busy, 0);
}

static CU_TestInfo statements[] = {
    {"a handler that enters a muted task does not break the event it interrupts",
     a_handler_that_enters_a_muted_task_does_not_break_the_event_it_interrupts},
    {"an event that is never finished is late once and not in each later window",
     an_event_that_is_never_finished_is_late_once_and_not_in_each_later_window},
    {"memory is not given back while a chunk is on its way to its thread", memory_is_not_given_back_while_a_chunk_is_on_its_way_to_its_thread},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
