/* memory.c - the source "memory": how much memory each process has, some times a second.
 *
 *   /proc/PID/statm --> counters memory.resident_bytes and memory.data_bytes of the process's main thread, where they have changed
 *
 * statm alone: the kernel keeps its figures ready (5 us at any size). mallinfo2 walks the free lists under the allocator's lock (93 ms seen), and
 * smaps_rollup walks all page tables (31 ms with 2 GiB).
 *
 * Processes are kept by their place among the members; this process alone has place 0.
 */
#include "source_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "clerk.h"
#include "clock.h"
#include "proc.h"
#include "share.h"
#include "writer.h"

#define PERIOD_MIN_NS 50000000u /* 20 times a second: what a graph of a few seconds can show */
#define PERIOD_MAX_NS 1000000000u
#define SHARE 200u       /* reading takes at most half a hundredth of a CPU, however many processes there are */
#define FIRST_VERSION 2u /* of a thread's name, as the contract has it */

struct process {
    int pid; /* 0: none */
    bool known, read, member;
    uint64_t number, next_seq;
    struct ttap__proc_memory now, told;
};

static struct {
    struct process *at;
    uint32_t room;
    bool clerk, edge_pending;
    uint64_t period_ns, next_ns;
} memory;

/* ---- Processes ---- */

static struct process *place(uint32_t index)
{
    if (index < memory.room)
        return &memory.at[index];
    uint32_t room = index < 8 ? 8 : index * 2;
    if (!ttap__budget_take((room - memory.room) * sizeof(*memory.at)))
        return NULL;
    struct process *grown = realloc(memory.at, room * sizeof(*grown));
    if (!grown) {
        ttap__budget_give((room - memory.room) * sizeof(*memory.at));
        return NULL;
    }
    memset(grown + memory.room, 0, (room - memory.room) * sizeof(*grown));
    memory.at = grown;
    memory.room = room;
    return &memory.at[index];
}

static void leave(uint32_t index)
{
    struct process *process = &memory.at[index];
    if (process->known)
        ttap__source_thread_over(&ttap__source_memory, index, process->number);
    *process = (struct process){0};
}

static void is_now(uint32_t index, int pid)
{
    struct process *process = place(index);
    if (!process)
        return;
    if (process->pid != pid)
        leave(index);
    process->pid = pid;
    process->member = true;
}

/* Whoever is a member now. */
static void find_processes(void)
{
    if (ttap__share_role != TTAP__SHARE_KEEPER) {
        is_now(0, getpid());
        return;
    }
    for (uint32_t i = 0; i < memory.room; i++)
        memory.at[i].member = false;
    uint32_t at = 0;
    for (int32_t pid; (pid = ttap__share_next_member(&at));)
        is_now(at - 1, pid);
    for (uint32_t i = 0; i < memory.room; i++)
        if (memory.at[i].pid && !memory.at[i].member)
            leave(i);
}

/* ---- Reading, on the clerk where there is one ---- */

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ttap__ns_of(&ts);
}

/* What it costs is CPU time: how long it takes on a busy machine says nothing. */
static void read_all(void *cost_ns)
{
    uint64_t before_ns = cpu_ns();
    for (uint32_t i = 0; i < memory.room; i++)
        if (memory.at[i].pid)
            memory.at[i].read = ttap__proc_memory(memory.at[i].pid, &memory.at[i].now);
    *(uint64_t *)cost_ns = cpu_ns() - before_ns;
}

/* ---- Telling ---- */

static unsigned char *put_counter(unsigned char *at, uint64_t ticks, const char *name, uint64_t value)
{
    *at++ = TTAP__COUNTER;
    at = ttap__write_varint(at, ticks);
    at = ttap__write_varint(at, ttap_name(name));
    return ttap__write_varint(at, ttap__zigzag((int64_t)value));
}

static void tell(uint32_t index, uint64_t now_ns, uint64_t now_ticks, bool all)
{
    struct process *process = &memory.at[index];
    unsigned char events[64];
    unsigned char *at = events;
    unsigned count = 0;
    if (all || process->now.resident_bytes != process->told.resident_bytes) {
        at = put_counter(at, 0, "memory.resident_bytes", process->now.resident_bytes);
        count++;
    }
    if (all || process->now.data_bytes != process->told.data_bytes) {
        at = put_counter(at, 0, "memory.data_bytes", process->now.data_bytes);
        count++;
    }
    process->told = process->now;
    if (!count)
        return;
    struct ttap__source_run run = {.index = index,
                                   .number = process->number,
                                   .first_seq = process->next_seq,
                                   .first_ns = now_ns,
                                   .base_ticks = now_ticks,
                                   .last_ticks = now_ticks,
                                   .count = count,
                                   .events = events,
                                   .bytes = (size_t)(at - events)};
    process->next_seq += count;
    ttap__source_events(&ttap__source_memory, &run);
}

static void tell_all(bool all)
{
    struct ttap__clock_pair now;
    ttap__clock_pair(&now);
    for (uint32_t i = 0; i < memory.room; i++) {
        struct process *process = &memory.at[i];
        if (!process->pid || !process->read)
            continue; /* it has ended; or it will be read next time */
        bool first = !process->known;
        if (first) {
            process->number = ttap__source_number(process->pid, process->pid);
            process->known = true;
        }
        tell(i, now.mono_ns, now.ticks, all || first);
    }
}

static void drain(void)
{
    uint64_t before_ns = ttap__mono_ns(), cost_ns;
    if (!memory.edge_pending && before_ns < memory.next_ns)
        return;
    find_processes();
    if (memory.clerk)
        ttap__clerk_do(read_all, &cost_ns);
    else
        read_all(&cost_ns);
    tell_all(memory.edge_pending);
    memory.edge_pending = false;
    uint64_t wanted_ns = cost_ns * SHARE;
    memory.period_ns = wanted_ns < PERIOD_MIN_NS ? PERIOD_MIN_NS : wanted_ns > PERIOD_MAX_NS ? PERIOD_MAX_NS : wanted_ns;
    memory.next_ns = before_ns + memory.period_ns;
}

/* ---- For the engine ---- */

static bool can_wait(uint64_t now_ns)
{
    return !memory.edge_pending && now_ns < memory.next_ns;
}

static void start(void)
{
    memset(&memory, 0, sizeof(memory));
    memory.clerk = ttap__clerk_hire();
}

static void edge(uint64_t mono_ns)
{
    (void)mono_ns; /* what is read from now on lies behind it */
    memory.edge_pending = true;
}

static void stop(void)
{
    if (memory.clerk)
        ttap__clerk_dismiss();
    free(memory.at);
    ttap__budget_give(memory.room * sizeof(*memory.at));
    memset(&memory, 0, sizeof(memory));
}

static void after_fork(void)
{
    memset(&memory, 0, sizeof(memory)); /* the table may have been in use, so it is left where it is */
}

static uint64_t number_of(int pid, int tid)
{
    for (uint32_t i = 0; pid == tid && i < memory.room; i++)
        if (memory.at[i].known && memory.at[i].pid == pid)
            return memory.at[i].number;
    return 0;
}

static struct ttap__source_thread thread_at(uint32_t index)
{
    const struct process *process = &memory.at[index];
    return (struct ttap__source_thread){process->pid, process->pid, process->number, FIRST_VERSION};
}

static void status(bool *on, char *why, char *enable, size_t size)
{
    struct ttap__proc_memory now;
    *enable = 0;
    *on = ttap__proc_memory(ttap__traced_pid(), &now);
    snprintf(why, size, "%s", *on ? "resident and data size from /proc, up to 20 times a second" : "/proc/PID/statm cannot be read");
}

const struct ttap__source ttap__source_memory = {
    .name = "memory",
    .groups = TTAP_GROUP_ALLOC,
    .level = TTAP__LEVEL_PROCESS,
    .start = start,
    .edge = edge,
    .drain = drain,
    .can_wait = can_wait,
    .stop = stop,
    .after_fork = after_fork,
    .number_of = number_of,
    .thread = thread_at,
    .status = status,
};
