/* control.c - the thread that watches: clients that left, deadlines, and the end.
 *
 * libmicrohttpd does not look at a suspended connection, so a client that leaves a quiet stream would be noticed when its window is
 * over; POLLRDHUP here tells within a millisecond. A client that closed only its sending side counts as gone.
 *
 * It sleeps without limit while there is nothing to watch. The order of the end: nobody may begin a stream; streams are told and get a
 * moment for their last bytes; what is left is cut, which resumes it; only then are the daemons stopped. That runs here and not on the
 * caller's thread: should libmicrohttpd hang or fault in it, the caller goes on and a leak remains.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define STOP_LAST_BYTES_NS (250 * TTAP__NS_PER_MS)
#define STOP_NS (1900 * TTAP__NS_PER_MS)
#define COMING_LAST_NS (200 * TTAP__NS_PER_MS)
enum { FIRST_STREAM = 1 + TTAP__LISTENERS }; /* in server->watch */

void ttap__control_arm(struct ttap__server *server, uint64_t at_ns)
{
    if (server->event_fd < 0 || at_ns >= server->armed_ns)
        return;
    server->armed_ns = at_ns;
    eventfd_write(server->event_fd, 1);
}

static uint64_t look_at_all(struct ttap__server *server, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    for (int i = 0; i < TTAP__LISTENERS; i++) {
        uint64_t at_ns = ttap__slots_look(&server->listeners[i], now_ns);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    for (struct ttap__stream *stream = server->streams; stream; stream = ttap__stream_next(stream)) {
        uint64_t at_ns = ttap__stream_look(stream, now_ns);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    return next_ns;
}

static unsigned fill_watch(struct ttap__server *server, uint64_t now_ns, uint64_t *next_ns)
{
    unsigned count = FIRST_STREAM;
    server->watch[0] = (struct pollfd){server->event_fd, POLLIN, 0};
    for (int i = 0; i < TTAP__LISTENERS; i++)
        server->watch[1 + i] = (struct pollfd){ttap__accept_watched_fd(&server->listeners[i], now_ns, next_ns), POLLIN, 0};
    for (struct ttap__stream *stream = server->streams; stream; stream = ttap__stream_next(stream)) {
        int fd = ttap__stream_watched_fd(stream);
        if (fd < 0)
            continue;
        server->watch[count] = (struct pollfd){fd, ttap__stream_watched_events(stream), 0};
        server->watched[count++] = ttap__stream_id(stream);
    }
    return count;
}

/* While we slept the stream may have ended and its descriptor may have become another's: only the id is to be trusted. */
static void on_left(struct ttap__server *server, uint64_t id)
{
    for (struct ttap__stream *stream = server->streams; stream; stream = ttap__stream_next(stream))
        if (ttap__stream_id(stream) == id && ttap__stream_watched_fd(stream) >= 0) {
            ttap__stream_cut(stream);
            return;
        }
}

static int timeout_ms(uint64_t next_ns, uint64_t now_ns)
{
    if (next_ns == UINT64_MAX)
        return -1;
    if (next_ns <= now_ns)
        return 0;
    uint64_t ms = (next_ns - now_ns + TTAP__NS_PER_MS - 1) / TTAP__NS_PER_MS;
    return ms < 60000 ? (int)ms : 60000;
}

static void sleep_and_take(struct ttap__server *server, uint64_t next_ns, uint64_t now_ns)
{
    eventfd_t rung;
    unsigned count = fill_watch(server, now_ns, &next_ns);
    server->armed_ns = next_ns;
    pthread_mutex_unlock(&server->lock);
    int ready = poll(server->watch, count, timeout_ms(next_ns, now_ns));
    if (ready < 0 && errno != EINTR) /* without memory it fails at once, again and again */
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    for (int i = 0; i < TTAP__LISTENERS && ready > 0; i++)
        if (server->watch[1 + i].revents)
            ttap__accept_ready(&server->listeners[i]);
    pthread_mutex_lock(&server->lock);
    server->armed_ns = 0; /* awake: nobody needs to ring */
    if (ready <= 0)
        return;
    if (server->watch[0].revents)
        eventfd_read(server->event_fd, &rung);
    for (unsigned i = FIRST_STREAM; i < count; i++)
        if (server->watch[i].revents)
            on_left(server, server->watched[i]);
}

/* ---- The end ---- */

static uint64_t tell_all(struct ttap__server *server, uint64_t until_ns)
{
    for (struct ttap__stream *stream = server->streams; stream; stream = ttap__stream_next(stream))
        ttap__stream_finish(stream, until_ns);
    return until_ns;
}

/* libmicrohttpd has said of each connection given to it that it has it: only then is it in order to stop it. */
static void wait_for_coming(struct ttap__server *server)
{
    uint64_t until_ns = ttap__now_ns() + COMING_LAST_NS;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    while (server->listeners[TTAP__TCP].coming || server->listeners[TTAP__UNIX].coming)
        if (pthread_cond_timedwait(&server->changed, &server->lock, &until) != 0)
            return;
}

static void stop_daemons(struct ttap__server *server)
{
    wait_for_coming(server);
    for (struct ttap__stream *stream = server->streams; stream; stream = ttap__stream_next(stream))
        ttap__stream_cut(stream);
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < TTAP__LISTENERS; i++) {
        struct listener *listener = &server->listeners[i];
        if (!listener->daemon)
            continue;
        ttap__listener_close(listener); /* first: nobody may wait for a daemon that is gone */
        MHD_stop_daemon(listener->daemon);
        listener->daemon = NULL;
    }
    pthread_mutex_lock(&server->lock);
}

static void *control(void *arg)
{
    struct ttap__server *server = arg;
    uint64_t stop_ns = UINT64_MAX;
    ttap__thread_is_ours();
    pthread_mutex_lock(&server->lock);
    for (;;) {
        uint64_t now_ns = ttap__now_ns();
        if (server->stopping && stop_ns == UINT64_MAX)
            stop_ns = tell_all(server, now_ns + STOP_LAST_BYTES_NS);
        if (server->stopping && (now_ns >= stop_ns || !server->stream_count))
            break;
        uint64_t next_ns = look_at_all(server, now_ns);
        sleep_and_take(server, next_ns < stop_ns ? next_ns : stop_ns, now_ns);
    }
    stop_daemons(server);
    server->stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- From the caller's thread ---- */

int ttap__control_start(struct ttap__server *server)
{
    server->watch = calloc(server->streams_max + FIRST_STREAM, sizeof *server->watch);
    server->watched = calloc(server->streams_max + FIRST_STREAM, sizeof *server->watched);
    if (!server->watch || !server->watched)
        return -ENOMEM;
    server->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->event_fd < 0)
        return -errno;
    int error = ttap__thread_start(&server->control, control, server);
    server->control_runs = !error;
    return -error;
}

bool ttap__control_stop(struct ttap__server *server)
{
    uint64_t until_ns = ttap__now_ns() + STOP_NS;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    ttap__control_arm(server, 0);
    while ((server->control_runs && !server->stopped) || server->stream_count)
        if (pthread_cond_timedwait(&server->changed, &server->lock, &until) != 0)
            break;
    bool done = (!server->control_runs || server->stopped) && !server->stream_count;
    pthread_mutex_unlock(&server->lock);
    if (server->control_runs && done)
        pthread_join(server->control, NULL);
    else if (server->control_runs)
        pthread_detach(server->control);
    return done;
}
