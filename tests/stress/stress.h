/* stress.h - how long: TTAP_STRESS_SECONDS, default in each test, 30 at most. */
#ifndef TTAP_TEST_STRESS_H
#define TTAP_TEST_STRESS_H

#include <stdlib.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t stress_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t stress_deadline_ns(unsigned otherwise_s)
{
    const char *text = getenv("TTAP_STRESS_SECONDS");
    unsigned long seconds = text ? strtoul(text, NULL, 10) : otherwise_s;
    return stress_now_ns() + seconds * 1000000000u;
}

static inline void stress_nap_us(unsigned us)
{
    struct timespec nap = {us / 1000000, (long)(us % 1000000) * 1000};
    nanosleep(&nap, NULL);
}

#endif
