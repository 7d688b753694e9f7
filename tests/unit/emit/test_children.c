/* test_children.c - fork, raw clone, vfork, posix_spawn: the child is silent until it captures for itself, the parent does not notice. */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recording.h"
#include "statements.h"

extern char **environ;

static struct recording r;
static struct ttap_name parents = TTAP_NAME_INIT("tile.1"), childs = TTAP_NAME_INIT("child");
static volatile int64_t told;

static void start(void)
{
    told = 0;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
}

static void emit(int count)
{
    for (int i = 0; i < count; i++)
        ttap_counter(&parents, told++);
}

/* Only what the parent told, all of it, on one thread. */
static void the_parent_is_whole(void)
{
    CU_ASSERT(recording_stop(&r));
    const struct validation_tile *tile = validation_tile(&r.check, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tile);
    CU_ASSERT((int64_t)tile->delivered == told && tile->missing == 0 && recording_lost(&r) == 0);
    CU_ASSERT(recording_count(&r, 0, "child") == 0);
    CU_ASSERT((int64_t)r.events_count == told);
    recording_free(&r);
}

static void child_succeeds(pid_t child)
{
    int status = -1;
    CU_ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_forked_child_is_silent_and_the_parent_is_whole(void)
{
    start();
    emit(1000);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        if (TTAP_ENABLED(TTAP_GROUPS_ALL))
            _exit(1);
        for (int i = 0; i < 100000; i++)
            ttap_counter(&childs, i);
        struct ttap_status status = {.size = sizeof(status)};
        ttap_status_get(&status);
        _exit(status.captures || status.chunks_live || status.groups ? 2 : 0);
    }
    emit(1000);
    child_succeeds(child);
    the_parent_is_whole();
}

static int capture_in_child(void)
{
    struct recording mine;
    struct ttap_task task;
    if (recording_start(&mine, NULL))
        return 3;
    for (int i = 0; i < 5000; i++)
        ttap_counter(&childs, i);
    TTAP_TASK_BEGIN(&task, "child", NULL);
    bool exact = recording_stop(&mine);
    bool whole = recording_count(&mine, TTAP__COUNTER, "child") == 5000 && recording_count(&mine, TTAP__TASK_BEGIN, "child") == 1;
    return !exact ? 4 : !whole ? 5 : mine.pid != (uint64_t)getpid() ? 6 : mine.threads_count != 1 ? 7 : 0;
}

static void a_forked_child_can_capture_by_itself_while_the_parent_does(void)
{
    NOT_UNDER_TSAN("it forbids threads in the child of a process with threads");
    NOT_UNDER_ASAN("its allocator's lock is copied locked into a child");
    for (int round = 0; round < 5; round++) {
        start();
        emit(100);
        pid_t child = fork();
        if (!child)
            _exit(capture_in_child());
        emit(100);
        child_succeeds(child);
        the_parent_is_whole();
    }
}

static void a_grandchild_can_too(void)
{
    NOT_UNDER_TSAN("it forbids threads in the child of a process with threads");
    NOT_UNDER_ASAN("its allocator's lock is copied locked into a child");
    start();
    emit(10);
    pid_t child = fork();
    if (!child) {
        struct recording mine;
        if (recording_start(&mine, NULL))
            _exit(1);
        TTAP_INSTANT("child");
        pid_t grandchild = fork();
        if (!grandchild)
            _exit(capture_in_child());
        int status = -1;
        waitpid(grandchild, &status, 0);
        _exit(recording_stop(&mine) && mine.events_count == 1 ? (WIFEXITED(status) ? WEXITSTATUS(status) : 9) : 8);
    }
    child_succeeds(child);
    the_parent_is_whole();
}

static _Atomic int stop_emitting;

static void *emit_all_the_time(void *arg)
{
    static struct ttap_name name = TTAP_NAME_INIT("other thread");
    while (!stop_emitting) {
        ttap_instant(&name);
        for (volatile int i = 0; i < 2000; i++)
            ;
    }
    return arg;
}

/* The other thread may be anywhere in an event, or in a lock, when the child is made. */
static void forks_from_a_busy_process_do_not_hang(void)
{
    NOT_UNDER_TSAN("it forbids threads in the child of a process with threads");
    NOT_UNDER_ASAN("its allocator's lock is copied locked into a child");
    pthread_t threads[4];
    stop_emitting = 0;
    start();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, emit_all_the_time, NULL);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (!child)
            _exit(i % 10 ? 0 : capture_in_child());
        child_succeeds(child);
    }
    stop_emitting = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
}

static void a_raw_clones_child_is_silent(void)
{
    start();
    emit(100);
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (!child) {
        struct ttap_task task, now; /* no handler of pthread_atfork ran: the gate is still open here */
        for (int i = 0; i < 1000000; i++)
            ttap_counter(&childs, i);
        TTAP_TASK_BEGIN(&task, "child", NULL);
        ttap_task_enter(&task, NULL);
        ttap_task_current(&now);
        ttap_task_fail(&task, 1, "child");
        ttap_thread_name("child");
        syscall(SYS_exit_group, task.id ? 0 : 1);
    }
    emit(100);
    child_succeeds((pid_t)child);
    the_parent_is_whole();
}

/* vfork's child runs in the parent's memory as the parent's thread: what it tells is the parent's, and nothing is torn. */
static void a_vforked_child_leaves_the_parent_exact(void)
{
    NOT_UNDER_TSAN("it turns vfork into fork");
    start();
    emit(100);
    for (int i = 0; i < 50; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        pid_t child = vfork();
#pragma GCC diagnostic pop
        if (!child) {
            ttap_counter(&parents, told++);
            _exit(0);
        }
        child_succeeds(child);
    }
    emit(100);
    CU_ASSERT(told == 250);
    the_parent_is_whole();
}

static void spawned_programs_leave_the_parent_exact(void)
{
    char *const argv[] = {"true", NULL};
    start();
    for (int i = 0; i < 20; i++) {
        pid_t child = -1;
        emit(50);
        CU_ASSERT(posix_spawnp(&child, "true", NULL, NULL, argv, environ) == 0);
        emit(50);
        child_succeeds(child);
    }
    the_parent_is_whole();
}

static CU_TestInfo statements[] = {
    {"a forked child is silent and the parent is whole", a_forked_child_is_silent_and_the_parent_is_whole},
    {"a forked child can capture by itself while the parent does", a_forked_child_can_capture_by_itself_while_the_parent_does},
    {"a grandchild can too", a_grandchild_can_too},
    {"forks from a busy process do not hang", forks_from_a_busy_process_do_not_hang},
    {"a raw clone's child is silent", a_raw_clones_child_is_silent},
    {"a vforked child leaves the parent exact", a_vforked_child_leaves_the_parent_exact},
    {"spawned programs leave the parent exact", spawned_programs_leave_the_parent_exact},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
