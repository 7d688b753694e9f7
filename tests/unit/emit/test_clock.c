/* test_clock.c - which clock is taken, by what the processor and the kernel say; and what its numbers mean. The clock's source is
 * compiled in here, with the processor's and the kernel's answers in the test's hand. */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "statements.h"
#include "sys.h"

#if defined(__x86_64__)
#include <cpuid.h>

static struct {
    int cpuid_known;
    unsigned power_flags; /* edx of leaf 0x80000007; bit 8: the counter's rate is constant */
    long file;            /* what opening the kernel's file gives */
    const char *text;     /* and what is in it */
    unsigned opened, closed;
} machine;

static long answer_syscall(long number, long fd, long buffer, long bytes)
{
    if (number == SYS_openat) {
        CU_ASSERT_STRING_EQUAL((const char *)buffer, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
        CU_ASSERT_EQUAL(bytes, O_RDONLY | O_CLOEXEC);
        machine.opened++;
        return machine.file;
    }
    if (number == SYS_close) {
        machine.closed += fd == machine.file;
        return 0;
    }
    long len = (long)strlen(machine.text);
    memcpy((void *)buffer, machine.text, (size_t)(len < bytes ? len : bytes));
    return len < bytes ? len : bytes;
}

static int answer_cpuid(unsigned leaf, unsigned *d)
{
    *d = leaf == 0x80000007 ? machine.power_flags : 0;
    return machine.cpuid_known;
}

#define ttap__syscall6(number, a, b, c, d, e, f) answer_syscall(number, a, (long)(b), c)
#define __get_cpuid(leaf, a, b, c, d) ((void)(a), (void)(b), (void)(c), answer_cpuid(leaf, d))
#endif

#include "clock.h"

/* What the clocks say while a script runs: the counter at @at, so far on at each of its readings, in turn. */
static struct {
    unsigned readings; /* 0: the real ones */
    uint64_t step[64], at, mono_ns;
} script;

static uint64_t answer_ticks(void)
{
    return script.readings ? script.at += script.step[script.readings++ % 64] : ttap__ticks();
}

static int answer_time(clockid_t clock, struct timespec *time)
{
    if (!script.readings)
        return clock_gettime(clock, time);
    uint64_t ns = clock == CLOCK_MONOTONIC ? ++script.mono_ns : 5000000000u + script.mono_ns;
    *time = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    return 0;
}

#define ttap__ticks() answer_ticks()
#define clock_gettime(clock, time) answer_time(clock, time)
#include "clock.c"
#undef clock_gettime
#undef ttap__ticks

/* Tries take 900 and 700 ticks in turn, the third one 300 and the eighth 301. */
static void of_several_tries_the_shortest_says_which_moment_it_was(void)
{
    static const uint64_t takes[2] = {900, 700};
    for (int monotonic = 0; monotonic < 2; monotonic++) {
        struct ttap__clock_pair pair = {0, 0, 0};
        memset(&script, 0, sizeof script);
        for (unsigned i = 0; i < 32; i++) { /* before: 1000 after the last, after: what it takes */
            script.step[(1 + 2 * i) % 64] = 1000;
            script.step[(2 + 2 * i) % 64] = i == 2 ? 300 : i == 7 ? 301 : takes[i % 2];
        }
        script.readings = 1;
        ttap__clock_kind = monotonic ? TTAP__CLOCK_MONOTONIC : TTAP__CLOCK_TSC;
        ttap__clock_pair(&pair);
        CU_ASSERT(script.readings > 6 && script.mono_ns >= 3);
        script.readings = 0;
        uint64_t before = 3 * 1000 + 900 + 700;
        CU_ASSERT_EQUAL(pair.ticks, monotonic ? 3 : before + 150);
        CU_ASSERT_EQUAL(pair.mono_ns, 3);
        CU_ASSERT_EQUAL(pair.wall_ns, 5000000003);
    }
}

static __attribute__((unused)) int chosen(void) /* where there is a choice */
{
    ttap__clock_kind = 0;
    ttap__clock_init();
    return ttap__clock_kind;
}

static void monotonic_time_is_its_own_frequency(void)
{
    struct ttap__clock_pair pair;
    ttap__clock_kind = TTAP__CLOCK_MONOTONIC;
    CU_ASSERT_FALSE(ttap__ticks_are_counter());
    CU_ASSERT_EQUAL(ttap__clock_ticks_per_second(), 1000000000);
    uint64_t before = ttap__mono_ns();
    ttap__clock_pair(&pair);
    uint64_t after = ttap__ticks();
    CU_ASSERT(pair.mono_ns >= before && pair.mono_ns <= after);
    CU_ASSERT_EQUAL(pair.ticks, pair.mono_ns);
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    CU_ASSERT(pair.wall_ns <= ttap__ns_of(&wall) && ttap__ns_of(&wall) - pair.wall_ns < 60000000000);
}

static void a_time_is_seconds_and_nanoseconds(void)
{
    struct timespec time = {.tv_sec = 3, .tv_nsec = 5};
    CU_ASSERT_EQUAL(ttap__ns_of(&time), 3000000005);
}

#if defined(__x86_64__)
static void a_constant_counter_that_the_kernel_trusts_is_the_clock(void)
{
    static const struct {
        int cpuid_known;
        unsigned power_flags;
        long file;
        const char *text;
        int expected;
    } machines[] = {
        {1, 1u << 8, 9, "tsc\n", TTAP__CLOCK_TSC},
        {1, ~0u, 9, "tsc", TTAP__CLOCK_TSC},
        {1, 1u << 8, 0, "tsc\n", TTAP__CLOCK_TSC},
        {1, 1u << 8, -2, "", TTAP__CLOCK_TSC}, /* no /sys */
        {1, 1u << 8, 9, "kvm-clock\n", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "hpet\n", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "ts", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "asc", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "tac", TTAP__CLOCK_MONOTONIC},
        {1, 1u << 8, 9, "tsa", TTAP__CLOCK_MONOTONIC},
        {1, ~(1u << 8), 9, "tsc\n", TTAP__CLOCK_MONOTONIC},
        {0, 1u << 8, 9, "tsc\n", TTAP__CLOCK_MONOTONIC},
    };
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        memset(&machine, 0, sizeof machine);
        machine.cpuid_known = machines[i].cpuid_known;
        machine.power_flags = machines[i].power_flags;
        machine.file = machines[i].file;
        machine.text = machines[i].text;
        CU_ASSERT_EQUAL(chosen(), machines[i].expected);
        CU_ASSERT_EQUAL(ttap__ticks_are_counter(), machines[i].expected == TTAP__CLOCK_TSC);
        CU_ASSERT_EQUAL(machine.closed, machine.opened && machine.file >= 0);
    }
}

static void it_is_chosen_once(void)
{
    memset(&machine, 0, sizeof machine);
    ttap__clock_kind = TTAP__CLOCK_TSC;
    uint64_t first = first_pair.ticks;
    ttap__clock_init();
    CU_ASSERT_EQUAL(ttap__clock_kind, TTAP__CLOCK_TSC);
    CU_ASSERT_EQUAL(machine.opened, 0);
    CU_ASSERT_EQUAL(first_pair.ticks, first);
}

static void the_counters_frequency_is_measured_over_two_milliseconds_at_least(void)
{
    machine.cpuid_known = 1;
    machine.power_flags = 1u << 8;
    machine.file = -2;
    uint64_t counter = ttap__ticks_counter();
    CU_ASSERT_EQUAL(chosen(), TTAP__CLOCK_TSC);
    CU_ASSERT(first_pair.ticks > counter && first_pair.ticks < ttap__ticks_counter());
    uint64_t began = first_pair.mono_ns, ticks = first_pair.ticks;
    uint64_t hz = ttap__clock_ticks_per_second(), ended = ttap__mono_ns();
    CU_ASSERT(ended - began >= 2000000);
    struct ttap__clock_pair now;
    ttap__clock_pair(&now);
    double expected = (double)(now.ticks - ticks) * 1e9 / (double)(now.mono_ns - began);
    CU_ASSERT((double)hz > 0.99 * expected && (double)hz < 1.01 * expected);
    CU_ASSERT(now.ticks <= ttap__ticks() && now.ticks != now.mono_ns);
}
#endif

static CU_TestInfo statements[] = {
    {"a time is seconds and nanoseconds", a_time_is_seconds_and_nanoseconds},
#if defined(__x86_64__)
    {"a constant counter that the kernel trusts is the clock", a_constant_counter_that_the_kernel_trusts_is_the_clock},
    {"it is chosen once", it_is_chosen_once},
    {"the counter's frequency is measured over two milliseconds at least", the_counters_frequency_is_measured_over_two_milliseconds_at_least},
#endif
    {"of several tries the shortest says which moment it was", of_several_tries_the_shortest_says_which_moment_it_was},
    {"monotonic time is its own frequency", monotonic_time_is_its_own_frequency},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
