/* signal_storm.c - timer_create with SIGEV_THREAD_ID. */
#include "signal_storm.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

void signal_storm_handle(int signo, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(signo, &action, NULL);
}

int signal_storm_start(struct signal_storm *storm, int signo, unsigned hz)
{
    struct sigevent event;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signo;
    event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    storm->signo = signo;
    if (timer_create(CLOCK_MONOTONIC, &event, &storm->timer))
        return -errno;
    struct itimerspec every = {{0, 1000000000L / hz}, {0, 1000000000L / hz}};
    return timer_settime(storm->timer, 0, &every, NULL) ? -errno : 0;
}

void signal_storm_stop(struct signal_storm *storm)
{
    sigset_t one, before;
    sigemptyset(&one);
    sigaddset(&one, storm->signo);
    pthread_sigmask(SIG_BLOCK, &one, &before);
    timer_delete(storm->timer);
    struct timespec none = {0, 0};
    while (sigtimedwait(&one, NULL, &none) > 0)
        ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
