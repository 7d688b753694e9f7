/* service.c - one libmicrohttpd daemon with one thread, which suspends a connection while the stages work for it.
 *
 * answer() is called up to three times for a request: with its head (we make the struct request), once more (we hand it
 * to the stages and suspend), and after the last stage has resumed the connection (we reply).
 */
#include "service.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#include "request.h"
#include "stages.h"

static struct MHD_Daemon *daemon_of_app;
static atomic_long in_flight;
static atomic_ulong served, failed;

static void count_in_flight(long change)
{
    long now = atomic_fetch_add(&in_flight, change) + change;

    TTAP_COUNTER("requests.in_flight", now);
}

/* ---- A request's beginning and end ---- */

static void name_this_thread(void)
{
    static _Thread_local bool named;

    if (!named)
        ttap_thread_name("http");
    named = true;
}

static struct request *request_new(struct MHD_Connection *connection, long item)
{
    static struct ttap_name kind = TTAP_NAME_INIT("GET /item");
    struct request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->connection = connection;
    request->item = item;
    ttap_task_begin_remote(&request->task, &kind, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "traceparent"));
    TTAP_TASK_ATTR_INT(&request->task, "item", item);
    count_in_flight(+1);
    return request;
}

static void request_end(struct request *request)
{
    TTAP_TASK_ATTR_INT(&request->task, "status", request->status);
    if (request->status == 200) {
        TTAP_TASK_ATTR_INT(&request->task, "reply_bytes", (int64_t)request->reply_bytes);
        ttap_task_end(&request->task);
    } else {
        ttap_task_fail(&request->task, request->status, request->error);
        atomic_fetch_add(&failed, 1);
    }
    atomic_fetch_add(&served, 1);
    count_in_flight(-1);
    free(request->document);
    free(request->reply);
    free(request);
}

/* ---- Replies ---- */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *text, size_t bytes)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply_request(struct request *request)
{
    TTAP_TASK_SCOPE(&request->task);
    TTAP_REGION("reply");

    if (request->status == 200)
        return reply(request->connection, 200, request->reply, request->reply_bytes);
    return reply(request->connection, request->status, request->error, strlen(request->error));
}

/* ---- The daemon's callbacks ---- */

/* "/item/17" -> 17; -1: not one of ours. */
static long parse_item(const char *url)
{
    const char prefix[] = "/item/";
    char *end;

    if (strncmp(url, prefix, sizeof prefix - 1) != 0)
        return -1;
    long item = strtol(url + sizeof prefix - 1, &end, 10);
    return end == url + sizeof prefix - 1 || *end ? -1 : item;
}

static enum MHD_Result submit(struct request *request)
{
    MHD_suspend_connection(request->connection); /* before the stages have it: they may be done at once */
    if (stages_submit(request))
        return MHD_YES;
    request->status = 503;
    request->error = "too busy";
    MHD_resume_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *upload_data, size_t *upload_data_size, void **con_cls)
{
    struct request *request = *con_cls;
    long item = parse_item(url);

    (void)arg;
    (void)version;
    (void)upload_data;
    (void)upload_data_size;
    name_this_thread();
    if (strcmp(method, "GET") != 0 || item < 0)
        return reply(connection, 404, "try GET /item/1\n", strlen("try GET /item/1\n"));
    if (!request) {
        *con_cls = request_new(connection, item);
        return *con_cls ? MHD_YES : MHD_NO;
    }
    return request->status ? reply_request(request) : submit(request);
}

static void completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)connection;
    (void)why;
    if (*con_cls)
        request_end(*con_cls);
    *con_cls = NULL;
}

/* On the last stage's thread. From the resume on, the request belongs to the daemon's. */
static void stages_done(struct request *request)
{
    MHD_resume_connection(request->connection);
}

/* ---- Start and stop ---- */

bool service_start(const struct options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->app_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (!stages_start(options, stages_done)) {
        stages_stop();
        return false;
    }
    daemon_of_app = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, options->app_port, NULL, NULL, answer, NULL,
                                     MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!daemon_of_app)
        stages_stop();
    return daemon_of_app != NULL;
}

uint16_t service_port(void)
{
    return MHD_get_daemon_info(daemon_of_app, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void service_stop(void)
{
    MHD_socket listener = MHD_quiesce_daemon(daemon_of_app);

    stages_stop(); /* resumes every suspended connection: stopping the daemon with one suspended would abort */
    MHD_stop_daemon(daemon_of_app);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
}

struct service_totals service_totals(void)
{
    return (struct service_totals){atomic_load(&served), atomic_load(&failed)};
}
