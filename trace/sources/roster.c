/* roster.c - see roster.h. */
#include "roster.h"

#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "source_sched.h"
#include "writer.h"

#define BUCKETS 4096u /* a power of two; a service of 10,000 threads has two or three in each */

static struct {
    struct ttap__sched_thread **at; /* by index */
    uint32_t made, room;
    struct ttap__sched_thread *free;
    struct ttap__sched_thread *bucket[BUCKETS];
    unsigned count;
    uint64_t untold;
} threads;

static struct ttap__sched_thread **place_of(int tid)
{
    struct ttap__sched_thread **at = &threads.bucket[(unsigned)tid % BUCKETS];
    while (*at && (*at)->tid != tid)
        at = &(*at)->next;
    return at;
}

struct ttap__sched_thread *ttap__threads_find(int tid)
{
    return *place_of(tid);
}

struct ttap__sched_thread *ttap__threads_at(uint32_t index)
{
    return threads.at[index];
}

unsigned ttap__threads_count(void)
{
    return threads.count;
}

uint64_t ttap__threads_untold(void)
{
    return threads.untold;
}

static bool make_room(void)
{
    if (threads.made < threads.room)
        return true;
    uint32_t room = threads.room ? threads.room * 2 : 64;
    if (!ttap__budget_take((room - threads.room) * sizeof(*threads.at)))
        return false;
    struct ttap__sched_thread **grown = realloc(threads.at, room * sizeof(*grown));
    if (!grown) {
        ttap__budget_give((room - threads.room) * sizeof(*threads.at));
        return false;
    }
    threads.at = grown;
    threads.room = room;
    return true;
}

static struct ttap__sched_thread *take_one(void)
{
    struct ttap__sched_thread *thread = threads.free;
    if (thread) {
        threads.free = thread->next;
        return thread;
    }
    if (!make_room() || !ttap__budget_take(sizeof(*thread)))
        return NULL;
    thread = calloc(1, sizeof(*thread));
    if (!thread) {
        ttap__budget_give(sizeof(*thread));
        return NULL;
    }
    thread->index = threads.made;
    threads.at[threads.made++] = thread;
    return thread;
}

struct ttap__sched_thread *ttap__threads_add(int pid, int tid)
{
    struct ttap__sched_thread *thread = take_one();
    if (!thread) {
        threads.untold++;
        return NULL;
    }
    *thread = (struct ttap__sched_thread){
        .index = thread->index, .pid = pid, .tid = tid, .live = true, .name_version = TTAP__SOURCE_NAME_FIRST, .call = TTAP__CALL_UNKNOWN};
    *place_of(tid) = thread;
    threads.count++;
    thread->number = ttap__source_number(pid, tid);
    return thread;
}

struct ttap__sched_thread *ttap__threads_next(struct ttap__sched_thread *after)
{
    for (uint32_t i = after ? after->index + 1 : 0; i < threads.made; i++)
        if (threads.at[i]->live)
            return threads.at[i];
    return NULL;
}

void ttap__threads_remove(struct ttap__sched_thread *thread)
{
    ttap__source_thread_over(&ttap__source_sched, thread->index, thread->number);
    *place_of(thread->tid) = thread->next;
    thread->live = false;
    thread->next = threads.free;
    threads.free = thread;
    threads.count--;
}

void ttap__threads_forget(void)
{
    for (uint32_t i = 0; i < threads.made; i++)
        free(threads.at[i]);
    ttap__budget_give(threads.made * sizeof(struct ttap__sched_thread) + threads.room * sizeof(*threads.at));
    free(threads.at);
    memset(&threads, 0, sizeof(threads));
}

void ttap__threads_after_fork(void)
{
    memset(&threads, 0, sizeof(threads));
}

/* ---- Events ---- */

void ttap__thread_flush(struct ttap__sched_thread *thread)
{
    if (!thread->count)
        return;
    struct ttap__source_run run = {.index = thread->index,
                                   .number = thread->number,
                                   .first_seq = thread->first_seq,
                                   .first_ns = thread->first_ns,
                                   .base_ticks = thread->base_ticks,
                                   .last_ticks = thread->last_ticks,
                                   .count = thread->count,
                                   .events = thread->events,
                                   .bytes = thread->bytes};
    thread->count = thread->bytes = 0;
    ttap__source_events(&ttap__source_sched, &run);
}

void ttap__thread_event(struct ttap__sched_thread *thread, unsigned kind, uint64_t ns, uint64_t ticks, unsigned fields)
{
    if (thread->bytes + 1 + (1 + fields) * TTAP__VARINT_BYTES_MAX > sizeof(thread->events))
        ttap__thread_flush(thread);
    if ((int64_t)(ticks - thread->last_ticks) < 0)
        ticks = thread->last_ticks; /* clocks of two CPUs */
    if (ns < thread->last_ns)
        ns = thread->last_ns; /* or a record that comes late: a run that began with it would lie before a window that has the one before it */
    thread->last_ns = ns;
    if (!thread->count) {
        thread->first_seq = thread->next_seq;
        thread->first_ns = ns;
        thread->base_ticks = thread->last_ticks = ticks;
    }
    unsigned char *at = thread->events + thread->bytes;
    *at++ = (unsigned char)kind;
    at = ttap__write_varint(at, ticks - thread->last_ticks);
    thread->bytes = (uint32_t)(at - thread->events);
    thread->last_ticks = ticks;
    thread->count++;
    thread->next_seq++;
}

void ttap__thread_field(struct ttap__sched_thread *thread, uint64_t value)
{
    thread->bytes = (uint32_t)(ttap__write_varint(thread->events + thread->bytes, value) - thread->events);
}
