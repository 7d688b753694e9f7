/* http.c - the public calls of tracetap/http.h: start and stop a server with our routes.
 *
 * Stopping: no new captures; windows end with their trailers; what clients take within a moment is delivered; the rest is cut.
 */
#include <errno.h>
#include <stdlib.h>

#include "handlers.h"
#include "options.h"

/* Of the 2 s that stopping may take: for clients to take what is queued. The server's own stop has the rest. */
enum { LAST_DELIVERIES_MS = 1000, WORKERS_MS = 500 };

static void init_lock(struct ttap_http *http)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static struct ttap_http *make(const struct ttap_http_opts *opts)
{
    struct ttap_http *http = calloc(1, sizeof *http);
    if (!http) {
        ttap__options_error(-ENOMEM, "no memory");
        return NULL;
    }
    http->seconds_max = opts->seconds_max;
    http->connections_max = opts->connections_max;
    ttap__process_exe(http->exe, sizeof http->exe);
    init_lock(http);
    return http;
}

static void destroy(struct ttap_http *http)
{
    pthread_cond_destroy(&http->changed);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

static int start_server(struct ttap_http *http, const struct ttap_http_opts *opts)
{
    struct ttap__route routes[TTAP__ROUTE_COUNT];
    ttap__routes_all(routes);
    const struct ttap__server_config config = {
        .address = opts->address,
        .port = opts->port,
        .unix_path = opts->unix_path,
        .token_file = opts->token_file,
        .hosts = opts->hosts,
        .connections_max = opts->connections_max,
        .head_deadline_ms = 5000,
        .routes = routes,
        .route_count = TTAP__ROUTE_COUNT,
        .arg = http,
        .log = opts->log,
        .log_arg = opts->log_arg,
    };
    return ttap__server_start(&config, &http->server, ttap__options_error_buffer(), TTAP__ERROR_BYTES);
}

int ttap_http_start(const struct ttap_http_opts *given, struct ttap_http **out)
{
    struct ttap_http_opts opts;
    int error = ttap__options_take(given, &opts);
    if (error)
        return error;
    struct ttap_http *http = make(&opts);
    if (!http)
        return -ENOMEM;
    error = start_server(http, &opts);
    if (!error)
        error = ttap__captures_max_set(opts.captures_max);
    if (error) {
        destroy(http);
        return error;
    }
    *out = http;
    return 0;
}

void ttap_http_stop(struct ttap_http *http)
{
    if (!http)
        return;
    ttap__deliveries_stop(http, LAST_DELIVERIES_MS);
    ttap__server_stop(http->server);
    ttap__deliveries_stop(http, WORKERS_MS); /* what the server cut has left; conversions end within milliseconds of that */
    if (!http->workers)
        destroy(http);
    /* Else a worker was not given the CPU for half a second and still needs it: a leak is better than a crash. */
}

uint16_t ttap_http_port(const struct ttap_http *http)
{
    return ttap__server_port(http->server);
}
