/* host_daemon.c - a service that has a libmicrohttpd daemon of its own and mounts the endpoint in it.
 *
 *   host_daemon suspend|plain|threads [streams] [by-host] [forget] [token=FILE]
 *
 *   suspend  one thread, may suspend connections     plain  one thread, may not     threads  one thread per connection
 *   streams  ask for streams (TTAP_MOUNT_STREAMS)    by-host  TTAP_ACCESS_BY_HOST
 *   forget   end without ttap_http_unmount()
 *
 * Its own route is /hello. Prints "port N", or "error WORDS" if mounting was refused. Ends in good order at the end
 * of stdin, and says "unmounted NS" and "ended".
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tracetap/http.h"

static struct ttap_http *shared; /* the daemon runs before it is mounted in, and after: atomic */
static bool over;

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *data, size_t *data_size, void **con_cls)
{
    int result;
    struct ttap_http *http = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
    (void)arg;
    if (http && ttap_http_handle(http, connection, url, method, version, data, data_size, con_cls, &result))
        return (enum MHD_Result)result;
    bool known = strcmp(url, "/hello") == 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(5, (void *)(known ? "hello" : "what?"), MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(connection, known ? 200 : 404, response);
    MHD_destroy_response(response);
    return queued;
}

static void completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)why;
    ttap_http_completed(__atomic_load_n(&shared, __ATOMIC_ACQUIRE), connection, con_cls);
}

static void *work(void *arg)
{
    const struct timespec nap = {0, 1000000};
    (void)arg;
    ttap_thread_name("host-worker");
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        struct ttap_task task, before;
        TTAP_TASK_BEGIN(&task, "job", NULL);
        ttap_task_enter(&task, &before);
        {
            TTAP_REGION("work");
            nanosleep(&nap, NULL);
        }
        ttap_task_leave(&before);
        ttap_task_end(&task);
    }
    return NULL;
}

static unsigned daemon_flags(const char *mode)
{
    if (!strcmp(mode, "suspend"))
        return MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (!strcmp(mode, "threads"))
        return MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
    return MHD_USE_POLL_INTERNAL_THREAD;
}

static struct MHD_Daemon *start_daemon(const char *mode)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return MHD_start_daemon(daemon_flags(mode), 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, completed,
                            NULL, MHD_OPTION_END);
}

static void unmount(void)
{
    struct timespec before, after;
    struct ttap_http *http = __atomic_load_n(&shared, __ATOMIC_ACQUIRE); /* and requests may still come: they are answered by the host */
    clock_gettime(CLOCK_MONOTONIC, &before);
    ttap_http_unmount(http);
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("unmounted %lld\n", (long long)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec);
}

int main(int argc, char **argv)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    unsigned flags = 0;
    bool forget = false;
    pthread_t worker;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++) {
        flags |= !strcmp(argv[i], "streams") ? (unsigned)TTAP_MOUNT_STREAMS : !strcmp(argv[i], "by-host") ? (unsigned)TTAP_ACCESS_BY_HOST : 0u;
        forget |= !strcmp(argv[i], "forget");
        if (!strncmp(argv[i], "token=", 6))
            opts.token_file = argv[i] + 6;
    }
    struct MHD_Daemon *daemon = start_daemon(argv[1]);
    if (!daemon)
        return 3;
    struct ttap_http *mounted;
    if (ttap_http_mount(daemon, &opts, flags, &mounted) != 0) {
        printf("error %s\n", ttap_http_error());
        MHD_stop_daemon(daemon);
        return 1;
    }
    __atomic_store_n(&shared, mounted, __ATOMIC_RELEASE);
    if (pthread_create(&worker, NULL, work, NULL) != 0)
        return 3;
    printf("port %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    while (getchar() != EOF)
        ;
    if (!forget)
        unmount();
    MHD_stop_daemon(daemon);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(worker, NULL);
    printf("ended\n");
    return 0;
}
