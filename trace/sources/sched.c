/* sched.c - the source "sched": the kernel's switch records where it gives them, else a look at each thread now and then.
 *
 *   T2  T1 and who woke whom (sched_waking)       needs CAP_PERFMON and tracefs; with the first alone, T1 and what else runs on the CPUs
 *   T1  every switch, exact                       perf_event_open allowed
 *   T0  /proc/self/task, some times a second      always; totals of each interval are exact, where they lie in it is not
 *
 * Records are taken in order of time up to a moment that is safely past (SETTLE_NS), since a CPU publishes a record a little later than it
 * takes the time. A window's edge is an event in that order: there each thread says how it stands, with its totals.
 */
#include "source_sched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "clerk.h"
#include "clock.h"
#include "kinds.h"
#include "others.h"
#include "perf.h"
#include "roster.h"
#include "traced.h"
#include "writer.h"

#define SETTLE_NS 1000000u     /* in passing: a CPU that was taken from us in the middle of a switch is usually back by then */
#define SETTLE_EDGE_NS 100000u /* at the end of a window, which somebody waits for */
#define GATHER_NS 100000000u   /* what a thread did is told after 100 ms at the latest */
#define EARLY_NS 50000u        /* a switch is told of 3 us late, 30 where much else runs */
#define ENDED_KEPT 16u         /* as many threads as may end, on all CPUs, while one of them gets from its record to its wakes */
#define LOOK_SHARE 100u        /* looking takes at most a hundredth of a CPU */
#define LOOK_MIN_NS 10000000u
#define LOOK_MAX_NS 1000000000u

enum tier { TIER_OFF, TIER_LOOKS, TIER_SWITCHES, TIER_WAKES };

static struct {
    enum tier tier;
    bool clerk; /* at work */
    bool edge_pending;
    uint64_t edge_ns;
    uint64_t flushed_ns;
    uint32_t scan;
    uint64_t look_period_ns, next_look_ns, previous_look_ns;
    bool fresh; /* all threads were looked at just now */
    bool lost;  /* records were lost since the last edge */
    bool ever_lost;
    struct ttap__clock_pair from, to; /* the line between them turns ns into ticks */
    /* The last threads that ended. From Linux 6.16 on perf tells of an end before that thread wakes who joins it. */
    struct {
        uint64_t number;
        int tid;
    } ended[ENDED_KEPT];
    uint32_t ended_count;
} sched;

/* For the status, which any thread may ask for: what was had last, or would be. */
static uint32_t told_tier, told_reason, told_hz;
static const struct ttap__perf_refusal *told_no_wakes;

static const struct {
    const char *why, *enable;
} reasons[] = {
    {"", ""},
    {"perf_event_paranoid is above 2", "sysctl kernel.perf_event_paranoid=2"},
    {"perf_event_open is refused, as Docker's default filter does", "docker run --cap-add=PERFMON, or systemd: AmbientCapabilities=CAP_PERFMON"},
    {"this kernel has no perf_event_open", "a kernel with CONFIG_PERF_EVENTS"},
    {"too few descriptors for all threads and CPUs", "systemd: LimitNOFILE=65536, or ulimit -n 65536"},
    {"no room for rings in the memory budget or the locked memory allowed", "sysctl kernel.perf_event_mlock_kb=4096, or a larger TRACETAP_BUDGET"},
    {"no thread with descriptors of its own", "a kernel from 5.9 on that allows close_range"},
    {"switch records could not be opened", ""},
};
enum { REASON_NONE, REASON_PARANOID, REASON_REFUSED, REASON_NO_KERNEL, REASON_DESCRIPTORS, REASON_MEMORY, REASON_CLERK, REASON_OTHER };

static uint32_t reason_of(int error)
{
    switch (error) {
    case 0:
        return REASON_NONE;
    case -EACCES:
    case -EPERM:
        return ttap__proc_number("/proc/sys/kernel/perf_event_paranoid", 2) > 2 ? REASON_PARANOID : REASON_REFUSED;
    case -ENOSYS:
    case -ENOENT:
        return REASON_NO_KERNEL;
    case -EMFILE:
    case -ENFILE:
        return REASON_DESCRIPTORS;
    case -ENOMEM:
        return REASON_MEMORY;
    default:
        return REASON_OTHER;
    }
}

/* ---- Time ---- */

static void clock_start(void)
{
    ttap__clock_pair(&sched.from);
    sched.to = sched.from;
    sched.to.mono_ns += 1000000000u;
    sched.to.ticks += ttap__clock_ticks_per_second();
}

/* The next stretch of the line begins where the last one ends, so that no time is turned into two. */
static void clock_tick(void)
{
    struct ttap__clock_pair now;
    ttap__clock_pair(&now);
    if (now.mono_ns - sched.from.mono_ns < 2000000u)
        return; /* too near for a slope: 50 ns of reading error in 2 ms are 25 ppm */
    if (sched.to.mono_ns < now.mono_ns && now.mono_ns - sched.to.mono_ns >= 2000000u)
        sched.from = sched.to;
    sched.to = now;
}

static uint64_t ticks_at(uint64_t ns)
{
    double slope = (double)(sched.to.ticks - sched.from.ticks) / (double)(sched.to.mono_ns - sched.from.mono_ns);
    return sched.from.ticks + (uint64_t)(int64_t)((double)(int64_t)(ns - sched.from.mono_ns) * slope);
}

/* ---- Events ---- */

static void say(struct ttap__sched_thread *thread, unsigned kind, uint64_t ns, unsigned fields)
{
    ttap__thread_event(thread, kind, ns, ticks_at(ns), fields);
}

/* What a sleep in this call is about. Futexes are what all of pthread waits with. */
static unsigned why_of(long call)
{
    switch (call) {
    case SYS_futex:
        return 1;
#ifdef SYS_poll
    case SYS_poll:
#endif
#ifdef SYS_select
    case SYS_select:
#endif
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_ppoll:
    case SYS_pselect6:
    case SYS_epoll_pwait:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
        return 2;
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_openat:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_sync_file_range:
        return 3;
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return 4;
    default:
        return 0;
    }
}

static void say_look(struct ttap__sched_thread *thread, uint64_t ns)
{
    bool blocked = thread->state == TTAP__BLOCKED;
    if (blocked && thread->call == TTAP__CALL_NONE)
        thread->call = TTAP__CALL_UNKNOWN; /* it was on its way there when it was looked at */
    say(thread, TTAP__SCHED_LOOK, ns, 8);
    ttap__thread_field(thread, thread->state);
    ttap__thread_field(thread, thread->cpu);
    ttap__thread_field(thread, thread->totals.run_ns);
    ttap__thread_field(thread, thread->totals.wait_ns);
    ttap__thread_field(thread, thread->totals.slices);
    ttap__thread_field(thread, ttap__zigzag(blocked ? thread->call : TTAP__CALL_NONE));
    ttap__thread_field(thread, blocked ? why_of(thread->call) : 0);
    ttap__thread_field(thread, sched.tier == TIER_LOOKS);
}

static struct ttap__moment moment_at(uint64_t ns)
{
    return (struct ttap__moment){ns, ticks_at(ns)};
}

/* In the stream of any thread of ours: it is about none of them. */
static void say_other(const struct ttap__other *other, uint64_t ns)
{
    struct ttap__sched_thread *by = ttap__threads_next(NULL);
    if (!by)
        return;
    uint32_t name = ttap__traced(other->pid) ? ttap_name("tracetap") : ttap__others_name(other->pid);
    say(by, TTAP__SCHED_OTHER, ns, 4);
    ttap__thread_field(by, other->cpu);
    ttap__thread_field(by, ttap__zigzag((int64_t)(by->last_ticks - other->since.ticks)));
    ttap__thread_field(by, (uint64_t)other->pid);
    ttap__thread_field(by, name);
}

static void end_thread(struct ttap__sched_thread *thread, uint64_t ns)
{
    say(thread, TTAP__SCHED_END, ns, 1);
    ttap__thread_field(thread, sched.tier == TIER_LOOKS);
    ttap__thread_flush(thread);
    sched.ended[sched.ended_count % ENDED_KEPT].number = thread->number;
    sched.ended[sched.ended_count++ % ENDED_KEPT].tid = thread->tid;
    ttap__threads_remove(thread);
}

/* The number of one that has just ended; 0: it has not. */
static uint64_t number_of_ended(int tid)
{
    for (uint32_t i = 1; i <= ENDED_KEPT; i++)
        if (sched.ended[(sched.ended_count - i) % ENDED_KEPT].tid == tid)
            return sched.ended[(sched.ended_count - i) % ENDED_KEPT].number;
    return 0;
}

/* 0: none of ours. */
static uint64_t number_of_waker(const struct ttap__perf_record *record)
{
    if (record->interrupt || !ttap__traced(record->by_pid))
        return 0;
    struct ttap__sched_thread *by = ttap__threads_find(record->by_tid);
    return by ? by->number : number_of_ended(record->by_tid);
}

static struct ttap__sched_thread *begin_thread(int pid, int tid, int by_tid, uint64_t ns)
{
    struct ttap__sched_thread *thread = ttap__threads_add(pid, tid), *by = ttap__threads_find(by_tid);
    if (!thread)
        return NULL;
    thread->state = TTAP__RUNNABLE;
    thread->looked = thread->settled = thread->first_settled = true; /* all counts are 0 */
    say(thread, TTAP__SCHED_BEGIN, ns, 2);
    ttap__thread_field(thread, by ? by->number : 0);
    ttap__thread_field(thread, sched.tier == TIER_LOOKS);
    return thread;
}

/* ---- Looking: on the clerk where there is one ---- */

static void on_clerk(void (*work)(void *arg), void *arg)
{
    if (sched.clerk)
        ttap__clerk_do(work, arg);
    else
        work(arg);
}

static uint8_t state_of_letter(char letter)
{
    return letter == 'R' ? TTAP__READY : letter == 'Z' || letter == 'X' ? TTAP__GONE : TTAP__BLOCKED;
}

/* Where records tell how it stands, only the totals and the call it sleeps in. False: it has ended. */
static bool look_closer(struct ttap__sched_thread *thread, bool totals_only)
{
    char letter = 0;
    thread->call = ttap__proc_call(thread->pid, thread->tid);
    thread->seen = TTAP__UNKNOWN;
    if (totals_only)
        return true;
    if (thread->call >= 0) {
        thread->seen = TTAP__BLOCKED; /* one file less to read */
        return true;
    }
    if (!ttap__proc_state(thread->pid, thread->tid, &letter))
        return false;
    thread->seen = state_of_letter(letter);
    return true;
}

static void look_at(struct ttap__sched_thread *thread, bool totals_only)
{
    uint64_t before_ns = ttap__mono_ns();
    struct ttap__proc_totals totals;
    if (!ttap__proc_totals(thread->pid, thread->tid, &totals))
        return; /* it has ended */
    bool sleeps_on = thread->looked && thread->state == TTAP__BLOCKED && thread->call >= 0 && totals.slices == thread->totals.slices;
    if (sleeps_on)
        thread->seen = TTAP__UNKNOWN; /* nothing new */
    else if (!look_closer(thread, totals_only))
        return;
    thread->totals = totals;
    thread->look_ns = thread->looked ? ttap__mono_ns() : before_ns; /* of the first: what it saw is at least this much */
    thread->settled = false;
    if (!thread->looked)
        thread->first_totals = totals;
    thread->looked = true;
}

/* All that happened before it was looked at is known: from here on, what was seen holds. */
static void settle(struct ttap__sched_thread *thread)
{
    if (thread->settled)
        return;
    thread->settled = true;
    thread->runs_then = thread->runs;
    if (!thread->first_settled)
        thread->first_runs = thread->runs;
    thread->first_settled = true;
    bool known_better = thread->seen == TTAP__READY && (thread->state == TTAP__RUNNING || thread->state == TTAP__RUNNABLE);
    if (thread->seen != TTAP__UNKNOWN && !known_better)
        thread->state = thread->seen;
}

static void scan_one(void *unused, int pid, int tid)
{
    (void)unused;
    if (ttap__tid_is_own(tid))
        return;
    struct ttap__sched_thread *thread = ttap__threads_find(tid);
    if (!thread)
        thread = ttap__threads_add(pid, tid);
    if (thread)
        thread->scan = sched.scan;
}

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ttap__ns_of(&ts);
}

/* All threads there are; the drainer waits meanwhile, so that its tables may be touched. */
static void scan_threads(void *unused)
{
    (void)unused;
    sched.scan++;
    ttap__traced_threads(scan_one, NULL);
}

static void look_at_new(void *unused)
{
    (void)unused;
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t))
        if (!t->looked)
            look_at(t, false);
}

static void look_at_all(void *unused)
{
    (void)unused;
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t))
        look_at(t, sched.tier > TIER_LOOKS && t->looked && !sched.lost);
}

/* ---- T0: looks alone ---- */

static void scan_and_look(void *cost_ns)
{
    uint64_t before_ns = cpu_ns();
    scan_threads(NULL);
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t))
        if (t->scan == sched.scan)
            look_at(t, false);
    *(uint64_t *)cost_ns = cpu_ns() - before_ns;
}

static void look_round(void)
{
    uint64_t begin_ns = ttap__mono_ns(), cost_ns;
    on_clerk(scan_and_look, &cost_ns);
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL), *next; t; t = next) {
        next = ttap__threads_next(t);
        if (t->scan != sched.scan)
            end_thread(t, begin_ns);
    }
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t)) {
        if (!t->looked || t->look_ns < begin_ns)
            continue; /* gone since the scan: the next one says so */
        settle(t);
        if (!t->next_seq && sched.previous_look_ns) {
            say(t, TTAP__SCHED_BEGIN, sched.previous_look_ns + (begin_ns - sched.previous_look_ns) / 2, 2);
            ttap__thread_field(t, 0);
            ttap__thread_field(t, 1);
        }
        say_look(t, t->look_ns);
    }
    sched.previous_look_ns = begin_ns;
    sched.next_look_ns = begin_ns + sched.look_period_ns;
    if (cost_ns * LOOK_SHARE > sched.look_period_ns * 2 && sched.look_period_ns < LOOK_MAX_NS)
        sched.look_period_ns *= 2; /* many more threads than at the start */
}

static void choose_look_period(void)
{
    uint64_t cost_ns;
    on_clerk(scan_and_look, &cost_ns); /* once to know them all, once to know what it costs from then on */
    on_clerk(scan_and_look, &cost_ns);
    uint64_t period_ns = cost_ns * LOOK_SHARE;
    sched.look_period_ns = period_ns < LOOK_MIN_NS ? LOOK_MIN_NS : period_ns > LOOK_MAX_NS ? LOOK_MAX_NS : period_ns;
}

/* ---- T1 and T2: records ---- */

static struct ttap__sched_thread *thread_of(const struct ttap__perf_record *record)
{
    if (record->tid <= 0 || !ttap__traced(record->pid) || ttap__tid_is_own(record->tid))
        return NULL; /* -1: one that has ended leaves its CPU */
    struct ttap__sched_thread *thread = ttap__threads_find(record->tid);
    bool has_ended = ttap__perf_is_wide() && (!sched.ever_lost || number_of_ended(record->tid));
    return thread || has_ended ? thread : ttap__threads_add(record->pid, record->tid); /* its begin was lost */
}

/* Somebody's records are missing here, and whose is only known at the next edge, from the kernel's own count. */
static void on_lost(void)
{
    sched.lost = sched.ever_lost = true;
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t))
        t->doubtful = true;
}

/* What it did since its last record is not known. */
static void admit_doubt(struct ttap__sched_thread *thread, uint64_t ns)
{
    uint8_t state = thread->state;
    thread->state = TTAP__UNKNOWN;
    say_look(thread, ns);
    thread->state = state;
    thread->doubtful = false;
}

static void say_wake(struct ttap__sched_thread *thread, uint64_t ns, const struct ttap__sched_waker *waker)
{
    say(thread, TTAP__SCHED_WAKE, ns, 2);
    ttap__thread_field(thread, waker->number);
    ttap__thread_field(thread, waker->cause);
    thread->state = TTAP__RUNNABLE;
}

/* A switch is told of a little late, so that a wake may be told before the sleep that it ends: of one that was awake then, and is found to have slept
 * right behind it and to run again although nobody woke it. If it had not been on its way to sleep it would have been woken from this one, too. */
static void recall_early_wake(struct ttap__sched_thread *thread, const struct ttap__perf_record *record)
{
    struct ttap__sched_waker *early = &thread->early;
    if (record->what == TTAP__PERF_RUN && thread->state == TTAP__BLOCKED && early->ns && !thread->doubtful)
        say_wake(thread, thread->last_ns, early);
    if (record->what != TTAP__PERF_BLOCK || record->ns - early->ns > EARLY_NS)
        early->ns = 0;
}

/* 0: one of ours, or none. */
static int other_one(int pid, int tid)
{
    return pid <= 0 || (ttap__traced(pid) && !ttap__tid_is_own(tid)) ? 0 : pid;
}

static void on_switch(const struct ttap__perf_record *record)
{
    struct ttap__sched_thread *thread = thread_of(record);
    if (!thread)
        return;
    recall_early_wake(thread, record);
    if (thread->doubtful)
        admit_doubt(thread, record->ns);
    if (record->ns > thread->look_ns) {
        settle(thread);
        thread->call = TTAP__CALL_UNKNOWN;
    }
    if (record->what == TTAP__PERF_RUN) {
        say(thread, TTAP__SCHED_RUN, record->ns, 1);
        ttap__thread_field(thread, record->cpu);
        thread->runs++;
        thread->cpu = record->cpu + 1;
        thread->state = TTAP__RUNNING;
        return;
    }
    bool blocks = record->what == TTAP__PERF_BLOCK;
    say(thread, blocks ? TTAP__SCHED_BLOCK : TTAP__SCHED_PREEMPT, record->ns, 0);
    thread->state = blocks ? TTAP__BLOCKED : TTAP__RUNNABLE;
}

static void on_leave(const struct ttap__perf_record *record)
{
    struct ttap__perf_record leave = *record;
    leave.what = record->preempted ? TTAP__PERF_PREEMPT : TTAP__PERF_BLOCK;
    leave.pid = record->by_pid;
    leave.tid = record->by_tid;
    on_switch(&leave);
}

static bool is_known_to_run(const struct ttap__perf_record *record)
{
    struct ttap__sched_thread *thread = thread_of(record);
    return thread && thread->state == TTAP__RUNNING && thread->cpu == record->cpu + 1 && !thread->doubtful;
}

/* Who comes runs from the moment at which the other one leaves, as it does by the kernel's count. Its arrival is news only where nobody was said to
 * leave: of its second CPU's idle thread a virtual machine did not tell. */
static void on_cpu_switch(const struct ttap__perf_record *record)
{
    struct ttap__perf_record come = *record;
    struct ttap__other other;
    come.what = TTAP__PERF_RUN;
    if (record->what == TTAP__PERF_SWITCH)
        on_leave(record);
    if (record->what == TTAP__PERF_SWITCH || !is_known_to_run(record))
        on_switch(&come);
    if (ttap__others_switch(record->cpu, other_one(record->by_pid, record->by_tid), other_one(record->pid, record->tid), moment_at(record->ns),
                            &other))
        say_other(&other, record->ns);
}

static void on_wake(const struct ttap__perf_record *record)
{
    struct ttap__sched_thread *thread = ttap__threads_find(record->tid);
    if (!thread)
        return; /* of another process */
    struct ttap__sched_waker waker = {record->ns, number_of_waker(record), 1};
    if (!waker.number)
        waker.cause = record->interrupt || !record->by_tid ? 3 : 2;
    if (thread->state == TTAP__BLOCKED)
        say_wake(thread, record->ns, &waker);
    else
        thread->early = waker; /* it was on its way to sleep */
}

static void on_begin(const struct ttap__perf_record *record)
{
    if (ttap__traced_are_many() && ttap__traced(record->by_pid))
        ttap__traced_add(record->pid);
    if (!ttap__traced(record->pid) || ttap__tid_is_own(record->tid))
        return;
    struct ttap__sched_thread *old = ttap__threads_find(record->tid);
    if (old && !old->next_seq && !old->runs)
        return; /* a scan has seen it already */
    if (old)
        end_thread(old, record->ns); /* its end was lost */
    begin_thread(record->pid, record->tid, record->by_tid, record->ns);
}

/* One that executes another program goes by its process' number from then on: the first thread's, which has ended. */
static void on_name(const struct ttap__perf_record *record)
{
    if (record->tid <= 0 || !ttap__traced(record->pid) || ttap__tid_is_own(record->tid))
        return;
    struct ttap__sched_thread *thread = ttap__threads_find(record->tid);
    if (thread)
        thread->name_version += 2;
    else
        ttap__threads_add(record->pid, record->tid);
}

static void on_record(const struct ttap__perf_record *record)
{
    struct ttap__sched_thread *thread;
    switch (record->what) {
    case TTAP__PERF_RUN:
    case TTAP__PERF_PREEMPT:
    case TTAP__PERF_BLOCK:
        on_switch(record);
        break;
    case TTAP__PERF_SWITCH:
    case TTAP__PERF_ARRIVE:
        on_cpu_switch(record);
        break;
    case TTAP__PERF_WAKE:
        on_wake(record);
        break;
    case TTAP__PERF_BEGIN:
        on_begin(record);
        break;
    case TTAP__PERF_END:
        thread = ttap__traced(record->pid) ? ttap__threads_find(record->tid) : NULL;
        if (thread)
            end_thread(thread, record->ns);
        ttap__others_forget(record->tid);
        break;
    case TTAP__PERF_NAME:
        on_name(record);
        ttap__others_forget(record->tid);
        break;
    case TTAP__PERF_LOST:
        on_lost();
        ttap__others_lost(record->cpu, moment_at(record->ns));
        break;
    case TTAP__PERF_OTHER:
        break;
    }
}

static void take_records(uint64_t until_ns)
{
    struct ttap__perf_record record;
    while (ttap__perf_next(until_ns, &record))
        on_record(&record);
    ttap__perf_read_done();
}

/* The kernel counts a thread's slices itself: what it counted beyond our records was lost. */
static void tell_lost(struct ttap__sched_thread *thread)
{
    uint64_t slices = thread->totals.slices - thread->first_totals.slices, runs = thread->runs_then - thread->first_runs + thread->lost_runs;
    if (!thread->looked || (int64_t)(slices - runs) <= 0)
        return;
    uint64_t lost = (slices - runs) * 2; /* each switch in has its switch out */
    thread->lost_runs += slices - runs;
    ttap__thread_flush(thread);
    uint64_t now_ticks = ticks_at(sched.edge_ns);
    ttap__source_lost(&ttap__source_sched, thread->index, thread->number, thread->next_seq, lost, thread->last_ticks, now_ticks);
    thread->next_seq += lost;
}

static void pass_edge(void)
{
    struct ttap__other other;
    for (uint32_t cpu = 0; ttap__others_cut(&cpu, moment_at(sched.edge_ns), &other); cpu++)
        say_other(&other, sched.edge_ns);
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t)) {
        settle(t);
        if (sched.lost)
            tell_lost(t);
        t->doubtful = false;
        ttap__thread_flush(t); /* what lies before is another run than what lies behind: a window may begin here */
        say_look(t, sched.edge_ns);
        ttap__thread_flush(t);
    }
    sched.lost = false;
    sched.edge_pending = false;
}

static void wait_until(uint64_t ns)
{
    for (uint64_t now_ns; (now_ns = ttap__mono_ns()) < ns;) {
        struct timespec nap = {0, (long)(ns - now_ns)};
        nanosleep(&nap, NULL);
    }
}

static void flush_all(uint64_t now_ns)
{
    for (struct ttap__sched_thread *t = ttap__threads_next(NULL); t; t = ttap__threads_next(t))
        ttap__thread_flush(t);
    sched.flushed_ns = now_ns;
}

static void drain(void);

/* A window is about to begin or to end. */
static void look(void)
{
    if (sched.tier >= TIER_SWITCHES && !sched.fresh)
        on_clerk(look_at_all, NULL);
    sched.fresh = false;
}

static void edge(uint64_t mono_ns)
{
    if (sched.edge_pending)
        drain(); /* two windows begin in one tick */
    sched.edge_pending = sched.tier != TIER_OFF;
    sched.edge_ns = mono_ns;
}

static void drain_records(void)
{
    if (sched.edge_pending) {
        wait_until(sched.edge_ns + SETTLE_EDGE_NS);
        clock_tick();
        take_records(sched.edge_ns);
        pass_edge();
    }
    clock_tick();
    take_records(ttap__mono_ns() - SETTLE_NS);
    if (sched.lost && !sched.edge_pending) { /* see what was lost, and how all stand since */
        on_clerk(look_at_all, NULL);
        edge(ttap__mono_ns());
    }
}

static void drain(void)
{
    uint64_t now_ns = ttap__mono_ns();
    if (sched.tier == TIER_OFF)
        return;
    if (sched.tier >= TIER_SWITCHES) {
        drain_records();
    } else if (sched.edge_pending || now_ns >= sched.next_look_ns) {
        clock_tick();
        if (sched.edge_pending)
            flush_all(now_ns);
        look_round();
        if (sched.edge_pending)
            flush_all(now_ns);
        sched.edge_pending = false;
    }
    if (now_ns - sched.flushed_ns >= GATHER_NS)
        flush_all(now_ns);
}

static bool can_wait(uint64_t now_ns)
{
    if (sched.tier == TIER_OFF)
        return true;
    if (sched.edge_pending || now_ns - sched.flushed_ns >= GATHER_NS)
        return false;
    return sched.tier >= TIER_SWITCHES ? !ttap__perf_rings_fill() : now_ns < sched.next_look_ns;
}

/* ---- Start and stop ---- */

static void open_perf(void *error)
{
    *(int *)error = ttap__perf_open();
}

static void open_wakes(void *refusal)
{
    *(const struct ttap__perf_refusal **)refusal = ttap__perf_watch_wakes();
}

static void start_records(void)
{
    int error = 0;
    const struct ttap__perf_refusal *no_wakes = NULL;
    sched.clerk = ttap__clerk_hire();
    if (!sched.clerk) {
        ttap__store(&told_reason, REASON_CLERK);
        return;
    }
    ttap__others_start(moment_at(ttap__mono_ns()));
    on_clerk(open_perf, &error);
    ttap__store(&told_reason, reason_of(error));
    if (error)
        return;
    on_clerk(open_wakes, &no_wakes);
    __atomic_store_n(&told_no_wakes, no_wakes, __ATOMIC_RELAXED);
    sched.tier = no_wakes ? TIER_SWITCHES : TIER_WAKES;
    on_clerk(scan_threads, NULL);
    on_clerk(look_at_new, NULL);
    sched.fresh = true;
}

static void start(void)
{
    memset(&sched, 0, sizeof(sched));
    ttap__traced_start();
    clock_start();
    start_records();
    if (sched.tier == TIER_OFF) {
        sched.tier = TIER_LOOKS;
        choose_look_period();
        ttap__store(&told_hz, (uint32_t)(1000000000u / sched.look_period_ns));
    }
    ttap__store(&told_tier, (uint32_t)sched.tier);
}

static void stop(void)
{
    if (sched.clerk)
        ttap__clerk_dismiss();
    ttap__perf_close();
    ttap__threads_forget();
    memset(&sched, 0, sizeof(sched));
}

static void after_fork(void)
{
    ttap__clerk_after_fork();
    ttap__perf_after_fork();
    ttap__threads_after_fork();
    memset(&sched, 0, sizeof(sched));
    ttap__store(&told_tier, TIER_OFF);
}

/* ---- For the engine ---- */

static uint64_t number_of(int pid, int tid)
{
    struct ttap__sched_thread *thread = ttap__threads_find(tid);
    return thread && thread->pid == pid ? thread->number : 0;
}

static struct ttap__source_thread thread_at(uint32_t index)
{
    struct ttap__sched_thread *thread = ttap__threads_at(index);
    return (struct ttap__source_thread){thread->pid, thread->tid, thread->number, thread->name_version};
}

/* Before the first capture. Several threads may do it at once; they find the same. */
static void probe(void)
{
    int error = ttap__perf_probe();
    const struct ttap__perf_refusal *no_wakes = error ? NULL : ttap__perf_probe_wakes();
    uint32_t none = TIER_OFF;
    ttap__store(&told_reason, reason_of(error));
    __atomic_store_n(&told_no_wakes, no_wakes, __ATOMIC_RELAXED);
    __atomic_compare_exchange_n(&told_tier, &none,
                                (uint32_t)(error      ? TIER_LOOKS
                                           : no_wakes ? TIER_SWITCHES
                                                      : TIER_WAKES),
                                0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    if (ttap__load(&told_tier) == TIER_OFF)
        probe();
    enum tier had = (enum tier)ttap__load(&told_tier);
    uint32_t reason = ttap__load(&told_reason);
    const struct ttap__perf_refusal *no_wakes = __atomic_load_n(&told_no_wakes, __ATOMIC_RELAXED);
    *on = had != TIER_OFF;
    *why = *enable = 0;
    switch (had) {
    case TIER_OFF:
        break;
    case TIER_LOOKS:
        if (ttap__load(&told_hz))
            snprintf(why, size, "sampled %u times a second (T0); not every switch: %s", ttap__load(&told_hz), reasons[reason].why);
        else
            snprintf(why, size, "sampled (T0); not every switch: %s", reasons[reason].why);
        snprintf(enable, size, "%s", reasons[reason].enable);
        break;
    case TIER_SWITCHES:
        snprintf(why, size, "every switch (T1); not who woke whom: %s", no_wakes->why);
        snprintf(enable, size, "%s", no_wakes->enable);
        break;
    case TIER_WAKES:
        snprintf(why, size, "every switch, and who woke whom (T2)");
        break;
    }
}

static unsigned tier(void)
{
    if (ttap__load(&told_tier) == TIER_OFF)
        probe();
    return ttap__load(&told_tier) - TIER_LOOKS;
}

const struct ttap__source ttap__source_sched = {
    .name = "sched",
    .groups = TTAP_GROUP_SCHED,
    .level = TTAP__LEVEL_SCHED,
    .knows_ends = true,
    .start = start,
    .look = look,
    .edge = edge,
    .drain = drain,
    .can_wait = can_wait,
    .stop = stop,
    .after_fork = after_fork,
    .number_of = number_of,
    .thread = thread_at,
    .status = status,
    .tier = tier,
};
