/* sleep.c - sleeps, waits for signals, waits for children. */
#include "hooks.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* @told: how the result is told, from `result`. */
#define HOOKED_SLEEP(ret, name, op, object, parameters, arguments, told)                                                                             \
    REAL_FUNCTION(ret, name, parameters)                                                                                                             \
    HOOK ret name parameters                                                                                                                         \
    {                                                                                                                                                \
        struct ttap__call call;                                                                                                                      \
        ttap__call_begin(&call, op, object, TTAP_GROUP_SLEEP);                                                                                       \
        ret result = real_##name() arguments;                                                                                                        \
        ttap__sleep_call_end(&call, told);                                                                                                           \
        return result;                                                                                                                               \
    }
#define ERRNO_OR_RESULT (result < 0 ? -errno : (int64_t)result)

HOOKED_SLEEP(int, nanosleep, OP_NANOSLEEP, 0, (const struct timespec *length, struct timespec *left), (length, left), ERRNO_OR_RESULT)
HOOKED_SLEEP(int, clock_nanosleep, OP_NANOSLEEP, 0, (clockid_t clock, int flags, const struct timespec *length, struct timespec *left),
             (clock, flags, length, left), -(int64_t)result)
HOOKED_SLEEP(int, usleep, OP_USLEEP, 0, (useconds_t length_us), (length_us), ERRNO_OR_RESULT)
HOOKED_SLEEP(unsigned, sleep, OP_SLEEP, 0, (unsigned length_s), (length_s), (int64_t)result)
HOOKED_SLEEP(int, pause, OP_PAUSE, 0, (void), (), ERRNO_OR_RESULT)
HOOKED_SLEEP(int, sigsuspend, OP_PAUSE, 0, (const sigset_t *mask), (mask), ERRNO_OR_RESULT)
HOOKED_SLEEP(int, sigwait, OP_SIGWAIT, 0, (const sigset_t *set, int *number), (set, number), -(int64_t)result)
HOOKED_SLEEP(int, sigwaitinfo, OP_SIGWAIT, 0, (const sigset_t *set, siginfo_t *info), (set, info), ERRNO_OR_RESULT)
HOOKED_SLEEP(int, sigtimedwait, OP_SIGWAIT, 0, (const sigset_t *set, siginfo_t *info, const struct timespec *within), (set, info, within),
             ERRNO_OR_RESULT)
HOOKED_SLEEP(pid_t, wait, OP_WAITPID, 0, (int *status), (status), ERRNO_OR_RESULT)
HOOKED_SLEEP(pid_t, waitpid, OP_WAITPID, (uint32_t)pid, (pid_t pid, int *status, int flags), (pid, status, flags), ERRNO_OR_RESULT)
HOOKED_SLEEP(pid_t, wait3, OP_WAITPID, 0, (int *status, int flags, struct rusage *usage), (status, flags, usage), ERRNO_OR_RESULT)
HOOKED_SLEEP(pid_t, wait4, OP_WAITPID, (uint32_t)pid, (pid_t pid, int *status, int flags, struct rusage *usage), (pid, status, flags, usage),
             ERRNO_OR_RESULT)
HOOKED_SLEEP(int, waitid, OP_WAITID, (uint32_t)id, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags), ERRNO_OR_RESULT)
