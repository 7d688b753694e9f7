/* test_text.c - bytes from outside as JSON text and in file names; numbers as JavaScript can read them. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handlers.h"

static void expect_text(const char *bytes, const char *expected)
{
    json_t *json = ttap__json_text(bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    CU_ASSERT_STRING_EQUAL(json_string_value(json), expected);
    json_decref(json);
}

#define BAD "\xef\xbf\xbd"

static void text_that_is_utf8_stays_as_it_is(void)
{
    expect_text("", "");
    expect_text("plain", "plain");
    expect_text("k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80", "k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_text("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
}

static void each_byte_that_is_not_utf8_becomes_one_replacement(void)
{
    expect_text("a\xff"
                "b",
                "a" BAD "b");
    expect_text("\xc3", BAD);
    expect_text("\xe2\x82", BAD BAD);
    expect_text("\xc0\xaf", BAD BAD);         /* overlong */
    expect_text("\xe0\x80\xaf", BAD BAD BAD); /* overlong */
    expect_text("\xed\xa0\x80", BAD BAD BAD); /* surrogate */
    expect_text("\xf4\x90\x80\x80", BAD BAD BAD BAD);
    expect_text("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD);
    expect_text("\x80\xbf", BAD BAD);
}

/* Every string of three bytes in the interesting places makes a document that jansson accepts. */
static void any_three_bytes_make_valid_json(void)
{
    static const unsigned char edges[] = {1,    'a',  '"',  '\\', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
    const size_t n = sizeof edges;
    for (size_t i = 0; i < n * n * n; i++) {
        const char bytes[4] = {(char)edges[i % n], (char)edges[i / n % n], (char)edges[i / n / n], 0};
        json_t *json = ttap__json_text(bytes);
        char *text = json_dumps(json, JSON_ENCODE_ANY);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        free(text);
        json_decref(json);
    }
}

static void counts_stop_where_javascript_stops_being_exact(void)
{
    const struct {
        uint64_t count;
        json_int_t expected;
    } cases[] = {{0, 0}, {9007199254740990, 9007199254740990}, {9007199254740992, 9007199254740991}, {UINT64_MAX, 9007199254740991}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = ttap__json_count(cases[i].count);
        CU_ASSERT_EQUAL(json_integer_value(json), cases[i].expected);
        json_decref(json);
    }
}

static void groups_without_a_name_are_not_shown(void)
{
    size_t names = 0;
    while (ttap__group_names[names])
        names++;
    json_t *json = ttap__groups_json(UINT64_MAX);
    CU_ASSERT(names >= 12 && json_array_size(json) == names);
    json_decref(json);
    json = ttap__groups_json(TTAP_GROUP_LOG);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json, 0)), "log");
    json_decref(json);
}

static void the_program_and_its_age_are_known(void)
{
    char exe[64], tiny[5];
    ttap__process_exe(exe, sizeof exe);
    CU_ASSERT_EQUAL(strncmp(exe, "test_", 5), 0);
    ttap__process_exe(tiny, sizeof tiny);
    CU_ASSERT_STRING_EQUAL(tiny, "test");
    uint64_t first = ttap__process_uptime_ns();
    usleep(20000);
    uint64_t second = ttap__process_uptime_ns();
    CU_ASSERT(second > first && second < 600 * TTAP__NS_PER_S);
}

static void a_file_name_has_nothing_that_could_leave_its_quotes(void)
{
    char out[192];
    struct ttap_http http = {.exe = "svc"};
    ttap__disposition(out, sizeof out, &http, UINT64_C(1795362301) * TTAP__NS_PER_S, "trace");
    char expected[192];
    snprintf(expected, sizeof expected, "attachment; filename=\"svc-%d-20261122T154501Z.trace\"", (int)getpid());
    CU_ASSERT_STRING_EQUAL(out, expected);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("text", NULL, NULL);
    CU_ADD_TEST(suite, text_that_is_utf8_stays_as_it_is);
    CU_ADD_TEST(suite, each_byte_that_is_not_utf8_becomes_one_replacement);
    CU_ADD_TEST(suite, any_three_bytes_make_valid_json);
    CU_ADD_TEST(suite, counts_stop_where_javascript_stops_being_exact);
    CU_ADD_TEST(suite, groups_without_a_name_are_not_shown);
    CU_ADD_TEST(suite, the_program_and_its_age_are_known);
    CU_ADD_TEST(suite, a_file_name_has_nothing_that_could_leave_its_quotes);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    return CU_get_number_of_failures() != 0 || CU_get_error() != CUE_SUCCESS;
}
