/* sample_signal.c - see sample_signal.h. */
#include "sample_signal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "emit.h"
#include "stacks.h"
#include "sys.h"

/* As the kernel has it: C libraries differ in what they call the thread's number. */
struct signal_event {
    uintptr_t value;
    int32_t number, notify, tid;
    char unused[44];
};
_Static_assert(sizeof(struct signal_event) == 64, "the size of the kernel's struct sigevent");
#define NOTIFY_THREAD 4 /* SIGEV_THREAD_ID */

static struct sigaction before;
void (*ttap__sample_signal_unwanted)(int tid, int timer);

/* ---- The signal ---- */

static void on_sample_signal(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uint64_t period_ns = (uintptr_t)info->si_value.sival_ptr;
    (void)number;
    if (info->si_code == SI_TIMER && period_ns && !ttap__tls_silent) {
        if (TTAP_ENABLED(TTAP_GROUP_SAMPLE) && ttap__load(&ttap__arena_here()->sample_period_ns) == period_ns)
            ttap__stack_sample(context, period_ns * (1 + (info->si_overrun > 0 ? (uint64_t)info->si_overrun : 0)));
        else if (ttap__sample_signal_unwanted)
            ttap__sample_signal_unwanted(ttap__gettid(), info->si_timerid);
    }
    errno = saved_errno;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_sample_signal;
}

static enum ttap__sample_signal whose(const struct sigaction *action)
{
    if (is_ours(action) || (!(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL))
        return TTAP__SAMPLE_SIGNAL_FREE;
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_IGN ? TTAP__SAMPLE_SIGNAL_IGNORED : TTAP__SAMPLE_SIGNAL_HANDLED;
}

enum ttap__sample_signal ttap__sample_signal_whose(void)
{
    struct sigaction now;
    return sigaction(SIGURG, NULL, &now) == 0 ? whose(&now) : TTAP__SAMPLE_SIGNAL_REFUSED;
}

bool ttap__sample_signal_is_ours(void)
{
    struct sigaction now;
    return sigaction(SIGURG, NULL, &now) == 0 && is_ours(&now);
}

enum ttap__sample_signal ttap__sample_signal_take(void)
{
    struct sigaction ours = {.sa_sigaction = on_sample_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK}, now;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    if (sigaction(SIGURG, NULL, &now) != 0)
        return TTAP__SAMPLE_SIGNAL_REFUSED;
    if (whose(&now) != TTAP__SAMPLE_SIGNAL_FREE)
        return whose(&now);
    if (!is_ours(&now))
        before = now;
    sigfillset(&ours.sa_mask); /* no handler of the host inside ours */
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&ours.sa_mask, faults[i]);
    return sigaction(SIGURG, &ours, NULL) == 0 ? TTAP__SAMPLE_SIGNAL_FREE : TTAP__SAMPLE_SIGNAL_REFUSED;
}

/* What is still pending goes with that: the default is to ignore it. */
void ttap__sample_signal_give_back(void)
{
    if (ttap__sample_signal_is_ours())
        sigaction(SIGURG, &before, NULL);
}

/* ---- Timers ---- */

/* The clock of a thread's CPU time, as the kernel numbers it. */
static long clock_of(int tid)
{
    return (int)(~(unsigned)tid << 3 | 6u);
}

/* Threads do not begin their periods together: what is shorter than one would be seen by all or by none. */
static uint64_t phase_of(int tid, uint64_t period_ns)
{
    return period_ns * ((uint32_t)tid * 2654435761u >> 16) / 65536 + 1;
}

/* A thread that is new has used no CPU time that somebody else counted: its time counts from its birth. */
int ttap__sample_timer_set(int tid, uint64_t period_ns, bool from_birth)
{
    struct signal_event event = {.value = (uintptr_t)period_ns, .number = SIGURG, .notify = NOTIFY_THREAD, .tid = tid};
    int timer = -1;
    long error = ttap__syscall6(SYS_timer_create, clock_of(tid), (long)&event, (long)&timer, 0, 0, 0);
    if (error < 0)
        return (int)error;
    uint64_t phase_ns = phase_of(tid, period_ns);
    struct itimerspec spec = {
        .it_interval = {(time_t)(period_ns / 1000000000u), (long)(period_ns % 1000000000u)},
        .it_value = {(time_t)(phase_ns / 1000000000u), (long)(phase_ns % 1000000000u)},
    };
    ttap__syscall6(SYS_timer_settime, timer, from_birth ? TIMER_ABSTIME : 0, (long)&spec, 0, 0, 0);
    return timer;
}

void ttap__sample_timer_delete(int timer)
{
    ttap__syscall6(SYS_timer_delete, timer, 0, 0, 0, 0, 0);
}
