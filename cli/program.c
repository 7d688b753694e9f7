/* program.c - what the kernel and the dynamic loader will make of a program file.
 *
 * Preloading needs a dynamic loader, and the same one as ours: a static program has none, another C library's would not find what our
 * library links. Programs that gain rights when started (setuid, setgid, file capabilities) ignore LD_PRELOAD, for good reason.
 */
#define _GNU_SOURCE
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "text.h"

enum { INTERPRETERS_MAX = 4, /* as the kernel: a script's interpreter may be a script */ PATH_BYTES = 4096 };

static int refuse(char *error, size_t size, int code, const char *name, const char *why)
{
    char safe[256];
    snprintf(error, size, "%s: %s", cli_text_escape(name, strlen(name), safe, sizeof safe), why);
    return code;
}

/* The file that execvp() would start; false if there is none. */
static bool find(const char *name, char path[PATH_BYTES])
{
    if (strchr(name, '/'))
        return snprintf(path, PATH_BYTES, "%s", name) < PATH_BYTES && access(path, F_OK) == 0;
    const char *at = getenv("PATH");
    if (!at)
        at = "/bin:/usr/bin";
    while (*at) {
        size_t len = strcspn(at, ":");
        int bytes = snprintf(path, PATH_BYTES, "%.*s/%s", (int)len, len ? at : ".", name);
        if (bytes < PATH_BYTES && access(path, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static bool gains_rights(int fd)
{
    struct stat st;
    char capability[64];
    if (fstat(fd, &st) == 0 && (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) || ((st.st_mode & S_ISGID) && st.st_gid != getegid())))
        return true;
    return geteuid() != 0 && fgetxattr(fd, "security.capability", capability, sizeof capability) > 0;
}

static bool read_at(int fd, void *to, size_t bytes, uint64_t at)
{
    return at <= INT64_MAX && pread(fd, to, bytes, (off_t)at) == (ssize_t)bytes;
}

/* The loader that @fd asks for; "" for a static program. False: not a program of this machine's kind. */
static bool loader_of(int fd, char loader[PATH_BYTES])
{
    ElfW(Ehdr) head, own;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool readable = self >= 0 && read_at(self, &own, sizeof own, 0);
    if (self >= 0)
        close(self);
    loader[0] = 0;
    if (!readable || !read_at(fd, &head, sizeof head, 0) || memcmp(head.e_ident, own.e_ident, EI_DATA + 1) != 0 || head.e_machine != own.e_machine)
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_at(fd, &segment, sizeof segment, head.e_phoff + (uint64_t)i * head.e_phentsize))
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        size_t bytes = segment.p_filesz < PATH_BYTES ? segment.p_filesz : PATH_BYTES - 1;
        if (!read_at(fd, loader, bytes, segment.p_offset))
            return false;
        loader[bytes] = 0;
        break;
    }
    return true;
}

static bool own_loader(char loader[PATH_BYTES])
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool found = fd >= 0 && loader_of(fd, loader) && *loader;
    if (fd >= 0)
        close(fd);
    return found;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "#! /bin/sh -e" -> "/bin/sh". False: not a script. */
static bool script_interpreter(int fd, char path[PATH_BYTES])
{
    char line[256];
    ssize_t n = pread(fd, line, sizeof line - 1, 0);
    if (n < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    char *start = line + 2 + strspn(line + 2, " \t");
    start[strcspn(start, " \t")] = 0;
    snprintf(path, PATH_BYTES, "%s", start);
    return *start != 0;
}

int cli_program_check_loader(const char *name, int fd, char *error, size_t size)
{
    char loader[PATH_BYTES], own[PATH_BYTES];
    if (!loader_of(fd, loader))
        return refuse(error, size, CLI_CANNOT_EXECUTE, name, "is not a 64-bit program of this machine's kind");
    if (!*loader)
        return refuse(error, size, CLI_RUN_FAILED, name, "is statically linked, so nothing can be loaded into it; link libtracetap into it instead");
    if (own_loader(own) && strcmp(last_part(own), last_part(loader)) != 0)
        return refuse(error, size, CLI_RUN_FAILED, name, "uses another C library than this tracetap; use a tracetap built for that one");
    return 0;
}

static int check_file(const char *name, int fd, char *error, size_t size)
{
    if (gains_rights(fd))
        return refuse(error, size, CLI_RUN_FAILED, name, "gains rights when it is started (" CLI_GAINS_RIGHTS);
    return cli_program_check_loader(name, fd, error, size);
}

int cli_program_check(const char *name, char *error, size_t size)
{
    char path[PATH_BYTES];
    if (!find(name, path))
        return refuse(error, size, CLI_NO_SUCH_PROGRAM, name, "no such program");
    for (int depth = 0; depth < INTERPRETERS_MAX; depth++) {
        struct stat st;
        if (access(path, X_OK) != 0 || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            return refuse(error, size, CLI_CANNOT_EXECUTE, name, "cannot be executed");
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) /* may be executed but not read: then there is nothing to see, and exec will tell */
            return 0;
        bool script = script_interpreter(fd, path);
        int result = script ? 0 : check_file(name, fd, error, size);
        close(fd);
        if (!script)
            return result;
    }
    return refuse(error, size, CLI_CANNOT_EXECUTE, name, "its interpreter is a script of a script of a script");
}
