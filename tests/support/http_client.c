/* http_client.c - see http_client.h. */
#include "http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

double http_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int connect_to(int family, const void *address, socklen_t len, int receive_bytes)
{
    const struct timeval patience = {PATIENCE_MS / 1000, 0};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, address, len) == 0)
        return fd;
    close(fd);
    return -1;
}

int http_connect(uint16_t port, int receive_bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect_to(AF_INET, &address, sizeof address, receive_bytes);
}

int http_connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return connect_to(AF_UNIX, &address, sizeof address, 0);
}

bool http_send(int fd, const void *bytes, size_t len)
{
    for (const char *at = bytes; len;) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

bool http_send_text(int fd, const char *text)
{
    return http_send(fd, text, strlen(text));
}

static bool is_ready(int fd, int timeout_ms)
{
    struct pollfd one = {fd, POLLIN, 0};
    int ready;
    do
        ready = poll(&one, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* Adds what came to @reply; false: closed. */
static bool read_some(int fd, struct http_reply *reply)
{
    char spill[4096];
    size_t room = sizeof reply->bytes - 1 - reply->len;
    ssize_t got = room ? recv(fd, reply->bytes + reply->len, room, 0) : recv(fd, spill, sizeof spill, 0);
    reply->closed = got <= 0;
    if (got > 0 && room)
        reply->len += (size_t)got;
    reply->bytes[reply->len] = 0;
    if (!reply->status && reply->len >= 12 && memcmp(reply->bytes, "HTTP/1.", 7) == 0)
        reply->status = atoi(reply->bytes + 9);
    return got > 0;
}

static void clear(struct http_reply *reply)
{
    reply->status = 0;
    reply->len = 0;
    reply->closed = false;
    reply->bytes[0] = 0;
}

void http_read(int fd, struct http_reply *reply, int quiet_ms)
{
    clear(reply);
    while (is_ready(fd, quiet_ms) && read_some(fd, reply))
        ;
}

bool http_read_more(int fd, struct http_reply *reply, int timeout_ms)
{
    return !reply->closed && is_ready(fd, timeout_ms) && read_some(fd, reply);
}

bool http_read_until(int fd, const char *text, int timeout_ms)
{
    struct http_reply *reply = calloc(1, sizeof *reply);
    bool found = false;
    while (reply && !found && is_ready(fd, timeout_ms) && read_some(fd, reply))
        found = strstr(reply->bytes, text) != NULL;
    free(reply);
    return found;
}

static bool is_whole(const struct http_reply *reply)
{
    const char *end = strstr(reply->bytes, "\r\n\r\n"), *length = strstr(reply->bytes, "Content-Length: ");
    return end && length && length < end && (size_t)(end + 4 - reply->bytes) + (size_t)atol(length + 16) <= reply->len;
}

void http_read_reply(int fd, struct http_reply *reply)
{
    clear(reply);
    while ((!is_whole(reply) || reply->status >= 400) && is_ready(fd, PATIENCE_MS) && read_some(fd, reply))
        ;
}

int http_ask(uint16_t port, const char *request, struct http_reply *reply)
{
    int fd = http_connect(port, 0);
    clear(reply);
    if (fd < 0)
        return 0;
    if (http_send_text(fd, request))
        while (!is_whole(reply) && is_ready(fd, PATIENCE_MS) && read_some(fd, reply))
            ;
    close(fd);
    return reply->status;
}

void http_reset(int fd)
{
    const struct linger none = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}
