/* query.c - what a capture is to record, read strictly from query parameters.
 *
 * Invariant: after false a 400 has been sent, and nothing was begun.
 */
#include <string.h>

#include "convert.h"
#include "handlers.h"

enum { FORMATS_MAX = 16, SHOWN_MAX = 64 /* bytes of a wrong value, in the message */ };

bool ttap__format_from_query(struct ttap__request *req, int *format)
{
    const char *names[FORMATS_MAX + 1];
    int count = 0;
    while (count < FORMATS_MAX && ttap__formats[count].name) {
        names[count] = ttap__formats[count].name;
        count++;
    }
    names[count] = NULL;
    *format = -1;
    return ttap__param_choice(req, "format", names, format);
}

static bool seconds_from_query(struct ttap__request *req, double max_s, uint64_t *out_ns)
{
    if (!ttap__param_seconds(req, "seconds", max_s, out_ns))
        return false;
    if (*out_ns >= TTAP__WINDOW_MIN_NS)
        return true;
    ttap__reply_error(req, 400, "bad_parameter", "for example seconds=5", NULL, "seconds=%.*s: the shortest window is 0.000001", SHOWN_MAX,
                      ttap__request_param(req, "seconds"));
    return false;
}

static bool sample_from_query(struct ttap__request *req, const char **sample)
{
    size_t offset = 0;
    const char *rule = ttap__request_param(req, "sample");
    int error = rule ? (*rule ? ttap__sampling_check(rule, &offset) : -1) : 0;
    if (error)
        ttap__reply_error(req, 400, "bad_parameter", "for example sample=0.01 or sample=0.01,checkout=1", NULL,
                          "sample=%.*s: not a rate from 0 to 1 or a rule of at most 64 kinds; wrong at byte %zu", SHOWN_MAX, rule, offset);
    else
        *sample = rule;
    return error == 0;
}

static bool events_from_query(struct ttap__request *req, uint64_t *groups)
{
    uint64_t chosen = 0;
    if (!ttap__param_set(req, "events", ttap__group_names, &chosen))
        return false;
    if (chosen)
        *groups = ttap__groups_of_choices(chosen);
    return true;
}

/* As samples; but what is between none and the least is refused. */
static bool alloc_samples_from_query(struct ttap__request *req, struct ttap__sub_opts *sub)
{
    const char *text = ttap__request_param(req, "alloc_samples");
    uint64_t bytes = 0;
    bool none = text && strcmp(text, "0") == 0;
    if (!none && !ttap__param_u64(req, "alloc_samples", TTAP__ALLOC_SAMPLE_BYTES_MIN, TTAP__ALLOC_SAMPLE_BYTES_MAX, &bytes))
        return false;
    sub->alloc_sample_bytes = (uint32_t)bytes;
    return true;
}

/* 0: none, as if it had not been given. */
static bool samples_from_query(struct ttap__request *req, struct ttap__sub_opts *sub)
{
    uint64_t hz = 0, long_wait_us = 0;
    if (!ttap__param_u64(req, "samples", 0, TTAP__SAMPLES_HZ_MAX, &hz) ||
        !ttap__param_u64(req, "long_wait_us", 1, TTAP__LONG_WAIT_US_MAX, &long_wait_us))
        return false;
    sub->samples_hz = (uint32_t)hz;
    sub->long_wait_us = (uint32_t)long_wait_us;
    return true;
}

bool ttap__wish_from_query(struct ttap__request *req, const struct ttap_http *http, struct ttap__wish *wish)
{
    *wish = (struct ttap__wish){.sub = TTAP__SUB_OPTS_INIT};
    wish->sub.duration_ns = TTAP__NS_PER_S; /* as Go's endpoint */
    if (!seconds_from_query(req, http->seconds_max, &wish->sub.duration_ns) || !ttap__format_from_query(req, &wish->format) ||
        !events_from_query(req, &wish->sub.groups) || !sample_from_query(req, &wish->sub.sample) || !samples_from_query(req, &wish->sub) ||
        !alloc_samples_from_query(req, &wish->sub) || !ttap__param_u64(req, "bytes", TTAP__BYTES_MIN, TTAP__BYTES_MAX, &wish->sub.max_bytes))
        return false;
    if (wish->format < 0)
        wish->format = 0;
    return true;
}
