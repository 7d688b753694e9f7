/* test_address.c - what people type becomes the URL they meant, or an error. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "statements.h"

static const struct cli_param none[] = {{NULL, NULL}};

static void becomes(const char *typed, const struct cli_param *params, const char *expected)
{
    char error[256] = "";
    char *url = NULL;

    if (!cli_address_url(typed, params, &url, error, sizeof error)) {
        CU_FAIL("refused");
        fprintf(stderr, "%s: %s\n", typed, error);
        return;
    }
    /* libcurl's versions differ in the case of %2C */
    CU_ASSERT_EQUAL(strcasecmp(url, expected), 0);
    if (strcasecmp(url, expected) != 0)
        fprintf(stderr, "%s -> %s, not %s\n", typed, url, expected);
    free(url);
}

static void is_refused(const char *typed, const struct cli_param *params, const char *word)
{
    char error[256] = "";
    char *url = NULL;

    CU_ASSERT_FALSE(cli_address_url(typed, params, &url, error, sizeof error));
    CU_ASSERT_PTR_NULL(url);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, word));
}

static void short_forms_are_completed(void)
{
    becomes("localhost:6060", none, "http://localhost:6060/debug/trace");
    becomes(":7070", none, "http://localhost:7070/debug/trace");
    becomes("7070", none, "http://localhost:7070/debug/trace");
    becomes("example.org", none, "http://example.org:6060/debug/trace");
    becomes("[::1]:6060", none, "http://[::1]:6060/debug/trace");
    becomes("[::1]", none, "http://[::1]:6060/debug/trace");
}

static void whole_urls_keep_what_they_say(void)
{
    becomes("http://localhost", none, "http://localhost/debug/trace");
    becomes("https://example.org/svc/debug/trace", none, "https://example.org/svc/debug/trace");
    becomes("http://a:1/debug/trace/snapshot?format=json#part", none, "http://a:1/debug/trace/snapshot?format=json");
}

static void parameters_are_added_and_encoded(void)
{
    const struct cli_param params[] = {{"seconds", "5"}, {"events", NULL}, {"sample", "0.1,a b&c=1"}, {NULL, NULL}};

    becomes(":1", params, "http://localhost:1/debug/trace?seconds=5&sample=0.1%2ca+b%26c%3d1");
    becomes("http://h:1/?x=1", params, "http://h:1/debug/trace?x=1&seconds=5&sample=0.1%2ca+b%26c%3d1");
}

static void a_parameter_given_twice_is_refused(void)
{
    const struct cli_param params[] = {{"seconds", "5"}, {NULL, NULL}};

    is_refused("http://h/debug/trace?a=1&seconds=2", params, "seconds is given twice");
    is_refused("http://h/debug/trace?seconds", params, "seconds is given twice");
    becomes("http://h/debug/trace?xseconds=2", params, "http://h/debug/trace?xseconds=2&seconds=5");
}

static void what_is_no_http_address_is_refused(void)
{
    is_refused("ftp://h/", none, "http://");
    is_refused("file:///etc/passwd", none, "http://");
    is_refused("", none, "not an address");
    is_refused("h:99999", none, "not an address");
    is_refused("h:6060\nX: y", none, "not an address");
    is_refused("http://", none, "not an address");
}

static void a_parameter_in_the_url_can_be_read(void)
{
    char value[8];

    CU_ASSERT_TRUE(cli_address_param("http://h/?seconds=2.5&a=1", "seconds", value, sizeof value));
    CU_ASSERT_STRING_EQUAL(value, "2.5");
    CU_ASSERT_TRUE(cli_address_param("http://h/?a=123456789", "a", value, sizeof value));
    CU_ASSERT_STRING_EQUAL(value, "1234567");
    CU_ASSERT_FALSE(cli_address_param("http://h/", "a", value, sizeof value));
    CU_ASSERT_FALSE(cli_address_param("", "a", value, sizeof value));
}

static void loopback_is_known_by_its_names(void)
{
    CU_ASSERT_TRUE(cli_address_is_loopback("http://localhost:1/"));
    CU_ASSERT_TRUE(cli_address_is_loopback("http://127.0.0.1:1/"));
    CU_ASSERT_TRUE(cli_address_is_loopback("http://[::1]:1/"));
    CU_ASSERT_FALSE(cli_address_is_loopback("http://example.org/"));
    CU_ASSERT_FALSE(cli_address_is_loopback("http://localhost.example.org/"));
}

static CU_TestInfo statements[] = {
    {"short forms are completed", short_forms_are_completed},
    {"whole URLs keep what they say", whole_urls_keep_what_they_say},
    {"parameters are added and encoded", parameters_are_added_and_encoded},
    {"a parameter given twice is refused", a_parameter_given_twice_is_refused},
    {"what is no HTTP address is refused", what_is_no_http_address_is_refused},
    {"a parameter in the URL can be read", a_parameter_in_the_url_can_be_read},
    {"loopback is known by its names", loopback_is_known_by_its_names},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
