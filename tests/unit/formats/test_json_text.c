/* Numbers and text as JSON, value by value where there are few values: each digit count, each byte, each code point. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json_text.h"
#include "statements.h"

static void number_is(uint64_t value)
{
    char out[TTAP__JSON_NUMBER_BYTES + 1], expected[32];
    size_t expected_len = (size_t)snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
    memset(out, '#', sizeof out);
    CU_ASSERT_EQUAL_FATAL(ttap__json_unsigned(out, value), expected_len);
    CU_ASSERT_EQUAL_FATAL(memcmp(out, expected, expected_len), 0);
    CU_ASSERT_EQUAL_FATAL(out[expected_len], '#');
}

static void signed_number_is(int64_t value)
{
    char out[TTAP__JSON_NUMBER_BYTES], expected[32];
    size_t expected_len = (size_t)snprintf(expected, sizeof expected, "%lld", (long long)value);
    CU_ASSERT_EQUAL_FATAL(ttap__json_number(out, value), expected_len);
    CU_ASSERT_EQUAL_FATAL(memcmp(out, expected, expected_len), 0);
}

static void numbers_are_their_decimal_digits(void)
{
    for (uint64_t value = 0; value < 120000; value++)
        number_is(value);
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++, power *= 10)
        for (uint64_t near = 0; near < 120; near++) {
            number_is(power + near);
            number_is(power - 1 - near);
        }
    number_is(UINT64_MAX);
}

static void a_sign_comes_first_down_to_the_least_number(void)
{
    for (int64_t value = -1200; value < 1200; value++)
        signed_number_is(value);
    signed_number_is(INT64_MAX);
    signed_number_is(INT64_MIN);
    signed_number_is(INT64_MIN + 1);
}

/* What one text becomes; and each step advances and keeps to its length. */
static size_t escaped(const char *text, size_t len, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < len;) {
        memset(out + used, '#', TTAP__JSON_ESCAPED_BYTES_MAX + 1);
        size_t before = at, bytes = ttap__json_escaped(out + used, text, len, &at);
        CU_ASSERT_FATAL(at > before && at <= len && bytes >= 1 && bytes <= TTAP__JSON_ESCAPED_BYTES_MAX);
        for (size_t i = bytes; i <= TTAP__JSON_ESCAPED_BYTES_MAX; i++)
            CU_ASSERT_EQUAL_FATAL(out[used + i], '#'); /* nothing is written behind what it says */
        used += bytes;
    }
    out[used] = 0;
    return used;
}

static void text_becomes(const char *text, size_t len, const char *expected)
{
    char out[TTAP__JSON_ESCAPED_BYTES_MAX * 16 + 2];
    size_t used = escaped(text, len, out);
    if (used != strlen(expected) || strcmp(out, expected) != 0) {
        printf("(%s is not %s) ", out, expected);
        CU_FAIL_FATAL("escaped to something else");
    }
}

static void every_ascii_byte_is_itself_or_its_escape(void)
{
    for (int c = 0; c < 0x80; c++) {
        char text = (char)c, expected[8];
        static const char special[] = "\"\\\n\t\r", letters[] = "\"\\ntr";
        const char *found = c ? strchr(special, c) : NULL;
        if (found)
            snprintf(expected, sizeof expected, "\\%c", letters[found - special]);
        else if (c >= 0x20 && c < 0x7f)
            snprintf(expected, sizeof expected, "%c", c);
        else
            snprintf(expected, sizeof expected, "\\u%04x", (unsigned)c);
        text_becomes(&text, 1, expected);
        CU_ASSERT_EQUAL(ttap__json_plain_bytes(&text, 1, 0), strlen(expected) == 1);
    }
}

static size_t utf8_of(unsigned code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> len & 0xf0) | code);
    return len;
}

static void every_code_point_is_its_utf16_units_and_no_surrogate_is_one(void)
{
    for (unsigned code = 0x80; code <= 0x10ffff; code++) {
        char text[5], expected[40];
        size_t len = utf8_of(code, text);
        if (code >= 0xd800 && code < 0xe000)
            snprintf(expected, sizeof expected, "\\ufffd\\ufffd\\ufffd");
        else if (code < 0x10000)
            snprintf(expected, sizeof expected, "\\u%04x", code);
        else
            snprintf(expected, sizeof expected, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
        text_becomes(text, len, expected);
    }
}

static void what_is_no_utf8_is_marked_byte_by_byte(void)
{
    static const struct {
        const char *text, *expected;
    } wrong[] = {
        {"\x80", "\\ufffd"},
        {"\xbf", "\\ufffd"},
        {"\xc0\x80", "\\ufffd\\ufffd"},
        {"\xc1\xbf", "\\ufffd\\ufffd"}, /* overlong */
        {"\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd"},
        {"\xf0\x8f\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xf8\x88\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* beyond U+10FFFF */
        {"\xf8\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* whose last bits alone are U+10000 */
        {"\xf7\xbf\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xfe", "\\ufffd"},
        {"\xff\xff", "\\ufffd\\ufffd"},
        {"\xc3", "\\ufffd"},
        {"\xe2\x82", "\\ufffd\\ufffd"},
        {"\xf0\x9f\x98", "\\ufffd\\ufffd\\ufffd"}, /* cut */
        {"\xc3\x28", "\\ufffd("},
        {"\xe2\x28\xa1", "\\ufffd(\\ufffd"},
        {"\xe2\x82\xc0", "\\ufffd\\ufffd\\ufffd"}, /* no continuation */
        {"a\xc3\xa4z", "a\\u00e4z"},
        {"\xc3\xc3\xa4", "\\ufffd\\u00e4"}, /* found again behind the wrong byte */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        text_becomes(wrong[i].text, strlen(wrong[i].text), wrong[i].expected);
}

static void plain_bytes_are_counted_from_where_one_is(void)
{
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abc\"de", 6, 0), 3);
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abc\"de", 6, 1), 2);
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abc\"de", 6, 3), 0);
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abc\"de", 6, 4), 2);
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abcdef", 4, 0), 4);
    CU_ASSERT_EQUAL(ttap__json_plain_bytes("abcdef", 6, 6), 0);
}

/* Each text cut at each length, its last byte right before a page that must not be touched. */
static void no_byte_behind_the_text_is_read(void)
{
    static const char text[] = "a\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98";
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
         out[TTAP__JSON_ESCAPED_BYTES_MAX * sizeof text + 2];
    CU_ASSERT_FATAL(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    for (size_t len = 0; len < sizeof text; len++) {
        char *at_the_edge = memcpy(pages + page - len, text, len);
        escaped(at_the_edge, len, out);
        for (size_t at = 0; at <= len; at++)
            CU_ASSERT(ttap__json_plain_bytes(at_the_edge, len, at) <= len - at);
    }
    munmap(pages, 2 * page);
}

static CU_TestInfo statements[] = {
    {"numbers are their decimal digits", numbers_are_their_decimal_digits},
    {"a sign comes first, down to the least number", a_sign_comes_first_down_to_the_least_number},
    {"every ASCII byte is itself or its escape", every_ascii_byte_is_itself_or_its_escape},
    {"every code point is its UTF-16 units, and no surrogate is one", every_code_point_is_its_utf16_units_and_no_surrogate_is_one},
    {"what is no UTF-8 is marked byte by byte", what_is_no_utf8_is_marked_byte_by_byte},
    {"plain bytes are counted from where one is", plain_bytes_are_counted_from_where_one_is},
    {"no byte behind the text is read", no_byte_behind_the_text_is_read},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
