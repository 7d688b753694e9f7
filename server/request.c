/* request.c - one request from its raw URI to its reply.
 *
 *      on_uri: keep path and query as they came
 *      first call: head well-formed -> access -> path -> method -> parameters; what is refused is refused before any body is read
 *      further calls: the body, counted        last call: the handler
 *
 * In a daemon of somebody else there is no on_uri: mount.c makes the request from libmicrohttpd's decoded path.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct ttap__request *ttap__request_new(struct ttap__server *server, const char *uri)
{
    size_t len = strlen(uri);
    struct ttap__request *req = calloc(1, sizeof *req + len + 1);
    if (!req)
        return NULL;
    memcpy(req->path, uri, len + 1);
    req->server = server;
    req->result = MHD_NO;
    if (!server->mounted)
        req->query = strchr(req->path, '?');
    if (req->query)
        *req->query++ = 0;
    return req;
}

void ttap__request_free(struct ttap__request *req)
{
    if (!req)
        return;
    free(req->path_arg);
    free(req->body);
    free(req);
}

/* ---- What handlers ask ---- */

enum ttap__method ttap__request_method(const struct ttap__request *req)
{
    return req->method;
}

const char *ttap__request_path_arg(const struct ttap__request *req)
{
    return req->path_arg;
}

const char *ttap__request_header(const struct ttap__request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

const void *ttap__request_body(const struct ttap__request *req, size_t *len_bytes)
{
    *len_bytes = req->body_len;
    return req->body ? req->body : "";
}

/* ---- Before the body ---- */

static bool find_route(struct ttap__request *req)
{
    const char *arg = NULL;
    size_t arg_len = 0;
    req->route = ttap__route_find(req->server, req->path, &arg, &arg_len);
    if (!req->route || !arg)
        return true;
    req->path_arg = strndup(arg, arg_len);
    return req->path_arg != NULL;
}

static bool check_method(struct ttap__request *req)
{
    char allow[48];
    const struct ttap__header extra[] = {{"Allow", allow}, {NULL, NULL}};
    if (!req->route) {
        ttap__reply_error(req, 404, "not_found", NULL, NULL, "no such path");
        return false;
    }
    if (req->route->methods & req->method)
        return true;
    ttap__route_allow(req->route, allow);
    ttap__reply_error(req, 405, "method_not_allowed", NULL, extra, "allowed here: %s", allow);
    return false;
}

static size_t body_max(const struct ttap__request *req)
{
    return req->method == TTAP__POST || req->method == TTAP__PUT ? req->route->body_max_bytes : 0;
}

static bool declared_fits(const struct ttap__request *req)
{
    const char *declared = req->head.content_length;
    return !declared || (strlen(declared) <= 18 && strtoull(declared, NULL, 10) <= body_max(req));
}

static void reply_too_large(struct ttap__request *req)
{
    ttap__reply_error(req, 413, "too_large", NULL, NULL, "the body is longer than the %zu bytes allowed here", body_max(req));
}

static bool check_body(struct ttap__request *req)
{
    bool takes = body_max(req) > 0;
    if (!takes && req->has_body) {
        ttap__reply_error(req, 400, "bad_request", NULL, NULL, "this request takes no body");
        return false;
    }
    if (takes && !req->head.content_length && !req->head.transfer_encoding) {
        ttap__reply_error(req, 411, "length_required", "send a JSON object; {} will do", NULL, "a body is needed, with its length");
        return false;
    }
    if (declared_fits(req))
        return true;
    reply_too_large(req);
    return false;
}

static bool check_streams(struct ttap__request *req)
{
    bool possible = !req->server->mounted || req->server->may_suspend;
    if (possible || !(req->route->flags & TTAP__ROUTE_STREAMS) || req->method == TTAP__HEAD)
        return true;
    ttap__reply_error(req, 501, "cannot_stream", req->server->stream_hint, NULL, "this endpoint is mounted in a daemon that cannot stream");
    return false;
}

static bool begin(struct ttap__request *req, const char *method, const char *version)
{
    if (!ttap__head_read(req, method, version))
        return false;
    if (!find_route(req)) {
        ttap__reply_error(req, 503, "no_memory", NULL, NULL, "no memory for this request");
        return false;
    }
    return ttap__access_check(req) && check_method(req) && check_streams(req) && check_body(req) && ttap__route_params_check(req);
}

/* ---- The body and the answer ---- */

static bool body_room(struct ttap__request *req, size_t more)
{
    size_t need = req->body_len + more;
    if (need <= req->body_room)
        return true;
    size_t room = 2 * need < body_max(req) ? 2 * need : body_max(req);
    char *bigger = realloc(req->body, room);
    if (!bigger)
        return false;
    req->body = bigger;
    req->body_room = room;
    return true;
}

/* In mid-body libmicrohttpd takes no reply: what is to be said is written by ourselves, and the connection ends. */
static enum MHD_Result take_body(struct ttap__request *req, const char *data, size_t *data_size)
{
    bool fits = *data_size <= body_max(req) - req->body_len;
    if (fits && body_room(req, *data_size)) {
        memcpy(req->body + req->body_len, data, *data_size);
        req->body_len += *data_size;
        *data_size = 0;
        return MHD_YES;
    }
    req->raw = true;
    if (fits)
        ttap__reply_error(req, 503, "no_memory", NULL, NULL, "no memory for this body");
    else
        reply_too_large(req);
    return MHD_NO;
}

static enum MHD_Result answer(struct ttap__request *req)
{
    if (req->slot)
        ttap__slot_answering(req->listener, req->slot);
    req->route->handler(req, req->server->arg);
    if (!req->answered)
        ttap__reply_error(req, 500, "internal", NULL, NULL, "the handler did not answer");
    return req->result;
}

enum MHD_Result ttap__request_step(struct ttap__request *req, struct MHD_Connection *connection, const char *method, const char *version,
                                   const char *data, size_t *data_size)
{
    if (!req->begun) {
        req->begun = true;
        req->connection = connection;
        return begin(req, method, version) ? MHD_YES : req->result;
    }
    if (req->answered)
        return MHD_NO;
    return *data_size ? take_body(req, data, data_size) : answer(req);
}

/* ---- Called by a daemon of ours ---- */

void *ttap__on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct listener *listener = arg;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ttap__request *req = ttap__request_new(listener->server, uri);
    if (!req)
        return NULL;
    req->uri_at = uri;
    req->uri_len = strlen(uri);
    req->listener = listener;
    req->slot = info ? info->socket_context : NULL;
    req->peer_ok = !listener->is_unix || (req->slot && req->slot->peer_ok);
    ttap__slot_request(req->slot, req);
    return req;
}

enum MHD_Result ttap__on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *data, size_t *data_size, void **con_cls)
{
    (void)arg;
    (void)url;
    return *con_cls ? ttap__request_step(*con_cls, connection, method, version, data, data_size) : MHD_NO;
}

void ttap__on_completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    struct ttap__request *req = *con_cls;
    (void)arg;
    (void)connection;
    (void)why;
    *con_cls = NULL;
    if (!req)
        return;
    if (!req->slot) {
        ttap__request_free(req);
        return;
    }
    ttap__slot_waiting(req->listener, req->slot);
    ttap__slot_request(req->slot, NULL);
}
