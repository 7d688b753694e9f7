/* sampling.c - the rule "0.01,checkout=1": a default rate, and rates of kinds of root tasks. The process-wide one may also limit how many
 * root tasks of a kind are kept each second: "0.01/100,checkout=1/20".
 *
 * A task tree draws one number once, uniform below 2^32; it is kept by whoever has a rate above it. So rates nest: what 0.01 keeps,
 * 0.1 keeps too, and the union of several captures is the largest rate.
 */
#include "sampling.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "capture.h"
#include "clock.h"

/* "0", "1", "0.25", ".5": digits with an optional fraction, 0 to 1. Returns the end, or NULL. */
static const char *parse_rate(const char *at, uint64_t *below)
{
    uint64_t whole = 0, fraction = 0, scale = 1;
    bool any = false;
    for (; *at >= '0' && *at <= '9'; at++, any = true) {
        whole = whole * 10 + (uint64_t)(*at - '0');
        if (whole > 1)
            return NULL;
    }
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, any = true) {
            if (scale >= 1000000000u)
                continue; /* a billionth is finer than the draw */
            fraction = fraction * 10 + (uint64_t)(*at - '0');
            scale *= 10;
        }
    }
    if (!any || (whole == 1 && fraction))
        return NULL;
    *below = whole ? TTAP__KEEP_ALL : (uint64_t)((double)fraction / (double)scale * 4294967296.0);
    return at;
}

/* "/20" behind a rate: whole root tasks a second. Returns the end, which is @at without one, or NULL. */
static const char *parse_limit(const char *at, uint32_t *per_second)
{
    uint64_t limit = 0;
    *per_second = 0;
    if (*at != '/')
        return at;
    for (at++; *at >= '0' && *at <= '9' && limit <= TTAP__SAMPLING_PER_SECOND_MAX; at++)
        limit = limit * 10 + (uint64_t)(*at - '0');
    *per_second = (uint32_t)limit;
    return limit && limit <= TTAP__SAMPLING_PER_SECOND_MAX ? at : NULL;
}

/* One part of a rule, not yet a name of the engine's: a wrong rule must not leave names behind for ever, nor must one that is only checked. */
struct item {
    const char *kind;
    size_t kind_bytes; /* 0: the default */
    uint64_t below;
    uint32_t per_second; /* 0: no limit */
};

struct items {
    uint32_t count;
    struct item item[TTAP__SAMPLING_KINDS_MAX + 1];
};

static bool is_twice(const struct items *items, const struct item *item)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (items->item[i].kind_bytes == item->kind_bytes && !memcmp(items->item[i].kind, item->kind, item->kind_bytes))
            return true; /* which one is meant? */
    return false;
}

static bool is_room_for(const struct items *items, const struct item *item)
{
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < items->count; i++)
        kinds += items->item[i].kind_bytes != 0;
    return !item->kind_bytes || kinds < TTAP__SAMPLING_KINDS_MAX;
}

/* One item up to ',' or the end. Returns where it ends, or NULL with *error set. */
static const char *parse_item(const char *at, bool may_limit, struct items *items, int *error)
{
    size_t bytes = strcspn(at, ",");
    const char *equals = memrchr(at, '=', bytes);
    struct item item = {.kind = at, .kind_bytes = equals ? (size_t)(equals - at) : 0};
    const char *end = parse_rate(equals ? equals + 1 : at, &item.below);
    if (end && may_limit)
        end = parse_limit(end, &item.per_second);
    *error = -EINVAL;
    if (!end || end != at + bytes || equals == at || item.kind_bytes > TTAP_NAME_BYTES_MAX || is_twice(items, &item))
        return NULL;
    if (!is_room_for(items, &item)) {
        *error = -ENOSPC;
        return NULL;
    }
    items->item[items->count++] = item;
    return end;
}

static int parse(const char *spec, bool may_limit, struct items *items, size_t *error_offset)
{
    items->count = 0;
    const char *at = spec;
    while (*at) {
        int error;
        const char *end = parse_item(at, may_limit, items, &error);
        if (!end || (*end == ',' && !end[1])) {
            if (error_offset)
                *error_offset = (size_t)((end ? end : at) - spec);
            return end ? -EINVAL : error;
        }
        at = *end ? end + 1 : end;
    }
    return 0;
}

/* With limits: how far apart the root tasks of a kind are, on average, when there are too many. */
static uint64_t interval_of(uint32_t per_second)
{
    return per_second ? ttap__clock_ticks_per_second() / per_second : 0;
}

static void name_kinds(const struct items *items, struct ttap__sampling *out)
{
    out->keep = (struct ttap__keep){.otherwise = TTAP__KEEP_ALL};
    out->limits = (struct ttap__limits){.second_ticks = ttap__clock_ticks_per_second()};
    for (uint32_t i = 0; i < items->count; i++) {
        const struct item *item = &items->item[i];
        uint64_t interval_ticks = interval_of(item->per_second);
        if (!item->kind_bytes) {
            out->keep.otherwise = item->below;
            out->limits.otherwise_ticks = interval_ticks;
            continue;
        }
        uint32_t kind = ttap__name_intern(item->kind, item->kind_bytes);
        out->keep.rule[out->keep.rules++] = (struct ttap__keep_rule){kind, item->below};
        out->limits.rule[out->limits.rules++] = (struct ttap__limit_rule){kind, interval_ticks};
    }
    out->limits.any = out->limits.otherwise_ticks != 0;
    for (uint32_t i = 0; i < out->limits.rules; i++)
        out->limits.any |= out->limits.rule[i].interval_ticks != 0;
}

static int parse_all(const char *spec, bool may_limit, struct ttap__sampling *out, size_t *error_offset)
{
    struct items items;
    if (!spec)
        spec = "";
    if (strlen(spec) >= TTAP__SAMPLING_TEXT_BYTES) {
        if (error_offset)
            *error_offset = TTAP__SAMPLING_TEXT_BYTES - 1;
        return -EINVAL;
    }
    int error = parse(spec, may_limit, &items, error_offset);
    if (error || !out)
        return error;
    name_kinds(&items, out);
    strcpy(out->text, spec); /* fits: checked above */
    return 0;
}

int ttap__sampling_parse(const char *spec, struct ttap__sampling *out, size_t *error_offset)
{
    return parse_all(spec, false, out, error_offset);
}

int ttap__sampling_check(const char *spec, size_t *error_offset)
{
    return parse_all(spec, false, NULL, error_offset);
}

static bool has_kind(const struct ttap__keep *keep, uint32_t kind)
{
    for (uint32_t i = 0; i < keep->rules; i++)
        if (keep->rule[i].kind == kind)
            return true;
    return false;
}

static uint64_t rate_of(const struct ttap__keep *keep, uint32_t kind)
{
    for (uint32_t i = 0; i < keep->rules; i++)
        if (keep->rule[i].kind == kind)
            return keep->rule[i].below;
    return keep->otherwise;
}

static uint64_t largest_rate(const struct ttap__keep *const *tables, size_t count, uint32_t kind)
{
    uint64_t below = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t rate = rate_of(tables[i], kind);
        below = rate > below ? rate : below;
    }
    return below;
}

void ttap__keep_union(struct ttap__keep *out, const struct ttap__keep *const *tables, size_t count)
{
    uint32_t rules_max = sizeof(out->rule) / sizeof(out->rule[0]);
    out->otherwise = 0;
    out->rules = 0;
    for (size_t i = 0; i < count; i++)
        out->otherwise = tables[i]->otherwise > out->otherwise ? tables[i]->otherwise : out->otherwise;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t r = 0; r < tables[i]->rules; r++) {
            uint32_t kind = tables[i]->rule[r].kind;
            if (has_kind(out, kind))
                continue;
            if (out->rules == rules_max) {
                /* More kinds than the table of the emit path holds: record all, each subscriber's own table still filters. */
                *out = (struct ttap__keep){.otherwise = TTAP__KEEP_ALL};
                return;
            }
            out->rule[out->rules++] = (struct ttap__keep_rule){kind, largest_rate(tables, count, kind)};
        }
    }
}

/* ---- The process-wide rule ---- */

static pthread_mutex_t default_mutex = PTHREAD_MUTEX_INITIALIZER;
static char default_text[TTAP__SAMPLING_TEXT_BYTES];

int ttap_sampling_set(const char *spec)
{
    struct ttap__sampling parsed;
    if (!ttap__arena()) /* also starts the clock, which limits are counted with */
        return -ENOMEM;
    int error = parse_all(spec, true, &parsed, NULL);
    if (error)
        return error;
    pthread_mutex_lock(&default_mutex);
    strcpy(default_text, parsed.text);
    ttap__limits_apply(&parsed.limits);
    pthread_mutex_unlock(&default_mutex);
    return 0;
}

size_t ttap_sampling_get(char *out, size_t size)
{
    pthread_mutex_lock(&default_mutex);
    size_t len = strlen(default_text);
    if (size) {
        size_t n = len < size ? len : size - 1;
        memcpy(out, default_text, n);
        out[n] = 0;
    }
    pthread_mutex_unlock(&default_mutex);
    return len;
}

void ttap__sampling_default(struct ttap__sampling *out)
{
    char text[TTAP__SAMPLING_TEXT_BYTES];
    ttap_sampling_get(text, sizeof(text));
    if (parse_all(text, true, out, NULL)) { /* cannot fail: it was parsed when it was set */
        out->keep = (struct ttap__keep){.otherwise = TTAP__KEEP_ALL};
        out->text[0] = 0;
    }
}

void ttap__sampling_after_fork(void)
{
    pthread_mutex_init(&default_mutex, NULL);
}
