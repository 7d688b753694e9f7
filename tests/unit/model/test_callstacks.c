/* test_callstacks.c - several functions at one address: told once, in order, whole or not at all. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callstacks.h"
#include "reader.h"

/* At offset 100 * k + n are n functions, innermost first: of the lines 1 to n, in a function that starts at 1000 * k + line. */
enum { FRAMES_TOLD_MAX = 8192, STACKS = 40, ADDRESSES = 3 };
static struct ttap__allowance allowance;
static struct ttap__names names;
static struct ttap__callstacks stacks;
static struct ttap__frame_row frame[FRAMES_TOLD_MAX];
static struct ttap__stack_node_row node[FRAMES_TOLD_MAX];
static unsigned frames, nodes, asked;

static int frame_told(void *arg, const struct ttap__frame_row *row)
{
    (void)arg;
    if (frames < FRAMES_TOLD_MAX)
        frame[frames++] = *row;
    return 0;
}

static int node_told(void *arg, const struct ttap__stack_node_row *row)
{
    (void)arg;
    if (nodes < FRAMES_TOLD_MAX)
        node[nodes++] = *row;
    return 0;
}

static unsigned functions_at(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol out[TTAP__SYMBOLS_AT_ADDRESS])
{
    unsigned count = (unsigned)(offset % 100);
    (void)arg, (void)module;
    asked++;
    for (unsigned i = 0; i < count; i++) {
        out[i] = (struct ttap__symbol){.line = i + 1, .start = 1000 * (offset / 100) + i + 1};
        snprintf(out[i].function, sizeof out[i].function, "f%u_%u", (unsigned)(offset / 100), i + 1);
        snprintf(out[i].file, sizeof out[i].file, "file.c");
    }
    return count;
}

static const struct ttap__rows rows = {.frame = frame_told, .stack = node_told};

static void begin(size_t limit_bytes)
{
    static const char path[] = "/bin/program";
    struct ttap__module_row module = {.module = 1, .path = {path, sizeof path - 1}, .build_id = {path, 0}};
    allowance = (struct ttap__allowance){.limit = limit_bytes};
    frames = nodes = asked = 0;
    ttap__names_start(&names, &rows, NULL, &allowance);
    ttap__callstacks_start(&stacks, &rows, NULL, &allowance, &names);
    stacks.symbol = functions_at;
    ttap__callstacks_module(&stacks, &module);
}

static void finish(void)
{
    ttap__callstacks_free(&stacks);
    ttap__names_free(&names);
    CU_ASSERT_EQUAL(allowance.used, 0);
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    return at;
}

static void tell(uint64_t number, const uint64_t *offset, unsigned count)
{
    uint8_t bytes[4096], *end = bytes;
    for (unsigned i = 0; i < count; i++)
        end = put_varint(put_varint(end, 1), offset[i]);
    ttap__callstacks_stack(&stacks, &(struct ttap__stack_row){.stack = number, .frames = count, .at = bytes, .end = end});
}

/* Lines of the frames of a stack, innermost first. */
static unsigned lines_of(int32_t at, uint32_t *line, unsigned room)
{
    unsigned count = 0;
    for (; at >= 0 && count < room; at = node[at].parent)
        line[count++] = frame[node[at].frame].line;
    return count;
}

static void functions_at_an_address_are_frames_of_their_own_asked_for_once(void)
{
    uint32_t line[8];
    begin(1 << 20);
    tell(1, (const uint64_t[]){103, 202, 301}, 3);
    tell(2, (const uint64_t[]){202, 103}, 2);
    const uint32_t first[] = {1, 2, 3, 1, 2, 1}, second[] = {1, 2, 1, 2, 3};
    CU_ASSERT_EQUAL(lines_of(ttap__callstacks_number(&stacks, 1), line, 8), 6);
    CU_ASSERT_EQUAL(memcmp(line, first, sizeof first), 0);
    CU_ASSERT_EQUAL(lines_of(ttap__callstacks_number(&stacks, 2), line, 8), 5);
    CU_ASSERT_EQUAL(memcmp(line, second, sizeof second), 0);
    CU_ASSERT_EQUAL(frames, 6);
    CU_ASSERT_EQUAL(asked, 3);
    CU_ASSERT_TRUE(frames == 6 && frame[0].file == frame[5].file && frame[0].function != frame[5].function);
    finish();
}

static void an_address_without_any_has_its_module_and_offset(void)
{
    begin(1 << 20);
    tell(1, (const uint64_t[]){500}, 1);
    CU_ASSERT_TRUE(frames == 1 && frame[0].line == 0 && frame[0].file == -1);
    finish();
}

static void a_stack_of_too_many_functions_says_that_it_is_cut(void)
{
    uint64_t offset[96];
    uint32_t line[2048] = {0};
    begin(4 << 20);
    for (unsigned i = 0; i < 96; i++)
        offset[i] = 100 * (i + 1) + TTAP__SYMBOLS_AT_ADDRESS;
    tell(1, offset, 96);
    unsigned count = lines_of(ttap__callstacks_number(&stacks, 1), line, 2048);
    CU_ASSERT_TRUE(count > 256 && count < 96 * TTAP__SYMBOLS_AT_ADDRESS);
    CU_ASSERT_TRUE(line[0] == 1 && line[15] == 16 && line[count - 2] == 16 && line[count - 1] == 0);
    finish();
}

/* Where there is no room the same is asked again, or the stack is not told: but never with some functions of an address only. */
static void without_room_a_stack_is_whole_or_not_told(void)
{
    uint32_t line[64];
    unsigned told = 0, untold = 0;
    for (size_t limit = 0; limit < 60000; limit += 523) {
        begin(limit);
        for (unsigned i = 0; i < 25; i++) /* so that the tree has room where the table of addresses has none */
            tell(1000 + i, (const uint64_t[]){100 * (i % 5) + 16, 100 * (i / 5) + 16}, 2);
        for (unsigned i = 0; i < 2 * STACKS; i++)
            tell(1 + i, (const uint64_t[]){100 * (i % STACKS) + 7, 100 * (i % 5) + 16, 102}, ADDRESSES);
        for (unsigned i = 0; i < 2 * STACKS; i++) {
            int32_t at = ttap__callstacks_number(&stacks, 1 + i);
            unsigned count = lines_of(at, line, 64);
            CU_ASSERT_EQUAL(count, at < 0 ? 0 : 7 + 16 + 2);
            for (unsigned k = 0; k < count; k++)
                CU_ASSERT_EQUAL(line[k], k < 7 ? k + 1 : k < 23 ? k - 6 : k - 22);
            told += at >= 0;
            untold += at < 0;
        }
        finish();
    }
    CU_ASSERT_TRUE(told > 100 && untold > 100);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("callstacks", NULL, NULL);
    CU_ADD_TEST(suite, functions_at_an_address_are_frames_of_their_own_asked_for_once);
    CU_ADD_TEST(suite, an_address_without_any_has_its_module_and_offset);
    CU_ADD_TEST(suite, a_stack_of_too_many_functions_says_that_it_is_cut);
    CU_ADD_TEST(suite, without_room_a_stack_is_whole_or_not_told);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
