/* test_requests.c - keep-alive, pipelining, HEAD, errors in both forms, routes with a part of their own, the unix socket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

static struct trial trial;
static struct http_reply reply;
static char unix_path[64];

static void a_connection_serves_one_request_after_another(void)
{
    int fd = http_connect(trial.port, 0);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT(http_send_text(fd, GET("/hello?n=5")));
        http_read_reply(fd, &reply);
        CU_ASSERT_EQUAL(reply.status, 200);
        CU_ASSERT(!reply.closed);
    }
    close(fd);
}

static void pipelined_requests_are_all_served(void)
{
    int fd = http_connect(trial.port, 0), before = trial.hellos;
    for (int i = 0; i < 50; i++)
        CU_ASSERT(http_send_text(fd, GET("/hello")));
    CU_ASSERT(trial_wait(&trial.hellos, before + 50));
    close(fd);
}

static void an_error_ends_its_connection(void)
{
    int fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(fd, GET("/nope") GET("/hello")));
    http_read(fd, &reply, 5000);
    CU_ASSERT_EQUAL(reply.status, 404);
    CU_ASSERT(reply.closed);
    CU_ASSERT_PTR_NULL(strstr(reply.bytes, "HTTP/1.1 200"));
    close(fd);
}

static void head_sends_no_body_and_starts_nothing(void)
{
    int fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(fd, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n" GET("/hello")));
    CU_ASSERT(http_read_until(fd, "ns=1000000000", 5000));
    close(fd);
    fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(fd, "HEAD /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    http_read(fd, &reply, 5000);
    CU_ASSERT_EQUAL(reply.status, 200);
    CU_ASSERT(reply.len > 4 && strcmp(reply.bytes + reply.len - 4, "\r\n\r\n") == 0);
    CU_ASSERT_EQUAL(trial.gone, 0);
    close(fd);
}

static void errors_are_json_or_plain_as_the_route_says(void)
{
    http_ask(trial.port, GET("/hello?n=<%22%0a%ff"), &reply);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(reply.bytes, "{\"error\":{\"code\":\"bad_parameter\",\"message\":\"n=\\u003c\\\"\\u000a\\ufffd: allowed is 1 to 99\",\"hint\":"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Type: application/json"));
    http_ask(trial.port, GET("/plain?n=0"), &reply);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Type: text/plain"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "\r\n\r\nn=0: allowed is 1 to 99\n"));
    http_ask(trial.port, "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", &reply);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Allow: GET, HEAD\r\n"));
    http_ask(trial.port, GET("/hello?x=1"), &reply);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "x is not a parameter of this path"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "it takes: seconds n choice set"));
}

static void a_route_sees_its_own_part_of_the_path(void)
{
    http_ask(trial.port, "POST /act/17/stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &reply);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "\r\n\r\n17"));
    http_ask(trial.port, "DELETE /del/a-b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &reply);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "\r\n\r\na-b"));
}

static void a_body_in_pieces_is_one_body(void)
{
    int fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(fd, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 50; i++)
        CU_ASSERT(http_send_text(fd, "2\r\nab\r\n"));
    CU_ASSERT(http_send_text(fd, "0\r\n\r\n"));
    http_read_reply(fd, &reply);
    CU_ASSERT_EQUAL(reply.status, 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Length: 100\r\n"));
    close(fd);
}

static void expect_is_answered_before_the_body(void)
{
    int fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(
        fd, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    CU_ASSERT(http_read_until(fd, "100 Continue", 5000));
    CU_ASSERT(http_send_text(fd, "{}"));
    CU_ASSERT(http_read_until(fd, "\r\n\r\n{}", 5000));
    close(fd);
}

static void the_unix_socket_is_its_users_alone(void)
{
    struct stat info;
    CU_ASSERT(stat(unix_path, &info) == 0 && (info.st_mode & 0777) == 0600);
    int fd = http_connect_unix(unix_path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(http_send_text(fd, GET("/hello")));
    http_read_reply(fd, &reply);
    CU_ASSERT_EQUAL(reply.status, 200);
    close(fd);
}

static void the_log_is_short_and_printable(void)
{
    for (int i = 0; i < 40; i++)
        http_ask(trial.port, "GET /hello\x1b%0a HTTP/1.1\r\nHost: evil\x80\r\n\r\n", &reply);
    for (const char *at = trial.log; *at; at++)
        CU_ASSERT(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
    CU_ASSERT(trial.log_lines <= 40);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a connection serves one request after another", a_connection_serves_one_request_after_another},
        {"pipelined requests are all served", pipelined_requests_are_all_served},
        {"an error ends its connection", an_error_ends_its_connection},
        {"HEAD sends no body and starts nothing", head_sends_no_body_and_starts_nothing},
        {"errors are JSON or plain as the route says", errors_are_json_or_plain_as_the_route_says},
        {"a route sees its own part of the path", a_route_sees_its_own_part_of_the_path},
        {"a body in pieces is one body", a_body_in_pieces_is_one_body},
        {"Expect is answered before the body", expect_is_answered_before_the_body},
        {"the unix socket is its user's alone", the_unix_socket_is_its_users_alone},
        {"the log is short and printable", the_log_is_short_and_printable},
        CU_TEST_INFO_NULL,
    };
    snprintf(unix_path, sizeof unix_path, "/tmp/ttap-requests-%d.sock", (int)getpid());
    trial_start(&trial, (struct ttap__server_config){.unix_path = unix_path});
    if (trial.result) {
        printf("%s\n", trial.error);
        return 2;
    }
    int failed = run_suite("requests", tests);
    trial_stop(&trial);
    if (access(unix_path, F_OK) == 0) {
        printf("the unix socket is left behind\n");
        failed = 1;
    }
    return failed;
}
