/* test_mount.c - our routes in a daemon of somebody else, in three of its modes. */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"
#include "trial.h"

static struct trial trial;
static struct MHD_Daemon *host;
static struct http_reply reply;
static _Atomic int calls; /* of ours that have returned */

static enum MHD_Result on_host_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                       const char *data, size_t *data_size, void **con_cls)
{
    int result;
    (void)arg;
    if (ttap__mount_handle(trial.server, connection, url, method, version, data, data_size, con_cls, &result)) {
        calls++;
        return (enum MHD_Result)result;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(4, (void *)(uintptr_t) "host", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    *con_cls = &trial; /* a word of the host's own: not to be touched */
    return queued;
}

static void on_host_completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)connection;
    (void)why;
    ttap__mount_completed(con_cls);
}

static void start_host(unsigned flags, bool may_suspend, bool by_host)
{
    struct ttap__server_config config = {0};
    const struct ttap__mount_config how = {may_suspend, by_host, "ask for a kept capture"};
    memset(&trial, 0, sizeof trial);
    trial_fill(&trial, &config);
    CU_ASSERT_EQUAL_FATAL(ttap__mount_new(&config, &how, &trial.server, trial.error, sizeof trial.error), 0);
    host = MHD_start_daemon(flags, 0, NULL, NULL, on_host_request, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_host_completed, NULL, MHD_OPTION_END);
    CU_ASSERT_PTR_NOT_NULL_FATAL(host);
    trial.port = MHD_get_daemon_info(host, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void stop_host(void)
{
    CU_ASSERT(ttap__mount_free(trial.server));
    MHD_stop_daemon(host);
}

static void check_answers(void)
{
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello?seconds=2"), &reply), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "ns=2000000000"));
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello?seconds=2&seconds=3"), &reply), 400);
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello?x=3"), &reply), 400);
    CU_ASSERT_EQUAL(http_ask(trial.port, "GET /hello HTTP/1.1\r\nHost: evil\r\n\r\n", &reply), 403);
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/elsewhere"), &reply), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "\r\n\r\nhost"));
    CU_ASSERT_EQUAL(
        http_ask(trial.port, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", &reply), 200);
    int fd = http_connect(trial.port, 0), before = calls; /* an upload that is cut */
    CU_ASSERT(http_send_text(fd, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"));
    CU_ASSERT(trial_wait(&calls, before + 2)); /* its head, and what there is of its body: nobody is in ours when it is freed */
    http_reset(fd);
}

static void a_host_that_may_not_suspend_streams_nothing(void)
{
    static const unsigned modes[] = {MHD_USE_POLL_INTERNAL_THREAD, MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL};
    for (int i = 0; i < 2; i++) {
        start_host(modes[i], false, false);
        check_answers();
        CU_ASSERT_EQUAL(http_ask(trial.port, GET("/stream"), &reply), 501);
        CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "ask for a kept capture"));
        CU_ASSERT_EQUAL(trial.streams, 0);
        stop_host();
    }
}

static void a_host_that_may_suspend_streams_and_stops(void)
{
    for (int i = 0; i < 20; i++) {
        start_host(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, true, false);
        if (i == 0)
            check_answers();
        int left = http_connect(trial.port, 0), stays = http_connect(trial.port, 0);
        CU_ASSERT(http_send_text(left, GET("/stream")) && http_read_until(left, "begun\n", 5000));
        CU_ASSERT(http_send_text(stays, GET("/stream")) && http_read_until(stays, "begun\n", 5000));
        close(left);
        CU_ASSERT(trial_wait(&trial.gone, 1));
        stop_host();
        CU_ASSERT_EQUAL(trial.freed, 2);
        close(stays);
    }
}

static void a_host_may_decide_for_itself_who_asks(void)
{
    start_host(MHD_USE_POLL_INTERNAL_THREAD, false, true);
    CU_ASSERT_EQUAL(http_ask(trial.port, "GET /hello HTTP/1.1\r\nHost: public.example\r\n\r\n", &reply), 200);
    CU_ASSERT_EQUAL(http_ask(trial.port, "POST /post HTTP/1.1\r\nHost: public.example\r\nContent-Length: 2\r\n\r\n{}", &reply), 415);
    stop_host();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a host that may not suspend streams nothing", a_host_that_may_not_suspend_streams_nothing},
        {"a host that may suspend streams and stops", a_host_that_may_suspend_streams_and_stops},
        {"a host may decide for itself who asks", a_host_may_decide_for_itself_who_asks},
        CU_TEST_INFO_NULL,
    };
    return run_suite("mount", tests);
}
