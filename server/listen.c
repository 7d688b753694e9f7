/* listen.c - the sockets: what may be listened on, and why not.
 *
 * An address that other machines reach needs a token. A unix socket gets mode 0600 between bind and listen, when nobody can connect yet:
 * the umask belongs to the service. A socket file left by a service that died is replaced, a living one is not. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

enum { BACKLOG = 512 }; /* beyond it SYNs are lost, and sent again after 1 s: with 16 a burst of 64 took 2 to 3 s, with 64 one of 100 took 1 s */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

/* The listener owns it from here on, and will know it again. */
static int take_over(struct listener *listener, int fd, char *error, size_t error_size)
{
    struct stat info;
    __atomic_store_n(&listener->fd, fd, __ATOMIC_RELEASE);
    if (fstat(fd, &info) != 0)
        return ttap__say(error, error_size, -errno, "the listening socket: %s", strerror(errno));
    listener->dev = info.st_dev;
    listener->ino = info.st_ino;
    return 0;
}

bool ttap__listener_is_ours(const struct listener *listener)
{
    struct stat now;
    return fstat(listener->fd, &now) == 0 && now.st_dev == listener->dev && now.st_ino == listener->ino;
}

void ttap__listener_close(struct listener *listener)
{
    int fd = listener->fd;
    bool ours = fd >= 0 && ttap__listener_is_ours(listener);
    __atomic_store_n(&listener->fd, -1, __ATOMIC_RELEASE);
    if (ours)
        close(fd);
}

/* ---- TCP ---- */

static socklen_t parse_address(const char *text, uint16_t port, union address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) != 1)
        return 0;
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    return sizeof out->v6;
}

static bool is_loopback(const union address *address)
{
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    if (address->any.sa_family == AF_INET)
        return (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static bool is_mapped(const union address *address)
{
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);
}

static int set_options(int fd, const union address *address)
{
    const int on = 1, only = !is_mapped(address);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -errno;
    if (address->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0)
        return -errno;
    return 0;
}

static int read_port(int fd, uint16_t *port)
{
    union address bound;
    socklen_t len = sizeof bound;
    if (getsockname(fd, &bound.any, &len) != 0)
        return -errno;
    *port = ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
    return 0;
}

static int bind_tcp(int fd, const union address *address, socklen_t len, uint16_t *port)
{
    int error = set_options(fd, address);
    if (!error && (bind(fd, &address->any, len) != 0 || listen(fd, BACKLOG) != 0))
        error = -errno;
    return error ? error : read_port(fd, port);
}

static int check_reach(const struct ttap__server *server, const union address *address, const char *text, char *error, size_t error_size)
{
    if (is_loopback(address) || server->token_len)
        return 0;
    return ttap__say(
        error, error_size, -EINVAL,
        "address %s can be reached from other machines and there is no token: set token_file, or use a loopback address such as 127.0.0.1", text);
}

static int listen_tcp(struct ttap__server *server, const struct ttap__server_config *config, char *error, size_t error_size)
{
    const char *text = config->address ? config->address : "127.0.0.1";
    union address address;
    socklen_t len = parse_address(text, config->port, &address);
    if (!len)
        return ttap__say(error, error_size, -EINVAL, "address \"%s\" is not a numeric IPv4 or IPv6 address, such as 127.0.0.1 or ::1", text);
    int result = check_reach(server, &address, text, error, error_size);
    if (result)
        return result;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ttap__say(error, error_size, -errno, "socket: %s", strerror(errno));
    result = bind_tcp(fd, &address, len, &server->port);
    if (result) {
        close(fd);
        return ttap__say(error, error_size, result, "address %s port %u: %s", text, config->port, strerror(-result));
    }
    return take_over(&server->listeners[TTAP__TCP], fd, error, error_size);
}

/* ---- Unix ---- */

/* Whether the path is free, or held by a socket to which nobody listens any more, which is then removed. */
static int clear_path(int fd, const union address *address, socklen_t len)
{
    struct stat info;
    if (lstat(address->un.sun_path, &info) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(info.st_mode))
        return -EEXIST;
    if (connect(fd, &address->any, len) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(address->un.sun_path) == 0 ? 0 : -errno;
}

static int probe_path(const union address *address, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = clear_path(fd, address, len);
    close(fd);
    return error;
}

static int bind_unix(struct ttap__server *server, int fd, const union address *address, socklen_t len)
{
    struct stat info;
    int error = probe_path(address, len);
    if (!error && bind(fd, &address->any, len) != 0)
        error = -errno;
    if (error)
        return error;
    if (lstat(address->un.sun_path, &info) == 0) {
        server->unix_dev = info.st_dev;
        server->unix_ino = info.st_ino;
    }
    return chmod(address->un.sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0 ? 0 : -errno;
}

static int listen_unix(struct ttap__server *server, const char *path, char *error, size_t error_size)
{
    union address address = {.un = {.sun_family = AF_UNIX}};
    size_t len = strlen(path);
    if (!len || len >= sizeof address.un.sun_path)
        return ttap__say(error, error_size, -EINVAL, "unix_path has %zu characters; allowed is 1 to %zu", len, sizeof address.un.sun_path - 1);
    memcpy(address.un.sun_path, path, len + 1);
    server->unix_path = strdup(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !server->unix_path) {
        int why = fd < 0 ? errno : ENOMEM;
        if (fd >= 0)
            close(fd);
        return ttap__say(error, error_size, -why, "unix socket: %s", strerror(why));
    }
    int result = take_over(&server->listeners[TTAP__UNIX], fd, error, error_size);
    if (result)
        return result;
    result = bind_unix(server, fd, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1));
    return result ? ttap__say(error, error_size, result, "unix_path %s: %s", path, strerror(-result)) : 0;
}

void ttap__listen_unlink(struct ttap__server *server)
{
    struct stat info;
    if (server->unix_ino && lstat(server->unix_path, &info) == 0 && info.st_dev == server->unix_dev && info.st_ino == server->unix_ino)
        unlink(server->unix_path);
}

int ttap__listen_all(struct ttap__server *server, const struct ttap__server_config *config, char *error, size_t error_size)
{
    int result = listen_tcp(server, config, error, error_size);
    return result || !config->unix_path ? result : listen_unix(server, config->unix_path, error, error_size);
}
