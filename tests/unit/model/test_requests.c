/* test_requests.c - what connections were asked: order, bounds, hostile calls. What the rule says is in tests/traces/connections_*. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "requests.h"

enum { RECV, SEND, CONNECT }; /* string numbers */
static const char *const op_texts[] = {"recv", "send", "connect"};

enum { CONNECTIONS = 3 * TTAP__CONNECTIONS_MAX };
static struct ttap__allowance allowance;
static struct ttap__names names;
static struct ttap__lanes_around around;
static struct ttap__requests requests;
static unsigned told, answered;
static uint64_t receives_told, bytes_told;
static int64_t latest_end_ns[CONNECTIONS];
static bool disjoint;

static int request_told(void *arg, const struct ttap__request_row *row)
{
    (void)arg;
    told++;
    answered += row->end_lane >= 0;
    receives_told += row->receives;
    bytes_told += row->bytes_in;
    if (row->start_ns < latest_end_ns[row->object] || row->dur_ns < 0)
        disjoint = false;
    latest_end_ns[row->object] = row->start_ns + row->dur_ns;
    return 0;
}

static const struct ttap__rows rows = {.request = request_told};

static void begin(size_t limit_bytes)
{
    allowance = (struct ttap__allowance){.limit = limit_bytes};
    ttap__names_start(&names, &rows, NULL, &allowance);
    around = (struct ttap__lanes_around){.rows = &rows, .allowance = &allowance, .names = &names};
    ttap__requests_start(&requests, &around);
    told = answered = 0;
    receives_told = bytes_told = 0;
    disjoint = true;
    memset(latest_end_ns, 0, sizeof latest_end_ns);
}

static void call(unsigned op, uint32_t object, uint32_t lane, int64_t start_ns, int64_t end_ns, int64_t result)
{
    struct ttap__call_row row = {
        .lane = lane, .op = op, .object = (int32_t)object, .start_ns = start_ns, .dur_ns = end_ns - start_ns, .result = result};
    ttap__requests_call(&requests, &row, (struct ttap__text){op_texts[op], strlen(op_texts[op])});
}

static void finish(int64_t end_ns)
{
    ttap__requests_finish(&requests, end_ns);
    ttap__requests_free(&requests);
    ttap__names_free(&names);
    CU_ASSERT_EQUAL(allowance.used, 0);
    CU_ASSERT_TRUE(disjoint);
}

/* One thread receives, the other answers, and their streams come in turns of 2,000 calls. */
static void streams_that_come_in_turns_are_put_in_order(void)
{
    enum { TURNS = 20, TURN = 2000 };
    begin(1 << 20);
    for (int turn = 0; turn < TURNS; turn++)
        for (int sends = 1; sends >= 0; sends--)
            for (int i = 0; i < TURN; i++) {
                int64_t at_ns = 100 * ((int64_t)turn * TURN + i);
                call(sends ? SEND : RECV, 7, (uint32_t)sends, at_ns + (sends ? 50 : 0), at_ns + (sends ? 60 : 10), 3);
            }
    finish(1000000);
    CU_ASSERT_EQUAL(told, TURNS * TURN);
    CU_ASSERT_EQUAL(answered, TURNS * TURN);
    CU_ASSERT_EQUAL(bytes_told, 3 * TURNS * TURN);
}

static void more_connections_than_are_followed_are_told_all_the_same(void)
{
    begin(2 << 20);
    for (int64_t i = 0; i < CONNECTIONS; i++) {
        call(RECV, (uint32_t)i, 0, 1000 * i, 1000 * i + 10, 1);
        call(SEND, (uint32_t)i, 0, 1000 * i + 20, 1000 * i + 30, 1);
    }
    CU_ASSERT_EQUAL(requests.connections_count, TTAP__CONNECTIONS_MAX);
    finish(1000 * CONNECTIONS);
    CU_ASSERT_EQUAL(told, CONNECTIONS);
    CU_ASSERT_EQUAL(answered, CONNECTIONS);
}

static void a_connection_that_speaks_often_outlives_many_that_spoke_once(void)
{
    begin(2 << 20);
    call(CONNECT, 0, 0, 0, 5, 0);
    for (int64_t i = 1; i < CONNECTIONS; i++) {
        call(SEND, 0, 0, 1000 * i, 1000 * i + 10, 1);
        call(RECV, (uint32_t)i, 1, 1000 * i + 20, 1000 * i + 30, 1);
        call(RECV, 0, 0, 1000 * i + 40, 1000 * i + 50, 1);
    }
    finish(1000 * CONNECTIONS);
    CU_ASSERT_EQUAL(told, 2 * (CONNECTIONS - 1));
    CU_ASSERT_EQUAL(answered, CONNECTIONS - 1); /* it was known to the end that it asks */
}

static void without_room_less_is_told_and_counted(void)
{
    for (size_t limit = 0; limit < 40000; limit += 777) {
        begin(limit);
        for (int64_t i = 0; i < 1000; i++) {
            call(RECV, (uint32_t)(i % 300), 0, 10 * i, 10 * i + 2, 1);
            call(SEND, (uint32_t)(i % 300), 0, 10 * i + 3, 10 * i + 5, 1);
        }
        uint64_t untold = around.untold;
        finish(10000);
        CU_ASSERT_TRUE(told + around.untold >= 1000 || told > 0);
        CU_ASSERT_TRUE(limit > 0 || (untold == 2000 && told == 0));
    }
}

/* Any order, any times, any result: rows stay disjoint, and no receive is told twice. */
static void hostile_calls_break_nothing(void)
{
    unsigned random = 5;
    uint64_t received = 0;
    begin(1 << 20);
    for (int i = 0; i < 60000; i++) {
        random = random * 1103515245 + 12345;
        unsigned bits = random >> 8;
        int64_t start_ns = (int64_t)(bits % 100000), end_ns = start_ns + (int64_t)(bits % 997);
        int64_t result = bits % 13 == 0 ? INT64_MAX : bits % 13 == 1 ? INT64_MIN : bits % 13 == 2 ? 0 : (int64_t)(bits % 100);
        unsigned op = bits % 50 == 49 ? CONNECT : bits / 7 % 2 ? SEND : RECV;
        received += op == RECV && result > 0;
        call(op, bits / 16 % 40, bits % 3, start_ns, end_ns, result);
    }
    finish(200000);
    CU_ASSERT_TRUE(told > 1000);
    CU_ASSERT_TRUE(receives_told <= received);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"streams that come in turns are put in order", streams_that_come_in_turns_are_put_in_order},
        {"more connections than are followed are told all the same", more_connections_than_are_followed_are_told_all_the_same},
        {"a connection that speaks often outlives many that spoke once", a_connection_that_speaks_often_outlives_many_that_spoke_once},
        {"without room less is told and counted", without_room_less_is_told_and_counted},
        {"hostile calls break nothing", hostile_calls_break_nothing},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"requests", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 1;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
