/* json.c - rows into chunks of columns.
 *
 *      row --> builder of its (table, lane, depth or name or object)          one builder = one chunk being gathered
 *                 rows:  [page]-[page]-[page]                                  pages of 1 KiB, all from one allowance
 *                 texts: [page]-[page]           escaped when they come
 *              --> 16,384 rows, or no page is left and it is about the fullest --> one line of JSON
 *
 * Strings are a builder too, written before any other chunk, so that no row names a string that was not told. Emptied builders stay
 * (a lane comes again) until there is no other room.
 * Invariant: a row with text takes its room before its first byte is written, so that nothing is flushed half-way through a row.
 * Measured: gathering and writing a region takes about 30 ns.
 */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idmap.h"
#include "json_text.h"

#define PAGE_BYTES 1024
#define OUT_BYTES (32u << 10)          /* handed on at a time */
#define NUMBER_MAX (UINT64_C(1) << 53) /* what a JavaScript number holds exactly */
#define NOTES_MAX 256
#define FULLNESS 14                 /* lists of builders by the power of two of their pages */
#define TEXT_HELD_BYTES (64u << 10) /* texts of a builder above this go out before more come */
#define RECENT 8                    /* a power of two; deeper regions share */

struct page {
    struct page *next;
    uint8_t bytes[PAGE_BYTES - sizeof(struct page *)];
};

#define PAGE_ROOM sizeof(((struct page *)0)->bytes)

/* ---- Tables ---- */

enum table {
    STR,
    REGION,
    WORK,
    TASK,
    ATTR,
    LOG,
    INSTANT,
    COUNTER,
    DEPTH,
    WAIT,
    GC,
    LOST,
    STATE,
    WAKE,
    CALL,
    RELEASE,
    REQUEST,
    FRAME,
    STACK,
    SAMPLE,
    ALLOC_SAMPLE,
    ALLOC,
    OTHER,
    TABLES
};

enum form { I64, I32, U8, TIME, TEXT, TEXT_ARRAY, TRACE };

struct column {
    const char *key;
    uint8_t offset;
    uint8_t form;
};

#define PACKED __attribute__((packed))
struct PACKED region {
    int64_t at, dur;
    int32_t name, task;
    uint8_t flags;
};
struct PACKED work {
    int64_t at, dur;
    int32_t task;
    uint8_t flags;
};
struct PACKED task {
    int64_t start, dur, code, status;
    uint64_t trace[2];
    int32_t id, parent, kind, lane, end_lane, text;
    uint8_t flags;
};
struct PACKED attr {
    int32_t task, key;
    uint32_t value;
};
struct PACKED line {
    int64_t at;
    int32_t cat, task;
    uint32_t text;
};
struct PACKED instant {
    int64_t at;
    int32_t name, task;
};
struct PACKED value {
    int64_t at, v;
};
struct PACKED alloc {
    int64_t at, calls, bytes, frees;
};
struct PACKED wait {
    int64_t at, dur;
    int32_t object, why, task;
    uint8_t flags;
};
struct PACKED gc {
    int64_t at, dur;
    int32_t phase;
    uint8_t flags;
};
struct PACKED lost {
    int64_t at, dur, count;
    int32_t reason;
};
struct PACKED state {
    int64_t at, dur;
    int32_t state, cpu, call, op, object, stack;
    uint8_t flags;
};
struct PACKED wake {
    int64_t at, run;
    int32_t to, cause;
};
struct PACKED other {
    int64_t at, dur, pid;
    int32_t cpu, name;
    uint8_t flags;
};
struct PACKED call {
    int64_t at, dur, result;
    int32_t op, object, stack, task;
    uint8_t flags;
};
struct PACKED request {
    int64_t at, dur, in, out, receives, sends;
    int32_t object, side, lane, end_lane;
    uint8_t flags;
};
struct PACKED release {
    int64_t at;
    int32_t op, object;
};
struct PACKED frame {
    int32_t func, file, line;
};
struct PACKED stack {
    int32_t frame, up;
};
struct PACKED sample {
    int64_t at, cpu_ns;
    int32_t lane, stack, task;
};
struct PACKED alloc_sample {
    int64_t at, bytes, weight;
    int32_t lane, stack, task;
};
struct PACKED str {
    uint32_t v;
};

#define C(row, member, form)                                                                                                                         \
    {                                                                                                                                                \
#member, offsetof(struct row, member), form                                                                                                  \
    }
#define T(row)                                                                                                                                       \
    {                                                                                                                                                \
        "dt", offsetof(struct row, at), TIME                                                                                                         \
    }

static const struct {
    const char *name;
    const char *sub; /* what a chunk has one of, beside its lane */
    uint8_t row_bytes;
    bool lane;
    struct column columns[13];
} tables[TABLES] = {
    [STR] = {"str", NULL, sizeof(struct str), false, {C(str, v, TEXT_ARRAY)}},
    [REGION] = {"region",
                "depth",
                sizeof(struct region),
                true,
                {T(region), C(region, dur, I64), C(region, name, I32), C(region, task, I32), C(region, flags, U8)}},
    [WORK] = {"work", NULL, sizeof(struct work), true, {T(work), C(work, dur, I64), C(work, task, I32), C(work, flags, U8)}},
    [TASK] = {"task",
              NULL,
              sizeof(struct task),
              false,
              {C(task, id, I32), C(task, parent, I32), C(task, kind, I32), C(task, start, I64), C(task, dur, I64), C(task, status, I64),
               C(task, lane, I32), C(task, end_lane, I32), C(task, code, I64), C(task, text, I32), C(task, trace, TRACE), C(task, flags, U8)}},
    [ATTR] = {"attr", NULL, sizeof(struct attr), false, {C(attr, task, I32), C(attr, key, I32), C(attr, value, TEXT_ARRAY)}},
    [LOG] = {"log", NULL, sizeof(struct line), true, {T(line), C(line, cat, I32), C(line, text, TEXT), C(line, task, I32)}},
    [INSTANT] = {"instant", NULL, sizeof(struct instant), true, {T(instant), C(instant, name, I32), C(instant, task, I32)}},
    [COUNTER] = {"counter", "name", sizeof(struct value), true, {T(value), C(value, v, I64)}},
    [ALLOC] = {"alloc", NULL, sizeof(struct alloc), true, {T(alloc), C(alloc, calls, I64), C(alloc, bytes, I64), C(alloc, frees, I64)}},
    [DEPTH] = {"depth", "object", sizeof(struct value), true, {T(value), C(value, v, I64)}},
    [WAIT] = {"wait",
              NULL,
              sizeof(struct wait),
              true,
              {T(wait), C(wait, dur, I64), C(wait, object, I32), C(wait, why, I32), C(wait, task, I32), C(wait, flags, U8)}},
    [GC] = {"gc", NULL, sizeof(struct gc), true, {T(gc), C(gc, dur, I64), C(gc, phase, I32), C(gc, flags, U8)}},
    [STATE] = {"state",
               NULL,
               sizeof(struct state),
               true,
               {T(state), C(state, dur, I64), C(state, state, I32), C(state, cpu, I32), C(state, call, I32), C(state, op, I32), C(state, object, I32),
                C(state, stack, I32), C(state, flags, U8)}},
    [WAKE] = {"wake", NULL, sizeof(struct wake), true, {T(wake), C(wake, to, I32), C(wake, run, I64), C(wake, cause, I32)}},
    [OTHER] = {"other",
               NULL,
               sizeof(struct other),
               false,
               {T(other), C(other, dur, I64), C(other, cpu, I32), C(other, pid, I64), C(other, name, I32), C(other, flags, U8)}},
    [CALL] = {"call",
              NULL,
              sizeof(struct call),
              true,
              {T(call), C(call, dur, I64), C(call, op, I32), C(call, object, I32), C(call, stack, I32), C(call, result, I64), C(call, task, I32),
               C(call, flags, U8)}},
    [FRAME] = {"frame", NULL, sizeof(struct frame), false, {C(frame, func, I32), C(frame, file, I32), C(frame, line, I32)}},
    [STACK] = {"stack", NULL, sizeof(struct stack), false, {C(stack, frame, I32), C(stack, up, I32)}},
    [SAMPLE] = {"sample",
                NULL,
                sizeof(struct sample),
                false,
                {T(sample), C(sample, cpu_ns, I64), C(sample, lane, I32), C(sample, stack, I32), C(sample, task, I32)}},
    [ALLOC_SAMPLE] = {"alloc_sample",
                      NULL,
                      sizeof(struct alloc_sample),
                      false,
                      {T(alloc_sample), C(alloc_sample, bytes, I64), C(alloc_sample, weight, I64), C(alloc_sample, lane, I32),
                       C(alloc_sample, stack, I32), C(alloc_sample, task, I32)}},
    [REQUEST] = {"request",
                 NULL,
                 sizeof(struct request),
                 false,
                 {T(request), C(request, dur, I64), C(request, object, I32), C(request, side, I32), C(request, lane, I32), C(request, end_lane, I32),
                  C(request, in, I64), C(request, out, I64), C(request, receives, I64), C(request, sends, I64), C(request, flags, U8)}},
    [RELEASE] = {"release", NULL, sizeof(struct release), true, {T(release), C(release, op, I32), C(release, object, I32)}},
    [LOST] = {"lost", NULL, sizeof(struct lost), true, {T(lost), C(lost, dur, I64), C(lost, count, I64), C(lost, reason, I32)}},
};

/* ---- Builders ---- */

struct pages {
    struct page *first, *last;
    size_t used; /* bytes of the last page */
};

struct builder {
    uint8_t table;
    uint8_t fullness; /* which list it is in */
    int32_t lane;
    int64_t sub;
    uint32_t rows, pages_count;
    int64_t region_end; /* of the last row: rows of a region chunk are disjoint whatever the capture says */
    struct pages row_pages, text_pages;
    struct builder *next, **link; /* in the list of its fullness */
    struct builder *younger;      /* in order of creation */
};

struct ttap__json {
    struct ttap__allowance *allowance;
    ttap__out_fn out;
    void *arg;
    int rc;
    bool head_open, chunks_begun, notes_begun;
    struct builder **map; /* open addressing */
    size_t map_room, builders_count;
    struct builder *oldest, **youngest;
    struct builder *recent[TABLES][RECENT]; /* by depth, name or object, the last one used: likely to be the next row's, too */
    struct builder *fuller[FULLNESS];
    uint32_t strings_written;
    uint64_t rows;
    uint64_t notes[NOTES_MAX]; /* hashes of their keys: no key twice in one object */
    size_t notes_count;
    size_t out_len;
    char out_bytes[OUT_BYTES];
};

/* ---- Output ---- */

static void out_flush(struct ttap__json *json)
{
    if (json->out_len && json->rc == 0)
        json->rc = json->out(json->arg, json->out_bytes, json->out_len);
    json->out_len = 0;
}

static char *out_room(struct ttap__json *json, size_t len)
{
    if (json->out_len + len > OUT_BYTES)
        out_flush(json);
    return json->out_bytes + json->out_len;
}

static void put(struct ttap__json *json, const void *bytes, size_t len)
{
    memcpy(out_room(json, len), bytes, len);
    json->out_len += len;
}

static void put_text(struct ttap__json *json, const char *text)
{
    put(json, text, strlen(text));
}

static void put_number(struct ttap__json *json, int64_t value)
{
    json->out_len += ttap__json_number(out_room(json, TTAP__JSON_NUMBER_BYTES), value);
}

/* Sizes and counts that a hostile capture makes huge: shown as the largest number that is one. */
static void put_count(struct ttap__json *json, const char *before, uint64_t value)
{
    put_text(json, before);
    put_number(json, (int64_t)(value < NUMBER_MAX ? value : NUMBER_MAX));
}

static void put_literal(struct ttap__json *json, const char *bytes, size_t len)
{
    if (len > TTAP__JSON_TEXT_BYTES)
        len = TTAP__JSON_TEXT_BYTES;
    put(json, "\"", 1);
    for (size_t at = 0; at < len;)
        json->out_len += ttap__json_escaped(out_room(json, TTAP__JSON_ESCAPED_BYTES_MAX), bytes, len, &at);
    put(json, "\"", 1);
}

/* ---- Pages ---- */

static void builder_flush(struct ttap__json *json, struct builder *builder);

static void pages_free(struct ttap__json *json, struct pages *pages)
{
    for (struct page *page = pages->first, *next; page; page = next) {
        next = page->next;
        ttap__allowance_free(json->allowance, page, sizeof *page);
    }
    *pages = (struct pages){0};
}

static void list_leave(struct builder *builder)
{
    if (builder->link) {
        *builder->link = builder->next;
        if (builder->next)
            builder->next->link = builder->link;
    }
    builder->link = NULL;
}

/* Into the list of its number of pages; empty builders are in none. */
static void list_enter(struct ttap__json *json, struct builder *builder)
{
    unsigned fullness = builder->pages_count ? 31 - (unsigned)__builtin_clz(builder->pages_count) : 0;
    if (builder->link && builder->fullness == fullness)
        return;
    list_leave(builder);
    if (!builder->pages_count)
        return;
    builder->fullness = (uint8_t)(fullness < FULLNESS ? fullness : FULLNESS - 1);
    builder->next = json->fuller[builder->fullness];
    builder->link = &json->fuller[builder->fullness];
    if (builder->next)
        builder->next->link = &builder->next;
    json->fuller[builder->fullness] = builder;
}

/* Write out one of the fullest. False: none holds anything. */
static bool flush_one(void *arg)
{
    struct ttap__json *json = arg;
    for (int fullness = FULLNESS - 1; fullness >= 0; fullness--)
        if (json->fuller[fullness]) {
            builder_flush(json, json->fuller[fullness]);
            return true;
        }
    return false;
}

static size_t map_home(const struct ttap__json *json, enum table table, int32_t lane, int64_t sub)
{
    uint64_t key = ttap__mix64((uint64_t)sub) + ((uint64_t)(uint32_t)lane << 8 | table);
    return (size_t)ttap__mix64(key) & (json->map_room - 1);
}

static struct builder **map_find(struct ttap__json *json, enum table table, int32_t lane, int64_t sub)
{
    size_t at = map_home(json, table, lane, sub);
    for (struct builder *builder; (builder = json->map[at]) != NULL; at = (at + 1) & (json->map_room - 1))
        if (builder->table == table && builder->lane == lane && builder->sub == sub)
            break;
    return &json->map[at];
}

/* Let go of builders that hold nothing. */
static bool sweep(struct ttap__json *json)
{
    bool any = false;
    if (!json->map)
        return false;
    memset(json->map, 0, json->map_room * sizeof *json->map);
    memset(json->recent, 0, sizeof json->recent);
    struct builder **link = &json->oldest;
    while (*link) {
        struct builder *builder = *link;
        if (builder->rows) {
            *map_find(json, builder->table, builder->lane, builder->sub) = builder;
            link = &builder->younger;
            continue;
        }
        *link = builder->younger;
        ttap__allowance_free(json->allowance, builder, sizeof *builder);
        json->builders_count--;
        any = true;
    }
    json->youngest = link;
    return any;
}

static bool room_for(struct ttap__json *json, size_t bytes)
{
    while (json->allowance->used + bytes > json->allowance->limit)
        if (!flush_one(json) && !sweep(json))
            return false;
    return true;
}

static void fail(struct ttap__json *json)
{
    if (json->rc == 0)
        json->rc = -ENOMEM;
}

static struct page *page_add(struct ttap__json *json, struct builder *builder, struct pages *pages)
{
    struct page *page = ttap__allowance_rows(json->allowance, sizeof *page);
    if (!page) {
        fail(json);
        return NULL;
    }
    page->next = NULL;
    if (pages->last)
        pages->last->next = page;
    else
        pages->first = page;
    pages->last = page;
    pages->used = 0;
    builder->pages_count++;
    list_enter(json, builder);
    return page;
}

static bool map_grow(struct ttap__json *json)
{
    size_t room = json->map_room ? json->map_room * 2 : 64;
    if (!room_for(json, room * sizeof *json->map))
        return json->map_room > json->builders_count + 1;
    struct builder **map = ttap__allowance_rows(json->allowance, room * sizeof *map);
    if (!map)
        return false;
    memset(map, 0, room * sizeof *map);
    ttap__allowance_free(json->allowance, json->map, json->map_room * sizeof *json->map);
    json->map = map;
    json->map_room = room;
    for (struct builder *builder = json->oldest; builder; builder = builder->younger)
        *map_find(json, builder->table, builder->lane, builder->sub) = builder;
    return true;
}

static struct builder *builder_new(struct ttap__json *json, enum table table, int32_t lane, int64_t sub)
{
    if ((json->builders_count + 1) * 2 > json->map_room && !map_grow(json)) {
        fail(json);
        return NULL;
    }
    struct builder *builder = room_for(json, sizeof *builder) ? ttap__allowance_rows(json->allowance, sizeof *builder) : NULL;
    if (!builder) {
        fail(json);
        return NULL;
    }
    *builder = (struct builder){.table = (uint8_t)table, .lane = lane, .sub = sub};
    *map_find(json, table, lane, sub) = builder;
    *json->youngest = builder;
    json->youngest = &builder->younger;
    json->builders_count++;
    return builder;
}

static inline struct builder *builder_of(struct ttap__json *json, enum table table, int32_t lane, int64_t sub)
{
    struct builder **recent = &json->recent[table][(uint64_t)sub % RECENT], *builder = *recent;
    if (builder && builder->lane == lane && builder->sub == sub)
        return builder;
    builder = json->map_room ? *map_find(json, table, lane, sub) : NULL;
    if (!builder)
        builder = builder_new(json, table, lane, sub);
    return *recent = builder;
}

static void row_add(struct ttap__json *json, struct builder *builder, const void *row)
{
    size_t bytes = tables[builder->table].row_bytes;
    if (!builder->row_pages.last || builder->row_pages.used + bytes > PAGE_ROOM)
        if (!page_add(json, builder, &builder->row_pages))
            return;
    uint8_t *to = builder->row_pages.last->bytes + builder->row_pages.used;
    if (bytes == sizeof(struct region)) /* a constant size is a few moves, not a call */
        memcpy(to, row, sizeof(struct region));
    else
        memcpy(to, row, bytes);
    builder->row_pages.used += bytes;
    if (++builder->rows == TTAP__JSON_ROWS_MAX)
        builder_flush(json, builder);
}

/* A row without text. */
static int add(struct ttap__json *json, enum table table, int32_t lane, int64_t sub, const void *row)
{
    if (json->rc)
        return json->rc;
    struct builder *builder = builder_of(json, table, lane, sub);
    if (!builder)
        return json->rc;
    size_t bytes = tables[table].row_bytes;
    if ((!builder->row_pages.last || builder->row_pages.used + bytes > PAGE_ROOM) && !room_for(json, sizeof(struct page)))
        fail(json);
    else
        row_add(json, builder_of(json, table, lane, sub), row); /* again: making room may have let go of it */
    return json->rc;
}

/* ---- Texts ---- */

static void text_put(struct ttap__json *json, struct builder *builder, const char *bytes, size_t len)
{
    struct pages *pages = &builder->text_pages;
    while (len) {
        if ((!pages->last || pages->used == PAGE_ROOM) && !page_add(json, builder, pages))
            return;
        size_t part = PAGE_ROOM - pages->used < len ? PAGE_ROOM - pages->used : len;
        memcpy(pages->last->bytes + pages->used, bytes, part);
        pages->used += part;
        bytes += part;
        len -= part;
    }
}

/* The text as a JSON literal; returns its length. */
static uint32_t text_add(struct ttap__json *json, struct builder *builder, struct ttap__text text)
{
    char escaped[TTAP__JSON_ESCAPED_BYTES_MAX];
    uint32_t len = 2;
    text_put(json, builder, "\"", 1);
    for (size_t at = 0; at < text.len;) {
        size_t plain = ttap__json_plain_bytes(text.bytes, text.len, at);
        text_put(json, builder, text.bytes + at, plain);
        at += plain;
        len += (uint32_t)plain;
        if (at == text.len)
            break;
        size_t bytes = ttap__json_escaped(escaped, text.bytes, text.len, &at);
        text_put(json, builder, escaped, bytes);
        len += (uint32_t)bytes;
    }
    text_put(json, builder, "\"", 1);
    return len;
}

/* A builder with room for one more row and a text of @len bytes; NULL when there is none to be had. */
static struct builder *builder_for_text(struct ttap__json *json, enum table table, int32_t lane, size_t len)
{
    struct builder *builder = json->rc ? NULL : builder_of(json, table, lane, 0);
    if (!builder)
        return NULL;
    if (builder->pages_count * PAGE_BYTES > TEXT_HELD_BYTES)
        builder_flush(json, builder);
    size_t pages = (len * 6 + 2) / PAGE_ROOM + 3; /* six bytes for one at worst, and what is begun on either side */
    if (!room_for(json, pages * sizeof(struct page))) {
        fail(json);
        return NULL;
    }
    return builder_of(json, table, lane, 0);
}

static struct ttap__text cut(struct ttap__text text)
{
    if (text.len > TTAP__JSON_TEXT_BYTES)
        text.len = TTAP__JSON_TEXT_BYTES;
    return text;
}

/* Reads a builder's texts again, in order. */
struct text_cursor {
    const struct page *page;
    size_t at;
};

static size_t text_part(struct text_cursor *cursor, size_t len, const uint8_t **bytes)
{
    if (cursor->at == PAGE_ROOM) {
        cursor->page = cursor->page->next;
        cursor->at = 0;
    }
    size_t part = PAGE_ROOM - cursor->at < len ? PAGE_ROOM - cursor->at : len;
    *bytes = cursor->page->bytes + cursor->at;
    cursor->at += part;
    return part;
}

static bool texts_equal(struct text_cursor one, struct text_cursor other, size_t len)
{
    const uint8_t *a, *b;
    for (; len; len--) {
        text_part(&one, 1, &a);
        text_part(&other, 1, &b);
        if (*a != *b)
            return false;
    }
    return true;
}

static void text_write(struct ttap__json *json, struct text_cursor *cursor, size_t len)
{
    const uint8_t *bytes;
    for (size_t part; len; len -= part) {
        part = text_part(cursor, len, &bytes);
        put(json, bytes, part);
    }
}

/* ---- Columns ---- */

struct row_cursor {
    const struct page *page;
    size_t at, row_bytes;
};

static inline const uint8_t *row_next(struct row_cursor *cursor)
{
    if (cursor->at + cursor->row_bytes > PAGE_ROOM) {
        cursor->page = cursor->page->next;
        cursor->at = 0;
    }
    const uint8_t *row = cursor->page->bytes + cursor->at;
    cursor->at += cursor->row_bytes;
    return row;
}

static inline int64_t value_of(const struct column *column, const uint8_t *row)
{
    int64_t wide;
    int32_t narrow;
    switch (column->form) {
    case U8:
        return row[column->offset];
    case I32:
    case TEXT:
    case TEXT_ARRAY:
        memcpy(&narrow, row + column->offset, sizeof narrow);
        return narrow;
    default:
        memcpy(&wide, row + column->offset, sizeof wide);
        return wide;
    }
}

static struct row_cursor rows_of(const struct builder *builder)
{
    return (struct row_cursor){builder->row_pages.first, 0, tables[builder->table].row_bytes};
}

static bool numbers_equal(const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    int64_t first = value_of(column, row_next(&rows));
    for (uint32_t i = 1; i < builder->rows; i++)
        if (value_of(column, row_next(&rows)) != first)
            return false;
    return true;
}

static void numbers_write(struct ttap__json *json, const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    if (numbers_equal(builder, column)) {
        put_number(json, value_of(column, row_next(&rows)));
        return;
    }
    char before = '[';
    for (uint32_t i = 0; i < builder->rows; i++, before = ',') {
        char *at = out_room(json, TTAP__JSON_NUMBER_BYTES + 1);
        *at = before;
        json->out_len += 1 + ttap__json_number(at + 1, value_of(column, row_next(&rows)));
    }
    put(json, "]", 1);
}

/* "t0":first,"dt":[0,...]: each row's distance to the one before. */
static void times_write(struct ttap__json *json, const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    int64_t before = value_of(column, row_next(&rows));
    put_text(json, ",\"t0\":");
    put_number(json, before);
    put_text(json, ",\"dt\":");
    if (numbers_equal(builder, column)) {
        put(json, "0", 1);
        return;
    }
    put(json, "[0", 2);
    for (uint32_t i = 1; i < builder->rows; i++) {
        int64_t at_ns = value_of(column, row_next(&rows));
        char *at = out_room(json, TTAP__JSON_NUMBER_BYTES + 1);
        *at = ',';
        json->out_len += 1 + ttap__json_number(at + 1, at_ns - before);
        before = at_ns;
    }
    put(json, "]", 1);
}

static bool all_texts_equal(const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    int64_t len = value_of(column, row_next(&rows));
    struct text_cursor first = {builder->text_pages.first, 0}, other = first;
    const uint8_t *bytes;
    for (uint32_t i = 1; i < builder->rows; i++) {
        for (size_t left = (size_t)len; left;)
            left -= text_part(&other, left, &bytes);
        if (value_of(column, row_next(&rows)) != len || !texts_equal(first, other, (size_t)len))
            return false;
    }
    return true;
}

static void texts_write(struct ttap__json *json, const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    struct text_cursor texts = {builder->text_pages.first, 0};
    bool one = column->form == TEXT && all_texts_equal(builder, column);
    for (uint32_t i = 0; i < (one ? 1 : builder->rows); i++) {
        if (!one)
            put(json, i ? "," : "[", 1);
        text_write(json, &texts, (size_t)value_of(column, row_next(&rows)));
    }
    if (!one)
        put(json, "]", 1);
}

static void trace_write(struct ttap__json *json, const uint8_t *row, const struct column *column)
{
    uint64_t trace[2];
    memcpy(trace, row + column->offset, sizeof trace);
    json->out_len += (size_t)sprintf(out_room(json, 40), trace[0] || trace[1] ? "\"%016llx%016llx\"" : "\"\"", (unsigned long long)trace[0],
                                     (unsigned long long)trace[1]);
}

static void traces_write(struct ttap__json *json, const struct builder *builder, const struct column *column)
{
    struct row_cursor rows = rows_of(builder);
    const uint8_t *first = row_next(&rows);
    bool one = true;
    for (uint32_t i = 1; i < builder->rows && one; i++)
        one = memcmp(first + column->offset, row_next(&rows) + column->offset, 16) == 0;
    rows = rows_of(builder);
    for (uint32_t i = 0; i < (one ? 1 : builder->rows); i++) {
        if (!one)
            put(json, i ? "," : "[", 1);
        trace_write(json, row_next(&rows), column);
    }
    if (!one)
        put(json, "]", 1);
}

static void column_write(struct ttap__json *json, const struct builder *builder, const struct column *column)
{
    if (column->form == TIME) {
        times_write(json, builder, column);
        return;
    }
    put_text(json, ",\"");
    put_text(json, column->key);
    put_text(json, "\":");
    if (column->form == TRACE)
        traces_write(json, builder, column);
    else if (column->form == TEXT || column->form == TEXT_ARRAY)
        texts_write(json, builder, column);
    else
        numbers_write(json, builder, column);
}

/* ---- Chunks ---- */

static void head_close(struct ttap__json *json)
{
    if (json->head_open)
        put_text(json, "}},\"chunks\":[\n");
    json->head_open = false;
}

static void chunk_open(struct ttap__json *json, const char *name)
{
    head_close(json);
    put_text(json, json->chunks_begun ? ",\n{\"t\":\"" : "{\"t\":\"");
    put_text(json, name);
    put(json, "\"", 1);
    json->chunks_begun = true;
}

static void chunk_head_write(struct ttap__json *json, const struct builder *builder)
{
    chunk_open(json, tables[builder->table].name);
    if (builder->table == STR) {
        put_count(json, ",\"base\":", json->strings_written);
        json->strings_written += builder->rows;
        return;
    }
    if (tables[builder->table].lane) {
        put_text(json, ",\"lane\":");
        put_number(json, builder->lane);
    }
    if (tables[builder->table].sub) {
        put_text(json, ",\"");
        put_text(json, tables[builder->table].sub);
        put_text(json, "\":");
        put_number(json, builder->sub);
    }
    put_count(json, ",\"n\":", builder->rows);
    json->rows += builder->rows;
}

static void strings_flush(struct ttap__json *json)
{
    struct builder *strings = json->map_room ? *map_find(json, STR, 0, 0) : NULL;
    if (strings && strings->rows)
        builder_flush(json, strings);
}

static void builder_flush(struct ttap__json *json, struct builder *builder)
{
    if (builder->rows == 0)
        return;
    if (builder->table != STR)
        strings_flush(json);
    chunk_head_write(json, builder);
    for (const struct column *column = tables[builder->table].columns; column->key; column++)
        column_write(json, builder, column);
    put(json, "}", 1);
    pages_free(json, &builder->row_pages);
    pages_free(json, &builder->text_pages);
    builder->rows = builder->pages_count = 0;
    list_leave(builder);
}

/* ---- Rows ---- */

static int on_capture(void *arg, const struct ttap__header *header)
{
    static const char *const clocks[] = {"unknown", "tsc", "mono", "cntvct"};
    struct ttap__json *json = arg;
    put_text(json, "{\"format\":\"tracetap\",\"version\":1,\"capture\":{\"t0_unix_ns\":\"");
    json->out_len += ttap__json_unsigned(out_room(json, TTAP__JSON_NUMBER_BYTES), header->base_wall_ns);
    put_count(json, "\",\"dur_ns\":", header->duration_ns);
    put_count(json, ",\"pid\":", header->pid);
    put_text(json, ",\"exe\":");
    put_literal(json, header->exe.bytes, header->exe.len);
    put_count(json, ",\"cpus\":", header->cpus);
    put_text(json, ",\"clock\":\"");
    put_text(json, clocks[header->clock < sizeof clocks / sizeof clocks[0] ? header->clock : 0]);
    put_count(json, "\",\"groups\":", header->groups);
    put_text(json, ",\"sample\":");
    put_literal(json, header->sample.bytes, header->sample.len);
    put_text(json, ",\"producer\":");
    put_literal(json, header->producer.bytes, header->producer.len);
    put_text(json, ",\"notes\":{");
    json->head_open = true;
    return json->rc;
}

static bool note_is_new(struct ttap__json *json, struct ttap__text key)
{
    uint64_t hash = key.len;
    for (size_t i = 0; i < key.len; i++)
        hash = ttap__mix64(hash + (uint8_t)key.bytes[i]);
    for (size_t i = 0; i < json->notes_count; i++)
        if (json->notes[i] == hash)
            return false;
    if (json->notes_count == NOTES_MAX)
        return false;
    json->notes[json->notes_count++] = hash;
    return true;
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    struct ttap__json *json = arg;
    key.len = strnlen(key.bytes, key.len); /* parsers that keep keys as C strings refuse a NUL in one */
    if (!note_is_new(json, key))
        return json->rc;
    if (json->notes_begun)
        put(json, ",", 1);
    json->notes_begun = true;
    put_literal(json, key.bytes, key.len);
    put(json, ":", 1);
    put_literal(json, value.bytes, value.len);
    return json->rc;
}

static int on_string(void *arg, uint32_t number, struct ttap__text text)
{
    struct ttap__json *json = arg;
    (void)number; /* counted here, in the same order */
    text = cut(text);
    struct builder *builder = builder_for_text(json, STR, 0, text.len);
    if (builder)
        row_add(json, builder, &(struct str){text_add(json, builder, text)});
    return json->rc;
}

static int on_lane(void *arg, const struct ttap__lane_row *lane)
{
    struct ttap__json *json = arg;
    chunk_open(json, "lane");
    put_count(json, ",\"id\":", lane->lane);
    put_text(json, lane->signal ? ",\"kind\":\"signal\"" : ",\"kind\":\"thread\"");
    put_count(json, ",\"pid\":", lane->pid);
    put_count(json, ",\"tid\":", lane->tid);
    put_text(json, ",\"name\":");
    put_literal(json, lane->name.bytes, lane->name.len);
    put_count(json, ",\"sort\":", lane->lane);
    put(json, "}", 1);
    return json->rc;
}

static int on_object(void *arg, const struct ttap__object_row *row)
{
    struct ttap__json *json = arg;
    chunk_open(json, "object");
    put_count(json, ",\"id\":", row->number);
    put_text(json, ",\"kind\":\"");
    put_text(json, row->kind);
    put_text(json, "\",\"name\":");
    put_literal(json, row->name.bytes, row->name.len);
    if (row->address.len) {
        put_text(json, ",\"address\":");
        put_literal(json, row->address.bytes, row->address.len);
        put_text(json, ",\"file\":");
        put_literal(json, row->file.bytes, row->file.len);
    }
    put(json, "}", 1);
    return json->rc;
}

static int on_region(void *arg, const struct ttap__region_row *row)
{
    struct ttap__json *json = arg;
    struct builder *builder = json->rc ? NULL : builder_of(json, REGION, (int32_t)row->lane, row->depth);
    struct region out = {row->start_ns, row->dur_ns, (int32_t)row->name, row->task, row->flags};
    if (builder && out.at < builder->region_end) { /* no honest capture: see region_end */
        out.dur = out.at + out.dur > builder->region_end ? out.at + out.dur - builder->region_end : 0;
        out.at = builder->region_end;
    }
    if (builder)
        builder->region_end = out.at + out.dur;
    return add(json, REGION, (int32_t)row->lane, row->depth, &out);
}

static int on_work(void *arg, const struct ttap__work_row *row)
{
    return add(arg, WORK, (int32_t)row->lane, 0, &(struct work){row->start_ns, row->dur_ns, row->task, row->flags});
}

static int on_wait(void *arg, const struct ttap__wait_row *row)
{
    return add(arg, WAIT, (int32_t)row->lane, 0,
               &(struct wait){row->start_ns, row->dur_ns, (int32_t)row->object, (int32_t)row->why, row->task, row->flags});
}

static int on_gc(void *arg, const struct ttap__gc_row *row)
{
    return add(arg, GC, (int32_t)row->lane, 0, &(struct gc){row->start_ns, row->dur_ns, (int32_t)row->phase, row->flags});
}

static int64_t clamped(uint64_t value)
{
    return (int64_t)(value < NUMBER_MAX ? value : NUMBER_MAX);
}

static int on_lost(void *arg, const struct ttap__lost_row *row)
{
    return add(arg, LOST, row->lane, 0, &(struct lost){row->start_ns, row->dur_ns, clamped(row->count), (int32_t)row->reason});
}

static int on_state(void *arg, const struct ttap__state_row *row)
{
    return add(arg, STATE, (int32_t)row->lane, 0,
               &(struct state){row->start_ns, row->dur_ns, (int32_t)row->state, row->cpu, row->call, row->op, row->object, row->stack, row->flags});
}

static int on_wake(void *arg, const struct ttap__wake_row *row)
{
    return add(arg, WAKE, row->from, 0, &(struct wake){row->at_ns, row->run_ns, (int32_t)row->lane, (int32_t)row->cause});
}

static int on_call(void *arg, const struct ttap__call_row *row)
{
    return add(arg, CALL, (int32_t)row->lane, 0,
               &(struct call){row->start_ns, row->dur_ns, row->result, (int32_t)row->op, row->object, row->stack, row->task, row->flags});
}

static int on_frame(void *arg, const struct ttap__frame_row *row)
{
    return add(arg, FRAME, 0, 0, &(struct frame){(int32_t)row->function, row->file, (int32_t)row->line});
}

static int on_stack(void *arg, const struct ttap__stack_node_row *row)
{
    return add(arg, STACK, 0, 0, &(struct stack){(int32_t)row->frame, row->parent < 0 ? 0 : (int32_t)row->number - row->parent});
}

static int on_sample(void *arg, const struct ttap__sample_row *row)
{
    return add(arg, SAMPLE, 0, 0, &(struct sample){row->at_ns, row->cpu_ns, (int32_t)row->lane, row->stack, row->task});
}

static int on_alloc_sample(void *arg, const struct ttap__alloc_sample_row *row)
{
    return add(arg, ALLOC_SAMPLE, 0, 0, &(struct alloc_sample){row->at_ns, row->bytes, row->weight, (int32_t)row->lane, row->stack, row->task});
}

static int on_request(void *arg, const struct ttap__request_row *row)
{
    return add(arg, REQUEST, 0, 0,
               &(struct request){.at = row->start_ns,
                                 .dur = row->dur_ns,
                                 .in = clamped(row->bytes_in),
                                 .out = clamped(row->bytes_out),
                                 .receives = clamped(row->receives),
                                 .sends = clamped(row->sends),
                                 .object = (int32_t)row->object,
                                 .side = (int32_t)row->side,
                                 .lane = (int32_t)row->lane,
                                 .end_lane = row->end_lane,
                                 .flags = row->flags});
}

static int on_other(void *arg, const struct ttap__other_row *row)
{
    return add(arg, OTHER, 0, 0, &(struct other){row->start_ns, row->dur_ns, row->pid, row->cpu, (int32_t)row->name, row->flags});
}

static int on_release(void *arg, const struct ttap__release_row *row)
{
    return add(arg, RELEASE, (int32_t)row->lane, 0, &(struct release){row->at_ns, (int32_t)row->op, row->object});
}

static int on_log(void *arg, const struct ttap__log_row *row)
{
    struct ttap__json *json = arg;
    struct ttap__text text = cut(row->text);
    struct builder *builder = builder_for_text(json, LOG, (int32_t)row->lane, text.len);
    if (builder)
        row_add(json, builder, &(struct line){row->at_ns, (int32_t)row->category, row->task, text_add(json, builder, text)});
    return json->rc;
}

static int on_instant(void *arg, const struct ttap__instant_row *row)
{
    return add(arg, INSTANT, (int32_t)row->lane, 0, &(struct instant){row->at_ns, (int32_t)row->name, row->task});
}

static int on_counter(void *arg, const struct ttap__counter_row *row)
{
    return add(arg, COUNTER, (int32_t)row->lane, row->name, &(struct value){row->at_ns, row->value});
}

static int on_alloc(void *arg, const struct ttap__alloc_row *row)
{
    return add(arg, ALLOC, (int32_t)row->lane, 0, &(struct alloc){row->at_ns, clamped(row->calls), clamped(row->bytes), clamped(row->frees)});
}

static int on_depth(void *arg, const struct ttap__depth_row *row)
{
    return add(arg, DEPTH, (int32_t)row->lane, (int32_t)row->object, &(struct value){row->at_ns, clamped(row->items)});
}

static int on_attr(void *arg, const struct ttap__attr_row *row)
{
    struct ttap__json *json = arg;
    struct ttap__text text = cut(row->text);
    struct builder *builder = builder_for_text(json, ATTR, 0, row->is_text ? text.len : TTAP__JSON_NUMBER_BYTES);
    if (!builder)
        return json->rc;
    struct attr out = {row->task, (int32_t)row->key, 0};
    char number[TTAP__JSON_NUMBER_BYTES];
    if (row->is_text)
        out.value = text_add(json, builder, text);
    else {
        out.value = (uint32_t)ttap__json_number(number, row->value);
        text_put(json, builder, number, out.value);
    }
    row_add(json, builder, &out);
    return json->rc;
}

static int on_task(void *arg, const struct ttap__task_out *row)
{
    return add(arg, TASK, 0, 0,
               &(struct task){.start = row->start_ns,
                              .dur = row->dur_ns,
                              .code = row->code,
                              .status = clamped(row->status),
                              .trace = {row->trace_hi, row->trace_lo},
                              .id = row->task,
                              .parent = row->parent,
                              .kind = row->kind,
                              .lane = row->lane,
                              .end_lane = row->end_lane,
                              .text = row->text,
                              .flags = row->flags});
}

static void account_write(struct ttap__json *json, const struct ttap__end_row *end)
{
    static const char *const lost[] = {"", ",\"lost_full\":", ",\"lost_nested\":", ",\"lost_queue\":", ",\"lost_late\":", ",\"lost_stall\":"};
    put_count(json, ",\"account\":{\"events\":", end->events);
    put_count(json, ",\"delivered\":", end->delivered);
    put_count(json, ",\"filtered\":", end->filtered);
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        put_count(json, lost[reason], end->lost[reason]);
    put_count(json, ",\"sampled_out\":", end->sampled_out);
    put(json, "}", 1);
}

static int on_end(void *arg, const struct ttap__end_row *end)
{
    struct ttap__json *json = arg;
    for (struct builder *builder = json->oldest; builder; builder = builder->younger)
        builder_flush(json, builder);
    head_close(json);
    put_count(json, "\n],\"end\":{\"dur_ns\":", (uint64_t)end->dur_ns);
    put_text(json, ",\"reason\":");
    put_literal(json, end->reason, strlen(end->reason));
    put_text(json, end->truncated ? ",\"truncated\":true" : ",\"truncated\":false");
    put_text(json, ",\"identity\":");
    put_literal(json, end->identity, strlen(end->identity));
    put_count(json, ",\"rows\":", json->rows);
    if (end->disagreements)
        put_count(json, ",\"disagreements\":", end->disagreements);
    if (end->untold)
        put_count(json, ",\"untold\":", end->untold);
    account_write(json, end);
    put_text(json, "}}\n");
    out_flush(json);
    return json->rc;
}

const struct ttap__rows ttap__json_rows = {
    .capture = on_capture,
    .note = on_note,
    .string = on_string,
    .lane = on_lane,
    .object = on_object,
    .region = on_region,
    .work = on_work,
    .wait = on_wait,
    .gc = on_gc,
    .lost = on_lost,
    .log = on_log,
    .instant = on_instant,
    .counter = on_counter,
    .alloc = on_alloc,
    .depth = on_depth,
    .attr = on_attr,
    .task = on_task,
    .state = on_state,
    .wake = on_wake,
    .other = on_other,
    .call = on_call,
    .release = on_release,
    .request = on_request,
    .frame = on_frame,
    .stack = on_stack,
    .sample = on_sample,
    .alloc_sample = on_alloc_sample,
    .end = on_end,
};

struct ttap__json *ttap__json_new(struct ttap__allowance *allowance, ttap__out_fn out, void *arg)
{
    struct ttap__json *json = malloc(sizeof *json);
    if (!json)
        return NULL;
    memset(json, 0, offsetof(struct ttap__json, out_bytes));
    json->allowance = allowance;
    json->out = out;
    json->arg = arg;
    json->youngest = &json->oldest;
    allowance->reclaim = flush_one;
    allowance->arg = json;
    return json;
}

void ttap__json_free(struct ttap__json *json)
{
    if (!json)
        return;
    for (struct builder *builder = json->oldest, *younger; builder; builder = younger) {
        younger = builder->younger;
        pages_free(json, &builder->row_pages);
        pages_free(json, &builder->text_pages);
        ttap__allowance_free(json->allowance, builder, sizeof *builder);
    }
    ttap__allowance_free(json->allowance, json->map, json->map_room * sizeof *json->map);
    free(json);
}
