/* test_closed.c - a service that closes descriptors which are not its own, and opens something else under the same number. */
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

static struct trial trial;
static struct http_reply reply;

static uint16_t port_of(int fd)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 && name.sin_family == AF_INET ? ntohs(name.sin_port) : 0;
}

static int listening_on(uint16_t port)
{
    for (int fd = 3; fd < 100; fd++) {
        int listens = 0;
        socklen_t len = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens && port_of(fd) == port)
            return fd;
    }
    return -1;
}

static int listen_anywhere(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 16) == 0);
    return fd;
}

static bool sleeps(const char *tid)
{
    char path[300], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/stat", tid);
    FILE *stat = fopen(path, "re");
    const char *name_end = stat && fgets(text, sizeof text, stat) ? strrchr(text, ')') : NULL;
    if (stat)
        fclose(stat);
    return !name_end || strncmp(name_end, ") S", 3) == 0;
}

static bool all_others_sleep(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool all = tasks != NULL;
    for (struct dirent *entry; tasks && (entry = readdir(tasks));)
        all &= entry->d_name[0] == '.' || atoi(entry->d_name) == (int)syscall(SYS_gettid) || sleeps(entry->d_name);
    closedir(tasks);
    return all;
}

/* Nobody can tell that a number means something else between looking at it and accepting from it: the endpoint must not be just there. */
static void wait_until_the_endpoint_rests(void)
{
    for (int at_rest = 0, looks = 0; at_rest < 10 && looks < 2000; looks++) {
        usleep(5000);
        at_rest = all_others_sleep() ? at_rest + 1 : 0;
    }
}

static void a_listening_socket_of_the_service_keeps_its_connections(void)
{
    trial_start(&trial, (struct ttap__server_config){0});
    CU_ASSERT_EQUAL_FATAL(trial.result, 0);
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200);
    wait_until_the_endpoint_rests();
    int number = listening_on(trial.port), own = listen_anywhere();
    CU_ASSERT_FATAL(number >= 0);
    CU_ASSERT_EQUAL_FATAL(dup2(own, number), number); /* closes the endpoint's */
    close(own);
    uint16_t port = port_of(number);
    int last = http_connect(trial.port, 0); /* the endpoint still sleeps on the old socket: this wakes it */
    for (int i = 0; i < 8; i++) {
        int client = http_connect(port, 0);
        usleep(5000); /* time for the endpoint to take it */
        int ours = accept(number, NULL, NULL);
        CU_ASSERT(client >= 0 && ours >= 0);
        close(ours);
        close(client);
    }
    close(last);
    trial_stop(&trial);
    CU_ASSERT_EQUAL(port_of(number), port); /* nor did the endpoint close it at its end */
    close(number);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a listening socket of the service keeps its connections", a_listening_socket_of_the_service_keeps_its_connections},
        CU_TEST_INFO_NULL,
    };
    return run_suite("closed", tests);
}
