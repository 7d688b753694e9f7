/* progress.c - a bar, time left, bytes, events, losses. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

enum { BAR_CELLS = 20, LINE_SIZE = 128 };

static const char wipe_line[] = "\r\033[K";

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cli_progress_begin(struct cli_progress *progress, double window_s)
{
    *progress = (struct cli_progress){.shown = isatty(STDERR_FILENO), .window_s = window_s};
}

void cli_progress_started(struct cli_progress *progress)
{
    if (!progress->started_ns)
        progress->started_ns = now_ns();
}

static void write_bar(double share, char out[BAR_CELLS + 1])
{
    int full = (int)(share * BAR_CELLS);

    for (int i = 0; i < BAR_CELLS; i++)
        out[i] = i < full ? '#' : '.';
    out[BAR_CELLS] = 0;
}

char *cli_progress_line(double elapsed_s, double window_s, const struct cli_progress_figures *figures, char *out, size_t size)
{
    char bar[BAR_CELLS + 1], bytes[CLI_FIGURE_SIZE], events[CLI_FIGURE_SIZE], lost[CLI_FIGURE_SIZE], left[CLI_FIGURE_SIZE];
    bool over = elapsed_s >= window_s;

    if (elapsed_s < 0) {
        snprintf(out, size, "connecting");
        return out;
    }
    write_bar(over ? 1 : elapsed_s / window_s, bar);
    if (over)
        snprintf(left, sizeof left, "delivering");
    else
        snprintf(left, sizeof left, "%.1f s left", window_s - elapsed_s);
    int used = snprintf(out, size, "[%s] %s  %s", bar, left, cli_text_bytes(figures->bytes, bytes));
    if (figures->counted && used > 0 && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, "  %s events  %s lost", cli_text_count(figures->events, events),
                 cli_text_count(figures->lost, lost));
    return out;
}

/* One cell is left free: a full line makes some terminals wrap, and the wipe then misses what wrapped. */
static int columns(void)
{
    struct winsize window;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : LINE_SIZE;
}

void cli_progress_draw(const struct cli_progress *progress, const struct cli_progress_figures *figures)
{
    char line[LINE_SIZE];
    double elapsed_s = progress->started_ns ? (double)(now_ns() - progress->started_ns) / 1e9 : -1;

    if (progress->shown)
        fprintf(stderr, "%s%.*s", wipe_line, columns(), cli_progress_line(elapsed_s, progress->window_s, figures, line, sizeof line));
}

void cli_progress_end(const struct cli_progress *progress)
{
    if (progress->shown)
        fputs(wipe_line, stderr);
}
