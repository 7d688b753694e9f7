/* packed.c - an EVENTS block around a packed run, written from docs/format.md alone, and read by the real reader. */
#include "packed.h"

#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "wire_builder.h"

static int on_events(void *arg, const struct ttap__events *block)
{
    struct packed *out = arg;
    struct ttap__region_walk regions;
    struct ttap__open_region region;
    struct ttap__event_walk walk;
    struct ttap__event event;
    out->whole = true;
    out->task = block->task;
    out->task_parent = block->task_parent;
    out->task_kind = block->task_kind;
    out->task_draw = block->task_draw;
    out->task_start_ticks = block->task_start_ticks;
    out->open_ends = block->open_ends;
    ttap__regions_start(block, &regions);
    while (ttap__regions_next(&regions, &region) && out->regions_count < PACKED_REGIONS_MAX) {
        out->region[out->regions_count].depth = region.depth;
        out->region[out->regions_count].name = region.name;
        out->region[out->regions_count++].begin_ticks = region.begin_ticks;
    }
    ttap__events_start(block, &walk);
    while (out->events_count < PACKED_EVENTS_MAX && ttap__events_next(&walk, &event)) {
        struct packed_event *to = &out->event[out->events_count++];
        *to = (struct packed_event){.kind = event.row->number, .ticks = event.ticks, .fields = event.row->fields_count};
        memcpy(to->codes, event.row->codes, to->fields);
        memcpy(to->a, event.a, sizeof to->a);
        for (unsigned i = 0; i < to->fields; i++)
            if (to->codes[i] == 's')
                snprintf(to->text, sizeof to->text, "%.*s", (int)event.text_len[i], ttap__event_text(&event, i).bytes);
    }
    return 0;
}

void packed_read(const struct packed_bytes *bytes, struct packed *out)
{
    static const struct ttap__read_calls calls = {.events = on_events};
    struct wire wire = {0};
    out->whole = false; /* not all of it: it is large, and fuzzing comes here often */
    out->task = out->open_ends = 0;
    out->regions_count = out->events_count = 0;
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    wire_block_open(&wire, TTAP__BLOCK_EVENTS);
    wire_varint(&wire, 1); /* thread */
    wire_u8(&wire, 0);     /* level */
    const uint64_t numbers[] = {0, bytes->base_ticks, bytes->last_ticks - bytes->base_ticks, bytes->count, bytes->filtered, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        wire_varint(&wire, numbers[i]);
    wire_bytes(&wire, bytes->head, bytes->head_bytes);
    wire_bytes(&wire, bytes->events, bytes->event_bytes);
    wire_block_close(&wire);
    struct ttap__reader *reader = ttap__reader_new(&calls, out);
    if (!reader || ttap__reader_feed(reader, wire.bytes, wire.len) != 0)
        out->whole = false;
    ttap__reader_free(reader);
    wire_free(&wire);
}

/* The name of a kind and its labels, from the table that all sides share. */
static const char *kind_text(unsigned kind, const char **fields)
{
    switch (kind) {
#define TTAP_KIND(number, NAME, name, GROUP, fields_, doc)                                                                                           \
    case number:                                                                                                                                     \
        *fields = fields_;                                                                                                                           \
        return name;
#include "events.def"
#undef TTAP_KIND
    default:
        *fields = "";
        return "?";
    }
}

static void say_event(const struct packed_event *event, char *out, size_t room)
{
    const char *fields, *name = kind_text(event->kind, &fields);
    size_t used = (size_t)snprintf(out, room, "%llu %s", (unsigned long long)event->ticks, name);
    for (unsigned i = 0; i < event->fields && used < room; i++) {
        int label = (int)strcspn(fields, ":");
        if (event->codes[i] == 's')
            used += (size_t)snprintf(out + used, room - used, " '%s'", event->text);
        else if (event->codes[i] == 'i')
            used += (size_t)snprintf(out + used, room - used, " %.*s=%lld", label, fields, (long long)event->a[i]);
        else
            used += (size_t)snprintf(out + used, room - used, " %.*s=%llu", label, fields, (unsigned long long)event->a[i]);
        fields += strcspn(fields, " ");
        fields += *fields == ' ';
    }
}

void packed_say(const struct packed *packed, char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    if (!packed->whole) {
        snprintf(out, room, "not read");
        return;
    }
    if (packed->task)
        used += (size_t)snprintf(out, room, "task %llu/%llu kind %llu draw %llu since %llu | ", (unsigned long long)packed->task,
                                 (unsigned long long)packed->task_parent, (unsigned long long)packed->task_kind,
                                 (unsigned long long)packed->task_draw, (unsigned long long)packed->task_start_ticks);
    if (packed->open_ends && used < room)
        used += (size_t)snprintf(out + used, room - used, "ends %llu | ", (unsigned long long)packed->open_ends);
    for (size_t i = 0; i < packed->regions_count && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%llu:%llu@%llu ", (unsigned long long)packed->region[i].depth,
                                 (unsigned long long)packed->region[i].name, (unsigned long long)packed->region[i].begin_ticks);
    if (packed->regions_count && used < room)
        used += (size_t)snprintf(out + used, room - used, "| ");
    for (size_t i = 0; i < packed->events_count && used < room; i++) {
        if (i)
            used += (size_t)snprintf(out + used, room - used, "; ");
        if (used < room) {
            say_event(&packed->event[i], out + used, room - used);
            used += strlen(out + used);
        }
    }
}
