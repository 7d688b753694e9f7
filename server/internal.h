/* internal.h - what the files of this folder share.
 *
 *      listen.c, accept.c -> MHD daemon(s), one thread each --> request.c: head.c (is it well-formed?) -> route.c -> access.c (may it?) -> handler
 *                                                        `-> reply.c, stream.c (what goes back)
 *      control.c: one thread; watches streams and waiting connections, and takes everything down at the end
 *
 * Locks. server->lock guards connection slots, the list of streams and what the control thread waits for. A stream's own lock guards whether
 * it is suspended. The order is server->lock, then stream->lock; handlers' read() runs with neither, their gone() with server->lock.
 */
#ifndef TTAP_SERVER_INTERNAL_H
#define TTAP_SERVER_INTERNAL_H

#include <stdarg.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "server.h"

#define TTAP__NS_PER_MS UINT64_C(1000000)
#define TTAP__TOKEN_MAX 256 /* longest token; also the size that comparisons always walk */
#define TTAP__TOKEN_MIN 22  /* 128 bits in base64 */
#define TTAP__HOST_MAX 253  /* longest DNS name */

enum {
    TTAP__PARAMS_MAX = 16, /* no route has more */
    TTAP__HEADERS_MAX = 64,
    TTAP__UNIX_CONNECTIONS = 16, /* for operators, beside the TCP listener's */
    TTAP__IDLE_KEPT = 8          /* idle keep-alive connections of a listener before the oldest is closed */
};

/* ---- A connection of a listener of ours ---- */
struct slot {
    int fd;                        /* -1: free. Atomic, because a forked child reads it without the lock */
    bool shut;                     /* we have shut it down; MHD is about to close it */
    bool deaf;                     /* its reading half was shut when its request turned out to be complete: this reply is its last */
    bool served;                   /* at least one request was complete: now waiting means idle */
    bool peer_ok;                  /* unix: the peer is our user */
    uint64_t waiting_since_ns;     /* no complete request since then; 0: one is being answered */
    uint64_t answering_since_ns;   /* a reply is on its way since then; 0: none, or a stream */
    uint64_t deadline_ns;          /* when waiting, or answering, ends */
    struct ttap__request *request; /* in progress; MHD's thread alone. On some malformed heads libmicrohttpd never says that it is over */
};

struct listener {
    struct ttap__server *server;
    struct MHD_Daemon *daemon;
    int fd;    /* -1: none. Atomic as above */
    dev_t dev; /* what fd was when it was opened */
    ino_t ino;
    bool is_unix;
    bool rested; /* the last accept() failed for want of something. This and the next are the control thread's alone */
    uint64_t rest_until_ns;
    unsigned coming;          /* accepted, and libmicrohttpd has not said yet that it has them */
    uint64_t coming_since_ns; /* the last of them */
    unsigned slot_count, slots_used;
    unsigned slot_room; /* as many again: those counted as dropped may yet come */
    struct slot *slots;
};

enum { TTAP__TCP, TTAP__UNIX, TTAP__LISTENERS };

struct ttap__server {
    struct ttap__server *next;  /* of those alive in this process: a forked child closes their descriptors */
    pid_t pid;                  /* who started it */
    struct ttap__route *routes; /* our copy of the table; its texts are the caller's constants */
    size_t route_count;
    void *arg;
    char (*hosts)[TTAP__HOST_MAX + 1];
    size_t host_count;
    char token[TTAP__TOKEN_MAX]; /* zero-padded */
    size_t token_len;            /* 0: none asked */
    uint64_t head_deadline_ns;
    char *unix_path; /* what we bound, and its identity: nothing else is unlinked */
    dev_t unix_dev;
    ino_t unix_ino;
    uint16_t port;
    struct listener listeners[TTAP__LISTENERS];
    bool mounted, may_suspend, access_by_host;
    char *stream_hint; /* mounted: what to do where streams are not possible; NULL: nothing */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a stream ended, or the control thread is done */
    pthread_t control;
    bool control_runs, stopping, stopped;
    int event_fd;      /* wakes the control thread; -1: none. Atomic as above */
    uint64_t armed_ns; /* when the control thread will look by itself */
    struct ttap__stream *streams;
    unsigned stream_count, streams_max;
    struct pollfd *watch; /* the control thread's: event_fd, one for each listener, then one for each stream */
    uint64_t *watched;    /* ids of the streams in watch */
    uint64_t last_stream_id;

    pthread_mutex_t log_lock;
    void (*log)(void *arg, const char *line);
    void *log_arg;
    uint64_t log_second;
    unsigned log_lines, log_dropped;
};

/* ---- A request ---- */
struct param {
    char *name, *value; /* decoded, in the request's copy of the query */
};

/* The headers that rules look at; NULL: absent. */
struct head {
    const char *host, *origin, *fetch_site, *authorization, *content_type, *content_length, *transfer_encoding;
};

struct ttap__request {
    struct ttap__request *next, **link; /* mounted: of those in flight in this process */
    struct ttap__server *server;
    struct MHD_Connection *connection;
    struct slot *slot;         /* NULL: mounted */
    struct listener *listener; /* NULL: mounted */
    bool begun, answered, has_body, peer_ok, http_1_0;
    bool raw;                 /* libmicrohttpd would not send a reply now: it is written past it */
    bool close;               /* this connection ends with the reply */
    enum MHD_Result result;   /* what queueing the reply gave */
    enum ttap__method method; /* 0: one we do not know */
    const struct ttap__route *route;
    char *path_arg;
    struct head head;
    struct param params[TTAP__PARAMS_MAX];
    size_t param_count;
    char *body;
    size_t body_len, body_room;
    const char *uri_at; /* where libmicrohttpd had the raw URI, never followed; NULL: mounted */
    size_t uri_len;
    char *query; /* NULL: none; cut into params in place */
    char path[]; /* the raw path, then the raw query */
};

/* ---- head.c ---- */
/** Read method, headers and parameters. False: a 4xx was sent. */
bool ttap__head_read(struct ttap__request *req, const char *method, const char *version);
/** Decode %XX and + in place. False: a bad escape, or one that stands for NUL. */
bool ttap__unescape(char *text);
/** Cut a query into decoded parameters. NULL, or what is wrong with it. */
const char *ttap__query_parse(char *query, struct param *params, size_t max, size_t *count);
/** The host of a Host header without its port, as [@out, @out_len) in @value. False: not a host. */
bool ttap__host_split(const char *value, const char **out, size_t *out_len);

/* ---- access.c ---- */
/** Apply all rules. False: refused, and a reply was sent. */
bool ttap__access_check(struct ttap__request *req);

/* ---- route.c ---- */
/** The route of a path; *@arg_at is where its {id} or {rest} begins, NULL if it has none. */
const struct ttap__route *ttap__route_find(const struct ttap__server *server, const char *path, const char **arg_at, size_t *arg_len);
/** "GET, HEAD" */
void ttap__route_allow(const struct ttap__route *route, char out[48]);
/** Parameters of this request are those of its route. False: a 400 was sent. */
bool ttap__route_params_check(struct ttap__request *req);

/* ---- request.c ---- */
struct ttap__request *ttap__request_new(struct ttap__server *server, const char *uri);
void ttap__request_free(struct ttap__request *req);
/** What MHD's access handler does once the request is known. */
enum MHD_Result ttap__request_step(struct ttap__request *req, struct MHD_Connection *connection, const char *method, const char *version,
                                   const char *data, size_t *data_size);
enum MHD_Result ttap__on_request(void *listener, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *data, size_t *data_size, void **con_cls);
void *ttap__on_uri(void *listener, const char *uri, struct MHD_Connection *connection);
void ttap__on_completed(void *listener, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why);

/* ---- reply.c ---- */
/** Add the headers that every reply has. */
bool ttap__reply_headers(struct ttap__request *req, struct MHD_Response *response, const char *content_type, const struct ttap__header *extra);
/** Hand @response over. */
void ttap__reply_queue(struct ttap__request *req, unsigned status, struct MHD_Response *response);
int ttap__request_fd(const struct ttap__request *req);

/* ---- stream.c: all with server->lock held ---- */
/** It is to end: tell its owner, once; what it still has may follow until @until_ns. */
void ttap__stream_finish(struct ttap__stream *stream, uint64_t until_ns);
/** Nothing more is read from it; its connection ends. */
void ttap__stream_cut(struct ttap__stream *stream);
/** What time has done to it; returns when to look again (CLOCK_MONOTONIC). */
uint64_t ttap__stream_look(struct ttap__stream *stream, uint64_t now_ns);
/** The descriptor whose other end may leave, or -1 if that was already seen. */
int ttap__stream_watched_fd(const struct ttap__stream *stream);
/** What of poll() says that its client has left. */
short ttap__stream_watched_events(const struct ttap__stream *stream);
uint64_t ttap__stream_id(const struct ttap__stream *stream);
struct ttap__stream *ttap__stream_next(const struct ttap__stream *stream);

/* ---- control.c ---- */
int ttap__control_start(struct ttap__server *server);
/** With the lock: have the control thread look at @at_ns or earlier. */
void ttap__control_arm(struct ttap__server *server, uint64_t at_ns);
/** End all streams, then the daemons, then the thread. False: it did not manage in time. */
bool ttap__control_stop(struct ttap__server *server);

/* ---- slots.c: connections of our own listeners ---- */
void ttap__on_connection(void *listener, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode what);
/** A connection's request is complete, or it waits for the next one. */
void ttap__slot_answering(struct listener *listener, struct slot *slot);
void ttap__slot_waiting(struct listener *listener, struct slot *slot);
/** The request in progress is @req, or none; the one before is freed. @slot may be NULL. */
void ttap__slot_request(struct slot *slot, struct ttap__request *req);
/** Its reply is a stream, which ends by rules of its own. @slot may be NULL. */
void ttap__slot_streaming(struct ttap__server *server, struct slot *slot);
/** With the lock: nothing can be read from it, so that the end of that says nothing of its client. @slot may be NULL. */
bool ttap__slot_is_deaf(const struct slot *slot);
/** With the lock: whether one more reply may be a stream: a quarter of the slots is for short answers. @listener may be NULL. */
bool ttap__slots_may_stream(const struct listener *listener);
/** With the lock: shut what has waited too long, or what must make room; returns when to look again. */
uint64_t ttap__slots_look(struct listener *listener, uint64_t now_ns);

/* ---- accept.c ---- */
/** With the lock: the descriptor on which connections come, or -1 while none is taken; *@next_ns becomes earlier if that ends by itself. */
int ttap__accept_watched_fd(struct listener *listener, uint64_t now_ns, uint64_t *next_ns);
/** Without the lock, control thread: take as many as there are places. */
void ttap__accept_ready(struct listener *listener);

/* ---- listen.c ---- */
/** Open the sockets a configuration asks for. 0, or negative errno and a sentence. */
int ttap__listen_all(struct ttap__server *server, const struct ttap__server_config *config, char *error, size_t error_size);
void ttap__listen_unlink(struct ttap__server *server);
/** Whether its descriptor still is what was opened. */
bool ttap__listener_is_ours(const struct listener *listener);
/** Close it, if so. */
void ttap__listener_close(struct listener *listener);

/* ---- daemon.c ---- */
/** Start libmicrohttpd for a listener; accept.c gives it connections from then on. */
int ttap__daemon_start(struct listener *listener, char *error, size_t error_size);

/* ---- threads.c ---- */
/** Around anything that starts threads: they inherit the mask, and then never run the service's handlers. */
void ttap__signals_block(sigset_t *before);
void ttap__signals_restore(const sigset_t *before);
/** 0 or an errno. */
int ttap__thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);
/** Mark the calling thread as ours, so that a fault inside libmicrohttpd parks it and spares the service. */
void ttap__thread_is_ours(void);
void ttap__on_panic(void *arg, const char *file, unsigned line, const char *reason);

/* ---- server.c ---- */
/** The parts that listening and mounted servers share. */
int ttap__server_make(const struct ttap__server_config *config, struct ttap__server **out, char *error, size_t error_size);
void ttap__server_destroy(struct ttap__server *server);

/* ---- forked.c ---- */
void ttap__forked_watch(struct ttap__server *server);
void ttap__forked_unwatch(struct ttap__server *server);

/* ---- token.c ---- */
int ttap__token_load(struct ttap__server *server, const char *path, char *error, size_t error_size);
/** Compare what follows "Bearer " in constant time. */
bool ttap__token_matches(const struct ttap__server *server, const char *authorization);

/* ---- text.c ---- */
uint64_t ttap__now_ns(void);
__attribute__((format(printf, 4, 5))) int ttap__say(char *error, size_t error_size, int result, const char *format, ...);
/** Tell the service; printable, short, 10 lines a second. */
__attribute__((format(printf, 2, 3))) void ttap__log(struct ttap__server *server, const char *format, ...);
__attribute__((format(printf, 2, 0))) void ttap__log_v(struct ttap__server *server, const char *format, va_list args);
/** Printable ASCII, other bytes as \xNN. Returns the length written. */
size_t ttap__escape_plain(char *out, size_t size, const char *text);
/** As inside a JSON string: ASCII only; bytes that are not UTF-8 become U+FFFD. Cut to whole characters where @out ends. */
size_t ttap__escape_json(char *out, size_t size, const char *text);

#endif
