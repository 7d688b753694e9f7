/* small_stack.c - handlers on an alternate stack that has room for the kernel's frame and 1 KiB more, with a page behind it that nobody may touch.
 *
 *      | no access | <- 1 KiB, frame of the kernel |       the kernel says how large its frame can be on this processor
 *
 * That is less than MINSIGSTKSZ where vector registers are small, and MINSIGSTKSZ is too little for the kernel itself where they are large. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recording.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
enum { OURS_BYTES = 1024, FRAME_BYTES_UNTOLD = 8192, SIGNALS = 200 };

static volatile sig_atomic_t handled;

static void record_in_handler(int signo)
{
    static struct ttap_name region = TTAP_NAME_INIT("inside"), counter = TTAP_NAME_INIT("signals");
    (void)signo;
    ttap_region_begin(&region);
    ttap_counter(&counter, handled++);
    ttap_region_end(&region);
}

static size_t stack_bytes(void)
{
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    return ((frame ? frame : FRAME_BYTES_UNTOLD) + OURS_BYTES + 15) & ~(size_t)15;
}

/* The first signal comes before the thread has recorded anything. */
static void *be_signalled(void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = stack_bytes(), room = (bytes + 2 * page - 1) / page * page;
    char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory + page, .ss_size = bytes}, off = {.ss_flags = SS_DISABLE};
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) || sigaltstack(&stack, NULL)) {
        perror("an alternate stack");
        return arg;
    }
    for (int i = 0; i < SIGNALS; i++) {
        pthread_kill(pthread_self(), SIGUSR1);
        TTAP_COUNTER("outside", i);
    }
    sigaltstack(&off, NULL);
    munmap(memory, room);
    return NULL;
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    puts("skipped: the sanitizers' frames are larger, and their handlers run first");
    return 77;
#endif
    struct sigaction action = {.sa_handler = record_in_handler, .sa_flags = SA_ONSTACK};
    struct recording r;
    pthread_t thread;
    void *failed;
    sigaction(SIGUSR1, &action, NULL);
    if (recording_start(&r, NULL))
        return 1;
    pthread_create(&thread, NULL, be_signalled, NULL);
    pthread_join(thread, &failed);
    bool exact = recording_stop(&r);
    size_t inside = recording_count(&r, 0, "signals"), outside = recording_count(&r, 0, "outside");
    printf("%zu bytes of stack: %d signals, %zu and %zu events, %s\n", stack_bytes(), (int)handled, inside, outside, exact ? "exact" : "not exact");
    recording_free(&r);
    return failed || !exact || inside != SIGNALS || outside != SIGNALS;
}
