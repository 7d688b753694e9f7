/* test_file_name.c - whatever a server says, the name stays in this folder and looks like a file's. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "file_name.h"
#include "statements.h"

static void becomes(const char *header, const char *expected)
{
    char out[CLI_FILE_NAME_SIZE];

    cli_file_name_from_header(header, "capture.trace", out);
    CU_ASSERT_STRING_EQUAL(out, expected);
}

static void the_proposed_name_is_taken(void)
{
    becomes("attachment; filename=\"svc-71-20261122T154501Z.trace\"", "svc-71-20261122T154501Z.trace");
    becomes(" attachment;FILENAME=svc.trace; x=y", "svc.trace");
}

static void without_a_usable_name_there_is_a_plain_one(void)
{
    becomes(NULL, "capture.trace");
    becomes("", "capture.trace");
    becomes("inline", "capture.trace");
    becomes("attachment; filename=", "capture.trace");
    becomes("attachment; filename=\"..\"", "capture.trace");
    becomes("attachment; filename=\"/\"", "capture.trace");
}

static void folders_and_leading_dots_are_dropped(void)
{
    becomes("attachment; filename=\"../../etc/passwd\"", "passwd");
    becomes("attachment; filename=\"..\\\\evil.trace\"", "evil.trace");
    becomes("attachment; filename=\".bashrc\"", "bashrc");
    becomes("attachment; filename=\"--output\"", "output");
}

static void other_characters_become_underscores(void)
{
    becomes("attachment; filename=\"a b$c\033[1m;d.trace\"", "a_b_c__1m_d.trace");
    becomes("attachment; filename=\"\xc3\xa4.trace\"", "__.trace");
}

static void random_headers_give_safe_names(void)
{
    static const char alphabet[] = "ab./\\\";=- \033\xffnfile";
    unsigned seed = 1;

    for (int round = 0; round < 20000; round++) {
        char header[200] = "attachment; filename=";
        size_t used = strlen(header), more = (size_t)rand_r(&seed) % 170;
        for (size_t i = 0; i < more; i++)
            header[used++] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        header[used] = 0;
        char out[CLI_FILE_NAME_SIZE];
        cli_file_name_from_header(header, "capture.trace", out);
        size_t len = strlen(out);
        bool safe = len > 0 && len < CLI_FILE_NAME_SIZE && out[0] != '.' && out[0] != '-' && strspn(out, "abcdefghijklmnopqrstuvwxyz._-") == len;
        CU_ASSERT(safe);
    }
}

static void numbers_go_before_the_extension(void)
{
    char out[CLI_FILE_NAME_SIZE], longest[CLI_FILE_NAME_SIZE];

    CU_ASSERT(cli_file_name_numbered("svc.trace", 1, out));
    CU_ASSERT_STRING_EQUAL(out, "svc.trace");
    CU_ASSERT(cli_file_name_numbered("svc.trace", 12, out));
    CU_ASSERT_STRING_EQUAL(out, "svc-12.trace");
    CU_ASSERT(cli_file_name_numbered("svc", 2, out));
    CU_ASSERT_STRING_EQUAL(out, "svc-2");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CU_ASSERT(cli_file_name_numbered(longest, 1, out));
    CU_ASSERT_FALSE(cli_file_name_numbered(longest, 2, out));
}

static CU_TestInfo statements[] = {
    {"the proposed name is taken", the_proposed_name_is_taken},
    {"without a usable name there is a plain one", without_a_usable_name_there_is_a_plain_one},
    {"folders and leading dots are dropped", folders_and_leading_dots_are_dropped},
    {"other characters become underscores", other_characters_become_underscores},
    {"random headers give safe names", random_headers_give_safe_names},
    {"numbers go before the extension", numbers_go_before_the_extension},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
