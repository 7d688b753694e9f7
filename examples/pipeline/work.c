/* work.c - sleeping and spinning. */
#include "work.h"

#include <errno.h>
#include <time.h>

enum { NS_PER_US = 1000, US_PER_S = 1000000 };

void wait_us(unsigned us)
{
    struct timespec left = {us / US_PER_S, (long)(us % US_PER_S) * NS_PER_US};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

void wait_until_multiple_us(unsigned us)
{
    wait_us((unsigned)(us - now_us(CLOCK_MONOTONIC) % us));
}

void burn_us(unsigned us)
{
    uint64_t until = now_us(CLOCK_THREAD_CPUTIME_ID) + us;
    volatile uint64_t sink = 0;

    do
        for (unsigned i = 0; i < 1000; i++) /* about 1 us between looks at the clock */
            sink = sink + i;
    while (now_us(CLOCK_THREAD_CPUTIME_ID) < until);
}

uint64_t checksum(const char *bytes, size_t count, unsigned rounds)
{
    uint64_t hash = 14695981039346656037u;

    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}
