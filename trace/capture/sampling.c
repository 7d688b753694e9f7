/* sampling.c - the rule "0.01,checkout=1": a default rate, and rates of kinds of root tasks.
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

static bool has_kind(const struct ttap__keep *keep, uint32_t kind)
{
    for (uint32_t i = 0; i < keep->rules; i++)
        if (keep->rule[i].kind == kind)
            return true;
    return false;
}

/* One item up to ',' or the end. Returns where it ends, or NULL with *error set. */
static const char *parse_item(const char *at, struct ttap__keep *keep, bool *has_default, bool commit, int *error)
{
    uint64_t below;
    size_t item = strcspn(at, ",");
    const char *equals = memrchr(at, '=', item);
    const char *end = parse_rate(equals ? equals + 1 : at, &below);
    *error = -EINVAL;
    if (!end || end != at + item || equals == at || (!equals && *has_default))
        return NULL;
    if (!equals) {
        *has_default = true;
        keep->otherwise = below;
        return end;
    }
    if ((size_t)(equals - at) > TTAP_NAME_BYTES_MAX)
        return NULL;
    if (keep->rules == TTAP__SAMPLING_KINDS_MAX) {
        *error = -ENOSPC;
        return NULL;
    }
    uint32_t kind = commit ? ttap__name_intern(at, (size_t)(equals - at)) : keep->rules + 1;
    if (commit && has_kind(keep, kind))
        return NULL; /* twice the same kind: which one is meant? */
    keep->rule[keep->rules++] = (struct ttap__keep_rule){kind, below};
    return end;
}

static int parse(const char *spec, struct ttap__keep *keep, bool commit, size_t *error_offset)
{
    bool has_default = false;
    *keep = (struct ttap__keep){.otherwise = TTAP__KEEP_ALL};
    const char *at = spec;
    while (*at) {
        int error;
        const char *end = parse_item(at, keep, &has_default, commit, &error);
        if (!end || (*end == ',' && !end[1])) {
            if (error_offset)
                *error_offset = (size_t)((end ? end : at) - spec);
            return end ? -EINVAL : error;
        }
        at = *end ? end + 1 : end;
    }
    return 0;
}

int ttap__sampling_parse(const char *spec, struct ttap__sampling *out, size_t *error_offset)
{
    struct ttap__keep keep;
    if (!spec)
        spec = "";
    if (strlen(spec) >= TTAP__SAMPLING_TEXT_BYTES) {
        if (error_offset)
            *error_offset = TTAP__SAMPLING_TEXT_BYTES - 1;
        return -EINVAL;
    }
    /* Twice: a wrong rule must not leave names behind for ever. */
    int error = parse(spec, &keep, false, error_offset);
    if (!error && out)
        error = parse(spec, &keep, true, error_offset);
    if (error || !out)
        return error;
    out->keep = keep;
    strcpy(out->text, spec); /* fits: checked above */
    return 0;
}

int ttap__sampling_check(const char *spec, size_t *error_offset)
{
    struct ttap__sampling parsed;
    return ttap__sampling_parse(spec, &parsed, error_offset);
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
    int error = ttap__sampling_parse(spec, &parsed, NULL);
    if (error)
        return error;
    pthread_mutex_lock(&default_mutex);
    strcpy(default_text, parsed.text);
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
    if (ttap__sampling_parse(text, out, NULL)) { /* cannot fail: it was parsed when it was set */
        out->keep = (struct ttap__keep){.otherwise = TTAP__KEEP_ALL};
        out->text[0] = 0;
    }
}

void ttap__sampling_after_fork(void)
{
    pthread_mutex_init(&default_mutex, NULL);
}
