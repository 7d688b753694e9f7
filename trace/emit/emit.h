/* emit.h - the fast path: open an emission, write cells, close it. Inlined into each event's function.
 *
 *      busy = 1 ; load gate ; epoch as before? ; group wanted? ; task kept? ; room? ; ticks ; cells ; publish ; busy = 0
 *
 * A cell is 16 bytes. Word 0 of an event is ticks << 8 | kind, the other words are its arguments; an event has 1, 3, 5, ... of them,
 * so that it fills whole cells. Kinds are those of events.def; what the arguments are is in trace/capture/packer.c, beside
 * the code that reads them.
 */
#ifndef TTAP_EMIT_EMIT_H
#define TTAP_EMIT_EMIT_H

#include "arena.h"
#include "clock.h"
#include "kinds.h"

/* A cell kind that never reaches the wire: up to here the stream had lost this many (word 1) to a second handler. */
#define TTAP__CELL_LOST_NESTED 255
/* Another one, of three cells like an entered task: from here on the stream belongs to this task, which its thread had entered untold. */
#define TTAP__CELL_TASK 254
/* And a third: only this many regions (word 1) of those that were open still are; the ends of the others were not told. */
#define TTAP__CELL_DEPTH 253
#define TTAP__MARK_CELLS_MAX 5 /* all of them */

/* Region end cells: the thread had no open region, so this one began before recording did. */
#define TTAP__END_UNMATCHED (UINT64_C(1) << 63)

/* An event being written. All that it dereferences: the record may be wiped meanwhile, see arena.h. */
struct ttap__emission {
    struct ttap__record *rec;
    struct ttap__stream *s;
    struct ttap__slot_stream *shared;
};

/* For hooks: an event of the current task with three arguments; one with an object and a text; a name's number. As the public calls. */
void ttap__emit_fact(uint64_t group, unsigned kind, uint64_t a, uint64_t b, uint64_t c);
void ttap__emit_object(uint64_t group, unsigned kind, uint64_t object, const char *text, size_t len_bytes);
uint32_t ttap__emit_name(struct ttap_name *name);

/* Of which shared is a stream. */
static inline struct ttap__slot *ttap__emission_slot(const struct ttap__emission *e)
{
    return (struct ttap__slot *)(e->shared - (e->s - e->rec->stream));
}

bool ttap__emission_nested(struct ttap__emission *e);
bool ttap__emission_mark(struct ttap__emission *e);

static inline void ttap__emission_close(struct ttap__emission *e)
{
    /* Release: whoever sees busy 0 after closing the gate also sees what was published. */
    ttap__store_release(&e->shared->busy, 0);
}

/* This thread's record, and the stream of it that is free to use. False: it has none, or both are in use (counted). */
static inline __attribute__((always_inline)) bool ttap__emission_stream(struct ttap__emission *e)
{
    e->rec = ttap__tls;
    e->s = &e->rec->stream[0];
    e->shared = e->s->shared;
    if (ttap__unlikely(!e->shared)) {
        if (!ttap__attach()) {
            ttap__count_without_record();
            return false;
        }
        e->rec = ttap__tls;
        e->s = &e->rec->stream[0];
        e->shared = e->s->shared;
        if (!e->shared)
            return false;
    }
    return ttap__likely(!ttap__load(&e->shared->busy) && !ttap__load(&e->shared[1].busy)) || ttap__emission_nested(e);
}

/* Begin to record an event of @group. False: the gate is closed to it; nothing to close. */
static inline __attribute__((always_inline)) bool ttap__emission_start(struct ttap__emission *e, uint64_t group)
{
    __atomic_store_n(&e->shared->busy, ttap__stack_here(), __ATOMIC_SEQ_CST); /* Dekker with close_gate() in drainer.c */
    uint64_t gate = __atomic_load_n(&ttap_gate, __ATOMIC_SEQ_CST);
    if (ttap__unlikely((gate >> TTAP__GATE_EPOCH_SHIFT) != e->s->epoch))
        ttap__refresh(e, gate);
    if (ttap__likely(gate & group))
        return true;
    ttap__emission_close(e);
    return false;
}

/* One instruction as far as handlers of this thread are concerned: when passing by, busy is not set, and they count in the same word. */
static inline void ttap__count_one(uint64_t *count)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__ volatile("incq %0" : "+m"(*count));
#else
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
#endif
}

static inline void ttap__emission_count_muted(struct ttap__emission *e)
{
    ttap__count_one(&e->shared->sampled_out);
}

/* Looked at behind the gate: a handler in between may have been the first to hear of an epoch, in which the task is kept after all. */
static inline bool ttap__is_still_muted(const struct ttap__record *rec)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return rec->muted;
}

/* The current task is kept by nobody, or not so any more; ends of its own regions need not be made up for, see mark_depth() in emit.c. */
static inline void ttap__set_muted(struct ttap__record *rec, bool muted)
{
    struct ttap__stream *s = &rec->stream[0];
    if (muted != (s->told_depth != UINT32_MAX))
        s->told_depth = muted ? s->depth : UINT32_MAX;
    rec->muted = muted;
}

/* The current task is kept by nobody, and nothing has changed since that was decided: count, and be done without the barrier. */
static inline bool ttap__emission_passes_by(struct ttap__emission *e)
{
    if (ttap__likely(!e->rec->muted) || (ttap__load(&ttap_gate) >> TTAP__GATE_EPOCH_SHIFT) != e->s->epoch || !ttap__is_still_muted(e->rec))
        return false;
    ttap__emission_count_muted(e);
    return true;
}

/* The same, found out after starting. */
static inline bool ttap__emission_muted(struct ttap__emission *e)
{
    if (ttap__likely(!e->rec->muted))
        return false;
    ttap__emission_count_muted(e);
    ttap__emission_close(e);
    return true;
}

/* All of the above, for an event that belongs to the current task. */
static inline __attribute__((always_inline)) bool ttap__emission_open(struct ttap__emission *e, uint64_t group)
{
    return ttap__emission_stream(e) && !ttap__emission_passes_by(e) && ttap__emission_start(e, group) && !ttap__emission_muted(e);
}

/* Room for @cells cells. NULL: lost, counted and closed. */
static inline uint64_t *ttap__emission_reserve(struct ttap__emission *e, unsigned cells)
{
    if (ttap__unlikely(e->s->marks) && !ttap__emission_mark(e))
        return NULL;
    uint64_t *cell = e->s->cell;
    if (ttap__likely((size_t)(e->s->end - cell) >= 2 * (size_t)cells))
        return cell;
    if (ttap__take_chunk(e) && (cell = e->s->cell))
        return cell;
    ttap__emission_close(e);
    return NULL;
}

static inline void ttap__emission_write_head(uint64_t *cell, unsigned kind, uint64_t first_arg)
{
    /* Relaxed stores: the release of `published` orders them. */
    ttap__store(&cell[0], ttap__ticks() << 8 | kind);
    ttap__store(&cell[1], first_arg);
}

/* @len_bytes of text into whole cells; the tail of the last one is zero. */
static inline void ttap__emission_write_text(uint64_t *words, const char *text, size_t len_bytes)
{
    size_t padded = (len_bytes + 15) / 16 * 16;
    for (size_t at = 0; at < padded; at += 8) {
        uint64_t word = 0;
        for (size_t i = 0; i < 8 && at + i < len_bytes; i++)
            word |= (uint64_t)(unsigned char)text[at + i] << (8 * i);
        ttap__store(&words[at / 8], word);
    }
}

/* Show @cells cells to the drainer. */
static inline void ttap__emission_show(struct ttap__emission *e, unsigned cells)
{
    struct ttap__stream *s = e->s;
    s->cell += 2 * cells;
    s->publish += cells;
    ttap__store_release(&e->shared->published, s->publish); /* acquire: drain_stream() in drainer.c */
}

static inline void ttap__emission_publish(struct ttap__emission *e, unsigned cells)
{
    ttap__emission_show(e, cells);
    ttap__emission_close(e);
}

/* ---- The usual case, without a call and so without a stack frame: stream 0, nothing changed, room in the chunk. ----
 * The processor spends most of an event in reading its counter; what keeps a pair at 1.0x the cost of two readings is that the rest
 * is few instructions. Whatever is unusual gives up before it has done anything, and the caller takes the general course above. */

/* Stream 0, in a task that nobody keeps: counted, nothing else to do. The barrier is not needed, as nothing is written for the drainer. */
static inline __attribute__((always_inline)) bool ttap__fast_passes_by(struct ttap__record *rec)
{
    struct ttap__slot_stream *shared = rec->stream[0].shared;
    if (ttap__unlikely(!rec->muted || !shared || ttap__load(&shared->busy) || ttap__load(&ttap_gate) != rec->seen_gate || !ttap__is_still_muted(rec)))
        return false;
    ttap__count_one(&shared->sampled_out);
    return true;
}

/* An event that takes the fast path, as ttap__emission. */
struct ttap__fast {
    uint64_t *cell;
    struct ttap__slot_stream *shared;
};

/* Room for @cells cells, with busy set. False: nothing was done. */
static inline __attribute__((always_inline)) bool ttap__fast_open(struct ttap__fast *f, struct ttap__record *rec, uint64_t group, unsigned cells)
{
    struct ttap__stream *s = &rec->stream[0];
    struct ttap__slot_stream *shared = rec->fast;
    if (ttap__unlikely(!shared) || ttap__unlikely(ttap__load(&shared->busy)))
        return false;
    ttap__store(&shared->busy, ttap__stack_here()); /* Dekker with close_gate() in drainer.c, which has the barrier for both */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint64_t gate = ttap__load_acquire(&ttap_gate);
    uint64_t *cell = s->cell;
    bool room = cell + 2 * cells <= s->end;
    if (ttap__likely(gate == rec->fast_gate && (gate & group) && room)) {
        *f = (struct ttap__fast){cell, shared};
        return true;
    }
    ttap__store_release(&shared->busy, 0);
    return false;
}

static inline __attribute__((always_inline)) void ttap__fast_show(struct ttap__fast *f, struct ttap__record *rec, unsigned kind, uint64_t first_arg,
                                                                  unsigned cells)
{
    struct ttap__stream *s = &rec->stream[0];
    ttap__store(&f->cell[0], ttap__ticks_counter() << 8 | kind);
    ttap__store(&f->cell[1], first_arg);
    s->cell = f->cell + 2 * cells;
    s->publish += cells;
    ttap__store_release(&f->shared->published, s->publish); /* acquire: drain_stream() in drainer.c */
}

static inline __attribute__((always_inline)) void ttap__fast_close(struct ttap__fast *f)
{
    ttap__store_release(&f->shared->busy, 0); /* as in ttap__emission_close() */
}

static inline __attribute__((always_inline)) void ttap__fast_publish(struct ttap__fast *f, struct ttap__record *rec, unsigned kind,
                                                                     uint64_t first_arg, unsigned cells)
{
    ttap__fast_show(f, rec, kind, first_arg, cells);
    ttap__fast_close(f);
}

#endif
