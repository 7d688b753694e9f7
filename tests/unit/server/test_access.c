/* test_access.c - each rule of access.c has one request that it alone refuses: with the rule left out, that request goes through and
 * all others stay refused. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "suite.h"
#include "testing.h"
#include "trial.h"

#define TOKEN "0123456789abcdefghijkl"
#define AUTH "Authorization: Bearer " TOKEN "\r\n"

static struct trial trial;

static const struct guarded {
    const char *rule, *request;
    int refused;
} guarded[] = {
    {"host", "GET /hello HTTP/1.1\r\nHost: evil.example\r\n" AUTH "\r\n", 403},
    {"site", "GET /hello HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n" AUTH "\r\n", 403},
    {"origin", "GET /hello HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n" AUTH "\r\n", 403},
    {"token", "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 401},
    {"type", "POST /post HTTP/1.1\r\nHost: localhost\r\n" AUTH "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415},
};
enum { GUARDED = sizeof guarded / sizeof *guarded };

static int ask(const char *request)
{
    static struct http_reply reply;
    return http_ask(trial.port, request, &reply);
}

static void each_rule_guards_its_request_and_no_other(void)
{
    for (int removed = -1; removed < GUARDED; removed++) {
        ttap__testing_rule_removed = removed < 0 ? NULL : guarded[removed].rule;
        for (int i = 0; i < GUARDED; i++)
            CU_ASSERT_EQUAL(ask(guarded[i].request), i == removed ? 200 : guarded[i].refused);
    }
    ttap__testing_rule_removed = NULL;
}

/* "peer" alone is missing above: it needs a second user. */
static void every_rule_has_its_request(void)
{
    for (size_t i = 0; ttap__testing_rule_name(i); i++) {
        bool found = strcmp(ttap__testing_rule_name(i), "peer") == 0;
        for (int j = 0; j < GUARDED; j++)
            found = found || strcmp(ttap__testing_rule_name(i), guarded[j].rule) == 0;
        CU_ASSERT(found);
    }
}

static void what_is_ours_goes_through(void)
{
    CU_ASSERT_EQUAL(ask("GET /hello HTTP/1.1\r\nHost: localhost\r\n" AUTH "\r\n"), 200);
    CU_ASSERT_EQUAL(ask("GET /hello HTTP/1.1\r\nHost: named.example:99\r\n" AUTH "\r\n"), 200);
    CU_ASSERT_EQUAL(ask("GET /hello HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\n" AUTH "\r\n"), 200);
    CU_ASSERT_EQUAL(
        ask("GET /hello HTTP/1.1\r\nHost: localhost:6060\r\nOrigin: http://localhost:6060\r\nSec-Fetch-Site: same-origin\r\n" AUTH "\r\n"), 200);
    CU_ASSERT_EQUAL(ask("GET /hello HTTP/1.1\r\nHost: localhost\r\nauthorization: bearer " TOKEN "\r\n\r\n"), 200);
    CU_ASSERT_EQUAL(ask(GET("/open")), 200);
    CU_ASSERT_EQUAL(ask("GET /open HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n"), 403);
}

static void a_token_that_is_almost_right_is_wrong(void)
{
    static const char *const wrong[] = {
        "Bearer ",
        "Bearer",
        "",
        "Basic " TOKEN,
        "Bearer 0123456789abcdefghijk",
        "Bearer " TOKEN "x",
        "Bearer 0123456789ABCDEFGHIJKL",
        "Bearer  " TOKEN,
        TOKEN,
        "Bearer " TOKEN ", Bearer " TOKEN,
        "Bearer x" TOKEN,
        "Bearer 1123456789abcdefghijkl",
    };
    char request[1024];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n", wrong[i]);
        CU_ASSERT_EQUAL(ask(request), 401);
    }
    snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %0300d\r\n\r\n", 7);
    CU_ASSERT_EQUAL(ask(request), 401);
    CU_ASSERT_EQUAL(ask("GET /hello?token=" TOKEN " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401);
}

/* ---- How long a wrong token takes ---- */

enum { COMPARES = 1000000, BATCH = 50, TRIES = 20 };

struct sample {
    double count, mean, squares; /* Welford */
};

static void add(struct sample *sample, double value)
{
    double before = value - sample->mean;
    sample->count++;
    sample->mean += before / sample->count;
    sample->squares += before * (value - sample->mean);
}

static double time_batch(const struct ttap__server *server, const char *token)
{
    static char given[64]; /* the same place for both: where a string lies costs time too */
    bool matched = false;
    strcpy(given, token);
    double before = http_now_s();
    for (int i = 0; i < BATCH; i++)
        matched |= ttap__token_matches(server, given);
    double took_s = http_now_s() - before;
    if (matched)
        CU_FAIL("a wrong token matched");
    return took_s;
}

/* Welch's t of two wrong tokens: one differs in its first byte, one in its last. In turns, and without what was disturbed. */
static double t_of_difference(const struct ttap__server *server)
{
    static const char *const tokens[] = {"Bearer 1123456789abcdefghijkl", "Bearer 0123456789abcdefghijkm"};
    struct sample samples[2] = {{0, 0, 0}, {0, 0, 0}};
    double usual_s = time_batch(server, tokens[0]);
    for (int i = 0; i < COMPARES / BATCH; i++) {
        int which = (i ^ i >> 1) & 1; /* 0 1 1 0: what drifts does so for both */
        double took_s = time_batch(server, tokens[which]);
        if (took_s < usual_s)
            usual_s = took_s;
        if (took_s < 2 * usual_s)
            add(&samples[which], took_s);
    }
    double error = 0;
    for (int i = 0; i < 2; i++)
        error += samples[i].squares / (samples[i].count - 1) / samples[i].count;
    return (samples[0].mean - samples[1].mean) / sqrt(error);
}

static void the_time_of_a_wrong_token_does_not_tell_where_it_differs(void)
{
    double least = INFINITY;
    for (int i = 0; i < TRIES && least >= 4.5; i++) { /* a busy machine is not a leak: one quiet try is enough */
        double t = fabs(t_of_difference(trial.server));
        least = t < least ? t : least;
    }
    printf("(|t| = %.2f) ", least);
    CU_ASSERT(least < 4.5);
}

static void the_log_has_neither_token_nor_uri(void)
{
    CU_ASSERT(trial.log_lines > 0);
    CU_ASSERT_PTR_NULL(strstr(trial.log, TOKEN));
    CU_ASSERT_PTR_NULL(strstr(trial.log, "hello"));
}

static void no_reply_opens_a_door_to_other_origins(void)
{
    static struct http_reply reply;
    http_ask(trial.port, "GET /hello HTTP/1.1\r\nHost: localhost\r\n" AUTH "\r\n", &reply);
    CU_ASSERT_PTR_NULL(strstr(reply.bytes, "Access-Control"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Security-Policy: default-src 'none'; script-src 'self'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "X-Content-Type-Options: nosniff"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Referrer-Policy: no-referrer"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Cross-Origin-Resource-Policy: same-origin"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Cache-Control: no-store"));
}

int main(void)
{
    static const char *const hosts[] = {"named.example", NULL};
    CU_TestInfo tests[] = {
        {"each rule guards its request and no other", each_rule_guards_its_request_and_no_other},
        {"every rule has its request", every_rule_has_its_request},
        {"what is ours goes through", what_is_ours_goes_through},
        {"a token that is almost right is wrong", a_token_that_is_almost_right_is_wrong},
        {"the time of a wrong token does not tell where it differs", the_time_of_a_wrong_token_does_not_tell_where_it_differs},
        {"the log has neither token nor URI", the_log_has_neither_token_nor_uri},
        {"no reply opens a door to other origins", no_reply_opens_a_door_to_other_origins},
        CU_TEST_INFO_NULL,
    };
    char path[] = "/tmp/ttap-token-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, TOKEN "\n", sizeof TOKEN) != (ssize_t)sizeof TOKEN)
        return 2;
    close(fd);
    trial_start(&trial, (struct ttap__server_config){.token_file = path, .hosts = hosts});
    unlink(path);
    if (trial.result) {
        printf("%s\n", trial.error);
        return 2;
    }
    int failed = run_suite("access", tests);
    trial_stop(&trial);
    return failed;
}
