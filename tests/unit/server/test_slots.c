/* test_slots.c - many silent clients and one honest. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

enum { SILENT = 64 };

static struct trial trial;
static struct http_reply reply;
static char unix_path[64];

static void silent_clients_make_room_for_an_honest_one(void)
{
    int silent[SILENT];
    for (int i = 0; i < SILENT; i++) {
        silent[i] = http_connect(trial.port, 0);
        if (silent[i] >= 0 && i % 2)
            http_send_text(silent[i], "GET /hello HT");
    }
    double now = http_now_s();
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200);
    CU_ASSERT(http_now_s() - now < 4); /* about 0.3 s when idle; the head deadline is 5 s */
    for (int i = 0; i < SILENT; i++)
        if (silent[i] >= 0)
            close(silent[i]);
}

/* ---- A request that was read and not told of yet ---- */

enum { CROWDED = SILENT * 3 / 4, LATE_US = 600000 /* more than anybody is spared */ };

static atomic_bool late_once;

/* libmicrohttpd's thread allocates what we keep of a request when it has read it. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    if (atomic_exchange(&late_once, false))
        usleep(LATE_US);
    return __real_calloc(count, size);
}

/* The first of a crowd; 0: it was shut before its request was read, which proves nothing. */
static int ask_a_late_thread(void)
{
    int crowd[CROWDED], status = 0;
    for (int i = 0; i < CROWDED; i++)
        crowd[i] = http_connect(trial.port, 0);
    usleep(100000); /* until they have been taken in; each is spared for longer */
    atomic_store(&late_once, true);
    http_send_text(crowd[0], GET("/hello"));
    http_read_reply(crowd[0], &reply);
    if (!atomic_exchange(&late_once, false))
        status = reply.status ? reply.status : -1;
    for (int i = 0; i < CROWDED; i++)
        close(crowd[i]);
    return status;
}

/* On a busy machine one of a hundred clients found its connection closed without an answer: its request had been read, and was not known
 * to be complete when the watcher looked for who keeps others out. */
static void a_request_that_was_read_is_answered_whoever_needs_room(void)
{
    int status = 0;
    for (int tries = 0; !status && tries < 50; tries++)
        status = ask_a_late_thread();
    CU_ASSERT_EQUAL(status, 200);
}

static void an_operator_gets_in_through_the_unix_socket(void)
{
    int silent[SILENT];
    for (int i = 0; i < SILENT; i++)
        silent[i] = http_connect(trial.port, 0);
    int fd = http_connect_unix(unix_path);
    CU_ASSERT(fd >= 0 && http_send_text(fd, GET("/hello")));
    http_read_reply(fd, &reply);
    CU_ASSERT_EQUAL(reply.status, 200);
    close(fd);
    for (int i = 0; i < SILENT; i++)
        if (silent[i] >= 0)
            close(silent[i]);
}

static void only_eight_connections_stay_open_idle(void)
{
    int idle[16], open = 0;
    for (int i = 0; i < 16; i++) {
        idle[i] = http_connect(trial.port, 0);
        CU_ASSERT(http_send_text(idle[i], GET("/hello")));
        http_read_reply(idle[i], &reply);
        CU_ASSERT_EQUAL(reply.status, 200);
    }
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200); /* has the watcher look once more */
    for (int i = 0; i < 16; i++) {
        http_read(idle[i], &reply, 100);
        open += !reply.closed;
        close(idle[i]);
    }
    CU_ASSERT(open <= 8);
    CU_ASSERT(open >= 1);
}

static void a_head_that_does_not_end_is_given_up(void)
{
    struct trial hasty = {0};
    trial_start(&hasty, (struct ttap__server_config){.head_deadline_ms = 300});
    CU_ASSERT_EQUAL_FATAL(hasty.result, 0);
    int fd = http_connect(hasty.port, 0);
    CU_ASSERT(http_send_text(fd, "GET /hello HTTP/1.1\r\n"));
    double until = http_now_s() + 8;
    bool closed = false;
    while (!closed && http_now_s() < until) { /* a byte now and then: libmicrohttpd would wait for ever */
        http_send_text(fd, "X");
        http_read(fd, &reply, 50);
        closed = reply.closed;
    }
    CU_ASSERT(closed);
    close(fd);
    trial_stop(&hasty);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"silent clients make room for an honest one", silent_clients_make_room_for_an_honest_one},
        {"a request that was read is answered, whoever needs room", a_request_that_was_read_is_answered_whoever_needs_room},
        {"an operator gets in through the unix socket", an_operator_gets_in_through_the_unix_socket},
        {"only eight connections stay open idle", only_eight_connections_stay_open_idle},
        {"a head that does not end is given up", a_head_that_does_not_end_is_given_up},
        CU_TEST_INFO_NULL,
    };
    snprintf(unix_path, sizeof unix_path, "/tmp/ttap-slots-%d.sock", (int)getpid());
    trial_start(&trial, (struct ttap__server_config){.unix_path = unix_path});
    if (trial.result) {
        printf("%s\n", trial.error);
        return 2;
    }
    int failed = run_suite("slots", tests);
    trial_stop(&trial);
    return failed;
}
