/* trace.c - GET /debug/trace: record now, stream while it is recorded. */
#include <time.h>

#include "handlers.h"

static const char *const params[] = {"seconds", "format", "events", "sample", "samples", "long_wait_us", "alloc_samples", "bytes", NULL};

static void handle(struct ttap__request *req, void *arg)
{
    struct ttap_http *http = arg;
    struct ttap__wish wish;
    if (!ttap__wish_from_query(req, http, &wish))
        return;
    if (ttap__request_method(req) == TTAP__HEAD)
        ttap__deliver_head(req, http, ttap__clock_ns(CLOCK_REALTIME), wish.format);
    else
        ttap__deliver_live(req, http, &wish);
}

const struct ttap__route ttap__route_trace = {"/debug/trace", TTAP__GET | TTAP__HEAD, handle, params, TTAP__ROUTE_STREAMS, 0};
