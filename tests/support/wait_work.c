/* wait_work.c - threads that wait for each other at all there is to wait at, and write down who ended which wait; they know nothing of being recorded.
 *
 * Teams of four threads, one kind after the other. Who is to end a wait does so when those who wait are asleep, so that each wait is one that
 * somebody ended, and by a call of its own.
 * At the end one line for each: number of the wait, kind, tid of who waited, from, to, tid of who ended it, from, to (of the ending call; ns since 1970).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TEAM = 4, ROUNDS = 80, TURNS = 240, JOINS = 100, WAITS_MAX = 4000, ENDS_MAX = 2000 };

struct end {
    int tid;
    uint64_t from_ns, to_ns;
};
static struct end ends[ENDS_MAX];
static unsigned ends_count;
static struct {
    const char *kind;
    int tid;
    uint64_t from_ns, to_ns;
    unsigned end;
} waits[WAITS_MAX];
static unsigned waits_count;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int own_tid(void)
{
    return (int)syscall(SYS_gettid);
}

static void note_wait(const char *kind, uint64_t from_ns, unsigned end)
{
    unsigned at = __atomic_fetch_add(&waits_count, 1, __ATOMIC_RELAXED);
    waits[at].kind = kind;
    waits[at].tid = own_tid();
    waits[at].from_ns = from_ns;
    waits[at].to_ns = now_ns();
    waits[at].end = end;
}

/* The ending of waits that begins now; told to those who wait by its number. */
static unsigned begin_end(void)
{
    unsigned at = __atomic_fetch_add(&ends_count, 1, __ATOMIC_RELAXED);
    ends[at].tid = own_tid();
    ends[at].from_ns = now_ns();
    return at;
}

static void nap(void)
{
    struct timespec ts = {0, 20000};
    syscall(SYS_nanosleep, &ts, NULL);
}

/* A thread that has said that it is about to wait, and has been found asleep since, waits: it does nothing else in between. */
static void until_asleep(const int *tid)
{
    for (;; nap()) {
        char path[64], stat[64] = "";
        int known = __atomic_load_n(tid, __ATOMIC_ACQUIRE);
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", known);
        int fd = known ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        bool read_it = syscall(SYS_read, fd, stat, sizeof stat - 1) > 0;
        close(fd);
        const char *state = strrchr(stat, ')');
        if (read_it && state && state[2] == 'S')
            return;
    }
}

/* Who is about to wait, by tid; each its own. 0: nobody. */
static int waiting[TEAM];

static void about_to_wait(unsigned me)
{
    __atomic_store_n(&waiting[me], own_tid(), __ATOMIC_RELEASE);
}

static void waits_no_more(unsigned me)
{
    __atomic_store_n(&waiting[me], 0, __ATOMIC_RELEASE);
}

static void until_others_sleep(unsigned me)
{
    for (unsigned i = 0; i < TEAM; i++)
        if (i != me)
            until_asleep(&waiting[i]);
}

/* ---- The turn goes from one to another, who waits for it at a semaphore, or at a condition: each may be woken by any ---- */

static struct {
    sem_t sem;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool called;
    unsigned end;
} seats[TEAM];
static unsigned turns_left, random_state;
static bool turns_over, by_semaphore;

static void call(unsigned next)
{
    until_asleep(&waiting[next]);
    if (by_semaphore) {
        unsigned end = seats[next].end = begin_end();
        sem_post(&seats[next].sem);
        ends[end].to_ns = now_ns();
        return;
    }
    pthread_mutex_lock(&seats[next].lock);
    unsigned end = seats[next].end = begin_end();
    seats[next].called = true;
    pthread_cond_signal(&seats[next].cond);
    pthread_mutex_unlock(&seats[next].lock);
    ends[end].to_ns = now_ns();
}

static void wait_for_a_call(unsigned me)
{
    if (by_semaphore) {
        about_to_wait(me);
        uint64_t from_ns = now_ns();
        sem_wait(&seats[me].sem);
        note_wait("semaphore", from_ns, seats[me].end);
        waits_no_more(me);
        return;
    }
    pthread_mutex_lock(&seats[me].lock);
    about_to_wait(me);
    uint64_t from_ns = now_ns();
    while (!seats[me].called)
        pthread_cond_wait(&seats[me].cond, &seats[me].lock);
    note_wait("signal", from_ns, seats[me].end);
    seats[me].called = false;
    waits_no_more(me);
    pthread_mutex_unlock(&seats[me].lock);
}

static void *take_turns(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    if (me != 0)
        wait_for_a_call(me);
    while (!turns_over) { /* only who was called looks at all these */
        if (turns_left-- == 0) {
            turns_over = true;
            for (unsigned i = 0; i < TEAM; i++)
                if (i != me)
                    call(i);
            return NULL;
        }
        call((me + 1 + (unsigned)rand_r(&random_state) % (TEAM - 1)) % TEAM);
        wait_for_a_call(me);
    }
    return NULL;
}

/* ---- Who comes last wakes the others ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static unsigned arrived, generation, last_end;
static unsigned came_to_barrier; /* to wait, in all rounds: who is still asleep from the round before has not come to this one */
static bool wrong;

static void *meet_at_condition(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_mutex_lock(&gate);
        if (++arrived == TEAM) {
            until_others_sleep(me);
            arrived = 0;
            generation++;
            unsigned end = last_end = begin_end();
            pthread_cond_broadcast(&opened);
            ends[end].to_ns = now_ns();
        } else {
            unsigned before = generation;
            about_to_wait(me);
            uint64_t from_ns = now_ns();
            while (before == generation)
                pthread_cond_wait(&opened, &gate);
            note_wait("broadcast", from_ns, last_end);
            waits_no_more(me);
        }
        pthread_mutex_unlock(&gate);
    }
    return NULL;
}

static void *meet_at_barrier(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % TEAM == me) {
            while (__atomic_load_n(&came_to_barrier, __ATOMIC_ACQUIRE) != (round + 1) * (TEAM - 1))
                nap();
            until_others_sleep(me);
            unsigned end = last_end = begin_end();
            wrong |= pthread_barrier_wait(&barrier) != PTHREAD_BARRIER_SERIAL_THREAD;
            ends[end].to_ns = now_ns();
            continue;
        }
        about_to_wait(me);
        __atomic_fetch_add(&came_to_barrier, 1, __ATOMIC_RELEASE);
        uint64_t from_ns = now_ns();
        pthread_barrier_wait(&barrier);
        note_wait("barrier", from_ns, last_end);
        waits_no_more(me);
    }
    return NULL;
}

/* ---- A read-write lock: readers wait for its writer; or a writer for two readers, of whom the second one lets it in ---- */

static pthread_rwlock_t pages = PTHREAD_RWLOCK_INITIALIZER;
static unsigned stage; /* each round has four, which all go through in step */

static void until_stage(unsigned wanted)
{
    while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) != wanted)
        nap();
}

static void next_stage(void)
{
    __atomic_fetch_add(&stage, 1, __ATOMIC_ACQ_REL);
}

static void let_go(void)
{
    unsigned end = last_end = begin_end();
    pthread_rwlock_unlock(&pages);
    ends[end].to_ns = now_ns();
}

static void wait_for_pages(unsigned me, const char *kind, int (*lock)(pthread_rwlock_t *))
{
    about_to_wait(me);
    uint64_t from_ns = now_ns();
    lock(&pages);
    note_wait(kind, from_ns, last_end);
    waits_no_more(me);
    pthread_rwlock_unlock(&pages);
}

static void one_writes(unsigned me, unsigned writer, unsigned first_stage)
{
    if (me == writer) {
        pthread_rwlock_wrlock(&pages);
        next_stage();
        until_others_sleep(me);
        let_go();
    } else {
        until_stage(first_stage + 1);
        wait_for_pages(me, "write-unlock", pthread_rwlock_rdlock);
    }
}

static void two_read(unsigned me, unsigned first, unsigned first_stage)
{
    unsigned second = (first + 1) % TEAM, writer = (first + 2) % TEAM;
    if (me == first) {
        pthread_rwlock_rdlock(&pages);
        next_stage();
        until_stage(first_stage + 2);
        until_asleep(&waiting[writer]);
        pthread_rwlock_unlock(&pages);
        next_stage();
    } else if (me == second) {
        until_stage(first_stage + 1);
        pthread_rwlock_rdlock(&pages);
        next_stage();
        until_stage(first_stage + 3);
        let_go();
    } else if (me == writer) {
        until_stage(first_stage + 2);
        wait_for_pages(me, "read-unlock", pthread_rwlock_wrlock);
    }
}

static void *read_and_write(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    for (unsigned round = 0; round < 2 * ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        unsigned now = __atomic_load_n(&stage, __ATOMIC_ACQUIRE);
        pthread_barrier_wait(&barrier);
        if (round % 2)
            two_read(me, round / 2 % TEAM, now);
        else
            one_writes(me, round / 2 % TEAM, now);
    }
    return NULL;
}

/* ---- Joins, and all of it ---- */

static void *wait_to_be_joined(void *unused)
{
    until_asleep(&waiting[0]);
    last_end = begin_end();
    return unused;
}

static int join_each(void)
{
    for (unsigned i = 0; i < JOINS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, wait_to_be_joined, NULL))
            return -1;
        about_to_wait(0);
        uint64_t from_ns = now_ns();
        pthread_join(thread, NULL);
        ends[last_end].to_ns = now_ns();
        note_wait("join", from_ns, last_end);
        waits_no_more(0);
    }
    return 0;
}

static int team(void *(*work)(void *))
{
    pthread_t threads[TEAM];
    for (unsigned i = 0; i < TEAM; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i))
            return -1;
    for (unsigned i = 0; i < TEAM; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int team_that_takes_turns(bool semaphores)
{
    by_semaphore = semaphores;
    turns_left = TURNS;
    turns_over = false;
    return team(take_turns);
}

int main(void)
{
    for (unsigned i = 0; i < TEAM; i++) {
        sem_init(&seats[i].sem, 0, 0);
        pthread_mutex_init(&seats[i].lock, NULL);
        pthread_cond_init(&seats[i].cond, NULL);
    }
    pthread_barrier_init(&barrier, NULL, TEAM);
    if (team_that_takes_turns(true) || team_that_takes_turns(false) || team(meet_at_condition) || team(meet_at_barrier) || team(read_and_write) ||
        join_each())
        return 3;
    if (wrong)
        return 4;
    for (unsigned i = 0; i < waits_count; i++) {
        const struct end *end = &ends[waits[i].end];
        printf("%u %s %d %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 "\n", i, waits[i].kind, waits[i].tid, waits[i].from_ns, waits[i].to_ns,
               end->tid, end->from_ns, end->to_ns);
    }
    return 0;
}
