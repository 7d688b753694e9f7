/* buckets.c - no more than so many root tasks of a kind are kept each second, whatever the rates say.
 *
 *      a token every interval; the bucket holds a second's worth
 *      due:   |----|----|----|-----> moves one interval with each task that is kept, and never lies before now
 *                  ^ now             a task is kept while due is less than a second ahead
 *
 * One word a kind is the whole bucket, so a task takes its token with one swap; a handler may come in between and take another. Decided once,
 * where the root begins: one over the limit gets a draw that no rate keeps, and the draw goes wherever the task's handle goes. So the
 * whole tree is left out, on every thread and for every listener, and counted like all that sampling leaves out.
 */
#include "arena.h"

static uint64_t interval_of(const struct ttap__limits *limits, uint32_t kind)
{
    uint32_t rules = ttap__load(&limits->rules);
    for (uint32_t i = 0; i < rules; i++)
        if (ttap__load(&limits->rule[i].kind) == kind)
            return ttap__load(&limits->rule[i].interval_ticks);
    return ttap__load(&limits->otherwise_ticks);
}

bool ttap__limit_allows(uint32_t kind, uint64_t now_ticks)
{
    struct ttap__arena *arena = ttap__arena_here();
    const struct ttap__limits *limits = &arena->limits[ttap__load_acquire(&arena->limits_index) & 1];
    uint64_t interval_ticks = ttap__load(&limits->any) ? interval_of(limits, kind) : 0;
    if (!interval_ticks)
        return true;
    uint64_t *due = &arena->limit_due_ticks[kind];
    uint64_t seen = ttap__load(due), from;
    uint64_t second_ticks = ttap__load(&limits->second_ticks);
    do {
        int64_t ahead = (int64_t)(seen - now_ticks);
        if (ahead < 0 || ahead > (int64_t)(2 * second_ticks)) /* long ago; or of an epoch with another clock */
            ahead = 0;
        if ((uint64_t)ahead + interval_ticks > second_ticks)
            return false;
        from = now_ticks + (uint64_t)ahead;
    } while (!__atomic_compare_exchange_n(due, &seen, from + interval_ticks, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

/* Into the table that is not in force, as with rates: open_gate() in drainer.c. */
void ttap__limits_apply(const struct ttap__limits *from)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t next = (ttap__load(&arena->limits_index) + 1) & 1;
    struct ttap__limits *to = &arena->limits[next];
    ttap__store(&to->otherwise_ticks, from->otherwise_ticks);
    ttap__store(&to->second_ticks, from->second_ticks);
    ttap__store(&to->any, from->any);
    for (uint32_t i = 0; i < from->rules; i++) {
        ttap__store(&to->rule[i].kind, from->rule[i].kind);
        ttap__store(&to->rule[i].interval_ticks, from->rule[i].interval_ticks);
    }
    ttap__store(&to->rules, from->rules);
    ttap__store_release(&arena->limits_index, next); /* acquire: ttap__limit_allows() */
}
