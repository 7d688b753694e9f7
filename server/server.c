/* server.c - making, starting and stopping a server. Whatever fails, the state before is restored and a sentence says why. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

enum { CONNECTIONS_DEFAULT = 64, CONNECTIONS_MIN = 4, CONNECTIONS_MAX = 1024, HEAD_MS_DEFAULT = 5000, HEAD_MS_MIN = 100, HEAD_MS_MAX = 60000 };

/* ---- Parts ---- */

static int no_memory(char *error, size_t error_size)
{
    return ttap__say(error, error_size, -ENOMEM, "no memory for the endpoint");
}

static int check_limits(const struct ttap__server_config *config, char *error, size_t error_size)
{
    unsigned connections = config->connections_max;
    uint64_t head_ms = config->head_deadline_ms;
    if (connections && (connections < CONNECTIONS_MIN || connections > CONNECTIONS_MAX))
        return ttap__say(error, error_size, -EINVAL, "connections_max is %u; allowed is %d to %d", connections, CONNECTIONS_MIN, CONNECTIONS_MAX);
    if (head_ms && (head_ms < HEAD_MS_MIN || head_ms > HEAD_MS_MAX))
        return ttap__say(error, error_size, -EINVAL, "head_deadline_ms is %llu; allowed is %d to %d", (unsigned long long)head_ms, HEAD_MS_MIN,
                         HEAD_MS_MAX);
    return 0;
}

static int copy_routes(struct ttap__server *server, const struct ttap__server_config *config)
{
    server->routes = calloc(config->route_count + 1, sizeof *server->routes);
    if (!server->routes)
        return -ENOMEM;
    if (config->route_count)
        memcpy(server->routes, config->routes, config->route_count * sizeof *server->routes);
    server->route_count = config->route_count;
    return 0;
}

static int add_host(struct ttap__server *server, const char *name, char *error, size_t error_size)
{
    const char *host;
    size_t len;
    if (!ttap__host_split(name, &host, &len) || name[len])
        return ttap__say(error, error_size, -EINVAL, "hosts: \"%.80s\" is not a host name; allowed are names and [IPv6] without a port", name);
    memcpy(server->hosts[server->host_count++], host, len);
    return 0;
}

/* The bound address may be asked for by its number, in brackets if it has colons. */
static void add_address(struct ttap__server *server, const char *address)
{
    char *out = server->hosts[server->host_count];
    size_t len = strlen(address);
    if (len + 2 > TTAP__HOST_MAX)
        return;
    bool v6 = strchr(address, ':') != NULL;
    stpcpy(stpcpy(stpcpy(out, v6 ? "[" : ""), address), v6 ? "]" : "");
    server->host_count++;
}

static int copy_hosts(struct ttap__server *server, const struct ttap__server_config *config, char *error, size_t error_size)
{
    size_t count = 0;
    while (config->hosts && config->hosts[count])
        count++;
    server->hosts = calloc(count + 1, sizeof *server->hosts);
    if (!server->hosts)
        return no_memory(error, error_size);
    for (size_t i = 0; i < count; i++) {
        int result = add_host(server, config->hosts[i], error, error_size);
        if (result)
            return result;
    }
    if (config->address)
        add_address(server, config->address);
    return 0;
}

static int make_slots(struct listener *listener, unsigned count)
{
    listener->slots = calloc(2 * (size_t)count, sizeof *listener->slots);
    if (!listener->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < 2 * count; i++)
        listener->slots[i].fd = -1;
    listener->slot_count = count;
    listener->slot_room = 2 * count;
    return 0;
}

static void init_locks(struct ttap__server *server)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->log_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static struct ttap__server *make_empty(const struct ttap__server_config *config)
{
    struct ttap__server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    init_locks(server);
    server->pid = getpid();
    server->event_fd = -1;
    server->arg = config->arg;
    server->log = config->log;
    server->log_arg = config->log_arg;
    server->head_deadline_ns = (config->head_deadline_ms ? config->head_deadline_ms : HEAD_MS_DEFAULT) * TTAP__NS_PER_MS;
    server->streams_max = (config->connections_max ? config->connections_max : CONNECTIONS_DEFAULT) + TTAP__UNIX_CONNECTIONS;
    for (int i = 0; i < TTAP__LISTENERS; i++)
        server->listeners[i] = (struct listener){.server = server, .fd = -1, .is_unix = i == TTAP__UNIX};
    return server;
}

int ttap__server_make(const struct ttap__server_config *config, struct ttap__server **out, char *error, size_t error_size)
{
    int result = check_limits(config, error, error_size);
    if (result)
        return result;
    struct ttap__server *server = make_empty(config);
    if (!server)
        return no_memory(error, error_size);
    if (copy_routes(server, config) != 0)
        result = no_memory(error, error_size);
    result = result ? result : copy_hosts(server, config, error, error_size);
    if (!result && config->token_file)
        result = ttap__token_load(server, config->token_file, error, error_size);
    if (result)
        ttap__server_destroy(server);
    else
        *out = server;
    return result;
}

static void close_socket(int *fd)
{
    int open = *fd;
    __atomic_store_n(fd, -1, __ATOMIC_RELEASE);
    if (open >= 0)
        close(open);
}

void ttap__server_destroy(struct ttap__server *server)
{
    ttap__listen_unlink(server);
    for (int i = 0; i < TTAP__LISTENERS; i++)
        ttap__listener_close(&server->listeners[i]);
    close_socket(&server->event_fd);
    ttap__forked_unwatch(server);
    for (int i = 0; i < TTAP__LISTENERS; i++)
        free(server->listeners[i].slots);
    explicit_bzero(server->token, sizeof server->token);
    free(server->watch);
    free(server->watched);
    free(server->hosts);
    free(server->routes);
    free(server->unix_path);
    free(server->stream_hint);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->log_lock);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* ---- A server with listeners ---- */

static int make_all_slots(struct ttap__server *server, const struct ttap__server_config *config)
{
    if (make_slots(&server->listeners[TTAP__TCP], server->streams_max - TTAP__UNIX_CONNECTIONS) != 0)
        return -ENOMEM;
    return config->unix_path ? make_slots(&server->listeners[TTAP__UNIX], TTAP__UNIX_CONNECTIONS) : 0;
}

static int start_threads(struct ttap__server *server, char *error, size_t error_size)
{
    int result = ttap__control_start(server);
    if (result)
        return ttap__say(error, error_size, result, "the endpoint's control thread did not start: %s", strerror(-result));
    for (int i = 0; i < TTAP__LISTENERS && !result; i++)
        if (server->listeners[i].fd >= 0)
            result = ttap__daemon_start(&server->listeners[i], error, error_size);
    return result;
}

int ttap__server_start(const struct ttap__server_config *config, struct ttap__server **out, char *error, size_t error_size)
{
    struct ttap__server *server;
    int result = ttap__server_make(config, &server, error, error_size);
    if (result)
        return result;
    MHD_set_panic_func(ttap__on_panic, NULL);
    server->may_suspend = true;
    if (make_all_slots(server, config) != 0)
        result = no_memory(error, error_size);
    ttap__forked_watch(server);
    result = result ? result : ttap__listen_all(server, config, error, error_size);
    result = result ? result : start_threads(server, error, error_size);
    if (!result) {
        *out = server;
        return 0;
    }
    if (ttap__control_stop(server))
        ttap__server_destroy(server);
    return result;
}

uint16_t ttap__server_port(const struct ttap__server *server)
{
    return server->port;
}

void ttap__server_stop(struct ttap__server *server)
{
    if (!server || server->pid != getpid()) /* a forked child has none of the threads; its descriptors are closed already */
        return;
    if (ttap__control_stop(server))
        ttap__server_destroy(server);
    else
        ttap__log(server, "the endpoint did not stop in time and is left behind");
}
