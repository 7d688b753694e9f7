/* threads.c - threads inside somebody else's service: no signal lands on them, and a fault in libmicrohttpd does not take it down. */
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

static _Thread_local bool is_ours;

void ttap__signals_block(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void ttap__signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int ttap__thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    sigset_t before;
    ttap__signals_block(&before);
    int error = pthread_create(thread, NULL, run, arg);
    ttap__signals_restore(&before);
    return error;
}

void ttap__thread_is_ours(void)
{
    is_ours = true;
}

/* libmicrohttpd calls this where it would abort. It must not return. One of our threads sleeps for ever: the endpoint is dead, the service
 * lives. The setting is the process's, so a thread of the service's own daemon gets what libmicrohttpd would have done. */
void ttap__on_panic(void *arg, const char *file, unsigned line, const char *reason)
{
    (void)arg;
    (void)file;
    (void)line;
    (void)reason;
    if (!is_ours)
        abort();
    for (;;)
        pause();
}
