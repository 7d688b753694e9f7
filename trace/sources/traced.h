/* traced.h - whose threads the scheduler's source records: this process's; or, for the keeper of a shared arena, those of the program and of all
 * members and their children. Drainer and clerk only, which take turns. */
#ifndef TTAP_SOURCES_TRACED_H
#define TTAP_SOURCES_TRACED_H

#include <stdbool.h>

/* Who it is now. */
void ttap__traced_start(void);
/* More than this process: events are inherited by children too. */
bool ttap__traced_are_many(void);
bool ttap__traced(int pid);
/* A child of one that is traced. */
void ttap__traced_add(int pid);
/* Call @each with every thread there is; returns how many. */
int ttap__traced_threads(void (*each)(void *arg, int pid, int tid), void *arg);

#endif
