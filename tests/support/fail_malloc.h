/* fail_malloc.h - a run in which each allocation fails, one after the other.
 *
 *      for (fail_malloc_after(0); !try_it(); fail_malloc_after(++n)) ...      or fail_malloc_each(try_it, arg)
 *
 * Link with ttap-fail-malloc: its link options send malloc, calloc and realloc of everything linked statically through here. */
#ifndef TTAP_TEST_FAIL_MALLOC_H
#define TTAP_TEST_FAIL_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/** From now on @allowed allocations of this thread succeed and the next one fails; those after it succeed again. */
void fail_malloc_after(long allowed);
/** Nothing fails any more. True: the failure had been delivered. */
bool fail_malloc_off(void);

/** Calls @attempt with each allocation failing in turn, until one run asked for fewer. Returns how many failed. */
long fail_malloc_each(void (*attempt)(void *arg), void *arg);

#endif
