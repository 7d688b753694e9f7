/* bench.h - what the benchmarks share: time, medians, a real client, and one way to print figures. */
#ifndef TTAP_BENCH_H
#define TTAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- The floor: what any recorder of this kind must do at least, read the counter and store ---- */
static inline uint64_t bench_counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

/* Stores before it are not merged with those behind. */
static inline void bench_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

double bench_now_ns(void);
double bench_thread_cpu_ns(void);
/* Sorts @values. */
double bench_median(double *values, size_t count);
double bench_percentile(double *values, size_t count, double percent);
void bench_pin(int cpu);

/* ---- Figures: a table on a terminal, one JSON object with --json; with --check a missed bar makes the exit code 1 ---- */
void bench_begin(const char *name, int argc, char **argv);
/* @bar 0: no bar. Smaller is better unless @bar is negative: then the figure must be at least -bar. */
void bench_figure(const char *key, double value, double bar, const char *meaning);
void bench_fail(const char *what) __attribute__((noreturn));
/* --short was given: see that it works, measure little. */
bool bench_is_short(void);
int bench_end(void);

/* ---- A client: curl, reading a stream of the endpoint on @port to @file ---- */
pid_t bench_client(unsigned port, const char *path_and_query, const char *file);
void bench_client_end(pid_t client);

#endif
