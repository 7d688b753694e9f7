/* clerk.c - see clerk.h. The clerk calls the kernel without libc where descriptors are concerned: sanitizers believe that a number means the same
 * file in every thread. */
#include "clerk.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "arena.h"
#include "sys.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_RANGE_UNSHARE_FLAG 2
/* What it calls needs a few KiB; but the thread-local words of every library are part of the stack (drainer.c has figures). */
#define STACK_BYTES (1u << 20)

enum { IDLE, HIRING, REFUSED, WAITING, WORKING, LEAVING };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    int state;
    void (*work)(void *arg);
    void *arg;
    unsigned hired; /* by how many sources, which all call on the drainer's thread */
} clerk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void become(int state)
{
    clerk.state = state;
    pthread_cond_broadcast(&clerk.changed);
}

static void *clerk_main(void *unused)
{
    ttap__thread_is_own();
    prctl(PR_SET_NAME, "tracetap-fds", 0, 0, 0);
    bool apart = ttap__syscall6(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE_FLAG, 0, 0, 0) == 0;
    pthread_mutex_lock(&clerk.mutex);
    become(apart ? WAITING : REFUSED);
    while (clerk.state == WAITING || clerk.state == WORKING) {
        if (clerk.state == WAITING) {
            pthread_cond_wait(&clerk.changed, &clerk.mutex);
            continue;
        }
        pthread_mutex_unlock(&clerk.mutex);
        clerk.work(clerk.arg);
        pthread_mutex_lock(&clerk.mutex);
        become(WAITING);
    }
    pthread_mutex_unlock(&clerk.mutex);
    return unused;
}

void ttap__clerk_close_all(void)
{
    ttap__syscall6(SYS_close_range, 0, ~0u, 0, 0, 0, 0);
}

static bool start(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the host runs on it */
    int error = pthread_create(&clerk.thread, &attr, clerk_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error == 0;
}

bool ttap__clerk_hire(void)
{
    if (clerk.hired) {
        clerk.hired++;
        return true;
    }
    clerk.state = HIRING;
    if (!start()) {
        clerk.state = IDLE;
        return false;
    }
    pthread_mutex_lock(&clerk.mutex);
    while (clerk.state == HIRING)
        pthread_cond_wait(&clerk.changed, &clerk.mutex);
    bool hired = clerk.state == WAITING;
    pthread_mutex_unlock(&clerk.mutex);
    if (!hired) {
        pthread_join(clerk.thread, NULL);
        clerk.state = IDLE;
    }
    clerk.hired = hired;
    return hired;
}

void ttap__clerk_do(void (*work)(void *arg), void *arg)
{
    pthread_mutex_lock(&clerk.mutex);
    clerk.work = work;
    clerk.arg = arg;
    become(WORKING);
    while (clerk.state == WORKING)
        pthread_cond_wait(&clerk.changed, &clerk.mutex);
    pthread_mutex_unlock(&clerk.mutex);
}

void ttap__clerk_dismiss(void)
{
    if (--clerk.hired)
        return;
    pthread_mutex_lock(&clerk.mutex);
    become(LEAVING);
    pthread_mutex_unlock(&clerk.mutex);
    pthread_join(clerk.thread, NULL);
    clerk.state = IDLE;
}

void ttap__clerk_after_fork(void)
{
    pthread_mutex_init(&clerk.mutex, NULL);
    pthread_cond_init(&clerk.changed, NULL);
    clerk.state = IDLE;
    clerk.hired = 0;
}
