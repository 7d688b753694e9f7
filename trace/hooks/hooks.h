/* hooks.h - what every hook is made of.
 *
 *   begin: note in the slot what we are in (three stores, always)  ; time, if somebody records
 *   the real call
 *   end:   note taken back ; if somebody records: one event of two cells, and what the object is if they have not heard of it
 *
 * That is two functions: the hook itself knows the quiet case alone (nobody records, the thread has a slot and is in no other call), and so keeps
 * one register; for all else it jumps to the other one. A call that cannot sleep, as its socket is known not to block, is not noted while nobody
 * records: the hook jumps to the real function, which returns to the program and not to us.
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

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "emit.h"
#include "share.h"

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
/* Once, when all real functions have been looked for. */
void ttap__alloc_is_known(void);

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

/* The same for all hooks called from one place, whatever they keep on the stack. */
#define CALL_FRAME() ((uint64_t)(uintptr_t)__builtin_dwarf_cfa()) /* without a frame pointer, which __builtin_frame_address(0) takes */

static inline __attribute__((always_inline)) void ttap__call_begin_at(struct ttap__call *call, uint64_t frame, unsigned op, uint64_t object,
                                                                      uint64_t groups)
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
    if (ttap__unlikely(ttap__load(&slot->call) != 0)) {
        call->before = ttap__note_take(slot);
        call->nested = call->before.frame > frame; /* the stack grows down: else it was left by longjmp or cancellation */
    }
    ttap__store(&slot->call_object, object);
    ttap__store(&slot->call_frame, frame);
    call->start_ticks = TTAP_ENABLED(groups) ? ttap__ticks() : 0;
    ttap__store(&slot->call_start, call->start_ticks);
    ttap__store_release(&slot->call, op); /* acquire: read_call() in sub.c */
}

static inline __attribute__((always_inline)) void ttap__call_begin(struct ttap__call *call, unsigned op, uint64_t object, uint64_t groups)
{
    ttap__call_begin_at(call, CALL_FRAME(), op, object, groups);
}

static inline __attribute__((always_inline)) void ttap__call_note_back(const struct ttap__call *call)
{
    if (ttap__unlikely(call->nested)) {
        ttap__note_put(call->slot, call->before);
        return;
    }
    if (call->start_ticks)
        ttap__store(&call->slot->call_start, 0); /* 0 wherever `call` is, so that a quiet call need not write it */
    ttap__store_release(&call->slot->call, 0);
}

/* Waits for locks and threads. @holder: thread id, or 0. */
void ttap__lock_call_record(unsigned op, uint64_t object, uint64_t start_ticks, uint32_t holder);
/* Calls on descriptors; by what the descriptor is. @result: what it returned, or a negative errno. */
void ttap__fd_call_record(unsigned op, uint64_t object, uint64_t start_ticks, int64_t result);
void ttap__sleep_call_record(unsigned op, uint64_t object, uint64_t start_ticks, int64_t result);
/* Somebody wants samples of CPU time; under `tracetap run` it is for us to make the timers. */
void ttap__samples_wanted(void);
/* Somebody may be waiting for @object, and we have just seen to it. */
void ttap__wake_record(unsigned op, const void *object);

static inline void ttap__fd_call_end(const struct ttap__call *call, int64_t result)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__likely(call->start_ticks || TTAP_ENABLED(TTAP__FD_GROUPS)))
        ttap__fd_call_record(call->op, call->object, call->start_ticks, result);
}

static inline void ttap__sleep_call_end(const struct ttap__call *call, int64_t result)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__likely(call->start_ticks || TTAP_ENABLED(TTAP_GROUP_SLEEP)))
        ttap__sleep_call_record(call->op, call->object, call->start_ticks, result);
}

static inline void ttap__lock_call_end(const struct ttap__call *call, uint32_t holder)
{
    if (ttap__unlikely(!call->slot))
        return;
    ttap__call_note_back(call);
    if (ttap__unlikely(call->start_ticks || TTAP_ENABLED(TTAP_GROUP_LOCK)))
        ttap__lock_call_record(call->op, call->object, call->start_ticks, holder);
}

/* ---- The quiet case ---- */

/* Which of @groups somebody may want: TTAP_ENABLED() is to be asked again where it is not 0. For the compiler an operand like any other: it is in the
 * test itself. Hooks call functions that are not known, so that it is read each time. */
static inline __attribute__((always_inline)) uint64_t ttap__wanted(uint64_t groups)
{
#if defined(__SANITIZE_THREAD__)
    return ttap__load(&ttap__own_gate) & groups;
#else
    return ttap__own_gate & groups;
#endif
}

/* NULL: the case is not quiet. */
static inline __attribute__((always_inline)) struct ttap__slot *ttap__quiet_slot(uint64_t groups)
{
    struct ttap__slot *slot = ttap__tls->slot;
    return ttap__unlikely(!slot) || ttap__unlikely(ttap__load(&slot->call)) || ttap__unlikely(ttap__wanted(groups)) ? NULL : slot;
}

static inline __attribute__((always_inline)) void ttap__quiet_begin(struct ttap__slot *slot, uint64_t frame, unsigned op, uint64_t object)
{
    ttap__store(&slot->call_object, object);
    ttap__store(&slot->call_frame, frame);
    ttap__store_release(&slot->call, op); /* as in ttap__call_begin_at() */
}

/* How a result is told. */
enum ttap__told { TOLD_AS_IS, TOLD_ERRNO /* -errno where it is negative */, TOLD_ERROR /* it is an errno itself, or 0 */ };
static inline int64_t ttap__told(enum ttap__told told, int64_t result)
{
    return told == TOLD_ERRNO && result < 0 ? -errno : told == TOLD_ERROR ? -result : result;
}

/* Somebody records by now: the end of a call that was quiet. Returns @result. */
int64_t ttap__quiet_fd_call_late(struct ttap__slot *slot, enum ttap__told told, int64_t result);
int64_t ttap__quiet_sleep_call_late(struct ttap__slot *slot, enum ttap__told told, int64_t result);

/* (a, b) with the caller's frame before them. */
#define TTAP__FRAMED(...) (uint64_t frame, __VA_ARGS__)
#define TTAP__FRAMED_ARGUMENTS(...) (frame, __VA_ARGS__)

/* A call that may sleep, as a whole; @family: fd or sleep; @awake: this one does not sleep. Whether the real one has been found is not asked each time: until
 * then @name##_now finds it. */
#define HOOKED_CALL(family, groups, told, awake, ret, name, parameters, arguments, op, object)                                                       \
    REAL_FUNCTION(ret, name, parameters)                                                                                                             \
    HOOK ret name parameters; /* some have no prototype of their own */                                                                              \
    static ret name##_first parameters;                                                                                                              \
    static name##_function name##_now = name##_first;                                                                                                \
    static __attribute__((noinline, cold)) ret name##_first parameters                                                                               \
    {                                                                                                                                                \
        ttap__store(&name##_now, real_##name());                                                                                                     \
        return name##_now arguments;                                                                                                                 \
    }                                                                                                                                                \
    static __attribute__((noinline)) ret name##_unusual TTAP__FRAMED parameters                                                                      \
    {                                                                                                                                                \
        struct ttap__call call;                                                                                                                      \
        ttap__call_begin_at(&call, frame, op, object, groups);                                                                                       \
        ret result = ttap__load(&name##_now) arguments;                                                                                              \
        ttap__##family##_call_end(&call, ttap__told(told, (int64_t)result));                                                                         \
        return result;                                                                                                                               \
    }                                                                                                                                                \
    HOOK ret name parameters                                                                                                                         \
    {                                                                                                                                                \
        if ((awake) && ttap__likely(!ttap__wanted(groups)))                                                                                          \
            return ttap__load(&name##_now) arguments;                                                                                                \
        uint64_t frame = CALL_FRAME();                                                                                                               \
        struct ttap__slot *slot = ttap__quiet_slot(groups);                                                                                          \
        if (ttap__unlikely(!slot))                                                                                                                   \
            return name##_unusual TTAP__FRAMED_ARGUMENTS arguments;                                                                                  \
        ttap__quiet_begin(slot, frame, op, object);                                                                                                  \
        ret result = ttap__load(&name##_now) arguments;                                                                                              \
        if (ttap__unlikely(ttap__wanted(groups)))                                                                                                    \
            return (ret)ttap__quiet_##family##_call_late(slot, told, (int64_t)result);                                                               \
        ttap__store_release(&slot->call, 0);                                                                                                         \
        return result;                                                                                                                               \
    }

/* ---- Descriptors ---- */

/* A call on the descriptor `fd`, which is its first parameter. */
#define HOOKED_FD(ret, name, parameters, arguments, op)                                                                                              \
    HOOKED_CALL(fd, TTAP__FD_GROUPS, TOLD_ERRNO, false, ret, name, parameters, arguments, op, ttap__fd_object(fd))
/* One that does not sleep where the descriptor does not block. */
#define HOOKED_IO(ret, name, parameters, arguments, op)                                                                                              \
    HOOKED_CALL(fd, TTAP__FD_GROUPS, TOLD_ERRNO, ttap__fd_never_sleeps(fd), ret, name, parameters, arguments, op, ttap__fd_object(fd))

/* TTAP__FD_AWAKE: a socket of this descriptor alone that does not block. What another process, or the kernel for another process, does to it is not seen, nor
 * numbers that are given away in calls without a hook; then a wait begun before a window is told without its call. TTAP__FD_SHARED: dup() gave it another
 * number, by which it may be made to block; never awake again. */
enum ttap__fd_blocks { TTAP__FD_BLOCKS, TTAP__FD_AWAKE, TTAP__FD_SHARED };

/* Of each descriptor number: how often it was given away, what it is, and who has been told. Racy by nature, as descriptors are; each
 * field is one store, and the worst is a description too many or too few. */
enum { TTAP__FDS = 65536, TTAP__FD_NUMBER_BITS = 16, TTAP__FD_GENERATION_BITS = 24, TTAP__FD_BEYOND_BIT = 48 };
extern struct ttap__fd_state {
    uint64_t generation; /* in its place in an object */
    uint32_t told_epoch;
    uint8_t kind, blocks;
} ttap__fd_states[TTAP__FDS];

/* @fd, told from whatever had that number before. */
static inline uint64_t ttap__fd_object(int fd)
{
    if (ttap__unlikely((unsigned)fd >= TTAP__FDS))
        return UINT64_C(1) << TTAP__FD_BEYOND_BIT | (uint64_t)(unsigned)fd << TTAP__FD_NUMBER_BITS; /* beyond the table */
    return ttap__load(&ttap__fd_states[(unsigned)fd].generation) | (unsigned)fd;
}

static inline bool ttap__fd_never_sleeps(int fd)
{
    return ttap__likely((unsigned)fd < TTAP__FDS) && ttap__load(&ttap__fd_states[(unsigned)fd].blocks) == TTAP__FD_AWAKE;
}

/* @fd is something new from now on, or will be. */
void ttap__fd_renew(int fd);
/* It is a new socket. */
void ttap__fd_renew_socket(int fd, bool nonblocking);
/* It is what it was, with another name: whoever was told what it is before is told again. */
void ttap__fd_rename(int fd);
/* Whether it blocks is being changed: false before that is done, true after it was, so that in between it is taken to. */
void ttap__fd_set_nonblocking(int fd, bool nonblocking);
/* It has another number, too. */
void ttap__fd_share(int fd);

#endif
