/* pool.c - jobs go through one queue; a batch counts its jobs down to zero. */
#include "pool.h"

enum { POOL_QUEUE_CAPACITY = 64 };

static void job_done(struct batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    if (--batch->open == 0)
        pthread_cond_signal(&batch->done);
    pthread_mutex_unlock(&batch->lock);
}

static void pool_thread(void *arg)
{
    struct pool *pool = arg;
    struct job *job;

    while ((job = queue_pop(&pool->jobs))) {
        job->run(job->arg);
        job_done(job->batch);
    }
}

bool pool_start(struct pool *pool, unsigned threads)
{
    return queue_init(&pool->jobs, "pool.jobs", POOL_QUEUE_CAPACITY) && crew_start(&pool->crew, "pool", threads, pool_thread, pool);
}

void pool_stop(struct pool *pool)
{
    if (!pool->jobs.items)
        return;
    queue_close(&pool->jobs);
    crew_join(&pool->crew);
    queue_destroy(&pool->jobs);
}

void pool_run(struct pool *pool, struct job *job)
{
    pthread_mutex_lock(&job->batch->lock);
    job->batch->open++;
    pthread_mutex_unlock(&job->batch->lock);
    if (!queue_push(&pool->jobs, job)) { /* the pool is stopping: then here */
        job->run(job->arg);
        job_done(job->batch);
    }
}

void batch_wait(struct batch *batch)
{
    TTAP_REGION("wait for children");

    pthread_mutex_lock(&batch->lock);
    while (batch->open)
        pthread_cond_wait(&batch->done, &batch->lock);
    pthread_mutex_unlock(&batch->lock);
}
