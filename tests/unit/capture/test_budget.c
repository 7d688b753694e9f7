/* test_budget.c - the environment is read once a process, so each of its values has a child that is this program again. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subs.h"

static const char *self;

static uint64_t budget(void)
{
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    return status.budget_bytes;
}

static uint64_t budget_with(const char *text)
{
    char command[4300];
    uint64_t bytes = 0;
    if (text)
        setenv("TRACETAP_BUDGET", text, 1);
    else
        unsetenv("TRACETAP_BUDGET");
    snprintf(command, sizeof(command), "exec '%s' print", self);
    FILE *child = popen(command, "r");
    char line[64] = "";
    if (child && fgets(line, sizeof(line), child))
        bytes = strtoull(line, NULL, 10);
    if (child)
        pclose(child);
    return bytes;
}

static const struct {
    const char *text;
    uint64_t bytes; /* 0: the default */
} environment[] = {
    {NULL, 0},
    {"1048576", 1u << 20},
    {"1M", 1u << 20},
    {"1024K", 1u << 20},
    {"2G", 2ull << 30},
    {"16G", 16ull << 30},
    {"", 0},
    {"0", 0},
    {"1048575", 0},
    {"1023K", 0},
    {"17G", 0},
    {"17179869185", 0},
    {"-1", 0},
    {"+1M", 0},
    {" 1M", 0},
    {"1m", 0},
    {"1MB", 0},
    {"1T", 0},
    {"M", 0},
    {"0x100000", 0},
    {"1.5M", 0},
    {"18446744073709551616", 0},
    {"18014398509481985K", 0},
};

static void the_environment_counts_when_it_is_a_size_in_range(void)
{
    for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++) {
        uint64_t expected = environment[i].bytes ? environment[i].bytes : 64u << 20;
        uint64_t bytes = budget_with(environment[i].text);
        CU_ASSERT(bytes == expected);
        if (bytes != expected)
            fprintf(stderr, "    '%s': %llu\n", environment[i].text, (unsigned long long)bytes);
    }
    unsetenv("TRACETAP_BUDGET");
}

static void the_call_takes_1_mib_to_16_gib(void)
{
    CU_ASSERT(ttap_budget_set((1u << 20) - 1) == -EINVAL && ttap_budget_set((16ull << 30) + 1) == -EINVAL && ttap_budget_set(0) == -EINVAL);
    CU_ASSERT(budget() == 64u << 20);
    CU_ASSERT(ttap_budget_set(1u << 20) == 0 && budget() == 1u << 20);
    CU_ASSERT(ttap_budget_set(16ull << 30) == 0 && budget() == 16ull << 30);
}

static void while_captures_run_it_is_refused(void)
{
    CU_ASSERT(ttap_budget_set(32u << 20) == 0);
    struct ttap__sub *sub = open_sub(TTAP_GROUPS_ALL, NULL);
    CU_ASSERT(ttap_budget_set(8u << 20) == -EBUSY && budget() == 32u << 20);
    ttap__sub_close(sub);
    CU_ASSERT(ttap_budget_set(8u << 20) == 0);
}

static void a_budget_that_grew_and_shrank_between_captures_is_what_the_next_one_has(void)
{
    static const uint64_t sizes[] = {1u << 20, 64u << 20, 2u << 20, 128u << 20, 1u << 20};
    for (int i = 0; i < 5; i++) {
        struct recording r;
        struct emitters e;
        CU_ASSERT_FATAL(ttap_budget_set(sizes[i]) == 0);
        CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
        emitters_start(&e, 4, 100);
        nap_ms(20);
        struct ttap_status status = {.size = sizeof(status)};
        ttap_status_get(&status);
        CU_ASSERT(recording_stop(&r));
        emitters_stop(&e);
        CU_ASSERT(status.budget_bytes == sizes[i]);
        CU_ASSERT(status.used_bytes <= sizes[i] + (128u << 20) * (i == 4) + (64u << 20) * (i == 2)); /* a smaller one lets go a second later */
        recording_free(&r);
    }
}

static void what_others_use_is_charged(void)
{
    CU_ASSERT_FATAL(ttap_budget_set(64u << 20) == 0);
    CU_ASSERT(ttap__budget_take(4u << 20));
    CU_ASSERT(!ttap__budget_take(60u << 20));
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    CU_ASSERT(status.used_bytes >= 4u << 20);
    ttap__budget_give(4u << 20);
}

static CU_TestInfo statements[] = {
    {"the environment counts when it is a size in range", the_environment_counts_when_it_is_a_size_in_range},
    {"the call takes 1 MiB to 16 GiB", the_call_takes_1_mib_to_16_gib},
    {"while captures run it is refused", while_captures_run_it_is_refused},
    {"a budget that grew and shrank is what the next capture has", a_budget_that_grew_and_shrank_between_captures_is_what_the_next_one_has},
    {"what others use is charged", what_others_use_is_charged},
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1) {
        printf("%llu\n", (unsigned long long)budget());
        return 0;
    }
    return run_statements(statements);
}
