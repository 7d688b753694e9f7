/* samples.c - CPU samples under `tracetap run`: the keeper wants them, but timers on threads can only be made in their own process.
 *
 * Nothing of ours runs there by itself, so the next hooked call of any thread makes the timers of all; and again from time to time, for threads
 * that were born since. When nobody wants samples any more each timer ends with its next signal, and with the last one SIGURG is the program's.
 * A process whose threads make no hooked call at all has no samples.
 */
#include <errno.h>
#include <fcntl.h>

#include "hooks.h"
#include "sample_signal.h"
#include "stacks.h"
#include "sys.h"

enum { TIMED_MAX = 4096, SCANS_A_SECOND = 20, PIECE_BYTES = 2048, GONE = -1 };

/* By thread number, with open addressing. Written by who has `working`; a handler only marks its own thread's place as GONE. */
static struct {
    int32_t tid, timer;
    uint32_t scan;
} timed[TIMED_MAX];
static uint32_t live, scans;
static int32_t working; /* the process that does; another one's is what fork() has copied */
static int32_t owner_pid;
static uint64_t next_scan_ticks, period_ns;

struct entry { /* as getdents64() has it */
    uint64_t inode, offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/* The place of @tid, or a free one; -1: the table is full. */
static int place_of(int tid)
{
    int free_place = -1;
    for (unsigned i = 0; i < TIMED_MAX; i++) {
        int at = (int)(((unsigned)tid + i) % TIMED_MAX);
        int there = ttap__load(&timed[at].tid);
        if (there == tid)
            return at;
        if (free_place < 0 && there <= 0)
            free_place = at;
        if (!there)
            break;
    }
    return free_place;
}

static void time_thread(int tid, bool is_new)
{
    int at = place_of(tid);
    if (at < 0)
        return;
    if (ttap__load(&timed[at].tid) != tid) {
        int timer = ttap__sample_timer_set(tid, period_ns, is_new);
        if (timer < 0)
            return;
        timed[at].timer = timer;
        __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
        ttap__store(&timed[at].tid, tid);
    }
    timed[at].scan = scans;
}

static void drop(int at)
{
    int tid = ttap__load(&timed[at].tid);
    if (tid > 0 && __atomic_compare_exchange_n(&timed[at].tid, &tid, GONE, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        ttap__sample_timer_delete(timed[at].timer);
        __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    }
}

static bool begin_work(int32_t pid)
{
    int32_t by = ttap__load(&working);
    return by != pid && __atomic_compare_exchange_n(&working, &by, pid, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void end_work(void)
{
    ttap__store_release(&working, 0); /* acquire: begin_work() */
}

/* Not while somebody makes new ones: a signal without a handler would end the process. */
static void last_is_gone(void)
{
    if (!begin_work(ttap__getpid()))
        return;
    if (!ttap__load(&live))
        ttap__sample_signal_give_back();
    end_work();
}

/* On the thread whose timer it is, in the handler. */
static void unwanted(int tid, int timer)
{
    ttap__sample_timer_delete(timer);
    for (int at = 0; at < TIMED_MAX; at++) {
        int there = tid;
        if (ttap__load(&timed[at].tid) != tid || timed[at].timer != timer)
            continue;
        if (__atomic_compare_exchange_n(&timed[at].tid, &there, GONE, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
            __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED) == 0)
            last_is_gone();
    }
}

static int number_of(const char *text)
{
    int number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (*text - '0');
    return *text ? 0 : number;
}

static void scan(bool first)
{
    static const char path[] = "/proc/self/task";
    char piece[PIECE_BYTES] __attribute__((aligned(8)));
    long fd = ttap__syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0), got;
    if (fd < 0)
        return;
    scans++;
    while ((got = ttap__syscall6(SYS_getdents64, fd, (long)piece, sizeof(piece), 0, 0, 0)) > 0)
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(piece + at);
            int tid = number_of(entry->name);
            if (tid > 0)
                time_thread(tid, !first);
            at += entry->bytes;
        }
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
    for (int at = 0; at < TIMED_MAX; at++)
        if (timed[at].scan != scans)
            drop(at);
}

/* The child of fork() has no timers; what it knows of them is its parent's. */
static void forget_parent(int pid)
{
    for (int at = 0; at < TIMED_MAX; at++)
        ttap__store(&timed[at].tid, 0);
    ttap__store(&live, 0);
    period_ns = 0;
    owner_pid = pid;
}

static void make_timers(int32_t pid, uint64_t wanted_ns)
{
    if (pid != owner_pid)
        forget_parent(pid);
    ttap__sample_signal_unwanted = unwanted;
    if (ttap__sample_signal_take() != TTAP__SAMPLE_SIGNAL_FREE)
        wanted_ns = 0; /* the program has its own handler, perhaps since a moment ago */
    bool first = wanted_ns != period_ns;
    for (int at = 0; first && at < TIMED_MAX; at++)
        drop(at);
    period_ns = wanted_ns;
    if (wanted_ns)
        scan(first);
}

void ttap__samples_wanted(void)
{
    uint64_t now = ttap__ticks(), wanted_ns = ttap__load(&ttap__arena_here()->sample_period_ns);
    if (!wanted_ns || (int64_t)(now - ttap__load(&next_scan_ticks)) < 0)
        return;
    int32_t pid = ttap__getpid();
    const struct ttap__slot *slot = ttap__tls->slot;
    if (!slot || ttap__load(&slot->pid) != pid || !begin_work(pid))
        return; /* not for a child of vfork(), which is in its parent's memory */
    int saved_errno = errno;
    ttap__store(&next_scan_ticks, now + ttap__load(&ttap__arena_here()->ms_ticks) * (1000 / SCANS_A_SECOND));
    make_timers(pid, wanted_ns);
    errno = saved_errno;
    end_work();
}
