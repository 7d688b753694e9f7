/* drainer.c - the one thread behind all captures; it exists while somebody listens and one second longer.
 *
 *   tick:  joins -> drain -> ends -> clocks -> tell readers          each 5 ms where much comes, else each 100 ms; at once when asked
 *
 *   drain: full chunks, oldest first;  then, for each live stream, the part of its chunk that is new;  then threads that ended
 *
 * Sequence numbers are given here, when a stream's next event, or a loss, is seen for the first time. What makes that exact: a stream's
 * loss counters are read before its position, so every loss they tell lies before the next chunk, whose head tells the count it began with.
 *
 * A newcomer's window begins behind the gate that lets in what it wants: first the gate opens for it, then all is drained for those who were there
 * before, and what comes after that is the newcomer's too. The other way round a thread that was preempted between an older gate and publishing
 * would have its event in the window, and nobody would count the calls that it makes next, until the gate opens.
 *
 * A session is the time from the first listener to the last. Between sessions the gate is closed and no chunk is with any
 * thread, except with those that were preempted in the middle of an event when it closed.
 */
#include "engine.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "share.h"
#include "source.h"
#include "stacktable.h"
#include "sys.h"

/* Enough for the packer's buffers (static) and the 64 KiB that writing a block of names puts on the stack, twice over; and for the
 * thread-local words of every library of the process, which are part of it: ThreadSanitizer's alone take 767 KiB. */
#define STACK_BYTES (1u << 20)

/* Chunks between two looks whether somebody has stopped it all: 4,000 events, 0.1 ms. */
#define CHUNKS_A_LOOK 8u

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake;    /* for the drainer */
    pthread_cond_t changed; /* for callers: a sub joined or was released */
    bool cond_ready;
    bool running, poked, stop_all;
    struct ttap__sub *joining;
    unsigned open; /* windows that count against captures_max */
    unsigned captures_max;
    uint64_t started; /* captures, ever */
    /* Written by the drainer, read by status. */
    uint64_t events, lost, sampled_out, cpu_ns_before;
    pthread_t thread;
    /* Drainer only from here on. */
    struct ttap__sub *subs; /* their windows are open */
    unsigned views;
    bool in_session, gate_open; /* gate_open: as set here; emitters may have closed it since */
    bool may_close;             /* this drain is the last thing before windows end */
    uint64_t idle_since_ns;
    uint32_t chunks_mapped;
    uint32_t fulls;               /* full chunks seen by the last drain */
    uint32_t full_tag, ended_tag; /* of the lists of full chunks and ended threads, as that drain began: each push adds one */
    uint64_t norecord_seen;
    struct ttap__follow **follow; /* [slot * 2 + level] */
} engine = {.mutex = PTHREAD_MUTEX_INITIALIZER, .captures_max = TTAP__CAPTURES_MAX_DEFAULT};

/* Drainer only. Apart from the engine, which is not all zero: 30 KiB less in the library's file. */
static struct {
    struct ttap__follow spare_follow, view_follow;
    struct ttap__run run;
    uint64_t cells[TTAP__CHUNK_CELLS * 2];
} scratch;

uint64_t ttap__thread_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ttap__ns_of(&ts);
}

/* ---- The gate ---- */

/* Regions were not recorded for a while: what was open before may be over. ttap__refresh() does the same for the emitters' side. */
static void forget_regions(void)
{
    uint32_t made = ttap__slots_made(ttap__arena_here());
    for (uint32_t i = 0; i < made * 2; i++)
        if (engine.follow[i])
            ttap__follow_gap(engine.follow[i], 0);
}

/* The window was over when the gate was closed to it. A millisecond for how well the counter's speed is known. */
static bool was_whole(const struct ttap__sub *sub)
{
    uint64_t open_ticks = ttap__load(&ttap__arena_here()->lease_over_ticks) - sub->start.ticks;
    uint64_t open_ns = (uint64_t)((unsigned __int128)open_ticks * 1000000000u / ttap__clock_ticks_per_second());
    return (int64_t)open_ticks > 0 && open_ns > sub->opts.duration_ns + 1000000u;
}

/* An emitter has closed the gate since we set it last. Windows that are still open have a hole from there on: they end, and say why. */
static void lease_ran_out(void)
{
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        if (!sub->begun)
            continue;
        pthread_mutex_lock(&sub->mutex);
        if (sub->why != TTAP__END_BYTES && !(sub->why == TTAP__END_WINDOW && was_whole(sub)))
            sub->why = TTAP__END_LEASE; /* also when it was stopped: the gate may have been closed before that */
        pthread_mutex_unlock(&sub->mutex);
        sub->over = true;
    }
}

static void drain_threads(void);

/* The same, found out where the gate is about to be set: if it opens, what comes behind the hole must not get into them. */
static void end_at_the_hole(bool opens)
{
    drain_threads();
    lease_ran_out();
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        sub->full |= opens && sub->begun;
}

/* False: an emitter has closed the gate meanwhile, and set again it will be: nobody changes one that is closed. */
static bool try_to_set_gate(uint64_t groups)
{
    uint64_t gate = ttap__load(&ttap_gate);
    uint64_t epoch = ((gate >> TTAP__GATE_EPOCH_SHIFT) + 1) & UINT32_MAX;
    if (engine.gate_open && !(gate & TTAP__GATE_GROUPS))
        end_at_the_hole(groups != 0);
    if ((groups & TTAP_GROUP_REGION) && !(gate & TTAP_GROUP_REGION)) {
        ttap__store(&ttap__arena_here()->clean_epoch, (uint32_t)epoch);
        forget_regions();
    }
    /* Dekker: partner of the load in ttap__emission_open(). Also publishes the sampling table and the session. */
    uint64_t opened = epoch << TTAP__GATE_EPOCH_SHIFT | groups;
    if (!__atomic_compare_exchange_n(&ttap_gate, &gate, opened, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    ttap__own_gate_follow(opened);
    return true;
}

static void set_gate(uint64_t groups)
{
    while (!try_to_set_gate(groups))
        ;
    engine.gate_open = groups != 0;
}

static bool keeps_all(const struct ttap__keep *keep)
{
    return !keep->rules && keep->otherwise >= TTAP__KEEP_ALL;
}

/* Of windows that want different rates the highest counts: each sample says what it stands for. Of what is a long wait, the shortest. */
static void set_sample_period(void)
{
    uint32_t hz = 0, long_wait_us = TTAP__LONG_WAIT_US_MAX, alloc_bytes = 0;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        uint32_t us = sub->opts.long_wait_us ? sub->opts.long_wait_us : TTAP__LONG_WAIT_US;
        hz = sub->opts.samples_hz > hz ? sub->opts.samples_hz : hz;
        alloc_bytes = sub->opts.alloc_sample_bytes - 1 < alloc_bytes - 1 ? sub->opts.alloc_sample_bytes : alloc_bytes; /* 0 is most */
        long_wait_us = sub->opts.samples_hz && us < long_wait_us ? us : long_wait_us;
    }
    ttap__store(&ttap__arena_here()->sample_period_ns, hz ? 1000000000u / hz : 0);
    ttap__store(&ttap__arena_here()->alloc_sample_bytes, alloc_bytes);
    ttap__store(&ttap__arena_here()->ms_ticks, ttap__clock_ticks_per_second() / 1000u);
    ttap__store(&ttap__arena_here()->long_wait_ticks, ttap__clock_ticks_per_second() / 1000000u * long_wait_us);
}

/* The gate and the sampling table from what the open windows want. */
static void open_gate(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    const struct ttap__keep *tables[TTAP__SUBS_MAX];
    size_t count = 0;
    uint64_t groups = 0;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        tables[count++] = sub->view.keep;
        groups |= sub->view.groups;
        if (!keeps_all(sub->view.keep))
            groups |= TTAP_GROUP_TASK; /* whose event is it? Others may keep what this one does not: it must be told of enters */
    }
    struct ttap__keep joint;
    ttap__keep_union(&joint, tables, count);
    /* Into the table that is not in force. An emitter so slow that it still reads that one from two changes ago may decide one
     * task by a mixture of rules; its next look at the gate puts it right. */
    uint32_t next = (ttap__load(&arena->keep_index) + 1) & 1;
    struct ttap__keep *to = &arena->keep[next];
    ttap__store(&to->otherwise, joint.otherwise);
    for (uint32_t i = 0; i < joint.rules; i++) {
        ttap__store(&to->rule[i].kind, joint.rule[i].kind);
        ttap__store(&to->rule[i].below, joint.rule[i].below);
    }
    ttap__store_release(&to->rules, joint.rules);
    ttap__store_release(&arena->keep_index, next); /* acquire: ttap__kept_by_any() */
    set_sample_period();
    set_gate(groups & TTAP__GATE_GROUPS);
}

/* The owner has been through ttap__refresh() since the session began: what it published before that is gone from the stream. */
static bool in_this_session(const struct ttap__slot_stream *s)
{
    return ttap__load_acquire(&s->dirty) == ttap__load(&ttap__arena_here()->session);
}

/* A stream that an earlier session left busy is not waited for: its owner may have left the event for ever, by siglongjmp() out of a handler. */
static bool any_busy(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++)
        for (int level = 0; level < 2; level++)
            if (in_this_session(&arena->slot[i].stream[level]) && __atomic_load_n(&arena->slot[i].stream[level].busy, __ATOMIC_SEQ_CST))
                return true;
    return false;
}

/* A full barrier in every running thread of this process, or of all members: partner of the light store of busy in ttap__fast_open().
 * Where the kernel refuses it after all (no memory, a filter that came later), time does the same: a store is seen within microseconds. */
static void barrier_everywhere(void)
{
    static const struct timespec long_for_a_store = {0, 1000000};
    bool keeper = ttap__share_role == TTAP__SHARE_KEEPER;
    if (!keeper && !ttap__load(&ttap__light_busy))
        return;
    if (ttap__syscall6(SYS_membarrier, keeper ? MEMBARRIER_CMD_GLOBAL_EXPEDITED : MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) < 0)
        nanosleep(&long_for_a_store, NULL);
}

/* ThreadSanitizer does not know of such barriers; under it, and where the kernel refuses them, emitters have their own. */
static void choose_barrier(void)
{
#if !defined(__SANITIZE_THREAD__)
    if (ttap__share_role == TTAP__SHARE_KEEPER)
        return; /* each member decided for itself when it joined */
    bool registered = ttap__syscall6(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) == 0;
    ttap__store(&ttap__light_busy, registered && ttap__ticks_are_counter());
#endif
}

/* Close the gate and give emitters that are in the middle of an event a moment to finish. */
static void close_gate(void)
{
    set_gate(0);
    barrier_everywhere();
    uint64_t deadline_ns = ttap__mono_ns() + TTAP__STOP_WAIT_US * 1000u;
    while (any_busy() && ttap__mono_ns() < deadline_ns) {
        struct timespec nap = {0, 50000};
        nanosleep(&nap, NULL);
    }
}

/* ---- Following streams ---- */

static struct ttap__follow *follow_of(uint32_t slot, uint32_t level)
{
    struct ttap__follow **at = &engine.follow[slot * 2 + level];
    if (!*at)
        *at = calloc(1, sizeof(**at));
    if (*at)
        return *at;
    memset(&scratch.spare_follow, 0, sizeof(scratch.spare_follow)); /* no memory: nesting across chunks is lost, events are not */
    return &scratch.spare_follow;
}

static void unfollow(uint32_t slot)
{
    for (uint32_t level = 0; level < 2; level++) {
        free(engine.follow[slot * 2 + level]);
        engine.follow[slot * 2 + level] = NULL;
    }
}

static void follow_chunk(struct ttap__follow *follow, const struct ttap__chunk *chunk)
{
    follow->task = ttap__load(&chunk->task[0]);
    follow->task_parent = ttap__load(&chunk->task[1]);
    follow->task_kind = (uint32_t)ttap__load(&chunk->task[2]);
    follow->task_draw = (uint32_t)(ttap__load(&chunk->task[2]) >> 32);
    follow->task_root_kind = (uint32_t)ttap__load(&chunk->task[3]);
    follow->task_start_ticks = ttap__load(&chunk->task[4]);
}

/* ---- Draining one stream ---- */

static void lost(struct ttap__stream_id id, enum ttap__loss why, struct ttap__slot_drained *d, uint64_t count, uint64_t to_ticks)
{
    if ((int64_t)(to_ticks - d->last_ticks) < 0)
        to_ticks = d->last_ticks; /* clocks of two CPUs */
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        ttap__sub_lost(sub, id, why, d->next_seq, count, d->last_ticks, to_ticks);
    d->next_seq += count;
    ttap__store(&engine.lost, engine.lost + count);
}

/* Where a stream stands after a run of cells. */
struct position {
    uint64_t seq, lost_nested, last_ticks;
    uint64_t lost; /* of the numbers since the start: told in place, between events */
};

/* Pack @cells for the subscribers of one view. */
static void pack_for_view(struct ttap__stream_id id, unsigned view, const struct ttap__view *wanted, struct ttap__follow *follow,
                          const uint64_t *cell, unsigned cells, uint64_t base_ticks, struct position *at)
{
    struct ttap__run *run = &scratch.run;
    for (unsigned done = 0; done < cells; done += run->cells) {
        ttap__pack(run, follow, wanted, cell + 2 * done, cells - done, base_ticks);
        uint64_t nested = run->lost_nested > at->lost_nested ? run->lost_nested - at->lost_nested : 0;
        uint64_t stalled = run->damaged ? cells - done - run->cells : 0; /* how many events that was cannot be known: one a cell */
        uint64_t seq = at->seq;
        at->seq += run->count + run->filtered;
        at->last_ticks = run->last_ticks;
        for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
            if (sub->view_index != view)
                continue;
            ttap__sub_events(sub, id, seq, run);
            if (nested)
                ttap__sub_lost(sub, id, TTAP__LOSS_NESTED, at->seq, nested, run->last_ticks, run->last_ticks);
            if (stalled)
                ttap__sub_lost(sub, id, TTAP__LOSS_STALL, at->seq + nested, stalled, run->last_ticks, run->last_ticks);
        }
        at->seq += nested + stalled;
        at->lost += nested + stalled;
        at->lost_nested += nested;
        if (run->damaged)
            break;
    }
}

/* What was noted of a stream; its numbers begin at 0 with each thread, also when a slot changed hands without an account to close. */
static struct ttap__slot_drained *drained_of(struct ttap__stream_id id)
{
    struct ttap__slot_drained *d = &ttap__arena_here()->slot[id.slot].drained[id.level];
    if (d->uid != id.uid) {
        d->uid = id.uid;
        d->next_seq = 0;
    }
    return d;
}

static void count_sampled_out(struct ttap__stream_id id, struct ttap__slot_drained *d, uint64_t sampled_out)
{
    if (sampled_out <= d->sampled_out)
        return;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        ttap__sub_sampled_out(sub, id, d->next_seq, sampled_out - d->sampled_out);
    ttap__store(&engine.sampled_out, engine.sampled_out + (sampled_out - d->sampled_out));
    d->sampled_out = sampled_out;
}

/* What the head of a chunk tells about the time before it. */
static void begin_chunk(struct ttap__stream_id id, struct ttap__slot_drained *d, struct ttap__follow *follow, const struct ttap__chunk *chunk)
{
    uint64_t lost_before = ttap__load(&chunk->lost_before);
    bool gap = lost_before > d->lost_full || d->gap;
    if (gap || ttap__load(&chunk->serial) == 1)
        follow_chunk(follow, chunk); /* else the events told: the chunk may have been taken while a new task was being entered */
    /* Also without a gap: regions that end in a task that nobody keeps are told by no event. */
    ttap__follow_gap(follow, ttap__load(&chunk->depth));
    d->gap = 0;
    if (lost_before > d->lost_full) {
        lost(id, TTAP__LOSS_FULL, d, lost_before - d->lost_full, ttap__load(&chunk->base_ticks));
        d->lost_full = lost_before;
    }
    count_sampled_out(id, d, ttap__load(&chunk->sampled_before));
}

/* In a process of its own the drainer packs a copy: what an event says of its size must not change while it is packed. */
static const uint64_t *cells_of(const struct ttap__chunk *chunk, unsigned from, unsigned to)
{
    const uint64_t *cells = chunk->cells + 2 * from;
    return ttap__share_role == TTAP__SHARE_KEEPER ? memcpy(scratch.cells, cells, (to - from) * 16) : cells;
}

static void drain_cells(struct ttap__stream_id id, struct ttap__chunk *chunk, unsigned from, unsigned to)
{
    if (to > TTAP__CHUNK_CELLS)
        to = TTAP__CHUNK_CELLS;
    struct ttap__slot_drained *d = &ttap__arena_here()->slot[id.slot].drained[id.level];
    uint64_t base_ticks = ttap__load(&chunk->base_ticks);
    struct ttap__follow *follow = follow_of(id.slot, id.level);
    if (!from)
        begin_chunk(id, d, follow, chunk);
    if (from >= to)
        return;
    const uint64_t *cells = cells_of(chunk, from, to);
    struct position start = {d->next_seq, d->lost_nested, d->last_ticks, 0}, end = start;
    for (unsigned view = 0; view < engine.views; view++) {
        struct ttap__sub *first = engine.subs;
        while (first->view_index != view)
            first = first->next;
        struct ttap__follow *own = follow;
        if (view + 1 < engine.views) { /* all but the last view look at a copy */
            scratch.view_follow = *follow;
            own = &scratch.view_follow;
        }
        end = start;
        pack_for_view(id, view, &first->view, own, cells, to - from, base_ticks, &end);
    }
    ttap__store(&engine.events, engine.events + (end.seq - start.seq - end.lost));
    ttap__store(&engine.lost, engine.lost + end.lost);
    d->next_seq = end.seq;
    d->lost_nested = end.lost_nested;
    d->last_ticks = end.last_ticks;
}

/* The one that a stream stands in. NULL: none, or there is no such chunk. */
static struct ttap__chunk *chunk_of(uint64_t published)
{
    uint32_t number = TTAP__PUB_CHUNK(published);
    return number && number <= engine.chunks_mapped ? &ttap__chunks[number - 1] : NULL;
}

static bool is_current(const struct ttap__chunk *chunk, struct ttap__stream_id id)
{
    return chunk && ttap__load(&chunk->session) == ttap__load(&ttap__arena_here()->session) && ttap__load(&chunk->slot) == id.slot &&
           ttap__load(&chunk->level) == id.level && ttap__load(&chunk->uid) == id.uid;
}

/* How many chunks after the last one that is done. */
static int32_t ahead_of(const struct ttap__slot_drained *d, uint32_t serial)
{
    return (int32_t)((serial - d->serial) << (32 - TTAP__PUB_SERIAL_BITS)) >> (32 - TTAP__PUB_SERIAL_BITS);
}

static void drain_whole(struct ttap__stream_id id, struct ttap__slot_drained *d, struct ttap__chunk *chunk)
{
    drain_cells(id, chunk, d->used, ttap__load(&chunk->used));
    d->serial = ttap__load(&chunk->serial);
    d->used = 0;
    /* It may have filled up since its stream was looked at, and nobody may look again before a window ends. */
    count_sampled_out(id, d, ttap__load(&chunk->sampled_until));
}

/* Chunks that may not be on the list, whose turn it is. One that is on it all the same is given back when it comes up there; one that is not
 * stays out of use until the area is given back: 8 KiB for a jump out of a few instructions. */
static void adopt(struct ttap__stream_id id, struct ttap__slot_drained *d)
{
    uint64_t *orphan = ttap__arena_here()->slot[id.slot].orphan[id.level];
    for (int i = 0; i < TTAP__ORPHANS_MAX; i++) {
        uint64_t published = ttap__load_acquire(&orphan[i]); /* release: leave_orphan() in emit.c */
        if (!published || ahead_of(d, TTAP__PUB_SERIAL(published)) > 1)
            continue;
        struct ttap__chunk *chunk = chunk_of(published);
        bool next = ahead_of(d, TTAP__PUB_SERIAL(published)) == 1 && is_current(chunk, id);
        if (next)
            drain_whole(id, d, chunk);
        ttap__store(&orphan[i], 0);
        if (next)
            i = -1; /* now it may be another one's turn */
    }
}

static void forget_orphans(struct ttap__slot *slot)
{
    for (int i = 0; i < 2 * TTAP__ORPHANS_MAX; i++)
        ttap__store(&slot->orphan[i / TTAP__ORPHANS_MAX][i % TTAP__ORPHANS_MAX], 0);
}

static void drain_full_chunk(struct ttap__chunk *chunk)
{
    struct ttap__stream_id id = {ttap__load(&chunk->slot), ttap__load(&chunk->level), ttap__load(&chunk->uid)};
    if (id.slot >= TTAP__THREADS_MAX || id.level > 1 || !is_current(chunk, id) || ttap__load(&ttap__arena_here()->slot[id.slot].uid) != id.uid)
        return; /* of a session that is over: its account is closed */
    struct ttap__slot_drained *d = drained_of(id);
    if (ahead_of(d, ttap__load(&chunk->serial)) > 1)
        adopt(id, d);
    if (ahead_of(d, ttap__load(&chunk->serial)) > 0) /* else it was adopted */
        drain_whole(id, d, chunk);
}

/* The reason is kept at the first look: who stops the capture behind that has not ended its window. */
static bool has_reason_to_end(struct ttap__sub *sub, uint64_t now_ns)
{
    pthread_mutex_lock(&sub->mutex);
    if (!sub->why && now_ns >= sub->end_mono_ns)
        sub->why = TTAP__END_WINDOW;
    bool has = sub->why != TTAP__END_NONE;
    pthread_mutex_unlock(&sub->mutex);
    return has;
}

/* Who stops everything while emitters fill the budget must not wait until that is packed, nor have it filled once more behind it. */
static void close_gate_if_all_are_over(void)
{
    uint64_t now_ns = ttap__mono_ns(), gate = ttap__load(&ttap_gate);
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        if (!has_reason_to_end(sub, now_ns))
            return;
    uint64_t closed = ((gate >> TTAP__GATE_EPOCH_SHIFT) + 1) << TTAP__GATE_EPOCH_SHIFT;
    if (gate & TTAP__GATE_GROUPS)
        ttap__untimed_calls_look();
    if ((gate & TTAP__GATE_GROUPS) && __atomic_compare_exchange_n(&ttap_gate, &gate, closed, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        engine.gate_open = false; /* else an emitter was first: end_windows() sees that */
        ttap__own_gate_follow(closed);
    }
}

static void drain_full_chunks(void)
{
    uint32_t at = ttap__full_chunks_take(engine.chunks_mapped), left = engine.chunks_mapped;
    while (at && at <= engine.chunks_mapped && left--) {
        struct ttap__chunk *chunk = &ttap__chunks[at - 1];
        uint32_t next = ttap__load(&chunk->next);
        drain_full_chunk(chunk);
        ttap__chunk_release(at - 1);
        if (++engine.fulls % CHUNKS_A_LOOK == 0 && engine.may_close && engine.gate_open)
            close_gate_if_all_are_over();
        at = next;
    }
}

/* Full chunks are listed before the one that follows them is published; so when that one is not the next in turn, they are there. */
static bool catch_up(struct ttap__stream_id id, struct ttap__slot_drained *d, uint32_t serial)
{
    for (int tries = 0; tries < 2; tries++) {
        int32_t ahead = ahead_of(d, serial);
        if (ahead <= 1)
            return ahead == 1;
        drain_full_chunks();
        adopt(id, d);
    }
    return ahead_of(d, serial) == 1;
}

/* Where a stream stands, and how much was left out by then: all of it after the last event published, none after the next. */
static void position_of(const struct ttap__slot_stream *s, uint64_t *position, uint64_t *sampled_out)
{
    uint64_t again = ttap__load_acquire(&s->published); /* release: ttap__emission_publish(), ttap__take_chunk() */
    int tries = 0;
    do {
        *position = again;
        *sampled_out = ttap__load_acquire(&s->sampled_out);
        again = ttap__load_acquire(&s->published);
    } while (again != *position && ++tries < 1000); /* an event takes longer than two loads: it does not come to that */
}

static void drain_stream(uint32_t slot_index, uint32_t level)
{
    struct ttap__slot *slot = &ttap__arena_here()->slot[slot_index];
    struct ttap__slot_stream *s = &slot->stream[level];
    if (!in_this_session(s))
        return;
    struct ttap__stream_id id = {slot_index, level, ttap__load(&slot->uid)};
    struct ttap__slot_drained *d = drained_of(id);
    adopt(id, d);
    /* Counters first, position second: see the head of this file. */
    uint64_t lost_full = ttap__load_acquire(&s->lost_full);
    uint64_t lost_nested = ttap__load_acquire(&s->lost_nested);
    uint64_t position, sampled_out;
    position_of(s, &position, &sampled_out);
    if (TTAP__PUB_CHUNK(position) && catch_up(id, d, TTAP__PUB_SERIAL(position))) {
        struct ttap__chunk *chunk = chunk_of(position);
        if (is_current(chunk, id)) {
            drain_cells(id, chunk, d->used, TTAP__PUB_USED(position));
            d->used = TTAP__PUB_USED(position);
        }
    }
    uint64_t now_ticks = ttap__ticks();
    if (lost_full > d->lost_full) {
        lost(id, TTAP__LOSS_FULL, d, lost_full - d->lost_full, now_ticks);
        d->lost_full = lost_full;
        d->gap = 1;
    }
    if (lost_nested > d->lost_nested) {
        lost(id, TTAP__LOSS_NESTED, d, lost_nested - d->lost_nested, now_ticks);
        d->lost_nested = lost_nested;
    }
    count_sampled_out(id, d, sampled_out);
}

/* ---- Streams of sources ---- */

/* Windows that had begun at @ns and want what the source has. */
static bool wants_of(const struct ttap__sub *sub, const struct ttap__source *source, uint64_t ns)
{
    return (sub->opts.groups & source->groups) && ns >= sub->start.mono_ns;
}

void ttap__source_events(const struct ttap__source *source, const struct ttap__source_run *from)
{
    struct ttap__stream_id id = {from->index, source->level, from->number};
    struct ttap__run *run = &scratch.run;
    *(run->head + 0) = *(run->head + 1) = *(run->head + 2) = 0; /* no task, no ends of earlier regions, no open regions */
    run->head_bytes = 3;
    run->count = from->count;
    run->filtered = 0;
    run->base_ticks = from->base_ticks;
    run->last_ticks = from->last_ticks;
    memcpy(run->events, from->events, from->bytes);
    run->event_bytes = from->bytes;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        if (wants_of(sub, source, from->first_ns))
            ttap__sub_events(sub, id, from->first_seq, run);
    ttap__store(&engine.events, engine.events + from->count);
}

void ttap__source_lost(const struct ttap__source *source, uint32_t index, uint64_t number, uint64_t first_seq, uint64_t lost_events,
                       uint64_t from_ticks, uint64_t to_ticks)
{
    struct ttap__stream_id id = {index, source->level, number};
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) /* also where it has the event before the loss, which comes late */
        if ((sub->opts.groups & source->groups) && ((int64_t)(to_ticks - sub->start.ticks) > 0 || ttap__sub_knows(sub, id)))
            ttap__sub_lost(sub, id, TTAP__LOSS_FULL, first_seq, lost_events, from_ticks, to_ticks);
    ttap__store(&engine.lost, engine.lost + lost_events);
}

void ttap__source_thread_over(const struct ttap__source *source, uint32_t index, uint64_t number)
{
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        ttap__sub_stream_over(sub, (struct ttap__stream_id){index, source->level, number});
    ttap__sources_thread_over(source, number);
}

/* ---- Draining all ---- */

static void reclaim_chunk(struct ttap__slot_stream *s)
{
    uint64_t position = ttap__load(&s->published);
    if (!position)
        return;
    ttap__store(&s->published, 0);
    if (chunk_of(position))
        ttap__chunk_give_back(position);
}

static void forget_slot(struct ttap__slot *slot)
{
    forget_orphans(slot);
    for (int level = 0; level < 2; level++) {
        struct ttap__slot_stream *s = &slot->stream[level];
        ttap__store(&s->dirty, 0);
        slot->drained[level] = (struct ttap__slot_drained){.lost_full = ttap__load(&s->lost_full),
                                                           .lost_nested = ttap__load(&s->lost_nested),
                                                           .sampled_out = ttap__load(&s->sampled_out),
                                                           .last_ticks = ttap__ticks()};
    }
}

/* A thread is gone and all it left is drained. */
static void bury(uint32_t index)
{
    struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    ttap__sources_slot_over(index);
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        if (sub->begun)
            ttap__sub_last_call(sub, index);
    for (uint32_t level = 0; level < 2; level++) {
        struct ttap__stream_id id = {index, level, ttap__load(&slot->uid)};
        for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
            ttap__sub_stream_over(sub, id);
        reclaim_chunk(&slot->stream[level]);
    }
    forget_slot(slot);
    unfollow(index);
    ttap__slot_release(index);
}

/* A list of them. One that is not ended, or no slot at all, ends the list. */
static void bury_all(uint32_t ended)
{
    while (ended && ended <= TTAP__THREADS_MAX && ttap__load(&ttap__arena_here()->slot[ended - 1].state) == TTAP__SLOT_ENDED) {
        uint32_t next = ttap__load(&ttap__arena_here()->slot[ended - 1].next);
        bury(ended - 1);
        ended = next;
    }
}

static void drain_norecord(void)
{
    uint64_t count = ttap__load(&ttap__arena_here()->lost_norecord);
    if (count == engine.norecord_seen)
        return;
    uint64_t now_ticks = ttap__ticks();
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        ttap__sub_lost(sub, (struct ttap__stream_id){0}, TTAP__LOSS_FULL, engine.norecord_seen, count - engine.norecord_seen, now_ticks, now_ticks);
    ttap__store(&engine.lost, engine.lost + (count - engine.norecord_seen));
    engine.norecord_seen = count;
}

static void drain_threads(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t ended = ttap__ended_slots_take(); /* first: what these threads recorded is all published */
    drain_full_chunks();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        if (ttap__load_acquire(&arena->slot[i].state) == TTAP__SLOT_FREE)
            continue;
        drain_stream(i, 0);
        drain_stream(i, 1);
    }
    bury_all(ended);
    drain_norecord();
}

static uint32_t tag_of(const uint64_t *list)
{
    return (uint32_t)(ttap__load(list) >> 32);
}

static void drain(void)
{
    engine.fulls = 0;
    engine.full_tag = tag_of(&ttap__arena_here()->full_chunks);
    engine.ended_tag = tag_of(&ttap__arena_here()->ended_slots);
    drain_threads();
    ttap__sources_drain();
}

/* ---- Sessions ---- */

/* By a stream; or by a thread that is inside an event, perhaps with a chunk that it has taken and not shown yet. */
static bool chunks_are_held(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++)
        for (int level = 0; level < 2; level++)
            if (__atomic_load_n(&arena->slot[i].stream[level].busy, __ATOMIC_SEQ_CST) || ttap__load(&arena->slot[i].stream[level].published))
                return true;
    return false;
}

static bool map_chunks(void)
{
    if (ttap__share_role == TTAP__SHARE_KEEPER) {
        engine.chunks_mapped = ttap__share_chunks();
        return true;
    }
    uint32_t wanted = ttap__budget_chunks();
    if (ttap__chunks && engine.chunks_mapped >= wanted)
        return true;
    struct ttap__arena *arena = ttap__arena_here();
    if (ttap__chunks && chunks_are_held())
        return true; /* somebody still holds a chunk of the smaller area: stay with it this time */
    void *area = ttap__map((size_t)wanted * sizeof(struct ttap__chunk));
    if (!area)
        return ttap__chunks != NULL;
    if (ttap__chunks)
        ttap__advise(ttap__chunks, (size_t)engine.chunks_mapped * sizeof(struct ttap__chunk), MADV_DONTNEED);
    ttap__chunks = area;
    engine.chunks_mapped = wanted;
    ttap__store(&arena->free_chunks, ((ttap__load(&arena->free_chunks) >> 32) + 1) << 32);
    ttap__store(&arena->chunks_made, 0);
    return true;
}

/* Chunks that were left with preempted emitters when the last session stopped, and whose owners have finished since; or that these handed
 * over. The list must be empty before the area changes or is given back: its numbers mean nothing afterwards. */
static void reclaim_left_chunks(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++)
        for (int level = 0; level < 2; level++)
            if (!__atomic_load_n(&arena->slot[i].stream[level].busy, __ATOMIC_SEQ_CST))
                reclaim_chunk(&arena->slot[i].stream[level]);
    /* After that: who has finished since the session stopped has listed its full chunk before. */
    uint32_t left = engine.chunks_mapped;
    for (uint32_t at = ttap__full_chunks_take(left), next; at && at <= engine.chunks_mapped && left--; at = next) {
        next = ttap__load(&ttap__chunks[at - 1].next);
        ttap__chunk_release(at - 1);
    }
}

/* What is known of each stream. From the kernel, not the heap: 16 bytes a possible thread, of which few are touched. */
static struct ttap__follow **follow_table(void)
{
    size_t bytes = 2u * TTAP__THREADS_MAX * sizeof(struct ttap__follow *);
    struct ttap__follow **table = ttap__map(bytes);
#ifdef __SANITIZE_ADDRESS__
    if (table)
        __lsan_register_root_region(table, bytes); /* a process that exits while we record has not leaked what hangs there */
#endif
    return table;
}

static int start_session(void)
{
    struct ttap__arena *arena = ttap__arena();
    if (!arena)
        return -ENOMEM;
    if (!engine.follow)
        engine.follow = follow_table();
    reclaim_left_chunks();
    if (!engine.follow || !map_chunks())
        return -ENOMEM;
    uint32_t limit = ttap__budget_chunks();
    ttap__store(&arena->chunks_limit, limit < engine.chunks_mapped ? limit : engine.chunks_mapped);
    if (ttap__share_role == TTAP__SHARE_NONE)
        ttap__slots_end_of_gone_threads();
    bury_all(ttap__ended_slots_take());
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        struct ttap__slot *slot = &arena->slot[i];
        for (int level = 0; level < 2; level++) {
            struct ttap__slot_drained *d = &slot->drained[level];
            *d = (struct ttap__slot_drained){.uid = d->uid,
                                             .next_seq = d->next_seq,
                                             .lost_full = ttap__load(&slot->stream[level].lost_full),
                                             .lost_nested = ttap__load(&slot->stream[level].lost_nested),
                                             .sampled_out = ttap__load(&slot->stream[level].sampled_out),
                                             .last_ticks = ttap__ticks()};
        }
    }
    choose_barrier();
    engine.norecord_seen = ttap__load(&arena->lost_norecord);
    ttap__store(&arena->session, ttap__load(&arena->session) + 1);
    ttap__store(&arena->lease_ticks, ttap__clock_ticks_per_second() / 1000 * TTAP__LEASE_MS);
    ttap__store(&arena->drainer_ticks, ttap__ticks());
    engine.in_session = true;
    return 0;
}

/* Emitters that did not come back in time: at most one event each, which nobody will see. */
static void count_late(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        struct ttap__slot *slot = &arena->slot[i];
        for (uint32_t level = 0; level < 2; level++) {
            if (!in_this_session(&slot->stream[level]))
                continue;
            if (__atomic_load_n(&slot->stream[level].busy, __ATOMIC_SEQ_CST))
                lost((struct ttap__stream_id){i, level, ttap__load(&slot->uid)}, TTAP__LOSS_LATE, &slot->drained[level], 1, ttap__ticks());
            else
                drain_stream(i, level); /* it may have finished since it was drained; now it cannot any more */
        }
    }
}

/* The gate is closed, all is drained, the accounts are closed: take the chunks back. */
static void end_session(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++) {
        struct ttap__slot *slot = &arena->slot[i];
        for (uint32_t level = 0; level < 2; level++) {
            struct ttap__slot_stream *s = &slot->stream[level];
            if (__atomic_load_n(&s->busy, __ATOMIC_SEQ_CST))
                continue; /* its chunk stays with it */
            reclaim_chunk(s);
            ttap__store(&s->dirty, 0);
        }
        forget_orphans(slot);
        unfollow(i);
    }
    ttap__stacks_forget();
    engine.in_session = false;
    engine.idle_since_ns = ttap__mono_ns();
}

/* A session of whose only window there was no memory for the beginning. */
static void abandon_session(void)
{
    close_gate();
    drain();
    count_late();
    end_session();
}

/* One second after the last listener: everything back to the system. */
static void give_memory_back(void)
{
    struct ttap__arena *arena = ttap__arena_here();
    ttap__segments_trim();
    if (!arena || !ttap__chunks)
        return;
    reclaim_left_chunks();
    if (chunks_are_held())
        return; /* a thread is still inside an event: next time */
    ttap__store(&arena->free_chunks, ((ttap__load(&arena->free_chunks) >> 32) + 1) << 32);
    ttap__store(&arena->chunks_made, 0);
    int advice = ttap__share_role == TTAP__SHARE_KEEPER ? MADV_REMOVE /* of the file: others map it too */ : MADV_DONTNEED;
    ttap__advise(ttap__chunks, (size_t)engine.chunks_mapped * sizeof(struct ttap__chunk), advice);
}

/* ---- Windows ---- */

static bool same_view(const struct ttap__sub *a, const struct ttap__sub *b)
{
    return a->view.groups == b->view.groups && !strcmp(a->sampling.text, b->sampling.text);
}

static void number_views(void)
{
    engine.views = 0;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        sub->view_index = engine.views;
        for (struct ttap__sub *other = engine.subs; other != sub; other = other->next)
            if (same_view(sub, other))
                sub->view_index = other->view_index;
        engine.views += sub->view_index == engine.views;
    }
}

static void announce(struct ttap__sub *sub, int error)
{
    pthread_mutex_lock(&engine.mutex);
    sub->join_error = error;
    sub->joined = true;
    pthread_mutex_lock(&sub->mutex);
    sub->phase = error ? SUB_DRAINING : SUB_RECORDING;
    pthread_mutex_unlock(&sub->mutex);
    sub->released = error != 0;
    pthread_cond_broadcast(&engine.changed);
    pthread_mutex_unlock(&engine.mutex);
}

static uint64_t groups_wanted(void)
{
    uint64_t groups = 0;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        groups |= sub->opts.groups;
    return groups;
}

/* Out of the list of open windows. */
static void remove_sub(struct ttap__sub *sub)
{
    struct ttap__sub **at = &engine.subs;
    while (*at != sub)
        at = &(*at)->next;
    *at = sub->next;
    number_views();
}

/* Its wishes count from now on; it is told nothing yet. */
static void add_sub(struct ttap__sub *sub)
{
    sub->next = engine.subs;
    engine.subs = sub;
    number_views();
}

/* The window of a newcomer, for whom the gate is open. */
static void begin_window(struct ttap__sub *sub)
{
    if (!ttap__sub_begin(sub, ttap__thread_cpu_ns())) {
        remove_sub(sub);
        if (engine.subs)
            open_gate();
        else
            abandon_session();
        ttap__sources_stop_beyond(groups_wanted());
        announce(sub, -ENOMEM);
        return;
    }
    sub->begun = true;
    ttap__untimed_calls_note();
    ttap__sources_edge(sub->start.mono_ns);
    announce(sub, 0);
}

static void join(struct ttap__sub *sub)
{
    int error = engine.in_session ? 0 : start_session();
    if (error) {
        announce(sub, error);
        return;
    }
    ttap__sources_start(sub->opts.groups);
    ttap__sources_look(); /* both before time 0, so that all of the window is recorded */
    bool regions_begin = !(ttap__load(&ttap_gate) & TTAP_GROUP_REGION);
    add_sub(sub);
    open_gate();
    barrier_everywhere(); /* whose event the drain does not see sees the gate in what it calls next */
    drain_threads();
    if (regions_begin)
        forget_regions(); /* again: what came in since may have been let in by an older gate */
    begin_window(sub);
}

static void accept_joins(void)
{
    pthread_mutex_lock(&engine.mutex);
    struct ttap__sub *sub = engine.joining;
    engine.joining = NULL;
    pthread_mutex_unlock(&engine.mutex);
    if (sub && engine.in_session)
        drain(); /* also of sources: what is recorded up to here is not the newcomers' */
    while (sub) {
        struct ttap__sub *next = sub->next;
        join(sub);
        sub = next;
    }
}

static void release(struct ttap__sub *sub)
{
    ttap__sub_finish(sub, ttap__thread_cpu_ns());
    ttap__sub_notify(sub, ttap__mono_ns());
    pthread_mutex_lock(&engine.mutex);
    sub->released = true;
    if (sub->opts.keep)
        engine.open--;
    pthread_cond_broadcast(&engine.changed);
    pthread_mutex_unlock(&engine.mutex);
}

/* An emitter closed the gate because we had not ticked for so long. */
static bool lease_is_over(void)
{
    return engine.in_session && engine.gate_open && !(ttap__load(&ttap_gate) & TTAP__GATE_GROUPS);
}

/* False: none was over, nothing was done. */
static bool end_windows(uint64_t now_ns)
{
    bool all = true, any = false;
    /* Asked once in a tick: what is drained after that belongs to the window. Who is stopped while we drain has events behind it, and ends
     * with the next tick. */
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
        sub->over = has_reason_to_end(sub, now_ns);
    if (lease_is_over())
        lease_ran_out(); /* looked at behind the reasons: who ends for another one had an open gate until then */
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        all &= sub->over;
        any |= sub->over;
    }
    if (!any)
        return false;
    if (ttap__load(&ttap_gate) & TTAP__GATE_GROUPS)
        ttap__untimed_calls_look();
    if (all)
        close_gate();
    ttap__sources_look();
    ttap__sources_edge(ttap__mono_ns());
    drain();
    if (all)
        count_late();
    struct ttap__sub **at = &engine.subs, *over = NULL;
    while (*at) {
        struct ttap__sub *sub = *at;
        if (!sub->over) {
            at = &sub->next;
            continue;
        }
        *at = sub->next;
        sub->next = over;
        over = sub;
    }
    number_views(); /* before the gate: setting it may drain */
    if (all)
        end_session();
    else
        open_gate();
    while (over) {
        struct ttap__sub *next = over->next;
        release(over);
        over = next;
    }
    ttap__sources_stop_beyond(groups_wanted());
    return true;
}

static void give_reason(struct ttap__sub *sub, enum ttap__end why)
{
    pthread_mutex_lock(&sub->mutex);
    if (!sub->why)
        sub->why = why;
    pthread_mutex_unlock(&sub->mutex);
}

static void record_and_deliver(void)
{
    ttap__store(&ttap__arena_here()->drainer_ticks, ttap__ticks());
    uint64_t now_ns = ttap__mono_ns();
    if (!end_windows(now_ns)) {
        engine.may_close = true;
        drain();
        engine.may_close = false;
        now_ns = ttap__mono_ns();
        end_windows(now_ns);
    }
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        ttap__sub_clock(sub, now_ns);
        ttap__sub_notify(sub, now_ns);
    }
}

static bool stop_all_asked(void)
{
    pthread_mutex_lock(&engine.mutex);
    bool asked = engine.stop_all;
    pthread_mutex_unlock(&engine.mutex);
    return asked;
}

static void stop_all_done(void)
{
    pthread_mutex_lock(&engine.mutex);
    engine.stop_all = false;
    pthread_cond_broadcast(&engine.changed);
    pthread_mutex_unlock(&engine.mutex);
}

static void tick(void)
{
    if (lease_is_over())
        record_and_deliver(); /* its windows end before newcomers open the gate again: nobody counts what comes in between */
    accept_joins();
    bool stop_all = stop_all_asked();
    if (stop_all)
        for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next)
            give_reason(sub, TTAP__END_SHUTDOWN);
    if (engine.in_session)
        record_and_deliver();
    if (stop_all)
        stop_all_done();
}

/* ---- The thread ---- */

/* When to drain at the latest; while nobody listens: when to end. */
static uint64_t drain_by_ns(uint64_t now_ns)
{
    if (!engine.in_session)
        return engine.idle_since_ns + TTAP__LINGER_MS * 1000000u;
    if (engine.fulls * 4 > ttap__arena_here()->chunks_limit)
        return now_ns; /* a quarter of all chunks came in at once: do not sleep */
    uint64_t wait_ns = TTAP__LONG_TICK_MS * 1000000u, end_ns = UINT64_MAX;
    for (struct ttap__sub *sub = engine.subs; sub; sub = sub->next) {
        uint64_t patience_ns = ttap__patience_ns(now_ns - sub->start.mono_ns);
        wait_ns = patience_ns < wait_ns ? patience_ns : wait_ns;
        end_ns = sub->end_mono_ns < end_ns ? sub->end_mono_ns : end_ns;
    }
    if (engine.fulls > TTAP__MUCH_CHUNKS)
        wait_ns = 1000000u; /* sooner, while the cells are still in the cache */
    return now_ns + wait_ns < end_ns ? now_ns + wait_ns : end_ns;
}

/* Since the last drain began. */
static bool much_has_come(void)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t chunks = tag_of(&arena->full_chunks) - engine.full_tag;
    return chunks >= TTAP__MUCH_CHUNKS || chunks * 4 > ttap__load(&arena->chunks_limit) ||
           tag_of(&arena->ended_slots) - engine.ended_tag >= TTAP__MUCH_ENDED;
}

/* With engine.mutex. */
static bool is_asked(void)
{
    return engine.poked || engine.joining || engine.stop_all;
}

/* With engine.mutex. */
static void sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    pthread_cond_timedwait(&engine.wake, &engine.mutex, &until);
}

/* With engine.mutex: whoever joins from here on starts another thread. */
static void retire(void)
{
    engine.running = false;
    engine.cpu_ns_before += ttap__thread_cpu_ns();
    give_memory_back();
}

/* Sleep until there is something to do. False: nobody has listened for a while. */
static bool doze(void)
{
    uint64_t now_ns = ttap__mono_ns(), by_ns = drain_by_ns(now_ns);
    bool over = now_ns >= by_ns;
    pthread_mutex_lock(&engine.mutex);
    while (!over && !is_asked()) {
        uint64_t look_ns = now_ns + TTAP__TICK_MS * 1000000u;
        sleep_until(engine.in_session && look_ns < by_ns ? look_ns : by_ns);
        now_ns = ttap__mono_ns();
        over = now_ns >= by_ns || (engine.in_session && now_ns >= look_ns && (much_has_come() || !ttap__sources_can_wait(now_ns)));
    }
    bool go_on = engine.in_session || is_asked();
    if (!go_on)
        retire();
    engine.poked = false;
    pthread_mutex_unlock(&engine.mutex);
    return go_on;
}

static void *drainer_main(void *unused)
{
    ttap__thread_is_own();
    prctl(PR_SET_NAME, "tracetap", 0, 0, 0);
    engine.idle_since_ns = ttap__mono_ns();
    do
        tick();
    while (doze());
    return unused;
}

/* With engine.mutex. */
static int start_thread(void)
{
    if (!engine.cond_ready) {
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&engine.wake, &attr);
        pthread_cond_init(&engine.changed, &attr);
        pthread_condattr_destroy(&attr);
        engine.cond_ready = true;
    }
    if (engine.running)
        return 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int error = ttap__thread_spawn(&engine.thread, &attr, drainer_main, NULL);
    pthread_attr_destroy(&attr);
    engine.running = !error;
    return error;
}

/* ---- For callers ---- */

int ttap__engine_join(struct ttap__sub *sub)
{
    ttap__sources_ask(sub->opts.groups);
    pthread_mutex_lock(&engine.mutex);
    int error = engine.open >= engine.captures_max ? -EBUSY : start_thread();
    if (!error) {
        engine.open++;
        sub->next = engine.joining;
        engine.joining = sub;
        pthread_cond_signal(&engine.wake);
        while (!sub->joined)
            pthread_cond_wait(&engine.changed, &engine.mutex);
        error = sub->join_error;
        if (error)
            engine.open--;
        else
            engine.started++;
    }
    pthread_mutex_unlock(&engine.mutex);
    return error;
}

void ttap__engine_part(struct ttap__sub *sub)
{
    pthread_mutex_lock(&engine.mutex);
    while (!sub->released)
        pthread_cond_wait(&engine.changed, &engine.mutex);
    if (!sub->opts.keep)
        engine.open--;
    pthread_mutex_unlock(&engine.mutex);
}

void ttap__engine_poke(void)
{
    pthread_mutex_lock(&engine.mutex);
    engine.poked = true;
    if (engine.cond_ready)
        pthread_cond_signal(&engine.wake);
    pthread_mutex_unlock(&engine.mutex);
}

void ttap__captures_stop_all(void)
{
    pthread_mutex_lock(&engine.mutex);
    if (engine.running) {
        engine.stop_all = true;
        pthread_cond_signal(&engine.wake);
    }
    while (engine.stop_all && engine.running)
        pthread_cond_wait(&engine.changed, &engine.mutex);
    pthread_mutex_unlock(&engine.mutex);
}

bool ttap__engine_idle(void)
{
    pthread_mutex_lock(&engine.mutex);
    bool idle = !engine.open;
    pthread_mutex_unlock(&engine.mutex);
    return idle;
}

bool ttap__engine_running(void)
{
    pthread_mutex_lock(&engine.mutex);
    bool running = engine.running;
    pthread_mutex_unlock(&engine.mutex);
    return running;
}

unsigned ttap__captures_max(void)
{
    pthread_mutex_lock(&engine.mutex);
    unsigned n = engine.captures_max;
    pthread_mutex_unlock(&engine.mutex);
    return n;
}

int ttap__captures_max_set(unsigned n)
{
    if (n < 1 || n > TTAP__SUBS_MAX)
        return -EINVAL;
    pthread_mutex_lock(&engine.mutex);
    engine.captures_max = n;
    pthread_mutex_unlock(&engine.mutex);
    return 0;
}

static uint64_t drainer_cpu_ns(void)
{
    uint64_t ns = engine.cpu_ns_before;
    clockid_t clock;
    struct timespec ts;
    if (engine.running && !pthread_getcpuclockid(engine.thread, &clock) && !clock_gettime(clock, &ts))
        ns += ttap__ns_of(&ts);
    return ns;
}

void ttap__engine_status(struct ttap_status *status)
{
    pthread_mutex_lock(&engine.mutex);
    status->captures = engine.open;
    status->captures_max = engine.captures_max;
    status->captures_started = engine.started;
    status->events = ttap__load(&engine.events);
    status->lost = ttap__load(&engine.lost);
    status->sampled_out = ttap__load(&engine.sampled_out);
    status->drainer_cpu_ns = drainer_cpu_ns();
    pthread_mutex_unlock(&engine.mutex);
}

void ttap__engine_after_fork(void)
{
    ttap__sources_after_fork();
    ttap__stacks_after_fork();
    pthread_mutex_init(&engine.mutex, NULL);
    engine.cond_ready = false;
    engine.running = engine.poked = engine.stop_all = engine.in_session = engine.gate_open = engine.may_close = false;
    engine.joining = engine.subs = NULL;
    engine.open = engine.views = 0;
    if (ttap__chunks) /* the area stays; what the parent's threads wrote there is not ours to keep in memory */
        ttap__advise(ttap__chunks, (size_t)engine.chunks_mapped * sizeof(struct ttap__chunk), MADV_DONTNEED);
    engine.norecord_seen = 0;
    if (engine.follow)
        ttap__advise(engine.follow, 2u * TTAP__THREADS_MAX * sizeof(*engine.follow), MADV_DONTNEED);
}
