/* sources.c - the sources that are linked in, when each runs, and the numbers of threads. */
#include "source.h"

#include "engine.h"

static const struct ttap__source *registered[TTAP__SOURCES_MAX];
static uint32_t registered_count;

/* Drainer only. */
static bool running[TTAP__SOURCES_MAX];
static struct {
    uint64_t uid, number;
} numbered[TTAP__THREADS_MAX]; /* by slot; virtual until used */

void ttap__source_register(const struct ttap__source *source)
{
    if (registered_count < TTAP__SOURCES_MAX)
        registered[registered_count++] = source;
}

const struct ttap__source *ttap__source_at(uint32_t at)
{
    return at < registered_count ? registered[at] : NULL;
}

const struct ttap__source *ttap__source_of_level(uint32_t level)
{
    for (uint32_t i = 0; i < registered_count; i++)
        if (registered[i]->level == level)
            return registered[i];
    return NULL;
}

/* ---- Running ---- */

void ttap__sources_start(uint64_t groups)
{
    for (uint32_t i = 0; i < registered_count; i++) {
        if (running[i] || !(registered[i]->groups & groups))
            continue;
        running[i] = true;
        registered[i]->start();
    }
}

void ttap__sources_edge(uint64_t mono_ns)
{
    for (uint32_t i = 0; i < registered_count; i++)
        if (running[i])
            registered[i]->edge(mono_ns);
}

void ttap__sources_drain(void)
{
    for (uint32_t i = 0; i < registered_count; i++)
        if (running[i])
            registered[i]->drain();
}

void ttap__sources_stop_beyond(uint64_t groups)
{
    for (uint32_t i = 0; i < registered_count; i++) {
        if (!running[i] || (registered[i]->groups & groups))
            continue;
        registered[i]->stop();
        running[i] = false;
    }
}

void ttap__sources_after_fork(void)
{
    for (uint32_t i = 0; i < registered_count; i++) {
        running[i] = false;
        registered[i]->after_fork();
    }
}

/* ---- Numbers ---- */

uint64_t ttap__slot_number(uint32_t slot, uint64_t uid)
{
    if (numbered[slot].uid == uid)
        return numbered[slot].number;
    uint64_t number = 0;
    const struct ttap__slot *s = &ttap__arena_base->slot[slot];
    for (uint32_t i = 0; i < registered_count && !number; i++)
        if (running[i])
            number = registered[i]->number_of(ttap__load(&s->pid), ttap__load(&s->tid));
    numbered[slot].uid = uid;
    numbered[slot].number = number ? number : uid;
    return numbered[slot].number;
}

uint64_t ttap__source_number(int pid, int tid)
{
    struct ttap__arena *arena = ttap__arena_base;
    uint32_t made = ttap__load_acquire(&arena->slots_made), found = made;
    uint64_t youngest = 0;
    for (uint32_t i = 0; i < made; i++) {
        const struct ttap__slot *slot = &arena->slot[i];
        if (ttap__load(&slot->tid) != tid || ttap__load(&slot->pid) != pid || ttap__load_acquire(&slot->state) != TTAP__SLOT_LIVE)
            continue;
        uint64_t uid = ttap__load(&slot->uid);
        if (uid > youngest) { /* an older one was left by a thread that ended without its destructor */
            youngest = uid;
            found = i;
        }
    }
    if (found < made)
        return ttap__slot_number(found, youngest);
    return __atomic_add_fetch(&arena->next_uid, 1, __ATOMIC_RELAXED);
}
