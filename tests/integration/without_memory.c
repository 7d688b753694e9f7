/* without_memory.c - the whole endpoint with every allocation of a request failing in turn: ours, libmicrohttpd's, jansson's, the C library's.
 *
 *      for each kind of request:  for n = 1, 2, ...:  ask; the nth allocation from now on in the server's threads fails, once or and all after it
 *
 * The answer is whole, or says that there is no memory, or is cut. Afterwards the endpoint answers again, nothing is recorded any more, and as many
 * blocks are allocated as after the round before.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "http_client.h"
#include "tracetap/http.h"

#define HEAD_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#define JSON_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "

#define NEW_CAPTURE "POST /debug/trace/captures" JSON_END "17\r\n\r\n{\"seconds\":0.002}"

static char kept_request[200];
static const struct {
    const char *what, *request;
} kinds[] = {
    {"status", "GET /debug/trace/status" HEAD_END},
    {"a native stream", "GET /debug/trace?seconds=0.002" HEAD_END},
    {"a json stream", "GET /debug/trace?seconds=0.002&format=json" HEAD_END},
    {"the list", "GET /debug/trace/captures" HEAD_END},
    {"a kept capture as json", kept_request},
    {"a new capture", NEW_CAPTURE},
    {"a setting", "PUT /debug/trace/sampling" JSON_END "13\r\n\r\n{\"default\":1}"},
    {"a file", "GET /debug/trace/ui/" HEAD_END},
};
enum { KINDS = sizeof kinds / sizeof *kinds, EACH_MAX = 300, FOR_EVER_MAX = 12 };

/* ---- Allocations ---- */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void __libc_free(void *block);

static long left, live; /* atomic. left: until the failing one; 0: none fails */
static bool for_ever;
static _Thread_local bool is_client; /* nothing fails here */

static bool fails(void)
{
    if (is_client || __atomic_load_n(&left, __ATOMIC_SEQ_CST) <= 0)
        return false;
    long now = __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST);
    if (now == 0 && for_ever)
        __atomic_store_n(&left, 1, __ATOMIC_SEQ_CST);
    if (now > 0)
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block)
        __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    return block;
}

#pragma GCC visibility push(default)
void *malloc(size_t bytes)
{
    return fails() ? NULL : counted(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : counted(__libc_calloc(count, bytes));
}

void *realloc(void *block, size_t bytes)
{
    if (fails())
        return NULL;
    void *fresh = __libc_realloc(block, bytes);
    return block ? fresh : counted(fresh);
}

void free(void *block)
{
    if (block)
        __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    __libc_free(block);
}
#pragma GCC visibility pop

static void fail_from(long n, bool all_after)
{
    for_ever = all_after;
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
}

/* True: it did fail. */
static bool fail_no_more(void)
{
    return __atomic_exchange_n(&left, 0, __ATOMIC_SEQ_CST) <= 0;
}

/* ---- Rounds ---- */

static struct ttap_http *http;
static struct http_reply reply;
static unsigned whole, refused, cut;

static bool ask(int kind, bool memory_comes_back)
{
    int fd = http_connect(ttap_http_port(http), 0);
    if (fd < 0 || !http_send_text(fd, kinds[kind].request)) {
        close(fd);
        return false;
    }
    if (memory_comes_back) { /* without any it may have to stay silent */
        usleep(15000);
        fail_from(0, false);
    }
    http_read(fd, &reply, 5000);
    close(fd);
    /* 400: libmicrohttpd and jansson take a failed allocation for a mistake in the text, now and then. */
    bool good = reply.closed && (reply.status == 0 || reply.status == 200 || reply.status == 202 || reply.status == 400 || reply.status == 500 ||
                                 reply.status == 503);
    whole += reply.status == 200 || reply.status == 202;
    refused += reply.status >= 400;
    cut += reply.status == 0;
    if (!good)
        printf("%s: status %d, %s: %.300s\n", kinds[kind].what, reply.status, reply.closed ? "closed" : "still open after 5 s", reply.bytes);
    return good;
}

static bool answers_again(int kind)
{
    struct ttap_status status = {.size = sizeof status};
    for (double until = http_now_s() + 10; http_now_s() < until; usleep(500)) {
        ttap_status_get(&status);
        if (!status.captures)
            break;
    }
    int code = http_ask(ttap_http_port(http), "GET /debug/trace/sampling" HEAD_END, &reply);
    if (status.captures || code != 200)
        printf("after %s: %u captures, status %d\n", kinds[kind].what, (unsigned)status.captures, code);
    return !status.captures && code == 200;
}

static bool check_kind(int kind, bool all_after, int most, int *faults)
{
    for (int n = 1; n <= most; n++) {
        fail_from(n, all_after);
        bool good = ask(kind, all_after), failed = fail_no_more();
        if (!good || !answers_again(kind)) {
            printf("%s, allocation %d%s\n", kinds[kind].what, n, all_after ? " and all after it" : "");
            return false;
        }
        if (!failed && !all_after)
            return true;
        ++*faults;
    }
    return true;
}

static bool start(void)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    opts.port = 0;
    return ttap_http_start(&opts, &http) == 0;
}

static bool keep_one(void)
{
    int code = http_ask(ttap_http_port(http), NEW_CAPTURE, &reply);
    const char *url = strstr(reply.bytes, "/debug/trace/captures/");
    int len = url ? (int)strcspn(url, "\"") : 0;
    snprintf(kept_request, sizeof kept_request, "GET %.*s?format=json" HEAD_END, len, url ? url : "");
    return code == 202 && len && answers_again(0);
}

/* All captures of the round before are dropped. */
static bool keep_none(void)
{
    char request[256];
    for (int i = 0; i < 200; i++) {
        http_ask(ttap_http_port(http), "GET /debug/trace/captures" HEAD_END, &reply);
        const char *url = strstr(reply.bytes, "/debug/trace/captures/");
        if (!url)
            return true;
        snprintf(request, sizeof request, "DELETE %.*s" HEAD_END, (int)strcspn(url, "\""), url);
        http_ask(ttap_http_port(http), request, &reply);
    }
    return false;
}

static bool serve(int *faults)
{
    is_client = true;
    bool good = start() && keep_none() && keep_one();
    for (int kind = 0; good && kind < KINDS; kind++)
        good = check_kind(kind, false, EACH_MAX, faults) && check_kind(kind, true, FOR_EVER_MAX, faults);
    good = good && keep_none();
    if (http)
        ttap_http_stop(http);
    http = NULL;
    return good;
}

/* Starting, with its own allocations and libmicrohttpd's. */
static bool start_in_vain(int *faults)
{
    for (int n = 1; n < EACH_MAX; n++) {
        is_client = false;
        fail_from(n, false);
        bool started = start(), failed;
        failed = fail_no_more();
        is_client = true;
        if (!started && !*ttap_http_error()) {
            printf("start, allocation %d: no word why\n", n);
            return false;
        }
        if (started)
            ttap_http_stop(http);
        http = NULL;
        if (!failed)
            return started;
        ++*faults;
    }
    return false;
}

int main(void)
{
    int faults = 0, files = 0;
    long blocks = 0, before = 0;
    bool good = true;
    setvbuf(stdout, NULL, _IOLBF, 0);
    is_client = true;
    for (int round = 0; good && round < 2; round++) {
        faults = 0;
        whole = refused = cut = 0;
        good = start_in_vain(&faults) && serve(&faults);
        usleep(200000); /* threads that are ending */
        before = blocks;
        blocks = __atomic_load_n(&live, __ATOMIC_SEQ_CST);
        files = round ? files : folder_entries("/proc/self/fd"); /* with what is opened once */
    }
    printf("%d failed allocations: %u whole answers, %u refusals, %u cut; %ld blocks, %ld a round before; descriptors %d, then %d\n", faults, whole,
           refused, cut, blocks, before, files, folder_entries("/proc/self/fd"));
    /* libmicrohttpd leaves its eventfd behind where its thread cannot be made: once in a round. */
    return good && faults > 200 && blocks <= before && folder_entries("/proc/self/fd") <= files + 1 ? 0 : 1;
}
