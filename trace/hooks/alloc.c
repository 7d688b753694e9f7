/* alloc.c - what each thread allocates: calls and bytes asked for, counted in its slot while a window wants that. Nothing is recorded call by call;
 * the drainer reads the counts (sources/alloc.c).
 *
 * The loader itself calls these, also while it looks up the real ones for us: what is asked for then comes out of a buffer, which free() knows.
 * In here nothing allocates, locks or fails; the real function, whoever's it is, does all else. Allocators that a program is linked with behave as if
 * called directly: what they define is what comes next after us. glibc's reallocarray() calls realloc(), ours, and so is counted there.
 */
#include "hooks.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* As REAL_FUNCTION, but for how it is found. */
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

/* NULL: it is being looked up, or there is none. */
static __attribute__((noinline, cold)) void *look_up(struct ttap__real *real)
{
    if (looking)
        return NULL;
    looking = 1;
    void *found = ttap__real_find(real);
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

#define WANTED TTAP_ENABLED(TTAP_GROUP_ALLOC)

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

/* ---- The hooks ---- */

/* What is usual needs no stack frame: the real one is known, and nobody wants to know. All else is out of line. */
#define USUAL(name) ttap__likely(ttap__load(&name##_entry.function) != NULL && !WANTED)
#define USUAL_CALL(name) ((name##_function)ttap__load(&name##_entry.function))
#define RARE static __attribute__((noinline))

RARE void *malloc_rare(size_t bytes)
{
    malloc_function real = KNOWN(malloc);
    return real ? counted(real(bytes), bytes) : boot_alloc(bytes);
}

HOOK void *malloc(size_t bytes)
{
    return USUAL(malloc) ? USUAL_CALL(malloc)(bytes) : malloc_rare(bytes);
}

RARE void *calloc_rare(size_t count, size_t each)
{
    calloc_function real = KNOWN(calloc);
    size_t bytes;
    if (!real)
        return __builtin_mul_overflow(count, each, &bytes) ? NULL : boot_alloc(bytes);
    return counted(real(count, each), count * each);
}

HOOK void *calloc(size_t count, size_t each)
{
    return USUAL(calloc) ? USUAL_CALL(calloc)(count, each) : calloc_rare(count, each);
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

HOOK void *realloc(void *p, size_t bytes)
{
    return USUAL(realloc) && !is_boot(p) ? USUAL_CALL(realloc)(p, bytes) : realloc_rare(p, bytes);
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

HOOK void free(void *p)
{
    if (USUAL(free) && !is_boot(p))
        USUAL_CALL(free)(p);
    else
        free_rare(p);
}

HOOK int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    posix_memalign_function real = KNOWN(posix_memalign);
    if (ttap__unlikely(!real))
        return ENOMEM;
    int error = real(out, alignment, bytes);
    if (!error && WANTED)
        counted(*out, bytes);
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
        return counted(real arguments, bytes);                                                                                                       \
    }

HOOKED_ALLOC(aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
HOOKED_ALLOC(memalign, (size_t alignment, size_t bytes), (alignment, bytes))
HOOKED_ALLOC(valloc, (size_t bytes), (bytes))
HOOKED_ALLOC(pvalloc, (size_t bytes), (bytes))
