/* packer.h - cells in, the packed events of one view out.
 *
 * A view is what one subscriber asked for. The packer follows each stream (current task, open regions) so that every packed run can
 * say what was going on at its start.
 */
#ifndef TTAP_CAPTURE_PACKER_H
#define TTAP_CAPTURE_PACKER_H

#include "arena.h"
#include "writer.h"

struct ttap__view {
    uint64_t groups;
    const struct ttap__keep *keep;
};

struct ttap__open_region {
    uint32_t depth, name;
    uint64_t begin_ticks;
    uint32_t draw, root_kind; /* of the task it belongs to */
    bool has_task;
};

/* Where a stream stands, at some position in its cells. */
struct ttap__follow {
    uint64_t task, task_parent, task_start_ticks;
    uint32_t task_kind, task_root_kind, task_draw;
    uint32_t open_ends; /* regions that ended here but began before recording */
    uint32_t regions;
    uint32_t regions_beyond; /* open, but deeper than this table */
    struct ttap__open_region region[TTAP__REGION_STACK];
};

/* The worst event is 42 bytes for one cell (two varints of 10 for the time, two for name and depth), 562 for 33. */
#define TTAP__PACKED_BYTES_MAX (TTAP__CHUNK_CELLS * 48u)
#define TTAP__RUN_HEAD_BYTES_MAX (128u + TTAP__REGION_STACK * 20u)

struct ttap__run {
    unsigned cells;           /* consumed */
    uint32_t count, filtered; /* events for this view; events passed over */
    uint64_t base_ticks, last_ticks;
    uint64_t lost_nested; /* not 0: the run ended at a mark, up to which the stream had lost this many */
    bool damaged;         /* the run ended at a cell that makes no sense */
    size_t head_bytes, event_bytes;
    unsigned char head[TTAP__RUN_HEAD_BYTES_MAX]; /* task, open_ends, regions at the run's start */
    unsigned char events[TTAP__PACKED_BYTES_MAX];
};

/* Some of the stream's events are missing here; the regions that were open before and surely still are, are those above @depth. */
void ttap__follow_gap(struct ttap__follow *follow, uint32_t depth);

/* Pack up to @cells cells of a chunk for @view, moving @follow along. Stops early at a mark or damage. */
void ttap__pack(struct ttap__run *run, struct ttap__follow *follow, const struct ttap__view *view, const uint64_t *cell, unsigned cells,
                uint64_t chunk_base_ticks);

#endif
