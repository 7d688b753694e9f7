/* doctor.c - `tracetap doctor`: what can be recorded, what is missing, and the line that turns it on.
 *
 *   nothing -> this machine as the calling user: what a program started by `tracetap run` now would get, tried out
 *   PID     -> a process that runs: read from /proc (checkup.c)
 *   URL     -> what the endpoint says of itself: every source, tried out where it counts
 */
#define _GNU_SOURCE
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "capture.h"
#include "checkup.h"
#include "cli.h"
#include "reply.h"
#include "text.h"
#include "token.h"
#include "transfer.h"

enum { HTTP_OK = 200, QUIET_S = 10 };

struct values {
    bool json;
    const char *token_file, *unix_path;
};

static const struct cli_option options[] = {
    {"json", 0, NULL, CLI_FLAG, offsetof(struct values, json), 0, 0, "one JSON object (its keys: docs/cli.md)"},
    {"token-file", 0, "FILE", CLI_TEXT, offsetof(struct values, token_file), 0, 0, "send the token in this file"},
    {"unix", 0, "SOCKET", CLI_TEXT, offsetof(struct values, unix_path), 0, 0, "ask the endpoint on this unix socket; URL then is not needed"},
    CLI_OPTIONS_END,
};

/* ---- The verdict ---- */

static const char *const tiers[] = {
    "T0: threads are looked at some times a second",
    "T1: every switch is recorded, not who woke whom",
    "T2: every switch is recorded, and who woke whom",
};

static bool any(const struct cli_checkup *checkup, enum cli_check_state state)
{
    for (unsigned i = 0; i < checkup->count; i++)
        if (checkup->checks[i].state == state)
            return true;
    return false;
}

/* A program that cannot be recorded; all else that is impossible only leaves something out. */
static bool is_unfit(const struct cli_checkup *checkup)
{
    for (unsigned i = 0; i < checkup->count; i++)
        if (checkup->checks[i].state == CLI_CHECK_IMPOSSIBLE && strcmp(checkup->checks[i].name, "program") == 0)
            return true;
    return false;
}

static int exit_code(const struct cli_checkup *checkup)
{
    if (is_unfit(checkup))
        return CLI_UNFIT;
    return any(checkup, CLI_CHECK_MISSING) || any(checkup, CLI_CHECK_UNKNOWN) ? CLI_INCOMPLETE : CLI_OK;
}

static void print_text(const struct cli_checkup *checkup)
{
    bool tiered = checkup->tier >= 0 && checkup->tier < (int)(sizeof tiers / sizeof *tiers);
    printf("%s\n%s\n\n", checkup->subject,
           is_unfit(checkup) ? "cannot be recorded"
           : tiered          ? tiers[checkup->tier]
                             : "no source of scheduler events");
    for (unsigned i = 0; i < checkup->count; i++) {
        const struct cli_check *check = &checkup->checks[i];
        printf("  %-10s  %-16s  %s\n", cli_check_states[check->state], check->name, check->what);
        for (int line = 0; line < CLI_CHECK_LINES && check->enable[line][0]; line++)
            printf("  %-10s  %-16s  %s %s\n", "", "", line ? "or:" : "->", check->enable[line]);
    }
}

static json_t *text_json(const char *text)
{
    char valid[3 * CLI_CHECK_TEXT];
    return json_string(cli_text_utf8(text, strlen(text), valid, sizeof valid));
}

static json_t *check_json(const struct cli_check *check)
{
    json_t *lines = json_array();
    for (int line = 0; line < CLI_CHECK_LINES && check->enable[line][0]; line++)
        json_array_append_new(lines, text_json(check->enable[line]));
    return json_pack("{s:o,s:s,s:o,s:o}", "name", text_json(check->name), "state", cli_check_states[check->state], "what", text_json(check->what),
                     "enable", lines);
}

static void print_json(const struct cli_checkup *checkup)
{
    json_t *checks = json_array();
    for (unsigned i = 0; i < checkup->count; i++)
        json_array_append_new(checks, check_json(&checkup->checks[i]));
    json_t *tier = checkup->tier >= 0 ? json_integer(checkup->tier) : json_null();
    json_t *whole =
        json_pack("{s:o,s:o,s:b,s:o}", "subject", text_json(checkup->subject), "tier", tier, "recordable", !is_unfit(checkup), "checks", checks);
    json_dumpf(whole, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(whole);
}

/* ---- This machine ---- */

/* A trial counts more than what /proc lets one expect. */
static void check_by_trial(struct cli_checkup *checkup)
{
    char why[CLI_CHECK_TEXT], line[CLI_CHECK_TEXT];
    bool on;
    const char *name;
    for (unsigned at = 0; (name = ttap__source_status(at, &on, why, line, sizeof why)); at++) {
        int tier = ttap__source_tier(at);
        if (tier < 0)
            continue;
        checkup->tier = tier;
        struct cli_check *check = cli_checkup_add(checkup, name, *line ? CLI_CHECK_MISSING : CLI_CHECK_OK, "tried: %s", why);
        snprintf(check->enable[0], sizeof check->enable[0], "%s", line);
    }
}

static int examine_machine(struct cli_checkup *checkup)
{
    snprintf(checkup->subject, sizeof checkup->subject, "this machine, as user %u", (unsigned)geteuid());
    cli_checkup_rights(checkup, (int)getpid());
    check_by_trial(checkup);
    return CLI_OK;
}

static int examine_process(struct cli_checkup *checkup, const char *operand)
{
    errno = 0;
    unsigned long pid = strtoul(operand, NULL, 10);
    if (errno == 0 && pid > 0 && pid <= INT32_MAX && cli_checkup_process(checkup, (int)pid))
        return CLI_OK;
    cli_error("%s: there is no such process; a port is written :%s", operand, operand);
    return CLI_FAILED;
}

/* ---- An endpoint ---- */

static int keep(void *arg, const void *bytes, size_t len)
{
    return cli_reply_keep(arg, bytes, len);
}

static void no_tick(void *arg)
{
    (void)arg;
}

/* Of the source's own words; what cannot be had has no line that turns it on. */
static void check_source(struct cli_checkup *checkup, json_t *source)
{
    const char *name = json_string_value(json_object_get(source, "name")), *state = json_string_value(json_object_get(source, "state"));
    const char *why = json_string_value(json_object_get(source, "why")), *line = json_string_value(json_object_get(source, "enable"));
    char safe_name[48], safe_why[CLI_CHECK_TEXT];
    if (!name || !state || !why || !line)
        return;
    json_t *tier = json_object_get(source, "tier");
    if (json_is_integer(tier))
        checkup->tier = (int)json_integer_value(tier);
    bool on = strcmp(state, "on") == 0;
    cli_text_escape(name, strlen(name), safe_name, sizeof safe_name);
    cli_text_escape(why, strlen(why), safe_why, sizeof safe_why);
    struct cli_check *check = cli_checkup_add(checkup, safe_name,
                                              *line ? CLI_CHECK_MISSING
                                              : on  ? CLI_CHECK_OK
                                                    : CLI_CHECK_IMPOSSIBLE,
                                              "%s: %s", on ? "on" : "off", safe_why);
    if (!*why)
        check->what[on ? 2 : 3] = 0;
    cli_text_escape(line, strlen(line), check->enable[0], sizeof check->enable[0]);
}

static int read_status(struct cli_checkup *checkup, const struct cli_reply *reply, const char *url)
{
    json_t *status = json_loadb(reply->bytes ? reply->bytes : "", reply->len, 0, NULL), *sources = json_object_get(status, "sources"), *source;
    const char *exe = json_string_value(json_object_get(status, "exe"));
    char safe[128] = "";
    size_t at;
    if (!json_is_array(sources)) {
        cli_error("%s answered, but not with a status; is it a tracetap endpoint?", url);
        json_decref(status);
        return CLI_FAILED;
    }
    if (exe)
        cli_text_escape(exe, strlen(exe), safe, sizeof safe);
    snprintf(checkup->subject, sizeof checkup->subject, "%.256s: %s, process %d, tracetap %.32s", url, safe,
             (int)json_integer_value(json_object_get(status, "pid")),
             json_is_string(json_object_get(status, "version")) ? json_string_value(json_object_get(status, "version")) : "?");
    json_array_foreach(sources, at, source) check_source(checkup, source);
    json_decref(status);
    return CLI_OK;
}

static char *status_url(const char *address)
{
    static const struct cli_param none[] = {{NULL, NULL}};
    char error[CLI_TRANSFER_TEXT_SIZE], *base, *url = NULL;
    if (!cli_address_url(address, none, &base, error, sizeof error)) {
        cli_usage_error(&cli_doctor, "%s", error);
        return NULL;
    }
    size_t len = strcspn(base, "?");
    while (len && base[len - 1] == '/')
        len--;
    bool whole = len >= 7 && strncmp(base + len - 7, "/status", 7) == 0;
    if (asprintf(&url, "%.*s%s", (int)len, base, whole ? "" : "/status") < 0)
        url = NULL;
    free(base);
    return url;
}

static int ask(struct cli_checkup *checkup, const struct values *values, const char *url, const char *token)
{
    struct cli_reply reply = {0};
    struct cli_transfer transfer = {
        .url = url, .token = token, .unix_path = values->unix_path, .quiet_s = QUIET_S, .body = keep, .tick = no_tick, .arg = &reply};
    int result = CLI_FAILED;
    enum cli_transfer_end end = cli_transfer_run(&transfer);
    if (end == CLI_TRANSFER_INTERRUPTED && cli_transfer_was_signalled())
        result = CLI_INTERRUPTED;
    else if (end != CLI_TRANSFER_DONE)
        cli_error("%s: %s", url, transfer.error);
    else if (transfer.status != HTTP_OK)
        result = cli_reply_refused(&reply, url, transfer.status);
    else
        result = read_status(checkup, &reply, url);
    cli_reply_free(&reply);
    return result;
}

static int examine_endpoint(struct cli_checkup *checkup, const struct values *values, const char *address)
{
    char token[CLI_TOKEN_SIZE];
    if (values->token_file && !cli_token_read(values->token_file, token))
        return CLI_FAILED;
    char *url = status_url(address ? address : "http://localhost");
    if (!url)
        return CLI_USAGE;
    int result = ask(checkup, values, url, values->token_file ? token : NULL);
    free(url);
    return result;
}

/* ---- The command ---- */

static int examine(struct cli_checkup *checkup, const struct values *values, const char *operand)
{
    if (!operand && !values->unix_path)
        return examine_machine(checkup);
    if (operand && operand[strspn(operand, "0123456789")] == 0)
        return examine_process(checkup, operand);
    return examine_endpoint(checkup, values, operand);
}

static int run(int argc, char **argv)
{
    struct values values = {0};
    const char *operand;
    int result = cli_options_parse(&cli_doctor, argc, argv, &values, &operand);
    if (result != CLI_OK)
        return result;
    struct cli_checkup *checkup = calloc(1, sizeof *checkup);
    if (!checkup) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    checkup->tier = -1;
    result = examine(checkup, &values, operand);
    if (result == CLI_OK) {
        (values.json ? print_json : print_text)(checkup);
        result = exit_code(checkup);
    }
    free(checkup);
    return result;
}

const struct cli_command cli_doctor = {
    .name = "doctor",
    .arguments = "[URL|PID]",
    .summary = "what can be recorded, what is missing, and the line that turns it on",
    .details = "Tells what tracetap can see: of this machine as you are; of a process, by its number, from /proc; of a "
               "service, by the\n"
               "address of its endpoint (HOST:PORT, :PORT or a URL), in its own words. For what is missing it says the "
               "line that turns\n"
               "it on: of a systemd unit, a docker run, or a sysctl.\n"
               "Exit codes: 0 nothing is missing, 3 something is and could be had, 4 the process cannot be recorded as "
               "it is,\n"
               "1 it could not be found out, 2 wrong usage.\n",
    .options = options,
    .operands_max = 1,
    .run = run,
};
