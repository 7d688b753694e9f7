/* kept.c - kept captures: recorded once, readable any number of times, until room is needed for newer ones.
 *
 * A list by age under one mutex. A pin (get/put) keeps the bytes alive; delete takes a capture off the list at once and frees it with
 * the last pin.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine.h"

struct ttap__kept {
    struct ttap__kept *next;
    struct ttap__sub *sub;
    uint64_t id;
    unsigned pins;
    bool deleted; /* off the list; goes with the last pin */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ttap__kept *oldest;
static uint64_t last_id;

static void kept_free(struct ttap__kept *kept)
{
    ttap__sub_close(kept->sub);
    free(kept);
}

static unsigned kept_count(void)
{
    unsigned n = 0;
    for (struct ttap__kept *kept = oldest; kept; kept = kept->next)
        n++;
    return n;
}

/* With mutex: take the oldest that is finished and unpinned off the list. */
static struct ttap__kept *take_oldest(void)
{
    for (struct ttap__kept **at = &oldest; *at; at = &(*at)->next) {
        struct ttap__kept *kept = *at;
        if (kept->pins || ttap__sub_state(kept->sub) == TTAP__SUB_RECORDING)
            continue;
        *at = kept->next;
        return kept;
    }
    return NULL;
}

/* Called by the drainer, which may not wait for itself: a finished sub has been let go already, so closing it does not block. */
bool ttap__kept_evict_one(void)
{
    pthread_mutex_lock(&mutex);
    struct ttap__kept *kept = take_oldest();
    pthread_mutex_unlock(&mutex);
    if (!kept)
        return false;
    kept_free(kept);
    return true;
}

int ttap__kept_start(const struct ttap__sub_opts *opts, uint64_t *id)
{
    struct ttap__sub_opts keep = *opts;
    keep.keep = true;
    struct ttap__kept *kept = calloc(1, sizeof(*kept));
    if (!kept)
        return -ENOMEM;
    pthread_mutex_lock(&mutex);
    bool full = kept_count() >= TTAP__KEPT_MAX;
    pthread_mutex_unlock(&mutex);
    if (full && !ttap__kept_evict_one()) {
        free(kept);
        return -ENOSPC;
    }
    /* Room for at least the beginning, else every event would be lost. */
    struct ttap__queue probe;
    ttap__queue_init(&probe, &ttap__pool_kept, true);
    ttap__budget_bytes();
    while (!ttap__pool_has_room(&probe, TTAP__SEGMENT_BYTES * 2, 0)) {
        if (!ttap__kept_evict_one()) {
            free(kept);
            return -ENOSPC;
        }
    }
    int error = ttap__sub_open(&keep, &kept->sub);
    if (error) {
        free(kept);
        return error;
    }
    pthread_mutex_lock(&mutex);
    kept->id = *id = ++last_id;
    struct ttap__kept **end = &oldest;
    while (*end)
        end = &(*end)->next;
    *end = kept;
    pthread_mutex_unlock(&mutex);
    return 0;
}

size_t ttap__kept_list(struct ttap__kept_info *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&mutex);
    for (struct ttap__kept *kept = oldest; kept; kept = kept->next, n++) {
        if (n >= max)
            continue;
        out[n].id = kept->id;
        out[n].pinned = kept->pins != 0;
        ttap__sub_info(kept->sub, &out[n].sub);
    }
    pthread_mutex_unlock(&mutex);
    return n;
}

struct ttap__kept *ttap__kept_get(uint64_t id)
{
    pthread_mutex_lock(&mutex);
    struct ttap__kept *kept = oldest;
    while (kept && kept->id != id)
        kept = kept->next;
    if (kept)
        kept->pins++;
    pthread_mutex_unlock(&mutex);
    return kept;
}

struct ttap__sub *ttap__kept_sub(struct ttap__kept *kept)
{
    return kept->sub;
}

void ttap__kept_put(struct ttap__kept *kept)
{
    pthread_mutex_lock(&mutex);
    bool last = --kept->pins == 0 && kept->deleted;
    pthread_mutex_unlock(&mutex);
    if (last)
        kept_free(kept);
}

int ttap__kept_delete(uint64_t id)
{
    pthread_mutex_lock(&mutex);
    struct ttap__kept **at = &oldest;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    struct ttap__kept *kept = *at;
    if (kept) {
        *at = kept->next;
        kept->deleted = true;
        kept->pins++;
    }
    pthread_mutex_unlock(&mutex);
    if (!kept)
        return -ENOENT;
    ttap__sub_stop(kept->sub, TTAP__END_CLIENT); /* whoever has pinned it reads what there is; nobody waits for more */
    ttap__kept_put(kept);
    return 0;
}

void ttap__kept_after_fork(void)
{
    pthread_mutex_init(&mutex, NULL);
    oldest = NULL; /* the parent's bytes: this process has nothing to say about them */
}
