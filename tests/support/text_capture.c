/* text_capture.c - from text to wire.
 *
 *      line -> verb and key=value words -> one block, a row of a block, or an event of the open chunk
 *
 * Each stream (thread, level) has a small shadow: next sequence number, account, open regions, current task. A chunk's head is
 * written from the shadow unless the text says otherwise. Consecutive lines of one row verb make one block; `next` ends it. */
#include "text_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "kinds.h"

enum { WORDS_MAX = 40, NAMES_MAX = 4096, STREAMS_MAX = 512, REGIONS_MAX = 256, KINDS_MAX = 256, TASKS_MAX = 1024, TEXT_MAX = 1 << 16 };

struct word {
    char *key, *value; /* unescaped, NUL-terminated */
    size_t value_len;
    bool quoted, used;
};

struct kind {
    unsigned number;
    char name[64], fields[256];
};

struct name {
    uint64_t id;
    char *text;
    size_t len;
};

struct region {
    uint64_t depth, name, begin;
};

struct task {
    uint64_t id, parent, kind, start;
};

struct stream {
    uint64_t thread, level;
    uint64_t start_seq, next_seq, delivered, filtered, lost[8], sampled_out, open_ends;
    uint64_t task, parent, task_kind, task_start;
    bool started;
    struct region regions[REGIONS_MAX];
    size_t regions_count;
};

struct chunk {
    bool open;
    struct stream *stream;
    uint64_t base, span, count, last_ticks, last_task, head[16];
    bool span_given, count_given, base_given, regions_given;
    uint64_t events_count;
    struct wire events;
    /* The head as it will be written: taken from the shadow when the chunk opened. */
    uint64_t first_seq, filtered, delivered_before, filtered_before, lost_before, sampled_out_before;
    uint64_t task, parent, task_kind, draw, task_start, open_ends;
    struct region regions[REGIONS_MAX];
    size_t regions_count;
};

struct parser {
    struct wire *out;
    jmp_buf failed;
    char *error;
    unsigned line;
    char *words_store;
    struct word words[WORDS_MAX];
    size_t words_count;
    bool preambled, header_open, headed;
    struct wire header_head, notes, kinds_listed;
    unsigned kinds_listed_count, notes_count;
    bool kinds_default;
    struct kind kinds[KINDS_MAX];
    size_t kinds_count;
    struct name names[NAMES_MAX];
    size_t names_count;
    struct wire new_names; /* rows not yet written */
    uint64_t new_names_count;
    struct stream *streams[STREAMS_MAX]; /* each 6 KB, and mostly two or three */
    size_t streams_count;
    struct task tasks[TASKS_MAX]; /* the last ones described, so that a bare task_enter can be */
    size_t tasks_count;
    struct chunk chunk;
    unsigned rows_type; /* the open block of rows, 0 for none */
    uint64_t rows_count;
    struct wire rows;
    uint64_t blocks, ticks_last;
    uint64_t base_ticks, ticks_per_second, base_mono, base_wall;
    uint64_t accounts[12], account_rows; /* sums, for the trailer */
};

__attribute__((noreturn, format(printf, 2, 3))) static void fail(struct parser *parser, const char *format, ...)
{
    va_list args;
    int at = snprintf(parser->error, TEXT_CAPTURE_ERROR_BYTES, "line %u: ", parser->line);
    va_start(args, format);
    vsnprintf(parser->error + at, TEXT_CAPTURE_ERROR_BYTES - (size_t)at, format, args);
    va_end(args);
    longjmp(parser->failed, 1);
}

/* ---- Words ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* A quoted value from *from to its closing quote; \n \t \" \\ \xHH. */
static void quoted(struct parser *parser, char **from, char **to)
{
    char *at = *from + 1, *out = *to;
    for (; *at != '"'; at++) {
        if (!*at || *at == '\n')
            fail(parser, "a quote is not closed");
        if (*at != '\\') {
            *out++ = *at;
            continue;
        }
        at++;
        if (*at == 'n')
            *out++ = '\n';
        else if (*at == 't')
            *out++ = '\t';
        else if (*at == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            *out++ = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
            at += 2;
        } else if (*at == '"' || *at == '\\')
            *out++ = *at;
        else
            fail(parser, "unknown escape \\%c", *at);
    }
    *from = at + 1;
    *to = out;
}

static void word_value(struct parser *parser, struct word *word, char **from, char **to)
{
    word->value = *to;
    if (**from == '"') {
        word->quoted = true;
        quoted(parser, from, to);
    } else {
        while (**from && !strchr(" \t\r\n", **from))
            *(*to)++ = *(*from)++;
    }
    word->value_len = (size_t)(*to - word->value);
    *(*to)++ = 0;
}

static void split(struct parser *parser, char *line)
{
    char *from = line, *to = parser->words_store;
    parser->words_count = 0;
    for (;;) {
        from += strspn(from, " \t\r");
        if (!*from || *from == '#')
            return;
        if (parser->words_count == WORDS_MAX)
            fail(parser, "more than %d words", WORDS_MAX);
        struct word *word = &parser->words[parser->words_count++];
        *word = (struct word){.key = to};
        while (*from && !strchr(" \t\r=\"", *from))
            *to++ = *from++;
        *to++ = 0;
        if (*from == '=') {
            from++;
            word_value(parser, word, &from, &to);
        } else if (*from == '"')
            word_value(parser, word, &from, &to);
    }
}

static struct word *find(struct parser *parser, const char *key)
{
    for (size_t i = 1; i < parser->words_count; i++)
        if (parser->words[i].value && strcmp(parser->words[i].key, key) == 0) {
            parser->words[i].used = true;
            return &parser->words[i];
        }
    return NULL;
}

static uint64_t number_of(struct parser *parser, const char *text)
{
    char *end;
    uint64_t value = *text == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
    if (!*text || *end)
        fail(parser, "\"%s\" is not a number", text);
    return value;
}

static uint64_t number(struct parser *parser, const char *key, uint64_t otherwise)
{
    struct word *word = find(parser, key);
    return word ? number_of(parser, word->value) : otherwise;
}

static bool given(struct parser *parser, const char *key)
{
    return find(parser, key) != NULL;
}

static void no_other_words(struct parser *parser)
{
    for (size_t i = 1; i < parser->words_count; i++)
        if (parser->words[i].value && !parser->words[i].used)
            fail(parser, "%s is not a key of %s", parser->words[i].key, parser->words[0].key);
}

/* ---- Names ---- */

static uint64_t name_define(struct parser *parser, uint64_t id, const struct word *word)
{
    if (parser->names_count == NAMES_MAX)
        fail(parser, "more than %d names", NAMES_MAX);
    struct name *name = &parser->names[parser->names_count++];
    name->id = id;
    name->len = word->value_len;
    name->text = malloc(word->value_len + 1);
    if (!name->text)
        abort();
    memcpy(name->text, word->value, word->value_len + 1);
    return id;
}

static uint64_t name_id(struct parser *parser, const struct word *word)
{
    uint64_t next = 1;
    if (word->value[0] == '#' && !word->quoted)
        return number_of(parser, word->value + 1);
    if (!word->quoted)
        fail(parser, "%s needs a \"name\" or #id", word->key);
    if (word->value_len == 0)
        return 0;
    for (size_t i = 0; i < parser->names_count; i++) {
        struct name *name = &parser->names[i];
        if (name->len == word->value_len && memcmp(name->text, word->value, name->len) == 0)
            return name->id;
        if (name->id >= next)
            next = name->id + 1;
    }
    wire_varint(&parser->new_names, next);
    wire_string(&parser->new_names, word->value, word->value_len);
    parser->new_names_count++;
    return name_define(parser, next, word);
}

static uint64_t name_of(struct parser *parser, const char *key, uint64_t otherwise)
{
    struct word *word = find(parser, key);
    return word ? name_id(parser, word) : otherwise;
}

/* ---- Blocks ---- */

static void block_write(struct parser *parser, unsigned type, uint64_t count, bool counted, struct wire *payload)
{
    wire_block_open(parser->out, type);
    if (counted)
        wire_varint(parser->out, count);
    wire_bytes(parser->out, payload->bytes, payload->len);
    wire_block_close(parser->out);
    payload->len = 0;
    parser->blocks++;
}

static void kind_add(struct parser *parser, unsigned kind_number, const char *name, const char *fields)
{
    if (parser->kinds_count == KINDS_MAX)
        fail(parser, "more than %d kinds", KINDS_MAX);
    struct kind *kind = &parser->kinds[parser->kinds_count++];
    kind->number = kind_number;
    snprintf(kind->name, sizeof kind->name, "%s", name);
    snprintf(kind->fields, sizeof kind->fields, "%s", fields);
}

static void kinds_known(struct parser *parser)
{
#define TTAP_KIND(number_, NAME, name_, GROUP, fields_, doc_) kind_add(parser, number_, name_, fields_);
#include "events.def"
#undef TTAP_KIND
}

static void header_close(struct parser *parser)
{
    if (!parser->header_open)
        return;
    parser->header_open = false;
    struct wire *head = &parser->header_head;
    wire_varint(head, (parser->kinds_default ? wire_kinds_count() : 0) + parser->kinds_listed_count);
    if (parser->kinds_default)
        wire_kind_table(head);
    wire_bytes(head, parser->kinds_listed.bytes, parser->kinds_listed.len);
    wire_varint(head, parser->notes_count);
    wire_bytes(head, parser->notes.bytes, parser->notes.len);
    block_write(parser, 1, 0, false, head);
}

static void rows_close(struct parser *parser)
{
    unsigned type = parser->rows_type;
    parser->rows_type = 0;
    if (type)
        block_write(parser, type, parser->rows_count, type != 2 && type != 6 && type != 9, &parser->rows);
}

static void names_flush(struct parser *parser)
{
    if (parser->new_names_count)
        block_write(parser, 3, parser->new_names_count, true, &parser->new_names);
    parser->new_names_count = 0;
}

static uint64_t or_given(uint64_t value, bool is_given, uint64_t given_value)
{
    return is_given ? given_value : value;
}

static void chunk_close(struct parser *parser)
{
    struct chunk *chunk = &parser->chunk;
    if (!chunk->open)
        return;
    chunk->open = false;
    names_flush(parser);
    struct wire head = {0};
    uint64_t count = or_given(chunk->events_count, chunk->count_given, chunk->count);
    uint64_t span = or_given(chunk->events_count ? chunk->last_ticks - chunk->base : 0, chunk->span_given, chunk->span);
    wire_varint(&head, chunk->stream->thread);
    wire_u8(&head, (unsigned)chunk->stream->level);
    const uint64_t numbers[] = {
        chunk->first_seq,          chunk->base, span, count, chunk->filtered, chunk->delivered_before, chunk->filtered_before, chunk->lost_before,
        chunk->sampled_out_before, chunk->task};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        wire_varint(&head, numbers[i]);
    if (chunk->task) {
        wire_varint(&head, chunk->parent);
        wire_varint(&head, chunk->task_kind);
        wire_varint(&head, chunk->draw);
        wire_zigzag(&head, chunk->base - chunk->task_start);
    }
    wire_varint(&head, chunk->open_ends);
    wire_varint(&head, chunk->regions_count);
    for (size_t i = 0; i < chunk->regions_count; i++) {
        wire_varint(&head, chunk->regions[i].depth);
        wire_varint(&head, chunk->regions[i].name);
        wire_zigzag(&head, chunk->base - chunk->regions[i].begin);
    }
    wire_bytes(&head, chunk->events.bytes, chunk->events.len);
    chunk->events.len = 0;
    block_write(parser, 5, 0, false, &head);
    wire_free(&head);
    chunk->stream->next_seq = chunk->first_seq + count + chunk->filtered;
    chunk->stream->delivered += count;
    chunk->stream->filtered += chunk->filtered;
}

static void header_write(struct parser *parser);

/* Before any line that is not part of what is open. */
static void close_all(struct parser *parser)
{
    if (!parser->headed) {
        size_t words = parser->words_count;
        parser->words_count = 0; /* a default header: no keys */
        header_write(parser);
        parser->words_count = words;
    }
    header_close(parser);
    chunk_close(parser);
    rows_close(parser);
    names_flush(parser);
}

static void preamble_write(struct parser *parser, unsigned major, unsigned minor)
{
    wire_preamble(parser->out, major, minor);
    parser->preambled = true;
}

static unsigned clock_number(struct parser *parser, const struct word *word)
{
    if (!word || strcmp(word->value, "mono") == 0)
        return TTAP__CLOCK_MONOTONIC;
    if (strcmp(word->value, "tsc") == 0)
        return TTAP__CLOCK_TSC;
    return strcmp(word->value, "cntvct") == 0 ? TTAP__CLOCK_CNTVCT : (unsigned)number_of(parser, word->value);
}

static void put_text(struct parser *parser, struct wire *out, const char *key, const char *otherwise)
{
    struct word *word = find(parser, key);
    if (word)
        wire_string(out, word->value, word->value_len);
    else
        wire_text(out, otherwise);
}

static void header_write(struct parser *parser)
{
    struct wire *head = &parser->header_head;
    if (!parser->preambled)
        preamble_write(parser, 1, 0);
    wire_u8(head, clock_number(parser, find(parser, "clock")));
    parser->ticks_per_second = number(parser, "ticks_per_second", 1000000000);
    parser->base_ticks = number(parser, "base_ticks", 0);
    parser->base_mono = number(parser, "base_mono_ns", 0);
    parser->base_wall = number(parser, "base_wall_ns", 1700000000000000000);
    wire_varint(head, parser->ticks_per_second);
    wire_varint(head, parser->base_ticks);
    wire_varint(head, parser->base_mono);
    wire_varint(head, parser->base_wall);
    wire_varint(head, number(parser, "duration_ns", 10000));
    wire_varint(head, number(parser, "groups", 63));
    wire_varint(head, number(parser, "pid", 71));
    wire_varint(head, number(parser, "cpus", 4));
    wire_varint(head, number(parser, "budget_bytes", 64 << 20));
    put_text(parser, head, "exe", "svc");
    put_text(parser, head, "sample", "");
    put_text(parser, head, "producer", "text");
    struct word *kinds = find(parser, "kinds");
    parser->kinds_default = !kinds || strcmp(kinds->value, "listed") != 0;
    parser->kinds_count = 0;
    if (parser->kinds_default)
        kinds_known(parser);
    parser->kinds_listed_count = parser->notes_count = 0;
    parser->kinds_listed.len = parser->notes.len = 0;
    parser->header_open = parser->headed = true;
}

static void header_line(struct parser *parser)
{
    if (parser->headed)
        close_all(parser); /* a second header, which no reader accepts */
    header_write(parser);
    no_other_words(parser);
}

/* ---- Streams and chunks ---- */

static struct stream *stream_of(struct parser *parser, uint64_t thread, uint64_t level)
{
    for (size_t i = 0; i < parser->streams_count; i++)
        if (parser->streams[i]->thread == thread && parser->streams[i]->level == level)
            return parser->streams[i];
    if (parser->streams_count == STREAMS_MAX)
        fail(parser, "more than %d streams", STREAMS_MAX);
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        abort();
    parser->streams[parser->streams_count++] = stream;
    stream->thread = thread;
    stream->level = level;
    return stream;
}

static void start_seq(struct stream *stream, uint64_t seq)
{
    if (!stream->started)
        stream->start_seq = seq;
    stream->started = true;
    stream->next_seq = seq;
}

static void chunk_open(struct parser *parser, struct stream *stream, uint64_t base)
{
    struct chunk *chunk = &parser->chunk;
    struct wire events = chunk->events;
    uint64_t lost = 0;
    for (int reason = 1; reason < 8; reason++)
        lost += stream->lost[reason];
    *chunk = (struct chunk){.open = true, .stream = stream, .base = base, .last_ticks = base, .events = events};
    chunk->first_seq = stream->next_seq;
    chunk->delivered_before = stream->delivered;
    chunk->filtered_before = stream->filtered;
    chunk->lost_before = lost;
    chunk->sampled_out_before = stream->sampled_out;
    chunk->task = stream->task;
    chunk->parent = stream->parent;
    chunk->task_kind = stream->task_kind;
    chunk->task_start = stream->task_start;
    chunk->open_ends = stream->open_ends;
    chunk->regions_count = stream->regions_count;
    memcpy(chunk->regions, stream->regions, sizeof chunk->regions);
    start_seq(stream, chunk->first_seq);
}

static void chunk_line(struct parser *parser)
{
    struct chunk *chunk = &parser->chunk;
    close_all(parser);
    struct stream *stream = stream_of(parser, number(parser, "thread", 1), number(parser, "level", 0));
    stream->task = number(parser, "task", stream->task);
    stream->parent = number(parser, "parent", stream->parent);
    stream->task_kind = name_of(parser, "kind", stream->task_kind);
    stream->task_start = number(parser, "start", stream->task_start);
    stream->open_ends = number(parser, "open_ends", stream->open_ends);
    bool no_regions = given(parser, "regions"); /* regions=none, or rows follow */
    if (no_regions)
        stream->regions_count = 0;
    uint64_t seq = number(parser, "first_seq", stream->next_seq);
    if (!stream->started)
        stream->start_seq = seq;
    stream->next_seq = seq;
    stream->started = true;
    bool base_given = given(parser, "base");
    chunk_open(parser, stream, number(parser, "base", 0));
    chunk->base_given = base_given;
    chunk->span_given = given(parser, "span");
    chunk->span = number(parser, "span", 0);
    chunk->count_given = given(parser, "count");
    chunk->count = number(parser, "count", 0);
    chunk->filtered = number(parser, "filtered", 0);
    chunk->delivered_before = number(parser, "delivered_before", chunk->delivered_before);
    chunk->filtered_before = number(parser, "filtered_before", chunk->filtered_before);
    chunk->lost_before = number(parser, "lost_before", chunk->lost_before);
    chunk->sampled_out_before = number(parser, "sampled_out_before", chunk->sampled_out_before);
    chunk->draw = number(parser, "draw", 0);
    no_other_words(parser);
}

static void open_line(struct parser *parser)
{
    struct chunk *chunk = &parser->chunk;
    if (!chunk->open || chunk->events_count)
        fail(parser, "open belongs right after a chunk line");
    if (!chunk->regions_given)
        chunk->regions_count = chunk->stream->regions_count = 0;
    chunk->regions_given = true;
    if (chunk->regions_count == REGIONS_MAX)
        fail(parser, "more than %d open regions", REGIONS_MAX);
    struct region region = {number(parser, "depth", chunk->regions_count), name_of(parser, "name", 0), number(parser, "begin", 0)};
    chunk->regions[chunk->regions_count++] = region;
    chunk->stream->regions[chunk->stream->regions_count++] = region;
    no_other_words(parser);
}

/* ---- Events ---- */

static void task_described(struct parser *parser, uint64_t id, uint64_t parent, uint64_t kind, uint64_t start)
{
    parser->tasks[parser->tasks_count++ % TASKS_MAX] = (struct task){id, parent, kind, start};
}

static void task_now(struct parser *parser, struct stream *stream, uint64_t id)
{
    stream->task = id;
    stream->parent = stream->task_kind = stream->task_start = 0;
    for (size_t i = 0; i < TASKS_MAX && i < parser->tasks_count; i++)
        if (id && parser->tasks[i].id == id) { /* the latest wins */
            stream->parent = parser->tasks[i].parent;
            stream->task_kind = parser->tasks[i].kind;
            stream->task_start = parser->tasks[i].start;
        }
}

/* What an event does to the shadow, so that the next chunk's head can be filled in. */
static void shadow(struct parser *parser, struct stream *stream, unsigned kind, const uint64_t *a, uint64_t ticks)
{
    struct region *top = stream->regions_count ? &stream->regions[stream->regions_count - 1] : NULL;
    switch (kind) {
    case TTAP__REGION_BEGIN:
        if (stream->regions_count == REGIONS_MAX)
            fail(parser, "more than %d open regions", REGIONS_MAX);
        stream->regions[stream->regions_count++] = (struct region){top ? top->depth + 1 : 0, a[0], ticks};
        break;
    case TTAP__REGION_END:
        stream->regions_count -= top != NULL;
        break;
    case TTAP__REGION_END_AT:
        while (stream->regions_count && stream->regions[stream->regions_count - 1].depth >= a[1])
            stream->regions_count--;
        break;
    case TTAP__REGION_END_OPEN:
        stream->open_ends++;
        break;
    case TTAP__TASK_BEGIN:
        task_described(parser, a[0], a[1], a[2], ticks);
        break;
    case TTAP__TASK_ENTER_FULL:
        task_described(parser, a[0], a[1], a[2], a[3]);
        task_now(parser, stream, a[0]);
        break;
    case TTAP__TASK_ENTER:
        task_now(parser, stream, a[0]);
        break;
    default:
        break;
    }
}

static uint64_t field_write(struct parser *parser, struct wire *out, const char *label, char code, uint64_t ticks)
{
    struct word *word = find(parser, label);
    uint64_t value = 0;
    if (code == 'n')
        value = word ? name_id(parser, word) : 0;
    else if (code != 's')
        value = word ? number_of(parser, word->value) : code == 't' ? ticks : 0;
    switch (code) {
    case 'u':
    case 'n':
        wire_varint(out, value);
        break;
    case 'i':
        wire_zigzag(out, value);
        break;
    case 'k':
        wire_zigzag(out, value - parser->chunk.last_task);
        parser->chunk.last_task = value;
        break;
    case 't':
        wire_zigzag(out, ticks - value);
        break;
    case 'x':
        wire_fixed64(out, value);
        break;
    case 's':
        wire_string(out, word ? word->value : "", word ? word->value_len : 0);
        break;
    default:
        fail(parser, "field code %c", code);
    }
    return value;
}

static void fields_write(struct parser *parser, struct wire *out, const struct kind *kind, uint64_t ticks, uint64_t *values)
{
    char fields[sizeof kind->fields], *save = NULL;
    unsigned i = 0;
    memcpy(fields, kind->fields, sizeof fields);
    for (char *field = strtok_r(fields, " ", &save); field; field = strtok_r(NULL, " ", &save), i++) {
        char *colon = strrchr(field, ':');
        if (!colon)
            fail(parser, "kind %s has the field %s without a code", kind->name, field);
        *colon = 0;
        uint64_t value = field_write(parser, out, field, colon[1], ticks);
        if (i < 8)
            values[i] = value;
    }
}

static void time_write(struct wire *out, struct chunk *chunk, uint64_t ticks, unsigned kind)
{
    if (ticks < chunk->last_ticks) {
        wire_u8(out, TTAP__KIND_TIME_BACK);
        wire_varint(out, chunk->last_ticks - ticks);
        chunk->last_ticks = ticks;
    }
    wire_u8(out, kind);
    wire_varint(out, ticks - chunk->last_ticks);
    chunk->last_ticks = ticks;
}

static const struct kind *kind_named(struct parser *parser, const char *name)
{
    for (size_t i = 0; i < parser->kinds_count; i++)
        if (strcmp(parser->kinds[i].name, name) == 0)
            return &parser->kinds[i];
    fail(parser, "the capture has no kind %s", name);
}

/* "signal", or "source=L": the stream of level L, which a source writes. Its own where there is neither. */
static uint64_t level_word(struct parser *parser, size_t *at)
{
    const struct word *word = &parser->words[*at];
    bool given = word->value && strcmp(word->key, "source") == 0, signal = !word->value && strcmp(word->key, "signal") == 0;
    *at += given || signal;
    return given ? number(parser, "source", 0) : signal;
}

/* thread N [signal | source=L] at T: kind key=value ... ; T may be +N, from the event before. */
static void event_line(struct parser *parser)
{
    size_t at = 1;
    struct word *words = parser->words;
    if (parser->words_count < 5)
        fail(parser, "thread N [signal | source=L] at T: kind ...");
    uint64_t thread = number_of(parser, words[at++].key), level = level_word(parser, &at);
    if (parser->words_count < at + 3 || strcmp(words[at].key, "at") != 0)
        fail(parser, "thread N [signal | source=L] at T: kind ...");
    char *time = words[at + 1].key, *colon = strchr(time, ':');
    if (colon)
        *colon = 0;
    struct chunk *chunk = &parser->chunk;
    if (chunk->open && (chunk->stream->thread != thread || chunk->stream->level != level))
        chunk_close(parser);
    uint64_t before = chunk->open ? chunk->last_ticks : parser->ticks_last;
    uint64_t ticks = *time == '+' ? before + number_of(parser, time + 1) : number_of(parser, time);
    const struct kind *kind = kind_named(parser, words[at + 2].key);
    if (!chunk->open)
        chunk_open(parser, stream_of(parser, thread, level), ticks);
    else if (chunk->events_count == 0 && !chunk->base_given)
        chunk->base = chunk->last_ticks = ticks;
    uint64_t values[8] = {0};
    time_write(&chunk->events, chunk, ticks, kind->number);
    fields_write(parser, &chunk->events, kind, ticks, values);
    chunk->events_count++;
    parser->ticks_last = ticks > parser->ticks_last ? ticks : parser->ticks_last;
    shadow(parser, chunk->stream, kind->number, values, ticks);
    no_other_words(parser);
}

/* ---- Rows ---- */

static void rows_open(struct parser *parser, unsigned type)
{
    bool single = type == 2 || type == 6 || type == 9;
    if (parser->rows_type != type || single || parser->chunk.open || parser->header_open || !parser->headed)
        close_all(parser);
    if (parser->rows_type != type)
        parser->rows_count = 0;
    parser->rows_type = type;
    parser->rows_count++;
}

static void numbers_write(struct parser *parser, const char *const *keys, const uint64_t *otherwise, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wire_varint(&parser->rows, number(parser, keys[i], otherwise[i]));
}

static void clock_line(struct parser *parser)
{
    static const char *const keys[] = {"ticks", "mono_ns", "wall_ns"};
    rows_open(parser, 2);
    uint64_t mono = number(parser, "mono_ns", 0);
    numbers_write(parser, keys, (uint64_t[]){0, 0, parser->base_wall + mono - parser->base_mono}, 3);
    no_other_words(parser);
}

static void names_line(struct parser *parser)
{
    struct word *text = find(parser, "text");
    if (!text)
        fail(parser, "names id=N text=\"...\"");
    rows_open(parser, 3);
    wire_varint(&parser->rows, name_define(parser, number(parser, "id", 0), text));
    wire_string(&parser->rows, text->value, text->value_len);
    no_other_words(parser);
}

static void threads_line(struct parser *parser)
{
    rows_open(parser, 4);
    uint64_t thread = number(parser, "thread", 1);
    wire_varint(&parser->rows, thread);
    wire_varint(&parser->rows, number(parser, "pid", 71));
    wire_varint(&parser->rows, number(parser, "tid", thread + 800));
    put_text(parser, &parser->rows, "name", "");
    no_other_words(parser);
}

static const char *const reasons[] = {"", "full", "nested", "queue", "late", "stall"};

static uint64_t reason_number(struct parser *parser, const struct word *word, const char *const *names, size_t count)
{
    for (size_t i = 1; word && i < count; i++)
        if (strcmp(names[i], word->value) == 0)
            return i;
    return word ? number_of(parser, word->value) : 1;
}

static void loss_line(struct parser *parser)
{
    rows_open(parser, 6);
    struct stream *stream = stream_of(parser, number(parser, "thread", 1), number(parser, "level", 0));
    uint64_t reason = reason_number(parser, find(parser, "reason"), reasons, 6);
    uint64_t first = number(parser, "first_seq", stream->next_seq), lost = number(parser, "lost", 0);
    uint64_t filtered = number(parser, "filtered", 0);
    wire_varint(&parser->rows, stream->thread);
    wire_u8(&parser->rows, (unsigned)stream->level);
    wire_u8(&parser->rows, (unsigned)reason);
    wire_varint(&parser->rows, first);
    wire_varint(&parser->rows, lost);
    wire_varint(&parser->rows, filtered);
    wire_varint(&parser->rows, number(parser, "from", parser->ticks_last));
    wire_varint(&parser->rows, number(parser, "to", parser->ticks_last));
    start_seq(stream, first);
    stream->next_seq = first + lost + filtered;
    stream->lost[reason & 7] += lost;
    stream->filtered += filtered;
    no_other_words(parser);
}

static void tasks_line(struct parser *parser)
{
    uint64_t kind = name_of(parser, "kind", 0);
    if (parser->new_names_count)
        close_all(parser); /* the name before the row that uses it */
    rows_open(parser, 7);
    uint64_t task = number(parser, "task", 1), parent = number(parser, "parent", 0), start = number(parser, "start", 0);
    uint64_t thread = number(parser, "thread", 1);
    const uint64_t row[] = {task, parent, kind, start, thread};
    for (int i = 0; i < 5; i++)
        wire_varint(&parser->rows, row[i]);
    task_described(parser, task, parent, kind, start);
    task_now(parser, stream_of(parser, thread, 0), task);
    no_other_words(parser);
}

/* frames="MODULE:OFFSET MODULE:OFFSET", innermost first */
static void frames_write(struct parser *parser, struct wire *out, const struct word *word)
{
    uint64_t count = 0;
    char *save = NULL;
    for (const char *at = word ? word->value : ""; *(at += strspn(at, " ")); at += strcspn(at, " "))
        count++;
    wire_varint(out, count);
    for (char *frame = word ? strtok_r(word->value, " ", &save) : NULL; frame; frame = strtok_r(NULL, " ", &save)) {
        char *colon = strchr(frame, ':');
        if (!colon)
            fail(parser, "frame %s is not MODULE:OFFSET", frame);
        *colon = 0;
        wire_varint(out, number_of(parser, frame));
        wire_varint(out, number_of(parser, colon + 1));
    }
}

static void calls_line(struct parser *parser)
{
    uint64_t op = name_of(parser, "op", 0);
    if (parser->new_names_count)
        close_all(parser);
    rows_open(parser, 10);
    numbers_write(parser, (const char *const[]){"thread", "kind", "start"}, (uint64_t[]){1, TTAP__LOCK_CALL, 0}, 3);
    wire_varint(&parser->rows, op);
    wire_varint(&parser->rows, number(parser, "object", 0));
    no_other_words(parser);
}

static void modules_line(struct parser *parser)
{
    rows_open(parser, 12);
    numbers_write(parser, (const char *const[]){"module", "start", "end", "offset"}, (uint64_t[]){1, 0, 0, 0}, 4);
    put_text(parser, &parser->rows, "path", "");
    put_text(parser, &parser->rows, "build_id", "");
    no_other_words(parser);
}

static void mapped_line(struct parser *parser)
{
    rows_open(parser, 14);
    numbers_write(parser, (const char *const[]){"pid", "module"}, (uint64_t[]){71, 1}, 2);
    no_other_words(parser);
}

static void stacks_line(struct parser *parser)
{
    rows_open(parser, 13);
    wire_varint(&parser->rows, number(parser, "stack", 1));
    wire_u8(&parser->rows, (unsigned)number(parser, "flags", 0));
    frames_write(parser, &parser->rows, find(parser, "frames"));
    no_other_words(parser);
}

static const char *const account_keys[] = {"start_seq",   "end_seq",    "delivered", "filtered",   "lost_full",
                                           "lost_nested", "lost_queue", "lost_late", "lost_stall", "sampled_out"};

static void account_row(struct parser *parser, struct stream *stream)
{
    const uint64_t shadow_row[] = {stream->start_seq, stream->next_seq, stream->delivered, stream->filtered, stream->lost[1],
                                   stream->lost[2],   stream->lost[3],  stream->lost[4],   stream->lost[5],  stream->sampled_out};
    wire_varint(&parser->rows, stream->thread);
    wire_u8(&parser->rows, (unsigned)stream->level);
    numbers_write(parser, account_keys, shadow_row, 10);
    uint64_t start = number(parser, "start_seq", shadow_row[0]);
    parser->accounts[0] += number(parser, "end_seq", shadow_row[1]) - start;
    for (int i = 2; i < 10; i++)
        parser->accounts[i - 1] += number(parser, account_keys[i], shadow_row[i]);
    parser->account_rows++;
}

/* With a thread: its row. Without: a row for each stream there was. */
static void account_line(struct parser *parser)
{
    if (given(parser, "thread")) {
        rows_open(parser, 8);
        account_row(parser, stream_of(parser, number(parser, "thread", 1), number(parser, "level", 0)));
        no_other_words(parser);
        return;
    }
    close_all(parser);
    no_other_words(parser);
    for (size_t i = 0; i < parser->streams_count; i++) {
        if (!parser->streams[i]->started && !parser->streams[i]->sampled_out)
            continue;
        rows_open(parser, 8);
        account_row(parser, parser->streams[i]);
    }
}

static void trailer_line(struct parser *parser)
{
    static const char *const ends[] = {"", "window", "bytes", "stopped", "client", "lease", "shutdown"};
    static const char *const keys[] = {"end_ticks",   "end_mono_ns",    "end_wall_ns", "streams",    "events",    "delivered",
                                       "filtered",    "lost_full",      "lost_nested", "lost_queue", "lost_late", "lost_stall",
                                       "sampled_out", "drainer_cpu_ns", "blocks",      "bytes"};
    rows_open(parser, 9);
    uint64_t end = number(parser, "end_ticks", parser->ticks_last);
    uint64_t hz = parser->ticks_per_second ? parser->ticks_per_second : 1;
    uint64_t end_ns = (uint64_t)((unsigned __int128)(end - parser->base_ticks) * 1000000000u / hz); /* wraps, as times do */
    const uint64_t *sums = parser->accounts;
    const uint64_t otherwise[] = {end,
                                  parser->base_mono + end_ns,
                                  parser->base_wall + end_ns,
                                  parser->account_rows,
                                  sums[0],
                                  sums[1],
                                  sums[2],
                                  sums[3],
                                  sums[4],
                                  sums[5],
                                  sums[6],
                                  sums[7],
                                  sums[8],
                                  0,
                                  parser->blocks,
                                  parser->out->len};
    wire_varint(&parser->rows, reason_number(parser, find(parser, "reason"), ends, 7));
    numbers_write(parser, keys, otherwise, sizeof keys / sizeof keys[0]);
    no_other_words(parser);
}

/* end reason=... at=T: account and trailer in one line. */
static void end_line(struct parser *parser)
{
    size_t words = parser->words_count;
    parser->words_count = 1;
    account_line(parser);
    parser->words_count = words;
    uint64_t at = number(parser, "at", parser->ticks_last);
    parser->ticks_last = at;
    trailer_line(parser);
}

/* ---- Damage ---- */

static size_t hex_bytes(struct parser *parser, uint8_t *out)
{
    struct word *word = find(parser, "hex");
    size_t count = 0;
    if (!word || word->value_len / 2 > TEXT_MAX)
        fail(parser, "needs hex=...");
    for (const char *at = word->value; *at; at += 2) {
        if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
            fail(parser, "hex has an odd digit or a strange one");
        out[count++] = (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
    }
    return count;
}

static void raw_line(struct parser *parser)
{
    static uint8_t bytes[TEXT_MAX];
    if (parser->preambled || parser->headed)
        close_all(parser);
    parser->preambled = parser->headed = true;
    wire_bytes(parser->out, bytes, hex_bytes(parser, bytes));
}

static void block_line(struct parser *parser)
{
    static uint8_t bytes[TEXT_MAX];
    struct wire payload = {0};
    close_all(parser);
    wire_bytes(&payload, bytes, hex_bytes(parser, bytes));
    block_write(parser, (unsigned)number(parser, "type", 77), 0, false, &payload);
    wire_free(&payload);
}

/* More bytes at the end of the block that is open, as a later minor version may have. */
static void extra_line(struct parser *parser)
{
    static uint8_t bytes[TEXT_MAX];
    struct wire *open = parser->chunk.open ? &parser->chunk.events : parser->header_open ? &parser->notes : &parser->rows;
    if (!parser->chunk.open && !parser->header_open && !parser->rows_type)
        fail(parser, "no block is open");
    wire_bytes(open, bytes, hex_bytes(parser, bytes));
}

static void cut_line(struct parser *parser)
{
    close_all(parser);
    uint64_t keep = given(parser, "last") ? parser->out->len - number(parser, "last", 0) : number(parser, "at", 0);
    if (keep > parser->out->len)
        fail(parser, "there are only %zu bytes", parser->out->len);
    parser->out->len = keep;
}

static void patch_line(struct parser *parser)
{
    static uint8_t bytes[TEXT_MAX];
    close_all(parser);
    uint64_t at = given(parser, "back") ? parser->out->len - number(parser, "back", 0) : number(parser, "at", 0);
    size_t count = hex_bytes(parser, bytes);
    if (at > parser->out->len || count > parser->out->len - at)
        fail(parser, "there are only %zu bytes", parser->out->len);
    memcpy(parser->out->bytes + at, bytes, count);
}

/* ---- Lines ---- */

static void kind_line(struct parser *parser)
{
    if (!parser->header_open || parser->words_count < 4)
        fail(parser, "after header: kind NUMBER name=\"...\" fields=\"...\"");
    struct word *name = find(parser, "name"), *fields = find(parser, "fields");
    uint64_t kind_number = number_of(parser, parser->words[1].key);
    if (!name || !fields)
        fail(parser, "kind NUMBER name=\"...\" fields=\"...\"");
    kind_add(parser, (unsigned)kind_number, name->value, fields->value);
    wire_varint(&parser->kinds_listed, kind_number);
    wire_string(&parser->kinds_listed, name->value, name->value_len);
    wire_string(&parser->kinds_listed, fields->value, fields->value_len);
    parser->kinds_listed_count++;
}

static void note_line(struct parser *parser)
{
    if (!parser->header_open)
        fail(parser, "note belongs to the header");
    put_text(parser, &parser->notes, "key", "");
    put_text(parser, &parser->notes, "value", "");
    parser->notes_count++;
    no_other_words(parser);
}

static void sampled_out_line(struct parser *parser)
{
    close_all(parser);
    stream_of(parser, number(parser, "thread", 1), number(parser, "level", 0))->sampled_out += number(parser, "n", 0);
    no_other_words(parser);
}

static void thread_line(struct parser *parser)
{
    if (!parser->headed || parser->header_open || parser->rows_type)
        close_all(parser);
    event_line(parser);
}

static void preamble_line(struct parser *parser)
{
    preamble_write(parser, (unsigned)number(parser, "major", 1), (unsigned)number(parser, "minor", 0));
}

static const struct {
    const char *verb;
    void (*line)(struct parser *parser);
} verbs[] = {
    {"thread", thread_line},   {"chunk", chunk_line},
    {"open", open_line},       {"preamble", preamble_line},
    {"header", header_line},   {"kind", kind_line},
    {"note", note_line},       {"clock", clock_line},
    {"names", names_line},     {"threads", threads_line},
    {"loss", loss_line},       {"tasks", tasks_line},
    {"account", account_line}, {"trailer", trailer_line},
    {"end", end_line},         {"next", close_all},
    {"raw", raw_line},         {"block", block_line},
    {"extra", extra_line},     {"cut", cut_line},
    {"patch", patch_line},     {"sampled_out", sampled_out_line},
    {"calls", calls_line},     {"modules", modules_line},
    {"stacks", stacks_line},   {"mapped", mapped_line},
};

static void line_read(struct parser *parser, char *line)
{
    split(parser, line);
    if (parser->words_count == 0)
        return;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].verb, parser->words[0].key) == 0) {
            verbs[i].line(parser);
            return;
        }
    fail(parser, "unknown word %s", parser->words[0].key);
}

static void parser_free(struct parser *parser)
{
    struct wire *const wires[] = {&parser->header_head, &parser->notes, &parser->kinds_listed,
                                  &parser->new_names,   &parser->rows,  &parser->chunk.events};
    for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++)
        wire_free(wires[i]);
    for (size_t i = 0; i < parser->names_count; i++)
        free(parser->names[i].text);
    for (size_t i = 0; i < parser->streams_count; i++)
        free(parser->streams[i]);
    free(parser->words_store);
    free(parser);
}

static bool lines_read(struct parser *parser, char *text)
{
    if (setjmp(parser->failed))
        return false;
    for (char *line = text, *next; line; line = next) {
        parser->line++;
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        line_read(parser, line);
    }
    parser->words_count = 0;
    close_all(parser);
    return true;
}

bool text_capture_to_wire(const char *text, size_t len, struct wire *out, char error[TEXT_CAPTURE_ERROR_BYTES])
{
    struct parser *parser = calloc(1, sizeof *parser);
    char *copy = malloc(len + 1);
    if (!parser || !copy || !(parser->words_store = malloc(2 * len + 16)))
        abort();
    memcpy(copy, text, len);
    copy[len] = 0;
    parser->out = out;
    parser->error = error;
    error[0] = 0;
    bool good = lines_read(parser, copy);
    free(copy);
    parser_free(parser);
    return good;
}

char *text_capture_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    *len = 0;
    if (!file)
        return NULL;
    for (size_t room = 0, got = 1; got; *len += got) {
        if (*len == room) {
            room = room ? 2 * room : 1 << 16;
            bytes = realloc(bytes, room + 1);
            if (!bytes)
                abort();
        }
        got = fread(bytes + *len, 1, room - *len, file);
    }
    bytes[*len] = 0;
    fclose(file);
    return bytes;
}
