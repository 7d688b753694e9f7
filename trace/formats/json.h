/* json.h - viewer JSON (docs/format.md section 7) from the model's rows. A streaming writer: nothing is held but rows of unfinished chunks. */
#ifndef TTAP_FORMATS_JSON_H
#define TTAP_FORMATS_JSON_H

#include "allowance.h"
#include "convert.h"
#include "rows.h"

#define TTAP__JSON_ROWS_MAX 16384  /* of a chunk */
#define TTAP__JSON_TEXT_BYTES 8192 /* of a text, before escaping; longer ones are cut */

extern const struct ttap__rows ttap__json_rows;

struct ttap__json;
/** NULL: no memory. Sets itself as what @allowance reclaims rows from. */
struct ttap__json *ttap__json_new(struct ttap__allowance *allowance, ttap__out_fn out, void *arg);
void ttap__json_free(struct ttap__json *json);

#endif
