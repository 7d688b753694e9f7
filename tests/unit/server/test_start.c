/* test_start.c - what a server refuses to start with, and that each failing allocation leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "folder.h"
#include "suite.h"
#include "trial.h"

/* ---- Allocations that fail: the fail_at-th from now; 0: none ---- */
static int fail_at; /* atomic: the daemon allocates too */

static bool fails(void)
{
    return __atomic_load_n(&fail_at, __ATOMIC_SEQ_CST) > 0 && __atomic_sub_fetch(&fail_at, 1, __ATOMIC_SEQ_CST) == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t max)
{
    return fails() ? NULL : __real_strndup(text, max);
}

static struct trial trial;
static char path[64];

static int try_start(struct ttap__server_config config)
{
    memset(&trial, 0, sizeof trial);
    trial_start(&trial, config);
    if (trial.result == 0)
        trial_stop(&trial);
    return trial.result;
}

static bool says(const char *words)
{
    return strstr(trial.error, words) != NULL;
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
    close(fd);
}

static void an_address_others_reach_needs_a_token(void)
{
    static const char *const wide[] = {"0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "128.0.0.1"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.address = wide[i]}), -EINVAL);
        CU_ASSERT(says(wide[i]) && says("token_file") && says("loopback"));
    }
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.address = "127.0.0.2"}), 0);
    write_file("0123456789abcdefghijkl\n", 0600);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.address = "0.0.0.0", .token_file = path}), 0);
    unlink(path);
}

static void a_wrong_address_is_named(void)
{
    static const char *const wrong[] = {"", "localhost", "127.1", "127.0.0.1:80", "[::1]", "300.0.0.1", "::g"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.address = wrong[i]}), -EINVAL);
        CU_ASSERT(says(wrong[i]) && says("numeric"));
    }
}

static void a_port_in_use_is_named(void)
{
    struct trial first = {0};
    trial_start(&first, (struct ttap__server_config){0});
    CU_ASSERT_EQUAL_FATAL(first.result, 0);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.port = first.port}), -EADDRINUSE);
    CU_ASSERT(says("port"));
    uint16_t port = first.port;
    trial_stop(&first);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.port = port}), 0);
}

static void limits_out_of_range_are_named(void)
{
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.connections_max = 3}), -EINVAL);
    CU_ASSERT(says("connections_max is 3; allowed is 4 to 1024"));
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.connections_max = 1025}), -EINVAL);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.head_deadline_ms = 99}), -EINVAL);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.hosts = (const char *const[]){"a b", NULL}}), -EINVAL);
    CU_ASSERT(says("a b"));
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.hosts = (const char *const[]){"a:80", NULL}}), -EINVAL);
}

static void a_token_file_must_be_long_and_private(void)
{
    const struct ttap__server_config config = {.token_file = path};
    char long_token[300];
    CU_ASSERT_EQUAL(try_start(config), -ENOENT);
    write_file("0123456789abcdefghijkl", 0640);
    CU_ASSERT_EQUAL(try_start(config), -EPERM);
    CU_ASSERT(says("0640") && says("chmod 600"));
    write_file("0123456789abcdefghijkl", 0604);
    CU_ASSERT_EQUAL(try_start(config), -EPERM);
    write_file("0123456789abcdefghijk\n", 0600);
    CU_ASSERT_EQUAL(try_start(config), -EINVAL);
    CU_ASSERT(says("21 characters") && says("22 to 256"));
    memset(long_token, 'a', sizeof long_token);
    long_token[257] = 0;
    write_file(long_token, 0600);
    CU_ASSERT_EQUAL(try_start(config), -EINVAL);
    long_token[256] = 0;
    write_file(long_token, 0600);
    CU_ASSERT_EQUAL(try_start(config), 0);
    write_file("0123456789abc efghijkl", 0600);
    CU_ASSERT_EQUAL(try_start(config), -EINVAL);
    CU_ASSERT(!says("efgh"));
    unlink(path);
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.token_file = "/tmp"}), -EINVAL);
}

static void a_unix_path_is_taken_over_only_from_the_dead(void)
{
    const struct ttap__server_config config = {.unix_path = path};
    struct trial first = {0};
    write_file("a file", 0600);
    CU_ASSERT_EQUAL(try_start(config), -EEXIST);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    unlink(path);
    trial_start(&first, config);
    CU_ASSERT_EQUAL_FATAL(first.result, 0);
    CU_ASSERT_EQUAL(try_start(config), -EADDRINUSE);
    int fd = http_connect_unix(path);
    CU_ASSERT(fd >= 0); /* the second one's failure did not remove the first one's socket */
    close(fd);
    trial_stop(&first);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* left behind by a service that died */
    CU_ASSERT_EQUAL(try_start(config), 0);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    char long_path[200];
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = 0;
    CU_ASSERT_EQUAL(try_start((struct ttap__server_config){.unix_path = long_path}), -EINVAL);
}

/* Allocations of our own objects. Leaks are for the sanitizer to find. */
static void each_failing_allocation_fails_the_start_cleanly(void)
{
    static const char *const hosts[] = {"named.example", NULL};
    int before = folder_entries("/proc/self/fd"), failures = 0;
    write_file("0123456789abcdefghijkl", 0600);
    char token[64];
    strcpy(token, path);
    strcat(path, ".sock");
    for (int n = 1; n < 200; n++) {
        __atomic_store_n(&fail_at, n, __ATOMIC_SEQ_CST);
        int result = try_start((struct ttap__server_config){.hosts = hosts, .token_file = token, .unix_path = path});
        bool reached = __atomic_load_n(&fail_at, __ATOMIC_SEQ_CST) == 0;
        __atomic_store_n(&fail_at, 0, __ATOMIC_SEQ_CST);
        CU_ASSERT_EQUAL(folder_entries("/proc/self/fd"), before);
        if (!reached)
            break;
        CU_ASSERT_EQUAL(result, -ENOMEM);
        failures++;
    }
    CU_ASSERT(failures >= 7);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    strcpy(path, token);
    unlink(path);
}

static void a_request_without_memory_is_refused_or_cut(void)
{
    static struct http_reply reply;
    memset(&trial, 0, sizeof trial);
    trial_start(&trial, (struct ttap__server_config){0});
    for (int n = 1; n < 12; n++) {
        __atomic_store_n(&fail_at, n, __ATOMIC_SEQ_CST);
        int fd = http_connect(trial.port, 0);
        http_send_text(fd, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
        http_read(fd, &reply, 300);
        CU_ASSERT(reply.status == 200 || reply.status == 503 || reply.closed);
        close(fd);
    }
    __atomic_store_n(&fail_at, 0, __ATOMIC_SEQ_CST);
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200);
    trial_stop(&trial);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"an address others reach needs a token", an_address_others_reach_needs_a_token},
        {"a wrong address is named", a_wrong_address_is_named},
        {"a port in use is named", a_port_in_use_is_named},
        {"limits out of range are named", limits_out_of_range_are_named},
        {"a token file must be long and private", a_token_file_must_be_long_and_private},
        {"a unix path is taken over only from the dead", a_unix_path_is_taken_over_only_from_the_dead},
        {"each failing allocation fails the start cleanly", each_failing_allocation_fails_the_start_cleanly},
        {"a request without memory is refused or cut", a_request_without_memory_is_refused_or_cut},
        CU_TEST_INFO_NULL,
    };
    snprintf(path, sizeof path, "/tmp/ttap-start-%d", (int)getpid());
    return run_suite("start", tests);
}
