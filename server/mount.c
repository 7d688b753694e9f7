/* mount.c - the same routes and rules inside a libmicrohttpd daemon of somebody else.
 *
 * What is missing there: slots, deadlines for heads, send buffers (all the host's business), and the raw query. Streams suspend only where
 * the host has allowed it. Each request of ours is on one list of the process, so that a word in the host's *con_cls is known to be
 * ours before it is followed, even after the endpoint is gone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static struct ttap__request *in_flight;
static pthread_mutex_t in_flight_lock = PTHREAD_MUTEX_INITIALIZER;

static void enlist(struct ttap__request *req)
{
    pthread_mutex_lock(&in_flight_lock);
    req->next = in_flight;
    req->link = &in_flight;
    if (req->next)
        req->next->link = &req->next;
    in_flight = req;
    pthread_mutex_unlock(&in_flight_lock);
}

static void delist_and_free(struct ttap__request *req)
{
    pthread_mutex_lock(&in_flight_lock);
    *req->link = req->next;
    if (req->next)
        req->next->link = req->link;
    pthread_mutex_unlock(&in_flight_lock);
    ttap__request_free(req);
}

/* @word as a request, if it is one of ours. */
static struct ttap__request *recognize(const void *word)
{
    pthread_mutex_lock(&in_flight_lock);
    struct ttap__request *req = word ? in_flight : NULL;
    while (req && req != word)
        req = req->next;
    pthread_mutex_unlock(&in_flight_lock);
    return req;
}

static struct ttap__request *make(struct ttap__server *server, const char *url)
{
    struct ttap__request *req = ttap__request_new(server, url);
    if (!req)
        return NULL;
    req->peer_ok = true;
    enlist(req);
    return req;
}

int ttap__mount_new(const struct ttap__server_config *config, const struct ttap__mount_config *how, struct ttap__server **out, char *error,
                    size_t error_size)
{
    struct ttap__server *server;
    int result = ttap__server_make(config, &server, error, error_size);
    if (result)
        return result;
    server->mounted = true;
    server->may_suspend = how->may_suspend;
    server->access_by_host = how->access_by_host;
    server->stream_hint = how->stream_hint ? strdup(how->stream_hint) : NULL;
    ttap__forked_watch(server);
    if (how->stream_hint && !server->stream_hint)
        result = -ENOMEM;
    if (!result && server->may_suspend)
        result = ttap__control_start(server);
    if (!result) {
        *out = server;
        return 0;
    }
    ttap__server_destroy(server);
    return ttap__say(error, error_size, result, "the mounted endpoint did not start: %s", strerror(-result));
}

int ttap__mount_handle(struct ttap__server *server, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                       const char *data, size_t *data_size, void **con_cls, int *result)
{
    const char *arg;
    size_t arg_len;
    struct ttap__request *req = recognize(*con_cls);
    if (!req && !ttap__route_find(server, url, &arg, &arg_len))
        return 0;
    req = req ? req : make(server, url);
    if (!req) {
        *result = MHD_NO;
        return 1;
    }
    *con_cls = req;
    *result = ttap__request_step(req, connection, method, version, data, data_size);
    if (req->answered || *result == MHD_NO) {
        *con_cls = NULL;
        delist_and_free(req);
    }
    return 1;
}

void ttap__mount_completed(void **con_cls)
{
    struct ttap__request *req = recognize(*con_cls);
    if (!req)
        return;
    *con_cls = NULL;
    delist_and_free(req);
}

bool ttap__mount_free(struct ttap__server *server)
{
    if (!server || server->pid != getpid())
        return true;
    bool done = ttap__control_stop(server);
    if (done)
        ttap__server_destroy(server);
    return done;
}
