/* What each field of each block becomes, value by value, and the sentence for each way in which a block does not decode. Bytes are written
 * from docs/format.md by wire_builder; what the reader calls is written down as text. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fail_malloc.h"
#include "reader.h"
#include "statements.h"
#include "wire_builder.h"

static char said[1 << 16];
static size_t said_len;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    said_len += (size_t)vsnprintf(said + said_len, sizeof said - said_len, format, args);
    va_end(args);
    CU_ASSERT_FATAL(said_len < sizeof said);
}

static void say_numbers(const char *what, const uint64_t *numbers, size_t count)
{
    say("%s", what);
    for (size_t i = 0; i < count; i++)
        say(" %llu", (unsigned long long)numbers[i]);
}

#define SAY(what, ...)                                                                                                                               \
    do {                                                                                                                                             \
        const uint64_t numbers_[] = {__VA_ARGS__};                                                                                                   \
        say_numbers(what, numbers_, sizeof numbers_ / sizeof numbers_[0]);                                                                           \
    } while (0)

static void say_text(struct ttap__text text)
{
    say(" '%.*s'", (int)text.len, text.bytes);
}

/* Which call is to refuse, and with what; the one after it must not come. */
static const char *refuse_at;
static int refuse_with;

static int answer(const char *call)
{
    say("\n");
    return refuse_at && strcmp(refuse_at, call) == 0 ? refuse_with : 0;
}

static int on_block(void *arg, uint8_t type, uint64_t at_bytes, const uint8_t *payload, size_t len)
{
    (void)arg, (void)payload;
    SAY("block", type, at_bytes, len);
    return answer("block");
}

static int on_header(void *arg, const struct ttap__header *h)
{
    (void)arg;
    SAY("header", h->major, h->minor, h->clock, h->ticks_per_second, h->base_ticks, h->base_mono_ns, h->base_wall_ns, h->duration_ns, h->groups,
        h->pid, h->cpus, h->budget_bytes);
    say_text(h->exe);
    say_text(h->sample);
    say_text(h->producer);
    for (size_t i = 0; i < h->kinds_count; i++) {
        SAY("\n kind", h->kinds[i].number, h->kinds[i].known, h->kinds[i].readable);
        say_text(h->kinds[i].name);
        say_text((struct ttap__text){(const char *)h->kinds[i].codes, h->kinds[i].fields_count});
    }
    return answer("header");
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    (void)arg;
    say("note");
    say_text(key);
    say_text(value);
    return answer("note");
}

static int on_clock(void *arg, const struct ttap__clock_pair *pair)
{
    (void)arg;
    SAY("clock", pair->ticks, pair->mono_ns, pair->wall_ns);
    return answer("clock");
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    (void)arg;
    SAY("name", id);
    say_text(text);
    return answer("name");
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    (void)arg;
    SAY("thread", row->thread, row->pid, row->tid);
    say_text(row->name);
    return answer("thread");
}

static void say_event(const struct ttap__event *event)
{
    SAY("\n event", event->row->number, event->ticks);
    for (unsigned i = 0; i < event->row->fields_count && i < TTAP__VALUES_MAX; i++)
        if (event->row->codes[i] == 's')
            say_text(ttap__event_text(event, i));
        else
            SAY("", event->a[i]);
}

static int on_events(void *arg, const struct ttap__events *b)
{
    struct ttap__region_walk regions;
    struct ttap__open_region region;
    struct ttap__event_walk walk;
    struct ttap__event event;
    (void)arg;
    SAY("events", b->thread, b->level, b->first_seq, b->base_ticks, b->span_ticks, b->count, b->filtered, b->delivered_before, b->filtered_before,
        b->lost_before, b->sampled_out_before, b->task, b->task_parent, b->task_kind, b->task_draw, b->task_start_ticks, b->open_ends);
    for (ttap__regions_start(b, &regions); ttap__regions_next(&regions, &region);)
        SAY("\n region", region.depth, region.name, region.begin_ticks);
    for (ttap__events_start(b, &walk); ttap__events_next(&walk, &event);)
        say_event(&event);
    CU_ASSERT_FALSE(ttap__regions_next(&regions, &region)); /* and stays at its end */
    CU_ASSERT_FALSE(ttap__events_next(&walk, &event));
    return answer("events");
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    (void)arg;
    SAY("loss", row->thread, row->level, row->reason, row->first_seq, row->lost, row->filtered, row->from_ticks, row->to_ticks);
    return answer("loss");
}

static int on_task(void *arg, const struct ttap__task_row *row)
{
    (void)arg;
    SAY("task", row->task, row->parent, row->kind, row->start_ticks, row->thread);
    return answer("task");
}

static int on_pending(void *arg, const struct ttap__pending_row *row)
{
    (void)arg;
    SAY("pending", row->thread, row->kind, row->start_ticks, row->op, row->object);
    return answer("pending");
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    (void)arg;
    SAY("account", row->thread, row->level, row->start_seq, row->end_seq, row->delivered, row->filtered, row->lost[1], row->lost[2], row->lost[3],
        row->lost[4], row->lost[5], row->sampled_out);
    return answer("account");
}

static int on_trailer(void *arg, const struct ttap__trailer *t)
{
    (void)arg;
    SAY("trailer", t->reason, t->end_ticks, t->end_mono_ns, t->end_wall_ns, t->streams, t->events, t->delivered, t->filtered, t->lost[1], t->lost[2],
        t->lost[3], t->lost[4], t->lost[5], t->sampled_out, t->drainer_cpu_ns, t->blocks, t->bytes);
    return answer("trailer");
}

static int on_module(void *arg, const struct ttap__module_row *row)
{
    (void)arg;
    SAY("module", row->module, row->start, row->end, row->offset);
    say_text(row->path);
    say_text(row->build_id);
    return answer("module");
}

static int on_stack(void *arg, const struct ttap__stack_row *row)
{
    struct ttap__frame_walk walk;
    uint64_t module, offset;
    (void)arg;
    SAY("stack", row->stack, row->flags, row->frames);
    CU_ASSERT_EQUAL(row->cut, row->flags & 1);
    for (ttap__frames_start(row, &walk); ttap__frames_next(&walk, &module, &offset);)
        SAY("\n frame", module, offset);
    CU_ASSERT_FALSE(ttap__frames_next(&walk, &module, &offset));
    return answer("stack");
}

static int on_mapped(void *arg, const struct ttap__mapped_row *row)
{
    (void)arg;
    SAY("mapped", row->pid, row->module);
    return answer("mapped");
}

static const struct ttap__read_calls all_calls = {on_block, on_header,  on_note,    on_clock,   on_name,   on_thread, on_events, on_loss,
                                                  on_task,  on_account, on_trailer, on_pending, on_module, on_stack,  on_mapped};

/* ---- Captures, written by hand ---- */

static struct wire wire;

static void numbers(size_t count, ...)
{
    va_list args;
    va_start(args, count);
    for (size_t i = 0; i < count; i++)
        wire_varint(&wire, va_arg(args, uint64_t));
    va_end(args);
}
#define NUMBERS(...) numbers(sizeof((uint64_t[]){__VA_ARGS__}) / 8, __VA_ARGS__)
#define U(n) UINT64_C(n)

/* A header with its own kind table and no notes. */
static void header_with(const char *const (*kinds)[2], size_t count)
{
    wire_free(&wire);
    wire = (struct wire){0};
    wire_preamble(&wire, 1, 0);
    wire_block_open(&wire, 1);
    wire_u8(&wire, 2);
    NUMBERS(U(1000000000), U(0), U(0), U(0), U(0), U(63), U(71), U(4), U(1048576));
    for (int i = 0; i < 3; i++)
        wire_text(&wire, "");
    wire_varint(&wire, count);
    for (size_t i = 0; i < count; i++) {
        wire_varint(&wire, 100 + i);
        wire_text(&wire, kinds[i][0]);
        wire_text(&wire, kinds[i][1]);
    }
    wire_varint(&wire, 0);
    wire_block_close(&wire);
}

static const char *const two_kinds[][2] = {{"lamp", "name:n"}, {"all", "a:u b:i c:n d:k e:t f:x g:s"}};

static void plain_header(void)
{
    header_with(two_kinds, 2);
}

/* The head of an EVENTS block without a task: thread 1, base 1000. */
static void events_open(unsigned count)
{
    wire_block_open(&wire, 5);
    wire_varint(&wire, 1);
    wire_u8(&wire, 0);
    NUMBERS(U(0), U(1000), U(50), (uint64_t)count, U(0), U(0), U(0), U(0), U(0), U(0), U(0));
}

static char problem[256];
static uint64_t blocks_read, bytes_read;

static int read_with(const struct ttap__read_calls *calls, size_t piece)
{
    said_len = 0;
    said[0] = 0;
    struct ttap__reader *reader = ttap__reader_new(calls, NULL);
    int rc = 0;
    for (size_t at = 0; at < wire.len && rc == 0; at += piece)
        rc = ttap__reader_feed(reader, wire.bytes + at, wire.len - at < piece ? wire.len - at : piece);
    bool finished = ttap__reader_finish(reader);
    CU_ASSERT_EQUAL(finished, ttap__reader_finish(reader)); /* asked again, the same */
    snprintf(problem, sizeof problem, "%s", ttap__reader_problem(reader));
    CU_ASSERT(!finished || !*problem);
    blocks_read = ttap__reader_blocks(reader);
    bytes_read = ttap__reader_bytes(reader);
    ttap__reader_free(reader);
    return rc;
}

static int read_all(void)
{
    return read_with(&all_calls, wire.len);
}

static void says_line(const char *expected, int line)
{
    const char *found = strstr(said, expected);
    if (!found)
        fprintf(stderr, "    line %d: expected: %s\n    said: %s\n    problem: %s\n", line, expected, said, problem);
    CU_ASSERT_PTR_NOT_NULL(found);
}
#define SAYS(expected) says_line(expected, __LINE__)

static void damaged_line(const char *expected, int line)
{
    int rc = read_all();
    if (rc != -EBADMSG || strcmp(problem, expected) != 0)
        fprintf(stderr, "    line %d: %d %s\n    expected: %s\n", line, rc, problem, expected);
    CU_ASSERT_EQUAL(rc, -EBADMSG);
    CU_ASSERT_STRING_EQUAL(problem, expected);
    CU_ASSERT_EQUAL(read_with(&all_calls, 1), -EBADMSG);
    CU_ASSERT_STRING_EQUAL(problem, expected);
}
#define DAMAGED(expected) damaged_line(expected, __LINE__)

/* ---- Statements ---- */

static void every_field_of_a_header_is_delivered(void)
{
    wire_free(&wire);
    wire = (struct wire){0};
    wire_preamble(&wire, 1, 7);
    wire_block_open(&wire, 1);
    wire_u8(&wire, 3);
    NUMBERS(U(11), U(12), U(13), U(14), U(15), U(16), U(17), U(18), U(19));
    wire_text(&wire, "exe");
    wire_text(&wire, "0.5");
    wire_text(&wire, "me");
    wire_varint(&wire, 3);
    wire_varint(&wire, 5);
    wire_text(&wire, "instant");
    wire_text(&wire, "name:n");
    wire_varint(&wire, 256); /* cannot occur in an event */
    wire_text(&wire, "beyond");
    wire_text(&wire, "a:u");
    wire_varint(&wire, 255);
    wire_text(&wire, "last");
    wire_text(&wire, "");
    wire_varint(&wire, 2);
    wire_text(&wire, "key");
    wire_text(&wire, "value");
    wire_text(&wire, "key 2");
    wire_text(&wire, "");
    wire_bytes(&wire, "later", 5); /* fields of a later minor version */
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), 0);
    SAYS("header 1 7 3 11 12 13 14 15 16 17 18 19 'exe' '0.5' 'me'\n kind 5 5 1 'instant' 'n'\n kind 255 0 1 'last' ''\n"
         "note 'key' 'value'\nnote 'key 2' ''\n");
    CU_ASSERT_STRING_EQUAL(problem, "cut after block 1: no trailer");
    CU_ASSERT_EQUAL(blocks_read, 1);
    CU_ASSERT_EQUAL(bytes_read, wire.len);
}

static void every_row_is_delivered_with_all_its_fields(void)
{
    plain_header();
    wire_block_open(&wire, 2);
    NUMBERS(U(21), U(22), U(23));
    wire_block_close(&wire);
    wire_block_open(&wire, 3);
    NUMBERS(U(2), U(31));
    wire_text(&wire, "one");
    NUMBERS(U(32));
    wire_text(&wire, "");
    wire_block_close(&wire);
    wire_block_open(&wire, 4);
    NUMBERS(U(1), U(41), U(42), U(43));
    wire_text(&wire, "worker");
    wire_block_close(&wire);
    wire_block_open(&wire, 6);
    NUMBERS(U(61));
    wire_u8(&wire, 1);
    wire_u8(&wire, 5);
    NUMBERS(U(62), U(63), U(64), U(65), U(66));
    wire_block_close(&wire);
    wire_block_open(&wire, 7);
    NUMBERS(U(2), U(71), U(72), U(73), U(74), U(75), U(76), U(77), U(78), U(79), U(70));
    wire_block_close(&wire);
    wire_block_open(&wire, 8);
    NUMBERS(U(1), U(81));
    wire_u8(&wire, 1);
    NUMBERS(U(82), U(83), U(84), U(85), U(86), U(87), U(88), U(89), U(80), U(800));
    wire_block_close(&wire);
    wire_block_open(&wire, 10);
    NUMBERS(U(1), U(101), U(102), U(103), U(104), U(105));
    wire_block_close(&wire);
    wire_block_open(&wire, 12);
    NUMBERS(U(2), U(121), U(122), U(123), U(124));
    wire_text(&wire, "/usr/bin/it");
    wire_text(&wire, "\x01\x02");
    NUMBERS(U(125), U(126), U(127), U(128));
    wire_text(&wire, "[vdso]");
    wire_text(&wire, "");
    wire_block_close(&wire);
    wire_block_open(&wire, 13);
    NUMBERS(U(3), U(131));
    wire_u8(&wire, 1);
    NUMBERS(U(2), U(132), U(1330), U(134), U(1350));
    NUMBERS(U(136));
    wire_u8(&wire, 2); /* the lowest bit alone has a meaning yet */
    NUMBERS(U(1), U(0), U(137));
    NUMBERS(U(138), U(3), U(0)); /* without a frame */
    wire_block_close(&wire);
    wire_block_open(&wire, 14);
    NUMBERS(U(2), U(141), U(121), U(142), U(125));
    wire_block_close(&wire);
    wire_block_open(&wire, 200); /* of a later version */
    wire_bytes(&wire, "whatever", 8);
    wire_block_close(&wire);
    wire_block_open(&wire, 9);
    NUMBERS(U(3), U(91), U(92), U(93), U(94), U(95), U(96), U(97), U(98), U(99), U(90), U(901), U(902), U(903), U(904), U(905), U(906));
    wire_block_close(&wire);
    for (size_t piece = 1; piece <= wire.len; piece += wire.len - 1) {
        CU_ASSERT_EQUAL(read_with(&all_calls, piece), 0);
        SAYS("clock 21 22 23\n");
        SAYS("name 31 'one'\nname 32 ''\n");
        SAYS("thread 41 42 43 'worker'\n");
        SAYS("loss 61 1 5 62 63 64 65 66\n");
        SAYS("task 71 72 73 74 75\ntask 76 77 78 79 70\n");
        SAYS("account 81 1 82 83 84 85 86 87 88 89 80 800\n");
        SAYS("trailer 3 91 92 93 94 95 96 97 98 99 90 901 902 903 904 905 906\n");
        CU_ASSERT_STRING_EQUAL(problem, "");
        SAYS("pending 101 102 103 104 105\n");
        SAYS("module 121 122 123 124 '/usr/bin/it' '\x01\x02'\nmodule 125 126 127 128 '[vdso]' ''\n");
        SAYS("stack 131 1 2\n frame 132 1330\n frame 134 1350\nstack 136 2 1\n frame 0 137\nstack 138 3 0\n");
        SAYS("mapped 141 121\nmapped 142 125\n");
        CU_ASSERT_EQUAL(blocks_read, 13);
        CU_ASSERT_EQUAL(bytes_read, wire.len);
    }
}

static void every_field_of_a_block_of_events_is_delivered(void)
{
    plain_header();
    wire_block_open(&wire, 5);
    wire_varint(&wire, 51);
    wire_u8(&wire, 1);
    NUMBERS(U(52), U(1000), U(300), U(3), U(53), U(54), U(55), U(56), U(57), U(58), U(59), U(50), U(500));
    wire_zigzag(&wire, 400); /* the task began at 600 */
    NUMBERS(U(501), U(2), U(0), U(502));
    wire_zigzag(&wire, 10);
    NUMBERS(U(4), U(503));
    wire_zigzag(&wire, (uint64_t)-5);
    wire_u8(&wire, 100);
    NUMBERS(U(100), U(7));
    wire_u8(&wire, 0);
    NUMBERS(U(30));
    wire_u8(&wire, 0); /* twice in a row */
    NUMBERS(U(5));
    wire_u8(&wire, 101);
    NUMBERS(U(0), U(300));
    wire_zigzag(&wire, (uint64_t)-3);
    NUMBERS(U(70000));
    wire_zigzag(&wire, (uint64_t)-1); /* of 0: task ids wrap */
    wire_zigzag(&wire, 65);
    wire_fixed64(&wire, U(0x8877665544332211));
    wire_text(&wire, "text");
    wire_u8(&wire, 101);
    NUMBERS(U(200), U(1));
    wire_zigzag(&wire, 3);
    NUMBERS(U(2));
    wire_zigzag(&wire, 8); /* of the one before */
    wire_zigzag(&wire, (uint64_t)-35);
    wire_fixed64(&wire, 1);
    wire_text(&wire, "");
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), 0);
    SAYS("events 51 1 52 1000 300 3 53 54 55 56 57 58 59 50 500 600 501\n region 0 502 990\n region 4 503 1005\n event 100 1100 7\n"
         " event 101 1065 300 18446744073709551613 70000 18446744073709551615 1000 9833440827789222417 'text'\n"
         " event 101 1265 1 3 2 7 1300 1 ''\n");
}

static void without_a_task_its_fields_are_0(void)
{
    plain_header();
    events_open(0);
    wire_varint(&wire, 0);
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), 0);
    SAYS("events 1 0 0 1000 50 0 0 0 0 0 0 0 0 0 0 0 0\n");
}

/* Numbers of each length, in their shortest form and longer than they need be. */
static void a_number_takes_up_to_ten_bytes_and_64_bits(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t value;
        bool fits;
    } forms[] = {
        {"\x00", 1, 0, true},
        {"\x7f", 1, 127, true},
        {"\x80\x01", 2, 128, true},
        {"\xff\x7f", 2, 16383, true},
        {"\x80\x80\x01", 3, 16384, true},
        {"\xff\xff\xff\x7f", 4, 0x0fffffff, true},
        {"\x81\x00", 2, 1, true},
        {"\x81\x80\x80\x00", 4, 1, true},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10, U(1) << 63, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, UINT64_MAX, true},
        {"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10, 1, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9, UINT64_MAX >> 1, true},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10, 0, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00", 11, 0, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, 0, false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, 0, false},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t behind = 0; behind < 3; behind++) { /* as the last bytes of the block, and before others */
            char expected[64];
            plain_header();
            wire_block_open(&wire, 2);
            NUMBERS(U(1), U(2));
            wire_bytes(&wire, forms[i].bytes, forms[i].len);
            wire_bytes(&wire, "\x05\x05", behind);
            wire_block_close(&wire);
            snprintf(expected, sizeof expected, "clock 1 2 %llu\n", (unsigned long long)forms[i].value);
            CU_ASSERT_EQUAL(read_all(), forms[i].fits ? 0 : -EBADMSG);
            if (forms[i].fits)
                SAYS(expected);
        }
}

static void a_number_that_is_cut_does_not_decode(void)
{
    for (size_t len = 0; len < 3; len++) {
        plain_header();
        wire_block_open(&wire, 2);
        NUMBERS(U(1), U(2));
        wire_bytes(&wire, "\x80\x80\x80", len);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), -EBADMSG);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem, "(clock)"));
        CU_ASSERT_PTR_NULL(strstr(said, "\nclock"));
    }
}

static void a_text_longer_than_what_is_left_does_not_decode(void)
{
    for (uint64_t claimed = 3; claimed <= 5; claimed++) {
        plain_header();
        wire_block_open(&wire, 3);
        NUMBERS(U(1), U(7), claimed);
        wire_bytes(&wire, "four", 4);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), claimed > 4 ? -EBADMSG : 0);
        if (claimed == 4)
            SAYS("name 7 'four'\n");
    }
    plain_header();
    wire_block_open(&wire, 3);
    NUMBERS(U(1), U(7), UINT64_MAX);
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), -EBADMSG);
}

static void rows_that_are_fewer_than_counted_do_not_decode(void)
{
    for (unsigned type = 3; type <= 8; type += type == 4 ? 3 : 1) { /* names, threads, tasks, account */
        plain_header();
        wire_block_open(&wire, type);
        NUMBERS(U(5), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1), U(1));
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), -EBADMSG);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem, "does not decode"));
    }
}

/* ---- The kind table ---- */

static void a_kind_is_known_by_number_name_and_first_fields(void)
{
    static const struct {
        unsigned number;
        const char *name, *fields, *expected;
    } rows[] = {
        {7, "counter", "name:n value:i", "kind 7 7 1 'counter' 'ni'"},
        {7, "counter", "name:n value:i more:u", "kind 7 7 1 'counter' 'niu'"},
        {7, "counter", "name:n value:ix", "kind 7 0 0 'counter' 'n'"},
        {7, "counter", "name:n", "kind 7 0 1 'counter' 'n'"},
        {7, "counter", "value:i name:n", "kind 7 0 1 'counter' 'in'"},
        {7, "counters", "name:n value:i", "kind 7 0 1 'counters' 'ni'"},
        {7, "counte", "name:n value:i", "kind 7 0 1 'counte' 'ni'"},
        {8, "counter", "name:n value:i", "kind 8 0 1 'counter' 'ni'"},
        {2, "region_end", "", "kind 2 2 1 'region_end' ''"},
        {2, "region_end", "depth:u", "kind 2 2 1 'region_end' 'u'"},
        {9, "x", "a:u b:i c:n d:k e:t f:x g:s", "kind 9 0 1 'x' 'uinktxs'"},
        {9, "x", "a:b", "kind 9 0 0 'x' ''"}, /* no such code */
        {9, "x", "a:u u", "kind 9 0 0 'x' 'u'"},
        {9, "x", "u", "kind 9 0 0 'x' ''"},
        /* 58 bytes: their length, just before them, is a colon */
        {9, "x", "u aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:u", "kind 9 0 0 'x' ''"},
        {9, "x", ":u", "kind 9 0 1 'x' 'u'"},
        {9, "x", "a;u", "kind 9 0 0 'x' ''"},
        {9, "x", "a:u  b:u", "kind 9 0 0 'x' 'u'"}, /* two blanks: an empty field */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const kind[][2] = {{rows[i].name, rows[i].fields}};
        header_with(kind, 1);
        uint8_t *number = memchr(wire.bytes + 24, 100, wire.len - 24);
        CU_ASSERT_PTR_NOT_NULL_FATAL(number);
        *number = (uint8_t)rows[i].number;
        CU_ASSERT_EQUAL(read_all(), 0);
        SAYS(rows[i].expected);
    }
}

static void a_kind_has_at_most_32_fields(void)
{
    for (int count = 32; count <= 33; count++) {
        char fields[33 * 4 + 1] = "";
        for (int i = 0; i < count; i++)
            strcat(fields, i ? " a:u" : "a:u");
        const char *const kind[][2] = {{"wide", fields}};
        header_with(kind, 1);
        events_open(1);
        wire_varint(&wire, 0); /* regions */
        wire_u8(&wire, 100);
        wire_varint(&wire, 3);
        for (uint64_t i = 0; i < (uint64_t)count; i++)
            wire_varint(&wire, i + 1);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), count == 32 ? 0 : -EBADMSG);
        if (count == 32)
            SAYS("event 100 1003 1 2 3 4 5 6 7 8\n"); /* eight are kept, the others passed over */
        else
            CU_ASSERT_STRING_EQUAL(problem + strcspn(problem, ":"), ": an event does not decode, or there are fewer than its count");
    }
}

static void a_number_in_the_kind_table_is_not_0_and_not_twice(void)
{
    for (int how = 0; how < 3; how++) {
        plain_header();
        uint8_t *second = memmem(wire.bytes, wire.len,
                                 "\x65\x03"
                                 "all",
                                 5);
        CU_ASSERT_PTR_NOT_NULL_FATAL(second);
        *second = how == 0 ? 0 : how == 1 ? 100 : 102;
        CU_ASSERT_EQUAL(read_all(), how == 2 ? 0 : -EBADMSG);
        if (how < 2)
            CU_ASSERT_STRING_EQUAL(problem, "block 0 (header) at byte 16: does not decode");
    }
}

static void an_empty_header_does_not_decode(void)
{
    wire_free(&wire);
    wire = (struct wire){0};
    wire_preamble(&wire, 1, 0);
    wire_block_open(&wire, 1);
    wire_block_close(&wire);
    DAMAGED("block 0 (header) at byte 16: does not decode");
}

/* ---- Events that do not decode ---- */

static void lamp(uint64_t delta)
{
    wire_u8(&wire, 100);
    NUMBERS(delta, U(7));
}

static void as_many_events_as_counted_fill_the_block(void)
{
    for (unsigned count = 1; count <= 3; count++) {
        char expected[160];
        plain_header();
        size_t at = wire.len;
        events_open(count);
        wire_varint(&wire, 0);
        lamp(1);
        lamp(2);
        wire_block_close(&wire);
        if (count == 2) {
            CU_ASSERT_EQUAL(read_all(), 0);
            SAYS(" event 100 1001 7\n event 100 1003 7\n");
            continue;
        }
        snprintf(expected, sizeof expected, "block 1 (events) at byte %zu: %s", at,
                 count < 2 ? "there are more events than its count" : "an event does not decode, or there are fewer than its count");
        DAMAGED(expected);
        CU_ASSERT_PTR_NULL(strstr(said, "\nevents"));
    }
}

static void an_event_of_no_kind_does_not_decode(void)
{
    plain_header();
    events_open(1);
    wire_varint(&wire, 0);
    wire_u8(&wire, 102);
    NUMBERS(U(1), U(7));
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), -EBADMSG);
    plain_header();
    events_open(1);
    wire_varint(&wire, 0);
    wire_u8(&wire, 0); /* time goes back, and then nothing */
    NUMBERS(U(1));
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), -EBADMSG);
}

/* The eight bytes of an x and the bytes of an s, cut everywhere. */
static void an_event_that_is_cut_does_not_decode(void)
{
    static const char event[] = "\x65\x01\x01\x02\x03\x04\x05"
                                "12345678"
                                "\x03"
                                "abc";
    for (size_t len = 0; len < sizeof event; len++) {
        plain_header();
        events_open(1);
        wire_varint(&wire, 0);
        wire_bytes(&wire, event, len);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), len == sizeof event - 1 ? 0 : -EBADMSG);
    }
}

/* Eight bytes and no other field behind them: seven are too few, and the one behind the block is not read. */
static void eight_bytes_are_eight_bytes(void)
{
    static const char *const kind[][2] = {{"fixed", "a:x"}};
    for (size_t len = 7; len <= 9; len++) {
        header_with(kind, 1);
        events_open(1);
        wire_varint(&wire, 0);
        wire_bytes(&wire,
                   "\x64\x01"
                   "12345678\x01",
                   2 + len);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), len == 8 ? 0 : -EBADMSG);
    }
}

/* A block that ends where a byte is expected, with other blocks behind it. */
static void a_byte_behind_the_block_is_not_of_it(void)
{
    for (size_t len = 1; len <= 3; len++) {
        plain_header();
        wire_block_open(&wire, 6);
        wire_bytes(&wire, "\x01\x00\x01", len); /* thread, level, reason, and no more */
        wire_block_close(&wire);
        wire_bytes(&wire, "\x00\x00\x00\x00\x00\x00\x00\x00", 8);
        CU_ASSERT_EQUAL(read_all(), -EBADMSG);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem, "(loss)"));
    }
    plain_header();
    events_open(1);
    wire_varint(&wire, 0); /* and no event */
    wire_block_close(&wire);
    wire_bytes(&wire, "\x64\x01\x07\x00\x00\x00\x00\x00", 8);
    CU_ASSERT_EQUAL(read_all(), -EBADMSG);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "(events)"));
}

static void notes_that_are_cut_make_no_header(void)
{
    for (uint64_t claimed = 0; claimed <= 2; claimed++) {
        plain_header();
        wire.len--; /* the count of notes, 0 */
        NUMBERS(claimed, U(1), (uint64_t)'k', U(1), (uint64_t)'v');
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), claimed == 2 ? -EBADMSG : 0);
        CU_ASSERT_EQUAL(strstr(said, "header") != NULL, claimed < 2);
    }
}

static void a_head_that_does_not_decode_is_told_as_that(void)
{
    char expected[80];
    plain_header();
    size_t at = wire.len;
    snprintf(expected, sizeof expected, "block 1 (events) at byte %zu: its head does not decode", at);
    wire_block_open(&wire, 5);
    wire_bytes(&wire, "\x01\x00\x05", 3);
    wire_block_close(&wire);
    DAMAGED(expected);
    for (uint64_t second = 2; second <= 4; second++) { /* depths rise */
        plain_header();
        events_open(0);
        NUMBERS(U(2), U(3), U(9), U(0), second, U(9), U(0));
        wire_block_close(&wire);
        if (second <= 3)
            DAMAGED(expected);
        else
            CU_ASSERT_EQUAL(read_all(), 0);
    }
    plain_header();
    events_open(0);
    NUMBERS(U(3), U(3), U(9), U(0)); /* one region of three */
    wire_block_close(&wire);
    DAMAGED(expected);
}

static void a_stream_is_of_a_thread_and_a_level(void)
{
    for (int how = 0; how < 3; how++) {
        char expected[80];
        plain_header();
        snprintf(expected, sizeof expected, "block 1 (events) at byte %zu: no such stream", wire.len);
        size_t at = wire.len + 8;
        events_open(0);
        wire_varint(&wire, 0);
        wire_block_close(&wire);
        wire.bytes[at] = how != 0;
        wire.bytes[at + 1] = how == 1 ? 99 : 0;
        if (how < 2)
            DAMAGED(expected);
        else
            CU_ASSERT_EQUAL(read_all(), 0);
    }
    for (unsigned type = 6; type <= 8; type += 2) { /* loss, account */
        plain_header();
        wire_block_open(&wire, type);
        NUMBERS(U(1), U(1));
        wire_u8(&wire, type == 6 ? 0 : 99);
        for (int i = 0; i < 20; i++)
            wire_varint(&wire, 0);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), type == 6 ? 0 : -EBADMSG);
    }
    plain_header();
    wire_block_open(&wire, 6);
    wire_varint(&wire, 1);
    wire_u8(&wire, 99);
    for (int i = 0; i < 20; i++)
        wire_varint(&wire, 0);
    wire_block_close(&wire);
    CU_ASSERT_EQUAL(read_all(), -EBADMSG);
}

/* ---- Blocks and preamble ---- */

static void the_header_comes_first_and_once(void)
{
    wire_free(&wire);
    wire = (struct wire){0};
    wire_preamble(&wire, 1, 0);
    wire_block_open(&wire, 2);
    NUMBERS(U(1), U(2), U(3));
    wire_block_close(&wire);
    DAMAGED("block 0 (clock) at byte 16: the first block is not a header");
    wire.bytes[16] = 250;
    DAMAGED("block 0 (unknown type) at byte 16: the first block is not a header");
    plain_header();
    char expected[80];
    snprintf(expected, sizeof expected, "block 1 (header) at byte %zu: a second header", wire.len);
    wire_block_open(&wire, 1);
    wire_block_close(&wire);
    DAMAGED(expected);
}

static void a_preamble_has_a_magic_and_a_version(void)
{
    plain_header();
    wire.bytes[7] = 'X';
    DAMAGED("not a capture: it does not begin with TRACETAP");
    plain_header();
    wire.bytes[8] = 2;
    wire.bytes[10] = 5;
    DAMAGED("format version 2.5; this build reads 1");
    plain_header();
    wire.bytes[9] = 1; /* 257 */
    DAMAGED("format version 257.0; this build reads 1");
    plain_header();
    wire.bytes[11] = 3;
    wire.bytes[12] = 99; /* ignored */
    CU_ASSERT_EQUAL(read_all(), 0);
    SAYS("header 1 768 ");
}

static void where_a_capture_is_cut_is_told(void)
{
    char expected[80];
    plain_header();
    size_t whole = wire.len;
    wire.len = 15;
    read_all();
    CU_ASSERT_STRING_EQUAL(problem, "not a capture: only 15 bytes");
    wire.len = 16;
    read_all();
    CU_ASSERT_STRING_EQUAL(problem, "cut after block 0: no trailer");
    wire.len = whole - 1;
    read_all();
    snprintf(expected, sizeof expected, "cut inside block 0 at byte %zu", whole - 1);
    CU_ASSERT_STRING_EQUAL(problem, expected);
    CU_ASSERT_EQUAL(blocks_read, 0);
    CU_ASSERT_EQUAL(bytes_read, 16);
    wire.len = whole;
}

static void a_block_has_its_letters_and_at_most_a_mebibyte(void)
{
    char expected[80];
    for (int at = 1; at <= 3; at++) {
        plain_header();
        snprintf(expected, sizeof expected, "block 1 (clock) at byte %zu: does not begin with a type and TTB", wire.len);
        size_t head = wire.len;
        wire_block_open(&wire, 2);
        NUMBERS(U(1), U(2), U(3));
        wire_block_close(&wire);
        wire.bytes[head + (size_t)at] ^= 1;
        DAMAGED(expected);
    }
    for (uint32_t over = 0; over < 2; over++) {
        plain_header();
        snprintf(expected, sizeof expected, "block 1 (unknown type) at byte %zu: longer than a block may be", wire.len);
        wire_block_open(&wire, 77);
        for (uint32_t i = 0; i < (1u << 20) + over; i += 1024)
            wire_bytes(&wire, said, i + 1024 <= (1u << 20) ? 1024 : over);
        wire_block_close(&wire);
        if (over) {
            DAMAGED(expected);
            continue;
        }
        CU_ASSERT_EQUAL(read_with(&all_calls, 4000), 0);
        CU_ASSERT_EQUAL(blocks_read, 2);
    }
}

/* ---- Who listens ---- */

static void whole_capture(void)
{
    plain_header();
    wire_block_open(&wire, 2);
    NUMBERS(U(1), U(2), U(3));
    wire_block_close(&wire);
    wire_block_open(&wire, 3);
    NUMBERS(U(2), U(31), U(0), U(32), U(0));
    wire_block_close(&wire);
    wire_block_open(&wire, 4);
    NUMBERS(U(2), U(41), U(42), U(43), U(0), U(44), U(42), U(45), U(0));
    wire_block_close(&wire);
    events_open(2);
    wire_varint(&wire, 0);
    lamp(1);
    lamp(2);
    wire_block_close(&wire);
    wire_block_open(&wire, 6);
    NUMBERS(U(1), U(0), U(1), U(0), U(0), U(0), U(0), U(0));
    wire_block_close(&wire);
    wire_block_open(&wire, 7);
    NUMBERS(U(2), U(71), U(72), U(73), U(74), U(75), U(76), U(77), U(78), U(79), U(70));
    wire_block_close(&wire);
    wire_block_open(&wire, 8);
    NUMBERS(U(2), U(1), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0));
    NUMBERS(U(2), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0), U(0));
    wire_block_close(&wire);
    wire_block_open(&wire, 10);
    NUMBERS(U(2), U(101), U(102), U(103), U(104), U(105), U(106), U(107), U(108), U(109), U(100));
    wire_block_close(&wire);
    wire_block_open(&wire, 12);
    NUMBERS(U(2), U(121), U(122), U(123), U(124), U(0), U(0), U(125), U(126), U(127), U(128), U(0), U(0));
    wire_block_close(&wire);
    wire_block_open(&wire, 13);
    NUMBERS(U(2), U(131), U(0), U(1), U(132), U(133), U(134), U(1), U(0));
    wire_block_close(&wire);
    wire_block_open(&wire, 14);
    NUMBERS(U(2), U(141), U(121), U(142), U(125));
    wire_block_close(&wire);
    wire_block_open(&wire, 9);
    for (int i = 0; i < 17; i++)
        wire_varint(&wire, 0);
    wire_block_close(&wire);
}

static void a_stack_of_more_frames_than_its_block_has_is_damage(void)
{
    for (uint64_t frames = 0; frames < 5; frames++) {
        plain_header();
        wire_block_open(&wire, 13);
        NUMBERS(U(1), U(131), U(0), frames, U(1), U(2), U(3), U(4));
        if (frames < 2)
            wire.len -= 2 * (2 - frames);
        wire_block_close(&wire);
        CU_ASSERT_EQUAL(read_all(), frames <= 2 ? 0 : -EBADMSG);
        CU_ASSERT_EQUAL(strstr(said, "stack 131") != NULL, frames <= 2);
    }
}

static void nobody_needs_to_listen(void)
{
    static const struct ttap__read_calls none = {.block = NULL};
    whole_capture();
    for (size_t piece = 1; piece <= wire.len; piece += wire.len - 1) {
        CU_ASSERT_EQUAL(read_with(&none, piece), 0);
        CU_ASSERT_STRING_EQUAL(problem, "");
        CU_ASSERT_EQUAL(blocks_read, 13);
    }
    ttap__reader_free(NULL);
}

static void whoever_refuses_hears_nothing_more(void)
{
    static const char *const calls[] = {"block", "header",  "clock",   "name",   "thread", "events", "loss",
                                        "task",  "account", "pending", "module", "stack",  "mapped", "trailer"};
    static const uint64_t blocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    whole_capture();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int with = -EBADMSG; with <= 42; with += 42 + EBADMSG) {
            char last[16];
            refuse_at = calls[i];
            refuse_with = with; /* also what looks like damage: the block was whole all the same */
            CU_ASSERT_EQUAL(read_all(), with);
            snprintf(last, sizeof last, "%s ", calls[i]);
            CU_ASSERT(blocks_read == (blocks[i] ? blocks[i] : 1));
            const char *found = strstr(said, last);
            CU_ASSERT_PTR_NOT_NULL_FATAL(found);
            while (*found && !(found[0] == '\n' && found[1] != ' '))
                found++;
            CU_ASSERT_STRING_EQUAL(found, "\n");
        }
    refuse_at = NULL;
}

static void whoever_refuses_a_note_hears_no_second_one(void)
{
    plain_header();
    wire.len--; /* the count of notes, 0 */
    NUMBERS(U(2), U(0), U(0), U(0), U(0));
    wire_block_close(&wire);
    refuse_at = "note";
    refuse_with = 42;
    CU_ASSERT_EQUAL(read_all(), 42);
    CU_ASSERT_PTR_NULL(strstr(strstr(said, "note") + 1, "note"));
    refuse_at = NULL;
    CU_ASSERT_EQUAL(read_all(), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(strstr(said, "note") + 1, "note"));
}

static void what_follows_the_trailer_is_ignored(void)
{
    whole_capture();
    size_t len = wire.len;
    wire_bytes(&wire, "anything at all, or nothing", 27);
    for (size_t piece = 1; piece <= wire.len; piece += wire.len - 1) {
        CU_ASSERT_EQUAL(read_with(&all_calls, piece), 0);
        CU_ASSERT_STRING_EQUAL(problem, "");
        CU_ASSERT_EQUAL(bytes_read, len);
    }
}

static void memory_that_is_not_there_ends_reading_and_nothing_is_lost_of_it(void)
{
    static const char filler[5000];
    long failed = 0;
    plain_header();
    wire_block_open(&wire, 77);
    wire_bytes(&wire, filler, sizeof filler);
    wire_block_close(&wire);
    for (bool delivered = true; delivered; failed++) {
        fail_malloc_after(failed);
        struct ttap__reader *reader = ttap__reader_new(&all_calls, NULL);
        int rc = reader ? 0 : -ENOMEM;
        said_len = 0;
        for (size_t at = 0; at < wire.len && rc == 0; at += 100)
            rc = ttap__reader_feed(reader, wire.bytes + at, wire.len - at < 100 ? wire.len - at : 100);
        if (reader && rc)
            CU_ASSERT_EQUAL(ttap__reader_feed(reader, wire.bytes, 1), -ENOMEM); /* for good */
        ttap__reader_free(reader);
        delivered = fail_malloc_off();
        CU_ASSERT_EQUAL(rc, delivered ? -ENOMEM : 0);
    }
    CU_ASSERT(failed >= 6); /* the reader, two for its header, what is held, and that three times larger */
}

static CU_TestInfo statements[] = {
    {"every field of a header is delivered", every_field_of_a_header_is_delivered},
    {"every row is delivered with all its fields", every_row_is_delivered_with_all_its_fields},
    {"every field of a block of events is delivered", every_field_of_a_block_of_events_is_delivered},
    {"without a task its fields are 0", without_a_task_its_fields_are_0},
    {"a number takes up to ten bytes and 64 bits", a_number_takes_up_to_ten_bytes_and_64_bits},
    {"a number that is cut does not decode", a_number_that_is_cut_does_not_decode},
    {"a text longer than what is left does not decode", a_text_longer_than_what_is_left_does_not_decode},
    {"rows that are fewer than counted do not decode", rows_that_are_fewer_than_counted_do_not_decode},
    {"a kind is known by number, name and first fields", a_kind_is_known_by_number_name_and_first_fields},
    {"a kind has at most 32 fields", a_kind_has_at_most_32_fields},
    {"a number in the kind table is not 0 and not twice", a_number_in_the_kind_table_is_not_0_and_not_twice},
    {"an empty header does not decode", an_empty_header_does_not_decode},
    {"as many events as counted fill the block", as_many_events_as_counted_fill_the_block},
    {"an event of no kind does not decode", an_event_of_no_kind_does_not_decode},
    {"an event that is cut does not decode", an_event_that_is_cut_does_not_decode},
    {"eight bytes are eight bytes", eight_bytes_are_eight_bytes},
    {"a byte behind the block is not of it", a_byte_behind_the_block_is_not_of_it},
    {"notes that are cut make no header", notes_that_are_cut_make_no_header},
    {"a head that does not decode is told as that", a_head_that_does_not_decode_is_told_as_that},
    {"a stream is of a thread and a level", a_stream_is_of_a_thread_and_a_level},
    {"the header comes first, and once", the_header_comes_first_and_once},
    {"a preamble has a magic and a version", a_preamble_has_a_magic_and_a_version},
    {"where a capture is cut is told", where_a_capture_is_cut_is_told},
    {"a block has its letters and at most a mebibyte", a_block_has_its_letters_and_at_most_a_mebibyte},
    {"a stack of more frames than its block has is damage", a_stack_of_more_frames_than_its_block_has_is_damage},
    {"nobody needs to listen", nobody_needs_to_listen},
    {"whoever refuses hears nothing more", whoever_refuses_hears_nothing_more},
    {"whoever refuses a note hears no second one", whoever_refuses_a_note_hears_no_second_one},
    {"what follows the trailer is ignored", what_follows_the_trailer_is_ignored},
    {"memory that is not there ends reading, and nothing is lost of it", memory_that_is_not_there_ends_reading_and_nothing_is_lost_of_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    int result = run_statements(statements);
    wire_free(&wire);
    return result;
}
