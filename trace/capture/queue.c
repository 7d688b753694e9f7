/* queue.c - see queue.h. */
#include "queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "sys.h"

struct ttap__segment {
    struct ttap__segment *next;
    unsigned char bytes[TTAP__SEGMENT_BYTES - sizeof(void *)];
};
#define SEGMENT_ROOM (sizeof(((struct ttap__segment *)0)->bytes))

/* Spare segments: a stream frees one about as often as it needs one, and a page fault costs a microsecond. 32 are 2 MiB. */
#define SPARE_MAX 32
static pthread_mutex_t spare_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ttap__segment *spare;
static unsigned spare_count;

static struct ttap__segment *segment_new(struct ttap__pool *pool)
{
    pthread_mutex_lock(&spare_mutex);
    struct ttap__segment *segment = spare;
    if (segment) {
        spare = segment->next;
        spare_count--;
    }
    pthread_mutex_unlock(&spare_mutex);
    if (!segment)
        segment = ttap__map(sizeof(*segment));
    if (!segment)
        return NULL;
    segment->next = NULL;
    __atomic_fetch_add(&pool->used_bytes, TTAP__SEGMENT_BYTES, __ATOMIC_RELAXED);
    return segment;
}

static void segment_free(struct ttap__pool *pool, struct ttap__segment *segment)
{
    __atomic_fetch_sub(&pool->used_bytes, TTAP__SEGMENT_BYTES, __ATOMIC_RELAXED);
    pthread_mutex_lock(&spare_mutex);
    bool keep = spare_count < SPARE_MAX;
    if (keep) {
        segment->next = spare;
        spare = segment;
        spare_count++;
    }
    pthread_mutex_unlock(&spare_mutex);
    if (!keep)
        ttap__unmap(segment, sizeof(*segment));
}

void ttap__segments_trim(void)
{
    pthread_mutex_lock(&spare_mutex);
    struct ttap__segment *segment = spare;
    spare = NULL;
    spare_count = 0;
    pthread_mutex_unlock(&spare_mutex);
    while (segment) {
        struct ttap__segment *next = segment->next;
        ttap__unmap(segment, sizeof(*segment));
        segment = next;
    }
}

void ttap__segments_after_fork(void)
{
    pthread_mutex_init(&spare_mutex, NULL);
    spare = NULL;
    spare_count = 0;
}

void ttap__queue_init(struct ttap__queue *queue, struct ttap__pool *pool, bool keep)
{
    *queue = (struct ttap__queue){.pool = pool, .keep = keep};
}

void ttap__queue_clear(struct ttap__queue *queue)
{
    while (queue->first) {
        struct ttap__segment *segment = queue->first;
        queue->first = segment->next;
        segment_free(queue->pool, segment);
    }
    free(queue->index);
    queue->index = NULL;
    queue->index_room = 0;
    queue->last = NULL;
    queue->held_bytes = 0;
}

/* Room left in the last segment. Bytes fill segments without gaps, so positions follow from the running count. */
static size_t last_room(const struct ttap__queue *queue)
{
    if (!queue->last)
        return 0;
    size_t filled = queue->put_bytes % SEGMENT_ROOM;
    return filled ? SEGMENT_ROOM - filled : 0;
}

uint64_t ttap__queue_cost(const struct ttap__queue *queue, size_t bytes)
{
    size_t room = last_room(queue);
    return bytes <= room ? 0 : (bytes - room + SEGMENT_ROOM - 1) / SEGMENT_ROOM * TTAP__SEGMENT_BYTES;
}

/* Kept captures: room for the numbers of all segments that @total more bytes need, before any of them is taken. */
static bool index_grow(struct ttap__queue *queue, size_t total)
{
    size_t last_number = (queue->put_bytes + total) / SEGMENT_ROOM;
    if (!queue->keep || last_number < queue->index_room)
        return true;
    size_t room = (last_number + 1) * 2;
    struct ttap__segment **grown = realloc(queue->index, room * sizeof(*grown));
    if (!grown)
        return false;
    queue->index = grown;
    queue->index_room = room;
    return true;
}

/* A chain of segments for @bytes beyond the last one's room, so that putting cannot fail half-way. */
static bool chain_new(struct ttap__queue *queue, size_t bytes, struct ttap__segment **chain)
{
    size_t room = last_room(queue);
    size_t needed = bytes <= room ? 0 : (bytes - room + SEGMENT_ROOM - 1) / SEGMENT_ROOM;
    *chain = NULL;
    for (size_t i = 0; i < needed; i++) {
        struct ttap__segment *segment = segment_new(queue->pool);
        if (!segment) {
            while (*chain) {
                struct ttap__segment *next = (*chain)->next;
                segment_free(queue->pool, *chain);
                *chain = next;
            }
            return false;
        }
        segment->next = *chain;
        *chain = segment;
    }
    return true;
}

static void append_segment(struct ttap__queue *queue, struct ttap__segment **chain)
{
    struct ttap__segment *segment = *chain;
    *chain = segment->next;
    segment->next = NULL;
    if (queue->keep)
        queue->index[queue->put_bytes / SEGMENT_ROOM] = segment;
    if (queue->last)
        queue->last->next = segment;
    else
        queue->first = segment;
    queue->last = segment;
    queue->held_bytes += TTAP__SEGMENT_BYTES;
}

static void put_piece(struct ttap__queue *queue, const struct ttap__piece *piece, struct ttap__segment **chain)
{
    const unsigned char *from = piece->bytes;
    size_t left = piece->len;
    while (left) {
        size_t room = last_room(queue);
        if (!room) {
            append_segment(queue, chain);
            room = SEGMENT_ROOM;
        }
        size_t n = left < room ? left : room;
        memcpy(queue->last->bytes + (SEGMENT_ROOM - room), from, n);
        queue->put_bytes += n;
        from += n;
        left -= n;
    }
}

bool ttap__queue_put(struct ttap__queue *queue, const struct ttap__piece *piece, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += piece[i].len;
    /* All that can fail comes first, so that a block is never half in the queue. */
    struct ttap__segment *chain;
    if (!index_grow(queue, total) || !chain_new(queue, total, &chain))
        return false;
    for (size_t i = 0; i < count; i++)
        put_piece(queue, &piece[i], &chain);
    return true;
}

size_t ttap__queue_front(const struct ttap__queue *queue, const void **bytes)
{
    if (queue->taken_bytes == queue->put_bytes)
        return 0;
    size_t at = queue->taken_bytes % SEGMENT_ROOM, room = SEGMENT_ROOM - at;
    uint64_t left = queue->put_bytes - queue->taken_bytes;
    *bytes = queue->first->bytes + at;
    return left < room ? (size_t)left : room;
}

void ttap__queue_drop(struct ttap__queue *queue, size_t bytes)
{
    queue->taken_bytes += bytes;
    if (queue->taken_bytes % SEGMENT_ROOM)
        return;
    struct ttap__segment *done = queue->first;
    queue->first = done->next;
    if (!queue->first)
        queue->last = NULL;
    queue->held_bytes -= TTAP__SEGMENT_BYTES;
    segment_free(queue->pool, done);
}

size_t ttap__queue_peek(const struct ttap__queue *queue, uint64_t offset, void *out, size_t max)
{
    unsigned char *to = out;
    size_t copied = 0;
    while (copied < max && offset < queue->put_bytes) {
        size_t at = offset % SEGMENT_ROOM;
        size_t n = SEGMENT_ROOM - at;
        if (n > queue->put_bytes - offset)
            n = (size_t)(queue->put_bytes - offset);
        if (n > max - copied)
            n = max - copied;
        memcpy(to + copied, queue->index[offset / SEGMENT_ROOM]->bytes + at, n);
        copied += n;
        offset += n;
    }
    return copied;
}
