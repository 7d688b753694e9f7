/* run_target.c - a program for `tracetap run`: it knows nothing of being recorded, and says what it did.
 *
 * run_target WHAT: "family" forks a child and starts a thread, all three emit regions; "killed" the same, the child ends by SIGKILL;
 * "daemon" leaves the foreground, closes every descriptor and emits for two seconds; "spin" emits until it is killed; "again" executes
 * itself as "family".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "family";
    if (strcmp(what, "again") == 0) {
        work(10);
        execl(argv[0], argv[0], "family", (char *)NULL);
    }
    if (strcmp(what, "daemon") == 0)
        return become_daemon();
    while (strcmp(what, "spin") == 0)
        work(100);
    return family(strcmp(what, "killed") == 0);
}
