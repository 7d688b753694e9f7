/* serve.c - an outside program that serves captures: starts the endpoint on a free port and stops it. */
#include <tracetap/http.h>

#include <stdio.h>

int main(void)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;

    opts.port = 0;
    if (ttap_http_start(&opts, &http) != 0) {
        fprintf(stderr, "%s\n", ttap_http_error());
        return 1;
    }
    printf("port %d\n", ttap_http_port(http));
    ttap_http_stop(http);
    return 0;
}
