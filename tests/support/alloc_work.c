/* alloc_work.c - threads that know what they allocate.
 *
 *   alloc_work THREADS [--fork]
 *
 * Thread n, named alloc-n, makes 1000 * n allocations of 100 bytes each, in every way there is, and frees them. Prints `TID CALLS BYTES FREES` for
 * each. With --fork half of them are in a child. Exits with 1 where an allocator did not do what it should.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 16, EACH = 1000, BYTES = 100 };

struct made {
    unsigned number;
    int tid;
    unsigned long calls, bytes, frees;
    void *(*way)(size_t bytes);
};

static void *by_malloc(size_t bytes)
{
    return malloc(bytes);
}
static void *by_calloc(size_t bytes)
{
    return calloc(bytes / 4, 4);
}
static void *by_realloc(size_t bytes)
{
    return realloc(NULL, bytes);
}
static void *by_reallocarray(size_t bytes)
{
    return reallocarray(NULL, bytes / 4, 4);
}
static void *by_memalign(size_t bytes)
{
    return memalign(64, bytes);
}
static void *by_posix_memalign(size_t bytes)
{
    void *p = NULL;
    return posix_memalign(&p, 64, bytes) ? NULL : p;
}
static void *(*const ways[])(size_t bytes) = {by_malloc, by_calloc, by_realloc, by_reallocarray, by_memalign, by_posix_memalign};

static void *allocate(void *arg)
{
    struct made *made = arg;
    char name[16];
    snprintf(name, sizeof(name), "alloc-%u", made->number);
    prctl(PR_SET_NAME, name);
    made->tid = gettid();
    for (unsigned i = 0; i < EACH * made->number; i++) {
        errno = 77;
        char *volatile p = ways[i % (sizeof(ways) / sizeof(ways[0]))](BYTES);
        if (!p || errno != 77)
            exit(1);
        memset(p, 1, BYTES);
        free(p);
        made->calls++;
        made->bytes += BYTES;
        made->frees++;
        if (i % 256 == 0)
            usleep(1000);
    }
    return NULL;
}

static void run(unsigned first, unsigned threads)
{
    static struct made made[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        made[i].number = first + i;
        pthread_create(&thread[i], NULL, allocate, &made[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        printf("%d %lu %lu %lu\n", made[i].tid, made[i].calls, made[i].bytes, made[i].frees);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    if (argc > 2 && !strcmp(argv[2], "--fork")) {
        pid_t child = fork();
        if (!child) {
            run(threads / 2 + 1, threads - threads / 2);
            return 0;
        }
        run(1, threads / 2);
        int status;
        return waitpid(child, &status, 0) != child || status;
    }
    run(1, threads);
    return 0;
}
