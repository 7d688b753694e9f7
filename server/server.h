/* server.h - a small HTTP edge over libmicrohttpd: listener, routes, strict parameters, streaming, access rules.
 *
 * Knows nothing of traces: it could serve another project. One daemon thread (poll), one control thread that watches for clients
 * that left and for deadlines. Handlers run on the daemon thread and must not block: long answers are streams.
 *
 * Added to the first draft: ttap__mount_*, and in assets.h ttap__assets_reply(). Said more exactly: gone() may also come from the daemon's
 * thread, and read() goes on after it unless the client has left; *out is NULL again before arg is freed.
 */
#ifndef TTAP_SERVER_SERVER_H
#define TTAP_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ttap__server;
struct ttap__request; /* one request; valid during its handler only */

enum ttap__method { TTAP__GET = 1, TTAP__HEAD = 2, TTAP__POST = 4, TTAP__PUT = 8, TTAP__DELETE = 16 };

/* ---- Routes ---- */
/** A handler answers by calling exactly one reply function below, on this thread, before it returns. */
typedef void (*ttap__handler_fn)(struct ttap__request *req, void *arg);

struct ttap__route {
    const char *
        path; /* exact, or with one "{id}" segment that matches one non-empty segment: "/debug/trace/captures/{id}/stop"; a trailing "{rest}" matches the remainder */
    unsigned
        methods; /* allowed; others get 405 with Allow. HEAD must be listed to be allowed and never runs the handler's side effects: see ttap__request_method */
    ttap__handler_fn handler;
    const char *const
        *params; /* NULL-terminated list of query parameters allowed; others and repeated ones are 400 before the handler runs. NULL: none allowed */
    unsigned flags;        /* TTAP__ROUTE_* */
    size_t body_max_bytes; /* for POST and PUT; 0: no body allowed */
};
enum {
    TTAP__ROUTE_PUBLIC = 1 /* needs no token: static assets */,
    TTAP__ROUTE_PLAIN_ERRORS = 2 /* errors as text/plain: what pprof clients need */,
    TTAP__ROUTE_STREAMS = 4 /* needs suspend: 501 where mounted without it */
};

enum ttap__method ttap__request_method(const struct ttap__request *req);
const char *ttap__request_path_arg(const struct ttap__request *req);                /* what {id} or {rest} matched; NULL if the route has none */
const char *ttap__request_param(const struct ttap__request *req, const char *name); /* NULL: not given. "" is a value */
const char *ttap__request_header(const struct ttap__request *req, const char *name);
const void *ttap__request_body(const struct ttap__request *req,
                               size_t *len_bytes); /* complete; its Content-Type was checked to be application/json */

/* ---- Typed parameters: true, or false after having replied 400 that names value and limits ---- */
/** Digits with optional fraction, 0 < value <= max; e.g. "5", "0.25". @out_ns untouched (the default) when absent. */
bool ttap__param_seconds(struct ttap__request *req, const char *name, double max_s, uint64_t *out_ns);
bool ttap__param_u64(struct ttap__request *req, const char *name, uint64_t min, uint64_t max, uint64_t *out);
/** One of a NULL-terminated list; *@out is its index. */
bool ttap__param_choice(struct ttap__request *req, const char *name, const char *const *choices, int *out);
/** Comma-separated subset of a NULL-terminated list; *@out has bit i set for choice i. */
bool ttap__param_set(struct ttap__request *req, const char *name, const char *const *choices, uint64_t *out);

/* ---- Replies ---- */
struct ttap__header {
    const char *name, *value;
};
/** Bytes, copied. @extra: NULL-name-terminated, may be NULL. Security headers (viewer.md 3.5) are added to every reply. */
void ttap__reply(struct ttap__request *req, unsigned status, const char *content_type, const void *body, size_t len_bytes,
                 const struct ttap__header *extra);
/** {"error":{"code","message","hint"}} or its plain form. @code is a stable word such as "bad_parameter". @hint may be NULL. */
void ttap__reply_error(struct ttap__request *req, unsigned status, const char *code, const char *hint, const struct ttap__header *extra,
                       const char *message_format, ...) __attribute__((format(printf, 6, 7)));

/* ---- Streams ---- */
struct ttap__stream; /* one streaming reply; lives until ops->free has run */
enum { TTAP__STREAM_WAIT = 0, TTAP__STREAM_END = -1, TTAP__STREAM_ERROR = -2 /* closes without the last chunk: the client sees a cut */ };
struct ttap__stream_ops {
    /** Fill up to @max bytes. Returns how many, or a TTAP__STREAM_ value. Daemon thread; never blocks. After WAIT it is called again once ttap__stream_wake() ran. */
    long (*read)(void *arg, void *buf, size_t max);
    /** The client left, stalled too long, or the server stops: stop producing. Control thread, or daemon thread where a write failed; within 100 ms of
     *  the event; at most once; must not block nor call reply functions. May be called while read runs. If the client is still there read goes on being
     *  called, for 1 s (250 ms when the server stops), so that a last trailer gets through. */
    void (*gone)(void *arg);
    /** The last call: free @arg. */
    void (*free)(void *arg);
};
struct ttap__stream_limits {
    uint64_t min_bytes_per_s; /* delivery slower than this, measured over 10 s while data is there, counts as stalled; 0: no minimum */
    uint64_t grace_from_ns;   /* CLOCK_MONOTONIC from which the minimum applies (the window's end) */
    uint64_t deadline_ns;     /* CLOCK_MONOTONIC at which delivery ends whatever happens; 0: none */
};
/** Begin a streaming reply: headers go out at once. Owns @arg from here on, also on failure (free is called). *@out may be needed by wake before this returns: it is set first. NULL out on failure. */
void ttap__reply_stream(struct ttap__request *req, unsigned status, const char *content_type, const struct ttap__header *extra,
                        const struct ttap__stream_ops *ops, void *arg, const struct ttap__stream_limits *limits, struct ttap__stream **out);
/** There is something to read again, or the end. Any thread; never blocks long; harmless when not waiting. Must not be called after free. */
void ttap__stream_wake(struct ttap__stream *stream);

/* ---- The server ---- */
struct ttap__server_config {
    const char *address;       /* numeric, default "127.0.0.1"; non-loopback needs a token */
    uint16_t port;             /* 0: any free one */
    const char *unix_path;     /* additionally a unix socket, mode 0600, peer uid checked; NULL: none */
    const char *token_file;    /* bearer token, file mode 0600; NULL: none */
    const char *const *hosts;  /* names allowed in Host beside localhost, 127.0.0.1, [::1] and the bound address; NULL-terminated; NULL: none */
    unsigned connections_max;  /* default 64 */
    uint64_t head_deadline_ms; /* accept to complete request, default 5000 */
    const struct ttap__route *routes;
    size_t route_count;
    void *arg;
    void (*log)(void *arg, const char *line);
    void *log_arg; /* escaped, rate-limited; NULL: nowhere (never stderr) */
};
/** 0 and *@out; or negative errno with a sentence in @error that names the value at fault and what is allowed. */
int ttap__server_start(const struct ttap__server_config *config, struct ttap__server **out, char *error, size_t error_size);
uint16_t ttap__server_port(const struct ttap__server *server);
/** Calls gone on every stream, ends them, stops; <= 2 s. */
void ttap__server_stop(struct ttap__server *server);

/* ---- Inside a libmicrohttpd daemon of somebody else: the same routes and rules ---- */
struct MHD_Connection;
struct ttap__mount_config {
    bool
        may_suspend; /* the daemon allows it, and ttap__mount_free() will run before it is stopped. False: TTAP__ROUTE_STREAMS answers 501; other streams
                              * are read without suspending, so their read() should block for some milliseconds before it says WAIT */
    bool access_by_host;     /* leave out peer, Host, Sec-Fetch-Site, Origin and token */
    const char *stream_hint; /* for the 501; copied */
};
/** A server without listeners: of @config only routes, arg, hosts, token_file, log and connections_max (streams at once) apply. Errors as ttap__server_start(). */
int ttap__mount_new(const struct ttap__server_config *config, const struct ttap__mount_config *how, struct ttap__server **out, char *error,
                    size_t error_size);
/** 1: the request was ours, and *@result is what the access handler must return. 0: not ours, nothing was touched. @result is an enum MHD_Result. */
int ttap__mount_handle(struct ttap__server *server, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                       const char *data, size_t *data_size, void **con_cls, int *result);
/** A request ended: frees ours if it was cut before it was complete; anything else in *@con_cls is left alone. Allowed after ttap__mount_free(). */
void ttap__mount_completed(void **con_cls);
/** End our streams and free; <= 2 s. The daemon must still run. False: a stream did not end, and @server is left behind. */
bool ttap__mount_free(struct ttap__server *server);

#endif
