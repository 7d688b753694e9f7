/* callstacks.c - see callstacks.h. */
#include "callstacks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FRAMES_MAX 512u /* of a stack; engines take 96, and some of these are several functions */
#define MODULES_MAX 65535u
#define PATH_MAX_BYTES 4096u

void ttap__callstacks_start(struct ttap__callstacks *stacks, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance,
                            struct ttap__names *names)
{
    *stacks = (struct ttap__callstacks){.rows = rows, .arg = arg, .allowance = allowance, .names = names};
}

void ttap__callstacks_module(struct ttap__callstacks *stacks, const struct ttap__module_row *row)
{
    size_t len = strnlen(row->path.bytes, row->path.len < PATH_MAX_BYTES ? row->path.len : PATH_MAX_BYTES);
    if (ttap__idmap_get(&stacks->modules_by_id, row->module) != TTAP__IDMAP_NONE)
        return; /* ids are not reused: the first row stays */
    if (stacks->modules_count >= MODULES_MAX ||
        !ttap__allowance_one_more(stacks->allowance, &stacks->modules, &stacks->modules_room, stacks->modules_count, sizeof *stacks->modules)) {
        stacks->untold++;
        return;
    }
    struct ttap__callstack_module module = {.path = ttap__allowance_grow(stacks->allowance, NULL, 0, len + 1), .path_room = len + 1};
    if (!module.path || !ttap__idmap_put(&stacks->modules_by_id, stacks->allowance, row->module, (uint32_t)stacks->modules_count)) {
        ttap__allowance_free(stacks->allowance, module.path, len + 1);
        stacks->untold++;
        return;
    }
    module.start = row->start;
    module.offset = row->offset;
    memcpy(module.path, row->path.bytes, len);
    module.path[len] = 0;
    if (row->build_id.len <= sizeof module.build_id) {
        memcpy(module.build_id, row->build_id.bytes, row->build_id.len);
        module.build_id_bytes = (uint8_t)row->build_id.len;
    }
    stacks->modules[stacks->modules_count++] = module;
}

/* ---- Frames ---- */

static uint64_t pair_key(uint64_t one, uint64_t other)
{
    return ttap__mix64(one + UINT64_C(0x632be59bd9b4e019)) ^ ttap__mix64(other);
}

/* Functions share files, and lines share functions: each text is told once. */
static int32_t text_number(struct ttap__callstacks *stacks, const char *text)
{
    size_t len = strlen(text);
    uint64_t key = UINT64_C(0xcbf29ce484222325); /* FNV-1a: what collides has another name, of texts that may have any */
    for (size_t i = 0; i < len; i++)
        key = (key ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    uint32_t number = ttap__idmap_get(&stacks->texts, key);
    if (number == TTAP__IDMAP_NONE) {
        number = ttap__names_of_text(stacks->names, (struct ttap__text){text, len});
        ttap__idmap_put(&stacks->texts, stacks->allowance, key, number); /* else it is told again */
    }
    return (int32_t)number;
}

static uint32_t frame_tell(struct ttap__callstacks *stacks, const struct ttap__symbol *symbol)
{
    struct ttap__frame_row row = {stacks->frames_count++, (uint32_t)text_number(stacks, symbol->function),
                                  symbol->file[0] ? text_number(stacks, symbol->file) : -1, symbol->line};
    if (stacks->rows->frame && stacks->rc == 0)
        stacks->rc = stacks->rows->frame(stacks->arg, &row);
    return row.number;
}

/* As good a name as there is for an address: "libm.so.6+0x1234". */
static void name_plainly(const struct ttap__callstack_module *module, uint64_t offset, struct ttap__symbol *out)
{
    const char *slash = module ? strrchr(module->path, '/') : NULL, *file = !module ? "" : slash ? slash + 1 : module->path;
    out->start = offset;
    if (file[0])
        snprintf(out->function, sizeof out->function, "%.200s+0x%" PRIx64, file, offset);
    else
        snprintf(out->function, sizeof out->function, "0x%" PRIx64, offset);
}

/* Into at_address; returns how many. */
static unsigned name_address(struct ttap__callstacks *stacks, uint32_t at, uint64_t offset)
{
    const struct ttap__callstack_module *module = at == TTAP__IDMAP_NONE ? NULL : &stacks->modules[at];
    unsigned count = 0;
    stacks->at_address[0] = (struct ttap__symbol){0};
    if (module && stacks->symbol) {
        struct ttap__symbol_module ask = {at, module->path, module->build_id, module->build_id_bytes};
        count = stacks->symbol(stacks->symbol_arg, &ask, offset, stacks->at_address);
    }
    if (count == 0)
        count = 1;
    for (unsigned i = 0; i < count; i++)
        if (!stacks->at_address[i].function[0])
            name_plainly(module, offset, &stacks->at_address[i]);
    return count;
}

/* NONE: no room. */
static uint32_t frame_of(struct ttap__callstacks *stacks, uint64_t module, const struct ttap__symbol *symbol)
{
    uint64_t key = pair_key(pair_key(module, symbol->start), symbol->line);
    uint32_t number = ttap__idmap_get(&stacks->frames_by_function, key);
    if (number != TTAP__IDMAP_NONE)
        return number;
    if (!ttap__idmap_put(&stacks->frames_by_function, stacks->allowance, key, stacks->frames_count))
        return TTAP__IDMAP_NONE;
    return frame_tell(stacks, symbol);
}

static uint64_t address_key(uint64_t module, uint64_t offset, uint32_t depth)
{
    uint64_t key = pair_key(module, offset);
    return depth ? pair_key(key, depth) : key;
}

/* The frames at an address, innermost first. Returns how many; 0: no room. */
static uint32_t frames_of(struct ttap__callstacks *stacks, uint64_t module, uint64_t offset, uint32_t frame[TTAP__SYMBOLS_AT_ADDRESS])
{
    uint32_t count = 0, at = module ? ttap__idmap_get(&stacks->modules_by_id, module) : TTAP__IDMAP_NONE;
    while (count < TTAP__SYMBOLS_AT_ADDRESS &&
           (frame[count] = ttap__idmap_get(&stacks->frames_by_address, address_key(module, offset, count))) != TTAP__IDMAP_NONE)
        count++;
    if (count)
        return count;
    count = name_address(stacks, at, offset);
    for (uint32_t i = 0; i < count; i++) {
        frame[i] = frame_of(stacks, module, &stacks->at_address[i]);
        if (frame[i] == TTAP__IDMAP_NONE)
            return 0;
    }
    /* The innermost last: it is there only with all others. What has no room is looked up again. */
    for (uint32_t i = count;
         i > 0 && ttap__idmap_put(&stacks->frames_by_address, stacks->allowance, address_key(module, offset, i - 1), frame[i - 1]);)
        i--;
    return count;
}

/* ---- The tree ---- */

/* NONE: no room. @parent: NONE for the outermost. */
static uint32_t node_of(struct ttap__callstacks *stacks, uint32_t parent, uint32_t frame)
{
    uint64_t key = pair_key(parent, frame);
    uint32_t number = ttap__idmap_get(&stacks->nodes, key);
    if (number != TTAP__IDMAP_NONE)
        return number;
    if (!ttap__idmap_put(&stacks->nodes, stacks->allowance, key, stacks->nodes_count))
        return TTAP__IDMAP_NONE;
    struct ttap__stack_node_row row = {stacks->nodes_count++, frame, parent == TTAP__IDMAP_NONE ? -1 : (int32_t)parent};
    if (stacks->rows->stack && stacks->rc == 0)
        stacks->rc = stacks->rows->stack(stacks->arg, &row);
    return row.number;
}

static uint32_t cut_frame(struct ttap__callstacks *stacks)
{
    uint64_t key = pair_key(UINT64_MAX, UINT64_MAX); /* of no module */
    uint32_t number = ttap__idmap_get(&stacks->frames_by_function, key);
    if (number != TTAP__IDMAP_NONE || !ttap__idmap_put(&stacks->frames_by_function, stacks->allowance, key, stacks->frames_count))
        return number;
    return frame_tell(stacks, &(struct ttap__symbol){.function = "(deeper than recorded)"});
}

void ttap__callstacks_stack(struct ttap__callstacks *stacks, const struct ttap__stack_row *row)
{
    struct ttap__frame_walk walk;
    uint32_t frame[FRAMES_MAX + TTAP__SYMBOLS_AT_ADDRESS], count = 0, node = TTAP__IDMAP_NONE;
    uint64_t module, offset, addresses = 0;
    if (ttap__idmap_get(&stacks->stacks_by_id, row->stack) != TTAP__IDMAP_NONE)
        return;
    ttap__frames_start(row, &walk);
    for (; count < FRAMES_MAX && ttap__frames_next(&walk, &module, &offset); addresses++) {
        uint32_t more = frames_of(stacks, module, offset, &frame[count]);
        if (!more) {
            stacks->untold++;
            return;
        }
        count += more;
    }
    bool cut = row->cut || (count >= FRAMES_MAX && addresses < row->frames);
    if (cut && count) {
        uint32_t first = cut_frame(stacks);
        node = first == TTAP__IDMAP_NONE ? first : node_of(stacks, node, first);
    }
    for (uint32_t i = count; i > 0; i--) {
        uint32_t next = node_of(stacks, node, frame[i - 1]);
        if (next == TTAP__IDMAP_NONE) {
            stacks->untold++;
            return;
        }
        node = next;
    }
    if (node != TTAP__IDMAP_NONE && !ttap__idmap_put(&stacks->stacks_by_id, stacks->allowance, row->stack, node))
        stacks->untold++;
}

int32_t ttap__callstacks_number(const struct ttap__callstacks *stacks, uint64_t stack)
{
    uint32_t number = stack ? ttap__idmap_get(&stacks->stacks_by_id, stack) : TTAP__IDMAP_NONE;
    return number == TTAP__IDMAP_NONE ? -1 : (int32_t)number;
}

void ttap__callstacks_free(struct ttap__callstacks *stacks)
{
    for (size_t i = 0; i < stacks->modules_count; i++)
        ttap__allowance_free(stacks->allowance, stacks->modules[i].path, stacks->modules[i].path_room);
    ttap__allowance_free(stacks->allowance, stacks->modules, stacks->modules_room * sizeof *stacks->modules);
    ttap__idmap_free(&stacks->modules_by_id, stacks->allowance);
    ttap__idmap_free(&stacks->stacks_by_id, stacks->allowance);
    ttap__idmap_free(&stacks->frames_by_address, stacks->allowance);
    ttap__idmap_free(&stacks->frames_by_function, stacks->allowance);
    ttap__idmap_free(&stacks->nodes, stacks->allowance);
    ttap__idmap_free(&stacks->texts, stacks->allowance);
}
