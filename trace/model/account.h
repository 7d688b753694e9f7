/* account.h - does a capture add up? Tiles every stream's EVENTS and LOSS blocks against its ACCOUNT row, and the rows against the TRAILER.
 *
 *      start_seq                                              end_seq      ACCOUNT row of the stream
 *         |== EVENTS ==|= LOSS =|==== EVENTS ====|== EVENTS ==|            spans merge as they meet; one must be left
 *
 * The trailer is compared, never believed. Memory: a few spans for each stream that has no row yet, a map entry for each that has.
 * Where memory does not allow that, the account is not exact and says why.
 */
#ifndef TTAP_MODEL_ACCOUNT_H
#define TTAP_MODEL_ACCOUNT_H

#include "idmap.h"
#include "reader.h"

#define TTAP__ACCOUNT_SPANS 6 /* of one stream, not yet joined; blocks come nearly in order, so more means something is wrong */
#define TTAP__ACCOUNT_SENTENCE_BYTES 256

struct ttap__sums {
    uint64_t events, delivered, filtered, lost[TTAP__LOSS_REASONS + 1], sampled_out; /* lost by enum ttap__loss, [0] unused */
};

struct ttap__stream_account;

struct ttap__account {
    struct ttap__allowance *allowance;
    struct ttap__idmap streams; /* stream key -> index into open, or CLOSED */
    struct ttap__stream_account *open;
    size_t open_count, open_room;
    struct ttap__sums seen;        /* of EVENTS and LOSS blocks; sampled_out of ACCOUNT rows */
    struct ttap__sums rows;        /* of ACCOUNT rows */
    struct ttap__sums nobody;      /* of thread 0's ACCOUNT rows */
    struct ttap__sums nobody_seen; /* of thread 0's LOSS blocks */
    uint64_t rows_count, nobody_rows;
    bool ended;
    struct ttap__trailer trailer;
    char wrong[TTAP__ACCOUNT_SENTENCE_BYTES]; /* the first thing that does not add up, or "" */
};

void ttap__account_start(struct ttap__account *account, struct ttap__allowance *allowance);
void ttap__account_events(struct ttap__account *account, const struct ttap__events *block);
void ttap__account_loss(struct ttap__account *account, const struct ttap__loss_row *row);
void ttap__account_row(struct ttap__account *account, const struct ttap__account_row *row);
void ttap__account_trailer(struct ttap__account *account, const struct ttap__trailer *trailer, uint64_t blocks, uint64_t bytes);
/** "exact", or a sentence that says what does not add up. @problem: why reading stopped, or "". Call once, at the end. */
const char *ttap__account_identity(struct ttap__account *account, const char *problem);
/** The sums of the blocks and, for sampled_out, of the ACCOUNT rows. */
struct ttap__sums ttap__account_sums(const struct ttap__account *account);
/** What the capture says of itself: the trailer's sums; without a trailer those of its blocks. */
struct ttap__sums ttap__account_said(const struct ttap__account *account);
uint64_t ttap__lost_sum(const uint64_t lost[TTAP__LOSS_REASONS + 1]);
void ttap__account_free(struct ttap__account *account);

#endif
