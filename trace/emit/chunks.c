/* chunks.c - where chunks are: a free list, a full list, and who holds one.
 *
 *   free list --take--> stream --full--> full list --drainer--> free list
 *
 * Both lists are Treiber stacks of indices with a 32-bit tag against ABA: a chunk may be taken, filled, drained and freed again while
 * another thread is between reading `next` and swapping the head. Chunks are never unmapped, so reading `next` of a chunk that is
 * somebody else's by now is harmless; the swap then fails.
 */
#include "clock.h"
#include "emit.h"

struct ttap__chunk *ttap__chunks;
uint32_t ttap__light_busy;

static void list_push(uint64_t *head, uint32_t index)
{
    uint64_t old = ttap__load(head);
    uint64_t fresh;
    do {
        ttap__store(&ttap__chunks[index].next, (uint32_t)old);
        fresh = (((old >> 32) + 1) << 32) | (index + 1);
        /* Release: the chunk's content, for list_pop() or ttap__full_chunks_take(). */
    } while (!__atomic_compare_exchange_n(head, &old, fresh, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Index + 1, or 0 when empty. */
static uint32_t list_pop(uint64_t *head)
{
    uint64_t old = ttap__load_acquire(head);
    uint64_t fresh;
    do {
        if (!(uint32_t)old)
            return 0;
        uint32_t next = ttap__load(&ttap__chunks[(uint32_t)old - 1].next);
        fresh = (((old >> 32) + 1) << 32) | next;
    } while (!__atomic_compare_exchange_n(head, &old, fresh, 1, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return (uint32_t)old;
}

void ttap__chunk_release(uint32_t index)
{
    list_push(&ttap__arena_here()->free_chunks, index);
}

void ttap__chunk_give_back(uint64_t published)
{
    if (TTAP__PUB_CHUNK(published) && !(published & TTAP__PUB_HANDED_OVER))
        ttap__chunk_release(TTAP__PUB_CHUNK(published) - 1);
}

uint32_t ttap__full_chunks_take(uint32_t there)
{
    uint64_t *head = &ttap__arena_here()->full_chunks;
    uint64_t old = ttap__load(head);
    if (!(uint32_t)old)
        return 0;
    /* Acquire: partner of list_push(). */
    while (!__atomic_compare_exchange_n(head, &old, ((old >> 32) + 1) << 32, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        ;
    uint32_t oldest = 0;
    for (uint32_t at = (uint32_t)old, left = there; at && at <= there && left--;) { /* newest first as pushed: reverse */
        struct ttap__chunk *chunk = &ttap__chunks[at - 1];
        uint32_t next = ttap__load(&chunk->next);
        ttap__store(&chunk->next, oldest);
        oldest = at;
        at = next;
    }
    return oldest;
}

/* Index + 1 of a chunk nobody holds, or 0. Recently freed ones first: they are still in the cache. */
static uint32_t chunk_find(struct ttap__arena *arena)
{
    uint32_t found = list_pop(&arena->free_chunks);
    if (found)
        return found;
    uint32_t made = ttap__load(&arena->chunks_made);
    do {
        if (made >= ttap__load(&arena->chunks_limit))
            return 0;
    } while (!__atomic_compare_exchange_n(&arena->chunks_made, &made, made + 1, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return made + 1;
}

/* The drainer has not ticked for too long: whoever notices closes the gate, so that nobody records for nobody. */
static void check_lease(struct ttap__arena *arena, uint64_t now_ticks)
{
    uint64_t gate = ttap__load_acquire(&ttap_gate); /* first: one that was preempted in here must not close the next session's */
    int64_t age = (int64_t)(now_ticks - ttap__load(&arena->drainer_ticks));
    if (ttap__likely(age < (int64_t)ttap__load(&arena->lease_ticks)))
        return;
    uint64_t closed = ((gate >> TTAP__GATE_EPOCH_SHIFT) + 1) << TTAP__GATE_EPOCH_SHIFT;
    if (!(gate & TTAP__GATE_GROUPS))
        return;
    ttap__store(&arena->lease_over_ticks, now_ticks); /* the swap shows it: was_whole() in drainer.c */
    if (__atomic_compare_exchange_n(&ttap_gate, &gate, closed, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        __atomic_fetch_add(&arena->lease_expired, 1, __ATOMIC_RELAXED);
}

static void hand_over(struct ttap__arena *arena, struct ttap__emission *e)
{
    struct ttap__stream *s = e->s;
    uint64_t publish = s->publish;
    if (!TTAP__PUB_CHUNK(publish))
        return; /* wiped: a child inside its parent's event */
    uint32_t index = TTAP__PUB_CHUNK(publish) - 1;
    ttap__store(&ttap__chunks[index].used, TTAP__PUB_USED(publish));
    ttap__store(&ttap__chunks[index].sampled_until, e->shared->sampled_out);
    s->publish = publish | TTAP__PUB_HANDED_OVER;
    ttap__store_release(&e->shared->published, s->publish); /* before the list has it: else both might give it back */
    list_push(&arena->full_chunks, index);
    s->cell = s->end = NULL;
}

bool ttap__take_chunk(struct ttap__emission *e)
{
    struct ttap__arena *arena = ttap__arena_here();
    struct ttap__stream *s = e->s;
    struct ttap__slot_stream *shared = e->shared;
    struct ttap__slot *slot = ttap__emission_slot(e);
    uint64_t now_ticks = ttap__ticks();
    check_lease(arena, now_ticks);
    if (s->end)
        hand_over(arena, e);
    uint32_t found = chunk_find(arena);
    if (!found) {
        ttap__store_release(&shared->lost_full, shared->lost_full + 1); /* acquire: drain_stream(); after the events before it */
        return false;
    }
    struct ttap__chunk *chunk = &ttap__chunks[found - 1];
    uint32_t serial = (s->serial + 1) & ((1u << TTAP__PUB_SERIAL_BITS) - 1);
    s->serial = serial;
    ttap__store(&chunk->slot, (uint32_t)(slot - arena->slot));
    ttap__store(&chunk->level, (uint32_t)(s - e->rec->stream));
    ttap__store(&chunk->serial, serial);
    ttap__store(&chunk->used, 0);
    ttap__store(&chunk->session, s->session);
    ttap__store(&chunk->uid, ttap__load(&slot->uid));
    ttap__store(&chunk->base_ticks, now_ticks);
    ttap__store(&chunk->lost_before, shared->lost_full);
    ttap__store(&chunk->sampled_before, shared->sampled_out);
    ttap__store(&chunk->depth, s->low_depth < s->depth ? s->low_depth : s->depth);
    s->low_depth = TTAP__LOW_DEPTH_NONE; /* for who is about to mark it: ttap__emission_mark() has read it */
    struct ttap_task task = {0};
    if (e->rec->muted) /* a task that nobody keeps is not told, as nothing would tell of its end; if somebody keeps it later, a mark does */
        e->s->task_marked = TTAP__TASK_MARKED_NONE;
    else
        task = ttap__slot_task(slot);
    ttap__store(&chunk->task[0], task.id);
    ttap__store(&chunk->task[1], task.parent);
    ttap__store(&chunk->task[2], (uint64_t)task.draw << 32 | task.kind);
    ttap__store(&chunk->task[3], task.root_kind);
    ttap__store(&chunk->task[4], task.start_ticks);
    s->cell = chunk->cells;
    s->end = chunk->cells + 2 * TTAP__CHUNK_CELLS;
    s->publish = TTAP__PUB(found, serial);
    ttap__store_release(&shared->published, s->publish); /* acquire: drain_stream() in drainer.c */
    return true;
}
