/* keeper.c - the helper process of `tracetap run`.
 *
 *   tracetap run --fork--> . --fork--> keeper: arena, endpoint, recording          (orphaned at once: the program never has a child it did
 *        |                                |                                         not start, and its terminal's signals do not reach it)
 *        |<---- "ready PORT FD" or why not
 *        exec: the program, in the process id that was started
 *
 * The keeper sees the program end through a pidfd, and members (forked, exec()ed, daemonised) through the arena. It outlives all of them
 * by as long as it takes to deliver what was asked for.
 */
#define _GNU_SOURCE
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tracetap/http.h>

#include "capture.h"

enum {
    LOOK_MS = 200,   /* how often members are looked for: a file read each */
    PORT_TRIES = 30, /* the keeper of the run before may linger on the port for a moment */
    PORT_RETRY_MS = 100,
    DELIVER_S = 600, /* the longest an endpoint delivers to a slow client */
    MESSAGE_BYTES = 512
};

struct keeper {
    const struct cli_keeper_opts *opts;
    int program_fd; /* pidfd of the process that becomes the program */
    struct ttap_http *http;
    struct ttap_capture *recording;
    int recording_error;
    bool recorded;
    double started_s;
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void nap_ms(int ms)
{
    struct timespec nap = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&nap, NULL);
}

/* ---- Recording into a file ---- */

static int write_file(void *arg, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = write(*(const int *)arg, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int begin_recording(struct keeper *keeper)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.groups = keeper->opts->groups;
    opts.sample = keeper->opts->sample;
    opts.samples_hz = keeper->opts->samples_hz;
    opts.long_wait_us = keeper->opts->long_wait_us;
    opts.alloc_sample_bytes = keeper->opts->alloc_sample_bytes;
    return ttap_capture_start(&opts, write_file, (void *)(uintptr_t)&keeper->opts->output_fd, &keeper->recording);
}

static void end_recording(struct keeper *keeper)
{
    if (!keeper->recording)
        return;
    ttap_capture_stop(keeper->recording);
    keeper->recording = NULL;
    keeper->recorded = true;
}

static void recording_turn(struct keeper *keeper)
{
    const struct cli_keeper_opts *opts = keeper->opts;
    double age_s = now_s() - keeper->started_s;
    if (opts->output_fd < 0 || keeper->recorded)
        return;
    if (!keeper->recording && age_s >= opts->after_s && begin_recording(keeper) != 0)
        keeper->recorded = true; /* out of memory; there is nobody left to tell */
    if (keeper->recording && opts->seconds > 0 && age_s >= opts->after_s + opts->seconds)
        end_recording(keeper);
}

/* When something is to be done next, for a recording with times. */
static int next_look_ms(const struct keeper *keeper)
{
    const struct cli_keeper_opts *opts = keeper->opts;
    if (opts->output_fd < 0 || keeper->recorded)
        return LOOK_MS;
    double due_s = keeper->started_s + opts->after_s + (keeper->recording ? opts->seconds : 0);
    if (keeper->recording && opts->seconds <= 0)
        return LOOK_MS;
    double left_ms = (due_s - now_s()) * 1000;
    return left_ms < 1 ? 1 : left_ms < LOOK_MS ? (int)left_ms + 1 : LOOK_MS;
}

/* ---- Living and ending ---- */

static bool program_has_ended(const struct keeper *keeper, int wait_ms)
{
    struct pollfd poll_fd = {.fd = keeper->program_fd, .events = POLLIN};
    return poll(&poll_fd, 1, wait_ms) == 1;
}

static void live(struct keeper *keeper)
{
    bool ended = false;
    for (;;) {
        recording_turn(keeper);
        if (!ended)
            ended = program_has_ended(keeper, next_look_ms(keeper));
        else
            nap_ms(next_look_ms(keeper));
        if (!ttap__keeper_members() && ended)
            return;
    }
}

static void deliver_rest(void)
{
    struct ttap_status status = {.size = sizeof status};
    double until_s = now_s() + DELIVER_S;
    do {
        ttap_status_get(&status);
        if (!status.captures)
            return;
        nap_ms(20);
    } while (now_s() < until_s);
}

static void finish(struct keeper *keeper)
{
    end_recording(keeper);
    if (!keeper->http)
        return;
    ttap__captures_stop_all();
    deliver_rest();
    nap_ms((int)(keeper->opts->linger_s * 1000));
    deliver_rest();
    ttap_http_stop(keeper->http);
}

/* ---- Starting ---- */

static int start_endpoint(struct keeper *keeper, char *error, size_t size)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    opts.address = keeper->opts->address;
    opts.port = keeper->opts->port;
    opts.unix_path = keeper->opts->unix_path;
    opts.token_file = keeper->opts->token_file;
    int result = 0;
    for (int tries = 0; tries < PORT_TRIES; tries++) {
        result = ttap_http_start(&opts, &keeper->http);
        if (result != -EADDRINUSE)
            break;
        nap_ms(PORT_RETRY_MS);
    }
    if (result)
        snprintf(error, size, "%s", ttap_http_error());
    return result;
}

/* Nothing of the caller's stays open here: whoever waits for the end of its output shall not wait for us. @status_fd, if it is kept, is
 * closed when the start was told. */
static void let_go_of_descriptors(int keep_a, int keep_b, int keep_c)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    int keep[3] = {keep_a, keep_b, keep_c};
    for (int i = 0; i < 3; i++) /* ascending */
        for (int j = i + 1; j < 3; j++)
            if (keep[j] < keep[i]) {
                int swap = keep[i];
                keep[i] = keep[j];
                keep[j] = swap;
            }
    unsigned from = 3;
    for (int i = 0; i < 3; i++) {
        if (keep[i] < (int)from)
            continue;
        if (keep[i] > (int)from)
            syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0);
}

static void tell(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(int fd, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (len > 0 && write(fd, message, (size_t)len < sizeof message ? (size_t)len : sizeof message - 1) < 0)
        return; /* nobody listens: run was killed */
}

static void keeper_main(const struct cli_keeper_opts *opts, pid_t program, int program_fd, int status_fd)
{
    struct keeper keeper = {.opts = opts, .program_fd = program_fd};
    char error[MESSAGE_BYTES - 16];
    setsid();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* `ulimit -f` of the caller's: an error, which can be told */
    let_go_of_descriptors(program_fd, status_fd, opts->output_fd);
    int arena_fd = ttap__keeper_start();
    if (arena_fd < 0) {
        tell(status_fd, "error cannot make the shared buffers: %s", strerror(-arena_fd));
        return;
    }
    ttap__keeper_program((int)program, opts->program);
    if ((opts->address || opts->unix_path) && start_endpoint(&keeper, error, sizeof error) != 0) {
        tell(status_fd, "error %s", error);
        return;
    }
    keeper.started_s = now_s();
    recording_turn(&keeper);
    if (opts->output_fd >= 0 && opts->after_s <= 0 && !keeper.recording) {
        tell(status_fd, "error cannot start recording");
        return;
    }
    tell(status_fd, "ready %d %d %u", (int)getpid(), arena_fd, keeper.http ? ttap_http_port(keeper.http) : 0u);
    close(status_fd);
    live(&keeper);
    finish(&keeper);
}

static int read_answer(int fd, char *arena_path, size_t arena_path_size, uint16_t *port, char *error, size_t error_size)
{
    char message[MESSAGE_BYTES];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof message - 1 && ((n = read(fd, message + len, sizeof message - 1 - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    message[len] = 0;
    int pid, arena_fd;
    unsigned at;
    if (sscanf(message, "ready %d %d %u", &pid, &arena_fd, &at) == 3) {
        snprintf(arena_path, arena_path_size, "/proc/%d/fd/%d", pid, arena_fd);
        *port = (uint16_t)at;
        return 0;
    }
    snprintf(error, error_size, "%s", strncmp(message, "error ", 6) == 0 ? message + 6 : "the helper process died while it started");
    return -1;
}

int cli_keeper_start(const struct cli_keeper_opts *opts, char *arena_path, size_t arena_path_size, uint16_t *port, char *error, size_t error_size)
{
    int status[2] = {-1, -1};
    pid_t program = getpid();
    int program_fd = (int)syscall(SYS_pidfd_open, program, 0);
    if (program_fd < 0 || pipe2(status, O_CLOEXEC) < 0) {
        snprintf(error, error_size, "cannot watch a process: %s (pidfd_open needs Linux 5.3)", strerror(errno));
        return -1;
    }
    fcntl(program_fd, F_SETFD, FD_CLOEXEC);
    pid_t between = fork();
    if (between == 0) {
        if (fork() == 0)
            keeper_main(opts, program, program_fd, status[1]);
        _exit(0);
    }
    close(status[1]);
    close(program_fd);
    if (between < 0) {
        close(status[0]);
        snprintf(error, error_size, "cannot start the helper process: %s", strerror(errno));
        return -1;
    }
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    int result = read_answer(status[0], arena_path, arena_path_size, port, error, error_size);
    close(status[0]);
    return result;
}
