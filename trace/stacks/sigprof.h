/* sigprof.h - the signal and the timers behind samples. Signal-safe. */
#ifndef TTAP_STACKS_SIGPROF_H
#define TTAP_STACKS_SIGPROF_H

#include <stdbool.h>
#include <stdint.h>

enum ttap__sigprof { TTAP__SIGPROF_FREE, TTAP__SIGPROF_HANDLED, TTAP__SIGPROF_IGNORED, TTAP__SIGPROF_REFUSED };

/* Who has it now; ours counts as free. */
enum ttap__sigprof ttap__sigprof_whose(void);
bool ttap__sigprof_is_ours(void);
/* Handle it. FREE: it is ours; else why not, and nothing changed. */
enum ttap__sigprof ttap__sigprof_take(void);
/* If it is still ours. All timers must be gone. */
void ttap__sigprof_give_back(void);
/* What to do, on its thread, when a timer fires that nobody wants any more. NULL (at first): nothing. */
extern void (*ttap__sigprof_unwanted)(int tid, int timer);

/* A timer on the CPU time of a thread of this process. @from_birth: it counts from the thread's birth, else from now. Its number, or a negative errno. */
int ttap__sample_timer_set(int tid, uint64_t period_ns, bool from_birth);
void ttap__sample_timer_delete(int timer);

#endif
