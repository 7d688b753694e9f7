/* sample_signal.h - the signal and the timers behind samples. Signal-safe.
 *
 * SIGURG, because its default is to be ignored: a program may reset it, execute another program or unblock it at any time with a sample on its way,
 * and lives on. SIGPROF, the usual one, ends it there; and it may be a profiler's, with which we get along so.
 */
#ifndef TTAP_STACKS_SAMPLE_SIGNAL_H
#define TTAP_STACKS_SAMPLE_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

enum ttap__sample_signal { TTAP__SAMPLE_SIGNAL_FREE, TTAP__SAMPLE_SIGNAL_HANDLED, TTAP__SAMPLE_SIGNAL_IGNORED, TTAP__SAMPLE_SIGNAL_REFUSED };

/* Who has it now; ours counts as free. */
enum ttap__sample_signal ttap__sample_signal_whose(void);
bool ttap__sample_signal_is_ours(void);
/* Handle it. FREE: it is ours; else why not, and nothing changed. */
enum ttap__sample_signal ttap__sample_signal_take(void);
/* If it is still ours. */
void ttap__sample_signal_give_back(void);
/* What to do, on its thread, when a timer fires that nobody wants any more. NULL (at first): nothing. */
extern void (*ttap__sample_signal_unwanted)(int tid, int timer);

/* A timer on the CPU time of a thread of this process. @from_birth: it counts from the thread's birth, else from now. Its number, or a negative errno. */
int ttap__sample_timer_set(int tid, uint64_t period_ns, bool from_birth);
void ttap__sample_timer_delete(int timer);

#endif
