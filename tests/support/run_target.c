/* run_target.c - a program for `tracetap run`: it knows nothing of being recorded, and says what it did.
 *
 * run_target WHAT: "family" forks a child and starts a thread, all three emit regions; "killed" the same, the child ends by SIGKILL;
 * "daemon" leaves the foreground, closes every descriptor and emits for two seconds; "spin" emits until it is killed; "again" executes
 * itself as "family"; "parked" has threads that wait for ever, each named after the call it waits in; "leaderless" goes on in others when its
 * first thread has ended; "descriptors" changes and shares them, rightly and wrongly, and prints what it was told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
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

/* ---- Sockets that did not block once, and do now ---- */

static int by_fcntl, by_ioctl, by_other_number, by_new_pipe[2];

/* The end of a connection that does not block; nobody ever writes into it. */
static int accepted(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    char byte;
    if (bind(door, (struct sockaddr *)&at, len) || listen(door, 1) || getsockname(door, (struct sockaddr *)&at, &len) ||
        connect(client, (struct sockaddr *)&at, len))
        return -1;
    int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
    close(door);
    return read(fd, &byte, 1) == -1 && errno == EAGAIN ? fd : -1;
}

static bool have_blocked(void)
{
    int no = 0, dead = accepted(), other;
    by_fcntl = accepted();
    by_ioctl = accepted();
    by_other_number = accepted();
    other = dup(by_other_number);
    close(dead);
    return fcntl(by_fcntl, F_SETFL, 0) == 0 && ioctl(by_ioctl, FIONBIO, &no) == 0 && fcntl(by_other_number, F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(other, F_SETFL, 0) == 0 && pipe(by_new_pipe) == 0 && by_new_pipe[0] == dead;
}

#define WAIT_AT(name, fd)                                                                                                                            \
    static void *name(void *unused)                                                                                                                  \
    {                                                                                                                                                \
        char byte;                                                                                                                                   \
        return read(fd, &byte, 1) == 1 ? unused : NULL;                                                                                              \
    }
WAIT_AT(wait_by_fcntl, by_fcntl)
WAIT_AT(wait_by_ioctl, by_ioctl)
WAIT_AT(wait_by_other_number, by_other_number)
WAIT_AT(wait_by_new_pipe, by_new_pipe[0])

static int park(void)
{
    static const struct {
        const char *name;
        void *(*wait)(void *unused);
    } waits[] = {{"epoll", wait_epoll},
                 {"poll", wait_poll},
                 {"cond", wait_cond},
                 {"mutex", wait_mutex},
                 {"sem", wait_sem},
                 {"read", wait_read},
                 {"recv", wait_recv},
                 {"sleep", wait_sleep},
                 {"by_fcntl", wait_by_fcntl},
                 {"by_ioctl", wait_by_ioctl},
                 {"by_dup", wait_by_other_number},
                 {"by_pipe", wait_by_new_pipe}};
    enum { WAITS = sizeof waits / sizeof *waits };
    pthread_t thread;
    if (!have_blocked() || pipe(pipe_fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds))
        return 1;
    epoll_fd = epoll_create1(0);
    sem_init(&empty, 0, 0);
    pthread_mutex_lock(&held);
    for (int i = 0; i < 50; i++) {
        pthread_create(&thread, NULL, waits[i % WAITS].wait, NULL);
        pthread_setname_np(thread, waits[i % WAITS].name);
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

/* ---- Descriptors ---- */

static void say(const char *what, long result)
{
    printf("%s %ld %d\n", what, result, errno);
    errno = 0;
}

static int change_descriptors(void)
{
    int yes = 1, no = 0, waiting = 0;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    FILE *file = tmpfile();
    char bytes[] = "four";
    errno = 0;
    say("no such family", socket(-1, SOCK_STREAM, 0));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    say("flags", fcntl(fd, F_GETFL));
    say("of the descriptor", fcntl(fd, F_GETFD));
    say("does not block", recv(fd, bytes, 1, 0));
    say("blocks", fcntl(fd, F_SETFL, 0));
    say("flags", fcntl(fd, F_GETFL));
    say("by ioctl", ioctl(fd, FIONBIO, &yes));
    say("flags", fcntl(fd, F_GETFL));
    say("does not block", recv(fd, bytes, 1, 0));
    say("by ioctl", ioctl(fd, FIONBIO, &no));
    say("nowhere", ioctl(fd, FIONBIO, NULL));
    say("waiting", ioctl(fd, FIONREAD, &waiting));
    say("no such command", ioctl(fd, 0x12345678, 0));
    say("no such command", fcntl(fd, 12345, 0));
    say("owner", fcntl(fd, F_SETOWN_EX, &owner));
    say("owner", fcntl(fd, F_GETOWN));
    say("not open", fcntl(999, F_SETFL, O_NONBLOCK));
    say("not open", ioctl(999, FIONBIO, &yes));
    say("not open", dup(999));
    say("no number", fcntl(-1, F_GETFL));
    say("beyond", fcntl(1 << 20, F_SETFL, O_NONBLOCK));
    int other = dup(fd), high = fcntl(fd, F_DUPFD, 100), kept = fcntl(fd, F_DUPFD_CLOEXEC, 101);
    say("dup", other - fd);
    say("from 100", high);
    say("from 101", kept);
    say("of the descriptor", fcntl(kept, F_GETFD));
    say("onto itself", dup2(fd, fd) - fd);
    say("onto itself", dup3(fd, fd, 0));
    say("onto 110", dup2(fd, 110));
    say("onto 111", dup3(fd, 111, O_CLOEXEC));
    say("not open", dup2(999, 112));
    say("does not block", fcntl(110, F_SETFL, O_NONBLOCK));
    say("nor does this", recv(fd, bytes, 1, 0));
    say("locked", fcntl(fileno(file), F_SETLKW, &lock));
    say("locked", fcntl64(fileno(file), F_OFD_GETLK, &lock));
    say("written", write(fileno(file), bytes, 4));
    return 0;
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
    if (strcmp(what, "descriptors") == 0)
        return change_descriptors();
    while (strcmp(what, "spin") == 0)
        work(100);
    return family(strcmp(what, "killed") == 0);
}
