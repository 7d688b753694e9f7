/* sys.h - the few system calls of the emit path, without libc: no errno, no cancellation point, signal-safe.
 *
 * Each returns what the kernel returns: a value, or a negative errno.
 */
#ifndef TTAP_EMIT_SYS_H
#define TTAP_EMIT_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static inline long ttap__syscall6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "tracetap: x86-64 and aarch64 only"
#endif
}

/* Anonymous private memory, zeroed, not reserved in advance; NULL if there is none. */
static inline void *ttap__map(size_t bytes)
{
    long p = ttap__syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

static inline void ttap__unmap(void *p, size_t bytes)
{
#if defined(__SANITIZE_THREAD__)
    munmap(p, bytes); /* which tells it that what is mapped there next is another thing */
#else
    ttap__syscall6(SYS_munmap, (long)p, (long)bytes, 0, 0, 0, 0);
#endif
}

static inline long ttap__advise(void *p, size_t bytes, int advice)
{
    return ttap__syscall6(SYS_madvise, (long)p, (long)bytes, advice, 0, 0, 0);
}

static inline int ttap__gettid(void)
{
    return (int)ttap__syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline int ttap__getpid(void)
{
    return (int)ttap__syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

#endif
