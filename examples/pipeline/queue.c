/* queue.c - a mutex, two conditions and a ring. The annotations are made under the lock, so that depths come in order.
 */
#include "queue.h"

#include <stdlib.h>

bool queue_init(struct queue *queue, const char *name, size_t capacity)
{
    *queue = (struct queue){.trace = TTAP_QUEUE_INIT(name), .capacity = capacity};
    queue->items = calloc(capacity, sizeof *queue->items);
    if (!queue->items)
        return false;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    return true;
}

void queue_destroy(struct queue *queue)
{
    if (!queue->items)
        return;
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    pthread_mutex_destroy(&queue->lock);
    free(queue->items);
}

static void put(struct queue *queue, void *item)
{
    queue->items[(queue->first + queue->count) % queue->capacity] = item;
    queue->count++;
    ttap_queue_enqueue(&queue->trace, queue->count);
    pthread_cond_signal(&queue->not_empty);
}

static void *take(struct queue *queue)
{
    void *item = queue->items[queue->first];

    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    ttap_queue_dequeue(&queue->trace, queue->count);
    pthread_cond_signal(&queue->not_full);
    return item;
}

bool queue_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    if (queue->count == queue->capacity && !queue->closed) {
        ttap_queue_wait_begin(&queue->trace, TTAP_QUEUE_FULL);
        while (queue->count == queue->capacity && !queue->closed)
            pthread_cond_wait(&queue->not_full, &queue->lock);
        ttap_queue_wait_end(&queue->trace, TTAP_QUEUE_FULL);
    }
    bool open = !queue->closed;
    if (open)
        put(queue, item);
    pthread_mutex_unlock(&queue->lock);
    return open;
}

bool queue_try_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    bool room = !queue->closed && queue->count < queue->capacity;
    if (room)
        put(queue, item);
    pthread_mutex_unlock(&queue->lock);
    return room;
}

void *queue_pop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    if (queue->count == 0 && !queue->closed) {
        ttap_queue_wait_begin(&queue->trace, TTAP_QUEUE_EMPTY);
        while (queue->count == 0 && !queue->closed)
            pthread_cond_wait(&queue->not_empty, &queue->lock);
        ttap_queue_wait_end(&queue->trace, TTAP_QUEUE_EMPTY);
    }
    void *item = queue->count ? take(queue) : NULL;
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}
