/* stops.c - see stops.h. In order of time; few threads are young, so it is searched. */
#include "stops.h"

#include <string.h>

static bool is_of(const struct ttap__stop *stop, uint64_t pid, uint64_t tid)
{
    return stop->pid == pid && stop->tid == tid;
}

static void add(struct ttap__stops *stops, const struct ttap__stop *stop)
{
    if (stops->count < TTAP__STOPS_WAITING_MAX)
        stops->waiting[stops->count++] = *stop;
}

void ttap__stops_begin(struct ttap__stops *stops, uint64_t pid, uint64_t tid, uint32_t by, int64_t ns)
{
    add(stops, &(struct ttap__stop){.pid = pid, .tid = tid, .by = by, .begin_ns = ns, .begun = true});
}

void ttap__stops_end(struct ttap__stops *stops, uint64_t pid, uint64_t tid, uint32_t by, int64_t ns)
{
    for (uint32_t i = stops->count; i-- > 0;) {
        struct ttap__stop *stop = &stops->waiting[i];
        if (!is_of(stop, pid, tid) || stop->by != by || stop->ended)
            continue;
        stop->end_ns = ns;
        stop->ended = true;
        return;
    }
    add(stops, &(struct ttap__stop){.pid = pid, .tid = tid, .by = by, .end_ns = ns, .ended = true});
}

bool ttap__stops_take(struct ttap__stops *stops, uint64_t pid, uint64_t tid, struct ttap__stop *out)
{
    for (uint32_t i = 0; i < stops->count; i++) {
        if (!is_of(&stops->waiting[i], pid, tid))
            continue;
        *out = stops->waiting[i];
        memmove(&stops->waiting[i], &stops->waiting[i + 1], (--stops->count - i) * sizeof(*out));
        return true;
    }
    return false;
}
