/* guard.c - what our calls must not do to the thread that makes them, or to the process: signals, cancellation, forked children.
 *
 * Each of these takes care of a call that fails, too: whoever filters system calls may refuse any of them, and a mask that was set and
 * cannot be put back is a host that never hears of SIGTERM again. */
#include <errno.h>
#include <signal.h>

#include "engine.h"

/* Refused once is not refused for ever. */
#define MASK_TRIES 8

static void set_mask(const sigset_t *mask)
{
    for (int tries = 0; tries < MASK_TRIES && pthread_sigmask(SIG_SETMASK, mask, NULL); tries++)
        ;
}

int ttap__thread_spawn(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before))
        return -EAGAIN; /* the host's handlers would run on it */
    int error = pthread_create(thread, attr, body, arg);
    set_mask(&before); /* also when pthread_create could not put it back itself */
    return error ? -EAGAIN : 0;
}

int ttap__write_guard_enter(struct ttap__write_guard *guard)
{
    sigset_t raised;
    sigemptyset(&raised);
    sigaddset(&raised, SIGPIPE);
    sigaddset(&raised, SIGXFSZ);
    sigemptyset(&guard->pending);
    sigpending(&guard->pending);
    return pthread_sigmask(SIG_BLOCK, &raised, &guard->before) ? -EAGAIN : 0;
}

/* What write(2) raised along with this error, or 0. */
static int signal_with(int error)
{
    return error == -EPIPE ? SIGPIPE : error == -EFBIG ? SIGXFSZ : 0;
}

void ttap__write_guard_leave(const struct ttap__write_guard *guard, int error)
{
    sigset_t mask = guard->before, one;
    struct timespec none = {0, 0};
    int signo = signal_with(error);
    if (signo && !sigismember(&guard->pending, signo)) {
        sigemptyset(&one);
        sigaddset(&one, signo);
        if (sigtimedwait(&one, NULL, &none) != signo && errno != EAGAIN)
            sigaddset(&mask, signo); /* it is there and will not go: rather a blocked signal than a dead host */
    }
    set_mask(&mask);
}

int ttap__cancel_off(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void ttap__cancel_as(int state)
{
    pthread_setcancelstate(state, NULL);
}
