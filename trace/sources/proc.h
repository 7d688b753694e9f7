/* proc.h - what /proc says about a thread. To be called by a thread with descriptors of its own (clerk.h), or by any: each call opens and closes. */
#ifndef TTAP_SOURCES_PROC_H
#define TTAP_SOURCES_PROC_H

#include <stdbool.h>
#include <stdint.h>

#define TTAP__CALL_UNKNOWN (-2) /* not readable: the process is not dumpable, or the kernel has no such file */
#define TTAP__CALL_NONE (-1)    /* not in a system call, or running */

struct ttap__proc_totals {
    uint64_t run_ns, wait_ns, slices; /* since the thread began: on a CPU, waiting for one, and how often it got one */
};

struct ttap__proc_memory {
    uint64_t resident_bytes, data_bytes; /* data: what is mapped for heap, stacks and the like, touched or not */
};

/* False: the process is gone, or /proc does not tell. */
bool ttap__proc_memory(int pid, struct ttap__proc_memory *out);

/* Each false: the thread is gone, or /proc does not tell. */
bool ttap__proc_totals(int pid, int tid, struct ttap__proc_totals *out);
/* The state letter of `stat`. */
bool ttap__proc_state(int pid, int tid, char *letter);
/* The number of the system call it sleeps in. */
long ttap__proc_call(int pid, int tid);
/* Call @each with the number of every thread of the process. Returns how many; -1: /proc cannot be read. */
int ttap__proc_threads(int pid, void (*each)(void *arg, int tid), void *arg);
/* The first line of a file, without its end. */
bool ttap__proc_line(const char *path, char *out, unsigned size);
/* The whole number a file begins with; @otherwise when there is none. */
long ttap__proc_number(const char *path, long otherwise);

#endif
