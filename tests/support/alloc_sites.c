/* alloc_sites.c - two functions that allocate, and know how much.
 *
 *   alloc_sites sites [--fork]   both, three bytes in the first to one in the second, in odd sizes from 1 to 20,000 and in even ones, in two threads; one of them in a child.
 *                                Prints `NAME TID BYTES` for each function and thread.
 *   alloc_sites handler          a handler allocates, on an alternate stack with little room, and then on the thread's own
 *
 * Exits with 1 where errno changed or an allocator failed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EACH = 3000, SIZE_MAX_BYTES = 20000, SIGNALS = 100, IN_HANDLER_BYTES = 65536, SMALL_STACK_BYTES = 16000, HANDLER_NEEDS_BYTES = 3000 };

/* Real frames under their own names: nothing that the compiler could put in for their arguments. */
#define SITE static __attribute__((noinline))
static volatile size_t in_handler_bytes = IN_HANDLER_BYTES, in_child_bytes = 1 << 20;

static void take(void *p)
{
    char *volatile bytes = p;
    if (!bytes || errno != 77)
        _exit(1);
    bytes[0] = 1;
    free(bytes);
    errno = 77;
}

SITE void three_parts(size_t bytes)
{
    take(malloc(bytes));
}

SITE void one_part(size_t bytes)
{
    take(calloc(bytes, 1));
}

static void *allocate(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    unsigned long three = 0, one = 0;
    errno = 77;
    for (int i = 0; i < EACH; i++) {
        random = random * 1664525u + 1013904223u;
        size_t bytes = 1 + (random >> 8) % SIZE_MAX_BYTES;
        bytes = (i % 2 ? 1 + bytes % 200 : bytes) | 1; /* small beside large */
        for (int part = 0; part < 3; part++, three += bytes)
            three_parts(bytes);
        one_part(bytes + 1);
        one += bytes + 1;
    }
    char line[160];
    int len = snprintf(line, sizeof(line), "three_parts %d %lu\none_part %d %lu\n", gettid(), three, gettid(), one);
    return write(1, line, (size_t)len) == len ? NULL : arg;
}

static int two_threads(void)
{
    pthread_t thread[2];
    void *failed[2];
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, allocate, (void *)(i + 1));
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], &failed[i]);
    return failed[0] || failed[1];
}

static int with_children(void)
{
    int status, vfork_status;
    pid_t child = fork();
    if (!child)
        _exit(two_threads());
    pid_t shares_memory = vfork();
    if (!shares_memory) {
        errno = 77;
        three_parts(in_child_bytes);
        _exit(0);
    }
    int failed = two_threads();
    return failed || waitpid(child, &status, 0) != child || status || waitpid(shares_memory, &vfork_status, 0) != shares_memory || vfork_status;
}

SITE void in_handler(size_t bytes)
{
    take(malloc(bytes));
}

static void on_signal(int number)
{
    (void)number;
    errno = 77;
    in_handler(in_handler_bytes);
}

static int handler(void)
{
    static char memory[SMALL_STACK_BYTES] __attribute__((aligned(16)));
    stack_t small = {.ss_sp = memory, .ss_size = sizeof(memory)};
    struct sigaction cramped = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK}, roomy = {.sa_handler = on_signal};
    if (getauxval(51 /* AT_MINSIGSTKSZ */) + HANDLER_NEEDS_BYTES > SMALL_STACK_BYTES) {
        puts("skipped: what the kernel puts on a signal stack of this processor leaves no room on a small one");
        return 77;
    }
    if (sigaltstack(&small, NULL))
        return 1;
    sigaction(SIGUSR1, &cramped, NULL);
    sigaction(SIGUSR2, &roomy, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        raise(SIGUSR1);
        raise(SIGUSR2);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "handler"))
        return handler();
    if (argc < 2 || strcmp(argv[1], "sites") != 0)
        return 2;
    return argc > 2 && !strcmp(argv[2], "--fork") ? with_children() : two_threads();
}
