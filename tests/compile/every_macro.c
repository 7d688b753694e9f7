/* every_macro.c - uses every macro and inline call of the public header once, in the common subset of C99 and C++11.
 *
 * Compiled by headers.sh under each standard and compiler, with and without TTAP_DISABLE. It is never run. */
#include "tracetap/tracetap.h"

#ifdef __cplusplus
extern "C"
#endif
    int
    every_macro(int argc);

static struct ttap_name kind = TTAP_NAME_INIT("kind");
static struct ttap_queue queue = TTAP_QUEUE_INIT("queue");

static void regions_and_marks(int value)
{
    TTAP_REGION("scope");
    TTAP_REGION("a second one in the same scope");
    TTAP_REGION_BEGIN("written out");
    TTAP_INSTANT("instant");
    TTAP_COUNTER("counter", value);
    TTAP_LOG("category", "text", 4);
    ttap_logf(&kind, "%d of %s", value, "many");
    TTAP_REGION_END("written out");
    TTAP_GC_BEGIN("mark");
    TTAP_GC_END("mark");
}

static void tasks(int value)
{
    struct ttap_task task = TTAP_TASK_NONE, child, remote, before;
    char traceparent[TTAP_TRACEPARENT_BYTES];

    TTAP_TASK_BEGIN(&task, "checkout", NULL);
    ttap_task_begin(&child, &kind, &task);
    (void)ttap_task_begin_remote(&remote, &kind, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ttap_task_traceparent(&task, traceparent);
    {
        TTAP_TASK_SCOPE(&task);
        ttap_task_current(&before);
    }
    ttap_task_enter(&child, &before);
    TTAP_TASK_ATTR_INT(&child, "items", value);
    TTAP_TASK_ATTR_STR(&child, "customer", "42");
    ttap_task_leave(&before);
    ttap_task_fail(&child, -5, "no such item");
    ttap_task_end(&remote);
    ttap_task_end(&task);
}

static void queues(uint64_t depth)
{
    ttap_queue_wait_begin(&queue, TTAP_QUEUE_FULL);
    ttap_queue_wait_end(&queue, TTAP_QUEUE_FULL);
    ttap_queue_enqueue(&queue, depth);
    ttap_queue_wait_begin(&queue, TTAP_QUEUE_EMPTY);
    ttap_queue_wait_end(&queue, TTAP_QUEUE_EMPTY);
    ttap_queue_dequeue(&queue, depth - 1);
}

int every_macro(int argc)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;

    ttap_thread_name("main");
    regions_and_marks(argc);
    tasks(argc);
    queues((uint64_t)argc);
    /* A condition used as a statement's only branch: the macros must not swallow an else. */
    if (argc > 1)
        TTAP_INSTANT("then");
    else
        TTAP_INSTANT("else");
    return TTAP_ENABLED(TTAP_GROUP_TASK | TTAP_GROUP_GC) ? (int)opts.size : TTAP_VERSION_MAJOR;
}
