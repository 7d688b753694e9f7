/* test_left.c - an event that a thread never finished, as siglongjmp() out of the handler that interrupted it leaves it: what the next event
 * finds, and what becomes of its chunk.
 *
 *      say_instant() --> leave_one(): busy says a place further down the stack --> say_instant(): up here again, so that one was left
 *
 * Where handlers have a stack of their own the kernel is asked, so those tests run on real alternate stacks.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "emit.h"
#include "moments.h"
#include "statements.h"

static struct ttap_name name = TTAP_NAME_INIT("left");

static void say_instant(void)
{
    ttap_instant(&name);
}

/* Of the calling function's frame, or so. */
static __attribute__((noinline)) uint64_t this_far_down(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

static __attribute__((noinline)) uint64_t further_down(void)
{
    return (uintptr_t)__builtin_frame_address(0) - (1 << 14);
}

/* As an event that was torn off anywhere may have left its stream: private fields ahead of what was published. */
static void leave_one(int level)
{
    struct ttap__stream *s = &ttap__tls->stream[level];
    stream(level)->busy = further_down();
    if (s->cell)
        s->cell += 2;
    s->publish++;
}

static void forget_orphans(void)
{
    memset(ttap__tls->slot->orphan, 0, sizeof ttap__tls->slot->orphan);
}

static void the_next_event_goes_where_the_left_one_would_have_gone(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(3, light);
        say_instant();
        say_instant();
        uint64_t published = stream(0)->published;
        leave_one(0);
        say_instant();
        CU_ASSERT_EQUAL(stream(0)->published, published + 1);
        CU_ASSERT_EQUAL(last_cells(0, 1)[0] & 0xff, TTAP__INSTANT);
        CU_ASSERT_EQUAL(ttap__tls->stream[0].cell, pool[0].cells + 2 * 3);
        CU_ASSERT_EQUAL(ttap__tls->stream[0].end, pool[0].cells + 2 * TTAP__CHUNK_CELLS);
        CU_ASSERT_EQUAL(ttap__tls->stream[0].serial, 1);
        CU_ASSERT_EQUAL(stream(0)->busy, 0);
        CU_ASSERT_EQUAL(stream(1)->published, 0);
        say_instant();
        CU_ASSERT_EQUAL(stream(0)->published, published + 2);
        close_gate();
    }
}

/* Left between taking the session's first chunk and showing it: there is nothing to continue. */
static void one_left_before_its_chunk_was_shown_begins_another(void)
{
    afresh(3, true);
    say_instant();
    close_gate();
    afresh(3, true);
    say_instant();
    stream(0)->published = 0; /* never shown */
    leave_one(0);
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(stream(0)->published), 2);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    CU_ASSERT_EQUAL(TTAP__PUB_SERIAL(stream(0)->published), 1);
    CU_ASSERT_EQUAL(stream(0)->dirty, arena->session);
    close_gate();
}

static void the_drainer_is_told_to_look_in_this_session_only(void)
{
    for (int before = 0; before < 2; before++) {
        afresh(3, true);
        say_instant();
        stream(0)->dirty = 0; /* left before it was set */
        leave_one(0);
        ttap__tls->stream[0].session -= (uint32_t)before;
        struct ttap__emission e;
        CU_ASSERT(ttap__emission_stream(&e));
        CU_ASSERT_EQUAL(stream(0)->dirty, before ? 0 : arena->session);
        CU_ASSERT_EQUAL(stream(0)->busy, 0);
        ttap__tls->stream[0].session = arena->session;
        close_gate();
    }
}

/* A task that was being changed is told by nobody; a handler's stream tells of any. */
static void what_was_told_of_tasks_is_as_the_slot_has_it(void)
{
    static const struct ttap_task task = {.id = 77, .kind = 5, .root_kind = 5, .draw = 1000};
    struct ttap_task before;
    afresh(3, true);
    ttap_task_enter(&task, &before);
    ttap__tls->stream[0].task_marked = 5;
    leave_one(0);
    struct ttap__emission e;
    CU_ASSERT(ttap__emission_stream(&e));
    CU_ASSERT_EQUAL(ttap__tls->stream[0].task_marked, 77);
    ttap__tls->stream[1].task_marked = 77;
    stream(1)->busy = further_down();
    CU_ASSERT(ttap__emission_stream(&e));
    CU_ASSERT_EQUAL(ttap__tls->stream[1].task_marked, TTAP__TASK_MARKED_NONE);
    CU_ASSERT_EQUAL(ttap__tls->stream[1].nested_marked, UINT64_MAX);
    ttap_task_leave(&before);
    close_gate();
}

/* Whether anybody keeps the task may have been left half decided. */
static void who_keeps_the_task_is_asked_again(void)
{
    afresh(3, true);
    say_instant();
    uint64_t published = stream(0)->published;
    ttap__tls->muted = 1;
    ttap__fast_choose(ttap__tls);
    leave_one(0);
    say_instant();
    CU_ASSERT_EQUAL(stream(0)->published, published + 1);
    CU_ASSERT_EQUAL(ttap__tls->muted, 0);
    close_gate();
}

/* A chunk that was on its way to the drainer: noted once, for as many as there are places; then events go to the other stream. */
static void a_chunk_that_was_being_handed_over_is_noted_while_there_is_room(void)
{
    afresh(POOL, true);
    forget_orphans();
    say_instant();
    for (uint64_t i = 0; i < TTAP__ORPHANS_MAX; i++) {
        uint64_t handed_over = stream(0)->published |= TTAP__PUB_HANDED_OVER;
        for (int twice = 0; twice < 2; twice++) { /* the second time before anything else was shown */
            stream(0)->published = handed_over;
            leave_one(0);
            say_instant();
            unsigned noted = 0;
            for (unsigned at = 0; at < TTAP__ORPHANS_MAX; at++)
                noted += ttap__tls->slot->orphan[0][at] == handed_over;
            CU_ASSERT_EQUAL(noted, 1);
            CU_ASSERT_FALSE(stream(0)->published & TTAP__PUB_HANDED_OVER);
            CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
            CU_ASSERT_EQUAL(TTAP__PUB_SERIAL(stream(0)->published), TTAP__PUB_SERIAL(handed_over) + 1);
            CU_ASSERT_EQUAL(stream(1)->published, 0);
        }
    }
    stream(0)->published |= TTAP__PUB_HANDED_OVER;
    uint64_t published = stream(0)->published;
    leave_one(0);
    say_instant();
    unsigned of_handlers = TTAP__PUB_USED(stream(1)->published);
    CU_ASSERT_EQUAL(stream(0)->published, published);
    CU_ASSERT(of_handlers > 0);
    CU_ASSERT(ttap__tls->slot->orphan[1][0] == 0 && stream(1)->busy == 0);
    ttap__tls->slot->orphan[0][2] = 0; /* the drainer took one */
    stream(0)->busy = further_down();
    say_instant();
    CU_ASSERT_EQUAL(ttap__tls->slot->orphan[0][2], published);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), of_handlers);
    forget_orphans();
    close_gate();
}

/* ---- The handlers' stream ---- */

/* Events of stream 1 are inside one of stream 0. That one is over, so there is nobody who could finish this one. */
static void a_handlers_event_is_left_when_the_one_around_it_is_over(void)
{
    for (int light = 0; light < 2; light++)
        for (int both = 0; both < 2; both++) {
            afresh(3, light);
            forget_orphans();
            say_instant();
            stream(0)->busy = (uintptr_t)__builtin_frame_address(0) + (1 << 16);
            say_instant();
            stream(0)->busy = 0;
            uint64_t of_handlers = stream(1)->published, own = stream(0)->published;
            leave_one(1);
            if (both)
                leave_one(0);
            struct ttap__emission e; /* the fast path does not look at the other stream */
            CU_ASSERT(ttap__emission_stream(&e));
            CU_ASSERT(e.s == &ttap__tls->stream[0] && stream(0)->busy == 0 && stream(1)->busy == 0);
            say_instant();
            CU_ASSERT_EQUAL(stream(0)->published, own + 1);
            stream(0)->busy = (uintptr_t)__builtin_frame_address(0) + (1 << 16);
            say_instant();
            stream(0)->busy = 0;
            CU_ASSERT_EQUAL(stream(1)->published, of_handlers + 1 + 3 + 1); /* tells again what it may have told: losses, and the task */
            const uint64_t *told = last_cells(1, 5);
            CU_ASSERT_EQUAL(told[0] & 0xff, TTAP__CELL_LOST_NESTED);
            CU_ASSERT_EQUAL(told[1], stream(1)->lost_nested);
            CU_ASSERT_EQUAL(told[2] & 0xff, TTAP__CELL_TASK);
            CU_ASSERT_EQUAL(told[8] & 0xff, TTAP__INSTANT);
            close_gate();
        }
}

static void a_handlers_event_that_cannot_be_noted_stays_for_later(void)
{
    afresh(4, true);
    say_instant();
    for (unsigned at = 0; at < TTAP__ORPHANS_MAX; at++)
        ttap__tls->slot->orphan[1][at] = TTAP__PUB(1, 100 + at);
    stream(1)->published = TTAP__PUB(2, 9) | TTAP__PUB_HANDED_OVER;
    stream(1)->busy = further_down();
    struct ttap__emission e;
    CU_ASSERT(ttap__emission_stream(&e) && e.s == &ttap__tls->stream[0]);
    CU_ASSERT(stream(0)->busy == 0 && stream(1)->busy != 0);
    ttap__tls->slot->orphan[1][3] = 0;
    CU_ASSERT(ttap__emission_stream(&e) && stream(1)->busy == 0);
    CU_ASSERT_EQUAL(ttap__tls->slot->orphan[1][3], stream(1)->published);
    CU_ASSERT_EQUAL(ttap__tls->slot->orphan[0][3], 0);
    forget_orphans();
    stream(1)->published = 0;
    close_gate();
}

/* ---- Entering a task ---- */

/* A handler in the middle of entering says nothing of the task before the event of entering does. Who left that by a jump does. */
static void only_inside_of_entering_is_the_task_left_untold(void)
{
    static const struct ttap_task task = {.id = 77, .kind = 5, .root_kind = 5, .draw = 1000};
    struct ttap_task before;
    for (int inside = 0; inside < 2; inside++) {
        afresh(3, true);
        say_instant();
        unsigned used = TTAP__PUB_USED(stream(0)->published);
        open_gate(TTAP_GROUPS_ALL & ~TTAP_GROUP_TASK);
        say_instant();
        ttap_task_enter(&task, &before); /* not recorded */
        ttap__tls->stream[0].nested_marked = stream(0)->lost_nested;
        ttap__tls->stream[0].marks = 1;
        ttap__fast_choose(ttap__tls);
        ttap__tls->entering = inside ? (uintptr_t)__builtin_frame_address(0) + (1 << 16) : further_down();
        say_instant();
        CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), used + 1 + 1 + (inside ? 0 : 3));
        CU_ASSERT_EQUAL(ttap__tls->entering != 0, inside);
        ttap__tls->entering = 0;
        say_instant(); /* told now in any case, and once */
        say_instant();
        CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), used + 4 + 3);
        ttap_task_leave(&before);
        close_gate();
    }
}

/* ---- Alternate stacks ---- */

enum { STACK_BYTES = 1 << 18 };

static char *alternate;

static void use_alternate(char *memory)
{
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES, .ss_flags = memory ? 0 : SS_DISABLE};
    alternate = memory;
    CU_ASSERT_EQUAL(sigaltstack(&stack, NULL), 0);
}

static struct {
    uint64_t busy;
    unsigned times;
    bool first_stream; /* where one of the events went */
} there;

static void say_one_there(int signo)
{
    (void)signo;
    uint64_t published = stream(0)->published, of_handlers = stream(1)->published;
    stream(0)->busy = there.busy ? there.busy : further_down();
    for (unsigned i = 0; i < there.times; i++)
        say_instant();
    there.first_stream = stream(0)->published != published;
    CU_ASSERT_EQUAL(stream(1)->published == of_handlers, there.first_stream);
    stream(0)->busy = 0;
}

static bool said_on_alternate_goes_to_the_first_stream(uint64_t busy)
{
    struct sigaction action = {.sa_handler = say_one_there, .sa_flags = SA_ONSTACK};
    there.busy = busy;
    there.times = busy ? 300 : 1; /* what the kernel is asked now and then is asked */
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    return there.first_stream;
}

static void on_an_alternate_stack_only_what_was_left_on_it_was_left(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(4, light);
        forget_orphans();
        say_instant();
        CU_ASSERT(said_on_alternate_goes_to_the_first_stream(0));                                        /* further down the alternate stack itself */
        CU_ASSERT_FALSE(said_on_alternate_goes_to_the_first_stream(this_far_down()));                    /* an event that this handler interrupted */
        CU_ASSERT_FALSE(said_on_alternate_goes_to_the_first_stream((uintptr_t)alternate + STACK_BYTES)); /* or an outer one, up there */
        CU_ASSERT_FALSE(said_on_alternate_goes_to_the_first_stream((uintptr_t)alternate - 1));
        close_gate();
    }
}

/* We are on the normal stack, wherever that is: what was being recorded on the alternate one was left. */
static void what_was_left_on_the_alternate_stack_is_found_out_off_it(void)
{
    afresh(4, true);
    forget_orphans();
    say_instant();
    uint64_t published = stream(0)->published;
    unsigned events = 0;
    stream(0)->busy = (uintptr_t)alternate + STACK_BYTES / 2;
    do /* at once where the alternate stack lies further down; else now and then */
        say_instant();
    while (stream(0)->busy && ++events < 1000);
    CU_ASSERT_EQUAL(stream(0)->busy, 0);
    CU_ASSERT_EQUAL(stream(0)->published, published + 1);
    bool above = (uintptr_t)alternate > this_far_down();
    CU_ASSERT(above ? events < 256 : events == 0);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published) > 0, events > 0);
    close_gate();
}

static void *with_alternate_stacks(void *own_stack)
{
    afresh(2, true);
    say_instant();                                  /* this thread's record */
    use_alternate((char *)own_stack + STACK_BYTES); /* above */
    on_an_alternate_stack_only_what_was_left_on_it_was_left();
    for (int i = 0; i < 3; i++)
        what_was_left_on_the_alternate_stack_is_found_out_off_it();
    use_alternate((char *)own_stack - STACK_BYTES); /* below */
    on_an_alternate_stack_only_what_was_left_on_it_was_left();
    what_was_left_on_the_alternate_stack_is_found_out_off_it();
    use_alternate(NULL);
    ttap__tls->slot->stream[0].dirty = ttap__tls->slot->stream[1].dirty = 0;
    ttap__tls->slot->stream[0].published = ttap__tls->slot->stream[1].published = 0;
    return NULL;
}

/* A thread whose stack lies between two others, so that either can be its handlers'. */
static void alternate_stacks_above_and_below_are_told_apart(void)
{
    NOT_UNDER_ASAN("it has alternate stacks of its own");
    NOT_UNDER_TSAN("its runtime calls handlers from within our own calls");
    char *memory = mmap(NULL, 3 * STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(memory != MAP_FAILED);
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    CU_ASSERT_EQUAL(pthread_attr_setstack(&attr, memory + STACK_BYTES, STACK_BYTES), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, &attr, with_alternate_stacks, memory + STACK_BYTES), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    munmap(memory, 3 * STACK_BYTES);
}

/* How far down the stack counts as a handler's: less than a frame of the kernel's is not. */
static void what_is_less_than_a_handlers_frame_away_is_the_same_course(void)
{
    NOT_UNDER_TSAN("there anything further down may be a handler");
    afresh(4, true);
    forget_orphans();
    say_instant();
    uint64_t published = stream(0)->published;
    stream(0)->busy = this_far_down() + 256;
    say_instant();
    CU_ASSERT_EQUAL(stream(0)->published, published + 1);
    CU_ASSERT_EQUAL(stream(0)->busy, 0);
    stream(0)->busy = this_far_down() + 8192;
    say_instant();
    CU_ASSERT_EQUAL(stream(0)->published, published + 1);
    CU_ASSERT(TTAP__PUB_USED(stream(1)->published) > 0);
    stream(0)->busy = 0;
    close_gate();
}

static CU_TestInfo statements[] = {
    {"the next event goes where the left one would have gone", the_next_event_goes_where_the_left_one_would_have_gone},
    {"one left before its chunk was shown begins another", one_left_before_its_chunk_was_shown_begins_another},
    {"the drainer is told to look, in this session only", the_drainer_is_told_to_look_in_this_session_only},
    {"what was told of tasks is as the slot has it", what_was_told_of_tasks_is_as_the_slot_has_it},
    {"who keeps the task is asked again", who_keeps_the_task_is_asked_again},
    {"a chunk that was being handed over is noted while there is room", a_chunk_that_was_being_handed_over_is_noted_while_there_is_room},
    {"a handler's event is left when the one around it is over", a_handlers_event_is_left_when_the_one_around_it_is_over},
    {"a handler's event that cannot be noted stays for later", a_handlers_event_that_cannot_be_noted_stays_for_later},
    {"only inside of entering is the task left untold", only_inside_of_entering_is_the_task_left_untold},
    {"alternate stacks above and below are told apart", alternate_stacks_above_and_below_are_told_apart},
    {"what is less than a handler's frame away is the same course", what_is_less_than_a_handlers_frame_away_is_the_same_course},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
