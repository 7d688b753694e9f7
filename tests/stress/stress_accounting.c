/* stress_accounting.c - everything at once, and each capture must be exact by the validator.
 *
 *   1 MiB of budget | sampling 0.1 | two subscribers with other groups | signals on two levels | threads born and dying
 *
 * Emitters count their own calls in the counters tile.<k>: 0 .. on the thread's normal course, of which one thread does nothing else;
 * 100 .. in handlers, 300 .. in handlers that may interrupt those; 200 .. within tasks, most of which sampling leaves out. So a loss that the engine's books forget, or invent, shows.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "recording.h"
#include "signal_storm.h"
#include "stress.h"

enum { EMITTERS = 4 };

static struct ttap_name plain[EMITTERS], handled[EMITTERS], sampled[EMITTERS], second_level[EMITTERS];
static char texts[4 * EMITTERS][16];
static int stop;
static __thread unsigned me;
static __thread int64_t in_handler, in_second_handler;

static void first_handler(int signo)
{
    (void)signo;
    for (int i = 0; i < 30; i++)
        ttap_counter(&handled[me], in_handler++);
}

static void second_handler(int signo)
{
    (void)signo;
    ttap_counter(&second_level[me], in_second_handler++);
}

static void work(int64_t *tile)
{
    struct ttap_task task, before;
    TTAP_TASK_BEGIN(&task, "work", NULL);
    ttap_task_enter(&task, &before);
    TTAP_REGION_BEGIN("work");
    for (int i = 0; i < 5; i++)
        ttap_counter(&sampled[me], (*tile)++);
    TTAP_LOG("work", "some text", 9);
    TTAP_REGION_END("work");
    ttap_task_leave(&before);
    ttap_task_end(&task);
}

static void *emit(void *arg)
{
    struct signal_storm first, second;
    me = (unsigned)(uintptr_t)arg;
    bool stormy = me && !signal_storm_start(&first, SIGUSR1, 2000) && !signal_storm_start(&second, SIGUSR2, 5000);
    int64_t i = 0, in_tasks = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int k = 0; k < 300; k++)
            ttap_counter(&plain[me], i++);
        for (int k = 0; me && k < 20; k++)
            work(&in_tasks);
        stress_nap_us(i % 3000 == 0 ? 3000 : 100); /* in bursts, of which some are more than the budget holds */
    }
    if (stormy) {
        signal_storm_stop(&second);
        signal_storm_stop(&first);
    }
    return NULL;
}

static void *short_life(void *arg)
{
    TTAP_REGION("short life");
    TTAP_INSTANT("short life");
    return arg;
}

static void *bear_and_bury(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_t threads[5];
        int made = 0;
        while (made < 5 && !pthread_create(&threads[made], NULL, short_life, NULL))
            made++;
        while (made)
            pthread_join(threads[--made], NULL);
        stress_nap_us(300);
    }
    return arg;
}

/* ---- Subscribers, read by hand by this thread and one more ---- */

struct listener {
    struct ttap__sub *sub;
    pthread_t thread;
    unsigned delay_us;
    unsigned char *bytes;
    size_t len;
};

static unsigned char buffers[2][64u << 20];

static void *listen_to(void *arg)
{
    struct listener *l = arg;
    ttap__thread_is_own();
    for (l->len = 0; l->len + 65536 < sizeof(buffers[0]);) {
        size_t n = ttap__sub_read(l->sub, l->bytes + l->len, 65536);
        l->len += n;
        if (!n && ttap__sub_state(l->sub) == TTAP__SUB_ENDED)
            return NULL;
        if (!n)
            ttap__sub_wait(l->sub, -1);
        if (l->delay_us)
            stress_nap_us(l->delay_us); /* a slow reader loses for itself */
    }
    return l;
}

static bool begin(struct listener *l, unsigned number, uint64_t groups, const char *sample, unsigned delay_us)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    opts.groups = groups;
    opts.sample = sample;
    *l = (struct listener){.bytes = buffers[number], .delay_us = delay_us};
    return !ttap__sub_open(&opts, &l->sub) && !pthread_create(&l->thread, NULL, listen_to, l);
}

static struct {
    uint64_t captures, delivered, filtered, sampled_out;
} sums;

/* End it, and have it checked. */
static bool finish(struct listener *l)
{
    struct validation v;
    ttap__sub_stop(l->sub, TTAP__END_STOPPED);
    pthread_join(l->thread, NULL);
    ttap__sub_close(l->sub);
    int verdict = validate_capture(l->bytes, l->len, &v);
    if (verdict)
        fprintf(stderr, "capture %llu, %zu bytes: %s: %s\n", (unsigned long long)sums.captures, l->len, v.rule, v.sentence);
    for (size_t i = 0; i < v.tile_count && !verdict; i++)
        if (!v.tiles[i].covered || v.tiles[i].duplicates || v.tiles[i].order_violations) {
            fprintf(stderr, "capture %llu: tile.%llu: covered %d, %llu twice\n", (unsigned long long)sums.captures,
                    (unsigned long long)v.tiles[i].number, v.tiles[i].covered, (unsigned long long)v.tiles[i].duplicates);
            verdict = -1;
        }
    sums.captures++;
    sums.delivered += v.delivered;
    sums.filtered += v.filtered;
    sums.sampled_out += v.sampled_out;
    validation_free(&v);
    return !verdict;
}

static void name_tiles(void)
{
    for (unsigned i = 0; i < 4 * EMITTERS; i++) {
        unsigned set = i / EMITTERS, k = i % EMITTERS;
        snprintf(texts[i], sizeof(texts[i]), "tile.%u", set * 100 + k);
        *(set == 0 ? &plain[k] : set == 1 ? &handled[k] : set == 2 ? &sampled[k] : &second_level[k]) = (struct ttap_name){texts[i], 0};
    }
}

static void start_emitters(pthread_t threads[EMITTERS + 1])
{
    signal_storm_handle(SIGUSR1, first_handler);
    signal_storm_handle(SIGUSR2, second_handler);
    for (uintptr_t i = 0; i < EMITTERS; i++)
        pthread_create(&threads[i], NULL, emit, (void *)i);
    pthread_create(&threads[EMITTERS], NULL, bear_and_bury, NULL);
}

int main(void)
{
    uint64_t deadline_ns = stress_deadline_ns(20);
    pthread_t threads[EMITTERS + 1];
    bool exact = !ttap_budget_set(1u << 20);
    name_tiles();
    start_emitters(threads);
    for (unsigned round = 0; exact && stress_now_ns() < deadline_ns; round++) {
        struct listener one, two;
        if (!begin(&one, 0, TTAP_GROUPS_ALL, "0.1", round % 3 ? 0 : 3000))
            return 2;
        if (round % 2)
            stress_nap_us(5000);
        if (!begin(&two, 1, TTAP_GROUP_COUNTER | TTAP_GROUP_REGION, round % 4 ? "0.05,work=0.2" : NULL, round % 5 ? 0 : 2000))
            return 2;
        stress_nap_us(10000 + round % 7 * 3000);
        exact = round % 2 ? finish(&one) & finish(&two) : finish(&two) & finish(&one);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i <= EMITTERS; i++)
        pthread_join(threads[i], NULL);
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    printf("%llu captures, %s: %llu delivered, %llu filtered, %llu lost, %llu sampled out\n", (unsigned long long)sums.captures,
           exact ? "all exact" : "one is not exact", (unsigned long long)sums.delivered, (unsigned long long)sums.filtered,
           (unsigned long long)status.lost, (unsigned long long)sums.sampled_out);
    return exact && sums.captures && status.lost ? 0 : 1;
}
