/* captures.c - GET, POST /debug/trace/captures: list the kept captures, begin one. */
#include <errno.h>
#include <stdio.h>

#include "handlers.h"

static void list(struct ttap__request *req)
{
    json_t *captures = json_array();
    if (!captures || !ttap__info_append_kept(captures)) {
        json_decref(captures);
        ttap__reply_no_memory(req);
        return;
    }
    ttap__reply_json(req, 200, json_pack("{s:o}", "captures", captures), NULL);
}

/* Remembered so that stopping the endpoint ends the windows it opened, and no others. */
static void remember(struct ttap_http *http, uint64_t id)
{
    pthread_mutex_lock(&http->lock);
    http->kept_ids[http->kept_count++ % TTAP__KEPT_LIST_MAX] = id;
    pthread_mutex_unlock(&http->lock);
}

static void reply_begun(struct ttap__request *req, uint64_t id)
{
    char location[64];
    snprintf(location, sizeof location, "/debug/trace/captures/%llu", (unsigned long long)id);
    const struct ttap__header extra[] = {{"Location", location}, {NULL, NULL}};
    struct ttap__kept_info kept;
    if (!ttap__kept_find(id, &kept)) /* deleted by somebody else already: it was begun all the same */
        ttap__reply(req, 202, "application/json", "{}", 2, extra);
    else if (!ttap__reply_json(req, 202, ttap__info_json_kept(&kept), extra))
        ttap__kept_delete(id); /* who was told 503 does not come for it */
}

static void begin(struct ttap__request *req, struct ttap_http *http)
{
    json_t *body = ttap__body_object(req);
    struct ttap__wish wish;
    char rule[24];
    uint64_t id;
    if (!body)
        return;
    if (ttap__wish_from_body(req, http, body, &wish, rule)) {
        int error = ttap__kept_start(&wish.sub, &id);
        if (error) {
            ttap__reply_open_error(req, http, error);
        } else {
            remember(http, id);
            reply_begun(req, id);
        }
    }
    json_decref(body);
}

static void handle(struct ttap__request *req, void *arg)
{
    if (ttap__request_method(req) == TTAP__POST)
        begin(req, arg);
    else
        list(req);
}

const struct ttap__route ttap__route_captures = {"/debug/trace/captures", TTAP__GET | TTAP__HEAD | TTAP__POST, handle, NULL, 0, TTAP__BODY_MAX_BYTES};
