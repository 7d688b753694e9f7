/* status.c - GET /debug/trace/status: what the tracer is doing, with what, and what it costs. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "convert.h"
#include "handlers.h"
#include "limits.h"

/* Where events come from. What is not part of a build says so, so that a viewer can explain an empty lane. */
static const struct {
    const char *name, *state, *why, *enable;
} sources[] = {
    {"annotations", "on", "", ""},
};

static json_t *hooks_json(void)
{
    bool on = ttap__hooks_present();
    return json_pack("{s:s,s:s,s:s,s:s}", "name", "hooks", "state", on ? "on" : "off", "why", on ? "" : "libtracetap-preload is not loaded", "enable",
                     on ? "" : "tracetap run -- PROGRAM, or LD_PRELOAD=libtracetap-preload.so");
}

static json_t *source_json(unsigned at, const char *name, bool on, const char *why, const char *enable)
{
    const char *state = on ? "on" : "off";
    int tier = ttap__source_tier(at);
    if (tier < 0)
        return json_pack("{s:s,s:s,s:s,s:s}", "name", name, "state", state, "why", why, "enable", enable);
    return json_pack("{s:s,s:s,s:s,s:s,s:i}", "name", name, "state", state, "why", why, "enable", enable, "tier", tier);
}

/* One element of an array in which nothing may be missing; an array that lacks it is given up. */
static json_t *append(json_t *array, json_t *element)
{
    if (array && json_array_append_new(array, element) == 0)
        return array;
    if (!array)
        json_decref(element);
    json_decref(array);
    return NULL;
}

static json_t *sources_json(void)
{
    json_t *array = json_array();
    char why[256], enable[256];
    bool on;
    const char *name;
    for (unsigned i = 0; (name = ttap__source_status(i, &on, why, enable, sizeof why)); i++)
        array = append(array, source_json(i, name, on, why, enable));
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        array = append(array, json_pack("{s:s,s:s,s:s,s:s}", "name", sources[i].name, "state", sources[i].state, "why", sources[i].why, "enable",
                                        sources[i].enable));
    return append(array, hooks_json());
}

static json_t *formats_json(void)
{
    json_t *array = json_array();
    for (const struct ttap__format *format = ttap__formats; format->name; format++)
        array = append(array, json_pack("{s:s,s:s,s:s,s:s}", "name", format->name, "media_type", format->media_type, "extension", format->extension,
                                        "doc", format->doc));
    return array;
}

static json_t *process_json(void)
{
    char exe[64];
    ttap__process_exe(exe, sizeof exe);
    return json_pack("{s:s,s:i,s:s,s:I,s:o,s:o}", "version", ttap_version(), "api", 1, "exe", exe, "pid", (json_int_t)ttap__traced_pid(), "uptime_ns",
                     ttap__json_count(ttap__process_uptime_ns()), "now_unix_ns", ttap__json_time(ttap__clock_ns(CLOCK_REALTIME)));
}

static json_t *captures_json(struct ttap_http *http, const struct ttap_status *now)
{
    json_t *list = json_array();
    if (!list || !ttap__deliveries_append(http, list) || !ttap__info_append_kept(list)) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:o,s:o,s:o}", "captures", list, "captures_active", ttap__json_count(now->captures), "captures_started",
                     ttap__json_count(now->captures_started));
}

static json_t *limits_json(const struct ttap_http *http)
{
    return json_pack("{s:{s:f,s:i,s:i,s:i,s:o,s:o,s:o}}", "limits", "seconds_max", http->seconds_max, "captures_max", (int)ttap__captures_max(),
                     "connections_max", (int)http->connections_max, "conversions_max", (int)TTAP__CONVERSIONS_MAX, "bytes_min",
                     ttap__json_count(TTAP__BYTES_MIN), "bytes_max", ttap__json_count(TTAP__BYTES_MAX), "body_max_bytes",
                     ttap__json_count(TTAP__BODY_MAX_BYTES));
}

static json_t *groups_status_json(const struct ttap_status *now)
{
    return json_pack("{s:b,s:{s:o,s:o}}", "recording", now->groups != 0, "groups", "known", ttap__groups_json(TTAP_GROUPS_ALL), "recording",
                     ttap__groups_json(now->groups));
}

static json_t *memory_json(const struct ttap_status *now)
{
    return json_pack("{s:o,s:{s:o,s:i,s:o},s:{s:o,s:o,s:o,s:i}}", "threads", ttap__json_count(now->threads), "names", "used",
                     ttap__json_count(now->names), "max", TTAP_NAMES_MAX, "full", ttap__json_count(now->names_full), "memory", "budget_bytes",
                     ttap__json_count(now->budget_bytes), "used_bytes", ttap__json_count(now->used_bytes), "buffers",
                     ttap__json_count(now->chunks_live), "buffer_bytes", (int)TTAP__CHUNK_BYTES);
}

static json_t *cost_json(const struct ttap_status *now)
{
    return json_pack("{s:{s:o,s:o,s:o},s:{s:o,s:o,s:i}}", "events", "recorded", ttap__json_count(now->events), "lost", ttap__json_count(now->lost),
                     "sampled_out", ttap__json_count(now->sampled_out), "cost", "drainer_cpu_ns", ttap__json_count(now->drainer_cpu_ns),
                     "lease_expired", ttap__json_count(now->lease_expired), "conversions", (int)ttap__conversions_running());
}

static json_t *sampling_json(void)
{
    char *rule = ttap__rule_now();
    json_t *json = rule ? json_pack("{s:o}", "sampling", ttap__rule_to_json(rule)) : NULL;
    free(rule);
    return json;
}

static json_t *streaming_json(const struct ttap_http *http)
{
    return json_pack("{s:{s:b,s:s,s:s}}", "streaming", "available", !http->why_no_streams, "why", http->why_no_streams ? http->why_no_streams : "",
                     "enable", http->why_no_streams ? http->how_to_stream : "");
}

static void handle(struct ttap__request *req, void *arg)
{
    struct ttap_http *http = arg;
    struct ttap_status now = {.size = sizeof now};
    ttap_status_get(&now);
    json_t *const parts[] = {
        groups_status_json(&now), captures_json(http, &now), limits_json(http),    json_pack("{s:o}", "formats", formats_json()), sampling_json(),
        memory_json(&now),        cost_json(&now),           streaming_json(http), json_pack("{s:o}", "sources", sources_json()),
    };
    json_t *whole = process_json();
    if (!ttap__json_merge(whole, parts, sizeof parts / sizeof *parts)) {
        json_decref(whole);
        whole = NULL;
    }
    ttap__reply_json(req, 200, whole, NULL);
}

const struct ttap__route ttap__route_status = {"/debug/trace/status", TTAP__GET | TTAP__HEAD, handle, NULL, 0, 0};
