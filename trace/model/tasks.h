/* tasks.h - the tasks of a capture: numbers, records, ends.
 *
 *      first mention --> number        described, not ended --> record        ended --> waits among the last ENDED_MAX --> row
 *
 * Chunks of different threads come in any order, so what a task did first may be told after its end: the last ended ones wait, ordered
 * by their ends, for what comes late. After its row a task is only a number, kept for the last GONE_MAX of them. Where the allowance
 * ends, new tasks get no record: they are numbered when they end, and what else is said of them is lost (untold). */
#ifndef TTAP_MODEL_TASKS_H
#define TTAP_MODEL_TASKS_H

#include "idmap.h"
#include "names.h"
#include "rows.h"

#define TTAP__TASKS_ENDED_MAX 7168 /* a drain that is as late as it may be brings this many at 70,000 tasks a second */
#define TTAP__TASKS_GONE_MAX 16384

struct ttap__task {
    uint64_t id;
    int32_t number, parent, kind, lane, end_lane, text;
    int64_t start_ns, end_ns, code;
    uint64_t status, trace_hi, trace_lo;
    bool described, began_before, ended;
    uint32_t next_free;
};

struct ttap__tasks {
    const struct ttap__rows *rows;
    void *arg;
    struct ttap__allowance *allowance;
    struct ttap__idmap ids; /* task id -> record, or GONE bit and number */
    struct ttap__task *records;
    size_t records_count, records_room;
    uint32_t free_first;
    uint32_t ended[TTAP__TASKS_ENDED_MAX]; /* a heap of records, the earliest end first */
    size_t ended_count;
    uint64_t *gone; /* a ring of ids, the oldest leaves */
    size_t gone_count, gone_at;
    int32_t next_number;
    uint64_t untold;
    int rc;
};

void ttap__tasks_start(struct ttap__tasks *tasks, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance);
/** The task's number, given at the first mention; -1 for id 0 and where memory ends. */
int32_t ttap__tasks_number(struct ttap__tasks *tasks, uint64_t id);

struct ttap__task_told {
    uint64_t id, parent;
    int32_t kind, lane;
    int64_t start_ns;
    bool began_before; /* the window */
};
/** Some place described it. Returns its number. */
int32_t ttap__tasks_describe(struct ttap__tasks *tasks, const struct ttap__task_told *told);
/** task_begin: as describe, and this lane is the one. */
int32_t ttap__tasks_begin(struct ttap__tasks *tasks, const struct ttap__task_told *told);
void ttap__tasks_end(struct ttap__tasks *tasks, const struct ttap__task_told *told, int64_t end_ns, uint64_t status);
void ttap__tasks_fail(struct ttap__tasks *tasks, uint64_t id, int64_t code, int32_t text);
void ttap__tasks_trace(struct ttap__tasks *tasks, uint64_t id, uint64_t trace_hi, uint64_t trace_lo);
/** The window is over: tell the ended ones that wait, then those that had not ended. */
void ttap__tasks_finish(struct ttap__tasks *tasks, int64_t end_ns);
void ttap__tasks_free(struct ttap__tasks *tasks);

#endif
