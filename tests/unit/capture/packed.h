/* packed.h - what a reader makes of a packed run: the run's head and events, as a block of a capture, through the real reader. */
#ifndef TTAP_TEST_PACKED_H
#define TTAP_TEST_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKED_EVENTS_MAX = 512, PACKED_REGIONS_MAX = 80 };

struct packed_event {
    unsigned kind, fields;
    char codes[8];
    uint64_t ticks, a[8];
    char text[513];
};

struct packed {
    bool whole; /* the reader took the block to its last byte; else the rest says nothing */
    uint64_t task, task_parent, task_kind, task_draw, task_start_ticks, open_ends;
    size_t regions_count, events_count;
    struct {
        uint64_t depth, name, begin_ticks;
    } region[PACKED_REGIONS_MAX];
    struct packed_event event[PACKED_EVENTS_MAX];
};

struct packed_bytes {
    const void *head, *events;
    size_t head_bytes, event_bytes;
    uint64_t base_ticks, last_ticks;
    uint32_t count, filtered;
};

/** Reads them back into *@out. */
void packed_read(const struct packed_bytes *bytes, struct packed *out);

/** The same as one line: "task 7/3 kind 2 draw 9 since 90 | ends 1 | 0:5@100 | 110 region_begin name=6; 120 log category=1 'abc'". */
void packed_say(const struct packed *packed, char *out, size_t room);

#endif
