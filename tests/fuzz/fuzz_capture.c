/* Any bytes as a native capture: figures, JSON whole and in pieces; what comes out must be JSON, the same both ways. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "stat.h"
#include "wire_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *arg, const void *bytes, size_t len)
{
    wire_bytes(arg, bytes, len);
    return 0;
}

static int to_json(const uint8_t *data, size_t size, size_t piece, struct wire *out)
{
    struct ttap__convert *convert = ttap__convert_new("json", collect, out);
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0; at += piece)
        rc = ttap__convert_feed(convert, data + at, size - at < piece ? size - at : piece);
    rc = ttap__convert_finish(convert);
    ttap__convert_free(convert);
    return rc;
}

static void figures(const uint8_t *data, size_t size)
{
    struct ttap__stat *stat = ttap__stat_new();
    uint64_t delivered = 0;
    ttap__stat_feed(stat, data, size);
    const struct ttap__stat_result *result = ttap__stat_finish(stat);
    for (size_t i = 0; i < result->kinds_count; i++)
        delivered += result->kinds[i].delivered;
    if (delivered != result->delivered || (result->exact && result->truncated))
        abort();
    ttap__stat_free(stat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire whole = {0}, pieces = {0};
    figures(data, size);
    int rc = to_json(data, size, size ? size : 1, &whole);
    if (to_json(data, size, 13, &pieces) != rc || whole.len != pieces.len || (rc != 0) != (whole.len == 0))
        abort();
    if (whole.len) {
        json_t *document = json_loadb((const char *)whole.bytes, whole.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        if (!document || memcmp(whole.bytes, pieces.bytes, whole.len) != 0)
            abort();
        json_decref(document);
    }
    wire_free(&whole);
    wire_free(&pieces);
    return 0;
}
