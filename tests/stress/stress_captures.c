/* stress_captures.c - ten thousand captures, of which many end badly, and the books of each are exact.
 *
 *   emitters          2 threads that count and do nothing else | 2 that work for tasks under signals of two levels | threads born and dying
 *   capturers         8 threads, each: open a window, let it end in some way, have the validator look at the bytes, again
 *   ways to end       its time is over, stopped, byte limit, client gone at a random byte, client stalls, kept without room, all stopped
 *
 * With 1 MiB for everything, so that chunks and queues run out. A capture must be exact, or, where its client left or a random piece of its
 * end is missing, right as far as it goes. What threads count themselves says the rest: of a thread that only counts, the window is
 * its calls from some that was made while it was opened to some that was made while it was closed, all of them delivered or in the
 * account; of a thread that lived within the window, it is all its calls.
 *
 * TTAP_STRESS_CAPTURES: how many. TTAP_STRESS_SEED: for the order of things, as far as threads allow.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "capture.h"
#include "recording.h"
#include "signal_storm.h"
#include "stress.h"

/* ThreadSanitizer is about twenty times slower, and what it looks for shows in few captures. */
#if defined(__SANITIZE_THREAD__)
enum { CAPTURES = 150 };
#elif defined(__SANITIZE_ADDRESS__)
enum { CAPTURES = 1000 };
#else
enum { CAPTURES = 10000 };
#endif

enum { COUNTERS = 2, WORKERS = 2, CAPTURERS = 8, LIVES = 256, CALLS_OF_A_LIFE = 20 };
enum { PREAMBLE_BYTES = 16 }; /* less is no capture */
enum { TILE_HANDLED = 100, TILE_IN_TASKS = 200, TILE_SECOND_LEVEL = 300, TILE_LIFE = 1000 };

static int stop;
static char texts[TILE_LIFE + LIVES][12];
static struct ttap_name tiles[TILE_LIFE + LIVES];

static struct ttap_name *tile(unsigned number)
{
    return &tiles[number];
}

static void name_tiles(void)
{
    for (unsigned i = 0; i < TILE_LIFE + LIVES; i++) {
        snprintf(texts[i], sizeof(texts[i]), "tile.%u", i);
        tiles[i].text = texts[i];
    }
}

static uint64_t random_below(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

/* ---- Who only counts: calls that have returned are told at once ---- */

static int64_t told[COUNTERS];

static void *count(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t random = me + 1;
    int64_t i = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        /* Mostly a little; now and then more than the budget holds. */
        uint64_t burst = random_below(&random, 100) ? 60 : 25000;
        for (uint64_t k = 0; k < burst; k++) {
            ttap_counter(tile(me), i++);
            __atomic_store_n(&told[me], i, __ATOMIC_SEQ_CST);
        }
        stress_nap_us(300);
    }
    return NULL;
}

/* ---- Who works for tasks, interrupted by signals that may interrupt each other. What a handler records goes to the thread's first stream, or,
 * inside an event, to its second; windows begin and end in one before the other, so each has tiles of its own ---- */

static __thread unsigned worker;
static __thread int64_t handled[2], handled_on_second_level[2];

static unsigned level_here(void)
{
    struct ttap__slot_stream *normal = ttap__tls->stream[0].shared;
    return normal && ttap__load(&normal->busy);
}

static void first_handler(int signo)
{
    unsigned level = level_here();
    (void)signo;
    for (int i = 0; i < 10; i++)
        ttap_counter(tile(TILE_HANDLED + 2 * worker + level), handled[level]++);
}

static void second_handler(int signo)
{
    unsigned level = level_here();
    (void)signo;
    ttap_counter(tile(TILE_SECOND_LEVEL + 2 * worker + level), handled_on_second_level[level]++);
}

static void work_for_a_task(int64_t *i)
{
    struct ttap_task task, before;
    if (*i % 3)
        TTAP_TASK_BEGIN(&task, "request", NULL);
    else
        TTAP_TASK_BEGIN(&task, "checkout", NULL);
    ttap_task_enter(&task, &before);
    TTAP_REGION_BEGIN("work");
    for (int k = 0; k < 3; k++)
        ttap_counter(tile(TILE_IN_TASKS + worker), (*i)++);
    TTAP_LOG("work", "some text", 9);
    TTAP_REGION_END("work");
    ttap_task_leave(&before);
    ttap_task_end(&task);
}

static void *work(void *arg)
{
    struct signal_storm first, second;
    int64_t i = 0;
    worker = (unsigned)(uintptr_t)arg;
    bool stormy = !signal_storm_start(&first, SIGUSR1, 1000) && !signal_storm_start(&second, SIGUSR2, 3000);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int k = 0; k < 10; k++)
            work_for_a_task(&i);
        stress_nap_us(500);
    }
    if (stormy) {
        signal_storm_stop(&second);
        signal_storm_stop(&first);
    }
    return NULL;
}

/* ---- Who is born and dies. Number n counts in tile.<1000 + n % 256>, which must not mean two threads in one window ---- */

static struct {
    uint64_t born_ns, died_ns; /* of the last one; just before the first and after the last call */
} lives[LIVES];
static uint64_t births;
static uint64_t births_at_open[CAPTURERS]; /* UINT64_MAX: no window */

static void *live(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;
    __atomic_store_n(&lives[n].died_ns, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&lives[n].born_ns, stress_now_ns(), __ATOMIC_SEQ_CST);
    for (int64_t i = 0; i < CALLS_OF_A_LIFE; i++)
        ttap_counter(tile(TILE_LIFE + n), i);
    __atomic_store_n(&lives[n].died_ns, stress_now_ns(), __ATOMIC_SEQ_CST);
    return NULL;
}

static bool is_name_free(uint64_t birth)
{
    for (int i = 0; i < CAPTURERS; i++) {
        uint64_t at_open = __atomic_load_n(&births_at_open[i], __ATOMIC_SEQ_CST);
        if (at_open != UINT64_MAX && birth - at_open >= LIVES - 4)
            return false;
    }
    return true;
}

static void *bear_and_bury(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_t threads[2];
        int made = 0;
        uint64_t n = __atomic_load_n(&births, __ATOMIC_SEQ_CST);
        while (made < 2 && is_name_free(n + (uint64_t)made) &&
               !pthread_create(&threads[made], NULL, live, (void *)(uintptr_t)((n + (uint64_t)made) % LIVES)))
            made++;
        __atomic_store_n(&births, n + (uint64_t)made, __ATOMIC_SEQ_CST);
        while (made)
            pthread_join(threads[--made], NULL);
        stress_nap_us(2000);
    }
    return arg;
}

/* ---- What is known of a window beside its bytes ---- */

struct window {
    unsigned char *bytes;
    size_t len, room;
    size_t gone_after; /* the client leaves at this byte; 0: it does not */
    unsigned stall_us; /* at each piece */
    int64_t before_open[COUNTERS], after_open[COUNTERS], before_stop[COUNTERS], after_stop[COUNTERS];
    uint64_t opened_ns, stopping_ns;
    bool whole; /* it was stopped, by us alone: what was called before is in it */
};

static void note(int64_t out[COUNTERS])
{
    for (int i = 0; i < COUNTERS; i++)
        out[i] = __atomic_load_n(&told[i], __ATOMIC_SEQ_CST);
}

static void about_to_open(struct window *w, unsigned me)
{
    __atomic_store_n(&births_at_open[me], __atomic_load_n(&births, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    note(w->before_open);
}

static void has_opened(struct window *w)
{
    note(w->after_open);
    w->opened_ns = stress_now_ns();
}

static void about_to_stop(struct window *w)
{
    w->stopping_ns = stress_now_ns();
    note(w->before_stop);
}

static void has_stopped(struct window *w, unsigned me)
{
    note(w->after_stop);
    __atomic_store_n(&births_at_open[me], UINT64_MAX, __ATOMIC_SEQ_CST);
}

static bool append(struct window *w, const void *bytes, size_t len)
{
    if (w->len + len > w->room) {
        size_t room = (w->len + len) * 2;
        unsigned char *bigger = realloc(w->bytes, room);
        if (!bigger)
            return false;
        w->bytes = bigger;
        w->room = room;
    }
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
    return true;
}

/* ---- The verdict ---- */

enum way { TIME_OVER, STOPPED, BYTE_LIMIT, CLIENT_GONE, CLIENT_STALLS, KEPT, ALL_STOPPED, CUT_AT_RANDOM, WAYS };
static const char *const way_names[WAYS] = {"time over",     "stopped", "byte limit",  "client gone",
                                            "client stalls", "kept",    "all stopped", "cut at random"};

static struct {
    uint64_t by_way[WAYS], wrong, refused;
    uint64_t exact, cut, delivered, filtered, sampled_out, lost[TTAP__LOSS_REASONS + 1], lost_in_all, whole_lives, bounded;
} sums;

static void add(uint64_t *sum, uint64_t n)
{
    __atomic_fetch_add(sum, n, __ATOMIC_RELAXED);
}

static bool complain(const struct window *w, const struct validation_tile *t, const char *what)
{
    (void)w;
    fprintf(stderr, "tile.%llu: %s: window %lld to %lld, %llu delivered\n", (unsigned long long)t->number, what, (long long)t->start_value,
            (long long)t->end_value, (unsigned long long)t->delivered);
    return false;
}

/* A call that was being made when we looked counts for either side. One that was late may be there twice: published, and counted because its
 * thread had not come out of it. */
static bool is_between_what_was_told(const struct window *w, const struct validation *v, const struct validation_tile *t)
{
    unsigned k = (unsigned)t->number;
    add(&sums.bounded, 1);
    if (t->start_value < w->before_open[k] || t->start_value > w->after_open[k] + 1)
        return complain(w, t, "the window does not begin with what was called when it was opened");
    if (t->end_value > w->after_stop[k] + 1 + (v->lost_by[TTAP__LOSS_LATE] != 0))
        return complain(w, t, "the window has more than was called");
    if (w->whole && v->end_reason == TTAP__END_STOPPED && t->end_value < w->before_stop[k])
        return complain(w, t, "what was called before the stop is not in the window");
    return true;
}

static bool is_a_life(const struct window *w, const struct validation *v, const struct validation_tile *t)
{
    uint64_t born_ns = __atomic_load_n(&lives[t->number - TILE_LIFE].born_ns, __ATOMIC_SEQ_CST);
    uint64_t died_ns = __atomic_load_n(&lives[t->number - TILE_LIFE].died_ns, __ATOMIC_SEQ_CST);
    if (t->start_value < 0 || t->end_value > CALLS_OF_A_LIFE)
        return complain(w, t, "a short life has more than was called");
    if (!w->whole || v->end_reason != TTAP__END_STOPPED || born_ns < w->opened_ns || !died_ns || died_ns > w->stopping_ns)
        return true;
    add(&sums.whole_lives, 1);
    return (t->start_value == 0 && t->end_value == CALLS_OF_A_LIFE) || complain(w, t, "a life within the window is not whole");
}

static bool tiles_are_right(const struct window *w, const struct validation *v)
{
    for (size_t i = 0; i < v->tile_count; i++) {
        const struct validation_tile *t = &v->tiles[i];
        bool pure = t->pure && t->told && v->verdict == VALIDATION_EXACT;
        if (!t->covered || t->duplicates || t->order_violations)
            return complain(w, t, "holes, or something twice, or in the wrong order");
        if (pure && t->number < COUNTERS && !is_between_what_was_told(w, v, t))
            return false;
        if (pure && t->number >= TILE_LIFE && !is_a_life(w, v, t))
            return false;
    }
    return true;
}

/* A handler's counter looks alone in its stream where all that the others counted there is lost. */
static bool seems_invented(const struct validation *v)
{
    unsigned tile_number;
    return !strcmp(v->rule, "tile-invented") && sscanf(v->sentence, "tile.%u:", &tile_number) == 1 && tile_number >= TILE_HANDLED &&
           tile_number < TILE_LIFE;
}

/* True: the verdict is @expected (a capture whose client left may be whole by chance), and what threads say agrees. */
static bool is_right(const struct window *w, size_t len, int expected)
{
    struct validation v;
    int verdict = validate_capture(w->bytes, len, &v);
    bool right = (!verdict || verdict == expected || seems_invented(&v)) && tiles_are_right(w, &v);
    if (!right)
        fprintf(stderr, "capture of %zu bytes: %d %s: %s\n", len, verdict, v.rule, v.sentence);
    add(verdict ? &sums.cut : &sums.exact, 1);
    add(&sums.delivered, v.delivered);
    add(&sums.filtered, v.filtered);
    add(&sums.sampled_out, v.sampled_out);
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        add(&sums.lost[i], v.lost_by[i]);
    add(&sums.lost_in_all, v.lost);
    validation_free(&v);
    return right;
}

/* ---- One capture in each way ---- */

static int take(void *arg, const void *bytes, size_t len)
{
    struct window *w = arg;
    bool gone = w->gone_after && w->len + len >= w->gone_after;
    if (gone)
        len = w->gone_after - w->len; /* what it got before it left */
    if (!append(w, bytes, len))
        return -ENOMEM;
    if (w->stall_us)
        stress_nap_us(w->stall_us);
    return gone ? -EPIPE : 0;
}

static const uint64_t wished_groups[] = {TTAP_GROUPS_ALL, TTAP_GROUPS_ALL, TTAP_GROUP_COUNTER, TTAP_GROUP_COUNTER | TTAP_GROUP_REGION,
                                         TTAP_GROUP_TASK | TTAP_GROUP_LOG};
static const char *const wished_rates[] = {NULL, "0.1", "0.1", "0.05,checkout=1", "0"};

static bool stream(struct window *w, unsigned me, enum way way, uint64_t *random)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    unsigned open_us = 500 + (unsigned)random_below(random, 6000);
    opts.duration_ns = way == TIME_OVER ? open_us * UINT64_C(1000) : 0;
    opts.groups = wished_groups[random_below(random, 5)];
    opts.sample = wished_rates[random_below(random, 5)];
    opts.max_bytes = way == BYTE_LIMIT ? 4096 + random_below(random, 60000) : 0;
    w->gone_after = way == CLIENT_GONE ? PREAMBLE_BYTES + random_below(random, 60000) : 0;
    w->stall_us = way == CLIENT_STALLS ? 5000 + (unsigned)random_below(random, 20000) : 0;
    w->whole = way == STOPPED || way == CLIENT_STALLS || way == CUT_AT_RANDOM;
    about_to_open(w, me);
    int error = ttap_capture_start(&opts, take, w, &capture);
    if (error) {
        fprintf(stderr, "start: %d\n", error);
        return false;
    }
    has_opened(w);
    stress_nap_us(way == TIME_OVER ? open_us + 1000 : way == CLIENT_STALLS ? 3 * open_us : open_us);
    about_to_stop(w);
    if (way == ALL_STOPPED)
        ttap__captures_stop_all();
    int result = ttap_capture_stop(capture);
    has_stopped(w, me);
    if (result && !(way == CLIENT_GONE && result == -EPIPE)) {
        fprintf(stderr, "stop: %d\n", result);
        return false;
    }
    return is_right(w, w->len, way == CLIENT_GONE ? -ENODATA : 0);
}

/* A kept capture finds room by pushing others out, or ends when there is none; others read theirs meanwhile. */
static bool keep(struct window *w, unsigned me, uint64_t *random)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    unsigned char piece[4096];
    uint64_t id;
    opts.groups = wished_groups[random_below(random, 5)];
    opts.sample = wished_rates[random_below(random, 5)];
    w->whole = true;
    about_to_open(w, me);
    int error = ttap__kept_start(&opts, &id);
    if (error) {
        has_stopped(w, me);
        add(&sums.refused, 1);
        return error == -ENOSPC;
    }
    struct ttap__kept *kept = ttap__kept_get(id);
    has_opened(w);
    stress_nap_us(500 + (unsigned)random_below(random, 6000));
    about_to_stop(w);
    if (!kept) /* pushed out before we had it: only one that was over already */
        return has_stopped(w, me), true;
    struct ttap__sub *sub = ttap__kept_sub(kept);
    ttap__sub_stop(sub, TTAP__END_STOPPED);
    while (ttap__sub_state(sub) == TTAP__SUB_RECORDING)
        stress_nap_us(200);
    has_stopped(w, me);
    for (size_t n; (n = ttap__sub_peek(sub, w->len, piece, sizeof(piece)));)
        if (!append(w, piece, n))
            return false;
    ttap__kept_put(kept);
    return is_right(w, w->len, 0);
}

static bool one_capture(unsigned me, enum way way, uint64_t *random)
{
    struct window w = {0};
    bool right = way == KEPT ? keep(&w, me, random) : stream(&w, me, way, random);
    if (right && way == CUT_AT_RANDOM) { /* its end is missing: what is left must be right, and known to be cut */
        size_t len = PREAMBLE_BYTES + random_below(random, w.len - PREAMBLE_BYTES);
        right = is_right(&w, len, -ENODATA);
    }
    free(w.bytes);
    add(&sums.by_way[way], 1);
    if (!right)
        fprintf(stderr, "this was one that ended so: %s\n", way_names[way]);
    return right;
}

static enum way any_way(uint64_t *random)
{
    static const enum way often[] = {TIME_OVER, STOPPED, STOPPED, BYTE_LIMIT, CLIENT_GONE, CLIENT_GONE, KEPT, CUT_AT_RANDOM};
    uint64_t dice = random_below(random, 400);
    if (dice < 4)
        return ALL_STOPPED;
    return dice < 20 ? CLIENT_STALLS : often[dice % 8];
}

static uint64_t begun, wanted, seed;

static void *capture_again_and_again(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t random = (seed + me + 1) * UINT64_C(0x9e3779b97f4a7c15);
    ttap__thread_is_own();
    while (__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED) < wanted && !__atomic_load_n(&sums.wrong, __ATOMIC_RELAXED))
        if (!one_capture(me, any_way(&random), &random))
            add(&sums.wrong, 1);
    return NULL;
}

/* ---- All of it ---- */

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t captures_made(void)
{
    uint64_t made = 0;
    for (int i = 0; i < WAYS; i++)
        made += sums.by_way[i];
    return made - sums.refused;
}

static void print_sums(double seconds)
{
    printf("%llu captures in %.1f s, seed %llu: %llu times exact, %llu times cut and right as far as it goes, %llu wrong\n",
           (unsigned long long)captures_made(), seconds, (unsigned long long)seed, (unsigned long long)sums.exact, (unsigned long long)sums.cut,
           (unsigned long long)sums.wrong);
    for (int i = 0; i < WAYS; i++)
        printf("%s%llu %s", i ? ", " : "  ", (unsigned long long)sums.by_way[i], way_names[i]);
    printf(
        "; %llu kept refused\n  %llu delivered, %llu filtered, %llu sampled out; lost: %llu full, %llu nested, %llu queue, %llu late, %llu stall\n",
        (unsigned long long)sums.refused, (unsigned long long)sums.delivered, (unsigned long long)sums.filtered, (unsigned long long)sums.sampled_out,
        (unsigned long long)sums.lost[1], (unsigned long long)sums.lost[2], (unsigned long long)sums.lost[3], (unsigned long long)sums.lost[4],
        (unsigned long long)sums.lost[5]);
    printf("  %llu windows of threads compared with what these told, %llu whole lives of %llu births\n", (unsigned long long)sums.bounded,
           (unsigned long long)sums.whole_lives, (unsigned long long)__atomic_load_n(&births, __ATOMIC_RELAXED));
}

/* Else the run showed less than it says. */
static bool has_shown_everything(void)
{
    bool all = sums.lost[TTAP__LOSS_FULL] && sums.lost[TTAP__LOSS_QUEUE] && sums.filtered && sums.sampled_out && sums.bounded && sums.whole_lives &&
               sums.cut;
    for (int i = 0; i < WAYS; i++)
        all = all && (sums.by_way[i] || wanted < 400);
    if (!all)
        printf("something never happened\n");
    return all;
}

int main(void)
{
    pthread_t emitters[COUNTERS + WORKERS + 1], capturers[CAPTURERS];
    unsigned emitting = 0;
    wanted = number_of("TTAP_STRESS_CAPTURES", CAPTURES);
    seed = number_of("TTAP_STRESS_SEED", 1);
    name_tiles();
    ttap_name("first"); /* the engine's tables exist before its threads */
    memset(births_at_open, 0xff, sizeof(births_at_open));
    if (ttap_budget_set(1u << 20) || ttap__captures_max_set(CAPTURERS + 1))
        return 2;
    signal_storm_handle(SIGUSR1, first_handler);
    signal_storm_handle(SIGUSR2, second_handler);
    for (uintptr_t i = 0; i < COUNTERS; i++)
        pthread_create(&emitters[emitting++], NULL, count, (void *)i);
    for (uintptr_t i = 0; i < WORKERS; i++)
        pthread_create(&emitters[emitting++], NULL, work, (void *)i);
    pthread_create(&emitters[emitting++], NULL, bear_and_bury, NULL);
    uint64_t begun_ns = stress_now_ns();
    for (uintptr_t i = 0; i < CAPTURERS; i++)
        pthread_create(&capturers[i], NULL, capture_again_and_again, (void *)i);
    for (int i = 0; i < CAPTURERS; i++)
        pthread_join(capturers[i], NULL);
    print_sums((double)(stress_now_ns() - begun_ns) / 1e9);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    while (emitting)
        pthread_join(emitters[--emitting], NULL);
    return !sums.wrong && captures_made() + sums.refused >= wanted && has_shown_everything() ? 0 : 1;
}
