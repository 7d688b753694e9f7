/* cli.h - what every subcommand is: a name, a table of options, a function. */
#ifndef TTAP_CLI_H
#define TTAP_CLI_H

#include "options.h"

/** Exit codes, documented in docs/cli.md. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INCOMPLETE = 3, CLI_UNFIT = 4, CLI_INTERRUPTED = 130 /* 128 + SIGINT, as shells say it */ };

struct cli_command {
    const char *name;
    const char *arguments; /* in the usage line, after the name */
    const char *summary;   /* one line in the list of commands */
    const char *details;   /* paragraphs of its help, each line ending in a newline */
    const struct cli_option *options;
    unsigned operands_min, operands_max; /* how many arguments that are no options; at most CLI_OPERANDS_MAX */
    int (*run)(int argc, char **argv);   /* after the command's name; returns the exit code */
};

/** All of them, NULL-terminated, in the order in which help lists them. */
extern const struct cli_command *const cli_commands[];
/** NULL: no command of that name. */
const struct cli_command *cli_command_find(const char *name);

extern const struct cli_command cli_run, cli_capture, cli_stat, cli_convert, cli_view, cli_doctor, cli_help;

/** The command's usage line and what there is to say about it, to standard output. */
void cli_help_print(const struct cli_command *command);
/** The usage line alone, to standard error: what a usage error ends with. */
void cli_usage_print(const struct cli_command *command);

#endif
