/* proc.c - see proc.h. Text that the kernel wrote is parsed as if it could be anything; a thread's name in `stat` really can. */
#include "proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

struct directory_entry { /* struct linux_dirent64 */
    uint64_t inode, offset;
    unsigned short bytes;
    unsigned char type;
    char name[];
};

static long open_file(const char *path, int flags)
{
    return ttap__syscall6(SYS_openat, AT_FDCWD, (long)path, flags | O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

static long read_file(const char *path, char *out, unsigned size)
{
    long fd = open_file(path, 0);
    if (fd < 0)
        return fd;
    long n = ttap__syscall6(SYS_read, fd, (long)out, size - 1, 0, 0, 0);
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
    out[n > 0 ? n : 0] = 0;
    return n;
}

static long read_of_thread(int pid, int tid, const char *what, char *out, unsigned size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, what);
    return read_file(path, out, size);
}

/* Decimal digits; moves on behind them and one blank. */
static uint64_t number_at(const char **text)
{
    uint64_t value = 0;
    while (**text >= '0' && **text <= '9')
        value = value * 10 + (uint64_t)(*(*text)++ - '0');
    if (**text == ' ')
        (*text)++;
    return value;
}

bool ttap__proc_totals(int pid, int tid, struct ttap__proc_totals *out)
{
    char text[96];
    if (read_of_thread(pid, tid, "schedstat", text, sizeof(text)) <= 0)
        return false;
    const char *at = text;
    out->run_ns = number_at(&at);
    out->wait_ns = number_at(&at);
    out->slices = number_at(&at);
    return true;
}

bool ttap__proc_memory(int pid, struct ttap__proc_memory *out)
{
    char path[32], text[160];
    uint64_t pages[6] = {0}; /* size, resident, shared, text, 0, data */
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    if (read_file(path, text, sizeof(text)) <= 0)
        return false;
    const char *at = text;
    for (unsigned i = 0; i < 6; i++)
        pages[i] = number_at(&at);
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    out->resident_bytes = pages[1] * page_bytes;
    out->data_bytes = pages[5] * page_bytes;
    return pages[1] != 0; /* else a zombie */
}

bool ttap__proc_state(int pid, int tid, char *letter)
{
    char text[128];
    if (read_of_thread(pid, tid, "stat", text, sizeof(text)) <= 0)
        return false;
    const char *behind_name = strrchr(text, ')'); /* a name may contain one */
    if (!behind_name || behind_name[1] != ' ' || !behind_name[2])
        return false;
    *letter = behind_name[2];
    return true;
}

long ttap__proc_call(int pid, int tid)
{
    char text[160];
    if (read_of_thread(pid, tid, "syscall", text, sizeof(text)) <= 0)
        return TTAP__CALL_UNKNOWN;
    if (*text < '0' || *text > '9')
        return TTAP__CALL_NONE; /* "running", or -1 */
    const char *at = text;
    return (long)(number_at(&at) & INT32_MAX);
}

int ttap__proc_threads(int pid, void (*each)(void *arg, int tid), void *arg)
{
    char path[40];
    _Alignas(struct directory_entry) char entries[8192];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    long fd = open_file(path, O_DIRECTORY);
    if (fd < 0)
        return -1;
    int count = 0;
    for (long n; (n = ttap__syscall6(SYS_getdents64, fd, (long)entries, sizeof(entries), 0, 0, 0)) > 0;)
        for (long at = 0; at < n; at += ((const struct directory_entry *)(entries + at))->bytes) {
            const char *name = ((const struct directory_entry *)(entries + at))->name;
            int tid = (int)number_at(&name);
            if (!tid)
                continue;
            each(arg, tid);
            count++;
        }
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
    return count;
}

bool ttap__proc_line(const char *path, char *out, unsigned size)
{
    if (read_file(path, out, size) <= 0)
        return false;
    out[strcspn(out, "\n")] = 0;
    return true;
}

long ttap__proc_number(const char *path, long otherwise)
{
    char text[32];
    if (!ttap__proc_line(path, text, sizeof(text)))
        return otherwise;
    const char *at = text;
    bool negative = *at == '-';
    at += negative;
    if (*at < '0' || *at > '9')
        return otherwise;
    long value = (long)number_at(&at);
    return negative ? -value : value;
}
