/* validator.c - decodes a native capture and tiles it.
 *
 *      start_seq                                                         end_seq      the ACCOUNT row of one stream
 *         |== EVENTS ==|== LOSS ==|===== EVENTS =====|== EVENTS ==|= LOSS =|          its blocks, sorted by first_seq
 *
 * Every piece begins where the one before it ended, the pieces' counts are the row's counts, the rows' sums are the
 * TRAILER's. On the way: every name and thread is defined before it is used, heads account for what came before, times
 * end where the span says, and what replaying one run leaves open is what the next run's head lists. validator_tiles.c
 * then looks at the values of test counters.
 *
 * The first thing wrong is kept as (rule, sentence), in the order in which reader_check.py looks: first what blocks say
 * by themselves, in file order, then damage, then account rows, then stream by stream, then the TRAILER. Tests compare
 * the two verdict by verdict.
 *
 * Invariants: a block counts only when all of it was decoded; a cursor that failed once yields zeros and stays failed;
 * memory grows with the capture's bytes, never with a number read from it. */
#include "validator_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREAMBLE_BYTES = 16, BLOCK_HEAD_BYTES = 8, MAX_PAYLOAD_BYTES = 1048576 };
enum block { HEADER = 1, CLOCK, NAMES, THREADS, EVENTS, LOSS, TASKS, ACCOUNT, TRAILER, CALLS, MODULES = 12, STACKS, MAPPED };
enum { LAST_LOSS_REASON = 5, LAST_END_REASON = 6, LEVEL_MAX = 7 };
enum kind {
    REGION_BEGIN = 1,
    REGION_END,
    REGION_END_AT,
    REGION_END_OPEN,
    COUNTER = 7,
    TASK_BEGIN,
    TASK_END,
    TASK_ENTER,
    TASK_ENTER_FULL,
    SAMPLE = 32,
    CALL_STACK,
    ALLOC_SAMPLE
};
enum label { LABEL_NAME, LABEL_VALUE, LABEL_TASK, LABEL_DEPTH, LABEL_LEVEL, LABEL_STACK, LABELS };

__extension__ typedef unsigned __int128 wide; /* sums of 64-bit numbers, which must not wrap */
__extension__ typedef __int128 signed_wide;

static const char *const label_names[LABELS] = {"name", "value", "task", "depth", "level", "stack"};

/* The kinds of version 1.0 looked into here, by number. One of that number with another name, or without one of these
 * fields, means nothing. */
struct kind_1_0 {
    const char *name, *fields;
};

static const struct kind_1_0 kinds_1_0[] = {
    [REGION_BEGIN] = {"region_begin", "name:n"},
    [REGION_END] = {"region_end", ""},
    [REGION_END_AT] = {"region_end_at", "name:n depth:u"},
    [REGION_END_OPEN] = {"region_end_open", "name:n level:u"},
    [COUNTER] = {"counter", "name:n value:i"},
    [TASK_BEGIN] = {"task_begin", "task:k parent:k kind:n"},
    [TASK_END] = {"task_end", "task:k parent:k kind:n start:t status:u"},
    [TASK_ENTER] = {"task_enter", "task:k"},
    [TASK_ENTER_FULL] = {"task_enter_full", "task:k parent:k kind:n start:t"},
    [SAMPLE] = {"sample", "cpu_ns:u stack:u"},
    [CALL_STACK] = {"call_stack", "start:t stack:u"},
    [ALLOC_SAMPLE] = {"alloc_sample", "bytes:u weight:u stack:u"},
};

/* Piles and maps */

void *pile_add(struct pile *pile)
{
    if (pile->used == pile->room) {
        size_t room = pile->room ? pile->room * 2 : 64;
        void *items = realloc(pile->items, room * pile->item_bytes);
        if (!items)
            return NULL;
        pile->items = items;
        pile->room = room;
    }
    void *item = (char *)pile->items + pile->used++ * pile->item_bytes;
    return memset(item, 0, pile->item_bytes);
}

struct map_slot {
    uint64_t key, value;
    bool used;
};

/* 64-bit keys to 64-bit values, open addressing, at most half full. */
struct map {
    struct map_slot *slots;
    size_t used, size;
};

static struct map_slot *map_probe(const struct map *map, uint64_t key)
{
    size_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32; /* Fibonacci hashing: ids are mostly consecutive */
    for (;; at++) {
        struct map_slot *slot = &map->slots[at & (map->size - 1)];
        if (!slot->used || slot->key == key)
            return slot;
    }
}

static const uint64_t *map_find(const struct map *map, uint64_t key)
{
    const struct map_slot *slot = map->size ? map_probe(map, key) : NULL;
    return slot && slot->used ? &slot->value : NULL;
}

static bool map_grow(struct map *map)
{
    struct map bigger = {.size = map->size ? map->size * 2 : 64, .used = map->used};
    bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < map->size; i++) {
        if (map->slots[i].used)
            *map_probe(&bigger, map->slots[i].key) = map->slots[i];
    }
    free(map->slots);
    *map = bigger;
    return true;
}

static bool map_put(struct map *map, uint64_t key, uint64_t value)
{
    if (map->used * 2 >= map->size && !map_grow(map))
        return false;
    struct map_slot *slot = map_probe(map, key);
    map->used += !slot->used;
    *slot = (struct map_slot){.key = key, .value = value, .used = true};
    return true;
}

static void map_clear(struct map *map)
{
    if (map->used)
        memset(map->slots, 0, map->size * sizeof(*map->slots));
    map->used = 0;
}

/* Cursor */

struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static const uint8_t *take(struct cursor *c, uint64_t size)
{
    if (c->failed || size > left(c)) {
        c->failed = true;
        return NULL;
    }
    c->at += size;
    return c->at - size;
}

static uint8_t get_byte(struct cursor *c)
{
    const uint8_t *byte = take(c, 1);
    return byte ? *byte : 0;
}

static uint64_t get_varint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = get_byte(c);
        if (shift == 63 && (byte & 0x7f) > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return c->failed ? 0 : value;
    }
    c->failed = true;
    return 0;
}

static int64_t get_zigzag(struct cursor *c)
{
    uint64_t value = get_varint(c);
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

struct slice {
    const uint8_t *bytes;
    size_t size;
};

static struct slice get_string(struct cursor *c)
{
    uint64_t size = get_varint(c);
    const uint8_t *bytes = take(c, size);
    return (struct slice){.bytes = bytes, .size = bytes ? size : 0};
}

/* The number of rows that follow. None is shorter than a byte, so more rows than bytes is a lie. */
static uint64_t get_count(struct cursor *c)
{
    uint64_t count = get_varint(c);
    if (count > left(c))
        c->failed = true;
    return c->failed ? 0 : count;
}

/* What is known while reading */

struct kind_row {
    bool readable; /* in the table, with fields we can step over */
    uint8_t means; /* one of enum kind, or 0 */
    size_t codes_at, fields;
    int slot[LABELS]; /* which field has that label; -1: none */
};

/* A complaint of the block being read, by the stage at which reader.py would come to it. It counts once the block is
 * decoded. */
struct complaint {
    int stage; /* 0: none */
    char rule[24], sentence[160];
};

struct reading {
    struct check check;
    uint16_t minor;
    uint64_t blocks, bytes;
    struct kind_row kinds[256];
    struct pile codes; /* field codes of all kinds, one char each */
    struct map names;  /* id -> 0, or tile number + 1 */
    struct map threads;
    struct map modules, stacks;
    struct map chunk_tasks; /* described so far in the block being read */
    struct pile stack;      /* open regions while replaying */
    struct complaint complaint;
    bool damaged, cut, has_trailer;
    uint64_t trailer_streams, trailer_events, trailer_columns[ACCOUNT_COLUMNS], trailer_blocks, trailer_bytes;
};

void validation_wrong(struct validation *out, const char *rule, const char *format, ...)
{
    if (out->verdict == VALIDATION_WRONG)
        return;
    out->verdict = VALIDATION_WRONG;
    snprintf(out->rule, sizeof(out->rule), "%s", rule);
    va_list args;
    va_start(args, format);
    vsnprintf(out->sentence, sizeof(out->sentence), format, args);
    va_end(args);
}

__attribute__((format(printf, 4, 5))) static void complain(struct reading *r, int stage, const char *rule, const char *format, ...)
{
    struct complaint *complaint = &r->complaint;
    if (complaint->stage && complaint->stage <= stage)
        return;
    complaint->stage = stage;
    snprintf(complaint->rule, sizeof(complaint->rule), "%s", rule);
    va_list args;
    va_start(args, format);
    vsnprintf(complaint->sentence, sizeof(complaint->sentence), format, args);
    va_end(args);
}

static void put(struct reading *r, struct map *map, uint64_t key, uint64_t value)
{
    if (!map_put(map, key, value))
        r->check.no_memory = true;
}

static void *add(struct reading *r, struct pile *pile)
{
    void *item = pile_add(pile);
    if (!item)
        r->check.no_memory = true;
    return item;
}

static void need_name(struct reading *r, int stage, uint64_t name)
{
    if (name && !map_find(&r->names, name))
        complain(r, stage, "name-unknown", "name %llu is used before it is defined", (unsigned long long)name);
}

/* HEADER and its kind table */

static bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.bytes, text, slice.size) == 0;
}

/* Cuts the next part off a description at its blank. */
static struct slice next_part(struct slice *rest)
{
    const uint8_t *blank = memchr(rest->bytes, ' ', rest->size);
    struct slice part = {.bytes = rest->bytes, .size = blank ? (size_t)(blank - rest->bytes) : rest->size};
    size_t used = part.size + (blank ? 1 : 0);
    rest->bytes = blank ? rest->bytes + used : NULL; /* NULL: that was the last one */
    rest->size -= used;
    return part;
}

static bool has_part(struct slice description, const char *wanted)
{
    while (description.bytes && description.size) {
        if (slice_is(next_part(&description), wanted))
            return true;
    }
    return false;
}

static bool has_fields_1_0(struct slice description, const char *wanted)
{
    char part[16]; /* "status:u" is the longest */
    while (*wanted) {
        size_t size = strcspn(wanted, " ");
        snprintf(part, sizeof(part), "%.*s", (int)size, wanted);
        if (!has_part(description, part))
            return false;
        wanted += size + (wanted[size] == ' ');
    }
    return true;
}

static bool add_field(struct reading *r, struct kind_row *row, struct slice part)
{
    const uint8_t *colon = part.size ? memchr(part.bytes, ':', part.size) : NULL;
    if (!colon || colon + 2 != part.bytes + part.size || !memchr("uinktxs", colon[1], 7))
        return false;
    char *code = add(r, &r->codes);
    if (!code)
        return false;
    *code = (char)colon[1];
    for (int label = 0; label < LABELS; label++) {
        if (slice_is((struct slice){part.bytes, (size_t)(colon - part.bytes)}, label_names[label]))
            row->slot[label] = (int)row->fields;
    }
    row->fields++;
    return true;
}

static void add_kind(struct reading *r, uint64_t number, struct slice name, struct slice description)
{
    if (number > 255)
        return; /* no event can be of it */
    struct kind_row row = {.readable = true, .codes_at = r->codes.used, .slot = {-1, -1, -1, -1, -1, -1}};
    struct slice rest = description;
    while (description.size && rest.bytes)
        row.readable = add_field(r, &row, next_part(&rest)) && row.readable;
    const struct kind_1_0 *ours = number < sizeof(kinds_1_0) / sizeof(*kinds_1_0) ? &kinds_1_0[number] : NULL;
    if (row.readable && ours && ours->name && slice_is(name, ours->name) && has_fields_1_0(description, ours->fields))
        row.means = (uint8_t)number;
    r->kinds[number] = row;
}

static void read_header(struct reading *r, struct cursor *c)
{
    get_byte(c);
    for (int i = 0; i < 9; i++)
        get_varint(c);
    get_string(c);
    r->check.sampled = get_string(c).size > 0;
    get_string(c);
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        uint64_t number = get_varint(c);
        struct slice name = get_string(c);
        struct slice description = get_string(c);
        if (!c->failed)
            add_kind(r, number, name, description);
    }
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        get_string(c);
        get_string(c);
    }
}

/* Names, threads, tasks */

/* "tile.<number>" -> number + 1; 0 for any other name. */
static uint64_t tile_number(struct slice name)
{
    uint64_t number = 0;
    if (name.size < 6 || name.size > 5 + 18 || memcmp(name.bytes, "tile.", 5) != 0)
        return 0;
    for (size_t i = 5; i < name.size; i++) {
        if (name.bytes[i] < '0' || name.bytes[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(name.bytes[i] - '0');
    }
    return number + 1;
}

static void read_names(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        uint64_t name = get_varint(c);
        struct slice text = get_string(c);
        if (c->failed)
            return;
        if (!name || map_find(&r->names, name))
            complain(r, 1, "name-again", "name %llu is defined again", (unsigned long long)name);
        put(r, &r->names, name, tile_number(text));
    }
}

static void read_threads(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        uint64_t thread = get_varint(c);
        get_varint(c);
        get_varint(c);
        get_string(c);
        if (!thread)
            complain(r, 1, "thread-zero", "thread 0 is described");
        put(r, &r->threads, thread, 1);
    }
}

static void read_tasks(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        get_varint(c);
        get_varint(c);
        need_name(r, 1, get_varint(c));
        get_varint(c);
        get_varint(c);
    }
}

/* CALLS, MODULES, STACKS */

static void read_calls(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        get_varint(c);
        get_varint(c);
        get_varint(c);
        need_name(r, 1, get_varint(c));
        get_varint(c);
    }
}

/* Numbers are from 1 on, and each is given once. */
static void number_once(struct reading *r, struct map *map, uint64_t number, const char *rule, const char *what)
{
    if (!number || map_find(map, number))
        complain(r, 1, rule, "%s %llu is told again", what, (unsigned long long)number);
    put(r, map, number, 1);
}

static void read_modules(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        uint64_t module = get_varint(c);
        for (int i = 0; i < 3; i++)
            get_varint(c);
        get_string(c);
        get_string(c);
        number_once(r, &r->modules, module, "module-again", "module");
    }
}

/* A module is told before anything that names it. */
static void need_module(struct reading *r, uint64_t module)
{
    if (!map_find(&r->modules, module))
        complain(r, 1, "module-unknown", "module %llu is named before it is told", (unsigned long long)module);
}

static void read_mapped(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        get_varint(c);
        uint64_t module = get_varint(c);
        if (!c->failed)
            need_module(r, module);
    }
}

static void read_stacks(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        number_once(r, &r->stacks, get_varint(c), "stack-again", "stack");
        get_byte(c);
        for (uint64_t frames = get_count(c); frames && !c->failed; frames--) {
            uint64_t module = get_varint(c);
            if (module)
                need_module(r, module);
            get_varint(c);
        }
    }
}

/* LOSS, ACCOUNT, TRAILER */

static uint8_t get_level(struct cursor *c)
{
    uint8_t level = get_byte(c);
    c->failed |= level > LEVEL_MAX;
    return level;
}

/* Sets the range a piece covers; sequence numbers are 64 bits. */
static void cover(struct piece *piece, struct cursor *c)
{
    wide end_seq = (wide)piece->first_seq + piece->count + piece->filtered;
    c->failed |= end_seq > UINT64_MAX;
    piece->end_seq = (uint64_t)end_seq;
}

static void add_piece(struct reading *r, struct piece piece)
{
    struct validation *out = r->check.out;
    struct piece *kept = add(r, &r->check.pieces);
    if (!kept)
        return;
    piece.order = r->check.pieces.used;
    *kept = piece;
    *(piece.reason ? &out->losses : &out->runs) += 1;
    *(piece.reason ? &out->lost : &out->delivered) += piece.count;
    if (piece.reason <= LAST_LOSS_REASON && piece.reason)
        out->lost_by[piece.reason] += piece.count;
    out->filtered += piece.filtered;
}

static void read_loss(struct reading *r, struct cursor *c)
{
    struct piece loss = {0};
    loss.thread = get_varint(c);
    loss.level = get_level(c);
    loss.reason = get_byte(c);
    loss.first_seq = get_varint(c);
    loss.count = get_varint(c);
    loss.filtered = get_varint(c);
    uint64_t from_ticks = get_varint(c), to_ticks = get_varint(c);
    cover(&loss, c);
    if (c->failed)
        return;
    if (!loss.reason || loss.reason > LAST_LOSS_REASON)
        complain(r, 1, "reason", "a loss for reason %u", loss.reason);
    else if (from_ticks > to_ticks)
        complain(r, 2, "loss-time", "a loss of thread %llu ends before it begins", (unsigned long long)loss.thread);
    loss.reason = loss.reason ? loss.reason : UINT8_MAX; /* 0 would make it an EVENTS block */
    add_piece(r, loss);
}

static void read_account(struct reading *r, struct cursor *c)
{
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        struct account_row row = {0};
        row.thread = get_varint(c);
        row.level = get_level(c);
        row.start_seq = get_varint(c);
        row.end_seq = get_varint(c);
        for (int i = 0; i < ACCOUNT_COLUMNS; i++)
            row.columns[i] = get_varint(c);
        struct account_row *kept = c->failed ? NULL : add(r, &r->check.rows);
        if (kept)
            *kept = row;
    }
}

static void read_trailer(struct reading *r, struct cursor *c)
{
    uint64_t reason = get_varint(c);
    get_varint(c);
    get_varint(c);
    get_varint(c);
    r->trailer_streams = get_varint(c);
    r->trailer_events = get_varint(c);
    for (int i = 0; i < ACCOUNT_COLUMNS; i++)
        r->trailer_columns[i] = get_varint(c);
    r->check.out->drainer_cpu_ns = get_varint(c);
    r->trailer_blocks = get_varint(c);
    r->trailer_bytes = get_varint(c);
    if (c->failed)
        return;
    if (!reason || reason > LAST_END_REASON)
        complain(r, 1, "reason", "the capture ended for reason %llu", (unsigned long long)reason);
    r->check.out->end_reason = reason <= LAST_END_REASON ? (uint8_t)reason : 0;
    r->has_trailer = true;
}

/* EVENTS. Stages of complaints: 1 thread, 2 task, 3 regions, 4 depths, 5 names of events, 6 span, 7 entered tasks, 8 stacks. */

static struct open_region *stack_top(struct reading *r)
{
    return r->stack.used ? (struct open_region *)r->stack.items + r->stack.used - 1 : NULL;
}

static void push_region(struct reading *r, struct open_region region)
{
    struct open_region *top = add(r, &r->stack);
    if (top)
        *top = region;
}

/* Copies the stack to where it stays. */
static void keep_stack(struct reading *r, struct stream_state *state)
{
    state->regions_at = r->check.regions.used;
    state->regions = r->stack.used;
    for (size_t i = 0; i < r->stack.used; i++) {
        struct open_region *kept = add(r, &r->check.regions);
        if (kept)
            *kept = ((struct open_region *)r->stack.items)[i];
    }
}

static void read_head_task(struct reading *r, struct cursor *c, struct piece *run)
{
    map_clear(&r->chunk_tasks);
    run->head.task = get_varint(c);
    if (!run->head.task)
        return;
    get_varint(c);
    need_name(r, 2, get_varint(c));
    get_varint(c);
    get_zigzag(c);
    put(r, &r->chunk_tasks, run->head.task, 1);
}

static void read_head_regions(struct reading *r, struct cursor *c, uint64_t base_ticks)
{
    r->stack.used = 0;
    for (uint64_t rows = get_count(c); rows && !c->failed; rows--) {
        struct open_region region = {0};
        region.depth = get_varint(c);
        region.name = get_varint(c);
        region.begin_ticks = base_ticks - (uint64_t)get_zigzag(c);
        need_name(r, 3, region.name);
        if (r->stack.used && stack_top(r)->depth >= region.depth)
            complain(r, 4, "depths", "depths of open regions do not rise");
        push_region(r, region);
    }
}

static void broken(struct piece *run, const char *rule, uint64_t index)
{
    if (!run->broken_rule) {
        run->broken_rule = rule;
        run->broken_seq = run->first_seq + index;
    }
}

static void replay_region(struct reading *r, struct piece *run, uint64_t index, uint8_t means, const uint64_t *values, uint64_t ticks)
{
    struct open_region *top = stack_top(r);
    if (means == REGION_BEGIN) {
        push_region(r, (struct open_region){top ? top->depth + 1 : 0, values[LABEL_NAME], ticks});
    } else if (means == REGION_END) {
        if (!top)
            broken(run, "end-of-nothing", index);
        r->stack.used -= top ? 1 : 0;
    } else if (means == REGION_END_AT) {
        while (r->stack.used && stack_top(r)->depth >= values[LABEL_DEPTH])
            r->stack.used--;
    } else if (means == REGION_END_OPEN) {
        run->tail.open_ends++;
        if (values[LABEL_LEVEL] != run->tail.open_ends)
            broken(run, "open-level", index);
    }
}

static void replay_task(struct reading *r, struct piece *run, uint8_t means, uint64_t task)
{
    if (means == TASK_ENTER && task && !run->filtered && !map_find(&r->chunk_tasks, task))
        complain(r, 7, "task-unknown", "thread %llu level %u at %llu: entered task %llu is not described in the block",
                 (unsigned long long)run->thread, run->level, (unsigned long long)run->first_seq, (unsigned long long)task);
    if (means != TASK_ENTER && !map_find(&r->chunk_tasks, task))
        put(r, &r->chunk_tasks, task, 1);
    if (means == TASK_ENTER || means == TASK_ENTER_FULL)
        run->tail.task = task;
}

static void take_counter(struct reading *r, struct piece *run, uint64_t index, const uint64_t *values)
{
    const uint64_t *tile = map_find(&r->names, values[LABEL_NAME]);
    if (!tile || !*tile)
        return;
    struct tile_event *event = add(r, &r->check.tile_events);
    if (!event)
        return;
    *event = (struct tile_event){.number = *tile - 1, .index = index, .value = (int64_t)values[LABEL_VALUE]};
    run->tiles++;
}

static void need_stack(struct reading *r, const struct piece *run, uint64_t stack)
{
    if (stack && !map_find(&r->stacks, stack))
        complain(r, 8, "stack-unknown", "thread %llu level %u at %llu: stack %llu is named before it is told", (unsigned long long)run->thread,
                 run->level, (unsigned long long)run->first_seq, (unsigned long long)stack);
}

/* One field's value; strings and 8-byte fields are stepped over. */
static uint64_t get_field(struct reading *r, struct cursor *c, char code, uint64_t ticks, uint64_t *last_task)
{
    uint64_t value = 0;
    switch (code) {
    case 'u':
        return get_varint(c);
    case 'n':
        value = get_varint(c);
        need_name(r, 5, value);
        return value;
    case 'i':
        return (uint64_t)get_zigzag(c);
    case 'k':
        return *last_task += (uint64_t)get_zigzag(c);
    case 't':
        return ticks - (uint64_t)get_zigzag(c);
    case 'x':
        take(c, 8);
        return 0;
    default:
        get_string(c);
        return 0;
    }
}

static void read_event(struct reading *r, struct cursor *c, struct piece *run, uint64_t index, const struct kind_row *kind, uint64_t ticks,
                       uint64_t *last_task)
{
    const char *codes = (const char *)r->codes.items + kind->codes_at;
    uint64_t values[LABELS] = {0};
    for (size_t field = 0; field < kind->fields && !c->failed; field++) {
        uint64_t value = get_field(r, c, codes[field], ticks, last_task);
        for (int label = 0; kind->means && label < LABELS; label++) {
            if (kind->slot[label] == (int)field)
                values[label] = value;
        }
    }
    if (c->failed || !kind->means)
        return;
    if (kind->means <= REGION_END_OPEN)
        replay_region(r, run, index, kind->means, values, ticks);
    else if (kind->means == COUNTER)
        take_counter(r, run, index, values);
    else if (kind->means >= SAMPLE && kind->means <= ALLOC_SAMPLE)
        need_stack(r, run, values[LABEL_STACK]);
    else
        replay_task(r, run, kind->means, values[LABEL_TASK]);
}

/* Moves the running time; it must stay within 64 bits. */
static void move_time(struct cursor *c, uint64_t *ticks, bool back)
{
    uint64_t delta = get_varint(c);
    c->failed |= back ? delta > *ticks : delta > UINT64_MAX - *ticks;
    *ticks = back ? *ticks - delta : *ticks + delta;
}

/* Returns the time of the last event. */
static uint64_t read_run(struct reading *r, struct cursor *c, struct piece *run, uint64_t ticks)
{
    uint64_t last_task = 0;
    for (uint64_t index = 0; index < run->count && !c->failed;) {
        uint8_t number = get_byte(c);
        if (!number) {
            move_time(c, &ticks, true);
            continue;
        }
        const struct kind_row *kind = &r->kinds[number];
        c->failed |= !kind->readable;
        move_time(c, &ticks, false);
        if (!c->failed)
            read_event(r, c, run, index++, kind, ticks, &last_task);
    }
    return ticks;
}

static void read_events(struct reading *r, struct cursor *c)
{
    struct piece run = {0};
    run.thread = get_varint(c);
    run.level = get_level(c);
    run.first_seq = get_varint(c);
    uint64_t base_ticks = get_varint(c), span_ticks = get_varint(c);
    run.count = get_varint(c);
    run.filtered = get_varint(c);
    run.delivered_before = get_varint(c);
    run.filtered_before = get_varint(c);
    run.lost_before = get_varint(c);
    run.sampled_out_before = get_varint(c);
    cover(&run, c);
    if (c->failed)
        return;
    if (!map_find(&r->threads, run.thread))
        complain(r, 1, "thread-unknown", "thread %llu level %u at %llu: the thread is not described", (unsigned long long)run.thread, run.level,
                 (unsigned long long)run.first_seq);
    read_head_task(r, c, &run);
    run.head.open_ends = get_varint(c);
    read_head_regions(r, c, base_ticks);
    c->failed |= run.count > left(c) / 2; /* an event has at least two bytes */
    keep_stack(r, &run.head);
    run.tail = run.head;
    run.tiles_at = r->check.tile_events.used;
    uint64_t last_ticks = read_run(r, c, &run, base_ticks);
    keep_stack(r, &run.tail);
    if (c->failed || r->check.no_memory)
        return;
    /* The sum wraps when time went back below the base. With filtered events the last may be one of theirs. */
    if (run.count && !run.filtered && last_ticks != base_ticks + span_ticks)
        complain(r, 6, "span", "thread %llu level %u at %llu: the last event is at %llu, not %llu", (unsigned long long)run.thread, run.level,
                 (unsigned long long)run.first_seq, (unsigned long long)last_ticks, (unsigned long long)(base_ticks + span_ticks));
    add_piece(r, run);
}

/* Blocks */

static void read_payload(struct reading *r, uint8_t type, struct cursor *c)
{
    switch (type) {
    case HEADER:
        return read_header(r, c);
    case CLOCK:
        for (int i = 0; i < 3; i++)
            get_varint(c);
        return;
    case NAMES:
        return read_names(r, c);
    case THREADS:
        return read_threads(r, c);
    case EVENTS:
        return read_events(r, c);
    case LOSS:
        return read_loss(r, c);
    case TASKS:
        return read_tasks(r, c);
    case ACCOUNT:
        return read_account(r, c);
    case TRAILER:
        return read_trailer(r, c);
    case CALLS:
        return read_calls(r, c);
    case MODULES:
        return read_modules(r, c);
    case STACKS:
        return read_stacks(r, c);
    case MAPPED:
        return read_mapped(r, c);
    default:
        c->at = c->end; /* an unknown block is skipped */
    }
}

/* Reads one block at *at. False: the reading stops here, for what is said in damaged and cut. */
static bool read_block(struct reading *r, const uint8_t **at, const uint8_t *end)
{
    size_t available = (size_t)(end - *at);
    const uint8_t *head = *at;
    if (available < BLOCK_HEAD_BYTES) {
        r->cut = true;
        return false;
    }
    uint32_t size = (uint32_t)head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
    r->damaged = memcmp(head + 1, "TTB", 3) != 0 || size > MAX_PAYLOAD_BYTES;
    r->cut = !r->damaged && size > available - BLOCK_HEAD_BYTES;
    if (r->damaged || r->cut)
        return false;
    struct cursor c = {.at = head + BLOCK_HEAD_BYTES, .end = head + BLOCK_HEAD_BYTES + size};
    c.failed = (head[0] == HEADER) != (r->blocks == 0);
    r->complaint.stage = 0;
    if (!c.failed)
        read_payload(r, head[0], &c);
    r->damaged = c.failed;
    if (r->damaged || r->check.no_memory)
        return false;
    if (left(&c) && r->minor == 0)
        complain(r, 100, "extra-bytes", "%zu bytes beyond the fields of block %llu, type %u", left(&c), (unsigned long long)r->blocks, head[0]);
    if (r->complaint.stage)
        validation_wrong(r->check.out, r->complaint.rule, "%s", r->complaint.sentence);
    *at = c.end;
    return true;
}

static void read_capture(struct reading *r, const uint8_t *bytes, size_t len)
{
    struct validation *out = r->check.out;
    if (len < PREAMBLE_BYTES || memcmp(bytes, "TRACETAP", 8) != 0 || bytes[8] != 1 || bytes[9] != 0) {
        validation_wrong(out, "preamble", "the file does not begin with the preamble of a capture of version 1");
        return;
    }
    r->minor = (uint16_t)(bytes[10] | bytes[11] << 8);
    const uint8_t *at = bytes + PREAMBLE_BYTES, *end = bytes + len;
    bool whole = true;
    while (whole && at < end && !r->has_trailer) {
        r->bytes = (uint64_t)(at - bytes);
        whole = read_block(r, &at, end);
        r->blocks += whole;
    }
    out->blocks = r->blocks;
    if (whole && at < end)
        validation_wrong(out, "after-trailer", "%zu bytes after the TRAILER", (size_t)(end - at));
    if (r->damaged)
        validation_wrong(out, "damage", "block %llu at byte %llu does not decode", (unsigned long long)r->blocks, (unsigned long long)r->bytes);
}

/* Adding up */

static int by_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_stream(uint64_t thread_a, uint8_t level_a, uint64_t thread_b, uint8_t level_b)
{
    int order = by_u64(thread_a, thread_b);
    return order ? order : (int)level_a - (int)level_b;
}

static int compare_pieces(const void *left_item, const void *right_item)
{
    const struct piece *a = left_item, *b = right_item;
    int order = by_stream(a->thread, a->level, b->thread, b->level);
    order = order ? order : by_u64(a->first_seq, b->first_seq);
    order = order ? order : by_u64(a->end_seq, b->end_seq);
    order = order ? order : (a->reason != 0) - (b->reason != 0);
    return order ? order : by_u64(a->order, b->order);
}

static int compare_rows(const void *left_item, const void *right_item)
{
    const struct account_row *a = left_item, *b = right_item;
    return by_stream(a->thread, a->level, b->thread, b->level);
}

static void check_row(struct validation *out, const struct account_row *row)
{
    wide parts = 0;
    for (int i = 0; i < ACCOUNT_COLUMNS - 1; i++)
        parts += row->columns[i];
    if (row->end_seq < row->start_seq || row->end_seq - row->start_seq != parts)
        validation_wrong(out, "account-identity", "account of thread %llu level %u: %llu - %llu is not the sum of its parts",
                         (unsigned long long)row->thread, row->level, (unsigned long long)row->end_seq, (unsigned long long)row->start_seq);
    out->rows_delivered += row->columns[0];
    out->rows_filtered += row->columns[1];
    for (int i = 0; i < LOSS_COLUMNS; i++)
        out->rows_lost += row->columns[2 + i];
    out->sampled_out += row->columns[ACCOUNT_COLUMNS - 1];
}

static void check_rows(struct check *c)
{
    const struct account_row *rows = c->rows.items;
    for (size_t i = 0; i < c->rows.used; i++) {
        check_row(c->out, &rows[i]);
        if (i && rows[i].thread && compare_rows(&rows[i - 1], &rows[i]) == 0)
            validation_wrong(c->out, "account-again", "account of thread %llu level %u: a second row", (unsigned long long)rows[i].thread,
                             rows[i].level);
    }
}

/* One stream: its pieces in order, its row if it has one. */
struct stream {
    const struct piece *pieces;
    size_t count;
    const struct account_row *row;
    uint64_t thread;
    uint8_t level;
    bool whole; /* has a row, and the capture a TRAILER: then all pieces must be there */
};

static void stream_wrong(struct check *c, const struct stream *s, const char *rule, const char *what, uint64_t a, uint64_t b)
{
    char sentence[128];
    snprintf(sentence, sizeof(sentence), "%s (%llu, %llu)", what, (unsigned long long)a, (unsigned long long)b);
    validation_wrong(c->out, rule, "thread %llu level %u: %s", (unsigned long long)s->thread, s->level, sentence);
}

static void check_order(struct check *c, const struct stream *s)
{
    for (size_t i = 1; i < s->count; i++) {
        const struct piece *one = &s->pieces[i - 1], *next = &s->pieces[i];
        if (next->first_seq < one->end_seq)
            stream_wrong(c, s, "overlap", "numbers in two blocks", next->first_seq, one->end_seq);
        if (s->whole && next->first_seq > one->end_seq)
            stream_wrong(c, s, "hole", "numbers in no block", one->end_seq, next->first_seq);
    }
}

static void check_bounds(struct check *c, const struct stream *s)
{
    if (!s->row)
        return;
    uint64_t first = s->count ? s->pieces[0].first_seq : s->row->end_seq;
    uint64_t last = s->count ? s->pieces[s->count - 1].end_seq : s->row->end_seq;
    if (first < s->row->start_seq || last > s->row->end_seq)
        stream_wrong(c, s, "outside", "blocks reach beyond the account", first, last);
    if (s->whole && first != s->row->start_seq)
        stream_wrong(c, s, "hole", "numbers in no block", s->row->start_seq, first);
    if (s->whole && last != s->row->end_seq)
        stream_wrong(c, s, "hole", "numbers in no block", last, s->row->end_seq);
}

/* Each head's account: with all pieces there it is their sum; else it must at least lead back to one and the same
 * start. */
static void check_befores(struct check *c, const struct stream *s)
{
    bool known = s->row != NULL;
    signed_wide start = known ? s->row->start_seq : 0;
    uint64_t delivered = 0, filtered = 0, sampled_out = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct piece *p = &s->pieces[i];
        if (p->reason) {
            filtered += p->filtered;
            continue;
        }
        signed_wide begin = (signed_wide)p->first_seq - p->delivered_before - p->filtered_before - p->lost_before;
        start = known ? start : begin;
        known = true;
        if (begin != start)
            stream_wrong(c, s, "before", "the head's account does not lead to the start", p->first_seq, (uint64_t)start);
        if (p->sampled_out_before < sampled_out || (s->row && p->sampled_out_before > s->row->columns[ACCOUNT_COLUMNS - 1]))
            stream_wrong(c, s, "before", "sampled_out_before does not fit", p->first_seq, p->sampled_out_before);
        sampled_out = p->sampled_out_before;
        if (s->whole && (p->delivered_before != delivered || p->filtered_before != filtered))
            stream_wrong(c, s, "before", "the blocks before a head have other counts", delivered, filtered);
        delivered += p->count;
        filtered += p->filtered;
    }
}

#define HEAD_REGIONS_MAX 64 /* docs/format.md: a head lists the outermost ones */

/* After a loss the books may learn late, from the depth of a begin, that regions had ended: then fewer are listed. */
static bool same_regions(struct check *c, const struct stream_state *left, const struct stream_state *listed, bool lossy)
{
    const struct open_region *regions = c->regions.items;
    size_t expected = left->regions < HEAD_REGIONS_MAX ? left->regions : HEAD_REGIONS_MAX;
    if (lossy && listed->regions < expected)
        expected = listed->regions;
    return listed->regions == expected &&
           (!expected || memcmp(regions + left->regions_at, regions + listed->regions_at, expected * sizeof(*regions)) == 0);
}

/* Only where nothing is hidden: filtered or sampled-out events may have changed what the next head says. */
static void check_heads(struct check *c, const struct stream *s)
{
    const struct piece *before = NULL;
    bool lossy = false;
    /* Also without a rule of its own: as it joined, a thread may have entered a task that the others leave out. The head is then who tells. */
    bool nothing_left_out = s->row && !s->row->columns[ACCOUNT_COLUMNS - 1];
    for (size_t i = 0; i < s->count && !c->sampled; i++) {
        const struct piece *p = &s->pieces[i];
        lossy |= p->reason != 0;
        if (before && !p->reason && p->first_seq == before->end_seq) {
            if (!same_regions(c, &before->tail, &p->head, lossy))
                stream_wrong(c, s, "head-regions", "the head's regions are not those left open", p->first_seq, p->head.regions);
            if (!s->level && nothing_left_out && before->tail.task != p->head.task)
                stream_wrong(c, s, "head-task", "the head's task is not the one left", p->first_seq, before->tail.task);
            if (before->tail.open_ends != p->head.open_ends)
                stream_wrong(c, s, "head-open-ends", "the head's open_ends are not those left", p->first_seq, before->tail.open_ends);
        }
        before = !p->reason && !p->filtered ? p : NULL;
        if (before && p->broken_rule)
            stream_wrong(c, s, p->broken_rule, "an event does not fit what is open", p->broken_seq, 0);
    }
}

static void check_counts(struct check *c, const struct stream *s)
{
    uint64_t columns[ACCOUNT_COLUMNS] = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct piece *p = &s->pieces[i];
        columns[p->reason ? 1 + p->reason : 0] += p->count;
        columns[1] += p->filtered;
    }
    for (int i = 0; s->whole && i < ACCOUNT_COLUMNS - 1; i++) {
        if (columns[i] != s->row->columns[i])
            stream_wrong(c, s, "account-count", "the account and the blocks differ", s->row->columns[i], columns[i]);
    }
}

/* Takes the next stream off the sorted pieces and rows. False at the end. */
static bool next_stream(const struct check *c, size_t *piece, size_t *row, struct stream *s)
{
    const struct piece *pieces = c->pieces.items;
    const struct account_row *rows = c->rows.items;
    bool has_piece = *piece < c->pieces.used, has_row = *row < c->rows.used;
    if (!has_piece && !has_row)
        return false;
    int order = !has_row ? -1 : !has_piece ? 1 : 0;
    if (has_piece && has_row)
        order = by_stream(pieces[*piece].thread, pieces[*piece].level, rows[*row].thread, rows[*row].level);
    s->thread = order <= 0 ? pieces[*piece].thread : rows[*row].thread;
    s->level = order <= 0 ? pieces[*piece].level : rows[*row].level;
    s->pieces = has_piece ? pieces + *piece : NULL;
    s->row = order >= 0 ? rows + *row : NULL;
    s->count = 0;
    for (; *piece < c->pieces.used && by_stream(pieces[*piece].thread, pieces[*piece].level, s->thread, s->level) == 0; ++*piece)
        s->count++;
    while (*row < c->rows.used && by_stream(rows[*row].thread, rows[*row].level, s->thread, s->level) == 0)
        ++*row;
    return true;
}

/* Streams without a row: their sums are in rows of thread 0, where a queue that stayed full put them. */
struct rowless {
    wide delivered;
    uint64_t streams;
};

static void check_stream(struct check *c, struct stream *s, bool has_trailer, struct rowless *rowless)
{
    if (!s->thread)
        return; /* thread 0 is not tiled */
    s->whole = s->row && has_trailer;
    check_order(c, s);
    check_bounds(c, s);
    check_befores(c, s);
    check_heads(c, s);
    if (s->whole && c->out->verdict != VALIDATION_WRONG)
        check_counts(c, s);
    rowless->streams += !s->row;
    for (size_t i = 0; i < s->count && !s->row; i++)
        rowless->delivered += s->pieces[i].reason ? 0 : s->pieces[i].count;
}

static void check_rowless(struct check *c, const struct rowless *rowless)
{
    const struct account_row *rows = c->rows.items;
    wide shared = 0;
    size_t shared_rows = 0;
    for (; shared_rows < c->rows.used && !rows[shared_rows].thread; shared_rows++)
        shared += rows[shared_rows].columns[0];
    if (shared != rowless->delivered || (rowless->streams && !shared_rows))
        validation_wrong(c->out, "account-missing", "%llu events of streams without an account, %llu in rows of thread 0",
                         (unsigned long long)rowless->delivered, (unsigned long long)shared);
}

static void check_trailer(struct reading *r)
{
    struct validation *out = r->check.out;
    const struct account_row *rows = r->check.rows.items;
    wide events = 0, sums[ACCOUNT_COLUMNS] = {0};
    for (size_t i = 0; i < r->check.rows.used; i++) {
        events += rows[i].end_seq - rows[i].start_seq;
        for (int k = 0; k < ACCOUNT_COLUMNS; k++)
            sums[k] += rows[i].columns[k];
    }
    if (r->trailer_streams != r->check.rows.used)
        validation_wrong(out, "trailer-streams", "the TRAILER has %llu streams, ACCOUNT %zu rows", (unsigned long long)r->trailer_streams,
                         r->check.rows.used);
    bool same = r->trailer_events == events;
    for (int k = 0; k < ACCOUNT_COLUMNS; k++)
        same = same && r->trailer_columns[k] == sums[k];
    if (!same)
        validation_wrong(out, "trailer-sum", "the TRAILER's sums are not those of the ACCOUNT rows");
    if (r->trailer_blocks != r->blocks - 1)
        validation_wrong(out, "trailer-blocks", "%llu blocks in the TRAILER, %llu before it", (unsigned long long)r->trailer_blocks,
                         (unsigned long long)(r->blocks - 1));
    if (r->trailer_bytes != r->bytes)
        validation_wrong(out, "trailer-bytes", "%llu bytes in the TRAILER, %llu before it", (unsigned long long)r->trailer_bytes,
                         (unsigned long long)r->bytes);
}

static void sort(struct pile *pile, int (*compare)(const void *, const void *))
{
    if (pile->used)
        qsort(pile->items, pile->used, pile->item_bytes, compare);
}

static void add_up(struct reading *r)
{
    struct check *c = &r->check;
    struct stream stream;
    struct rowless rowless = {0};
    size_t piece = 0, row = 0;
    sort(&c->pieces, compare_pieces);
    sort(&c->rows, compare_rows);
    check_rows(c);
    while (next_stream(c, &piece, &row, &stream)) {
        c->out->streams += stream.thread != 0;
        check_stream(c, &stream, r->has_trailer, &rowless);
    }
    if (r->has_trailer) {
        check_rowless(c, &rowless);
        check_trailer(r);
    }
    if (c->out->verdict != VALIDATION_WRONG)
        check_tiles(c);
}

static void release(struct reading *r)
{
    free(r->check.pieces.items);
    free(r->check.rows.items);
    free(r->check.regions.items);
    free(r->check.tile_events.items);
    free(r->codes.items);
    free(r->stack.items);
    free(r->names.slots);
    free(r->threads.slots);
    free(r->modules.slots);
    free(r->stacks.slots);
    free(r->chunk_tasks.slots);
    free(r);
}

static int result(const struct check *c)
{
    static const int results[] = {[VALIDATION_EXACT] = 0, [VALIDATION_CUT] = -ENODATA, [VALIDATION_WRONG] = -EBADMSG};
    return c->no_memory ? -ENOMEM : results[c->out->verdict];
}

int validate_capture(const void *bytes, size_t len, struct validation *out)
{
    memset(out, 0, sizeof(*out));
    struct reading *r = calloc(1, sizeof(*r)); /* about 12 KiB: too much for a test thread's small stack */
    if (!r)
        return -ENOMEM;
    r->check.out = out;
    r->check.pieces.item_bytes = sizeof(struct piece);
    r->check.rows.item_bytes = sizeof(struct account_row);
    r->check.regions.item_bytes = r->stack.item_bytes = sizeof(struct open_region);
    r->check.tile_events.item_bytes = sizeof(struct tile_event);
    r->codes.item_bytes = 1;
    read_capture(r, bytes, len);
    if (out->verdict != VALIDATION_WRONG && !r->has_trailer)
        out->verdict = VALIDATION_CUT;
    if (out->verdict != VALIDATION_WRONG && !r->check.no_memory)
        add_up(r);
    int rc = result(&r->check);
    release(r);
    return rc;
}

void validation_free(struct validation *out)
{
    free(out->tiles);
    out->tiles = NULL;
    out->tile_count = 0;
}

const struct validation_tile *validation_tile(const struct validation *v, uint64_t number)
{
    for (size_t i = 0; i < v->tile_count; i++) {
        if (v->tiles[i].number == number)
            return &v->tiles[i];
    }
    return NULL;
}
