/* callstacks.h - modules and stacks of a capture into frames and a tree of stacks, each told once.
 *
 *   stack 7: leaf, b, a, main      -->  frames: main a b leaf c          stacks:  0 main
 *   stack 8: c, a, main                 (a function, or an address)                1 '- a
 *                                                                                  2    |- b ... 3 leaf  = stack 7
 *                                                                                  4    '- c             = stack 8
 */
#ifndef TTAP_MODEL_CALLSTACKS_H
#define TTAP_MODEL_CALLSTACKS_H

#include "idmap.h"
#include "names.h"
#include "names_of.h"
#include "rows.h"

struct ttap__callstacks {
    const struct ttap__rows *rows;
    void *arg;
    struct ttap__allowance *allowance;
    struct ttap__names *names;
    ttap__symbol_fn symbol; /* NULL: nobody knows names */
    void *symbol_arg;
    struct ttap__callstack_module {
        char *path;
        size_t path_room;
        uint64_t start, offset; /* its code is mapped there, from there in the file on */
        uint8_t build_id[32];
        uint8_t build_id_bytes;
    } * modules;
    size_t modules_count, modules_room;
    struct ttap__idmap modules_by_id, stacks_by_id, frames_by_address, frames_by_function, nodes, texts; /* texts: strings by their hash */
    struct ttap__symbol at_address[TTAP__SYMBOLS_AT_ADDRESS];                                            /* the answer last given */
    uint32_t frames_count, nodes_count;
    uint64_t untold;
    int rc; /* what a call returned */
};

void ttap__callstacks_start(struct ttap__callstacks *stacks, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance,
                            struct ttap__names *names);
void ttap__callstacks_module(struct ttap__callstacks *stacks, const struct ttap__module_row *row);
void ttap__callstacks_stack(struct ttap__callstacks *stacks, const struct ttap__stack_row *row);
/* The number of its innermost frame in the tree; -1: not known. */
int32_t ttap__callstacks_number(const struct ttap__callstacks *stacks, uint64_t stack);
void ttap__callstacks_free(struct ttap__callstacks *stacks);

#endif
