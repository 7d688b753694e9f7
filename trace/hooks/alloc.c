/* alloc.c - what each thread allocates: calls and bytes asked for, counted in its slot while a window wants that; the drainer reads the counts
 * (sources/alloc.c). Nothing is recorded call by call, but on request one allocation in so many bytes, with its stack:
 *
 *      slot.alloc_left: drawn anew ----- less what is asked for -----> below 0: event, drawn anew      what is freed is not looked at
 *
 * The loader itself calls these, also while it looks up the real ones for us: what is asked for then comes out of a buffer, which free() knows.
 * A program calls these more often than all other hooks together, so what is usual is a look at the gate and a jump: where to is settled once, when
 * the real ones are known. In here nothing allocates, locks or fails; the real function, whoever's it is, does all else. Allocators that a program is linked with behave as if
 * called directly: what they define is what comes next after us. glibc's reallocarray() calls realloc(), ours, and so is counted there.
 */
#include "hooks.h"
#include "stacks.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* As REAL_FUNCTION, but for how it is found. @name##_usual: where it goes while nobody wants to know. */
#define REAL_ALLOC(ret, name, parameters)                                                                                                            \
    typedef ret(*name##_function) parameters;                                                                                                        \
    static struct ttap__real name##_entry __attribute__((section("ttap_reals"), used, aligned(8))) = {#name, NULL, NULL};

REAL_ALLOC(void *, malloc, (size_t))
REAL_ALLOC(void *, calloc, (size_t, size_t))
REAL_ALLOC(void *, realloc, (void *, size_t))
REAL_ALLOC(void, free, (void *))
REAL_ALLOC(int, posix_memalign, (void **, size_t, size_t))
REAL_ALLOC(void *, aligned_alloc, (size_t, size_t))
REAL_ALLOC(void *, memalign, (size_t, size_t))
REAL_ALLOC(void *, valloc, (size_t))
REAL_ALLOC(void *, pvalloc, (size_t))

/* ---- Until the real ones are known ---- */

/* The loader's own needs while it looks up a name: some hundred bytes. */
#define BOOT_BYTES 65536u
static _Alignas(16) char boot[BOOT_BYTES];
static uint32_t boot_used;

/* This thread looks up a real function, so that what asks for memory is the loader on its behalf. */
static __thread uint32_t looking __attribute__((tls_model("initial-exec")));

static inline bool is_boot(const void *p)
{
    return (uintptr_t)p - (uintptr_t)boot < BOOT_BYTES;
}

/* Zeroed, aligned to 16, never given back. */
static void *boot_alloc(size_t bytes)
{
    if (bytes > BOOT_BYTES)
        return NULL;
    uint32_t rounded = (uint32_t)(bytes + 15) & ~15u;
    uint32_t at = __atomic_fetch_add(&boot_used, rounded, __ATOMIC_RELAXED);
    return at <= BOOT_BYTES - rounded ? boot + at : NULL;
}

/* How many threads do. */
static uint32_t lookers;

/* NULL: it is being looked up, or there is none. */
static __attribute__((noinline, cold)) void *look_up(struct ttap__real *real)
{
    if (looking)
        return NULL;
    looking = 1;
    __atomic_fetch_add(&lookers, 1, __ATOMIC_ACQ_REL); /* partner: ttap__alloc_is_known() */
    void *found = ttap__real_find(real);
    __atomic_fetch_sub(&lookers, 1, __ATOMIC_RELEASE); /* acquire: there, too, for what was taken of the buffer */
    looking = 0;
    return found;
}

static inline __attribute__((always_inline)) void *known(struct ttap__real *real)
{
    void *found = ttap__load(&real->function);
    return ttap__likely(found != NULL) ? found : look_up(real);
}
#define KNOWN(name) ((name##_function)known(&name##_entry))

/* ---- Counting ---- */

#define WANTED TTAP_ENABLED(TTAP_GROUP_ALLOC | TTAP_GROUP_ALLOC_SAMPLE)

/* One instruction, where a handler of this thread may count as well. */
static inline void add(uint64_t *count, uint64_t value)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__ volatile("addq %1, %0" : "+m"(*count) : "r"(value));
#else
    __atomic_fetch_add(count, value, __ATOMIC_RELAXED);
#endif
}

static struct ttap__slot *slot_here(void)
{
    struct ttap__slot *slot = ttap__tls->slot;
    return ttap__likely(slot != NULL) ? slot : ttap__call_slot();
}

static __attribute__((noinline)) void *counted(void *p, size_t bytes)
{
    struct ttap__slot *slot = p && WANTED ? slot_here() : NULL;
    if (!slot)
        return p;
    add(&slot->alloc_calls, 1);
    add(&slot->alloc_bytes, bytes);
    return p;
}

static __attribute__((noinline)) void count_free(void)
{
    struct ttap__slot *slot = WANTED ? slot_here() : NULL;
    if (slot)
        add(&slot->alloc_frees, 1);
}

/* ---- Samples ----
 * Points lie on the bytes that a thread asks for, each byte as likely as any other to have one: so the bytes up to the next are exponentially
 * distributed, whatever happened before (Poisson's process), and no pattern of the program can stay between them. An allocation with a point in
 * it is told once. Of the bytes behind its first point `over`, over / every points more are expected: so it stands for every + over bytes, and the
 * mean of what is told is what was allocated, for each caller and size. (Points on whole bytes would stand for half a byte less.) The variance is
 * at most bytes x every. */

/* While a sample is taken: what a handler allocates meanwhile takes no other. */
#define FAR (INT64_MAX / 2)
#define FRACTION_BITS 20
#define LN_2 726817u /* in 2^-20 */

/* -ln(random / 2^64), in 2^-20. Bit by bit, by squaring, which needs no libm; it is done once a stack, which takes a hundred times as long. */
static uint64_t exponential(uint64_t random)
{
    unsigned zeros = (unsigned)__builtin_clzll(random | 1);
    uint64_t mantissa = random << zeros >> 32, bits = 0; /* from 1 to 2, in 2^-31 */
    for (int i = 0; i < FRACTION_BITS; i++) {
        mantissa = mantissa * mantissa >> 31;
        unsigned two = (unsigned)(mantissa >> 32);
        mantissa >>= two;
        bits = bits << 1 | two;
    }
    return ((((uint64_t)zeros + 1) << FRACTION_BITS) - bits) * LN_2 >> FRACTION_BITS;
}

/* xorshift64*, of its own in each thread, from where and when it began. */
static int64_t draw(struct ttap__slot *slot, uint64_t every)
{
    uint64_t x = ttap__load(&slot->alloc_seed);
    if (!ttap__load(&slot->alloc_every))
        x = (ttap__load(&slot->uid) << 32 ^ ttap__ticks()) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    ttap__store(&slot->alloc_seed, x);
    return (int64_t)(exponential(x * UINT64_C(0x2545f4914f6cdd1d)) * every >> FRACTION_BITS);
}

/* A handler may come anywhere in between, and allocate; what it takes from alloc_left is kept. */
static __attribute__((noinline, cold)) void sample(struct ttap__slot *slot, size_t bytes, const void *caller, uint64_t every)
{
    int64_t left = __atomic_exchange_n(&slot->alloc_left, FAR, __ATOMIC_RELAXED);
    if (left < 0) {
        int saved_errno = errno;
        ttap__stack_of_alloc(bytes, every + (uint64_t)-left, caller);
        errno = saved_errno;
        left = draw(slot, every);
    } /* else a handler has told of it */
    int64_t there = ttap__load(&slot->alloc_left);
    while (there > FAR / 2 && !__atomic_compare_exchange_n(&slot->alloc_left, &there, there - FAR + left, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ; /* else one has drawn anew, as another distance is asked for since */
}

/* Behind counted(). */
static __attribute__((noinline)) void *sampled(void *p, size_t bytes, const void *caller)
{
    struct ttap__slot *slot = p && TTAP_ENABLED(TTAP_GROUP_ALLOC_SAMPLE) ? slot_here() : NULL;
    uint64_t every = slot ? ttap__load(&ttap__arena_here()->alloc_sample_bytes) : 0;
    if (!every)
        return p;
    if (ttap__unlikely(ttap__load(&slot->alloc_every) != every)) {
        ttap__store(&slot->alloc_left, draw(slot, every));
        ttap__store(&slot->alloc_every, every);
    }
    uint64_t asked_for = bytes < FAR / 2 ? bytes : FAR / 2; /* more than an allocator can have given */
    add((uint64_t *)&slot->alloc_left, -asked_for);
    if (ttap__unlikely(ttap__load(&slot->alloc_left) < 0))
        sample(slot, bytes, caller, every);
    return p;
}

/* ---- The hooks ---- */

/* What is usual needs no stack frame: nobody wants to know. All else is out of line. */
#define WANTED_NOW ttap__unlikely(ttap__wanted(TTAP_GROUP_ALLOC | TTAP_GROUP_ALLOC_SAMPLE))
#define SAMPLED ttap__wanted(TTAP_GROUP_ALLOC_SAMPLE)
#define USUAL(name) ttap__load(&name##_usual)
#define RARE static __attribute__((noinline))

/* Of the hook itself, whatever it calls last. */
#define CALLER __builtin_return_address(0)

RARE void *malloc_rare(size_t bytes)
{
    malloc_function real = KNOWN(malloc);
    return real ? counted(real(bytes), bytes) : boot_alloc(bytes);
}

RARE void *malloc_sampled(size_t bytes, const void *caller)
{
    return sampled(malloc_rare(bytes), bytes, caller);
}

static malloc_function malloc_usual = malloc_rare;

HOOK void *malloc(size_t bytes)
{
    if (WANTED_NOW)
        return SAMPLED ? malloc_sampled(bytes, CALLER) : malloc_rare(bytes);
    return USUAL(malloc)(bytes);
}

RARE void *calloc_rare(size_t count, size_t each)
{
    calloc_function real = KNOWN(calloc);
    size_t bytes;
    if (!real)
        return __builtin_mul_overflow(count, each, &bytes) ? NULL : boot_alloc(bytes);
    return counted(real(count, each), count * each);
}

RARE void *calloc_sampled(size_t count, size_t each, const void *caller)
{
    return sampled(calloc_rare(count, each), count * each, caller);
}

static calloc_function calloc_usual = calloc_rare;

HOOK void *calloc(size_t count, size_t each)
{
    if (WANTED_NOW)
        return SAMPLED ? calloc_sampled(count, each, CALLER) : calloc_rare(count, each);
    return USUAL(calloc)(count, each);
}

/* Memory out of the buffer stays there; what it held goes along. */
static void *leave_boot(const char *p, size_t bytes)
{
    void *moved = malloc(bytes);
    size_t had = (size_t)(boot + BOOT_BYTES - p); /* at most */
    if (moved)
        memcpy(moved, p, had < bytes ? had : bytes);
    return moved;
}

RARE void *realloc_rare(void *p, size_t bytes)
{
    if (is_boot(p))
        return leave_boot(p, bytes);
    realloc_function real = KNOWN(realloc);
    if (!real)
        return p ? NULL : boot_alloc(bytes);
    return counted(real(p, bytes), bytes);
}

RARE void *realloc_sampled(void *p, size_t bytes, const void *caller)
{
    bool again = is_boot(p); /* by malloc() */
    void *moved = realloc_rare(p, bytes);
    return again ? moved : sampled(moved, bytes, caller);
}

static realloc_function realloc_usual = realloc_rare;

HOOK void *realloc(void *p, size_t bytes)
{
    if (WANTED_NOW)
        return SAMPLED ? realloc_sampled(p, bytes, CALLER) : realloc_rare(p, bytes);
    return USUAL(realloc)(p, bytes);
}

RARE void free_rare(void *p)
{
    free_function real = is_boot(p) ? NULL : KNOWN(free);
    if (!real)
        return; /* the loader's, and from nowhere else */
    if (p)
        count_free();
    real(p);
}

static free_function free_usual = free_rare;

HOOK void free(void *p)
{
    if (WANTED_NOW)
        free_rare(p);
    else
        USUAL(free)(p);
}

/* From here on the usual call is the real one. What comes out of the buffer may come to free() and realloc() at any later time, so these stay what
 * they are where it was used, or still may be: by a thread that looks one up and did not find it here before. Of two changes of one counter one is the
 * first: that thread is counted, or finds what has been stored. */
void ttap__alloc_is_known(void)
{
    malloc_function real_malloc = KNOWN(malloc);
    calloc_function real_calloc = KNOWN(calloc);
    realloc_function real_realloc = KNOWN(realloc);
    free_function real_free = KNOWN(free);
    if (!real_malloc || !real_calloc || !real_realloc || !real_free)
        return;
    ttap__store(&malloc_usual, real_malloc);
    ttap__store(&calloc_usual, real_calloc);
    if (__atomic_fetch_add(&lookers, 0, __ATOMIC_ACQ_REL) /* partner: look_up() */ || ttap__load(&boot_used))
        return;
    ttap__store(&realloc_usual, real_realloc);
    ttap__store(&free_usual, real_free);
}

HOOK int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    posix_memalign_function real = KNOWN(posix_memalign);
    if (ttap__unlikely(!real))
        return ENOMEM;
    int error = real(out, alignment, bytes);
    if (!error && WANTED)
        sampled(counted(*out, bytes), bytes, CALLER);
    return error;
}

#define HOOKED_ALLOC(name, parameters, arguments)                                                                                                    \
    HOOK void *name parameters; /* some have no prototype */                                                                                         \
    HOOK void *name parameters                                                                                                                       \
    {                                                                                                                                                \
        name##_function real = KNOWN(name);                                                                                                          \
        if (ttap__unlikely(!real))                                                                                                                   \
            return NULL;                                                                                                                             \
        if (!WANTED)                                                                                                                                 \
            return real arguments;                                                                                                                   \
        return sampled(counted(real arguments, bytes), bytes, CALLER);                                                                               \
    }

HOOKED_ALLOC(aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
HOOKED_ALLOC(memalign, (size_t alignment, size_t bytes), (alignment, bytes))
HOOKED_ALLOC(valloc, (size_t bytes), (bytes))
HOOKED_ALLOC(pvalloc, (size_t bytes), (bytes))
