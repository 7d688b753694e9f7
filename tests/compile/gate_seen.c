/* gate_seen.c - does the code around this file see the gate that the library opens?
 *
 * The gate is a word of libtracetap that programs read inline. A program linked without PIC owns the only copy of it, and
 * the library has to follow; where that goes wrong, the program reads 0 for ever and nothing else tells. So the same check
 * is linked into a fixed-address program, a PIE and a plug-in, and runs a real capture. With hooks beside it the same is asked
 * of them: they look at a copy of their own. */
#define _GNU_SOURCE
#include "gate_seen.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tracetap/tracetap.h"

/* What of a capture the check looks at: its beginning, and whether the region below was in it. */
struct received {
    unsigned char bytes[1 << 16];
    size_t len_bytes;
};

static int keep(void *arg, const void *bytes, size_t len_bytes)
{
    struct received *received = arg;
    size_t room = sizeof received->bytes - received->len_bytes;

    if (len_bytes > room)
        len_bytes = room;
    memcpy(received->bytes + received->len_bytes, bytes, len_bytes);
    received->len_bytes += len_bytes;
    return 0;
}

static int complain(const char *what)
{
    fprintf(stderr, "%s\n", what);
    return 1;
}

/* One region with a sleep in it. */
static int record(struct received *received)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    int seen;

    opts.duration_ns = 0;
    if (ttap_capture_start(&opts, keep, received, &capture) != 0)
        return complain("the capture did not start");
    seen = TTAP_ENABLED(TTAP_GROUP_REGION);
    TTAP_REGION_BEGIN("seen through the gate");
    usleep(1);
    TTAP_REGION_END("seen through the gate");
    if (ttap_capture_stop(capture) != 0)
        return complain("the capture did not end well");
    return seen ? 0 : complain("the gate read 0 while a capture ran");
}

static int holds(const struct received *received, const char *name)
{
    return memmem(received->bytes, received->len_bytes, name, strlen(name)) != NULL;
}

int gate_seen(int with_hooks)
{
    static struct received received;

    if (TTAP_ENABLED(TTAP_GROUPS_ALL))
        return complain("the gate is open before any capture");
    if (record(&received) != 0)
        return 1;
    if (TTAP_ENABLED(TTAP_GROUPS_ALL))
        return complain("the gate stayed open after the capture");
    if (received.len_bytes < 8 || memcmp(received.bytes, "TRACETAP", 8) != 0)
        return complain("no capture was delivered");
    if (!holds(&received, "seen through the gate"))
        return complain("the region is not in the capture");
    if (holds(&received, "usleep") != with_hooks)
        return complain(with_hooks ? "the sleep is not in the capture" : "who told of the sleep?");
    return 0;
}
