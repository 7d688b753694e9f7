/* lanes.h - what one stream of one thread has open, and the rows it becomes as each thing ends.
 *
 *      lane = thread x level       regions  |_outer_____________      a stack; a row when its end comes
 *                                             |_inner__|  |_inner_
 *                                  work     |_task 7___|__task 9__
 *                                  waits, phases: a few at a time
 *
 * Invariants: the times a lane is given never fall (lane_time); at most REGIONS_MAX open regions are kept, deeper ones only counted. */
#ifndef TTAP_MODEL_LANES_H
#define TTAP_MODEL_LANES_H

#include "rows.h"
#include "tasks.h"
#include "timebase.h"

#define TTAP__LANE_REGIONS_MAX 1024
#define TTAP__LANE_OPEN_MAX 16 /* waits of a lane, and phases; a thread waits at one queue at a time */

struct ttap__region {
    uint64_t begin_ticks;
    int64_t begin_ns;
    int32_t depth, task;
    uint32_t name;
};

struct ttap__open_span { /* a wait or a phase */
    int64_t begin_ns;
    uint32_t what, why; /* object and why; phase and the lane that tells of it */
    int32_t task;
};

struct ttap__open_spans {
    struct ttap__open_span *spans;
    size_t count, room;
};

struct ttap__lane {
    uint32_t number;
    uint8_t level;
    bool seen;    /* a run came */
    bool working; /* for task, since work_begin_ns */
    uint8_t work_flags;
    int32_t task; /* its number */
    uint64_t task_id, next_seq;
    int64_t last_ns;  /* the latest time it was given */
    int64_t known_ns; /* where knowledge began: the window's start, or the run after the latest gap */
    int64_t work_begin_ns;
    int64_t open_level; /* REGION_END_OPEN: the highest level so far, and when it ended */
    int64_t open_level_ns;
    struct ttap__region *regions;
    size_t regions_count, regions_room;
    uint64_t deeper; /* open, but beyond what is kept */
    struct ttap__open_spans waits, phases;
};

/* What lanes need of the capture around them. */
struct ttap__lanes_around {
    const struct ttap__rows *rows;
    void *arg;
    struct ttap__allowance *allowance;
    struct ttap__names *names;
    uint64_t untold;
    int rc; /* what a call returned */
};

void ttap__lane_start(struct ttap__lane *lane, uint32_t number, uint8_t level);
/** The time of the lane's next happening: @ns, or its latest time if that is later. */
static inline int64_t ttap__lane_time(struct ttap__lane *lane, int64_t ns)
{
    if (ns > lane->last_ns)
        lane->last_ns = ns;
    return lane->last_ns;
}

void ttap__lane_region_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t name, uint64_t ticks, int64_t ns);
void ttap__lane_region_end(struct ttap__lanes_around *around, struct ttap__lane *lane, int64_t ns);
void ttap__lane_region_end_at(struct ttap__lanes_around *around, struct ttap__lane *lane, uint64_t depth, int64_t ns);
void ttap__lane_region_end_open(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t name, uint64_t level, int64_t ns);
/** The regions a run's head lists, in place of what the lane believes. @time turns begins into nanoseconds. */
void ttap__lane_regions_are(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__events *block, struct ttap__timebase *time,
                            int64_t base_ns, int64_t before_ns);
void ttap__lane_work(struct ttap__lanes_around *around, struct ttap__lane *lane, uint64_t task_id, int32_t task, int64_t ns, uint8_t start_flags,
                     uint8_t end_flags);
void ttap__lane_wait_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t object, uint32_t why, int64_t ns);
void ttap__lane_wait_end(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t object, uint32_t why, int64_t ns);
/** @by: the number of the lane that tells of it, which for stopped threads is another one. */
void ttap__lane_gc_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t phase, uint32_t by, int64_t ns);
void ttap__lane_gc_end(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t phase, uint32_t by, int64_t ns);
/** The window is over: all that is open ends with it, as open_end. */
void ttap__lane_finish(struct ttap__lanes_around *around, struct ttap__lane *lane, int64_t end_ns);
void ttap__lane_free(struct ttap__lanes_around *around, struct ttap__lane *lane);

#endif
