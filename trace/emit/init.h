/* init.h - the little of pthreads that emitting needs, kept out of the emit objects. */
#ifndef TTAP_EMIT_INIT_H
#define TTAP_EMIT_INIT_H

#include <stdint.h>

struct ttap__record;

/* Destructor rounds the system runs (PTHREAD_DESTRUCTOR_ITERATIONS is 4 in glibc and musl). */
#ifdef __SANITIZE_THREAD__
#define TTAP__EXIT_ROUNDS 3 /* in the last round ThreadSanitizer has taken its state of the thread down, and atomics crash in it */
#else
#define TTAP__EXIT_ROUNDS 4
#endif

/* Have ttap__thread_exit(record) called when the calling thread ends, as far as that can be arranged without malloc. */
void ttap__exit_hook_arm(struct ttap__record *record);
void ttap__thread_exit(void *record);

/* How many fork()s lie between the program's start and this process. */
extern uint32_t ttap__forks;

/* Set by trace/hooks where it is part of the process. */
extern int ttap__hooks_linked;

#endif
