/* variables.h - what static locks are called: an address, the modules that its process has mapped, the symbols of their files.
 *
 *   lock 0x55d2c0a41040 of process 71 --> modules of 71 --> /srv/bin/svc + its variables --> queue_lock
 *
 * Heap and stacks lie in no module. A process that executed another program may have had both at an address: then it has no name.
 */
#ifndef TTAP_MODEL_VARIABLES_H
#define TTAP_MODEL_VARIABLES_H

#include "callstacks.h"

/* As many as the engine tells of. What is asked is bounded over a whole capture, whatever that says: modules of a process times its locks. */
enum { TTAP__MAPPED_MAX_READ = 16384, TTAP__VARIABLE_ASKED_MAX = 1 << 20, TTAP__VARIABLE_TEXT_BYTES = 288 };

struct ttap__variables {
    struct ttap__allowance *allowance;
    const struct ttap__callstacks *stacks; /* its modules */
    ttap__variable_fn find;                /* NULL: nobody knows names */
    void *find_arg;
    struct ttap__mapped_module {
        uint32_t module; /* index into the modules */
        uint32_t next;   /* of the same process; NONE ends */
    } * mapped;
    size_t mapped_count, mapped_room;
    struct ttap__idmap by_pid; /* the last one of each */
    uint32_t asked;
};

void ttap__variables_start(struct ttap__variables *variables, const struct ttap__callstacks *stacks, struct ttap__allowance *allowance);
void ttap__variables_mapped(struct ttap__variables *variables, const struct ttap__mapped_row *row);
/* "queue_lock", "jobs+0x28". @file: the module's, without folders. False: none that is known. */
bool ttap__variables_name(struct ttap__variables *variables, uint64_t pid, uint64_t address, char out[TTAP__VARIABLE_TEXT_BYTES], const char **file);
void ttap__variables_free(struct ttap__variables *variables);

#endif
