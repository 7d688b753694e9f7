/* lines.h - source lines and inlined functions for the stacks of a conversion.
 *
 *   conversion --place--> lines --question, socket pair--> helper process: debug_info.h
 *                           `---symbols <-----------------'
 *
 * A capture names the files, and they are parsed by a library that was not made for hostile ones. So that is done in a process of its own, with
 * limited memory, which may crash or hang: then that file has no lines, which is said, and the conversion goes on.
 */
#ifndef TTAP_CLI_LINES_H
#define TTAP_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ttap__symbol_module;
struct ttap__symbol;

#define CLI_LINES_DEBUG_DIR "/usr/lib/debug"

struct cli_lines_wish {
    const char *debug_dir; /* NULL: CLI_LINES_DEBUG_DIR */
    bool none;
};

/** The options of commands that convert; @values has a struct cli_lines_wish as member lines. */
#define CLI_LINES_OPTIONS(values)                                                                                                                    \
    {"debug-dir",                                                                                                                                    \
     0,                                                                                                                                              \
     "DIR",                                                                                                                                          \
     CLI_FOLDER,                                                                                                                                     \
     offsetof(struct values, lines.debug_dir),                                                                                                       \
     0,                                                                                                                                              \
     0,                                                                                                                                              \
     "where separate debug files are (default " CLI_LINES_DEBUG_DIR ")"},                                                                            \
    {                                                                                                                                                \
        "no-lines", 0, NULL, CLI_FLAG, offsetof(struct values, lines.none), 0, 0, "functions by name alone: open no file's debug information"        \
    }

/** Whether this tracetap was built with libdw. */
extern const bool cli_lines_built_in;

struct cli_lines;
/** NULL: none are wanted or can be had; then nobody is asked. @wish outlives it. */
struct cli_lines *cli_lines_new(const struct cli_lines_wish *wish);
/** As ttap__symbol_fn; @arg is the struct cli_lines. */
unsigned cli_lines_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out);
void cli_lines_free(struct cli_lines *lines);

#endif
