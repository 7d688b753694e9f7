/* world.h - one OS thread that plays a whole process: virtual clock, threads, locks, memory and system calls.
 *
 *   fibers                     scheduler (drawn from the seed)                virtual clock
 *   emitters  --- world_point() at every atomic access --->  who runs next    moves by what runs, and jumps to the
 *   drainer       of the engine: preempt, freeze, run a      and how long     next timer when nobody can
 *   clients       signal handler, or go on
 *
 * Everything random comes from world_draw(), so that a seed is a whole history. Nothing here knows of captures; the one exception
 * are the engine's two thread-local words, which are switched with the fibers.
 */
#ifndef TTAP_SIMULATION_WORLD_H
#define TTAP_SIMULATION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Chance ---- */
uint64_t world_draw(void);
/* 0 .. below - 1. */
uint64_t world_below(uint64_t below);
bool world_chance(unsigned per_million);
/* From @least to @most, small ones as likely as large ones. */
uint64_t world_log_between(uint64_t least, uint64_t most);

/* ---- Time ---- */
#define WORLD_MS UINT64_C(1000000)
#define WORLD_S UINT64_C(1000000000)
extern uint64_t world_now_ns;
/* What the counter would show at @ns, for clocks that agree. */
uint64_t world_ticks_at(uint64_t ns);

/* ---- Fibers ---- */
#define WORLD_FIBERS 96

enum fiber_state { FIBER_NONE, FIBER_READY, FIBER_FROZEN, FIBER_SLEEPS, FIBER_WAITS, FIBER_OVER };

struct fiber {
    unsigned number;
    int tid; /* never used twice */
    enum fiber_state state;
    uint64_t wake_ns;      /* while frozen, asleep or waiting with a limit; else UINT64_MAX */
    const void *waits_for; /* lock, condition or fiber */
    bool timed_out;
    bool masked; /* signals are blocked, as its creator's were */
    bool is_drainer;
    unsigned handlers;              /* signal handlers it is in */
    uint64_t ran_ns, on_ns, off_ns; /* CPU time; when it was switched to and from last */
    uint64_t idle_from_ns;
    uint64_t frozen_ns; /* how long it was frozen, in all */
    void *(*main)(void *);
    void *arg;
    void *actor; /* of who made it */
    void *stack;
    void *context;
    void *key_value;
    void *record; /* the engine's thread-local words while others run */
    uint32_t silent;
    void *sanitizer_fiber, *fake_stack;
};

extern struct fiber *world_fiber;      /* who runs; NULL: the scheduler */
struct fiber *world_fiber_of(int tid); /* NULL: it is over */
bool world_has_record(void);           /* the engine had a record for the running fiber */
struct fiber *world_start(void *(*main)(void *), void *arg, void *actor);
/* For the running fiber. */
void world_sleep_until(uint64_t ns);
void world_yield(void);
/* Wait for whoever calls world_wake(@what). */
void world_wait(const void *what);
/* The same until @ns at most. False: nobody called. */
bool world_wait_until(const void *what, uint64_t ns);
void world_wake(const void *what);
/* The calling fiber ends here, wherever it is: its destructors run, its stack is left as it is. */
void world_fiber_exit(void) __attribute__((noreturn));
unsigned world_fibers_alive(void);
/* Run until all fibers are over. */
void world_run(void);

/* One access to a word that threads share: the engine is compiled to come by here at each. */
extern uint32_t world_countdown;
void world_interrupted(void);
static inline void world_point(void)
{
    world_now_ns += 3; /* an access; what is between them counts for nothing */
    if (__builtin_expect(--world_countdown == 0, 0))
        world_interrupted();
}

/* ---- What goes wrong, per million ---- */
struct world_faults {
    unsigned freeze, drainer_freeze; /* at a preemption: away for longer than it takes to be scheduled again */
    uint64_t freeze_max_ns, drainer_freeze_max_ns;
    unsigned signal;   /* instead of a preemption */
    unsigned spurious; /* a condition returns without reason */
    unsigned no_memory, no_mapping, no_thread, no_descriptor;
    uint64_t run_max_points; /* between two preemptions */
    unsigned clock;          /* 1 counter, 2 monotonic clock */
    unsigned skew_ticks;     /* how far counters of two CPUs are apart */
};
extern struct world_faults world_faults;
extern bool world_was_short_of_memory; /* an allocation failed */
extern bool world_was_short_of_mappings;
/* From now on nothing goes wrong. */
void world_heal(void);
/* The process has a signal handler; it may call whatever is signal-safe. */
extern void (*world_handler)(struct fiber *fiber);

/* ---- The drainer's time, for who wants to know why something was late ---- */
/* Of @from .. @to, how long it waited although it could have run (condition, sleep). */
uint64_t world_drainer_idle_ns(uint64_t from, uint64_t to);
/* How long it was kept from running. */
uint64_t world_drainer_away_ns(uint64_t from, uint64_t to);
uint64_t world_drainer_last_ran_ns(void);

/* ---- What the engine holds ---- */
#ifdef SIM_LIMITS_OF_PRODUCTION
#define WORLD_SEGMENT_BYTES 65536u
#else
#define WORLD_SEGMENT_BYTES 4096u
#endif
struct world_held {
    uint64_t allocations, mapped_bytes, descriptors;
    uint64_t segments; /* mappings of the size of a queue's segment */
};
extern struct world_held world_held;

/* ---- Failure: says what, the seed and the step, and ends the process ---- */
extern uint64_t world_seed, world_steps;
extern bool world_tracing;
void world_begin(uint64_t seed);
void world_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Descriptors from here on are the simulation's: implemented by whoever simulates what is behind them. */
#define WORLD_SINK_FD 1000
long world_sink_write(int fd, const void *bytes, size_t len); /* bytes, or a negative errno */
void world_sink_poll(int fd);

#endif
