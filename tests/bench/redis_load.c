/* redis_load.c - GETs for one redis server: redis_load PORT CONNECTIONS REQUESTS RATE
 *
 * RATE 0: each connection has one request under way, always. Else so many requests a second at even distances, each on the next connection that is idle, and
 * its latency counts from when it was due: a server that stalls is not asked less. Prints one line: requests, nanoseconds, p50 and p99 in nanoseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256 };
static const char request[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", reply[] = "$5\r\nvalue\r\n";
enum { REQUEST_BYTES = sizeof request - 1, REPLY_BYTES = sizeof reply - 1 };

static struct pollfd sockets[CONNECTIONS_MAX];
static uint64_t due_ns[CONNECTIONS_MAX]; /* of the request under way; 0: idle */
static size_t got[CONNECTIONS_MAX];
static uint64_t *latencies;
static unsigned connections;
static size_t requests, sent, done;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void give_up(const char *what)
{
    fprintf(stderr, "redis_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        give_up("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_on(unsigned at, uint64_t due)
{
    if (send(sockets[at].fd, request, REQUEST_BYTES, 0) != REQUEST_BYTES)
        give_up("send");
    due_ns[at] = due;
    got[at] = 0;
    sent++;
}

static void receive_on(unsigned at)
{
    char bytes[REPLY_BYTES];
    ssize_t n = recv(sockets[at].fd, bytes, REPLY_BYTES - got[at], MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || memcmp(bytes, reply + got[at], (size_t)n) != 0)
        give_up("the reply is not the value");
    got[at] += (size_t)n;
    if (got[at] < REPLY_BYTES)
        return;
    latencies[done++] = now_ns() - due_ns[at];
    due_ns[at] = 0;
}

static void receive_all(int wait_ms)
{
    if (poll(sockets, connections, wait_ms) < 0 && errno != EINTR)
        give_up("poll");
    for (unsigned i = 0; i < connections; i++)
        if (sockets[i].revents)
            receive_on(i);
}

static void run_saturated(void)
{
    while (done < requests) {
        for (unsigned i = 0; i < connections && sent < requests; i++)
            if (!due_ns[i])
                send_on(i, now_ns());
        receive_all(1000);
    }
}

static void run_paced(double rate)
{
    uint64_t begin_ns = now_ns();
    unsigned next = 0;
    while (done < requests) {
        uint64_t due = begin_ns + (uint64_t)((double)sent * 1e9 / rate), now = now_ns();
        if (sent < requests && now >= due && !due_ns[next]) {
            send_on(next, due);
            next = (next + 1) % connections;
        }
        receive_all(0); /* it spins: what is measured is the server, on another CPU */
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    connections = (unsigned)atoi(argv[2]);
    requests = (size_t)atol(argv[3]);
    double rate = atof(argv[4]);
    latencies = calloc(requests + CONNECTIONS_MAX, sizeof *latencies);
    if (!latencies || connections < 1 || connections > CONNECTIONS_MAX || !requests)
        return 2;
    for (unsigned i = 0; i < connections; i++)
        sockets[i] = (struct pollfd){.fd = connect_to((unsigned)atoi(argv[1])), .events = POLLIN};
    uint64_t begin_ns = now_ns();
    if (rate > 0)
        run_paced(rate);
    else
        run_saturated();
    uint64_t took_ns = now_ns() - begin_ns;
    qsort(latencies, done, sizeof *latencies, by_size);
    printf("%zu %llu %llu %llu\n", done, (unsigned long long)took_ns, (unsigned long long)latencies[done / 2],
           (unsigned long long)latencies[done * 99 / 100]);
    free(latencies);
    return 0;
}
