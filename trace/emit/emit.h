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
#define TTAP__MARK_CELLS_MAX 4 /* both */

/* Region end cells: the thread had no open region, so this one began before recording did. */
#define TTAP__END_UNMATCHED (UINT64_C(1) << 63)

struct ttap__emission {
    struct ttap__record *rec;
    struct ttap__stream *s;
};

/* For hooks: an event of the current task with three arguments; one with an object and a text; a name's number. As the public calls. */
void ttap__emit_fact(uint64_t group, unsigned kind, uint64_t a, uint64_t b, uint64_t c);
void ttap__emit_object(uint64_t group, unsigned kind, uint64_t object, const char *text, size_t len_bytes);
uint32_t ttap__emit_name(struct ttap_name *name);

void ttap__emission_lost_nested(struct ttap__stream *s);
bool ttap__emission_mark(struct ttap__record *rec, struct ttap__stream *s);

static inline void ttap__emission_close(struct ttap__emission *e)
{
    /* Release: whoever sees busy 0 after closing the gate also sees what was published. */
    ttap__store_release(&e->s->shared->busy, 0);
}

/* This thread's record, and the stream of it that is free to use. False: it has none, or both are in use (counted). */
static inline __attribute__((always_inline)) bool ttap__emission_stream(struct ttap__emission *e)
{
    struct ttap__record *rec = ttap__tls;
    if (ttap__unlikely(!rec->stream[0].shared)) {
        if (!ttap__attach()) {
            ttap__count_without_record();
            return false;
        }
        rec = ttap__tls;
    }
    struct ttap__stream *s = &rec->stream[0];
    if (ttap__unlikely(ttap__load(&s->shared->busy))) { /* we are a signal handler inside an emission of this thread */
        s = &rec->stream[1];
        if (ttap__load(&s->shared->busy)) {
            ttap__emission_lost_nested(s);
            return false;
        }
    }
    e->rec = rec;
    e->s = s;
    return true;
}

/* Begin to record an event of @group. False: the gate is closed to it; nothing to close. */
static inline __attribute__((always_inline)) bool ttap__emission_start(struct ttap__emission *e, uint64_t group)
{
    struct ttap__stream *s = e->s;
    __atomic_store_n(&s->shared->busy, 1, __ATOMIC_SEQ_CST); /* Dekker with close_gate() in drainer.c */
    uint64_t gate = __atomic_load_n(&ttap_gate, __ATOMIC_SEQ_CST);
    if (ttap__unlikely((gate >> TTAP__GATE_EPOCH_SHIFT) != s->epoch))
        ttap__refresh(e->rec, s, gate);
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
    ttap__count_one(&e->s->shared->sampled_out);
}

/* The current task is kept by nobody, and nothing has changed since that was decided: count, and be done without the barrier. */
static inline bool ttap__emission_passes_by(struct ttap__emission *e)
{
    if (ttap__likely(!e->rec->muted) || (ttap__load(&ttap_gate) >> TTAP__GATE_EPOCH_SHIFT) != e->s->epoch)
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
    struct ttap__stream *s = e->s;
    if (ttap__unlikely(s->marks) && !ttap__emission_mark(e->rec, s))
        return NULL;
    if (ttap__likely((size_t)(s->end - s->cell) >= 2 * (size_t)cells) || ttap__take_chunk(e->rec, s))
        return s->cell;
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

/* Show @cells cells to the drainer and close. */
static inline void ttap__emission_publish(struct ttap__emission *e, unsigned cells)
{
    struct ttap__stream *s = e->s;
    s->cell += 2 * cells;
    s->publish += cells;
    ttap__store_release(&s->shared->published, s->publish); /* acquire: drain_stream() in drainer.c */
    ttap__emission_close(e);
}

/* ---- The usual case, without a call and so without a stack frame: stream 0, nothing changed, room in the chunk. ----
 * The processor spends most of an event in reading its counter; what keeps a pair at 1.0x the cost of two readings is that the rest
 * is few instructions. Whatever is unusual gives up before it has done anything, and the caller takes the general course above. */

/* Stream 0, in a task that nobody keeps: counted, nothing else to do. The barrier is not needed, as nothing is written for the drainer. */
static inline __attribute__((always_inline)) bool ttap__fast_passes_by(struct ttap__record *rec)
{
    struct ttap__stream *s = &rec->stream[0];
    if (ttap__unlikely(!rec->muted || ttap__load(&s->shared->busy) || ttap__load(&ttap_gate) != rec->fast_gate))
        return false;
    ttap__count_one(&s->shared->sampled_out);
    return true;
}

/* Where to write @cells cells, with busy set; or NULL. */
static inline __attribute__((always_inline)) uint64_t *ttap__fast_open(struct ttap__record *rec, uint64_t group, unsigned cells)
{
    struct ttap__stream *s = &rec->stream[0];
    struct ttap__slot_stream *shared = rec->fast;
    if (ttap__unlikely(!shared) || ttap__unlikely(ttap__load(&shared->busy)))
        return NULL;
    ttap__store(&shared->busy, 1); /* Dekker with close_gate() in drainer.c, which has the barrier for both */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint64_t gate = ttap__load_acquire(&ttap_gate);
    bool room = s->cell + 2 * cells <= s->end;
    if (ttap__likely(gate == rec->fast_gate && (gate & group) && room))
        return s->cell;
    ttap__store_release(&shared->busy, 0);
    return NULL;
}

static inline __attribute__((always_inline)) void ttap__fast_publish(struct ttap__record *rec, unsigned kind, uint64_t first_arg, unsigned cells)
{
    struct ttap__stream *s = &rec->stream[0];
    struct ttap__slot_stream *shared = s->shared; /* not rec->fast: a handler since may have closed the fast path for the next event */
    uint64_t *cell = s->cell;
    ttap__store(&cell[0], ttap__ticks_counter() << 8 | kind);
    ttap__store(&cell[1], first_arg);
    s->cell = cell + 2 * cells;
    s->publish += cells;
    ttap__store_release(&shared->published, s->publish); /* acquire: drain_stream() in drainer.c */
    ttap__store_release(&shared->busy, 0); /* as in ttap__emission_close() */
}

#endif
