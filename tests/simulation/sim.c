/* sim.c - runs seeds, each in a process of its own, so that all of them begin alike and a crash is one seed's.
 *
 *   sim --seed N [--trace] [--save DIR]     one day, in this process; each capture as a file
 *   sim --seeds N [--from M] [--seconds S] [--jobs J]   many: at most N, for at most S seconds
 *   sim --digests N [--from M]        the digest of each seed's captures, a line each: two runs must print the same
 *
 * Exit status: 0, or 1 when a seed failed, whose number is printed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actors.h"
#include "truth.h"
#include "world.h"

/* A seed that takes longer hangs: some thirty times what the slowest takes. Seeded bugs that hang are found no sooner. */
#define SEED_SECONDS_MAX 30

struct total {
    uint64_t seeds, days_ns, emissions, switches, digest;
    struct truth_figures truth;
};

static uint64_t live(uint64_t seed, struct total *total)
{
    world_begin(seed);
    actors_live();
    actors_check_nothing_left();
    uint64_t digest = truth_check();
    total->seeds++;
    total->days_ns += actors_day_ns();
    total->emissions += truth_emissions();
    total->switches += world_steps;
    total->digest = digest;
    uint64_t *into = (uint64_t *)&total->truth, *from = (uint64_t *)&truth_figures;
    for (size_t i = 0; i < sizeof(truth_figures) / sizeof(uint64_t); i++)
        into[i] += from[i];
    return digest;
}

static bool run_apart(uint64_t seed, struct total *total)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        return false;
    if (!child) {
        alarm(SEED_SECONDS_MAX);
        live(seed, total);
        fflush(stdout);
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFSIGNALED(status))
        fprintf(stderr, "seed %llu: %s\n    again, step by step: sim --seed %llu --trace\n", (unsigned long long)seed,
                WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)), (unsigned long long)seed);
    return status == 0;
}

static void show(const struct total *t, double seconds)
{
    const struct truth_figures *f = &t->truth;
    printf(
        "%llu days of %.0f s in all, %llu captures (%llu whole), %llu calls, %llu events delivered of which %llu were known one by one, %llu lost, "
        "%llu sampled out, %llu at edges, %llu switches, %.1f s\n",
        (unsigned long long)t->seeds, (double)t->days_ns / 1e9, (unsigned long long)f->captures, (unsigned long long)f->whole,
        (unsigned long long)t->emissions, (unsigned long long)f->events, (unsigned long long)f->identified, (unsigned long long)f->lost,
        (unsigned long long)f->sampled_out, (unsigned long long)f->at_edges, (unsigned long long)t->switches, seconds);
    printf("ends: window %llu, bytes %llu, stopped %llu, client %llu, lease %llu, shutdown %llu\n", (unsigned long long)f->reasons[1],
           (unsigned long long)f->reasons[2], (unsigned long long)f->reasons[3], (unsigned long long)f->reasons[4], (unsigned long long)f->reasons[5],
           (unsigned long long)f->reasons[6]);
}

static double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run_many(uint64_t from, uint64_t seeds, double seconds, bool digests)
{
    struct total *total = mmap(NULL, sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double start = now_seconds();
    uint64_t failed = 0;
    for (uint64_t seed = from; seed < from + seeds && now_seconds() - start < seconds && !failed; seed++) {
        failed += !run_apart(seed, total);
        if (digests && !failed)
            printf("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)total->digest);
    }
    if (!digests)
        show(total, now_seconds() - start);
    return failed ? 1 : 0;
}

static int run_one(uint64_t seed)
{
    struct total total = {0};
    double start = now_seconds();
    printf("digest %016llx\n", (unsigned long long)live(seed, &total));
    show(&total, now_seconds() - start);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = 0, from = 1, seeds = UINT64_MAX / 2;
    double seconds = 1e9;
    bool one = false, digests = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--trace"))
            world_tracing = true;
        else if (!strcmp(argv[i], "--captures"))
            truth_print_digests = true;
        else if (!strcmp(argv[i], "--save") && more)
            truth_save_folder = argv[++i];
        else if (!strcmp(argv[i], "--seed") && more)
            seed = strtoull(argv[++i], NULL, 10), one = true;
        else if (!strcmp(argv[i], "--seeds") && more)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--digests") && more)
            seeds = strtoull(argv[++i], NULL, 10), digests = true;
        else if (!strcmp(argv[i], "--from") && more)
            from = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seconds") && more)
            seconds = strtod(argv[++i], NULL);
        else
            return fprintf(stderr,
                           "usage: sim --seed N [--trace] [--captures] [--save DIR] | --seeds N [--from M] [--seconds S] | --digests N [--from M]\n"),
                   2;
    }
    return one ? run_one(seed) : run_many(from, seeds, seconds, digests);
}
