/* trial.h - a server with a handful of routes, for the tests of this folder.
 *
 *   /hello (GET HEAD; seconds n choice set)  /post (POST 100 bytes)  /act/{id}/stop (POST)  /del/{id} (DELETE)  /plain (plain errors)
 *   /open (PUBLIC)  /stream (quiet until the trial says otherwise)  /flood (endless)  /ui/{rest} (files) */
#ifndef TTAP_TESTS_TRIAL_H
#define TTAP_TESTS_TRIAL_H

#include "http_client.h"
#include "server.h"

struct trial {
    struct ttap__server *server;
    uint16_t port;
    char error[512];
    int result;
    _Atomic int hellos, streams, gone, freed;
    _Atomic double gone_at_s;
    struct ttap__stream_limits limits;
    const char *directory; /* /ui/ from here; NULL: from the table */
    char log[4096];        /* lines so far */
    int log_lines;
};

/** Routes and log are filled in; the rest of @config counts. */
void trial_start(struct trial *trial, struct ttap__server_config config);
void trial_stop(struct trial *trial);
/** The routes by themselves. */
void trial_fill(struct trial *trial, struct ttap__server_config *config);
/** Wait until *@counter >= @at_least; false after 10 s. */
bool trial_wait(const _Atomic int *counter, int at_least);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

#endif
