/* actors.c - a day in a process, drawn from the seed.
 *
 *   director   starts all others, says when the day is over, heals the world, and waits until everybody is gone
 *   emitters   bursts of annotations, sleeps, deaths; a new thread takes the place of a dead one. Signal handlers annotate too
 *   clients    each opens captures, one after the other: into a descriptor, a callback, by reading a subscriber, or kept; they read well,
 *              slowly, not at all any more, or vanish. Now and then one changes a setting
 */
#include "actors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "truth.h"
#include "world.h"

static struct {
    uint64_t length_ns, end_ns;
    unsigned emitters, clients;
    uint64_t pause_max_ns;     /* of emitters */
    unsigned burst_max, death; /* per million bursts */
    uint64_t window_max_ns;
    unsigned slow; /* per million reads: a client that takes its time */
    bool sampling, names_many;
    bool closing;
    unsigned emitters_alive, clients_alive;
} day;

uint64_t actors_day_ns(void)
{
    return day.length_ns;
}

/* ---- Emitters ---- */

#define TASKS 4

struct emitter {
    struct ttap_task task[TASKS], current;
    struct ttap_task outside[8]; /* what was current before each enter */
    unsigned inside;
    unsigned regions;
    bool entering;
};

static struct ttap_name region_names[4] = {TTAP_NAME_INIT("r0"), TTAP_NAME_INIT("r1"), TTAP_NAME_INIT("r2"), TTAP_NAME_INIT("r3")};
static struct ttap_name lamp = TTAP_NAME_INIT("lamp"), words = TTAP_NAME_INIT("words"), sweep = TTAP_NAME_INIT("sweep"), key = TTAP_NAME_INIT("key");
static struct ttap_queue queues[2] = {TTAP_QUEUE_INIT("in"), TTAP_QUEUE_INIT("out")};

static const struct ttap_task *current_of(const struct emitter *me)
{
    return me->current.id ? &me->current : NULL;
}

static uint32_t begins(struct emitter *me, unsigned kind, const struct ttap_task *task)
{
    uint32_t number = truth_begins(kind, task);
    truth_emission(number)->entering = me->entering;
    return number;
}

static void say_counter(struct emitter *me)
{
    int64_t value;
    uint32_t number = begins(me, TTAP__COUNTER, current_of(me));
    struct ttap_name *name = truth_tile(number, &value);
    ttap_counter(name, value);
    truth_ends(number);
}

static void say_log(struct emitter *me)
{
    char text[TTAP_LOG_BYTES_MAX];
    uint32_t number = begins(me, TTAP__LOG, current_of(me));
    size_t len = world_log_between(12, sizeof(text));
    memset(text, '.', sizeof(text));
    int digits = snprintf(text, sizeof(text), "%u ", number);
    text[digits] = '.';
    ttap_log(&words, text, len);
    truth_ends(number);
}

static void say_fact(struct emitter *me)
{
    static const unsigned kinds[] = {TTAP__INSTANT, TTAP__QUEUE_ENQUEUE, TTAP__QUEUE_DEQUEUE, TTAP__GC_BEGIN, TTAP__GC_END};
    unsigned kind = kinds[world_below(5)];
    uint32_t number = begins(me, kind, current_of(me));
    switch (kind) {
    case TTAP__INSTANT:
        ttap_instant(&lamp);
        break;
    case TTAP__QUEUE_ENQUEUE:
        ttap_queue_enqueue(&queues[world_below(2)], number);
        break;
    case TTAP__QUEUE_DEQUEUE:
        ttap_queue_dequeue(&queues[world_below(2)], number);
        break;
    case TTAP__GC_BEGIN:
        ttap_gc_begin(&sweep);
        break;
    default:
        ttap_gc_end(&sweep);
    }
    truth_ends(number);
}

static void say_region(struct emitter *me)
{
    bool begin = me->regions == 0 || (me->regions < 70 && world_below(me->regions < 12 ? 2 : 3) == 0);
    struct ttap_name *name = &region_names[(begin ? me->regions : me->regions - 1) % 4];
    uint32_t number = begins(me, begin ? TTAP__REGION_BEGIN : TTAP__REGION_END, current_of(me));
    if (begin)
        ttap_region_begin(name);
    else
        ttap_region_end(name);
    truth_ends(number);
    me->regions += begin ? 1u : -1u;
}

static void say_task_begin(struct emitter *me, struct ttap_task *task)
{
    /* Its draw and id are known when it has returned; nothing can be looked up before. */
    struct ttap_name *kind = &truth_task_kinds[world_below(TASK_KINDS)];
    uint32_t number = begins(me, TTAP__TASK_BEGIN, NULL);
    struct ttap_task fresh;
    ttap_task_begin(&fresh, kind, world_below(3) ? NULL : current_of(me));
    uint32_t again = truth_begins(TTAP__TASK_BEGIN, &fresh);
    struct emission *e = truth_emission(number), *known = truth_emission(again);
    e->root = known->root;
    e->draw = known->draw;
    e->task = known->task;
    *known = (struct emission){.tid = known->tid, .from_ns = 0, .to_ns = 0}; /* never in any window */
    truth_ends(number);
    *task = fresh;
}

static void say_about(struct emitter *me, const struct ttap_task *task)
{
    char text[40];
    bool number_it = world_below(2);
    uint32_t number = begins(me, number_it ? TTAP__TASK_ATTR_INT : TTAP__TASK_ATTR_STR, task);
    snprintf(text, sizeof(text), "%u and so on", number);
    if (number_it)
        ttap_task_attr_int(task, &key, (int64_t)number);
    else
        ttap_task_attr_str(task, &key, text);
    truth_ends(number);
}

static void say_task_end(struct emitter *me, struct ttap_task *task)
{
    char text[40];
    if (world_below(4)) {
        uint32_t number = begins(me, TTAP__TASK_END, task);
        ttap_task_end(task);
        truth_ends(number);
    } else {
        uint32_t fail = begins(me, TTAP__TASK_FAIL, task), end = begins(me, TTAP__TASK_END, task);
        snprintf(text, sizeof(text), "%u broke", fail);
        ttap_task_fail(task, -5, text);
        truth_ends(end);
        truth_ends(fail);
    }
    task->id = 0;
}

static void say_enter(struct emitter *me, const struct ttap_task *task)
{
    uint32_t number = begins(me, TTAP__TASK_ENTER, task);
    me->entering = true;
    if (task && me->inside < 8) {
        ttap_task_enter(task, &me->outside[me->inside++]);
        ttap_task_current(&me->current); /* none, if there is no record for this thread to keep it in */
    } else if (me->inside) {
        me->current = me->outside[--me->inside];
        struct emission *e = truth_emission(number);
        uint32_t again = truth_begins(TTAP__TASK_ENTER, current_of(me));
        struct emission *known = truth_emission(again);
        e = truth_emission(number);
        e->root = known->root;
        e->draw = known->draw;
        *known = (struct emission){.tid = known->tid};
        ttap_task_leave(&me->outside[me->inside]);
    }
    me->entering = false;
    truth_ends(number);
}

static void say_task(struct emitter *me)
{
    struct ttap_task *task = &me->task[world_below(TASKS)];
    switch (world_below(6)) {
    case 0:
    case 1:
        if (!task->id)
            say_task_begin(me, task);
        break;
    case 2:
        if (task->id && task->id != me->current.id)
            say_task_end(me, task);
        break;
    case 3:
        if (task->id && me->inside < 8)
            say_enter(me, task);
        break;
    case 4:
        if (me->inside)
            say_enter(me, NULL);
        break;
    default:
        if (task->id)
            say_about(me, task);
    }
}

static void say_something(struct emitter *me)
{
    uint64_t what = world_below(100);
    if (what < 45)
        say_counter(me);
    else if (what < 58)
        say_log(me);
    else if (what < 70)
        say_fact(me);
    else if (what < 85)
        say_region(me);
    else if (what < 99)
        say_task(me);
    else
        ttap_thread_name(world_below(2) ? "worker" : "another name for the same thread");
}

/* In a signal handler: nothing that changes what its thread works for. */
static void in_handler(struct fiber *fiber)
{
    struct emitter *me = fiber->actor;
    if (!me)
        return;
    for (uint64_t left = 1 + world_below(3); left; left--) {
        uint64_t what = world_below(10);
        if (what < 6)
            say_counter(me);
        else if (what < 8)
            say_log(me);
        else
            say_fact(me);
    }
}

static void *emitter_main(void *arg)
{
    struct emitter *me = arg;
    world_fiber->actor = me;
    while (!day.closing) {
        for (uint64_t left = world_log_between(1, day.burst_max); left && !day.closing; left--)
            say_something(me);
        if (world_chance(day.death))
            break;
        world_sleep_until(world_now_ns + world_log_between(500, day.pause_max_ns));
    }
    /* What is still open stays open: the thread ends. The record of it is used until its destructors have run. */
    day.emitters_alive--;
    return NULL;
}

static bool start_emitter(void)
{
    struct emitter *me = calloc(1, sizeof(*me));
    if (!me || !world_start(emitter_main, me, NULL))
        return false;
    day.emitters_alive++;
    return true;
}

/* ---- Options ---- */

static struct window *ask(struct ttap__sub_opts *opts)
{
    static const uint64_t some_groups[] = {TTAP_GROUPS_ALL,
                                           TTAP_GROUPS_ALL,
                                           TTAP_GROUP_COUNTER,
                                           TTAP_GROUP_REGION | TTAP_GROUP_TASK,
                                           TTAP_GROUP_LOG | TTAP_GROUP_COUNTER | TTAP_GROUP_GC,
                                           TTAP_GROUP_QUEUE};
    struct window *w = truth_window();
    uint64_t groups = some_groups[world_below(6)];
    w->groups = groups == TTAP_GROUPS_ALL ? groups & ~(TTAP_GROUP_SAMPLE | TTAP_GROUP_ALLOC_SAMPLE) : groups; /* samples only on request */
    w->duration_ns = world_log_between(1000, day.window_max_ns);
    w->max_bytes = world_below(4) ? 0 : world_log_between(1, 200000);
    *opts = (struct ttap__sub_opts)TTAP__SUB_OPTS_INIT;
    if (!day.sampling)
        w->rule = &truth_rules[0];
    else if (world_below(3))
        w->rule = &truth_rules[world_below(truth_rules_count)];
    opts->sample = w->rule ? w->rule->text : NULL;
    opts->groups = groups;
    opts->duration_ns = w->duration_ns;
    opts->max_bytes = w->max_bytes;
    return w;
}

static struct ttap_capture_opts public_options(const struct ttap__sub_opts *opts)
{
    struct ttap_capture_opts public = TTAP_CAPTURE_OPTS_INIT;
    public.duration_ns = opts->duration_ns;
    public.groups = opts->groups;
    public.max_bytes = opts->max_bytes;
    public.sample = opts->sample;
    return public;
}

static void opened(struct window *w, int error)
{
    static const int allowed[] = {0, -EBUSY, -ENOMEM, -EAGAIN, -ENOSPC};
    bool known = false;
    for (unsigned i = 0; i < 5; i++)
        known |= error == allowed[i];
    if (!known)
        world_fail("opening a capture gave %d", error);
    world_trace("capture %u: opened: %d, for %.6f s", w->number, error, (double)w->duration_ns / 1e9);
    if (error) {
        truth_not_opened(w);
        return;
    }
    w->opened = true;
    w->open_ret_ns = world_now_ns;
}

/* Around whatever ends a window. */
static uint64_t tells(struct window *w)
{
    if (world_now_ns < w->told_ns) {
        w->told_ns = world_now_ns;
        w->teller = world_fiber->tid;
    }
    world_trace("capture %u: told to end", w->number);
    return world_fiber->frozen_ns;
}

static void told(struct window *w, uint64_t frozen_ns)
{
    if (w->teller == world_fiber->tid && w->teller_frozen_ns == UINT64_MAX)
        w->teller_frozen_ns = world_fiber->frozen_ns - frozen_ns;
}

static void over(struct window *w, bool whole)
{
    w->whole = whole;
    if (world_now_ns < w->over_ns)
        w->over_ns = world_now_ns;
    world_trace("capture %u: over, %s, %zu bytes", w->number, whole ? "whole" : "cut", w->len);
}

/* A client that reads: sometimes it takes its time. */
static void maybe_slow(void)
{
    if (world_chance(day.slow))
        world_sleep_until(world_now_ns + world_log_between(10000, day.closing ? WORLD_MS : 2 * WORLD_S));
}

/* ---- Captures into a descriptor ---- */

struct sink {
    struct window *window;
    uint64_t gone_after_bytes;
    int gone_error;
    bool awkward; /* short writes, EAGAIN, EINTR */
};
static struct sink sinks[64];

static struct sink *sink_of(int fd)
{
    if (fd < WORLD_SINK_FD || fd >= WORLD_SINK_FD + 64)
        world_fail("a write to descriptor %d", fd);
    return &sinks[fd - WORLD_SINK_FD];
}

long world_sink_write(int fd, const void *bytes, size_t len)
{
    struct sink *s = sink_of(fd);
    maybe_slow();
    if (s->window->len >= s->gone_after_bytes)
        return s->gone_error;
    if (s->awkward && world_below(3) == 0)
        return world_below(2) ? -EAGAIN : -EINTR;
    size_t taken = s->awkward ? world_log_between(1, len) : len;
    truth_bytes(s->window, bytes, taken);
    return (long)taken;
}

void world_sink_poll(int fd)
{
    (void)sink_of(fd);
    world_sleep_until(world_now_ns + world_log_between(1000, day.closing ? WORLD_MS : 200 * WORLD_MS));
}

static void capture_to_descriptor(unsigned client)
{
    static const int errors[] = {-EPIPE, -ENOSPC, -EIO, -EFBIG};
    struct ttap__sub_opts opts;
    struct window *w = ask(&opts);
    struct ttap_capture_opts public = public_options(&opts);
    struct sink *s = &sinks[client];
    *s = (struct sink){w, world_below(5) ? UINT64_MAX : world_log_between(1, 100000), errors[world_below(4)], world_below(2)};
    w->opened = true; /* it returns only when all is over: what happened in between is in the bytes */
    w->open_ret_ns = UINT64_MAX;
    int error = ttap_capture_fd(WORLD_SINK_FD + (int)client, &public);
    bool gone = error && error == s->gone_error;
    if (!gone && error && error != -ENOMEM)
        opened(w, error);
    over(w, error == 0);
    if (!w->len)
        w->opened = false;
}

/* ---- Captures to a callback ---- */

struct taker {
    struct window *window;
    uint64_t gives_up_after_bytes;
    uint64_t over_ns;
};

static int take(void *arg, const void *bytes, size_t len)
{
    struct taker *t = arg;
    maybe_slow();
    if (t->window->len >= t->gives_up_after_bytes)
        return -EPIPE;
    truth_bytes(t->window, bytes, len);
    return 0;
}

static void capture_to_callback(void)
{
    struct ttap__sub_opts opts;
    struct window *w = ask(&opts);
    if (world_below(3) == 0)
        w->duration_ns = opts.duration_ns = 0;
    struct ttap_capture_opts public = public_options(&opts);
    struct taker t = {w, world_below(6) ? UINT64_MAX : world_log_between(1, 50000), 0};
    struct ttap_capture *capture;
    int error = ttap_capture_start(&public, take, &t, &capture);
    opened(w, error);
    if (error)
        return;
    if (world_below(2))
        world_sleep_until(world_now_ns + world_log_between(1000, day.window_max_ns));
    else
        world_sleep_until(w->open_ret_ns + w->duration_ns + world_log_between(1000, 10 * WORLD_MS));
    uint64_t frozen_ns = tells(w);
    error = ttap_capture_stop(capture);
    told(w, frozen_ns);
    over(w, error == 0);
    if (error && error != -EPIPE && error != -ENOMEM)
        world_fail("capture %u: stopping it gave %d", w->number, error);
}

/* ---- Captures read as the endpoint does ---- */

static void ready(void *arg)
{
    struct window *w = arg;
    w->ready = true;
    if (w->keep && world_now_ns < w->over_ns)
        w->over_ns = world_now_ns;
    world_wake(w);
}

struct reading {
    struct ttap__sub *sub;
    uint64_t stop_ns, vanish_ns, stall_ns; /* when this client does that; UINT64_MAX never */
};

static uint64_t soon_or_never(unsigned one_in)
{
    return world_below(one_in) ? UINT64_MAX : world_now_ns + world_log_between(1000, day.window_max_ns * 2);
}

static uint64_t earliest(const struct reading *r)
{
    uint64_t first = r->stop_ns < r->vanish_ns ? r->stop_ns : r->vanish_ns;
    return day.closing ? world_now_ns : first;
}

/* Returns false when the client has vanished. */
static bool read_some(struct window *w, struct reading *r)
{
    unsigned char piece[8192];
    if (world_now_ns >= r->stop_ns) {
        uint64_t frozen_ns = tells(w);
        ttap__sub_stop(r->sub, TTAP__END_STOPPED);
        told(w, frozen_ns);
        r->stop_ns = UINT64_MAX;
    }
    if (world_now_ns >= r->vanish_ns)
        return false;
    if (world_now_ns >= r->stall_ns) { /* it reads nothing for a while, or until it vanishes */
        r->stall_ns = UINT64_MAX;
        world_sleep_until(world_now_ns + world_log_between(WORLD_MS, day.window_max_ns * 2));
    }
    w->ready = false;
    size_t n = ttap__sub_read(r->sub, piece, world_log_between(1, sizeof(piece)));
    truth_bytes(w, piece, n);
    maybe_slow();
    if (n)
        return true;
    if (ttap__sub_state(r->sub) == TTAP__SUB_ENDED) {
        w->whole = true;
        return false;
    }
    if (!w->ready) {
        uint64_t next_ns = earliest(r);
        if (next_ns > world_now_ns)
            world_wait_until(w, next_ns);
    }
    return true;
}

static void capture_as_endpoint(void)
{
    struct ttap__sub_opts opts;
    struct window *w = ask(&opts);
    if (world_below(4) == 0)
        w->duration_ns = opts.duration_ns = 0;
    opts.ready = ready;
    opts.arg = w;
    struct reading r;
    int error = ttap__sub_open(&opts, &r.sub);
    opened(w, error);
    if (error)
        return;
    r.stop_ns = w->duration_ns ? soon_or_never(4) : world_now_ns + world_log_between(1000, day.window_max_ns);
    r.vanish_ns = soon_or_never(5);
    r.stall_ns = soon_or_never(4);
    while (read_some(w, &r)) {
        if (day.closing && r.stop_ns > world_now_ns)
            r.stop_ns = w->told_ns == UINT64_MAX ? world_now_ns : UINT64_MAX;
        if (day.closing && w->told_ns != UINT64_MAX)
            world_sleep_until(world_now_ns + WORLD_MS); /* the drainer may be away for another 6 s */
    }
    struct ttap__sub_info info;
    ttap__sub_info(r.sub, &info);
    if (w->whole && (info.bytes != w->len || info.queued_bytes))
        world_fail("capture %u: %zu bytes were read, but it says %llu", w->number, w->len, (unsigned long long)info.bytes);
    uint64_t frozen_ns = w->whole ? 0 : tells(w);
    ttap__sub_close(r.sub);
    told(w, frozen_ns);
    over(w, w->whole);
}

/* ---- Kept captures ---- */

static struct window *kept_windows[4096];
static unsigned kept_windows_count;

static void keep_one(void)
{
    struct ttap__sub_opts opts;
    struct window *w = ask(&opts);
    w->keep = true;
    opts.ready = ready;
    opts.arg = w;
    int error = ttap__kept_start(&opts, &w->kept_id);
    opened(w, error);
    if (!error)
        kept_windows[kept_windows_count++] = w;
}

static struct window *kept_window(uint64_t id)
{
    for (unsigned i = 0; i < kept_windows_count; i++)
        if (kept_windows[i]->kept_id == id)
            return kept_windows[i];
    return NULL; /* its start has not returned yet */
}

/* Bytes of a kept capture never change: what was seen before is seen again. */
static void compare_or_take(struct window *w, uint64_t offset, const unsigned char *piece, size_t n)
{
    for (size_t i = 0; i < n && offset + i < w->len; i++)
        if (w->bytes[offset + i] != piece[i])
            world_fail("capture %u: byte %llu changed", w->number, (unsigned long long)(offset + i));
    if (offset <= w->len && offset + n > w->len)
        truth_bytes(w, piece + (w->len - offset), (size_t)(offset + n - w->len));
}

static void read_kept(struct window *w, struct ttap__sub *sub)
{
    unsigned char piece[4096];
    enum ttap__sub_state state = ttap__sub_state(sub);
    uint64_t offset = world_below(3) ? 0 : world_below(w->len + 1);
    for (size_t n; (n = ttap__sub_peek(sub, offset, piece, world_log_between(1, sizeof(piece)))); offset += n) {
        compare_or_take(w, offset, piece, n);
        maybe_slow();
        if (world_below(200) == 0)
            return;
    }
    w->whole |= state != TTAP__SUB_RECORDING;
}

static void use_kept(uint64_t id)
{
    struct window *w = kept_window(id);
    struct ttap__kept *kept = w ? ttap__kept_get(id) : NULL;
    if (!kept)
        return;
    if (world_below(4) == 0) {
        uint64_t frozen_ns = tells(w);
        ttap__sub_stop(ttap__kept_sub(kept), TTAP__END_STOPPED);
        told(w, frozen_ns);
    }
    if (world_below(2))
        world_sleep_until(world_now_ns + world_log_between(1000, day.window_max_ns));
    read_kept(w, ttap__kept_sub(kept));
    ttap__kept_put(kept);
}

static void delete_kept(uint64_t id)
{
    struct window *w = kept_window(id);
    if (!w)
        return;
    uint64_t frozen_ns = tells(w);
    ttap__kept_delete(id);
    told(w, frozen_ns);
}

static void something_with_kept(void)
{
    struct ttap__kept_info list[16];
    size_t count = ttap__kept_list(list, 16);
    if (count < 2 || world_below(2))
        keep_one();
    else if (world_below(5))
        use_kept(list[world_below(count < 16 ? count : 16)].id);
    else
        delete_kept(list[world_below(count < 16 ? count : 16)].id);
}

/* ---- Settings ---- */

static void change_something(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    int error = 0;
    switch (world_below(5)) {
    case 0:
        error = day.sampling ? ttap_sampling_set(truth_rules[world_below(truth_rules_count)].text) : 0;
        break;
    case 1:
        error = ttap_budget_set(world_log_between(16 << 10, 4 << 20));
        break;
    case 2:
        error = ttap__captures_max_set(1 + (unsigned)world_below(16));
        break;
    case 3:
        truth_shutdown_called();
        ttap__captures_stop_all();
        truth_shutdown_returned();
        break;
    default:
        ttap_status_get(&status);
    }
    if (error && error != -EBUSY && error != -EINVAL)
        world_fail("a setting gave %d", error);
}

/* ---- The day ---- */

static void *client_main(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    while (!day.closing) {
        world_sleep_until(world_now_ns + world_log_between(1000, day.window_max_ns));
        uint64_t what = world_below(100);
        if (what < 25)
            capture_to_descriptor(number);
        else if (what < 45)
            capture_to_callback();
        else if (what < 75)
            capture_as_endpoint();
        else if (what < 93)
            something_with_kept();
        else
            change_something();
    }
    day.clients_alive--;
    return NULL;
}

/* A thread that stood inside of an event when nobody had listened for a second held its chunk: what it has goes back behind the next session. */
static void one_more_session(void)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub *sub;
    while (day.emitters_alive)
        world_sleep_until(world_now_ns + WORLD_MS);
    int error = ttap__sub_open(&opts, &sub);
    if (error)
        world_fail("no capture when all others are over: %d", error);
    ttap__sub_close(sub);
}

/* Sleeps end that were begun before, of half a day at most; a drainer that is away comes back after 6 s; then everybody reads to the end. */
#define CLOSING_NS_MAX (60 * WORLD_S)

static void *director_main(void *unused)
{
    ttap_budget_set(world_log_between(16 << 10, 4 << 20));
    ttap__captures_max_set(1 + (unsigned)world_below(16));
    for (unsigned i = 0; i < day.clients; i++)
        day.clients_alive += world_start(client_main, (void *)(uintptr_t)i, NULL) != NULL;
    while (world_now_ns < day.end_ns) {
        while (day.emitters_alive < day.emitters && start_emitter())
            ;
        world_sleep_until(world_now_ns + day.length_ns / 200 + 1);
    }
    world_trace("the day ends");
    day.closing = true;
    world_heal();
    uint64_t closed_ns = world_now_ns;
    while (day.clients_alive) {
        world_sleep_until(world_now_ns + WORLD_MS);
        if (world_now_ns - closed_ns > CLOSING_NS_MAX)
            world_fail("%u clients wait still, long after the day", day.clients_alive);
    }
    truth_shutdown_called();
    ttap__captures_stop_all();
    truth_shutdown_returned();
    struct ttap__kept_info list[64];
    for (size_t count; (count = ttap__kept_list(list, 64));) {
        struct window *w = kept_window(list[0].id);
        struct ttap__kept *kept = ttap__kept_get(list[0].id);
        read_kept(w, ttap__kept_sub(kept));
        ttap__kept_put(kept);
        ttap__kept_delete(list[0].id);
    }
    one_more_session();
    return unused;
}

static unsigned one_of(const unsigned *values, unsigned count)
{
    return values[world_below(count)];
}
#define ONE_OF(...) one_of((const unsigned[]){__VA_ARGS__}, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void draw_faults(void)
{
    struct world_faults *f = &world_faults;
    f->run_max_points = ONE_OF(20, 200, 2000, 20000);
    f->freeze = ONE_OF(0, 300, 3000, 30000);
    f->freeze_max_ns = ONE_OF(100000, 10000000, 1000000000);
    f->drainer_freeze = ONE_OF(0, 0, 1000, 10000);
    f->drainer_freeze_max_ns = (uint64_t)ONE_OF(1, 100, 6000) * WORLD_MS;
    f->signal = ONE_OF(0, 10000, 100000, 400000);
    f->spurious = ONE_OF(0, 20000);
    f->no_memory = f->no_mapping = ONE_OF(0, 0, 2000, 50000);
    f->no_thread = ONE_OF(0, 20000);
    f->no_descriptor = ONE_OF(0, 300000);
    f->clock = ONE_OF(1, 1, 1, 2);
    f->skew_ticks = ONE_OF(0, 0, 60);
}

static void draw_day(void)
{
    day.length_ns = world_log_between(100 * WORLD_MS, 20 * WORLD_S);
    day.end_ns = world_now_ns + day.length_ns;
    day.emitters = (unsigned)world_log_between(1, 8);
    day.clients = (unsigned)world_log_between(1, 6);
    day.burst_max = (unsigned)world_log_between(4, 400);
    day.pause_max_ns = day.length_ns / 20;
    day.window_max_ns = day.length_ns / 4;
    day.death = ONE_OF(0, 10000, 200000);
    day.slow = ONE_OF(0, 50000, 300000);
    day.sampling = world_below(2);
}

void actors_live(void)
{
    draw_faults();
    draw_day();
    world_handler = in_handler;
    for (unsigned i = 0; i < TASK_KINDS; i++)
        ttap_name(truth_task_kinds[i].text);
    if (!world_start(director_main, NULL, NULL))
        world_fail("no director");
    world_run();
}

void actors_check_nothing_left(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    if (status.groups)
        world_fail("the gate is still open: %llx", (unsigned long long)status.groups);
    if (status.used_bytes || status.chunks_live || status.captures || status.threads)
        world_fail("what is left: %llu bytes, %llu chunks, %u captures, %u threads", (unsigned long long)status.used_bytes,
                   (unsigned long long)status.chunks_live, status.captures, status.threads);
    if (world_held.allocations || world_held.segments || world_held.descriptors)
        world_fail("what is left: %llu allocations, %llu segments, %llu descriptors", (unsigned long long)world_held.allocations,
                   (unsigned long long)world_held.segments, (unsigned long long)world_held.descriptors);
}
