/* gate_main.c - gate_seen() linked into a program.
 *
 *   gate_main              records itself
 *   gate_main --hooked     the same, begun with the hooks: LD_PRELOAD is the caller's work
 *   gate_main --recorded   is recorded by others: one region with a sleep in it */
#include "gate_seen.h"

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
    return gate_seen(argc > 1 && strcmp(argv[1], "--hooked") == 0);
}
