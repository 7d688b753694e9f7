/* sources.c - the sources that are linked in, when each runs, and the numbers of threads. */
#include "source.h"

#include "engine.h"

#define linked ttap__sources_linked

/* Drainer only. */
static bool running[TTAP__SOURCES_MAX];
static struct {
    uint64_t uid, number;
} numbered[TTAP__THREADS_MAX]; /* by slot; virtual until used */

const struct ttap__source *ttap__source_at(uint32_t at)
{
    return ttap__sources_linked[at];
}

const struct ttap__source *ttap__source_of_level(uint32_t level)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (linked[i]->level == level)
            return linked[i];
    return NULL;
}

const char *ttap__source_status(unsigned at, bool *on, char *why, char *enable, size_t size)
{
    if (!linked[at])
        return NULL;
    if (linked[at]->ask)
        linked[at]->ask();
    linked[at]->status(on, why, enable, size);
    return linked[at]->name;
}

int ttap__source_tier(unsigned at)
{
    return linked[at] && linked[at]->tier ? (int)linked[at]->tier() : -1;
}

/* ---- Running ---- */

static bool any_running(void)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i])
            return true;
    return false;
}

void ttap__sources_ask(uint64_t groups)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (linked[i]->ask && (linked[i]->groups & groups))
            linked[i]->ask();
}

void ttap__sources_start(uint64_t groups)
{
    for (uint32_t i = 0; linked[i]; i++) {
        if (running[i] || !(linked[i]->groups & groups))
            continue;
        running[i] = true;
        linked[i]->start();
    }
}

void ttap__sources_look(void)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i] && linked[i]->look)
            linked[i]->look();
}

void ttap__sources_edge(uint64_t mono_ns)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i] && linked[i]->edge)
            linked[i]->edge(mono_ns);
}

void ttap__sources_drain(void)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i] && linked[i]->drain)
            linked[i]->drain();
}

bool ttap__sources_can_wait(uint64_t now_ns)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i] && linked[i]->drain && !(linked[i]->can_wait && linked[i]->can_wait(now_ns)))
            return false;
    return true;
}

void ttap__sources_slot_over(uint32_t slot)
{
    for (uint32_t i = 0; linked[i]; i++)
        if (running[i] && linked[i]->slot_over)
            linked[i]->slot_over(slot);
}

/* ---- Numbers ---- */

/* A thread that lives for less than a tick is met in its slot first, and its slot is gone when a source hears of it: so the last numbers
 * given to slots are remembered for a while. */
#define GIVEN 256u
#define GIVEN_VALID_NS 1000000000u /* then its tid may be somebody else's */
static struct {
    int pid, tid;
    uint64_t number, ns;
} given[GIVEN];
static uint32_t given_at;

static void remember(int pid, int tid, uint64_t number)
{
    given[given_at].pid = pid;
    given[given_at].tid = tid;
    given[given_at].number = number;
    given[given_at].ns = ttap__mono_ns();
    given_at = (given_at + 1) % GIVEN;
}

/* 0: none, or taken already. */
static uint64_t take_remembered(int pid, int tid)
{
    for (uint32_t i = 0; i < GIVEN; i++) {
        if (given[i].tid != tid || given[i].pid != pid)
            continue;
        uint64_t number = ttap__mono_ns() - given[i].ns < GIVEN_VALID_NS ? given[i].number : 0;
        given[i].tid = 0;
        return number;
    }
    return 0;
}

/* A thread that executes another program is the same one for the kernel, and gets another slot. Each slot's streams have an account of their own,
 * so the first keeps the number that sources know; also when that slot has long been somebody else's. Of threads that live. */
static uint64_t slotted[TTAP__THREADS_MAX]; /* virtual until used */
static uint32_t slotted_count;

static void forget_slotted(void)
{
    slotted_count = 0;
}

/* False: a slot has this number, or had it. */
static bool claim_for_slot(uint64_t number)
{
    for (uint32_t i = 0; i < slotted_count; i++)
        if (slotted[i] == number)
            return false;
    if (slotted_count == TTAP__THREADS_MAX)
        return false;
    slotted[slotted_count++] = number;
    return true;
}

void ttap__sources_thread_over(const struct ttap__source *source, uint64_t number)
{
    if (!source->knows_ends)
        return;
    for (uint32_t i = 0; i < slotted_count; i++)
        if (slotted[i] == number) {
            slotted[i] = slotted[--slotted_count];
            return;
        }
}

/* 0: none that runs knows it yet. */
static uint64_t number_of_sources(int pid, int tid)
{
    uint64_t number = 0;
    for (uint32_t i = 0; linked[i] && !number; i++)
        if (running[i] && linked[i]->number_of)
            number = linked[i]->number_of(pid, tid);
    return number;
}

uint64_t ttap__slot_number(uint32_t slot, uint64_t uid)
{
    if (numbered[slot].uid == uid)
        return numbered[slot].number;
    const struct ttap__slot *s = &ttap__arena_here()->slot[slot];
    uint64_t number = number_of_sources(ttap__load(&s->pid), ttap__load(&s->tid));
    if (number && !claim_for_slot(number))
        number = 0;
    numbered[slot].uid = uid;
    numbered[slot].number = number ? number : uid;
    if (!number && any_running())
        remember(ttap__load(&s->pid), ttap__load(&s->tid), uid);
    return numbered[slot].number;
}

uint64_t ttap__source_number(int pid, int tid)
{
    struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena), found = made;
    uint64_t youngest = 0;
    for (uint32_t i = 0; i < made; i++) {
        const struct ttap__slot *slot = &arena->slot[i];
        if (ttap__load(&slot->tid) != tid || ttap__load(&slot->pid) != pid || ttap__load_acquire(&slot->state) == TTAP__SLOT_FREE)
            continue;
        uint64_t uid = ttap__load(&slot->uid);
        if (uid > youngest) { /* an older one was left by a thread that ended without its destructor */
            youngest = uid;
            found = i;
        }
    }
    uint64_t number = found == made ? number_of_sources(pid, tid) : 0;
    if (number)
        return number;
    number = found < made ? ttap__slot_number(found, youngest) : take_remembered(pid, tid);
    if (!number)
        return __atomic_add_fetch(&arena->next_uid, 1, __ATOMIC_RELAXED);
    claim_for_slot(number);
    return number;
}

/* ---- The end ---- */

void ttap__sources_stop_beyond(uint64_t groups)
{
    for (uint32_t i = 0; linked[i]; i++) {
        if (!running[i] || (linked[i]->groups & groups))
            continue;
        linked[i]->stop();
        running[i] = false;
    }
    if (!any_running())
        forget_slotted();
}

void ttap__sources_after_fork(void)
{
    given_at = 0;
    forget_slotted();
    for (uint32_t i = 0; i < GIVEN; i++)
        given[i].tid = 0;
    for (uint32_t i = 0; linked[i]; i++) {
        running[i] = false;
        linked[i]->after_fork();
    }
}
