/* subs.h - subscribers read by hand. */
#ifndef TTAP_TEST_SUBS_H
#define TTAP_TEST_SUBS_H

#include <pthread.h>
#include <stdlib.h>

#include "capture.h"
#include "limits.h"
#include "recording.h"
#include "statements.h"

static inline struct ttap__sub *open_sub(uint64_t groups, const char *sample)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub *sub = NULL;
    opts.groups = groups;
    opts.sample = sample;
    CU_ASSERT_FATAL(ttap__sub_open(&opts, &sub) == 0);
    return sub;
}

/* All its bytes, from now to the trailer. */
static inline unsigned char *read_to_end(struct ttap__sub *sub, size_t *len)
{
    size_t room = 1u << 20;
    unsigned char *bytes = malloc(room);
    for (*len = 0;;) {
        if (*len == room)
            bytes = realloc(bytes, room *= 2);
        size_t n = ttap__sub_read(sub, bytes + *len, room - *len);
        *len += n;
        if (!n && ttap__sub_state(sub) == TTAP__SUB_ENDED)
            return bytes;
        if (!n)
            ttap__sub_wait(sub, -1);
    }
}

/* Stop, read, check, close. True: exact. */
static inline bool finish_sub(struct ttap__sub *sub, struct recording *r)
{
    size_t len;
    ttap__sub_stop(sub, TTAP__END_STOPPED);
    unsigned char *bytes = read_to_end(sub, &len);
    bool exact = recording_of_bytes(r, bytes, len);
    free(bytes);
    ttap__sub_close(sub);
    return exact;
}

/* A thread that reads a subscriber as fast as it can. */
struct sub_reader {
    struct ttap__sub *sub;
    pthread_t thread;
    unsigned char *bytes;
    size_t len;
};

static inline void *sub_reader_main(void *arg)
{
    struct sub_reader *reader = arg;
    ttap__thread_is_own();
    reader->bytes = read_to_end(reader->sub, &reader->len);
    return NULL;
}

static inline void sub_reader_start(struct sub_reader *reader, struct ttap__sub *sub)
{
    reader->sub = sub;
    CU_ASSERT_FATAL(pthread_create(&reader->thread, NULL, sub_reader_main, reader) == 0);
}

/* Stop, check, close. True: exact. */
static inline bool sub_reader_finish(struct sub_reader *reader, struct recording *r)
{
    ttap__sub_stop(reader->sub, TTAP__END_STOPPED);
    pthread_join(reader->thread, NULL);
    bool exact = recording_of_bytes(r, reader->bytes, reader->len);
    free(reader->bytes);
    ttap__sub_close(reader->sub);
    return exact;
}

static inline void nap_ms(unsigned ms)
{
    struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

static inline uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Threads that emit tiles until told to stop: counter tile.<k> is 0, 1, 2, ... on thread k.
 *
 * A test that looks at what arrived while its emitters go on gives them rations: what they emit is then the same on a slow machine, or
 * under ThreadSanitizer, as on a fast one. Without, the looking makes the next capture longer, and that the next looking. */
struct emitters {
    unsigned count;
    unsigned pause_every; /* events between naps of a millisecond; 0: none */
    int64_t ration;       /* rounds each may have made by now; negative: no bound */
    size_t text_bytes;    /* of a log line in each round; 0: none */
    pthread_t threads[16];
    struct ttap_name names[16];
    char texts[16][16];
    int64_t told[16];
    int stop;
    unsigned started;
};

static inline void *emitter_main(void *arg)
{
    struct emitters *e = arg;
    unsigned me = __atomic_fetch_add(&e->started, 1, __ATOMIC_RELAXED);
    int64_t i = 0;
    static const char text[TTAP_LOG_BYTES_MAX];
    while (!__atomic_load_n(&e->stop, __ATOMIC_RELAXED)) {
        int64_t ration = __atomic_load_n(&e->ration, __ATOMIC_RELAXED);
        if (ration >= 0 && i >= ration) {
            nap_ms(1);
            continue;
        }
        ttap_counter(&e->names[me], i++);
        TTAP_REGION_BEGIN("emitter");
        TTAP_REGION_END("emitter");
        if (e->text_bytes)
            TTAP_LOG("emitter", text, e->text_bytes);
        if (e->pause_every && i % e->pause_every == 0)
            nap_ms(1);
    }
    __atomic_store_n(&e->told[me], i, __ATOMIC_RELAXED);
    return NULL;
}

static inline void emitters_start_as(struct emitters *e)
{
    unsigned count = e->count;
    for (unsigned i = 0; i < count; i++) {
        snprintf(e->texts[i], sizeof(e->texts[i]), "tile.%u", i);
        e->names[i].text = e->texts[i];
    }
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_FATAL(pthread_create(&e->threads[i], NULL, emitter_main, e) == 0);
}

static inline void emitters_start(struct emitters *e, unsigned count, unsigned pause_every)
{
    *e = (struct emitters){.count = count, .pause_every = pause_every, .ration = -1};
    emitters_start_as(e);
}

static inline void emitters_give(struct emitters *e, int64_t rounds)
{
    __atomic_fetch_add(&e->ration, rounds, __ATOMIC_RELAXED);
}

static inline void emitters_stop(struct emitters *e)
{
    __atomic_store_n(&e->stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < e->count; i++)
        pthread_join(e->threads[i], NULL);
}

#endif
