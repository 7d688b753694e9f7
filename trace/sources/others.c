/* others.c - see others.h. */
#include "others.h"

#include <stdio.h>
#include <string.h>

#include "clerk.h"
#include "proc.h"
#include "tracetap/tracetap.h"

enum { CPUS_MAX = 256, NAMES_MAX = 64 };

static struct {
    struct ttap__moment started;
    uint32_t cpus; /* beyond the highest seen */
    struct {
        bool known;
        int pid; /* 0: nobody, or one that is recorded */
        struct ttap__moment since;
    } cpu[CPUS_MAX];
    struct {
        int pid;
        uint32_t name;
    } names[NAMES_MAX]; /* by number */
} others;

void ttap__others_start(struct ttap__moment now)
{
    memset(&others, 0, sizeof(others));
    others.started = now;
}

static void come(uint32_t cpu, int pid, struct ttap__moment at)
{
    others.cpu[cpu].known = true;
    others.cpu[cpu].pid = pid;
    others.cpu[cpu].since = at;
}

/* Who had it gives way to @pid. */
static bool give_way(uint32_t cpu, int pid, struct ttap__moment at, struct ttap__other *out)
{
    *out = (struct ttap__other){cpu, others.cpu[cpu].pid, others.cpu[cpu].since};
    come(cpu, pid, at);
    return out->pid > 0 && (int64_t)(at.ns - out->since.ns) >= TTAP__OTHER_MIN_NS;
}

bool ttap__others_switch(uint32_t cpu, int left, int came, struct ttap__moment at, struct ttap__other *out)
{
    if (cpu >= CPUS_MAX)
        return false;
    if (cpu >= others.cpus)
        others.cpus = cpu + 1;
    if (!others.cpu[cpu].known)
        come(cpu, left, others.started);
    return came != others.cpu[cpu].pid && give_way(cpu, came, at, out);
}

bool ttap__others_cut(uint32_t *cpu, struct ttap__moment at, struct ttap__other *out)
{
    for (; *cpu < others.cpus; ++*cpu)
        if (others.cpu[*cpu].known && give_way(*cpu, others.cpu[*cpu].pid, at, out))
            return true;
    return false;
}

void ttap__others_lost(uint32_t cpu, struct ttap__moment at)
{
    if (cpu < others.cpus)
        come(cpu, 0, at);
}

/* ---- Names ---- */

void ttap__others_forget(int pid)
{
    if (others.names[(unsigned)pid % NAMES_MAX].pid == pid)
        others.names[(unsigned)pid % NAMES_MAX].pid = 0;
}

struct asked {
    int pid;
    char name[64];
};

static void ask(void *arg)
{
    struct asked *asked = arg;
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d/comm", asked->pid);
    if (!ttap__proc_line(path, asked->name, sizeof(asked->name)))
        asked->name[0] = 0;
}

/* Threads of the kernel are many of one name, with a CPU or what they do at the moment behind a slash. */
uint32_t ttap__others_name(int pid)
{
    unsigned at = (unsigned)pid % NAMES_MAX;
    if (others.names[at].pid != pid) {
        struct asked asked = {.pid = pid};
        ttap__clerk_do(ask, &asked);
        asked.name[strcspn(asked.name, "/\n")] = 0;
        others.names[at].pid = pid;
        others.names[at].name = ttap_name(asked.name);
    }
    return others.names[at].name;
}
