/* causes.h - why a thread was blocked: the scheduler says when, hooks say in which call. One small join for each thread.
 *
 *   calls   ---[ recv fd 7 ]------------[ mutex 0x.. ]---      told when they return
 *   states  -run-[  blocked ]-run-------run-[ blocked ]-run    told later, in order
 *                    = network, fd 7            = lock, 0x..
 *
 * The rule: a blocked stretch belongs to the call that covers most of it, the innermost if there are several, and at least half. Both streams
 * are in order of time but come in turns, so a stretch waits until the calls have got as far, and while none covers it (the outer one of two may
 * be told later, and a wait that others take the lock from at each wake has thousands of stretches), at most SPANS_MAX of them; and a call is kept
 * until the stretches have got as far, at most CALLS_MAX of them, of more the longer ones. A stretch that meets no call keeps what the scheduler's
 * stream knew, and is counted.
 */
#ifndef TTAP_MODEL_CAUSES_H
#define TTAP_MODEL_CAUSES_H

#include "allowance.h"
#include "states.h"

/* The scheduler's stream may come 100 ms after the calls: 4,096 are 40,000 a second. A busy server makes more, but most of them return at once, and
 * no thread sleeps and runs again in twice the 1 us that are let go first. */
enum { TTAP__CAUSE_CALLS_MIN = 32, TTAP__CAUSE_CALLS_MAX = 4096, TTAP__CAUSE_SHORT_NS = 1000 };
/* A wait that is woken each 5 ms, as for Python's interpreter lock, has three stretches each time: 4,096 are 7 s of it. They are a few pages a
 * thread, so beyond the least they take no more than half of what all tables may. */
enum { TTAP__CAUSE_SPANS_MIN = 64, TTAP__CAUSE_SPANS_MAX = 4096 };

struct ttap__cause_call {
    int64_t start_ns, end_ns;
    uint8_t why; /* as in struct ttap__state_span */
    int32_t op, object, stack;
    int64_t earliest_ns; /* start of the earliest from this one on: a call returns after those that a handler makes inside of it. Ours to fill in */
};

/* A stretch on its way out. */
struct ttap__cause_span {
    struct ttap__state_span span;
    int32_t op, object, stack; /* -1: none */
};

struct ttap__causes {
    struct ttap__allowance *allowance;
    struct ttap__cause_call *calls; /* in order of their ends; a ring of calls_room, a power of two */
    struct ttap__cause_span *spans; /* waiting; a ring, too */
    unsigned calls_room, calls_first, calls_count, spans_room, spans_first, spans_count;
    bool hooked;            /* there was a call */
    int64_t calls_until_ns; /* the latest return */
    uint64_t unexplained;
};

typedef void (*ttap__cause_tell_fn)(void *arg, const struct ttap__cause_span *span);

void ttap__causes_call(struct ttap__causes *causes, const struct ttap__cause_call *call, ttap__cause_tell_fn tell, void *arg);
void ttap__causes_span(struct ttap__causes *causes, const struct ttap__state_span *span, ttap__cause_tell_fn tell, void *arg);
/* No more calls come: tell all that still waits. */
void ttap__causes_finish(struct ttap__causes *causes, ttap__cause_tell_fn tell, void *arg);
void ttap__causes_free(struct ttap__causes *causes);

#endif
