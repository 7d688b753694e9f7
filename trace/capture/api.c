/* api.c - the public capture calls, on top of subscribers. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "init.h"
#include "share.h"

/* ---- Subscribers: opening and closing ---- */

int ttap__sub_open(const struct ttap__sub_opts *opts, struct ttap__sub **out)
{
    if (opts->duration_ns > TTAP__DURATION_MAX_NS * 6 || !ttap__sub_groups(opts) || opts->samples_hz > TTAP__SAMPLES_HZ_MAX ||
        opts->long_wait_us > TTAP__LONG_WAIT_US_MAX || opts->alloc_sample_bytes > TTAP__ALLOC_SAMPLE_BYTES_MAX ||
        (opts->alloc_sample_bytes && opts->alloc_sample_bytes < TTAP__ALLOC_SAMPLE_BYTES_MIN))
        return -EINVAL; /* an hour at most; the public calls and the endpoint have lower limits of their own */
    if (ttap__share_role == TTAP__SHARE_MEMBER)
        return -EALREADY; /* the keeper captures, for all members */
    ttap__budget_bytes();
    struct ttap__sub *sub;
    int error = ttap__sub_new(opts, opts->keep ? &ttap__pool_kept : &ttap__pool_queues, &sub);
    if (error)
        return error;
    error = ttap__engine_join(sub);
    if (error) {
        ttap__sub_free(sub);
        return error;
    }
    *out = sub;
    return 0;
}

void ttap__sub_close(struct ttap__sub *sub)
{
    ttap__sub_stop(sub, TTAP__END_CLIENT);
    ttap__engine_part(sub);
    ttap__sub_free(sub);
    if (!ttap__engine_running())
        ttap__segments_trim(); /* else the drainer does, when it ends */
}

/* ---- Captures to a callback or a descriptor ---- */

struct ttap_capture {
    struct ttap__sub *sub;
    ttap_write_fn write;
    void *arg;
    pthread_t thread;
    unsigned forks; /* of the process that began it */
    int result;
};

static int check_opts(const struct ttap_capture_opts *given, struct ttap__sub_opts *out)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    if (given) {
        if (given->size < offsetof(struct ttap_capture_opts, groups))
            return -EINVAL;
        memcpy(&opts, given, given->size < sizeof(opts) ? given->size : sizeof(opts)); /* an older program's struct is shorter */
    }
    if (opts.duration_ns && (opts.duration_ns < TTAP__DURATION_MIN_NS || opts.duration_ns > TTAP__DURATION_MAX_NS))
        return -EINVAL;
    *out = (struct ttap__sub_opts)TTAP__SUB_OPTS_INIT;
    out->duration_ns = opts.duration_ns;
    out->groups = opts.groups;
    out->max_bytes = opts.max_bytes;
    out->sample = opts.sample;
    out->samples_hz = opts.samples_hz;
    out->long_wait_us = opts.long_wait_us;
    out->alloc_sample_bytes = opts.alloc_sample_bytes;
    return 0;
}

/* Pass everything on until the end, or until @write gives up. */
static int deliver_bytes(struct ttap__sub *sub, ttap_write_fn write, void *arg)
{
    static const size_t piece_bytes = TTAP__SEGMENT_BYTES;
    unsigned char *piece = malloc(piece_bytes);
    if (!piece)
        return -ENOMEM;
    int result = 0;
    while (!result) {
        size_t n = ttap__sub_read(sub, piece, piece_bytes);
        if (n)
            result = write(arg, piece, n);
        else if (ttap__sub_state(sub) == TTAP__SUB_ENDED)
            break;
        else
            ttap__sub_wait(sub, -1);
    }
    free(piece);
    return result;
}

static int deliver(struct ttap__sub *sub, ttap_write_fn write, void *arg)
{
    int result = deliver_bytes(sub, write, arg);
    pthread_mutex_lock(&sub->mutex);
    bool cut = sub->cut;
    pthread_mutex_unlock(&sub->mutex);
    return !result && cut ? -ENOMEM : result;
}

static void *capture_main(void *arg)
{
    struct ttap_capture *capture = arg;
    ttap__thread_is_own();
    capture->result = deliver(capture->sub, capture->write, capture->arg);
    if (capture->result)
        ttap__sub_stop(capture->sub, TTAP__END_CLIENT); /* nobody reads any more */
    return NULL;
}

int ttap_capture_start(const struct ttap_capture_opts *opts, ttap_write_fn write, void *arg, struct ttap_capture **out)
{
    struct ttap__sub_opts sub_opts;
    int error = write ? check_opts(opts, &sub_opts) : -EINVAL;
    if (error)
        return error;
    struct ttap_capture *capture = calloc(1, sizeof(*capture));
    if (!capture)
        return -ENOMEM;
    capture->write = write;
    capture->arg = arg;
    capture->forks = ttap__forks;
    int cancel_state = ttap__cancel_off();
    error = ttap__sub_open(&sub_opts, &capture->sub);
    if (!error) {
        error = ttap__thread_spawn(&capture->thread, NULL, capture_main, capture);
        if (error)
            ttap__sub_close(capture->sub);
    }
    ttap__cancel_as(cancel_state);
    if (error)
        free(capture);
    else
        *out = capture;
    return error;
}

int ttap_capture_stop(struct ttap_capture *capture)
{
    if (capture->forks != ttap__forks)
        return -ECHILD; /* an exit handler that runs in a forked child: neither its thread nor its locks are here */
    int cancel_state = ttap__cancel_off();
    ttap__sub_stop(capture->sub, TTAP__END_STOPPED);
    pthread_join(capture->thread, NULL);
    int result = capture->result;
    ttap__sub_close(capture->sub);
    ttap__cancel_as(cancel_state);
    free(capture);
    return result;
}

static int write_fd(void *arg, const void *bytes, size_t len)
{
    int fd = *(int *)arg;
    const char *at = bytes;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EAGAIN) { /* the caller's descriptor does not block; we may */
            struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
            if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
                return -errno; /* else we would spin until somebody reads */
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int ttap_capture_fd(int fd, const struct ttap_capture_opts *opts)
{
    int saved_errno = errno, cancel_state = ttap__cancel_off();
    struct ttap__sub_opts sub_opts;
    int error = check_opts(opts, &sub_opts);
    if (!error && !sub_opts.duration_ns)
        error = -EINVAL;
    struct ttap__sub *sub;
    if (!error)
        error = ttap__sub_open(&sub_opts, &sub);
    if (!error) {
        struct ttap__write_guard guard;
        error = ttap__write_guard_enter(&guard); /* SIGPIPE and SIGXFSZ are not the caller's */
        if (!error) {
            error = deliver(sub, write_fd, &fd);
            ttap__write_guard_leave(&guard, error);
        }
        ttap__sub_close(sub);
    }
    ttap__cancel_as(cancel_state);
    errno = saved_errno;
    return error;
}

/* ---- The rest of the public API ---- */

void ttap_logf(struct ttap_name *category, const char *format, ...)
{
    if (!TTAP_ENABLED(TTAP_GROUP_LOG))
        return;
    int saved_errno = errno;
    char text[TTAP_LOG_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        ttap__log(category, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    errno = saved_errno;
}

/* Chunks that are somewhere: not in the free list, not never taken. Walks the slots, so it is for status only. */
static uint64_t live_chunks(const struct ttap__arena *arena)
{
    uint64_t live = 0;
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++)
        for (int level = 0; level < 2; level++)
            live += ttap__load(&arena->slot[i].stream[level].published) != 0;
    return live;
}

static uint32_t live_threads(const struct ttap__arena *arena)
{
    uint32_t live = 0;
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t i = 0; i < made; i++)
        live += ttap__load_acquire(&arena->slot[i].state) == TTAP__SLOT_LIVE;
    return live;
}

void ttap_status_get(struct ttap_status *out)
{
    struct ttap_status status = {.size = sizeof(status)};
    size_t size = out->size < sizeof(status) ? out->size : sizeof(status);
    status.groups = ttap__load(&ttap_gate) & TTAP__GATE_GROUPS;
    status.budget_bytes = ttap__budget_bytes();
    ttap__engine_status(&status);
    const struct ttap__arena *arena = ttap__load_acquire(&ttap__arena_base);
    if (arena) {
        uint32_t names = ttap__load(&arena->names_made);
        status.names = names < TTAP_NAMES_MAX ? names : TTAP_NAMES_MAX;
        status.names_full = ttap__load(&arena->names_full);
        status.threads = live_threads(arena);
        status.chunks_live = live_chunks(arena);
        status.lease_expired = ttap__load(&arena->lease_expired);
        status.used_bytes = (uint64_t)ttap__load(&arena->chunks_made) * TTAP__CHUNK_BYTES;
    }
    status.used_bytes +=
        ttap__load(&ttap__pool_queues.used_bytes) + ttap__load(&ttap__pool_kept.used_bytes) + ttap__load(&ttap__pool_other.used_bytes);
    status.size = size;
    memcpy(out, &status, size);
}

const char *ttap_version(void)
{
    return TTAP_VERSION_STRING;
}

/* ---- Fork ---- */

static void in_child(void)
{
    ttap__forks++;
    if (ttap__share_role == TTAP__SHARE_MEMBER) {
        ttap__share_after_fork();
        return;
    }
    ttap__emit_after_fork();
    ttap__segments_after_fork();
    ttap__sampling_after_fork();
    ttap__kept_after_fork();
    ttap__engine_after_fork();
    ttap__store(&ttap__pool_queues.used_bytes, 0);
    ttap__store(&ttap__pool_kept.used_bytes, 0);
    ttap__store(&ttap__pool_other.used_bytes, 0);
}

/* Two copies of the engine in one process (the program's, and the one `tracetap run` preloaded): calls, also those between libraries, go to
 * the first in the loader's order. The other is never called, and must leave alone what it shares by name: the gate. */
extern const char *own_version(void) __attribute__((alias("ttap_version"), visibility("hidden")));

static bool is_the_one_in_use(void)
{
    const char *(*volatile called)(void) = ttap_version; /* volatile: whether they are the same is for the loader to say */
    const char *(*volatile own)(void) = own_version;
    return called == own;
}

__attribute__((constructor)) static void watch_forks(void)
{
    if (is_the_one_in_use())
        pthread_atfork(NULL, NULL, in_child);
}
