/* trouble.h - what can go wrong in a service, each on request, so that there is something to find in a capture. */
#ifndef PIPELINE_TROUBLE_H
#define PIPELINE_TROUBLE_H

#include <stdbool.h>

#include "options.h"

/** Before anything else here is called. False: no threads; trouble_stop() is still due. */
bool trouble_start(const struct options *options);
void trouble_stop(void);

/** A lookup in the cache that all requests share. With --slow-lock its lock is held far too long. */
int cache_lookup(long key);

/** With --alloc-pressure: make one request's garbage. It is freed by a collector that stops whoever allocates
 * meanwhile. */
void garbage_make(void);

#endif
