/* variables.c - see variables.h. */
#include "variables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ttap__variables_start(struct ttap__variables *variables, const struct ttap__callstacks *stacks, struct ttap__allowance *allowance)
{
    *variables = (struct ttap__variables){.allowance = allowance, .stacks = stacks};
}

void ttap__variables_mapped(struct ttap__variables *variables, const struct ttap__mapped_row *row)
{
    uint32_t module = ttap__idmap_get(&variables->stacks->modules_by_id, row->module), last = ttap__idmap_get(&variables->by_pid, row->pid);
    if (module == TTAP__IDMAP_NONE || variables->mapped_count >= TTAP__MAPPED_MAX_READ ||
        !ttap__allowance_one_more(variables->allowance, &variables->mapped, &variables->mapped_room, variables->mapped_count,
                                  sizeof *variables->mapped) ||
        !ttap__idmap_put(&variables->by_pid, variables->allowance, row->pid, (uint32_t)variables->mapped_count))
        return; /* locks there go by their addresses */
    variables->mapped[variables->mapped_count++] = (struct ttap__mapped_module){module, last};
}

static enum ttap__variable_found ask(struct ttap__variables *variables, uint32_t at, uint64_t address, struct ttap__variable *out)
{
    const struct ttap__callstack_module *module = &variables->stacks->modules[at];
    struct ttap__symbol_module whose = {at, module->path, module->build_id, module->build_id_bytes};
    return variables->find(variables->find_arg, &whose, module->start, module->offset, address, out);
}

/* The one module that the address lies in; NULL: none, or several. */
static const struct ttap__callstack_module *whose(struct ttap__variables *variables, uint64_t pid, uint64_t address, struct ttap__variable *out)
{
    const struct ttap__callstack_module *found = NULL;
    bool named = false;
    for (uint32_t i = ttap__idmap_get(&variables->by_pid, pid); i != TTAP__IDMAP_NONE; i = variables->mapped[i].next) {
        struct ttap__variable variable = {.inside = 0};
        if (variables->asked++ >= TTAP__VARIABLE_ASKED_MAX)
            return NULL;
        enum ttap__variable_found here = ask(variables, variables->mapped[i].module, address, &variable);
        const struct ttap__callstack_module *module = &variables->stacks->modules[variables->mapped[i].module];
        if (here == TTAP__VARIABLE_ELSEWHERE || found == module)
            continue;
        if (found)
            return NULL;
        found = module;
        named = here == TTAP__VARIABLE_NAMED;
        *out = variable;
    }
    return named ? found : NULL;
}

bool ttap__variables_name(struct ttap__variables *variables, uint64_t pid, uint64_t address, char out[TTAP__VARIABLE_TEXT_BYTES], const char **file)
{
    struct ttap__variable variable;
    const struct ttap__callstack_module *module = variables->find ? whose(variables, pid, address, &variable) : NULL;
    if (!module)
        return false;
    const char *slash = strrchr(module->path, '/');
    *file = slash ? slash + 1 : module->path;
    if (variable.inside)
        snprintf(out, TTAP__VARIABLE_TEXT_BYTES, "%s+0x%" PRIx64, variable.name, variable.inside);
    else
        snprintf(out, TTAP__VARIABLE_TEXT_BYTES, "%s", variable.name);
    return true;
}

void ttap__variables_free(struct ttap__variables *variables)
{
    ttap__allowance_free(variables->allowance, variables->mapped, variables->mapped_room * sizeof *variables->mapped);
    ttap__idmap_free(&variables->by_pid, variables->allowance);
}
