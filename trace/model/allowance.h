/* allowance.h - memory with a limit, for tables that grow with what a capture says.
 *
 *      [ tables of the model ............ | rows waiting to be written ... ]  <= limit
 *                                          ^ the model may push rows out, down to the rows' floor
 *
 * Two ways to get nothing: the limit (refused; the caller then knows less, and says so) and the heap (no_memory; the caller fails).
 */
#ifndef TTAP_MODEL_ALLOWANCE_H
#define TTAP_MODEL_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>

#define TTAP__ALLOWANCE_BYTES (4u << 20)  /* what a conversion may hold: the two that run at once fit beside a 64 MiB budget */
#define TTAP__ALLOWANCE_ROWS (512u << 10) /* of it, kept for rows: chunks stay worth their heads */

struct ttap__allowance {
    size_t used, limit, kept;   /* kept: not for tables */
    bool no_memory;             /* the heap itself refused */
    bool (*reclaim)(void *arg); /* give back some of what rows hold; false: nothing left. May be NULL */
    void *arg;
};

/** realloc() of a table that may grow. NULL, with the old block untouched, when refused. */
void *ttap__allowance_grow(struct ttap__allowance *allowance, void *block, size_t old_bytes, size_t new_bytes);
/** The same for rows: nobody is pushed out, and the kept part may be used too. */
void *ttap__allowance_rows(struct ttap__allowance *allowance, size_t bytes);
void ttap__allowance_free(struct ttap__allowance *allowance, void *block, size_t bytes);

/** Room for one more of @size bytes in an array that doubles: true when there is. */
bool ttap__allowance_one_more(struct ttap__allowance *allowance, void *array_pointer, size_t *room, size_t count, size_t size);

#endif
