/* test_end.c - a window for whose beginning or end there is no room: exact, or without a trailer.
 *
 * Which block the queue has no memory for is chosen here, by its type and how many of that type came before.
 */
#include <errno.h>
#include <string.h>

#include "queue.h"
#include "subs.h"

enum { EVENTS = 10, FOR_GOOD = 1000 };

/* Looked at by the drainer, too. So many of that type go in, then so many do not. */
static _Atomic int refused_type, refused_after, refused_times, refusals;

bool __real_ttap__queue_put(struct ttap__queue *queue, const struct ttap__piece *piece, size_t count);
bool __wrap_ttap__queue_put(struct ttap__queue *queue, const struct ttap__piece *piece, size_t count);
bool __wrap_ttap__queue_put(struct ttap__queue *queue, const struct ttap__piece *piece, size_t count)
{
    const unsigned char *bytes = piece[0].bytes;
    size_t head = !memcmp(bytes, "TRACETAP", 8) ? TTAP__WIRE_PREAMBLE_BYTES : 0;
    if (!refused_times || bytes[head] != refused_type || refused_after-- > 0)
        return __real_ttap__queue_put(queue, piece, count);
    refused_times--;
    refusals++;
    return false;
}

static void refuse(enum ttap__block type, int after, int times)
{
    refused_type = (int)type;
    refused_after = after;
    refusals = 0;
    refused_times = times;
}

static void refuse_nothing(void)
{
    refused_times = 0;
}

/* Two threads with a row each, told at the window's end: the second one lives until then. */
static pthread_t second;
static pthread_barrier_t emitted, over;

static void emit(void)
{
    for (int i = 0; i < EVENTS; i++)
        TTAP_INSTANT("here");
}

static void *second_main(void *arg)
{
    emit();
    pthread_barrier_wait(&emitted);
    pthread_barrier_wait(&over);
    return arg;
}

static void emit_on_two_threads(void)
{
    emit();
    CU_ASSERT_FATAL(pthread_create(&second, NULL, second_main, NULL) == 0);
    pthread_barrier_wait(&emitted);
}

static void let_second_thread_end(void)
{
    refuse_nothing();
    pthread_barrier_wait(&over);
    pthread_join(second, NULL);
}

/* Thread rows, of which the one of thread 0 is told last. */
static unsigned rows_of_own(const struct recording *r)
{
    unsigned own = 0;
    for (size_t i = 0; i < r->accounts_count; i++)
        own += r->accounts[i].thread != 0;
    return own;
}

static void record(struct recording *r, enum ttap__block type, int after, int times)
{
    CU_ASSERT_FATAL(recording_start(r, NULL) == 0);
    emit_on_two_threads();
    refuse(type, after, times);
    recording_end(r);
    let_second_thread_end();
    CU_ASSERT(refusals == times || times == FOR_GOOD);
}

static void is_exact_with(enum ttap__block type, int after, int times, unsigned rows)
{
    struct recording r;
    record(&r, type, after, times);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(rows_of_own(&r) == rows);
    CU_ASSERT(r.delivered == 2 * EVENTS);
    recording_free(&r);
}

static void is_cut(enum ttap__block type, int after, int times)
{
    struct recording r;
    record(&r, type, after, times);
    CU_ASSERT(refusals > 0);
    CU_ASSERT(r.result == -ENOMEM);
    CU_ASSERT(!recording_stop(&r));
    CU_ASSERT(r.verdict == -ENODATA);
    CU_ASSERT(r.reason == 0); /* no trailer */
    CU_ASSERT(recording_count(&r, 0, "here") == 2 * EVENTS);
    recording_free(&r);
}

static void a_row_that_finds_no_room_is_told_with_those_of_no_thread(void)
{
    is_exact_with(TTAP__BLOCK_ACCOUNT, 0, 0, 2);
    is_exact_with(TTAP__BLOCK_ACCOUNT, 0, 1, 1);
    is_exact_with(TTAP__BLOCK_ACCOUNT, 1, 1, 1);
    is_exact_with(TTAP__BLOCK_ACCOUNT, 0, 2, 0);
}

static void without_room_for_that_there_is_no_trailer(void)
{
    is_cut(TTAP__BLOCK_ACCOUNT, 0, 3);
    is_cut(TTAP__BLOCK_ACCOUNT, 1, 2);
    is_cut(TTAP__BLOCK_ACCOUNT, 0, FOR_GOOD);
    is_cut(TTAP__BLOCK_TRAILER, 0, FOR_GOOD);
}

static void what_else_is_missing_at_the_end_does_not_cut_it(void)
{
    is_exact_with(TTAP__BLOCK_CLOCK, 0, FOR_GOOD, 2);
}

static void a_kept_capture_without_its_last_row_has_no_trailer_either(void)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct recording r;
    unsigned char bytes[16384];
    uint64_t id;
    CU_ASSERT_FATAL(ttap__kept_start(&opts, &id) == 0);
    emit_on_two_threads();
    refuse(TTAP__BLOCK_ACCOUNT, 0, FOR_GOOD);
    struct ttap__kept *kept = ttap__kept_get(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    ttap__sub_stop(ttap__kept_sub(kept), TTAP__END_STOPPED);
    while (ttap__sub_state(ttap__kept_sub(kept)) == TTAP__SUB_RECORDING)
        nap_ms(1);
    let_second_thread_end();
    size_t len = ttap__sub_peek(ttap__kept_sub(kept), 0, bytes, sizeof(bytes));
    ttap__kept_put(kept);
    ttap__kept_delete(id);
    CU_ASSERT_FATAL(len < sizeof(bytes));
    CU_ASSERT(!recording_of_bytes(&r, bytes, len));
    CU_ASSERT(r.verdict == -ENODATA);
    recording_free(&r);
}

static void without_room_for_names_there_is_nothing_that_uses_them(void)
{
    struct ttap_task task, before;
    struct recording r;
    TTAP_TASK_BEGIN(&task, "current", NULL);
    ttap_task_enter(&task, &before);
    for (int refused_ones = 0; refused_ones <= 2; refused_ones++) { /* it is tried twice */
        refuse(TTAP__BLOCK_NAMES, 0, refused_ones);
        CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
        CU_ASSERT(refusals == refused_ones);
        emit();
        CU_ASSERT(recording_stop(&r)); /* each name is told before what uses it */
        CU_ASSERT(r.tasks_count == (refused_ones < 2));
        CU_ASSERT(recording_count(&r, 0, "here") == EVENTS);
        recording_free(&r);
    }
    ttap_task_leave(&before);
    ttap_task_end(&task);
}

static CU_TestInfo statements[] = {
    {"a row that finds no room is told with those of no thread", a_row_that_finds_no_room_is_told_with_those_of_no_thread},
    {"without room for that there is no trailer", without_room_for_that_there_is_no_trailer},
    {"what else is missing at the end does not cut it", what_else_is_missing_at_the_end_does_not_cut_it},
    {"a kept capture without its last row has no trailer either", a_kept_capture_without_its_last_row_has_no_trailer_either},
    {"without room for names there is nothing that uses them", without_room_for_names_there_is_nothing_that_uses_them},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    pthread_barrier_init(&emitted, NULL, 2);
    pthread_barrier_init(&over, NULL, 2);
    return run_statements(statements);
}
