/* test_output.c - a file is there under its name only when it is whole. Runs in a folder of its own. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "statements.h"

static bool exists(const char *name)
{
    return access(name, F_OK) == 0;
}

static void content_is(const char *name, const char *expected)
{
    char bytes[64] = "";
    FILE *file = fopen(name, "r");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    bytes[fread(bytes, 1, sizeof bytes - 1, file)] = 0;
    fclose(file);
    CU_ASSERT_STRING_EQUAL(bytes, expected);
}

static void write_whole(const char *name, const char *text)
{
    struct cli_output output;

    CU_ASSERT_EQUAL_FATAL(cli_output_open(&output, name), 0);
    CU_ASSERT_EQUAL(cli_output_write(&output, text, strlen(text)), 0);
    CU_ASSERT_EQUAL(cli_output_commit(&output), 0);
    cli_output_free(&output);
}

static void the_name_appears_at_the_end(void)
{
    struct cli_output output;

    CU_ASSERT_EQUAL_FATAL(cli_output_open(&output, "whole"), 0);
    CU_ASSERT_EQUAL(cli_output_write(&output, "abc", 3), 0);
    CU_ASSERT_FALSE(exists("whole"));
    CU_ASSERT_TRUE(exists("whole.part"));
    CU_ASSERT_EQUAL(output.bytes, 3);
    CU_ASSERT_EQUAL(cli_output_commit(&output), 0);
    cli_output_free(&output);
    content_is("whole", "abc");
    CU_ASSERT_FALSE(exists("whole.part"));
}

static void discarding_leaves_the_old_file(void)
{
    struct cli_output output;

    write_whole("old", "old");
    CU_ASSERT_EQUAL_FATAL(cli_output_open(&output, "old"), 0);
    CU_ASSERT_EQUAL(cli_output_write(&output, "new", 3), 0);
    cli_output_discard(&output);
    content_is("old", "old");
    CU_ASSERT_FALSE(exists("old.part"));
}

static void a_chosen_name_replaces(void)
{
    write_whole("again", "first and long");
    write_whole("again", "second");
    content_is("again", "second");
}

static void a_proposed_name_never_replaces(void)
{
    const char *const expected[] = {"svc.trace", "svc-2.trace", "svc-3.trace"};

    for (size_t i = 0; i < 3; i++) {
        struct cli_output output;
        CU_ASSERT_EQUAL_FATAL(cli_output_open_new(&output, "svc.trace"), 0);
        CU_ASSERT_STRING_EQUAL(output.name, expected[i]);
        CU_ASSERT_EQUAL(cli_output_commit(&output), 0);
        cli_output_free(&output);
    }
}

static void a_proposed_name_steps_aside_for_a_running_capture(void)
{
    struct cli_output first, second;

    CU_ASSERT_EQUAL_FATAL(cli_output_open_new(&first, "two.trace"), 0);
    CU_ASSERT_EQUAL_FATAL(cli_output_open_new(&second, "two.trace"), 0);
    CU_ASSERT_STRING_EQUAL(second.name, "two-2.trace");
    cli_output_discard(&first);
    cli_output_discard(&second);
}

static void devices_are_written_in_place(void)
{
    struct stat st;

    /* By a link: a mistake here, made as root, would otherwise replace the machine's /dev/null. */
    CU_ASSERT_EQUAL_FATAL(symlink("/dev/null", "device"), 0);
    write_whole("device", "gone");
    CU_ASSERT_FALSE(exists("device.part"));
    CU_ASSERT_EQUAL(lstat("device", &st), 0);
    CU_ASSERT(S_ISLNK(st.st_mode));
}

static void what_cannot_be_opened_is_an_error(void)
{
    struct cli_output output;

    CU_ASSERT_EQUAL(cli_output_open(&output, "no/such/folder"), -ENOENT);
    CU_ASSERT_EQUAL(cli_output_open(&output, "."), -EISDIR);
    cli_output_free(&output);
}

static CU_TestInfo statements[] = {
    {"the name appears at the end", the_name_appears_at_the_end},
    {"discarding leaves the old file", discarding_leaves_the_old_file},
    {"a chosen name replaces", a_chosen_name_replaces},
    {"a proposed name never replaces", a_proposed_name_never_replaces},
    {"a proposed name steps aside for a running capture", a_proposed_name_steps_aside_for_a_running_capture},
    {"devices are written in place", devices_are_written_in_place},
    {"what cannot be opened is an error", what_cannot_be_opened_is_an_error},
    CU_TEST_INFO_NULL,
};

/* The folder is removed at the end, with the few names that the tests above can have left. */
static void enter_folder(void);
static void leave_folder(void);
static char folder[] = "/tmp/tracetap-output-XXXXXX";

__attribute__((constructor)) static void enter_folder(void)
{
    if (!mkdtemp(folder) || chdir(folder) != 0)
        exit(2);
    atexit(leave_folder);
}

static void leave_folder(void)
{
    static const char *const names[] = {"whole", "old", "again", "svc.trace", "svc-2.trace", "svc-3.trace", "device"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
    rmdir(folder);
}

int main(void)
{
    return run_statements(statements);
}
