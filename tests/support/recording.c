/* recording.c - a capture to memory, decoded by the reading half of the wire room after the validator had its say. */
#include "recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

/* Programs that count their own events to the last one link no sources: this stands in for trace/sources/register.c. */
struct ttap__source;
#ifndef RECORDING_WITH_SOURCES
extern const struct ttap__source *const ttap__sources_linked[];
const struct ttap__source *const ttap__sources_linked[] = {NULL};
#endif

static void *grown(void *items, size_t count, size_t item_bytes)
{
    if (count & (count - 1) || (count && count < 16))
        return items;
    void *bigger = realloc(items, (count ? count * 2 : 16) * item_bytes);
    if (!bigger)
        abort();
    return bigger;
}

static int keep_bytes(void *arg, const void *bytes, size_t len)
{
    struct recording *r = arg;
    if (r->len + len > r->room) {
        size_t room = (r->len + len) * 2;
        unsigned char *bigger = realloc(r->bytes, room);
        if (!bigger)
            return -ENOMEM;
        r->bytes = bigger;
        r->room = room;
    }
    memcpy(r->bytes + r->len, bytes, len);
    r->len += len;
    return 0;
}

int recording_start(struct recording *r, const struct ttap_capture_opts *opts)
{
    struct ttap_capture_opts until_stopped = TTAP_CAPTURE_OPTS_INIT;
    until_stopped.duration_ns = 0;
    *r = (struct recording){.room = 1u << 20}; /* beforehand, for tests that count allocations */
    r->bytes = malloc(r->room);
    return ttap_capture_start(opts ? opts : &until_stopped, keep_bytes, r, &r->capture);
}

/* ---- Decoding ---- */

static int on_header(void *arg, const struct ttap__header *header)
{
    struct recording *r = arg;
    r->start_ticks = header->base_ticks;
    r->start_mono_ns = header->base_mono_ns;
    r->duration_ns = header->duration_ns;
    r->pid = header->pid;
    return 0;
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    struct recording *r = arg;
    if (id >= r->names_room) {
        size_t room = (id + 1) * 2;
        r->names = realloc(r->names, room * sizeof(*r->names));
        memset(r->names + r->names_room, 0, (room - r->names_room) * sizeof(*r->names));
        r->names_room = room;
    }
    free(r->names[id]);
    r->names[id] = malloc(text.len + 1);
    memcpy(r->names[id], text.bytes, text.len);
    r->names[id][text.len] = 0;
    r->name_rows++;
    return 0;
}

static const char *name_of(const struct recording *r, uint64_t id)
{
    return id < r->names_room && r->names[id] ? r->names[id] : "";
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    struct recording *r = arg;
    r->threads = grown(r->threads, r->threads_count, sizeof(*r->threads));
    struct recorded_thread *thread = &r->threads[r->threads_count++];
    *thread = (struct recorded_thread){row->thread, row->pid, row->tid, ""};
    memcpy(thread->name, row->name.bytes, row->name.len < 63 ? row->name.len : 63);
    return 0;
}

static void keep_event(struct recording *r, const struct ttap__events *block, const struct ttap__event *event, uint64_t seq, uint64_t *task)
{
    r->events = grown(r->events, r->events_count, sizeof(*r->events));
    struct recorded_event *out = &r->events[r->events_count++];
    *out = (struct recorded_event){.thread = block->thread,
                                   .level = block->level,
                                   .seq = seq,
                                   .ticks = event->ticks,
                                   .kind = event->row->known,
                                   .name = "",
                                   .run = r->runs,
                                   .head_regions = block->regions_count};
    if (out->kind == TTAP__TASK_ENTER || out->kind == TTAP__TASK_ENTER_FULL)
        *task = event->a[0];
    out->task = *task;
    memcpy(out->a, event->a, sizeof(out->a));
    bool named = false;
    for (unsigned i = 0; i < event->row->fields_count && i < 8; i++) {
        if (event->row->codes[i] == 'n' && !named) {
            out->name = name_of(r, event->a[i]);
            named = true;
        }
        if (event->row->codes[i] == 's') {
            struct ttap__text text = ttap__event_text(event, i);
            char *copy = malloc(text.len + 1); /* the reader's bytes go with the block; freed with the recording */
            memcpy(copy, text.bytes, text.len);
            copy[text.len] = 0;
            out->text = copy;
            out->text_len = text.len;
        }
    }
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct recording *r = arg;
    struct ttap__event_walk walk;
    struct ttap__event event;
    uint64_t seq = block->first_seq, task = block->task;
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event))
        keep_event(r, block, &event, seq++, &task);
    r->runs++;
    return 0;
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    struct recording *r = arg;
    r->losses = grown(r->losses, r->losses_count, sizeof(*r->losses));
    r->losses[r->losses_count++] = (struct recorded_loss){row->thread, row->first_seq, row->lost, row->filtered, row->level, row->reason};
    return 0;
}

static int on_task(void *arg, const struct ttap__task_row *row)
{
    struct recording *r = arg;
    r->tasks = grown(r->tasks, r->tasks_count, sizeof(*r->tasks));
    r->tasks[r->tasks_count++] = (struct recorded_task){row->task, row->parent, row->start_ticks, row->thread, name_of(r, row->kind)};
    return 0;
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    struct recording *r = arg;
    r->accounts = grown(r->accounts, r->accounts_count, sizeof(*r->accounts));
    struct recorded_account *out = &r->accounts[r->accounts_count++];
    *out = (struct recorded_account){.thread = row->thread,
                                     .level = row->level,
                                     .start_seq = row->start_seq,
                                     .end_seq = row->end_seq,
                                     .delivered = row->delivered,
                                     .filtered = row->filtered,
                                     .sampled_out = row->sampled_out};
    memcpy(out->lost, row->lost, sizeof(out->lost));
    return 0;
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    struct recording *r = arg;
    memcpy(r->lost, trailer->lost, sizeof(r->lost));
    r->sampled_out = trailer->sampled_out;
    r->filtered = trailer->filtered;
    r->delivered = trailer->delivered;
    r->reason = trailer->reason;
    r->end_ticks = trailer->end_ticks;
    r->end_mono_ns = trailer->end_mono_ns;
    return 0;
}

static bool look(struct recording *r)
{
    static const struct ttap__read_calls calls = {.header = on_header,
                                                  .name = on_name,
                                                  .thread = on_thread,
                                                  .events = on_events,
                                                  .loss = on_loss,
                                                  .task = on_task,
                                                  .account = on_account,
                                                  .trailer = on_trailer};
    r->verdict = validate_capture(r->bytes, r->len, &r->check);
    r->checked = true;
    if (r->verdict)
        fprintf(stderr, "    capture of %zu bytes: %s: %s\n", r->len, r->verdict == -ENODATA ? "cut" : r->check.rule, r->check.sentence);
    struct ttap__reader *reader = ttap__reader_new(&calls, r);
    if (!reader)
        abort();
    int error = ttap__reader_feed(reader, r->bytes, r->len);
    if (error)
        fprintf(stderr, "    reader: %d %s\n", error, ttap__reader_problem(reader));
    ttap__reader_free(reader);
    return !r->verdict && !error;
}

void recording_end(struct recording *r)
{
    r->result = ttap_capture_stop(r->capture);
    r->capture = NULL;
}

bool recording_stop(struct recording *r)
{
    if (r->capture)
        recording_end(r);
    return look(r) && !r->result;
}

bool recording_of_bytes(struct recording *r, const void *bytes, size_t len)
{
    *r = (struct recording){0};
    return !keep_bytes(r, bytes, len) && look(r);
}

void recording_free(struct recording *r)
{
    for (size_t i = 0; i < r->events_count; i++)
        free((char *)r->events[i].text);
    for (size_t i = 0; i < r->names_room; i++)
        free(r->names[i]);
    free(r->names);
    free(r->events);
    free(r->threads);
    free(r->losses);
    free(r->accounts);
    free(r->tasks);
    free(r->bytes);
    if (r->checked)
        validation_free(&r->check);
    *r = (struct recording){0};
}

/* ---- Looking ---- */

const struct recorded_event *recording_find(const struct recording *r, unsigned kind, const char *name, size_t nth)
{
    for (size_t i = 0; i < r->events_count; i++) {
        const struct recorded_event *event = &r->events[i];
        if ((kind && event->kind != kind) || (name && strcmp(event->name, name)))
            continue;
        if (!nth--)
            return event;
    }
    return NULL;
}

size_t recording_count(const struct recording *r, unsigned kind, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < r->events_count; i++)
        count += (!kind || r->events[i].kind == kind) && (!name || !strcmp(r->events[i].name, name));
    return count;
}

uint64_t recording_lost(const struct recording *r)
{
    uint64_t lost = 0;
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        lost += r->lost[i];
    return lost;
}

const struct recorded_thread *recording_thread(const struct recording *r, uint64_t thread)
{
    const struct recorded_thread *found = NULL;
    for (size_t i = 0; i < r->threads_count; i++)
        if (r->threads[i].thread == thread)
            found = &r->threads[i]; /* a later row replaces the name */
    return found;
}
