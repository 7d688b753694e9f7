#include "timebase.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define SLOPE_MAX (UINT64_C(1) << 62) /* slower than 4 kHz is no clock of ours, and would overflow */

static uint64_t slope_of(uint64_t ns, uint64_t ticks)
{
    unsigned __int128 slope = ((unsigned __int128)ns << TTAP__SLOPE_BITS) / ticks;
    return slope < SLOPE_MAX ? (uint64_t)slope : SLOPE_MAX;
}

static void use(struct ttap__timebase *time, size_t index)
{
    time->now = time->segments[index];
    time->now_length = INT64_MAX;
    if (index + 1 < time->count)
        time->now_length = (int64_t)(time->segments[index + 1].ticks - time->now.ticks);
}

void ttap__timebase_start(struct ttap__timebase *time, const struct ttap__header *header)
{
    uint64_t ticks_per_second = header->ticks_per_second ? header->ticks_per_second : NS_PER_SECOND;
    time->base_ticks = time->last_ticks = header->base_ticks;
    time->base_mono_ns = time->last_mono_ns = header->base_mono_ns;
    time->segments[0] = (struct ttap__segment){header->base_ticks, 0, slope_of(NS_PER_SECOND, ticks_per_second)};
    time->count = 1;
    use(time, 0);
}

/* A new pair fixes the slope of the line that leads to it, and that line goes on from it. */
void ttap__timebase_pair(struct ttap__timebase *time, const struct ttap__clock_pair *pair)
{
    int64_t ticks = (int64_t)(pair->ticks - time->last_ticks), ns = (int64_t)(pair->mono_ns - time->last_mono_ns);
    if (ticks <= 0 || ns <= 0)
        return;
    struct ttap__segment *leading = &time->segments[time->count - 1];
    leading->slope = slope_of((uint64_t)ns, (uint64_t)ticks);
    if (time->count == TTAP__SEGMENTS_MAX) { /* forget the oldest but the first, which has the times before the window */
        for (size_t i = 1; i + 1 < time->count; i++)
            time->segments[i] = time->segments[i + 1];
        time->count--;
    }
    int64_t since_base = (int64_t)(pair->mono_ns - time->base_mono_ns);
    if (since_base > TTAP__TIME_MAX_NS || since_base < 0)
        since_base = TTAP__TIME_MAX_NS;
    time->segments[time->count] = (struct ttap__segment){pair->ticks, since_base, slope_of((uint64_t)ns, (uint64_t)ticks)};
    time->count++;
    time->last_ticks = pair->ticks;
    time->last_mono_ns = pair->mono_ns;
    use(time, time->count - 1);
}

int64_t ttap__timebase_slow(struct ttap__timebase *time, uint64_t ticks)
{
    size_t index = time->count - 1; /* from the end: late events are only a little late */
    while (index > 0 && (int64_t)(ticks - time->segments[index].ticks) < 0)
        index--;
    int64_t since = (int64_t)(ticks - time->segments[index].ticks);
    if (since >= 0)
        use(time, index);
    return ttap__segment_ns(&time->segments[index], since);
}
