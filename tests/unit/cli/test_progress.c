/* test_progress.c - the line on the terminal, at chosen moments. */
#include <string.h>

#include "progress.h"
#include "statements.h"

static void shows(double elapsed_s, double window_s, struct cli_progress_figures figures, const char *expected)
{
    char line[128];

    CU_ASSERT_STRING_EQUAL(cli_progress_line(elapsed_s, window_s, &figures, line, sizeof line), expected);
}

static void before_the_first_byte_it_says_so(void)
{
    shows(-1, 5, (struct cli_progress_figures){0}, "connecting");
}

static void the_bar_fills_with_the_window(void)
{
    struct cli_progress_figures figures = {.bytes = 1536, .counted = true, .events = 1234, .lost = 5};

    shows(0, 5, figures, "[....................] 5.0 s left  1.5 KiB  1,234 events  5 lost");
    shows(2.5, 5, figures, "[##########..........] 2.5 s left  1.5 KiB  1,234 events  5 lost");
    shows(5, 5, figures, "[####################] delivering  1.5 KiB  1,234 events  5 lost");
    shows(99, 5, figures, "[####################] delivering  1.5 KiB  1,234 events  5 lost");
}

static void what_is_not_known_is_not_shown(void)
{
    shows(0, 1, (struct cli_progress_figures){.bytes = 10}, "[....................] 1.0 s left  10 B");
}

static void a_short_line_is_cut(void)
{
    struct cli_progress_figures figures = {.bytes = 1, .counted = true};

    for (size_t size = 1; size < 100; size++) {
        char line[101];
        memset(line, 'X', sizeof line);
        cli_progress_line(1, 2, &figures, line, size);
        CU_ASSERT(strlen(line) < size);
        CU_ASSERT(line[size] == 'X');
    }
}

static CU_TestInfo statements[] = {
    {"before the first byte it says so", before_the_first_byte_it_says_so},
    {"the bar fills with the window", the_bar_fills_with_the_window},
    {"what is not known is not shown", what_is_not_known_is_not_shown},
    {"a short line is cut", a_short_line_is_cut},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
