/* test_slots.c - slots and records: what a thread finds when it gets them, what it leaves, and what is found out about threads and processes
 * that are gone. Slots are numbers in lists, so the test looks at the lists. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "clock.h"
#include "init.h"
#include "moments.h"
#include "share.h"
#include "statements.h"
#include "sys.h"

static struct ttap_name name = TTAP_NAME_INIT("slots");

static void say_instant(void)
{
    ttap_instant(&name);
}

/* Slots that no thread has ever had, as if the program had ended so many; the first one's number. */
static uint32_t made_slots(uint32_t count)
{
    uint32_t first = arena->slots_made;
    arena->slots_made += count;
    return first;
}

/* ---- The lists ---- */

static uint32_t attached_to;

static void *attaches(void *arg)
{
    CU_ASSERT(ttap__attach());
    attached_to = ttap__tls->slot_index;
    CU_ASSERT(ttap__tls->slot == &arena->slot[attached_to] && ttap__tls->slot->state == TTAP__SLOT_LIVE);
    return arg;
}

/* Each change of a list's head has a number of its own, as with chunks. */
static void slots_come_back_newest_first_and_no_two_heads_are_alike(void)
{
    afresh(2, true);
    close_gate();
    uint64_t kept = arena->free_slots;
    uint32_t first = made_slots(2);
    arena->free_slots = UINT64_C(7) << 32;
    ttap__slot_release(first);
    CU_ASSERT_EQUAL(arena->free_slots, UINT64_C(8) << 32 | (first + 1));
    CU_ASSERT_EQUAL(arena->slot[first].next, 0);
    ttap__slot_release(first + 1);
    CU_ASSERT_EQUAL(arena->free_slots, UINT64_C(9) << 32 | (first + 2));
    CU_ASSERT_EQUAL(arena->slot[first + 1].next, first + 1);
    in_a_thread(attaches); /* takes one, and gives it back */
    CU_ASSERT_EQUAL(attached_to, first + 1);
    CU_ASSERT_EQUAL(arena->free_slots, UINT64_C(11) << 32 | (first + 2));
    CU_ASSERT_EQUAL(arena->slot[first + 1].next, first + 1);
    CU_ASSERT_EQUAL(arena->slot[first + 1].state, TTAP__SLOT_FREE);
    arena->free_slots = UINT64_C(20) << 32; /* none free: a new one is made */
    in_a_thread(attaches);
    CU_ASSERT_EQUAL(attached_to, first + 2);
    CU_ASSERT_EQUAL(arena->slots_made, first + 3);
    arena->free_slots = kept;
}

static void *leaves_something(void *arg)
{
    attaches(arg);
    ttap__tls->slot->stream[1].dirty = 1;
    return arg;
}

static void slots_that_ended_are_taken_all_at_once_newest_first(void)
{
    uint32_t ended[2];
    arena->ended_slots = UINT64_C(7) << 32;
    for (int i = 0; i < 2; i++) {
        in_a_thread(leaves_something);
        ended[i] = attached_to;
    }
    CU_ASSERT_EQUAL(arena->ended_slots, UINT64_C(9) << 32 | (ended[1] + 1));
    uint32_t taken = ttap__ended_slots_take();
    CU_ASSERT_EQUAL(arena->ended_slots, UINT64_C(10) << 32);
    CU_ASSERT_EQUAL(taken, ended[1] + 1);
    CU_ASSERT_EQUAL(arena->slot[taken - 1].next, ended[0] + 1);
    CU_ASSERT_EQUAL(arena->slot[ended[0]].next, 0);
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), 0);
    CU_ASSERT_EQUAL(arena->ended_slots, UINT64_C(10) << 32);
    for (int i = 0; i < 2; i++)
        ttap__slot_release(ended[i]);
}

/* ---- What a thread finds ---- */

static struct ttap__slot *used_before;

static void *finds_nothing_of_the_last_owner(void *is_member)
{
    prctl(PR_SET_NAME, "who records");
    CU_ASSERT(ttap__attach());
    const struct ttap__slot *slot = ttap__tls->slot;
    const struct ttap__record *rec = ttap__tls;
    CU_ASSERT_EQUAL_FATAL(slot, used_before);
    CU_ASSERT_EQUAL(slot->pid, getpid());
    CU_ASSERT_EQUAL(slot->tid, ttap__gettid());
    CU_ASSERT_NOT_EQUAL(slot->tid, getpid());
    CU_ASSERT_EQUAL(slot->name[0], 0);
    CU_ASSERT_EQUAL(slot->call, 0);
    CU_ASSERT(slot->call_frame == 0 && slot->call_start == 0);
    CU_ASSERT(slot->alloc_calls == 0 && slot->alloc_bytes == 0 && slot->alloc_frees == 0);
    CU_ASSERT(slot->name_version > 5 && slot->name_version % 2 == 0);
    for (size_t i = 0; i < TTAP__TASK_WORDS; i++)
        CU_ASSERT_EQUAL(slot->task[i], 0);
    CU_ASSERT(slot->uid != 0 && slot->uid == arena->next_uid);
    CU_ASSERT_STRING_EQUAL(slot->comm, is_member ? "who records" : "");
    CU_ASSERT_EQUAL(rec->next_task_id, slot->uid << 32);
    for (uint32_t level = 0; level < 2; level++) {
        CU_ASSERT_EQUAL(rec->stream[level].level, level);
        CU_ASSERT_EQUAL(rec->stream[level].marks, level);
        CU_ASSERT_EQUAL(rec->stream[level].epoch, UINT64_MAX);
        CU_ASSERT_EQUAL(rec->stream[level].low_depth, TTAP__LOW_DEPTH_NONE);
        CU_ASSERT_EQUAL(rec->stream[level].told_depth, UINT32_MAX);
        CU_ASSERT_EQUAL(rec->stream[level].nested_marked, 30 + level); /* the slot's counts go on: what is told begins here */
        CU_ASSERT_PTR_EQUAL(rec->stream[level].shared, &slot->stream[level]);
    }
    return NULL;
}

static void a_slots_next_owner_finds_nothing_of_the_last(void)
{
    for (int is_member = 0; is_member < 2; is_member++) {
        uint64_t kept = arena->free_slots;
        uint32_t index = made_slots(1);
        used_before = &arena->slot[index];
        arena->free_slots = 0;
        ttap__slot_release(index);
        memset(used_before->task, 5, sizeof used_before->task);
        memcpy(used_before->name, "last", 5);
        used_before->pid = used_before->tid = 1;
        used_before->call = used_before->call_frame = used_before->call_start = 5;
        used_before->alloc_calls = used_before->alloc_bytes = used_before->alloc_frees = 5;
        used_before->name_version = 5; /* its owner was cancelled while writing */
        used_before->stream[0].lost_nested = 30;
        used_before->stream[1].lost_nested = 31;
        ttap__share_role = is_member ? TTAP__SHARE_MEMBER : TTAP__SHARE_NONE;
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, finds_nothing_of_the_last_owner, is_member ? &name : NULL), 0);
        pthread_join(thread, NULL);
        ttap__share_role = TTAP__SHARE_NONE;
        arena->free_slots = kept;
    }
}

/* As a raw clone's child finds its record. */
static void *finds_its_record_wiped(void *arg)
{
    struct ttap__record wiped = {0};
    uint64_t made = arena->slots_made, free = arena->free_slots;
    ttap__tls = &wiped;
    CU_ASSERT_FALSE(ttap__attach());
    ttap__tls = &ttap__no_record;
    CU_ASSERT_FALSE(ttap__attach());
    CU_ASSERT(arena->slots_made == made && arena->free_slots == free);
    return arg;
}

static void a_thread_whose_record_was_wiped_gets_no_other(void)
{
    in_a_thread(finds_its_record_wiped);
}

static void what_was_told_of_regions_that_were_not_followed_is_forgotten(void)
{
    afresh(2, false);
    say_instant();
    struct ttap__stream *s = &ttap__tls->stream[0];
    s->depth = s->low_depth = s->told_depth = 3;
    arena->clean_epoch = epoch + 1;
    open_gate(TTAP_GROUPS_ALL);
    say_instant();
    CU_ASSERT_EQUAL(s->depth, 0);
    CU_ASSERT_EQUAL(s->low_depth, TTAP__LOW_DEPTH_NONE);
    CU_ASSERT_EQUAL(s->told_depth, UINT32_MAX);
    arena->clean_epoch = 0;
    close_gate();
}

static void records_and_the_arena_are_apart(void)
{
    afresh(2, true);
    say_instant();
    const char *rec = (const char *)ttap__tls, *first = (const char *)arena;
    CU_ASSERT(rec + sizeof *ttap__tls <= first || rec >= first + sizeof *arena);
    CU_ASSERT(ttap__clock_kind != 0);
    close_gate();
}

static void a_new_arena_keeps_everything_and_has_a_name_for_those_too_many(void)
{
    struct ttap__arena *fresh = calloc(1, sizeof *fresh), *other = calloc(1, sizeof *other);
    CU_ASSERT_FATAL(fresh && other);
    ttap__arena_init(fresh);
    ttap__arena_init(other);
    CU_ASSERT(fresh->keep[0].otherwise == TTAP__KEEP_ALL && fresh->keep[1].otherwise == TTAP__KEEP_ALL);
    CU_ASSERT_EQUAL(fresh->name[TTAP_NAMES_MAX + 1].len_plus_1, 13);
    CU_ASSERT_EQUAL(memcmp(fresh->name_text + fresh->name[TTAP_NAMES_MAX + 1].offset, "(names full)", 12), 0);
    CU_ASSERT_EQUAL(fresh->name_text_used, 12);
    CU_ASSERT(fresh->trace_seed[0] != other->trace_seed[0] && fresh->trace_seed[1] != other->trace_seed[1]);
    free(fresh);
    free(other);
}

/* ---- What a thread learns when the gate has changed ---- */

static void what_is_left_of_the_last_session_is_gone_before_anything_is_recorded(void)
{
    afresh(4, false);
    say_instant();
    arena->session++;
    open_gate(TTAP_GROUP_GC);
    ttap__instant(&name); /* not asked for, but looked at */
    CU_ASSERT_EQUAL(stream(0)->published, 0);
    CU_ASSERT_EQUAL((uint32_t)arena->free_chunks, 1);
    close_gate();
}

static void a_task_from_before_the_session_is_in_the_chunks_head_and_not_told_again(void)
{
    static const struct ttap_task task = {.id = 77, .parent = 66, .kind = 5, .root_kind = 5, .draw = 1000};
    struct ttap_task before;
    close_gate();
    ttap_task_enter(&task, &before);
    afresh(4, false);
    say_instant();
    CU_ASSERT_EQUAL(pool[0].task[0], 77);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    ttap_task_leave(&before);
    close_gate();
}

static void the_fast_path_is_open_once_the_gate_was_seen(void)
{
    NOT_UNDER_TSAN("it has no fast path");
    struct ttap__fast f = {NULL, NULL};
    afresh(4, true);
    if (!ttap__light_busy)
        return;
    CU_ASSERT_FALSE(ttap__fast_open(&f, ttap__tls, TTAP_GROUP_LOG, 1));
    say_instant();
    CU_ASSERT(ttap__fast_open(&f, ttap__tls, TTAP_GROUP_LOG, 1));
    CU_ASSERT_NOT_EQUAL(stream(0)->busy, 0);
    ttap__fast_close(&f);
    open_gate(TTAP_GROUPS_ALL & ~TTAP_GROUP_LOG);
    ttap_region_begin(&name);
    ttap_region_end(&name);
    CU_ASSERT_FALSE(ttap__fast_open(&f, ttap__tls, TTAP_GROUP_LOG, 1));
    CU_ASSERT_EQUAL(stream(0)->busy, 0);
    close_gate();
}

/* ---- The end of threads ---- */

/* Destructors of others may run later and record: only the last round ends it. */
static void *ends_in_rounds(void *arg)
{
    CU_ASSERT(ttap__attach());
    struct ttap__record *rec = ttap__tls;
    struct ttap__slot *slot = rec->slot;
    slot->stream[0].dirty = slot->stream[1].dirty = 0; /* of tests before */
    for (int round = 1; round < TTAP__EXIT_ROUNDS; round++) {
        ttap__thread_exit(rec);
        CU_ASSERT(ttap__tls == rec && slot->state == TTAP__SLOT_LIVE);
    }
    ttap__thread_exit(rec);
    CU_ASSERT(ttap__tls == &ttap__no_record && slot->state == TTAP__SLOT_FREE);
    CU_ASSERT_FALSE(ttap__attach());
    return arg;
}

static void a_thread_ends_in_the_last_round_of_destructors(void)
{
    in_a_thread(ends_in_rounds);
}

static int32_t tid_of_the_dead;

static void *dies(void *arg)
{
    tid_of_the_dead = ttap__gettid();
    return arg;
}

static void live(uint32_t index, int32_t pid, int32_t tid)
{
    struct ttap__slot *slot = &arena->slot[index];
    slot->state = TTAP__SLOT_LIVE;
    slot->pid = pid;
    slot->tid = tid;
    slot->stream[0].dirty = 1;
}

static void threads_that_are_gone_are_found_out_and_no_others(void)
{
    in_a_thread(dies);
    while (syscall(SYS_tgkill, getpid(), tid_of_the_dead, 0) == 0)
        sched_yield(); /* joined a little earlier than gone */
    uint32_t first = made_slots(4);
    live(first, getpid(), tid_of_the_dead);
    live(first + 1, getpid(), ttap__gettid());
    live(first + 2, getpid() + 1, tid_of_the_dead);
    live(first + 3, getpid(), tid_of_the_dead);
    live(first + 4, getpid(), tid_of_the_dead);
    arena->slot[first + 3].state = TTAP__SLOT_FREE;
    ttap__slots_end_of_gone_threads();
    CU_ASSERT_EQUAL(arena->slot[first].state, TTAP__SLOT_ENDED);
    CU_ASSERT_EQUAL(arena->slot[first + 1].state, TTAP__SLOT_LIVE);
    CU_ASSERT_EQUAL(arena->slot[first + 2].state, TTAP__SLOT_LIVE);
    CU_ASSERT_EQUAL(arena->slot[first + 3].state, TTAP__SLOT_FREE);
    CU_ASSERT_EQUAL(arena->slot[first + 4].state, TTAP__SLOT_LIVE); /* not made yet */
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), first + 1);
    memset(&arena->slot[first], 0, 5 * sizeof arena->slot[0]);
    CU_ASSERT_EQUAL(ttap__tls->slot->state, TTAP__SLOT_LIVE);
}

static void all_slots_of_a_process_that_is_gone_end(void)
{
    uint32_t first = made_slots(3);
    for (uint32_t i = 0; i < 4; i++)
        live(first + i, getpid() + (i == 1 ? 2 : 1), 1);
    ttap__slots_end_of(getpid() + 1);
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), first + 3);
    CU_ASSERT_EQUAL(arena->slot[first + 2].next, first + 1);
    CU_ASSERT_EQUAL(arena->slot[first].next, 0);
    CU_ASSERT_EQUAL(arena->slot[first + 1].state, TTAP__SLOT_LIVE);
    CU_ASSERT_EQUAL(arena->slot[first + 3].state, TTAP__SLOT_LIVE); /* not made yet */
    memset(&arena->slot[first], 0, 4 * sizeof arena->slot[0]);
}

/* ---- The tracer's own ---- */

static pthread_barrier_t both;
static int own_tid;

static void *is_the_tracers_for_a_while(void *arg)
{
    ttap__thread_is_own();
    own_tid = ttap__gettid();
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both);
    return arg;
}

static void *is_the_tracers(void *arg)
{
    ttap__thread_is_own();
    return arg;
}

static int knows_none_of_its_parents(void)
{
    ttap__emit_after_fork();
    return ttap__tid_is_own(own_tid);
}

static void *forks_as_the_tracers(void *arg);

static void a_thread_of_the_tracers_is_known_while_it_lives_and_not_in_children(void)
{
    pthread_t thread;
    pthread_barrier_init(&both, NULL, 2);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, is_the_tracers_for_a_while, NULL), 0);
    pthread_barrier_wait(&both);
    for (int i = 0; i < 200; i++)
        in_a_thread(is_the_tracers);
    CU_ASSERT(ttap__tid_is_own(own_tid));
    in_a_child(knows_none_of_its_parents);
    pthread_barrier_wait(&both);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&both);
    in_a_thread(forks_as_the_tracers);
}

/* ---- Children ---- */

static int may_record(void)
{
    ttap__emit_after_fork();
    return !ttap__attach() || ttap__tls->slot_index != 0;
}

static void *forks_as_the_tracers(void *arg)
{
    ttap__thread_is_own();
    in_a_child(may_record);
    return arg;
}

static void *forks_without_a_record(void *arg)
{
    in_a_child(may_record);
    return arg;
}

static uint32_t last_name;

static int has_names_and_no_threads(void)
{
    static const struct ttap__slot nothing;
    ttap__emit_after_fork();
    for (uint32_t i = 0; i < TTAP__THREADS_MAX; i++)
        if (memcmp(&arena->slot[i], &nothing, sizeof nothing) != 0)
            return 1;
    if (arena->name[last_name].len_plus_1 != 1 || arena->name[0].len_plus_1 || arena->name[last_name + 1].len_plus_1)
        return 2;
    return arena->slots_made ? 3 : arena->clean_epoch ? 4 : 0;
}

static void a_child_has_the_names_and_none_of_the_threads(void)
{
    afresh(2, true);
    say_instant();
    last_name = ttap_name("half written");
    CU_ASSERT_EQUAL(last_name, arena->names_made);
    arena->name[last_name].len_plus_1 = 0;
    arena->clean_epoch = 5;
    in_a_child(has_names_and_no_threads);
    arena->clean_epoch = 0;
    arena->name[last_name].len_plus_1 = 13;
    in_a_thread(forks_without_a_record);
    close_gate();
}

/* A vfork()ed child runs in its parent's memory, as the thread that made it: a record that it took would be that thread's. */
static void *vforks_without_a_record(void *arg)
{
    int status = 0;
    pid_t pid = vfork();
    if (pid == 0)
        _exit(ttap__attach() || ttap__tls != &ttap__no_record);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
    CU_ASSERT_PTR_EQUAL(ttap__tls, &ttap__no_record);
    CU_ASSERT(ttap__attach());
    return arg;
}

static void a_guest_in_our_memory_gets_no_record(void)
{
    NOT_UNDER_TSAN("its vfork() is a fork()");
    in_a_thread(vforks_without_a_record);
}

static CU_TestInfo statements[] = {
    {"records and the arena are apart", records_and_the_arena_are_apart},
    {"a new arena keeps everything and has a name for those too many", a_new_arena_keeps_everything_and_has_a_name_for_those_too_many},
    {"slots come back newest first, and no two heads are alike", slots_come_back_newest_first_and_no_two_heads_are_alike},
    {"slots that ended are taken all at once, newest first", slots_that_ended_are_taken_all_at_once_newest_first},
    {"a slot's next owner finds nothing of the last", a_slots_next_owner_finds_nothing_of_the_last},
    {"a thread whose record was wiped gets no other", a_thread_whose_record_was_wiped_gets_no_other},
    {"what was told of regions that were not followed is forgotten", what_was_told_of_regions_that_were_not_followed_is_forgotten},
    {"what is left of the last session is gone before anything is recorded", what_is_left_of_the_last_session_is_gone_before_anything_is_recorded},
    {"a task from before the session is in the chunk's head and not told again",
     a_task_from_before_the_session_is_in_the_chunks_head_and_not_told_again},
    {"the fast path is open once the gate was seen", the_fast_path_is_open_once_the_gate_was_seen},
    {"a thread ends in the last round of destructors", a_thread_ends_in_the_last_round_of_destructors},
    {"threads that are gone are found out, and no others", threads_that_are_gone_are_found_out_and_no_others},
    {"all slots of a process that is gone end", all_slots_of_a_process_that_is_gone_end},
    {"a thread of the tracer's is known while it lives, and not in children", a_thread_of_the_tracers_is_known_while_it_lives_and_not_in_children},
    {"a child has the names and none of the threads", a_child_has_the_names_and_none_of_the_threads},
    {"a guest in our memory gets no record", a_guest_in_our_memory_gets_no_record},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
