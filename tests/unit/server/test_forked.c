/* test_forked.c - a server once lived on in a forked child: the parent was gone, its port taken, its clients waiting. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

static struct trial trial;

/* Returns when fork() has come back in the child too: only then has it let go of what it inherited. */
static pid_t fork_a_sleeper(void)
{
    int awake[2];
    char byte = 1;
    CU_ASSERT_EQUAL_FATAL(pipe(awake), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (write(awake[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    CU_ASSERT_EQUAL(read(awake[0], &byte, 1), 1);
    close(awake[0]);
    close(awake[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void the_port_is_free_while_a_child_lives(void)
{
    trial_start(&trial, (struct ttap__server_config){0});
    CU_ASSERT_EQUAL_FATAL(trial.result, 0);
    uint16_t port = trial.port;
    pid_t child = fork_a_sleeper();
    trial_stop(&trial);
    int fd = http_connect(port, 0);
    CU_ASSERT(fd < 0); /* with the child holding the socket this would connect, and hang */
    trial_start(&trial, (struct ttap__server_config){.port = port});
    CU_ASSERT_EQUAL(trial.result, 0);
    if (trial.result == 0)
        trial_stop(&trial);
    end(child);
}

static void a_client_sees_the_end_while_a_child_lives(void)
{
    static struct http_reply reply;
    trial_start(&trial, (struct ttap__server_config){0});
    int fd = http_connect(trial.port, 0);
    CU_ASSERT(http_send_text(fd, GET("/stream")) && http_read_until(fd, "begun\n", 5000));
    pid_t child = fork_a_sleeper();
    trial_stop(&trial);
    http_read(fd, &reply, 5000);
    CU_ASSERT(reply.closed);
    close(fd);
    end(child);
}

static void a_child_that_stops_the_server_returns_at_once(void)
{
    trial_start(&trial, (struct ttap__server_config){0});
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        trial_stop(&trial);
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    static struct http_reply reply;
    CU_ASSERT_EQUAL(http_ask(trial.port, GET("/hello"), &reply), 200);
    trial_stop(&trial);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"the port is free while a child lives", the_port_is_free_while_a_child_lives},
        {"a client sees the end while a child lives", a_client_sees_the_end_while_a_child_lives},
        {"a child that stops the server returns at once", a_child_that_stops_the_server_returns_at_once},
        CU_TEST_INFO_NULL,
    };
    return run_suite("forked", tests);
}
