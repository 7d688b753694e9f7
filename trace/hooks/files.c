/* files.c - descriptors of any kind: reading, writing, opening, closing. Told as network or file by what the descriptor is. */
#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

HOOKED_IO(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len), OP_READ)
HOOKED_IO(ssize_t, __read_chk, (int fd, void *bytes, size_t len, size_t room), (fd, bytes, len, room), OP_READ)
HOOKED_IO(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len), OP_WRITE)
HOOKED_IO(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count), OP_READV)
HOOKED_IO(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), OP_WRITEV)
HOOKED_FD(ssize_t, pread, (int fd, void *bytes, size_t len, off_t at), (fd, bytes, len, at), OP_PREAD)
HOOKED_FD(ssize_t, pread64, (int fd, void *bytes, size_t len, off64_t at), (fd, bytes, len, at), OP_PREAD)
HOOKED_FD(ssize_t, __pread_chk, (int fd, void *bytes, size_t len, off_t at, size_t room), (fd, bytes, len, at, room), OP_PREAD)
HOOKED_FD(ssize_t, __pread64_chk, (int fd, void *bytes, size_t len, off64_t at, size_t room), (fd, bytes, len, at, room), OP_PREAD)
HOOKED_FD(ssize_t, pwrite, (int fd, const void *bytes, size_t len, off_t at), (fd, bytes, len, at), OP_PWRITE)
HOOKED_FD(ssize_t, pwrite64, (int fd, const void *bytes, size_t len, off64_t at), (fd, bytes, len, at), OP_PWRITE)
HOOKED_FD(ssize_t, preadv, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), OP_PREADV)
HOOKED_FD(ssize_t, preadv64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), OP_PREADV)
HOOKED_FD(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), OP_PWRITEV)
HOOKED_FD(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), OP_PWRITEV)
HOOKED_FD(int, fsync, (int fd), (fd), OP_FSYNC)
HOOKED_FD(int, fdatasync, (int fd), (fd), OP_FDATASYNC)
HOOKED_FD(int, flock, (int fd, int operation), (fd, operation), OP_FLOCK)
HOOKED_FD(ssize_t, sendfile, (int fd, int from, off_t *at, size_t len), (fd, from, at, len), OP_SENDFILE)
HOOKED_FD(ssize_t, sendfile64, (int fd, int from, off64_t *at, size_t len), (fd, from, at, len), OP_SENDFILE)
HOOKED_FD(ssize_t, splice, (int fd, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags), (fd, from_at, to, to_at, len, flags),
          OP_SPLICE)
HOOKED_FD(ssize_t, copy_file_range, (int fd, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags),
          (fd, from_at, to, to_at, len, flags), OP_COPY_FILE_RANGE)

/* ---- Numbers that are given away and taken back ---- */

static inline int opened(const struct ttap__call *call, int fd)
{
    if (fd >= 0)
        ttap__fd_renew(fd);
    struct ttap__call done = *call;
    if (fd >= 0)
        done.object = ttap__fd_object(fd);
    ttap__fd_call_end(&done, fd < 0 ? -errno : fd);
    return fd;
}

/* A failed open has no descriptor to be told by. */
#define NO_FD UINT64_C(0xffff)

#define HOOKED_OPEN(name, first_parameters, first_arguments)                                                                                         \
    HOOK int name first_parameters                                                                                                                   \
    {                                                                                                                                                \
        mode_t mode = 0;                                                                                                                             \
        if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {                                                                                   \
            va_list args;                                                                                                                            \
            va_start(args, flags);                                                                                                                   \
            mode = va_arg(args, mode_t);                                                                                                             \
            va_end(args);                                                                                                                            \
        }                                                                                                                                            \
        struct ttap__call call;                                                                                                                      \
        ttap__call_begin(&call, OP_OPEN, NO_FD, TTAP__FD_GROUPS);                                                                                    \
        return opened(&call, real_##name() first_arguments);                                                                                         \
    }

REAL_FUNCTION(int, open, (const char *, int, ...))
REAL_FUNCTION(int, open64, (const char *, int, ...))
REAL_FUNCTION(int, openat, (int, const char *, int, ...))
REAL_FUNCTION(int, openat64, (int, const char *, int, ...))
REAL_FUNCTION(int, close, (int))
REAL_FUNCTION(int, dup, (int))
REAL_FUNCTION(int, dup2, (int, int))
REAL_FUNCTION(int, dup3, (int, int, int))

HOOKED_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
HOOKED_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
HOOKED_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
HOOKED_OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))

/* Not an event: closing takes no time worth telling, but its number may come back as something else. */
HOOK int close(int fd)
{
    ttap__fd_renew(fd);
    return real_close()(fd);
}

/* @to: another number for what @fd is. */
static inline void share(int fd, int to)
{
    ttap__fd_share(fd);
    ttap__fd_renew(to);
    ttap__fd_share(to);
}

HOOK int dup(int fd)
{
    int to = real_dup()(fd);
    if (to >= 0)
        share(fd, to);
    return to;
}

HOOK int dup2(int fd, int to)
{
    if (fd != to)
        share(fd, to);
    return real_dup2()(fd, to);
}

HOOK int dup3(int fd, int to, int flags)
{
    share(fd, to);
    return real_dup3()(fd, to, flags);
}

/* ---- Whether a descriptor blocks ---- */

/* Neither is an event. Their last parameter is a number or an address, by @command; where there is none, what is passed on is not looked at. */
#define HOOKED_FCNTL(name)                                                                                                                           \
    HOOK int name(int fd, int command, ...)                                                                                                          \
    {                                                                                                                                                \
        va_list args;                                                                                                                                \
        va_start(args, command);                                                                                                                     \
        void *argument = va_arg(args, void *);                                                                                                       \
        va_end(args);                                                                                                                                \
        if (ttap__likely(command != F_SETFL && command != F_DUPFD && command != F_DUPFD_CLOEXEC))                                                    \
            return real_##name()(fd, command, argument);                                                                                             \
        return changed(fd, command, argument, real_##name());                                                                                        \
    }

REAL_FUNCTION(int, fcntl, (int, int, ...))
REAL_FUNCTION(int, fcntl64, (int, int, ...))
REAL_FUNCTION(int, ioctl, (int, unsigned long, ...))

static int changed(int fd, int command, void *argument, fcntl_function real)
{
    if (command == F_SETFL)
        ttap__fd_set_nonblocking(fd, false);
    int result = real(fd, command, argument);
    if (result < 0)
        return result;
    if (command != F_SETFL)
        share(fd, result);
    else if ((uintptr_t)argument & O_NONBLOCK)
        ttap__fd_set_nonblocking(fd, true);
    return result;
}

HOOKED_FCNTL(fcntl)
HOOKED_FCNTL(fcntl64)

HOOK int ioctl(int fd, unsigned long command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (ttap__likely(command != FIONBIO))
        return real_ioctl()(fd, command, argument);
    ttap__fd_set_nonblocking(fd, false);
    int result = real_ioctl()(fd, command, argument);
    if (result == 0 && *(const int *)argument)
        ttap__fd_set_nonblocking(fd, true);
    return result;
}
