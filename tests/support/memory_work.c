/* memory_work.c - a program, and a child of it, that have more memory for a while.
 *
 *   memory_work MIB [--child]
 *
 * Takes MIB mebibytes and touches them for a while, gives them back for another; prints what the kernel said it had resident
 * before, meanwhile and behind, in bytes. With --child another process does the same with half of it at the same time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PHASE_US 800000 /* sixteen times as long as what is between two looks: a busy machine may miss some */

static void say_resident(const char *when)
{
    long pages[2];
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages[0], &pages[1]) != 2)
        exit(1);
    fclose(file);
    printf("%d %s %ld\n", getpid(), when, pages[1] * sysconf(_SC_PAGESIZE));
    fflush(stdout);
}

static void work(size_t bytes)
{
    usleep(PHASE_US);
    say_resident("before");
    char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        exit(1);
    memset(area, 1, bytes);
    say_resident("meanwhile");
    usleep(PHASE_US);
    munmap(area, bytes);
    say_resident("behind");
    usleep(PHASE_US);
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? (size_t)atol(argv[1]) << 20 : 0;
    pid_t child = argc > 2 && !strcmp(argv[2], "--child") ? fork() : -1;
    if (child == 0) {
        work(bytes / 2);
        return 0;
    }
    work(bytes);
    return child > 0 && waitpid(child, NULL, 0) != child;
}
