/* checkup.h - what stands between a process and being recorded, as /proc tells it. */
#ifndef TTAP_CLI_CHECKUP_H
#define TTAP_CLI_CHECKUP_H

#include <stdbool.h>
#include <stddef.h>

enum cli_check_state {
    CLI_CHECK_OK,
    CLI_CHECK_MISSING,   /* `enable` changes it */
    CLI_CHECK_UNKNOWN,   /* it could not be seen from here */
    CLI_CHECK_IMPOSSIBLE /* nothing changes it for this program as it is */
};

enum { CLI_CHECK_TEXT = 512, CLI_CHECK_LINES = 3, CLI_CHECKS_MAX = 24 };

struct cli_check {
    char name[48];
    enum cli_check_state state;
    char what[CLI_CHECK_TEXT];
    char enable[CLI_CHECK_LINES][CLI_CHECK_TEXT]; /* each line for itself does; "" behind the last */
};

struct cli_checkup {
    char subject[CLI_CHECK_TEXT];
    int tier; /* of the scheduler's source: what it has, or would have; -1: none */
    unsigned count;
    struct cli_check checks[CLI_CHECKS_MAX];
};

extern const char *const cli_check_states[]; /* "ok", ... */

/** Append a check, with no lines yet. */
struct cli_check *cli_checkup_add(struct cli_checkup *checkup, const char *name, enum cli_check_state state, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** What a process may ask the kernel for; @rights adds checks and the tier that they allow. Of this process, or of one that runs. */
void cli_checkup_rights(struct cli_checkup *checkup, int pid);
/** A process that runs: its program, whether tracetap is in it, its rights. False: there is no such process; @checkup holds nothing. */
bool cli_checkup_process(struct cli_checkup *checkup, int pid);

#endif
