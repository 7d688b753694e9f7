/* model.h - a capture's bytes in, rows of tables out.
 *
 *      bytes --> reader --> lanes (regions, work, waits, phases) --+--> rows, as each span ends
 *                      \--> tasks, clock, names, account --------- +
 *
 * Pure: no threads, no I/O. Memory is the allowance's, however long the capture is. It ends in one `end` row, also when the capture
 * was cut or damaged; without a readable header there is no row at all.
 *
 * What the tables mean where docs/format.md leaves it open:
 * - Where events are missing, the head of the next run is the truth. A region that was open and is not listed there ended in the gap:
 *   it is shown up to that run (or to where its place is taken) with open_end. One that is listed and new has its true begin.
 * - A region's task is the task its lane worked for when it began; that of a region without a begin, when it ended or was listed.
 * - Signal lanes have no work of their own: a handler runs inside the work of its thread.
 * - Within a lane times never go back: what the clock of another CPU puts before the lane's latest time is at that time.
 * - A task that ends twice has the first end.
 */
#ifndef TTAP_MODEL_MODEL_H
#define TTAP_MODEL_MODEL_H

#include "allowance.h"
#include "names_of.h"
#include "rows.h"

struct ttap__model;
/** NULL: no memory. @rows, @arg and @allowance must outlive the model. */
struct ttap__model *ttap__model_new(const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance);
/** Who knows the names of addresses. Before the first bytes. */
void ttap__model_symbols(struct ttap__model *model, ttap__symbol_fn symbol, void *arg);
/** Likewise of variables. */
void ttap__model_variables(struct ttap__model *model, ttap__variable_fn find, void *arg);
/** Any piece sizes. 0; -EBADMSG once the capture proves damaged (feed no more, call finish); -ENOMEM; or what a row's call returned. */
int ttap__model_feed(struct ttap__model *model, const void *bytes, size_t len_bytes);
/** No more bytes come: closes what is open and tells the end. 0; -EBADMSG when there was not even a header, so that there are no
 *  rows; -ENOMEM; or what a row's call returned. */
int ttap__model_finish(struct ttap__model *model);
void ttap__model_free(struct ttap__model *model);

#endif
