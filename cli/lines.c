/* lines.c - see lines.h. Here is the side that must not fail: the process, its limits, and what is said of files that cannot be used. */
#define _GNU_SOURCE
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "debug_info.h"
#include "names_of.h"
#include "text.h"

#define FILES_MAX 512u            /* as many as have names of functions */
#define HELPERS_MAX 4u            /* started; each file that ends one is not asked about again */
#define NOTES_MAX 8u              /* files named; a capture from another machine differs in all */
#define ANSWER_MS 30000           /* against hangs: the first answer about a file waits for its tables, on a slow disk too */
#define MEMORY_BYTES (2ull << 30) /* for the files that libdw maps, a gigabyte of them, and as much for what it unpacks */

const bool cli_lines_built_in = true;

struct question {
    uint64_t offset;
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    uint32_t build_id_bytes;
    char path[CLI_PATH_BYTES]; /* sent with its end, and no further */
};

struct asked_file {
    char *path;
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    size_t build_id_bytes;
    bool useless;
};

struct cli_lines {
    const char *debug_dir;
    int helper_fd; /* -1: there is none */
    pid_t helper;
    unsigned helpers, notes;
    struct asked_file files[FILES_MAX];
    unsigned count;
    struct question question;
    struct cli_dwarf_answer answer;
};

struct cli_lines *cli_lines_new(const struct cli_lines_wish *wish)
{
    struct cli_lines *lines = wish->none ? NULL : calloc(1, sizeof *lines);

    if (lines) {
        lines->debug_dir = wish->debug_dir ? wish->debug_dir : CLI_LINES_DEBUG_DIR;
        lines->helper_fd = -1;
    }
    return lines;
}

/* ---- The helper ---- */

/* Beyond what is mapped now, which under AddressSanitizer is a lot. */
static void limit_memory(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    struct rlimit limit;

    if (file && fscanf(file, "%llu", &pages) == 1 && getrlimit(RLIMIT_AS, &limit) == 0) {
        rlim_t wish = pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_BYTES;
        limit.rlim_cur = limit.rlim_max < wish ? limit.rlim_max : wish;
        setrlimit(RLIMIT_AS, &limit);
    }
    if (file)
        fclose(file);
}

static size_t answer_bytes(const struct cli_dwarf_answer *answer)
{
    return offsetof(struct cli_dwarf_answer, symbols) + answer->count * sizeof *answer->symbols;
}

static _Noreturn void serve(int fd, const char *debug_dir, struct question *question, struct cli_dwarf_answer *answer)
{
    struct cli_dwarf *dwarf = cli_dwarf_new(debug_dir);
    struct rlimit no_core = {0, 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    limit_memory();
    while (dwarf && recv(fd, question, sizeof *question, 0) > (ssize_t)offsetof(struct question, path)) {
        struct cli_place place = {question->path, question->build_id, question->build_id_bytes, question->offset};
        cli_dwarf_find(dwarf, &place, answer);
        if (send(fd, answer, answer_bytes(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

static bool start_helper(struct cli_lines *lines)
{
    int pair[2];

    if (lines->helper_fd >= 0)
        return true;
    if (lines->helpers == HELPERS_MAX || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    lines->helpers++;
    lines->helper = fork();
    if (lines->helper == 0) {
        close(pair[0]);
        serve(pair[1], lines->debug_dir, &lines->question, &lines->answer);
    }
    close(pair[1]);
    lines->helper_fd = pair[0];
    if (lines->helper > 0)
        return true;
    close(pair[0]);
    lines->helper_fd = -1;
    return false;
}

static void stop_helper(struct cli_lines *lines)
{
    if (lines->helper_fd < 0)
        return;
    close(lines->helper_fd);
    kill(lines->helper, SIGKILL);
    while (waitpid(lines->helper, NULL, 0) < 0 && errno == EINTR)
        ;
    lines->helper_fd = -1;
}

/* False: it did not answer as it should. */
static bool ask(struct cli_lines *lines)
{
    struct pollfd answer_comes = {lines->helper_fd, POLLIN, 0};
    const struct question *question = &lines->question;
    struct cli_dwarf_answer *answer = &lines->answer;
    int ready;

    if (send(lines->helper_fd, question, offsetof(struct question, path) + strlen(question->path) + 1, MSG_NOSIGNAL) < 0)
        return false;
    do
        ready = poll(&answer_comes, 1, ANSWER_MS);
    while (ready < 0 && errno == EINTR);
    ssize_t len = ready > 0 ? recv(lines->helper_fd, answer, sizeof *answer, 0) : -1;
    return len >= (ssize_t)offsetof(struct cli_dwarf_answer, symbols) && answer->count <= TTAP__SYMBOLS_AT_ADDRESS &&
           answer->build_id_bytes <= sizeof answer->build_id && (size_t)len == answer_bytes(answer);
}

/* ---- Files ---- */

static void note(struct cli_lines *lines, const char *path, const char *why)
{
    if (lines->notes < NOTES_MAX)
        cli_error("note: %s: %s", path, why);
    else if (lines->notes == NOTES_MAX)
        cli_error("note: nor have some other files source lines");
    lines->notes++;
}

static char *hex(const uint8_t *bytes, size_t len, char out[2 * TTAP__BUILD_ID_BYTES_MAX + 1])
{
    snprintf(out, 5, "none");
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return out;
}

static void note_that_it_differs(struct cli_lines *lines, const struct asked_file *file)
{
    char why[256], here[2 * TTAP__BUILD_ID_BYTES_MAX + 1], recorded[2 * TTAP__BUILD_ID_BYTES_MAX + 1];

    snprintf(why, sizeof why, "build id %s, but %s was recorded: no source lines of it",
             hex(lines->answer.build_id, lines->answer.build_id_bytes, here), hex(file->build_id, file->build_id_bytes, recorded));
    note(lines, file->path, why);
}

static bool is_same(const struct asked_file *file, const struct ttap__symbol_module *module)
{
    return file->build_id_bytes == module->build_id_bytes && memcmp(file->build_id, module->build_id, module->build_id_bytes) == 0 &&
           strcmp(file->path, module->path) == 0;
}

/* The hooks, through which every long call goes: their insides say nothing of the program. */
static bool is_ours(const char *path)
{
    return strncmp(strrchr(path, '/'), "/libtracetap", strlen("/libtracetap")) == 0;
}

/* NULL: too many, or nothing that could be a file. Processes map the same file at different places, so it goes by the name. */
static struct asked_file *file_of(struct cli_lines *lines, const struct ttap__symbol_module *module)
{
    for (unsigned i = 0; i < lines->count; i++)
        if (is_same(&lines->files[i], module))
            return &lines->files[i];
    if (module->path[0] != '/' || strlen(module->path) >= CLI_PATH_BYTES || !module->build_id_bytes ||
        module->build_id_bytes > TTAP__BUILD_ID_BYTES_MAX)
        return NULL;
    struct asked_file *file = lines->count < FILES_MAX && !is_ours(module->path) ? &lines->files[lines->count] : NULL;
    if (!file || !(file->path = strdup(module->path)))
        return NULL;
    memcpy(file->build_id, module->build_id, module->build_id_bytes);
    file->build_id_bytes = module->build_id_bytes;
    lines->count++;
    return file;
}

static unsigned use_answer(struct cli_lines *lines, struct asked_file *file, struct ttap__symbol *out)
{
    const struct cli_dwarf_answer *answer = &lines->answer;

    if (answer->result == CLI_DWARF_DIFFERS)
        note_that_it_differs(lines, file);
    file->useless = answer->result != CLI_DWARF_FOUND;
    memcpy(out, answer->symbols, answer->count * sizeof *out);
    for (unsigned i = 0; i < answer->count; i++)
        out[i].function[sizeof out->function - 1] = out[i].file[sizeof out->file - 1] = 0;
    return answer->count;
}

unsigned cli_lines_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out)
{
    struct cli_lines *lines = arg;
    struct asked_file *file = file_of(lines, module);

    if (!file || file->useless || !start_helper(lines))
        return 0;
    lines->question.offset = offset;
    lines->question.build_id_bytes = (uint32_t)file->build_id_bytes;
    memcpy(lines->question.build_id, file->build_id, file->build_id_bytes);
    memcpy(lines->question.path, file->path, strlen(file->path) + 1);
    if (ask(lines))
        return use_answer(lines, file, out);
    note(lines, file->path, "its debug information could not be read: no source lines of it");
    file->useless = true;
    stop_helper(lines);
    return 0;
}

void cli_lines_free(struct cli_lines *lines)
{
    if (!lines)
        return;
    stop_helper(lines);
    for (unsigned i = 0; i < lines->count; i++)
        free(lines->files[i].path);
    free(lines);
}
