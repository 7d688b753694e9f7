/* test_atexit.c - a capture that begins in a constructor and ends in the last exit handler; the verdict is the exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "recording.h"

static struct recording r;

__attribute__((constructor(102))) static void before_everything(void)
{
    TTAP_INSTANT("constructor, nobody listens");
    if (recording_start(&r, NULL))
        _exit(2);
    TTAP_INSTANT("constructor");
}

__attribute__((destructor(102))) static void after_everything(void)
{
    TTAP_INSTANT("destructor");
    bool exact = recording_stop(&r);
    static const char *const expected[] = {"constructor", "main", "exit handler", "destructor"};
    for (int i = 0; i < 4; i++) {
        size_t count = recording_count(&r, TTAP__INSTANT, expected[i]);
        printf("%s: %zu\n", expected[i], count);
        exact &= count == 1;
    }
    exact &= recording_count(&r, 0, "constructor, nobody listens") == 0;
    recording_free(&r);
    fflush(stdout);
    _exit(exact ? 0 : 1);
}

static void exit_handler(void)
{
    TTAP_INSTANT("exit handler");
}

int main(void)
{
    atexit(exit_handler);
    TTAP_INSTANT("main");
    return 3; /* replaced by the destructor's verdict */
}
