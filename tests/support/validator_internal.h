/* validator_internal.h - what validator.c (decoding, tiling) leaves for validator_tiles.c (the counter check). */
#ifndef TTAP_TEST_VALIDATOR_INTERNAL_H
#define TTAP_TEST_VALIDATOR_INTERNAL_H

#include "validator.h"

enum { LOSS_COLUMNS = 5, ACCOUNT_COLUMNS = 8 }; /* account: delivered, filtered, five losses, sampled_out */

/* A growing array. Items are never freed one by one. */
struct pile {
    void *items;
    size_t used, room, item_bytes;
};

void *pile_add(struct pile *pile); /* NULL without memory */

struct open_region {
    uint64_t depth, name, begin_ticks;
};

/* What a run's head says, and what is left after replaying its events. Regions are a range of check.regions. */
struct stream_state {
    uint64_t task, open_ends;
    size_t regions_at, regions;
};

/* An EVENTS or LOSS block. */
struct piece {
    uint64_t thread, first_seq, end_seq, count, filtered; /* count: delivered, or lost */
    uint64_t delivered_before, filtered_before, lost_before, sampled_out_before;
    struct stream_state head, tail;
    size_t tiles_at, tiles; /* a range of check.tile_events */
    size_t order;           /* in the file */
    uint64_t broken_seq;    /* of the event that broke broken_rule */
    const char *broken_rule;
    uint8_t level, reason; /* reason 0: an EVENTS block */
};

struct account_row {
    uint64_t thread, start_seq, end_seq, columns[ACCOUNT_COLUMNS];
    uint8_t level;
};

/* A delivered counter event whose name is a tile's. */
struct tile_event {
    uint64_t number, index; /* index: in its run */
    int64_t value;
};

struct check {
    struct validation *out;
    struct pile pieces, rows, regions, tile_events;
    bool sampled; /* the header has a sampling rule */
    bool no_memory;
};

void validation_wrong(struct validation *out, const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fills out->tiles. Pieces are sorted by thread, level and sequence number; nothing else is wrong so far. */
void check_tiles(struct check *c);

#endif
