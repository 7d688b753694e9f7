/* validator.h - does a native capture add up? Independent of the engine and of the reading column: built from
 * docs/format.md, with its own varints, so that one mistake cannot hide in both. validator.c has the idea and the
 * drawing. */
#ifndef TTAP_TEST_VALIDATOR_H
#define TTAP_TEST_VALIDATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The counter "tile.<number>" as delivered. Values are meant to be 0, 1, 2, ... on one thread. */
struct validation_tile {
    uint64_t number;
    uint64_t thread;
    uint64_t delivered;
    int64_t first_value; /* lowest and highest delivered */
    int64_t last_value;
    uint64_t duplicates;       /* delivered values that had been delivered already */
    uint64_t order_violations; /* a value below the one before it in its stream */
    uint64_t missing;          /* values between first and last that were not delivered */
    bool covered;              /* every hole between neighbours has as many lost, filtered or sampled-out events */
    bool told;                 /* the account of its (last) stream was told by itself, not merged with others */
    bool pure;                 /* its stream has nothing else, so value - sequence number is one constant, and then, if told: */
    int64_t start_value;       /* the value of the window's first sequence number; below 0: something else was lost first */
    int64_t end_value;         /* one past the value of the window's last sequence number */
};

enum validation_verdict {
    VALIDATION_EXACT,
    VALIDATION_CUT,   /* ends without TRAILER; nothing wrong up to there */
    VALIDATION_WRONG, /* rule and sentence name the first thing wrong */
};

struct validation {
    enum validation_verdict verdict;
    char rule[24];
    char sentence[192];
    uint64_t blocks, runs, losses, streams;
    uint64_t delivered, filtered, lost; /* sums over EVENTS and LOSS blocks */
    uint64_t lost_by[6];                /* of lost, by the number of its reason */
    uint64_t sampled_out;               /* sum over ACCOUNT rows, as are: */
    uint64_t rows_delivered, rows_filtered, rows_lost;
    uint8_t end_reason; /* TRAILER's reason, 0 without */
    uint64_t drainer_cpu_ns;
    struct validation_tile *tiles; /* in order of their numbers */
    size_t tile_count;
};

/**
 * validate_capture() - check one whole capture in memory.
 * @out: filled in every case; give it to validation_free() afterwards.
 *
 * Returns 0 for an exact capture; -ENODATA for one that was cut; -EBADMSG for a wrong one; -ENOMEM.
 */
int validate_capture(const void *bytes, size_t len, struct validation *out);

void validation_free(struct validation *out);

/* One tile by its number; NULL if no such counter was delivered. */
const struct validation_tile *validation_tile(const struct validation *v, uint64_t number);

#endif
