/* stat.c - `tracetap stat`: what is in a capture, as tables for people or as JSON for programs. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "input.h"
#include "stat.h"
#include "text.h"

struct values {
    bool json;
};

static const struct cli_option options[] = {
    {"json", 0, NULL, CLI_FLAG, offsetof(struct values, json), 0, 0, "one JSON object (its keys: docs/cli.md)"},
    CLI_OPTIONS_END,
};

static const char *const loss_names[] = {"total", "full", "nested", "queue", "late", "stall"};
_Static_assert(sizeof loss_names / sizeof *loss_names == TTAP__LOSS_REASONS + 1, "a name for each reason");

static const char *clock_name(unsigned clock)
{
    switch (clock) {
    case TTAP__CLOCK_TSC:
        return "tsc";
    case TTAP__CLOCK_MONOTONIC:
        return "monotonic";
    case TTAP__CLOCK_CNTVCT:
        return "cntvct";
    }
    return "unknown";
}

static double drainer_ns_per_event(const struct ttap__stat_result *result)
{
    return result->emitted ? (double)result->drainer_cpu_ns / (double)result->emitted : 0;
}

/* ---- JSON ---- */

/* Names come from the traced program. Counts stay below 2^63: a file of that many events does not exist, and a forged
 * one only gets what it forged. */
static void set_text(json_t *object, const char *key, const char *text)
{
    char valid[3 * TTAP__STAT_SENTENCE_BYTES];

    json_object_set_new(object, key, json_string(cli_text_utf8(text, strlen(text), valid, sizeof valid)));
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static json_t *json_losses(const uint64_t lost[TTAP__LOSS_REASONS + 1])
{
    json_t *object = json_object();

    for (size_t i = 0; i <= TTAP__LOSS_REASONS; i++)
        set_count(object, loss_names[i], lost[i]);
    return object;
}

static json_t *json_capture(const struct ttap__stat_result *result)
{
    json_t *object = json_object(), *notes = json_object();
    char unix_ns[24], version[16];

    snprintf(unix_ns, sizeof unix_ns, "%" PRIu64, result->start_unix_ns);
    snprintf(version, sizeof version, "%u.%u", result->major, result->minor);
    set_text(object, "version", version);
    set_text(object, "exe", result->exe);
    set_count(object, "pid", result->pid);
    set_count(object, "cpus", result->cpus);
    set_text(object, "producer", result->producer);
    set_text(object, "sample", result->sample);
    set_count(object, "groups", result->groups);
    set_text(object, "clock", clock_name(result->clock));
    set_text(object, "started_unix_ns", unix_ns);
    set_count(object, "asked_ns", result->asked_ns);
    set_count(object, "window_ns", result->window_ns);
    set_count(object, "budget_bytes", result->budget_bytes);
    for (size_t i = 0; i < result->notes_count; i++) {
        char key[3 * TTAP__STAT_TEXT_BYTES];
        const char *text = result->notes[i].key;
        set_text(notes, cli_text_utf8(text, strlen(text), key, sizeof key), result->notes[i].value);
    }
    json_object_set_new(object, "notes", notes);
    return object;
}

static json_t *json_kinds(const struct ttap__stat_result *result)
{
    json_t *array = json_array();

    for (size_t i = 0; i < result->kinds_count; i++) {
        json_t *row = json_object();
        set_count(row, "number", result->kinds[i].number);
        set_text(row, "name", result->kinds[i].name);
        set_count(row, "delivered", result->kinds[i].delivered);
        json_array_append_new(array, row);
    }
    return array;
}

static json_t *json_states(const struct ttap__stat_thread *thread)
{
    static const char *const names[TTAP__STATES] = {"unknown", "running", "runnable", "blocked", "gone"};
    json_t *states = json_object();

    for (int state = 0; state < TTAP__STATES; state++)
        set_count(states, names[state], thread->state_ns[state]);
    set_count(states, "estimated", thread->estimated_ns);
    return states;
}

static json_t *json_threads(const struct ttap__stat_result *result)
{
    json_t *array = json_array();

    for (size_t i = 0; i < result->threads_count; i++) {
        const struct ttap__stat_thread *thread = &result->threads[i];
        json_t *row = json_object();
        set_count(row, "thread", thread->thread);
        set_count(row, "pid", thread->pid);
        set_count(row, "tid", thread->tid);
        set_text(row, "name", thread->name);
        set_count(row, "delivered", thread->delivered);
        set_count(row, "signal_delivered", thread->signal_delivered);
        set_count(row, "filtered", thread->filtered);
        set_count(row, "sampled_out", thread->sampled_out);
        json_object_set_new(row, "lost", json_losses(thread->lost));
        if (thread->has_states)
            json_object_set_new(row, "state_ns", json_states(thread));
        json_array_append_new(array, row);
    }
    return array;
}

static int print_json(const struct cli_input *input, const struct ttap__stat_result *result)
{
    json_t *root = json_object();

    set_text(root, "file", input->name);
    json_object_set_new(root, "capture", json_capture(result));
    set_count(root, "offered", result->offered);
    set_count(root, "sampled_out", result->sampled_out);
    set_count(root, "emitted", result->emitted);
    set_count(root, "filtered", result->filtered);
    set_count(root, "delivered", result->delivered);
    json_object_set_new(root, "lost", json_losses(result->lost));
    set_text(root, "identity", result->identity);
    json_object_set_new(root, "truncated", json_boolean(result->truncated));
    set_text(root, "reason", result->reason_name);
    set_text(root, "problem", result->problem);
    set_count(root, "blocks", result->blocks);
    set_count(root, "bytes", result->bytes);
    json_object_set_new(root, "bytes_per_event", json_real(result->bytes_per_event));
    set_count(root, "drainer_cpu_ns", result->drainer_cpu_ns);
    json_object_set_new(root, "drainer_ns_per_event", json_real(drainer_ns_per_event(result)));
    json_object_set_new(root, "kinds", json_kinds(result));
    json_object_set_new(root, "threads", json_threads(result));
    set_count(root, "threads_untold", result->threads_untold);
    int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    putchar('\n');
    return failed ? CLI_FAILED : CLI_OK;
}

/* ---- Tables ---- */

static const char *safe(const char *text, char out[3 * TTAP__STAT_SENTENCE_BYTES])
{
    return cli_text_escape(text, strlen(text), out, 3 * TTAP__STAT_SENTENCE_BYTES);
}

static void print_head(const struct cli_input *input, const struct ttap__stat_result *result)
{
    char text[3 * TTAP__STAT_SENTENCE_BYTES], figure[CLI_FIGURE_SIZE], when[32];
    time_t seconds = (time_t)(result->start_unix_ns / 1000000000u);
    struct tm utc;

    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime_r(&seconds, &utc) ? &utc : &(struct tm){.tm_mday = 1});
    printf("%s: ", safe(input->name, text));
    printf("%s (pid %" PRIu64 "), ", safe(result->exe, text), result->pid);
    printf("%s from %s UTC, ", cli_text_duration(result->window_ns, figure), when);
    printf("%s\n", safe(result->producer, text));
    if (result->sample[0])
        printf("  sampled: %s\n", safe(result->sample, text));
    for (size_t i = 0; i < result->notes_count; i++) {
        printf("  %s: ", safe(result->notes[i].key, text));
        printf("%s\n", safe(result->notes[i].value, text));
    }
    printf("  ended: %s\n", result->reason_name);
    if (result->truncated)
        printf("  truncated: no trailer, all figures are lower bounds\n");
    if (result->problem[0])
        printf("  problem: %s\n", safe(result->problem, text));
    printf("  identity: %s\n", safe(result->identity, text));
}

static void print_figure(const char *name, uint64_t value)
{
    char figure[CLI_FIGURE_SIZE];

    printf("  %-20s %15s\n", name, cli_text_count(value, figure));
}

static void print_totals(const struct ttap__stat_result *result)
{
    char name[32];

    printf("\nevents\n");
    print_figure("offered", result->offered);
    print_figure("- sampled out", result->sampled_out);
    print_figure("= emitted", result->emitted);
    print_figure("- filtered", result->filtered);
    print_figure("- lost", result->lost[0]);
    print_figure("= delivered", result->delivered);
    for (size_t i = 1; i <= TTAP__LOSS_REASONS; i++) {
        snprintf(name, sizeof name, "lost: %s", loss_names[i]);
        if (result->lost[i])
            print_figure(name, result->lost[i]);
    }
    printf("\ncost\n");
    print_figure("bytes", result->bytes);
    printf("  %-20s %15.2f\n", "bytes per event", result->bytes_per_event);
    printf("  %-20s %15.1f\n", "drainer ns per event", drainer_ns_per_event(result));
}

static void print_kinds(const struct ttap__stat_result *result)
{
    char text[3 * TTAP__STAT_SENTENCE_BYTES];

    printf("\nby kind\n");
    for (size_t i = 0; i < result->kinds_count; i++)
        if (result->kinds[i].delivered)
            print_figure(safe(result->kinds[i].name, text), result->kinds[i].delivered);
}

static void print_threads(const struct ttap__stat_result *result)
{
    char name[3 * TTAP__STAT_SENTENCE_BYTES], delivered[CLI_FIGURE_SIZE], filtered[CLI_FIGURE_SIZE];
    char lost[CLI_FIGURE_SIZE], sampled_out[CLI_FIGURE_SIZE];

    printf("\nby thread %10s %15s %12s %12s %12s  name\n", "tid", "delivered", "filtered", "lost", "sampled out");
    for (size_t i = 0; i < result->threads_count; i++) {
        const struct ttap__stat_thread *thread = &result->threads[i];
        printf("  %18" PRIu64 " %15s %12s %12s %12s  %s\n", thread->tid, cli_text_count(thread->delivered, delivered),
               cli_text_count(thread->filtered, filtered), cli_text_count(thread->lost[0], lost), cli_text_count(thread->sampled_out, sampled_out),
               thread->thread ? safe(thread->name, name) : "(without a record)");
    }
    if (result->threads_untold)
        printf("  and %" PRIu64 " threads more\n", result->threads_untold);
}

static bool any_states(const struct ttap__stat_result *result)
{
    for (size_t i = 0; i < result->threads_count; i++)
        if (result->threads[i].has_states)
            return true;
    return false;
}

static double percent(uint64_t ns, const struct ttap__stat_result *result)
{
    return result->window_ns ? 100.0 * (double)ns / (double)result->window_ns : 0;
}

/* How each thread spent the window. */
static void print_states(const struct ttap__stat_result *result)
{
    char name[3 * TTAP__STAT_SENTENCE_BYTES];

    if (!any_states(result))
        return;
    printf("\n%% of window %8s %10s %10s %10s %10s %10s %10s  name\n", "tid", "running", "runnable", "blocked", "gone", "unknown", "estimated");
    for (size_t i = 0; i < result->threads_count; i++) {
        const struct ttap__stat_thread *thread = &result->threads[i];
        if (thread->has_states)
            printf("  %18" PRIu64 " %10.2f %10.2f %10.2f %10.2f %10.2f %10.2f  %s\n", thread->tid,
                   percent(thread->state_ns[TTAP__STATE_RUNNING], result), percent(thread->state_ns[TTAP__STATE_RUNNABLE], result),
                   percent(thread->state_ns[TTAP__STATE_BLOCKED], result), percent(thread->state_ns[TTAP__STATE_GONE], result),
                   percent(thread->state_ns[TTAP__STATE_UNKNOWN], result), percent(thread->estimated_ns, result), safe(thread->name, name));
    }
}

/* ---- The command ---- */

static int feed_all(struct cli_input *input, struct ttap__stat *stat)
{
    char bytes[65536];
    ssize_t count;
    int result = 0;

    while ((count = cli_input_read(input, bytes, sizeof bytes)) > 0 && result == 0)
        result = ttap__stat_feed(stat, bytes, (size_t)count);
    if (count < 0)
        return (int)count;
    if (result == -ENOMEM)
        cli_error("%s: no memory", input->name);
    return result == -EBADMSG ? 0 : result; /* damage is in the result */
}

static int print(const struct cli_input *input, const struct ttap__stat_result *result, bool json)
{
    if (!result->has_header) {
        cli_error("%s: %s", input->name, result->problem[0] ? result->problem : "cut before its header was whole");
        return CLI_FAILED;
    }
    if (json)
        return print_json(input, result);
    print_head(input, result);
    print_totals(result);
    print_kinds(result);
    print_threads(result);
    print_states(result);
    return CLI_OK;
}

static int stat_of(struct cli_input *input, bool json)
{
    if (cli_input_kind(input) != CLI_INPUT_NATIVE)
        return cli_input_refuse(input, "a tracetap capture");
    struct ttap__stat *stat = ttap__stat_new();
    if (!stat) {
        cli_error("%s: no memory", input->name);
        return CLI_FAILED;
    }
    int result = feed_all(input, stat) == 0 ? print(input, ttap__stat_finish(stat), json) : CLI_FAILED;
    ttap__stat_free(stat);
    return result;
}

static int run(int argc, char **argv)
{
    struct values values = {0};
    struct cli_input input;
    const char *name;
    int result = cli_options_parse(&cli_stat, argc, argv, &values, &name);

    if (result != CLI_OK)
        return result;
    if (cli_input_open(&input, name) < 0)
        return CLI_FAILED;
    result = stat_of(&input, values.json);
    cli_input_close(&input);
    return result;
}

const struct cli_command cli_stat = {
    .name = "stat",
    .arguments = "FILE",
    .summary = "how many events a capture has, of what and of whom, and what is missing",
    .details = "Counts a native capture: by kind, by thread, and what was lost and why. FILE may be - for standard input.\n"
               "A capture that was cut is counted to its last whole block.\n",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
