/* kinds.h - numbers of the native format: event kinds from events.def, block types, loss reasons. Shared by writer and reader. */
#ifndef TTAP_WIRE_KINDS_H
#define TTAP_WIRE_KINDS_H

enum ttap__kind {
    TTAP__KIND_TIME_BACK = 0, /* not an event: the clock of this stream steps back, docs/format.md section 4 */
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) TTAP__##NAME = number,
#include "events.def"
#undef TTAP_KIND
    TTAP__KIND_END
};

enum ttap__block {
    TTAP__BLOCK_HEADER = 1,
    TTAP__BLOCK_CLOCK = 2,
    TTAP__BLOCK_NAMES = 3,
    TTAP__BLOCK_THREADS = 4,
    TTAP__BLOCK_EVENTS = 5,
    TTAP__BLOCK_LOSS = 6,
    TTAP__BLOCK_TASKS = 7,
    TTAP__BLOCK_ACCOUNT = 8,
    TTAP__BLOCK_TRAILER = 9,
    TTAP__BLOCK_CALLS = 10,
    TTAP__BLOCK_MODULES = 12,
    TTAP__BLOCK_STACKS = 13,
    TTAP__BLOCK_MAPPED = 14
};

/* Streams of a thread: 0 its own, 1 its signal handlers', from 2 on those that sources write about it. */
enum ttap__level { TTAP__LEVEL_OWN, TTAP__LEVEL_SIGNAL, TTAP__LEVEL_SCHED, TTAP__LEVEL_PROCESS, TTAP__LEVEL_ALLOC, TTAP__LEVEL_MAX = 7 };

enum ttap__loss {
    TTAP__LOSS_FULL = 1,
    TTAP__LOSS_NESTED,
    TTAP__LOSS_QUEUE,
    TTAP__LOSS_LATE,
    TTAP__LOSS_STALL,
    TTAP__LOSS_REASONS = TTAP__LOSS_STALL
};

enum ttap__clock_kind { TTAP__CLOCK_TSC = 1, TTAP__CLOCK_MONOTONIC = 2, TTAP__CLOCK_CNTVCT = 3 };

#define TTAP__WIRE_MAJOR 1
#define TTAP__WIRE_MINOR 0
#define TTAP__WIRE_MAGIC "TRACETAP"
#define TTAP__WIRE_PREAMBLE_BYTES 16
#define TTAP__WIRE_BLOCK_HEAD_BYTES 8
#define TTAP__WIRE_PAYLOAD_MAX (1u << 20)

#endif
