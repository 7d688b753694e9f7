/* net.c - sockets, and waits for descriptors of any kind. */
#include "hooks.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

/* ---- Sockets ---- */

HOOKED_IO(ssize_t, send, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags), OP_SEND)
HOOKED_IO(ssize_t, sendto, (int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to, socklen_t to_len),
          (fd, bytes, len, flags, to, to_len), OP_SENDTO)
HOOKED_IO(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), OP_SENDMSG)
HOOKED_IO(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags), OP_SENDMMSG)
HOOKED_IO(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags), OP_RECV)
HOOKED_IO(ssize_t, __recv_chk, (int fd, void *bytes, size_t len, size_t room, int flags), (fd, bytes, len, room, flags), OP_RECV)
HOOKED_IO(ssize_t, recvfrom, (int fd, void *bytes, size_t len, int flags, struct sockaddr *from, socklen_t *from_len),
          (fd, bytes, len, flags, from, from_len), OP_RECVFROM)
HOOKED_IO(ssize_t, __recvfrom_chk, (int fd, void *bytes, size_t len, size_t room, int flags, struct sockaddr *from, socklen_t *from_len),
          (fd, bytes, len, room, flags, from, from_len), OP_RECVFROM)
HOOKED_IO(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), OP_RECVMSG)
HOOKED_IO(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *within), (fd, messages, count, flags, within),
          OP_RECVMMSG)

REAL_FUNCTION(int, socket, (int, int, int))
REAL_FUNCTION(int, connect, (int, const struct sockaddr *, socklen_t))
REAL_FUNCTION(int, accept, (int, struct sockaddr *, socklen_t *))
REAL_FUNCTION(int, accept4, (int, struct sockaddr *, socklen_t *, int))

/* Not an event: it takes no time worth telling. */
HOOK int socket(int family, int type, int protocol)
{
    int fd = real_socket()(family, type, protocol);
    if (fd >= 0)
        ttap__fd_renew_socket(fd, type & SOCK_NONBLOCK);
    return fd;
}

/* Its peer is known from now on. */
HOOK int connect(int fd, const struct sockaddr *to, socklen_t to_len)
{
    struct ttap__call call;
    ttap__fd_rename(fd);
    ttap__call_begin(&call, OP_CONNECT, ttap__fd_object(fd), TTAP__FD_GROUPS);
    int result = real_connect()(fd, to, to_len);
    ttap__fd_call_end(&call, result < 0 ? -errno : result);
    return result;
}

HOOK int accept(int fd, struct sockaddr *from, socklen_t *from_len)
{
    struct ttap__call call;
    ttap__call_begin(&call, OP_ACCEPT, ttap__fd_object(fd), TTAP__FD_GROUPS);
    int result = real_accept()(fd, from, from_len);
    if (result >= 0)
        ttap__fd_renew_socket(result, false);
    ttap__fd_call_end(&call, result < 0 ? -errno : result);
    return result;
}

HOOK int accept4(int fd, struct sockaddr *from, socklen_t *from_len, int flags)
{
    struct ttap__call call;
    ttap__call_begin(&call, OP_ACCEPT, ttap__fd_object(fd), TTAP__FD_GROUPS);
    int result = real_accept4()(fd, from, from_len, flags);
    if (result >= 0)
        ttap__fd_renew_socket(result, flags & SOCK_NONBLOCK);
    ttap__fd_call_end(&call, result < 0 ? -errno : result);
    return result;
}

/* ---- Waits for descriptors. One descriptor is an object; several are told as how many ---- */

static inline uint64_t polled_object(const struct pollfd *fds, nfds_t count)
{
    __asm__("" : "+r"(fds)); /* libc declares that poll() only writes there, and gcc then finds nothing to read */
    return count == 1 && fds ? ttap__fd_object(fds->fd) : 0;
}

#define HOOKED_WAIT(name, op, object, parameters, arguments)                                                                                         \
    HOOKED_CALL(fd, TTAP__FD_GROUPS, TOLD_ERRNO, false, int, name, parameters, arguments, op, object)
#define HOOKED_POLL(name, parameters, arguments) HOOKED_WAIT(name, OP_POLL, polled_object(fds, count), parameters, arguments)

HOOKED_POLL(poll, (struct pollfd * fds, nfds_t count, int within_ms), (fds, count, within_ms))
HOOKED_POLL(__poll_chk, (struct pollfd * fds, nfds_t count, int within_ms, size_t room), (fds, count, within_ms, room))
HOOKED_POLL(ppoll, (struct pollfd * fds, nfds_t count, const struct timespec *within, const sigset_t *mask), (fds, count, within, mask))
HOOKED_POLL(__ppoll_chk, (struct pollfd * fds, nfds_t count, const struct timespec *within, const sigset_t *mask, size_t room),
            (fds, count, within, mask, room))

HOOKED_WAIT(select, OP_SELECT, 0, (int count, fd_set *readable, fd_set *writable, fd_set *odd, struct timeval *within),
            (count, readable, writable, odd, within))
HOOKED_WAIT(pselect, OP_SELECT, 0, (int count, fd_set *readable, fd_set *writable, fd_set *odd, const struct timespec *within, const sigset_t *mask),
            (count, readable, writable, odd, within, mask))
HOOKED_WAIT(epoll_wait, OP_EPOLL_WAIT, ttap__fd_object(fd), (int fd, struct epoll_event *events, int room, int within_ms),
            (fd, events, room, within_ms))
HOOKED_WAIT(epoll_pwait, OP_EPOLL_WAIT, ttap__fd_object(fd), (int fd, struct epoll_event *events, int room, int within_ms, const sigset_t *mask),
            (fd, events, room, within_ms, mask))
HOOKED_WAIT(epoll_pwait2, OP_EPOLL_WAIT, ttap__fd_object(fd),
            (int fd, struct epoll_event *events, int room, const struct timespec *within, const sigset_t *mask), (fd, events, room, within, mask))

/* Its errors are not errno's: told as they are, they are negative already. */
REAL_FUNCTION(int, getaddrinfo, (const char *, const char *, const struct addrinfo *, struct addrinfo **))
HOOK int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    struct ttap__call call;
    ttap__call_begin(&call, OP_GETADDRINFO, 0, TTAP__FD_GROUPS);
    int result = real_getaddrinfo()(host, service, hints, found);
    ttap__fd_call_end(&call, result);
    return result;
}
