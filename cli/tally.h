/* tally.h - figures of a native capture while it passes. All of it may be called with NULL: nothing is known then. */
#ifndef TTAP_CLI_TALLY_H
#define TTAP_CLI_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stat.h"

struct cli_tally;

/** NULL: no memory. */
struct cli_tally *cli_tally_new(void);
void cli_tally_feed(struct cli_tally *tally, const void *bytes, size_t len);
/** Events and losses up to here. False: not known. */
bool cli_tally_so_far(const struct cli_tally *tally, uint64_t *events, uint64_t *lost);
/** Everything there is to know; feed no more. NULL: nothing. */
const struct ttap__stat_result *cli_tally_finish(struct cli_tally *tally);
void cli_tally_free(struct cli_tally *tally);

#endif
