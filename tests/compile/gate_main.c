/* gate_main.c - gate_seen() linked into a program.
 *
 *   gate_main              records itself
 *   gate_main PRELOADED    the same, executed again with the hooks
 *   gate_main --recorded   is recorded by others: one region with a sleep in it */
#define _GNU_SOURCE
#include "gate_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracetap/tracetap.h"

static int sleep_in_a_region(void)
{
    TTAP_REGION("seen through the gate");
    usleep(1);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--recorded") == 0)
        return sleep_in_a_region();
    if (argc < 2 || getenv("LD_PRELOAD"))
        return gate_seen(argc > 1);
    setenv("LD_PRELOAD", argv[1], 1);
    execv("/proc/self/exe", argv);
    perror(argv[0]);
    return 1;
}
