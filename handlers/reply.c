/* reply.c - the answers that several endpoints give. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

void ttap__reply_no_memory(struct ttap__request *req)
{
    ttap__reply_error(req, 503, "no_memory", "try again later, or raise the tracer's budget", NULL, "no memory for this within the tracer's budget");
}

void ttap__reply_not_found(struct ttap__request *req)
{
    ttap__reply_error(req, 404, "not_found", "GET /debug/trace/captures lists them", NULL, "no such capture; it may have been evicted by newer ones");
}

void ttap__reply_stopping(struct ttap__request *req)
{
    ttap__reply_error(req, 503, "stopping", NULL, NULL, "the endpoint is being stopped");
}

/* jansson's own json_dumps() drops a key, silently, when its buffer cannot grow; and its text belongs to whatever
 * allocator the service has given to jansson. So it writes to this one, which stays failed once it has failed. */
struct text {
    char *bytes;
    size_t used, size;
    bool failed;
};

static int append(const char *bytes, size_t len, void *arg)
{
    struct text *text = arg;
    if (!text->failed && text->size - text->used < len) {
        size_t size = 2 * (text->size + len) + 1024;
        char *bigger = realloc(text->bytes, size);
        text->failed = !bigger;
        text->bytes = bigger ? bigger : text->bytes;
        text->size = bigger ? size : text->size;
    }
    if (text->failed)
        return -1;
    memcpy(text->bytes + text->used, bytes, len);
    text->used += len;
    return 0;
}

bool ttap__reply_json(struct ttap__request *req, unsigned status, json_t *json, const struct ttap__header *extra)
{
    struct text text = {0};
    bool whole = json && json_dump_callback(json, append, &text, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && !text.failed;
    json_decref(json);
    if (whole)
        ttap__reply(req, status, "application/json", text.bytes, text.used, extra);
    else
        ttap__reply_no_memory(req);
    free(text.bytes);
    return whole;
}

void ttap__reply_busy(struct ttap__request *req, unsigned status, const char *code, const char *hint, uint64_t wait_ns, const char *message)
{
    char seconds[24];
    uint64_t wait_s = (wait_ns + TTAP__NS_PER_S - 1) / TTAP__NS_PER_S;
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_s ? wait_s : 1));
    const struct ttap__header extra[] = {{"Retry-After", seconds}, {NULL, NULL}};
    ttap__reply_error(req, status, code, hint, extra, "%s", message);
}
