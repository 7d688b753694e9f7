/* timebase.h - ticks to nanoseconds since time 0 of the capture, docs/format.md section 5.
 *
 *      ns ^            .-' after the last pair: its slope goes on
 *         |        .-x'            x: pairs of HEADER and CLOCK blocks
 *         |   ..-x'                between two: a straight line
 *         +-x'--------------> ticks    before the first: the first slope, backwards (negative ns)
 *
 * A streaming reader has only the pairs that came so far; what it then says differs by less than 1 us. Results stay within 2^53, so
 * that a JSON number holds them, and 64-bit ticks may wrap. */
#ifndef TTAP_MODEL_TIMEBASE_H
#define TTAP_MODEL_TIMEBASE_H

#include <stddef.h>
#include <stdint.h>

#include "reader.h"

#define TTAP__TIME_MAX_NS (INT64_C(1) << 53)
#define TTAP__SLOPE_BITS 44    /* of fraction: below 0.1 ns off after ten minutes at 3 GHz */
#define TTAP__SEGMENTS_MAX 700 /* one pair a second for the longest window of ten minutes, and some */

/** From @ticks on (the first one also before), ns = ns + (t - ticks) * slope. */
struct ttap__segment {
    uint64_t ticks;
    int64_t ns;
    uint64_t slope;
};

struct ttap__timebase {
    uint64_t base_ticks, base_mono_ns;
    struct ttap__segment now; /* the last one used; most times fall into it again */
    int64_t now_length;       /* in ticks; the last one has no end */
    size_t count;
    uint64_t last_ticks, last_mono_ns; /* the last pair: its slope is the last segment's */
    struct ttap__segment segments[TTAP__SEGMENTS_MAX];
};

void ttap__timebase_start(struct ttap__timebase *time, const struct ttap__header *header);
void ttap__timebase_pair(struct ttap__timebase *time, const struct ttap__clock_pair *pair);
int64_t ttap__timebase_slow(struct ttap__timebase *time, uint64_t ticks);

static inline int64_t ttap__segment_ns(const struct ttap__segment *segment, int64_t since)
{
    __int128 ns = segment->ns + (((__int128)since * (__int128)segment->slope) >> TTAP__SLOPE_BITS);
    if (__builtin_expect(ns > TTAP__TIME_MAX_NS, 0))
        return TTAP__TIME_MAX_NS;
    return __builtin_expect(ns < -TTAP__TIME_MAX_NS, 0) ? -TTAP__TIME_MAX_NS : (int64_t)ns;
}

static inline int64_t ttap__ns(struct ttap__timebase *time, uint64_t ticks)
{
    int64_t since = (int64_t)(ticks - time->now.ticks);
    if (__builtin_expect(since >= 0 && since < time->now_length, 1))
        return ttap__segment_ns(&time->now, since);
    return ttap__timebase_slow(time, ticks);
}

#endif
