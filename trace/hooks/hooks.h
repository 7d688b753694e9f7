/* hooks.h - what every hook is made of.
 *
 *   begin: note in the slot what we are in (two stores, always)    ; time, if somebody records
 *   the real call
 *   end:   note taken back ; if somebody records: one event of two cells, and what the object is if they have not heard of it
 *
 * Rules for all hooks
 *   - Results, errno, signals and cancellation are the real call's. What we do beside it uses raw system calls, which leave errno alone.
 *   - No allocation, no lock, no loader call after start: real functions are looked up once, when the library is loaded. A library whose
 *     constructor runs before ours finds the lookup done at its first call.
 *   - The tracer's own threads are never recorded.
 *   - A hook keeps nothing that a longjmp or a cancellation out of the real call would leave wrong, except the note, which says on which
 *     frame it was made: a later call that finds itself above that frame knows the note to be dead.
 *   - What is seldom (no slot yet, a call inside another's handler, a real function not found yet) is out of line: what is left on the way of
 *     each call is counted in nanoseconds by ./dev bench hooks.
 */
#ifndef TTAP_HOOKS_HOOKS_H
#define TTAP_HOOKS_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "emit.h"

/* ---- Real functions ---- */

struct ttap__real {
    const char *name, *version; /* version: of a symbol that has an older one too, else NULL */
    void *function;
};

/* For a table that the linker puts together: REAL_FUNCTION(ret, name, (parameters)) once in each file, then real_name() is the function. */
#define REAL_VERSION(ret, name, parameters, version)                                                                                                 \
    typedef ret(*name##_function) parameters;                                                                                                        \
    static struct ttap__real name##_entry __attribute__((section("ttap_reals"), used, aligned(8))) = {#name, version, NULL};                         \
    static inline name##_function real_##name(void)                                                                                                  \
    {                                                                                                                                                \
        void *found = ttap__load(&name##_entry.function);                                                                                            \
        return (name##_function)(ttap__likely(found != NULL) ? found : ttap__real_find(&name##_entry));                                              \
    }
#define REAL_FUNCTION(ret, name, parameters) REAL_VERSION(ret, name, parameters, NULL)

/* NULL: this libc has no such function. */
void *ttap__real_find(struct ttap__real *real);

#define HOOK __attribute__((visibility("default")))

/* ---- A call ---- */

/* What a call on a descriptor may turn out to be. */
#define TTAP__FD_GROUPS (TTAP_GROUP_NET | TTAP_GROUP_FILE)

#define TTAP_OP(number, NAME, name, KIND) OP_##NAME = (number),
enum ttap__op {
#include "ops.def"
};
#undef TTAP_OP

/* A note that another call of this thread has made. */
struct ttap__note {
    uint64_t op, object, frame, start;
};

/* Its address goes nowhere on the way of each call, so that it is registers there. */
struct ttap__call {
    struct ttap__slot *slot; /* NULL: nothing to do at the end */
    uint64_t start_ticks;    /* 0: nobody recorded when it was made; told all the same if somebody does when it returns */
    uint64_t object;
    uint32_t op;
    bool nested; /* in another call of this thread, as its handler, whose note this is: */
    struct ttap__note before;
};

/* The slot of the calling thread; NULL: it has none and gets none. */
struct ttap__slot *ttap__call_slot(void);
/* Take the slot's note, and put it back. */
struct ttap__note ttap__note_take(struct ttap__slot *slot);
void ttap__note_put(struct ttap__slot *slot, struct ttap__note note);

static inline __attribute__((always_inline)) void ttap__call_begin(struct ttap__call *call, unsigned op, uint64_t object, uint64_t groups)
{
    struct ttap__slot *slot = ttap__tls->slot;
    if (ttap__unlikely(!slot))
        slot = ttap__call_slot();
    call->slot = slot;
    call->start_ticks = 0;
    if (ttap__unlikely(!slot))
        return;
    call->op = op;
    call->object = object;
    call->nested = false;
    uint64_t frame = (uintptr_t)__builtin_frame_address(0); /* the same for all hooks called from one place, whatever they keep on the stack */
    if (ttap__unlikely(ttap__load(&slot->call) != 0)) {
        call->before = ttap__note_take(slot);
        call->nested = call->before.frame > frame; /* the stack grows down: else it was left by longjmp or cancellation */
    }
    ttap__store(&slot->call_object, object);
    ttap__store(&slot->call_frame, frame);
    call->start_ticks = TTAP_ENABLED(groups) ? ttap__ticks() : 0;
    ttap__store(&slot->call_start, call->start_ticks);
    ttap__store_release(&slot->call, op); /* acquire: write_pending_call() in sub.c */
}

static inline __attribute__((always_inline)) void ttap__call_note_back(const struct ttap__call *call)
{
    if (ttap__unlikely(call->nested))
        ttap__note_put(call->slot, call->before);
    else
        ttap__store_release(&call->slot->call, 0);
}

/* Waits for locks and threads. @holder: thread id, or 0. */
void ttap__lock_call_record(const struct ttap__call *call, uint32_t holder);
/* Calls on descriptors; by what the descriptor is. @result: what it returned, or a negative errno. */
void ttap__fd_call_record(const struct ttap__call *call, int64_t result);
void ttap__sleep_call_record(const struct ttap__call *call, int64_t result);
/* Somebody wants samples of CPU time; under `tracetap run` it is for us to make the timers. */
void ttap__samples_wanted(void);
/* Somebody may be waiting for @object, and we have just seen to it. */
void ttap__wake_record(unsigned op, const void *object);

static inline void ttap__fd_call_end(const struct ttap__call *call, int64_t result)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__unlikely(call->start_ticks || TTAP_ENABLED(TTAP__FD_GROUPS)))
        ttap__fd_call_record(&(struct ttap__call){call->slot, call->start_ticks, call->object, call->op, false, {0, 0, 0, 0}}, result);
}

static inline void ttap__sleep_call_end(const struct ttap__call *call, int64_t result)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__unlikely(call->start_ticks || TTAP_ENABLED(TTAP_GROUP_SLEEP)))
        ttap__sleep_call_record(&(struct ttap__call){call->slot, call->start_ticks, call->object, call->op, false, {0, 0, 0, 0}}, result);
}

static inline void ttap__lock_call_end(const struct ttap__call *call, uint32_t holder)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__unlikely(call->start_ticks || TTAP_ENABLED(TTAP_GROUP_LOCK)))
        ttap__lock_call_record(&(struct ttap__call){call->slot, call->start_ticks, call->object, call->op, false, {0, 0, 0, 0}}, holder);
}

/* ---- Descriptors ---- */

/* A call on the descriptor `fd`, which is its first parameter. errno is there for the including file to include. */
#define HOOKED_FD(ret, name, parameters, arguments, op)                                                                                              \
    REAL_FUNCTION(ret, name, parameters)                                                                                                             \
    HOOK ret name parameters; /* some have no prototype of their own */                                                                              \
    HOOK ret name parameters                                                                                                                         \
    {                                                                                                                                                \
        struct ttap__call call;                                                                                                                      \
        ttap__call_begin(&call, op, ttap__fd_object(fd), TTAP__FD_GROUPS);                                                                           \
        ret result = real_##name() arguments;                                                                                                        \
        ttap__fd_call_end(&call, result < 0 ? -errno : (int64_t)result);                                                                             \
        return result;                                                                                                                               \
    }

/* Of each descriptor number: how often it was given away, what it is, and who has been told. Racy by nature, as descriptors are; each
 * field is one store, and the worst is a description too many or too few. */
enum { TTAP__FDS = 65536, TTAP__FD_NUMBER_BITS = 16, TTAP__FD_GENERATION_BITS = 24 };
extern struct ttap__fd_state {
    uint32_t generation, told_epoch;
    uint8_t kind;
} ttap__fd_states[TTAP__FDS];

/* @fd, told from whatever had that number before. */
static inline uint64_t ttap__fd_object(int fd)
{
    if ((unsigned)fd >= TTAP__FDS)
        return (uint64_t)(unsigned)fd << TTAP__FD_NUMBER_BITS; /* beyond the table; kept apart from those in it */
    uint64_t generation = ttap__load(&ttap__fd_states[fd].generation) & ((1u << TTAP__FD_GENERATION_BITS) - 1);
    return generation << TTAP__FD_NUMBER_BITS | (unsigned)fd;
}
/* @fd is something new from now on, or will be. */
void ttap__fd_renew(int fd);

#endif
