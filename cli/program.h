/* program.h - can this program be recorded by preloading a library into it? */
#ifndef TTAP_CLI_PROGRAM_H
#define TTAP_CLI_PROGRAM_H

#include <stddef.h>

/** Exit codes of a command that starts another, as env(1), nice(1) and shells have them. */
enum { CLI_RUN_FAILED = 125, CLI_CANNOT_EXECUTE = 126, CLI_NO_SUCH_PROGRAM = 127 };

/** cli_program_check() - look @name up as execvp(3) would, through "#!" lines too, and see whether the dynamic loader will take our library.
 *  @error: filled with a sentence when it will not.
 *  Returns 0, or the exit code for the failure. */
int cli_program_check(const char *name, char *error, size_t error_size);

/** cli_program_check_loader() - the same of an open program file, but for what it may gain when it is started. */
int cli_program_check_loader(const char *name, int fd, char *error, size_t error_size);

/** Said of such a program, by both who find it before and after its start. */
#define CLI_GAINS_RIGHTS "setuid, setgid or file capabilities), so the loader ignores preloaded libraries; start it as the user it becomes"

#endif
