/* hello - the smallest traced service: the endpoint, and a loop whose requests are tasks with a region inside.
 *
 *      ./hello &
 *      curl -o hello.ttap 'localhost:6060/debug/trace?seconds=2'        or press Capture on http://localhost:6060/
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tracetap/http.h>

static void handle_request(int number)
{
    struct ttap_task task;
    TTAP_TASK_BEGIN(&task, "request", NULL);
    TTAP_TASK_ATTR_INT(&task, "number", number);
    {
        TTAP_TASK_SCOPE(&task);
        TTAP_REGION("work");
        usleep(2000);
    }
    ttap_task_end(&task);
}

int main(int argc, char **argv)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;

    if (argc > 1)
        opts.port = (uint16_t)atoi(argv[1]); /* 0: any free one */
    if (ttap_http_start(&opts, &http) != 0) {
        fprintf(stderr, "hello: %s\n", ttap_http_error());
        return 1;
    }
    printf("hello: http://127.0.0.1:%u/\n", ttap_http_port(http));
    fflush(stdout);
    for (int number = 1;; number++)
        handle_request(number);
}
