/* test_heads.c - sends each line of malformed_heads.txt to a real server and compares the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

enum { REQUEST_MAX = 400000 };

static struct trial trial;
static const char *table_path;

static char unescape_one(const char **at)
{
    const char *text = *at;
    if (text[0] != '\\') {
        *at += 1;
        return text[0];
    }
    *at += text[1] == 'x' ? 4 : 2;
    if (text[1] == 'x') {
        const char digits[3] = {text[2], text[3], 0};
        return (char)strtol(digits, NULL, 16);
    }
    return text[1] == 'r' ? '\r' : text[1] == 'n' ? '\n' : text[1] == '0' ? '\0' : text[1];
}

/* Bytes of a line's last column into @out; returns how many. */
static size_t expand(const char *text, const char *end, char *out)
{
    size_t used = 0;
    while (text < end) {
        char *star;
        long times = *text == '{' ? strtol(text + 1, &star, 10) : 0;
        if (times <= 0 || *star != '*') {
            out[used++] = unescape_one(&text);
            continue;
        }
        const char *close = strchr(star, '}');
        for (long i = 0; i < times; i++)
            used += expand(star + 1, close, out + used);
        text = close + 1;
    }
    return used;
}

static int replies_in(const struct http_reply *reply)
{
    int count = 0;
    for (const char *at = reply->bytes; (at = strstr(at, "HTTP/1.1 ")); at++)
        count += at == reply->bytes || at[-1] == '\n';
    return count;
}

/* libmicrohttpd 0.9.75 writes the head of its own error pages twice; those pages are HTML, ours are not. */
static bool is_own_page(const struct http_reply *reply)
{
    return strstr(reply->bytes, "<html>") != NULL;
}

static void check(char *expected, const char *name, const char *bytes, size_t len)
{
    static struct http_reply reply;
    char got[16] = "closed";
    int fd = http_connect(trial.port, 0);
    CU_ASSERT_FATAL(fd >= 0);
    http_send(fd, bytes, len); /* may fail: the server may have answered and closed already */
    http_read_reply(fd, &reply);
    close(fd);
    if (reply.status)
        snprintf(got, sizeof got, "%d", reply.status);
    else if (!reply.closed)
        strcpy(got, "hangs");
    bool fits = false;
    for (char *one = strtok(expected, "/"); one; one = strtok(NULL, "/"))
        fits = fits || strcmp(one, got) == 0;
    bool ended = reply.status < 400 || (reply.closed && (replies_in(&reply) == 1 || is_own_page(&reply)));
    if (!fits || !ended)
        printf("\n  %s: expected %s, got %s, %d replies, %s\n", name, expected, got, replies_in(&reply), reply.closed ? "closed" : "open");
    CU_ASSERT(fits);
    CU_ASSERT(ended);
}

static void check_line(char *line)
{
    static char bytes[REQUEST_MAX];
    char *name = strstr(line, " | "), *text = name ? strstr(name + 3, " | ") : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    *name = *text = 0;
    text += 3;
    check(line, name + 3, bytes, expand(text, text + strlen(text), bytes));
}

static void each_head_gets_the_answer_written_down(void)
{
    static char line[8192];
    FILE *table = fopen(table_path, "r");
    int count = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(table);
    while (fgets(line, sizeof line, table)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#')
            continue;
        check_line(line);
        count++;
    }
    fclose(table);
    CU_ASSERT(count >= 60);
    CU_ASSERT_EQUAL(trial.streams, 0);
}

static void a_head_cut_anywhere_starts_nothing(void)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (size_t len = 0; len < sizeof request - 1; len++) {
        int fd = http_connect(trial.port, 0);
        CU_ASSERT(fd >= 0 && http_send(fd, request, len));
        close(fd);
    }
    CU_ASSERT_EQUAL(trial.streams, 0);
}

static void a_head_byte_by_byte_is_a_head(void)
{
    static const char request[] = GET("/hello?seconds=2");
    int fd = http_connect(trial.port, 0);
    for (size_t i = 0; i < sizeof request - 1; i++)
        CU_ASSERT(http_send(fd, request + i, 1));
    CU_ASSERT(http_read_until(fd, "ns=2000000000 ", 5000));
    close(fd);
}

int main(int argc, char **argv)
{
    CU_TestInfo tests[] = {
        {"each head gets the answer written down", each_head_gets_the_answer_written_down},
        {"a head cut anywhere starts nothing", a_head_cut_anywhere_starts_nothing},
        {"a head byte by byte is a head", a_head_byte_by_byte_is_a_head},
        CU_TEST_INFO_NULL,
    };
    if (argc != 2)
        return 2;
    table_path = argv[1];
    trial_start(&trial, (struct ttap__server_config){.head_deadline_ms = 1000});
    if (trial.result) {
        printf("%s\n", trial.error);
        return 2;
    }
    int failed = run_suite("heads", tests);
    trial_stop(&trial);
    return failed;
}
