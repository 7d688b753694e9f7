/* fuzz_query.c - whatever stands in a query or a Host header is a value within its limits, or refused; what is echoed is ASCII. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_value(const char *value)
{
    static const char *const words[] = {"task", "region", "log", NULL};
    char safe[256];
    uint64_t number = 0, set = 0;
    if (ttap__parse_seconds(value, &number))
        require(strlen(value) <= 12 && strspn(value, "0123456789.") == strlen(value));
    if (ttap__parse_u64(value, &number))
        require(strspn(value, "0123456789") == strlen(value));
    if (ttap__parse_set(value, words, &set))
        require(set && set < 8);
    size_t len = ttap__escape_json(safe, sizeof safe, value);
    require(len < sizeof safe && strlen(safe) == len);
    for (size_t i = 0; i < len; i++)
        require(safe[i] >= 0x20 && safe[i] < 0x7f && safe[i] != '<');
    len = ttap__escape_plain(safe, sizeof safe, value);
    require(len < sizeof safe && strlen(safe) == len);
}

static void check_host(const char *text)
{
    const char *host;
    size_t len;
    if (ttap__host_split(text, &host, &len))
        require(len && len <= TTAP__HOST_MAX && len <= strlen(text) && !memchr(host, '/', len) && !memchr(host, '@', len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct param params[TTAP__PARAMS_MAX];
    size_t count = 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    check_host(text);
    check_value(text);
    if (!ttap__query_parse(text, params, TTAP__PARAMS_MAX, &count))
        for (size_t i = 0; i < count; i++) {
            require(*params[i].name);
            check_value(params[i].value);
        }
    free(text);
    return 0;
}
