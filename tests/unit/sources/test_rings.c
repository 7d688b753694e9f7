/* test_rings.c - records of the kernel out of rings that we filled: merged by time, over the ring's end at every offset, and hostile ones skipped.
 * Looks inside perf.c, whose rings only the kernel can make. */
#include "perf.c"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <sys/mman.h>

enum { RING = 4096, RINGS = 3 };

static void rings_begin(void)
{
    static struct ring rings[RINGS];
    memset(rings, 0, sizeof(rings));
    perf.ring = rings;
    perf.ring_bytes = RING;
    perf.cpus = RINGS;
    perf.wakee_offset = 24;
    for (int i = 0; i < RINGS; i++) {
        rings[i].page = mmap(NULL, 4096 + RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        rings[i].page->data_offset = 4096;
    }
}

static void rings_end(void)
{
    for (int i = 0; i < RINGS; i++)
        munmap(perf.ring[i].page, 4096 + RING);
    perf.ring = NULL;
}

/* What the kernel does. */
static void put(int ring, const void *bytes, size_t len)
{
    struct perf_event_mmap_page *page = perf.ring[ring].page;
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)page)[4096 + ((page->data_head + i) & (RING - 1))] = ((const unsigned char *)bytes)[i];
    page->data_head += len;
}

struct id {
    uint32_t pid, tid;
    uint64_t ns;
    uint32_t cpu, unused;
};

static void put_switch(int ring, uint16_t misc, uint32_t tid, uint64_t ns)
{
    struct {
        struct perf_event_header head;
        struct id id;
    } record = {{PERF_RECORD_SWITCH, misc, sizeof(record)}, {7, tid, ns, (uint32_t)ring, 0}};
    put(ring, &record, sizeof(record));
}

static void put_16(int ring, uint32_t type, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint64_t ns, bool with_time)
{
    unsigned char record[64] = {0};
    struct perf_event_header head = {type, 0, (uint16_t)(8 + 16 + (with_time ? 8 : 0) + 24)};
    uint32_t body[4] = {a, b, c, d};
    struct id id = {7, c, ns, (uint32_t)ring, 0};
    memcpy(record, &head, 8);
    memcpy(record + 8, body, 16);
    memcpy(record + head.size - 24, &id, 24);
    put(ring, record, head.size);
}

static void put_cpu_switch(int ring, uint16_t misc, uint32_t tid, uint32_t other_pid, uint32_t other_tid, uint64_t ns)
{
    struct {
        struct perf_event_header head;
        uint32_t other_pid, other_tid;
        struct id id;
    } record = {{PERF_RECORD_SWITCH_CPU_WIDE, misc, sizeof(record)}, other_pid, other_tid, {7, tid, ns, (uint32_t)ring, 0}};
    put(ring, &record, sizeof(record));
}

static void put_wake(int ring, uint32_t by, uint32_t wakee, unsigned char flags, uint64_t ns, uint16_t size)
{
    unsigned char record[96] = {0};
    struct perf_event_header head = {PERF_RECORD_SAMPLE, 0, size};
    struct id id = {7, by, ns, (uint32_t)ring, 0};
    uint32_t raw = 36;
    memcpy(record, &head, 8);
    memcpy(record + 8, &id, 24);
    memcpy(record + 32, &raw, 4);
    record[36 + 2] = flags;
    memcpy(record + 36 + 24, &wakee, 4);
    put(ring, record, size);
}

static void records_come_in_order_of_time(void)
{
    rings_begin();
    struct ttap__perf_record record;
    uint64_t last_ns = 0;
    for (unsigned i = 0; i < 90; i++)
        put_switch((int)(i * 7 % 3), i & 1 ? PERF_RECORD_MISC_SWITCH_OUT : 0, 100 + i, 1000 + i);
    for (unsigned i = 0; i < 90; i++) {
        CU_ASSERT_FATAL(ttap__perf_next(UINT64_MAX, &record));
        CU_ASSERT(record.ns > last_ns && record.tid == (int)(100 + i) && record.pid == 7);
        CU_ASSERT_EQUAL(record.what, i & 1 ? TTAP__PERF_BLOCK : TTAP__PERF_RUN);
        last_ns = record.ns;
    }
    CU_ASSERT_FALSE(ttap__perf_next(UINT64_MAX, &record));
    rings_end();
}

static void what_is_later_than_asked_for_waits(void)
{
    rings_begin();
    struct ttap__perf_record record;
    put_switch(0, 0, 1, 100);
    put_switch(1, 0, 2, 200);
    CU_ASSERT(ttap__perf_next(150, &record) && record.tid == 1);
    CU_ASSERT_FALSE(ttap__perf_next(150, &record));
    CU_ASSERT(ttap__perf_next(200, &record) && record.tid == 2);
    ttap__perf_read_done();
    CU_ASSERT_EQUAL(perf.ring[0].page->data_tail, perf.ring[0].page->data_head);
    rings_end();
}

static void each_kind_of_record_says_what_happened(void)
{
    rings_begin();
    struct ttap__perf_record record;
    put_switch(0, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, 1, 10);
    put_16(0, PERF_RECORD_FORK, 7, 8, 21, 22, 20, true);
    put_16(0, PERF_RECORD_EXIT, 7, 7, 21, 22, 30, true);
    put_16(0, PERF_RECORD_COMM, 7, 23, 0, 0, 40, false);
    put_16(0, PERF_RECORD_LOST, 1, 0, 55, 0, 50, false);
    put_wake(0, 31, 32, 0, 60, 72);
    put_wake(0, 31, 32, TRACE_FLAG_SOFTIRQ, 70, 72);
    put_16(0, 4242, 0, 0, 0, 0, 80, false);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_PREEMPT);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_BEGIN && record.pid == 7 && record.tid == 21 && record.by_pid == 8 &&
              record.by_tid == 22 && record.ns == 20);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_END && record.tid == 21);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_NAME && record.pid == 7 && record.tid == 23);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_LOST && record.lost == 55);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_WAKE && record.tid == 32 && record.by_tid == 31 && !record.interrupt);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_WAKE && record.interrupt);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_OTHER && record.ns == 80);
    rings_end();
}

static void a_switch_of_a_cpu_says_who_leaves_and_who_comes(void)
{
    rings_begin();
    struct ttap__perf_record record;
    put_cpu_switch(1, PERF_RECORD_MISC_SWITCH_OUT, 11, 8, 12, 10);
    put_cpu_switch(1, 0, 12, 7, 11, 20);
    put_cpu_switch(1, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, 12, 0, 0, 30);
    put_16(1, PERF_RECORD_SWITCH_CPU_WIDE, 0, 0, 0, 0, 40, false);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_SWITCH && !record.preempted && record.ns == 10 && record.cpu == 1);
    CU_ASSERT(record.by_pid == 7 && record.by_tid == 11 && record.pid == 8 && record.tid == 12);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_ARRIVE && record.ns == 20);
    CU_ASSERT(record.by_pid == 7 && record.by_tid == 11 && record.pid == 7 && record.tid == 12);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_SWITCH && record.preempted);
    CU_ASSERT(record.by_tid == 12 && record.pid == 0 && record.tid == 0);
    CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_ARRIVE && record.ns == 40);
    rings_end();
}

static void a_record_over_the_end_is_whole_at_every_offset(void)
{
    for (uint64_t offset = 0; offset < 2 * 64; offset += 8) {
        rings_begin();
        struct ttap__perf_record record;
        perf.ring[0].tail = perf.ring[0].page->data_head = RING * 5 - offset;
        put_switch(0, 0, 11, 100);
        put_16(0, PERF_RECORD_FORK, 7, 7, 12, 11, 200, true);
        put_wake(0, 31, 32, 0, 300, 72);
        CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_RUN && record.tid == 11 && record.ns == 100);
        CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_BEGIN && record.tid == 12 && record.ns == 200);
        CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.what == TTAP__PERF_WAKE && record.tid == 32 && record.ns == 300);
        CU_ASSERT_FALSE(ttap__perf_next(UINT64_MAX, &record));
        rings_end();
    }
}

static void records_too_short_for_their_kind_mean_nothing(void)
{
    static const uint32_t types[] = {PERF_RECORD_SWITCH, PERF_RECORD_FORK,   PERF_RECORD_EXIT,           PERF_RECORD_COMM,
                                     PERF_RECORD_LOST,   PERF_RECORD_SAMPLE, PERF_RECORD_SWITCH_CPU_WIDE};
    for (unsigned t = 0; t < 7; t++)
        for (uint16_t size = 8; size <= 72; size += 8) {
            rings_begin();
            struct ttap__perf_record record;
            unsigned char bytes[80] = {0};
            struct perf_event_header head = {types[t], types[t] == PERF_RECORD_SWITCH_CPU_WIDE ? PERF_RECORD_MISC_SWITCH_OUT : 0, size};
            memcpy(bytes, &head, 8);
            put(0, bytes, size);
            put_switch(1, 0, 9, 5);
            static const uint16_t leasts[] = {32, 48, 48, 40, 48, 64, 40};
            unsigned seen = 0, meant = 0;
            for (; ttap__perf_next(UINT64_MAX, &record); seen++)
                meant += record.what != TTAP__PERF_OTHER;
            CU_ASSERT_EQUAL(seen, 2);
            CU_ASSERT_EQUAL(meant, 1u + (size >= leasts[t]));
            rings_end();
        }
}

static void a_size_that_cannot_be_ends_the_ring_there(void)
{
    static const uint16_t sizes[] = {0, 1, 7, 520, 65535, 40};
    for (unsigned i = 0; i < 6; i++) {
        rings_begin();
        struct ttap__perf_record record;
        struct perf_event_header head = {PERF_RECORD_SWITCH, 0, sizes[i]};
        put(0, &head, 8); /* 40: more than is there */
        put_switch(1, 0, 9, 5);
        CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.tid == 9);
        CU_ASSERT_FALSE(ttap__perf_next(UINT64_MAX, &record));
        ttap__perf_read_done();
        CU_ASSERT_EQUAL(perf.ring[0].page->data_tail, perf.ring[0].page->data_head);
        put_switch(0, 0, 10, 6); /* and goes on */
        CU_ASSERT(ttap__perf_next(UINT64_MAX, &record) && record.tid == 10);
        rings_end();
    }
}

static void any_bytes_are_read_to_their_end(void)
{
    srand(3);
    for (int round = 0; round < 500; round++) {
        rings_begin();
        struct ttap__perf_record record;
        for (int i = 0; i < RINGS; i++) {
            unsigned char bytes[RING];
            for (unsigned at = 0; at < RING; at++)
                bytes[at] = (unsigned char)(rand() % 4 ? rand() % 20 : rand());
            perf.ring[i].tail = perf.ring[i].page->data_head = (uint64_t)(rand() % RING) & ~7u;
            put(i, bytes, RING);
        }
        unsigned seen = 0;
        while (ttap__perf_next(UINT64_MAX, &record))
            seen++;
        CU_ASSERT(seen <= RINGS * RING / 8);
        rings_end();
    }
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("rings", NULL, NULL);
    CU_ADD_TEST(suite, records_come_in_order_of_time);
    CU_ADD_TEST(suite, what_is_later_than_asked_for_waits);
    CU_ADD_TEST(suite, each_kind_of_record_says_what_happened);
    CU_ADD_TEST(suite, a_switch_of_a_cpu_says_who_leaves_and_who_comes);
    CU_ADD_TEST(suite, a_record_over_the_end_is_whole_at_every_offset);
    CU_ADD_TEST(suite, records_too_short_for_their_kind_mean_nothing);
    CU_ADD_TEST(suite, a_size_that_cannot_be_ends_the_ring_there);
    CU_ADD_TEST(suite, any_bytes_are_read_to_their_end);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
