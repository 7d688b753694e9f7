/* books.c - each counter of the engine, one after the other, in a scene whose numbers are known beforehand.
 *
 * The stress tests show that the books are exact whatever happens; here it is known what happened, so a counter that is not moved, moved
 * twice, or moved by another number is noticed at once. mutants.sh builds this again with each line of the engine that counts changed.
 *
 * Scenes that need a moment which cannot be waited for (a handler inside an event, a thread preempted in one) set the word that tells the
 * engine so.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "capture.h"
#include "emit.h"
#include "engine.h"
#include "recording.h"
#include "stress.h"

/* No sources: each event here is one of our calls. This stands in for trace/sources/register.c, as in tests/support/recording.c. */
struct ttap__source;
extern const struct ttap__source *const ttap__sources_linked[];
const struct ttap__source *const ttap__sources_linked[] = {NULL};

static struct ttap_name tile = TTAP_NAME_INIT("tile.0"), other_tile = TTAP_NAME_INIT("tile.1");
static const char *scene;
static int wrong;

static void check(uint64_t is, uint64_t should_be, const char *what)
{
    if (is == should_be)
        return;
    wrong = 1;
    printf("%s: %s: %llu, not %llu\n", scene, what, (unsigned long long)is, (unsigned long long)should_be);
}

/* ---- A capture into memory ---- */

struct book {
    struct ttap__sub *sub;
    unsigned char *bytes;
    size_t len;
    struct validation v;
    struct ttap__sub_info info;
};

static void open_with(struct book *b, const struct ttap__sub_opts *opts)
{
    *b = (struct book){0};
    check((uint64_t)-ttap__sub_open(opts, &b->sub), 0, "open");
}

static void open_book(struct book *b, uint64_t groups, const char *sample)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    opts.groups = groups;
    opts.sample = sample;
    open_with(b, &opts);
}

static void open_sampled_book(struct book *b)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    opts.groups = TTAP_GROUPS_ALL;
    opts.samples_hz = 99;
    open_with(b, &opts);
}

/* Stop, read, validate. What the info shows must be what the bytes say. */
static void close_book(struct book *b)
{
    size_t room = 1u << 20;
    b->bytes = malloc(room);
    ttap__sub_stop(b->sub, TTAP__END_STOPPED);
    for (;;) {
        if (b->len == room)
            b->bytes = realloc(b->bytes, room *= 2);
        size_t n = ttap__sub_read(b->sub, b->bytes + b->len, room - b->len);
        b->len += n;
        if (!n && ttap__sub_state(b->sub) == TTAP__SUB_ENDED)
            break;
        if (!n)
            ttap__sub_wait(b->sub, -1);
    }
    ttap__sub_info(b->sub, &b->info);
    ttap__sub_close(b->sub);
    int verdict = validate_capture(b->bytes, b->len, &b->v);
    check((uint64_t)-verdict, 0, "verdict");
    if (verdict)
        printf("%s: %s: %s\n", scene, b->v.rule, b->v.sentence);
    check(b->info.delivered, b->v.rows_delivered, "delivered, as shown");
    check(b->info.filtered, b->v.rows_filtered, "filtered, as shown");
    check(b->info.lost, b->v.rows_lost, "lost, as shown");
    check(b->info.sampled_out, b->v.sampled_out, "sampled out, as shown");
    check(b->info.events, b->v.rows_delivered + b->v.rows_filtered + b->v.rows_lost, "events, as shown");
}

static void free_book(struct book *b)
{
    validation_free(&b->v);
    free(b->bytes);
}

/* Tile @number was called from 0 to @end, and all of that is in the window. */
static void check_tile(const struct book *b, uint64_t number, int64_t end)
{
    const struct validation_tile *t = validation_tile(&b->v, number);
    check(t != NULL, 1, "a tile");
    check(t && t->pure, 1, "a tile alone in its stream");
    check(t ? (uint64_t)t->start_value : 0, 0, "the tile's start");
    check(t ? (uint64_t)t->end_value : 0, (uint64_t)end, "the tile's end");
}

/* What the scene's thread does in between. A thread of its own, so that its streams are fresh. */
static void on_a_thread(void *(*scene_of)(void *), void *arg)
{
    pthread_t thread;
    if (!pthread_create(&thread, NULL, scene_of, arg))
        pthread_join(thread, NULL);
}

static struct ttap_status status_now(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    return status;
}

/* ---- Scenes ---- */

static void *call_a_few(void *arg)
{
    for (int64_t i = 0; i < (int64_t)(uintptr_t)arg; i++) {
        ttap_counter(&tile, i);
        if (i % 400 == 399)
            stress_nap_us(8000); /* more than one drain */
    }
    return NULL;
}

static void everything_is_delivered(void)
{
    struct book b;
    struct ttap_status before = status_now();
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    on_a_thread(call_a_few, (void *)1000);
    close_book(&b);
    check(b.v.delivered, 1000, "delivered");
    check(b.v.lost + b.v.filtered + b.v.sampled_out, 0, "anything else");
    check_tile(&b, 0, 1000);
    check(status_now().events - before.events, 1000, "events in the status");
    free_book(&b);
}

enum { FLOOD = 200000 }; /* 400,000 cells; the chunks of 1 MiB hold 23,688 */

/* The drainer stands still meanwhile, however fast it is: it has something for the capture, which it may not touch. */
static void *flood(void *arg)
{
    struct ttap__sub *sub = arg;
    for (int round = 0; round < 2; round++) {
        pthread_mutex_lock(&sub->mutex);
        for (int64_t i = 0; i < FLOOD / 2; i++)
            ttap_counter(&tile, round * (FLOOD / 2) + i);
        pthread_mutex_unlock(&sub->mutex);
        stress_nap_us(20000); /* it has room again: losses lie between events, and at the end */
    }
    return NULL;
}

static void what_finds_no_chunk_is_counted(void)
{
    struct book b;
    struct ttap_status before = status_now();
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    on_a_thread(flood, b.sub);
    close_book(&b);
    check(b.v.lost_by[TTAP__LOSS_FULL] > 0, 1, "lost for want of chunks");
    check(b.v.delivered + b.v.lost_by[TTAP__LOSS_FULL] + b.v.lost_by[TTAP__LOSS_QUEUE], FLOOD, "delivered and lost");
    check_tile(&b, 0, FLOOD);
    struct ttap_status after = status_now();
    check(after.events - before.events + after.lost - before.lost, FLOOD, "events and losses in the status");
    free_book(&b);
}

/* A counter each on level 0, in a handler, and in a handler's handler, which is lost. */
static void *nest(void *arg)
{
    ttap_counter(&tile, 0);
    struct ttap__slot_stream *normal = ttap__tls->stream[0].shared, *handlers = ttap__tls->stream[1].shared;
    for (int64_t i = 0, k = 0; i < (int64_t)(uintptr_t)arg; i++) {
        ttap__store(&normal->busy, INT64_MAX); /* an event far up the stack, as test_handlers.c says */
        ttap_counter(&other_tile, k++);
        ttap__store(&handlers->busy, INT64_MAX);
        ttap_counter(&other_tile, k++);
        ttap__store_release(&handlers->busy, 0);
        ttap__store_release(&normal->busy, 0);
        ttap_counter(&tile, i + 1);
        if (i % 30 == 29)
            stress_nap_us(6000);
    }
    return NULL;
}

static void what_a_second_handler_does_is_counted(void)
{
    struct book b, beside;
    struct ttap_status before = status_now();
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    open_book(&beside, TTAP_GROUP_LOG, NULL);
    on_a_thread(nest, (void *)100);
    close_book(&b);
    close_book(&beside);
    check(b.v.delivered, 201, "delivered");
    check(b.v.lost_by[TTAP__LOSS_NESTED], 100, "lost, nested");
    check_tile(&b, 0, 101);
    check_tile(&b, 1, 200);
    check(beside.v.lost_by[TTAP__LOSS_NESTED], 100, "lost beside it, nested");
    check(beside.v.filtered, 201, "filtered beside it");
    check(status_now().lost - before.lost, 100, "losses in the status");
    free_book(&b);
    free_book(&beside);
}

static void *fact_of_each_group(void *arg)
{
    struct ttap_queue queue = TTAP_QUEUE_INIT("queue");
    struct ttap_task task, before;
    for (int i = 0; i < (int)(uintptr_t)arg; i++) {
        TTAP_REGION_BEGIN("region");
        TTAP_REGION_END("region");
        TTAP_INSTANT("log");
        ttap_counter(&tile, i);
        ttap_queue_enqueue(&queue, 1);
        TTAP_TASK_BEGIN(&task, "task", NULL);
        ttap_task_enter(&task, &before);
        TTAP_TASK_ATTR_INT(&task, "attr", 1);
        ttap_task_leave(&before);
        ttap_task_end(&task);
    }
    return NULL;
}

static void what_nobody_asked_for_is_counted(void)
{
    static const struct {
        uint64_t groups;
        uint64_t events;
    } wishes[] = {{TTAP_GROUP_REGION, 2}, {TTAP_GROUP_LOG, 1}, {TTAP_GROUP_COUNTER, 1}, {TTAP_GROUP_QUEUE, 1}, {TTAP_GROUP_TASK, 5}};
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct book all, b;
        open_book(&all, TTAP_GROUPS_ALL, NULL);
        open_book(&b, wishes[i].groups, NULL);
        on_a_thread(fact_of_each_group, (void *)100);
        close_book(&b);
        close_book(&all);
        check(all.v.delivered, 1000, "delivered to who wants all");
        check(b.v.delivered, 100 * wishes[i].events, "delivered");
        check(b.v.filtered, 1000 - 100 * wishes[i].events, "filtered");
        free_book(&b);
        free_book(&all);
    }
}

/* Ends of regions that began before recording did, and regions deeper than heads list them. */
static void *regions_of_all_sorts(void *arg)
{
    for (int i = 0; i < 10; i++)
        TTAP_REGION_END("began before");
    for (int i = 0; i < 80; i++)
        TTAP_REGION_BEGIN("deep");
    for (int i = 0; i < 80; i++)
        TTAP_REGION_END("deep");
    return arg;
}

static void regions_that_nobody_asked_for_are_counted(void)
{
    struct book all, b;
    open_book(&all, TTAP_GROUPS_ALL, NULL);
    open_book(&b, TTAP_GROUP_LOG, NULL);
    on_a_thread(regions_of_all_sorts, NULL);
    close_book(&b);
    close_book(&all);
    check(all.v.delivered, 170, "delivered to who wants all");
    check(b.v.filtered, 170, "filtered");
    free_book(&all);
    free_book(&b);
}

/* 100 tasks of which nobody keeps any: begin, enter, counter, region begin and end, leave, end. */
static void *work_unkept(void *arg)
{
    for (int i = 0; i < 100; i++) {
        struct ttap_task task, before;
        TTAP_TASK_BEGIN(&task, "unkept", NULL);
        ttap_task_enter(&task, &before);
        ttap_counter(&tile, i);
        TTAP_REGION_BEGIN("region");
        TTAP_REGION_END("region");
        ttap_task_leave(&before);
        ttap_task_end(&task);
    }
    return arg;
}

static void what_sampling_leaves_out_is_counted(void)
{
    struct book none, kept;
    struct ttap_status before = status_now();
    open_book(&none, TTAP_GROUPS_ALL, "0");
    on_a_thread(work_unkept, NULL);
    close_book(&none);
    check(none.v.delivered, 1, "recorded");        /* that the thread works for no task that is kept: told once, it may have been otherwise before */
    check(none.v.sampled_out, 600, "sampled out"); /* leaving is no event of the task's */
    check(status_now().sampled_out - before.sampled_out, 600, "sampled out in the status");
    free_book(&none);
    open_book(&none, TTAP_GROUPS_ALL, "0");
    open_book(&kept, TTAP_GROUPS_ALL, "1");
    on_a_thread(work_unkept, NULL); /* kept by the other: filtered for this one */
    close_book(&none);
    close_book(&kept);
    check(kept.v.delivered, 700, "delivered to who keeps all");
    check(none.v.filtered, 600, "filtered for who keeps none");
    check(none.v.delivered, 100, "delivered to who keeps none"); /* that the thread works for no task now */
    check(none.v.sampled_out + kept.v.sampled_out, 0, "sampled out");
    free_book(&none);
    free_book(&kept);
}

/* So that no more than 100 KB, of the 344 that all chunks hold, wait for a drainer that is late, and as many are in its hands. */
static void until_full_chunks_are_taken(void)
{
    do
        stress_nap_us(500);
    while ((uint32_t)ttap__load(&ttap__arena_here()->full_chunks));
}

/* Nobody reads until the end: the queue fills, and more threads come and go than may be told. */
static void *log_a_lot(void *arg)
{
    static const char text[1000];
    for (int i = 0; i < 300; i++) {
        TTAP_LOG("log", text, sizeof(text));
        if (i % 100 == 99)
            until_full_chunks_are_taken();
    }
    for (int i = 0; i < 50; i++)
        TTAP_INSTANT("after");
    return arg;
}

static void what_a_stalled_reader_misses_is_counted(void)
{
    struct book b;
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    for (int i = 0; i < 6; i++)
        on_a_thread(log_a_lot, NULL);
    close_book(&b);
    check(b.v.lost_by[TTAP__LOSS_QUEUE] > 0, 1, "lost to the queue");
    check(b.v.lost_by[TTAP__LOSS_FULL], 0, "lost for want of chunks");
    check(b.v.delivered + b.v.lost_by[TTAP__LOSS_QUEUE], 6 * 350, "delivered and lost");
    free_book(&b);
}

/* Of each pair of events one is wanted by nobody who waits here. */
static void *log_and_count(void *arg)
{
    static const char text[1000];
    for (int i = 0; i < 300; i++) {
        TTAP_LOG("log", text, sizeof(text));
        TTAP_COUNTER("no tile", i);
        if (i % 100 == 99)
            until_full_chunks_are_taken();
    }
    return arg;
}

static void what_a_stalled_reader_did_not_ask_for_is_counted_apart(void)
{
    struct book b, counters;
    open_book(&b, TTAP_GROUP_LOG, NULL);
    open_book(&counters, TTAP_GROUP_COUNTER, NULL);
    for (int i = 0; i < 6; i++)
        on_a_thread(log_and_count, NULL);
    close_book(&b);
    close_book(&counters);
    check(b.v.lost_by[TTAP__LOSS_QUEUE] > 0, 1, "lost to the queue");
    check(b.v.delivered + b.v.lost_by[TTAP__LOSS_QUEUE], 6 * 300, "delivered and lost");
    check(b.v.filtered, 6 * 300, "filtered, also in the losses");
    free_book(&b);
    free_book(&counters);
}

static void *live_shortly(void *arg)
{
    TTAP_INSTANT("one");
    TTAP_COUNTER("two", 1); /* which one of the listeners does not want */
    return arg;
}

enum { LONG_LIFE = 10 };
static int step;

static void *live_long(void *arg)
{
    for (int i = 0; i < LONG_LIFE; i++)
        TTAP_INSTANT("one");
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) != 2)
        stress_nap_us(500);
    return arg;
}

static void wait_for_events(struct book *b, uint64_t events)
{
    do
        ttap__sub_info(b->sub, &b->info);
    while (b->info.events < events && (stress_nap_us(500), true));
}

/* More threads come and go than the reserve of its queue has room to tell of one by one. */
static void threads_beside_a_stalled_reader_are_counted(void)
{
    enum { LIVES = 3500 };
    struct book b, all;
    pthread_t one_who_stays;
    step = 0;
    open_book(&b, TTAP_GROUP_LOG, NULL);
    open_book(&all, TTAP_GROUPS_ALL, NULL);
    pthread_create(&one_who_stays, NULL, live_long, NULL);
    wait_for_events(&all, LONG_LIFE);
    for (int i = 0; i < 6; i++)
        on_a_thread(log_a_lot, NULL);
    wait_for_events(&all, LONG_LIFE + 6 * 350); /* their chunks are free again */
    for (uint64_t i = 0; i < LIVES; i++) {
        on_a_thread(live_shortly, NULL);
        if (i % 15 == 14)
            wait_for_events(&all,
                            LONG_LIFE + 6 * 350 + 2 * (i + 1)); /* they want a chunk each, and those before them may still have theirs: 30 of 43 */
    }
    __atomic_store_n(&step, 2, __ATOMIC_SEQ_CST); /* its row, of events that were delivered, finds no room any more */
    pthread_join(one_who_stays, NULL);
    stress_nap_us(20000);
    close_book(&b);
    close_book(&all);
    check(b.v.streams < LIVES, 1, "threads told of in one row");
    check(b.info.events, LONG_LIFE + 6 * 350 + 2 * LIVES, "events of who wants one of two");
    check(all.info.events, LONG_LIFE + 6 * 350 + 2 * LIVES, "events of who wants all");
    check(all.info.filtered, 0, "filtered for who wants all");
    check(b.info.filtered, LIVES, "filtered for who does not");
    check(all.v.lost_by[TTAP__LOSS_FULL], 0, "lost for want of chunks");
    free_book(&all);
    check(b.v.rows_lost > b.v.lost, 1, "losses of theirs in that row");
    free_book(&b);
}

/* A stack as trace/stacks records it, of one frame. */
static void *take_samples(void *arg)
{
    for (int i = 0; i < (int)(uintptr_t)arg; i++) {
        struct ttap__emission e;
        if (!ttap__emission_stream(&e) || !ttap__emission_start(&e, TTAP_GROUP_SAMPLE))
            continue;
        uint64_t *cell = ttap__emission_reserve(&e, 2);
        ttap__emission_write_head(cell, TTAP__SAMPLE, 1000);
        ttap__store(&cell[2], 1);
        ttap__store(&cell[3], (uint64_t)(uintptr_t)&take_samples);
        ttap__emission_publish(&e, 2);
    }
    return NULL;
}

static void samples_that_nobody_asked_for_are_counted(void)
{
    struct book sampled, b;
    open_sampled_book(&sampled);
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    on_a_thread(take_samples, (void *)100);
    close_book(&b);
    close_book(&sampled);
    check(sampled.v.delivered, 100, "delivered to who wants them");
    check(b.v.filtered, 100, "filtered");
    free_book(&sampled);
    free_book(&b);
}

static void *publish_garbage(void *arg)
{
    for (int i = 0; i < 10; i++)
        TTAP_INSTANT("before");
    stress_nap_us(8000);
    for (int i = 0; i < 10; i++) {
        struct ttap__emission e = {0};
        if (!ttap__emission_open(&e, TTAP_GROUP_LOG))
            continue;
        uint64_t *cell = ttap__emission_reserve(&e, 1);
        ttap__store(&cell[0], 0xc8); /* no such kind */
        ttap__store(&cell[1], 0);
        ttap__emission_publish(&e, 1);
    }
    return arg;
}

static void what_cannot_be_read_is_counted(void)
{
    struct book b;
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    on_a_thread(publish_garbage, NULL);
    close_book(&b);
    check(b.v.delivered, 10, "delivered");
    check(b.v.lost_by[TTAP__LOSS_STALL], 10, "lost, unreadable");
    free_book(&b);
}

/* A thread that the window's end finds in the middle of an event, and that stays there. */
static void *stay_in_an_event(void *arg)
{
    for (int i = 0; i < 10; i++)
        ttap_counter(&tile, i);
    ttap__store(&ttap__tls->stream[0].shared->busy, INT64_MAX);
    __atomic_store_n(&step, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) != 2)
        stress_nap_us(500);
    ttap__store_release(&ttap__tls->stream[0].shared->busy, 0);
    return arg;
}

static void who_comes_too_late_is_counted(void)
{
    struct book b;
    pthread_t thread;
    struct ttap_status before = status_now();
    step = 0;
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    pthread_create(&thread, NULL, stay_in_an_event, NULL);
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) != 1)
        stress_nap_us(500);
    close_book(&b);
    __atomic_store_n(&step, 2, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    check(b.v.delivered, 10, "delivered");
    check(b.v.lost_by[TTAP__LOSS_LATE], 1, "lost, late");
    check(status_now().lost - before.lost, 1, "losses in the status");
    free_book(&b);
}

/* A thread past its last breath has no record; its destructors may still call. */
static void *die_talking(void *arg)
{
    TTAP_INSTANT("alive");
    ttap__tls_silent = 2;
    ttap__tls = &ttap__no_record; /* as after the last round of destructors */
    for (int i = 0; i < 20; i++)
        TTAP_INSTANT("dead");
    return arg;
}

static void who_has_no_record_is_counted(void)
{
    struct book b;
    struct ttap_status before = status_now();
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    on_a_thread(die_talking, NULL);
    stress_nap_us(20000);
    on_a_thread(die_talking, NULL);
    close_book(&b);
    check(b.v.delivered, 2, "delivered");
    check(b.v.lost_by[TTAP__LOSS_FULL], 40, "lost, without a record");
    check(status_now().lost - before.lost, 40, "losses in the status");
    free_book(&b);
}

/* A second session begins where the first ended. */
static void *live_through_two(void *arg)
{
    int64_t i = 0;
    (void)arg;
    for (; i < 100; i++)
        ttap_counter(&tile, i);
    __atomic_store_n(&step, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) != 2)
        stress_nap_us(500);
    for (; i < 250; i++)
        ttap_counter(&tile, i);
    return NULL;
}

static void numbers_go_on_from_one_session_to_the_next(void)
{
    struct book one, two;
    pthread_t thread;
    step = 0;
    open_book(&one, TTAP_GROUPS_ALL, NULL);
    pthread_create(&thread, NULL, live_through_two, NULL);
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) != 1)
        stress_nap_us(500);
    close_book(&one);
    open_book(&two, TTAP_GROUPS_ALL, NULL);
    __atomic_store_n(&step, 2, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    close_book(&two);
    check_tile(&one, 0, 100);
    const struct validation_tile *t = validation_tile(&two.v, 0);
    check(t ? (uint64_t)t->start_value : 0, 100, "the second window's start");
    check(t ? (uint64_t)t->end_value : 0, 250, "the second window's end");
    free_book(&one);
    free_book(&two);
}

static void ten_kept_of_a_hundred(void)
{
    struct book b;
    struct ttap_name kind = TTAP_NAME_INIT("limited");
    check((uint64_t)-ttap_sampling_set("1/10"), 0, "the setting");
    open_book(&b, TTAP_GROUPS_ALL, NULL);
    for (int i = 0; i < 100; i++) {
        struct ttap_task task;
        ttap_task_begin(&task, &kind, NULL);
    }
    close_book(&b);
    ttap_sampling_set("");
    check(b.v.delivered >= 10 && b.v.delivered <= 20, 1, "kept of a limit of ten");
    check(b.v.delivered + b.v.sampled_out, 100, "kept and sampled out");
    free_book(&b);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*play)(void);
    } scenes[] = {
        {"everything is delivered", everything_is_delivered},
        {"what finds no chunk is counted", what_finds_no_chunk_is_counted},
        {"what a second handler does is counted", what_a_second_handler_does_is_counted},
        {"what nobody asked for is counted", what_nobody_asked_for_is_counted},
        {"regions that nobody asked for are counted", regions_that_nobody_asked_for_are_counted},
        {"what sampling leaves out is counted", what_sampling_leaves_out_is_counted},
        {"what a stalled reader misses is counted", what_a_stalled_reader_misses_is_counted},
        {"what a stalled reader did not ask for is counted apart", what_a_stalled_reader_did_not_ask_for_is_counted_apart},
        {"threads beside a stalled reader are counted", threads_beside_a_stalled_reader_are_counted},
        {"samples that nobody asked for are counted", samples_that_nobody_asked_for_are_counted},
        {"what cannot be read is counted", what_cannot_be_read_is_counted},
        {"who comes too late is counted", who_comes_too_late_is_counted},
        {"who has no record is counted", who_has_no_record_is_counted},
        {"numbers go on from one session to the next", numbers_go_on_from_one_session_to_the_next},
        {"a limit of ten keeps ten", ten_kept_of_a_hundred},
    };
    if (ttap_budget_set(1u << 20))
        return 2;
    ttap_name("first"); /* the engine's tables exist before its threads */
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]) && !wrong; i++) {
        scene = scenes[i].name;
        scenes[i].play();
    }
    if (!wrong)
        printf("the books are what happened\n");
    return wrong;
}
