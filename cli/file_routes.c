/* file_routes.c - status, the list of captures (one), that capture, and the viewer.
 *
 * What a file cannot tell (threads now, memory, cost) is left out or 0; "mode":"file" in the status tells the viewer to offer no new captures.
 */
#include "file_routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#define CAPTURE_ID "1"
#define CAPTURE_URL "/debug/trace/captures/" CAPTURE_ID

static const struct ttap__header no_store[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};

static void reply_json(struct ttap__request *req, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text)
        ttap__reply(req, 200, "application/json", text, strlen(text), no_store);
    else
        ttap__reply_error(req, 503, "no_memory", "", no_store, "no memory for the answer");
    free(text);
    json_decref(json);
}

/* ---- Pieces of answers, taken from the document ---- */

/* A member as it is, or @otherwise (stolen) where the document has none of that type. */
static json_t *member_or(const json_t *object, const char *key, json_t *otherwise)
{
    json_t *value = json_object_get(object, key);

    if (!value || json_typeof(value) != json_typeof(otherwise))
        return otherwise;
    json_decref(otherwise);
    return json_incref(value);
}

static json_int_t number_in(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static json_int_t lost_in(const json_t *account)
{
    static const char *const reasons[] = {"lost_full", "lost_nested", "lost_queue", "lost_late", "lost_stall"};
    json_int_t sum = 0;

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        sum += number_in(account, reasons[i]);
    return sum;
}

static json_t *groups_in(const json_t *capture)
{
    static const char *const names[] = {"task", "region", "log", "counter", "queue", "gc"};
    json_int_t mask = number_in(capture, "groups");
    json_t *array = json_array();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mask >> i & 1)
            json_array_append_new(array, json_string(names[i]));
    return array;
}

static json_t *info_json(const struct cli_document *document)
{
    const json_t *capture = document->capture, *end = document->end, *account = json_object_get(end, "account");
    json_int_t asked_ns = number_in(capture, "dur_ns");

    return json_pack("{s:i,s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:i,s:o,s:I,s:i,s:I,s:I,s:I,s:I,s:I,s:b,s:s}", "id", 1, "url", CAPTURE_URL, "kind", "kept",
                     "state", "ended", "reason", member_or(end, "reason", json_string("cut")), "started_unix_ns",
                     member_or(capture, "t0_unix_ns", json_string("0")), "duration_ns", asked_ns, "elapsed_ns",
                     end ? number_in(end, "dur_ns") : asked_ns, "remaining_ns", 0, "groups", groups_in(capture), "bytes",
                     (json_int_t)document->source_bytes, "queued_bytes", 0, "events", number_in(account, "events"), "delivered",
                     number_in(account, "delivered"), "filtered", number_in(account, "filtered"), "lost", lost_in(account), "sampled_out",
                     number_in(account, "sampled_out"), "reading", 0, "format", "json");
}

static json_t *now_unix_ns(void)
{
    struct timespec now;
    char text[24];

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
    return json_string(text);
}

static json_t *formats_json(void)
{
    return json_pack("[{s:s,s:s,s:s,s:s}]", "name", "json", "media_type", "application/json", "extension", "json", "doc", "what the viewer reads");
}

static json_t *status_json(const struct cli_document *document)
{
    const json_t *capture = document->capture;
    json_t *groups = groups_in(capture);

    return json_pack("{s:s,s:s,s:i,s:o,s:I,s:i,s:o,s:b,s:{s:o,s:[]},s:[o],s:i,s:i,s:{},s:o,s:o,s:i,s:{},s:{s:I,s:I,s:I},s:{s:i},s:{s:b,s:s,s:s},s:[]}",
                     "version", TTAP_VERSION_STRING, "mode", "file", "api", 1, "exe", member_or(capture, "exe", json_string("")), "pid",
                     number_in(capture, "pid"), "uptime_ns", 0, "now_unix_ns", now_unix_ns(), "recording", 0, "groups", "known", groups,
                     "recording", "captures", info_json(document), "captures_active", 0, "captures_started", 1, "limits", "formats",
                     formats_json(), "sampling", json_pack("{s:i,s:{}}", "default", 1, "kinds"), "threads", 0, "memory", "events",
                     "recorded", number_in(json_object_get(document->end, "account"), "events"), "lost",
                     lost_in(json_object_get(document->end, "account")), "sampled_out",
                     number_in(json_object_get(document->end, "account"), "sampled_out"), "cost", "drainer_cpu_ns", 0, "streaming",
                     "available", 0, "why", "this is a file", "enable", "", "sources");
}

/* ---- The document's bytes ---- */

struct download {
    const struct cli_document *document;
    uint64_t at;
};

static long read_document(void *arg, void *buf, size_t max)
{
    struct download *download = arg;
    ssize_t count;

    do
        count = pread(download->document->fd, buf, max, (off_t)download->at);
    while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count == 0 ? TTAP__STREAM_END : TTAP__STREAM_ERROR;
    download->at += (uint64_t)count;
    return count;
}

static void client_gone(void *arg)
{
    (void)arg; /* nothing is produced that would have to stop */
}

static const struct ttap__stream_ops download_ops = {read_document, client_gone, free};

static void reply_document(struct ttap__request *req, const struct cli_served_file *file)
{
    char disposition[256];
    const struct ttap__header headers[] = {{"Cache-Control", "no-store"}, {"Content-Disposition", disposition}, {NULL, NULL}};
    const struct ttap__stream_limits no_limits = {0};
    struct download *download = malloc(sizeof *download);
    struct ttap__stream *stream;

    snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", file->name);
    if (!download) {
        ttap__reply_error(req, 503, "no_memory", "", no_store, "no memory for the download");
        return;
    }
    *download = (struct download){file->document, 0};
    ttap__reply_stream(req, 200, "application/json", headers, &download_ops, download, &no_limits, &stream);
}

/* ---- Routes ---- */

static void handle_status(struct ttap__request *req, void *arg)
{
    reply_json(req, status_json(((struct cli_served_file *)arg)->document));
}

static void handle_captures(struct ttap__request *req, void *arg)
{
    reply_json(req, json_pack("{s:[o]}", "captures", info_json(((struct cli_served_file *)arg)->document)));
}

static void handle_capture(struct ttap__request *req, void *arg)
{
    static const char *const formats[] = {"json", NULL};
    const struct cli_served_file *file = arg;
    int format = -1;

    if (strcmp(ttap__request_path_arg(req), CAPTURE_ID) != 0) {
        ttap__reply_error(req, 404, "not_found", "there is one capture: " CAPTURE_URL, no_store, "no such capture");
        return;
    }
    if (!ttap__param_choice(req, "format", formats, &format))
        return;
    if (format < 0)
        reply_json(req, info_json(file->document));
    else
        reply_document(req, file);
}
