/* rows.h - what the model says: rows of the tables of docs/format.md section 7, one call each. What formats are built on.
 *
 *      capture, note* --> ( string | lane | object | rows )* --> end
 *
 * A string, lane, object, frame or stack is told before the first row that names it; a task's own row may come after rows that name it. Times are
 * nanoseconds since time 0, within +-2^53. Strings and lanes are numbered from 0; a task by order of appearance; -1 is none.
 * Each call returns 0 to go on; anything else ends the conversion. NULL members are skipped.
 */
#ifndef TTAP_MODEL_ROWS_H
#define TTAP_MODEL_ROWS_H

#include "reader.h"

enum { TTAP__OPEN_START = 1, TTAP__OPEN_END = 2, TTAP__ESTIMATED = 4 }; /* flags of spans */

struct ttap__lane_row {
    uint32_t lane;
    bool signal; /* what signal handlers recorded (level 1) */
    uint64_t pid, tid;
    struct ttap__text name;
};

/** Regions of one lane and depth come in order and disjoint. So do works of a lane. */
struct ttap__region_row {
    uint32_t lane, name;
    int64_t depth, start_ns, dur_ns;
    int32_t task;
    uint8_t flags;
};

struct ttap__work_row {
    uint32_t lane;
    int32_t task;
    int64_t start_ns, dur_ns;
    uint8_t flags;
};

struct ttap__wait_row {
    uint32_t lane, object, why;
    int32_t task;
    int64_t start_ns, dur_ns;
    uint8_t flags;
};

struct ttap__gc_row {
    uint32_t lane, phase;
    int64_t start_ns, dur_ns;
    uint8_t flags;
};

struct ttap__lost_row {
    int32_t lane; /* -1: a thread without a record */
    uint32_t reason;
    int64_t start_ns, dur_ns;
    uint64_t count;
};

struct ttap__log_row {
    uint32_t lane, category;
    int32_t task;
    int64_t at_ns;
    struct ttap__text text;
};

struct ttap__instant_row {
    uint32_t lane, name;
    int32_t task;
    int64_t at_ns;
};

/** A function, or an address in one that has no name. */
struct ttap__frame_row {
    uint32_t number, function; /* function: a string */
    int32_t file;              /* a string; -1: not known */
    uint32_t line;
};

/** A frame and, by its parent, those that called it. */
struct ttap__stack_node_row {
    uint32_t number, frame;
    int32_t parent; /* a lower number; -1: it is the outermost */
};

/** The lane's thread was running, and has used cpu_ns since its last sample. */
struct ttap__sample_row {
    uint32_t lane;
    int32_t stack, task; /* stack: -1: not known */
    int64_t at_ns, cpu_ns;
};

/** The lane's thread asked for so many bytes there, of which there are others; weight: for how many bytes in all this one stands. */
struct ttap__alloc_sample_row {
    uint32_t lane;
    int32_t stack, task; /* stack: -1: not known */
    int64_t at_ns, bytes, weight;
};

/** A hooked call. Those of a lane come in order of their returns; in handlers they may lie within one another. */
struct ttap__call_row {
    uint32_t lane, op; /* op: a string */
    int32_t object;    /* -1: none */
    int32_t stack;     /* -1: not taken */
    int32_t task;
    int64_t start_ns, dur_ns, result; /* result: what it returned, or -errno; of waits for locks the tid of the holder, 0 if unknown */
    uint8_t flags;
};

/** What a connection was asked, by its receives and sends. Rows of a connection are disjoint and in order. */
struct ttap__request_row {
    uint32_t object, side; /* side: a string */
    uint32_t lane;         /* whose receive (or, of the side that asks, send) began it */
    int32_t end_lane;      /* who answered (or took the answer) last; -1: nobody */
    int64_t start_ns, dur_ns;
    uint64_t bytes_in, bytes_out, receives, sends;
    uint8_t flags;
};

/** The lane's thread let go of an object that others may wait for. */
struct ttap__release_row {
    uint32_t lane, op;
    int32_t object;
    int64_t at_ns;
};

/** kind: "queue", "lock", "descriptor". Again when its name becomes known. */
struct ttap__object_row {
    uint32_t number;
    const char *kind;
    struct ttap__text name;
    struct ttap__text address, file; /* of a lock that goes by its variable's name: the address, and the file that has it; else empty */
};

struct ttap__counter_row {
    uint32_t lane, name;
    int64_t at_ns, value;
};

/** What the lane's thread allocated since its row before. */
struct ttap__alloc_row {
    uint32_t lane;
    int64_t at_ns;
    uint64_t calls, bytes, frees;
};

struct ttap__depth_row {
    uint32_t lane, object;
    int64_t at_ns;
    uint64_t items;
};

struct ttap__attr_row {
    int32_t task;
    uint32_t key;
    bool is_text;
    int64_t value;
    struct ttap__text text;
};

struct ttap__task_out {
    int32_t task, parent, kind, lane, end_lane, text;
    int64_t start_ns, dur_ns, code;
    uint64_t status;             /* 0 ok, 1 failed, 2 not ended */
    uint64_t trace_hi, trace_lo; /* both 0: none */
    uint8_t flags;
};

/** What the lane's thread was doing: disjoint, in order, and without gaps from the window's start to its end. */
struct ttap__state_row {
    uint32_t lane, state;      /* state: a string */
    int32_t cpu, call;         /* -1: not known, or does not apply */
    int32_t op, object, stack; /* the hooked call in which it was blocked (a string), on what, and called from where; -1: not known */
    int64_t start_ns, dur_ns;
    uint8_t flags;
};

/** The lane's thread could run from at_ns on. */
struct ttap__wake_row {
    uint32_t lane, cause;  /* cause: a string */
    int32_t from;          /* the lane of the thread that did it; -1: none of this process */
    int64_t at_ns, run_ns; /* until it ran; -1: it had not when the window ended */
};

/** Threads of one other process had this CPU. Stretches of one CPU are disjoint; rows come in order of their ends. */
struct ttap__other_row {
    uint32_t name; /* of the process: a string */
    int32_t cpu;   /* -1: not known */
    int64_t pid, start_ns, dur_ns;
    uint8_t flags;
};

struct ttap__end_row {
    int64_t dur_ns;
    const char *reason, *identity;
    bool truncated;
    uint64_t events, delivered, filtered, lost[TTAP__LOSS_REASONS + 1], sampled_out;
    uint64_t disagreements; /* events of the scheduler that cannot follow each other though nothing was lost between them */
    uint64_t untold;        /* events, lanes or tasks that memory did not allow to tell about; 0 in any honest capture */
};

struct ttap__rows {
    int (*capture)(void *arg, const struct ttap__header *header);
    int (*note)(void *arg, struct ttap__text key, struct ttap__text value);
    int (*string)(void *arg, uint32_t number, struct ttap__text text);
    int (*lane)(void *arg, const struct ttap__lane_row *row); /* again when its name changes */
    int (*object)(void *arg, const struct ttap__object_row *row);
    int (*call)(void *arg, const struct ttap__call_row *row);
    int (*request)(void *arg, const struct ttap__request_row *row);
    int (*release)(void *arg, const struct ttap__release_row *row);
    int (*region)(void *arg, const struct ttap__region_row *row);
    int (*work)(void *arg, const struct ttap__work_row *row);
    int (*wait)(void *arg, const struct ttap__wait_row *row);
    int (*gc)(void *arg, const struct ttap__gc_row *row);
    int (*lost)(void *arg, const struct ttap__lost_row *row);
    int (*log)(void *arg, const struct ttap__log_row *row);
    int (*instant)(void *arg, const struct ttap__instant_row *row);
    int (*counter)(void *arg, const struct ttap__counter_row *row);
    int (*alloc)(void *arg, const struct ttap__alloc_row *row);
    int (*depth)(void *arg, const struct ttap__depth_row *row);
    int (*attr)(void *arg, const struct ttap__attr_row *row);
    int (*task)(void *arg, const struct ttap__task_out *row);
    int (*state)(void *arg, const struct ttap__state_row *row);
    int (*wake)(void *arg, const struct ttap__wake_row *row);
    int (*other)(void *arg, const struct ttap__other_row *row);
    int (*frame)(void *arg, const struct ttap__frame_row *row);
    int (*stack)(void *arg, const struct ttap__stack_node_row *row);
    int (*sample)(void *arg, const struct ttap__sample_row *row);
    int (*alloc_sample)(void *arg, const struct ttap__alloc_sample_row *row);
    int (*end)(void *arg, const struct ttap__end_row *row);
};

#endif
