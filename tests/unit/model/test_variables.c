/* test_variables.c - whose variable an address is: of one module of its process, or of none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statements.h"
#include "variables.h"

static struct ttap__allowance allowance;
static struct ttap__names names;
static struct ttap__callstacks stacks;
static struct ttap__variables variables;
static const struct ttap__rows rows;
static unsigned asked;
static char name[TTAP__VARIABLE_TEXT_BYTES];
static const char *file;

/* Each module is 0x1000 long and has a variable in its first half. */
static enum ttap__variable_found find(void *arg, const struct ttap__symbol_module *module, uint64_t start, uint64_t offset, uint64_t loaded,
                                      struct ttap__variable *out)
{
    (void)arg;
    asked++;
    CU_ASSERT_EQUAL(offset, start + 1);
    if (loaded - start >= 0x1000)
        return TTAP__VARIABLE_ELSEWHERE;
    snprintf(out->name, sizeof out->name, "of_%s", strrchr(module->path, '/') + 1);
    out->inside = loaded - start;
    return out->inside < 0x800 ? TTAP__VARIABLE_NAMED : TTAP__VARIABLE_UNNAMED;
}

static void module_is(uint64_t id, uint64_t start, const char *path)
{
    ttap__callstacks_module(
        &stacks, &(struct ttap__module_row){
                     .module = id, .start = start, .end = start + 0x1000, .offset = start + 1, .path = {path, strlen(path)}, .build_id = {"", 0}});
}

static void mapped(uint64_t pid, uint64_t module)
{
    ttap__variables_mapped(&variables, &(struct ttap__mapped_row){pid, module});
}

static bool is_named(uint64_t pid, uint64_t address)
{
    return ttap__variables_name(&variables, pid, address, name, &file);
}

static void begin(size_t limit_bytes)
{
    allowance = (struct ttap__allowance){.limit = limit_bytes};
    ttap__names_start(&names, &rows, NULL, &allowance);
    ttap__callstacks_start(&stacks, &rows, NULL, &allowance, &names);
    ttap__variables_start(&variables, &stacks, &allowance);
    variables.find = find;
    module_is(7, 0x10000, "/bin/svc");
    module_is(8, 0x20000, "/lib/work.so");
    module_is(9, 0x10800, "/bin/other"); /* where svc is, in another process */
    asked = 0;
}

static void finish(void)
{
    ttap__variables_free(&variables);
    ttap__callstacks_free(&stacks);
    ttap__names_free(&names);
    CU_ASSERT_EQUAL(allowance.used, 0);
}

static void an_address_is_of_the_module_that_its_process_has_there(void)
{
    begin(1 << 20);
    CU_ASSERT_FALSE(is_named(71, 0x10000)); /* nothing is said of the process yet */
    mapped(71, 7);
    mapped(71, 8);
    mapped(72, 9);
    CU_ASSERT_TRUE(is_named(71, 0x10000));
    CU_ASSERT_STRING_EQUAL(name, "of_svc");
    CU_ASSERT_STRING_EQUAL(file, "svc");
    CU_ASSERT_TRUE(is_named(71, 0x20028));
    CU_ASSERT_STRING_EQUAL(name, "of_work.so+0x28");
    CU_ASSERT_TRUE(is_named(72, 0x10810));
    CU_ASSERT_STRING_EQUAL(name, "of_other+0x10");
    CU_ASSERT_FALSE(is_named(71, 0x20900)); /* in no variable */
    CU_ASSERT_FALSE(is_named(71, 0x30000)); /* in no module */
    CU_ASSERT_FALSE(is_named(73, 0x10000));
    variables.find = NULL;
    CU_ASSERT_FALSE(is_named(71, 0x10000));
    finish();
}

static void where_a_process_had_two_modules_in_turn_there_is_no_name(void)
{
    begin(1 << 20);
    mapped(71, 7);
    mapped(71, 7); /* said again */
    CU_ASSERT_TRUE(is_named(71, 0x10000));
    mapped(71, 9);
    CU_ASSERT_TRUE(is_named(71, 0x10100));
    CU_ASSERT_FALSE(is_named(71, 0x10810)); /* unnamed in the one, named in the other */
    finish();
}

static void what_is_asked_and_kept_is_bounded(void)
{
    begin(8 << 20);
    mapped(71, 77); /* of no module */
    CU_ASSERT_FALSE(is_named(71, 0x10000));
    CU_ASSERT_EQUAL(asked, 0);
    for (int i = 0; i < 3 * TTAP__MAPPED_MAX_READ; i++)
        mapped(71, 8);
    CU_ASSERT_EQUAL(variables.mapped_count, TTAP__MAPPED_MAX_READ);
    for (int i = 0; i < 100; i++)
        is_named(71, 0x10000);
    CU_ASSERT_EQUAL(asked, TTAP__VARIABLE_ASKED_MAX);
    finish();
    begin(4096); /* hardly room for the modules */
    for (int i = 0; i < 1000; i++)
        mapped(71, 7);
    CU_ASSERT_TRUE(allowance.used <= 4096 && !allowance.no_memory);
    finish();
}

static CU_TestInfo statements[] = {
    {"an address is of the module that its process has there", an_address_is_of_the_module_that_its_process_has_there},
    {"where a process had two modules in turn there is no name", where_a_process_had_two_modules_in_turn_there_is_no_name},
    {"what is asked and kept is bounded", what_is_asked_and_kept_is_bounded},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
