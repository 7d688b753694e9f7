/* convert.c - `tracetap convert`: a native capture to another format.
 *
 *      FILE --> ttap__convert --> OUT (OUT.part, renamed)
 *          `--> tally: was it whole?
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "document.h"
#include "convert.h"
#include "input.h"
#include "lines.h"
#include "output.h"
#include "tally.h"
#include "text.h"

struct values {
    const char *format, *output;
    struct cli_lines_wish lines;
};

static const struct cli_option options[] = {
    {"format", 'f', "F", CLI_TEXT, offsetof(struct values, format), 0, 0, "the format to write (default json)"},
    {"output", 'o', "OUT", CLI_TEXT, offsetof(struct values, output), 0, 0,
     "where to write; - for standard output (default: FILE with the format's\nextension; standard output if FILE is "
     "-)"},
    CLI_LINES_OPTIONS(values),
    CLI_OPTIONS_END,
};

static const struct ttap__format *find_format(const char *name)
{
    for (const struct ttap__format *format = ttap__formats; format->name; format++)
        if (strcmp(format->name, name) == 0)
            return format;
    return NULL;
}

static int unknown_format(const char *name)
{
    char list[256] = "";
    size_t used = 0;

    for (const struct ttap__format *format = ttap__formats; format->name && used < sizeof list; format++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", format->name);
    return cli_usage_error(&cli_convert, "--format %s: must be one of %s", name, list);
}

/* "dir/svc.ttap" -> "dir/svc.json". NULL: no memory. */
static char *name_with_extension(const char *name, const char *extension)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash + 1 : name, '.');
    int stem = dot && dot != name && dot[-1] != '/' ? (int)(dot - name) : (int)strlen(name);
    char *out;

    return asprintf(&out, "%.*s.%s", stem, name, extension) < 0 ? NULL : out;
}

static bool is_same_file(const struct cli_input *input, const char *name)
{
    struct stat in, out;

    return fstat(input->fd, &in) == 0 && stat(name, &out) == 0 && S_ISREG(in.st_mode) && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

static int write_out(void *arg, const void *bytes, size_t len)
{
    return cli_output_write(arg, bytes, len);
}

enum { SAID = 1 /* failed, and already reported */ };

/* Feeds everything; a damaged capture is no error here, but what was read of it ends there. */
static int feed_all(struct cli_input *input, struct ttap__convert *convert, struct cli_tally *tally)
{
    char bytes[65536];
    ssize_t count = 0;
    int result = 0;

    while (result == 0 && (count = cli_input_read(input, bytes, sizeof bytes)) > 0) {
        cli_tally_feed(tally, bytes, (size_t)count);
        result = ttap__convert_feed(convert, bytes, (size_t)count);
    }
    if (count < 0)
        return SAID;
    if (result == 0 || result == -EBADMSG)
        result = ttap__convert_finish(convert);
    return result;
}

static void warn_if_cut(const struct cli_input *input, struct cli_tally *tally)
{
    const struct ttap__stat_result *result = cli_tally_finish(tally);

    if (result && result->truncated)
        cli_error("warning: %s was cut; what came before is converted%s%s", input->name, result->problem[0] ? ": " : "", result->problem);
}

/* Not even the header was whole. */
static int say_unreadable(const struct cli_input *input, struct cli_tally *tally)
{
    const struct ttap__stat_result *result = cli_tally_finish(tally);

    cli_error("%s: %s", input->name, result && result->problem[0] ? result->problem : strerror(EBADMSG));
    return SAID;
}

static int convert_all(struct cli_input *input, struct cli_output *output, const struct ttap__format *format, const struct cli_lines_wish *wish)
{
    struct ttap__convert *convert = ttap__convert_new(format->name, write_out, output);
    struct cli_tally *tally = cli_tally_new();
    struct cli_lines *lines = cli_lines_new(wish);
    if (convert)
        ttap__convert_may_hold(convert, CLI_CONVERT_BYTES_MAX);
    if (convert && lines)
        ttap__convert_lines(convert, cli_lines_find, lines);
    int result = convert && tally ? feed_all(input, convert, tally) : -ENOMEM;

    if (result == 0)
        warn_if_cut(input, tally);
    if (result == -EBADMSG)
        result = say_unreadable(input, tally);
    ttap__convert_free(convert);
    cli_tally_free(tally);
    cli_lines_free(lines);
    return result;
}

static int convert_to(struct cli_input *input, const char *name, const struct ttap__format *format, const struct cli_lines_wish *wish)
{
    struct cli_output output;
    int result = cli_output_open(&output, name);

    if (result == 0) {
        result = convert_all(input, &output, format, wish);
        if (result == 0)
            result = cli_output_commit(&output);
        else
            cli_output_discard(&output);
    }
    if (result < 0)
        cli_error("%s: %s", strcmp(name, "-") == 0 ? "standard output" : name, strerror(-result));
    cli_output_free(&output);
    return result == 0 ? CLI_OK : CLI_FAILED;
}

static int run_on(struct cli_input *input, const char *output_name, const struct ttap__format *format, const struct cli_lines_wish *wish)
{
    if (cli_input_kind(input) != CLI_INPUT_NATIVE)
        return cli_input_refuse(input, "a tracetap capture");
    if (is_same_file(input, output_name))
        return cli_usage_error(&cli_convert, "%s: is the file that is read; name another with -o", output_name);
    return convert_to(input, output_name, format, wish);
}

static int run(int argc, char **argv)
{
    struct values values = {.format = "json"};
    struct cli_input input;
    const char *name;
    int result = cli_options_parse(&cli_convert, argc, argv, &values, &name);

    if (result != CLI_OK)
        return result;
    const struct ttap__format *format = find_format(values.format);
    if (!format)
        return unknown_format(values.format);
    if (cli_input_open(&input, name) < 0)
        return CLI_FAILED;
    char *output_name = values.output ? strdup(values.output) : strcmp(name, "-") == 0 ? strdup("-") : name_with_extension(name, format->extension);
    result = output_name ? run_on(&input, output_name, format, &values.lines) : CLI_FAILED;
    free(output_name);
    cli_input_close(&input);
    return result;
}

const struct cli_command cli_convert = {
    .name = "convert",
    .arguments = "FILE",
    .summary = "a capture in another format",
    .details = "Writes the native capture FILE (- for standard input) in another format. A capture that was cut is converted\n"
               "as far as it goes, with a warning.\n",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
