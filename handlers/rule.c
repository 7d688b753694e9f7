/* rule.c - sampling rules between their two forms: text "0.01/100,checkout=1/20" and JSON
 * {"default":0.01,"kinds":{"checkout":1},"limit":100,"limits":{"checkout":20}}. The last two are there if there are limits.
 *
 * The engine takes and gives text; only what it accepts gets here, so reading is plain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

/* Nine decimals are what the engine reads. The digits are made from an integer, because printf's point is the
 * locale's. */
void ttap__rate_text(double rate, char out[24])
{
    uint64_t scaled = (uint64_t)(rate * 1e9 + 0.5);
    int length = snprintf(out, 24, "%llu.%09llu", (unsigned long long)(scaled / 1000000000u), (unsigned long long)(scaled % 1000000000u));
    while (out[length - 1] == '0')
        out[--length] = 0;
    if (out[length - 1] == '.')
        out[--length] = 0;
}

/* In units of 1e-9, read from digits and a point, which is what the engine's form has; strtod would want the
 * locale's point. */
static uint64_t rate_billionths(const char *text, size_t len)
{
    uint64_t value = 0;
    int decimals = -1; /* before the point */
    for (size_t i = 0; i < len && decimals < 9; i++) {
        if (text[i] == '.')
            decimals = 0;
        else
            value = value * 10 + (uint64_t)(text[i] - '0');
        decimals += decimals >= 0 && text[i] != '.';
    }
    for (; decimals < 9; decimals++)
        value *= decimals < 0 ? 1 : 10;
    return value;
}

static json_t *rate_json(const char *text, size_t len)
{
    uint64_t billionths = rate_billionths(text, len);
    if (billionths % 1000000000u == 0)
        return json_integer((json_int_t)(billionths / 1000000000u));
    return json_real((double)billionths / 1e9);
}

/* "/20" behind a rate: as "limit" of the rule, or under @name in its object "limits". */
static bool add_limit(json_t *rule, const char *name, const char *digits, size_t len)
{
    json_int_t limit = 0;
    for (size_t i = 0; i < len; i++)
        limit = limit * 10 + (digits[i] - '0');
    if (!name)
        return json_object_set_new(rule, "limit", json_integer(limit)) == 0;
    if (!json_object_get(rule, "limits") && json_object_set_new(rule, "limits", json_object()) != 0)
        return false;
    return json_object_set_new(json_object_get(rule, "limits"), name, json_integer(limit)) == 0;
}

/* A rate with or without a limit, of the kind @name or of all others. */
static bool add_rate(json_t *rule, json_t *kinds, const char *name, const char *rate, size_t len)
{
    const char *slash = memchr(rate, '/', len);
    size_t rate_len = slash ? (size_t)(slash - rate) : len;
    json_t *into = name ? kinds : rule;
    return json_object_set_new(into, name ? name : "default", rate_json(rate, rate_len)) == 0 &&
           (!slash || add_limit(rule, name, slash + 1, len - rate_len - 1));
}

static bool add_part(json_t *rule, json_t *kinds, const char *part, size_t len)
{
    size_t name_len = len; /* with its '='; the last one, because a kind's name may hold one too */
    while (name_len && part[name_len - 1] != '=')
        name_len--;
    if (!name_len)
        return add_rate(rule, kinds, NULL, part, len);
    char *raw = strndup(part, name_len - 1);
    json_t *name = raw ? ttap__json_text(raw) : NULL;
    free(raw);
    bool added = name && add_rate(rule, kinds, json_string_value(name), part + name_len, len - name_len);
    json_decref(name);
    return added;
}

json_t *ttap__rule_to_json(const char *rule)
{
    json_t *kinds = json_object();
    json_t *json = json_pack("{s:i,s:o}", "default", 1, "kinds", kinds);
    while (json && *rule) {
        size_t len = strcspn(rule, ",");
        if (len && !add_part(json, kinds, rule, len)) {
            json_decref(json);
            return NULL;
        }
        rule += len + (rule[len] == ',');
    }
    return json;
}

char *ttap__rule_now(void)
{
    size_t size = 256;
    for (;;) {
        char *text = malloc(size);
        size_t needed = text ? ttap_sampling_get(text, size) : 0;
        if (!text || needed < size)
            return text;
        free(text); /* it grew since we asked, or was long to begin with */
        size = needed + 1;
    }
}
