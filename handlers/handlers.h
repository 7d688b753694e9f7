/* handlers.h - what the endpoints of this folder share.
 *
 *      request -> query.c, body.c (what was asked)  -> engine (capture.h) -> delivery.c (bytes as they come)  ->
 *      server.h
 *                                                  `-> info.c (figures)   -> reply.c (JSON)                   -^
 *
 * Handlers run on the server's daemon thread, or on threads of a host that mounted us, several at once: whatever
 * lives in struct ttap_http is constant after start, or under its lock.
 */
#ifndef TTAP_HANDLERS_HANDLERS_H
#define TTAP_HANDLERS_HANDLERS_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture.h"
#include "server.h"
#include "tracetap/http.h"

#define TTAP__NS_PER_S UINT64_C(1000000000)

/* ---- Limits: docs/http.md names them all ---- */
#define TTAP__WINDOW_MIN_NS UINT64_C(1000)         /* the engine's shortest window */
#define TTAP__BYTES_MIN UINT64_C(4096)             /* header, kind table and trailer alone are 2 to 3 KiB */
#define TTAP__BYTES_MAX (UINT64_C(1) << 40)        /* only there so that a slipped digit is noticed */
#define TTAP__BODY_MAX_BYTES ((size_t)65536)       /* 64 sampling kinds of 512 bytes, with room */
#define TTAP__RULE_BYTES ((size_t)8192)            /* with its NUL: the longest sampling rule the engine takes */
#define TTAP__CONVERSIONS_MAX 2u                   /* half of the default number of captures; they use CPU beside the service */
#define TTAP__CONVERSION_BYTES (UINT64_C(4) << 20) /* charged against the budget for each */
#define TTAP__KEPT_LIST_MAX ((size_t)64)           /* kept captures listed; the engine keeps no more */

struct delivery; /* one download in progress, delivery.c */

/** One endpoint, started or mounted. */
struct ttap_http {
    struct ttap__server *server;
    bool mounted;                 /* in a daemon of the host's */
    struct ttap_http *next_mount; /* under a lock of http.c */
    char *static_dir;             /* the viewer's files are read from here; NULL: from the library */
    double seconds_max;
    unsigned connections_max;
    const char *why_no_streams; /* NULL: GET /debug/trace streams. Else why not, and what would change that */
    const char *how_to_stream;
    char exe[64]; /* file name of the program, safe in headers and file names */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct delivery *deliveries; /* downloads in progress */
    unsigned workers;            /* conversion threads still running */
    unsigned kept_count;         /* kept captures begun here, for stop */
    uint64_t kept_ids[TTAP__KEPT_LIST_MAX];
    bool stopping;
};

/* ---- Routes: one file each ---- */
extern const struct ttap__route ttap__route_trace, ttap__route_captures, ttap__route_kept, ttap__route_kept_stop, ttap__route_sampling,
    ttap__route_status, ttap__route_home, ttap__route_viewer;
#define TTAP__ROUTE_COUNT ((size_t)8)
/** All of them, in one array for the server. */
void ttap__routes_all(struct ttap__route out[TTAP__ROUTE_COUNT]);

/* ---- query.c: what a capture is to record, from parameters or a body ---- */
struct ttap__wish {
    struct ttap__sub_opts sub; /* .sample points into the request */
    int format;                /* index in ttap__formats; 0 is native */
};
/** NULL-terminated names of the groups, as choices of a parameter. */
extern const char *const ttap__group_names[];
/* A set of indices of that list, as TTAP_GROUP_* bits. */
uint64_t ttap__groups_of_choices(uint64_t chosen);
/** Read seconds, events, sample, bytes and format. False: a 400 has been sent. */
bool ttap__wish_from_query(struct ttap__request *req, const struct ttap_http *http, struct ttap__wish *wish);
/** Read the format parameter alone. *@format is -1 if there is none. */
bool ttap__format_from_query(struct ttap__request *req, int *format);

/* ---- body.c: strict JSON bodies ---- */
/** The request's body as a JSON object, yours; NULL: a 400 has been sent. */
json_t *ttap__body_object(struct ttap__request *req);
/** True if all members are in the NULL-terminated list; else a 400 has been sent. */
bool ttap__body_members(struct ttap__request *req, const json_t *object, const char *const *allowed);
void ttap__body_error(struct ttap__request *req, const char *hint, const char *message_format, ...) __attribute__((format(printf, 3, 4)));
/** Read a kept capture's wish. @rule receives a rate given as a number. */
bool ttap__wish_from_body(struct ttap__request *req, const struct ttap_http *http, const json_t *body, struct ttap__wish *wish, char rule[24]);

/* ---- rule.c: sampling rules, as text "0.01,checkout=1" and as JSON {"default":0.01,"kinds":{"checkout":1}} ---- */
/** Write a rate with at most 9 decimals and no exponent, whatever the locale. */
void ttap__rate_text(double rate, char out[24]);
/** NULL without memory. */
json_t *ttap__rule_to_json(const char *rule);
/** The setting in force, yours to free(); NULL without memory. */
char *ttap__rule_now(void);

/* ---- info.c ---- */
/** The info of docs/http.md. @id 0: a stream. @reading: somebody downloads it. */
json_t *ttap__info_json(const struct ttap__sub_info *info, uint64_t id, bool reading, const char *format);
/** The info of one kept capture, NULL without memory. */
json_t *ttap__info_json_kept(const struct ttap__kept_info *kept);
/** Figures of one kept capture without pinning it. False: no such capture. */
bool ttap__kept_find(uint64_t id, struct ttap__kept_info *out);
/** The number that a request's {id} names; 0 if it cannot be one. */
uint64_t ttap__kept_id(const struct ttap__request *req);
/** All kept captures, oldest first, appended to @array. False without memory. */
bool ttap__info_append_kept(json_t *array);
/** Names of the groups in a mask. */
json_t *ttap__groups_json(uint64_t groups);
/** A whole number that JavaScript reads exactly. */
json_t *ttap__json_count(uint64_t value);
/** Move the members of each part into @whole; false if any is NULL. Parts are consumed in every case. */
bool ttap__json_merge(json_t *whole, json_t *const *parts, size_t count);
/** Text from outside as valid UTF-8. */
json_t *ttap__json_text(const char *bytes);
/** The Unix time as a string of digits. */
json_t *ttap__json_time(uint64_t unix_ns);

/* ---- reply.c ---- */
/** Answer with @json (stolen; NULL answers 503 no_memory). @extra as in ttap__reply(). False: it was 503. */
bool ttap__reply_json(struct ttap__request *req, unsigned status, json_t *json, const struct ttap__header *extra);
void ttap__reply_no_memory(struct ttap__request *req);
void ttap__reply_not_found(struct ttap__request *req);
void ttap__reply_stopping(struct ttap__request *req);
/** 503 with Retry-After @wait_ns, rounded up to whole seconds. */
void ttap__reply_busy(struct ttap__request *req, unsigned status, const char *code, const char *hint, uint64_t wait_ns, const char *message);
/** Answer for what ttap__sub_open() or ttap__kept_start() failed with. */
void ttap__reply_open_error(struct ttap__request *req, struct ttap_http *http, int error);

/* ---- delivery.c: the bytes of a capture, native or converted ---- */
/** Open a window and stream it. Answers the request in every case. */
void ttap__deliver_live(struct ttap__request *req, struct ttap_http *http, const struct ttap__wish *wish);
/** Stream a finished kept capture. Takes over the pin. Answers in every case. */
void ttap__deliver_kept(struct ttap__request *req, struct ttap_http *http, struct ttap__kept *kept, int format);
/** Headers of a download, for HEAD. */
void ttap__deliver_head(struct ttap__request *req, const struct ttap_http *http, uint64_t unix_ns, int format);
/** Infos of the live streams in progress, appended to @array. False without memory. */
bool ttap__deliveries_append(struct ttap_http *http, json_t *array);
/** Until the next window ends, as far as this endpoint knows; 1 s if it does not. */
uint64_t ttap__next_end_ns(struct ttap_http *http);
/** End all windows of this endpoint, with their trailers, and wait for the deliveries and workers, @timeout_ms at most.
 *  False: some are not over. */
bool ttap__deliveries_stop(struct ttap_http *http, unsigned timeout_ms);

/* ---- conversion.c: native bytes in, another format out, on a thread of its own ---- */
struct conversion;
/** Where its bytes come from: a live window or a kept capture. Owned by whoever runs it. */
struct ttap__source {
    struct ttap__sub *sub;
    struct ttap__kept *kept; /* NULL: a live window, whose sub is ours to close */
    uint64_t offset;         /* kept: read so far */
};
enum { TTAP__SOURCE_WAIT = -1, TTAP__SOURCE_END = 0 };
/** Bytes taken, or TTAP__SOURCE_WAIT or _END. Never blocks. */
long ttap__source_read(struct ttap__source *source, void *buf, size_t max);
void ttap__source_close(struct ttap__source *source);

/** Take one of the places, and its memory from the budget. 0, -EBUSY or -ENOMEM. */
int ttap__conversion_reserve(void);
/** Give back a place that was not used. */
void ttap__conversion_unreserve(void);
/** Begin, on a reserved place. 0 and *@out, which then owns @source and the place; or -ENOMEM, -EAGAIN and nothing
 * happened.
 *  @wake(@arg) is called on its thread when a reader that was told to wait has something. */
int ttap__conversion_start(struct ttap_http *http, const struct ttap__source *source, const char *format, void (*wake)(void *arg), void *arg,
                           struct conversion **out);
/** As a stream's read. @wait_ms: block that long for output before saying TTAP__STREAM_WAIT. */
long ttap__conversion_read(struct conversion *conversion, void *buf, size_t max, unsigned wait_ms);
/** Give up the reader's hold: the conversion ends soon, and @wake is not called any more. */
void ttap__conversion_release(struct conversion *conversion);
/** How many run in this process. */
unsigned ttap__conversions_running(void);

/* ---- process.c ---- */
/** File name of the program, reduced to what is safe in a file name. */
void ttap__process_exe(char *out, size_t size);
/** Time since the process started; 0 if /proc does not tell. */
uint64_t ttap__process_uptime_ns(void);
uint64_t ttap__clock_ns(int clock);
/** "attachment; filename=..." for a capture begun at @unix_ns. */
void ttap__disposition(char *out, size_t size, const struct ttap_http *http, uint64_t unix_ns, const char *extension);

#endif
