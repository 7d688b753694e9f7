/* roster.h - the threads of the traced process as the scheduler's source knows them, and the events gathered for each.
 *
 *   event, event, ... --> 384 bytes of the thread --> a run, when they are full, 100 ms old, or a window begins or ends
 *
 * Drainer only. Memory is charged to the budget; a thread that does not fit is not told about (and counted).
 */
#ifndef TTAP_SOURCES_ROSTER_H
#define TTAP_SOURCES_ROSTER_H

#include "proc.h"
#include "source.h"

enum ttap__state { TTAP__UNKNOWN, TTAP__RUNNING, TTAP__RUNNABLE, TTAP__BLOCKED, TTAP__GONE, TTAP__READY /* running or runnable */ };

/* 384: a busy thread fills it in about 60 switches, so that the 40 bytes of a run's head do not count. */
#define TTAP__THREAD_EVENT_BYTES 384u

struct ttap__sched_waker {
    uint64_t ns;
    uint64_t number; /* its thread's; 0: none of ours */
    uint8_t cause;   /* of sched_wake */
};

struct ttap__sched_thread {
    struct ttap__sched_thread *next; /* of the same bucket, or free */
    uint32_t index;
    int pid, tid;
    uint64_t number;
    uint32_t name_version;
    uint32_t scan; /* the scan that saw it last */
    uint8_t state; /* enum ttap__state, after all events so far */
    bool live;
    bool doubtful;                  /* records were lost since its last one, and some may have been its own */
    uint32_t cpu;                   /* + 1; 0: unknown */
    uint64_t runs;                  /* switch-ins seen */
    struct ttap__sched_waker early; /* a wake that came before it slept; ns 0: none */
    /* As looked at last; settled when all records up to look_ns have been taken. */
    bool looked, settled, first_settled;
    uint8_t seen; /* enum ttap__state; UNKNOWN: only its totals were looked at */
    uint64_t look_ns;
    uint64_t runs_then; /* `runs` at that time */
    struct ttap__proc_totals totals, first_totals;
    uint64_t first_runs, lost_runs;
    long call; /* TTAP__CALL_* or a number */
    /* The run being gathered. */
    uint64_t next_seq, first_seq, first_ns, last_ns, base_ticks, last_ticks;
    uint32_t count, bytes;
    unsigned char events[TTAP__THREAD_EVENT_BYTES];
};

/* Drops all threads. */
void ttap__threads_forget(void);
/* The child of fork(): the table may have been in use, so it is left where it is. */
void ttap__threads_after_fork(void);
struct ttap__sched_thread *ttap__threads_find(int tid);
/* NULL: no memory in the budget. */
struct ttap__sched_thread *ttap__threads_add(int pid, int tid);
struct ttap__sched_thread *ttap__threads_at(uint32_t index);
/* Each live one: for (t = next(NULL); t; t = next(t)). */
struct ttap__sched_thread *ttap__threads_next(struct ttap__sched_thread *after);
unsigned ttap__threads_count(void);
/* How many had no room. */
uint64_t ttap__threads_untold(void);
/* It is gone and its events are delivered. */
void ttap__threads_remove(struct ttap__sched_thread *thread);

/* ---- Events ---- */

/* Begin an event of @kind at this time; up to @fields varints may follow. */
void ttap__thread_event(struct ttap__sched_thread *thread, unsigned kind, uint64_t ns, uint64_t ticks, unsigned fields);
void ttap__thread_field(struct ttap__sched_thread *thread, uint64_t value);
void ttap__thread_flush(struct ttap__sched_thread *thread);

#endif
