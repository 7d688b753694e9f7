/* lines_absent.c - lines.h where there is no libdw. */
#include "lines.h"

const bool cli_lines_built_in = false;

struct cli_lines *cli_lines_new(const struct cli_lines_wish *wish)
{
    (void)wish;
    return NULL;
}

unsigned cli_lines_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out)
{
    (void)arg, (void)module, (void)offset, (void)out;
    return 0;
}

void cli_lines_free(struct cli_lines *lines)
{
    (void)lines;
}
