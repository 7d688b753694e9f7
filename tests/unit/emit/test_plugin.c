/* test_plugin.c - a plug-in whose names go away with it. Linked with the shared library, which it shares with the plug-in. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static const char *plugin, *capturing_plugin;

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

static int to_nowhere(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

static void *capture_until_told(void *over)
{
    struct ttap_capture *capture;
    while (!__atomic_load_n((bool *)over, __ATOMIC_RELAXED))
        if (ttap_capture_start(NULL, to_nowhere, NULL, &capture) == 0)
            ttap_capture_stop(capture);
    return NULL;
}

/* A constructor runs under the loader's lock, which whoever looks for a symbol needs as well: the one and the other starting a capture waited for
 * each other, because a lock of ours was held around the search for a collector. */
static void a_constructor_may_capture_while_another_thread_does(void)
{
    pthread_t other;
    bool over = false;
    CU_ASSERT_FATAL(pthread_create(&other, NULL, capture_until_told, &over) == 0);
    for (int i = 0; i < 100; i++) {
        void *handle = dlopen(capturing_plugin, RTLD_NOW | RTLD_LOCAL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(handle);
        int (*captured)(void);
        *(void **)&captured = dlsym(handle, "plugin_captured");
        CU_ASSERT(captured() == 0);
        dlclose(handle);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
}

static CU_TestInfo statements[] = {
    {"a plug-in loaded a thousand times adds its names once", a_plugin_loaded_a_thousand_times_adds_its_names_once},
    {"a constructor may capture while another thread does", a_constructor_may_capture_while_another_thread_does},
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    plugin = argv[1];
    capturing_plugin = argv[2];
    return run_statements(statements);
}
