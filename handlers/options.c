/* options.c - the options of an endpoint: defaults, limits, and a sentence for each that is wrong. */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static _Thread_local char error_text[TTAP__ERROR_BYTES];

char *ttap__options_error_buffer(void)
{
    return error_text;
}

const char *ttap_http_error(void)
{
    return error_text;
}

int ttap__options_error(int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    return error;
}

static int check_limits(const struct ttap_http_opts *opts)
{
    if (!(opts->seconds_max >= 0.001 && opts->seconds_max <= 3600)) /* refuses NaN too */
        return ttap__options_error(-EINVAL, "seconds_max is %g; allowed is 0.001 to 3600", opts->seconds_max);
    if (opts->captures_max < 1 || opts->captures_max > 16)
        return ttap__options_error(-EINVAL, "captures_max is %u; allowed is 1 to 16", opts->captures_max);
    if (opts->connections_max < 4 || opts->connections_max > 1024)
        return ttap__options_error(-EINVAL, "connections_max is %u; allowed is 4 to 1024", opts->connections_max);
    return 0;
}

static int check_static_dir(const char *dir)
{
    struct stat info;
    if (!dir)
        return 0;
    if (stat(dir, &info) != 0)
        return ttap__options_error(-errno, "static_dir %s: %s", dir, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return ttap__options_error(-ENOTDIR, "static_dir %s is not a directory", dir);
    return 0;
}

int ttap__options_take(const struct ttap_http_opts *given, struct ttap_http_opts *out)
{
    error_text[0] = 0;
    *out = (struct ttap_http_opts)TTAP_HTTP_OPTS_INIT;
    /* Fields are only ever appended: what an older caller does not have keeps its default, what a newer one has
     * beyond ours is refused. */
    if (given && given->size > sizeof *out)
        return ttap__options_error(-EINVAL, "size is %zu; this library knows options of up to %zu bytes", given->size, sizeof *out);
    if (given && given->size < offsetof(struct ttap_http_opts, unix_path))
        return ttap__options_error(-EINVAL, "size is %zu; set the options with TTAP_HTTP_OPTS_INIT", given->size);
    if (given)
        memcpy(out, given, given->size);
    out->size = sizeof *out;
    if (!out->address)
        out->address = "127.0.0.1";
    int error = check_limits(out);
    return error ? error : check_static_dir(out->static_dir);
}
