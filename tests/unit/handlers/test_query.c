/* test_query.c - what a capture is to record, from query parameters: each value at and beside its limits, and the sentence of each refusal.
 * The server's parameter functions are the real ones; only the reply is caught. */
#include <CUnit/Basic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "handlers.h"
#define ttap__log ttap__server_log /* the annotations have one of the same name */
#include "internal.h"
#undef ttap__log

/* More than can be chosen from: the list ends at sixteen. */
const struct ttap__format ttap__formats[] = {{.name = "native"}, {.name = "json"}, {.name = "f2"},  {.name = "f3"},  {.name = "f4"},  {.name = "f5"},
                                             {.name = "f6"},     {.name = "f7"},   {.name = "f8"},  {.name = "f9"},  {.name = "f10"}, {.name = "f11"},
                                             {.name = "f12"},    {.name = "f13"},  {.name = "f14"}, {.name = "f15"}, {.name = "f16"}, {.name = NULL}};

static struct {
    unsigned count, status;
    char code[32], message[600];
} reply;

void ttap__reply_error(struct ttap__request *req, unsigned status, const char *code, const char *hint, const struct ttap__header *extra,
                       const char *message_format, ...)
{
    va_list args;
    (void)req, (void)hint, (void)extra;
    reply.count++;
    reply.status = status;
    snprintf(reply.code, sizeof reply.code, "%s", code);
    va_start(args, message_format);
    vsnprintf(reply.message, sizeof reply.message, message_format, args);
    va_end(args);
}

static const struct ttap_http http = {.seconds_max = 300};
static struct ttap__wish wish;

/* Reads a query as name=value pairs, undecoded. */
static bool ask(const char *query)
{
    static struct ttap__request req;
    static char text[512];
    memset(&req, 0, sizeof req);
    memset(&reply, 0, sizeof reply);
    snprintf(text, sizeof text, "%s", query);
    for (char *rest = text, *name; *rest;) {
        name = strsep(&rest, "=");
        req.params[req.param_count++] = (struct param){name, strsep(&rest, "&")};
        if (!rest)
            break;
    }
    bool taken = ttap__wish_from_query(&req, &http, &wish);
    CU_ASSERT_EQUAL(reply.count, taken ? 0 : 1);
    CU_ASSERT(taken || (reply.status == 400 && strcmp(reply.code, "bad_parameter") == 0));
    return taken;
}

static void refused_with(const char *query, const char *message)
{
    CU_ASSERT_FALSE(ask(query));
    CU_ASSERT_STRING_EQUAL(reply.message, message);
    if (strcmp(reply.message, message) != 0)
        fprintf(stderr, "    %s\n", reply.message);
}

static void nothing_asked_for_is_a_second_of_everything_as_it_is(void)
{
    CU_ASSERT_TRUE(ask(""));
    CU_ASSERT_EQUAL(wish.sub.duration_ns, 1000000000);
    CU_ASSERT_EQUAL(wish.sub.groups, TTAP_GROUPS_ALL);
    CU_ASSERT_EQUAL(wish.sub.max_bytes, 0);
    CU_ASSERT_PTR_NULL(wish.sub.sample);
    CU_ASSERT_EQUAL(wish.sub.samples_hz, 0);
    CU_ASSERT_EQUAL(wish.format, 0);
    CU_ASSERT_FALSE(wish.sub.keep);
}

static void everything_that_is_asked_for_is_taken(void)
{
    CU_ASSERT_TRUE(ask("seconds=2.5&events=task,gc&sample=0.5,checkout=1&bytes=4096&format=json"));
    CU_ASSERT_EQUAL(wish.sub.duration_ns, 2500000000);
    CU_ASSERT_EQUAL(wish.sub.groups, TTAP_GROUP_TASK | TTAP_GROUP_GC);
    CU_ASSERT_EQUAL(wish.sub.max_bytes, 4096);
    CU_ASSERT_EQUAL(wish.format, 1);
}

static void a_window_is_from_a_microsecond_to_the_limit_of_the_endpoint(void)
{
    CU_ASSERT_TRUE(ask("seconds=0.000001") && wish.sub.duration_ns == 1000);
    CU_ASSERT_TRUE(ask("seconds=300") && wish.sub.duration_ns == 300000000000);
    refused_with("seconds=0.000000999", "seconds=0.000000999: the shortest window is 0.000001");
    refused_with("seconds=0", "seconds=0: allowed is more than 0, up to 300");
    refused_with("seconds=300.0000001", "seconds=300.0000001: allowed is more than 0, up to 300");
    refused_with("seconds=five", "seconds=five: allowed is more than 0, up to 300");
}

static void bytes_are_from_a_page_to_a_slipped_digit(void)
{
    CU_ASSERT_TRUE(ask("bytes=4096") && wish.sub.max_bytes == 4096);
    CU_ASSERT_TRUE(ask("bytes=1099511627776") && wish.sub.max_bytes == UINT64_C(1) << 40);
    refused_with("bytes=4095", "bytes=4095: allowed is 4096 to 1099511627776");
    refused_with("bytes=1099511627777", "bytes=1099511627777: allowed is 4096 to 1099511627776");
    refused_with("bytes=4k", "bytes=4k: allowed is 4096 to 1099511627776");
}

static void samples_are_none_to_a_thousand_a_second(void)
{
    CU_ASSERT_TRUE(ask("samples=0") && wish.sub.samples_hz == 0);
    CU_ASSERT_TRUE(ask("samples=1") && wish.sub.samples_hz == 1);
    CU_ASSERT_TRUE(ask("samples=1000") && wish.sub.samples_hz == 1000);
    refused_with("samples=1001", "samples=1001: allowed is 0 to 1000");
    refused_with("samples=-1", "samples=-1: allowed is 0 to 1000");
    refused_with("samples=often", "samples=often: allowed is 0 to 1000");
}

static void allocations_are_sampled_in_a_kibibyte_to_a_gibibyte(void)
{
    CU_ASSERT_TRUE(ask("") && wish.sub.alloc_sample_bytes == 0);
    CU_ASSERT_TRUE(ask("alloc_samples=0") && wish.sub.alloc_sample_bytes == 0);
    CU_ASSERT_TRUE(ask("alloc_samples=1024") && wish.sub.alloc_sample_bytes == 1024);
    CU_ASSERT_TRUE(ask("alloc_samples=1073741824") && wish.sub.alloc_sample_bytes == 1u << 30);
    refused_with("alloc_samples=1023", "alloc_samples=1023: allowed is 1024 to 1073741824");
    refused_with("alloc_samples=1073741825", "alloc_samples=1073741825: allowed is 1024 to 1073741824");
    refused_with("alloc_samples=512K", "alloc_samples=512K: allowed is 1024 to 1073741824");
}

static void long_waits_begin_at_a_microsecond_to_a_second(void)
{
    CU_ASSERT_TRUE(ask("samples=9") && wish.sub.long_wait_us == 0);
    CU_ASSERT_TRUE(ask("samples=9&long_wait_us=1") && wish.sub.long_wait_us == 1);
    CU_ASSERT_TRUE(ask("long_wait_us=1000000") && wish.sub.long_wait_us == 1000000);
    refused_with("long_wait_us=0", "long_wait_us=0: allowed is 1 to 1000000");
    refused_with("long_wait_us=1000001", "long_wait_us=1000001: allowed is 1 to 1000000");
}

static void a_format_is_one_of_sixteen_at_most(void)
{
    CU_ASSERT_TRUE(ask("format=native") && wish.format == 0);
    CU_ASSERT_TRUE(ask("format=f15") && wish.format == 15);
    refused_with("format=f16", "format=f16: allowed is one of native, json, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15");
    CU_ASSERT_FALSE(ask("format=")); /* empty is not "none given" */
    CU_ASSERT_FALSE(ask("format=nativ"));
    struct ttap__request *req = calloc(1, sizeof *req);
    int format = 42;
    CU_ASSERT_PTR_NOT_NULL_FATAL(req);
    CU_ASSERT_TRUE(ttap__format_from_query(req, &format));
    CU_ASSERT_EQUAL(format, -1); /* none given */
    free(req);
}

static void events_are_groups_each_at_most_once(void)
{
    CU_ASSERT_TRUE(ask("events=region") && wish.sub.groups == TTAP_GROUP_REGION);
    CU_ASSERT_FALSE(ask("events=region,region"));
    CU_ASSERT_PTR_EQUAL(strstr(reply.message, "events=region,region: allowed is a comma-separated list, each at most once, of task, region, log"),
                        reply.message);
    CU_ASSERT_FALSE(ask("events="));
    CU_ASSERT_FALSE(ask("events=everything"));
}

static void a_wrong_sampling_rule_is_refused_with_its_place(void)
{
    CU_ASSERT_TRUE(ask("sample=0.01,checkout=1"));
    CU_ASSERT_STRING_EQUAL(wish.sub.sample, "0.01,checkout=1");
    refused_with("sample=0.5,a=2", "sample=0.5,a=2: not a rate from 0 to 1 or a rule of at most 64 kinds; wrong at byte 4");
    refused_with("sample=", "sample=: not a rate from 0 to 1 or a rule of at most 64 kinds; wrong at byte 0");
}

static void a_long_value_is_shown_in_part(void)
{
    refused_with(
        "format=0123456789012345678901234567890123456789X",
        "format=0123456789012345678901234567890123456789: allowed is one of native, json, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, "
        "f14, f15");
}

/* The list in a refusal ends at a whole word where its 400 bytes do, the NUL among them. */
static void a_list_too_long_for_its_room_ends_at_a_whole_word(void)
{
    static char words[4][200];
    const char *const choices[] = {words[0], words[1], words[2], NULL};
    struct ttap__request *req = calloc(1, sizeof *req);
    CU_ASSERT_PTR_NOT_NULL_FATAL(req);
    req->params[0] = (struct param){(char *)"x", (char *)"y"};
    req->param_count = 1;
    for (int more = 0; more < 2; more++) {
        const size_t lengths[] = {198, 100, 97 + (size_t)more}; /* with two times ", " 399, or one too many */
        int chosen = 42;
        for (int i = 0; i < 3; i++)
            memset(words[i], 'a' + i, lengths[i]);
        memset(&reply, 0, sizeof reply);
        CU_ASSERT_FALSE(ttap__param_choice(req, "x", choices, &chosen));
        CU_ASSERT_EQUAL(chosen, 42);
        CU_ASSERT_EQUAL(strlen(reply.message), strlen("x=y: allowed is one of ") + (more ? 300 : 399));
        CU_ASSERT_EQUAL(reply.message[strlen(reply.message) - 1], more ? 'b' : 'c');
    }
    free(req);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("query", NULL, NULL);
    CU_ADD_TEST(suite, nothing_asked_for_is_a_second_of_everything_as_it_is);
    CU_ADD_TEST(suite, everything_that_is_asked_for_is_taken);
    CU_ADD_TEST(suite, a_window_is_from_a_microsecond_to_the_limit_of_the_endpoint);
    CU_ADD_TEST(suite, bytes_are_from_a_page_to_a_slipped_digit);
    CU_ADD_TEST(suite, samples_are_none_to_a_thousand_a_second);
    CU_ADD_TEST(suite, long_waits_begin_at_a_microsecond_to_a_second);
    CU_ADD_TEST(suite, allocations_are_sampled_in_a_kibibyte_to_a_gibibyte);
    CU_ADD_TEST(suite, a_format_is_one_of_sixteen_at_most);
    CU_ADD_TEST(suite, events_are_groups_each_at_most_once);
    CU_ADD_TEST(suite, a_wrong_sampling_rule_is_refused_with_its_place);
    CU_ADD_TEST(suite, a_long_value_is_shown_in_part);
    CU_ADD_TEST(suite, a_list_too_long_for_its_room_ends_at_a_whole_word);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    return CU_get_number_of_failures() != 0 || CU_get_error() != CUE_SUCCESS;
}
