/* pipeline - the demo service: start, say where everything is, wait, stop in order.
 *
 * The files, in the order a request meets them: load.c sends it, service.c receives it, stages.c (with queue.c, pool.c
 * and crew.c) works on it, trouble.c gets in its way. What belongs to tracetap are the ttap_ calls in them and the few
 * lines in start_endpoint().
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tracetap/http.h>

#include "load.h"
#include "options.h"
#include "service.h"
#include "trouble.h"

static struct ttap_http *start_endpoint(const struct options *options)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;

    opts.address = options->listen_address;
    opts.port = options->listen_port;
    opts.token_file = options->token_file;
    if (ttap_http_start(&opts, &http) == 0)
        return http;
    fprintf(stderr, "pipeline: %s\n", ttap_http_error());
    return NULL;
}

/* Blocked before any thread exists, so that all inherit it and only wait_for_stop() sees them. */
static sigset_t block_stop_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return set;
}

static void wait_for_stop(const sigset_t *signals, unsigned seconds)
{
    struct timespec most = {seconds, 0};

    while (sigtimedwait(signals, NULL, seconds ? &most : NULL) < 0 && errno == EINTR)
        ;
}

static void print_addresses(const struct options *options, const struct ttap_http *http)
{
    const char *address = options->listen_address;
    int ipv6 = strchr(address, ':') != NULL;

    printf("application: http://127.0.0.1:%u/item/1\n", service_port());
    printf("tracetap:    http://%s%s%s:%u/\n", ipv6 ? "[" : "", address, ipv6 ? "]" : "", ttap_http_port(http));
    if (options->no_load)
        printf("load:        none\n");
    else
        printf("load:        %u requests/s\n", options->rate_hz);
    printf("trouble:    %s%s%s%s%s\n", options->slow_lock ? " slow-lock" : "", options->small_queue ? " small-queue" : "",
           options->alloc_pressure ? " alloc-pressure" : "", options->oversubscribe ? " oversubscribe" : "",
           options->slow_lock || options->small_queue || options->alloc_pressure || options->oversubscribe ? "" : " none");
    fflush(stdout);
}

static void print_totals(void)
{
    struct service_totals totals = service_totals();

    printf("served:      %lu requests, %lu of them failed\n", totals.served, totals.failed);
}

static int run(const struct options *options, const sigset_t *signals, const struct ttap_http *http)
{
    bool troubled = trouble_start(options); /* before the stages, which ask it at each request */
    bool serving = troubled && service_start(options);
    bool good = serving && (options->no_load || load_start(service_port(), options->rate_hz));

    if (good) {
        print_addresses(options, http);
        wait_for_stop(signals, options->seconds);
    } else if (troubled && !serving) {
        fprintf(stderr, "pipeline: cannot start the application on 127.0.0.1, port %u\n", options->app_port);
    } else {
        fputs("pipeline: cannot start its threads\n", stderr);
    }
    load_stop();
    if (serving)
        service_stop();
    trouble_stop();
    if (good)
        print_totals();
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int exit_code = options_parse(argc, argv, &options);

    if (exit_code >= 0)
        return exit_code;
    sigset_t signals = block_stop_signals();
    ttap_thread_name("main");
    struct ttap_http *http = start_endpoint(&options);
    if (!http)
        return 1;
    exit_code = run(&options, &signals, http);
    ttap_http_stop(http);
    return exit_code;
}
