/* clock.c - which counter, and what it means. */
#include "clock.h"

#include <fcntl.h>

#include "kinds.h"
#include "sys.h"

int ttap__clock_kind;

/* The first pair of this process: the longer ago, the better the measured frequency. */
static struct ttap__clock_pair first_pair;

#if defined(__x86_64__)
#include <cpuid.h>

/* The kernel's own verdict on the TSC: it watches it against other clocks and gives it up when it misbehaves. */
static int kernel_uses_tsc(void)
{
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char text[4] = {0};
    long fd = ttap__syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return 1; /* no /sys here: the processor's promise has to do */
    long n = ttap__syscall6(SYS_read, fd, (long)text, 3, 0, 0, 0);
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
    return n == 3 && text[0] == 't' && text[1] == 's' && text[2] == 'c';
}

static int best_clock(void)
{
    unsigned a, b, c, d;
    int invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)); /* constant rate, also in sleep states */
    return invariant && kernel_uses_tsc() ? TTAP__CLOCK_TSC : TTAP__CLOCK_MONOTONIC;
}
#elif defined(__aarch64__)
static int best_clock(void)
{
    return TTAP__CLOCK_CNTVCT; /* constant by architecture */
}
#endif

void ttap__clock_init(void)
{
    if (__atomic_load_n(&ttap__clock_kind, __ATOMIC_ACQUIRE))
        return;
    int kind = best_clock();
    __atomic_store_n(&ttap__clock_kind, kind, __ATOMIC_RELEASE);
    struct ttap__clock_pair pair;
    ttap__clock_pair(&pair);
    /* Two threads may both get here; either pair will do, but not half of each: ticks is written last and tested first. */
    __atomic_store_n(&first_pair.mono_ns, pair.mono_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&first_pair.ticks, pair.ticks, __ATOMIC_RELEASE);
}

void ttap__clock_pair(struct ttap__clock_pair *out)
{
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < 20; i++) { /* 20 tries find an undisturbed one; 200 gained nothing more */
        struct timespec mono, wall;
        uint64_t before = ttap__ticks();
        clock_gettime(CLOCK_MONOTONIC, &mono);
        uint64_t after = ttap__ticks();
        clock_gettime(CLOCK_REALTIME, &wall);
        if (after - before >= best_width)
            continue;
        best_width = after - before;
        out->ticks = before + best_width / 2;
        out->mono_ns = ttap__ns_of(&mono);
        out->wall_ns = ttap__ns_of(&wall);
        if (__atomic_load_n(&ttap__clock_kind, __ATOMIC_RELAXED) == TTAP__CLOCK_MONOTONIC)
            out->ticks = out->mono_ns;
    }
}

uint64_t ttap__clock_ticks_per_second(void)
{
    if (__atomic_load_n(&ttap__clock_kind, __ATOMIC_RELAXED) == TTAP__CLOCK_MONOTONIC)
        return 1000000000u;
#if defined(__aarch64__)
    uint64_t hz;
    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
#else
    struct ttap__clock_pair now;
    uint64_t ticks0 = __atomic_load_n(&first_pair.ticks, __ATOMIC_ACQUIRE);
    uint64_t mono0_ns = __atomic_load_n(&first_pair.mono_ns, __ATOMIC_RELAXED);
    do
        ttap__clock_pair(&now);
    while (now.mono_ns - mono0_ns < 2000000u); /* 2 ms: the first pair is only just taken; 50 ppm until the next pair comes */
    return (uint64_t)((double)(now.ticks - ticks0) * 1e9 / (double)(now.mono_ns - mono0_ns));
#endif
}
