/* boehm.c - the source "gc": what Boehm's collector does, where a program has it.
 *
 *   collection |START ........................................ END|     in the collecting thread's stream
 *        pause     |PRE_STOP ................ POST_START|               gc_begin, gc_end
 *         mark            |MARK ....... MARK|                           and for each thread it stops: gc_stopped, gc_resumed
 *        sweep                                    |RECLAIM .. RECLAIM|  then counters: the heap, and what of it is free
 *
 * The collector tells it through callbacks, which it calls with its lock held and mostly with the world stopped: they emit and do nothing else. A
 * stopped thread may have been stopped inside an event of its own; nobody waits for it.
 *
 * Nothing is linked: the collector's functions are looked for by name, on a thread of the program. A program that embeds us gets the callbacks while a
 * window wants them. Under `tracetap run` nobody of ours is in the program later on, so they are set when it is loaded, and stay: an event that
 * nobody records costs a load and a test.
 *
 * Callbacks that were set before ours are called too, after us, and are put back unless somebody has set others since. Who set those may call ours
 * from theirs, for ever; so ours stay good, and know when they are called from within themselves (`struct chain`).
 */
#include "source_boehm.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "emit.h"
#include "share.h"

/* GC_EventType of gc.h, version 7.6 and later. */
enum {
    EVENT_START,
    EVENT_MARK_START,
    EVENT_MARK_END,
    EVENT_RECLAIM_START,
    EVENT_RECLAIM_END,
    EVENT_END,
    EVENT_PRE_STOP_WORLD,
    EVENT_POST_STOP_WORLD,
    EVENT_PRE_START_WORLD,
    EVENT_POST_START_WORLD,
    EVENT_THREAD_SUSPENDED,
    EVENT_THREAD_UNSUSPENDED
};

typedef void (*phase_callback)(int event);
typedef void (*thread_callback)(int event, void *thread);
typedef void (*phase_setter)(phase_callback);

/* The collector's functions; NULL: this program has no collector, or an older one. */
static struct collector {
    phase_setter set_phases;
    phase_callback (*get_phases)(void);
    void (*set_threads)(thread_callback);
    thread_callback (*get_threads)(void);
    size_t (*heap_size)(void);
    size_t (*free_bytes)(void);
    uint32_t tid_offset; /* of the kernel's number in what pthread_self() points to; 0: unknown */
} collector;

/* Whom we have replaced, the innermost first. Beyond a few we do not set ours again: somebody wraps them anew in each window. */
#define CHAIN_MAX 4u
struct chain {
    void *replaced[CHAIN_MAX];
    uint32_t set;    /* how often ours are set, as far as we know */
    uint32_t inside; /* calls of ours that are being made; under the collector's lock */
};
static struct chain phases, threads;

static struct ttap_name collection_name = TTAP_NAME_INIT("collection"), pause_name = TTAP_NAME_INIT("pause"), mark_name = TTAP_NAME_INIT("mark"),
                        sweep_name = TTAP_NAME_INIT("sweep"), heap_name = TTAP_NAME_INIT("gc.heap_bytes"),
                        free_name = TTAP_NAME_INIT("gc.free_bytes");

/* ---- Called by the collector ---- */

static void *next_of(const struct chain *chain)
{
    uint32_t set = ttap__load(&chain->set);
    return chain->inside < set ? ttap__load(&chain->replaced[set - 1 - chain->inside]) : NULL;
}

static void tell_phase(int event)
{
    switch (event) {
    case EVENT_START:
        ttap_gc_begin(&collection_name);
        break;
    case EVENT_END:
        ttap_gc_end(&collection_name);
        break;
    case EVENT_PRE_STOP_WORLD:
        ttap_gc_begin(&pause_name);
        break;
    case EVENT_POST_START_WORLD:
        ttap_gc_end(&pause_name);
        break;
    case EVENT_MARK_START:
        ttap_gc_begin(&mark_name);
        break;
    case EVENT_MARK_END:
        ttap_gc_end(&mark_name);
        break;
    case EVENT_RECLAIM_START:
        ttap_gc_begin(&sweep_name);
        break;
    case EVENT_RECLAIM_END:
        ttap_gc_end(&sweep_name);
        if (collector.heap_size)
            ttap_counter(&heap_name, (int64_t)collector.heap_size());
        if (collector.free_bytes)
            ttap_counter(&free_name, (int64_t)collector.free_bytes());
        break;
    default:
        break;
    }
}

static void on_phase(int event)
{
    if (!phases.inside)
        tell_phase(event);
    phase_callback next = (phase_callback)next_of(&phases);
    phases.inside++;
    if (next)
        next(event);
    phases.inside--;
}

/* @thread: pthread_t of a thread that lives. */
static void tell_thread(int event, const void *thread)
{
    if (!TTAP_ENABLED(TTAP_GROUP_GC) || !collector.tid_offset)
        return;
    uint32_t tid = ttap__load((const uint32_t *)((const char *)thread + collector.tid_offset));
    if (event == EVENT_THREAD_SUSPENDED)
        ttap__emit_fact(TTAP_GROUP_GC, TTAP__GC_STOPPED, tid, 0, 0);
    else if (event == EVENT_THREAD_UNSUSPENDED)
        ttap__emit_fact(TTAP_GROUP_GC, TTAP__GC_RESUMED, tid, 0, 0);
}

static void on_thread(int event, void *thread)
{
    if (!threads.inside)
        tell_thread(event, thread);
    thread_callback next = (thread_callback)next_of(&threads);
    threads.inside++;
    if (next)
        next(event, thread);
    threads.inside--;
}

/* ---- Setting and taking back ---- */

/* What glibc tells debuggers of its threads: size in bits, count, offset. musl has no such thing. */
static uint32_t find_tid_offset(void)
{
    const uint32_t *field = dlsym(RTLD_DEFAULT, "_thread_db_pthread_tid");
    return field && field[0] == 32 && field[2] < 4096 ? field[2] : 0;
}

static pthread_mutex_t finding = PTHREAD_MUTEX_INITIALIZER;

/* On a thread of the program, which may be in the loader itself: the drainer might wait there for whom waits for it. */
static void find_collector(void)
{
    if (ttap__load_acquire((void **)&collector.set_phases))
        return;
    int saved_errno = errno;
    struct collector found;
    /* Without our lock: the loader has one of its own, and who is inside that may come here. */
    *(void **)&found.set_phases = dlsym(RTLD_DEFAULT, "GC_set_on_collection_event");
    *(void **)&found.get_phases = dlsym(RTLD_DEFAULT, "GC_get_on_collection_event");
    *(void **)&found.set_threads = dlsym(RTLD_DEFAULT, "GC_set_on_thread_event");
    *(void **)&found.get_threads = dlsym(RTLD_DEFAULT, "GC_get_on_thread_event");
    *(void **)&found.heap_size = dlsym(RTLD_DEFAULT, "GC_get_heap_size");
    *(void **)&found.free_bytes = dlsym(RTLD_DEFAULT, "GC_get_free_bytes");
    found.tid_offset = find_tid_offset();
    pthread_mutex_lock(&finding);
    if (found.set_phases && !ttap__load((void **)&collector.set_phases)) {
        phase_setter set_phases = found.set_phases;
        found.set_phases = NULL;
        collector = found;
        ttap__store_release(&collector.set_phases, set_phases); /* acquire: set_ours(), and the first line here */
    }
    pthread_mutex_unlock(&finding);
    errno = saved_errno;
}

static bool may_set(const struct chain *chain, void *current, void *ours)
{
    return current != ours && chain->set < CHAIN_MAX;
}

static void note_replaced(struct chain *chain, void *current)
{
    ttap__store(&chain->replaced[chain->set], current);
    ttap__store_release(&chain->set, chain->set + 1);
}

/* Between asking for the present callback and setting ours the program may set its own, which is then not called: the collector has no
 * call that does both. */
static void set_ours(void)
{
    if (!ttap__load_acquire((void **)&collector.set_phases) || !collector.get_phases)
        return;
    void *current = (void *)collector.get_phases();
    if (may_set(&phases, current, (void *)on_phase)) {
        note_replaced(&phases, current);
        collector.set_phases(on_phase);
    }
    if (!collector.set_threads || !collector.get_threads)
        return;
    current = (void *)collector.get_threads();
    if (may_set(&threads, current, (void *)on_thread)) {
        note_replaced(&threads, current);
        collector.set_threads(on_thread);
    }
}

/* The collector takes its lock to set one, so none of ours is being called when that is done. */
static void take_ours_back(void)
{
    if (phases.set && (void *)collector.get_phases() == (void *)on_phase) {
        collector.set_phases((phase_callback)phases.replaced[phases.set - 1]);
        ttap__store(&phases.set, phases.set - 1);
    }
    if (threads.set && (void *)collector.get_threads() == (void *)on_thread) {
        collector.set_threads((thread_callback)threads.replaced[threads.set - 1]);
        ttap__store(&threads.set, threads.set - 1);
    }
}

/* After preload.c has joined the arena (101); before the program can set its own. */
__attribute__((constructor(102))) static void set_for_life(void)
{
    if (ttap__share_role != TTAP__SHARE_MEMBER)
        return;
    find_collector();
    set_ours();
}

/* ---- The source ---- */

static void start(void)
{
    if (ttap__share_role == TTAP__SHARE_NONE)
        set_ours();
}

static void stop(void)
{
    if (ttap__share_role == TTAP__SHARE_NONE)
        take_ours_back();
}

/* The callbacks are the child's as well, and silent there until it records. */
static void after_fork(void)
{
    pthread_mutex_init(&finding, NULL);
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    bool run = ttap__share_role == TTAP__SHARE_KEEPER;
    *on = true;
    snprintf(enable, size, "%s", "");
    if (run) {
        snprintf(why, size, "Boehm's collector, in programs that are linked with it; others where they are annotated");
        return;
    }
    if (ttap__load_acquire((void **)&collector.set_phases)) {
        snprintf(why, size, "Boehm's collector%s", collector.tid_offset ? "" : "; not which threads it stops: this libc does not tell their numbers");
        return;
    }
    snprintf(why, size, "no Boehm collector is loaded; others where they are annotated, with ttap_gc_begin() and ttap_gc_end()");
}

const struct ttap__source ttap__source_boehm = {
    .name = "gc",
    .groups = TTAP_GROUP_GC,
    .level = TTAP__LEVEL_OWN, /* it has no streams: the collector's thread tells */
    .ask = find_collector,
    .start = start,
    .stop = stop,
    .after_fork = after_fork,
    .status = status,
};
