/* stream.c - one streaming reply.
 *
 *      MHD's thread:    on_read ----> bytes
 *                          `- nothing there: SUSPENDED ---- wake(), any thread ----> on_read again
 *      control thread:  client left ----> gone(), cut        time or stop ----> gone(), rest may follow for a moment, cut
 *
 * Invariants: gone() at most once, never after free(); nobody suspends once cut is set, which is why stopping a daemon after cutting
 * all streams is safe (libmicrohttpd aborts the process if one is suspended then). An empty read without suspending would spin.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "internal.h"
#ifdef TTAP_TESTING
#include "testing.h"
_Atomic uint64_t ttap__testing_stall_window_ns = 10000 * TTAP__NS_PER_MS;
#define STALL_WINDOW_NS ttap__testing_stall_window_ns
#else
#define STALL_WINDOW_NS (10000 * TTAP__NS_PER_MS)
#endif

#define LAST_BYTES_NS (1000 * TTAP__NS_PER_MS) /* for the end of a stream whose time is over: its trailer */
enum { BLOCK_BYTES = 65536 };                  /* what libmicrohttpd asks for at once */

struct ttap__stream {
    struct ttap__stream *next, **link; /* server->lock guards these and the next five */
    bool told;                         /* gone() has run */
    bool left;                         /* the client is known to have left */
    uint64_t finish_by_ns;             /* once told: when it is cut; 0: not */
    uint64_t measured_from_ns, measured_bytes, measured_waits;

    struct ttap__server *server;
    struct MHD_Connection *connection;
    struct ttap__stream_ops ops;
    void *arg;
    struct ttap__stream_limits limits;
    uint64_t id;
    int fd;
    const struct slot *slot; /* NULL: mounted */

    pthread_mutex_t lock; /* guards suspended and woken */
    bool suspended, woken;
    bool cut, ended;              /* atomic */
    uint64_t handed_bytes, waits; /* atomic; written by MHD's thread */
};

/* ---- Reading ---- */

/* Where suspending is not allowed, libmicrohttpd asks again at once: without a nap that would be a busy loop. */
static void nap(void)
{
    const struct timespec one_ms = {0, 1000000};
    nanosleep(&one_ms, NULL);
}

/* True: there may be something after all. */
static bool wait_for_more(struct ttap__stream *stream)
{
    __atomic_fetch_add(&stream->waits, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&stream->lock);
    bool again = stream->woken || __atomic_load_n(&stream->cut, __ATOMIC_ACQUIRE);
    stream->woken = false;
    if (!again && stream->server->may_suspend) {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!again && !stream->server->may_suspend)
        nap();
    return again;
}

static ssize_t on_read(void *arg, uint64_t position, char *buf, size_t max)
{
    struct ttap__stream *stream = arg;
    (void)position;
    do {
        if (__atomic_load_n(&stream->cut, __ATOMIC_ACQUIRE))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        long got = stream->ops.read(stream->arg, buf, max);
        if (got > 0) {
            __atomic_fetch_add(&stream->handed_bytes, (uint64_t)got, __ATOMIC_RELAXED);
            return got;
        }
        if (got == TTAP__STREAM_END) {
            __atomic_store_n(&stream->ended, true, __ATOMIC_RELEASE);
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (got != TTAP__STREAM_WAIT)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    } while (wait_for_more(stream));
    return 0;
}

void ttap__stream_wake(struct ttap__stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    } else {
        stream->woken = true;
    }
    pthread_mutex_unlock(&stream->lock);
}

/* ---- Ending ---- */

static void tell_gone(struct ttap__stream *stream)
{
    if (stream->told || __atomic_load_n(&stream->ended, __ATOMIC_ACQUIRE))
        return;
    stream->told = true;
    if (stream->ops.gone)
        stream->ops.gone(stream->arg);
}

void ttap__stream_finish(struct ttap__stream *stream, uint64_t until_ns)
{
    tell_gone(stream);
    if (!stream->finish_by_ns || until_ns < stream->finish_by_ns)
        stream->finish_by_ns = until_ns;
    ttap__stream_wake(stream);
}

void ttap__stream_cut(struct ttap__stream *stream)
{
    tell_gone(stream);
    stream->left = true;
    __atomic_store_n(&stream->cut, true, __ATOMIC_RELEASE);
    ttap__stream_wake(stream);
    shutdown(stream->fd, SHUT_RDWR); /* it may be waiting for a client that does not read */
}

static void unlink_stream(struct ttap__stream *stream)
{
    pthread_mutex_lock(&stream->server->lock);
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    pthread_mutex_unlock(&stream->server->lock);
}

static void discount(struct ttap__server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stream_count--;
    if (server->stopping)
        ttap__control_arm(server, 0);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* From libmicrohttpd, when the reply is over for whatever reason; a failed write comes here without anybody having been told. */
static void on_free(void *arg)
{
    struct ttap__stream *stream = arg;
    struct ttap__server *server = stream->server;
    unlink_stream(stream);
    tell_gone(stream);
    stream->ops.free(stream->arg);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
    discount(server);
}

/* ---- What time does ---- */

static bool is_stalled(struct ttap__stream *stream, uint64_t now_ns)
{
    uint64_t bytes = __atomic_load_n(&stream->handed_bytes, __ATOMIC_RELAXED), waits = __atomic_load_n(&stream->waits, __ATOMIC_RELAXED);
    pthread_mutex_lock(&stream->lock);
    bool drained = stream->suspended || waits != stream->measured_waits; /* the client had taken everything there was */
    pthread_mutex_unlock(&stream->lock);
    uint64_t taken = bytes - stream->measured_bytes;
    double needed = (double)stream->limits.min_bytes_per_s * (double)(now_ns - stream->measured_from_ns) / 1e9;
    bool first = !stream->measured_from_ns;
    stream->measured_from_ns = now_ns;
    stream->measured_bytes = bytes;
    stream->measured_waits = waits;
    return !first && !drained && (double)taken < needed;
}

/* When the pace must be looked at again; 0: it was too slow. */
static uint64_t look_at_pace(struct ttap__stream *stream, uint64_t now_ns)
{
    if (!stream->limits.min_bytes_per_s)
        return UINT64_MAX;
    if (now_ns < stream->limits.grace_from_ns)
        return stream->limits.grace_from_ns;
    if (stream->measured_from_ns && now_ns < stream->measured_from_ns + STALL_WINDOW_NS)
        return stream->measured_from_ns + STALL_WINDOW_NS;
    return is_stalled(stream, now_ns) ? 0 : now_ns + STALL_WINDOW_NS;
}

uint64_t ttap__stream_look(struct ttap__stream *stream, uint64_t now_ns)
{
    uint64_t deadline_ns = stream->limits.deadline_ns ? stream->limits.deadline_ns : UINT64_MAX;
    if (stream->left)
        return UINT64_MAX;
    if (stream->finish_by_ns && now_ns >= stream->finish_by_ns) {
        ttap__stream_cut(stream);
        return UINT64_MAX;
    }
    if (stream->finish_by_ns)
        return stream->finish_by_ns;
    uint64_t pace_ns = look_at_pace(stream, now_ns);
    if (pace_ns && now_ns < deadline_ns)
        return pace_ns < deadline_ns ? pace_ns : deadline_ns;
    ttap__log(stream->server, "a stream ends early: %s", pace_ns ? "its time for delivery is over" : "its client takes too little");
    ttap__stream_finish(stream, now_ns + LAST_BYTES_NS);
    return stream->finish_by_ns;
}

int ttap__stream_watched_fd(const struct ttap__stream *stream)
{
    return stream->left ? -1 : stream->fd;
}

short ttap__stream_watched_events(const struct ttap__stream *stream)
{
    return ttap__slot_is_deaf(stream->slot) ? 0 : POLLRDHUP; /* POLLHUP and POLLERR come unasked */
}

uint64_t ttap__stream_id(const struct ttap__stream *stream)
{
    return stream->id;
}

struct ttap__stream *ttap__stream_next(const struct ttap__stream *stream)
{
    return stream->next;
}

/* ---- Beginning ---- */

static struct ttap__stream *make(struct ttap__request *req, const struct ttap__stream_ops *ops, void *arg, const struct ttap__stream_limits *limits)
{
    struct ttap__stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->server = req->server;
    stream->connection = req->connection;
    stream->ops = *ops;
    stream->arg = arg;
    stream->limits = limits ? *limits : (struct ttap__stream_limits){0};
    stream->fd = ttap__request_fd(req);
    stream->slot = req->slot;
    pthread_mutex_init(&stream->lock, NULL);
    return stream;
}

static bool enlist(struct ttap__stream *stream, const struct listener *listener)
{
    struct ttap__server *server = stream->server;
    pthread_mutex_lock(&server->lock);
    bool accepted = !server->stopping && server->stream_count < server->streams_max && ttap__slots_may_stream(listener);
    if (accepted) {
        stream->id = ++server->last_stream_id;
        stream->next = server->streams;
        stream->link = &server->streams;
        if (stream->next)
            stream->next->link = &stream->next;
        server->streams = stream;
        server->stream_count++;
        ttap__control_arm(server, 0);
    }
    pthread_mutex_unlock(&server->lock);
    return accepted;
}

static void refuse(struct ttap__request *req, const struct ttap__stream_ops *ops, void *arg)
{
    static const struct ttap__header soon[] = {{"Retry-After", "1"}, {NULL, NULL}};
    ops->free(arg);
    if (req->server->stopping)
        ttap__reply_error(req, 503, "stopping", NULL, NULL, "the endpoint is being stopped");
    else
        ttap__reply_error(req, 503, "too_many_downloads", NULL, soon,
                          "a quarter of the connections is kept for short answers, the others are downloads");
}

/* A reply of ours ends by its own rules: libmicrohttpd's idle timeout would cut a window whose client rests for ten seconds. */
static void queue(struct ttap__request *req, unsigned status, struct MHD_Response *response, struct ttap__stream **out)
{
    MHD_set_connection_option(req->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    ttap__slot_streaming(req->server, req->slot);
    req->result = MHD_queue_response(req->connection, status, response);
    if (req->result != MHD_YES)
        *out = NULL; /* before the next line, which frees the stream and all that @out may be part of */
    MHD_destroy_response(response);
}

static void begin(struct ttap__request *req, unsigned status, const char *content_type, const struct ttap__header *extra, struct ttap__stream *stream,
                  struct ttap__stream **out)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, stream, on_free);
    req->answered = req->close = true;
    if (response && ttap__reply_headers(req, response, content_type, extra)) {
        queue(req, status, response, out);
        return;
    }
    *out = NULL;
    if (response)
        MHD_destroy_response(response);
    else
        on_free(stream);
}

void ttap__reply_stream(struct ttap__request *req, unsigned status, const char *content_type, const struct ttap__header *extra,
                        const struct ttap__stream_ops *ops, void *arg, const struct ttap__stream_limits *limits, struct ttap__stream **out)
{
    *out = NULL;
    if (req->method == TTAP__HEAD) { /* libmicrohttpd 0.9.75 would send a stray last chunk */
        ops->free(arg);
        ttap__reply(req, status, content_type, "", 0, extra);
        return;
    }
    struct ttap__stream *stream = make(req, ops, arg, limits);
    if (!stream) {
        ops->free(arg);
        ttap__reply_error(req, 503, "no_memory", NULL, NULL, "no memory for another stream");
        return;
    }
    *out = stream;
    if (enlist(stream, req->listener)) {
        begin(req, status, content_type, extra, stream, out);
        return;
    }
    *out = NULL;
    pthread_mutex_destroy(&stream->lock);
    free(stream);
    refuse(req, ops, arg);
}
