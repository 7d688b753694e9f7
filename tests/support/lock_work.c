/* lock_work.c - threads that fight for a lock and write down who had it when; they know nothing of being recorded.
 *
 * lock_work crowd N: N threads, each takes one mutex and holds it 1 ms. lock_work one: one thread holds it 5 ms, again and again, and another waits for it.
 * lock_work sleepers N: N threads that sleep 50 ms again and again, until it is killed.
 * At the end one line for each time that it was held (ns since 1970): tid, asked for, got, about to let go, let go. All but the first and the last were
 * taken while it was held.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 2000, ROUNDS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t together;
static struct {
    int tid;
    uint64_t asked_ns, from_ns, to_ns, let_go_ns;
} held[THREADS_MAX];
static unsigned held_count; /* by the lock */

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void hold(uint64_t ns)
{
    uint64_t asked_ns = now_ns();
    pthread_mutex_lock(&lock);
    unsigned at = held_count++;
    held[at].asked_ns = asked_ns;
    held[at].tid = (int)syscall(SYS_gettid);
    held[at].from_ns = now_ns();
    struct timespec nap = {0, (long)ns};
    nanosleep(&nap, NULL);
    held[at].to_ns = now_ns();
    pthread_mutex_unlock(&lock);
    held[at].let_go_ns = now_ns();
}

static void *one_of_the_crowd(void *unused)
{
    pthread_barrier_wait(&together);
    hold(1000000);
    return unused;
}

static void *holder(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&together);
        hold(5000000);
    }
    return unused;
}

static void *waiter(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&together);
        struct timespec nap = {0, 1000000}; /* the other one has it by then */
        nanosleep(&nap, NULL);
        hold(1);
    }
    return unused;
}

static void *sleeper(void *unused)
{
    pthread_barrier_wait(&together);
    for (struct timespec nap = {0, 50000000};;)
        nanosleep(&nap, NULL);
    return unused;
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS_MAX];
    int crowd = argc > 2 && !strcmp(argv[1], "crowd"), sleepers = argc > 2 && !strcmp(argv[1], "sleepers"), count = argc > 2 ? atoi(argv[2]) : 2;
    pthread_attr_t attr;
    if (count < 1 || count > THREADS_MAX)
        return 2;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    pthread_barrier_init(&together, NULL, (unsigned)count + (unsigned)sleepers);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], &attr, sleepers ? sleeper : crowd ? one_of_the_crowd : i ? waiter : holder, NULL))
            return 3;
    if (sleepers) {
        pthread_barrier_wait(&together);
        puts("ready");
        fflush(stdout);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < held_count; i++)
        printf("%d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", held[i].tid, held[i].asked_ns, held[i].from_ns, held[i].to_ns,
               held[i].let_go_ns);
    return 0;
}
