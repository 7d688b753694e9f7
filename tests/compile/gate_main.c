/* gate_main.c [PRELOADED] - gate_seen() linked into a program, which executes itself again with the hooks if it is told to. */
#include "gate_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2 || getenv("LD_PRELOAD"))
        return gate_seen(argc > 1);
    setenv("LD_PRELOAD", argv[1], 1);
    execv("/proc/self/exe", argv);
    perror(argv[0]);
    return 1;
}
