/* sampling.h - which task trees are kept: "0.01,checkout=1" to a table and back. */
#ifndef TTAP_CAPTURE_SAMPLING_H
#define TTAP_CAPTURE_SAMPLING_H

#include <stddef.h>

#include "arena.h"

/* Text of a rule: 64 kinds of names of ordinary length. */
#define TTAP__SAMPLING_TEXT_BYTES 8192u

struct ttap__sampling {
    struct ttap__keep keep;
    struct ttap__limits limits;           /* of the process-wide rule; a capture's own has none */
    char text[TTAP__SAMPLING_TEXT_BYTES]; /* as it was given */
};

/* Parse a capture's own rule, which has rates and no limits; "" or NULL keeps all. 0; -EINVAL or -ENOSPC with *@error_offset (may be NULL) at the first wrong byte; @out is untouched then.
 * @out may be NULL: then nothing is named. */
int ttap__sampling_parse(const char *spec, struct ttap__sampling *out, size_t *error_offset);

/* What at least one of @count tables keeps. */
void ttap__keep_union(struct ttap__keep *out, const struct ttap__keep *const *tables, size_t count);

/* The process-wide rule. */
void ttap__sampling_default(struct ttap__sampling *out);
void ttap__sampling_after_fork(void);

#endif
