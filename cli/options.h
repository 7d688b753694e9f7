/* options.h - one table of options for each command: it is parsed from, and its help is written from it. */
#ifndef TTAP_CLI_OPTIONS_H
#define TTAP_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct cli_command;

enum { CLI_OPERANDS_MAX = 1 };

enum cli_option_kind {
    CLI_FLAG,    /* bool */
    CLI_TEXT,    /* const char *, not empty */
    CLI_FOLDER,  /* const char *, a folder that exists */
    CLI_SECONDS, /* struct cli_seconds */
    CLI_COUNT,   /* uint64_t, from min to max */
    CLI_BYTES    /* uint64_t, from min to max; K, M or G may follow */
};

/** As typed, to be passed on without rounding, and as a number. */
struct cli_seconds {
    const char *text;
    double value;
};

struct cli_option {
    const char *name;  /* without the dashes */
    char letter;       /* 'o' for -o; 0: none */
    const char *value; /* what help calls its value; NULL for flags */
    enum cli_option_kind kind;
    size_t offset; /* where the value goes in the command's own struct */
    uint64_t min, max;
    const char *help; /* one line; more after newlines */
};
#define CLI_OPTIONS_END                                                                                                                              \
    {                                                                                                                                                \
        NULL, 0, NULL, CLI_FLAG, 0, 0, 0, NULL                                                                                                       \
    }

/** cli_options_parse() - fill @values, which holds the defaults, from the command line.
 *  @operands: CLI_OPERANDS_MAX of them; those not given are NULL. "--" ends the options; "-" is an operand.
 *  Returns CLI_OK, or CLI_USAGE after having said on standard error which argument is wrong and what is allowed. */
int cli_options_parse(const struct cli_command *command, int argc, char **argv, void *values, const char **operands);

/** Say what is wrong, in words, then the usage line. Returns CLI_USAGE. */
int cli_usage_error(const struct cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
