/* reader.h - native capture bytes in, checked blocks and events out. docs/format.md is the contract.
 *
 *      bytes, any piece sizes --> feed --> one whole block --> checked to its last byte --> its calls
 *
 * Invariants: nothing of a block is delivered before all of it was checked, so a damaged block counts for nothing; no length,
 * count or id is believed; memory is one block (at most 1 MiB, and never more than what really arrived) and the kind table.
 * The reader keeps no names, threads or tasks: those are rows for whoever listens. No threads, no I/O.
 */
#ifndef TTAP_WIRE_READER_H
#define TTAP_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

/** Text from the traced program: any bytes, not NUL-terminated. Valid during the call that brings it. */
struct ttap__text {
    const char *bytes;
    size_t len;
};

#define TTAP__FIELDS_MAX 32 /* fields of a kind that are understood well enough to skip; docs/format.md section 4 */
#define TTAP__VALUES_MAX 8  /* of these, how many are kept in an event */

/** A row of the capture's own kind table. Lives as long as the reader. */
struct ttap__kind_row {
    struct ttap__text name, fields;
    uint8_t number; /* the kind byte */
    uint8_t known;  /* enum ttap__kind if this build knows it under this name with these first fields; else 0 */
    uint8_t fields_count;
    bool readable; /* false: a code this build does not know, or too many fields: its events cannot be skipped */
    uint8_t codes[TTAP__FIELDS_MAX];
};

struct ttap__header {
    uint16_t major, minor;
    uint8_t clock; /* enum ttap__clock_kind */
    uint64_t ticks_per_second, base_ticks, base_mono_ns, base_wall_ns, duration_ns, groups, pid, cpus, budget_bytes;
    struct ttap__text exe, sample, producer;
    const struct ttap__kind_row *kinds;
    size_t kinds_count;
};

struct ttap__clock_pair {
    uint64_t ticks, mono_ns, wall_ns;
};

struct ttap__thread_row {
    uint64_t thread, pid, tid;
    struct ttap__text name;
};

struct ttap__task_row {
    uint64_t task, parent, kind, start_ticks, thread;
};

/** A hooked call that had not returned when the window ended. @start_ticks: 0 if it was made while nobody recorded. */
struct ttap__pending_row {
    uint64_t thread, kind, start_ticks, op, object; /* kind: of the event that would have told it */
};

/** An executable mapping of a file. */
struct ttap__module_row {
    uint64_t module, start, end, offset;
    struct ttap__text path, build_id; /* build_id: bytes, not text */
};

/** A process has a module mapped. */
struct ttap__mapped_row {
    uint64_t pid, module;
};

/** Frames are walked with ttap__frames_next(), innermost first, during the call. */
struct ttap__stack_row {
    uint64_t stack;
    uint8_t flags; /* as they stand there */
    bool cut;      /* one of them: its outer end is missing */
    uint64_t frames;
    const uint8_t *at, *end;
};

struct ttap__frame_walk {
    const uint8_t *at, *end;
    uint64_t left;
};

struct ttap__loss_row {
    uint64_t thread;
    uint8_t level, reason; /* reason: enum ttap__loss; larger ones are of a later version */
    uint64_t first_seq, lost, filtered, from_ticks, to_ticks;
};

struct ttap__account_row {
    uint64_t thread;
    uint8_t level;
    uint64_t start_seq, end_seq, delivered, filtered;
    uint64_t lost[TTAP__LOSS_REASONS + 1]; /* by enum ttap__loss; [0] is unused */
    uint64_t sampled_out;
};

struct ttap__trailer {
    uint64_t reason, end_ticks, end_mono_ns, end_wall_ns, streams, events, delivered, filtered;
    uint64_t lost[TTAP__LOSS_REASONS + 1]; /* by enum ttap__loss; [0] is unused */
    uint64_t sampled_out, drainer_cpu_ns, blocks, bytes;
};

/** The head of an EVENTS block. Its regions and events are walked with the two iterators below, any number of times during the call. */
struct ttap__events {
    uint64_t thread;
    uint8_t level;
    uint64_t first_seq, base_ticks, span_ticks, count, filtered;
    uint64_t delivered_before, filtered_before, lost_before, sampled_out_before;
    uint64_t task, task_parent, task_kind, task_draw, task_start_ticks; /* the last four are 0 when task is 0 */
    uint64_t open_ends;
    uint64_t regions_count;
    const uint8_t *regions_at, *events_at, *end;
    const struct ttap__kind_row *const *by_number; /* 256 of them, NULL where the capture has no such kind */
};

struct ttap__open_region {
    uint64_t depth, name, begin_ticks;
};

struct ttap__region_walk {
    const uint8_t *at, *end;
    uint64_t left, base_ticks;
};

/** One event. a[i] by the code of field i: u and n the number, i the signed number's bits, k the task id, t the time in ticks,
 *  x the 8 bytes as a number, s the address of its bytes (use text[i]). Fields beyond TTAP__VALUES_MAX were skipped. */
struct ttap__event {
    const struct ttap__kind_row *row;
    uint64_t ticks;
    uint64_t a[TTAP__VALUES_MAX];
    uint32_t text_len[TTAP__VALUES_MAX];
};

struct ttap__event_walk {
    const uint8_t *at, *end;
    uint64_t left, ticks, task;
    const struct ttap__kind_row *const *by_number;
};

void ttap__regions_start(const struct ttap__events *block, struct ttap__region_walk *walk);
/** False after the last one. */
bool ttap__regions_next(struct ttap__region_walk *walk, struct ttap__open_region *out);
void ttap__events_start(const struct ttap__events *block, struct ttap__event_walk *walk);
/** False after the last one. The hot path: 5 to 8 ns. */
bool ttap__events_next(struct ttap__event_walk *walk, struct ttap__event *out);

static inline void ttap__frames_start(const struct ttap__stack_row *stack, struct ttap__frame_walk *walk)
{
    *walk = (struct ttap__frame_walk){stack->at, stack->end, stack->frames};
}
/** False after the last one. @module 0: @offset is an address. */
bool ttap__frames_next(struct ttap__frame_walk *walk, uint64_t *module, uint64_t *offset);

static inline struct ttap__text ttap__event_text(const struct ttap__event *event, unsigned field)
{
    return (struct ttap__text){(const char *)(uintptr_t)event->a[field], event->text_len[field]};
}

/** Who listens. NULL members are skipped. Each returns 0 to go on; anything else ends reading, and feed returns it. */
struct ttap__read_calls {
    /** Before the calls of each whole block, also of unknown types. @at_bytes counts from the first byte of the capture. */
    int (*block)(void *arg, uint8_t type, uint64_t at_bytes, const uint8_t *payload, size_t len_bytes);
    int (*header)(void *arg, const struct ttap__header *header);
    int (*note)(void *arg, struct ttap__text key, struct ttap__text value); /* after header */
    int (*clock)(void *arg, const struct ttap__clock_pair *pair);
    int (*name)(void *arg, uint64_t id, struct ttap__text text);
    int (*thread)(void *arg, const struct ttap__thread_row *row);
    int (*events)(void *arg, const struct ttap__events *block);
    int (*loss)(void *arg, const struct ttap__loss_row *row);
    int (*task)(void *arg, const struct ttap__task_row *row);
    int (*account)(void *arg, const struct ttap__account_row *row);
    int (*trailer)(void *arg, const struct ttap__trailer *trailer);
    int (*pending)(void *arg, const struct ttap__pending_row *row);
    int (*module)(void *arg, const struct ttap__module_row *row);
    int (*stack)(void *arg, const struct ttap__stack_row *row);
    int (*mapped)(void *arg, const struct ttap__mapped_row *row);
};

struct ttap__reader;
/** NULL: no memory. @calls must outlive the reader. */
struct ttap__reader *ttap__reader_new(const struct ttap__read_calls *calls, void *arg);
/** 0; -EBADMSG once the capture proves damaged or is none (then ttap__reader_problem() says why); -ENOMEM; or what a call returned.
 *  The first failure is for good: later calls return it again. Bytes after the trailer are ignored. */
int ttap__reader_feed(struct ttap__reader *reader, const void *bytes, size_t len_bytes);
/** No more bytes come. True when the trailer was read; else problem says where the capture was cut or damaged. */
bool ttap__reader_finish(struct ttap__reader *reader);
/** "" or a sentence such as "block 7 (events) at byte 812: longer than its events". Lives as long as the reader. */
const char *ttap__reader_problem(const struct ttap__reader *reader);
/** Whole blocks so far, and their bytes with the preamble. */
uint64_t ttap__reader_blocks(const struct ttap__reader *reader);
uint64_t ttap__reader_bytes(const struct ttap__reader *reader);
void ttap__reader_free(struct ttap__reader *reader);

#endif
