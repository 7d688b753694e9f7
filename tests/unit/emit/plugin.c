/* plugin.c - an annotated plug-in; the test loads and unloads it over and over. */
#include "tracetap/tracetap.h"

void plugin_work(void);

__attribute__((visibility("default"))) void plugin_work(void)
{
    TTAP_REGION("plug-in region");
    TTAP_INSTANT("plug-in instant");
    TTAP_COUNTER("plug-in counter", 1);
}
