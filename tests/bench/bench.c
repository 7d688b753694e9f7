/* bench.c - see bench.h. */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static struct {
    const char *name;
    bool json, check, is_short, missed;
    unsigned figures;
} report;

static double clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

double bench_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

double bench_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double percent)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[(size_t)((double)(count - 1) * percent / 100)];
}

double bench_median(double *values, size_t count)
{
    return bench_percentile(values, count, 50);
}

void bench_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set); /* one CPU only: then there is nothing to choose */
}

void bench_begin(const char *name, int argc, char **argv)
{
    report.name = name;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            report.json = true;
        else if (!strcmp(argv[i], "--check"))
            report.check = true;
        else if (!strcmp(argv[i], "--short"))
            report.is_short = true;
        else {
            fprintf(stderr, "bench_%s: unknown argument \"%s\"; allowed: --json, --check, --short\n", name, argv[i]);
            exit(2);
        }
    }
    if (report.json)
        printf("{\"bench\":\"%s\"", name);
    else
        printf("%s\n", name);
}

bool bench_is_short(void)
{
    return report.is_short;
}

void bench_figure(const char *key, double value, double bar, const char *meaning)
{
    bool missed = bar > 0 ? value > bar : bar < 0 && value < -bar;
    report.missed |= missed;
    report.figures++;
    if (report.json) {
        printf(",\"%s\":%.9g", key, value);
        return;
    }
    char limit[48] = "";
    if (bar != 0)
        snprintf(limit, sizeof(limit), "%s %.4g%s", bar > 0 ? "<=" : ">=", bar > 0 ? bar : -bar, missed ? "  MISSED" : "");
    printf("  %-28s %12.4g  %-20s %s\n", key, value, limit, meaning);
}

void bench_fail(const char *what)
{
    fprintf(stderr, "bench_%s: %s\n", report.name, what);
    exit(2);
}

int bench_end(void)
{
    if (report.json)
        printf("}\n");
    return report.check && report.missed ? 1 : 0;
}

pid_t bench_client(unsigned port, const char *path_and_query, const char *file)
{
    char url[256];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path_and_query);
    char *const argv[] = {"curl", "-sS", "-f", "-o", (char *)file, url, NULL};
    pid_t client;
    if (posix_spawnp(&client, "curl", NULL, NULL, argv, environ))
        bench_fail("curl is not installed");
    return client;
}

void bench_client_end(pid_t client)
{
    kill(client, SIGTERM);
    waitpid(client, NULL, 0);
}
