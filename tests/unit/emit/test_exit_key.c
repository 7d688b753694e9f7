/* test_exit_key.c - a program with so many keys before ours that setting it would call malloc: threads end without it, and nothing else changes.
 *
 *   .preinit_array: keys 0..31 are taken | constructor(101): the library makes key 32
 */
#include <pthread.h>

#include "emit.h"
#include "recording.h"
#include "statements.h"

enum { KEYS_IN_THE_THREAD_ITSELF = 32 }; /* of glibc; a value of a later one is in a block from malloc */

static pthread_key_t last;

static void take_keys(void)
{
    do {
        if (pthread_key_create(&last, NULL))
            return;
    } while (last < KEYS_IN_THE_THREAD_ITSELF - 1);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_constructors)(void) = take_keys;

static void *counts(void *arg)
{
    TTAP_COUNTER("counted", 1);
    CU_ASSERT_PTR_NOT_NULL(ttap__tls->slot);
    CU_ASSERT_PTR_NULL(pthread_getspecific(last + 1));
    return arg;
}

static void a_key_whose_value_would_need_memory_is_not_used(void)
{
    struct recording r;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(last, KEYS_IN_THE_THREAD_ITSELF - 1);
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, counts, NULL) == 0);
    pthread_join(thread, NULL);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT_EQUAL(recording_count(&r, TTAP__COUNTER, "counted"), 1);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"a key whose value would need memory is not used", a_key_whose_value_would_need_memory_is_not_used},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
