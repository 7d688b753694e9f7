/* test_names_full.c - a program that makes up names without bound. Each statement finds the table as the one before left it. */
#include <stdio.h>
#include <string.h>

#include "recording.h"
#include "statements.h"

static uint32_t make(const char *prefix, unsigned number)
{
    char text[128];
    snprintf(text, sizeof(text), "%s %u", prefix, number);
    return ttap_name(text);
}

static void all_65536_names_have_numbers_of_their_own(void)
{
    unsigned wrong = 0;
    uint32_t first = make("name", 0);
    for (unsigned i = 1; i < TTAP_NAMES_MAX; i++)
        wrong += make("name", i) != first + i;
    CU_ASSERT(wrong == 0);
}

static void the_rest_share_one_number_and_each_use_is_counted(void)
{
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    ttap_status_get(&before);
    uint32_t shared = make("one too many", 0);
    CU_ASSERT(shared > TTAP_NAMES_MAX);
    for (unsigned i = 1; i < 100; i++)
        CU_ASSERT(make("one too many", i) == shared);
    ttap_status_get(&after);
    CU_ASSERT(after.names == TTAP_NAMES_MAX);
    CU_ASSERT(after.names_full - before.names_full == 100);
}

static void known_names_are_still_found(void)
{
    CU_ASSERT(make("name", 0) != 0 && make("name", 0) <= TTAP_NAMES_MAX);
    CU_ASSERT(make("name", 65535) == make("name", 0) + 65535);
}

static void captures_say_so_in_words(void)
{
    struct ttap_name late = {"never seen before", 0};
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    ttap_instant(&late);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "(names full)") == 1);
    CU_ASSERT(r.name_rows == TTAP_NAMES_MAX + 1); /* each once */
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"all 65536 names have numbers of their own", all_65536_names_have_numbers_of_their_own},
    {"the rest share one number and each use is counted", the_rest_share_one_number_and_each_use_is_counted},
    {"known names are still found", known_names_are_still_found},
    {"captures say so in words", captures_say_so_in_words},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
