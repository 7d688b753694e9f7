/* test_rule.c - sampling rules between text and JSON. */
#include <CUnit/Basic.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

static void expect_json(const char *rule, const char *expected)
{
    json_t *json = ttap__rule_to_json(rule);
    char *text = json_dumps(json, JSON_COMPACT);
    CU_ASSERT_STRING_EQUAL(text, expected);
    free(text);
    json_decref(json);
}

static void rules_become_json_with_the_same_rates(void)
{
    expect_json("", "{\"default\":1,\"kinds\":{}}");
    expect_json("0.01", "{\"default\":0.01,\"kinds\":{}}");
    expect_json(".5,checkout=1", "{\"default\":0.5,\"kinds\":{\"checkout\":1}}");
    expect_json("checkout=0.250", "{\"default\":1,\"kinds\":{\"checkout\":0.25}}");
    expect_json("0,a=b=0.123456789,c=00", "{\"default\":0,\"kinds\":{\"a=b\":0.123456789,\"c\":0}}");
    expect_json("0.1234567894999", "{\"default\":0.123456789,\"kinds\":{}}");
}

static void limits_become_members_of_their_own(void)
{
    expect_json("0.01/100", "{\"default\":0.01,\"kinds\":{},\"limit\":100}");
    expect_json("checkout=1/20,.5", "{\"default\":0.5,\"kinds\":{\"checkout\":1},\"limits\":{\"checkout\":20}}");
    expect_json("1/5,a/b=0.5/1000000,c=1", "{\"default\":1,\"kinds\":{\"a/b\":0.5,\"c\":1},\"limit\":5,\"limits\":{\"a/b\":1000000}}");
}

static void kinds_that_are_not_utf8_are_shown_all_the_same(void)
{
    expect_json("1,\xff\xc3=0", "{\"default\":1,\"kinds\":{\"\xef\xbf\xbd\xef\xbf\xbd\":0}}");
}

static void expect_rate(double rate, const char *expected)
{
    char text[24];
    ttap__rate_text(rate, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
    CU_ASSERT_EQUAL(ttap__sampling_check(text, NULL), 0);
}

static void rates_are_written_as_the_engine_reads_them(void)
{
    expect_rate(0, "0");
    expect_rate(1, "1");
    expect_rate(0.1, "0.1");
    expect_rate(1e-9, "0.000000001");
    expect_rate(1e-12, "0");
    expect_rate(0.9999999999, "1");
    expect_rate(0.333333333333, "0.333333333");
}

/* snprintf("%f") in a German service writes a comma, which in a rule begins the next kind. */
static void the_locale_of_the_service_does_not_matter(void)
{
    const char *names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", NULL};
    for (int i = 0; names[i] && !setlocale(LC_ALL, names[i]); i++)
        ;
    expect_rate(0.25, "0.25");
    expect_json("0.25", "{\"default\":0.25,\"kinds\":{}}");
    setlocale(LC_ALL, "C");
}

static void the_setting_in_force_is_read_whatever_its_length(void)
{
    char rule[4000] = "0.5";
    for (int i = 0; i < 60; i++)
        sprintf(rule + strlen(rule), ",kind-number-%d-with-a-long-name-%d=0.5", i, i);
    CU_ASSERT_EQUAL_FATAL(ttap_sampling_set(rule), 0);
    char *now = ttap__rule_now();
    CU_ASSERT_STRING_EQUAL(now, rule);
    free(now);
    ttap_sampling_set("");
    now = ttap__rule_now();
    CU_ASSERT_STRING_EQUAL(now, "");
    free(now);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("rule", NULL, NULL);
    CU_ADD_TEST(suite, rules_become_json_with_the_same_rates);
    CU_ADD_TEST(suite, limits_become_members_of_their_own);
    CU_ADD_TEST(suite, kinds_that_are_not_utf8_are_shown_all_the_same);
    CU_ADD_TEST(suite, rates_are_written_as_the_engine_reads_them);
    CU_ADD_TEST(suite, the_locale_of_the_service_does_not_matter);
    CU_ADD_TEST(suite, the_setting_in_force_is_read_whatever_its_length);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    return CU_get_number_of_failures() != 0 || CU_get_error() != CUE_SUCCESS;
}
