/* delivery.c - the bytes of a capture on their way to a client.
 *
 *      live window --native--> read()                   The engine's drainer, or the conversion's worker, calls wake()
 *      live window --json----> conversion --> read()    when there is something for a reader that was told to wait.
 *      kept capture -native--> read()
 *      kept capture -json----> conversion --> read()
 *
 * A delivery is on its endpoint's list from its start until free(). Its window is ended by: time, the byte limit,
 * gone() (the client left), or the endpoint's stop, which still lets the trailer through.
 *
 * Threads: read and free on the daemon's, gone on the server's control thread, wake on the drainer's or the worker's.
 * stream is written before the first read, and wake looks at it only after a read asked to be woken: no lock is needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "convert.h"
#include "handlers.h"

#define MIN_BYTES_PER_S 16000                  /* a stalled client is one below the slowest link anybody debugs over */
#define DELIVERY_MAX_NS (600 * TTAP__NS_PER_S) /* and nobody waits longer than 10 min */
enum { FINISHED_WAIT_MS = 20 };                /* where suspending is not allowed: what one call may block a host's daemon thread */

struct delivery {
    struct delivery *next, **link; /* under http->lock */
    struct ttap_http *http;
    struct ttap__source source;    /* native, or the sub that a conversion reads */
    struct conversion *conversion; /* NULL: native */
    const char *format;
    struct ttap__stream *stream;
    bool waiting; /* a read saw nothing and asked to be woken; atomic */
};

/* ---- The list ---- */

static bool enlist(struct delivery *d)
{
    struct ttap_http *http = d->http;
    pthread_mutex_lock(&http->lock);
    bool accepted = !http->stopping;
    if (accepted) {
        d->next = http->deliveries;
        d->link = &http->deliveries;
        if (d->next)
            d->next->link = &d->next;
        http->deliveries = d;
    }
    pthread_mutex_unlock(&http->lock);
    return accepted;
}

static void delist(struct delivery *d)
{
    struct ttap_http *http = d->http;
    pthread_mutex_lock(&http->lock);
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

/* ---- As a stream ---- */

/* From the drainer, about a native stream. */
static void on_ready(void *arg)
{
    struct delivery *d = arg;
    if (__atomic_exchange_n(&d->waiting, false, __ATOMIC_ACQ_REL))
        ttap__stream_wake(d->stream);
}

/* From a conversion's worker, which asks for itself whether the reader waits. */
static void on_output(void *arg)
{
    struct delivery *d = arg;
    ttap__stream_wake(d->stream);
}

static long read_native(struct delivery *d, void *buf, size_t max)
{
    long got = ttap__source_read(&d->source, buf, max);
    if (got != TTAP__SOURCE_WAIT)
        return got == TTAP__SOURCE_END ? TTAP__STREAM_END : got;
    /* Bytes that came between this read and the mark were announced to nobody: look again. */
    __atomic_store_n(&d->waiting, true, __ATOMIC_SEQ_CST);
    got = ttap__source_read(&d->source, buf, max);
    if (got == TTAP__SOURCE_WAIT)
        return TTAP__STREAM_WAIT;
    __atomic_store_n(&d->waiting, false, __ATOMIC_RELAXED);
    return got == TTAP__SOURCE_END ? TTAP__STREAM_END : got;
}

static long on_read(void *arg, void *buf, size_t max)
{
    struct delivery *d = arg;
    if (d->conversion)
        return ttap__conversion_read(d->conversion, buf, max, d->http->why_no_streams ? FINISHED_WAIT_MS : 0);
    return read_native(d, buf, max);
}

/* A client that is still there is given the end for a moment: a document that is closed, or a trailer. */
static void on_gone(void *arg)
{
    struct delivery *d = arg;
    if (!d->source.kept)
        ttap__sub_stop(d->source.sub, TTAP__END_CLIENT);
}

static void on_free(void *arg)
{
    struct delivery *d = arg;
    delist(d);
    if (d->conversion)
        ttap__conversion_release(d->conversion);
    else
        ttap__source_close(&d->source);
    free(d);
}

static const struct ttap__stream_ops stream_ops = {on_read, on_gone, on_free};

/* ---- Beginning ---- */

/* A delivery without its bytes yet, on the list. NULL: the request was answered. */
static struct delivery *make(struct ttap__request *req, struct ttap_http *http, int format)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (!d) {
        ttap__reply_no_memory(req);
        return NULL;
    }
    d->http = http;
    d->format = ttap__formats[format].name;
    return d;
}

static void reply_conversions_busy(struct ttap__request *req, struct ttap_http *http, int error)
{
    if (error == -EBUSY)
        ttap__reply_busy(req, 503, "conversions_busy", "format=native needs no conversion", ttap__next_end_ns(http),
                         "as many conversions as allowed are running");
    else
        ttap__reply_no_memory(req);
}

/* Hands the source to a conversion if the format needs one. On failure the request was answered, and the source is
 * still ours. */
static bool start_conversion(struct delivery *d, struct ttap__request *req)
{
    if (ttap__conversion_start(d->http, &d->source, d->format, on_output, d, &d->conversion) == 0)
        return true;
    ttap__conversion_unreserve();
    ttap__reply_no_memory(req);
    return false;
}

static void begin_stream(struct delivery *d, struct ttap__request *req, uint64_t unix_ns, int format, uint64_t window_ns)
{
    char disposition[192];
    ttap__disposition(disposition, sizeof disposition, d->http, unix_ns, ttap__formats[format].extension);
    const struct ttap__header extra[] = {{"Content-Disposition", disposition}, {NULL, NULL}};
    uint64_t window_end = ttap__clock_ns(CLOCK_MONOTONIC) + window_ns;
    const struct ttap__stream_limits limits = {MIN_BYTES_PER_S, window_end, window_end + DELIVERY_MAX_NS};
    ttap__reply_stream(req, 200, ttap__formats[format].media_type, extra, &stream_ops, d, &limits, &d->stream);
}

/* From an enlisted delivery with its source: start what it needs, or undo everything. */
static void run(struct delivery *d, struct ttap__request *req, uint64_t unix_ns, int format, uint64_t window_ns)
{
    if (format != 0 && !start_conversion(d, req)) {
        on_free(d);
        return;
    }
    begin_stream(d, req, unix_ns, format, window_ns);
}

static int open_window(struct delivery *d, const struct ttap__wish *wish)
{
    struct ttap__sub_opts opts = wish->sub;
    if (wish->format == 0) { /* a conversion's worker waits by itself */
        opts.ready = on_ready;
        opts.arg = d;
    }
    return ttap__sub_open(&opts, &d->source.sub);
}

static void deliver_live(struct delivery *d, struct ttap__request *req, const struct ttap__wish *wish)
{
    int error = open_window(d, wish);
    if (!error && enlist(d)) {
        run(d, req, ttap__clock_ns(CLOCK_REALTIME), wish->format, wish->sub.duration_ns);
        return;
    }
    if (wish->format != 0)
        ttap__conversion_unreserve();
    if (error) {
        ttap__reply_open_error(req, d->http, error);
    } else {
        ttap__sub_close(d->source.sub);
        ttap__reply_stopping(req);
    }
    free(d);
}

void ttap__deliver_live(struct ttap__request *req, struct ttap_http *http, const struct ttap__wish *wish)
{
    int error = wish->format != 0 ? ttap__conversion_reserve() : 0;
    if (error) {
        reply_conversions_busy(req, http, error);
        return;
    }
    struct delivery *d = make(req, http, wish->format);
    if (d)
        deliver_live(d, req, wish);
    else if (wish->format != 0)
        ttap__conversion_unreserve();
}

static void deliver_kept(struct delivery *d, struct ttap__request *req, int format)
{
    struct ttap__sub_info info;
    ttap__sub_info(d->source.sub, &info);
    if (enlist(d)) {
        run(d, req, info.started_unix_ns, format, 0);
        return;
    }
    if (format != 0)
        ttap__conversion_unreserve();
    ttap__reply_stopping(req);
    ttap__source_close(&d->source);
    free(d);
}

void ttap__deliver_kept(struct ttap__request *req, struct ttap_http *http, struct ttap__kept *kept, int format)
{
    int error = format != 0 ? ttap__conversion_reserve() : 0;
    struct delivery *d = error ? NULL : make(req, http, format);
    if (d) {
        d->source = (struct ttap__source){ttap__kept_sub(kept), kept, 0};
        deliver_kept(d, req, format);
        return;
    }
    ttap__kept_put(kept);
    if (error)
        reply_conversions_busy(req, http, error);
    else if (format != 0)
        ttap__conversion_unreserve();
}

void ttap__deliver_head(struct ttap__request *req, const struct ttap_http *http, uint64_t unix_ns, int format)
{
    char disposition[192];
    ttap__disposition(disposition, sizeof disposition, http, unix_ns, ttap__formats[format].extension);
    const struct ttap__header extra[] = {{"Content-Disposition", disposition}, {NULL, NULL}};
    ttap__reply(req, 200, ttap__formats[format].media_type, "", 0, extra);
}

/* ---- All of them ---- */

bool ttap__deliveries_append(struct ttap_http *http, json_t *array)
{
    bool complete = true;
    pthread_mutex_lock(&http->lock);
    for (struct delivery *d = http->deliveries; d && complete; d = d->next) {
        struct ttap__sub_info info;
        if (d->source.kept)
            continue;
        ttap__sub_info(d->source.sub, &info);
        complete = json_array_append_new(array, ttap__info_json(&info, 0, true, d->format)) == 0;
    }
    pthread_mutex_unlock(&http->lock);
    return complete;
}

static void take_earlier(uint64_t *earliest, const struct ttap__sub_info *info)
{
    uint64_t left = info->duration_ns > info->elapsed_ns ? info->duration_ns - info->elapsed_ns : 0;
    if (info->state == TTAP__SUB_RECORDING && left < *earliest)
        *earliest = left;
}

uint64_t ttap__next_end_ns(struct ttap_http *http)
{
    uint64_t earliest = UINT64_MAX;
    struct ttap__kept_info kept[TTAP__KEPT_LIST_MAX];
    pthread_mutex_lock(&http->lock);
    for (struct delivery *d = http->deliveries; d; d = d->next) {
        struct ttap__sub_info info;
        ttap__sub_info(d->source.sub, &info);
        take_earlier(&earliest, &info);
    }
    pthread_mutex_unlock(&http->lock);
    size_t count = ttap__kept_list(kept, TTAP__KEPT_LIST_MAX);
    for (size_t i = 0; i < count && i < TTAP__KEPT_LIST_MAX; i++)
        take_earlier(&earliest, &kept[i].sub);
    return earliest == UINT64_MAX ? TTAP__NS_PER_S : earliest;
}

static void stop_kept(struct ttap_http *http)
{
    for (size_t i = 0; i < http->kept_count && i < TTAP__KEPT_LIST_MAX; i++) {
        struct ttap__kept *kept = ttap__kept_get(http->kept_ids[i]);
        if (!kept)
            continue;
        ttap__sub_stop(ttap__kept_sub(kept), TTAP__END_SHUTDOWN);
        ttap__kept_put(kept);
    }
}

/* Only windows opened here: the C API's captures are not the endpoint's to end. */
bool ttap__deliveries_stop(struct ttap_http *http, unsigned timeout_ms)
{
    uint64_t until_ns = ttap__clock_ns(CLOCK_MONOTONIC) + timeout_ms * UINT64_C(1000000);
    const struct timespec until = {(time_t)(until_ns / TTAP__NS_PER_S), (long)(until_ns % TTAP__NS_PER_S)};
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    stop_kept(http);
    for (struct delivery *d = http->deliveries; d; d = d->next)
        if (!d->source.kept)
            ttap__sub_stop(d->source.sub, TTAP__END_SHUTDOWN);
    while ((http->deliveries || http->workers) && pthread_cond_timedwait(&http->changed, &http->lock, &until) == 0)
        ;
    bool over = !http->deliveries && !http->workers;
    pthread_mutex_unlock(&http->lock);
    return over;
}
