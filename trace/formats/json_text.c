#include "json_text.h"

#include <stdbool.h>
#include <string.h>

/* ---- Numbers ---- */

static const char digit_pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                     "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                                     "99";

static unsigned digits_of(uint64_t value)
{
    unsigned digits = 1;
    for (; value >= 10000; value /= 10000)
        digits += 4;
    return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

size_t ttap__json_unsigned(char *out, uint64_t value)
{
    if (value < 10) {
        out[0] = (char)('0' + value);
        return 1;
    }
    unsigned len = digits_of(value);
    char *at = out + len;
    for (; value >= 100; value /= 100)
        memcpy(at -= 2, &digit_pairs[value % 100 * 2], 2);
    if (value >= 10)
        memcpy(out, &digit_pairs[value * 2], 2);
    else
        out[0] = (char)('0' + value);
    return len;
}

size_t ttap__json_number(char *out, int64_t value)
{
    if (value >= 0)
        return ttap__json_unsigned(out, (uint64_t)value);
    out[0] = '-';
    return 1 + ttap__json_unsigned(out + 1, 0 - (uint64_t)value);
}

/* ---- Text ---- */

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

size_t ttap__json_plain_bytes(const char *text, size_t len, size_t at)
{
    size_t end = at;
    while (end < len && plain((unsigned char)text[end]))
        end++;
    return end - at;
}

static size_t escape_unit(char *out, uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++)
        out[2 + i] = hex[unit >> (12 - 4 * i) & 15];
    return 6;
}

static size_t escape_code_point(char *out, uint32_t code)
{
    if (code < 0x10000)
        return escape_unit(out, code);
    code -= 0x10000;
    return escape_unit(out, 0xd800 + (code >> 10)) + escape_unit(out + 6, 0xdc00 + (code & 0x3ff));
}

/* The code point at the beginning of @text and its length; 0 when it is not valid UTF-8. */
static size_t utf8(const unsigned char *text, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: below it the form is overlong */
    size_t need = text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf8 ? 4 : 0;
    if (need == 0 || need > len)
        return 0;
    *code = text[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3f);
    }
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[need] || *code > 0x10ffff || surrogate ? 0 : need;
}

static char short_escape(unsigned char c)
{
    return c == '"' || c == '\\' ? (char)c : c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 0;
}

size_t ttap__json_escaped(char out[TTAP__JSON_ESCAPED_BYTES_MAX], const char *text, size_t len, size_t *at)
{
    const unsigned char *c = (const unsigned char *)text + *at;
    uint32_t code;
    if (*c >= 0x80) {
        size_t taken = utf8(c, len - *at, &code);
        *at += taken ? taken : 1;
        return escape_code_point(out, taken ? code : 0xfffd);
    }
    ++*at;
    out[0] = plain(*c) ? (char)*c : '\\';
    if (plain(*c))
        return 1;
    out[1] = short_escape(*c);
    return out[1] ? 2 : escape_unit(out, *c);
}
