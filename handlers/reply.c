/* reply.c - the answers that several endpoints give. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

void ttap__reply_json(struct ttap__request *req, unsigned status, json_t *json, const struct ttap__header *extra)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(json);
    if (text)
        ttap__reply(req, status, "application/json", text, strlen(text), extra);
    else
        ttap__reply_no_memory(req);
    free(text);
}

void ttap__reply_busy(struct ttap__request *req, unsigned status, const char *code, const char *hint, uint64_t wait_ns, const char *message)
{
    char seconds[24];
    uint64_t wait_s = (wait_ns + TTAP__NS_PER_S - 1) / TTAP__NS_PER_S;
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_s ? wait_s : 1));
    const struct ttap__header extra[] = {{"Retry-After", seconds}, {NULL, NULL}};
    ttap__reply_error(req, status, code, hint, extra, "%s", message);
}

void ttap__reply_open_error(struct ttap__request *req, struct ttap_http *http, int error)
{
    if (error == -EBUSY)
        ttap__reply_busy(req, 503, "too_many_captures", "GET /debug/trace/status shows who is recording", ttap__next_end_ns(http),
                         "as many captures as allowed are being recorded or delivered");
    else if (error == -ENOSPC)
        ttap__reply_busy(req, 503, "captures_full", "DELETE one, or wait until downloads are over", ttap__next_end_ns(http),
                         "the room for kept captures is taken by captures being recorded or read");
    else if (error == -EINVAL)
        ttap__reply_error(req, 400, "bad_parameter", NULL, NULL, "the tracer refused this window, rule or limit");
    else
        ttap__reply_no_memory(req);
}

void ttap__disposition(char *out, size_t size, const struct ttap_http *http, uint64_t unix_ns, const char *extension)
{
    time_t seconds = (time_t)(unix_ns / TTAP__NS_PER_S);
    struct tm utc;
    char stamp[32] = "0";
    if (gmtime_r(&seconds, &utc))
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(out, size, "attachment; filename=\"%s-%ld-%s.%s\"", http->exe, (long)getpid(), stamp, extension);
}
