/* test_patience.c - when the drainer tells a reader: each wake takes a CPU from the traced program where none is free, so little is told seldom. */
#include "engine.h"
#include "subs.h"

static struct recording r;
static struct ttap_name burst = {.text = "burst"};

/* Until there is something, and all of it. */
static void wait_and_take(struct ttap__sub *sub)
{
    static unsigned char bytes[1 << 20];
    ttap__sub_wait(sub, -1);
    while (ttap__sub_read(sub, bytes, sizeof(bytes)))
        ;
}

static struct ttap__sub *open_grown_up(void)
{
    struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
    nap_ms(3 * TTAP__LONG_TICK_MS);
    return sub;
}

static void *count_tells(void *arg)
{
    struct ttap__sub *sub = arg;
    uintptr_t tells = 0;
    ttap__thread_is_own();
    for (; ttap__sub_state(sub) == TTAP__SUB_RECORDING; tells++)
        wait_and_take(sub);
    return (void *)tells;
}

/* Twice that: what is put while the reader takes, it finds without being told. */
static void a_reader_of_little_is_told_seldom(void)
{
    struct emitters e;
    struct ttap__sub *sub = open_grown_up();
    pthread_t reader;
    void *tells;
    emitters_start(&e, 1, 1);
    uint64_t begun_ns = now_ns();
    CU_ASSERT_FATAL(pthread_create(&reader, NULL, count_tells, sub) == 0);
    for (int i = 0; i < 100; i++) { /* all is drained for a newcomer */
        struct ttap__sub *young = open_sub(TTAP_GROUPS_ALL, NULL);
        nap_ms(5);
        ttap__sub_close(young);
    }
    ttap__sub_stop(sub, TTAP__END_STOPPED);
    pthread_join(reader, &tells);
    uint64_t took_ns = now_ns() - begun_ns;
    emitters_stop(&e);
    printf("(%u in %.0f ms) ", (unsigned)(uintptr_t)tells, (double)took_ns / 1e6);
    CU_ASSERT((uintptr_t)tells <= 2 * (took_ns / (TTAP__LONG_TICK_MS * 1000000u)) + 4);
    ttap__sub_close(sub);
}

static void a_young_window_is_told_of_sooner(void)
{
    struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
    CU_ASSERT(ttap__patience_ns(0) == TTAP__TICK_MS * 1000000u);
    CU_ASSERT(ttap__patience_ns(60000000) == 30000000);
    CU_ASSERT(ttap__patience_ns(UINT64_MAX) == TTAP__LONG_TICK_MS * 1000000u);
    ttap__sub_close(sub);
}

/* The best of twenty: on a busy machine some come late whatever the drainer does. */
static void much_is_drained_at_the_next_look(void)
{
    struct ttap__sub *sub = open_grown_up();
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        ttap_counter(&burst, -1);
        wait_and_take(sub);                                    /* it has just drained */
        for (int64_t k = 0; k < TTAP__MUCH_CHUNKS * 1000; k++) /* 256,000 events, a megabyte */
            ttap_counter(&burst, k);
        uint64_t begun_ns = now_ns();
        wait_and_take(sub);
        uint64_t took_ns = now_ns() - begun_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    printf("(%.1f ms) ", (double)best_ns / 1e6);
    CU_ASSERT(best_ns < TTAP__LONG_TICK_MS * 1000000u / 2);
    ttap__sub_close(sub);
}

static void what_came_late_is_exact(void)
{
    struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
    struct sub_reader reader;
    struct emitters e;
    sub_reader_start(&reader, sub);
    emitters_start(&e, 4, 3);
    nap_ms(4 * TTAP__LONG_TICK_MS);
    emitters_stop(&e);
    CU_ASSERT(sub_reader_finish(&reader, &r) && recording_lost(&r) == 0);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT(recording_count(&r, TTAP__COUNTER, e.texts[i]) == (size_t)e.told[i]);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"a reader of little is told seldom", a_reader_of_little_is_told_seldom},
    {"a young window is told of sooner", a_young_window_is_told_of_sooner},
    {"much is drained at the next look", much_is_drained_at_the_next_look},
    {"what came late is exact", what_came_late_is_exact},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
