/* states.h - what a thread was doing, from the events of its scheduler stream: one sequence of states without gap or overlap.
 *
 *      look         run     block            run  preempt  run        end
 *   ---|--blocked---|running|----blocked-----|run-|runnable|-running--|--gone---
 *      ^ known backwards to the window's start
 *
 * The rule is docs/design/states.md. Where every switch is recorded, an event begins the next state. Where the thread was only looked at now and
 * then, what lies between two looks is told in as many pieces as its totals have parts, flagged `estimated`: how long it ran and waited
 * there is exact, when is not. Missing events make the time up to the next event unknown.
 */
#ifndef TTAP_MODEL_STATES_H
#define TTAP_MODEL_STATES_H

#include "rows.h"

enum ttap__state { TTAP__STATE_UNKNOWN, TTAP__STATE_RUNNING, TTAP__STATE_RUNNABLE, TTAP__STATE_BLOCKED, TTAP__STATE_GONE, TTAP__STATES };

struct ttap__state_span {
    uint8_t state, why; /* why: of blocked; 0 unknown, 1 lock, 2 network, 3 file, 4 sleep */
    uint8_t flags;      /* TTAP__OPEN_START, _OPEN_END, _ESTIMATED */
    int32_t cpu;        /* of running; -1 unknown */
    int32_t call;       /* of blocked: the system call; -1 unknown */
    int64_t start_ns, end_ns;
};

struct ttap__state_wake {
    int64_t at_ns, run_ns; /* when it could run; how long until it did, -1 if it had not when the window ended */
    uint64_t by;           /* the thread that woke it; 0: none of this process */
    uint64_t cause;        /* 1 thread, 2 other process, 3 interrupt */
};

/* Who is told of spans and wakes, in order of time. */
struct ttap__states_tell {
    void (*span)(void *arg, const struct ttap__state_span *span);
    void (*wake)(void *arg, const struct ttap__state_wake *wake);
    void *arg;
};

struct ttap__states {
    bool begun, ready;                /* ready: running or runnable, which of the two the next event tells */
    bool lost;                        /* events are missing since the last one */
    bool looked;                      /* totals are known */
    bool woken;                       /* and has not run since */
    struct ttap__state_span span;     /* going on; end_ns is not yet known */
    struct ttap__state_span held;     /* the one before, not told yet: what follows may be more of the same. Empty: end_ns is start_ns */
    uint64_t run_ns, wait_ns, slices; /* totals at looked_ns */
    int64_t looked_ns;
    uint64_t switches_since; /* the last look */
    struct ttap__state_wake wake;
    int64_t last_ns;
    uint64_t disagreements; /* events that cannot follow each other though nothing was lost */
};

void ttap__states_event(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell);
void ttap__states_lost(struct ttap__states *states);
/* The window is over. Threads of which nothing is known have no span. */
void ttap__states_finish(struct ttap__states *states, int64_t end_ns, const struct ttap__states_tell *tell);

#endif
