/* test_stack.c - handlers run on small alternate stacks: how much of one an emitting call touches, painted and looked at afterwards. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "recording.h"
#include "statements.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if defined(__aarch64__)
enum { STACK = 65536, ALLOWED = 640 }; /* each frame saves its registers in pairs; a process's first task, which maps the arena, takes 592 */
#else
enum { STACK = 65536, ALLOWED = 512 };
#endif
static unsigned char *stack;
static void (*volatile what)(void); /* raise() is declared as calling nothing of ours */
static struct ttap_name name = TTAP_NAME_INIT("stack");
static struct ttap_queue queue = TTAP_QUEUE_INIT("stack queue");
static struct ttap_task task, before;
static char text[600], header[TTAP_TRACEPARENT_BYTES];

static void nothing(void) {}
static void region_begin(void)
{
    ttap_region_begin(&name);
}
static void region_end(void)
{
    ttap_region_end(&name);
}
static void instant(void)
{
    ttap_instant(&name);
}
static void log_longest(void)
{
    ttap_log(&name, text, 512);
}
static void counter(void)
{
    ttap_counter(&name, 1);
}
static void task_begin(void)
{
    ttap_task_begin(&task, &name, NULL);
}
static void task_begin_remote(void)
{
    ttap_task_begin_remote(&task, &name, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}
static void task_traceparent(void)
{
    ttap_task_traceparent(&task, header);
}
static void task_enter(void)
{
    ttap_task_enter(&task, &before);
}
static void task_leave(void)
{
    ttap_task_leave(&before);
}
static void task_end(void)
{
    ttap_task_end(&task);
}
static void task_fail(void)
{
    ttap_task_fail(&task, 1, text);
}
static void task_attr_int(void)
{
    ttap_task_attr_int(&task, &name, 1);
}
static void task_attr_str(void)
{
    ttap_task_attr_str(&task, &name, text);
}
static void thread_name(void)
{
    ttap_thread_name("stack");
}
static void queue_enqueue(void)
{
    ttap_queue_enqueue(&queue, 1);
}
static void gc_begin(void)
{
    ttap_gc_begin(&name);
}
static void new_name(void)
{
    static char fresh[] = "stack name aaaa";
    fresh[11]++;
    ttap_name(fresh);
}
static void enough_to_take_chunks(void)
{
    for (int i = 0; i < 600; i++)
        ttap_counter(&name, i);
}

static const struct {
    const char *call;
    void (*what)(void);
} calls[] = {{"region_begin", region_begin},
             {"region_end", region_end},
             {"instant", instant},
             {"log", log_longest},
             {"counter", counter},
             {"task_begin", task_begin},
             {"task_begin_remote", task_begin_remote},
             {"task_traceparent", task_traceparent},
             {"task_enter", task_enter},
             {"task_leave", task_leave},
             {"task_attr_int", task_attr_int},
             {"task_attr_str", task_attr_str},
             {"task_fail", task_fail},
             {"task_end", task_end},
             {"thread_name", thread_name},
             {"queue_enqueue", queue_enqueue},
             {"gc_begin", gc_begin},
             {"name", new_name},
             {"take a chunk", enough_to_take_chunks}};

static void handler(int signo)
{
    (void)signo;
    what();
}

/* Bytes of the alternate stack that @call touched, the kernel's frame included. */
static size_t touched_by(void (*call)(void))
{
    memset(stack, 0x5a, STACK);
    what = call;
    raise(SIGUSR1);
    size_t untouched = 0;
    while (untouched < STACK && stack[untouched] == 0x5a)
        untouched++;
    return STACK - untouched;
}

static void measure(const char *when)
{
    size_t frame = touched_by(nothing);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        size_t used = touched_by(calls[i].what) - frame;
        CU_ASSERT(used <= ALLOWED);
        if (used > ALLOWED)
            fprintf(stderr, "    %s, %s: %zu bytes\n", calls[i].call, when, used);
    }
}

static void *on_a_fresh_thread(void *arg)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
    sigaltstack(&alternate, NULL);
    size_t frame = touched_by(nothing);
    size_t used = touched_by(counter) - frame; /* the first call gives the thread its record */
    CU_ASSERT(used <= ALLOWED);
    if (used > ALLOWED)
        fprintf(stderr, "    first call of a thread: %zu bytes\n", used);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
    return arg;
}

static void no_call_uses_more_than_allowed(void)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK}, off = {.ss_flags = SS_DISABLE};
    struct recording r;
    pthread_t thread;
    sigaltstack(&alternate, NULL);
    measure("idle");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    measure("recording");
    sigaltstack(&off, NULL);
    pthread_create(&thread, NULL, on_a_fresh_thread, NULL);
    pthread_join(thread, NULL);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.events_count > 600);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"no call uses more than 512 bytes (aarch64: 640)", no_call_uses_more_than_allowed},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    if (SANITIZED) {
        printf("skipped: sanitizers have frames of their own\n");
        return 77;
    }
    memset(text, 't', 599);
    stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    return run_statements(statements);
}
