#include "tasks.h"

#include <string.h>

/* Map values: a record's index; or, with GONE, a number without a record; with TOLD too, one whose row is out. */
#define GONE UINT32_C(0x80000000)
#define TOLD UINT32_C(0x40000000)
#define NUMBER_BITS UINT32_C(0x3fffffff)
#define NUMBERS_MAX INT32_C(0x3ffffffe)
#define NO_RECORD UINT32_MAX

void ttap__tasks_start(struct ttap__tasks *tasks, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance)
{
    *tasks = (struct ttap__tasks){.rows = rows, .arg = arg, .allowance = allowance, .free_first = NO_RECORD};
}

/* ---- Ids ---- */

/* Remember the number of a task without a record; the oldest such is forgotten. */
static void gone_remember(struct ttap__tasks *tasks, uint64_t id, int32_t number, uint32_t told)
{
    if (!tasks->gone)
        tasks->gone = ttap__allowance_grow(tasks->allowance, NULL, 0, TTAP__TASKS_GONE_MAX * sizeof *tasks->gone);
    if (!tasks->gone) {
        ttap__idmap_remove(&tasks->ids, id);
        return;
    }
    if (tasks->gone_count == TTAP__TASKS_GONE_MAX) {
        uint64_t oldest = tasks->gone[tasks->gone_at];
        uint32_t value = ttap__idmap_get(&tasks->ids, oldest);
        if (value != TTAP__IDMAP_NONE && value & GONE && oldest != id) /* it may have come back and have a record */
            ttap__idmap_remove(&tasks->ids, oldest);
    } else
        tasks->gone_count++;
    tasks->gone[tasks->gone_at] = id;
    tasks->gone_at = (tasks->gone_at + 1) % TTAP__TASKS_GONE_MAX;
    if (!ttap__idmap_put(&tasks->ids, tasks->allowance, id, GONE | told | (uint32_t)number))
        ttap__idmap_remove(&tasks->ids, id);
}

static int32_t number_next(struct ttap__tasks *tasks)
{
    return tasks->next_number < NUMBERS_MAX ? tasks->next_number++ : -1;
}

int32_t ttap__tasks_number(struct ttap__tasks *tasks, uint64_t id)
{
    if (id == 0)
        return -1;
    uint32_t value = ttap__idmap_get(&tasks->ids, id);
    if (value != TTAP__IDMAP_NONE)
        return value & GONE ? (int32_t)(value & NUMBER_BITS) : tasks->records[value].number;
    int32_t number = number_next(tasks);
    if (number >= 0)
        gone_remember(tasks, id, number, 0);
    return number;
}

/* ---- Records ---- */

static uint32_t record_room(struct ttap__tasks *tasks)
{
    uint32_t at = tasks->free_first;
    if (at != NO_RECORD) {
        tasks->free_first = tasks->records[at].next_free;
        return at;
    }
    if (!ttap__allowance_one_more(tasks->allowance, &tasks->records, &tasks->records_room, tasks->records_count, sizeof *tasks->records))
        return NO_RECORD;
    return (uint32_t)tasks->records_count++;
}

static void record_free(struct ttap__tasks *tasks, uint32_t at)
{
    tasks->records[at] = (struct ttap__task){.number = -1, .next_free = tasks->free_first};
    tasks->free_first = at;
}

static bool row_is_out(const struct ttap__tasks *tasks, uint64_t id)
{
    uint32_t value = ttap__idmap_get(&tasks->ids, id);
    return value != TTAP__IDMAP_NONE && value & GONE && value & TOLD;
}

/* The record of a task whose row is not out, made at its first need. NULL where memory ends. */
static struct ttap__task *record_of(struct ttap__tasks *tasks, uint64_t id)
{
    uint32_t value = ttap__idmap_get(&tasks->ids, id);
    if (value != TTAP__IDMAP_NONE && !(value & GONE))
        return &tasks->records[value];
    int32_t number = value != TTAP__IDMAP_NONE ? (int32_t)(value & NUMBER_BITS) : number_next(tasks);
    uint32_t at = number < 0 ? NO_RECORD : record_room(tasks);
    if (at == NO_RECORD) {
        tasks->untold++;
        return NULL;
    }
    tasks->records[at] = (struct ttap__task){.id = id, .number = number, .parent = -1, .kind = -1, .lane = -1, .end_lane = -1, .text = -1};
    if (ttap__idmap_put(&tasks->ids, tasks->allowance, id, at))
        return &tasks->records[at];
    record_free(tasks, at);
    tasks->untold++;
    return NULL;
}

static void describe(struct ttap__task *task, const struct ttap__task_told *told, int32_t parent)
{
    if (!task->described) {
        task->parent = parent;
        task->kind = told->kind;
        task->start_ns = told->start_ns;
        task->began_before = told->began_before;
        task->described = true;
    }
    if (task->lane < 0)
        task->lane = told->lane;
}

/* ---- Rows ---- */

static void row_tell(struct ttap__tasks *tasks, const struct ttap__task *task)
{
    int64_t dur_ns = task->end_ns > task->start_ns ? task->end_ns - task->start_ns : 0;
    struct ttap__task_out row = {
        .task = task->number,
        .parent = task->parent,
        .kind = task->kind,
        .lane = task->lane,
        .end_lane = task->end_lane,
        .text = task->text,
        .start_ns = task->start_ns,
        .dur_ns = dur_ns,
        .code = task->code,
        .status = task->ended ? task->status : 2,
        .trace_hi = task->trace_hi,
        .trace_lo = task->trace_lo,
        .flags = (uint8_t)((task->began_before ? TTAP__OPEN_START : 0) | (task->ended ? 0 : TTAP__OPEN_END)),
    };
    if (tasks->rows->task && tasks->rc == 0)
        tasks->rc = tasks->rows->task(tasks->arg, &row);
}

static bool earlier(const struct ttap__tasks *tasks, uint32_t a, uint32_t b)
{
    const struct ttap__task *one = &tasks->records[a], *other = &tasks->records[b];
    return one->end_ns != other->end_ns ? one->end_ns < other->end_ns : one->number < other->number;
}

static void heap_put(struct ttap__tasks *tasks, uint32_t record)
{
    size_t at = tasks->ended_count++;
    while (at > 0 && earlier(tasks, record, tasks->ended[(at - 1) / 2])) {
        tasks->ended[at] = tasks->ended[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    tasks->ended[at] = record;
}

static uint32_t heap_take(struct ttap__tasks *tasks)
{
    uint32_t first = tasks->ended[0], last = tasks->ended[--tasks->ended_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < tasks->ended_count) {
        if (child + 1 < tasks->ended_count && earlier(tasks, tasks->ended[child + 1], tasks->ended[child]))
            child++;
        if (!earlier(tasks, tasks->ended[child], last))
            break;
        tasks->ended[at] = tasks->ended[child];
        at = child;
    }
    if (tasks->ended_count)
        tasks->ended[at] = last;
    return first;
}

static void ended_tell_first(struct ttap__tasks *tasks)
{
    uint32_t at = heap_take(tasks);
    struct ttap__task task = tasks->records[at];
    row_tell(tasks, &task);
    record_free(tasks, at);
    gone_remember(tasks, task.id, task.number, TOLD);
}

/* ---- What is said of a task ---- */

int32_t ttap__tasks_describe(struct ttap__tasks *tasks, const struct ttap__task_told *told)
{
    if (told->id == 0)
        return -1;
    int32_t parent = ttap__tasks_number(tasks, told->parent);
    struct ttap__task *task = row_is_out(tasks, told->id) ? NULL : record_of(tasks, told->id);
    if (!task)
        return ttap__tasks_number(tasks, told->id);
    describe(task, told, parent);
    return task->number;
}

int32_t ttap__tasks_begin(struct ttap__tasks *tasks, const struct ttap__task_told *told)
{
    int32_t number = ttap__tasks_describe(tasks, told);
    uint32_t value = ttap__idmap_get(&tasks->ids, told->id);
    if (value != TTAP__IDMAP_NONE && !(value & GONE))
        tasks->records[value].lane = told->lane;
    return number;
}

/* Without memory for a record: the row at once, from what the end itself carries. */
static void end_without_record(struct ttap__tasks *tasks, const struct ttap__task_told *told, int64_t end_ns, uint64_t status)
{
    struct ttap__task task = {.id = told->id, .number = ttap__tasks_number(tasks, told->id), .end_lane = told->lane, .text = -1};
    task.lane = -1;
    describe(&task, told, ttap__tasks_number(tasks, told->parent));
    task.end_ns = end_ns;
    task.status = status;
    task.ended = true;
    if (task.number >= 0)
        row_tell(tasks, &task);
}

void ttap__tasks_end(struct ttap__tasks *tasks, const struct ttap__task_told *told, int64_t end_ns, uint64_t status)
{
    if (told->id == 0 || row_is_out(tasks, told->id))
        return;
    int32_t parent = ttap__tasks_number(tasks, told->parent);
    if (tasks->ended_count == TTAP__TASKS_ENDED_MAX)
        ended_tell_first(tasks);
    struct ttap__task *task = record_of(tasks, told->id);
    if (!task) {
        end_without_record(tasks, told, end_ns, status);
        return;
    }
    if (task->ended)
        return;
    describe(task, told, parent);
    task->ended = true;
    task->end_ns = end_ns;
    task->end_lane = told->lane;
    task->status = status;
    heap_put(tasks, (uint32_t)(task - tasks->records));
}

void ttap__tasks_fail(struct ttap__tasks *tasks, uint64_t id, int64_t code, int32_t text)
{
    struct ttap__task *task = id && !row_is_out(tasks, id) ? record_of(tasks, id) : NULL;
    if (task) {
        task->code = code;
        task->text = text;
    }
}

void ttap__tasks_trace(struct ttap__tasks *tasks, uint64_t id, uint64_t trace_hi, uint64_t trace_lo)
{
    struct ttap__task *task = id && !row_is_out(tasks, id) ? record_of(tasks, id) : NULL;
    if (task) {
        task->trace_hi = trace_hi;
        task->trace_lo = trace_lo;
    }
}

void ttap__tasks_finish(struct ttap__tasks *tasks, int64_t end_ns)
{
    while (tasks->ended_count)
        ended_tell_first(tasks);
    for (size_t at = 0; at < tasks->records_count; at++) {
        struct ttap__task *task = &tasks->records[at];
        if (!task->described)
            continue;
        task->end_ns = end_ns;
        row_tell(tasks, task);
    }
}

void ttap__tasks_free(struct ttap__tasks *tasks)
{
    ttap__allowance_free(tasks->allowance, tasks->records, tasks->records_room * sizeof *tasks->records);
    ttap__allowance_free(tasks->allowance, tasks->gone, TTAP__TASKS_GONE_MAX * sizeof *tasks->gone);
    ttap__idmap_free(&tasks->ids, tasks->allowance);
}
