/* model.c - where blocks meet lanes, tasks, names and the clock. See model.h. */
#include "model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "callstacks.h"
#include "causes.h"
#include "lanes.h"
#include "requests.h"
#include "states.h"
#include "stops.h"
#include "variables.h"

static const char hooks_note[] = "source.hooks"; /* "on", or why not */

#define THREAD_NAME_BYTES 63 /* as long as ttap_thread_name() takes; longer ones are cut */
/* Beside the conversion's own allowance: about 8,000 streams, more than the default budget has chunks for. */
#define ACCOUNT_BYTES (2u << 20)

struct thread {
    uint64_t thread, pid, tid;
    struct ttap__lane *lanes[2]; /* by level */
    struct ttap__states *states; /* what its scheduler stream tells; NULL: nothing so far */
    struct ttap__causes *causes; /* with the calls that its own stream tells; NULL: no call so far, or no memory */
    struct thread *program;      /* the one with its ids that was told before it: what it was before it executed another program; or NULL */
    uint64_t stack_start_ticks;  /* of the call whose stack came last, which is told next */
    int64_t gone_ns;             /* 0: not as far as its scheduler stream tells */
    int32_t stack;               /* -1: none */
    uint8_t name_len;
    char name[THREAD_NAME_BYTES];
};

/* A call that had not returned when the window ended, told when it is known when that was. */
struct pending {
    struct thread *thread;
    uint64_t start_ticks;
    uint32_t op;
    int32_t object;
    uint8_t why;
};

struct ttap__model {
    struct ttap__reader *reader;
    struct ttap__lanes_around around;
    struct ttap__allowance account_allowance;
    struct ttap__account account;
    struct ttap__names names;
    struct ttap__callstacks stacks;
    struct ttap__variables variables;
    struct ttap__tasks tasks;
    struct ttap__timebase time;
    struct ttap__idmap threads_by_number, threads_by_tid, objects;
    struct thread **threads;
    size_t threads_count, threads_room;
    struct pending *pending;
    size_t pending_count, pending_room;
    uint32_t lanes_count, objects_count;
    int64_t latest_ns; /* of anything; the end of a capture that was cut */
    bool headed, ended;
    bool hooked; /* calls may come, as a note says */
    uint64_t end_ticks, reason;
    struct ttap__stops stops;
    struct ttap__requests requests;
    uint64_t disagreements; /* of scheduler streams, in all */
};

/* What a block's calls come to. */
static int done(struct ttap__model *model)
{
    int rcs[] = {model->around.rc, model->names.rc, model->tasks.rc, model->stacks.rc,
                 model->around.allowance->no_memory || model->account_allowance.no_memory ? -ENOMEM : 0};
    for (size_t i = 0; i < sizeof rcs / sizeof rcs[0]; i++)
        if (rcs[i])
            return rcs[i];
    return 0;
}

#define TELL(model, table, row)                                                                                                                      \
    do {                                                                                                                                             \
        if ((model)->around.rows->table && (model)->around.rc == 0)                                                                                  \
            (model)->around.rc = (model)->around.rows->table((model)->around.arg, row);                                                              \
    } while (0)

static void *model_grow(struct ttap__model *model, size_t bytes)
{
    void *block = ttap__allowance_grow(model->around.allowance, NULL, 0, bytes);
    if (!block)
        model->around.untold++;
    return block;
}

static int64_t see(struct ttap__model *model, uint64_t ticks)
{
    int64_t ns = ttap__ns(&model->time, ticks);
    if (ns > model->latest_ns)
        model->latest_ns = ns;
    return ns;
}

/* ---- Threads and lanes ---- */

static void lane_tell(struct ttap__model *model, const struct thread *thread, const struct ttap__lane *lane)
{
    struct ttap__lane_row row = {lane->number, lane->level == 1, thread->pid, thread->tid, {thread->name, thread->name_len}};
    if (model->around.rows->lane && model->around.rc == 0)
        model->around.rc = model->around.rows->lane(model->around.arg, &row);
}

static struct thread *thread_new(struct ttap__model *model, uint64_t number)
{
    struct thread *thread = model_grow(model, sizeof *thread);
    if (!thread)
        return NULL;
    if (!ttap__allowance_one_more(model->around.allowance, &model->threads, &model->threads_room, model->threads_count, sizeof *model->threads) ||
        !ttap__idmap_put(&model->threads_by_number, model->around.allowance, number, (uint32_t)model->threads_count)) {
        ttap__allowance_free(model->around.allowance, thread, sizeof *thread);
        model->around.untold++;
        return NULL;
    }
    *thread = (struct thread){.thread = number, .stack = -1};
    model->threads[model->threads_count++] = thread;
    return thread;
}

static struct thread *thread_known(struct ttap__model *model, uint64_t number)
{
    uint32_t at = ttap__idmap_get(&model->threads_by_number, number);
    return at == TTAP__IDMAP_NONE ? NULL : model->threads[at];
}

static struct ttap__lane *lane_of_thread(struct ttap__model *model, struct thread *thread, uint8_t level)
{
    struct ttap__lane *lane = thread->lanes[level];
    if (lane)
        return lane;
    lane = model_grow(model, sizeof *lane);
    if (!lane)
        return NULL;
    ttap__lane_start(lane, model->lanes_count++, level);
    thread->lanes[level] = lane;
    lane_tell(model, thread, lane);
    return lane;
}

/* NULL where memory ends: what the stream says is then untold. */
static struct ttap__lane *lane_of(struct ttap__model *model, uint64_t number, uint8_t level)
{
    struct thread *thread = thread_known(model, number);
    if (!thread)
        thread = thread_new(model, number);
    return thread ? lane_of_thread(model, thread, level) : NULL;
}

/* What a collector did to it before it was known. */
static void stops_tell(struct ttap__model *model, const struct thread *thread, struct ttap__lane *lane)
{
    struct ttap__stop stop;
    uint32_t phase = ttap__names_word(&model->names, TTAP__WORD_STOPPED);
    while (ttap__stops_take(&model->stops, thread->pid, thread->tid, &stop)) {
        if (stop.begun)
            ttap__lane_gc_begin(&model->around, lane, phase, stop.by, stop.begin_ns);
        if (stop.ended)
            ttap__lane_gc_end(&model->around, lane, phase, stop.by, stop.end_ns);
    }
}

/* Older ones only, so that none is before itself whatever a capture says. */
static struct thread *program_before(const struct ttap__model *model, const struct ttap__thread_row *row)
{
    uint32_t at = ttap__idmap_get(&model->threads_by_tid, row->tid);
    if (at == TTAP__IDMAP_NONE || at >= ttap__idmap_get(&model->threads_by_number, row->thread) || model->threads[at]->pid != row->pid)
        return NULL;
    return model->threads[at]->states || !model->threads[at]->program ? model->threads[at] : model->threads[at]->program;
}

/* Whose states its call explains. Who executes another program goes on as the old thread for the scheduler, and as a new one for the hooks. */
static struct thread *scheduled_as(struct thread *thread, int64_t start_ns)
{
    struct thread *old = thread->states ? NULL : thread->program;
    return old && old->states && (!old->gone_ns || start_ns < old->gone_ns) ? old : thread;
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    struct ttap__model *model = arg;
    struct thread *thread = thread_known(model, row->thread);
    uint8_t len = (uint8_t)(row->name.len < THREAD_NAME_BYTES ? row->name.len : THREAD_NAME_BYTES);
    bool same =
        thread && thread->pid == row->pid && thread->tid == row->tid && thread->name_len == len && memcmp(thread->name, row->name.bytes, len) == 0;
    if (!thread)
        thread = thread_new(model, row->thread);
    if (!thread || same)
        return done(model);
    if (!thread->pid)
        thread->program = program_before(model, row);
    thread->pid = row->pid;
    thread->tid = row->tid;
    if (!ttap__idmap_put(&model->threads_by_tid, model->around.allowance, row->tid, ttap__idmap_get(&model->threads_by_number, row->thread)))
        model->around.untold++;
    thread->name_len = len;
    memcpy(thread->name, row->name.bytes, len);
    for (int level = 0; level < 2; level++)
        if (thread->lanes[level])
            lane_tell(model, thread, thread->lanes[level]);
    struct ttap__lane *lane = lane_of_thread(model, thread, 0);
    if (lane && model->stops.count)
        stops_tell(model, thread, lane);
    return done(model);
}

/* ---- Small blocks ---- */

static int on_header(void *arg, const struct ttap__header *header)
{
    struct ttap__model *model = arg;
    model->headed = true;
    ttap__timebase_start(&model->time, header);
    return model->around.rows->capture ? model->around.rows->capture(model->around.arg, header) : 0;
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    struct ttap__model *model = arg;
    if (key.len == strlen(hooks_note) && memcmp(key.bytes, hooks_note, key.len) == 0)
        model->hooked = value.len >= 2 && memcmp(value.bytes, "on", 2) == 0;
    return model->around.rows->note ? model->around.rows->note(model->around.arg, key, value) : 0;
}

static int on_clock(void *arg, const struct ttap__clock_pair *pair)
{
    struct ttap__model *model = arg;
    ttap__timebase_pair(&model->time, pair);
    see(model, pair->ticks);
    return 0;
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    struct ttap__model *model = arg;
    ttap__names_define(&model->names, id, text);
    return done(model);
}

static uint32_t loss_reason(struct ttap__model *model, uint8_t reason)
{
    static const enum ttap__word words[] = {TTAP__WORD_UNKNOWN, TTAP__WORD_FULL, TTAP__WORD_NESTED,
                                            TTAP__WORD_QUEUE,   TTAP__WORD_LATE, TTAP__WORD_STALL};
    return ttap__names_word(&model->names, words[reason <= TTAP__LOSS_REASONS ? reason : 0]);
}

static int on_loss(void *arg, const struct ttap__loss_row *loss)
{
    struct ttap__model *model = arg;
    ttap__account_loss(&model->account, loss);
    int64_t from_ns = ttap__ns(&model->time, loss->from_ticks), to_ns = see(model, loss->to_ticks);
    if (loss->lost == 0)
        return done(model);
    struct ttap__lane *lane = loss->thread ? lane_of(model, loss->thread, loss->level == TTAP__LEVEL_SIGNAL) : NULL;
    if (lane && loss->level == TTAP__LEVEL_SCHED && thread_known(model, loss->thread)->states)
        ttap__states_lost(thread_known(model, loss->thread)->states);
    struct ttap__lost_row row = {.lane = lane ? (int32_t)lane->number : -1,
                                 .reason = loss_reason(model, loss->reason),
                                 .start_ns = from_ns > 0 ? from_ns : 0,
                                 .count = loss->lost};
    row.dur_ns = to_ns > row.start_ns ? to_ns - row.start_ns : 0;
    if (model->around.rows->lost && model->around.rc == 0)
        model->around.rc = model->around.rows->lost(model->around.arg, &row);
    return done(model);
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    struct ttap__model *model = arg;
    ttap__account_row(&model->account, row);
    return done(model);
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    struct ttap__model *model = arg;
    ttap__account_trailer(&model->account, trailer, ttap__reader_blocks(model->reader), ttap__reader_bytes(model->reader));
    model->ended = true;
    model->end_ticks = trailer->end_ticks;
    model->reason = trailer->reason;
    return done(model);
}

/* ---- Tasks ---- */

static struct ttap__task_told told(struct ttap__model *model, const struct ttap__lane *lane, uint64_t id, uint64_t parent, uint64_t kind,
                                   uint64_t start_ticks)
{
    return (struct ttap__task_told){.id = id,
                                    .parent = parent,
                                    .kind = (int32_t)ttap__names_number(&model->names, kind),
                                    .lane = lane ? (int32_t)lane->number : -1,
                                    .start_ns = ttap__ns(&model->time, start_ticks),
                                    .began_before = (int64_t)(start_ticks - model->time.base_ticks) < 0};
}

/* A task that was current on a thread when the window began: the thread works for it from time 0. */
static int on_task(void *arg, const struct ttap__task_row *row)
{
    struct ttap__model *model = arg;
    struct thread *thread = thread_known(model, row->thread);
    struct ttap__lane *lane = thread ? lane_of_thread(model, thread, 0) : NULL;
    struct ttap__task_told task = told(model, lane, row->task, row->parent, row->kind, row->start_ticks);
    int32_t number = ttap__tasks_describe(&model->tasks, &task);
    if (lane && !lane->seen && !lane->working && row->task)
        ttap__lane_work(&model->around, lane, row->task, number, 0, TTAP__OPEN_START, 0);
    return done(model);
}

/* ---- Events ---- */

static void task_enter(struct ttap__model *model, struct ttap__lane *lane, uint64_t id, int64_t ns)
{
    if (id != lane->task_id)
        ttap__lane_work(&model->around, lane, id, ttap__tasks_number(&model->tasks, id), ns, 0, 0);
}

static uint32_t object_of(struct ttap__model *model, uint64_t queue, uint64_t name)
{
    uint64_t key = ttap__mix64(queue) + ttap__names_number(&model->names, name);
    uint32_t number = ttap__idmap_get(&model->objects, key);
    if (number != TTAP__IDMAP_NONE)
        return number;
    if (!ttap__idmap_put(&model->objects, model->around.allowance, key, model->objects_count)) {
        model->around.untold++;
        return TTAP__IDMAP_NONE;
    }
    struct ttap__object_row row = {.number = model->objects_count, .kind = "queue", .name = ttap__names_text(&model->names, name)};
    if (model->around.rows->object && model->around.rc == 0)
        model->around.rc = model->around.rows->object(model->around.arg, &row);
    return model->objects_count++;
}

static uint32_t why_word(struct ttap__model *model, uint64_t why)
{
    return ttap__names_word(&model->names, why == 1 ? TTAP__WORD_FULL : why == 2 ? TTAP__WORD_EMPTY : TTAP__WORD_UNKNOWN);
}

static void on_point(struct ttap__model *model, struct ttap__lane *lane, const struct ttap__event *event, int64_t ns)
{
    const uint64_t *a = event->a;
    uint32_t name = ttap__names_number(&model->names, a[0]);
    if (event->row->known == TTAP__INSTANT)
        TELL(model, instant, (&(struct ttap__instant_row){lane->number, name, lane->task, ns}));
    else if (event->row->known == TTAP__COUNTER)
        TELL(model, counter, (&(struct ttap__counter_row){lane->number, name, ns, (int64_t)a[1]}));
    else
        TELL(model, log, (&(struct ttap__log_row){lane->number, name, lane->task, ns, ttap__event_text(event, 1)}));
}

static void on_attr(struct ttap__model *model, const struct ttap__event *event)
{
    const uint64_t *a = event->a;
    bool is_text = event->row->known == TTAP__TASK_ATTR_STR;
    struct ttap__attr_row row = {.task = ttap__tasks_number(&model->tasks, a[0]),
                                 .key = ttap__names_number(&model->names, a[1]),
                                 .is_text = is_text,
                                 .value = is_text ? 0 : (int64_t)a[2]};
    if (is_text)
        row.text = ttap__event_text(event, 2);
    TELL(model, attr, &row);
}

static void on_task_event(struct ttap__model *model, struct ttap__lane *lane, const struct ttap__event *event, int64_t ns)
{
    const uint64_t *a = event->a;
    struct ttap__task_told task;
    switch (event->row->known) {
    case TTAP__TASK_BEGIN:
        task = told(model, lane, a[0], a[1], a[2], event->ticks);
        ttap__tasks_begin(&model->tasks, &task);
        break;
    case TTAP__TASK_END:
        task = told(model, lane, a[0], a[1], a[2], a[3]);
        ttap__tasks_end(&model->tasks, &task, ns, a[4]);
        break;
    case TTAP__TASK_ENTER_FULL:
        task = told(model, lane, a[0], a[1], a[2], a[3]);
        ttap__tasks_describe(&model->tasks, &task);
        task_enter(model, lane, a[0], ns);
        break;
    case TTAP__TASK_FAIL:
        ttap__tasks_fail(&model->tasks, a[0], (int64_t)a[1], (int32_t)ttap__names_of_text(&model->names, ttap__event_text(event, 2)));
        break;
    case TTAP__TASK_TRACE:
        ttap__tasks_trace(&model->tasks, a[0], a[1], a[2]);
        break;
    default:
        on_attr(model, event);
        break;
    }
}

/* ---- Hooked calls ---- */

/* Whose states, and where they go. */
struct states_lane {
    struct ttap__model *model;
    const struct ttap__lane *lane;
    struct thread *thread;
};

static void state_row_tell(void *arg, const struct ttap__cause_span *out);

/* NULL: no memory. */
static struct ttap__causes *causes_of(struct ttap__model *model, struct thread *thread)
{
    if (!thread->causes) {
        thread->causes = model_grow(model, sizeof *thread->causes);
        if (thread->causes)
            *thread->causes = (struct ttap__causes){.allowance = model->around.allowance};
    }
    return thread->causes;
}

static void explain(struct ttap__model *model, struct thread *by, const struct ttap__call_row *row, uint8_t why)
{
    struct thread *thread = scheduled_as(by, row->start_ns);
    struct states_lane to = {model, thread->lanes[0], thread};
    if (thread->lanes[0] && causes_of(model, thread))
        ttap__causes_call(thread->causes,
                          &(struct ttap__cause_call){.start_ns = row->start_ns,
                                                     .end_ns = row->start_ns + row->dur_ns,
                                                     .why = why,
                                                     .op = (int32_t)row->op,
                                                     .object = row->object,
                                                     .stack = row->stack},
                          state_row_tell, &to);
}

/* As in struct ttap__state_span: lock, network, file, sleep. */
static uint8_t why_of_kind(unsigned kind)
{
    return kind == TTAP__LOCK_CALL ? 1 : kind == TTAP__NET_CALL ? 2 : kind == TTAP__FILE_CALL ? 3 : 4;
}

/* By its variable's name, if that is known; else by its address. */
static void lock_tell(struct ttap__model *model, uint64_t pid, uint64_t address)
{
    char number[24], name[TTAP__VARIABLE_TEXT_BYTES];
    const char *file;
    struct ttap__object_row row = {.number = model->objects_count, .kind = "lock"};
    row.name = (struct ttap__text){number, (size_t)snprintf(number, sizeof number, "0x%" PRIx64, address)};
    if (ttap__variables_name(&model->variables, pid, address, name, &file)) {
        row.address = row.name;
        row.name = (struct ttap__text){name, strlen(name)};
        row.file = (struct ttap__text){file, strlen(file)};
    }
    TELL(model, object, &row);
}

/* As docs/format.md has it: those beyond 2^16 lie higher, with a bit that says so. */
static uint32_t descriptor_number(uint64_t object)
{
    return object >> 48 ? (uint32_t)(object >> 16) : object & 0xffff;
}

static void descriptor_tell(struct ttap__model *model, uint64_t object, struct ttap__text name)
{
    char number[24];
    if (!name.len)
        name = (struct ttap__text){number, (size_t)snprintf(number, sizeof number, "fd %" PRIu32, descriptor_number(object))};
    TELL(model, object, (&(struct ttap__object_row){.number = model->objects_count, .kind = "descriptor", .name = name}));
}

/* Locks and descriptors of different processes are different objects. @name: {0}, and it goes by its number until a name comes. */
static int32_t called_object(struct ttap__model *model, uint64_t pid, uint64_t object, bool is_lock, struct ttap__text name)
{
    if (!object)
        return -1;
    uint64_t key = ttap__mix64(pid * 2 + is_lock + (UINT64_C(1) << 63)) + object;
    uint32_t number = ttap__idmap_get(&model->objects, key);
    if (number != TTAP__IDMAP_NONE)
        return (int32_t)number;
    if (!ttap__idmap_put(&model->objects, model->around.allowance, key, model->objects_count)) {
        model->around.untold++;
        return -1;
    }
    if (is_lock)
        lock_tell(model, pid, object);
    else
        descriptor_tell(model, object, name);
    return (int32_t)model->objects_count++;
}

/* From before the window: since its start. */
static void tell_call(struct ttap__model *model, const struct ttap__lane *lane, struct ttap__call_row *row, uint64_t start_ticks, int64_t end_ns)
{
    bool before = !start_ticks || start_ticks < model->time.base_ticks; /* 0: while nobody recorded */
    row->start_ns = before ? 0 : ttap__ns(&model->time, start_ticks);
    if (row->start_ns > end_ns)
        row->start_ns = end_ns; /* clocks of two CPUs */
    row->dur_ns = end_ns - row->start_ns;
    row->flags |= before ? TTAP__OPEN_START : 0;
    row->lane = lane->number;
    row->task = lane->task;
    TELL(model, call, row);
}

static void on_call(struct ttap__model *model, struct ttap__lane *lane, struct thread *thread, const struct ttap__event *event, int64_t ns)
{
    const uint64_t *a = event->a;
    bool is_lock = event->row->known == TTAP__LOCK_CALL;
    struct ttap__call_row row = {.op = ttap__names_number(&model->names, a[0]),
                                 .object = called_object(model, thread->pid, a[2], is_lock, (struct ttap__text){0}),
                                 .stack = thread->stack_start_ticks == a[1] ? thread->stack : -1,
                                 .result = (int64_t)a[3]};
    thread->stack = -1;
    tell_call(model, lane, &row, a[1], ns);
    if (event->row->known == TTAP__NET_CALL)
        ttap__requests_call(&model->requests, &row, ttap__names_text(&model->names, a[0]));
    if (lane->level == TTAP__LEVEL_OWN)
        explain(model, thread, &row, why_of_kind(event->row->known));
}

static void on_release(struct ttap__model *model, const struct ttap__lane *lane, uint64_t pid, const struct ttap__event *event, int64_t ns)
{
    TELL(model, release,
         (&(struct ttap__release_row){lane->number, ttap__names_number(&model->names, event->a[0]),
                                      called_object(model, pid, event->a[1], true, (struct ttap__text){0}), ns}));
}

static void on_object_text(struct ttap__model *model, uint64_t pid, const struct ttap__event *event)
{
    uint32_t known = model->objects_count;
    struct ttap__text name = ttap__event_text(event, 1);
    int32_t object = called_object(model, pid, event->a[0], false, name);
    if (object >= 0 && (uint32_t)object < known)
        TELL(model, object, (&(struct ttap__object_row){.number = (uint32_t)object, .kind = "descriptor", .name = name}));
    if (object >= 0 && event->row->known == TTAP__NET_OBJECT)
        ttap__requests_named(&model->requests, (uint32_t)object, name);
}

static void on_hook(struct ttap__model *model, struct ttap__lane *lane, struct thread *thread, const struct ttap__event *event, int64_t ns)
{
    switch (event->row->known) {
    case TTAP__LOCK_WAKE:
        on_release(model, lane, thread->pid, event, ns);
        break;
    case TTAP__NET_OBJECT:
    case TTAP__FILE_OBJECT:
        on_object_text(model, thread->pid, event);
        break;
    default:
        on_call(model, lane, thread, event, ns);
        break;
    }
}

static int on_pending(void *arg, const struct ttap__pending_row *pending)
{
    struct ttap__model *model = arg;
    struct thread *thread = thread_known(model, pending->thread);
    if (!thread)
        thread = thread_new(model, pending->thread);
    if (!thread || !lane_of_thread(model, thread, 0))
        return done(model);
    if (!ttap__allowance_one_more(model->around.allowance, &model->pending, &model->pending_room, model->pending_count, sizeof *model->pending)) {
        model->around.untold++;
        return done(model);
    }
    model->pending[model->pending_count++] =
        (struct pending){.thread = thread,
                         .start_ticks = pending->start_ticks,
                         .op = ttap__names_number(&model->names, pending->op),
                         .object = called_object(model, thread->pid, pending->object, pending->kind == TTAP__LOCK_CALL, (struct ttap__text){0}),
                         .why = why_of_kind((unsigned)pending->kind)};
    return done(model);
}

/* They last until the end of the window, however long before it the last event came; or until their thread ended, with its process. */
static void pending_finish(struct ttap__model *model, int64_t end_ns)
{
    for (size_t i = 0; i < model->pending_count; i++) {
        const struct pending *pending = &model->pending[i];
        struct ttap__call_row row = {.op = pending->op, .object = pending->object, .stack = -1, .flags = TTAP__OPEN_END};
        int64_t gone_ns = scheduled_as(pending->thread, ttap__ns(&model->time, pending->start_ticks))->gone_ns;
        tell_call(model, pending->thread->lanes[0], &row, pending->start_ticks, gone_ns ? gone_ns : end_ns);
        explain(model, pending->thread, &row, pending->why);
    }
}

/* Another thread of the collector's process, on whose lane it is a phase like others. One that nothing else tells of has no lane. */
static void on_stopped(struct ttap__model *model, uint64_t pid, uint32_t by, const struct ttap__event *event, int64_t ns)
{
    uint32_t at = ttap__idmap_get(&model->threads_by_tid, event->a[0]);
    const struct thread *thread = at == TTAP__IDMAP_NONE || model->threads[at]->pid != pid ? NULL : model->threads[at];
    if (event->row->known == TTAP__GC_STOPPED)
        ttap__stops_begin(&model->stops, pid, event->a[0], by, ns);
    else if (!thread || !thread->lanes[0])
        ttap__stops_end(&model->stops, pid, event->a[0], by, ns);
    else
        ttap__lane_gc_end(&model->around, thread->lanes[0], ttap__names_word(&model->names, TTAP__WORD_STOPPED), by, ns);
    if (thread && thread->lanes[0])
        stops_tell(model, thread, thread->lanes[0]);
}

static void on_queue(struct ttap__model *model, struct ttap__lane *lane, const struct ttap__event *event, int64_t ns)
{
    uint32_t object = object_of(model, event->a[0], event->a[1]);
    if (event->row->known == TTAP__QUEUE_WAIT_BEGIN)
        ttap__lane_wait_begin(&model->around, lane, object, why_word(model, event->a[2]), ns);
    else if (event->row->known == TTAP__QUEUE_WAIT_END)
        ttap__lane_wait_end(&model->around, lane, object, why_word(model, event->a[2]), ns);
    else
        TELL(model, depth, (&(struct ttap__depth_row){lane->number, object, ns, event->a[2]}));
}

static int64_t told_exactly(uint64_t value)
{
    return (int64_t)(value < (UINT64_C(1) << 53) ? value : UINT64_C(1) << 53);
}

static void on_alloc_sample(struct ttap__model *model, const struct ttap__lane *lane, const struct ttap__event *event, int64_t ns)
{
    TELL(model, alloc_sample,
         (&(struct ttap__alloc_sample_row){.lane = lane->number,
                                           .stack = ttap__callstacks_number(&model->stacks, event->a[2]),
                                           .task = lane->task,
                                           .at_ns = ns > 0 ? ns : 0,
                                           .bytes = told_exactly(event->a[0]),
                                           .weight = told_exactly(event->a[1])}));
}

/* Of the thread, also where the handler interrupted it in the middle of another event. */
static void on_sample(struct ttap__model *model, const struct ttap__lane *lane, const struct ttap__event *event, int64_t ns)
{
    if (event->row->known == TTAP__ALLOC_SAMPLE) {
        on_alloc_sample(model, lane, event, ns);
        return;
    }
    TELL(model, sample,
         (&(struct ttap__sample_row){.lane = lane->number,
                                     .stack = ttap__callstacks_number(&model->stacks, event->a[1]),
                                     .task = lane->task,
                                     .at_ns = ns > 0 ? ns : 0,
                                     .cpu_ns = told_exactly(event->a[0])}));
}

static void on_event(struct ttap__model *model, struct ttap__lane *lane, struct thread *thread, const struct ttap__event *event)
{
    int64_t ns = ttap__lane_time(lane, see(model, event->ticks));
    switch (event->row->known) {
    case TTAP__REGION_BEGIN:
        ttap__lane_region_begin(&model->around, lane, ttap__names_number(&model->names, event->a[0]), event->ticks, ns);
        break;
    case TTAP__REGION_END:
        ttap__lane_region_end(&model->around, lane, ns);
        break;
    case TTAP__REGION_END_AT:
        ttap__lane_region_end_at(&model->around, lane, event->a[1], ns);
        break;
    case TTAP__REGION_END_OPEN:
        ttap__lane_region_end_open(&model->around, lane, ttap__names_number(&model->names, event->a[0]), event->a[1], ns);
        break;
    case TTAP__INSTANT:
    case TTAP__LOG:
    case TTAP__COUNTER:
        on_point(model, lane, event, ns);
        break;
    case TTAP__TASK_ENTER:
        task_enter(model, lane, event->a[0], ns);
        break;
    case TTAP__TASK_BEGIN:
    case TTAP__TASK_END:
    case TTAP__TASK_ENTER_FULL:
    case TTAP__TASK_ATTR_INT:
    case TTAP__TASK_ATTR_STR:
    case TTAP__TASK_FAIL:
    case TTAP__TASK_TRACE:
        on_task_event(model, lane, event, ns);
        break;
    case TTAP__QUEUE_ENQUEUE:
    case TTAP__QUEUE_DEQUEUE:
    case TTAP__QUEUE_WAIT_BEGIN:
    case TTAP__QUEUE_WAIT_END:
        on_queue(model, lane, event, ns);
        break;
    case TTAP__GC_BEGIN:
        ttap__lane_gc_begin(&model->around, lane, ttap__names_number(&model->names, event->a[0]), lane->number, ns);
        break;
    case TTAP__GC_END:
        ttap__lane_gc_end(&model->around, lane, ttap__names_number(&model->names, event->a[0]), lane->number, ns);
        break;
    case TTAP__GC_STOPPED:
    case TTAP__GC_RESUMED:
        on_stopped(model, thread->pid, lane->number, event, ns);
        break;
    case TTAP__LOCK_CALL:
    case TTAP__NET_CALL:
    case TTAP__FILE_CALL:
    case TTAP__SLEEP_CALL:
    case TTAP__LOCK_WAKE:
    case TTAP__NET_OBJECT:
    case TTAP__FILE_OBJECT:
        on_hook(model, lane, thread, event, ns);
        break;
    case TTAP__SAMPLE:
    case TTAP__ALLOC_SAMPLE:
        on_sample(model, lane->level == TTAP__LEVEL_OWN || !thread->lanes[0] ? lane : thread->lanes[0], event, ns);
        break;
    case TTAP__CALL_STACK:
        thread->stack_start_ticks = event->a[0];
        thread->stack = ttap__callstacks_number(&model->stacks, event->a[1]);
        break;
    default: /* a kind of a later version: its sequence number counts, its meaning is unknown */
        break;
    }
}

/* What the head of a run says is true, whatever the lane believed. */
static void head_take(struct ttap__model *model, struct ttap__lane *lane, const struct ttap__events *block)
{
    bool first = !lane->seen, gap = first || lane->next_seq != block->first_seq;
    bool anything_before = block->delivered_before + block->filtered_before + block->lost_before != 0;
    int64_t before_ns = lane->last_ns, base_ns = ttap__lane_time(lane, see(model, block->base_ticks));
    if (gap && (!first || anything_before))
        lane->known_ns = base_ns;
    if (block->task != lane->task_id) {
        int32_t number = -1;
        if (block->task) {
            struct ttap__task_told task = told(model, lane, block->task, block->task_parent, block->task_kind, block->task_start_ticks);
            number = ttap__tasks_describe(&model->tasks, &task);
        }
        ttap__lane_work(&model->around, lane, block->task, number, first && !anything_before ? 0 : base_ns, TTAP__OPEN_START, TTAP__OPEN_END);
    }
    ttap__lane_regions_are(&model->around, lane, block, &model->time, base_ns, before_ns);
    lane->seen = true;
    lane->next_seq = block->first_seq + block->count + block->filtered;
}

/* ---- States ---- */

static enum ttap__word state_word(const struct ttap__state_span *span)
{
    static const enum ttap__word states[TTAP__STATES] = {TTAP__WORD_UNKNOWN_STATE, TTAP__WORD_RUNNING, TTAP__WORD_RUNNABLE, TTAP__WORD_BLOCKED,
                                                         TTAP__WORD_GONE};
    static const enum ttap__word causes[] = {TTAP__WORD_BLOCKED, TTAP__WORD_LOCK, TTAP__WORD_NETWORK, TTAP__WORD_FILE, TTAP__WORD_SLEEP};
    return span->state == TTAP__STATE_BLOCKED ? causes[span->why] : states[span->state];
}

static void state_row_tell(void *arg, const struct ttap__cause_span *out)
{
    struct states_lane *to = arg;
    const struct ttap__state_span *span = &out->span;
    TELL(to->model, state,
         (&(struct ttap__state_row){.lane = to->lane->number,
                                    .state = ttap__names_word(&to->model->names, state_word(span)),
                                    .cpu = span->cpu,
                                    .call = span->call,
                                    .op = out->op,
                                    .object = out->object,
                                    .stack = out->stack,
                                    .start_ns = span->start_ns,
                                    .dur_ns = span->end_ns - span->start_ns,
                                    .flags = span->flags}));
}

/* Where there are no hooks there is nothing to wait for. */
static void state_tell(void *arg, const struct ttap__state_span *span)
{
    struct states_lane *to = arg;
    if (to->thread->causes || (to->model->hooked && causes_of(to->model, to->thread)))
        ttap__causes_span(to->thread->causes, span, state_row_tell, to);
    else
        state_row_tell(to, &(struct ttap__cause_span){*span, -1, -1, -1});
}

static void wake_tell(void *arg, const struct ttap__state_wake *wake)
{
    static const enum ttap__word causes[] = {TTAP__WORD_UNKNOWN_STATE, TTAP__WORD_THREAD, TTAP__WORD_PROCESS, TTAP__WORD_INTERRUPT};
    struct states_lane *to = arg;
    struct ttap__lane *from = wake->by ? lane_of(to->model, wake->by, 0) : NULL;
    uint64_t cause = wake->cause < sizeof causes / sizeof causes[0] ? wake->cause : 0;
    TELL(to->model, wake,
         (&(struct ttap__wake_row){.lane = to->lane->number,
                                   .cause = ttap__names_word(&to->model->names, causes[cause]),
                                   .from = from ? (int32_t)from->number : -1,
                                   .at_ns = wake->at_ns,
                                   .run_ns = wake->run_ns}));
}

static struct ttap__states *states_of(struct ttap__model *model, struct thread *thread)
{
    if (!thread->states) {
        thread->states = model_grow(model, sizeof *thread->states);
        if (thread->states)
            *thread->states = (struct ttap__states){0};
    }
    return thread->states;
}

static void on_other(struct ttap__model *model, const struct ttap__event *event, int64_t ns)
{
    int64_t start_ns = ttap__ns(&model->time, event->a[1]);
    bool began_before = start_ns < 0;
    if (ns <= 0)
        return; /* what was told up to the edge at which the window begins */
    start_ns = began_before ? 0 : start_ns;
    TELL(model, other,
         (&(struct ttap__other_row){.name = ttap__names_number(&model->names, event->a[3]),
                                    .cpu = event->a[0] < INT32_MAX ? (int32_t)event->a[0] : -1,
                                    .pid = told_exactly(event->a[2]),
                                    .start_ns = start_ns,
                                    .dur_ns = ns > start_ns ? ns - start_ns : 0,
                                    .flags = began_before ? TTAP__OPEN_START : 0}));
}

/* The scheduler's stream of a thread. */
static void on_sched(struct ttap__model *model, const struct ttap__events *block)
{
    struct ttap__lane *lane = lane_of(model, block->thread, 0);
    struct ttap__states *states = lane ? states_of(model, thread_known(model, block->thread)) : NULL;
    if (!states) {
        model->around.untold += block->count;
        return;
    }
    struct states_lane to = {model, lane, thread_known(model, block->thread)};
    struct ttap__states_tell tell = {state_tell, wake_tell, &to};
    struct ttap__event_walk walk;
    struct ttap__event event;
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        int64_t ns = see(model, event.ticks);
        if (event.row->known >= TTAP__SCHED_RUN && event.row->known <= TTAP__SCHED_END)
            ttap__states_event(states, &event, ns, &tell);
        else if (event.row->known == TTAP__SCHED_OTHER)
            on_other(model, &event, ns);
        if (event.row->known == TTAP__SCHED_END)
            to.thread->gone_ns = ns;
    }
}

static void states_finish(struct ttap__model *model, struct thread *thread, int64_t end_ns)
{
    struct states_lane to = {model, thread->lanes[0], thread};
    struct ttap__states_tell tell = {state_tell, wake_tell, &to};
    if (thread->states && thread->lanes[0]) {
        ttap__states_finish(thread->states, end_ns, &tell);
        model->disagreements += thread->states->disagreements;
    }
    if (thread->causes)
        ttap__causes_finish(thread->causes, state_row_tell, &to);
}

/* ---- Stacks ---- */

static int on_module(void *arg, const struct ttap__module_row *row)
{
    struct ttap__model *model = arg;
    ttap__callstacks_module(&model->stacks, row);
    return done(model);
}

static int on_mapped(void *arg, const struct ttap__mapped_row *row)
{
    struct ttap__model *model = arg;
    ttap__variables_mapped(&model->variables, row);
    return done(model);
}

static int on_stack(void *arg, const struct ttap__stack_row *row)
{
    struct ttap__model *model = arg;
    ttap__callstacks_stack(&model->stacks, row);
    return done(model);
}

/* What handlers recorded may be samples alone, which are the thread's: no lane of its own for those. */
static bool has_only_samples(const struct ttap__events *block)
{
    struct ttap__event_walk walk;
    struct ttap__event event;
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event))
        if (event.row->known != TTAP__SAMPLE && event.row->known != TTAP__ALLOC_SAMPLE)
            return false;
    return true;
}

static void on_nested_samples(struct ttap__model *model, const struct ttap__events *block)
{
    struct ttap__lane *lane = lane_of(model, block->thread, TTAP__LEVEL_OWN);
    struct ttap__event_walk walk;
    struct ttap__event event;
    if (!lane)
        model->around.untold += block->count;
    ttap__events_start(block, &walk);
    while (lane && ttap__events_next(&walk, &event))
        on_sample(model, lane, &event, see(model, event.ticks));
}

/* Counters of the process, on the lane of its main thread; what threads allocated, on theirs. */
static void on_process(struct ttap__model *model, const struct ttap__events *block)
{
    struct ttap__lane *lane = lane_of(model, block->thread, 0);
    struct ttap__event_walk walk;
    struct ttap__event event;
    if (!lane) {
        model->around.untold += block->count;
        return;
    }
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        int64_t ns = see(model, event.ticks);
        if (event.row->known == TTAP__COUNTER)
            on_point(model, lane, &event, ns);
        else if (event.row->known == TTAP__ALLOC)
            TELL(model, alloc, (&(struct ttap__alloc_row){lane->number, ns, event.a[0], event.a[1], event.a[2]}));
    }
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct ttap__model *model = arg;
    struct ttap__event_walk walk;
    struct ttap__event event;
    ttap__account_events(&model->account, block);
    if (block->level > TTAP__LEVEL_SIGNAL) {
        if (block->level == TTAP__LEVEL_SCHED)
            on_sched(model, block);
        else if (block->level == TTAP__LEVEL_PROCESS || block->level == TTAP__LEVEL_ALLOC)
            on_process(model, block);
        return done(model); /* other sources are of a later version */
    }
    if (block->level == TTAP__LEVEL_SIGNAL && has_only_samples(block)) {
        on_nested_samples(model, block);
        return done(model);
    }
    struct ttap__lane *lane = lane_of(model, block->thread, block->level);
    if (!lane) {
        model->around.untold += block->count;
        return done(model);
    }
    struct thread *thread = thread_known(model, block->thread);
    head_take(model, lane, block);
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event))
        on_event(model, lane, thread, &event);
    return done(model);
}

/* ---- The whole ---- */

static const struct ttap__read_calls calls = {
    .header = on_header,
    .note = on_note,
    .clock = on_clock,
    .name = on_name,
    .thread = on_thread,
    .events = on_events,
    .loss = on_loss,
    .task = on_task,
    .account = on_account,
    .trailer = on_trailer,
    .pending = on_pending,
    .module = on_module,
    .stack = on_stack,
    .mapped = on_mapped,
};

struct ttap__model *ttap__model_new(const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance)
{
    struct ttap__model *model = calloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->reader = ttap__reader_new(&calls, model);
    if (!model->reader) {
        free(model);
        return NULL;
    }
    model->around = (struct ttap__lanes_around){.rows = rows, .arg = arg, .allowance = allowance, .names = &model->names};
    model->account_allowance = (struct ttap__allowance){.limit = ACCOUNT_BYTES};
    ttap__account_start(&model->account, &model->account_allowance);
    ttap__names_start(&model->names, rows, arg, allowance);
    ttap__callstacks_start(&model->stacks, rows, arg, allowance, &model->names);
    ttap__variables_start(&model->variables, &model->stacks, allowance);
    ttap__tasks_start(&model->tasks, rows, arg, allowance);
    ttap__requests_start(&model->requests, &model->around);
    return model;
}

void ttap__model_symbols(struct ttap__model *model, ttap__symbol_fn symbol, void *arg)
{
    model->stacks.symbol = symbol;
    model->stacks.symbol_arg = arg;
}

void ttap__model_variables(struct ttap__model *model, ttap__variable_fn find, void *arg)
{
    model->variables.find = find;
    model->variables.find_arg = arg;
}

int ttap__model_feed(struct ttap__model *model, const void *bytes, size_t len_bytes)
{
    return ttap__reader_feed(model->reader, bytes, len_bytes);
}

static const char *reason_name(const struct ttap__model *model)
{
    static const char *const names[] = {"?", "window", "bytes", "stopped", "client", "lease", "shutdown"};
    if (!model->ended)
        return "cut";
    return names[model->reason < sizeof names / sizeof names[0] ? model->reason : 0];
}

static int end_tell(struct ttap__model *model, int64_t end_ns)
{
    struct ttap__sums sums = ttap__account_said(&model->account); /* identity tells whether to believe it */
    struct ttap__end_row row = {.dur_ns = end_ns,
                                .reason = reason_name(model),
                                .identity = ttap__account_identity(&model->account, ttap__reader_problem(model->reader)),
                                .truncated = !model->ended,
                                .events = sums.events,
                                .delivered = sums.delivered,
                                .filtered = sums.filtered,
                                .sampled_out = sums.sampled_out,
                                .disagreements = model->disagreements,
                                .untold = model->around.untold + model->tasks.untold + model->stacks.untold};
    memcpy(row.lost, sums.lost, sizeof row.lost);
    return model->around.rows->end ? model->around.rows->end(model->around.arg, &row) : 0;
}

int ttap__model_finish(struct ttap__model *model)
{
    ttap__reader_finish(model->reader);
    if (!model->headed)
        return -EBADMSG;
    int64_t end_ns = model->ended ? ttap__ns(&model->time, model->end_ticks) : model->latest_ns;
    if (end_ns < 0)
        end_ns = 0;
    pending_finish(model, end_ns);
    for (size_t i = 0; i < model->threads_count; i++) {
        states_finish(model, model->threads[i], end_ns);
        for (int level = 0; level < 2; level++)
            if (model->threads[i]->lanes[level])
                ttap__lane_finish(&model->around, model->threads[i]->lanes[level], end_ns);
    }
    ttap__tasks_finish(&model->tasks, end_ns);
    ttap__requests_finish(&model->requests, end_ns);
    int rc = done(model);
    return rc ? rc : end_tell(model, end_ns);
}

void ttap__model_free(struct ttap__model *model)
{
    if (!model)
        return;
    struct ttap__allowance *allowance = model->around.allowance;
    for (size_t i = 0; i < model->threads_count; i++) {
        for (int level = 0; level < 2; level++)
            if (model->threads[i]->lanes[level]) {
                ttap__lane_free(&model->around, model->threads[i]->lanes[level]);
                ttap__allowance_free(allowance, model->threads[i]->lanes[level], sizeof *model->threads[i]->lanes[level]);
            }
        ttap__allowance_free(allowance, model->threads[i]->states, sizeof *model->threads[i]->states);
        if (model->threads[i]->causes)
            ttap__causes_free(model->threads[i]->causes);
        ttap__allowance_free(allowance, model->threads[i]->causes, sizeof *model->threads[i]->causes);
        ttap__allowance_free(allowance, model->threads[i], sizeof *model->threads[i]);
    }
    ttap__allowance_free(allowance, model->threads, model->threads_room * sizeof *model->threads);
    ttap__allowance_free(allowance, model->pending, model->pending_room * sizeof *model->pending);
    ttap__idmap_free(&model->threads_by_number, allowance);
    ttap__idmap_free(&model->threads_by_tid, allowance);
    ttap__idmap_free(&model->objects, allowance);
    ttap__account_free(&model->account);
    ttap__requests_free(&model->requests);
    ttap__variables_free(&model->variables);
    ttap__callstacks_free(&model->stacks);
    ttap__names_free(&model->names);
    ttap__tasks_free(&model->tasks);
    ttap__reader_free(model->reader);
    free(model);
}
