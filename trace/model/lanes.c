#include "lanes.h"

#include <string.h>

#define NEVER INT64_MIN

void ttap__lane_start(struct ttap__lane *lane, uint32_t number, uint8_t level)
{
    *lane = (struct ttap__lane){.number = number, .level = level, .task = -1, .last_ns = NEVER};
}

/* ---- Rows ---- */

/* Spans are clipped to the window, which begins at 0; the end of the window is known only when it is over. */
static int64_t clip(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

static int64_t length(int64_t begin_ns, int64_t end_ns)
{
    return clip(end_ns) > clip(begin_ns) ? clip(end_ns) - clip(begin_ns) : 0;
}

static uint8_t start_flag(int64_t begin_ns)
{
    return begin_ns < 0 ? TTAP__OPEN_START : 0;
}

static void region_tell(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__region *region, int64_t end_ns, uint8_t flags)
{
    struct ttap__region_row row = {.lane = lane->number,
                                   .name = region->name,
                                   .depth = region->depth,
                                   .start_ns = clip(region->begin_ns),
                                   .dur_ns = length(region->begin_ns, end_ns),
                                   .task = region->task,
                                   .flags = flags | start_flag(region->begin_ns)};
    if (around->rows->region && around->rc == 0)
        around->rc = around->rows->region(around->arg, &row);
}

static void wait_tell(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__open_span *wait, int64_t end_ns, uint8_t flags)
{
    struct ttap__wait_row row = {.lane = lane->number,
                                 .object = wait->what,
                                 .why = wait->why,
                                 .task = wait->task,
                                 .start_ns = clip(wait->begin_ns),
                                 .dur_ns = length(wait->begin_ns, end_ns),
                                 .flags = flags | start_flag(wait->begin_ns)};
    if (around->rows->wait && around->rc == 0)
        around->rc = around->rows->wait(around->arg, &row);
}

static void gc_tell(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__open_span *phase, int64_t end_ns, uint8_t flags)
{
    struct ttap__gc_row row = {.lane = lane->number,
                               .phase = phase->what,
                               .start_ns = clip(phase->begin_ns),
                               .dur_ns = length(phase->begin_ns, end_ns),
                               .flags = flags | start_flag(phase->begin_ns)};
    if (around->rows->gc && around->rc == 0)
        around->rc = around->rows->gc(around->arg, &row);
}

/* ---- Regions ---- */

static void region_push(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__region *region)
{
    if (lane->deeper || lane->regions_count == TTAP__LANE_REGIONS_MAX ||
        !ttap__allowance_one_more(around->allowance, &lane->regions, &lane->regions_room, lane->regions_count, sizeof *lane->regions)) {
        lane->deeper++;
        around->untold++;
        return;
    }
    lane->regions[lane->regions_count++] = *region;
}

static void region_pop(struct ttap__lanes_around *around, struct ttap__lane *lane, int64_t end_ns, uint8_t flags)
{
    region_tell(around, lane, &lane->regions[--lane->regions_count], end_ns, flags);
}

void ttap__lane_region_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t name, uint64_t ticks, int64_t ns)
{
    int32_t outer = lane->regions_count ? lane->regions[lane->regions_count - 1].depth : -1;
    struct ttap__region region = {ticks, ns, outer < INT32_MAX ? outer + 1 : outer, lane->task, name};
    region_push(around, lane, &region);
}

void ttap__lane_region_end(struct ttap__lanes_around *around, struct ttap__lane *lane, int64_t ns)
{
    if (lane->deeper)
        lane->deeper--;
    else if (lane->regions_count)
        region_pop(around, lane, ns, 0);
}

void ttap__lane_region_end_at(struct ttap__lanes_around *around, struct ttap__lane *lane, uint64_t depth, int64_t ns)
{
    lane->deeper = 0; /* kept ones end here, or at least everything deeper than what is kept */
    while (lane->regions_count && (uint64_t)lane->regions[lane->regions_count - 1].depth >= depth)
        region_pop(around, lane, ns, 0);
}

void ttap__lane_region_end_open(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t name, uint64_t level, int64_t ns)
{
    struct ttap__region region = {.begin_ns = -1, .depth = level < INT32_MAX ? -(int32_t)level : -INT32_MAX, .task = lane->task, .name = name};
    bool again = (int64_t)(level < INT32_MAX ? level : INT32_MAX) <= lane->open_level;
    if (again) /* no engine says a level twice; rows of one depth stay disjoint all the same */
        region.begin_ns = lane->open_level_ns;
    else
        lane->open_level = -(int64_t)region.depth;
    lane->open_level_ns = clip(ns);
    region_tell(around, lane, &region, ns, TTAP__OPEN_START);
}

static int32_t depth_of(uint64_t depth)
{
    return depth < INT32_MAX ? (int32_t)depth : INT32_MAX;
}

/* How many open regions, from the outermost, are what the head lists. Their depths are taken from it: sampling may skip numbers. */
static size_t regions_kept(struct ttap__lanes_around *around, struct ttap__lane *lane, struct ttap__region_walk *listed)
{
    size_t kept = 0;
    struct ttap__open_region region;
    struct ttap__region_walk next = *listed;
    while (kept < lane->regions_count && ttap__regions_next(&next, &region)) {
        struct ttap__region *mine = &lane->regions[kept];
        if (mine->begin_ticks != region.begin_ticks || mine->name != ttap__names_number(around->names, region.name))
            break;
        mine->depth = depth_of(region.depth);
        kept++;
        *listed = next;
    }
    return kept;
}

void ttap__lane_regions_are(struct ttap__lanes_around *around, struct ttap__lane *lane, const struct ttap__events *block, struct ttap__timebase *time,
                            int64_t base_ns, int64_t before_ns)
{
    struct ttap__region_walk listed;
    ttap__regions_start(block, &listed);
    size_t kept = regions_kept(around, lane, &listed);
    struct ttap__region_walk first_new = listed;
    struct ttap__open_region region;
    int64_t ended_ns = base_ns;
    if (ttap__regions_next(&first_new, &region) && ttap__ns(time, region.begin_ticks) < ended_ns)
        ended_ns = ttap__ns(time, region.begin_ticks); /* its place is taken from then on */
    while (lane->regions_count > kept)
        region_pop(around, lane, ended_ns, TTAP__OPEN_END);
    lane->deeper = 0;
    while (ttap__regions_next(&listed, &region)) {
        int64_t begin_ns = ttap__ns(time, region.begin_ticks);
        struct ttap__region opened = {region.begin_ticks, begin_ns > before_ns ? begin_ns : before_ns, depth_of(region.depth), lane->task,
                                      ttap__names_number(around->names, region.name)};
        region_push(around, lane, &opened);
    }
}

/* ---- Work ---- */

void ttap__lane_work(struct ttap__lanes_around *around, struct ttap__lane *lane, uint64_t task_id, int32_t task, int64_t ns, uint8_t start_flags,
                     uint8_t end_flags)
{
    struct ttap__work_row row = {.lane = lane->number,
                                 .task = lane->task,
                                 .start_ns = clip(lane->work_begin_ns),
                                 .dur_ns = length(lane->work_begin_ns, ns),
                                 .flags = lane->work_flags | end_flags};
    if (lane->working && around->rows->work && around->rc == 0)
        around->rc = around->rows->work(around->arg, &row);
    lane->task_id = task_id;
    lane->task = task;
    lane->working = task_id != 0 && lane->level == 0;
    lane->work_begin_ns = ns;
    lane->work_flags = start_flags | start_flag(ns);
}

/* ---- Waits and phases ---- */

static struct ttap__open_span span_take(struct ttap__open_spans *open, size_t at)
{
    struct ttap__open_span span = open->spans[at];
    open->count--;
    memmove(&open->spans[at], &open->spans[at + 1], (open->count - at) * sizeof span);
    return span;
}

/* The latest one; open->count when there is none. */
static size_t span_find(const struct ttap__open_spans *open, uint32_t what)
{
    for (size_t at = open->count; at > 0; at--)
        if (open->spans[at - 1].what == what)
            return at - 1;
    return open->count;
}

static void span_add(struct ttap__lanes_around *around, struct ttap__open_spans *open, const struct ttap__open_span *span)
{
    if (open->count < TTAP__LANE_OPEN_MAX && ttap__allowance_one_more(around->allowance, &open->spans, &open->room, open->count, sizeof *open->spans))
        open->spans[open->count++] = *span;
    else
        around->untold++;
}

void ttap__lane_wait_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t object, uint32_t why, int64_t ns)
{
    size_t at = span_find(&lane->waits, object);
    if (at < lane->waits.count) {
        struct ttap__open_span before = span_take(&lane->waits, at);
        wait_tell(around, lane, &before, ns, TTAP__OPEN_END);
    }
    span_add(around, &lane->waits, &(struct ttap__open_span){ns, object, why, lane->task});
}

void ttap__lane_wait_end(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t object, uint32_t why, int64_t ns)
{
    size_t at = span_find(&lane->waits, object);
    bool begun = at < lane->waits.count;
    struct ttap__open_span wait = {lane->known_ns, object, why, lane->task};
    if (begun)
        wait = span_take(&lane->waits, at);
    wait_tell(around, lane, &wait, ns, begun ? 0 : TTAP__OPEN_START);
}

/* The latest one of the same teller: two streams that tell of one lane may be read in any order. */
static size_t phase_find(const struct ttap__open_spans *open, uint32_t phase, uint32_t by)
{
    for (size_t at = open->count; at > 0; at--)
        if (open->spans[at - 1].what == phase && open->spans[at - 1].why == by)
            return at - 1;
    return open->count;
}

void ttap__lane_gc_begin(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t phase, uint32_t by, int64_t ns)
{
    span_add(around, &lane->phases, &(struct ttap__open_span){ns, phase, by, -1});
}

void ttap__lane_gc_end(struct ttap__lanes_around *around, struct ttap__lane *lane, uint32_t phase, uint32_t by, int64_t ns)
{
    size_t at = phase_find(&lane->phases, phase, by);
    bool begun = at < lane->phases.count;
    struct ttap__open_span span = {lane->known_ns, phase, by, -1};
    if (begun)
        span = span_take(&lane->phases, at);
    gc_tell(around, lane, &span, ns, begun ? 0 : TTAP__OPEN_START);
}

void ttap__lane_finish(struct ttap__lanes_around *around, struct ttap__lane *lane, int64_t end_ns)
{
    while (lane->regions_count)
        region_pop(around, lane, end_ns, TTAP__OPEN_END);
    ttap__lane_work(around, lane, 0, -1, end_ns, 0, TTAP__OPEN_END);
    for (size_t at = 0; at < lane->waits.count; at++)
        wait_tell(around, lane, &lane->waits.spans[at], end_ns, TTAP__OPEN_END);
    for (size_t at = 0; at < lane->phases.count; at++)
        gc_tell(around, lane, &lane->phases.spans[at], end_ns, TTAP__OPEN_END);
    lane->waits.count = lane->phases.count = 0;
}

void ttap__lane_free(struct ttap__lanes_around *around, struct ttap__lane *lane)
{
    ttap__allowance_free(around->allowance, lane->regions, lane->regions_room * sizeof *lane->regions);
    ttap__allowance_free(around->allowance, lane->waits.spans, lane->waits.room * sizeof *lane->waits.spans);
    ttap__allowance_free(around->allowance, lane->phases.spans, lane->phases.room * sizeof *lane->phases.spans);
}
