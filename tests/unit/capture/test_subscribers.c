/* test_subscribers.c - several at once: each gets what it asked for, exactly, whatever the others do. */
#include <string.h>

#include "subs.h"

static void work_for_a_task(int64_t *tile, struct ttap_name *tile_name)
{
    struct ttap_task task, before;
    TTAP_TASK_BEGIN(&task, "work", NULL);
    ttap_task_enter(&task, &before);
    TTAP_REGION_BEGIN("work");
    TTAP_INSTANT("work");
    TTAP_REGION_END("work");
    ttap_task_leave(&before);
    ttap_task_end(&task);
    ttap_counter(tile_name, (*tile)++);
}

static void each_gets_its_groups_and_no_others(void)
{
    struct ttap_name tile_name = TTAP_NAME_INIT("tile.0");
    struct recording regions, logs, all;
    int64_t tile = 0;
    struct ttap__sub *one = open_sub(TTAP_GROUP_REGION, NULL), *two = open_sub(TTAP_GROUP_LOG | TTAP_GROUP_COUNTER, NULL);
    struct ttap__sub *three = open_sub(TTAP_GROUPS_ALL, NULL);
    for (int i = 0; i < 1000; i++)
        work_for_a_task(&tile, &tile_name);
    CU_ASSERT(finish_sub(one, &regions) && finish_sub(two, &logs) && finish_sub(three, &all));
    CU_ASSERT(regions.events_count == 2000 && recording_count(&regions, TTAP__REGION_BEGIN, "work") == 1000);
    CU_ASSERT(logs.events_count == 2000 && recording_count(&logs, TTAP__INSTANT, "work") == 1000 &&
              recording_count(&logs, TTAP__COUNTER, "tile.0") == 1000);
    CU_ASSERT(all.events_count == 8000);
    CU_ASSERT(regions.filtered == 6000 && logs.filtered == 6000 && all.filtered == 0);
    recording_free(&regions);
    recording_free(&logs);
    recording_free(&all);
}

static void rates_nest_and_each_gets_whole_trees(void)
{
    struct ttap_name tile_name = TTAP_NAME_INIT("tile.0");
    struct recording few, many, none;
    int64_t tile = 0;
    struct ttap__sub *one = open_sub(TTAP_GROUPS_ALL, "0.05"), *two = open_sub(TTAP_GROUPS_ALL, "0.5"), *three = open_sub(TTAP_GROUPS_ALL, "0");
    for (int i = 0; i < 4000; i++)
        work_for_a_task(&tile, &tile_name);
    CU_ASSERT(finish_sub(one, &few) && finish_sub(two, &many) && finish_sub(three, &none));
    size_t in_few = recording_count(&few, TTAP__TASK_BEGIN, NULL), in_many = recording_count(&many, TTAP__TASK_BEGIN, NULL);
    CU_ASSERT(in_few > 100 && in_few < 320 && in_many > 1800 && in_many < 2200);
    CU_ASSERT(recording_count(&few, TTAP__INSTANT, "work") == in_few && recording_count(&many, TTAP__TASK_END, NULL) == in_many);
    CU_ASSERT(recording_count(&none, TTAP__TASK_BEGIN, NULL) == 0 && recording_count(&none, TTAP__INSTANT, NULL) == 0);
    CU_ASSERT(recording_count(&few, TTAP__COUNTER, NULL) == 4000 && recording_count(&none, TTAP__COUNTER, NULL) == 4000);
    size_t missing = 0;
    for (size_t i = 0; i < few.events_count; i++) { /* what the smaller rate keeps the larger keeps too */
        bool found = few.events[i].kind != TTAP__TASK_BEGIN;
        for (size_t k = 0; k < many.events_count && !found; k++)
            found = many.events[k].kind == TTAP__TASK_BEGIN && many.events[k].a[0] == few.events[i].a[0];
        missing += !found;
    }
    CU_ASSERT(missing == 0);
    recording_free(&few);
    recording_free(&many);
    recording_free(&none);
}

/* A region ends in a task that nobody keeps: no event tells of it. @others: events of another task meanwhile, in the same thread. */
static void look_at_regions_behind_a_task_that_nobody_kept(int others)
{
    struct ttap_task kept, left_out, before;
    struct recording few, all;
    struct ttap__sub *one = open_sub(TTAP_GROUPS_ALL, "0,kept=1");
    TTAP_TASK_BEGIN(&kept, "kept", NULL);
    TTAP_TASK_BEGIN(&left_out, "left out", NULL);
    TTAP_REGION_BEGIN("outer");
    TTAP_REGION_BEGIN("inner");
    ttap_task_enter(&left_out, &before);
    TTAP_REGION_END("inner");
    for (int i = 0; i < others; i++)
        TTAP_TASK_ATTR_INT(&kept, "n", i);
    struct ttap__sub *two = open_sub(TTAP_GROUPS_ALL, "1");
    TTAP_INSTANT("look");
    CU_ASSERT(finish_sub(two, &all));
    ttap_task_leave(&before);
    TTAP_INSTANT("look");
    TTAP_REGION_END("outer");
    CU_ASSERT(finish_sub(one, &few));
    const struct recorded_event *in_it = recording_find(&all, 0, "look", 0), *behind_it = recording_find(&few, 0, "look", 0);
    CU_ASSERT(in_it && in_it->head_regions == 1);
    CU_ASSERT(behind_it && behind_it->head_regions == 1);
    CU_ASSERT(recording_count(&few, TTAP__TASK_ATTR_INT, NULL) == (size_t)others);
    ttap_task_end(&left_out);
    ttap_task_end(&kept);
    recording_free(&few);
    recording_free(&all);
}

static void what_ended_in_a_task_that_nobody_kept_is_not_open_later(void)
{
    look_at_regions_behind_a_task_that_nobody_kept(0);
    look_at_regions_behind_a_task_that_nobody_kept(TTAP__CHUNK_CELLS); /* so that a chunk fills up in between, of 2 cells each */
}

/* Its emitters may not have had a processor yet. */
static void wait_for_something(struct ttap__sub *sub)
{
    struct ttap__sub_info info;
    for (ttap__sub_info(sub, &info); !info.events; ttap__sub_info(sub, &info))
        nap_ms(1);
}

static void joining_and_leaving_in_mid_flight_is_exact_for_each(void)
{
    static const uint64_t groups[4] = {TTAP_GROUPS_ALL, TTAP_GROUP_COUNTER, TTAP_GROUP_REGION | TTAP_GROUP_COUNTER, TTAP_GROUP_REGION};
    struct sub_reader readers[4] = {{0}};
    struct recording r;
    struct emitters e = {.count = 3, .pause_every = 20};
    emitters_start_as(&e);
    for (int round = 0; round < 40; round++) {
        int i = round * 7 % 4;
        if (readers[i].sub) {
            wait_for_something(readers[i].sub);
            CU_ASSERT(sub_reader_finish(&readers[i], &r));
            CU_ASSERT(r.events_count > 0 && recording_lost(&r) == 0);
            if (groups[i] == TTAP_GROUP_COUNTER)
                CU_ASSERT(recording_count(&r, TTAP__REGION_BEGIN, NULL) == 0);
            recording_free(&r);
        }
        sub_reader_start(&readers[i], open_sub(groups[i], round % 2 ? NULL : "0.5"));
        emitters_give(&e, 60); /* a few milliseconds' worth: they are in the middle of it when the next one comes or goes */
        nap_ms(3);
    }
    for (int i = 0; i < 4; i++)
        if (readers[i].sub) {
            CU_ASSERT(sub_reader_finish(&readers[i], &r));
            recording_free(&r);
        }
    emitters_stop(&e);
}

/* Resident bytes now, and the most that is allowed to be. */
static uint64_t resident_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    if (statm)
        fclose(statm);
    return (uint64_t)resident * 4096;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURABLE 0 /* shadow memory is resident too */
#else
#define MEASURABLE 1
#endif

/* One does not read, one reads all and throws it away, so that the test's own memory stays out of the figure. */
static void *read_and_check_sizes(void *arg)
{
    struct sub_reader *reader = arg;
    static unsigned char piece[65536];
    ttap__thread_is_own();
    for (;;) {
        size_t n = ttap__sub_read(reader->sub, piece, sizeof(piece));
        reader->len += n;
        if (!n && ttap__sub_state(reader->sub) == TTAP__SUB_ENDED)
            return NULL;
        if (!n)
            ttap__sub_wait(reader->sub, -1);
    }
}

/* The next ration is handed out when the reader has what the last one was turned into. So it keeps up by construction, however slow the machine,
 * and none of its events may be missing; the rations fit into the chunks and into its part of the queues. */
static void a_stalled_reader_loses_alone_and_memory_stays_in_the_budget(uint64_t budget_bytes, int64_t ration)
{
    enum { EMITTERS = 2, EVENTS_A_ROUND = 4, RATIONS_MAX = 1000, RATIONS_BEYOND = 10 };
    struct emitters e = {.count = EMITTERS, .text_bytes = 240};
    struct recording r;
    struct ttap__sub_info info, of_stalled;
    uint64_t before = resident_bytes(), most = 0, emitted = 0;
    CU_ASSERT_FATAL(ttap_budget_set(budget_bytes) == 0);
    struct ttap__sub *stalled = open_sub(TTAP_GROUPS_ALL, NULL);
    struct sub_reader reader = {.sub = open_sub(TTAP_GROUPS_ALL, NULL)};
    pthread_create(&reader.thread, NULL, read_and_check_sizes, &reader);
    emitters_start_as(&e);
    for (int given = 0, beyond = 0; given < RATIONS_MAX && beyond < RATIONS_BEYOND; given++) {
        emitters_give(&e, ration);
        emitted += (uint64_t)ration * EMITTERS * EVENTS_A_ROUND;
        do {
            nap_ms(1);
            uint64_t now = resident_bytes();
            most = now > most ? now : most;
            ttap__sub_info(reader.sub, &info);
        } while (info.events < emitted || info.queued_bytes);
        ttap__sub_info(stalled, &of_stalled);
        beyond += of_stalled.lost > 0;
    }
    emitters_stop(&e);
    printf("(budget %llu MiB: %.1f MiB more resident; of %llu events %llu lost by the stalled, %llu by the other) ",
           (unsigned long long)(budget_bytes >> 20), (double)(most - before) / 1048576, (unsigned long long)emitted,
           (unsigned long long)of_stalled.lost, (unsigned long long)info.lost);
    CU_ASSERT(of_stalled.lost > 0);
    CU_ASSERT(info.lost == 0 && info.delivered == emitted);
    if (MEASURABLE)
        CU_ASSERT(most - before <= budget_bytes + (8u << 20));
    ttap__sub_stop(reader.sub, TTAP__END_STOPPED);
    pthread_join(reader.thread, NULL);
    ttap__sub_close(reader.sub);
    CU_ASSERT(finish_sub(stalled, &r)); /* what it lost is told exactly */
    CU_ASSERT(r.lost[TTAP__LOSS_QUEUE] > 0 && r.lost[TTAP__LOSS_QUEUE] == recording_lost(&r));
    CU_ASSERT(r.delivered + r.lost[TTAP__LOSS_QUEUE] == emitted);
    recording_free(&r);
}

static void a_stalled_reader_loses_alone_with_1_mib(void)
{
    a_stalled_reader_loses_alone_and_memory_stays_in_the_budget(1u << 20, 100);
}

static void a_stalled_reader_loses_alone_with_64_mib(void)
{
    a_stalled_reader_loses_alone_and_memory_stays_in_the_budget(64u << 20, 2000);
}

static CU_TestInfo statements[] = {
    {"each gets its groups and no others", each_gets_its_groups_and_no_others},
    {"rates nest and each gets whole trees", rates_nest_and_each_gets_whole_trees},
    {"what ended in a task that nobody kept is not open later", what_ended_in_a_task_that_nobody_kept_is_not_open_later},
    {"joining and leaving in mid-flight is exact for each", joining_and_leaving_in_mid_flight_is_exact_for_each},
    {"a stalled reader loses alone with 1 MiB", a_stalled_reader_loses_alone_with_1_mib},
    {"a stalled reader loses alone with 64 MiB", a_stalled_reader_loses_alone_with_64_mib},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
