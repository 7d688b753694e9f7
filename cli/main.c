/* main.c - hands over to the command. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#include "cli.h"
#include "lines.h"
#include "text.h"

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* What was printed counts only once it has arrived. */
static int with_output_flushed(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    cli_error("cannot write to standard output");
    return CLI_FAILED;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    if (argc > 0 && is_help(argv[0])) {
        cli_help_print(command);
        return CLI_OK;
    }
    return command->run(argc, argv);
}

/* Otherwise the first file or socket that is opened gets the number of a stream that the caller closed, and what is printed goes there. Opened
 * the wrong way round, reading and writing fail as before; and a program under run, which is exec()ed, finds it closed. */
static void occupy_closed_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
    occupy_closed_streams();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shall be an error that we report */
    if (argc < 2) {
        cli_help.run(0, argv);
        return with_output_flushed(CLI_USAGE);
    }
    if (is_help(argv[1]))
        return with_output_flushed(cli_help.run(0, argv));
    if (strcmp(argv[1], "--version") == 0) {
        printf("tracetap %s\nsource lines: %s\n", TTAP_VERSION_STRING, cli_lines_built_in ? "yes" : "no, built without libdw");
        return with_output_flushed(CLI_OK);
    }
    const struct cli_command *command = cli_command_find(argv[1]);
    if (!command) {
        cli_error("%s: no such command; tracetap help lists them", argv[1]);
        return CLI_USAGE;
    }
    return with_output_flushed(run_command(command, argc - 2, argv + 2));
}
