/* stat.c - counting what is in a capture; see stat.h. Two allowances: what the threads' rows take, and the account's own. */
#include "stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "timebase.h"

#define THREADS_BYTES (8u << 20) /* about 10,000 rows and their states, doubling included */
#define ACCOUNT_BYTES (4u << 20)
#define NOTES_MAX 256

struct ttap__stat {
    struct ttap__reader *reader;
    struct ttap__allowance threads_allowance, account_allowance;
    struct ttap__account account;
    struct ttap__timebase time;
    struct ttap__idmap threads_by_number;
    struct ttap__stat_thread *threads;
    size_t threads_count, threads_room;
    struct ttap__stat_kind *kinds;
    struct ttap__stat_note *notes;
    size_t notes_room;
    int16_t kind_at[256]; /* kind number -> row, -1 for none */
    int64_t latest_ns;
    struct ttap__stat_result result;
};

static void text_copy(char *out, size_t room, struct ttap__text text)
{
    size_t len = text.len < room - 1 ? text.len : room - 1;
    memcpy(out, text.bytes, len);
    memset(out + len, 0, room - len);
}

#define COPY(array, text) text_copy(array, sizeof(array), text)

static int no_memory(const struct ttap__stat *stat)
{
    return stat->threads_allowance.no_memory || stat->account_allowance.no_memory ? -ENOMEM : 0;
}

/* ---- Header ---- */

static int kinds_take(struct ttap__stat *stat, const struct ttap__header *header)
{
    memset(stat->kind_at, -1, sizeof stat->kind_at);
    stat->kinds = calloc(header->kinds_count ? header->kinds_count : 1, sizeof *stat->kinds);
    if (!stat->kinds)
        return -ENOMEM;
    for (size_t i = 0; i < header->kinds_count; i++) {
        COPY(stat->kinds[i].name, header->kinds[i].name);
        stat->kinds[i].number = header->kinds[i].number;
        stat->kind_at[header->kinds[i].number] = (int16_t)i;
    }
    stat->result.kinds = stat->kinds;
    stat->result.kinds_count = header->kinds_count;
    return 0;
}

static int on_header(void *arg, const struct ttap__header *header)
{
    struct ttap__stat *stat = arg;
    struct ttap__stat_result *result = &stat->result;
    result->has_header = true;
    result->major = header->major;
    result->minor = header->minor;
    result->clock = header->clock;
    result->ticks_per_second = header->ticks_per_second;
    result->start_unix_ns = header->base_wall_ns;
    result->asked_ns = header->duration_ns;
    result->groups = header->groups;
    result->pid = header->pid;
    result->cpus = header->cpus;
    result->budget_bytes = header->budget_bytes;
    COPY(result->exe, header->exe);
    COPY(result->sample, header->sample);
    COPY(result->producer, header->producer);
    ttap__timebase_start(&stat->time, header);
    return kinds_take(stat, header);
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    struct ttap__stat *stat = arg;
    size_t count = stat->result.notes_count;
    if (count == NOTES_MAX)
        return 0;
    if (!ttap__allowance_one_more(&stat->threads_allowance, &stat->notes, &stat->notes_room, count, sizeof *stat->notes))
        return no_memory(stat);
    COPY(stat->notes[count].key, key);
    COPY(stat->notes[count].value, value);
    stat->result.notes = stat->notes;
    stat->result.notes_count++;
    return 0;
}

/* ---- Threads ---- */

/* NULL where memory ends: the thread is in the sums alone. */
static struct ttap__stat_thread *thread_of(struct ttap__stat *stat, uint64_t number)
{
    uint32_t at = ttap__idmap_get(&stat->threads_by_number, number);
    if (at != TTAP__IDMAP_NONE)
        return &stat->threads[at];
    if (!ttap__allowance_one_more(&stat->threads_allowance, &stat->threads, &stat->threads_room, stat->threads_count, sizeof *stat->threads) ||
        !ttap__idmap_put(&stat->threads_by_number, &stat->threads_allowance, number, (uint32_t)stat->threads_count))
        return NULL;
    struct ttap__stat_thread *thread = &stat->threads[stat->threads_count++];
    *thread = (struct ttap__stat_thread){.thread = number};
    return thread;
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    struct ttap__stat *stat = arg;
    struct ttap__stat_thread *thread = thread_of(stat, row->thread);
    if (!thread) {
        stat->result.threads_untold++;
        return no_memory(stat);
    }
    thread->pid = row->pid;
    thread->tid = row->tid;
    COPY(thread->name, row->name);
    return 0;
}

static void see(struct ttap__stat *stat, uint64_t ticks)
{
    int64_t ns = ttap__ns(&stat->time, ticks);
    if (ns > stat->latest_ns)
        stat->latest_ns = ns;
}

/* ---- States ---- */

static void add_span(void *arg, const struct ttap__state_span *span)
{
    struct ttap__stat_thread *thread = arg;
    uint64_t ns = (uint64_t)(span->end_ns - span->start_ns);
    thread->state_ns[span->state] += ns;
    thread->estimated_ns += span->flags & TTAP__ESTIMATED ? ns : 0;
}

static void follow_states(struct ttap__stat *stat, struct ttap__stat_thread *thread, const struct ttap__event *event)
{
    if (!thread->states) {
        thread->states = ttap__allowance_grow(&stat->threads_allowance, NULL, 0, sizeof *thread->states);
        if (!thread->states)
            return;
        *thread->states = (struct ttap__states){0};
        thread->has_states = true;
    }
    ttap__states_event(thread->states, event, ttap__ns(&stat->time, event->ticks), &(struct ttap__states_tell){add_span, NULL, thread});
}

static void finish_states(struct ttap__stat *stat)
{
    for (size_t i = 0; i < stat->threads_count; i++)
        if (stat->threads[i].states)
            ttap__states_finish(stat->threads[i].states, stat->latest_ns, &(struct ttap__states_tell){add_span, NULL, &stat->threads[i]});
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct ttap__stat *stat = arg;
    struct ttap__stat_thread *thread = thread_of(stat, block->thread);
    struct ttap__event_walk walk;
    struct ttap__event event;
    ttap__account_events(&stat->account, block);
    if (thread) {
        thread->delivered += block->count;
        thread->signal_delivered += block->level == TTAP__LEVEL_SIGNAL ? block->count : 0;
        thread->filtered += block->filtered;
    }
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        stat->kinds[stat->kind_at[event.row->number]].delivered++;
        see(stat, event.ticks);
        if (thread && block->level == TTAP__LEVEL_SCHED && event.row->known >= TTAP__SCHED_RUN && event.row->known <= TTAP__SCHED_END)
            follow_states(stat, thread, &event);
    }
    return no_memory(stat);
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    struct ttap__stat *stat = arg;
    struct ttap__stat_thread *thread = thread_of(stat, row->thread);
    ttap__account_loss(&stat->account, row);
    see(stat, row->to_ticks);
    if (thread && row->reason >= 1 && row->reason <= TTAP__LOSS_REASONS) {
        thread->lost[row->reason] += row->lost;
        thread->lost[0] += row->lost;
        thread->filtered += row->filtered;
        if (row->level == TTAP__LEVEL_SCHED && thread->states)
            ttap__states_lost(thread->states);
    }
    return no_memory(stat);
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    struct ttap__stat *stat = arg;
    struct ttap__stat_thread *thread = thread_of(stat, row->thread);
    ttap__account_row(&stat->account, row);
    if (thread)
        thread->sampled_out += row->sampled_out;
    return no_memory(stat);
}

/* ---- Clock and end ---- */

static int on_clock(void *arg, const struct ttap__clock_pair *pair)
{
    struct ttap__stat *stat = arg;
    ttap__timebase_pair(&stat->time, pair);
    see(stat, pair->ticks);
    return 0;
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    struct ttap__stat *stat = arg;
    ttap__account_trailer(&stat->account, trailer, ttap__reader_blocks(stat->reader), ttap__reader_bytes(stat->reader));
    stat->result.reason = (unsigned)trailer->reason;
    stat->result.drainer_cpu_ns = trailer->drainer_cpu_ns;
    stat->latest_ns = ttap__ns(&stat->time, trailer->end_ticks);
    return no_memory(stat);
}

static const struct ttap__read_calls calls = {
    .header = on_header,
    .note = on_note,
    .clock = on_clock,
    .thread = on_thread,
    .events = on_events,
    .loss = on_loss,
    .account = on_account,
    .trailer = on_trailer,
};

static const char *reason_name(const struct ttap__stat_result *result)
{
    static const char *const names[] = {"unknown", "window", "bytes", "stopped", "client", "lease", "shutdown"};
    if (result->truncated)
        return "cut";
    return names[result->reason < sizeof names / sizeof names[0] ? result->reason : 0];
}

const struct ttap__stat_result *ttap__stat_finish(struct ttap__stat *stat)
{
    struct ttap__stat_result *result = &stat->result;
    struct ttap__sums sums = ttap__account_sums(&stat->account);
    finish_states(stat);
    result->truncated = !ttap__reader_finish(stat->reader);
    result->reason_name = reason_name(result);
    result->threads = stat->threads;
    result->threads_count = stat->threads_count;
    result->delivered = sums.delivered;
    result->filtered = sums.filtered;
    result->sampled_out = sums.sampled_out;
    memcpy(result->lost, sums.lost, sizeof result->lost);
    result->lost[0] = ttap__lost_sum(sums.lost);
    result->emitted = sums.events;
    result->offered = sums.events + sums.sampled_out;
    const char *problem = ttap__reader_problem(stat->reader), *identity = ttap__account_identity(&stat->account, problem);
    text_copy(result->problem, sizeof result->problem, (struct ttap__text){problem, strlen(problem)});
    text_copy(result->identity, sizeof result->identity, (struct ttap__text){identity, strlen(identity)});
    result->exact = strcmp(identity, "exact") == 0;
    result->window_ns = stat->latest_ns > 0 ? (uint64_t)stat->latest_ns : 0;
    result->blocks = ttap__reader_blocks(stat->reader);
    result->bytes = ttap__reader_bytes(stat->reader);
    result->bytes_per_event = result->delivered ? (double)result->bytes / (double)result->delivered : 0;
    return result;
}

struct ttap__stat *ttap__stat_new(void)
{
    struct ttap__stat *stat = calloc(1, sizeof *stat);
    if (!stat)
        return NULL;
    stat->reader = ttap__reader_new(&calls, stat);
    if (!stat->reader) {
        free(stat);
        return NULL;
    }
    stat->threads_allowance.limit = THREADS_BYTES;
    stat->account_allowance.limit = ACCOUNT_BYTES;
    ttap__account_start(&stat->account, &stat->account_allowance);
    return stat;
}

int ttap__stat_feed(struct ttap__stat *stat, const void *bytes, size_t len_bytes)
{
    return ttap__reader_feed(stat->reader, bytes, len_bytes);
}

void ttap__stat_free(struct ttap__stat *stat)
{
    if (!stat)
        return;
    for (size_t i = 0; i < stat->threads_count; i++)
        ttap__allowance_free(&stat->threads_allowance, stat->threads[i].states, sizeof *stat->threads[i].states);
    ttap__allowance_free(&stat->threads_allowance, stat->threads, stat->threads_room * sizeof *stat->threads);
    ttap__allowance_free(&stat->threads_allowance, stat->notes, stat->notes_room * sizeof *stat->notes);
    ttap__idmap_free(&stat->threads_by_number, &stat->threads_allowance);
    ttap__account_free(&stat->account);
    ttap__reader_free(stat->reader);
    free(stat->kinds);
    free(stat);
}
