/* params.c - query parameters by type. No strtod, no locale, no rounding into range: what is not exactly allowed is 400. */
#include <string.h>

#include "internal.h"
#include "params.h"

enum { SECONDS_CHARS_MAX = 12, SHOWN_MAX = 40 };
#define WHOLE_SECONDS_MAX UINT64_C(9999999999) /* times 10^9 still fits in 64 bits */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool ttap__parse_u64(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++)
        if (!is_digit(*text) || __builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    *out = value;
    return true;
}

bool ttap__parse_seconds(const char *text, uint64_t *out_ns)
{
    uint64_t whole = 0, fraction_ns = 0, unit_ns = 1000000000;
    if (strnlen(text, SECONDS_CHARS_MAX + 1) > SECONDS_CHARS_MAX || !is_digit(*text))
        return false;
    for (; is_digit(*text); text++)
        whole = whole * 10 + (uint64_t)(*text - '0');
    if (*text == '.' && !is_digit(text[1]))
        return false;
    if (*text == '.')
        for (text++; is_digit(*text); text++) {
            unit_ns /= 10; /* 0 from the tenth digit on */
            fraction_ns += (uint64_t)(*text - '0') * unit_ns;
        }
    if (*text || whole > WHOLE_SECONDS_MAX)
        return false;
    *out_ns = whole * 1000000000 + fraction_ns;
    return true;
}

const char *ttap__request_param(const struct ttap__request *req, const char *name)
{
    for (size_t i = 0; i < req->param_count; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return req->params[i].value;
    return NULL;
}

bool ttap__param_seconds(struct ttap__request *req, const char *name, double max_s, uint64_t *out_ns)
{
    const char *text = ttap__request_param(req, name);
    uint64_t ns;
    if (!text)
        return true;
    if (ttap__parse_seconds(text, &ns) && ns > 0 && (double)ns <= max_s * 1e9) {
        *out_ns = ns;
        return true;
    }
    ttap__reply_error(req, 400, "bad_parameter", "digits with an optional fraction, at most 12 characters, such as 5 or 0.25", NULL,
                      "%s=%.*s: allowed is more than 0, up to %g", name, SHOWN_MAX, text, max_s);
    return false;
}

bool ttap__param_u64(struct ttap__request *req, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *text = ttap__request_param(req, name);
    uint64_t value;
    if (!text)
        return true;
    if (ttap__parse_u64(text, &value) && value >= min && value <= max) {
        *out = value;
        return true;
    }
    ttap__reply_error(req, 400, "bad_parameter", "digits only", NULL, "%s=%.*s: allowed is %llu to %llu", name, SHOWN_MAX, text,
                      (unsigned long long)min, (unsigned long long)max);
    return false;
}

int ttap__find_choice(const char *const *choices, const char *text, size_t len)
{
    for (int i = 0; choices[i]; i++)
        if (strlen(choices[i]) == len && memcmp(choices[i], text, len) == 0)
            return i;
    return -1;
}

/* "a, b, c", cut to whole words where @size ends. */
static void list_choices(char *out, size_t size, const char *const *choices)
{
    size_t used = 0;
    *out = 0;
    for (; *choices; choices++) {
        size_t len = strlen(*choices), comma = used ? 2 : 0;
        if (used + comma + len + 1 > size)
            return;
        memcpy(out + used, ", ", comma);
        memcpy(out + used + comma, *choices, len + 1);
        used += comma + len;
    }
}

static void reply_bad_choice(struct ttap__request *req, const char *name, const char *text, const char *const *choices, const char *how)
{
    char list[400];
    list_choices(list, sizeof list, choices);
    ttap__reply_error(req, 400, "bad_parameter", NULL, NULL, "%s=%.*s: allowed is %s %s", name, SHOWN_MAX, text, how, list);
}

bool ttap__param_choice(struct ttap__request *req, const char *name, const char *const *choices, int *out)
{
    const char *text = ttap__request_param(req, name);
    if (!text)
        return true;
    int found = ttap__find_choice(choices, text, strlen(text));
    if (found < 0) {
        reply_bad_choice(req, name, text, choices, "one of");
        return false;
    }
    *out = found;
    return true;
}

bool ttap__parse_set(const char *text, const char *const *choices, uint64_t *out)
{
    uint64_t set = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        int found = ttap__find_choice(choices, text, len);
        if (found < 0 || found > 63 || (set >> found & 1))
            return false;
        set |= UINT64_C(1) << found;
        if (!text[len])
            break;
        text += len + 1;
    }
    *out = set;
    return true;
}

bool ttap__param_set(struct ttap__request *req, const char *name, const char *const *choices, uint64_t *out)
{
    const char *text = ttap__request_param(req, name);
    if (!text || ttap__parse_set(text, choices, out))
        return true;
    reply_bad_choice(req, name, text, choices, "a comma-separated list, each at most once, of");
    return false;
}
