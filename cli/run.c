/* run.c - `tracetap run`: start a program as it is, with recording at hand.
 *
 * The program is exec()ed in this very process, so its id, parent, terminal, signals and exit code are what they would be without us. What it
 * gets in addition is a preloaded library that records into shared memory; the keeper (keeper.c) does everything else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#include "capture.h"
#include "cli.h"
#include "keeper.h"
#include "program.h"
#include "text.h"

enum { PATH_BYTES = 4096, SECONDS_MAX = 86400 };

struct values {
    const char *listen, *output, *unix_path, *token_file, *sample;
    struct cli_seconds seconds, after, linger;
    uint64_t samples, long_wait_us, alloc_samples;
    bool quiet;
};

static const struct cli_option options[] = {
    {"listen", 'l', "ADDR:PORT", CLI_TEXT, offsetof(struct values, listen), 0, 0,
     "where the endpoint answers (default 127.0.0.1:6060; without an endpoint if only -o is\ngiven); :0 takes any free port"},
    {"output", 'o', "FILE", CLI_TEXT, offsetof(struct values, output), 0, 0, "record into FILE from the start"},
    {"seconds", 's', "N", CLI_SECONDS, offsetof(struct values, seconds), 0, SECONDS_MAX, "with -o: so long (default: until the program ends)"},
    {"after", 0, "S", CLI_SECONDS, offsetof(struct values, after), 0, SECONDS_MAX, "with -o: begin S seconds after the start"},
    {"sample", 0, "RULE", CLI_TEXT, offsetof(struct values, sample), 0, 0, "with -o: which tasks to keep, as in capture --sample"},
    {"samples", 0, "HZ", CLI_COUNT, offsetof(struct values, samples), 1, 1000,
     "with -o: stacks of running threads, so often in a second of CPU time, and of long waits"},
    {"long-wait", 0, "US", CLI_COUNT, offsetof(struct values, long_wait_us), 1, 1000000,
     "with --samples: which waits are long, in microseconds (default 1000)"},
    {"alloc-samples", 0, "BYTES", CLI_BYTES, offsetof(struct values, alloc_samples), 1024, 1 << 30,
     "with -o: stacks of allocations, one in so many bytes of a thread: 1K to 1G; 512K is usual"},
    {"unix", 0, "SOCKET", CLI_TEXT, offsetof(struct values, unix_path), 0, 0, "answer on this unix socket too"},
    {"token-file", 0, "FILE", CLI_TEXT, offsetof(struct values, token_file), 0, 0,
     "ask for the token in this file; needed where --listen is not loopback"},
    {"linger", 0, "S", CLI_SECONDS, offsetof(struct values, linger), 0, SECONDS_MAX, "answer so long after the program has ended (default 2)"},
    {"quiet", 'q', NULL, CLI_FLAG, offsetof(struct values, quiet), 0, 0, "do not say where the endpoint is"},
    CLI_OPTIONS_END,
};

/* ---- Reading the command line ---- */

static bool takes_value(const char *argument)
{
    for (const struct cli_option *option = options; option->name; option++) {
        if (option->kind == CLI_FLAG)
            continue;
        if (argument[1] == '-' ? strcmp(argument + 2, option->name) == 0 : argument[1] == option->letter && !argument[2])
            return true;
    }
    return false;
}

/* How many arguments are ours: up to "--", or to the first that is no option. */
static int own_arguments(int argc, char **argv)
{
    int i = 0;
    while (i < argc && argv[i][0] == '-' && argv[i][1] && strcmp(argv[i], "--") != 0)
        i += takes_value(argv[i]) ? 2 : 1;
    return i < argc ? i : argc;
}

/* "127.0.0.1:6060", "[::1]:6060", ":6060", "6060" */
static bool parse_listen(const char *text, char address[64], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    char *end;
    errno = 0;
    unsigned long number = strtoul(digits, &end, 10);
    if (errno || *end || end == digits || *digits < '0' || *digits > '9' || number > 65535)
        return false;
    *port = (uint16_t)number;
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= 64 || memchr(text, '[', len) || memchr(text, ']', len))
        return false;
    snprintf(address, 64, "%.*s", (int)len, len ? text : "");
    if (!len)
        snprintf(address, 64, "127.0.0.1");
    return true;
}

/* ---- Preparing the program's environment ---- */

/* Beside the command: PREFIX/bin/tracetap -> PREFIX/lib/libtracetap-preload.so. */
static bool find_library(char path[PATH_BYTES])
{
    char self[PATH_BYTES - 128];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (!slash)
        return false;
    *slash = 0;
    snprintf(path, PATH_BYTES, "%s/%s/libtracetap-preload.so", self, TRACETAP_BIN_TO_LIB);
    if (access(path, R_OK) != 0)
        return false;
    char *real = realpath(path, NULL); /* the loader splits LD_PRELOAD at blanks and colons; a plain path is also nicer to look at */
    bool usable = real && !strpbrk(real, " :") && snprintf(path, PATH_BYTES, "%s", real) < PATH_BYTES;
    free(real);
    return usable;
}

static bool set_environment(const char *library, const char *arena_path)
{
    const char *before = getenv("LD_PRELOAD");
    char *all;
    if (asprintf(&all, "%s%s%s", library, before && *before ? ":" : "", before ? before : "") < 0)
        return false;
    bool set = setenv("LD_PRELOAD", all, 1) == 0 && setenv("TRACETAP_ARENA", arena_path, 1) == 0;
    free(all);
    return set;
}

/* ---- The command ---- */

static int open_output(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    char safe[256];
    if (fd < 0)
        cli_error("%s: %s", cli_text_escape(name, strlen(name), safe, sizeof safe), strerror(errno));
    return fd;
}

static void announce(const struct values *values, const char *address, uint16_t port)
{
    char safe[256];
    if (values->quiet)
        return;
    if (port)
        fprintf(stderr, strchr(address, ':') ? "tracetap: http://[%s]:%u/\n" : "tracetap: http://%s:%u/\n", address, port);
    if (values->output)
        fprintf(stderr, "tracetap: recording into %s\n", cli_text_escape(values->output, strlen(values->output), safe, sizeof safe));
}

/* Only returns if it failed. */
static int become(char **command)
{
    char safe[256];
    signal(SIGPIPE, SIG_DFL); /* main() ignores it, and what is ignored stays so across exec */
    execvp(command[0], command);
    int error = errno;
    cli_error("%s: %s", cli_text_escape(command[0], strlen(command[0]), safe, sizeof safe), strerror(error));
    return error == ENOENT ? CLI_NO_SUCH_PROGRAM : CLI_CANNOT_EXECUTE;
}

static bool has_endpoint(const struct values *values)
{
    return values->listen || values->unix_path || !values->output;
}

static int start(const struct values *values, char **command)
{
    char library[PATH_BYTES], arena_path[64], error[512], address[64] = "127.0.0.1";
    uint16_t port = 6060;
    if (values->listen && !parse_listen(values->listen, address, &port))
        return cli_usage_error(&cli_run, "--listen: \"%s\" is not ADDR:PORT, such as 127.0.0.1:6060", values->listen);
    int result = cli_program_check(command[0], error, sizeof error);
    if (result) {
        cli_error("%s", error);
        return result;
    }
    if (!find_library(library)) {
        cli_error("libtracetap-preload.so is not beside this command, or its path has a blank or a colon in it");
        return CLI_RUN_FAILED;
    }
    struct cli_keeper_opts opts = {
        .program = command[0],
        .address = has_endpoint(values) ? address : NULL,
        .port = port,
        .unix_path = values->unix_path,
        .token_file = values->token_file,
        .output_fd = values->output ? open_output(values->output) : -1,
        .after_s = values->after.value,
        .seconds = values->seconds.value,
        .sample = values->sample,
        .samples_hz = (uint32_t)values->samples,
        .long_wait_us = (uint32_t)values->long_wait_us,
        .alloc_sample_bytes = (uint32_t)values->alloc_samples,
        .groups = TTAP_GROUPS_ALL,
        .linger_s = values->linger.value,
    };
    if (values->output && opts.output_fd < 0)
        return CLI_RUN_FAILED;
    if (cli_keeper_start(&opts, arena_path, sizeof arena_path, &port, error, sizeof error) != 0) {
        cli_error("%s", error);
        return CLI_RUN_FAILED;
    }
    if (opts.output_fd >= 0)
        close(opts.output_fd);
    if (!set_environment(library, arena_path)) {
        cli_error("out of memory");
        return CLI_RUN_FAILED;
    }
    announce(values, address, opts.address ? port : 0);
    return become(command);
}

/* What each option alone cannot tell. */
static int check_values(const struct values *values)
{
    size_t offset = 0;
    if (!values->output && (values->seconds.text || values->after.text || values->sample || values->samples || values->alloc_samples))
        return cli_usage_error(&cli_run, "--seconds, --after, --sample, --samples and --alloc-samples say what goes into a file: give one with -o");
    if (values->long_wait_us && !values->samples)
        return cli_usage_error(
            &cli_run, "--long-wait %llu: which calls are told with their stacks, and without --samples none are; give it, such as --samples 99",
            (unsigned long long)values->long_wait_us);
    if (values->token_file && !has_endpoint(values))
        return cli_usage_error(&cli_run, "--token-file %s: says who may ask the endpoint, and with -o there is none; give --listen",
                               values->token_file);
    if (values->sample && ttap__sampling_check(values->sample, &offset) != 0)
        return cli_usage_error(&cli_run, "--sample %s: must be a rate from 0 to 1, or also rates by kind, such as 0.01,checkout=1; wrong at byte %zu",
                               values->sample, offset);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    struct values values = {.linger = {"2", 2.0}};
    const char *none[CLI_OPERANDS_MAX];
    int own = own_arguments(argc, argv);
    int result = cli_options_parse(&cli_run, own, argv, &values, none);
    if (result != CLI_OK)
        return result;
    char **command = argv + own;
    if (*command && strcmp(*command, "--") == 0)
        command++;
    if (!*command)
        return cli_usage_error(&cli_run, "which program? tracetap run [OPTIONS] -- PROGRAM [ARGUMENTS]");
    result = check_values(&values);
    return result == CLI_OK ? start(&values, command) : result;
}

const struct cli_command cli_run = {
    .name = "run",
    .arguments = "-- PROGRAM [ARGUMENTS]",
    .summary = "start a program as it is, with recording at hand",
    .details = "Starts PROGRAM with a library preloaded that records when asked, and a helper process that serves the endpoint.\n"
               "The program keeps this process's id, terminal, signals and exit code; processes that it starts are recorded with\n"
               "it. With -o what it does goes into a file, which can be read also after a crash. Exit codes of its own: 125\n"
               "tracetap could not start, 126 the program cannot be executed, 127 there is no such program.\n",
    .options = options,
    .operands_min = 0,
    .operands_max = 0,
    .run = run,
};
