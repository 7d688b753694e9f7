/* samples.c - the source "cpu_samples": a timer on each thread's CPU time, whose signal has the thread record its own stack.
 *
 *   start   unwinder warmed up, SIGURG taken                     only if nobody else wants it
 *   drain   new threads get a timer, timers of gone ones go       found in /proc/self/task; what a thread ran before that counts with its first sample
 *   stop    timers deleted, SIGURG as it was
 *
 * SIGURG stays the program's: with a handler of its own, or ignored, there are no samples; if it sets another action while we record, we stop at
 * the next tick and leave it alone.
 * The handler interrupts no sleep: the timers run only while their thread does, and the signal is taken on its way back to user code
 * (SA_RESTART for kernels that send it from the tick).
 *
 * A source without a stream: samples are events of the thread that took them (level 0, or 1 where it was interrupted in the middle of another).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "capture.h"
#include "clock.h"
#include "proc.h"
#include "share.h"
#include "sample_signal.h"
#include "source_samples.h"
#include "stacks.h"

#define SCAN_SHARE 100u       /* looking for new threads takes at most a hundredth of a CPU */
#define SCAN_MIN_NS 20000000u /* two samples at 100 Hz */
#define SCAN_MAX_NS 1000000000u
#define BUCKETS 1024u
#define NONE UINT32_MAX

struct timed {
    int32_t tid, timer;
    uint32_t scan, next; /* next: of the same bucket, or free; index, or NONE */
};

/* Drainer only. */
static struct {
    bool running;
    uint64_t period_ns; /* of the timers there are */
    bool first_scan_done;
    uint32_t scan;
    uint64_t scan_period_ns, next_scan_ns;
    struct timed *timed;
    uint32_t made, room, free;
    uint32_t bucket[BUCKETS];
} samples;

/* For the status, which any thread may ask for. */
enum why {
    WHY_NONE = TTAP__SAMPLE_SIGNAL_FREE,
    WHY_HANDLER = TTAP__SAMPLE_SIGNAL_HANDLED,
    WHY_IGNORED = TTAP__SAMPLE_SIGNAL_IGNORED,
    WHY_REFUSED = TTAP__SAMPLE_SIGNAL_REFUSED,
    WHY_OTHERS
};
static uint32_t told_why, told_untimed;
static uint32_t told_ours; /* SIGURG is ours now */

/* ---- Timers ---- */

static struct timed *timed_of(int tid)
{
    for (uint32_t at = samples.bucket[(unsigned)tid % BUCKETS]; at != NONE; at = samples.timed[at].next)
        if (samples.timed[at].tid == tid)
            return &samples.timed[at];
    return NULL;
}

static struct timed *timed_new(int tid)
{
    if (samples.free == NONE && samples.made == samples.room) {
        uint32_t room = samples.room ? samples.room * 2 : 64;
        if (!ttap__budget_take((room - samples.room) * sizeof(struct timed)))
            return NULL;
        struct timed *grown = realloc(samples.timed, room * sizeof(*grown));
        if (!grown) {
            ttap__budget_give((room - samples.room) * sizeof(struct timed));
            return NULL;
        }
        samples.timed = grown;
        samples.room = room;
    }
    uint32_t index = samples.free, *head = &samples.bucket[(unsigned)tid % BUCKETS];
    if (index != NONE)
        samples.free = samples.timed[index].next;
    else
        index = samples.made++;
    samples.timed[index] = (struct timed){.tid = tid, .timer = -1, .next = *head};
    *head = index;
    return &samples.timed[index];
}

static void set_timer(struct timed *timed, bool is_new)
{
    timed->timer = ttap__sample_timer_set(timed->tid, samples.period_ns, is_new);
    if (timed->timer == -EAGAIN || timed->timer == -ENOMEM) /* else it has ended */
        ttap__store(&told_untimed, told_untimed + 1);
}

static void delete_timer(struct timed *timed)
{
    if (timed->timer >= 0)
        ttap__sample_timer_delete(timed->timer);
    timed->timer = -1;
}

static void scan_one(void *unused, int tid)
{
    (void)unused;
    if (ttap__tid_is_own(tid))
        return;
    struct timed *timed = timed_of(tid);
    if (!timed) {
        timed = timed_new(tid);
        if (!timed)
            return;
        set_timer(timed, samples.first_scan_done);
    }
    timed->scan = samples.scan;
}

static void drop_gone(void)
{
    for (uint32_t b = 0; b < BUCKETS; b++) {
        uint32_t *at = &samples.bucket[b];
        while (*at != NONE) {
            struct timed *timed = &samples.timed[*at];
            if (timed->scan == samples.scan) {
                at = &timed->next;
                continue;
            }
            uint32_t index = *at;
            delete_timer(timed);
            *at = timed->next;
            timed->next = samples.free;
            samples.free = index;
        }
    }
}

static void scan(uint64_t now_ns)
{
    samples.scan++;
    if (ttap__proc_threads(getpid(), scan_one, NULL) >= 0)
        drop_gone();
    samples.first_scan_done = true;
    uint64_t period_ns = (ttap__mono_ns() - now_ns) * SCAN_SHARE;
    samples.scan_period_ns = period_ns < SCAN_MIN_NS ? SCAN_MIN_NS : period_ns > SCAN_MAX_NS ? SCAN_MAX_NS : period_ns;
    samples.next_scan_ns = now_ns + samples.scan_period_ns;
}

static void forget_timers(bool ours)
{
    for (uint32_t i = 0; ours && i < samples.made; i++)
        delete_timer(&samples.timed[i]);
    if (ours) {
        free(samples.timed);
        ttap__budget_give(samples.room * sizeof(struct timed));
    }
    samples.timed = NULL;
    samples.made = samples.room = 0;
    samples.free = NONE;
    samples.first_scan_done = false;
    for (uint32_t b = 0; b < BUCKETS; b++)
        samples.bucket[b] = NONE;
}

static void give_signal_back(void)
{
    ttap__store(&told_ours, 0);
    ttap__sample_signal_give_back();
}

/* ---- For the engine ---- */

static void stop(void)
{
    if (!samples.running)
        return;
    forget_timers(true);
    give_signal_back();
    samples.running = false;
}

static void start(void)
{
    forget_timers(false);
    samples.period_ns = 0;
    ttap__store(&told_untimed, 0);
    if (ttap__share_role == TTAP__SHARE_KEEPER)
        return; /* members make their own timers: trace/hooks/samples.c */
    ttap__store(&told_why, (uint32_t)ttap__sample_signal_take());
    ttap__store(&told_ours, ttap__load(&told_why) == WHY_NONE);
    if (!ttap__load(&told_ours))
        return;
    ttap__stacks_warm_up();
    samples.running = true;
}

static void drain(void)
{
    uint64_t now_ns = ttap__mono_ns(), period_ns = ttap__load(&ttap__arena_here()->sample_period_ns);
    if (!samples.running)
        return;
    if (!ttap__sample_signal_is_ours()) {
        stop();
        ttap__store(&told_why, WHY_OTHERS);
        return;
    }
    if (period_ns != samples.period_ns) {
        forget_timers(true);
        samples.period_ns = period_ns;
        samples.next_scan_ns = 0;
    }
    if (samples.period_ns && now_ns >= samples.next_scan_ns)
        scan(now_ns);
}

static void look(void) {}

/* Behind the gate, which says how often. */
static void edge(uint64_t mono_ns)
{
    (void)mono_ns;
    drain();
}

static void after_fork(void)
{
    if (!samples.running)
        return;
    forget_timers(false); /* timers are not inherited */
    give_signal_back();
    samples.running = false;
}

static uint64_t number_of(int pid, int tid)
{
    (void)pid;
    (void)tid;
    return 0;
}

static struct ttap__source_thread no_thread(uint32_t index)
{
    (void)index;
    return (struct ttap__source_thread){0};
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    static const char *const reasons[] = {
        [WHY_HANDLER] = "the program has its own handler for SIGURG",
        [WHY_IGNORED] = "the program ignores SIGURG",
        [WHY_REFUSED] = "SIGURG cannot be handled here",
        [WHY_OTHERS] = "the program has set SIGURG for itself since",
    };
    bool keeper = ttap__share_role == TTAP__SHARE_KEEPER;
    enum why reason = keeper ? WHY_NONE : (enum why)ttap__sample_signal_whose();
    if (reason == WHY_HANDLER && ttap__load(&told_why) == WHY_OTHERS)
        reason = WHY_OTHERS;
    *on = reason == WHY_NONE;
    *enable = 0;
    if (reason != WHY_NONE)
        snprintf(why, size, "%s", reasons[reason]);
    else if (keeper)
        snprintf(why, size, "when asked for with samples=HZ: of processes without a handler for SIGURG, from their next hooked call on");
    else if (!ttap__load(&told_ours))
        snprintf(why, size, "when asked for with samples=HZ");
    else if (!ttap__stacks_unwind())
        snprintf(why, size, "functions without their callers: this C library's unwinder takes locks");
    else if (ttap__load(&told_untimed))
        snprintf(why, size, "%u threads could get no timer: the limit of pending signals is reached", ttap__load(&told_untimed));
    else
        *why = 0;
}

const struct ttap__source ttap__source_samples = {
    .name = "cpu_samples",
    .groups = TTAP_GROUP_SAMPLE,
    .level = UINT32_MAX, /* no stream */
    .start = start,
    .look = look,
    .edge = edge,
    .drain = drain,
    .stop = stop,
    .after_fork = after_fork,
    .number_of = number_of,
    .thread = no_thread,
    .status = status,
};
