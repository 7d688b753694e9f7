/* debug_info.h - source lines and inlined functions at an address of a file, read with elfutils' libdw.
 *
 *   path, build id --> the file, if it has that build id --> offset to address   (its program headers)
 *                       `--> itself, or a separate debug file of the same build id --> DWARF, opened once
 *
 * libdw is given files that a capture names, so it runs in a process of its own (lines.c), which may crash or hang.
 */
#ifndef TTAP_CLI_DEBUG_INFO_H
#define TTAP_CLI_DEBUG_INFO_H

#include <stdint.h>

#include "elf_file.h"
#include "names_of.h"

#define CLI_PATH_BYTES 4096u /* as long as the kernel takes */

struct cli_place {
    const char *path;
    const uint8_t *build_id;
    size_t build_id_bytes;
    uint64_t offset; /* in the file */
};

enum cli_dwarf_result {
    CLI_DWARF_FOUND,   /* also when this address has nothing: others may */
    CLI_DWARF_NONE,    /* the file is not here, or it was compiled without -g */
    CLI_DWARF_DIFFERS, /* the file has another build id */
    CLI_DWARF_TOO_MANY /* files are open */
};

struct cli_dwarf_answer {
    enum cli_dwarf_result result;
    unsigned count;                             /* of symbols, innermost first */
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX]; /* of the file that differs */
    uint8_t build_id_bytes;                     /* 0: it has none */
    struct ttap__symbol symbols[TTAP__SYMBOLS_AT_ADDRESS];
};

struct cli_dwarf;
/** @debug_dir: where separate debug files are. NULL: no memory. Ends with the process. */
struct cli_dwarf *cli_dwarf_new(const char *debug_dir);
void cli_dwarf_find(struct cli_dwarf *dwarf, const struct cli_place *place, struct cli_dwarf_answer *answer);

#endif
