/* file_routes.c - status, the list of captures (one), that capture, and the viewer.
 *
 * What a file cannot tell (threads now, memory, cost) is left out or 0; "mode":"file" in the status tells the viewer to
 * offer no new captures.
 */
#include "file_routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#include "assets.h"

extern const struct ttap__assets ttap__viewer_assets; /* made of static/ by the build */

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
#define TTAP_GROUP_ROW(NAME, name) {TTAP_GROUP_##NAME, name},
    static const struct {
        uint64_t bit;
        const char *name;
    } rows[] = {
#include "groups.def"
    };
#undef TTAP_GROUP_ROW
    uint64_t mask = (uint64_t)number_in(capture, "groups");
    json_t *array = json_array();

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (mask & rows[i].bit)
            json_array_append_new(array, json_string(rows[i].name));
    return array;
}

/* What is the same for every file; what differs is set over it. */
static const char info_of_any_file[] = "{\"id\":" CAPTURE_ID ",\"url\":\"" CAPTURE_URL "\",\"kind\":\"kept\",\"state\":\"ended\",\"reason\":\"cut\","
                                       " \"started_unix_ns\":\"0\",\"remaining_ns\":0,\"queued_bytes\":0,\"reading\":false,\"format\":\"json\"}";

static const char status_of_any_file[] =
    "{\"version\":\"" TTAP_VERSION_STRING "\",\"api\":1,\"mode\":\"file\",\"exe\":\"\",\"uptime_ns\":0,\"recording\":false,"
    " \"captures_active\":0,\"captures_started\":1,\"sampling\":{\"default\":1,\"kinds\":{}},\"threads\":0,"
    " \"limits\":{\"seconds_max\":0,\"captures_max\":0},\"names\":{\"used\":0,\"max\":0,\"full\":0},"
    " \"formats\":[{\"name\":\"json\",\"media_type\":\"application/json\",\"extension\":\"json\","
    "              \"doc\":\"what the viewer reads\"}],"
    " \"memory\":{\"budget_bytes\":0,\"used_bytes\":0,\"buffers\":0,\"buffer_bytes\":0},"
    " \"cost\":{\"drainer_cpu_ns\":0,\"lease_expired\":0,\"conversions\":0},"
    " \"streaming\":{\"available\":false,\"why\":\"this is a file\",\"enable\":\"\"},\"sources\":[]}";

static void set_number(json_t *object, const char *key, json_int_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

/* Over a member of @object, if the document has one of the same type. */
static void take_over(json_t *object, const char *key, const json_t *source, const char *source_key)
{
    json_object_set_new(object, key, member_or(source, source_key, json_incref(json_object_get(object, key))));
}

static json_t *info_json(const struct cli_document *document)
{
    const json_t *capture = document->capture, *end = document->end, *account = json_object_get(end, "account");
    json_t *info = json_loads(info_of_any_file, 0, NULL);

    take_over(info, "reason", end, "reason");
    take_over(info, "started_unix_ns", capture, "t0_unix_ns");
    set_number(info, "duration_ns", number_in(capture, "dur_ns"));
    set_number(info, "elapsed_ns", end ? number_in(end, "dur_ns") : number_in(capture, "dur_ns"));
    json_object_set_new(info, "groups", groups_in(capture));
    set_number(info, "bytes", (json_int_t)document->source_bytes);
    set_number(info, "events", number_in(account, "events"));
    set_number(info, "delivered", number_in(account, "delivered"));
    set_number(info, "filtered", number_in(account, "filtered"));
    set_number(info, "lost", lost_in(account));
    set_number(info, "sampled_out", number_in(account, "sampled_out"));
    return info;
}

static json_t *now_unix_ns(void)
{
    struct timespec now;
    char text[24];

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
    return json_string(text);
}

static json_t *status_json(const struct cli_document *document)
{
    const json_t *account = json_object_get(document->end, "account");
    json_t *status = json_loads(status_of_any_file, 0, NULL);

    take_over(status, "exe", document->capture, "exe");
    set_number(status, "pid", number_in(document->capture, "pid"));
    json_object_set_new(status, "now_unix_ns", now_unix_ns());
    json_object_set_new(status, "groups", json_pack("{s:o,s:[]}", "known", groups_in(document->capture), "recording"));
    json_object_set_new(status, "captures", json_pack("[o]", info_json(document)));
    json_object_set_new(status, "events",
                        json_pack("{s:I,s:I,s:I}", "recorded", number_in(account, "events"), "lost", lost_in(account), "sampled_out",
                                  number_in(account, "sampled_out")));
    return status;
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

static void handle_home(struct ttap__request *req, void *arg)
{
    static const struct ttap__header to_viewer[] = {{"Location", "/debug/trace/ui/"}, {"Cache-Control", "no-store"}, {NULL, NULL}};

    (void)arg;
    ttap__reply(req, 302, "text/plain", "", 0, to_viewer);
}

static void handle_viewer(struct ttap__request *req, void *arg)
{
    (void)arg;
    ttap__assets_reply(req, &ttap__viewer_assets, ttap__request_path_arg(req));
}

static const char *const capture_params[] = {"format", NULL};

const struct ttap__route cli_file_routes[CLI_FILE_ROUTE_COUNT] = {
    {"/", TTAP__GET | TTAP__HEAD, handle_home, NULL, TTAP__ROUTE_PUBLIC, 0},
    {"/debug/trace/ui/{rest}", TTAP__GET | TTAP__HEAD, handle_viewer, NULL, TTAP__ROUTE_PUBLIC, 0},
    {"/debug/trace/status", TTAP__GET | TTAP__HEAD, handle_status, NULL, 0, 0},
    {"/debug/trace/captures", TTAP__GET | TTAP__HEAD, handle_captures, NULL, 0, 0},
    {"/debug/trace/captures/{id}", TTAP__GET | TTAP__HEAD, handle_capture, capture_params, 0, 0},
};

bool cli_file_routes_have_viewer(void)
{
    return ttap__viewer_assets.count > 0;
}
