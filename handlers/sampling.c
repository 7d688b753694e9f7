/* sampling.c - GET, PUT /debug/trace/sampling: which tasks captures keep.
 *
 * A PUT is read and checked as a whole, turned into a rule, and given to the engine in one call: it applies all of
 * it or nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

enum { KINDS_MAX = 64 }; /* as ttap_sampling_set() */

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

static bool is_rate(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1;
}

static bool append(struct ttap__request *req, struct text *rule, const char *kind, double rate)
{
    char digits[24];
    ttap__rate_text(rate, digits);
    size_t room = TTAP__RULE_BYTES - rule->used;
    int len =
        snprintf(rule->bytes + rule->used, room, "%s%s%s%s", rule->used ? "," : "", kind, *kind ? "=" : "", digits);
    rule->used += (size_t)len;
    if ((size_t)len < room)
        return true;
    ttap__body_error(req, NULL,
                     "kinds: the names are too long together; the whole setting as a rule has at most %zu bytes",
                     TTAP__RULE_BYTES - 1);
    return false;
}

static bool append_kind(struct ttap__request *req, struct text *rule, const char *kind, const json_t *rate)
{
    if (*kind && strlen(kind) <= TTAP_NAME_BYTES_MAX && !strchr(kind, ',') && is_rate(rate))
        return append(req, rule, kind, json_number_value(rate));
    if (is_rate(rate))
        ttap__body_error(req, NULL, "kinds: the name \"%.100s\" is not allowed; 1 to %d bytes without a comma are",
                         kind, TTAP_NAME_BYTES_MAX);
    else
        ttap__body_error(req, NULL, "kinds.%.100s: a number from 0 to 1 is expected", kind);
    return false;
}

static bool append_kinds(struct ttap__request *req, struct text *rule, json_t *kinds)
{
    const char *kind;
    json_t *rate;
    if (!kinds)
        return true;
    if (!json_is_object(kinds) || json_object_size(kinds) > KINDS_MAX) {
        ttap__body_error(req, NULL, "kinds: an object of at most %d names with numbers from 0 to 1 is expected",
                         KINDS_MAX);
        return false;
    }
    json_object_foreach(kinds, kind, rate) if (!append_kind(req, rule, kind, rate)) return false;
    return true;
}

static bool read_rule(struct ttap__request *req, const json_t *body, struct text *rule)
{
    static const char *const members[] = {"default", "kinds", NULL};
    size_t offset = 0;
    const json_t *rate = json_object_get(body, "default");
    if (!ttap__body_members(req, body, members))
        return false;
    if (rate && !is_rate(rate)) {
        ttap__body_error(req, NULL, "default: a number from 0 to 1 is expected");
        return false;
    }
    if (!append(req, rule, "", rate ? json_number_value(rate) : 1) ||
        !append_kinds(req, rule, json_object_get(body, "kinds")))
        return false;
    if (ttap__sampling_check(rule->bytes, &offset) == 0)
        return true;
    ttap__body_error(req, NULL, "the tracer refuses the rule this makes, at \"%.40s\"",
                     rule->bytes + (offset < rule->used ? offset : 0));
    return false;
}

/* Comparing and setting are one step for all who come through this endpoint. */
static void apply(struct ttap__request *req, struct ttap_http *http, const char *rule)
{
    pthread_mutex_lock(&http->lock);
    bool matches = is_match(ttap__request_header(req, "If-Match"));
    int error = matches ? ttap_sampling_set(rule) : 0;
    pthread_mutex_unlock(&http->lock);
    if (!matches)
        ttap__reply_error(req, 412, "changed", "GET it again", NULL,
                          "the setting in force is not the one that If-Match names");
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
    else if (read_rule(req, body, &rule))
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

const struct ttap__route ttap__route_sampling = {
    "/debug/trace/sampling", TTAP__GET | TTAP__HEAD | TTAP__PUT, handle, NULL, 0, TTAP__BODY_MAX_BYTES};
