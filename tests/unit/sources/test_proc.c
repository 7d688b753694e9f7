/* test_proc.c - what /proc says of threads, read whatever they call themselves and whatever they do. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

struct sleeper {
    pthread_t thread;
    const char *name;
    int pipe[2], tid;
};

static void *sleep_in_read(void *arg)
{
    struct sleeper *s = arg;
    char byte;
    prctl(PR_SET_NAME, s->name, 0, 0, 0);
    __atomic_store_n(&s->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    return read(s->pipe[0], &byte, 1) == 1 ? arg : NULL;
}

static void sleeper_start(struct sleeper *s, const char *name)
{
    char letter = 0;
    *s = (struct sleeper){.name = name};
    CU_ASSERT_FATAL(pipe(s->pipe) == 0 && pthread_create(&s->thread, NULL, sleep_in_read, s) == 0);
    while (!__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE))
        usleep(1000);
    for (int tries = 0; tries < 10000 && letter != 'S'; tries++) {
        usleep(1000);
        ttap__proc_state(getpid(), s->tid, &letter);
    }
}

static void sleeper_stop(struct sleeper *s)
{
    CU_ASSERT(write(s->pipe[1], "x", 1) == 1);
    pthread_join(s->thread, NULL);
    close(s->pipe[0]);
    close(s->pipe[1]);
}

static void a_name_may_look_like_the_fields_behind_it(void)
{
    static const char *const names[] = {"plain", ") R 1 2 (", "a) Z (b", "))))", "(((", "\xff\xfe) R", " "};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sleeper s;
        char letter = 0;
        sleeper_start(&s, names[i]);
        CU_ASSERT(ttap__proc_state(getpid(), s.tid, &letter));
        CU_ASSERT_EQUAL(letter, 'S');
        sleeper_stop(&s);
    }
}

static void the_call_of_a_sleeper_is_told(void)
{
    struct sleeper s;
    sleeper_start(&s, "sleeper");
    long call = ttap__proc_call(getpid(), s.tid);
    CU_ASSERT(call == SYS_read || call == TTAP__CALL_UNKNOWN);
    CU_ASSERT_EQUAL(ttap__proc_call(getpid(), (int)syscall(SYS_gettid)) >= TTAP__CALL_UNKNOWN, 1);
    sleeper_stop(&s);
}

static void totals_rise_with_what_the_thread_does(void)
{
    struct ttap__proc_totals before, after;
    int tid = (int)syscall(SYS_gettid);
    CU_ASSERT_FATAL(ttap__proc_totals(getpid(), tid, &before));
    struct timespec ts;
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    while ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec < before.run_ns + 50000000u);
    usleep(1000);
    CU_ASSERT(ttap__proc_totals(getpid(), tid, &after));
    CU_ASSERT(after.run_ns >= before.run_ns + 30000000u && after.slices > before.slices && after.wait_ns >= before.wait_ns);
}

static void count_thread(void *arg, int tid)
{
    CU_ASSERT(tid > 0);
    ++*(int *)arg;
}

static void all_threads_are_listed(void)
{
    enum { SLEEPERS = 300 }; /* more than one read of the directory takes */
    static struct sleeper sleepers[SLEEPERS];
    int others = 0, seen = 0;
    CU_ASSERT(ttap__proc_threads(getpid(), count_thread, &others) >= 1); /* we, and what a sanitizer started */
    for (int i = 0; i < SLEEPERS; i++)
        sleeper_start(&sleepers[i], "many");
    CU_ASSERT_EQUAL(ttap__proc_threads(getpid(), count_thread, &seen), SLEEPERS + others);
    CU_ASSERT_EQUAL(seen, SLEEPERS + others);
    for (int i = 0; i < SLEEPERS; i++)
        sleeper_stop(&sleepers[i]);
}

static void who_does_not_exist_is_gone(void)
{
    struct ttap__proc_totals totals;
    char letter;
    int unused = 0;
    CU_ASSERT_FALSE(ttap__proc_totals(getpid(), 0x7ffffffe, &totals));
    CU_ASSERT_FALSE(ttap__proc_state(getpid(), 0x7ffffffe, &letter));
    CU_ASSERT_EQUAL(ttap__proc_call(getpid(), 0x7ffffffe), TTAP__CALL_UNKNOWN);
    CU_ASSERT_EQUAL(ttap__proc_threads(0x7ffffffe, count_thread, &unused), -1);
}

static void a_number_is_read_or_another_taken(void)
{
    static const struct {
        const char *text;
        long number;
    } cases[] = {{"2\n", 2}, {"-1\n", -1}, {"4 5", 4}, {"", 77}, {"x3", 77}, {"-", 77}, {"\n2", 77}};
    char path[] = "/tmp/ttap-number-XXXXXX";
    int fd = mkstemp(path);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, cases[i].text, strlen(cases[i].text), 0) == (ssize_t)strlen(cases[i].text));
        CU_ASSERT_EQUAL(ttap__proc_number(path, 77), cases[i].number);
    }
    close(fd);
    unlink(path);
    CU_ASSERT_EQUAL(ttap__proc_number(path, 77), 77);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("proc", NULL, NULL);
    CU_ADD_TEST(suite, a_name_may_look_like_the_fields_behind_it);
    CU_ADD_TEST(suite, the_call_of_a_sleeper_is_told);
    CU_ADD_TEST(suite, totals_rise_with_what_the_thread_does);
    CU_ADD_TEST(suite, all_threads_are_listed);
    CU_ADD_TEST(suite, who_does_not_exist_is_gone);
    CU_ADD_TEST(suite, a_number_is_read_or_another_taken);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
