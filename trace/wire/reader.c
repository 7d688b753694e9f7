/* reader.c - from bytes to checked blocks and events.
 *
 *      fed bytes ---> [ held: the beginning of a block, if a piece ended inside it ] ---> whole block
 *                        a block that lies whole in one piece is read where it lies
 *
 *      whole block: walk it without calls (does it decode to its last byte?) ---> walk it again with calls
 *
 * Walking twice costs 5 to 8 ns an event and buys that nobody who listens ever has to take anything back.
 * All decoding goes through struct cursor, which cannot leave its bytes: past the end it yields 0 and remembers.
 */
#include "reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS 256 /* a kind is one byte */

struct ttap__reader {
    const struct ttap__read_calls *calls;
    void *arg;
    uint8_t *held; /* the beginning of a preamble or block whose rest has not come */
    size_t held_len, held_room;
    bool begun, headed, done; /* preamble, HEADER, TRAILER were read */
    int failed;
    uint16_t major, minor;
    uint64_t blocks, bytes;
    uint8_t *header_copy; /* what the texts of the kind table point into */
    struct ttap__kind_row *kinds;
    size_t kinds_count;
    const struct ttap__kind_row *by_number[KINDS];
    char problem[256];
};

/* ---- Cursor: numbers off bytes, never beyond their end ---- */

struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t varint_slow(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end && shift < 70; shift += 7) {
        uint8_t byte = *cursor->at++;
        if (shift == 63 && byte > 1) /* the tenth byte has room for one bit */
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    cursor->bad = true;
    cursor->at = cursor->end;
    return 0;
}

static inline uint64_t varint(struct cursor *cursor)
{
    const uint8_t *at = cursor->at;
    if (__builtin_expect(cursor->end - at < 2, 0))
        return varint_slow(cursor);
    if (at[0] < 0x80) { /* names, small values */
        cursor->at = at + 1;
        return at[0];
    }
    if (at[1] < 0x80) { /* most time deltas */
        cursor->at = at + 2;
        return (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
    }
    return varint_slow(cursor);
}

static inline uint64_t unzigzag(uint64_t value)
{
    return (value >> 1) ^ (0 - (value & 1));
}

static inline uint8_t byte(struct cursor *cursor)
{
    if (cursor->at < cursor->end)
        return *cursor->at++;
    cursor->bad = true;
    return 0;
}

static inline uint64_t fixed64(struct cursor *cursor)
{
    uint64_t value = 0;
    if (cursor->end - cursor->at < 8) {
        cursor->bad = true;
        cursor->at = cursor->end;
        return 0;
    }
    for (int i = 7; i >= 0; i--)
        value = value << 8 | cursor->at[i];
    cursor->at += 8;
    return value;
}

static inline struct ttap__text string(struct cursor *cursor)
{
    uint64_t len = varint(cursor);
    struct ttap__text text = {(const char *)cursor->at, 0};
    if (len > (uint64_t)(cursor->end - cursor->at)) {
        cursor->bad = true;
        cursor->at = cursor->end;
        return text;
    }
    text.len = (size_t)len;
    cursor->at += len;
    return text;
}

static uint32_t fixed32_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- What is wrong ---- */

static const char *block_name(uint8_t type)
{
    static const char *const names[] = {"unknown type", "header", "clock", "names", "threads", "events", "loss", "tasks", "account", "trailer"};
    return names[type <= TTAP__BLOCK_TRAILER ? type : 0];
}

__attribute__((format(printf, 2, 3))) static int damaged(struct ttap__reader *reader, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reader->problem, sizeof reader->problem, format, args);
    va_end(args);
    reader->failed = -EBADMSG;
    return -EBADMSG;
}

static int damaged_block(struct ttap__reader *reader, uint8_t type, const char *what)
{
    return damaged(reader, "block %llu (%s) at byte %llu: %s", (unsigned long long)reader->blocks, block_name(type),
                   (unsigned long long)reader->bytes, what);
}

/* ---- HEADER and its kind table ---- */

struct known_kind {
    uint8_t number;
    const char *name, *fields;
};

static const struct known_kind known_kinds[] = {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) {number, name, fields},
#include "events.def"
#undef TTAP_KIND
};

static bool text_is(struct ttap__text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.bytes, expected, text.len) == 0;
}

/* A later minor version may append fields to a kind: what it begins with must be what we know. */
static bool fields_begin_with(struct ttap__text fields, const char *expected)
{
    size_t len = strlen(expected);
    if (fields.len < len || memcmp(fields.bytes, expected, len) != 0)
        return false;
    return len == 0 || fields.len == len || fields.bytes[len] == ' ';
}

static uint8_t known_kind(const struct ttap__kind_row *row)
{
    for (size_t i = 0; i < sizeof known_kinds / sizeof known_kinds[0]; i++)
        if (known_kinds[i].number == row->number && text_is(row->name, known_kinds[i].name) && fields_begin_with(row->fields, known_kinds[i].fields))
            return row->number;
    return 0;
}

/* "name:n depth:u" -> codes "nu". What does not parse makes the kind unreadable, which matters only if an event of it comes. */
static void fields_parse(struct ttap__kind_row *row)
{
    const char *at = row->fields.bytes, *end = at + row->fields.len;
    row->readable = true;
    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        const char *stop = blank ? blank : end;
        if (stop - at < 2 || stop[-2] != ':' || !memchr("uinktxs", stop[-1], 7) || row->fields_count == TTAP__FIELDS_MAX) {
            row->readable = false;
            return;
        }
        row->codes[row->fields_count++] = (uint8_t)stop[-1];
        at = stop + (blank != NULL);
    }
}

static struct ttap__text moved(struct ttap__text text, const uint8_t *from, const uint8_t *to)
{
    return (struct ttap__text){(const char *)to + (text.bytes - (const char *)from), text.len};
}

/* The kind table, kept: rows point into a copy of the payload. Numbers above 255 cannot occur and are left out. */
static int kinds_read(struct ttap__reader *reader, struct cursor *cursor, const uint8_t *payload, size_t len_bytes)
{
    uint64_t count = varint(cursor);
    reader->header_copy = malloc(len_bytes ? len_bytes : 1);
    reader->kinds = calloc(KINDS, sizeof *reader->kinds);
    if (!reader->header_copy || !reader->kinds)
        return -ENOMEM;
    memcpy(reader->header_copy, payload, len_bytes);
    for (; count > 0 && !cursor->bad; count--) {
        uint64_t number = varint(cursor);
        struct ttap__text name = string(cursor), fields = string(cursor);
        if (cursor->bad || number >= KINDS)
            continue;
        if (number == 0 || reader->by_number[number]) /* 0 is not for the table, and no number has two meanings */
            cursor->bad = true;
        else {
            struct ttap__kind_row *row = &reader->kinds[reader->kinds_count++];
            row->number = (uint8_t)number;
            row->name = moved(name, payload, reader->header_copy);
            row->fields = moved(fields, payload, reader->header_copy);
            fields_parse(row);
            row->known = known_kind(row);
            reader->by_number[number] = row;
        }
    }
    return 0;
}

static int notes_read(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    int rc = 0;
    for (uint64_t count = varint(cursor); count > 0 && !cursor->bad && rc == 0; count--) {
        struct ttap__text key = string(cursor), value = string(cursor);
        if (deliver && reader->calls->note)
            rc = reader->calls->note(reader->arg, key, value);
    }
    return rc;
}

static int header_read(struct ttap__reader *reader, const uint8_t *payload, size_t len_bytes)
{
    struct cursor cursor = {payload, payload + len_bytes, false};
    struct ttap__header header = {.major = reader->major, .minor = reader->minor, .clock = byte(&cursor)};
    uint64_t *const numbers[] = {&header.ticks_per_second, &header.base_ticks, &header.base_mono_ns, &header.base_wall_ns, &header.duration_ns,
                                 &header.groups,           &header.pid,        &header.cpus,         &header.budget_bytes};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = varint(&cursor);
    header.exe = string(&cursor);
    header.sample = string(&cursor);
    header.producer = string(&cursor);
    int rc = kinds_read(reader, &cursor, payload, len_bytes);
    if (rc)
        return reader->failed = rc;
    struct cursor notes = cursor;
    notes_read(reader, &cursor, false);
    if (cursor.bad)
        return damaged_block(reader, TTAP__BLOCK_HEADER, "does not decode");
    header.kinds = reader->kinds;
    header.kinds_count = reader->kinds_count;
    reader->headed = true;
    rc = reader->calls->header ? reader->calls->header(reader->arg, &header) : 0;
    return rc ? rc : notes_read(reader, &notes, true);
}

/* ---- EVENTS ---- */

void ttap__regions_start(const struct ttap__events *block, struct ttap__region_walk *walk)
{
    *walk = (struct ttap__region_walk){block->regions_at, block->events_at, block->regions_count, block->base_ticks};
}

static bool region_read(struct cursor *cursor, uint64_t base_ticks, struct ttap__open_region *out)
{
    out->depth = varint(cursor);
    out->name = varint(cursor);
    out->begin_ticks = base_ticks - unzigzag(varint(cursor));
    return !cursor->bad;
}

bool ttap__regions_next(struct ttap__region_walk *walk, struct ttap__open_region *out)
{
    struct cursor cursor = {walk->at, walk->end, false};
    if (walk->left == 0 || !region_read(&cursor, walk->base_ticks, out))
        return false;
    walk->left--;
    walk->at = cursor.at;
    return true;
}

void ttap__events_start(const struct ttap__events *block, struct ttap__event_walk *walk)
{
    *walk = (struct ttap__event_walk){block->events_at, block->end, block->count, block->base_ticks, 0, block->by_number};
}

/* The value of a field with a number, by its code. */
static inline uint64_t number_read(struct cursor *cursor, struct ttap__event_walk *walk, uint8_t code)
{
    uint64_t value = varint(cursor);
    if (code == 'u' || code == 'n')
        return value;
    value = unzigzag(value);
    if (code == 'k')
        return walk->task += value;
    return code == 't' ? walk->ticks - value : value;
}

/* The fields of one event by its kind's codes; @keep: into *out, else only past them. */
static inline void fields_read(struct cursor *cursor, struct ttap__event_walk *walk, const struct ttap__kind_row *row, struct ttap__event *out,
                               bool keep)
{
    for (unsigned i = 0; i < row->fields_count; i++) {
        uint8_t code = row->codes[i];
        struct ttap__text text = {NULL, 0};
        uint64_t value;
        if (code == 's') {
            text = string(cursor);
            value = (uint64_t)(uintptr_t)text.bytes;
        } else
            value = code == 'x' ? fixed64(cursor) : number_read(cursor, walk, code);
        if (!keep || i >= TTAP__VALUES_MAX)
            continue;
        out->a[i] = value;
        if (text.bytes)
            out->text_len[i] = (uint32_t)text.len; /* fits: a payload is at most 1 MiB */
    }
}

/* One event; cursor->bad where the bytes are not one. */
static inline const struct ttap__kind_row *event_read(struct cursor *cursor, struct ttap__event_walk *walk, struct ttap__event *out, bool keep)
{
    uint8_t kind = byte(cursor);
    while (kind == TTAP__KIND_TIME_BACK && !cursor->bad) {
        walk->ticks -= varint(cursor);
        kind = byte(cursor);
    }
    walk->ticks += varint(cursor);
    const struct ttap__kind_row *row = walk->by_number[kind];
    if (row && row->readable)
        fields_read(cursor, walk, row, out, keep);
    else
        cursor->bad = true;
    return row;
}

bool ttap__events_next(struct ttap__event_walk *walk, struct ttap__event *out)
{
    if (walk->left == 0)
        return false;
    struct cursor cursor = {walk->at, walk->end, false};
    out->row = event_read(&cursor, walk, out, true);
    out->ticks = walk->ticks;
    walk->at = cursor.at;
    walk->left--;
    return !cursor.bad; /* always: the block was checked */
}

/* Does every event decode, and do they fill the block to its last byte? */
static const char *events_wrong(const struct ttap__events *block)
{
    struct ttap__event_walk walk;
    ttap__events_start(block, &walk);
    struct cursor cursor = {walk.at, walk.end, false};
    for (uint64_t left = walk.left; left > 0 && !cursor.bad; left--)
        event_read(&cursor, &walk, NULL, false);
    if (cursor.bad)
        return "an event does not decode, or there are fewer than its count";
    return cursor.at == cursor.end ? NULL : "there are more events than its count";
}

static void regions_check(struct cursor *cursor, struct ttap__events *block)
{
    struct ttap__open_region region;
    uint64_t depth_before = 0;
    block->regions_at = cursor->at;
    for (uint64_t i = 0; i < block->regions_count && region_read(cursor, block->base_ticks, &region); i++) {
        if (i > 0 && region.depth <= depth_before)
            cursor->bad = true;
        depth_before = region.depth;
    }
    block->events_at = cursor->at;
}

static void events_head_read(struct cursor *cursor, struct ttap__events *block)
{
    block->thread = varint(cursor);
    block->level = byte(cursor);
    uint64_t *const numbers[] = {
        &block->first_seq,       &block->base_ticks,  &block->span_ticks,         &block->count, &block->filtered, &block->delivered_before,
        &block->filtered_before, &block->lost_before, &block->sampled_out_before, &block->task};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = varint(cursor);
    if (block->task) {
        block->task_parent = varint(cursor);
        block->task_kind = varint(cursor);
        block->task_draw = varint(cursor);
        block->task_start_ticks = block->base_ticks - unzigzag(varint(cursor));
    }
    block->open_ends = varint(cursor);
    block->regions_count = varint(cursor);
    regions_check(cursor, block);
}

static int events_block_read(struct ttap__reader *reader, const uint8_t *payload, size_t len_bytes)
{
    struct cursor cursor = {payload, payload + len_bytes, false};
    struct ttap__events block = {.end = cursor.end, .by_number = reader->by_number};
    events_head_read(&cursor, &block);
    if (cursor.bad)
        return damaged_block(reader, TTAP__BLOCK_EVENTS, "its head does not decode");
    if (block.thread == 0 || block.level > TTAP__LEVEL_MAX)
        return damaged_block(reader, TTAP__BLOCK_EVENTS, "no such stream");
    const char *wrong = events_wrong(&block);
    if (wrong)
        return damaged_block(reader, TTAP__BLOCK_EVENTS, wrong);
    return reader->calls->events ? reader->calls->events(reader->arg, &block) : 0;
}

/* ---- The blocks that are rows of numbers ---- */

static int clock_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__clock_pair pair = {.ticks = varint(cursor)};
    pair.mono_ns = varint(cursor);
    pair.wall_ns = varint(cursor);
    return deliver && reader->calls->clock ? reader->calls->clock(reader->arg, &pair) : 0;
}

static int name_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    uint64_t id = varint(cursor);
    struct ttap__text text = string(cursor);
    return deliver && reader->calls->name ? reader->calls->name(reader->arg, id, text) : 0;
}

static int thread_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__thread_row row = {.thread = varint(cursor)};
    row.pid = varint(cursor);
    row.tid = varint(cursor);
    row.name = string(cursor);
    return deliver && reader->calls->thread ? reader->calls->thread(reader->arg, &row) : 0;
}

static int task_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__task_row row = {.task = varint(cursor)};
    row.parent = varint(cursor);
    row.kind = varint(cursor);
    row.start_ticks = varint(cursor);
    row.thread = varint(cursor);
    return deliver && reader->calls->task ? reader->calls->task(reader->arg, &row) : 0;
}

static int pending_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__pending_row row = {.thread = varint(cursor)};
    row.kind = varint(cursor);
    row.start_ticks = varint(cursor);
    row.op = varint(cursor);
    row.object = varint(cursor);
    return deliver && reader->calls->pending ? reader->calls->pending(reader->arg, &row) : 0;
}

static int module_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__module_row row = {.module = varint(cursor)};
    row.start = varint(cursor);
    row.end = varint(cursor);
    row.offset = varint(cursor);
    row.path = string(cursor);
    row.build_id = string(cursor);
    return deliver && reader->calls->module ? reader->calls->module(reader->arg, &row) : 0;
}

static int mapped_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__mapped_row row = {.pid = varint(cursor)};
    row.module = varint(cursor);
    return deliver && reader->calls->mapped ? reader->calls->mapped(reader->arg, &row) : 0;
}

static int stack_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__stack_row row = {.stack = varint(cursor)};
    row.flags = byte(cursor);
    row.cut = row.flags & 1;
    row.frames = varint(cursor);
    row.at = cursor->at;
    for (uint64_t left = row.frames; left > 0 && !cursor->bad; left--) {
        varint(cursor);
        varint(cursor);
    }
    row.end = cursor->at;
    return deliver && reader->calls->stack ? reader->calls->stack(reader->arg, &row) : 0;
}

bool ttap__frames_next(struct ttap__frame_walk *walk, uint64_t *module, uint64_t *offset)
{
    struct cursor cursor = {walk->at, walk->end, false};
    if (!walk->left)
        return false;
    *module = varint(&cursor);
    *offset = varint(&cursor);
    walk->at = cursor.at;
    walk->left--;
    return !cursor.bad; /* always: the block was checked */
}

/* A stream's level. */
static uint8_t level_read(struct cursor *cursor)
{
    uint8_t level = byte(cursor);
    if (level > TTAP__LEVEL_MAX)
        cursor->bad = true;
    return level;
}

static int loss_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__loss_row row = {.thread = varint(cursor)};
    row.level = level_read(cursor);
    row.reason = byte(cursor);
    row.first_seq = varint(cursor);
    row.lost = varint(cursor);
    row.filtered = varint(cursor);
    row.from_ticks = varint(cursor);
    row.to_ticks = varint(cursor);
    return deliver && reader->calls->loss ? reader->calls->loss(reader->arg, &row) : 0;
}

static int account_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__account_row row = {.thread = varint(cursor)};
    row.level = level_read(cursor);
    row.start_seq = varint(cursor);
    row.end_seq = varint(cursor);
    row.delivered = varint(cursor);
    row.filtered = varint(cursor);
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        row.lost[reason] = varint(cursor);
    row.sampled_out = varint(cursor);
    return deliver && reader->calls->account ? reader->calls->account(reader->arg, &row) : 0;
}

static int trailer_row(struct ttap__reader *reader, struct cursor *cursor, bool deliver)
{
    struct ttap__trailer trailer = {.reason = varint(cursor)};
    uint64_t *const before[] = {&trailer.end_ticks, &trailer.end_mono_ns, &trailer.end_wall_ns, &trailer.streams,
                                &trailer.events,    &trailer.delivered,   &trailer.filtered};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        *before[i] = varint(cursor);
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        trailer.lost[reason] = varint(cursor);
    trailer.sampled_out = varint(cursor);
    trailer.drainer_cpu_ns = varint(cursor);
    trailer.blocks = varint(cursor);
    trailer.bytes = varint(cursor);
    return deliver && reader->calls->trailer ? reader->calls->trailer(reader->arg, &trailer) : 0;
}

struct row_block {
    int (*row)(struct ttap__reader *reader, struct cursor *cursor, bool deliver);
    bool counted; /* a varint count, then that many rows; else exactly one */
};

static const struct row_block row_blocks[] = {
    [TTAP__BLOCK_CLOCK] = {clock_row, false},     [TTAP__BLOCK_NAMES] = {name_row, true},    [TTAP__BLOCK_THREADS] = {thread_row, true},
    [TTAP__BLOCK_LOSS] = {loss_row, false},       [TTAP__BLOCK_TASKS] = {task_row, true},    [TTAP__BLOCK_ACCOUNT] = {account_row, true},
    [TTAP__BLOCK_TRAILER] = {trailer_row, false}, [TTAP__BLOCK_CALLS] = {pending_row, true}, [TTAP__BLOCK_MODULES] = {module_row, true},
    [TTAP__BLOCK_STACKS] = {stack_row, true},     [TTAP__BLOCK_MAPPED] = {mapped_row, true},
};

static int rows_walk(struct ttap__reader *reader, const struct row_block *block, struct cursor *cursor, bool deliver)
{
    int rc = 0;
    for (uint64_t count = block->counted ? varint(cursor) : 1; count > 0 && !cursor->bad && rc == 0; count--)
        rc = block->row(reader, cursor, deliver);
    return rc;
}

static int rows_read(struct ttap__reader *reader, uint8_t type, const uint8_t *payload, size_t len_bytes)
{
    struct cursor check = {payload, payload + len_bytes, false}, walk = check;
    rows_walk(reader, &row_blocks[type], &check, false);
    if (check.bad)
        return damaged_block(reader, type, "does not decode");
    reader->done = type == TTAP__BLOCK_TRAILER;
    return rows_walk(reader, &row_blocks[type], &walk, true);
}

/* ---- Blocks ---- */

static int block_read(struct ttap__reader *reader, uint8_t type, const uint8_t *payload, size_t len_bytes)
{
    if (reader->headed == (type == TTAP__BLOCK_HEADER))
        return damaged_block(reader, type, reader->headed ? "a second header" : "the first block is not a header");
    int rc = 0;
    if (reader->calls->block)
        rc = reader->calls->block(reader->arg, type, reader->bytes, payload, len_bytes);
    if (rc)
        return rc;
    if (type == TTAP__BLOCK_HEADER)
        return header_read(reader, payload, len_bytes);
    if (type == TTAP__BLOCK_EVENTS)
        return events_block_read(reader, payload, len_bytes);
    if (type < sizeof row_blocks / sizeof row_blocks[0] && row_blocks[type].row)
        return rows_read(reader, type, payload, len_bytes);
    return 0; /* of a later version */
}

static int preamble_read(struct ttap__reader *reader, const uint8_t *at)
{
    if (memcmp(at, TTAP__WIRE_MAGIC, 8) != 0)
        return damaged(reader, "not a capture: it does not begin with " TTAP__WIRE_MAGIC);
    reader->major = (uint16_t)(at[8] | at[9] << 8);
    reader->minor = (uint16_t)(at[10] | at[11] << 8);
    if (reader->major != TTAP__WIRE_MAJOR)
        return damaged(reader, "format version %u.%u; this build reads %u", reader->major, reader->minor, TTAP__WIRE_MAJOR);
    reader->begun = true;
    reader->bytes = TTAP__WIRE_PREAMBLE_BYTES;
    return 0;
}

/* How many bytes the next unit takes, as far as @len bytes of it tell: 0 when it is damaged. */
static size_t unit_bytes(struct ttap__reader *reader, const uint8_t *at, size_t len)
{
    if (!reader->begun)
        return TTAP__WIRE_PREAMBLE_BYTES;
    if (len < TTAP__WIRE_BLOCK_HEAD_BYTES)
        return TTAP__WIRE_BLOCK_HEAD_BYTES;
    if (memcmp(at + 1, "TTB", 3) != 0) {
        damaged_block(reader, at[0], "does not begin with a type and TTB");
        return 0;
    }
    if (fixed32_at(at + 4) > TTAP__WIRE_PAYLOAD_MAX) {
        damaged_block(reader, at[0], "longer than a block may be");
        return 0;
    }
    return TTAP__WIRE_BLOCK_HEAD_BYTES + fixed32_at(at + 4);
}

static int unit_read(struct ttap__reader *reader, const uint8_t *at, size_t len)
{
    if (!reader->begun)
        return preamble_read(reader, at);
    int rc = block_read(reader, at[0], at + TTAP__WIRE_BLOCK_HEAD_BYTES, len - TTAP__WIRE_BLOCK_HEAD_BYTES);
    if (rc != -EBADMSG || !reader->failed) { /* a block whose listener refused was whole all the same */
        reader->blocks++;
        reader->bytes += len;
    }
    return rc;
}

/* ---- Feeding ---- */

/* Room for @len held bytes: doubles with what really came, so a claimed length alone takes no memory. */
static int held_reserve(struct ttap__reader *reader, size_t len)
{
    size_t room = reader->held_room ? reader->held_room : 1024;
    while (room < len)
        room *= 2;
    if (room == reader->held_room)
        return 0;
    uint8_t *grown = realloc(reader->held, room);
    if (!grown)
        return -ENOMEM;
    reader->held = grown;
    reader->held_room = room;
    return 0;
}

static int hold(struct ttap__reader *reader, const uint8_t *at, size_t len)
{
    int rc = held_reserve(reader, reader->held_len + len);
    if (rc)
        return rc;
    memcpy(reader->held + reader->held_len, at, len);
    reader->held_len += len;
    return 0;
}

/* Complete the held unit from the piece. Returns how many bytes of it were taken; *rc tells how it went. */
static size_t feed_held(struct ttap__reader *reader, const uint8_t *at, size_t len, int *rc)
{
    size_t taken = 0;
    for (;;) {
        size_t need = unit_bytes(reader, reader->held, reader->held_len);
        if (need == 0) {
            *rc = reader->failed;
            return taken;
        }
        if (reader->held_len == need) {
            reader->held_len = 0; /* the bytes stay where they are during the calls */
            *rc = unit_read(reader, reader->held, need);
            return taken;
        }
        size_t part = need - reader->held_len < len - taken ? need - reader->held_len : len - taken;
        if (part == 0)
            return taken;
        *rc = hold(reader, at + taken, part);
        if (*rc)
            return taken;
        taken += part;
    }
}

/* Read the units that lie whole in the piece where they are; hold what is left. */
static size_t feed_whole(struct ttap__reader *reader, const uint8_t *at, size_t len, int *rc)
{
    size_t need = unit_bytes(reader, at, len);
    if (need == 0) {
        *rc = reader->failed;
        return 0;
    }
    if (need > len) {
        *rc = hold(reader, at, len);
        return len;
    }
    *rc = unit_read(reader, at, need);
    return need;
}

int ttap__reader_feed(struct ttap__reader *reader, const void *bytes, size_t len_bytes)
{
    const uint8_t *at = bytes;
    int rc = reader->failed;
    while (len_bytes > 0 && rc == 0 && !reader->done) {
        size_t taken = reader->held_len ? feed_held(reader, at, len_bytes, &rc) : feed_whole(reader, at, len_bytes, &rc);
        at += taken;
        len_bytes -= taken;
    }
    if (rc)
        reader->failed = rc;
    return rc;
}

bool ttap__reader_finish(struct ttap__reader *reader)
{
    if (reader->done || reader->problem[0])
        return reader->done;
    if (!reader->begun)
        damaged(reader, "not a capture: only %llu bytes", (unsigned long long)reader->held_len);
    else if (reader->held_len)
        damaged(reader, "cut inside block %llu at byte %llu", (unsigned long long)reader->blocks,
                (unsigned long long)(reader->bytes + reader->held_len));
    else
        damaged(reader, "cut after block %llu: no trailer", (unsigned long long)reader->blocks);
    return false;
}

const char *ttap__reader_problem(const struct ttap__reader *reader)
{
    return reader->problem;
}

uint64_t ttap__reader_blocks(const struct ttap__reader *reader)
{
    return reader->blocks;
}

uint64_t ttap__reader_bytes(const struct ttap__reader *reader)
{
    return reader->bytes;
}

struct ttap__reader *ttap__reader_new(const struct ttap__read_calls *calls, void *arg)
{
    struct ttap__reader *reader = calloc(1, sizeof *reader);
    if (reader) {
        reader->calls = calls;
        reader->arg = arg;
    }
    return reader;
}

void ttap__reader_free(struct ttap__reader *reader)
{
    if (!reader)
        return;
    free(reader->held);
    free(reader->header_copy);
    free(reader->kinds);
    free(reader);
}
