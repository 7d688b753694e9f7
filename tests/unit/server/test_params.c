/* test_params.c - the grammar of each kind of parameter, value by value. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "params.h"
#include "suite.h"

static const struct {
    const char *text;
    uint64_t ns;
} allowed[] = {
    {"1", 1000000000},
    {"5", 5000000000},
    {"0.25", 250000000},
    {"0.5", 500000000},
    {"300", 300000000000},
    {"1.0", 1000000000},
    {"01", 1000000000},
    {"000000000001", 1000000000},
    {"0.000000001", 1},
    {"0.0000000019", 1},
    {"1.999999999", 1999999999},
    {"9.9", 9900000000},
    {"9999999999", UINT64_C(9999999999000000000)},
    {"9999999999.9", UINT64_C(9999999999900000000)},
    {"0", 0},
    {"0.0", 0},
    {"0.0000000001", 0},
};

static const char *const refused[] = {
    "",
    " ",
    " 1",
    "1 ",
    "1\t",
    "-0",
    "-1",
    "+5",
    "+0",
    "1e9",
    "1E9",
    "1e400",
    "1e-1",
    "nan",
    "NaN",
    "NAN",
    "inf",
    "Inf",
    "INFINITY",
    "-inf",
    "0x10",
    "0X1",
    "0b1",
    "5s",
    "5ms",
    "s",
    ".5",
    ".",
    "..",
    "5.",
    "5..1",
    "5.1.1",
    "1,5",
    "1_000",
    "1'000",
    "\xef\xbc\x95",
    "\xd9\xa5",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999",
    "999999999999",
    "0000000000001",
    "1.00000000000",
    "10000000000",
    "1\n",
    "\n1",
    "1\r",
    "1;",
    "1&",
    "1=",
    "%31",
    "\"1\"",
    "'1'",
    "1/2",
    "1:30",
    "one",
    "true",
    "null",
    "[]",
    "{}",
    "1-1",
    "--1",
    "1+",
    "5f",
    "5l",
    "\x01",
    "\xff",
    "5\xff",
    "$(1)",
    "NaN(1)",
    "0x1p3",
    "1.e1",
    "1.5e0",
};

static void seconds_are_digits_with_an_optional_fraction(void)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        uint64_t ns = 42;
        CU_ASSERT(ttap__parse_seconds(allowed[i].text, &ns));
        CU_ASSERT_EQUAL(ns, allowed[i].ns);
    }
    CU_ASSERT(sizeof refused / sizeof *refused >= 60);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        uint64_t ns = 42;
        if (ttap__parse_seconds(refused[i], &ns))
            CU_FAIL(refused[i]);
        CU_ASSERT_EQUAL(ns, 42);
    }
}

static void four_kibibytes_of_nines_are_refused(void)
{
    char nines[4097];
    uint64_t out = 42;
    memset(nines, '9', sizeof nines - 1);
    nines[sizeof nines - 1] = 0;
    CU_ASSERT(!ttap__parse_seconds(nines, &out));
    CU_ASSERT(!ttap__parse_u64(nines, &out));
    CU_ASSERT_EQUAL(out, 42);
}

static void whole_numbers_end_at_64_bits(void)
{
    uint64_t out = 42;
    CU_ASSERT(ttap__parse_u64("18446744073709551615", &out));
    CU_ASSERT_EQUAL(out, UINT64_MAX);
    CU_ASSERT(ttap__parse_u64("0", &out));
    CU_ASSERT_EQUAL(out, 0);
    const char *const wrong[] = {"", "18446744073709551616", "99999999999999999999", "-1", "+1", "1.0", "1 ", " 1", "0x1", "1e1", "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CU_ASSERT(!ttap__parse_u64(wrong[i], &out));
}

static void a_set_has_each_known_word_at_most_once(void)
{
    const char *const words[] = {"task", "region", "log", NULL};
    uint64_t set = 42;
    CU_ASSERT(ttap__parse_set("log,task", words, &set));
    CU_ASSERT_EQUAL(set, 5);
    const char *const wrong[] = {"", ",", "task,", ",task", "task,,log", "task,task", "tas", "tasks", "task, log", "TASK", "task;log"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CU_ASSERT(!ttap__parse_set(wrong[i], words, &set));
        CU_ASSERT_EQUAL(set, 5);
    }
}

static void a_query_is_cut_and_decoded_once(void)
{
    struct param params[4];
    size_t count;
    char text[] = "a=1&%73econds=%35&c=x+y%2Bz&d=";
    CU_ASSERT_PTR_NULL(ttap__query_parse(text, params, 4, &count));
    CU_ASSERT_EQUAL(count, 4);
    CU_ASSERT_STRING_EQUAL(params[1].name, "seconds");
    CU_ASSERT_STRING_EQUAL(params[1].value, "5");
    CU_ASSERT_STRING_EQUAL(params[2].value, "x y+z");
    CU_ASSERT_STRING_EQUAL(params[3].value, "");
    char double_escaped[] = "a=%2535";
    CU_ASSERT_PTR_NULL(ttap__query_parse(double_escaped, params, 4, &count));
    CU_ASSERT_STRING_EQUAL(params[0].value, "%35");
}

static void a_query_with_anything_odd_is_refused(void)
{
    const char *const wrong[] = {
        "a", "=1", "a=1&", "&a=1", "a=1&&b=2", "a=%", "a=%4", "a=%zz", "a=%00", "%00=1", "a=%0", "a=1&b", "a=1&b=2&c=3&d=4&e=5", "%=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct param params[4];
        size_t count;
        char text[64];
        strcpy(text, wrong[i]);
        if (!ttap__query_parse(text, params, 4, &count))
            CU_FAIL(wrong[i]);
    }
}

/* Each text lies right before a page that cannot be read, cut at every length. */
static void no_parser_reads_behind_its_text(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *const texts[] = {"a=%41%4&b=%", "300.123456789", "task,region,log", "[::1]:6060", "localhost:99999", "\xf0\x9f\x98\x80\xe2\x82"};
    CU_ASSERT_FATAL(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t len = 0; len <= strlen(texts[i]); len++) {
            const char *const words[] = {"task", "region", NULL}, *host;
            char *text = pages + page - len - 1, out[256];
            struct param params[4];
            uint64_t number;
            size_t count;
            memcpy(text, texts[i], len);
            text[len] = 0;
            ttap__parse_seconds(text, &number);
            ttap__parse_u64(text, &number);
            ttap__parse_set(text, words, &number);
            ttap__host_split(text, &host, &count);
            ttap__escape_json(out, sizeof out, text);
            ttap__escape_plain(out, sizeof out, text);
            ttap__query_parse(text, params, 4, &count);
        }
    munmap(pages, 2 * page);
}

static void a_host_is_a_name_or_number_with_an_optional_port(void)
{
    const char *host;
    size_t len;
    CU_ASSERT(ttap__host_split("localhost:6060", &host, &len) && len == 9);
    CU_ASSERT(ttap__host_split("[::1]:80", &host, &len) && len == 5);
    CU_ASSERT(ttap__host_split("localhost:", &host, &len) && len == 9);
    const char *const wrong[] = {
        "", ":80", "[]", "[::1", "::1", "a b", "a/b", "a@localhost", "localhost:80:80", "localhost:x", "localhost:123456", "a,b", "[::1]x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (ttap__host_split(wrong[i], &host, &len))
            CU_FAIL(wrong[i]);
}

static void text_from_outside_becomes_ascii(void)
{
    char out[64];
    ttap__escape_json(out, sizeof out, "a\"\\\n<\xc3\xa4\xf0\x9f\x98\x80\xff\xc0\x80");
    CU_ASSERT_STRING_EQUAL(out, "a\\\"\\\\\\u000a\\u003c\\u00e4\\ud83d\\ude00\\ufffd\\ufffd\\ufffd");
    CU_ASSERT_EQUAL(ttap__escape_json(out, 8, "ab\xf0\x9f\x98\x80"), 2);
    ttap__escape_plain(out, sizeof out, "a\x1b[31m\\\n");
    CU_ASSERT_STRING_EQUAL(out, "a\\x1b[31m\\x5c\\x0a");
}

/* Each size of room, down to none: whole characters, the NUL among them, and nothing behind. */
static void escaped_text_fits_whatever_room_there_is(void)
{
    static const char text[] = "ab\\\x01"
                               "c\xf0\x9f\x98\x80"
                               "d",
                      plain[] = "ab\\x5c\\x01c\\xf0\\x9f\\x98\\x80d", json[] = "ab\\\\\\u0001c\\ud83d\\ude00d";
    for (size_t size = 0; size < 64; size++) {
        char out[80];
        memset(out, '#', sizeof out);
        size_t len = ttap__escape_plain(out, size, text);
        CU_ASSERT(len <= strlen(plain) && memcmp(out, plain, len) == 0 && (size == 0 ? out[0] == '#' : out[len] == 0 && len < size));
        CU_ASSERT(out[size] == '#' && (size <= strlen(plain) || len == strlen(plain)));
        CU_ASSERT(len + 4 >= size || len == strlen(plain)); /* no character was left out that had room */
        memset(out, '#', sizeof out);
        len = ttap__escape_json(out, size, text);
        CU_ASSERT(len <= strlen(json) && memcmp(out, json, len) == 0 && (size == 0 ? out[0] == '#' : out[len] == 0 && len < size));
        CU_ASSERT(out[size] == '#' && (size <= strlen(json) || len == strlen(json)));
        CU_ASSERT(len + 12 >= size || len == strlen(json));
    }
}

static void every_ascii_character_is_itself_or_its_escape(void)
{
    for (int c = 1; c < 0x80; c++) {
        char text[2] = {(char)c, 0}, expected[8], out[16];
        snprintf(expected, sizeof expected, c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
        CU_ASSERT_EQUAL(ttap__escape_plain(out, sizeof out, text), strlen(expected));
        CU_ASSERT_STRING_EQUAL(out, expected);
        snprintf(expected, sizeof expected, c == '"' || c == '\\' ? "\\%c" : c >= 0x20 && c < 0x7f && c != '<' ? "%c" : "\\u%04x", c);
        CU_ASSERT_EQUAL(ttap__escape_json(out, sizeof out, text), strlen(expected));
        CU_ASSERT_STRING_EQUAL(out, expected);
    }
}

/* At the edges of each length of UTF-8, of the surrogates and of what there is. */
static void utf8_is_told_from_what_is_none(void)
{
    static const struct {
        const char *text, *expected;
    } texts[] = {
        {"\x7f", "\\u007f"},
        {"\xc2\x80", "\\u0080"},
        {"\xdf\xbf", "\\u07ff"},
        {"\xe0\xa0\x80", "\\u0800"},
        {"\xef\xbf\xbf", "\\uffff"},
        {"\xed\x9f\xbf", "\\ud7ff"},
        {"\xee\x80\x80", "\\ue000"},
        {"\xf0\x90\x80\x80", "\\ud800\\udc00"},
        {"\xf4\x8f\xbf\xbf", "\\udbff\\udfff"},
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
        {"\xed\xbf\xbf", "\\ufffd\\ufffd\\ufffd"},
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xc1\xbf", "\\ufffd\\ufffd"},
        {"\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd"},
        {"\xf0\x8f\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\x80", "\\ufffd"},
        {"\xbf", "\\ufffd"},
        {"\xf8\x88\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xff", "\\ufffd"},
        {"\xc3", "\\ufffd"},
        {"\xe2\x82", "\\ufffd\\ufffd"},
        {"\xf0\x9f\x98", "\\ufffd\\ufffd\\ufffd"},
        {"\xc3z", "\\ufffdz"},
        {"\xe2\x82z", "\\ufffd\\ufffdz"},
        {"\xe2\x82\xc0", "\\ufffd\\ufffd\\ufffd"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char out[64];
        ttap__escape_json(out, sizeof out, texts[i].text);
        CU_ASSERT_STRING_EQUAL(out, texts[i].expected);
        if (strcmp(out, texts[i].expected) != 0)
            fprintf(stderr, "    %zu: %s is not %s\n", i, out, texts[i].expected);
    }
}

static void a_sentence_is_said_only_where_there_is_room(void)
{
    char error[8] = "#######";
    CU_ASSERT_EQUAL(ttap__say(error, 0, -7, "%s", "nowhere"), -7);
    CU_ASSERT_EQUAL(error[0], '#');
    CU_ASSERT_EQUAL(ttap__say(error, 4, -8, "%d", 123456), -8);
    CU_ASSERT_STRING_EQUAL(error, "123");
}

static char logged[2000];
static unsigned lines;

static void keep_line(void *arg, const char *line)
{
    CU_ASSERT_PTR_EQUAL(arg, &lines);
    lines++;
    snprintf(logged, sizeof logged, "%s", line);
}

static void the_log_is_escaped_and_at_most_ten_lines_a_second(void)
{
    struct ttap__server server = {.log = NULL, .log_lock = PTHREAD_MUTEX_INITIALIZER};
    ttap__log(&server, "to nobody"); /* and nothing else happens */
    CU_ASSERT_EQUAL(server.log_lines, 0);
    server.log = keep_line;
    server.log_arg = &lines;
    server.log_second = UINT64_MAX; /* not this one */
    server.log_lines = 99;
    for (uint64_t second = 0; second != server.log_second;) { /* again if a second ended in between */
        lines = server.log_dropped = 0;
        server.log_second = UINT64_MAX;
        for (int i = 0; i < 12; i++) {
            ttap__log(&server, "line %d\x1b\n\n", i);
            if (i == 0)
                second = server.log_second;
        }
    }
    CU_ASSERT_EQUAL(lines, 10);
    CU_ASSERT_EQUAL(server.log_dropped, 2);
    CU_ASSERT_STRING_EQUAL(logged, "line 9\\x1b");
    server.log_second--;
    ttap__log(&server, "%s", "");
    CU_ASSERT_STRING_EQUAL(logged, "(2 lines left out) ");
    ttap__log(&server, "%s", "\n");
    CU_ASSERT_STRING_EQUAL(logged, "");
    char longest[600];
    memset(longest, 1, sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    ttap__log(&server, "%s", longest);
    CU_ASSERT_EQUAL(strlen(logged), 399 * 4); /* cut at 400 with its NUL, then escaped whole */
}

static void a_set_has_a_word_for_each_of_64_bits(void)
{
    static char words[66][8];
    const char *choices[67] = {0};
    uint64_t set = 42;
    for (int i = 0; i < 66; i++) {
        snprintf(words[i], sizeof words[i], "w%d", i);
        choices[i] = words[i];
    }
    CU_ASSERT(ttap__parse_set("w63,w0", choices, &set));
    CU_ASSERT_EQUAL(set, UINT64_C(1) << 63 | 1);
    CU_ASSERT_FALSE(ttap__parse_set("w64", choices, &set));
    CU_ASSERT_FALSE(ttap__parse_set("w65", choices, &set));
    CU_ASSERT_EQUAL(set, UINT64_C(1) << 63 | 1);
}

static void a_query_has_as_many_parameters_as_there_is_room_for(void)
{
    struct param params[4];
    size_t count = 42;
    char none[] = "", four[] = "a=1&b=2&c=3&d=4", five[] = "a=1&b=2&c=3&d=4&e=5";
    CU_ASSERT_PTR_NULL(ttap__query_parse(none, params, 4, &count));
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_PTR_NULL(ttap__query_parse(four, params, 4, &count));
    CU_ASSERT_EQUAL(count, 4);
    CU_ASSERT_STRING_EQUAL(ttap__query_parse(five, params, 4, &count), "the query has too many parameters");
    CU_ASSERT_EQUAL(count, 4);
}

static void every_hexadecimal_digit_is_decoded(void)
{
    for (unsigned byte = 1; byte < 256; byte++)
        for (int upper = 0; upper < 2; upper++) {
            char text[8];
            snprintf(text, sizeof text, upper ? "%%%02X" : "%%%02x", byte);
            CU_ASSERT(ttap__unescape(text) && (unsigned char)text[0] == byte && text[1] == 0);
        }
    const char *const wrong[] = {"%/0", "%:0", "%@0", "%G0", "%`0", "%g0", "%0/", "%0:", "%0@", "%0G", "%0`", "%0g", "%00", "%"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[8];
        strcpy(text, wrong[i]);
        CU_ASSERT_FALSE(ttap__unescape(text));
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"seconds are digits with an optional fraction", seconds_are_digits_with_an_optional_fraction},
        {"four kibibytes of nines are refused", four_kibibytes_of_nines_are_refused},
        {"whole numbers end at 64 bits", whole_numbers_end_at_64_bits},
        {"a set has each known word at most once", a_set_has_each_known_word_at_most_once},
        {"a query is cut and decoded once", a_query_is_cut_and_decoded_once},
        {"a query with anything odd is refused", a_query_with_anything_odd_is_refused},
        {"no parser reads behind its text", no_parser_reads_behind_its_text},
        {"a host is a name or number with an optional port", a_host_is_a_name_or_number_with_an_optional_port},
        {"text from outside becomes ASCII", text_from_outside_becomes_ascii},
        {"escaped text fits whatever room there is", escaped_text_fits_whatever_room_there_is},
        {"every ASCII character is itself or its escape", every_ascii_character_is_itself_or_its_escape},
        {"UTF-8 is told from what is none", utf8_is_told_from_what_is_none},
        {"a sentence is said only where there is room", a_sentence_is_said_only_where_there_is_room},
        {"the log is escaped and at most ten lines a second", the_log_is_escaped_and_at_most_ten_lines_a_second},
        {"a set has a word for each of 64 bits", a_set_has_a_word_for_each_of_64_bits},
        {"a query has as many parameters as there is room for", a_query_has_as_many_parameters_as_there_is_room_for},
        {"every hexadecimal digit is decoded", every_hexadecimal_digit_is_decoded},
        CU_TEST_INFO_NULL,
    };
    return run_suite("parameters", tests);
}
