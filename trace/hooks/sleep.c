/* sleep.c - sleeps, waits for signals, waits for children. */
#include "hooks.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOOKED_SLEEP(ret, name, op, object, parameters, arguments, told)                                                                             \
    HOOKED_CALL(sleep, TTAP_GROUP_SLEEP, told, false, ret, name, parameters, arguments, op, object)

HOOKED_SLEEP(int, nanosleep, OP_NANOSLEEP, 0, (const struct timespec *length, struct timespec *left), (length, left), TOLD_ERRNO)
HOOKED_SLEEP(int, clock_nanosleep, OP_NANOSLEEP, 0, (clockid_t clock, int flags, const struct timespec *length, struct timespec *left),
             (clock, flags, length, left), TOLD_ERROR)
HOOKED_SLEEP(int, usleep, OP_USLEEP, 0, (useconds_t length_us), (length_us), TOLD_ERRNO)
HOOKED_SLEEP(unsigned, sleep, OP_SLEEP, 0, (unsigned length_s), (length_s), TOLD_AS_IS)

/* By hand, as it has no parameter. */
REAL_FUNCTION(int, pause, (void))
HOOK int pause(void)
{
    struct ttap__call call;
    ttap__call_begin(&call, OP_PAUSE, 0, TTAP_GROUP_SLEEP);
    int result = real_pause()();
    ttap__sleep_call_end(&call, ttap__told(TOLD_ERRNO, result));
    return result;
}

HOOKED_SLEEP(int, sigsuspend, OP_PAUSE, 0, (const sigset_t *mask), (mask), TOLD_ERRNO)
HOOKED_SLEEP(int, sigwait, OP_SIGWAIT, 0, (const sigset_t *set, int *number), (set, number), TOLD_ERROR)
HOOKED_SLEEP(int, sigwaitinfo, OP_SIGWAIT, 0, (const sigset_t *set, siginfo_t *info), (set, info), TOLD_ERRNO)
HOOKED_SLEEP(int, sigtimedwait, OP_SIGWAIT, 0, (const sigset_t *set, siginfo_t *info, const struct timespec *within), (set, info, within), TOLD_ERRNO)
HOOKED_SLEEP(pid_t, wait, OP_WAITPID, 0, (int *status), (status), TOLD_ERRNO)
HOOKED_SLEEP(pid_t, waitpid, OP_WAITPID, (uint32_t)pid, (pid_t pid, int *status, int flags), (pid, status, flags), TOLD_ERRNO)
HOOKED_SLEEP(pid_t, wait3, OP_WAITPID, 0, (int *status, int flags, struct rusage *usage), (status, flags, usage), TOLD_ERRNO)
HOOKED_SLEEP(pid_t, wait4, OP_WAITPID, (uint32_t)pid, (pid_t pid, int *status, int flags, struct rusage *usage), (pid, status, flags, usage),
             TOLD_ERRNO)
HOOKED_SLEEP(int, waitid, OP_WAITID, (uint32_t)id, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags), TOLD_ERRNO)
