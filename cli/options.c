/* options.c - --name VALUE, --name=VALUE, -n VALUE, -nVALUE. Names must be whole: abbreviations stop working when
 * options are added. */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "text.h"

int cli_usage_error(const struct cli_command *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cli_error_v(format, args);
    va_end(args);
    cli_usage_print(command);
    return CLI_USAGE;
}

/* ---- Values ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "5", "0.25", ".5": no sign, no exponent, no blanks. */
static bool parse_seconds(const char *text, uint64_t max, struct cli_seconds *out)
{
    unsigned digits = 0, points = 0;

    for (const char *p = text; *p; p++) {
        if (!is_digit(*p) && *p != '.')
            return false;
        digits += is_digit(*p);
        points += *p == '.';
    }
    if (digits == 0 || points > 1)
        return false;
    *out = (struct cli_seconds){text, strtod(text, NULL)};
    return out->value > 0 && out->value <= (double)max;
}

/* The unit after a number of bytes as a shift; -1: none of ours. */
static int unit_shift(const char *unit)
{
    static const char units[] = "KMG";
    const char *found = *unit ? strchr(units, *unit) : NULL;

    if (!*unit)
        return 0;
    return found && !unit[1] ? (int)(found - units + 1) * 10 : -1;
}

static bool parse_count(const char *text, const struct cli_option *option, uint64_t *out)
{
    char *end;

    if (!is_digit(*text))
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    int shift = option->kind == CLI_BYTES ? unit_shift(end) : *end ? -1 : 0;
    if (errno || shift < 0 || number > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)number << shift;
    return *out >= option->min && *out <= option->max;
}

static bool is_folder(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

static int set_value(const struct cli_command *command, const struct cli_option *option, const char *text, void *values)
{
    void *target = (char *)values + option->offset;

    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)target = true;
        return CLI_OK;
    case CLI_TEXT:
        *(const char **)target = text;
        return *text ? CLI_OK : cli_usage_error(command, "--%s: %s must not be empty", option->name, option->value);
    case CLI_FOLDER:
        *(const char **)target = text;
        return is_folder(text) ? CLI_OK : cli_usage_error(command, "--%s %s: must be a folder that exists", option->name, text);
    case CLI_SECONDS:
        if (parse_seconds(text, option->max, target))
            return CLI_OK;
        return cli_usage_error(command, "--%s %s: must be a number of seconds above 0 and up to %llu, such as 5 or 0.25", option->name, text,
                               (unsigned long long)option->max);
    case CLI_COUNT:
    case CLI_BYTES:
        break;
    }
    if (parse_count(text, option, target))
        return CLI_OK;
    return cli_usage_error(command, "--%s %s: must be a whole number from %llu to %llu%s", option->name, text, (unsigned long long)option->min,
                           (unsigned long long)option->max, option->kind == CLI_BYTES ? "; K, M or G may follow" : "");
}

/* ---- Arguments ---- */

static const struct cli_option *find_long(const struct cli_command *command, const char *name, size_t len)
{
    for (const struct cli_option *option = command->options; option->name; option++)
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_command *command, char letter)
{
    for (const struct cli_option *option = command->options; option->name; option++)
        if (option->letter == letter && letter)
            return option;
    return NULL;
}

struct cursor {
    int argc;
    char **argv;
    int at;
};

/* @attached: the value within the same argument, or NULL. */
static int take_option(const struct cli_command *command, const struct cli_option *option, const char *attached, struct cursor *cursor, void *values)
{
    if (option->kind == CLI_FLAG && attached)
        return cli_usage_error(command, "--%s takes no value", option->name);
    if (option->kind != CLI_FLAG && !attached) {
        if (cursor->at == cursor->argc)
            return cli_usage_error(command, "--%s needs a value: %s", option->name, option->value);
        attached = cursor->argv[cursor->at++];
    }
    return set_value(command, option, attached, values);
}

static int take_long(const struct cli_command *command, const char *argument, struct cursor *cursor, void *values)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    const struct cli_option *option = find_long(command, name, equals ? (size_t)(equals - name) : strlen(name));

    if (!option)
        return cli_usage_error(command, "%s: no such option of tracetap %s", argument, command->name);
    return take_option(command, option, equals ? equals + 1 : NULL, cursor, values);
}

static int take_short(const struct cli_command *command, const char *argument, struct cursor *cursor, void *values)
{
    const struct cli_option *option = find_letter(command, argument[1]);

    if (!option)
        return cli_usage_error(command, "%s: no such option of tracetap %s", argument, command->name);
    return take_option(command, option, argument[2] ? argument + 2 : NULL, cursor, values);
}

static int take_operand(const struct cli_command *command, const char *argument, unsigned *count, const char **operands)
{
    if (*count == command->operands_max)
        return cli_usage_error(command, "%s: one argument too many", argument);
    if (!*argument)
        return cli_usage_error(command, "%s must not be empty", command->arguments);
    operands[(*count)++] = argument;
    return CLI_OK;
}

int cli_options_parse(const struct cli_command *command, int argc, char **argv, void *values, const char **operands)
{
    struct cursor cursor = {argc, argv, 0};
    unsigned count = 0;
    bool options_over = false;
    int result = CLI_OK;

    memset(operands, 0, CLI_OPERANDS_MAX * sizeof *operands);
    while (cursor.at < argc && result == CLI_OK) {
        const char *argument = argv[cursor.at++];
        if (options_over || argument[0] != '-' || !argument[1])
            result = take_operand(command, argument, &count, operands);
        else if (strcmp(argument, "--") == 0)
            options_over = true;
        else if (argument[1] == '-')
            result = take_long(command, argument, &cursor, values);
        else
            result = take_short(command, argument, &cursor, values);
    }
    if (result == CLI_OK && count < command->operands_min)
        return cli_usage_error(command, "%s is missing", command->arguments);
    return result;
}
