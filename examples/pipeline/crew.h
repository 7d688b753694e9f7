/* crew.h - several threads that run one function, numbered and named. */
#ifndef PIPELINE_CREW_H
#define PIPELINE_CREW_H

#include <pthread.h>
#include <stdbool.h>

enum { CREW_MAX = 256 };

struct crew {
    pthread_t threads[CREW_MAX];
    unsigned count;
};

/** Start @count threads more, named @name-1, @name-2, ...; each runs @run(@arg). False: the system gave too few. */
bool crew_start(struct crew *crew, const char *name, unsigned count, void (*run)(void *arg), void *arg);
/** Wait until all have returned. */
void crew_join(struct crew *crew);

#endif
