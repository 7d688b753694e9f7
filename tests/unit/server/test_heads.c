/* test_heads.c - sends each line of malformed_heads.txt to a real server and compares the answer. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* Where the reply behind the one at @at begins; NULL: that one is not whole, or was the last. libmicrohttpd 0.9.75 writes the head of
 * its own error pages twice and then closes; those pages are HTML, ours are not. */
static const char *next_reply(const char *at)
{
    const char *end = strstr(at, "\r\n\r\n"), *length = strstr(at, "Content-Length: "), *own_page = strstr(at, "<html>");
    if (!end || !length || length > end)
        return NULL;
    end += 4;
    size_t left = strlen(end), len = (size_t)atol(length + 16);
    return left > len && !(own_page && own_page < end + len) ? end + len : NULL;
}

/* "200+404" for two replies, 999 for what is none; "" for nothing. Returns how many. */
static int list_replies(const struct http_reply *reply, char *out, size_t size)
{
    size_t used = 0;
    int count = 0;
    *out = 0;
    for (const char *at = reply->len ? reply->bytes : NULL; at && used + 8 < size; at = next_reply(at)) {
        bool is_one = strncmp(at, "HTTP/1.1 ", 9) == 0;
        used += (size_t)snprintf(out + used, size - used, "%s%d", count++ ? "+" : "", is_one ? atoi(at + 9) : 999);
        if (!is_one)
            break;
    }
    return count;
}

static int replies_wanted(const char *expected)
{
    int count = 1;
    for (; *expected && *expected != '/'; expected++)
        count += *expected == '+';
    return count;
}

static bool is_listed(const char *expected, const char *got)
{
    size_t len = strlen(got);
    for (const char *at = expected; *at; at += strcspn(at, "/"), at += *at == '/')
        if (strcspn(at, "/") == len && memcmp(at, got, len) == 0)
            return true;
    return false;
}

/* All that is to come: a refusal ends the connection; behind a 200 nothing more than the replies that were wanted. */
static void read_replies(int fd, const char *expected, struct http_reply *reply, char *got, size_t size)
{
    http_read_reply(fd, reply);
    while (list_replies(reply, got, size) < replies_wanted(expected) && http_read_more(fd, reply, 10000))
        ;
    if (list_replies(reply, got, size) && atoi(got + strlen(got) - 3) >= 400)
        while (http_read_more(fd, reply, 10000))
            ;
    else
        http_read_more(fd, reply, 1); /* too many would most likely be there by now */
    list_replies(reply, got, size);
}

static void check(const char *expected, const char *name, const char *bytes, size_t len)
{
    static struct http_reply reply;
    char got[64];
    int fd = http_connect(trial.port, 0);
    CU_ASSERT_FATAL(fd >= 0);
    http_send(fd, bytes, len);           /* may fail: the server may have answered and closed already */
    if (strcmp(expected, "closed") == 0) /* what waits for more gets none; test_slots.c shows that it is given up in any case */
        shutdown(fd, SHUT_WR);
    read_replies(fd, expected, &reply, got, sizeof got);
    close(fd);
    if (!*got)
        strcpy(got, reply.closed ? "closed" : "hangs");
    bool fits = is_listed(expected, got), ended = atoi(got + strlen(got) - 3) < 400 || reply.closed;
    if (!fits || !ended)
        printf("\n  %s: expected %s, got %s, %s\n", name, expected, got, reply.closed ? "closed" : "open");
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
    printf("%d heads ", count);
    CU_ASSERT(count >= 200);
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

/* The parts of a head are followed in memory: that must hold for honest heads of any size, in whatever pieces they come. */
static void an_honest_head_in_two_pieces_is_a_head_wherever_it_is_cut(void)
{
    static struct http_reply reply;
    char request[4096];
    int filler = 700,
        len = snprintf(request, sizeof request,
                       "GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %0*d\r\nAccept:\r\nCookie:   a=b; c=\"d\"\r\n\r\n", filler, 0);
    for (int cut = 1; cut<len; cut += cut> 60 && cut < filler ? 97 : 1) {
        int fd = http_connect(trial.port, 0);
        CU_ASSERT(fd >= 0 && http_send(fd, request, (size_t)cut));
        sched_yield(); /* so that the pieces often arrive apart */
        CU_ASSERT(http_send(fd, request + cut, (size_t)(len - cut)));
        http_read_reply(fd, &reply);
        CU_ASSERT_EQUAL(reply.status, 200);
        close(fd);
    }
}

static void an_honest_head_is_a_head_up_to_the_largest(void)
{
    static char request[20000];
    static struct http_reply reply;
    int largest = 0, fd = http_connect(trial.port, 0);
    for (int filler = 1; filler < 16000; filler += 211) {
        snprintf(request, sizeof request, "GET /hello?n=5 HTTP/1.1\r\nHost: localhost\r\nX-A: %0*d\r\nX-B: c\r\n\r\n", filler, 0);
        CU_ASSERT(fd >= 0 && http_send_text(fd, request));
        http_read_reply(fd, &reply);
        if (reply.status != 200) /* too large from here on */
            break;
        largest = filler;
    }
    CU_ASSERT(reply.status == 431 || reply.closed);
    printf("(up to %d bytes) ", largest);
    CU_ASSERT(largest > 8000);
    close(fd);
}

int main(int argc, char **argv)
{
    CU_TestInfo tests[] = {
        {"an honest head in two pieces is a head wherever it is cut", an_honest_head_in_two_pieces_is_a_head_wherever_it_is_cut},
        {"an honest head is a head up to the largest", an_honest_head_is_a_head_up_to_the_largest},
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
