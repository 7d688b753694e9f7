/* checkup.c - see checkup.h.
 *
 * What the kernel asks for before it lets a thread be watched, tier by tier (docs/design/states.md):
 *
 *   T1  perf_event_open: paranoid <= 2 or CAP_PERFMON, no filter; a descriptor for each thread and CPU; locked memory for a ring a CPU
 *   T2  CAP_PERFMON in the first user namespace, the first PID namespace, the id of sched_waking from tracefs
 *
 * For a process that `tracetap run` started the rights that count are its keeper's. All of this is a prediction; a trial is what the
 * process's own status tells, which the command asks where it can.
 */
#define _GNU_SOURCE
#include "checkup.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"
#include "text.h"

enum {
    CAP_DAC_OVERRIDE_BIT = 1, /* linux/capability.h, whose names glibc does not have */
    CAP_DAC_READ_SEARCH_BIT = 2,
    CAP_IPC_LOCK_BIT = 14,
    CAP_SYS_ADMIN_BIT = 21,
    CAP_PERFMON_BIT = 38,
    GROUPS_MAX = 64,
    FILE_BYTES = 16384,
    RING_BYTES_MIN = 20 << 10 /* of a CPU: the smallest ring and its page (trace/sources/perf.c) */
};

#define NO_SUCH_NUMBER (-1000000L)

const char *const cli_check_states[] = {"ok", "missing", "unknown", "impossible"};

struct cli_check *cli_checkup_add(struct cli_checkup *checkup, const char *name, enum cli_check_state state, const char *format, ...)
{
    static struct cli_check beyond; /* a server of more sources than we know of: the rest is dropped */
    struct cli_check *check = checkup->count < CLI_CHECKS_MAX ? &checkup->checks[checkup->count++] : &beyond;
    va_list args;
    *check = (struct cli_check){.state = state};
    snprintf(check->name, sizeof check->name, "%s", name);
    va_start(args, format);
    vsnprintf(check->what, sizeof check->what, format, args);
    va_end(args);
    return check;
}

/* ---- Reading /proc ---- */

static bool read_proc(int pid, const char *what, char *out, size_t size, size_t *len)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t n = -1;
    while (fd >= 0 && have < size - 1 && (n = read(fd, out + have, size - 1 - have)) > 0)
        have += (size_t)n;
    if (fd >= 0)
        close(fd);
    out[have] = 0;
    if (len)
        *len = have;
    return n >= 0;
}

static long number_in(const char *path, long otherwise)
{
    FILE *file = fopen(path, "re");
    long value = otherwise;
    if (file && fscanf(file, "%ld", &value) != 1)
        value = otherwise;
    if (file)
        fclose(file);
    return value;
}

/* Behind "Name:" at the start of a line; NULL: there is none. */
static const char *field(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0)
            return line + len;
    }
    return NULL;
}

struct rights {
    unsigned uid, gid, groups[GROUPS_MAX], group_count;
    uint64_t capabilities;
    int seccomp;
    long threads;
    uint64_t descriptors, locked_bytes;
    bool first_user_ns, first_pid_ns, ns_known;
};

static uint64_t soft_limit(const char *limits, const char *name)
{
    const char *at = field(limits, name);
    if (!at)
        return 0;
    at += strspn(at, " \t");
    return *at == 'u' /* unlimited */ ? UINT64_MAX : strtoull(at, NULL, 10);
}

static bool is_first_namespace(int pid, const char *which, const char *first, bool *known)
{
    char path[64], link[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, which);
    ssize_t n = readlink(path, link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    *known = *known && n > 0;
    return strcmp(link, first) == 0;
}

static bool read_rights(int pid, struct rights *rights)
{
    char text[FILE_BYTES];
    if (!read_proc(pid, "status", text, sizeof text, NULL))
        return false;
    *rights = (struct rights){.ns_known = true};
    const char *uid = field(text, "Uid:"), *gid = field(text, "Gid:"), *groups = field(text, "Groups:"), *cap = field(text, "CapEff:");
    const char *seccomp = field(text, "Seccomp:"), *threads = field(text, "Threads:");
    if (!uid || !gid || !cap)
        return false;
    sscanf(uid, "%*u %u", &rights->uid); /* real, effective, ... */
    sscanf(gid, "%*u %u", &rights->gid);
    while (groups && *groups != '\n' && rights->group_count < GROUPS_MAX) {
        char *end;
        unsigned long group = strtoul(groups, &end, 10);
        if (end == groups)
            break;
        rights->groups[rights->group_count++] = (unsigned)group;
        groups = end + strspn(end, " \t");
    }
    rights->capabilities = strtoull(cap, NULL, 16);
    rights->seccomp = seccomp ? atoi(seccomp) : 0;
    rights->threads = threads ? atol(threads) : 1;
    if (read_proc(pid, "limits", text, sizeof text, NULL)) {
        rights->descriptors = soft_limit(text, "Max open files");
        rights->locked_bytes = soft_limit(text, "Max locked memory");
    }
    /* The numbers of the first namespaces are fixed (proc_ns.h of the kernel). */
    rights->first_user_ns = is_first_namespace(pid, "user", "user:[4026531837]", &rights->ns_known);
    rights->first_pid_ns = is_first_namespace(pid, "pid", "pid:[4026531836]", &rights->ns_known);
    return true;
}

static bool has(const struct rights *rights, int capability)
{
    return rights->capabilities >> capability & 1;
}

static bool may_watch_others(const struct rights *rights)
{
    return (rights->first_user_ns || !rights->ns_known) && (has(rights, CAP_PERFMON_BIT) || has(rights, CAP_SYS_ADMIN_BIT));
}

/* ---- Tier 1 ---- */

static void enable(struct cli_check *check, const char *first, const char *second, const char *third)
{
    const char *lines[CLI_CHECK_LINES] = {first, second, third};
    for (int i = 0; i < CLI_CHECK_LINES; i++)
        snprintf(check->enable[i], sizeof check->enable[i], "%s", lines[i] ? lines[i] : "");
}

static const char *const perfmon_systemd = "systemd unit, [Service]: AmbientCapabilities=CAP_PERFMON", *const perfmon_docker =
                                                                                                           "docker run --cap-add=PERFMON";

static bool check_perf(struct cli_checkup *checkup, const struct rights *rights)
{
    long paranoid = number_in("/proc/sys/kernel/perf_event_paranoid", NO_SUCH_NUMBER);
    if (paranoid == NO_SUCH_NUMBER) {
        cli_checkup_add(checkup, "perf_event_open", CLI_CHECK_IMPOSSIBLE,
                        "this kernel is built without CONFIG_PERF_EVENTS: threads are looked at now and then");
        return false;
    }
    if (rights->seccomp == 2 && !may_watch_others(rights)) {
        enable(cli_checkup_add(checkup, "perf_event_open", CLI_CHECK_UNKNOWN,
                               "a system call filter is in force, and Docker's default one refuses perf_event_open "
                               "without CAP_PERFMON"),
               perfmon_docker, "systemd unit, [Service]: SystemCallFilter=perf_event_open", NULL);
        return false;
    }
    if (paranoid > 2 && !may_watch_others(rights)) {
        enable(cli_checkup_add(checkup, "perf_event_open", CLI_CHECK_MISSING,
                               "kernel.perf_event_paranoid is %ld, with which kernels of Debian, Ubuntu and others refuse it", paranoid),
               "sysctl -w kernel.perf_event_paranoid=2", perfmon_systemd, perfmon_docker);
        return false;
    }
    cli_checkup_add(checkup, "perf_event_open", CLI_CHECK_OK, "kernel.perf_event_paranoid is %ld%s", paranoid,
                    may_watch_others(rights) ? ", and CAP_PERFMON is held" : "");
    return true;
}

static bool check_descriptors(struct cli_checkup *checkup, const struct rights *rights, long cpus, long threads)
{
    uint64_t needed = (uint64_t)cpus * (uint64_t)(threads + 2); /* and a ring and the wakes of each CPU */
    if (rights->descriptors >= needed) {
        cli_checkup_add(checkup, "descriptors", CLI_CHECK_OK, "%ld threads on %ld CPUs take %llu of %llu, while somebody records", threads, cpus,
                        (unsigned long long)needed, (unsigned long long)rights->descriptors);
        return true;
    }
    struct cli_check *check = cli_checkup_add(checkup, "descriptors", CLI_CHECK_MISSING, "%ld threads on %ld CPUs take %llu, and %llu are allowed",
                                              threads, cpus, (unsigned long long)needed, (unsigned long long)rights->descriptors);
    snprintf(check->enable[0], sizeof check->enable[0], "systemd unit, [Service]: LimitNOFILE=%llu", (unsigned long long)needed * 2);
    snprintf(check->enable[1], sizeof check->enable[1], "docker run --ulimit nofile=%llu", (unsigned long long)needed * 2);
    return false;
}

static bool check_locked_memory(struct cli_checkup *checkup, const struct rights *rights, long cpus)
{
    uint64_t needed = (uint64_t)cpus * RING_BYTES_MIN,
             user_bytes = (uint64_t)number_in("/proc/sys/kernel/perf_event_mlock_kb", 516) * 1024 * (uint64_t)cpus;
    bool no_limit = has(rights, CAP_IPC_LOCK_BIT) || rights->locked_bytes == UINT64_MAX;
    if (no_limit || user_bytes + rights->locked_bytes >= needed) {
        cli_checkup_add(checkup, "locked memory", CLI_CHECK_OK, "room for the rings of %ld CPUs, at least %llu KiB", cpus,
                        (unsigned long long)needed / 1024);
        return true;
    }
    struct cli_check *check =
        cli_checkup_add(checkup, "locked memory", CLI_CHECK_MISSING, "the rings of %ld CPUs take %llu KiB, and %llu are allowed", cpus,
                        (unsigned long long)needed / 1024, (unsigned long long)(user_bytes + rights->locked_bytes) / 1024);
    enable(check, "sysctl -w kernel.perf_event_mlock_kb=516", "systemd unit, [Service]: LimitMEMLOCK=8M", NULL);
    return false;
}

/* ---- Tier 2 ---- */

static bool check_capability(struct cli_checkup *checkup, const struct rights *rights)
{
    if (may_watch_others(rights) || number_in("/proc/sys/kernel/perf_event_paranoid", 2) < 0) {
        cli_checkup_add(checkup, "CAP_PERFMON", CLI_CHECK_OK, "other tasks may be recorded, and so who woke whom");
        return true;
    }
    if (rights->ns_known && !rights->first_user_ns) {
        cli_checkup_add(checkup, "CAP_PERFMON", CLI_CHECK_IMPOSSIBLE, "in a user namespace the kernel grants nobody the right to record other tasks");
        return false;
    }
    enable(cli_checkup_add(checkup, "CAP_PERFMON", CLI_CHECK_MISSING, "other tasks may not be recorded, so not who woke whom"), perfmon_systemd,
           perfmon_docker, "setpriv --inh-caps=+perfmon --ambient-caps=+perfmon PROGRAM");
    return false;
}

static bool check_pid_namespace(struct cli_checkup *checkup, const struct rights *rights)
{
    if (rights->first_pid_ns || !rights->ns_known) {
        bool seen = rights->ns_known;
        cli_checkup_add(checkup, "PID namespace", seen ? CLI_CHECK_OK : CLI_CHECK_UNKNOWN,
                        seen ? "the first one" : "not readable: look as root, or as its user");
        return seen;
    }
    enable(cli_checkup_add(checkup, "PID namespace", CLI_CHECK_MISSING,
                           "a container's own: the kernel's wake records carry numbers that mean nothing there"),
           "docker run --pid=host", NULL, NULL);
    return false;
}

static bool in_group(const struct rights *rights, unsigned gid)
{
    bool found = rights->gid == gid;
    for (unsigned i = 0; i < rights->group_count; i++)
        found |= rights->groups[i] == gid;
    return found;
}

/* @bit: of the three for others, as 4 for reading. */
static bool may(const struct rights *rights, const char *path, unsigned bit)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (has(rights, CAP_DAC_OVERRIDE_BIT) || has(rights, CAP_DAC_READ_SEARCH_BIT))
        return true;
    unsigned shift = st.st_uid == rights->uid ? 6 : in_group(rights, st.st_gid) ? 3 : 0;
    return st.st_mode >> shift & bit;
}

static bool check_tracefs(struct cli_checkup *checkup, int pid, const struct rights *rights)
{
    static const char *const folders[] = {"sys/kernel/tracing", "sys/kernel/debug/tracing"};
    char folder[96], file[160], line[CLI_CHECK_TEXT];
    bool mounted = false;
    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(folder, sizeof folder, "/proc/%d/root/%s", pid, folders[i]);
        snprintf(file, sizeof file, "%s/events/sched/sched_waking/id", folder);
        mounted |= access(file, F_OK) == 0;
        if (may(rights, folder, 1) && may(rights, file, 4)) {
            cli_checkup_add(checkup, "tracefs", CLI_CHECK_OK, "the id of sched_waking can be read");
            return true;
        }
    }
    char environment[FILE_BYTES];
    size_t len;
    if (read_proc(pid, "environ", environment, sizeof environment, &len) && memmem(environment, len, "TRACETAP_WAKING_ID=", 19)) {
        cli_checkup_add(checkup, "tracefs", CLI_CHECK_OK, "the id of sched_waking is given in TRACETAP_WAKING_ID");
        return true;
    }
    snprintf(line, sizeof line, "mount -o remount,mode=750,gid=%u /sys/kernel/tracing", rights->gid);
    enable(cli_checkup_add(checkup, "tracefs", CLI_CHECK_MISSING,
                           mounted ? "the id of sched_waking may not be read by user %u" : "not mounted, or not to be seen by user %u", rights->uid),
           mounted ? line : "mount -t tracefs nodev /sys/kernel/tracing",
           rights->uid ? "TRACETAP_WAKING_ID=$(sudo cat /sys/kernel/tracing/events/sched/sched_waking/id) in the environment" : NULL, NULL);
    return false;
}

static void check_rights(struct cli_checkup *checkup, int pid, const struct rights *rights, long threads)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    bool first = check_perf(checkup, rights);
    first &= check_descriptors(checkup, rights, cpus, threads);
    first &= check_locked_memory(checkup, rights, cpus);
    bool second = check_capability(checkup, rights);
    second &= check_pid_namespace(checkup, rights);
    second &= check_tracefs(checkup, pid, rights);
    checkup->tier = !first ? 0 : second ? 2 : 1;
}

void cli_checkup_rights(struct cli_checkup *checkup, int pid)
{
    struct rights rights;
    if (read_rights(pid, &rights))
        check_rights(checkup, pid, &rights, rights.threads);
}

/* ---- A process ---- */

/* The loader was told that the program gained rights when it was started. */
static bool was_secure(int pid)
{
    Elf64_auxv_t vector[64];
    size_t len;
    if (!read_proc(pid, "auxv", (char *)vector, sizeof vector, &len))
        return false;
    for (size_t i = 0; i < len / sizeof *vector; i++)
        if (vector[i].a_type == AT_SECURE)
            return vector[i].a_un.a_val != 0;
    return false;
}

/* False: it has none, as a thread of the kernel. */
static bool check_program(struct cli_checkup *checkup, int pid, const char *name)
{
    char path[32], why[CLI_CHECK_TEXT], link[8];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && readlink(path, link, sizeof link) < 0) {
        cli_checkup_add(checkup, "program", CLI_CHECK_IMPOSSIBLE, "a thread of the kernel, or already over");
        return false;
    } else if (fd < 0) {
        cli_checkup_add(checkup, "program", CLI_CHECK_UNKNOWN, "%s: look as root, or as its user", strerror(errno));
    } else if (cli_program_check_loader(name, fd, why, sizeof why)) {
        cli_checkup_add(checkup, "program", CLI_CHECK_IMPOSSIBLE, "%s", why);
    } else if (was_secure(pid)) {
        cli_checkup_add(checkup, "program", CLI_CHECK_IMPOSSIBLE, "%s: gained rights when it was started (" CLI_GAINS_RIGHTS, name);
    } else {
        cli_checkup_add(checkup, "program", CLI_CHECK_OK, "a library can be preloaded into it");
    }
    if (fd >= 0)
        close(fd);
    return true;
}

/* What was typed to start it, to be typed again. */
static void command_of(int pid, char *out, size_t size)
{
    char line[CLI_CHECK_TEXT / 4];
    size_t len;
    if (!read_proc(pid, "cmdline", line, sizeof line, &len) || !len)
        len = (size_t)snprintf(line, sizeof line, "PROGRAM") + 1;
    for (size_t i = 0; i + 1 < len; i++)
        if (!line[i])
            line[i] = ' ';
    cli_text_escape(line, strlen(line), out, size);
    if (len == sizeof line - 1)
        strcat(out, " ..."); /* the caller has room: each byte may have become four */
}

/* The process that records it, from the arena's path in its environment; 0: none that lives. */
static int keeper_of(int pid)
{
    char environment[4 * FILE_BYTES], path[64], link[64];
    size_t len;
    int keeper, fd;
    if (!read_proc(pid, "environ", environment, sizeof environment, &len))
        return 0;
    const char *at = memmem(environment, len, "TRACETAP_ARENA=/proc/", 21);
    if (!at || sscanf(at + 21, "%d/fd/%d", &keeper, &fd) != 2)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", keeper, fd);
    ssize_t n = readlink(path, link, sizeof link); /* a number may come back as another process */
    return n > 7 && memcmp(link, "/memfd:", 7) == 0 ? keeper : 0;
}

static bool has_socket(int pid, unsigned long inode)
{
    char path[300], link[64], wanted[32];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        found = strcmp(link, wanted) == 0;
    }
    if (folder)
        closedir(folder);
    return found;
}

/* The port on which the process listens; 0: none. */
static unsigned port_of(int pid)
{
    enum { LISTENING = 0x0a };
    static const char *const tables[] = {"tcp", "tcp6"};
    char path[64], line[512];
    unsigned found = 0;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/net/%s", pid, tables[i]);
        FILE *file = fopen(path, "re");
        while (file && !found && fgets(line, sizeof line, file)) {
            unsigned port, state;
            unsigned long inode;
            if (sscanf(line, "%*u: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*u %lu", &port, &state, &inode) == 3 && state == LISTENING &&
                has_socket(pid, inode))
                found = port;
        }
        if (file)
            fclose(file);
    }
    return found;
}

/* 1, 0, or -1: may not be seen. */
static int maps_have(int pid, const char *library)
{
    char path[32], line[4096];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (!found && fgets(line, sizeof line, file))
        found = strstr(line, library) != NULL;
    fclose(file);
    return found;
}

static void check_presence(struct cli_checkup *checkup, int pid, int keeper)
{
    char command[CLI_CHECK_TEXT - 32];
    unsigned port = keeper ? port_of(keeper) : 0;
    int linked = maps_have(pid, "/libtracetap");
    if (port) {
        cli_checkup_add(checkup, "tracetap", CLI_CHECK_OK, "recorded by process %d, which answers on port %u: tracetap doctor :%u asks it", keeper,
                        port, port);
    } else if (keeper) {
        cli_checkup_add(checkup, "tracetap", CLI_CHECK_OK, "recorded by process %d", keeper);
    } else if (linked < 0) {
        cli_checkup_add(checkup, "tracetap", CLI_CHECK_UNKNOWN, "whether it is in it may not be seen: look as root, or as its user");
    } else if (linked) {
        cli_checkup_add(checkup, "tracetap", CLI_CHECK_OK, "linked: tracetap doctor URL asks its endpoint");
    } else {
        struct cli_check *check =
            cli_checkup_add(checkup, "tracetap", CLI_CHECK_MISSING, "not in it; a library can be preloaded only when a program starts");
        command_of(pid, command, sizeof command);
        snprintf(check->enable[0], sizeof check->enable[0], "tracetap run -- %s", command);
    }
}

bool cli_checkup_process(struct cli_checkup *checkup, int pid)
{
    struct rights rights, keepers;
    char name[32];
    if (!read_rights(pid, &rights))
        return false;
    read_proc(pid, "comm", name, sizeof name, NULL);
    name[strcspn(name, "\n")] = 0;
    char safe[4 * sizeof name];
    snprintf(checkup->subject, sizeof checkup->subject, "process %d (%s)", pid, cli_text_escape(name, strlen(name), safe, sizeof safe));
    if (!check_program(checkup, pid, safe))
        return true;
    int keeper = keeper_of(pid);
    check_presence(checkup, pid, keeper);
    if (keeper && read_rights(keeper, &keepers))
        check_rights(checkup, keeper, &keepers, rights.threads);
    else
        check_rights(checkup, pid, &rights, rights.threads);
    return true;
}
