/* input.h - a file given on the command line, and what it is: its first bytes tell, not its name. */
#ifndef TTAP_CLI_INPUT_H
#define TTAP_CLI_INPUT_H

#include <stddef.h>
#include <sys/types.h>

enum cli_input_kind {
    CLI_INPUT_NATIVE, /* a capture in the native format */
    CLI_INPUT_JSON,   /* a JSON document; whether it is one of ours shows when it is read */
    CLI_INPUT_GZIP,   /* something compressed with gzip */
    CLI_INPUT_EMPTY,  /* no bytes at all */
    CLI_INPUT_FOREIGN /* anything else */
};

enum { CLI_INPUT_HEAD_BYTES = 64 };

struct cli_input {
    const char *name; /* as given; "standard input" for "-" */
    int fd;
    unsigned char head[CLI_INPUT_HEAD_BYTES]; /* the first bytes, which cli_input_read() gives once more */
    size_t head_bytes, head_given;
};

/** @name "-": standard input. Says on standard error what failed, and returns a negative errno then. */
int cli_input_open(struct cli_input *input, const char *name);
enum cli_input_kind cli_input_kind(const struct cli_input *input);
/** The next bytes; 0 at the end; a negative errno, already reported. */
ssize_t cli_input_read(struct cli_input *input, void *bytes, size_t max);
void cli_input_close(struct cli_input *input);

/** Say on standard error that this is no native capture, what it is instead and what can be done. Returns CLI_FAILED.
 */
int cli_input_refuse(const struct cli_input *input, const char *wanted);

#endif
