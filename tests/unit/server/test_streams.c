/* test_streams.c - the ways a stream ends: its client leaves (each way), does not read, its time is over, the server stops. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "testing.h"
#include "trial.h"

#define STREAM GET("/stream")

/* Told within 1 ms on an idle machine; 100 ms is promised; this is for machines that do much else. */
#define PROMPT_S 2.0

static struct trial trial;

static int begin(const char *request)
{
    int fd = http_connect(trial.port, 4096);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(http_send_text(fd, request));
    return fd;
}

static int begin_quiet(void)
{
    int fd = begin(STREAM);
    CU_ASSERT(http_read_until(fd, "begun\n", 5000));
    return fd;
}

static void expect_gone(int gone, double left_at_s)
{
    CU_ASSERT(trial_wait(&trial.gone, gone));
    CU_ASSERT(trial.gone_at_s - left_at_s < PROMPT_S);
    CU_ASSERT(trial_wait(&trial.freed, gone));
    CU_ASSERT_EQUAL(trial.gone, gone);
}

static void a_client_that_closes_is_noticed(void)
{
    int fd = begin_quiet(), gone = trial.gone + 1;
    double now = http_now_s();
    close(fd);
    expect_gone(gone, now);
}

static void a_client_that_resets_is_noticed(void)
{
    int fd = begin_quiet(), gone = trial.gone + 1;
    double now = http_now_s();
    http_reset(fd);
    expect_gone(gone, now);
}

static void a_client_that_half_closes_is_noticed(void)
{
    int fd = begin_quiet(), gone = trial.gone + 1;
    double now = http_now_s();
    shutdown(fd, SHUT_WR);
    expect_gone(gone, now);
    close(fd);
}

static void a_client_that_is_killed_is_noticed(void)
{
    int gone = trial.gone + 1, streams = trial.streams + 1, ready[2];
    char byte;
    CU_ASSERT_FATAL(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = http_connect(trial.port, 0);
        if (fd >= 0 && http_send_text(fd, STREAM) && http_read_until(fd, "begun\n", 5000) && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    CU_ASSERT(trial_wait(&trial.streams, streams) && read(ready[0], &byte, 1) == 1);
    double now = http_now_s();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    expect_gone(gone, now);
    close(ready[0]);
    close(ready[1]);
}

static void a_client_that_leaves_a_flood_is_noticed(void)
{
    int fd = begin(GET("/flood")), gone = trial.gone + 1;
    CU_ASSERT(http_read_until(fd, "xxxx", 5000));
    double now = http_now_s();
    http_reset(fd);
    expect_gone(gone, now);
}

static void a_client_that_reads_nothing_is_cut_after_its_grace(void)
{
    int gone = trial.gone + 1;
    ttap__testing_stall_window_ns = 200000000;
    trial.limits = (struct ttap__stream_limits){.min_bytes_per_s = 16000};
    int fd = begin(GET("/flood"));
    CU_ASSERT(trial_wait(&trial.gone, gone));
    CU_ASSERT(trial_wait(&trial.freed, gone));
    trial.limits = (struct ttap__stream_limits){0};
    ttap__testing_stall_window_ns = 10000000000;
    close(fd);
}

static void a_quiet_stream_is_not_a_stalled_one(void)
{
    int gone = trial.gone;
    ttap__testing_stall_window_ns = 50000000;
    trial.limits = (struct ttap__stream_limits){.min_bytes_per_s = 16000};
    int fd = begin_quiet();
    usleep(500000);
    CU_ASSERT_EQUAL(trial.gone, gone);
    trial.limits = (struct ttap__stream_limits){0};
    close(fd);
    CU_ASSERT(trial_wait(&trial.freed, gone + 1));
    ttap__testing_stall_window_ns = 10000000000;
}

static void a_deadline_ends_a_stream_in_good_order(void)
{
    int gone = trial.gone + 1;
    trial.limits.deadline_ns = (uint64_t)((http_now_s() + 0.3) * 1e9);
    int fd = begin_quiet();
    CU_ASSERT(http_read_until(fd, "0\r\n\r\n", 5000)); /* the last chunk: not a cut */
    CU_ASSERT(trial_wait(&trial.gone, gone) && trial_wait(&trial.freed, gone));
    trial.limits = (struct ttap__stream_limits){0};
    close(fd);
}

static void other_requests_are_answered_meanwhile(void)
{
    static struct http_reply reply;
    int stream = begin_quiet(), flood = begin(GET("/flood")), gone = trial.gone;
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200);
    CU_ASSERT_EQUAL(trial.gone, gone);
    close(stream);
    close(flood);
    CU_ASSERT(trial_wait(&trial.freed, gone + 2));
}

/* libmicrohttpd aborts the process if it is stopped while a connection is suspended. */
static void a_server_stops_a_hundred_times_with_streams_in_progress(void)
{
    for (int cycle = 0; cycle < 100; cycle++) {
        static struct trial many;
        int fds[10];
        memset(&many, 0, sizeof many);
        trial_start(&many, (struct ttap__server_config){0});
        CU_ASSERT_EQUAL_FATAL(many.result, 0);
        for (int i = 0; i < 10; i++) {
            fds[i] = http_connect(many.port, 4096);
            CU_ASSERT(fds[i] >= 0 && http_send_text(fds[i], i % 5 ? STREAM : GET("/flood")));
        }
        if (cycle % 2)
            CU_ASSERT(trial_wait(&many.streams, 10));
        double now = http_now_s();
        trial_stop(&many);
        CU_ASSERT(http_now_s() - now < 2 + PROMPT_S);
        CU_ASSERT_EQUAL(many.streams, many.freed);
        for (int i = 0; i < 10; i++)
            close(fds[i]);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a client that closes is noticed", a_client_that_closes_is_noticed},
        {"a client that resets is noticed", a_client_that_resets_is_noticed},
        {"a client that half-closes is noticed", a_client_that_half_closes_is_noticed},
        {"a client that is killed is noticed", a_client_that_is_killed_is_noticed},
        {"a client that leaves a flood is noticed", a_client_that_leaves_a_flood_is_noticed},
        {"a client that reads nothing is cut after its grace", a_client_that_reads_nothing_is_cut_after_its_grace},
        {"a quiet stream is not a stalled one", a_quiet_stream_is_not_a_stalled_one},
        {"a deadline ends a stream in good order", a_deadline_ends_a_stream_in_good_order},
        {"other requests are answered meanwhile", other_requests_are_answered_meanwhile},
        {"a server stops a hundred times with streams in progress", a_server_stops_a_hundred_times_with_streams_in_progress},
        CU_TEST_INFO_NULL,
    };
    trial_start(&trial, (struct ttap__server_config){0});
    if (trial.result) {
        printf("%s\n", trial.error);
        return 2;
    }
    int failed = run_suite("streams", tests);
    trial_stop(&trial);
    return failed;
}
