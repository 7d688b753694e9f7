/* test_plugin.c - a plug-in whose names go away with it. Linked with the shared library, which it shares with the plug-in. */
#include <dlfcn.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static const char *plugin;

static void a_plugin_loaded_a_thousand_times_adds_its_names_once(void)
{
    struct recording r;
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    ttap_status_get(&before);
    for (int i = 0; i < 1000; i++) {
        void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(handle);
        void (*work)(void);
        *(void **)&work = dlsym(handle, "plugin_work");
        work();
        dlclose(handle);
        CU_ASSERT_FATAL(i || !dlopen(plugin, RTLD_NOW | RTLD_NOLOAD)); /* it is really gone */
    }
    ttap_status_get(&after);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(after.names - before.names >= 3 && after.names - before.names < 1000); /* the drainer may have some of its own meanwhile */
    CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, "plug-in region") == 1000);
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "plug-in instant") == 1000);
    CU_ASSERT(recording_count(&r, TTAP__COUNTER, "plug-in counter") == 1000);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"a plug-in loaded a thousand times adds its names once", a_plugin_loaded_a_thousand_times_adds_its_names_once},
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    plugin = argv[1];
    return run_statements(statements);
}
