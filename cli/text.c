/* text.c - figures and hostile text for people's eyes. */
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 4096 };

/* Length of the well-formed UTF-8 sequence at @p; 0: none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const unsigned char first_min[] = {0, 0x00, 0xc2, 0xe0, 0xf0}, first_max[] = {0, 0x7f, 0xdf, 0xef, 0xf4};
    size_t len = 1;

    while (len <= 4 && (p[0] < first_min[len] || p[0] > first_max[len]))
        len++;
    if (len > 4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong_or_surrogate =
        (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong_or_surrogate ? 0 : len;
}

static bool is_control(const unsigned char *p)
{
    return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

/* The same, for what may go to a terminal. */
static size_t printable_length(const unsigned char *p, size_t left)
{
    size_t len = utf8_length(p, left);

    return len && is_control(p) ? 0 : len;
}

char *cli_text_utf8(const char *text, size_t len, char *out, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t used = 0;

    for (size_t at = 0; at < len;) {
        size_t whole = utf8_length((const unsigned char *)text + at, len - at);
        size_t width = whole ? whole : sizeof replacement - 1;
        if (used + width + 1 > size)
            break;
        memcpy(out + used, whole ? text + at : replacement, width);
        used += width;
        at += whole ? whole : 1;
    }
    out[used] = 0;
    return out;
}

char *cli_text_escape(const char *text, size_t len, char *out, size_t size)
{
    enum { ESCAPE = 4 /* \xNN */, ELLIPSIS = 3, END = 1 };
    size_t used = 0;

    for (size_t at = 0; at < len;) {
        const unsigned char *p = (const unsigned char *)text + at;
        size_t whole = printable_length(p, len - at);
        size_t width = whole ? whole : (size_t)ESCAPE;
        if (used + width + ELLIPSIS + END > size) {
            used += (size_t)snprintf(out + used, size - used, "...");
            break;
        }
        if (whole)
            memcpy(out + used, p, whole);
        else
            snprintf(out + used, ESCAPE + END, "\\x%02x", *p);
        used += width;
        at += whole ? whole : 1;
    }
    out[used] = 0;
    return out;
}

void cli_error_v(const char *format, va_list args)
{
    char message[MESSAGE_SIZE], safe[MESSAGE_SIZE];

    vsnprintf(message, sizeof message, format, args);
    fprintf(stderr, "tracetap: %s\n", cli_text_escape(message, strlen(message), safe, sizeof safe));
}

void cli_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cli_error_v(format, args);
    va_end(args);
}

char *cli_text_count(uint64_t value, char out[CLI_FIGURE_SIZE])
{
    char digits[CLI_FIGURE_SIZE];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

/* @value in the largest unit in which it is at least 1. */
static char *scaled(double value, double step, const char *const *units, size_t unit_count, int decimals, char *out)
{
    size_t unit = 0;

    while (unit + 1 < unit_count && value >= step) {
        value /= step;
        unit++;
    }
    snprintf(out, CLI_FIGURE_SIZE, "%.*f %s", unit ? decimals : 0, value, units[unit]);
    return out;
}

char *cli_text_bytes(uint64_t bytes, char out[CLI_FIGURE_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};

    return scaled((double)bytes, 1024, units, sizeof units / sizeof *units, 1, out);
}

char *cli_text_duration(uint64_t ns, char out[CLI_FIGURE_SIZE])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};

    return scaled((double)ns, 1000, units, sizeof units / sizeof *units, 3, out);
}
