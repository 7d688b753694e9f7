/* queue.h - a bounded queue between threads, annotated: a capture shows its depth and who waited because it was full or
 * empty. */
#ifndef PIPELINE_QUEUE_H
#define PIPELINE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <tracetap/tracetap.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    struct ttap_queue trace;
    void **items; /* a ring of @capacity, @count of them from @first on */
    size_t capacity, first, count;
    bool closed;
};

/** @name must outlive the queue. False: no memory. */
bool queue_init(struct queue *queue, const char *name, size_t capacity);
/** Nobody may use the queue any more. Items left in it are not freed. */
void queue_destroy(struct queue *queue);

/** Put @item in, waiting for room. False: the queue is closed, the item still yours. */
bool queue_push(struct queue *queue, void *item);
/** Put @item in if there is room now. */
bool queue_try_push(struct queue *queue, void *item);
/** Take the oldest item, waiting for one. NULL: closed, and empty. */
void *queue_pop(struct queue *queue);
/** No more pushes; who pops gets what is left, then NULL. */
void queue_close(struct queue *queue);

#endif
