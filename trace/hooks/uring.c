/* uring.c - liburing's calls that may sleep, where a program has it: told as calls on the ring's descriptor.
 *
 * What goes through the ring itself never enters libc and is not seen; that a thread waits for it, is. liburing's inline functions all end in one of these.
 *
 * A library that is loaded later may bring liburing along where our lookup does not reach. It finds our names all the same, and the real ones are then
 * those of the liburing that is loaded.
 */
#include "hooks.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* struct io_uring of liburing 2: submission queue of 104 bytes, completion queue of 88, flags. The part of its ABI that inline functions rely on. */
struct ring {
    char queues[192];
    unsigned flags;
    int fd;
};

static void *find(struct ttap__real *real)
{
    void *found = ttap__real_find(real);
    int saved_errno = errno;
    void *library = found ? NULL : dlopen("liburing.so.2", RTLD_LAZY | RTLD_NOLOAD);
    if (library) {
        found = dlsym(library, real->name);
        ttap__store(&real->function, found);
        dlclose(library); /* our count of it; whoever called us has another */
    }
    errno = saved_errno;
    return found;
}

/* In another of these calls, which tells of both. */
static inline bool is_inner(const struct ttap__call *call)
{
    return call->slot && call->nested && (call->before.op == OP_URING_WAIT || call->before.op == OP_URING_SUBMIT);
}

/* A call of liburing on the descriptor @descriptor; it returns a negative errno itself. */
#define HOOKED_URING(name, parameters, arguments, op, descriptor)                                                                                    \
    typedef int(*name##_function) parameters;                                                                                                        \
    static struct ttap__real name##_entry __attribute__((section("ttap_reals"), used, aligned(8))) = {#name, NULL, NULL};                            \
    HOOK int name parameters;                                                                                                                        \
    HOOK int name parameters                                                                                                                         \
    {                                                                                                                                                \
        void *real = ttap__load(&name##_entry.function);                                                                                             \
        if (ttap__unlikely(!real) && !(real = find(&name##_entry)))                                                                                  \
            return -ENOSYS;                                                                                                                          \
        struct ttap__call call;                                                                                                                      \
        ttap__call_begin(&call, op, ttap__fd_object(descriptor), TTAP__FD_GROUPS);                                                                   \
        int result = ((name##_function)real)arguments;                                                                                               \
        if (is_inner(&call))                                                                                                                         \
            ttap__call_note_back(&call);                                                                                                             \
        else                                                                                                                                         \
            ttap__fd_call_end(&call, result);                                                                                                        \
        return result;                                                                                                                               \
    }

HOOKED_URING(io_uring_submit, (struct ring * ring), (ring), OP_URING_SUBMIT, ring->fd)
HOOKED_URING(io_uring_submit_and_wait, (struct ring * ring, unsigned wait), (ring, wait), OP_URING_WAIT, ring->fd)
HOOKED_URING(io_uring_submit_and_wait_timeout, (struct ring * ring, void **out, unsigned wait, void *timeout, sigset_t *mask),
             (ring, out, wait, timeout, mask), OP_URING_WAIT, ring->fd)
HOOKED_URING(io_uring_submit_and_get_events, (struct ring * ring), (ring), OP_URING_SUBMIT, ring->fd)
HOOKED_URING(io_uring_wait_cqes, (struct ring * ring, void **out, unsigned wait, void *timeout, sigset_t *mask), (ring, out, wait, timeout, mask),
             OP_URING_WAIT, ring->fd)
HOOKED_URING(io_uring_wait_cqe_timeout, (struct ring * ring, void **out, void *timeout), (ring, out, timeout), OP_URING_WAIT, ring->fd)
HOOKED_URING(__io_uring_get_cqe, (struct ring * ring, void **out, unsigned submit, unsigned wait, sigset_t *mask), (ring, out, submit, wait, mask),
             OP_URING_WAIT, ring->fd)
HOOKED_URING(__io_uring_sqring_wait, (struct ring * ring), (ring), OP_URING_WAIT, ring->fd)
HOOKED_URING(io_uring_enter, (unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *mask), (fd, submit, wait, flags, mask),
             OP_URING_WAIT, (int)fd)
HOOKED_URING(io_uring_enter2, (unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *mask, size_t bytes),
             (fd, submit, wait, flags, mask, bytes), OP_URING_WAIT, (int)fd)
