/* pool.h - a pool of threads for work that one request does in parallel. */
#ifndef PIPELINE_POOL_H
#define PIPELINE_POOL_H

#include "crew.h"
#include "queue.h"

struct pool {
    struct queue jobs;
    struct crew crew;
};

/** How many jobs of a batch are still to do; who wants all of them waits here. */
struct batch {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned open;
};
#define BATCH_INIT                                                                                                                                   \
    {                                                                                                                                                \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                                                                       \
    }

struct job {
    void (*run)(void *arg);
    void *arg;
    struct batch *batch;
};

bool pool_start(struct pool *pool, unsigned threads);
/** Does what is queued, then ends. */
void pool_stop(struct pool *pool);

/** Queue @job, waiting for room. It and its batch must live until batch_wait() returned. */
void pool_run(struct pool *pool, struct job *job);
void batch_wait(struct batch *batch);

#endif
