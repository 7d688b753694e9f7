/* test_body.c - JSON bodies: taken whole, refused when cut anywhere, and never read beyond their end. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_request.h"
#include "handlers.h"

static const char whole[] = "{\"seconds\":2.5,\"events\":[\"task\",\"gc\"],\"sample\":\"0.5,checkout=1\",\"bytes\":4096}";
static const struct ttap_http http = {.seconds_max = 300};

/* A copy whose last byte is the last one before a page that must not be touched. */
static char *at_the_edge(const char *text, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_NOT_EQUAL_FATAL(pages, MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(mprotect(pages + page, page, PROT_NONE), 0);
    return memcpy(pages + page - len, text, len);
}

static void forget_the_edge(char *text, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(text + len - page, 2 * page);
}

/* Reads a body as POST captures does. True: taken. */
static bool take(const char *text, size_t len, struct ttap__wish *wish, struct ttap__request *req)
{
    char rule[24];
    *req = (struct ttap__request){.method = TTAP__POST, .body = text, .body_len = len};
    json_t *body = ttap__body_object(req);
    bool taken = body && ttap__wish_from_body(req, &http, body, wish, rule);
    if (taken && wish->sub.sample)
        CU_ASSERT_STRING_EQUAL(wish->sub.sample, "0.5,checkout=1");
    json_decref(body);
    CU_ASSERT_EQUAL(req->replies, taken ? 0 : 1);
    return taken;
}

static void a_whole_body_says_what_to_record(void)
{
    struct ttap__wish wish;
    struct ttap__request req;
    CU_ASSERT(take(whole, strlen(whole), &wish, &req));
    CU_ASSERT_EQUAL(wish.sub.duration_ns, 2500000000u);
    CU_ASSERT_EQUAL(wish.sub.groups, TTAP_GROUP_TASK | TTAP_GROUP_GC);
    CU_ASSERT_EQUAL(wish.sub.max_bytes, 4096);
}

static void a_body_cut_anywhere_is_refused_and_not_read_beyond_its_end(void)
{
    for (size_t len = 1; len <= strlen(whole); len++) {
        struct ttap__wish wish;
        struct ttap__request req;
        char *text = at_the_edge(whole, len);
        CU_ASSERT_EQUAL(take(text, len, &wish, &req), len == strlen(whole));
        forget_the_edge(text, len);
    }
}

static void an_escape_at_the_very_end_is_not_followed(void)
{
    struct ttap__wish wish;
    struct ttap__request req;
    char *text = at_the_edge("{\"a\\", 4);
    CU_ASSERT_FALSE(take(text, 4, &wish, &req));
    forget_the_edge(text, 4);
}

static void brackets_inside_of_strings_are_no_depth(void)
{
    struct ttap__wish wish;
    struct ttap__request req;
    const char *flat = "{\"[[[[[[[[[[[[\\\"{{{{{{{{{{{\":1}";
    CU_ASSERT_FALSE(take(flat, strlen(flat), &wish, &req));
    CU_ASSERT_PTR_NOT_NULL(strstr(req.message, "unknown"));
    const char *deep = "[[[[[[[[[]]]]]]]]]";
    CU_ASSERT_FALSE(take(deep, strlen(deep), &wish, &req));
    CU_ASSERT_PTR_NOT_NULL(strstr(req.message, "deeper"));
    const char *allowed = "[[[[[[[[]]]]]]]]";
    CU_ASSERT_FALSE(take(allowed, strlen(allowed), &wish, &req));
    CU_ASSERT_PTR_NOT_NULL(strstr(req.message, "not a JSON object"));
}

static void a_number_may_stand_for_a_rule(void)
{
    const char *text = "{\"sample\":0.25}";
    struct ttap__request req = {.method = TTAP__POST, .body = text};
    struct ttap__wish wish;
    char rule[24];
    json_t *body = ttap__body_object(&req);
    CU_ASSERT(ttap__wish_from_body(&req, &http, body, &wish, rule));
    CU_ASSERT_STRING_EQUAL(wish.sub.sample, "0.25");
    json_decref(body);
}

/* @number: a JSON value. NULL: taken; else a part of what is said of it. */
static void long_wait_is(const char *number, uint32_t taken_us, const char *complaint)
{
    char text[64];
    struct ttap__wish wish;
    struct ttap__request req;
    snprintf(text, sizeof text, "{\"samples\":99,\"long_wait_us\":%s}", number);
    CU_ASSERT_EQUAL(take(text, strlen(text), &wish, &req), !complaint);
    CU_ASSERT_TRUE(complaint ? strstr(req.message, complaint) != NULL : wish.sub.long_wait_us == taken_us);
}

static void how_long_a_long_wait_is_is_a_whole_number_of_microseconds(void)
{
    static const char bounds[] = "long_wait_us: a whole number from 1 to 1000000 is expected";
    struct ttap__wish wish;
    struct ttap__request req;
    long_wait_is("1", 1, NULL);
    long_wait_is("100", 100, NULL);
    long_wait_is("1000000", 1000000, NULL);
    long_wait_is("0", 0, bounds);
    long_wait_is("-1", 0, bounds);
    long_wait_is("1000001", 0, bounds);
    long_wait_is("4294967297", 0, bounds); /* 1 in 32 bits */
    static const char *const others[] = {"1.5", "\"100\"", "true", "[100]", "null"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        long_wait_is(others[i], 0, bounds);
    CU_ASSERT_TRUE(take("{\"samples\":99}", 14, &wish, &req));
    CU_ASSERT_EQUAL(wish.sub.long_wait_us, 0); /* the usual */
}

static void allocations_are_sampled_in_a_kibibyte_to_a_gibibyte(void)
{
    static const char bounds[] = "alloc_samples: a whole number from 1024 to 1073741824 is expected";
    static const char *const taken[] = {"0", "1024", "1073741824"}, *const refused[] = {"1", "1023", "1073741825", "-1", "1.5", "\"1024\"", "null"};
    static const uint32_t bytes[] = {0, 1024, 1u << 30};
    char text[64];
    struct ttap__wish wish;
    struct ttap__request req;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(text, sizeof text, "{\"alloc_samples\":%s}", taken[i]);
        CU_ASSERT_TRUE(take(text, strlen(text), &wish, &req) && wish.sub.alloc_sample_bytes == bytes[i]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(text, sizeof text, "{\"alloc_samples\":%s}", refused[i]);
        CU_ASSERT_TRUE(!take(text, strlen(text), &wish, &req) && strstr(req.message, bounds));
    }
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("body", NULL, NULL);
    CU_ADD_TEST(suite, a_whole_body_says_what_to_record);
    CU_ADD_TEST(suite, a_body_cut_anywhere_is_refused_and_not_read_beyond_its_end);
    CU_ADD_TEST(suite, an_escape_at_the_very_end_is_not_followed);
    CU_ADD_TEST(suite, brackets_inside_of_strings_are_no_depth);
    CU_ADD_TEST(suite, a_number_may_stand_for_a_rule);
    CU_ADD_TEST(suite, how_long_a_long_wait_is_is_a_whole_number_of_microseconds);
    CU_ADD_TEST(suite, allocations_are_sampled_in_a_kibibyte_to_a_gibibyte);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    return CU_get_number_of_failures() != 0 || CU_get_error() != CUE_SUCCESS;
}
