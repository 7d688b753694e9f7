/* forks.c - ten thousand children of a process that records: TTAP_FORKS changes how many.
 *
 *   four emitters, one capture that must be exact        the main thread forks, one child after the other:
 *                                                        annotate | exec | capture by itself | stop the parent's capture | raw clone | spawn
 *
 * A child that takes longer than a second is one that hangs: it is named and ended. Whatever lock another thread held when the process
 * was copied is held for ever in the child.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "recording.h"

extern char **environ;

/* A capture ends after so many forks or so long: on a busy machine it would hold ever more events, whose pages make each fork slower. */
enum { EMITTERS = 4, PER_CAPTURE = 500, CAPTURE_MS = 1000 };

/* Ten thousand take 20 s. A machine so busy that they take ten times as long stops where it is: what is told at the end is how many there were. */
enum { ENOUGH_MS = 200000 };

#if defined(__SANITIZE_THREAD__)
enum { FORKS = 50, MAY_CAPTURE = 0, SLACK = 20 }; /* it forbids threads in such children */
#elif defined(__SANITIZE_ADDRESS__)
enum { FORKS = 300, MAY_CAPTURE = 0, SLACK = 20 }; /* its allocator's lock is copied locked */
#else
enum { FORKS = 10000, MAY_CAPTURE = 1, SLACK = 1 };
#endif

static int stop;
static int64_t told[EMITTERS];
static struct ttap_name tiles[EMITTERS] = {TTAP_NAME_INIT("tile.0"), TTAP_NAME_INIT("tile.1"), TTAP_NAME_INIT("tile.2"), TTAP_NAME_INIT("tile.3")};
static struct recording r;
static unsigned forks, hung, failed, slowest_ms;

static void *emit(void *arg)
{
    intptr_t me = (intptr_t)arg;
    struct timespec nap = {0, 100000};
    int64_t i = told[me];
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        TTAP_REGION("emit");
        ttap_counter(&tiles[me], i++);
        if (i % 100 == 0)
            nanosleep(&nap, NULL);
    }
    told[me] = i;
    return NULL;
}

static unsigned now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (unsigned)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

#if defined(__SANITIZE_THREAD__)
/* It does not know of a raw clone: threads of the parent that have ended and were not joined yet are leaks of the child for it. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}
#endif

/* ---- What children do; each returns its exit status ---- */

static int annotate(void)
{
    struct ttap_task task, now;
    for (int i = 0; i < 100; i++)
        TTAP_COUNTER("child", i);
    TTAP_TASK_BEGIN(&task, "child", NULL);
    ttap_task_enter(&task, NULL);
    ttap_task_current(&now);
    ttap_task_end(&task);
    return now.id != task.id;
}

/* No handler of fork() ran: it stays silent, and has no task. */
static int annotate_in_vain(void)
{
    annotate();
    return 0;
}

static int run_true(void)
{
    execlp("true", "true", (char *)NULL);
    return 9;
}

static int capture_by_itself(void)
{
    struct recording mine;
    if (!MAY_CAPTURE)
        return 0;
    if (recording_start(&mine, NULL))
        return 1;
    for (int i = 0; i < 2000; i++)
        TTAP_COUNTER("child", i);
    return !recording_stop(&mine) ? 2 : recording_count(&mine, TTAP__COUNTER, "child") != 2000;
}

/* As an exit handler of the parent's would. It waited for a thread that is not there. */
static int stop_the_parents_capture(void)
{
    return ttap_capture_stop(r.capture) != -ECHILD;
}

static const struct {
    const char *what;
    int (*child)(void);
    bool raw;
    unsigned one_in;
} children[] = {{"capture", capture_by_itself, false, 50},
                {"exec", run_true, false, 25},
                {"stop", stop_the_parents_capture, false, 10},
                {"raw clone", annotate_in_vain, true, 5},
                {"annotate", annotate, false, 1}};

static void await(pid_t child, const char *what)
{
    int status = -1, pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    unsigned begun = now_ms();
    if (poll(&ended, 1, 1000 * SLACK) == 0) {
        printf("a child hung: %s, number %u\n", what, forks);
        hung++;
        kill(child, SIGKILL);
    }
    close(pidfd);
    waitpid(child, &status, 0);
    unsigned took_ms = now_ms() - begun;
    slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
    if (status && !failed++)
        printf("%s, number %u: status %x\n", what, forks, (unsigned)status);
}

static void one_fork(void)
{
    unsigned which = 0;
    forks++;
    while (forks % children[which].one_in)
        which++;
    pid_t child = children[which].raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    if (!child)
        _exit(children[which].child());
    await(child, children[which].what);
}

static void one_spawn(void)
{
    char *const argv[] = {"true", NULL};
    pid_t child = -1;
    if (posix_spawnp(&child, "true", NULL, NULL, argv, environ))
        failed++;
    else
        await(child, "spawn");
}

/* What an emitter counted is in the capture or its losses; unless the drainer could not run for so long that the lease ended the window before: beside
 * other load a fork under ThreadSanitizer takes seconds, in which all threads stand still. */
static bool has_all_of(unsigned emitter)
{
    const struct validation_tile *tile = validation_tile(&r.check, emitter);
    if (!tile || !tile->covered)
        return false;
    return r.reason == TTAP__END_LEASE || (int64_t)tile->delivered + (int64_t)recording_lost(&r) >= told[emitter];
}

/* One capture of the parent's, exact, while children come and go. */
static bool parent_is_exact(unsigned count)
{
    pthread_t emitters[EMITTERS];
    stop = 0;
    memset(told, 0, sizeof(told));
    if (recording_start(&r, NULL))
        return false;
    for (intptr_t i = 0; i < EMITTERS; i++)
        pthread_create(&emitters[i], NULL, emit, (void *)i);
    unsigned begun = now_ms();
    for (unsigned i = 0; i < count && now_ms() - begun < CAPTURE_MS; i++)
        one_fork();
    one_spawn();
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < EMITTERS; i++)
        pthread_join(emitters[i], NULL);
    bool exact = recording_stop(&r);
    if (r.reason == TTAP__END_LEASE)
        printf("a window was ended by the lease\n");
    for (unsigned i = 0; i < EMITTERS; i++)
        exact &= has_all_of(i);
    exact &= recording_count(&r, 0, "child") == 0;
    recording_free(&r);
    return exact;
}

int main(void)
{
    const char *text = getenv("TTAP_FORKS");
    unsigned wanted = text ? (unsigned)strtoul(text, NULL, 10) : FORKS, wrong = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (unsigned begun = now_ms(); forks < wanted && (text || now_ms() - begun < ENOUGH_MS);)
        wrong += !parent_is_exact(wanted - forks < PER_CAPTURE ? wanted - forks : PER_CAPTURE);
    printf("%u forks, %u hung, slowest %u ms, %u failed, %u of the parent's captures wrong\n", forks, hung, slowest_ms, failed, wrong);
    return hung || failed || wrong ? 1 : 0;
}
