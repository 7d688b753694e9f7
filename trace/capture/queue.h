/* queue.h - bytes on their way from the drainer to a reader, in 64 KiB segments, charged to a pool of the budget.
 *
 *    first                          last             A stream's reader frees segments as it passes them. A kept capture
 *   [####xxxx] -> [xxxxxxxx] -> [xxx.....]           keeps all and is read at any offset, any number of times (peek).
 *    ^taken                        ^filled
 *
 * Not locked: the owner's mutex guards it.
 */
#ifndef TTAP_CAPTURE_QUEUE_H
#define TTAP_CAPTURE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A share of the budget. Its words are atomic. */
struct ttap__pool {
    uint64_t limit_bytes;
    uint64_t used_bytes;
};

struct ttap__segment;

struct ttap__queue {
    struct ttap__pool *pool;
    struct ttap__segment *first, *last;
    struct ttap__segment **index; /* kept captures: segment by number */
    size_t index_room;
    bool keep;
    uint64_t put_bytes;   /* ever put */
    uint64_t taken_bytes; /* ever taken */
    uint64_t held_bytes;  /* charged to the pool */
};

struct ttap__piece {
    const void *bytes;
    size_t len;
};

void ttap__queue_init(struct ttap__queue *queue, struct ttap__pool *pool, bool keep);
/* Drop everything. */
void ttap__queue_clear(struct ttap__queue *queue);
/* How much the queue would be charged more for @bytes more. */
uint64_t ttap__queue_cost(const struct ttap__queue *queue, size_t bytes);
/* All pieces or nothing. False: no memory. Does not look at the pool's limit: who calls decides. */
bool ttap__queue_put(struct ttap__queue *queue, const struct ttap__piece *piece, size_t count);
/* What comes next, as far as it lies in one piece; it stays where it is, whatever is put meanwhile, until it is dropped. 0: nothing. */
size_t ttap__queue_front(const struct ttap__queue *queue, const void **bytes);
/* At least 1 byte, at most what ttap__queue_front() returned. */
void ttap__queue_drop(struct ttap__queue *queue, size_t bytes);
size_t ttap__queue_peek(const struct ttap__queue *queue, uint64_t offset, void *out, size_t max);
/* Unused segments back to the system. */
void ttap__segments_trim(void);
/* Fork: forget the parent's spare segments. */
void ttap__segments_after_fork(void);

#endif
