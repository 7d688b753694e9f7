/* sampling.c - GET, PUT /debug/trace/sampling: which tasks captures keep.
 *
 * A PUT is read and checked as a whole, turned into a rule, and given to the engine in one call: it applies all of
 * it or nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

enum { KINDS_MAX = 64, LIMIT_MAX = 1000000 }; /* as ttap_sampling_set() */

struct text {
    char *bytes; /* TTAP__RULE_BYTES */
    size_t used;
};

/* FNV-1a: a tag only has to differ when the setting does. */
static void make_tag(const char *rule, char out[24])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *byte = (const unsigned char *)rule; *byte; byte++)
        hash = (hash ^ *byte) * UINT64_C(0x100000001b3);
    snprintf(out, 24, "\"%016llx\"", (unsigned long long)hash);
}

static void reply_setting(struct ttap__request *req)
{
    char tag[24];
    char *rule = ttap__rule_now();
    if (!rule) {
        ttap__reply_no_memory(req);
        return;
    }
    make_tag(rule, tag);
    const struct ttap__header extra[] = {{"ETag", tag}, {NULL, NULL}};
    ttap__reply_json(req, 200, ttap__rule_to_json(rule), extra);
    free(rule);
}

/* A list of tags, or "*", which names any. Our tags hold no commas or blanks, so finding the quoted text is enough. */
static bool is_match(const char *if_match)
{
    char tag[24];
    char *rule = if_match ? ttap__rule_now() : NULL;
    if (!if_match)
        return true;
    if (!rule)
        return false;
    make_tag(rule, tag);
    free(rule);
    return strcmp(if_match, "*") == 0 || strstr(if_match, tag) != NULL;
}

/* All that is wrong with a body, so that it can be put right in one go: "default: 0 to 1; kinds.checkout: 0 to 1". */
struct problems {
    char text[600];
    unsigned count;
};

__attribute__((format(printf, 2, 3))) static void note(struct problems *problems, const char *format, ...)
{
    size_t used = strlen(problems->text), room = sizeof problems->text - used;
    va_list args;
    problems->count++;
    if (room < 200) /* the first ones say enough, if there are so many */
        return;
    va_start(args, format);
    size_t joint = used ? (size_t)snprintf(problems->text + used, room, "; ") : 0;
    vsnprintf(problems->text + used + joint, room - joint, format, args);
    va_end(args);
}

/* False: it has been answered. */
static bool is_right(struct ttap__request *req, const struct problems *problems)
{
    unsigned shown = 1;
    for (const char *at = problems->text; (at = strstr(at, "; ")); at += 2)
        shown++;
    if (problems->count > shown)
        ttap__body_error(req, NULL, "%s; and %u more", problems->text, problems->count - shown);
    else if (problems->count)
        ttap__body_error(req, NULL, "%s", problems->text);
    return !problems->count;
}

static bool is_rate(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1;
}

static bool is_limit(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 1 && json_integer_value(value) <= LIMIT_MAX;
}

static bool is_name(const char *kind)
{
    return *kind && strlen(kind) <= TTAP_NAME_BYTES_MAX && !strchr(kind, ',');
}

/* An object of at most KINDS_MAX names of kinds, with values that @is_allowed takes. */
static void check_kinds(const char *member, const json_t *kinds, bool (*is_allowed)(const json_t *), const char *allowed, struct problems *problems)
{
    const char *kind;
    json_t *value;
    if (!kinds)
        return;
    if (!json_is_object(kinds) || json_object_size(kinds) > KINDS_MAX) {
        note(problems, "%s: an object of at most %d names with %s is expected", member, KINDS_MAX, allowed);
        return;
    }
    json_object_foreach((json_t *)kinds, kind, value)
    {
        if (!is_allowed(value))
            note(problems, "%s.%.60s: %s is expected", member, kind, allowed);
        else if (!is_name(kind))
            note(problems, "%s: the name \"%.60s\" is not allowed; 1 to %d bytes without a comma are", member, kind, TTAP_NAME_BYTES_MAX);
    }
}

static size_t count_both(const json_t *rates, const json_t *limits)
{
    const char *kind;
    json_t *value;
    size_t count = json_object_size(rates);
    json_object_foreach((json_t *)limits, kind, value) count += !json_object_get(rates, kind);
    return count;
}

static bool check_all(struct ttap__request *req, const json_t *body)
{
    static const char *const rate = "a number from 0 to 1", *const limit = "a whole number from 1 to 1000000";
    static const char *const members[] = {"default", "kinds", "limit", "limits", NULL};
    struct problems problems = {.text = ""};
    const json_t *value;
    if (!ttap__body_members(req, body, members))
        return false;
    if ((value = json_object_get(body, "default")) && !is_rate(value))
        note(&problems, "default: %s is expected", rate);
    check_kinds("kinds", json_object_get(body, "kinds"), is_rate, rate, &problems);
    if ((value = json_object_get(body, "limit")) && !is_limit(value))
        note(&problems, "limit: %s is expected", limit);
    check_kinds("limits", json_object_get(body, "limits"), is_limit, limit, &problems);
    if (!problems.count && count_both(json_object_get(body, "kinds"), json_object_get(body, "limits")) > KINDS_MAX)
        note(&problems, "kinds and limits: at most %d names together are expected", KINDS_MAX);
    return is_right(req, &problems);
}

/* "kind=rate/limit", or without what there is not. */
static bool append(struct ttap__request *req, struct text *rule, const char *kind, double rate, const json_t *limit)
{
    char digits[24], per_second[24] = "";
    ttap__rate_text(rate, digits);
    if (limit)
        snprintf(per_second, sizeof per_second, "/%d", (int)json_integer_value(limit));
    size_t room = TTAP__RULE_BYTES - rule->used;
    int len = snprintf(rule->bytes + rule->used, room, "%s%s%s%s%s", rule->used ? "," : "", kind, *kind ? "=" : "", digits, per_second);
    rule->used += (size_t)len;
    if ((size_t)len < room)
        return true;
    ttap__body_error(req, NULL, "kinds: the names are too long together; the whole setting as a rule has at most %zu bytes", TTAP__RULE_BYTES - 1);
    return false;
}

static bool write_rule(struct ttap__request *req, const json_t *body, struct text *rule)
{
    const char *kind;
    json_t *value, *kinds = json_object_get(body, "kinds"), *limits = json_object_get(body, "limits");
    const json_t *otherwise = json_object_get(body, "default");
    double rate = otherwise ? json_number_value(otherwise) : 1;
    if (!append(req, rule, "", rate, json_object_get(body, "limit")))
        return false;
    json_object_foreach(kinds, kind, value)
    {
        if (!append(req, rule, kind, json_number_value(value), json_object_get(limits, kind)))
            return false;
    }
    json_object_foreach(limits, kind, value)
    {
        if (!json_object_get(kinds, kind) && !append(req, rule, kind, rate, value))
            return false;
    }
    return true;
}

/* Comparing and setting are one step for all who come through this endpoint. */
static void apply(struct ttap__request *req, struct ttap_http *http, const char *rule)
{
    pthread_mutex_lock(&http->lock);
    bool matches = is_match(ttap__request_header(req, "If-Match"));
    int error = matches ? ttap_sampling_set(rule) : 0;
    pthread_mutex_unlock(&http->lock);
    if (!matches)
        ttap__reply_error(req, 412, "changed", "GET it again", NULL, "the setting in force is not the one that If-Match names");
    else if (error)
        ttap__reply_no_memory(req);
    else
        reply_setting(req);
}

static void put(struct ttap__request *req, struct ttap_http *http)
{
    json_t *body = ttap__body_object(req);
    if (!body)
        return;
    struct text rule = {malloc(TTAP__RULE_BYTES), 0};
    if (!rule.bytes)
        ttap__reply_no_memory(req);
    else if (check_all(req, body) && write_rule(req, body, &rule))
        apply(req, http, rule.bytes);
    free(rule.bytes);
    json_decref(body);
}

static void handle(struct ttap__request *req, void *arg)
{
    if (ttap__request_method(req) == TTAP__PUT)
        put(req, arg);
    else
        reply_setting(req);
}

const struct ttap__route ttap__route_sampling = {"/debug/trace/sampling", TTAP__GET | TTAP__HEAD | TTAP__PUT, handle, NULL, 0, TTAP__BODY_MAX_BYTES};
