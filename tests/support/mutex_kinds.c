/* mutex_kinds.c - mutexes of each kind, used rightly and wrongly: prints what each call returns, which must not depend on being recorded.
 *
 * Of each kind: it is held, asked for by others in each way, let go by one who does not hold it while another one waits for it, and passed on.
 * A robust one loses its owner, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct kind {
    const char *name;
    int type, protocol, robust;
    bool knows_owner; /* and so refuses what others do */
} kinds[] = {
    {"normal", PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, false},
    {"adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, false},
    {"errorcheck", PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, true},
    {"recursive", PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, true},
    {"robust", PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, true},
    {"inheriting", PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED, true},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], ODD_ERRNO = 77 };

static pthread_mutex_t mutexes[KINDS];
static const struct kind *kind;
static pthread_mutex_t *mutex;
static int waiter;

static void said(const char *call, int result)
{
    printf("%s %s %d, errno %d\n", kind->name, call, result, errno);
    errno = ODD_ERRNO;
}

static void *asks_in_each_way(void *unused)
{
    struct timespec past = {1, 0};
    errno = ODD_ERRNO;
    said("try", pthread_mutex_trylock(mutex));
    said("timed", pthread_mutex_timedlock(mutex, &past));
    said("clock", pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &past));
    return unused;
}

static void *waits(void *unused)
{
    errno = ODD_ERRNO;
    __atomic_store_n(&waiter, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    int result = pthread_mutex_lock(mutex);
    said("waited", result);
    said("unlock", pthread_mutex_unlock(mutex));
    return unused;
}

static void *lets_go_of_what_it_has_not(void *unused)
{
    errno = ODD_ERRNO;
    if (kind->knows_owner)
        said("unlock of another's", pthread_mutex_unlock(mutex));
    return unused;
}

static void *dies_with_it(void *unused)
{
    pthread_mutex_lock(mutex);
    return unused;
}

static void in_a_thread(void *(*work)(void *))
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
}

/* Who has said that it is about to wait, and is asleep, waits. */
static void until_it_waits(void)
{
    for (bool asleep = false; !asleep;) {
        char path[64], stat[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", __atomic_load_n(&waiter, __ATOMIC_ACQUIRE));
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t bytes = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
        const char *state = bytes > 0 ? strrchr(stat, ')') : NULL;
        asleep = state && state[2] == 'S';
        if (fd >= 0)
            close(fd);
    }
}

static void pass_it_on(void)
{
    pthread_t thread;
    waiter = 0;
    pthread_create(&thread, NULL, waits, NULL);
    until_it_waits();
    in_a_thread(lets_go_of_what_it_has_not);
    errno = ODD_ERRNO;
    if (kind->type == PTHREAD_MUTEX_RECURSIVE)
        said("inner unlock", pthread_mutex_unlock(mutex));
    int result = pthread_mutex_unlock(mutex);
    pthread_join(thread, NULL);
    errno = ODD_ERRNO;
    said("passed on", result);
}

static void try_kind(unsigned number)
{
    pthread_mutexattr_t attr;
    kind = &kinds[number];
    mutex = &mutexes[number];
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, kind->type);
    pthread_mutexattr_setprotocol(&attr, kind->protocol);
    pthread_mutexattr_setrobust(&attr, kind->robust);
    pthread_mutex_init(mutex, &attr);
    errno = ODD_ERRNO;
    said("lock", pthread_mutex_lock(mutex));
    if (kind->type == PTHREAD_MUTEX_RECURSIVE || kind->type == PTHREAD_MUTEX_ERRORCHECK)
        said("lock again", pthread_mutex_lock(mutex));
    in_a_thread(asks_in_each_way);
    pass_it_on();
    if (kind->robust != PTHREAD_MUTEX_ROBUST)
        return;
    in_a_thread(dies_with_it);
    said("lock of a dead one's", pthread_mutex_lock(mutex));
    said("made consistent", pthread_mutex_consistent(mutex));
    said("unlock", pthread_mutex_unlock(mutex));
    in_a_thread(dies_with_it);
    said("lock of a dead one's", pthread_mutex_lock(mutex));
    said("unlock as it is", pthread_mutex_unlock(mutex));
    said("lock for ever lost", pthread_mutex_lock(mutex));
}

int main(void)
{
    for (unsigned i = 0; i < KINDS; i++)
        try_kind(i);
    return 0;
}
