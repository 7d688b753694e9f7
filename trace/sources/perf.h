/* perf.h - the kernel's own records of when threads ran: perf events on ourselves, drained from rings.
 *
 *    thread 1  thread 2  thread 3 ...          one software event a thread and CPU, inherited by threads to come, so that none is missed
 *       \ \      / /      / /
 *     ring of CPU 0   ring of CPU 1            one ring a CPU: what a thread costs is two descriptors, not a ring
 *            \          /
 *          merged by time
 *
 * Where others may be recorded too, one event a CPU tells of all of its switches instead: nothing is opened for a thread, no switch changes what is
 * recorded, and it is known what else ran.
 *
 * Not one ring a thread: inherited events cannot have one, and 1,000 rings are 1,000 pages to look at 200 times a second.
 */
#ifndef TTAP_SOURCES_PERF_H
#define TTAP_SOURCES_PERF_H

#include <stdbool.h>
#include <stdint.h>

enum ttap__perf_what {
    TTAP__PERF_RUN,     /* tid starts to run on cpu */
    TTAP__PERF_PREEMPT, /* it stops running and could go on */
    TTAP__PERF_BLOCK,   /* it stops running to wait */
    TTAP__PERF_SWITCH,  /* of the whole CPU: by_tid leaves it, to wait unless it is preempted, and tid comes */
    TTAP__PERF_ARRIVE,  /* tid has come, behind by_tid; told of each switch, a little later */
    TTAP__PERF_BEGIN,   /* tid was created */
    TTAP__PERF_END,     /* tid ends */
    TTAP__PERF_NAME,    /* tid has another name */
    TTAP__PERF_WAKE,    /* tid may run again, by_pid and by_tid were running when that was decided */
    TTAP__PERF_LOST,    /* `lost` records did not fit into cpu's ring */
    TTAP__PERF_OTHER
};

struct ttap__perf_record {
    enum ttap__perf_what what;
    int pid, tid, by_pid, by_tid; /* 0: none, or in a PID namespace that is not ours */
    bool preempted;
    bool interrupt; /* WAKE: by an interrupt, which only happened to come while by_tid ran */
    uint32_t cpu;
    uint64_t ns; /* CLOCK_MONOTONIC */
    uint64_t lost;
};

/* Whether records could be had: 0, or a negative errno. Opens and closes one event. */
int ttap__perf_probe(void);
/* Why there are no wakes, and the line that changes it. */
struct ttap__perf_refusal {
    const char *why, *enable;
};
/* The same for wakes: NULL, or why not. */
const struct ttap__perf_refusal *ttap__perf_probe_wakes(void);
/* Begin to record all threads of the process, now and to come. On the clerk. 0, or a negative errno with nothing left behind:
 * -EACCES, -EPERM (not allowed), -ENOSYS, -EMFILE (too few descriptors), -ENOMEM (no ring fits into budget and locked memory). */
int ttap__perf_open(void);
/* Also record who wakes whom. On the clerk, after open. NULL, or why not. */
const struct ttap__perf_refusal *ttap__perf_watch_wakes(void);
/* The earliest record that is not later than @until_ns. False: none. */
bool ttap__perf_next(uint64_t until_ns, struct ttap__perf_record *out);
/* Give the room of what was read back to the kernel. */
void ttap__perf_read_done(void);
/* Whatever runs is told of: a thread also between its end and the last time that it leaves its CPU. */
bool ttap__perf_is_wide(void);
/* A ring is a quarter full. */
bool ttap__perf_rings_fill(void);
/* Not on the clerk; its descriptors must be closed. */
void ttap__perf_close(void);
void ttap__perf_after_fork(void);
/* Figures for the status. */
uint64_t ttap__perf_ring_bytes(void);
/* Threads and CPUs of the last open. */
unsigned ttap__perf_threads(void);
unsigned ttap__perf_cpus(void);

#endif
