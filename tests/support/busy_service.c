/* busy_service.c - a service to test the endpoint with: annotating threads, ttap_http_start on a free port, orders
 * on stdin.
 *
 *   busy_service [--threads N] [--requests-per-s N] [--budget BYTES] [--seconds-max S] [--captures-max N]
 *   [--connections-max N]
 *                [--token-file F] [--unix-path F] [--host NAME] [--port N] [--address A]
 *
 *   stdout:  "port 41234"             it serves
 *            "error WORDS"            ttap_http_start() refused; the exit code is 1
 *            "gate 3f 1234567890"     what is recorded changed, with CLOCK_MONOTONIC in ns (looked at every
 *            millisecond) "log WORDS"              the endpoint's log callback
 *            "stopped 12345678"       after the order "stop": how long ttap_http_stop() took, in ns
 *   stdin:   "stop", "fork" (a child that sleeps for a minute; prints "child PID"), end of file: exit
 *
 * A request is a task with three regions, a log line, a counter and a queue: 15 events. 0 requests per second: as
 * many as possible.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracetap/http.h"

static bool over;
static unsigned long requests_per_s = 1000;
static struct ttap_queue queue = TTAP_QUEUE_INIT("jobs");

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_ns(long ns)
{
    struct timespec nap = {ns / 1000000000, ns % 1000000000};
    nanosleep(&nap, NULL);
}

static void request(unsigned n)
{
    struct ttap_task task, before;
    if (n % 10 == 0)
        TTAP_TASK_BEGIN(&task, "checkout", NULL);
    else
        TTAP_TASK_BEGIN(&task, "browse", NULL);
    ttap_task_enter(&task, &before);
    ttap_queue_enqueue(&queue, n % 5);
    {
        TTAP_REGION("handle");
        {
            TTAP_REGION("parse");
            TTAP_LOG("note", "hello", 5);
        }
        TTAP_REGION("reply");
        TTAP_COUNTER("open", (int64_t)(n % 7));
    }
    ttap_queue_dequeue(&queue, n % 5);
    ttap_task_leave(&before);
    ttap_task_end(&task);
}

static void *work(void *arg)
{
    char name[32];
    unsigned n = 0;
    snprintf(name, sizeof name, "worker-%d", (int)(intptr_t)arg);
    ttap_thread_name(name);
    uint64_t next = now_ns();
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        request(n++);
        if (!requests_per_s)
            continue;
        next += 1000000000u / requests_per_s;
        uint64_t now = now_ns();
        if (next > now)
            sleep_ns((long)(next - now));
    }
    return NULL;
}

/* Tells when recording goes on and off, so that tests need not ask over the HTTP they are troubling. */
static void *watch_gate(void *arg)
{
    uint32_t before = 0;
    (void)arg;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        uint32_t groups = (uint32_t)__atomic_load_n(&ttap_gate, __ATOMIC_RELAXED);
        if (groups != before)
            printf("gate %x %llu\n", groups, (unsigned long long)now_ns());
        before = groups;
        sleep_ns(1000000);
    }
    return NULL;
}

static void print_log(void *arg, const char *line)
{
    (void)arg;
    printf("log %s\n", line);
}

/* One option with its value. False: unknown. */
static bool take_option(struct ttap_http_opts *opts, unsigned *threads, const char *name, const char *value)
{
    static const char *hosts[] = {NULL, NULL};
    if (!strcmp(name, "--threads"))
        *threads = (unsigned)atoi(value);
    else if (!strcmp(name, "--requests-per-s"))
        requests_per_s = strtoul(value, NULL, 10);
    else if (!strcmp(name, "--budget"))
        ttap_budget_set(strtoull(value, NULL, 10));
    else if (!strcmp(name, "--seconds-max"))
        opts->seconds_max = strtod(value, NULL);
    else if (!strcmp(name, "--captures-max"))
        opts->captures_max = (unsigned)atoi(value);
    else if (!strcmp(name, "--connections-max"))
        opts->connections_max = (unsigned)atoi(value);
    else if (!strcmp(name, "--token-file"))
        opts->token_file = value;
    else if (!strcmp(name, "--unix-path"))
        opts->unix_path = value;
    else if (!strcmp(name, "--address"))
        opts->address = value;
    else if (!strcmp(name, "--port"))
        opts->port = (uint16_t)atoi(value);
    else if (!strcmp(name, "--static-dir"))
        opts->static_dir = value;
    else if (!strcmp(name, "--host"))
        hosts[0] = value, opts->hosts = hosts;
    else
        return false;
    return true;
}

static void fork_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        sleep(60);
        _exit(0);
    }
    printf("child %d\n", (int)child);
}

/* Orders, until the end of stdin. */
static void obey(struct ttap_http **http)
{
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "fork\n"))
            fork_child();
        if (strcmp(line, "stop\n") != 0)
            continue;
        uint64_t before = now_ns();
        ttap_http_stop(*http);
        *http = NULL;
        printf("stopped %llu\n", (unsigned long long)(now_ns() - before));
    }
}

int main(int argc, char **argv)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;
    pthread_t worker[64], watcher;
    unsigned threads = 4;
    setvbuf(stdout, NULL, _IOLBF, 0);
    opts.port = 0;
    opts.log = print_log;
    for (int i = 1; i + 1 < argc; i += 2)
        if (!take_option(&opts, &threads, argv[i], argv[i + 1]))
            return 2;
    if (ttap_http_start(&opts, &http) != 0) {
        printf("error %s\n", ttap_http_error());
        return 1;
    }
    printf("port %u\n", ttap_http_port(http));
    threads = threads < 64 ? threads : 64;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&worker[i], NULL, work, (void *)(intptr_t)i) != 0)
            return 3;
    if (pthread_create(&watcher, NULL, watch_gate, NULL) != 0)
        return 3;
    obey(&http);
    ttap_http_stop(http);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(worker[i], NULL);
    pthread_join(watcher, NULL);
    return 0;
}
