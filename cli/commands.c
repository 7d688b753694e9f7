/* commands.c - the list of commands. */
#include <string.h>

#include "cli.h"

const struct cli_command *const cli_commands[] = {&cli_run, &cli_capture, &cli_stat, &cli_convert, &cli_view, &cli_doctor, &cli_help, NULL};

const struct cli_command *cli_command_find(const char *name)
{
    for (const struct cli_command *const *command = cli_commands; *command; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}
