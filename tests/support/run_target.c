/* run_target.c - a program for `tracetap run`: it knows nothing of being recorded, and says what it did.
 *
 * run_target WHAT: "family" forks a child and starts a thread, all three emit regions; "killed" the same, the child ends by SIGKILL;
 * "daemon" leaves the foreground, closes every descriptor and emits for two seconds; "spin" emits until it is killed; "again" executes
 * itself as "family"; "parked" has threads that wait for ever, each named after the call it waits in; "leaderless" goes on in others when its
 * first thread has ended.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

static struct ttap_name work_name = TTAP_NAME_INIT("work");

static void work(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        ttap_region_begin(&work_name);
        usleep(500);
        ttap_region_end(&work_name);
    }
}

static void *thread_main(void *unused)
{
    (void)unused;
    work(300);
    return NULL;
}

static int family(int killed)
{
    pthread_t thread;
    int status = 0;
    pthread_create(&thread, NULL, thread_main, NULL);
    pid_t child = fork();
    if (!child) {
        ttap_thread_name("child");
        work(200);
        if (killed)
            kill(getpid(), SIGKILL);
        _exit(7);
    }
    work(400);
    waitpid(child, &status, 0);
    pthread_join(thread, NULL);
    printf("child %d\n", killed ? WTERMSIG(status) : WEXITSTATUS(status));
    return 3;
}

static void *go_on_briefly(void *unused)
{
    work(20);
    return unused;
}

/* Threads that come and go, for longer than the helper looks away. */
static void *go_on(void *unused)
{
    (void)unused;
    for (int i = 0; i < 60; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, go_on_briefly, NULL);
        work(20);
        pthread_join(thread, NULL);
    }
    exit(0);
}

static int leaderless(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, go_on, NULL);
    pthread_exit(NULL);
}

static int become_daemon(void)
{
    if (fork())
        return 0;
    setsid();
    if (fork())
        _exit(0);
    if (chdir("/") || syscall(SYS_close_range, 0u, ~0u, 0u))
        _exit(1);
    ttap_thread_name("daemon");
    work(4000);
    _exit(0);
}

/* ---- Waiting for ever ---- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, with_cond = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t empty;
static int pipe_fds[2], socket_fds[2], epoll_fd;
static pthread_t sleeper;

static void *wait_epoll(void *unused)
{
    struct epoll_event event;
    epoll_wait(epoll_fd, &event, 1, -1);
    return unused;
}

static void *wait_poll(void *unused)
{
    struct pollfd one = {.fd = pipe_fds[0], .events = POLLIN};
    poll(&one, 1, -1);
    return unused;
}

static void *wait_cond(void *unused)
{
    pthread_mutex_lock(&with_cond);
    for (;;)
        pthread_cond_wait(&never, &with_cond);
    return unused;
}

static void *wait_mutex(void *unused)
{
    pthread_mutex_lock(&held);
    return unused;
}

static void *wait_sem(void *unused)
{
    sem_wait(&empty);
    return unused;
}

static void *wait_read(void *unused)
{
    char byte;
    return read(pipe_fds[0], &byte, 1) == 1 ? unused : NULL;
}

static void *wait_recv(void *unused)
{
    char byte;
    return recv(socket_fds[0], &byte, 1, 0) == 1 ? unused : NULL;
}

static void *wait_sleep(void *unused)
{
    for (;;)
        sleep(1000);
    return unused;
}

static void *wait_join(void *unused)
{
    pthread_join(sleeper, NULL);
    return unused;
}

static int park(void)
{
    static const struct {
        const char *name;
        void *(*wait)(void *unused);
    } waits[] = {{"epoll", wait_epoll}, {"poll", wait_poll}, {"cond", wait_cond}, {"mutex", wait_mutex},
                 {"sem", wait_sem},     {"read", wait_read}, {"recv", wait_recv}, {"sleep", wait_sleep}};
    pthread_t thread;
    if (pipe(pipe_fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds))
        return 1;
    epoll_fd = epoll_create1(0);
    sem_init(&empty, 0, 0);
    pthread_mutex_lock(&held);
    for (int i = 0; i < 50; i++) {
        pthread_create(&thread, NULL, waits[i % 8].wait, NULL);
        pthread_setname_np(thread, waits[i % 8].name);
        sleeper = thread; /* the last one sleeps or does something like it: it never ends */
    }
    pthread_create(&thread, NULL, wait_join, NULL);
    pthread_setname_np(thread, "join");
    usleep(100000);
    printf("parked\n");
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "family";
    if (strcmp(what, "again") == 0) {
        work(10);
        execl(argv[0], argv[0], "family", (char *)NULL);
    }
    if (strcmp(what, "daemon") == 0)
        return become_daemon();
    if (strcmp(what, "parked") == 0)
        return park();
    if (strcmp(what, "leaderless") == 0)
        return leaderless();
    while (strcmp(what, "spin") == 0)
        work(100);
    return family(strcmp(what, "killed") == 0);
}
