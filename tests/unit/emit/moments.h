/* moments.h - an emitting thread without a drainer: the test opens the gate and hands out chunks as the drainer does, so each moment is there
 * for as long as it is looked at.
 *
 *      afresh(chunks) --> gate open, so many chunks, a new session --> annotations --> counters and cells of the thread's slot
 */
#ifndef TTAP_TEST_MOMENTS_H
#define TTAP_TEST_MOMENTS_H

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"
#include "statements.h"

enum { POOL = 16 };

static struct ttap__chunk pool[POOL] __attribute__((aligned(64)));
static struct ttap__arena *arena;
static uint64_t epoch = 1000;

static inline void open_gate(uint64_t groups)
{
    __atomic_store_n(&ttap_gate, ++epoch << TTAP__GATE_EPOCH_SHIFT | groups, __ATOMIC_SEQ_CST);
}

static inline void close_gate(void)
{
    open_gate(0);
}

static inline void keep_below(uint64_t otherwise)
{
    arena->keep[0].rules = arena->keep[1].rules = 0;
    arena->keep[0].otherwise = arena->keep[1].otherwise = otherwise;
}

/* A new session with so many chunks. @light: by the fast path where it may be taken. */
static inline void afresh(unsigned chunks, bool light)
{
    arena = ttap__arena();
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    memset(pool, 0, sizeof pool);
    ttap__chunks = pool;
    if (ttap__tls->slot) /* what it held is not in the new pool */
        ttap__tls->slot->stream[0].published = ttap__tls->slot->stream[1].published = 0;
    arena->session++;
    arena->free_chunks = arena->full_chunks = 0;
    arena->chunks_made = 0;
    arena->chunks_limit = chunks;
    arena->drainer_ticks = ttap__ticks();
    arena->lease_ticks = INT64_MAX;
    keep_below(TTAP__KEEP_ALL);
    ttap__light_busy = light && ttap__ticks_are_counter();
    open_gate(TTAP_GROUPS_ALL);
}

static inline struct ttap__slot_stream *stream(int level)
{
    return &ttap__tls->slot->stream[level];
}

static inline const uint64_t *cell_of(const struct ttap__chunk *chunk, unsigned at)
{
    return chunk->cells + 2 * at;
}

/* The last @count cells that the stream has shown. */
static inline const uint64_t *last_cells(int level, unsigned count)
{
    uint64_t published = stream(level)->published;
    return cell_of(&pool[TTAP__PUB_CHUNK(published) - 1], TTAP__PUB_USED(published) - count);
}

static inline void in_a_thread(void *(*body)(void *))
{
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, body, NULL), 0);
    pthread_join(thread, NULL);
}

/* Runs in a child; its exit status is the verdict, as CUnit's counts are the parent's. */
static inline void in_a_child(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (status)
        printf("(child: %d) ", WEXITSTATUS(status));
}

#endif
