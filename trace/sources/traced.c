/* traced.c - see traced.h. A set of process ids; a process that ends stays in it until the last window ends. */
#include "traced.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "share.h"

enum { ROOM = 4 * TTAP__MEMBERS_MAX }; /* a quarter full with all members */

static struct {
    int own; /* not 0: this one alone */
    unsigned count;
    int pid[ROOM];
} traced;

static int *place_of(int pid)
{
    unsigned at = (unsigned)pid * 2654435761u % ROOM; /* 2^32 divided by the golden ratio */
    while (traced.pid[at] && traced.pid[at] != pid)
        at = (at + 1) % ROOM;
    return &traced.pid[at];
}

void ttap__traced_add(int pid)
{
    int *place = place_of(pid);
    if (*place || traced.count >= ROOM / 2)
        return;
    *place = pid;
    traced.count++;
}

static void add_members(void)
{
    uint32_t at = 0;
    for (int32_t pid; (pid = ttap__share_next_member(&at));)
        ttap__traced_add(pid);
}

void ttap__traced_start(void)
{
    if (ttap__share_role != TTAP__SHARE_KEEPER) {
        traced.own = getpid();
        return;
    }
    memset(&traced, 0, sizeof(traced));
    if (ttap__share_program())
        ttap__traced_add(ttap__share_program()); /* it may not have joined yet */
    add_members();
}

bool ttap__traced_are_many(void)
{
    return !traced.own;
}

bool ttap__traced(int pid)
{
    return traced.own ? pid == traced.own : pid && *place_of(pid) == pid;
}

struct of_process {
    void (*each)(void *arg, int pid, int tid);
    void *arg;
    int pid;
};

static void one_thread(void *of, int tid)
{
    struct of_process *process = of;
    process->each(process->arg, process->pid, tid);
}

static int threads_of(int pid, void (*each)(void *arg, int pid, int tid), void *arg)
{
    struct of_process process = {each, arg, pid};
    return ttap__proc_threads(pid, one_thread, &process);
}

int ttap__traced_threads(void (*each)(void *arg, int pid, int tid), void *arg)
{
    int count = 0;
    if (traced.own)
        return threads_of(traced.own, each, arg);
    add_members();
    for (unsigned i = 0; i < ROOM; i++) {
        int found = traced.pid[i] ? threads_of(traced.pid[i], each, arg) : 0;
        count += found > 0 ? found : 0;
    }
    return count;
}
