/* clock.h - the clock of events: a counter that costs 10 ns where the machine has a good one, CLOCK_MONOTONIC where not.
 *
 * Events carry raw ticks; the reader turns them into nanoseconds with the pairs that the capture carries.
 */
#ifndef TTAP_EMIT_CLOCK_H
#define TTAP_EMIT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* enum ttap__clock_kind of kinds.h; 0 until ttap__clock_init() decided. */
extern int ttap__clock_kind;

/* Decide once which clock to use. Idempotent, signal-safe. */
void ttap__clock_init(void);

/* One moment on the three clocks; the best of several tries. */
struct ttap__clock_pair {
    uint64_t ticks, mono_ns, wall_ns;
};
void ttap__clock_pair(struct ttap__clock_pair *out);

/* Nominal frequency: exact for CLOCK_MONOTONIC and the aarch64 counter, measured since ttap__clock_init() for the TSC. */
uint64_t ttap__clock_ticks_per_second(void);

static inline uint64_t ttap__ns_of(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

static inline uint64_t ttap__mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ttap__ns_of(&ts);
}

/* The processor's counter is the clock, so reading it needs no call. */
static inline int ttap__ticks_are_counter(void)
{
#if defined(__x86_64__)
    return __builtin_expect(__atomic_load_n(&ttap__clock_kind, __ATOMIC_RELAXED) == 1, 1);
#elif defined(__aarch64__)
    return __builtin_expect(__atomic_load_n(&ttap__clock_kind, __ATOMIC_RELAXED) == 3, 1);
#endif
}

static inline uint64_t ttap__ticks_counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

static inline uint64_t ttap__ticks(void)
{
    return ttap__ticks_are_counter() ? ttap__ticks_counter() : ttap__mono_ns();
}

#endif
