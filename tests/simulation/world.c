/* world.c - chance, time, fibers and the scheduler; see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

uint64_t world_now_ns, world_seed, world_steps;
uint32_t world_countdown = UINT32_MAX;
bool world_tracing;
struct fiber *world_fiber;
struct world_faults world_faults;
struct world_held world_held;
void (*world_handler)(struct fiber *fiber);

/* The engine's thread-local words, trace/emit/arena.h. */
struct ttap__record;
extern struct ttap__record ttap__no_record;
extern __thread struct ttap__record *ttap__tls __attribute__((tls_model("initial-exec")));
extern __thread uint32_t ttap__tls_silent __attribute__((tls_model("initial-exec")));
void sim_run_destructors(struct fiber *fiber);

static struct fiber fibers[WORLD_FIBERS];
static int last_tid;
static ucontext_t scheduler;
static void *scheduler_sanitizer_fiber;

/* ---- Chance: splitmix64, whose state is a counter and so cannot get stuck ---- */

static uint64_t chance_state;

uint64_t world_draw(void)
{
    uint64_t z = chance_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t world_below(uint64_t below)
{
    return below ? world_draw() % below : 0;
}

bool world_chance(unsigned per_million)
{
    return per_million && world_below(1000000) < per_million;
}

uint64_t world_log_between(uint64_t least, uint64_t most)
{
    unsigned doublings = 0;
    while (least << doublings < most && doublings < 62)
        doublings++;
    uint64_t low = least << world_below(doublings + 1);
    uint64_t value = low + world_below(low);
    return value < most ? value : most;
}

void world_begin(uint64_t seed)
{
    world_seed = seed;
    chance_state = seed * 0xd1342543de82ef95u + 1;
    world_now_ns = WORLD_S * (1 + world_below(1000000));
}

/* ---- Failure ---- */

void world_fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    va_start(args, format);
    fprintf(stderr, "seed %llu, step %llu, %.9f s: ", (unsigned long long)world_seed, (unsigned long long)world_steps, (double)world_now_ns / 1e9);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n    again, step by step: sim --seed %llu --trace\n", (unsigned long long)world_seed);
    va_end(args);
    fflush(stderr);
    _exit(1);
}

void world_trace(const char *format, ...)
{
    if (!world_tracing)
        return;
    va_list args;
    va_start(args, format);
    printf("%8llu %14.9f %4d  ", (unsigned long long)world_steps, (double)world_now_ns / 1e9, world_fiber ? world_fiber->tid : 0);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* ---- The drainer's time ---- */

struct stretch {
    uint64_t from, to;
};
struct stretches {
    struct stretch *at;
    size_t count;
};
static struct stretches idle, away;
static uint64_t drainer_last_ran_ns;

static void note(struct stretches *s, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    if (s->count && s->at[s->count - 1].to == from) {
        s->at[s->count - 1].to = to;
        return;
    }
    if (!(s->count & (s->count - 1)))
        s->at = realloc(s->at, (s->count ? s->count * 2 : 1) * sizeof(*s->at));
    s->at[s->count++] = (struct stretch){from, to};
}

static uint64_t overlap_ns(const struct stretches *s, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t a = s->at[i].from > from ? s->at[i].from : from, b = s->at[i].to < to ? s->at[i].to : to;
        sum += a < b ? b - a : 0;
    }
    return sum;
}

uint64_t world_drainer_idle_ns(uint64_t from, uint64_t to)
{
    return overlap_ns(&idle, from, to);
}

uint64_t world_drainer_away_ns(uint64_t from, uint64_t to)
{
    return overlap_ns(&away, from, to);
}

uint64_t world_drainer_last_ran_ns(void)
{
    return drainer_last_ran_ns;
}

/* ---- Switching ---- */

#ifdef __SANITIZE_ADDRESS__
#define STACK_BYTES (1u << 20)
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#else
#define STACK_BYTES (256u << 10) /* a block of names takes 64 KiB of it */
#endif

static void set_countdown(void)
{
    world_countdown = (uint32_t)world_log_between(1, world_faults.run_max_points);
}

static void to_scheduler(bool for_good)
{
    struct fiber *f = world_fiber;
    f->off_ns = world_now_ns;
    f->ran_ns += world_now_ns - f->on_ns;
    f->record = ttap__tls;
    f->silent = ttap__tls_silent;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(for_good ? NULL : &f->fake_stack, scheduler_stack, scheduler_stack_bytes);
#else
    (void)for_good;
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(scheduler_sanitizer_fiber, 0);
#endif
    swapcontext(f->context, &scheduler);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

/* The running fiber gives way, in the state it has set. */
static void give_way(void)
{
    to_scheduler(false);
    struct fiber *f = world_fiber;
    f->on_ns = world_now_ns;
    ttap__tls = f->record;
    ttap__tls_silent = f->silent;
    set_countdown();
}

static void fiber_main(void)
{
    struct fiber *f = world_fiber;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_stack_bytes);
#endif
    f->on_ns = world_now_ns;
    ttap__tls = &ttap__no_record;
    ttap__tls_silent = 0;
    set_countdown();
    f->main(f->arg);
    world_fiber_exit();
}

void world_fiber_exit(void)
{
    struct fiber *f = world_fiber;
    sim_run_destructors(f);
    world_trace("ends");
    f->state = FIBER_OVER;
    world_wake(f);
    to_scheduler(true);
    abort();
}

static void prepare(ucontext_t *context, void *stack)
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, fiber_main, 0);
}

struct fiber *world_start(void *(*main)(void *), void *arg, void *actor)
{
    struct fiber *f = fibers;
    while (f < fibers + WORLD_FIBERS && f->state != FIBER_NONE)
        f++;
    if (f == fibers + WORLD_FIBERS)
        return NULL;
    void *stack = f->stack, *context = f->context;
    if (!stack) {
        stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        context = calloc(1, sizeof(ucontext_t));
        if (stack == MAP_FAILED || !context)
            world_fail("no memory for another fiber");
    }
    *f = (struct fiber){.number = (unsigned)(f - fibers),
                        .tid = 1001 + last_tid++,
                        .state = FIBER_READY,
                        .wake_ns = UINT64_MAX,
                        .main = main,
                        .arg = arg,
                        .actor = actor,
                        .stack = stack,
                        .context = context,
                        .off_ns = world_now_ns};
    prepare(context, stack);
#ifdef __SANITIZE_THREAD__
    f->sanitizer_fiber = __tsan_create_fiber(0);
#endif
    return f;
}

struct fiber *world_fiber_of(int tid)
{
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++)
        if (f->tid == tid && f->state != FIBER_NONE && f->state != FIBER_OVER)
            return f;
    return NULL;
}

bool world_has_record(void)
{
    return ttap__tls != &ttap__no_record;
}

void world_yield(void)
{
    world_steps++;
    world_fiber->state = FIBER_READY;
    give_way();
}

/* A wait that ends by itself was over when its time came, not when its fiber ran again. */
static void idle_over(struct fiber *f, uint64_t at_ns)
{
    if (f->is_drainer && f->idle_from_ns)
        note(&idle, f->idle_from_ns, at_ns);
    f->idle_from_ns = 0;
    f->off_ns = at_ns;
}

void world_sleep_until(uint64_t ns)
{
    struct fiber *f = world_fiber;
    world_steps++;
    f->state = FIBER_SLEEPS;
    f->wake_ns = ns;
    f->idle_from_ns = world_now_ns;
    give_way();
}

void world_wait(const void *what)
{
    struct fiber *f = world_fiber;
    world_steps++;
    f->state = FIBER_WAITS;
    f->waits_for = what;
    give_way();
}

bool world_wait_until(const void *what, uint64_t ns)
{
    world_fiber->wake_ns = ns;
    world_wait(what);
    bool timed_out = world_fiber->timed_out;
    world_fiber->timed_out = false;
    return !timed_out;
}

void world_wake(const void *what)
{
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++) {
        if (f->state != FIBER_WAITS || f->waits_for != what)
            continue;
        f->state = FIBER_READY;
        f->wake_ns = UINT64_MAX;
        f->timed_out = false;
        idle_over(f, world_now_ns);
    }
}

/* What the kernel puts on the stack before a handler runs, at the least: red zone, frame, floating point state. By that distance the engine
 * tells a handler from the normal course that came back above it. */
#define SIGNAL_FRAME_BYTES (128 + 440 + 576)

static __attribute__((noinline)) void run_handler(struct fiber *f)
{
    char frame[SIGNAL_FRAME_BYTES];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it is there, whatever the compiler thinks of its use */
    f->handlers++;
    world_handler(f);
    f->handlers--;
}

void world_interrupted(void)
{
    struct fiber *f = world_fiber;
    if (!f) {
        world_countdown = UINT32_MAX;
        return;
    }
    set_countdown();
    if (!f->masked && f->handlers < 2 && world_handler && world_chance(world_faults.signal)) {
        world_steps++;
        run_handler(f);
        return;
    }
    if (world_chance(f->is_drainer ? world_faults.drainer_freeze : world_faults.freeze)) {
        uint64_t length_ns = world_log_between(1000, f->is_drainer ? world_faults.drainer_freeze_max_ns : world_faults.freeze_max_ns);
        f->wake_ns = world_now_ns + length_ns;
        f->frozen_ns += length_ns;
        f->state = FIBER_FROZEN;
        world_trace("is not scheduled for %.6f s", (double)length_ns / 1e9);
    } else {
        f->state = FIBER_READY;
    }
    world_steps++;
    give_way();
}

/* ---- The scheduler ---- */

static void ring_alarms(void)
{
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++) {
        if (f->wake_ns > world_now_ns || f->state < FIBER_FROZEN || f->state > FIBER_WAITS)
            continue;
        f->timed_out = f->state == FIBER_WAITS;
        if (f->state != FIBER_FROZEN)
            idle_over(f, f->wake_ns);
        f->state = FIBER_READY;
        f->wake_ns = UINT64_MAX;
    }
}

static struct fiber *pick(void)
{
    struct fiber *ready[WORLD_FIBERS];
    unsigned count = 0;
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++)
        if (f->state == FIBER_READY)
            ready[count++] = f;
    return count ? ready[world_below(count)] : NULL;
}

static uint64_t next_alarm_ns(void)
{
    uint64_t next = UINT64_MAX;
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++)
        if (f->state >= FIBER_FROZEN && f->state <= FIBER_WAITS && f->wake_ns < next)
            next = f->wake_ns;
    return next;
}

static void run_fiber(struct fiber *f)
{
    if (f->is_drainer) {
        note(&away, f->off_ns, world_now_ns);
        drainer_last_ran_ns = world_now_ns;
    }
    world_fiber = f;
#ifdef __SANITIZE_ADDRESS__
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, f->stack, STACK_BYTES);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(f->sanitizer_fiber, 0);
#endif
    swapcontext(&scheduler, f->context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
    world_fiber = NULL;
    if (f->is_drainer)
        drainer_last_ran_ns = world_now_ns;
    if (f->state != FIBER_OVER)
        return;
    f->state = FIBER_NONE;
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(f->sanitizer_fiber);
#endif
}

unsigned world_fibers_alive(void)
{
    unsigned alive = 0;
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++)
        alive += f->state != FIBER_NONE;
    return alive;
}

static void deadlock(void)
{
    for (struct fiber *f = fibers; f < fibers + WORLD_FIBERS; f++)
        if (f->state == FIBER_WAITS)
            fprintf(stderr, "thread %d%s waits for %p for ever\n", f->tid, f->is_drainer ? " (drainer)" : "", f->waits_for);
    world_fail("nobody can run: a deadlock, or a wake-up that was forgotten");
}

void world_run(void)
{
#ifdef __SANITIZE_THREAD__
    scheduler_sanitizer_fiber = __tsan_get_current_fiber();
#else
    (void)scheduler_sanitizer_fiber;
#endif
    while (world_fibers_alive()) {
        world_now_ns += 50; /* a switch takes time too */
        ring_alarms();
        struct fiber *f = pick();
        if (f) {
            run_fiber(f);
            continue;
        }
        uint64_t next_ns = next_alarm_ns();
        if (next_ns == UINT64_MAX)
            deadlock();
        world_now_ns = next_ns > world_now_ns ? next_ns : world_now_ns;
    }
}

void world_heal(void)
{
    struct world_faults *f = &world_faults;
    f->freeze = f->drainer_freeze = f->spurious = 0;
    f->no_memory = f->no_mapping = f->no_thread = f->no_descriptor = 0;
}
