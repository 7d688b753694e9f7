/* test_sampling.c - the text of sampling rules: what is taken, where what is not goes wrong, and the union of several. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "sampling.h"
#include "statements.h"

int ttap__sampling_check(const char *spec, size_t *error_offset);

static const struct {
    const char *spec;
    int result;
    size_t offset;
} rules[] = {
    {"", 0, 0},
    {"0", 0, 0},
    {"1", 0, 0},
    {"1.0", 0, 0},
    {"1.", 0, 0},
    {"01", 0, 0},
    {".5", 0, 0},
    {"0.000000001", 0, 0},
    {"0.12345678901234567890", 0, 0},
    {"checkout=1", 0, 0},
    {"0.01,checkout=1", 0, 0},
    {"checkout=1,0.01", 0, 0},
    {"a=b=0.5", 0, 0}, /* the last = counts: kinds may hold one */
    {"two words=0.5", 0, 0},
    {"2", -EINVAL, 0},
    {"1.5", -EINVAL, 0},
    {"10", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {"0x1", -EINVAL, 0},
    {"1e-3", -EINVAL, 0},
    {"nan", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {".", -EINVAL, 0},
    {"0.5.5", -EINVAL, 0},
    {"=1", -EINVAL, 0},
    {"a=", -EINVAL, 0},
    {"a", -EINVAL, 0},
    {",", -EINVAL, 0},
    {"0.5,", -EINVAL, 3},
    {"0.5,,a=1", -EINVAL, 4},
    {"0.5,0.6", -EINVAL, 4},
    {"0.5,a=2", -EINVAL, 4},
    {"0.5,a=1,b=x", -EINVAL, 8},
    {"a=1,b=1,a=0.5", -EINVAL, 8},
    {"0.5/100", -EINVAL, 0}, /* limits are the process's, not a capture's */
    {"1,a=1/20", -EINVAL, 2},
};

/* The process-wide setting. */
static const struct {
    const char *spec;
    int result;
} settings[] = {
    {"0.5/100", 0},
    {"0.01/100,checkout=1/20", 0},
    {"a/b=0.5/7,1", 0}, /* kinds may hold one */
    {"1/1", 0},
    {"1/1000000", 0},
    {"1/0000020", 0},
    {"1/0", -EINVAL},
    {"1/1000001", -EINVAL},
    {"1/99999999999999999999", -EINVAL},
    {"1/", -EINVAL},
    {"1/-1", -EINVAL},
    {"1/1.5", -EINVAL},
    {"1/1/1", -EINVAL},
    {"1/ 1", -EINVAL},
    {"/5", -EINVAL},
    {"a=/5", -EINVAL},
    {"1/5,0.5", -EINVAL},
    {"1/5,", -EINVAL},
};

static void a_limit_is_a_whole_number_behind_a_rate(void)
{
    char before[64], after[64];
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        ttap_sampling_get(before, sizeof(before));
        CU_ASSERT(ttap_sampling_set(settings[i].spec) == settings[i].result);
        ttap_sampling_get(after, sizeof(after));
        CU_ASSERT(!strcmp(after, settings[i].result ? before : settings[i].spec));
    }
    CU_ASSERT(ttap_sampling_set("") == 0);
}

static void checking_a_rule_names_nothing(void)
{
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    ttap_status_get(&before);
    CU_ASSERT(ttap__sampling_check("only checked=1,as is this=0.5", NULL) == 0);
    ttap_status_get(&after);
    CU_ASSERT(before.names == after.names);
}

static void every_rule_is_taken_or_refused_at_its_first_wrong_item(void)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        size_t offset = 9999;
        int result = ttap__sampling_check(rules[i].spec, &offset);
        CU_ASSERT(result == rules[i].result && (!result || offset == rules[i].offset));
        if (result != rules[i].result || (result && offset != rules[i].offset))
            fprintf(stderr, "    '%s': %d at %zu\n", rules[i].spec, result, offset);
        if (!result)
            CU_ASSERT(offset == 9999);
        CU_ASSERT(ttap__sampling_check(rules[i].spec, NULL) == rules[i].result);
    }
}

static void sixty_four_kinds_are_the_most(void)
{
    char spec[2048] = "0.5";
    size_t offset = 0;
    for (int i = 0; i < 64; i++)
        sprintf(spec + strlen(spec), ",kind%d=0.25", i);
    CU_ASSERT(ttap__sampling_check(spec, &offset) == 0);
    size_t len = strlen(spec);
    strcat(spec, ",one more=1");
    CU_ASSERT(ttap__sampling_check(spec, &offset) == -ENOSPC && offset == len + 1);
}

static void long_texts_and_long_kinds_are_refused(void)
{
    static char spec[20000];
    memset(spec, 'k', sizeof(spec) - 1);
    CU_ASSERT(ttap__sampling_check(spec, NULL) == -EINVAL);
    memcpy(spec + 513, "=1", 3);
    CU_ASSERT(ttap__sampling_check(spec, NULL) == -EINVAL);
    memcpy(spec + 512, "=1", 3);
    CU_ASSERT(ttap__sampling_check(spec, NULL) == 0);
}

static void a_wrong_rule_names_nothing_and_changes_nothing(void)
{
    struct ttap_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    char text[64];
    CU_ASSERT(ttap_sampling_set("0.5,known=1") == 0);
    ttap_status_get(&before);
    CU_ASSERT(ttap_sampling_set("never heard of=1,0.5,nor of this=7") == -EINVAL);
    ttap_status_get(&after);
    CU_ASSERT(before.names == after.names);
    CU_ASSERT(ttap_sampling_get(text, sizeof(text)) == 11 && !strcmp(text, "0.5,known=1"));
    CU_ASSERT(ttap_sampling_set("") == 0);
}

static void the_setting_is_given_back_like_snprintf(void)
{
    char text[8];
    CU_ASSERT(ttap_sampling_set("0.25,a=1") == 0);
    CU_ASSERT(ttap_sampling_get(NULL, 0) == 8);
    memset(text, '?', sizeof(text));
    CU_ASSERT(ttap_sampling_get(text, 5) == 8 && !strcmp(text, "0.25") && text[5] == '?');
    CU_ASSERT(ttap_sampling_get(text, 1) == 8 && !text[0]);
    CU_ASSERT(ttap_sampling_set(NULL) == 0 && ttap_sampling_get(text, 8) == 0 && !text[0]);
}

static void rates_are_fractions_of_2_to_the_32(void)
{
    static const struct {
        const char *spec;
        double rate;
    } rates[] = {{"0", 0}, {"1", 1}, {"0.5", .5}, {"0.01", .01}, {".125", .125}, {"0.999999999", .999999999}, {"0.000000001", 1e-9}};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct ttap__sampling parsed;
        CU_ASSERT(ttap__sampling_parse(rates[i].spec, &parsed, NULL) == 0);
        CU_ASSERT(fabs((double)parsed.keep.otherwise - rates[i].rate * 4294967296.0) <= 1);
    }
}

static bool keeps(const struct ttap__keep *keep, uint32_t draw, const char *kind)
{
    return ttap__keep_matches(keep, draw, ttap_name(kind));
}

static void the_union_keeps_what_any_keeps_and_no_more(void)
{
    static const char *const specs[] = {"0.01,a=0.5,b=0", "0.1,b=0.2", "0,c=1"};
    static const char *const kinds[] = {"a", "b", "c", "other"};
    struct ttap__sampling parsed[3];
    const struct ttap__keep *tables[3];
    struct ttap__keep joint;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FATAL(ttap__sampling_parse(specs[i], &parsed[i], NULL) == 0);
        tables[i] = &parsed[i].keep;
    }
    for (size_t count = 1; count <= 3; count++) {
        ttap__keep_union(&joint, tables, count);
        for (int k = 0; k < 4; k++)
            for (uint64_t draw = 0; draw <= UINT32_MAX; draw += 4294967) {
                bool any = false;
                for (size_t i = 0; i < count; i++)
                    any |= keeps(tables[i], (uint32_t)draw, kinds[k]);
                CU_ASSERT(keeps(&joint, (uint32_t)draw, kinds[k]) == any);
            }
    }
}

static void a_union_of_too_many_kinds_keeps_everything(void)
{
    enum { TABLES = 5 };
    static struct ttap__sampling parsed[TABLES];
    const struct ttap__keep *tables[TABLES];
    struct ttap__keep joint;
    for (int t = 0; t < TABLES; t++) {
        char spec[2048] = "0";
        for (int i = 0; i < 60; i++)
            sprintf(spec + strlen(spec), ",t%dk%d=0.5", t, i);
        CU_ASSERT_FATAL(ttap__sampling_parse(spec, &parsed[t], NULL) == 0);
        tables[t] = &parsed[t].keep;
    }
    ttap__keep_union(&joint, tables, TABLES);
    CU_ASSERT(joint.otherwise == TTAP__KEEP_ALL && joint.rules == 0);
}

static CU_TestInfo statements[] = {
    {"every rule is taken or refused at its first wrong item", every_rule_is_taken_or_refused_at_its_first_wrong_item},
    {"a limit is a whole number behind a rate", a_limit_is_a_whole_number_behind_a_rate},
    {"checking a rule names nothing", checking_a_rule_names_nothing},
    {"sixty-four kinds are the most", sixty_four_kinds_are_the_most},
    {"long texts and long kinds are refused", long_texts_and_long_kinds_are_refused},
    {"a wrong rule names nothing and changes nothing", a_wrong_rule_names_nothing_and_changes_nothing},
    {"the setting is given back like snprintf", the_setting_is_given_back_like_snprintf},
    {"rates are fractions of 2^32", rates_are_fractions_of_2_to_the_32},
    {"the union keeps what any keeps and no more", the_union_keeps_what_any_keeps_and_no_more},
    {"a union of too many kinds keeps everything", a_union_of_too_many_kinds_keeps_everything},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
