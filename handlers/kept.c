/* kept.c - GET, DELETE /debug/trace/captures/{id}: the info of a kept capture, its bytes, its end. */
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

static const char *const params[] = {"format", NULL};

/* Digits only, without a leading zero: each capture has one address. */
uint64_t ttap__kept_id(const struct ttap__request *req)
{
    const char *text = ttap__request_path_arg(req);
    if (!text || text[0] == '0')
        return 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits])
        return 0;
    return strtoull(text, NULL, 10);
}

static void reply_still_recording(struct ttap__request *req, const struct ttap__sub_info *info)
{
    uint64_t left = info->duration_ns > info->elapsed_ns ? info->duration_ns - info->elapsed_ns : 0;
    ttap__reply_busy(req, 409, "still_recording", "wait, or POST to its /stop", left, "the window of this capture is still open");
}

static void download(struct ttap__request *req, struct ttap_http *http, uint64_t id, int format)
{
    struct ttap__kept *kept = id ? ttap__kept_get(id) : NULL;
    if (!kept) {
        ttap__reply_not_found(req);
        return;
    }
    struct ttap__sub_info info;
    ttap__sub_info(ttap__kept_sub(kept), &info);
    if (info.state != TTAP__SUB_RECORDING && ttap__request_method(req) == TTAP__GET) {
        ttap__deliver_kept(req, http, kept, format);
        return; /* the pin is the delivery's now */
    }
    if (info.state == TTAP__SUB_RECORDING)
        reply_still_recording(req, &info);
    else
        ttap__deliver_head(req, http, info.started_unix_ns, format);
    ttap__kept_put(kept);
}

static void show(struct ttap__request *req, uint64_t id)
{
    struct ttap__kept_info kept;
    if (id && ttap__kept_find(id, &kept))
        ttap__reply_json(req, 200, ttap__info_json_kept(&kept), NULL);
    else
        ttap__reply_not_found(req);
}

static void handle(struct ttap__request *req, void *arg)
{
    uint64_t id = ttap__kept_id(req);
    int format;
    if (!ttap__format_from_query(req, &format))
        return;
    if (ttap__request_method(req) == TTAP__DELETE) {
        if (id && ttap__kept_delete(id) == 0)
            ttap__reply(req, 204, NULL, "", 0, NULL);
        else
            ttap__reply_not_found(req);
    } else if (format >= 0) {
        download(req, arg, id, format);
    } else {
        show(req, id);
    }
}

const struct ttap__route ttap__route_kept = {"/debug/trace/captures/{id}", TTAP__GET | TTAP__HEAD | TTAP__DELETE, handle, params, 0, 0};
