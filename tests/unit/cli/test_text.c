/* test_text.c - hostile text stays text, and figures read as people write them. */
#include <string.h>

#include "text.h"
#include "statements.h"

static void escapes_to(const char *in, size_t len, const char *expected)
{
    char out[256];

    CU_ASSERT_STRING_EQUAL(cli_text_escape(in, len, out, sizeof out), expected);
}
#define ESCAPES_TO(in, expected) escapes_to(in, sizeof(in) - 1, expected)

static void plain_text_and_utf8_pass(void)
{
    ESCAPES_TO("plain", "plain");
    ESCAPES_TO("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void control_characters_are_shown_not_sent(void)
{
    ESCAPES_TO("\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m");
    ESCAPES_TO("a\nb\rc\0d\x7f", "a\\x0ab\\x0dc\\x00d\\x7f");
    ESCAPES_TO("\xc2\x9b"
               "31m",
               "\\xc2\\x9b31m"); /* CSI as one C1 character */
}

static void broken_utf8_is_shown_byte_by_byte(void)
{
    ESCAPES_TO("\xc3", "\\xc3");
    ESCAPES_TO("\xe2\x82", "\\xe2\\x82");
    ESCAPES_TO("\xc0\xaf", "\\xc0\\xaf");          /* overlong */
    ESCAPES_TO("\xe0\x80\xaf", "\\xe0\\x80\\xaf"); /* overlong */
    ESCAPES_TO("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
    ESCAPES_TO("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    ESCAPES_TO("\xff", "\\xff");
}

static void long_text_is_cut_with_dots_at_every_size(void)
{
    static const char text[] = "ab\xe2\x82\xac\x01"
                               "cdefghij";

    for (size_t size = 4; size < 40; size++) {
        char out[64];
        memset(out, 'X', sizeof out);
        cli_text_escape(text, sizeof text - 1, out, size);
        size_t len = strlen(out);
        CU_ASSERT(len < size);
        CU_ASSERT(out[size] == 'X');
        CU_ASSERT(len == sizeof text - 1 + 3 || strcmp(out + len - 3, "...") == 0);
    }
}

static void bytes_that_are_no_utf8_become_replacement_characters(void)
{
    char out[64];

    CU_ASSERT_STRING_EQUAL(cli_text_utf8("a\xff"
                                         "b\n",
                                         4, out, sizeof out),
                           "a\xef\xbf\xbd"
                           "b\n");
    CU_ASSERT_STRING_EQUAL(cli_text_utf8("\xe2\x82", 2, out, sizeof out), "\xef\xbf\xbd\xef\xbf\xbd");
    CU_ASSERT_STRING_EQUAL(cli_text_utf8("\xff\xff", 2, out, 5), "\xef\xbf\xbd"); /* the second does not fit whole */
}

static void figures_have_separators_and_units(void)
{
    char out[CLI_FIGURE_SIZE];

    CU_ASSERT_STRING_EQUAL(cli_text_count(0, out), "0");
    CU_ASSERT_STRING_EQUAL(cli_text_count(999, out), "999");
    CU_ASSERT_STRING_EQUAL(cli_text_count(1000, out), "1,000");
    CU_ASSERT_STRING_EQUAL(cli_text_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
    CU_ASSERT_STRING_EQUAL(cli_text_bytes(1023, out), "1023 B");
    CU_ASSERT_STRING_EQUAL(cli_text_bytes(1536, out), "1.5 KiB");
    CU_ASSERT_STRING_EQUAL(cli_text_bytes(UINT64_C(5) << 30, out), "5.0 GiB");
    CU_ASSERT_STRING_EQUAL(cli_text_duration(5000000000u, out), "5.000 s");
    CU_ASSERT_STRING_EQUAL(cli_text_duration(2500000, out), "2.500 ms");
    CU_ASSERT_STRING_EQUAL(cli_text_duration(UINT64_MAX, out), "18446744073.710 s");
}

static CU_TestInfo statements[] = {
    {"plain text and UTF-8 pass", plain_text_and_utf8_pass},
    {"control characters are shown, not sent", control_characters_are_shown_not_sent},
    {"broken UTF-8 is shown byte by byte", broken_utf8_is_shown_byte_by_byte},
    {"long text is cut with dots at every size", long_text_is_cut_with_dots_at_every_size},
    {"bytes that are no UTF-8 become replacement characters", bytes_that_are_no_utf8_become_replacement_characters},
    {"figures have separators and units", figures_have_separators_and_units},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
