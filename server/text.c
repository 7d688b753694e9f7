/* text.c - time, sentences, and text from outside made harmless. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

enum { LOG_LINES_PER_S = 10, LOG_TEXT_BYTES = 400, LOG_LINE_BYTES = 4 * LOG_TEXT_BYTES + 1 /* all of it escaped */ };

uint64_t ttap__now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * TTAP__NS_PER_MS + (uint64_t)now.tv_nsec;
}

int ttap__say(char *error, size_t error_size, int result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error_size)
        vsnprintf(error, error_size, format, args);
    va_end(args);
    return result;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '\\';
}

size_t ttap__escape_plain(char *out, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        size_t need = is_plain(c) ? 1 : 4;
        if (used + need + 1 > size)
            break;
        if (need == 1)
            out[used] = (char)c;
        else
            snprintf(out + used, 5, "\\x%02x", c);
        used += need;
    }
    if (size)
        out[used] = 0;
    return used;
}

/* ---- JSON ---- */

static unsigned continuation(const unsigned char *at, unsigned count, unsigned bits)
{
    for (unsigned i = 1; i <= count; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0; /* the terminating NUL is one of those: nothing is read behind it */
        bits = bits << 6 | (at[i] & 0x3fu);
    }
    return bits;
}

/* The character at @at, and how many bytes it takes; U+FFFD and 1 where the bytes are not UTF-8. */
static unsigned utf8_next(const unsigned char *at, unsigned *taken)
{
    static const unsigned smallest[4] = {0, 0x80, 0x800, 0x10000};
    unsigned count = at[0] < 0x80 ? 0 : (at[0] & 0xe0) == 0xc0 ? 1 : (at[0] & 0xf0) == 0xe0 ? 2 : (at[0] & 0xf8) == 0xf0 ? 3 : 4;
    unsigned c = at[0];
    *taken = 1;
    if (count == 0)
        return c;
    if (count == 4)
        return 0xfffd;
    c = continuation(at, count, at[0] & (0x3fu >> count));
    if (c < smallest[count] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0xfffd;
    *taken = count + 1;
    return c;
}

static int json_char(char *out, size_t size, unsigned c)
{
    if (c == '"' || c == '\\')
        return snprintf(out, size, "\\%c", (int)c);
    if (c >= 0x20 && c < 0x7f && c != '<') /* "</script>" must not come about, wherever this is shown */
        return snprintf(out, size, "%c", (int)c);
    if (c < 0x10000)
        return snprintf(out, size, "\\u%04x", c);
    c -= 0x10000;
    return snprintf(out, size, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

size_t ttap__escape_json(char *out, size_t size, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0;
    unsigned taken;
    for (; *at; at += taken) {
        char one[16];
        size_t len = (size_t)json_char(one, sizeof one, utf8_next(at, &taken));
        if (used + len + 1 > size)
            break;
        memcpy(out + used, one, len);
        used += len;
    }
    if (size)
        out[used] = 0;
    return used;
}

/* ---- Log ---- */

/* Whether one more line may go out this second; *@dropped is how many did not since the last that did. */
static bool log_allowed(struct ttap__server *server, unsigned *dropped)
{
    uint64_t second = ttap__now_ns() / (1000 * TTAP__NS_PER_MS);
    if (second != server->log_second) {
        server->log_second = second;
        server->log_lines = 0;
    }
    if (server->log_lines >= LOG_LINES_PER_S) {
        server->log_dropped++;
        return false;
    }
    server->log_lines++;
    *dropped = server->log_dropped;
    server->log_dropped = 0;
    return true;
}

void ttap__log_v(struct ttap__server *server, const char *format, va_list args)
{
    char text[LOG_TEXT_BYTES], line[LOG_LINE_BYTES + 48];
    unsigned dropped;
    if (!server->log)
        return;
    vsnprintf(text, sizeof text, format, args);
    for (size_t len = strlen(text); len && text[len - 1] == '\n'; len--)
        text[len - 1] = 0;
    pthread_mutex_lock(&server->log_lock);
    if (log_allowed(server, &dropped)) {
        size_t used = dropped ? (size_t)snprintf(line, 48, "(%u lines left out) ", dropped) : 0;
        ttap__escape_plain(line + used, LOG_LINE_BYTES, text);
        server->log(server->log_arg, line);
    }
    pthread_mutex_unlock(&server->log_lock);
}

void ttap__log(struct ttap__server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ttap__log_v(server, format, args);
    va_end(args);
}
