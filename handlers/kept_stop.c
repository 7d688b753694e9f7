/* kept_stop.c - POST /debug/trace/captures/{id}/stop: end the window of a kept capture now. */
#include "handlers.h"

static void handle(struct ttap__request *req, void *arg)
{
    (void)arg;
    uint64_t id = ttap__kept_id(req);
    struct ttap__kept *kept = id ? ttap__kept_get(id) : NULL;
    struct ttap__kept_info info;
    if (kept) {
        ttap__sub_stop(ttap__kept_sub(kept), TTAP__END_STOPPED);
        ttap__kept_put(kept);
    }
    if (kept && ttap__kept_find(id, &info))
        ttap__reply_json(req, 200, ttap__info_json_kept(&info), NULL);
    else
        ttap__reply_not_found(req);
}

const struct ttap__route ttap__route_kept_stop = {"/debug/trace/captures/{id}/stop", TTAP__POST, handle, NULL, 0, 0};
