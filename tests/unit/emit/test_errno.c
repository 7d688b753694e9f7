/* test_errno.c - annotations leave no mark on the caller: errno, signal mask, cancellation. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static struct ttap_name name = TTAP_NAME_INIT("name");
static struct ttap_queue queue = TTAP_QUEUE_INIT("queue");
static struct ttap_task task, before;

static void call(int number)
{
    char out[TTAP_TRACEPARENT_BYTES];
    switch (number) {
    case 0:
        ttap_region_begin(&name);
        break;
    case 1:
        ttap_region_end(&name);
        break;
    case 2:
        ttap_instant(&name);
        break;
    case 3:
        ttap_log(&name, "text", 4);
        break;
    case 4:
        ttap_logf(&name, "%d %s", 1, "text");
        break;
    case 5:
        ttap_counter(&name, 1);
        break;
    case 6:
        ttap_task_begin(&task, &name, NULL);
        break;
    case 7:
        ttap_task_begin_remote(&task, &name, "junk");
        break;
    case 8:
        ttap_task_traceparent(&task, out);
        break;
    case 9:
        ttap_task_enter(&task, &before);
        break;
    case 10:
        ttap_task_leave(&before);
        break;
    case 11:
        ttap_task_current(&before);
        break;
    case 12:
        ttap_task_attr_int(&task, &name, 1);
        break;
    case 13:
        ttap_task_attr_str(&task, &name, "text");
        break;
    case 14:
        ttap_task_fail(&task, 1, "text");
        break;
    case 15:
        ttap_task_end(&task);
        break;
    case 16:
        ttap_thread_name("name");
        break;
    case 17:
        ttap_queue_enqueue(&queue, 1);
        break;
    case 18:
        ttap_queue_dequeue(&queue, 1);
        break;
    case 19:
        ttap_queue_wait_begin(&queue, TTAP_QUEUE_FULL);
        break;
    case 20:
        ttap_queue_wait_end(&queue, TTAP_QUEUE_FULL);
        break;
    case 21:
        ttap_gc_begin(&name);
        break;
    case 22:
        ttap_gc_end(&name);
        break;
    case 23:
        ttap_name("some name");
        break;
    }
}
enum { CALLS = 24 };

static void keeps_errno_and_mask(int number)
{
    sigset_t mask, after;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = 4711;
    call(number);
    CU_ASSERT(errno == 4711);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signo = 1; signo < 32; signo++)
        CU_ASSERT(sigismember(&mask, signo) == sigismember(&after, signo));
}

/* Each on a thread of its own too, so that each is once the first call, which gives the thread its record. */
static void *first_call(void *arg)
{
    keeps_errno_and_mask((int)(intptr_t)arg);
    return NULL;
}

static void on_threads(void)
{
    for (intptr_t i = 0; i < CALLS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, first_call, (void *)i);
        pthread_join(thread, NULL);
        keeps_errno_and_mask((int)i);
    }
}

static void while_nobody_listens(void)
{
    on_threads();
}

static void while_recording(void)
{
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    on_threads();
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.events_count > 2 * 20);
    recording_free(&r);
}

static void *with_a_pending_cancel(void *arg)
{
    struct recording *r = arg;
    pthread_cancel(pthread_self()); /* deferred: the next cancellation point would end this thread */
    for (int i = 0; i < CALLS; i++)
        call(i);
    (void)r;
    TTAP_INSTANT("not a cancellation point");
    return NULL;
}

static void no_call_is_a_cancellation_point(void)
{
    struct recording r;
    pthread_t thread;
    void *result = &r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    pthread_create(&thread, NULL, with_a_pending_cancel, &r);
    pthread_join(thread, &result);
    CU_ASSERT(result == NULL); /* PTHREAD_CANCELED otherwise */
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "not a cancellation point") == 1);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"while nobody listens", while_nobody_listens},
    {"while recording", while_recording},
    {"no call is a cancellation point", no_call_is_a_cancellation_point},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
