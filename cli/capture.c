/* capture.c - `tracetap capture`: ask a running service for a capture and put it into a file.
 *
 *      reply bytes --> file (FILE.part, renamed at the end)
 *                 `--> tally, when they are in the native format: figures for the progress line and the summary
 * What has come is kept whatever happens afterwards: a native capture that was cut can be read to its last whole block.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "cli.h"
#include "file_name.h"
#include "kinds.h"
#include "output.h"
#include "progress.h"
#include "reply.h"
#include "tally.h"
#include "text.h"
#include "token.h"
#include "transfer.h"

enum {
    SECONDS_MAX = 3600, /* the most a service can be set to allow */
    QUIET_S = 30,       /* silence beyond the window before giving up: a stream says something about once a second */
    HTTP_OK = 200
};

struct values {
    struct cli_seconds seconds;
    const char *output, *format, *events, *sample, *token_file, *unix_path;
    uint64_t bytes, samples, long_wait_us, alloc_samples;
};

static const struct cli_option options[] = {
    {"seconds", 's', "N", CLI_SECONDS, offsetof(struct values, seconds), 0, SECONDS_MAX, "length of the window (default 5)"},
    {"output", 'o', "FILE", CLI_TEXT, offsetof(struct values, output), 0, 0,
     "where to write; - for standard output (default: the name the service\nproposes, in this folder; an existing file "
     "is not replaced)"},
    {"format", 'f', "F", CLI_TEXT, offsetof(struct values, format), 0, 0, "native (default; every other tracetap command reads it), json, ..."},
    {"events", 'e', "LIST", CLI_TEXT, offsetof(struct values, events), 0, 0,
     "only these groups: task,region,log,counter,queue,gc,sched,lock,net,file,sleep,alloc"},
    {"sample", 0, "RULE", CLI_TEXT, offsetof(struct values, sample), 0, 0,
     "which tasks to keep: a rate such as 0.01, or rates by kind: 0.01,checkout=1"},
    {"samples", 0, "HZ", CLI_COUNT, offsetof(struct values, samples), 1, 1000,
     "stacks of running threads, 1 to 1000 in a second of CPU time, and of long waits"},
    {"long-wait", 0, "US", CLI_COUNT, offsetof(struct values, long_wait_us), 1, 1000000,
     "with --samples: which waits are long, in microseconds (default 1000)"},
    {"alloc-samples", 0, "BYTES", CLI_BYTES, offsetof(struct values, alloc_samples), 1024, 1 << 30,
     "stacks of allocations, one in so many bytes of a thread: 1K to 1G; 512K is usual"},
    {"bytes", 0, "N", CLI_BYTES, offsetof(struct values, bytes), 4096, UINT64_C(1) << 40,
     "end the window early after this many bytes; K, M or G may follow"},
    {"token-file", 0, "FILE", CLI_TEXT, offsetof(struct values, token_file), 0, 0, "send the token in this file"},
    {"unix", 0, "SOCKET", CLI_TEXT, offsetof(struct values, unix_path), 0, 0, "connect to this unix socket; ADDRESS then is not needed"},
    CLI_OPTIONS_END,
};

/* ---- One capture ---- */

struct capture {
    const struct values *values;
    struct cli_transfer transfer;
    struct cli_progress progress;
    struct cli_output output;
    struct cli_tally *tally; /* NULL: not native */
    bool opened;
    struct cli_reply instead; /* of a capture */
    int failure;              /* negative errno of opening or writing the output */
};

/* By what comes, not by what was asked for: the URL may name a format too. */
static bool is_native(const char *bytes, size_t len)
{
    static const char magic[] = TTAP__WIRE_MAGIC;

    return memcmp(bytes, magic, len < sizeof magic - 1 ? len : sizeof magic - 1) == 0;
}

static int open_output(struct capture *capture)
{
    char name[CLI_FILE_NAME_SIZE];

    if (capture->values->output)
        return cli_output_open(&capture->output, capture->values->output);
    cli_file_name_from_header(capture->transfer.disposition, "capture.ttap", name);
    return cli_output_open_new(&capture->output, name);
}

static int on_body(void *arg, const void *bytes, size_t len)
{
    struct capture *capture = arg;

    if (capture->transfer.status != HTTP_OK)
        return cli_reply_keep(&capture->instead, bytes, len);
    cli_progress_started(&capture->progress);
    if (!capture->opened) {
        capture->failure = open_output(capture);
        capture->tally = is_native(bytes, len) ? cli_tally_new() : NULL;
    }
    if (capture->failure)
        return -1;
    capture->opened = true;
    cli_tally_feed(capture->tally, bytes, len);
    capture->failure = cli_output_write(&capture->output, bytes, len);
    return capture->failure;
}

static void on_tick(void *arg)
{
    struct capture *capture = arg;
    struct cli_progress_figures figures = {.bytes = capture->output.bytes};

    figures.counted = cli_tally_so_far(capture->tally, &figures.events, &figures.lost);
    cli_progress_draw(&capture->progress, &figures);
}

/* ---- The end ---- */

static void print_loss(const struct ttap__stat_result *result)
{
    char lost[CLI_FIGURE_SIZE];

    if (result->lost[0])
        fprintf(stderr, "%s events were lost; tracetap stat says why.\n", cli_text_count(result->lost[0], lost));
    else
        fputs("Nothing was lost.\n", stderr);
}

/* One paragraph on standard error: standard output may be the capture. */
static void print_summary(const struct capture *capture)
{
    const struct ttap__stat_result *result = cli_tally_finish(capture->tally);
    const char *name = cli_output_name(&capture->output);
    char events[CLI_FIGURE_SIZE], window[CLI_FIGURE_SIZE], bytes[CLI_FIGURE_SIZE], safe[512];

    cli_text_escape(name, strlen(name), safe, sizeof safe);
    cli_text_bytes(capture->output.bytes, bytes);
    if (result && result->has_header) {
        fprintf(stderr, "%s events in %s, %s, in %s%s. ", cli_text_count(result->delivered, events), cli_text_duration(result->window_ns, window),
                bytes, safe, result->truncated ? " (cut)" : "");
        print_loss(result);
    } else {
        fprintf(stderr, "%s in %s.\n", bytes, safe);
    }
    if (capture->output.part_name && result)
        fprintf(stderr, "Next: tracetap view %s\n", safe);
}

static int commit(struct capture *capture)
{
    int result = cli_output_commit(&capture->output);

    if (result == 0)
        return CLI_OK;
    cli_error("%s: %s", cli_output_name(&capture->output), strerror(-result));
    return CLI_FAILED;
}

/* The transfer did not end by itself; what came is worth keeping if there is any. */
static int keep_what_came(struct capture *capture, const char *why, int exit_code)
{
    const char *readable = capture->tally ? "it can be read to its last whole block" : "the document in it is not whole";

    if (!capture->opened) {
        cli_error("%s; nothing had come", why);
        return exit_code;
    }
    if (commit(capture) != CLI_OK)
        return CLI_FAILED;
    cli_error("%s; kept what came: %s", why, readable);
    print_summary(capture);
    return exit_code;
}

/* Also when it could not be opened. */
static const char *output_name(const struct capture *capture)
{
    if (capture->output.fd >= 0 || capture->output.name)
        return cli_output_name(&capture->output);
    return capture->values->output ? capture->values->output : "the current folder";
}

static int finish(struct capture *capture, enum cli_transfer_end end)
{
    char why[CLI_TRANSFER_TEXT_SIZE + 128];

    if (capture->failure) {
        cli_error("%s: %s", output_name(capture), strerror(-capture->failure));
        return CLI_FAILED;
    }
    if (end == CLI_TRANSFER_DONE && capture->transfer.status != HTTP_OK)
        return cli_reply_refused(&capture->instead, capture->transfer.url, capture->transfer.status);
    if (end == CLI_TRANSFER_INTERRUPTED && cli_transfer_was_signalled())
        return keep_what_came(capture, "interrupted", CLI_INTERRUPTED);
    if (end == CLI_TRANSFER_FAILED && !capture->transfer.status) {
        cli_error("%s: %s", capture->transfer.url, capture->transfer.error);
        return CLI_FAILED;
    }
    if (end != CLI_TRANSFER_DONE) {
        snprintf(why, sizeof why, "the connection failed: %s", capture->transfer.error);
        return keep_what_came(capture, why, CLI_FAILED);
    }
    if (!capture->opened) {
        cli_error("%s: the service sent nothing", capture->transfer.url);
        return CLI_FAILED;
    }
    int result = commit(capture);
    if (result == CLI_OK)
        print_summary(capture);
    return result;
}

static int transfer(const struct values *values, const char *url, const char *token)
{
    struct capture capture = {
        .values = values,
        .output = CLI_OUTPUT_NONE,
        .transfer = {.url = url,
                     .token = token,
                     .unix_path = values->unix_path,
                     .quiet_s = values->seconds.value + QUIET_S,
                     .body = on_body,
                     .tick = on_tick,
                     .arg = &capture},
    };

    cli_progress_begin(&capture.progress, values->seconds.value);
    enum cli_transfer_end end = cli_transfer_run(&capture.transfer);
    cli_progress_end(&capture.progress);
    int result = finish(&capture, end);
    if (capture.output.fd >= 0)
        cli_output_discard(&capture.output);
    cli_output_free(&capture.output);
    cli_tally_free(capture.tally);
    cli_reply_free(&capture.instead);
    return result;
}

/* ---- The command line ---- */

static char *make_url(const struct values *values, const char *address)
{
    char error[CLI_TRANSFER_TEXT_SIZE], bytes[24], samples[24], long_wait_us[24], alloc_samples[24];
    char *url;
    const struct cli_param params[] = {
        {"seconds", values->seconds.text},
        {"format", values->format},
        {"events", values->events},
        {"sample", values->sample},
        {"samples", values->samples ? samples : NULL},
        {"long_wait_us", values->long_wait_us ? long_wait_us : NULL},
        {"alloc_samples", values->alloc_samples ? alloc_samples : NULL},
        {"bytes", values->bytes ? bytes : NULL},
        {NULL, NULL},
    };

    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)values->bytes);
    snprintf(samples, sizeof samples, "%llu", (unsigned long long)values->samples);
    snprintf(long_wait_us, sizeof long_wait_us, "%llu", (unsigned long long)values->long_wait_us);
    snprintf(alloc_samples, sizeof alloc_samples, "%llu", (unsigned long long)values->alloc_samples);
    if (cli_address_url(address, params, &url, error, sizeof error))
        return url;
    cli_usage_error(&cli_capture, "%s", error);
    return NULL;
}

/* A window in the URL stands, but the progress line must know it. */
static void set_default_seconds(struct values *values, const char *address)
{
    char in_url[32];

    if (values->seconds.text)
        return;
    if (cli_address_param(address, "seconds", in_url, sizeof in_url))
        values->seconds.value = atof(in_url);
    else
        values->seconds = (struct cli_seconds){"5", 5};
}

static int run(int argc, char **argv)
{
    struct values values = {0};
    char token[CLI_TOKEN_SIZE], in_url[32];
    const char *address;
    int result = cli_options_parse(&cli_capture, argc, argv, &values, &address);

    if (result != CLI_OK)
        return result;
    if (!address && !values.unix_path)
        return cli_usage_error(&cli_capture, "ADDRESS is missing: where the service listens, such as localhost:6060");
    if (!address)
        address = "http://localhost";
    set_default_seconds(&values, address);
    if (values.long_wait_us && !values.samples && !cli_address_param(address, "samples", in_url, sizeof in_url))
        return cli_usage_error(
            &cli_capture, "--long-wait %llu: which calls are told with their stacks, and without --samples none are; give it, such as --samples 99",
            (unsigned long long)values.long_wait_us);
    if (values.token_file && !cli_token_read(values.token_file, token))
        return CLI_FAILED;
    char *url = make_url(&values, address);
    if (!url)
        return CLI_USAGE;
    result = transfer(&values, url, values.token_file ? token : NULL);
    free(url);
    return result;
}

const struct cli_command cli_capture = {
    .name = "capture",
    .arguments = "ADDRESS",
    .summary = "record a running service into a file",
    .details = "Asks the tracetap endpoint at ADDRESS for a capture and writes it to a file. ADDRESS is HOST:PORT, :PORT (on\n"
               "this machine) or a whole URL; the path is /debug/trace unless the URL has one.\n"
               "Ctrl-C ends it early; what has come is kept and can be read.\n",
    .options = options,
    .operands_max = 1,
    .run = run,
};
