/* trial.c - see trial.h. */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "assets.h"

extern const struct ttap__assets ttap__trial_files;

bool trial_wait(const _Atomic int *counter, int at_least)
{
    const struct timespec one_ms = {0, 1000000};
    for (double until = http_now_s() + 10; http_now_s() < until; nanosleep(&one_ms, NULL))
        if (*counter >= at_least)
            return true;
    return false;
}

static void on_hello(struct ttap__request *req, void *arg)
{
    static const char *const choices[] = {"red", "green", NULL};
    struct trial *trial = arg;
    uint64_t seconds_ns = 1000000000, n = 7, set = 0;
    int choice = 0;
    char text[128];
    if (!ttap__param_seconds(req, "seconds", 300, &seconds_ns) || !ttap__param_u64(req, "n", 1, 99, &n) ||
        !ttap__param_choice(req, "choice", choices, &choice) || !ttap__param_set(req, "set", choices, &set))
        return;
    trial->hellos++;
    snprintf(text, sizeof text, "ns=%llu n=%llu choice=%d set=%llu\n", (unsigned long long)seconds_ns, (unsigned long long)n, choice,
             (unsigned long long)set);
    ttap__reply(req, 200, "text/plain", text, strlen(text), NULL);
}

static void on_post(struct ttap__request *req, void *arg)
{
    size_t len;
    const void *body = ttap__request_body(req, &len);
    (void)arg;
    ttap__reply(req, 200, "application/json", body, len, NULL);
}

static void on_id(struct ttap__request *req, void *arg)
{
    const char *id = ttap__request_path_arg(req);
    (void)arg;
    ttap__reply(req, 200, "text/plain", id, strlen(id), NULL);
}

static void on_files(struct ttap__request *req, void *arg)
{
    struct trial *trial = arg;
    if (trial->directory)
        ttap__assets_reply_from(req, trial->directory, ttap__request_path_arg(req));
    else
        ttap__assets_reply(req, &ttap__trial_files, ttap__request_path_arg(req));
}

/* ---- Streams ---- */

struct quiet {
    struct trial *trial;
    struct ttap__stream *stream;
    bool greeted, gone; /* gone: atomic */
};

static long read_quiet(void *arg, void *buf, size_t max)
{
    struct quiet *quiet = arg;
    (void)max;
    if (__atomic_load_n(&quiet->gone, __ATOMIC_SEQ_CST))
        return TTAP__STREAM_END;
    if (quiet->greeted)
        return TTAP__STREAM_WAIT;
    quiet->greeted = true;
    memcpy(buf, "begun\n", 6);
    return 6;
}

static long read_flood(void *arg, void *buf, size_t max)
{
    struct quiet *quiet = arg;
    if (__atomic_load_n(&quiet->gone, __ATOMIC_SEQ_CST))
        return TTAP__STREAM_END;
    memset(buf, 'x', max);
    return (long)max;
}

static void on_gone(void *arg)
{
    struct quiet *quiet = arg;
    quiet->trial->gone_at_s = http_now_s();
    __atomic_store_n(&quiet->gone, true, __ATOMIC_SEQ_CST);
    quiet->trial->gone++;
}

static void on_free(void *arg)
{
    struct quiet *quiet = arg;
    quiet->trial->freed++;
    free(quiet);
}

static void begin(struct ttap__request *req, struct trial *trial, const struct ttap__stream_ops *ops)
{
    struct quiet *quiet = calloc(1, sizeof *quiet);
    if (!quiet)
        abort();
    quiet->trial = trial;
    trial->streams++;
    ttap__reply_stream(req, 200, "text/plain", NULL, ops, quiet, &trial->limits, &quiet->stream);
}

static void on_stream(struct ttap__request *req, void *arg)
{
    static const struct ttap__stream_ops ops = {read_quiet, on_gone, on_free};
    begin(req, arg, &ops);
}

static void on_flood(struct ttap__request *req, void *arg)
{
    static const struct ttap__stream_ops ops = {read_flood, on_gone, on_free};
    begin(req, arg, &ops);
}

/* ---- The server ---- */

static void on_log(void *arg, const char *line)
{
    struct trial *trial = arg;
    size_t used = strlen(trial->log);
    snprintf(trial->log + used, sizeof trial->log - used, "%s\n", line);
    trial->log_lines++;
}

static const char *const params[] = {"seconds", "n", "choice", "set", NULL};
static const struct ttap__route routes[] = {
    {"/hello", TTAP__GET | TTAP__HEAD, on_hello, params, 0, 0},
    {"/post", TTAP__POST | TTAP__PUT, on_post, NULL, 0, 100},
    {"/act/{id}/stop", TTAP__POST, on_id, NULL, 0, 0},
    {"/del/{id}", TTAP__GET | TTAP__DELETE, on_id, NULL, 0, 0},
    {"/plain", TTAP__GET, on_hello, params, TTAP__ROUTE_PLAIN_ERRORS, 0},
    {"/open", TTAP__GET, on_hello, params, TTAP__ROUTE_PUBLIC, 0},
    {"/stream", TTAP__GET | TTAP__HEAD, on_stream, NULL, TTAP__ROUTE_STREAMS, 0},
    {"/flood", TTAP__GET, on_flood, NULL, TTAP__ROUTE_STREAMS, 0},
    {"/ui/{rest}", TTAP__GET | TTAP__HEAD, on_files, NULL, TTAP__ROUTE_PUBLIC, 0},
};

void trial_fill(struct trial *trial, struct ttap__server_config *config)
{
    config->routes = routes;
    config->route_count = sizeof routes / sizeof *routes;
    config->arg = trial;
    config->log = on_log;
    config->log_arg = trial;
}

void trial_start(struct trial *trial, struct ttap__server_config config)
{
    trial_fill(trial, &config);
    trial->result = ttap__server_start(&config, &trial->server, trial->error, sizeof trial->error);
    if (trial->result == 0)
        trial->port = ttap__server_port(trial->server);
}

void trial_stop(struct trial *trial)
{
    ttap__server_stop(trial->server);
    trial->server = NULL;
}
