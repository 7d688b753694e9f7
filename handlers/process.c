/* process.c - the traced process: its name, its age, and the file name of what is recorded of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "handlers.h"

uint64_t ttap__clock_ns(int clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * TTAP__NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* It goes into a header and becomes a file name on somebody's disk: no quotes, no separators, no leading dot. */
void ttap__process_exe(char *out, size_t size)
{
    if (!ttap__traced_name(out, size))
        snprintf(out, size, "program");
    for (char *c = out; *c; c++)
        if (!is_safe(*c) || (c == out && *c == '.'))
            *c = '_';
}

/* The 22nd field of /proc/PID/stat, in clock ticks since boot. The second field may hold blanks and brackets; it
 * ends at the last ')'. */
static uint64_t start_ticks(void)
{
    char path[32], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", ttap__traced_pid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[len > 0 ? len : 0] = 0;
    char *field = strrchr(stat, ')');
    for (int number = 2; field && number < 22; number++)
        field = strchr(field + 1, ' ');
    return field ? strtoull(field + 1, NULL, 10) : 0;
}

uint64_t ttap__process_uptime_ns(void)
{
    uint64_t ticks = start_ticks();
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t now_ns = ttap__clock_ns(CLOCK_BOOTTIME);
    if (!ticks || hz <= 0)
        return 0;
    uint64_t started_ns = ticks / (uint64_t)hz * TTAP__NS_PER_S + ticks % (uint64_t)hz * (TTAP__NS_PER_S / (uint64_t)hz);
    return now_ns > started_ns ? now_ns - started_ns : 0;
}

void ttap__disposition(char *out, size_t size, const struct ttap_http *http, uint64_t unix_ns, const char *extension)
{
    time_t seconds = (time_t)(unix_ns / TTAP__NS_PER_S);
    struct tm utc;
    char stamp[32] = "0", exe[sizeof http->exe];
    int pid = ttap__traced_pid();
    if (pid == getpid())
        snprintf(exe, sizeof exe, "%s", http->exe);
    else
        ttap__process_exe(exe, sizeof exe); /* it has become another program since the endpoint was started */
    if (gmtime_r(&seconds, &utc))
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(out, size, "attachment; filename=\"%s-%ld-%s.%s\"", exe, (long)pid, stamp, extension);
}
