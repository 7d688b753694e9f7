/* test_limits.c - how many root tasks a second are kept: decided at the root, the same for the whole tree, counted like all sampling leaves out.
 *
 * A limit's bucket holds a second's worth. So of a burst exactly that many are kept, plus those whose tokens come while it lasts; tests allow
 * for the time they measured. */
#include <math.h>
#include <string.h>

#include "arena.h"
#include "subs.h"

static struct recording r;

static void set(const char *rule)
{
    CU_ASSERT_FATAL(ttap_sampling_set(rule) == 0);
}

static uint64_t begin_roots(const char *kind, int count)
{
    struct ttap_name name = {kind, 0};
    uint64_t kept = 0;
    for (int i = 0; i < count; i++) {
        struct ttap_task task;
        ttap_task_begin(&task, &name, NULL);
        kept += task.draw != TTAP__DRAW_NEVER;
        ttap_task_end(&task);
    }
    return kept;
}

/* @kept of a burst that took from @begun_ns to now, with @limit a second. */
static void is_limited_to(uint64_t kept, uint64_t limit, uint64_t begun_ns)
{
    uint64_t most = limit + (uint64_t)ceil((double)(now_ns() - begun_ns) * 1.01e-9 * (double)limit) + 1;
    CU_ASSERT(kept >= limit && kept <= most);
    if (kept < limit || kept > most)
        fprintf(stderr, "    %llu kept, %llu to %llu expected\n", (unsigned long long)kept, (unsigned long long)limit, (unsigned long long)most);
}

static void of_a_burst_a_seconds_worth_is_kept_and_the_rest_counted(void)
{
    set("1/50");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    uint64_t begun_ns = now_ns();
    uint64_t kept = begin_roots("burst", 5000);
    is_limited_to(kept, 50, begun_ns);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "burst") == kept && recording_count(&r, TTAP__TASK_END, "burst") == kept);
    CU_ASSERT(r.sampled_out == 2 * (5000 - kept)); /* begin and end of each */
    recording_free(&r);
    set("");
}

static void tokens_come_back_with_time(void)
{
    set("1/100");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    uint64_t begun_ns = now_ns();
    uint64_t first = begin_roots("steady", 1000);
    nap_ms(500);
    uint64_t pause_ns = now_ns() - begun_ns;
    uint64_t second = begin_roots("steady", 1000);
    CU_ASSERT(first >= 100 && second >= 49 && first + second <= 102 + (uint64_t)((double)(pause_ns + 1000000000) * 1.01e-7));
    is_limited_to(first + second, 100, begun_ns);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
    set("");
}

static void each_kind_has_a_bucket_of_its_own(void)
{
    set("1/30,wide=1/300,free=1,none=0/10");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    uint64_t begun_ns = now_ns();
    is_limited_to(begin_roots("one", 2000), 30, begun_ns);
    is_limited_to(begin_roots("two", 2000), 30, begun_ns);
    is_limited_to(begin_roots("wide", 2000), 300, begun_ns);
    CU_ASSERT(begin_roots("free", 2000) == 2000);
    begin_roots("none", 2000);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "free") == 2000 && recording_count(&r, TTAP__TASK_BEGIN, "none") == 0);
    recording_free(&r);
    set("");
}

/* A rate of 0.1 first, then the limit: what the rate leaves out takes no token. */
static void only_what_the_rate_keeps_takes_a_token(void)
{
    set("0.1/400");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    begin_roots("rare", 2000);
    CU_ASSERT(recording_stop(&r));
    size_t kept = recording_count(&r, TTAP__TASK_BEGIN, "rare");
    CU_ASSERT(kept > 120 && kept < 290); /* 200 expected, 6 sigma is 80; with tokens for all it would be about 40 */
    recording_free(&r);
    set("");
}

/* ---- The whole tree ---- */

static void *work_elsewhere(void *arg)
{
    struct ttap_task child, before;
    TTAP_TASK_BEGIN(&child, "grandchild", arg);
    ttap_task_enter(&child, &before);
    TTAP_INSTANT("elsewhere");
    ttap_task_leave(&before);
    ttap_task_end(&child);
    return NULL;
}

static void a_tree_is_kept_or_left_out_as_a_whole_on_every_thread(void)
{
    enum { TREES = 200 };
    size_t roots = 0;
    set("1/20");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    for (int i = 0; i < TREES; i++) {
        struct ttap_task root, child, before;
        pthread_t thread;
        char sent[TTAP_TRACEPARENT_BYTES];
        if (i % 2)
            ttap_task_begin_remote(&root, &(struct ttap_name)TTAP_NAME_INIT("remote"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        else
            TTAP_TASK_BEGIN(&root, "local", NULL);
        ttap_task_enter(&root, &before);
        TTAP_INSTANT("in root");
        TTAP_TASK_BEGIN(&child, "child", &root);
        CU_ASSERT_FATAL(pthread_create(&thread, NULL, work_elsewhere, &child) == 0);
        pthread_join(thread, NULL);
        ttap_task_traceparent(&root, sent);
        roots += root.draw != TTAP__DRAW_NEVER;
        CU_ASSERT(sent[54] == (root.draw != TTAP__DRAW_NEVER ? '1' : '0')); /* and says so to others */
        ttap_task_end(&child);
        ttap_task_leave(&before);
        ttap_task_end(&root);
    }
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(roots >= 40 && roots < TREES);
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "in root") == roots && recording_count(&r, TTAP__INSTANT, "elsewhere") == roots);
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "child") == roots && recording_count(&r, TTAP__TASK_BEGIN, "grandchild") == roots);
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "local") + recording_count(&r, TTAP__TASK_BEGIN, "remote") == roots);
    CU_ASSERT(recording_count(&r, TTAP__TASK_END, NULL) == 3 * roots);
    recording_free(&r);
    set("");
}

/* One decision for all listeners, so the smaller rate still keeps a part of what the larger does. */
static void several_listeners_share_the_limit(void)
{
    struct recording few, many;
    set("1/100");
    struct ttap__sub *one = open_sub(TTAP_GROUPS_ALL, "0.5"), *two = open_sub(TTAP_GROUPS_ALL, "1");
    uint64_t begun_ns = now_ns();
    uint64_t kept = begin_roots("shared", 3000);
    is_limited_to(kept, 100, begun_ns);
    CU_ASSERT(finish_sub(one, &few) && finish_sub(two, &many));
    size_t in_few = recording_count(&few, TTAP__TASK_BEGIN, NULL), in_many = recording_count(&many, TTAP__TASK_BEGIN, NULL);
    CU_ASSERT(in_many == kept && in_few < in_many && in_few > in_many / 5);
    recording_free(&few);
    recording_free(&many);
    set("");
}

static void a_new_limit_applies_at_once_and_without_one_all_are_kept(void)
{
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    CU_ASSERT(begin_roots("changing", 1000) == 1000);
    set("1,changing=1/10");
    uint64_t begun_ns = now_ns();
    is_limited_to(begin_roots("changing", 1000), 10, begun_ns);
    set("1");
    CU_ASSERT(begin_roots("changing", 1000) == 1000);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
}

static void tasks_that_begin_while_nobody_listens_take_no_token(void)
{
    set("1/10");
    CU_ASSERT(begin_roots("early", 1000) == 1000);
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    uint64_t begun_ns = now_ns();
    is_limited_to(begin_roots("early", 1000), 10, begun_ns);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
    set("");
}

/* Each token is taken once, whoever races for it. */
enum { RACERS = 4 };

static void *race(void *kept)
{
    *(uint64_t *)kept = begin_roots("raced", 3000);
    return NULL;
}

static void threads_that_race_for_tokens_get_each_of_them_once(void)
{
    pthread_t racers[RACERS];
    uint64_t kept[RACERS], sum = 0;
    set("1/200");
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    uint64_t begun_ns = now_ns();
    for (int i = 0; i < RACERS; i++)
        pthread_create(&racers[i], NULL, race, &kept[i]);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i], NULL);
        sum += kept[i];
    }
    is_limited_to(sum, 200, begun_ns);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__TASK_BEGIN, "raced") == sum);
    recording_free(&r);
    set("");
}

static CU_TestInfo statements[] = {
    {"of a burst a second's worth is kept and the rest counted", of_a_burst_a_seconds_worth_is_kept_and_the_rest_counted},
    {"tokens come back with time", tokens_come_back_with_time},
    {"each kind has a bucket of its own", each_kind_has_a_bucket_of_its_own},
    {"only what the rate keeps takes a token", only_what_the_rate_keeps_takes_a_token},
    {"a tree is kept or left out as a whole on every thread", a_tree_is_kept_or_left_out_as_a_whole_on_every_thread},
    {"several listeners share the limit", several_listeners_share_the_limit},
    {"a new limit applies at once and without one all are kept", a_new_limit_applies_at_once_and_without_one_all_are_kept},
    {"tasks that begin while nobody listens take no token", tasks_that_begin_while_nobody_listens_take_no_token},
    {"threads that race for tokens get each of them once", threads_that_race_for_tokens_get_each_of_them_once},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
