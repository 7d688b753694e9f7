/* sched_work.c - threads of known behaviour that measure themselves, captured by themselves.
 *
 *   sched_work MODES FILE [--no-perf] [--seconds S]      MODES: some of sleeps spin pair pingpong parked churn closing fork task, e.g. sleeps,spin
 *
 * closing: the program closes all descriptors it can see while it is recorded, and opens others. fork: a child captures its own sleeps into FILE.child.
 * task: one is begun 2 s before the capture and ends in it; the counters at_least_ns and at_most_ns say how long it was.
 *
 * Each measured stretch lies between the instants "begin" and "end" of its thread, followed by counters: wall_ns, cpu_ns (the thread's CPU
 * clock) and asleep_ns (time inside calls that sleep). So the capture carries what it is to be compared with. --no-perf: perf_event_open
 * is refused, as in a container. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tracetap/tracetap.h"

static struct ttap_name name_begin = TTAP_NAME_INIT("begin"), name_end = TTAP_NAME_INIT("end"), name_wall = TTAP_NAME_INIT("wall_ns"),
                        name_cpu = TTAP_NAME_INIT("cpu_ns"), name_asleep = TTAP_NAME_INIT("asleep_ns");

static uint64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct stretch {
    uint64_t wall_ns, cpu_ns, asleep_ns;
};

/* The CPU may be taken from the thread between its mark and its clocks, on a busy machine for milliseconds: then both are taken again. The last
 * mark counts. */
enum { MARK_TRIES = 100, MARK_NS = 20000 };

static void stretch_begin(struct stretch *s)
{
    *s = (struct stretch){0};
    uint64_t before_ns;
    int tries = 0;
    do {
        before_ns = now_ns(CLOCK_MONOTONIC);
        ttap_instant(&name_begin);
        s->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        s->wall_ns = now_ns(CLOCK_MONOTONIC);
    } while (s->wall_ns - before_ns > MARK_NS && ++tries < MARK_TRIES);
}

static void stretch_end(struct stretch *s)
{
    uint64_t wall_ns, cpu_ns;
    int tries = 0;
    do {
        wall_ns = now_ns(CLOCK_MONOTONIC);
        cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        ttap_instant(&name_end);
    } while (now_ns(CLOCK_MONOTONIC) - wall_ns > MARK_NS && ++tries < MARK_TRIES);
    s->wall_ns = wall_ns - s->wall_ns;
    s->cpu_ns = cpu_ns - s->cpu_ns;
    ttap_counter(&name_wall, (int64_t)s->wall_ns);
    ttap_counter(&name_cpu, (int64_t)s->cpu_ns);
    ttap_counter(&name_asleep, (int64_t)s->asleep_ns);
}

static void nap(uint64_t ns)
{
    struct timespec ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&ts, NULL);
}

static void spin(uint64_t ns)
{
    for (uint64_t until_ns = now_ns(CLOCK_MONOTONIC) + ns; now_ns(CLOCK_MONOTONIC) < until_ns;)
        ;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *sleeps(void *unused)
{
    struct stretch s;
    stretch_begin(&s);
    for (int i = 0; i < 15; i++) {
        uint64_t begin_ns = now_ns(CLOCK_MONOTONIC);
        nap(20000000);
        s.asleep_ns += now_ns(CLOCK_MONOTONIC) - begin_ns;
        spin(1000000);
    }
    stretch_end(&s);
    return unused;
}

static void *spins(void *unused)
{
    struct stretch s;
    stretch_begin(&s);
    spin(300000000);
    stretch_end(&s);
    return unused;
}

static void *spins_pinned(void *unused)
{
    pin(0);
    nap(1000000);
    return spins(unused);
}

struct pipes {
    int to[2], from[2];
};

enum { ROUNDS = 2000 };

static void *ping(void *arg)
{
    struct pipes *pipes = arg;
    struct stretch s;
    char byte = 0;
    stretch_begin(&s);
    for (int i = 0; i < ROUNDS; i++) {
        if (write(pipes->to[1], &byte, 1) != 1)
            abort();
        uint64_t begin_ns = now_ns(CLOCK_MONOTONIC);
        if (read(pipes->from[0], &byte, 1) != 1)
            abort();
        s.asleep_ns += now_ns(CLOCK_MONOTONIC) - begin_ns;
    }
    stretch_end(&s);
    return NULL;
}

static void *pong(void *arg)
{
    struct pipes *pipes = arg;
    struct stretch s;
    char byte;
    stretch_begin(&s);
    for (int i = 0; i < ROUNDS; i++)
        if (read(pipes->to[0], &byte, 1) != 1 || write(pipes->from[1], &byte, 1) != 1)
            abort();
    stretch_end(&s);
    return NULL;
}

/* ---- Parked since before the window ---- */

static pthread_mutex_t park_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_cond = PTHREAD_COND_INITIALIZER;
static int park_pipe[2], park_epoll;
static uint32_t park_futex;
static pthread_t park_joined;

static void *park_in_pause(void *unused)
{
    prctl(PR_SET_NAME, "park.pause", 0, 0, 0);
    pause();
    return unused;
}

static void *park(void *arg)
{
    static const char *const names[] = {"park.epoll", "park.cond", "park.futex", "park.read", "park.sleep", "park.join"};
    char byte;
    struct epoll_event event;
    int how = (int)(intptr_t)arg % 6;
    prctl(PR_SET_NAME, names[how], 0, 0, 0);
    switch (how) {
    case 0:
        epoll_wait(park_epoll, &event, 1, -1);
        break;
    case 1:
        pthread_mutex_lock(&park_mutex);
        pthread_cond_wait(&park_cond, &park_mutex);
        break;
    case 2:
        syscall(SYS_futex, &park_futex, FUTEX_WAIT, 0, NULL, NULL, 0);
        break;
    case 3:
        (void)!read(park_pipe[0], &byte, 1);
        break;
    case 4:
        nap(3600000000000u);
        break;
    default:
        pthread_join(park_joined, NULL);
        break;
    }
    return NULL;
}

static pthread_t started[256];
static unsigned started_count;

static void run(void *(*work)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 262144);
    if (pthread_create(&started[started_count++], &attr, work, arg))
        abort();
    pthread_attr_destroy(&attr);
}

static void park_50(void)
{
    if (pipe(park_pipe))
        abort();
    park_epoll = epoll_create1(0);
    pthread_create(&park_joined, NULL, park_in_pause, NULL);
    pthread_t thread;
    for (intptr_t i = 0; i < 48; i++)
        if ((i % 6 != 5 || i == 5) && pthread_create(&thread, NULL, park, (void *)i)) /* only one may join */
            abort();
    nap(100000000);
}

/* ---- Threads that come and go ---- */

static void *brief(void *unused)
{
    struct stretch s;
    stretch_begin(&s);
    spin(200000);
    nap(1000000);
    spin(200000);
    stretch_end(&s);
    return unused;
}

static void *churn(void *unused)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, brief, NULL))
            abort();
        pthread_join(thread, NULL);
    }
    return unused;
}

static int refuse_perf(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Kept until the end: a descriptor would not live through "closing". */
static struct {
    char *bytes;
    size_t len;
} kept;

static int keep(void *unused, const void *bytes, size_t len)
{
    (void)unused;
    char *grown = realloc(kept.bytes, kept.len + len);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + kept.len, bytes, len);
    kept.bytes = grown;
    kept.len += len;
    return 0;
}

static int write_kept(const char *path)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(kept.bytes, 1, kept.len, file) == kept.len;
    return file && fclose(file) == 0 && ok ? 0 : 1;
}

static struct ttap_capture *begin_capture(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    opts.duration_ns = 0;
    if (ttap_capture_start(&opts, keep, NULL, &capture))
        abort();
    return capture;
}

/* Who closes what it does not know of, and goes on with the same numbers. */
static void *closing(void *unused)
{
    for (int round = 0; round < 20; round++) {
        syscall(SYS_close_range, 3, ~0u, 0);
        for (int i = 0; i < 100; i++)
            if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
                abort();
        nap(5000000);
    }
    return unused;
}

static int child_of(const char *path)
{
    char child_path[4096];
    snprintf(child_path, sizeof(child_path), "%s.child", path);
    kept.len = 0;
    struct ttap_capture *capture = begin_capture();
    run(sleeps, NULL);
    pthread_join(started[started_count - 1], NULL);
    return ttap_capture_stop(capture) || write_kept(child_path);
}

/* Its times are taken on either side of its begin and its end, so that it lies between two figures however late each of them is. */
struct early_task {
    struct ttap_task task;
    uint64_t before_ns, begun_ns;
};

static void begin_early(struct early_task *early)
{
    static struct ttap_name kind = TTAP_NAME_INIT("early");
    early->before_ns = now_ns(CLOCK_MONOTONIC);
    ttap_task_begin(&early->task, &kind, NULL);
    early->begun_ns = now_ns(CLOCK_MONOTONIC);
    nap(2000000000u);
}

static void end_early(struct early_task *early)
{
    static struct ttap_name at_least = TTAP_NAME_INIT("at_least_ns"), at_most = TTAP_NAME_INIT("at_most_ns");
    uint64_t before_ns = now_ns(CLOCK_MONOTONIC);
    ttap_task_end(&early->task);
    uint64_t ended_ns = now_ns(CLOCK_MONOTONIC);
    ttap_counter(&at_least, (int64_t)(before_ns - early->begun_ns));
    ttap_counter(&at_most, (int64_t)(ended_ns - early->before_ns));
}

static bool has_mode(const char *modes, const char *mode)
{
    return strstr(modes, mode) != NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    static struct pipes pipes;
    uint64_t seconds_ns = 0;
    for (int i = 3; i < argc; i++) {
        if (!strcmp(argv[i], "--no-perf") && refuse_perf()) {
            printf("seccomp is not allowed here\n");
            return 77;
        }
        if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
            seconds_ns = (uint64_t)(atof(argv[i + 1]) * 1e9);
    }
    if (pipe(pipes.to) || pipe(pipes.from))
        return 2;
    if (has_mode(argv[1], "parked"))
        park_50();
    struct early_task early;
    if (has_mode(argv[1], "task"))
        begin_early(&early);
    struct ttap_capture *capture = begin_capture();
    if (has_mode(argv[1], "sleeps"))
        run(sleeps, NULL);
    if (has_mode(argv[1], "spin"))
        run(spins, NULL);
    if (has_mode(argv[1], "pair")) {
        run(spins_pinned, NULL);
        run(spins_pinned, NULL);
    }
    if (has_mode(argv[1], "pingpong")) {
        run(ping, &pipes);
        run(pong, &pipes);
    }
    if (has_mode(argv[1], "churn"))
        run(churn, NULL);
    if (has_mode(argv[1], "closing"))
        run(closing, NULL);
    nap(seconds_ns ? seconds_ns : 1000000);
    if (has_mode(argv[1], "task"))
        end_early(&early);
    pid_t child = has_mode(argv[1], "fork") ? fork() : -1;
    if (child == 0)
        _exit(child_of(argv[2]));
    for (unsigned i = 0; i < started_count; i++)
        pthread_join(started[i], NULL);
    int status = 0;
    if (child > 0 && (waitpid(child, &status, 0) != child || status))
        return 3;
    return ttap_capture_stop(capture) || write_kept(argv[2]);
}
