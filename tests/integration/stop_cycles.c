/* stop_cycles.c - starts the whole endpoint, gives it clients of every kind, and stops it with all of them alive; over and over.
 *
 *   stop_cycles [CYCLES [LIMIT_MS]]
 *
 *   clients of a cycle: a native stream, a json stream, a kept capture being recorded, one being downloaded, half a head, one that leaves at
 *   that moment, and now and then one that takes nothing. Every fourth cycle stops before any of them was served.
 *
 * Two threads emit all the time; one reads for all clients that read. After each stop no capture is left; at the end descriptors and threads are
 * what they were. Stopping may take 2 s; LIMIT_MS is what is accepted (default 4000: the machine has other work too).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "http_client.h"
#include "tracetap/http.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { CYCLES = 100 };
#else
enum { CYCLES = 1000 };
#endif
enum { CLIENTS_MAX = 8, STALLED_EVERY = 100, UNSERVED_EVERY = 4 };

#define STREAM(format) "GET /debug/trace?seconds=60&format=" format " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static bool over;
static int reader_fd = -1;
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER; /* no descriptor is closed under the reader's feet */

static void *emit(void *arg)
{
    const struct timespec rest = {0, 50000};
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        struct ttap_task task;
        TTAP_TASK_BEGIN(&task, "cycle", NULL);
        {
            TTAP_REGION("work");
            TTAP_COUNTER("n", 1);
        }
        ttap_task_end(&task);
        nanosleep(&rest, NULL);
    }
    return arg;
}

/* Takes whatever comes, for all clients but the stalled. */
static void *take(void *arg)
{
    static char waste[65536];
    struct epoll_event events[CLIENTS_MAX];
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        epoll_wait(reader_fd, events, 1, 50);
        pthread_mutex_lock(&reading);
        int count = epoll_wait(reader_fd, events, CLIENTS_MAX, 0);
        for (int i = 0; i < count; i++)
            if (recv(events[i].data.fd, waste, sizeof waste, MSG_DONTWAIT) == 0)
                epoll_ctl(reader_fd, EPOLL_CTL_DEL, events[i].data.fd, NULL);
        pthread_mutex_unlock(&reading);
    }
    return arg;
}

/* ---- One cycle ---- */

struct cycle {
    struct ttap_http *http;
    int number, clients[CLIENTS_MAX], client_count;
    unsigned captures; /* that will be active once all are served */
};

static int add_client(struct cycle *cycle, const char *request, int receive_bytes, bool reads)
{
    int fd = http_connect(ttap_http_port(cycle->http), receive_bytes);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || !http_send_text(fd, request))
        return -1;
    if (reads)
        epoll_ctl(reader_fd, EPOLL_CTL_ADD, fd, &event);
    cycle->clients[cycle->client_count++] = fd;
    return fd;
}

static bool add_clients(struct cycle *cycle)
{
    static const char post[] =
        "POST /debug/trace/captures HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"seconds\":60}";
    bool stalled = cycle->number % STALLED_EVERY == 1;
    cycle->captures = 3;
    int leaver = add_client(cycle, STREAM("native"), 0, false);
    bool whole = leaver >= 0 && add_client(cycle, STREAM("native"), stalled ? 4096 : 0, !stalled) >= 0 &&
                 add_client(cycle, STREAM("json"), stalled ? 4096 : 0, !stalled) >= 0 && add_client(cycle, post, 0, true) >= 0 &&
                 add_client(cycle, "GET /debug/trace/sta", 0, true) >= 0 &&
                 add_client(cycle, "GET /debug/trace/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 0, true) >= 0;
    if (leaver >= 0)
        http_reset(leaver);
    cycle->clients[0] = -1;
    return whole;
}

static bool wait_for_captures(unsigned count)
{
    const struct timespec rest = {0, 200000};
    struct ttap_status status = {.size = sizeof status};
    for (double until = http_now_s() + 20; http_now_s() < until; nanosleep(&rest, NULL)) {
        ttap_status_get(&status);
        if (status.captures == count)
            return true;
    }
    printf("%u captures are active, not %u\n", (unsigned)status.captures, count);
    return false;
}

static bool run_cycle(int number, double *took_s)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct cycle cycle = {.number = number};
    opts.port = 0;
    if (ttap_http_start(&opts, &cycle.http) != 0) {
        printf("cycle %d: start: %s\n", number, ttap_http_error());
        return false;
    }
    bool good = add_clients(&cycle);
    if (good && number % UNSERVED_EVERY != 0)
        good = wait_for_captures(cycle.captures);
    double before = http_now_s();
    ttap_http_stop(cycle.http);
    *took_s = http_now_s() - before;
    pthread_mutex_lock(&reading);
    for (int i = 0; i < cycle.client_count; i++)
        if (cycle.clients[i] >= 0)
            close(cycle.clients[i]);
    pthread_mutex_unlock(&reading);
    good = good && wait_for_captures(0);
    if (!good)
        printf("cycle %d went wrong\n", number);
    return good;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static bool run_all(int cycles, double limit_s)
{
    double *took_s = calloc((size_t)cycles, sizeof *took_s), warm_s;
    bool good = took_s && run_cycle(1, &warm_s);
    int descriptors = folder_entries("/proc/self/fd"), threads = folder_entries("/proc/self/task"), done = 0;
    for (; good && done < cycles; done++)
        good = run_cycle(done, &took_s[done]);
    if (good) {
        qsort(took_s, (size_t)cycles, sizeof *took_s, compare);
        printf("%d cycles: stopping took %.1f ms in the middle, p99 %.1f ms, at most %.1f ms (promised 2000)\n", cycles, took_s[cycles / 2] * 1e3,
               took_s[cycles - 1 - cycles / 100] * 1e3, took_s[cycles - 1] * 1e3);
        good = took_s[cycles - 1] < limit_s;
    }
    for (double until = http_now_s() + 20; http_now_s() < until && folder_entries("/proc/self/task") > threads; usleep(1000))
        ;
    printf("descriptors %d, then %d; threads %d, then %d\n", descriptors, folder_entries("/proc/self/fd"), threads,
           folder_entries("/proc/self/task"));
    good = good && folder_entries("/proc/self/fd") <= descriptors && folder_entries("/proc/self/task") <= threads;
    free(took_s);
    return good;
}

int main(int argc, char **argv)
{
    int cycles = argc > 1 ? atoi(argv[1]) : CYCLES;
    double limit_s = argc > 2 ? atof(argv[2]) / 1e3 : 4;
    pthread_t threads[3];
    setvbuf(stdout, NULL, _IOLBF, 0);
    reader_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reader_fd < 0 || pthread_create(&threads[0], NULL, emit, NULL) || pthread_create(&threads[1], NULL, emit, NULL) ||
        pthread_create(&threads[2], NULL, take, NULL))
        return 2;
    bool good = run_all(cycles, limit_s);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    close(reader_fd);
    return good ? 0 : 1;
}
