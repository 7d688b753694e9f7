/* info.c - figures of the engine as JSON, docs/http.md "The info of a capture".
 *
 * Every function returns NULL without memory, and json_pack() with a NULL part gives NULL: one check at the end is
 * enough.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

/* A kept capture has nobody to drain to: it is whole when its window is over. */
static const char *state_name(enum ttap__sub_state state, bool kept)
{
    return state == TTAP__SUB_RECORDING ? "recording" : state == TTAP__SUB_DRAINING && !kept ? "draining" : "ended";
}

/* Numbers of the trailer's reason. */
static const char *const reasons[] = {NULL, "window", "bytes", "stopped", "client", "lease", "shutdown"};

static json_t *reason_json(const struct ttap__sub_info *info)
{
    unsigned why = (unsigned)info->why;
    if (info->state == TTAP__SUB_RECORDING || why == 0 || why >= sizeof reasons / sizeof *reasons)
        return json_null();
    return json_string(reasons[why]);
}

json_t *ttap__json_count(uint64_t value)
{
    const uint64_t exact_max = (UINT64_C(1) << 53) - 1; /* what JavaScript reads exactly */
    return json_integer((json_int_t)(value < exact_max ? value : exact_max));
}

json_t *ttap__json_time(uint64_t unix_ns)
{
    return json_sprintf("%llu", (unsigned long long)unix_ns);
}

/* Length of the valid UTF-8 sequence at @s, 0 if there is none. Follows the table of RFC 3629: no overlong forms, no
 * surrogates. */
static size_t utf8_len(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) /* the NUL at the end stops here too */
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

json_t *ttap__json_text(const char *bytes)
{
    const unsigned char *in = (const unsigned char *)bytes;
    char *text = malloc(3 * strlen(bytes) + 1);
    size_t used = 0;
    if (!text)
        return NULL;
    while (*in) {
        size_t len = utf8_len(in);
        memcpy(text + used, len ? (const char *)in : "\xef\xbf\xbd", len ? len : 3);
        used += len ? len : 3;
        in += len ? len : 1;
    }
    json_t *json = json_stringn(text, used);
    free(text);
    return json;
}

static json_t *times_json(const struct ttap__sub_info *info)
{
    uint64_t left = info->state == TTAP__SUB_RECORDING && info->duration_ns > info->elapsed_ns ? info->duration_ns - info->elapsed_ns : 0;
    return json_pack("{s:o,s:o,s:o,s:o}", "started_unix_ns", ttap__json_time(info->started_unix_ns), "duration_ns",
                     ttap__json_count(info->duration_ns), "elapsed_ns", ttap__json_count(info->elapsed_ns), "remaining_ns", ttap__json_count(left));
}

static json_t *counts_json(const struct ttap__sub_info *info)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "bytes", ttap__json_count(info->bytes), "queued_bytes", ttap__json_count(info->queued_bytes),
                     "events", ttap__json_count(info->events), "delivered", ttap__json_count(info->delivered), "filtered",
                     ttap__json_count(info->filtered), "lost", ttap__json_count(info->lost), "sampled_out", ttap__json_count(info->sampled_out));
}

static json_t *identity_json(uint64_t id)
{
    if (!id)
        return json_pack("{s:n,s:n,s:s}", "id", "url", "kind", "stream");
    return json_pack("{s:o,s:o,s:s}", "id", ttap__json_count(id), "url", json_sprintf("/debug/trace/captures/%llu", (unsigned long long)id), "kind",
                     "kept");
}

bool ttap__json_merge(json_t *whole, json_t *const *parts, size_t count)
{
    bool complete = whole != NULL;
    for (size_t i = 0; i < count; i++) {
        complete = complete && parts[i] && json_object_update(whole, parts[i]) == 0;
        json_decref(parts[i]);
    }
    return complete;
}

json_t *ttap__info_json(const struct ttap__sub_info *info, uint64_t id, bool reading, const char *format)
{
    json_t *whole = identity_json(id);
    json_t *const parts[] = {
        json_pack("{s:s,s:o}", "state", state_name(info->state, id != 0), "reason", reason_json(info)),
        times_json(info),
        json_pack("{s:o}", "groups", ttap__groups_json(info->groups)),
        counts_json(info),
        json_pack("{s:b,s:s}", "reading", reading, "format", format),
    };
    if (ttap__json_merge(whole, parts, sizeof parts / sizeof *parts))
        return whole;
    json_decref(whole);
    return NULL;
}

json_t *ttap__info_json_kept(const struct ttap__kept_info *kept)
{
    return ttap__info_json(&kept->sub, kept->id, kept->pinned, "native");
}

/* One list for all questions about kept captures: copying its at most 64 entries is some microseconds. */
static size_t kept_list(struct ttap__kept_info list[TTAP__KEPT_LIST_MAX])
{
    size_t count = ttap__kept_list(list, TTAP__KEPT_LIST_MAX);
    return count < TTAP__KEPT_LIST_MAX ? count : TTAP__KEPT_LIST_MAX;
}

bool ttap__kept_find(uint64_t id, struct ttap__kept_info *out)
{
    struct ttap__kept_info list[TTAP__KEPT_LIST_MAX];
    size_t count = kept_list(list);
    for (size_t i = 0; i < count; i++)
        if (list[i].id == id) {
            *out = list[i];
            return true;
        }
    return false;
}

bool ttap__info_append_kept(json_t *array)
{
    struct ttap__kept_info list[TTAP__KEPT_LIST_MAX];
    size_t count = kept_list(list);
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, ttap__info_json_kept(&list[i])) != 0)
            return false;
    return true;
}
