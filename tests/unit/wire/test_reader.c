/* The reader fed whole, byte by byte, cut at each length, damaged at each byte, beside a page it must not touch, and without memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail_malloc.h"
#include "reader.h"
#include "statements.h"
#include "text_capture.h"

/* What was delivered, as numbers that tell most mistakes apart. */
struct seen {
    unsigned headers, notes, clocks, names, threads, blocks, events, regions, losses, tasks, accounts, trailers;
    uint64_t mixed;
};

static void mix(struct seen *seen, uint64_t value)
{
    seen->mixed = (seen->mixed ^ value) * UINT64_C(0x100000001b3);
}

static void mix_text(struct seen *seen, struct ttap__text text)
{
    for (size_t i = 0; i < text.len; i++)
        mix(seen, (uint8_t)text.bytes[i]);
}

static int on_header(void *arg, const struct ttap__header *header)
{
    struct seen *seen = arg;
    seen->headers++;
    mix(seen, header->kinds_count);
    mix_text(seen, header->exe);
    return 0;
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    ((struct seen *)arg)->notes++;
    mix_text(arg, key);
    mix_text(arg, value);
    return 0;
}

static int on_clock(void *arg, const struct ttap__clock_pair *pair)
{
    ((struct seen *)arg)->clocks++;
    mix(arg, pair->ticks + pair->mono_ns);
    return 0;
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    ((struct seen *)arg)->names++;
    mix(arg, id);
    mix_text(arg, text);
    return 0;
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    ((struct seen *)arg)->threads++;
    mix(arg, row->thread + row->tid);
    mix_text(arg, row->name);
    return 0;
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct seen *seen = arg;
    struct ttap__region_walk regions;
    struct ttap__open_region region;
    struct ttap__event_walk walk;
    struct ttap__event event;
    seen->blocks++;
    ttap__regions_start(block, &regions);
    while (ttap__regions_next(&regions, &region)) {
        seen->regions++;
        mix(seen, region.depth + region.begin_ticks);
    }
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        seen->events++;
        mix(seen, event.ticks ^ event.row->number);
        for (unsigned i = 0; i < event.row->fields_count && i < TTAP__VALUES_MAX; i++)
            if (event.row->codes[i] == 's')
                mix_text(seen, ttap__event_text(&event, i));
            else
                mix(seen, event.a[i]);
    }
    return 0;
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    ((struct seen *)arg)->losses++;
    mix(arg, row->lost + row->first_seq);
    return 0;
}

static int on_task(void *arg, const struct ttap__task_row *row)
{
    ((struct seen *)arg)->tasks++;
    mix(arg, row->task + row->start_ticks);
    return 0;
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    ((struct seen *)arg)->accounts++;
    mix(arg, row->delivered + row->sampled_out);
    return 0;
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    ((struct seen *)arg)->trailers++;
    mix(arg, trailer->bytes + trailer->events);
    return 0;
}

static const struct ttap__read_calls calls = {
    .header = on_header,
    .note = on_note,
    .clock = on_clock,
    .name = on_name,
    .thread = on_thread,
    .events = on_events,
    .loss = on_loss,
    .task = on_task,
    .account = on_account,
    .trailer = on_trailer,
};

/* Every block type, several chunks, both levels, text, task ids that wrap, time that steps back, a kind of later version. */
static const char rich[] = "header exe=\"rich\"\n"
                           "kind 200 name=\"blink\" fields=\"a:u t:s raw:x when:t\"\n"
                           "note key=\"source.sched\" value=\"off\"\n"
                           "threads thread=1 name=\"main\"\nthreads thread=2 name=\"worker\"\n"
                           "tasks task=7 kind=\"GET\" start=5 thread=1\n"
                           "thread 1 at 1000: region_begin name=\"outer\"\n"
                           "thread 1 at 1100: log category=\"db\" text=\"hello\"\n"
                           "thread 1 at 1099: task_attr_str task=18446744073709551615 key=\"k\" text=\"v\"\n"
                           "thread 1 signal at 1200: instant name=\"tick\"\n"
                           "next\n"
                           "thread 1 at 70000: blink a=5 t=\"text\" raw=0x1122334455667788 when=3\n"
                           "loss thread=2 reason=queue lost=4 filtered=1 from=1000 to=2000\n"
                           "clock ticks=5000 mono_ns=5000\n"
                           "sampled_out thread=2 n=3\n"
                           "end reason=stopped at=80000\n";

static struct wire rich_wire(void)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    if (!text_capture_to_wire(rich, strlen(rich), &wire, error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    return wire;
}

static int feed_in_pieces(const uint8_t *bytes, size_t len, size_t piece, struct seen *seen, bool *finished)
{
    struct ttap__reader *reader = ttap__reader_new(&calls, seen);
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece)
        rc = ttap__reader_feed(reader, bytes + at, len - at < piece ? len - at : piece);
    bool ended = ttap__reader_finish(reader);
    if (finished)
        *finished = ended;
    ttap__reader_free(reader);
    return rc;
}

static void a_whole_capture_delivers_every_row(void)
{
    struct wire wire = rich_wire();
    struct seen seen = {0};
    bool finished;
    CU_ASSERT_EQUAL(feed_in_pieces(wire.bytes, wire.len, wire.len, &seen, &finished), 0);
    CU_ASSERT_TRUE(finished);
    CU_ASSERT_EQUAL(seen.headers, 1);
    CU_ASSERT_EQUAL(seen.notes, 1);
    CU_ASSERT_EQUAL(seen.clocks, 1);
    CU_ASSERT_EQUAL(seen.threads, 2);
    CU_ASSERT_EQUAL(seen.tasks, 1);
    CU_ASSERT_EQUAL(seen.blocks, 3);
    CU_ASSERT_EQUAL(seen.events, 5);
    CU_ASSERT_EQUAL(seen.regions, 1);
    CU_ASSERT_EQUAL(seen.losses, 1);
    CU_ASSERT_EQUAL(seen.accounts, 3);
    CU_ASSERT_EQUAL(seen.trailers, 1);
    wire_free(&wire);
}

static void any_piece_size_delivers_the_same(void)
{
    struct wire wire = rich_wire();
    struct seen whole = {0};
    feed_in_pieces(wire.bytes, wire.len, wire.len, &whole, NULL);
    for (size_t piece = 1; piece < wire.len; piece++) {
        struct seen seen = {0};
        CU_ASSERT_EQUAL(feed_in_pieces(wire.bytes, wire.len, piece, &seen, NULL), 0);
        CU_ASSERT_EQUAL(memcmp(&seen, &whole, sizeof seen), 0);
    }
    wire_free(&wire);
}

/* Where each block ends, and what was delivered by then. */
static void a_cut_capture_is_readable_to_its_last_whole_block(void)
{
    struct wire wire = rich_wire();
    struct seen before = {0};
    size_t boundary = 16;
    for (size_t len = 0; len < wire.len; len++) {
        struct seen seen = {0};
        bool finished;
        CU_ASSERT_EQUAL(feed_in_pieces(wire.bytes, len, 7, &seen, &finished), 0);
        CU_ASSERT_FALSE(finished);
        if (len == boundary) { /* a block has become whole: its rows are allowed to appear */
            before = seen;
            boundary += 8 + (size_t)(wire.bytes[len + 4] | wire.bytes[len + 5] << 8 | wire.bytes[len + 6] << 16);
        }
        CU_ASSERT_EQUAL(memcmp(&seen, &before, sizeof seen), 0);
    }
    CU_ASSERT_EQUAL(boundary, wire.len);
    wire_free(&wire);
}

static void no_byte_beyond_what_was_fed_is_read(void)
{
    struct wire wire = rich_wire();
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (wire.len + page - 1) / page * page;
    uint8_t *pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(pages != MAP_FAILED && mprotect(pages + room, page, PROT_NONE) == 0);
    for (size_t len = 0; len <= wire.len; len++) {
        struct seen seen = {0};
        memcpy(pages + room - len, wire.bytes, len);
        CU_ASSERT_EQUAL(feed_in_pieces(pages + room - len, len, len ? len : 1, &seen, NULL), 0);
    }
    munmap(pages, room + page);
    wire_free(&wire);
}

/* Any single byte changed, to its complement, to 0 and to 255: whatever comes, it comes from whole blocks and ends. */
static void a_changed_byte_is_never_worse_than_damage(void)
{
    struct wire wire = rich_wire();
    unsigned damaged = 0;
    for (size_t at = 0; at < wire.len; at++)
        for (int how = 0; how < 3; how++) {
            uint8_t old = wire.bytes[at];
            struct seen seen = {0};
            wire.bytes[at] = how == 0 ? (uint8_t)~old : how == 1 ? 0 : 255;
            int rc = feed_in_pieces(wire.bytes, wire.len, 64, &seen, NULL);
            CU_ASSERT_TRUE(rc == 0 || rc == -EBADMSG);
            CU_ASSERT_TRUE(seen.events <= 1000);
            damaged += rc == -EBADMSG;
            wire.bytes[at] = old;
        }
    CU_ASSERT_TRUE(damaged > 100);
    wire_free(&wire);
}

static void a_damaged_block_delivers_none_of_its_events(void)
{
    static const char text[] = "thread 1 at 1000: instant name=\"a\"\nthread 1 at 1001: instant name=\"a\"\npatch back=3 hex=c8\n"
                               "end at=2000\n"; /* the kind of the second event becomes one that is not in the table */
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    struct seen seen = {0};
    CU_ASSERT_TRUE_FATAL(text_capture_to_wire(text, strlen(text), &wire, error));
    CU_ASSERT_EQUAL(feed_in_pieces(wire.bytes, wire.len, wire.len, &seen, NULL), -EBADMSG);
    CU_ASSERT_EQUAL(seen.headers, 1);
    CU_ASSERT_EQUAL(seen.events, 0);
    CU_ASSERT_EQUAL(seen.trailers, 0);
    wire_free(&wire);
}

static void the_problem_says_where_and_why(void)
{
    struct wire wire = rich_wire();
    struct seen seen = {0};
    struct ttap__reader *reader = ttap__reader_new(&calls, &seen);
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, 20), 0);
    CU_ASSERT_FALSE(ttap__reader_finish(reader));
    CU_ASSERT_STRING_EQUAL(ttap__reader_problem(reader), "cut inside block 0 at byte 20");
    ttap__reader_free(reader);

    reader = ttap__reader_new(&calls, &seen);
    wire.bytes[17] = 'X';
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, wire.len), -EBADMSG);
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, 1), -EBADMSG); /* for good */
    CU_ASSERT_STRING_EQUAL(ttap__reader_problem(reader), "block 0 (header) at byte 16: does not begin with a type and TTB");
    ttap__reader_free(reader);
    wire_free(&wire);
}

/* A block may claim a megabyte; memory follows what really comes. */
static void a_claimed_length_alone_takes_no_memory(void)
{
    struct wire wire = {0};
    struct seen seen = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    wire_bytes(&wire, "\x05TTB\x00\x00\x10\x00", 8);
    struct ttap__reader *reader = ttap__reader_new(&calls, &seen);
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, wire.len), 0);
    ttap__reader_free(reader);
    wire.bytes[wire.len - 4] = 1; /* one byte longer than allowed */
    CU_ASSERT_EQUAL(feed_in_pieces(wire.bytes, wire.len, wire.len, &seen, NULL), -EBADMSG);
    wire_free(&wire);
}

static int refuse(void *arg, const struct ttap__events *block)
{
    (void)arg;
    (void)block;
    return 42;
}

static void what_a_call_returns_ends_reading(void)
{
    struct wire wire = rich_wire();
    struct ttap__read_calls refusing = {.events = refuse};
    struct ttap__reader *reader = ttap__reader_new(&refusing, NULL);
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, wire.len), 42);
    CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, wire.len), 42);
    ttap__reader_free(reader);
    wire_free(&wire);
}

static void each_failing_allocation_is_reported(void)
{
    struct wire wire = rich_wire();
    long failed = 0;
    for (;; failed++) {
        struct seen seen = {0};
        fail_malloc_after(failed);
        struct ttap__reader *reader = ttap__reader_new(&calls, &seen);
        int rc = reader ? 0 : -ENOMEM;
        for (size_t at = 0; at < wire.len && rc == 0; at++)
            rc = ttap__reader_feed(reader, wire.bytes + at, 1);
        ttap__reader_free(reader);
        bool delivered = fail_malloc_off();
        CU_ASSERT_EQUAL(rc, delivered ? -ENOMEM : 0);
        if (!delivered)
            break;
    }
    CU_ASSERT_TRUE(failed >= 4); /* the reader, the kind table, its texts, held bytes */
    wire_free(&wire);
}

static CU_TestInfo statements[] = {
    {"a whole capture delivers every row", a_whole_capture_delivers_every_row},
    {"any piece size delivers the same", any_piece_size_delivers_the_same},
    {"a cut capture is readable to its last whole block", a_cut_capture_is_readable_to_its_last_whole_block},
    {"no byte beyond what was fed is read", no_byte_beyond_what_was_fed_is_read},
    {"a changed byte is never worse than damage", a_changed_byte_is_never_worse_than_damage},
    {"a damaged block delivers none of its events", a_damaged_block_delivers_none_of_its_events},
    {"the problem says where and why", the_problem_says_where_and_why},
    {"a claimed length alone takes no memory", a_claimed_length_alone_takes_no_memory},
    {"what a call returns ends reading", what_a_call_returns_ends_reading},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
