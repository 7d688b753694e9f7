/* http.c - the public calls of tracetap/http.h: start and stop a server with our routes, or mount them in a daemon of
 * the host's own.
 *
 * The end, in both cases: no new captures; windows end with their trailers; what clients take within a moment is
 * delivered; the rest is cut.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "options.h"

/* Of the 2 s that stopping may take: for clients to take what is queued. The server's own stop has the rest. */
enum { LAST_DELIVERIES_MS = 700, WORKERS_MS = 300 };

static void init_lock(struct ttap_http *http)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void destroy(struct ttap_http *http)
{
    pthread_cond_destroy(&http->changed);
    pthread_mutex_destroy(&http->lock);
    free(http->static_dir);
    free(http);
}

static struct ttap_http *make(const struct ttap_http_opts *opts)
{
    struct ttap_http *http = calloc(1, sizeof *http);
    char *static_dir = opts->static_dir ? strdup(opts->static_dir) : NULL;
    if (!http || (opts->static_dir && !static_dir)) {
        free(http);
        free(static_dir);
        ttap__options_error(-ENOMEM, "no memory");
        return NULL;
    }
    http->static_dir = static_dir;
    http->seconds_max = opts->seconds_max;
    http->connections_max = opts->connections_max;
    ttap__process_exe(http->exe, sizeof http->exe);
    init_lock(http);
    return http;
}

static struct ttap__server_config config_of(const struct ttap_http_opts *opts, struct ttap_http *http, const struct ttap__route *routes)
{
    return (struct ttap__server_config){
        .address = opts->address,
        .port = opts->port,
        .unix_path = opts->unix_path,
        .token_file = opts->token_file,
        .hosts = opts->hosts,
        .connections_max = opts->connections_max,
        .routes = routes,
        .route_count = TTAP__ROUTE_COUNT,
        .arg = http,
        .log = opts->log,
        .log_arg = opts->log_arg,
    };
}

/* Ends what clients are being given, then the server, and frees. */
static void end(struct ttap_http *http)
{
    bool stopped = true;
    ttap__deliveries_stop(http, LAST_DELIVERIES_MS);
    if (http->mounted)
        stopped = ttap__mount_free(http->server);
    else
        ttap__server_stop(http->server);
    /* What the server has cut leaves conversions, which end within milliseconds. Else a leak is better than a crash:
     * somebody who was not given the CPU for so long still needs it. */
    if (ttap__deliveries_stop(http, WORKERS_MS) && stopped)
        destroy(http);
}

/* ---- A server of our own ---- */

int ttap_http_start(const struct ttap_http_opts *given, struct ttap_http **out)
{
    struct ttap_http_opts opts;
    struct ttap__route routes[TTAP__ROUTE_COUNT];
    int error = ttap__options_take(given, &opts);
    if (error)
        return error;
    struct ttap_http *http = make(&opts);
    if (!http)
        return -ENOMEM;
    ttap__routes_all(routes);
    const struct ttap__server_config config = config_of(&opts, http, routes);
    error = ttap__server_start(&config, &http->server, ttap__options_error_buffer(), TTAP__ERROR_BYTES);
    if (error) {
        destroy(http);
        return error;
    }
    ttap__captures_max_set(opts.captures_max); /* in range: the options were checked */
    *out = http;
    return 0;
}

void ttap_http_stop(struct ttap_http *http)
{
    if (http)
        end(http);
}

uint16_t ttap_http_port(const struct ttap_http *http)
{
    return ttap__server_port(http->server);
}

/* ---- In a daemon of the host's own ---- */

/* Those mounted. The host's threads are in ttap_http_handle() at any time, also when another unmounts: each handles under
 * the lock for reading, and a pointer that is not on the list any more is not followed. */
static pthread_rwlock_t mounts_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct ttap_http *mounts;

static struct ttap_http **find_mount(const struct ttap_http *http)
{
    struct ttap_http **at = &mounts;
    while (*at && *at != http)
        at = &(*at)->next_mount;
    return at;
}

static void add_mount(struct ttap_http *http)
{
    pthread_rwlock_wrlock(&mounts_lock);
    http->next_mount = mounts;
    mounts = http;
    pthread_rwlock_unlock(&mounts_lock);
}

static bool remove_mount(const struct ttap_http *http)
{
    pthread_rwlock_wrlock(&mounts_lock);
    struct ttap_http **at = find_mount(http);
    bool found = *at != NULL;
    if (found)
        *at = http->next_mount;
    pthread_rwlock_unlock(&mounts_lock);
    return found;
}

/* Suspending a connection of a daemon that does not allow it, or stopping one with suspended connections, aborts the
 * process inside libmicrohttpd: so both have to be certain. */
static void may_stream(struct ttap_http *http, struct MHD_Daemon *daemon, unsigned flags)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_FLAGS);
    unsigned daemon_flags = info ? (unsigned)info->flags : 0;
    if (!info || (daemon_flags & MHD_ALLOW_SUSPEND_RESUME) != MHD_ALLOW_SUSPEND_RESUME) {
        http->why_no_streams = "the daemon this is mounted in may not suspend connections";
        http->how_to_stream = "start it with MHD_ALLOW_SUSPEND_RESUME";
    } else if (daemon_flags & MHD_USE_THREAD_PER_CONNECTION) {
        http->why_no_streams = "the daemon this is mounted in has a thread per connection, which cannot be suspended";
        http->how_to_stream = "start it with MHD_USE_POLL_INTERNAL_THREAD";
    } else if (!(flags & TTAP_MOUNT_STREAMS)) {
        http->why_no_streams = "the host has not asked for streams";
        http->how_to_stream = "mount with TTAP_MOUNT_STREAMS, and call ttap_http_unmount() before MHD_stop_daemon()";
    }
}

static int mount(struct ttap_http *http, const struct ttap_http_opts *opts, unsigned flags)
{
    struct ttap__route routes[TTAP__ROUTE_COUNT];
    const struct ttap__mount_config how = {
        .may_suspend = !http->why_no_streams,
        .access_by_host = flags & TTAP_ACCESS_BY_HOST,
        .stream_hint = "POST /debug/trace/captures, then GET it with ?format=native",
    };
    ttap__routes_all(routes);
    const struct ttap__server_config config = config_of(opts, http, routes);
    http->mounted = true;
    return ttap__mount_new(&config, &how, &http->server, ttap__options_error_buffer(), TTAP__ERROR_BYTES);
}

int ttap_http_mount(struct MHD_Daemon *daemon, const struct ttap_http_opts *given, unsigned flags, struct ttap_http **out)
{
    struct ttap_http_opts opts;
    int error = ttap__options_take(given, &opts);
    if (error)
        return error;
    if (flags & ~(unsigned)(TTAP_MOUNT_STREAMS | TTAP_ACCESS_BY_HOST))
        return ttap__options_error(-EINVAL, "flags is 0x%x; allowed are TTAP_MOUNT_STREAMS and TTAP_ACCESS_BY_HOST", flags);
    struct ttap_http *http = make(&opts);
    if (!http)
        return -ENOMEM;
    may_stream(http, daemon, flags);
    error = mount(http, &opts, flags);
    if (error) {
        destroy(http);
        return error;
    }
    ttap__captures_max_set(opts.captures_max);
    add_mount(http);
    *out = http;
    return 0;
}

int ttap_http_handle(struct ttap_http *http, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                     const char *upload_data, size_t *upload_data_size, void **con_cls, int *result)
{
    int ours = 0;
    pthread_rwlock_rdlock(&mounts_lock);
    if (*find_mount(http))
        ours = ttap__mount_handle(http->server, connection, url, method, version, upload_data, upload_data_size, con_cls, result);
    pthread_rwlock_unlock(&mounts_lock);
    return ours;
}

void ttap_http_completed(struct ttap_http *http, struct MHD_Connection *connection, void **con_cls)
{
    (void)http;
    (void)connection;
    ttap__mount_completed(con_cls);
}

void ttap_http_unmount(struct ttap_http *http)
{
    if (http && remove_mount(http))
        end(http);
}
