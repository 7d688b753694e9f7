/* test_lease.c - the drainer stands still for four seconds, in a callback that sleeps. Emitters close the gate by themselves. */
#include <string.h>

#include "subs.h"

static _Atomic int asleep;

static void sleep_once(void *arg)
{
    (void)arg;
    if (asleep)
        return;
    asleep = 1;
    nap_ms(4000);
    asleep = 2;
}

static void emitters_close_the_gate_and_every_window_ends_for_the_lease(void)
{
    struct emitters e;
    struct recording r;
    struct ttap_status status = {.size = sizeof(status)};
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub *sub = NULL;
    unsigned char byte[1];
    opts.ready = sleep_once;
    CU_ASSERT_FATAL(ttap__sub_open(&opts, &sub) == 0);
    while (ttap__sub_read(sub, byte, 0) || ttap__sub_read(sub, byte, 1)) /* take all there is, so that ready() is called next */
        ;
    emitters_start(&e, 3, 100);
    while (!asleep)
        nap_ms(5);
    uint64_t begun_ns = now_ns();
    while (asleep == 1 && (TTAP_ENABLED(TTAP_GROUPS_ALL)))
        nap_ms(5);
    CU_ASSERT(asleep == 1); /* it was not the drainer that closed it */
    CU_ASSERT(now_ns() - begun_ns > 2000000000u);
    /* A newcomer that waits for the drainer meanwhile must not hide the gap in the old window. */
    struct recording newcomer;
    CU_ASSERT(recording_start(&newcomer, NULL) == 0);
    TTAP_INSTANT("for the newcomer");
    size_t len;
    ttap__sub_wait(sub, 5000);
    unsigned char *bytes = read_to_end(sub, &len);
    emitters_stop(&e);
    ttap_status_get(&status);
    CU_ASSERT(status.lease_expired == 1);
    struct ttap__sub_info info;
    ttap__sub_info(sub, &info);
    CU_ASSERT(info.why == TTAP__END_LEASE);
    ttap__sub_close(sub);
    free(bytes);
    (void)r;
    CU_ASSERT(recording_stop(&newcomer));
    CU_ASSERT(newcomer.reason == TTAP__END_STOPPED && recording_count(&newcomer, 0, "for the newcomer") == 1);
    recording_free(&newcomer);
}

static CU_TestInfo statements[] = {
    {"emitters close the gate and every window ends for the lease", emitters_close_the_gate_and_every_window_ends_for_the_lease},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
