/* threads.c - how a thread gets its record, learns of changes, and leaves; and the arena they all live in.
 *
 * A record is given at a thread's first annotation and taken back when it ends. The thread's exit runs a destructor of ours (a hint:
 * the main thread, _exit and raw exits have none); re-arming it lets other destructors still record. Slots of threads that recorded
 * in the current session go through the drainer, which closes their account; others are free at once.
 */

#include <errno.h>

#include "clock.h"
#include "emit.h"
#include "init.h"
#include "share.h"
#include "sys.h"

struct ttap__arena *ttap__arena_base;
static struct ttap__record *records; /* [TTAP__THREADS_MAX], of this process, wiped in forked children */
struct ttap__record ttap__no_record;
__thread struct ttap__record *ttap__tls = &ttap__no_record;
__thread uint32_t ttap__tls_silent;

/* Why a thread is silent. */
enum { SILENT_OWN = 1, SILENT_DYING, SILENT_CLONED };

#define RECORDS_BYTES (TTAP__THREADS_MAX * sizeof(struct ttap__record))

bool ttap__records_map(void)
{
    if (ttap__load_acquire(&records))
        return true;
    struct ttap__record *fresh = ttap__map(RECORDS_BYTES), *expected = NULL;
    if (!fresh)
        return false;
    /* Before Linux 4.14 a child could not tell that it is one. */
    if (ttap__advise(fresh, RECORDS_BYTES, MADV_WIPEONFORK) < 0) {
        ttap__unmap(fresh, RECORDS_BYTES);
        return false;
    }
    ttap__owner_is_this_process();
    if (!__atomic_compare_exchange_n(&records, &expected, fresh, 0, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
        ttap__unmap(fresh, RECORDS_BYTES);
    return true;
}

void ttap__arena_init(struct ttap__arena *arena)
{
    static const char full[] = "(names full)";
    for (size_t i = 0; i < sizeof(full) - 1; i++)
        arena->name_text[i] = full[i];
    arena->name_text_used = sizeof(full) - 1;
    arena->name[TTAP_NAMES_MAX + 1].len_plus_1 = sizeof(full);
    arena->keep[0].otherwise = arena->keep[1].otherwise = TTAP__KEEP_ALL;
    ttap__syscall6(SYS_getrandom, (long)arena->trace_seed, sizeof(arena->trace_seed), 0, 0, 0, 0);
    arena->trace_seed[1] ^= ttap__ticks(); /* if getrandom is refused, at least not all alike */
}

struct ttap__arena *ttap__arena(void)
{
    struct ttap__arena *arena = ttap__load_acquire(&ttap__arena_base);
    if (ttap__likely(arena != NULL))
        return arena;
    ttap__clock_init();
    arena = ttap__records_map() ? ttap__map(sizeof(*arena)) : NULL;
    if (!arena)
        return NULL;
    ttap__arena_init(arena);
    struct ttap__arena *expected = NULL;
    /* Release: the initialisation, for the acquire above. Acquire too: ThreadSanitizer does not see the order of a failure. */
    if (__atomic_compare_exchange_n(&ttap__arena_base, &expected, arena, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return arena;
    ttap__unmap(arena, sizeof(*arena));
    return expected;
}

/* ---- Slot lists: the same tagged stacks as for chunks ---- */

static void slot_push(uint64_t *head, uint32_t index)
{
    struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    uint64_t old = ttap__load(head);
    uint64_t fresh;
    do {
        ttap__store(&slot->next, (uint32_t)old);
        fresh = (((old >> 32) + 1) << 32) | (index + 1);
        /* Release: the slot's state, for slot_pop() and ttap__ended_slots_take(). */
    } while (!__atomic_compare_exchange_n(head, &old, fresh, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static uint32_t slot_pop(uint64_t *head)
{
    uint64_t old = ttap__load_acquire(head);
    uint64_t fresh;
    do {
        if (!(uint32_t)old)
            return 0;
        fresh = (((old >> 32) + 1) << 32) | ttap__load(&ttap__arena_here()->slot[(uint32_t)old - 1].next);
    } while (!__atomic_compare_exchange_n(head, &old, fresh, 1, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return (uint32_t)old;
}

uint32_t ttap__ended_slots_take(void)
{
    uint64_t *head = &ttap__arena_here()->ended_slots;
    uint64_t old = ttap__load(head);
    if (!(uint32_t)old)
        return 0;
    /* Acquire: partner of slot_push(). */
    while (!__atomic_compare_exchange_n(head, &old, ((old >> 32) + 1) << 32, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        ;
    return (uint32_t)old;
}

void ttap__slot_release(uint32_t index)
{
    struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    ttap__store(&slot->uid, 0);
    ttap__store_release(&slot->state, TTAP__SLOT_FREE);
    slot_push(&ttap__arena_here()->free_slots, index);
}

static uint32_t slot_find(struct ttap__arena *arena)
{
    uint32_t found = slot_pop(&arena->free_slots);
    if (found)
        return found;
    uint32_t made = ttap__load(&arena->slots_made);
    do {
        if (made >= TTAP__THREADS_MAX)
            return 0;
    } while (!__atomic_compare_exchange_n(&arena->slots_made, &made, made + 1, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return made + 1;
}

/* ---- Attach ---- */

static void slot_init(struct ttap__slot *slot, uint64_t uid)
{
    ttap__store(&slot->pid, ttap__getpid());
    ttap__store(&slot->tid, ttap__gettid());
    ttap__store(&slot->name[0], 0);
    if (ttap__share_role == TTAP__SHARE_MEMBER)
        ttap__syscall6(SYS_prctl, 16 /* PR_GET_NAME */, (long)slot->comm, 0, 0, 0, 0);
    ttap__store(&slot->call, 0);
    ttap__store(&slot->late_call, 0);
    ttap__store(&slot->alloc_calls, 0);
    ttap__store(&slot->alloc_bytes, 0);
    ttap__store(&slot->alloc_frees, 0);
    ttap__store(&slot->alloc_every, 0);
    ttap__store(&slot->call_frame, 0);
    ttap__store(&slot->call_start, 0);                                           /* wherever `call` is */
    ttap__store(&slot->name_version, (ttap__load(&slot->name_version) | 1) + 1); /* odd: its last owner was cancelled while writing */
    for (size_t i = 0; i < TTAP__TASK_WORDS; i++)
        ttap__store(&slot->task[i], 0);
    ttap__store(&slot->uid, uid);
    ttap__store_release(&slot->state, TTAP__SLOT_LIVE); /* acquire: the drainer's scan */
}

/* Whose memory this is. A vfork()ed child runs in it, too, as the thread that made it: a record that it took would be that thread's, with
 * the child's numbers. */
static int32_t owner_pid;

void ttap__owner_is_this_process(void)
{
    ttap__store(&owner_pid, ttap__getpid());
}

void ttap__owner_is_nobody(void)
{
    ttap__store(&owner_pid, INT32_MAX); /* which no process has */
}

static bool is_guest(void)
{
    int32_t owner = ttap__load(&owner_pid), pid = ttap__getpid();
    return owner > 0 && pid > 0 && owner != pid; /* a filter may refuse even getpid */
}

static void record_init(struct ttap__record *rec, uint32_t index, struct ttap__slot *slot)
{
    *rec = (struct ttap__record){.slot = slot, .slot_index = index, .next_task_id = slot->uid << 32};
    for (uint32_t level = 0; level < 2; level++) {
        rec->stream[level].level = level;
        rec->stream[level].epoch = UINT64_MAX; /* no epoch yet: refresh first */
        rec->stream[level].nested_marked = ttap__load(&slot->stream[level].lost_nested);
        rec->stream[level].marks = level == 1;
        rec->stream[level].low_depth = TTAP__LOW_DEPTH_NONE;
        rec->stream[level].told_depth = UINT32_MAX;
        rec->stream[level].shared = &slot->stream[level];
    }
}

void ttap__count_without_record(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    if (arena && ttap__tls_silent != SILENT_OWN && ttap__tls_silent != SILENT_CLONED && (ttap__load(&ttap_gate) & TTAP__GATE_GROUPS))
        __atomic_fetch_add(&arena->lost_norecord, 1, __ATOMIC_RELAXED);
}

bool ttap__attach(void)
{
    struct ttap__record *expected = &ttap__no_record;
    if (ttap__tls->stream[0].shared)
        return true; /* a handler was here since we looked */
    if (ttap__tls != expected)
        ttap__tls_silent = SILENT_CLONED; /* our record was wiped: a raw clone's child. The parent's capture is not ours to write */
    struct ttap__arena *arena = ttap__tls_silent ? NULL : ttap__arena();
    if (!arena || is_guest())
        return false;
    uint32_t found = slot_find(arena);
    if (!found)
        return false;
    uint32_t index = found - 1;
    struct ttap__slot *slot = &arena->slot[index];
    slot_init(slot, __atomic_add_fetch(&arena->next_uid, 1, __ATOMIC_RELAXED));
    struct ttap__record *rec = &ttap__load(&records)[index];
    record_init(rec, index, slot);
    /* One instruction: a signal handler may have attached this thread since we looked. */
    if (!__atomic_compare_exchange_n(&ttap__tls, &expected, rec, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        ttap__slot_release(index);
        return true;
    }
    ttap__exit_hook_arm(rec);
    return true;
}

void ttap__refresh(struct ttap__emission *e, uint64_t gate)
{
    struct ttap__stream *s = e->s;
    const struct ttap__slot *slot = ttap__emission_slot(e);
    if (!(gate & TTAP__GATE_GROUPS))
        return; /* closed: look again when it is open */
    struct ttap__arena *arena = ttap__arena_here();
    uint64_t epoch = gate >> TTAP__GATE_EPOCH_SHIFT;
    uint32_t session = ttap__load(&arena->session);
    if (s->session != session) {
        uint64_t left = ttap__load(&e->shared->published);
        if (left) { /* we were preempted when the last session stopped, so the drainer left us our chunk */
            ttap__store(&e->shared->published, 0);
            ttap__chunk_give_back(left);
        }
        s->session = session;
        s->cell = s->end = NULL;
        s->publish = 0;
        s->serial = 0;
        s->depth = 0;
        s->low_depth = TTAP__LOW_DEPTH_NONE;
        s->told_depth = UINT32_MAX;
        s->task_marked = ttap__load(&slot->task[0]);     /* as the first chunk's head will have it */
        ttap__store_release(&e->shared->dirty, session); /* acquire: in_this_session() in drainer.c; after the chunk was given back */
    } else if (s->epoch < ttap__load(&arena->clean_epoch)) {
        s->depth = 0; /* regions were not followed for a while */
        s->low_depth = TTAP__LOW_DEPTH_NONE;
        s->told_depth = UINT32_MAX;
    }
    s->epoch = epoch;
    struct ttap_task task = ttap__slot_task(slot);
    ttap__set_muted(e->rec, task.id && !ttap__kept_by_any(task.draw, task.root_kind));
    if (s == &e->rec->stream[0]) {
        e->rec->seen_gate = gate;
        s->marks = !e->rec->muted && (task.id != s->task_marked || s->low_depth != TTAP__LOW_DEPTH_NONE);
    }
    ttap__fast_choose(e->rec);
}

/* ---- Leave ---- */

static bool has_something_to_drain(const struct ttap__slot *slot)
{
    return ttap__load(&slot->stream[0].dirty) || ttap__load(&slot->stream[1].dirty) || ttap__load(&slot->stream[0].published) ||
           ttap__load(&slot->stream[1].published);
}

/* Nobody writes into it any more, perhaps in the middle of an event: that will not be finished, and the next owner must not find itself
 * inside it. */
static void slot_end(uint32_t index)
{
    struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    ttap__store_release(&slot->stream[0].busy, 0);
    ttap__store_release(&slot->stream[1].busy, 0);
    if (!has_something_to_drain(slot)) {
        ttap__slot_release(index);
        return;
    }
    ttap__store_release(&slot->state, TTAP__SLOT_ENDED);
    slot_push(&ttap__arena_here()->ended_slots, index);
}

/* The thread-exit destructor. Rounds: other destructors may record after ours ran, so come back as often as the system allows. */
void ttap__thread_exit(void *record)
{
    struct ttap__record *rec = record;
    if (rec != ttap__tls || !rec->slot)
        return;
    if (++rec->exit_rounds < TTAP__EXIT_ROUNDS) {
        ttap__exit_hook_arm(rec);
        return;
    }
    uint32_t index = rec->slot_index;
    ttap__tls_silent = SILENT_DYING;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ttap__tls = &ttap__no_record;
    slot_end(index);
}

/* A thread can end without its destructors: by a raw exit, or because the key came too late to be usable (init.c). The kernel knows. */
void ttap__slots_end_of_gone_threads(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    int32_t pid = ttap__getpid();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        struct ttap__slot *slot = &arena->slot[i];
        uint32_t live = ttap__load_acquire(&slot->state);
        uint64_t uid = ttap__load_acquire(&slot->uid);
        if (live != TTAP__SLOT_LIVE || ttap__load(&slot->pid) != pid || ttap__syscall6(SYS_tgkill, pid, ttap__load(&slot->tid), 0, 0, 0, 0) != -ESRCH)
            continue;
        if (ttap__load_acquire(&slot->uid) != uid)
            continue; /* it ended as it should, and the slot may be another one's by now */
        if (__atomic_compare_exchange_n(&slot->state, &live, TTAP__SLOT_ENDED, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            slot_end(i);
    }
}

/* Threads of a process that is no more, or is another program since. Nobody emits into their slots. */
void ttap__slots_end_of(int32_t pid)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        struct ttap__slot *slot = &arena->slot[i];
        uint32_t live = TTAP__SLOT_LIVE;
        if (ttap__load(&slot->pid) != pid ||
            !__atomic_compare_exchange_n(&slot->state, &live, TTAP__SLOT_ENDED, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        ttap__store_release(&slot->stream[0].busy, 0); /* killed in the middle of an event: it will not be finished */
        ttap__store_release(&slot->stream[1].busy, 0);
        slot_push(&arena->ended_slots, i);
    }
}

/* The tracer's own threads, so that sources leave them out. A number stays until another thread needs its place. */
#define OWN_MAX 64
static int own_tid[OWN_MAX];

static bool is_alive(int tid)
{
    return ttap__syscall6(SYS_tgkill, ttap__getpid(), tid, 0, 0, 0, 0) == 0;
}

static void note_own_tid(void)
{
    int tid = ttap__gettid();
    for (int i = 0; i < OWN_MAX; i++) {
        int before = ttap__load(&own_tid[i]);
        if (before == tid)
            return;
        if ((!before || !is_alive(before)) && __atomic_compare_exchange_n(&own_tid[i], &before, tid, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
    }
}

bool ttap__tid_is_own(int tid)
{
    for (int i = 0; i < OWN_MAX; i++)
        if (ttap__load(&own_tid[i]) == tid)
            return true;
    return false;
}

void ttap__thread_is_own(void)
{
    ttap__tls_silent = SILENT_OWN;
    note_own_tid();
}

/* A handler that interrupts an event may fork, and return in the child: the event goes on in this record. So nobody else gets it there. */
static uint32_t first_slot_after_fork(const struct ttap__arena *arena)
{
    if (ttap__tls == &ttap__no_record)
        return 0;
    uint32_t own = (uint32_t)(ttap__tls - ttap__load(&records));
    const struct ttap__slot *slot = &arena->slot[own];
    return slot->stream[0].busy || slot->stream[1].busy ? own + 1 : 0;
}

/* In the child only this thread is left, and the records are wiped already. The chunks stay mapped, for an event as above and for captures
 * of the child's own; the drainer's half gives their memory back. */
void ttap__emit_after_fork(void)
{
    ttap__store(&ttap_gate, 0);
    ttap__own_gate_follow(0);
    ttap__owner_is_this_process();
    uint32_t first_slot = ttap__arena_here() ? first_slot_after_fork(ttap__arena_here()) : 0;
    ttap__tls = &ttap__no_record;
    ttap__tls_silent = 0;
    for (int i = 0; i < OWN_MAX; i++)
        ttap__store(&own_tid[i], 0);
    struct ttap__arena *arena = ttap__arena_here();
    if (!arena)
        return;
    uint32_t made = arena->slots_made;
    for (uint32_t i = 0; i < made; i++)
        arena->slot[i] = (struct ttap__slot){0};
    for (uint32_t id = 1; id <= arena->names_made && id <= TTAP_NAMES_MAX; id++)
        arena->name[id].len_plus_1 += !arena->name[id].len_plus_1; /* whoever was writing it does not exist here: empty */
    arena->free_chunks = arena->full_chunks = 0;
    arena->chunks_made = arena->chunks_limit = 0;
    arena->free_slots = arena->ended_slots = 0;
    arena->slots_made = first_slot;
    arena->clean_epoch = 0;
    arena->lost_norecord = 0;
}
