/* test_idle.c - while nobody listens. The first statement must run first: it is about a process that never captured. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"
#include "recording.h"
#include "statements.h"

/* Of the thread that annotates; the drainer has a heap of its own to keep. */
static __thread unsigned long allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    allocations++;
    return __real_mmap(at, bytes, prot, flags, fd, offset);
}

static struct ttap_queue jobs = TTAP_QUEUE_INIT("idle jobs");

static void annotate_without_tasks(void)
{
    TTAP_REGION("idle region");
    TTAP_REGION_BEGIN("idle begin");
    TTAP_REGION_END("idle begin");
    TTAP_INSTANT("idle instant");
    TTAP_COUNTER("idle counter", 7);
    TTAP_LOG("idle log", "text", 4);
    TTAP_GC_BEGIN("idle gc");
    TTAP_GC_END("idle gc");
    ttap_queue_enqueue(&jobs, 1);
    ttap_queue_dequeue(&jobs, 0);
    ttap_queue_wait_begin(&jobs, TTAP_QUEUE_FULL);
    ttap_queue_wait_end(&jobs, TTAP_QUEUE_EMPTY);
}

static void annotate_with_tasks(void)
{
    struct ttap_task task, before;
    TTAP_TASK_BEGIN(&task, "idle task", NULL);
    ttap_task_enter(&task, &before);
    annotate_without_tasks();
    TTAP_TASK_ATTR_INT(&task, "idle key", 1);
    TTAP_TASK_ATTR_STR(&task, "idle key", "value");
    ttap_task_leave(&before);
    ttap_task_end(&task);
    ttap_task_fail(&task, 5, "why");
}

static void regions_logs_and_counters_touch_no_memory_at_all(void)
{
    annotate_without_tasks();
    CU_ASSERT_PTR_NULL(ttap__arena_here());
    CU_ASSERT(jobs.id == 0);
    CU_ASSERT(allocations == 0);
}

static void ten_thousand_calls_of_every_kind_allocate_nothing(void)
{
    annotate_with_tasks(); /* the first task maps the arena, without the heap */
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    ttap_status_get(&before);
    unsigned long allocated = allocations;
    for (int i = 0; i < 10000; i++)
        annotate_with_tasks();
    ttap_status_get(&after);
    CU_ASSERT(allocations == allocated);
    CU_ASSERT(after.used_bytes == before.used_bytes);
    CU_ASSERT(after.events == 0 && after.lost == 0 && after.chunks_live == 0);
}

static void what_came_before_the_window_is_not_in_it_and_the_names_were_not_even_learnt(void)
{
    struct recording r;
    annotate_with_tasks();
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.events_count == 0);
    CU_ASSERT(r.accounts_count == 0);
    for (size_t id = 0; id < r.names_room; id++)
        CU_ASSERT(!r.names[id] || strcmp(r.names[id], "idle region"));
    recording_free(&r);
    annotate_with_tasks();
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
}

static void recording_allocates_nothing_from_the_heap_on_the_thread_that_emits(void)
{
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    annotate_with_tasks();
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    unsigned long allocated = allocations;
    for (int i = 0; i < 200; i++)
        annotate_with_tasks();
    CU_ASSERT(allocations == allocated);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "idle instant") == 201);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"regions, logs and counters touch no memory at all", regions_logs_and_counters_touch_no_memory_at_all},
    {"ten thousand calls of every kind allocate nothing", ten_thousand_calls_of_every_kind_allocate_nothing},
    {"what came before the window is not in it", what_came_before_the_window_is_not_in_it_and_the_names_were_not_even_learnt},
    {"recording allocates nothing from the heap", recording_allocates_nothing_from_the_heap_on_the_thread_that_emits},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
