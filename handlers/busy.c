/* busy.c - who is told to come again, and when. */
#include <errno.h>

#include "handlers.h"

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
