/* source.h - producers of events that nobody annotated: what the engine asks of them, and what it does for them.
 *
 *   drainer   join:  start (if the window wants the source's groups) -> look -> header -> edge(start of the window)
 *             tick:  drain
 *             end:   look -> edge(now) -> drain -> trailer -> stop (if nobody wants its groups any more)
 *
 * A source exists only while somebody listens to it. All its calls but status come on the drainer's thread. It writes streams of
 * its own, one a thread of the traced process: level `level` of the thread, with sequence numbers of its own.
 *
 * A thread has one number in captures, whoever saw it first: annotations (its slot) or a source. The drainer alone gives numbers out.
 */
#ifndef TTAP_CAPTURE_SOURCE_H
#define TTAP_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

#define TTAP__SOURCES_MAX 8u
#define TTAP__SOURCE_NAME_FIRST 2u /* even and above 1, as the versions of names in slots */

struct ttap__source_thread {
    int pid, tid;
    uint64_t number;
    uint32_t name_version; /* TTAP__SOURCE_NAME_FIRST; another one: the name has changed. Always even */
};

struct ttap__source {
    const char *name; /* as in the status, and after "source." in the notes of a capture */
    uint64_t groups;
    uint32_t level;
    bool knows_ends; /* a thread that it calls over has ended; for others it may only be out of sight, as while it executes another program */
    /* All that follow may be NULL but start, stop, after_fork and status: there is nothing to do then. */
    /* Somebody is about to ask for a window, or for the status: on that thread of the program, before anything else. */
    void (*ask)(void);
    /* Begin to record. What cannot be had is left out, and status() says so. */
    void (*start)(void);
    /* A window is about to begin or to end: do what takes time now. */
    void (*look)(void);
    /* A window begins or ends at this time: say where every thread stands. Take effect before or with the next drain. */
    void (*edge)(uint64_t mono_ns);
    void (*drain)(void);
    /* What there is to drain is as good some ticks later. NULL: never. With the engine's lock held. */
    bool (*can_wait)(uint64_t now_ns);
    /* A thread is gone and its slot about to be given back: the last look at what the slot holds. */
    void (*slot_over)(uint32_t slot);
    void (*stop)(void);
    /* The child of fork(): forget, without touching what is the parent's. */
    void (*after_fork)(void);
    /* The number under which a thread is known to it; 0: not known. */
    uint64_t (*number_of)(int pid, int tid);
    /* The thread at @index of its table, for a THREADS row. Not NULL where it has streams. */
    struct ttap__source_thread (*thread)(uint32_t index);
    /* What is recorded now or would be, in one line each; any thread. @enable: the line that would change it, or "". */
    void (*status)(bool *on, char *why, char *enable, size_t size);
    /* How much the kernel lets it see, as a number that its documentation explains; without it, on and off is all it knows. */
    unsigned (*tier)(void);
};

/* Those that are linked in, NULL-terminated. Defined where the library is put together (sources/register.c): capture knows none by name. */
extern const struct ttap__source *const ttap__sources_linked[];

/* ---- What the engine does for a source ---- */

/* A run of packed events of one thread, all at or behind @first_ns: to every window that wants the source's groups and has begun by then. */
struct ttap__source_run {
    uint32_t index; /* of the thread in the source's table */
    uint64_t number;
    uint64_t first_seq, first_ns, base_ticks, last_ticks;
    uint32_t count;
    const unsigned char *events;
    size_t bytes;
};
#define TTAP__SOURCE_RUN_BYTES_MAX 4096u
void ttap__source_events(const struct ttap__source *source, const struct ttap__source_run *run);
/* @lost events are missing from @first_seq on: the source's buffer was full. */
void ttap__source_lost(const struct ttap__source *source, uint32_t index, uint64_t number, uint64_t first_seq, uint64_t lost, uint64_t from_ticks,
                       uint64_t to_ticks);
/* The thread is gone and all about it is told. */
void ttap__source_thread_over(const struct ttap__source *source, uint32_t index, uint64_t number);
/* The number of a thread that the source sees for the first time. */
uint64_t ttap__source_number(int pid, int tid);

/* What the tracer may use for everything: for choosing the size of buffers, which are charged with ttap__budget_take(). */
uint64_t ttap__budget_bytes(void);

/* ---- What the drainer and its subscribers call ---- */
/* On the thread that asks for a window of these groups. */
void ttap__sources_ask(uint64_t groups);
void ttap__sources_start(uint64_t groups);
void ttap__sources_look(void);
void ttap__sources_edge(uint64_t mono_ns);
void ttap__sources_drain(void);
bool ttap__sources_can_wait(uint64_t now_ns);
void ttap__sources_slot_over(uint32_t slot);
/* @source says that a thread is over. */
void ttap__sources_thread_over(const struct ttap__source *source, uint64_t number);
/* Stop those of which nobody wants anything. */
void ttap__sources_stop_beyond(uint64_t groups);
void ttap__sources_after_fork(void);
/* The number of the thread in a slot. */
uint64_t ttap__slot_number(uint32_t slot, uint64_t uid);
const struct ttap__source *ttap__source_of_level(uint32_t level);
/* The @at-th source; NULL behind the last. */
const struct ttap__source *ttap__source_at(uint32_t at);

#endif
