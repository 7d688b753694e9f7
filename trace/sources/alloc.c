/* alloc.c - the source "alloc": what each thread has allocated, some times a second.
 *
 *   hooks/alloc.c:  slot.alloc_calls, _bytes, _frees += ...            here:  what they grew by since the thread was told of last
 *
 * One event a thread and look, where something grew. At a window's edge all that came before is told before it, so that the sum of a window's
 * events is what was allocated in it; when a thread's slot is given back its rest is told.
 */
#include "source_alloc.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "capture.h"
#include "clock.h"
#include "writer.h"

#define PERIOD_NS 50000000u

struct counts {
    uint64_t calls, bytes, frees;
};

/* By slot; virtual until used. */
static struct told {
    uint64_t uid, number, next_seq;
    struct counts counts;
} told[TTAP__THREADS_MAX];

static struct {
    bool running;
    uint64_t next_ns;
} alloc;

static struct counts counts_of(const struct ttap__slot *slot)
{
    return (struct counts){ttap__load(&slot->alloc_calls), ttap__load(&slot->alloc_bytes), ttap__load(&slot->alloc_frees)};
}

static void tell(uint32_t index, const struct counts *now, uint64_t ns, uint64_t ticks)
{
    struct told *t = &told[index];
    unsigned char events[48];
    unsigned char *at = events;
    *at++ = TTAP__ALLOC;
    *at++ = 0;
    at = ttap__write_varint(at, now->calls - t->counts.calls);
    at = ttap__write_varint(at, now->bytes - t->counts.bytes);
    at = ttap__write_varint(at, now->frees - t->counts.frees);
    struct ttap__source_run run = {.index = index,
                                   .number = t->number,
                                   .first_seq = t->next_seq++,
                                   .first_ns = ns,
                                   .base_ticks = ticks,
                                   .last_ticks = ticks,
                                   .count = 1,
                                   .events = events,
                                   .bytes = (size_t)(at - events)};
    t->counts = *now;
    ttap__source_events(&ttap__source_alloc, &run);
}

static void look_at(uint32_t index, uint64_t ns, uint64_t ticks)
{
    const struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    struct told *t = &told[index];
    uint64_t uid = ttap__load(&slot->uid);
    if (!uid)
        return;
    if (t->uid != uid)
        *t = (struct told){.uid = uid};
    struct counts now = counts_of(slot);
    if (!memcmp(&now, &t->counts, sizeof(now)))
        return;
    if (!t->number)
        t->number = ttap__slot_number(index, uid);
    tell(index, &now, ns, ticks);
}

static void look_at_all(uint64_t ns)
{
    struct ttap__clock_pair now;
    ttap__clock_pair(&now);
    uint64_t ticks = now.ticks;
    if (ns < now.mono_ns) /* an edge, just past */
        ticks -= (now.mono_ns - ns) * (ttap__clock_ticks_per_second() / 1000000) / 1000;
    uint32_t made = ttap__slots_made(ttap__arena_here());
    for (uint32_t i = 0; i < made; i++)
        look_at(i, ns, ticks);
    alloc.next_ns = now.mono_ns + PERIOD_NS;
}

/* ---- For the engine ---- */

/* Counts go on from window to window; what nobody listened to is nobody's. */
static void start(void)
{
    uint32_t made = ttap__slots_made(ttap__arena_here());
    for (uint32_t i = 0; i < made; i++)
        told[i] = (struct told){.uid = ttap__load(&ttap__arena_here()->slot[i].uid), .counts = counts_of(&ttap__arena_here()->slot[i])};
    alloc.running = true;
    alloc.next_ns = 0;
}

static void nothing(void) {}

static void edge(uint64_t mono_ns)
{
    look_at_all(mono_ns - 1);
}

static void drain(void)
{
    uint64_t now_ns = ttap__mono_ns();
    if (now_ns >= alloc.next_ns)
        look_at_all(now_ns);
}

static bool can_wait(uint64_t now_ns)
{
    return now_ns < alloc.next_ns;
}

static void slot_over(uint32_t index)
{
    if (!alloc.running)
        return;
    struct ttap__clock_pair now;
    ttap__clock_pair(&now);
    look_at(index, now.mono_ns, now.ticks);
    if (told[index].number)
        ttap__source_thread_over(&ttap__source_alloc, index, told[index].number);
    told[index] = (struct told){0};
}

static void stop(void)
{
    alloc.running = false;
}

static void after_fork(void)
{
    alloc.running = false;
}

static uint64_t number_of(int pid, int tid)
{
    (void)pid;
    (void)tid;
    return 0; /* it asks slots for theirs */
}

static struct ttap__source_thread thread_at(uint32_t index)
{
    const struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    return (struct ttap__source_thread){ttap__load(&slot->pid), ttap__load(&slot->tid), told[index].number, 2};
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    *enable = 0;
    *on = ttap__hooks_present();
    snprintf(why, size, "%s",
             *on ? "calls and bytes of each thread, 20 times a second; stacks when asked for with alloc_samples=BYTES"
                 : "libtracetap-preload is not loaded");
    if (!*on)
        snprintf(enable, size, "tracetap run -- PROGRAM, or LD_PRELOAD=libtracetap-preload.so");
}

const struct ttap__source ttap__source_alloc = {
    .name = "alloc",
    .groups = TTAP_GROUP_ALLOC,
    .level = TTAP__LEVEL_ALLOC,
    .start = start,
    .look = nothing,
    .edge = edge,
    .drain = drain,
    .can_wait = can_wait,
    .slot_over = slot_over,
    .stop = stop,
    .after_fork = after_fork,
    .number_of = number_of,
    .thread = thread_at,
    .status = status,
};
