/* causes.c - see causes.h. */
#include "causes.h"

static int64_t overlap(const struct ttap__cause_call *call, const struct ttap__state_span *span)
{
    int64_t from = call->start_ns > span->start_ns ? call->start_ns : span->start_ns;
    int64_t to = call->end_ns < span->end_ns ? call->end_ns : span->end_ns;
    return to > from ? to - from : 0;
}

static struct ttap__cause_call *call_at(const struct ttap__causes *causes, unsigned i)
{
    return &causes->calls[(causes->calls_first + i) & (causes->calls_room - 1)];
}

static struct ttap__cause_span *span_at(const struct ttap__causes *causes, unsigned i)
{
    return &causes->spans[(causes->spans_first + i) & (causes->spans_room - 1)];
}

/* The first call that ends behind @ns. */
static unsigned first_behind(const struct ttap__causes *causes, int64_t ns)
{
    unsigned low = 0, high = causes->calls_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (call_at(causes, middle)->end_ns <= ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* NULL: none covers half of it. Of two that cover alike the inner one returned first. */
static const struct ttap__cause_call *call_of(const struct ttap__causes *causes, const struct ttap__state_span *span)
{
    const struct ttap__cause_call *best = NULL;
    int64_t length_ns = span->end_ns - span->start_ns, best_ns = 0;
    for (unsigned i = first_behind(causes, span->start_ns); i < causes->calls_count; i++) {
        const struct ttap__cause_call *call = call_at(causes, i);
        int64_t ns = overlap(call, span);
        if (ns > best_ns && ns >= length_ns / 2) {
            best = call;
            best_ns = ns;
        }
        if (call->earliest_ns >= span->end_ns)
            break;
    }
    return best;
}

static void forget_calls_until(struct ttap__causes *causes, int64_t ns)
{
    unsigned over = first_behind(causes, ns);
    causes->calls_first += over;
    causes->calls_count -= over;
}

/* All before it have been told. */
static void tell_with_cause(struct ttap__causes *causes, struct ttap__cause_span *out, ttap__cause_tell_fn tell, void *arg)
{
    if (out->span.state == TTAP__STATE_BLOCKED) {
        const struct ttap__cause_call *call = call_of(causes, &out->span);
        if (call) {
            out->span.why = call->why;
            out->op = call->op;
            out->object = call->object;
            out->stack = call->stack;
        } else if (causes->hooked)
            causes->unexplained++;
    }
    tell(arg, out);
    forget_calls_until(causes, out->span.end_ns);
}

/* Tell the first that waits. */
static void release(struct ttap__causes *causes, ttap__cause_tell_fn tell, void *arg)
{
    tell_with_cause(causes, span_at(causes, 0), tell, arg);
    causes->spans_first++;
    causes->spans_count--;
}

/* Calls have got as far as the first that waits. */
static bool is_reached(const struct ttap__causes *causes)
{
    const struct ttap__state_span *first = &span_at(causes, 0)->span;
    return first->state != TTAP__STATE_BLOCKED || first->end_ns <= causes->calls_until_ns;
}

/* One that no call covers waits on: a handler in the middle of a call makes calls that return before it. */
static bool may_go(const struct ttap__causes *causes)
{
    const struct ttap__state_span *first = &span_at(causes, 0)->span;
    return is_reached(causes) && (first->state != TTAP__STATE_BLOCKED || !causes->calls_room || call_of(causes, first));
}

/* Before calls have to be let go. */
static void release_reached(struct ttap__causes *causes, ttap__cause_tell_fn tell, void *arg)
{
    while (causes->spans_count && is_reached(causes))
        release(causes, tell, arg);
}

static void release_ready(struct ttap__causes *causes, ttap__cause_tell_fn tell, void *arg)
{
    while (causes->spans_count && may_go(causes))
        release(causes, tell, arg);
}

/* A short call can be the cause of short stretches only. At least half go; all, where each is as long as no call is. */
static void forget_short_calls(struct ttap__causes *causes)
{
    unsigned most = causes->calls_count / 2;
    for (uint64_t least_ns = TTAP__CAUSE_SHORT_NS; causes->calls_count > most; least_ns *= 2) {
        unsigned kept = 0;
        for (unsigned i = 0; i < causes->calls_count; i++)
            if (least_ns && (uint64_t)call_at(causes, i)->end_ns - (uint64_t)call_at(causes, i)->start_ns >= least_ns)
                *call_at(causes, kept++) = *call_at(causes, i);
        causes->calls_count = kept;
    }
}

/* Room for one more call: by growing, or by letting short ones go. False: no memory for any. */
static bool make_room(struct ttap__causes *causes)
{
    if (causes->calls_count < causes->calls_room)
        return true;
    unsigned room = causes->calls_room ? causes->calls_room * 2 : TTAP__CAUSE_CALLS_MIN;
    struct ttap__cause_call *calls = room <= TTAP__CAUSE_CALLS_MAX ? ttap__allowance_grow(causes->allowance, NULL, 0, room * sizeof *calls) : NULL;
    if (!calls) {
        forget_short_calls(causes);
        return causes->calls_room != 0;
    }
    for (unsigned i = 0; i < causes->calls_count; i++)
        calls[i] = *call_at(causes, i);
    ttap__allowance_free(causes->allowance, causes->calls, causes->calls_room * sizeof *calls);
    causes->calls = calls;
    causes->calls_room = room;
    causes->calls_first = 0;
    return true;
}

/* Of those before the last one, too. */
static void note_earliest(struct ttap__causes *causes)
{
    int64_t start_ns = call_at(causes, causes->calls_count - 1)->start_ns;
    for (unsigned i = causes->calls_count; i-- > 0 && (i + 1 == causes->calls_count || call_at(causes, i)->earliest_ns > start_ns);)
        call_at(causes, i)->earliest_ns = start_ns;
}

void ttap__causes_call(struct ttap__causes *causes, const struct ttap__cause_call *call, ttap__cause_tell_fn tell, void *arg)
{
    causes->hooked = true;
    if (causes->calls_count >= TTAP__CAUSE_CALLS_MAX / 2)
        release_reached(causes, tell, arg);
    if (make_room(causes)) {
        struct ttap__cause_call *to = call_at(causes, causes->calls_count);
        *to = *call;
        if (causes->calls_count++ && to->end_ns < causes->calls_until_ns)
            to->end_ns = causes->calls_until_ns; /* clocks of two CPUs: the order of ends is what the search goes by */
        note_earliest(causes);
    }
    if (call->end_ns > causes->calls_until_ns)
        causes->calls_until_ns = call->end_ns;
    release_ready(causes, tell, arg);
}

static bool grow_spans(struct ttap__causes *causes)
{
    unsigned room = causes->spans_room ? causes->spans_room * 2 : TTAP__CAUSE_SPANS_MIN;
    size_t bytes = room * sizeof(struct ttap__cause_span);
    if (room > TTAP__CAUSE_SPANS_MAX || (room > TTAP__CAUSE_SPANS_MIN && causes->allowance->used + bytes > causes->allowance->limit / 2))
        return false;
    struct ttap__cause_span *spans = ttap__allowance_grow(causes->allowance, NULL, 0, bytes);
    if (!spans)
        return false;
    for (unsigned i = 0; i < causes->spans_count; i++)
        spans[i] = *span_at(causes, i);
    ttap__allowance_free(causes->allowance, causes->spans, causes->spans_room * sizeof *spans);
    causes->spans = spans;
    causes->spans_room = room;
    causes->spans_first = 0;
    return true;
}

void ttap__causes_span(struct ttap__causes *causes, const struct ttap__state_span *span, ttap__cause_tell_fn tell, void *arg)
{
    struct ttap__cause_span waiting = {*span, -1, -1, -1};
    if (causes->spans_count == causes->spans_room && !grow_spans(causes)) {
        if (!causes->spans_room) {
            tell_with_cause(causes, &waiting, tell, arg);
            return;
        }
        release(causes, tell, arg);
    }
    *span_at(causes, causes->spans_count++) = waiting;
    release_ready(causes, tell, arg);
}

void ttap__causes_finish(struct ttap__causes *causes, ttap__cause_tell_fn tell, void *arg)
{
    while (causes->spans_count)
        release(causes, tell, arg);
}

void ttap__causes_free(struct ttap__causes *causes)
{
    ttap__allowance_free(causes->allowance, causes->calls, causes->calls_room * sizeof *causes->calls);
    ttap__allowance_free(causes->allowance, causes->spans, causes->spans_room * sizeof *causes->spans);
}
