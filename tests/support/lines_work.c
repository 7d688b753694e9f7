/* lines_work.c - a program whose lines are known: each comment in capitals is on the line that samples, or the stack of a wait, have to name.
 *
 * It computes for half a second of CPU time (samples are there), and sleeps for 20 ms now and then (long calls).
 */
#include <stdint.h>
#include <time.h>

#ifdef REBUILT
static volatile uint64_t sum = REBUILT; /* another build of it */
#else
static volatile uint64_t sum;
#endif

static inline __attribute__((always_inline)) void inlined_work(uint64_t i)
{
    sum = sum * UINT64_C(6364136223846793005) + i; /* INLINED */
}

static __attribute__((noinline)) void hot(uint64_t count) /* HOT BEGINS */
{
    for (uint64_t i = 0; i < count; i++)
        inlined_work(i); /* CALLS INLINED */
    sum++;
} /* HOT ENDS */

static __attribute__((noinline)) void nap(void)
{
    const struct timespec length = {0, 20 * 1000 * 1000};
    nanosleep(&length, NULL); /* WAITS */
    sum++;                    /* so that the call is not the last thing, and a jump */
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(void)
{
    nap();
    while (cpu_s() < 0.5) {
        hot(40 * 1000 * 1000); /* MAIN CALLS HOT */
        nap();
    }
    return 0;
}
