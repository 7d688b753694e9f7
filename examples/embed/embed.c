/* embed - tracetap's routes inside a libmicrohttpd daemon that the service has anyway.
 *
 * Four places to touch: mount after the daemon started, handle first in the access handler, completed in the callback
 * of that name, unmount before the daemon stops. Everything else here is the service's own.
 *
 *      ./embed 8080 &
 *      curl localhost:8080/hello                                        the service's own route
 *      curl -o embed.ttap 'localhost:8080/debug/trace?seconds=2'        tracetap's
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tracetap/http.h>

/* NULL before the mount and from the unmount on, while the daemon answers already and still. Whoever uses it holds the lock
 * for reading, so that none is inside when the endpoint is taken away. */
static pthread_rwlock_t mount_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct ttap_http *mounted;

static void set_mounted(struct ttap_http *http)
{
    pthread_rwlock_wrlock(&mount_lock);
    mounted = http;
    pthread_rwlock_unlock(&mount_lock);
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, status, response);

    MHD_destroy_response(response);
    return result;
}

/* The service's own work, annotated: this is what a capture shows. */
static enum MHD_Result say_hello(struct MHD_Connection *connection)
{
    struct ttap_task task;
    enum MHD_Result result;

    TTAP_TASK_BEGIN(&task, "GET /hello", NULL);
    {
        TTAP_TASK_SCOPE(&task);
        TTAP_REGION("say hello");
        usleep(500);
        result = reply_text(connection, MHD_HTTP_OK, "hello\n");
    }
    ttap_task_end(&task);
    return result;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *upload_data, size_t *upload_data_size, void **con_cls)
{
    int result;

    (void)arg;
    pthread_rwlock_rdlock(&mount_lock);
    int ours = mounted && ttap_http_handle(mounted, connection, url, method, version, upload_data, upload_data_size, con_cls, &result);
    pthread_rwlock_unlock(&mount_lock);
    if (ours)
        return (enum MHD_Result)result;
    if (strcmp(url, "/hello") == 0)
        return say_hello(connection);
    return reply_text(connection, MHD_HTTP_NOT_FOUND, "not found\n");
}

static void completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)why;
    pthread_rwlock_rdlock(&mount_lock);
    ttap_http_completed(mounted, connection, con_cls); /* also after the unmount: what it began may complete then */
    pthread_rwlock_unlock(&mount_lock);
}

static unsigned daemon_port(struct MHD_Daemon *daemon)
{
    return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 8080;
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;
    sigset_t stop_signals;
    int signal_number;

    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop_signals, NULL); /* before the daemon: its thread inherits the mask */

    /* MHD_ALLOW_SUSPEND_RESUME is what lets GET /debug/trace stream; without it that route answers 501. */
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL, answer, NULL,
                                                 MHD_OPTION_SOCK_ADDR, &loopback, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "embed: cannot listen on port %u\n", port);
        return 1;
    }
    if (ttap_http_mount(daemon, &opts, TTAP_MOUNT_STREAMS, &http) != 0) {
        fprintf(stderr, "embed: %s\n", ttap_http_error());
        MHD_stop_daemon(daemon);
        return 1;
    }
    set_mounted(http);
    printf("embed: http://127.0.0.1:%u/hello\n", daemon_port(daemon));
    fflush(stdout);

    sigwait(&stop_signals, &signal_number);
    set_mounted(NULL);
    ttap_http_unmount(http); /* ends our streams; stopping a daemon with suspended connections aborts the process */
    MHD_stop_daemon(daemon);
    return 0;
}
