/* states.c - see states.h. */
#include "states.h"

/* The kernel brings a running thread's total up to date at its timer tick only: 4 ms, or 10 on slow machines. */
#define TOTAL_LAG_NS 10000000

static int64_t clip(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

static bool is_more_of(const struct ttap__state_span *a, const struct ttap__state_span *b)
{
    return a->state == b->state && a->cpu == b->cpu && a->end_ns == b->start_ns && !((a->flags ^ b->flags) & TTAP__ESTIMATED) &&
           a->state != TTAP__STATE_BLOCKED; /* one sleep after another is two */
}

static void tell_held(struct ttap__states *states, const struct ttap__states_tell *tell)
{
    if (states->held.end_ns > states->held.start_ns && tell->span)
        tell->span(tell->arg, &states->held);
    states->held.end_ns = states->held.start_ns;
}

/* What went on ends here. */
static void end_span(struct ttap__states *states, int64_t ns, const struct ttap__states_tell *tell)
{
    states->span.end_ns = ns;
    if (ns <= states->span.start_ns)
        return;
    if (states->held.end_ns > states->held.start_ns && is_more_of(&states->held, &states->span)) {
        states->held.end_ns = ns;
        states->held.flags |= states->span.flags;
        return;
    }
    tell_held(states, tell);
    states->held = states->span;
}

/* What went on ends here, and @next begins. */
static void turn(struct ttap__states *states, const struct ttap__state_span *next, int64_t ns, const struct ttap__states_tell *tell)
{
    if (ns < states->span.start_ns)
        ns = states->span.start_ns; /* no honest stream: a guess about the time before a switch */
    uint8_t open_start = ns <= states->span.start_ns ? states->span.flags & TTAP__OPEN_START : 0; /* nothing of it before the window's start */
    end_span(states, ns, tell);
    states->span = *next;
    states->span.flags |= open_start;
    states->span.start_ns = ns;
}

static struct ttap__state_span span_of(uint8_t state, uint8_t flags)
{
    return (struct ttap__state_span){.state = state, .flags = flags, .cpu = -1, .call = -1};
}

static void become(struct ttap__states *states, uint8_t state, uint8_t flags, int64_t ns, const struct ttap__states_tell *tell)
{
    struct ttap__state_span next = span_of(state, flags);
    turn(states, &next, ns, tell);
}

static void unknown_since_last(struct ttap__states *states)
{
    states->span.state = TTAP__STATE_UNKNOWN;
    states->span.cpu = states->span.call = -1;
    states->span.why = 0;
    states->span.flags &= TTAP__OPEN_START;
}

/* What the time before this event was, as the event shows it. */
static void resolve(struct ttap__states *states, uint8_t state)
{
    if (states->lost)
        unknown_since_last(states);
    else if (states->ready)
        states->span.state = state;
    else if (states->span.state != state && states->span.state != TTAP__STATE_UNKNOWN)
        states->disagreements++;
    states->ready = states->lost = false;
}

/* ---- Switches ---- */

static void on_run(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    struct ttap__state_span next = span_of(TTAP__STATE_RUNNING, 0);
    next.cpu = event->a[0] < INT32_MAX ? (int32_t)event->a[0] : -1;
    resolve(states, states->span.state == TTAP__STATE_BLOCKED ? TTAP__STATE_BLOCKED : TTAP__STATE_RUNNABLE);
    turn(states, &next, ns, tell);
    if (states->woken) {
        states->wake.run_ns = ns - states->wake.at_ns;
        if (tell->wake)
            tell->wake(tell->arg, &states->wake);
    }
    states->woken = false;
    states->switches_since++;
}

static void on_stop(struct ttap__states *states, uint8_t state, int64_t ns, const struct ttap__states_tell *tell)
{
    resolve(states, TTAP__STATE_RUNNING);
    become(states, state, 0, ns, tell);
    states->switches_since++;
}

static void on_wake(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    resolve(states, TTAP__STATE_BLOCKED);
    become(states, TTAP__STATE_RUNNABLE, 0, ns, tell);
    states->woken = true;
    states->wake = (struct ttap__state_wake){.at_ns = ns, .run_ns = -1, .by = event->a[0], .cause = event->a[1]};
}

/* ---- Looks ---- */

/* Parts of the time between two looks; what the totals say, but no more than there is. */
struct parts {
    int64_t run_ns, wait_ns, blocked_ns;
};

static struct parts parts_of(const struct ttap__states *states, const uint64_t *a, int64_t ns)
{
    int64_t whole_ns = ns - states->looked_ns, run_ns = (int64_t)(a[2] - states->run_ns), wait_ns = (int64_t)(a[3] - states->wait_ns);
    run_ns = clip(run_ns) < whole_ns ? clip(run_ns) : whole_ns;
    wait_ns = clip(wait_ns) < whole_ns - run_ns ? clip(wait_ns) : whole_ns - run_ns;
    return (struct parts){run_ns, wait_ns, whole_ns - run_ns - wait_ns};
}

/* It has not been given a CPU in between, so it is where it was, or left one. */
static void between_without_slice(struct ttap__states *states, struct parts parts, uint8_t seen, int64_t ns, const struct ttap__states_tell *tell)
{
    bool sampled = states->span.flags & TTAP__ESTIMATED;
    if (!states->ready)
        return; /* blocked all the time, or gone */
    states->ready = false;
    int64_t whole_ns = ns - states->looked_ns;
    bool ran = parts.run_ns * 2 >= whole_ns;
    if (seen != TTAP__STATE_BLOCKED && (!sampled || !parts.run_ns || whole_ns - parts.run_ns <= TOTAL_LAG_NS)) {
        states->span.state = ran ? TTAP__STATE_RUNNING : TTAP__STATE_RUNNABLE;
        return;
    }
    states->span.state = TTAP__STATE_RUNNING;
    become(states, seen == TTAP__STATE_BLOCKED ? TTAP__STATE_BLOCKED : TTAP__STATE_RUNNABLE, TTAP__ESTIMATED, states->looked_ns + parts.run_ns, tell);
}

/* It was given a CPU in between: its parts, in an order that fits both looks. */
static void between_with_slices(struct ttap__states *states, struct parts parts, uint8_t seen, const struct ttap__states_tell *tell)
{
    int64_t at_ns = states->looked_ns;
    bool was_ready = states->ready;
    states->ready = false;
    if (was_ready) { /* runs on; then sleeps and waits, and is where the next look finds it */
        states->span.state = TTAP__STATE_RUNNING;
        at_ns += parts.run_ns;
        become(states, TTAP__STATE_RUNNABLE, TTAP__ESTIMATED, at_ns, tell);
        become(states, TTAP__STATE_BLOCKED, TTAP__ESTIMATED, at_ns + parts.wait_ns, tell);
        return;
    }
    int64_t first_ns = seen == TTAP__STATE_BLOCKED ? parts.blocked_ns / 2 : parts.blocked_ns;
    at_ns += first_ns;
    become(states, TTAP__STATE_RUNNABLE, TTAP__ESTIMATED, at_ns, tell);
    at_ns += parts.wait_ns;
    become(states, TTAP__STATE_RUNNING, TTAP__ESTIMATED, at_ns, tell);
    if (seen == TTAP__STATE_BLOCKED)
        become(states, TTAP__STATE_BLOCKED, TTAP__ESTIMATED, at_ns + parts.run_ns, tell);
}

static void note_call(struct ttap__states *states, const uint64_t *a)
{
    int64_t call = (int64_t)a[5];
    if (states->span.state != TTAP__STATE_BLOCKED || call < 0 || call > INT32_MAX)
        return;
    states->span.call = (int32_t)call;
    states->span.why = a[6] <= 4 ? (uint8_t)a[6] : 0;
}

static void note_totals(struct ttap__states *states, const uint64_t *a, int64_t ns)
{
    states->looked = true;
    states->looked_ns = ns;
    states->run_ns = a[2];
    states->wait_ns = a[3];
    states->slices = a[4];
    states->switches_since = 0;
}

#define LOOK_READY 5

/* state, cpu, run_ns, wait_ns, slices, call, why, how */
static void on_look(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    const uint64_t *a = event->a;
    bool sampled = a[7] != 0, ready = a[0] == LOOK_READY;
    uint8_t seen = ready ? TTAP__STATE_RUNNABLE : a[0] < TTAP__STATES ? (uint8_t)a[0] : TTAP__STATE_UNKNOWN;
    bool undecided = states->ready && states->looked; /* between that look and this one */
    uint8_t flags = sampled ? TTAP__ESTIMATED : 0;
    if (a[0] == TTAP__STATE_UNKNOWN && !sampled) { /* events are missing, and whose they are comes later */
        unknown_since_last(states);
        states->ready = states->lost = false;
        return;
    }
    if (states->lost) {
        unknown_since_last(states);
        states->ready = states->lost = false;
    } else if (states->looked && (sampled || !states->switches_since)) {
        struct parts parts = parts_of(states, a, ns);
        if (states->slices == a[4])
            between_without_slice(states, parts, seen, ns, tell);
        else if (sampled)
            between_with_slices(states, parts, seen, tell);
    }
    if (ready && (states->span.state == TTAP__STATE_RUNNING || states->span.state == TTAP__STATE_RUNNABLE) && !sampled && !undecided) {
        note_totals(states, a, ns); /* records know better, also on which CPU; or nothing is known before it */
        return;
    }
    states->ready = ready;
    struct ttap__state_span next = span_of(seen, flags);
    next.cpu = seen == TTAP__STATE_RUNNING && a[1] && a[1] <= INT32_MAX ? (int32_t)a[1] - 1 : -1;
    bool same_sleep = seen == TTAP__STATE_BLOCKED && states->span.state == seen && (!sampled || !states->looked || states->slices == a[4]);
    if (!same_sleep)
        turn(states, &next, ns, tell);
    note_call(states, a);
    note_totals(states, a, ns);
}

/* ---- Begin and end ---- */

static void on_begin(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    uint8_t flags = event->a[1] ? TTAP__ESTIMATED : 0;
    states->lost = false;
    become(states, TTAP__STATE_RUNNABLE, flags, ns, tell);
    states->ready = flags != 0;
    note_totals(states, (const uint64_t[8]){0}, ns);
}

static void on_end(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    resolve(states, event->a[0] ? states->span.state : TTAP__STATE_RUNNING);
    become(states, TTAP__STATE_GONE, event->a[0] ? TTAP__ESTIMATED : 0, ns, tell);
    states->looked = states->woken = false;
}

/* The first event shows what came before it, back to the window's start. */
static void begin(struct ttap__states *states, const struct ttap__event *event)
{
    static const uint8_t before[] = {
        [TTAP__SCHED_RUN - TTAP__SCHED_RUN] = TTAP__STATE_UNKNOWN,   [TTAP__SCHED_PREEMPT - TTAP__SCHED_RUN] = TTAP__STATE_RUNNING,
        [TTAP__SCHED_BLOCK - TTAP__SCHED_RUN] = TTAP__STATE_RUNNING, [TTAP__SCHED_WAKE - TTAP__SCHED_RUN] = TTAP__STATE_BLOCKED,
        [TTAP__SCHED_LOOK - TTAP__SCHED_RUN] = TTAP__STATE_UNKNOWN,  [TTAP__SCHED_BEGIN - TTAP__SCHED_RUN] = TTAP__STATE_GONE,
        [TTAP__SCHED_END - TTAP__SCHED_RUN] = TTAP__STATE_RUNNING,
    };
    const uint64_t *a = event->a;
    states->begun = true;
    states->span = span_of(before[event->row->known - TTAP__SCHED_RUN], TTAP__OPEN_START);
    if (event->row->known != TTAP__SCHED_LOOK)
        return;
    states->ready = a[0] == LOOK_READY;
    states->span.state = states->ready ? TTAP__STATE_RUNNABLE : a[0] < TTAP__STATES ? (uint8_t)a[0] : TTAP__STATE_UNKNOWN;
    states->span.flags |= a[7] ? TTAP__ESTIMATED : 0;
    states->span.cpu = states->span.state == TTAP__STATE_RUNNING && a[1] && a[1] <= INT32_MAX ? (int32_t)a[1] - 1 : -1;
}

void ttap__states_event(struct ttap__states *states, const struct ttap__event *event, int64_t ns, const struct ttap__states_tell *tell)
{
    ns = clip(ns) > states->last_ns ? clip(ns) : states->last_ns;
    states->last_ns = ns;
    if (!states->begun)
        begin(states, event);
    switch (event->row->known) {
    case TTAP__SCHED_RUN:
        on_run(states, event, ns, tell);
        break;
    case TTAP__SCHED_PREEMPT:
        on_stop(states, TTAP__STATE_RUNNABLE, ns, tell);
        break;
    case TTAP__SCHED_BLOCK:
        on_stop(states, TTAP__STATE_BLOCKED, ns, tell);
        break;
    case TTAP__SCHED_WAKE:
        on_wake(states, event, ns, tell);
        break;
    case TTAP__SCHED_LOOK:
        on_look(states, event, ns, tell);
        break;
    case TTAP__SCHED_BEGIN:
        on_begin(states, event, ns, tell);
        break;
    case TTAP__SCHED_END:
        on_end(states, event, ns, tell);
        break;
    default:
        break;
    }
}

void ttap__states_lost(struct ttap__states *states)
{
    states->lost = true;
    states->woken = false;
}

void ttap__states_finish(struct ttap__states *states, int64_t end_ns, const struct ttap__states_tell *tell)
{
    if (!states->begun)
        return;
    if (states->lost)
        unknown_since_last(states);
    states->span.flags |= TTAP__OPEN_END;
    end_span(states, end_ns, tell);
    tell_held(states, tell);
    if (states->woken && tell->wake)
        tell->wake(tell->arg, &states->wake);
}
