/* test_threads.c - threads that are named, storm in and out, record in their last destructors, or are cancelled in the middle of an event. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "recording.h"
#include "statements.h"

static struct recording r;

static void start(void)
{
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static void run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, arg))
        CU_FAIL_FATAL("no thread");
    pthread_join(thread, NULL);
}

/* ---- The first of all ---- */

enum { FIRST_THREADS = 8, FIRST_PROCESSES = 50 };

static pthread_barrier_t first_here;

static void *among_the_first(void *arg)
{
    char name[16];
    snprintf(name, sizeof(name), "first-%d", (int)(intptr_t)arg);
    pthread_barrier_wait(&first_here);
    ttap_thread_name(name);
    return NULL;
}

/* All threads map the arena, and one of them is followed. ThreadSanitizer takes the swap of the others for a write: plain reads of where
 * the arena is were a race for it. A child each, because it is mapped once in a process. */
static int begin_with_many_threads(void)
{
    pthread_t thread[FIRST_THREADS];
    pthread_barrier_init(&first_here, NULL, FIRST_THREADS);
    for (int i = 0; i < FIRST_THREADS; i++)
        if (pthread_create(&thread[i], NULL, among_the_first, (void *)(intptr_t)i))
            return 1;
    for (int i = 0; i < FIRST_THREADS; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

static void the_first_events_of_a_process_may_come_from_many_threads_at_once(void)
{
    CU_ASSERT_PTR_NULL_FATAL(ttap__arena_base); /* the first statement of this program */
    for (int i = 0; i < FIRST_PROCESSES; i++) {
        int status = -1;
        pid_t child = fork();
        if (!child)
            exit(begin_with_many_threads());
        CU_ASSERT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
}

/* ---- Names ---- */

static void *named(void *arg)
{
    ttap_thread_name(arg);
    TTAP_INSTANT("named thread");
    return NULL;
}

static void *kernel_named(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "by-the-kernel");
    TTAP_INSTANT("named thread");
    usleep(30000); /* so that the drainer meets it alive */
    return NULL;
}

static void has_name(const char *expected)
{
    const struct recorded_event *event = recording_find(&r, TTAP__INSTANT, "named thread", 0);
    const struct recorded_thread *thread = event ? recording_thread(&r, event->thread) : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(thread);
    CU_ASSERT_STRING_EQUAL(thread->name, expected);
    CU_ASSERT(thread->pid == (uint64_t)getpid() && thread->tid != 0);
}

static void a_thread_has_the_name_it_gave_itself_cut_at_63_bytes(void)
{
    char longest[100];
    memset(longest, 'N', 99);
    longest[99] = 0;
    start();
    run(named, "worker-7");
    CU_ASSERT(recording_stop(&r));
    has_name("worker-7");
    recording_free(&r);
    start();
    run(named, longest);
    CU_ASSERT(recording_stop(&r));
    longest[63] = 0;
    has_name(longest);
    recording_free(&r);
}

static void a_thread_without_a_name_has_the_kernels(void)
{
    start();
    run(kernel_named, NULL);
    CU_ASSERT(recording_stop(&r));
    has_name("by-the-kernel");
    recording_free(&r);
}

static void *renamed(void *arg)
{
    (void)arg;
    ttap_thread_name("first name");
    TTAP_INSTANT("named thread");
    usleep(30000);
    ttap_thread_name(NULL);
    ttap_thread_name("second name");
    TTAP_INSTANT("named thread");
    return NULL;
}

static void a_later_name_replaces_the_earlier_one(void)
{
    start();
    run(renamed, NULL);
    CU_ASSERT(recording_stop(&r));
    has_name("second name");
    CU_ASSERT_STRING_EQUAL(r.threads[0].name, "first name");
    recording_free(&r);
}

/* ---- Exit ---- */

static pthread_key_t last_words;
enum { ROUNDS = 4 }; /* PTHREAD_DESTRUCTOR_ITERATIONS */

static void speak_in_destructor(void *value)
{
    uintptr_t round = (uintptr_t)value;
    TTAP_COUNTER("destructor round", (int64_t)round);
    if (round < ROUNDS)
        pthread_setspecific(last_words, (void *)(round + 1));
}

static void *leave_words(void *arg)
{
    pthread_setspecific(last_words, (void *)1);
    if (arg)
        TTAP_INSTANT("alive");
    return NULL;
}

/* Our destructor lets go in the fourth round; whether another's fourth round comes before it is up to the order of keys. What comes too
 * late is counted as lost, not missing. */
static void destructors_of_every_round_are_kept_or_counted(void)
{
    NOT_UNDER_TSAN("its own state of the thread is gone in the last round");
    pthread_key_create(&last_words, speak_in_destructor);
    for (intptr_t alive = 0; alive < 2; alive++) {
        start();
        run(leave_words, (void *)alive);
        CU_ASSERT(recording_stop(&r));
        size_t kept = recording_count(&r, TTAP__COUNTER, "destructor round");
        CU_ASSERT(kept >= 3);
        CU_ASSERT(kept + recording_lost(&r) == ROUNDS);
        recording_free(&r);
    }
    pthread_key_delete(last_words);
}

static void *one_event(void *arg)
{
    static struct ttap_name name = TTAP_NAME_INIT("one of many");
    ttap_counter(&name, (int64_t)(intptr_t)arg);
    return NULL;
}

static void twenty_thousand_short_threads_are_all_present(void)
{
    enum { THREADS = 20000, AT_ONCE = 20 };
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    start();
    for (intptr_t i = 0; i < THREADS; i += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (int t = 0; t < AT_ONCE; t++)
            if (pthread_create(&threads[t], &attr, one_event, (void *)(i + t)))
                pthread_create(&threads[t], NULL, one_event, (void *)(i + t)); /* sanitizers need larger stacks */
        for (int t = 0; t < AT_ONCE; t++)
            pthread_join(threads[t], NULL);
    }
    CU_ASSERT(recording_stop(&r));
    unsigned char *seen = calloc(1, THREADS);
    size_t distinct = 0;
    for (size_t i = 0; i < r.events_count; i++)
        if (r.events[i].a[1] < THREADS && !seen[r.events[i].a[1]]++)
            distinct++;
    CU_ASSERT(distinct == THREADS && r.events_count == THREADS);
    CU_ASSERT(recording_lost(&r) == 0);
    CU_ASSERT(r.accounts_count == THREADS); /* a row for each that ended */
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    CU_ASSERT(status.threads < 100);
    free(seen);
    recording_free(&r);
    pthread_attr_destroy(&attr);
}

static void the_account_of_a_thread_that_ended_is_told_before_the_window_ends(void)
{
    start();
    run(one_event, NULL);
    usleep(50000);
    TTAP_INSTANT("later");
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(r.accounts_count == 2 && r.accounts[0].delivered == 1 && r.accounts[0].thread == r.events[0].thread);
    CU_ASSERT(r.accounts_count == 2 && r.accounts[0].start_seq == 0 && r.accounts[0].end_seq == 1);
    recording_free(&r);
}

/* A thread that comes after another has ended takes over its slot, and nothing else of it. */
static void *leave_regions_open(void *arg)
{
    struct ttap_task task;
    (void)arg;
    ttap_thread_name("the one before");
    TTAP_TASK_BEGIN(&task, "left behind", NULL);
    ttap_task_enter(&task, NULL);
    TTAP_REGION_BEGIN("left open");
    return NULL;
}

static void *just_an_instant(void *arg)
{
    (void)arg;
    TTAP_INSTANT("of the next");
    TTAP_REGION_END("left open");
    return NULL;
}

static void a_new_thread_inherits_nothing_from_the_one_before(void)
{
    start();
    run(leave_regions_open, NULL);
    usleep(30000);
    run(just_an_instant, NULL);
    CU_ASSERT(recording_stop(&r));
    const struct recorded_event *event = recording_find(&r, TTAP__INSTANT, "of the next", 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT(event->task == 0 && event->head_regions == 0 && event->seq == 0);
    CU_ASSERT(strcmp(recording_thread(&r, event->thread)->name, "the one before") != 0);
    CU_ASSERT(recording_count(&r, TTAP__REGION_END_OPEN, "left open") == 1);
    recording_free(&r);
}

/* Between sessions too: sequence numbers begin at 0 with every thread. */
static void the_first_event_of_a_thread_has_number_0_also_when_its_slot_is_used_again(void)
{
    start();
    run(one_event, NULL);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        start();
        pthread_create(&thread, NULL, kernel_named, NULL); /* still alive when the window is over */
        usleep(10000);
        CU_ASSERT(recording_stop(&r));
        recording_free(&r);
        pthread_join(thread, NULL); /* its slot goes back while nobody listens */
        start();
        run(one_event, NULL);
        CU_ASSERT(recording_stop(&r));
        CU_ASSERT_FATAL(r.events_count == 1);
        CU_ASSERT(r.events[0].seq == 0);
        recording_free(&r);
    }
}

/* ---- Cancellation ---- */

static _Atomic int cancellable;

static void *emit_until_cancelled(void *arg)
{
    (void)arg;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    cancellable = 1;
    for (int64_t i = 0;; i++) {
        TTAP_COUNTER("until cancelled", i);
        TTAP_REGION_BEGIN("until cancelled");
        TTAP_REGION_END("until cancelled");
    }
    return NULL;
}

/* A thread that is cancelled between setting busy and clearing it must not leave the slot busy: its next owner would take every event for
 * one of a signal handler, and every stop would wait for it in vain. */
static int discard(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

static void a_thread_cancelled_in_the_middle_of_an_event_leaves_its_slot_usable(void)
{
    NOT_UNDER_TSAN("its runtime may be cancelled while it holds a lock");
#if defined(__SANITIZE_ADDRESS__)
    printf("(not under AddressSanitizer, which does not survive it itself) ");
    return;
#endif
    enum { CANCELS = 400 };
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture = NULL;
    opts.duration_ns = 0;
    CU_ASSERT_FATAL(ttap_capture_start(&opts, discard, NULL, &capture) == 0); /* too many bytes to keep */
    unsigned busy_left = 0;
    for (int i = 0; i < CANCELS; i++) {
        pthread_t thread;
        cancellable = 0;
        pthread_create(&thread, NULL, emit_until_cancelled, NULL);
        while (!cancellable)
            sched_yield();
        for (volatile int spin = 0; spin < i * 50; spin++)
            ;
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    CU_ASSERT(ttap_capture_stop(capture) == 0);
    for (uint32_t i = 0; i < ttap__arena_here()->slots_made; i++)
        for (int level = 0; level < 2; level++)
            busy_left += ttap__arena_here()->slot[i].stream[level].busy != 0;
    CU_ASSERT(busy_left == 0);
    start();
    for (int i = 0; i < 20; i++)
        run(one_event, NULL);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, 0, "one of many") == 20);
    for (size_t i = 0; i < r.events_count; i++)
        CU_ASSERT(r.events[i].level == 0);
    recording_free(&r);
}

/* ---- Too many ---- */

static pthread_barrier_t all_here;

static void *wait_with_a_record(void *arg)
{
    TTAP_INSTANT("one of the crowd");
    pthread_barrier_wait(&all_here);
    return arg;
}

static void two_thousand_threads_at_once_have_records_of_their_own(void)
{
    enum { CROWD = 2000 };
    static pthread_t crowd[CROWD];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 131072);
    pthread_barrier_init(&all_here, NULL, CROWD + 1);
    start();
    for (int i = 0; i < CROWD; i++)
        if (pthread_create(&crowd[i], &attr, wait_with_a_record, NULL)) {
            fprintf(stderr, "no room for %d threads\n", CROWD);
            exit(77);
        }
    pthread_barrier_wait(&all_here);
    for (int i = 0; i < CROWD; i++)
        pthread_join(crowd[i], NULL);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "one of the crowd") == CROWD);
    recording_free(&r);
    pthread_attr_destroy(&attr);
}

static CU_TestInfo statements[] = {
    {"the first events of a process may come from many threads at once", the_first_events_of_a_process_may_come_from_many_threads_at_once},
    {"a thread has the name it gave itself, cut at 63 bytes", a_thread_has_the_name_it_gave_itself_cut_at_63_bytes},
    {"a thread without a name has the kernel's", a_thread_without_a_name_has_the_kernels},
    {"a later name replaces the earlier one", a_later_name_replaces_the_earlier_one},
    {"destructors of every round are kept or counted", destructors_of_every_round_are_kept_or_counted},
    {"twenty thousand short threads are all present", twenty_thousand_short_threads_are_all_present},
    {"the account of a thread that ended is told at once", the_account_of_a_thread_that_ended_is_told_before_the_window_ends},
    {"a new thread inherits nothing from the one before", a_new_thread_inherits_nothing_from_the_one_before},
    {"the first event of a thread has number 0", the_first_event_of_a_thread_has_number_0_also_when_its_slot_is_used_again},
    {"a thread cancelled in the middle of an event leaves its slot usable", a_thread_cancelled_in_the_middle_of_an_event_leaves_its_slot_usable},
    {"two thousand threads at once have records of their own", two_thousand_threads_at_once_have_records_of_their_own},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
