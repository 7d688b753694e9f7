/* bench_stream.c - a whole capture over HTTP: how many events a second reach a client, at what size and cost.
 *
 * Four threads record a mixture (tasks with attributes, nested regions, counters, a log line now and then), paced to 1.5 million
 * events a second each, for five seconds. curl writes what it receives into a file; the figures come from `tracetap stat --json` of that file, not from
 * the engine's own counts. Where this machine cannot carry that rate on its CPUs, events_per_s says so.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracetap/http.h"

enum { THREADS = 4, EVENTS_A_ROUND = 40 };
static const double events_per_s_of_a_thread = 1.5e6;

static bool stopping;

/* 40 events: a task with begin, enter, leave, end, two attributes; 14 region pairs, three deep; 5 counters; one log. */
static void one_round(int64_t round)
{
    static struct ttap_name kind = TTAP_NAME_INIT("request"), bytes = TTAP_NAME_INIT("bytes"), depth = TTAP_NAME_INIT("depth");
    struct ttap_task task, before;
    ttap_task_begin(&task, &kind, NULL);
    ttap_task_enter(&task, &before);
    TTAP_TASK_ATTR_INT(&task, "round", round);
    TTAP_TASK_ATTR_STR(&task, "path", "/checkout");
    {
        TTAP_REGION("handle");
        for (int i = 0; i < 4; i++) {
            TTAP_REGION("parse");
            {
                TTAP_REGION("decode");
            }
            {
                TTAP_REGION("check");
            }
            ttap_counter(&depth, i);
        }
        TTAP_REGION("reply");
        ttap_counter(&bytes, round * 100);
        TTAP_LOG("done", "200 OK", 6);
    }
    ttap_task_leave(&before);
    ttap_task_end(&task);
}

static void *record(void *arg)
{
    (void)arg;
    double start_ns = bench_now_ns();
    for (int64_t round = 0; !__atomic_load_n(&stopping, __ATOMIC_RELAXED); round++) {
        one_round(round);
        double due_ns = start_ns + (double)round * EVENTS_A_ROUND / events_per_s_of_a_thread * 1e9;
        double ahead_us = (due_ns - bench_now_ns()) / 1000;
        if (ahead_us > 200)
            usleep((useconds_t)ahead_us);
    }
    return NULL;
}

static json_t *stat_of(const char *command, const char *file)
{
    char line[512];
    snprintf(line, sizeof(line), "%s stat --json %s", command, file);
    FILE *out = popen(line, "r");
    json_error_t error;
    json_t *stat = out ? json_loadf(out, 0, &error) : NULL;
    if (out)
        pclose(out);
    if (!stat)
        bench_fail("tracetap stat --json gave no JSON");
    return stat;
}

static double number(const json_t *stat, const char *key)
{
    const json_t *value = json_object_get(stat, key);
    if (!json_is_number(value))
        bench_fail(key);
    return json_number_value(value);
}

static double peak_rss_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long kib = 0;
    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return (double)kib * 1024;
}

static double zstd_bytes_of(const char *file)
{
    char line[512];
    snprintf(line, sizeof(line), "zstd -1 -q -c %s | wc -c", file);
    FILE *out = popen(line, "r");
    double bytes = 0;
    if (!out || fscanf(out, "%lf", &bytes) != 1)
        bytes = 0;
    if (out)
        pclose(out);
    return bytes;
}

int main(int argc, char **argv)
{
    bench_begin("stream", argc, argv);
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    opts.port = 0;
    struct ttap_http *http;
    if (ttap_http_start(&opts, &http))
        bench_fail(ttap_http_error());
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, record, NULL);
    usleep(200000);
    double rss_before = peak_rss_bytes();

    char file[] = "/tmp/bench_stream.XXXXXX";
    close(mkstemp(file));
    pid_t client = bench_client(ttap_http_port(http), bench_is_short() ? "/debug/trace?seconds=0.3" : "/debug/trace?seconds=5", file);
    int status;
    waitpid(client, &status, 0);
    double rss_after = peak_rss_bytes();
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (status)
        bench_fail("curl failed");

    struct ttap_status tracer = {.size = sizeof(tracer)};
    ttap_status_get(&tracer);
    const char *command = getenv("TRACETAP_COMMAND");
    json_t *stat = stat_of(command ? command : TRACETAP_COMMAND, file);
    double delivered = number(stat, "delivered");
    double window_s = number(json_object_get(stat, "capture"), "window_ns") / 1e9;
    bench_figure("events_per_s", delivered / window_s, -5e6, "delivered to curl");
    bench_figure("lost", number(json_object_get(stat, "lost"), "total"), 0, "must be 0");
    bench_figure("identity_exact", !strcmp(json_string_value(json_object_get(stat, "identity")), "exact"), -1, "1: every event accounted for");
    bench_figure("bytes_per_event", number(stat, "bytes") / delivered, 6, "native, no compressor");
    double packed = zstd_bytes_of(file);
    if (packed > 0)
        bench_figure("bytes_per_event_zstd1", packed / delivered, 4, "the same file through zstd -1");
    bench_figure("drainer_ns_per_event", number(stat, "drainer_cpu_ns") / delivered, 25, "CPU time of the drainer, packing and queueing");
    bench_figure("memory_bytes", rss_after - rss_before, (double)tracer.budget_bytes + (8 << 20),
                 "growth of the process while capturing; bar: budget + 8 MiB");
    json_decref(stat);
    unlink(file);
    ttap_http_stop(http);
    return bench_end();
}
