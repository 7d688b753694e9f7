/* help.c - `tracetap help [COMMAND]`: everything it says comes from the tables of the commands. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_option no_options[] = {CLI_OPTIONS_END};

void cli_usage_print(const struct cli_command *command)
{
    fprintf(stderr, "usage: tracetap %s %s%s\n", command->name, command->arguments,
            command->options->name ? " [options]   (tracetap help says more)" : "");
}

static void print_option(const struct cli_option *option)
{
    char left[64], letter[8] = "    ";
    const char *line = option->help;

    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "", option->value ? option->value : "");
    while (line) {
        const char *newline = strchr(line, '\n');
        size_t len = newline ? (size_t)(newline - line) : strlen(line);
        printf("  %-24s %.*s\n", line == option->help ? left : "", (int)len, line);
        line = newline ? newline + 1 : NULL;
    }
}

void cli_help_print(const struct cli_command *command)
{
    printf("usage: tracetap %s %s%s\n\n%s", command->name, command->arguments, command->options->name ? " [options]" : "", command->details);
    if (command->options->name)
        printf("\nOptions:\n");
    for (const struct cli_option *option = command->options; option->name; option++)
        print_option(option);
}

static void print_overview(void)
{
    printf("usage: tracetap COMMAND ...\n\n"
           "Record what the threads of a running service do, and look at it.\n\n");
    for (const struct cli_command *const *command = cli_commands; *command; command++)
        printf("  %-10s %s\n", (*command)->name, (*command)->summary);
    printf("\n"
           "  tracetap capture :6060 --seconds 5 -o slow.ttap\n"
           "  tracetap stat slow.ttap\n"
           "  tracetap view slow.ttap\n\n"
           "`tracetap help COMMAND` tells more; `tracetap --version` which this is.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted with what there was kept.\n");
}

static int run(int argc, char **argv)
{
    const char *name;
    int result = cli_options_parse(&cli_help, argc, argv, NULL, &name);

    if (result != CLI_OK)
        return result;
    if (!name) {
        print_overview();
        return CLI_OK;
    }
    const struct cli_command *command = cli_command_find(name);
    if (!command)
        return cli_usage_error(&cli_help, "%s: no such command; tracetap help lists them", name);
    cli_help_print(command);
    return CLI_OK;
}

const struct cli_command cli_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "what there is, or all about one command",
    .details = "Lists the commands, or tells all about one.\n",
    .options = no_options,
    .operands_max = 1,
    .run = run,
};
