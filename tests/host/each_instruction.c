/* each_instruction.c - a signal handler at every instruction of every call: one that records, one that jumps out, one that forks.
 *
 *   trap flag on --> call, one instruction at a time --> trap flag off          SIGTRAP's handler runs behind each of them
 *                       |
 *                       +-- handler: record | siglongjmp | fork and let both go on | single-step an event of its own
 *
 * Storms of timers meet an event of 10 ns in the middle now and then; this meets each state that an interrupted call can be in. What must
 * hold: whatever was told by a call that came back is delivered, exactly; and no state is left behind that later events suffer from.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "emit.h"
#include "recording.h"
#include "statements.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

#define TRAP_FLAG 0x100ll

/* Below the red zone, which the compiler may be using. */
#define WITH_FLAGS(change) __asm__ volatile("leaq -128(%%rsp), %%rsp; pushfq; " change "; popfq; leaq 128(%%rsp), %%rsp" ::: "memory", "cc")
static inline __attribute__((always_inline)) void trap_on(void)
{
    WITH_FLAGS("orq $0x100, (%%rsp)");
}
static inline __attribute__((always_inline)) void trap_off(void)
{
    WITH_FLAGS("andq $~0x100, (%%rsp)");
}

enum { STEPS_MAX = 20000 };

static struct recording r;
static void (*on_step)(ucontext_t *context);
static unsigned step;

static void on_trap(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info;
    int saved_errno = errno;
    step++;
    on_step(context);
    errno = saved_errno;
}

static void let_run(ucontext_t *context)
{
    context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void handle_traps(int flags)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTRAP, &action, NULL);
}

/* ---- What is interrupted ---- */

static struct ttap_name outer, inner, inmost = TTAP_NAME_INIT("tile.2");
static struct ttap_name place = TTAP_NAME_INIT("place");
static struct ttap_queue queue = TTAP_QUEUE_INIT("queue");
static struct ttap_task task, before;
static __thread int64_t told_outer; /* by calls that are not interrupted */
static int64_t told_inner, told_inmost;

static void region_begin(void)
{
    ttap_region_begin(&place);
}
static void region_end(void)
{
    ttap_region_end(&place);
}
static void counter(void)
{
    ttap_counter(&place, 1);
}
static void instant(void)
{
    ttap_instant(&place);
}
static void log_text(void)
{
    ttap_log(&place, "some text", 9);
}
static void task_begin(void)
{
    ttap_task_begin(&task, &place, NULL);
}
static void task_enter(void)
{
    ttap_task_enter(&task, &before);
}
static void task_leave(void)
{
    ttap_task_leave(&before);
}
static void task_attr(void)
{
    ttap_task_attr_str(&task, &place, "value");
}
static void task_fail(void)
{
    ttap_task_fail(&task, 1, "why");
}
static void task_end(void)
{
    ttap_task_end(&task);
}
static void queue_enqueue(void)
{
    ttap_queue_enqueue(&queue, 1);
}
static void thread_name(void)
{
    ttap_thread_name("stepper");
}
static void new_name(void)
{
    static unsigned number;
    char text[16] = "name";
    for (unsigned n = ++number, at = 4; n; n /= 10)
        text[at++] = (char)('0' + n % 10);
    ttap_name(text);
}

/* Up to the last cell of its chunk, so that the next event takes another one. */
static void fill_chunk(void)
{
    do
        ttap_counter(&outer, told_outer++);
    while (ttap__tls->stream[0].end - ttap__tls->stream[0].cell >= 4);
}

static const struct act {
    const char *name;
    void (*act)(void);
    void (*prepare)(void); /* each time */
} acts[] = {
    {"region_begin", region_begin, region_end},
    {"region_end", region_end, region_begin},
    {"counter", counter, NULL},
    {"instant", instant, NULL},
    {"log", log_text, NULL},
    {"task_begin", task_begin, NULL},
    {"task_enter", task_enter, task_begin},
    {"task_leave", task_leave, task_enter},
    {"task_attr", task_attr, task_begin},
    {"task_fail", task_fail, task_begin},
    {"task_end", task_end, task_begin},
    {"queue", queue_enqueue, NULL},
    {"thread_name", thread_name, NULL},
    {"name", new_name, NULL},
    {"next chunk", counter, fill_chunk},
    {"next chunk, log", log_text, fill_chunk},
    {"next chunk, task", task_begin, fill_chunk},
};
enum { ACTS = sizeof(acts) / sizeof(acts[0]) };

static void run_stepped(void (*act)(void))
{
    step = 0;
    trap_on();
    act();
    trap_off();
}

static void start(const char *outer_name, const char *inner_name)
{
    outer = (struct ttap_name){outer_name, 0};
    inner = (struct ttap_name){inner_name, 0};
    told_outer = told_inner = told_inmost = 0;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    ttap_counter(&outer, told_outer++); /* so that the thread has a record and a chunk */
}

static void delivered(unsigned tile, int64_t expected)
{
    const struct validation_tile *t = validation_tile(&r.check, tile);
    CU_ASSERT(t && (int64_t)t->delivered == expected && !t->missing && !t->duplicates);
    if (!t || (int64_t)t->delivered != expected)
        fprintf(stderr, "    tile %u: %lld of %lld\n", tile, t ? (long long)t->delivered : -1ll, (long long)expected);
}

/* No event is left open, on any slot. */
static unsigned busy_slots(void)
{
    unsigned busy = 0;
    for (uint32_t i = 0; i < ttap__arena_base->slots_made; i++)
        busy += ttap__arena_base->slot[i].stream[0].busy || ttap__arena_base->slot[i].stream[1].busy;
    return busy;
}

/* ---- A handler that records ---- */

static void record_inner(ucontext_t *context)
{
    (void)context;
    ttap_counter(&inner, told_inner++);
    if (step > STEPS_MAX)
        let_run(context);
}

static void a_handler_may_record_at_each_instruction(void)
{
    unsigned steps = 0;
    handle_traps(0);
    on_step = record_inner;
    start("tile.0", "tile.1");
    for (int i = 0; i < ACTS; i++) {
        if (acts[i].prepare)
            acts[i].prepare();
        run_stepped(acts[i].act);
        CU_ASSERT(step > 5 && step < STEPS_MAX);
        steps += step;
        ttap_counter(&outer, told_outer++);
    }
    CU_ASSERT(busy_slots() == 0);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    delivered(0, told_outer);
    delivered(1, told_inner);
    printf("(%u instructions) ", steps);
    recording_free(&r);
}

static void *first_event(void *arg)
{
    run_stepped(counter);
    return arg;
}

static void on_a_thread(void *(*body)(void *))
{
    pthread_t thread;
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, body, NULL) == 0);
    pthread_join(thread, NULL);
}

static void also_of_a_threads_first_event_and_a_sessions(void)
{
    handle_traps(0);
    on_step = record_inner;
    start("tile.0", "tile.1");
    on_a_thread(first_event);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT(recording_count(&r, TTAP__COUNTER, "place") == 1);
    delivered(1, told_inner);
    recording_free(&r);
    told_inner = 0;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    run_stepped(counter); /* the thread has a record, but not of this session */
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT(recording_count(&r, TTAP__COUNTER, "place") == 1);
    delivered(1, told_inner);
    recording_free(&r);
}

/* ---- A handler that is interrupted itself, at each instruction, at each instruction ---- */

static unsigned first_step, depth;

/* The handler's own event, under the trap flag: what interrupts it comes here again, one level deeper. */
static void record_on_two_levels(ucontext_t *context)
{
    if (depth) {
        ttap_counter(&inmost, told_inmost++);
        return;
    }
    if (step != first_step)
        return;
    depth = 1;
    trap_on();
    ttap_counter(&inner, told_inner++);
    trap_off();
    depth = 0;
    let_run(context);
}

static void a_second_handler_inside_the_first_is_kept_or_counted_at_each_pair_of_instructions(void)
{
    handle_traps(SA_NODEFER);
    on_step = record_on_two_levels;
    start("tile.0", "tile.1");
    first_step = 0;
    do {
        first_step++;
        run_stepped(counter);
        ttap_counter(&outer, told_outer++);
    } while (step >= first_step && first_step < 500);
    CU_ASSERT(recording_stop(&r));
    delivered(0, told_outer);
    delivered(1, told_inner);
    uint64_t kept = recording_count(&r, TTAP__COUNTER, "tile.2");
    CU_ASSERT(kept + r.lost[TTAP__LOSS_NESTED] == (uint64_t)told_inmost && recording_lost(&r) == r.lost[TTAP__LOSS_NESTED]);
    printf("(%lld pairs, %llu lost) ", (long long)told_inmost, (unsigned long long)recording_lost(&r));
    CU_ASSERT(told_inmost > 500 && recording_lost(&r) > 0);
    recording_free(&r);
}

/* ---- A handler that jumps out ---- */

/* AddressSanitizer's checks make the instructions thrice as many, and a fork under it takes 16 ms: some of them. */
#if defined(__SANITIZE_ADDRESS__)
enum { EACH = 23 };
#else
enum { EACH = 1 };
#endif

static sigjmp_buf out;
static unsigned jump_at;
static bool jumped;

static void jump_out(ucontext_t *context)
{
    (void)context;
    if (step == jump_at)
        siglongjmp(out, 1);
}

/* One act, left at @at. False: it came to its end before. */
static bool left_at(const struct act *act, unsigned at)
{
    jump_at = at;
    jumped = true;
    if (act->prepare)
        act->prepare();
    if (!sigsetjmp(out, 1)) {
        run_stepped(act->act);
        jumped = false;
    }
    return jumped;
}

/* A thread has room for a few chunks that it was torn away from handing over, until the drainer's next tick. */
static void let_the_drainer_catch_up(void)
{
    for (int i = 0; i < TTAP__ORPHANS_MAX; i++)
        while (ttap__load(&ttap__tls->slot->orphan[0][i]))
            usleep(500);
}

static void no_event_is_open(const char *name, unsigned at, unsigned *stuck)
{
    for (int i = 0; i < 3; i++)
        ttap_counter(&outer, told_outer++);
    const struct ttap__slot *slot = ttap__tls->slot;
    if (!slot->stream[0].busy && !slot->stream[1].busy)
        return;
    if (!(*stuck)++)
        fprintf(stderr, "    stuck after %s was left at %u\n", name, at);
}

/* Before it was noticed, such a thread recorded on its handlers' stream for ever, every stop waited for it, and a second jump silenced it. */
static void a_handler_may_jump_out_at_each_instruction(void)
{
    unsigned jumps = 0, stuck = 0, records_before;
    handle_traps(0);
    on_step = jump_out;
    start("outer", "inner"); /* no tile: the thread goes on as another one */
    records_before = ttap__arena_base->slots_made;
    for (int i = 0; i < ACTS; i++) {
        unsigned at = 1;
        while (at < STEPS_MAX && left_at(&acts[i], at)) {
            no_event_is_open(acts[i].name, at, &stuck);
            let_the_drainer_catch_up();
            at += EACH;
            jumps++;
        }
        ttap_task_enter(NULL, NULL);
    }
    CU_ASSERT(stuck == 0);
    CU_ASSERT(busy_slots() == 0);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    size_t outer_events = recording_count(&r, TTAP__COUNTER, "outer"), aside = 0;
    for (size_t i = 0; i < r.events_count; i++)
        aside += r.events[i].level == 1;
    CU_ASSERT((int64_t)outer_events == told_outer);
    CU_ASSERT(aside == 0);
    printf("(%u jumps, %u more records) ", jumps, ttap__arena_base->slots_made - records_before);
    recording_free(&r);
}

static void *first_event_left(void *arg)
{
    static const struct act first = {"first event", counter, NULL};
    unsigned *at = arg;
    if (!left_at(&first, *at))
        *at = 0;
    told_outer = 0;
    ttap_counter(&outer, told_outer++);
    return NULL;
}

static void also_out_of_a_threads_first_event(void)
{
    unsigned at = 1, threads = 0;
    handle_traps(0);
    on_step = jump_out;
    start("outer", "inner"); /* no tile: the thread goes on as another one */
    int64_t own = told_outer;
    for (unsigned next = 1; at; at = at ? next += EACH : 0) {
        pthread_t thread;
        CU_ASSERT_FATAL(pthread_create(&thread, NULL, first_event_left, &at) == 0);
        pthread_join(thread, NULL);
        threads++;
        if (next > STEPS_MAX)
            break;
    }
    CU_ASSERT(busy_slots() == 0);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT(recording_count(&r, TTAP__COUNTER, "outer") == threads + (size_t)own);
    printf("(%u threads) ", threads);
    CU_ASSERT(threads > 50);
    recording_free(&r);
}

/* ---- A handler that forks ---- */

static unsigned forks, hung, bad;
static int (*fork_how)(void);
static bool may_capture;
static volatile bool is_child;

static int fork_raw(void)
{
    return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* A second is plenty for what a child does here; ten for the machine. */
static int end_of(pid_t child)
{
    int status = -1, pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (poll(&ended, 1, 10000) == 0) {
        kill(child, SIGKILL);
        hung++;
    }
    close(pidfd);
    waitpid(child, &status, 0);
    return status;
}

static void fork_here(ucontext_t *context)
{
    if (is_child || step % EACH)
        return;
    forks++;
    int child = fork_how();
    if (!child) {
        is_child = true;
        let_run(context); /* and return into what was interrupted */
        return;
    }
    int status = end_of(child);
    if (status && !bad++)
        fprintf(stderr, "    child %u, at step %u: status %x\n", forks, step, (unsigned)status);
    if (step > STEPS_MAX)
        let_run(context);
}

static int run_as_child(void)
{
    for (int i = 0; i < ACTS; i++) { /* whatever state it found, it can go on */
        if (acts[i].prepare && acts[i].prepare != fill_chunk)
            acts[i].prepare();
        acts[i].act();
    }
    if (!may_capture || forks % 32)
        return 0;
    struct recording mine;
    if (recording_start(&mine, NULL))
        return 1;
    for (int i = 0; i < 2000; i++)
        ttap_counter(&place, i);
    bool exact = recording_stop(&mine);
    return !exact ? 2 : recording_count(&mine, TTAP__COUNTER, "place") != 2000 ? 3 : 0;
}

static void forks_at_each_instruction(int (*how)(void), bool with_captures)
{
    handle_traps(0);
    on_step = fork_here;
    fork_how = how;
    may_capture = with_captures;
    forks = hung = bad = 0;
    start("tile.0", "tile.1");
    for (int i = 0; i < ACTS; i++) {
        if (acts[i].prepare)
            acts[i].prepare();
        run_stepped(acts[i].act);
        if (is_child)
            _exit(run_as_child());
        ttap_counter(&outer, told_outer++);
    }
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_lost(&r) == 0);
    delivered(0, told_outer);
    CU_ASSERT(recording_count(&r, TTAP__COUNTER, "place") == 2);
    recording_free(&r);
    CU_ASSERT(hung == 0 && bad == 0);
    printf("(%u forks) ", forks);
}

/* The child comes out of the handler into an event whose record was wiped under it: it went on and wrote through a null pointer. */
static void a_handler_may_fork_at_each_instruction_and_both_go_on(void)
{
#if defined(__SANITIZE_ADDRESS__)
    forks_at_each_instruction(fork, false);
#else
    forks_at_each_instruction(fork, true);
#endif
}

static void also_by_a_raw_clone_of_which_nobody_hears(void)
{
    forks_at_each_instruction(fork_raw, false);
}

static CU_TestInfo statements[] = {
    {"a handler may record at each instruction", a_handler_may_record_at_each_instruction},
    {"also of a thread's first event, and a session's", also_of_a_threads_first_event_and_a_sessions},
    {"a second handler inside the first is kept or counted, at each pair of instructions",
     a_second_handler_inside_the_first_is_kept_or_counted_at_each_pair_of_instructions},
    {"a handler may jump out at each instruction", a_handler_may_jump_out_at_each_instruction},
    {"also out of a thread's first event", also_out_of_a_threads_first_event},
    {"a handler may fork at each instruction, and both go on", a_handler_may_fork_at_each_instruction_and_both_go_on},
    {"also by a raw clone, of which nobody hears", also_by_a_raw_clone_of_which_nobody_hears},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}

#else

int main(void)
{
    printf("skipped: needs the x86-64 trap flag, and signals where they happen (not under ThreadSanitizer)\n");
    return 77;
}

#endif
