/* test_no_memory.c - each handler that answers from memory, with each of jansson's allocations failing in turn: it
 * answers exactly once, as it should or with 503 no_memory, never with a document that lacks something; and nothing
 * is left behind. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "fake_request.h"
#include "handlers.h"

/* No conversions or streams here: the parts of other rooms that the handlers' objects name. */
const struct ttap__format ttap__formats[] = {
    {"native", "application/octet-stream", "trace", "as recorded"}, {"json", "application/json", "json", "for viewers"}, {0}};

bool ttap__param_choice(struct ttap__request *req, const char *name, const char *const *choices, int *out)
{
    (void)req, (void)name, (void)choices, (void)out;
    return true;
}
bool ttap__param_seconds(struct ttap__request *req, const char *name, double max_s, uint64_t *out_ns)
{
    (void)req, (void)name, (void)max_s, (void)out_ns;
    return true;
}
bool ttap__param_u64(struct ttap__request *req, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    (void)req, (void)name, (void)min, (void)max, (void)out;
    return true;
}
bool ttap__param_set(struct ttap__request *req, const char *name, const char *const *choices, uint64_t *out)
{
    (void)req, (void)name, (void)choices, (void)out;
    return true;
}
unsigned ttap__conversions_running(void)
{
    return 0;
}
bool ttap__deliveries_append(struct ttap_http *http, json_t *array)
{
    (void)http, (void)array;
    return true;
}
uint64_t ttap__next_end_ns(struct ttap_http *http)
{
    (void)http;
    return 1;
}
void ttap__deliver_kept(struct ttap__request *req, struct ttap_http *http, struct ttap__kept *kept, int format)
{
    (void)req, (void)http, (void)format;
    ttap__kept_put(kept);
}
void ttap__deliver_head(struct ttap__request *req, const struct ttap_http *http, uint64_t unix_ns, int format)
{
    (void)req, (void)http, (void)unix_ns, (void)format;
}

static long fail_at, allocations, live;

static void *counted_malloc(size_t size)
{
    if (++allocations == fail_at)
        return NULL;
    void *block = malloc(size);
    live += block != NULL;
    return block;
}

static void counted_free(void *block)
{
    live -= block != NULL;
    free(block);
}

static struct ttap_http http = {.seconds_max = 300, .connections_max = 64, .lock = PTHREAD_MUTEX_INITIALIZER};

static void run_once(const struct ttap__route *route, const struct ttap__request *request, struct ttap__request *answer)
{
    *answer = *request;
    allocations = 0;
    live = 0;
    route->handler(answer, &http);
    CU_ASSERT_EQUAL(answer->replies, 1);
    CU_ASSERT_EQUAL(live, 0);
}

/* Kept captures that a run began must not fill the place for the next. */
static void forget_captures(void)
{
    struct ttap__kept_info list[TTAP__KEPT_LIST_MAX];
    size_t count = ttap__kept_list(list, TTAP__KEPT_LIST_MAX);
    for (size_t i = 0; i < count; i++)
        ttap__kept_delete(list[i].id);
}

static size_t count_of(const char *text, char what)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == what;
    return count;
}

static void check_each_failure(const struct ttap__route *route, const struct ttap__request *request, unsigned status)
{
    struct ttap__request whole, answer;
    fail_at = 0;
    run_once(route, request, &whole);
    CU_ASSERT_EQUAL_FATAL(whole.status, status);
    long count = allocations;
    CU_ASSERT(count > 3);
    for (long i = 1; i <= count; i++) {
        forget_captures();
        fail_at = i;
        run_once(route, request, &answer);
        /* The parser itself takes a failed allocation for a mistake in the text, now and then. */
        if (answer.status != status && strcmp(answer.code, "no_memory") != 0 && !(request->body && strcmp(answer.code, "bad_body") == 0))
            CU_FAIL("another answer");
        if (answer.status == status)
            CU_ASSERT_EQUAL(count_of(answer.message, '"'), count_of(whole.message, '"')); /* nothing is missing, numbers may differ */
    }
    fail_at = 0;
    forget_captures();
}

static void every_failed_allocation_of_the_status_is_told(void)
{
    const struct ttap__request request = {.method = TTAP__GET};
    check_each_failure(&ttap__route_status, &request, 200);
}

static void every_failed_allocation_of_the_setting_is_told(void)
{
    const struct ttap__request get = {.method = TTAP__GET};
    const struct ttap__request put = {.method = TTAP__PUT, .body = "{\"default\":0.5,\"kinds\":{\"a\":1,\"b\":0}}"};
    check_each_failure(&ttap__route_sampling, &put, 200);
    check_each_failure(&ttap__route_sampling, &get, 200);
    ttap_sampling_set("");
}

static void every_failed_allocation_of_a_new_capture_is_told(void)
{
    const struct ttap__request post = {.method = TTAP__POST, .body = "{\"seconds\":60,\"events\":[\"task\"],\"sample\":0.5}"};
    check_each_failure(&ttap__route_captures, &post, 202);
}

static void every_failed_allocation_of_the_list_is_told(void)
{
    const struct ttap__request get = {.method = TTAP__GET};
    struct ttap__request answer;
    for (long i = 1; i < 40; i++) {
        uint64_t id;
        struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
        opts.duration_ns = 1000000;
        fail_at = 0;
        if (i % 10 == 1)
            CU_ASSERT_EQUAL(ttap__kept_start(&opts, &id), 0);
        fail_at = i;
        run_once(&ttap__route_captures, &get, &answer);
        CU_ASSERT(answer.status == 200 || strcmp(answer.code, "no_memory") == 0);
    }
    fail_at = 0;
    forget_captures();
}

int main(void)
{
    json_set_alloc_funcs(counted_malloc, counted_free);
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("no memory", NULL, NULL);
    CU_ADD_TEST(suite, every_failed_allocation_of_the_status_is_told);
    CU_ADD_TEST(suite, every_failed_allocation_of_the_setting_is_told);
    CU_ADD_TEST(suite, every_failed_allocation_of_a_new_capture_is_told);
    CU_ADD_TEST(suite, every_failed_allocation_of_the_list_is_told);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    return CU_get_number_of_failures() != 0 || CU_get_error() != CUE_SUCCESS;
}
