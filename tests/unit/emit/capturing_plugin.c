/* capturing_plugin.c - a plug-in that takes a capture while it is loaded. */
#include "tracetap/tracetap.h"

int plugin_captured(void);

static int captured = -1;

static int to_nowhere(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

__attribute__((constructor)) static void capture_while_loading(void)
{
    struct ttap_capture *capture;
    captured = ttap_capture_start(NULL, to_nowhere, NULL, &capture);
    if (captured == 0)
        captured = ttap_capture_stop(capture);
}

/** 0, or what failed. */
__attribute__((visibility("default"))) int plugin_captured(void)
{
    return captured;
}
