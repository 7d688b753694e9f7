/* body.c - JSON bodies, read strictly: no duplicate or unknown members, no nesting that could be used against a
 * small stack, and an answer that names the member at fault.
 *
 * Invariant: after NULL or false a 400 has been sent, and nothing was begun or changed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "handlers.h"

/* No body of ours nests deeper than 2. jansson's parser recurses up to 2,048 levels, and our threads have small
 * stacks. */
enum { DEPTH_MAX = 8 };

void ttap__body_error(struct ttap__request *req, const char *hint, const char *message_format, ...)
{
    char message[700]; /* the longest name of a sampling kind, and words around it */
    va_list args;
    va_start(args, message_format);
    vsnprintf(message, sizeof message, message_format, args);
    va_end(args);
    ttap__reply_error(req, 400, "bad_body", hint, NULL, "%s", message);
}

/* Only a guard before the parser: brackets outside of strings; whether they match is for the parser to say. */
static bool nests_too_deep(const char *text, size_t len)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!in_string && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

json_t *ttap__body_object(struct ttap__request *req)
{
    size_t len;
    const char *text = ttap__request_body(req, &len);
    if (!text || !len) {
        ttap__body_error(req, "for example {}", "the body is empty; a JSON object is expected");
        return NULL;
    }
    if (nests_too_deep(text, len)) {
        ttap__body_error(req, NULL, "the body nests deeper than %d levels", DEPTH_MAX);
        return NULL;
    }
    json_error_t error;
    json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!body && !error.text[0]) /* the parser has words for every mistake, and none when memory fails it */
        ttap__reply_no_memory(req);
    else if (!body)
        ttap__body_error(req, NULL, "the body is not JSON: line %d, column %d: %s", error.line, error.column, error.text);
    else if (!json_is_object(body))
        ttap__body_error(req, "for example {}", "the body is not a JSON object");
    else
        return body;
    json_decref(body);
    return NULL;
}

static bool is_listed(const char *const *list, const char *name)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

/* "a, b, c" of a NULL-terminated list. */
static const char *join(const char *const *list, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (; *list && used < size; list++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", *list);
    return out;
}

bool ttap__body_members(struct ttap__request *req, const json_t *object, const char *const *allowed)
{
    const char *key;
    json_t *value;
    char list[128];
    json_object_foreach((json_t *)object, key, value)
    {
        if (!is_listed(allowed, key)) {
            ttap__body_error(req, NULL, "%.100s: unknown; allowed are %s", key, join(allowed, list, sizeof list));
            return false;
        }
    }
    return true;
}

static bool read_seconds(struct ttap__request *req, const json_t *value, double max_s, uint64_t *out_ns)
{
    double seconds = json_number_value(value);
    if (!value)
        return true;
    if (json_is_number(value) && seconds * 1e9 >= (double)TTAP__WINDOW_MIN_NS && seconds <= max_s) {
        *out_ns = (uint64_t)(seconds * 1e9 + 0.5);
        return true;
    }
    ttap__body_error(req, "for example \"seconds\":5", "seconds: a number from 0.000001 to %g is expected", max_s);
    return false;
}

static int group_index(const json_t *name)
{
    for (int i = 0; json_is_string(name) && ttap__group_names[i]; i++)
        if (strcmp(ttap__group_names[i], json_string_value(name)) == 0)
            return i;
    return -1;
}

static bool read_events(struct ttap__request *req, const json_t *value, uint64_t *groups)
{
    char list[128];
    uint64_t chosen = 0;
    if (!value)
        return true;
    if (!json_is_array(value) || json_array_size(value) == 0) {
        ttap__body_error(req, NULL, "events: an array of at least one of %s is expected", join(ttap__group_names, list, sizeof list));
        return false;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        int group = group_index(json_array_get(value, i));
        if (group < 0) {
            ttap__body_error(req, NULL, "events[%zu]: one of %s is expected", i, join(ttap__group_names, list, sizeof list));
            return false;
        }
        chosen |= UINT64_C(1) << group;
    }
    *groups = ttap__groups_of_choices(chosen);
    return true;
}

static bool read_sample(struct ttap__request *req, const json_t *value, const char **sample, char rule[24])
{
    size_t offset = 0;
    if (!value)
        return true;
    if (json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1) {
        ttap__rate_text(json_number_value(value), rule);
        *sample = rule;
        return true;
    }
    const char *text = json_string_value(value);
    if (text && *text && ttap__sampling_check(text, &offset) == 0) {
        *sample = text;
        return true;
    }
    if (text)
        ttap__body_error(req, "for example \"0.01,checkout=1\"", "sample: not a rule of rates from 0 to 1 and at most 64 kinds; wrong at byte %zu",
                         offset);
    else
        ttap__body_error(req, "for example \"sample\":0.01", "sample: a number from 0 to 1 or a rule in a string is expected");
    return false;
}

static bool read_bytes(struct ttap__request *req, const json_t *value, uint64_t *out)
{
    json_int_t bytes = json_integer_value(value);
    if (!value)
        return true;
    if (json_is_integer(value) && bytes >= (json_int_t)TTAP__BYTES_MIN && bytes <= (json_int_t)TTAP__BYTES_MAX) {
        *out = (uint64_t)bytes;
        return true;
    }
    ttap__body_error(req, NULL, "bytes: a whole number from %llu to %llu is expected", (unsigned long long)TTAP__BYTES_MIN,
                     (unsigned long long)TTAP__BYTES_MAX);
    return false;
}

static bool read_u32(struct ttap__request *req, const json_t *body, const char *name, uint32_t min, uint32_t max, const char *hint, uint32_t *out)
{
    const json_t *value = json_object_get(body, name);
    json_int_t given = json_integer_value(value);
    if (!value)
        return true;
    if (json_is_integer(value) && given >= (json_int_t)min && given <= (json_int_t)max) {
        *out = (uint32_t)given;
        return true;
    }
    ttap__body_error(req, hint, "%s: a whole number from %u to %u is expected", name, min, max);
    return false;
}

/* 0: none. */
static bool read_alloc_samples(struct ttap__request *req, const json_t *body, uint32_t *out)
{
    const json_t *value = json_object_get(body, "alloc_samples");
    return (json_is_integer(value) && json_integer_value(value) == 0) ||
           read_u32(req, body, "alloc_samples", TTAP__ALLOC_SAMPLE_BYTES_MIN, TTAP__ALLOC_SAMPLE_BYTES_MAX, "for example \"alloc_samples\":524288",
                    out);
}

bool ttap__wish_from_body(struct ttap__request *req, const struct ttap_http *http, const json_t *body, struct ttap__wish *wish, char rule[24])
{
    static const char *const members[] = {"seconds", "events", "sample", "samples", "long_wait_us", "alloc_samples", "bytes", NULL};
    *wish = (struct ttap__wish){.sub = TTAP__SUB_OPTS_INIT};
    wish->sub.duration_ns = TTAP__NS_PER_S;
    wish->sub.keep = true;
    return ttap__body_members(req, body, members) && read_seconds(req, json_object_get(body, "seconds"), http->seconds_max, &wish->sub.duration_ns) &&
           read_events(req, json_object_get(body, "events"), &wish->sub.groups) &&
           read_sample(req, json_object_get(body, "sample"), &wish->sub.sample, rule) &&
           read_u32(req, body, "samples", 0, TTAP__SAMPLES_HZ_MAX, "for example \"samples\":99", &wish->sub.samples_hz) &&
           read_u32(req, body, "long_wait_us", 1, TTAP__LONG_WAIT_US_MAX, "for example \"long_wait_us\":100", &wish->sub.long_wait_us) &&
           read_alloc_samples(req, body, &wish->sub.alloc_sample_bytes) && read_bytes(req, json_object_get(body, "bytes"), &wish->sub.max_bytes);
}
