/* output.h - a file that appears under its name only when it is whole: bytes go to NAME.part, which is then renamed. */
#ifndef TTAP_CLI_OUTPUT_H
#define TTAP_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_output {
    char *name;      /* NULL: standard output */
    char *part_name; /* NULL: written in place (standard output, a device, a pipe) */
    int fd;
    uint64_t bytes;
};
#define CLI_OUTPUT_NONE                                                                                                                              \
    {                                                                                                                                                \
        NULL, NULL, -1, 0                                                                                                                            \
    }

/** Open for writing. @name "-": standard output. A file of that name is replaced at the end. 0, or a negative errno. */
int cli_output_open(struct cli_output *output, const char *name);
/** The same for a name that nobody chose: never replaces a file, but numbers the name ("svc-2.ttap"). */
int cli_output_open_new(struct cli_output *output, const char *name);
/** 0, or a negative errno. */
int cli_output_write(struct cli_output *output, const void *bytes, size_t len);
/** Close, and give the file its name. 0, or a negative errno: the bytes then are still in the .part file. */
int cli_output_commit(struct cli_output *output);
/** Close and remove what was written. */
void cli_output_discard(struct cli_output *output);
/** All of it, to any descriptor. 0, or a negative errno. */
int cli_write_all(int fd, const void *bytes, size_t len);
/** What to call it in messages. */
const char *cli_output_name(const struct cli_output *output);
/** Free the names; the file must be committed or discarded, or never opened. */
void cli_output_free(struct cli_output *output);

#endif
