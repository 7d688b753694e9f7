/* progress.h - one line on the terminal while a capture runs; nothing at all when standard error is not a terminal. */
#ifndef TTAP_CLI_PROGRESS_H
#define TTAP_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_progress {
    bool shown; /* standard error is a terminal */
    double window_s;
    uint64_t started_ns; /* CLOCK_MONOTONIC of the first byte; 0: not yet */
};

struct cli_progress_figures {
    uint64_t bytes;
    bool counted; /* the next two are known */
    uint64_t events, lost;
};

void cli_progress_begin(struct cli_progress *progress, double window_s);
/** The reply has begun: the window is open. */
void cli_progress_started(struct cli_progress *progress);
void cli_progress_draw(const struct cli_progress *progress, const struct cli_progress_figures *figures);
/** Wipe the line. */
void cli_progress_end(const struct cli_progress *progress);

/** The line's text for @elapsed_s of @window_s; less than 0: still connecting. Returns @out. */
char *cli_progress_line(double elapsed_s, double window_s, const struct cli_progress_figures *figures, char *out, size_t size);

#endif
