/*
 * program.c - what the traced program is called.
 *
 *     /proc/PID/exe      redis-check-rdb    the file that it is, behind all links
 *     /proc/PID/comm     redis-server       the name it was started by, cut to 15 characters; or what its first thread calls itself
 *     /proc/PID/cmdline  redis-server *:6379
 *
 * One file may be many programs. Where comm and the command line agree, that is its name; where only one says something else, it may be a
 * thread's name, a script or a title, and the file's name stands.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "init.h"
#include "share.h"

#define COMM_CHARS 15    /* TASK_COMM_LEN without its end */
#define ARGUMENT_MAX 512 /* a first argument beyond that is cut, and then agrees with nothing */

static const char *name_to_be;

void ttap__keeper_program(int pid, const char *name)
{
    name_to_be = name;
    ttap__share_name_program(pid);
}

static const char *behind_last_slash(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void path_of(char *out, size_t size, const char *entry)
{
    if (ttap__share_role == TTAP__SHARE_KEEPER)
        snprintf(out, size, "/proc/%d/%s", ttap__traced_pid(), entry);
    else
        snprintf(out, size, "/proc/self/%s", entry);
}

/* The first line or argument. */
static void read_first(const char *entry, char *out, size_t size)
{
    char path[40];
    path_of(path, sizeof(path), entry);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

/* Between fork and exec: what the command that starts programs is called does not matter to anybody. */
static bool is_to_come(const char *file)
{
    char own[4096];
    ssize_t n = name_to_be ? readlink("/proc/self/exe", own, sizeof(own) - 1) : 0;
    own[n > 0 ? n : 0] = 0;
    return n > 0 && strcmp(own, file) == 0;
}

static bool same_as_comm(const char *name, const char *comm)
{
    return *comm && strncmp(name, comm, COMM_CHARS) == 0;
}

size_t ttap__traced_name(char *out, size_t size)
{
    char path[40], file[4096], argument[ARGUMENT_MAX], comm[32];
    path_of(path, sizeof(path), "exe");
    ssize_t n = readlink(path, file, sizeof(file) - 1);
    if (n <= 0)
        return 0;
    file[n] = 0;
    bool to_come = is_to_come(file);
    char *deleted = strstr(file, " (deleted)"); /* the kernel's mark of a replaced binary */
    if (deleted)
        *deleted = 0;
    const char *name = behind_last_slash(file);
    read_first("comm", comm, sizeof(comm));
    read_first("cmdline", argument, sizeof(argument));
    argument[strcspn(argument, " ")] = 0; /* a title that a program gave itself goes on behind its name */
    if (to_come)
        name = behind_last_slash(name_to_be);
    else if (!same_as_comm(name, comm) && same_as_comm(behind_last_slash(argument), comm))
        name = behind_last_slash(argument);
    size_t len = strlen(name);
    len = len < size ? len : size - 1;
    memcpy(out, name, len);
    out[len] = 0;
    return len;
}
