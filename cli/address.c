/* address.c - completes what was typed, then lets libcurl's URL parser judge it. */
#define _GNU_SOURCE
#include "address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT "6060"
#define DEFAULT_PATH "/debug/trace"

static bool only_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static char *with_scheme(const char *text)
{
    char *whole = NULL;
    int length;

    if (strstr(text, "://"))
        length = asprintf(&whole, "%s", text);
    else if (only_digits(text))
        length = asprintf(&whole, "http://localhost:%s", text);
    else if (*text == ':')
        length = asprintf(&whole, "http://localhost%s", text);
    else
        length = asprintf(&whole, "http://%s", text);
    return length < 0 ? NULL : whole;
}

/* A part of the URL as text of ours, or NULL. */
static char *part(CURLU *url, CURLUPart which)
{
    char *text = NULL;

    return curl_url_get(url, which, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool scheme_is_http(CURLU *url)
{
    char *scheme = part(url, CURLUPART_SCHEME);
    bool good = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return good;
}

static bool query_param(CURLU *url, const char *name, char *out, size_t size)
{
    char *query = part(url, CURLUPART_QUERY);
    size_t len = strlen(name);
    bool found = false;

    for (const char *p = query; p && !found; p = strchr(p, '&')) {
        p += *p == '&';
        found = strncmp(p, name, len) == 0 && (p[len] == '=' || p[len] == '&' || !p[len]);
        if (found) {
            p += len + (p[len] == '=');
            snprintf(out, size, "%.*s", (int)strcspn(p, "&"), p);
        }
    }
    curl_free(query);
    return found;
}

static CURLU *parse(const char *text)
{
    char *whole = with_scheme(text);
    CURLU *url = curl_url();

    if (whole && url && curl_url_set(url, CURLUPART_URL, whole, 0) == CURLUE_OK) {
        free(whole);
        return url;
    }
    free(whole);
    curl_url_cleanup(url);
    return NULL;
}

bool cli_address_param(const char *text, const char *param, char *out, size_t size)
{
    CURLU *url = parse(text);
    bool found = url && query_param(url, param, out, size);

    curl_url_cleanup(url);
    return found;
}

bool cli_address_is_loopback(const char *text)
{
    CURLU *url = parse(text);
    char *host = url ? part(url, CURLUPART_HOST) : NULL;
    bool loopback = host && (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 || strncmp(host, "127.", 4) == 0);

    curl_free(host);
    curl_url_cleanup(url);
    return loopback;
}

static void set_defaults(CURLU *url, bool scheme_given)
{
    char *path = part(url, CURLUPART_PATH);
    char *port = part(url, CURLUPART_PORT);

    if (!path || strcmp(path, "/") == 0)
        curl_url_set(url, CURLUPART_PATH, DEFAULT_PATH, 0);
    if (!port && !scheme_given)
        curl_url_set(url, CURLUPART_PORT, DEFAULT_PORT, 0);
    curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    curl_free(path);
    curl_free(port);
}

static bool append(CURLU *url, const struct cli_param *param)
{
    char *pair = NULL;
    bool good = asprintf(&pair, "%s=%s", param->name, param->value) >= 0 &&
                curl_url_set(url, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE) == CURLUE_OK;

    free(pair);
    return good;
}

static bool add_params(CURLU *url, const struct cli_param *params, char *error, size_t error_size)
{
    char in_url[1];

    for (; params->name; params++) {
        if (!params->value)
            continue;
        if (query_param(url, params->name, in_url, sizeof in_url)) {
            snprintf(error, error_size, "%s is given twice: in the URL and as an option", params->name);
            return false;
        }
        if (!append(url, params)) {
            snprintf(error, error_size, "no memory for the URL");
            return false;
        }
    }
    return true;
}

bool cli_address_url(const char *text, const struct cli_param *params, char **out, char *error, size_t error_size)
{
    CURLU *url = parse(text);
    bool good = false;

    if (!url) {
        snprintf(error, error_size, "%s: not an address; give HOST:PORT, :PORT or a URL such as http://localhost:6060", text);
        return false;
    }
    if (!scheme_is_http(url)) {
        snprintf(error, error_size, "%s: must begin with http:// or https://", text);
    } else {
        set_defaults(url, strstr(text, "://") != NULL);
        char *whole = add_params(url, params, error, error_size) ? part(url, CURLUPART_URL) : NULL;
        *out = whole ? strdup(whole) : NULL;
        good = *out != NULL;
        curl_free(whole);
    }
    curl_url_cleanup(url);
    return good;
}
