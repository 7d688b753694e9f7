/* Viewer JSON against jansson and against what the test itself meant to say. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "json.h"
#include "json_text.h"
#include "statements.h"
#include "text_capture.h"

static int collect(void *arg, const void *bytes, size_t len)
{
    wire_bytes(arg, bytes, len);
    return 0;
}

static json_t *document_of(const struct wire *wire)
{
    struct wire json = {0};
    json_error_t error;
    struct ttap__convert *convert = ttap__convert_new("json", collect, &json);
    ttap__convert_feed(convert, wire->bytes, wire->len);
    CU_ASSERT_EQUAL(ttap__convert_finish(convert), 0);
    ttap__convert_free(convert);
    json_t *document = json_loadb((const char *)json.bytes, json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!document)
        printf("%s at %d\n", error.text, error.position);
    CU_ASSERT_PTR_NOT_NULL_FATAL(document);
    wire_free(&json);
    return document;
}

static json_int_t column(json_t *chunk, const char *key, size_t row)
{
    json_t *values = json_object_get(chunk, key);
    return json_integer_value(json_is_array(values) ? json_array_get(values, row) : values);
}

static bool is_table(json_t *chunk, const char *name)
{
    return strcmp(json_string_value(json_object_get(chunk, "t")), name) == 0;
}

/* ---- Numbers and text ---- */

static void numbers_are_written_as_printf_does(void)
{
    static const int64_t edges[] = {0, 9, 10, 99, 100, 999, 1000, 9999, 10000, 99999, 100000, INT64_MAX, INT64_MIN, -1, -10};
    uint64_t random = 1;
    for (unsigned i = 0; i < 100000; i++) {
        char ours[TTAP__JSON_NUMBER_BYTES], theirs[32];
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        int64_t value = i < sizeof edges / sizeof edges[0] ? edges[i] : (int64_t)(random >> (random & 63));
        size_t len = ttap__json_number(ours, value);
        CU_ASSERT_TRUE(len == (size_t)snprintf(theirs, sizeof theirs, "%lld", (long long)value) && memcmp(ours, theirs, len) == 0);
    }
    char most[TTAP__JSON_NUMBER_BYTES];
    CU_ASSERT_TRUE(ttap__json_unsigned(most, UINT64_MAX) == 20 && memcmp(most, "18446744073709551615", 20) == 0);
}

static size_t escape_all(char *out, const char *text, size_t len)
{
    size_t used = 0;
    for (size_t at = 0; at < len;)
        used += ttap__json_escaped(out + used, text, len, &at);
    return used;
}

static bool escapes_to(const char *text, size_t len, const char *expected)
{
    char out[256];
    size_t used = escape_all(out, text, len);
    return used == strlen(expected) && memcmp(out, expected, used) == 0;
}

static void text_is_escaped_to_ascii(void)
{
    CU_ASSERT_TRUE(escapes_to("a\"b\\c\n\t\r", 8, "a\\\"b\\\\c\\n\\t\\r"));
    CU_ASSERT_TRUE(escapes_to("\x01\x1f\x7f\0", 4, "\\u0001\\u001f\\u007f\\u0000"));
    CU_ASSERT_TRUE(escapes_to("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xa5", 9, "\\u00e4\\u20ac\\ud83d\\udd25"));
    CU_ASSERT_TRUE(escapes_to("\xc0\xaf", 2, "\\ufffd\\ufffd"));                       /* overlong */
    CU_ASSERT_TRUE(escapes_to("\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd"));            /* a surrogate */
    CU_ASSERT_TRUE(escapes_to("\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd")); /* beyond U+10FFFF */
    CU_ASSERT_TRUE(escapes_to("\xe2\x82", 2, "\\ufffd\\ufffd"));                       /* cut */
}

/* Random bytes: jansson must read what we write, and valid UTF-8 must come back as it was. */
static void any_bytes_become_a_literal_that_a_parser_reads(void)
{
    unsigned random = 7;
    for (int round = 0; round < 20000; round++) {
        char text[24], literal[24 * 12 + 2];
        size_t len = (random >> 16) % sizeof text;
        for (size_t i = 0; i < len; i++) {
            random = random * 1103515245 + 12345;
            text[i] = (char)(random >> 16);
        }
        literal[0] = '"';
        size_t used = 1 + escape_all(literal + 1, text, len);
        literal[used++] = '"';
        json_t *read = json_loadb(literal, used, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        CU_ASSERT_PTR_NOT_NULL(read);
        json_t *valid = json_stringn(text, len); /* NULL when the bytes are no UTF-8 */
        if (valid)
            CU_ASSERT_TRUE(json_equal(valid, read));
        json_decref(valid);
        json_decref(read);
    }
}

/* ---- Random captures against a naive reference ---- */

enum { THREADS = 3, SPANS_MAX = 20000, DEPTHS = 6 };

struct span {
    unsigned lane, depth, name;
    uint64_t start, dur;
    bool found;
};

struct naive {
    struct span spans[SPANS_MAX];
    size_t count;
    struct {
        unsigned name;
        uint64_t start;
    } open[THREADS][DEPTHS];
    unsigned depth[THREADS];
    uint64_t time[THREADS], seq[THREADS];
};

static unsigned random_below(unsigned *random, unsigned limit)
{
    *random = *random * 1103515245 + 12345;
    return (*random >> 16) % limit;
}

static void naive_close(struct naive *naive, unsigned lane, uint64_t end)
{
    unsigned depth = --naive->depth[lane];
    naive->spans[naive->count++] =
        (struct span){lane, depth, naive->open[lane][depth].name, naive->open[lane][depth].start, end - naive->open[lane][depth].start, false};
}

/* A chunk of random begins and ends of one thread; what it means goes into @naive. */
static void random_chunk(struct naive *naive, struct wire *wire, unsigned lane, unsigned *random)
{
    unsigned events = 1 + random_below(random, 200);
    wire_block_open(wire, 5);
    wire_varint(wire, lane + 1);
    wire_u8(wire, 0);
    wire_varint(wire, naive->seq[lane]);
    wire_varint(wire, naive->time[lane]);
    wire_varint(wire, 0); /* span: not looked at */
    wire_varint(wire, events);
    wire_varint(wire, 0);
    wire_varint(wire, naive->seq[lane]);
    for (int i = 0; i < 5; i++) /* filtered, lost, sampled out before; task; open ends */
        wire_varint(wire, 0);
    wire_varint(wire, naive->depth[lane]);
    for (unsigned i = 0; i < naive->depth[lane]; i++) {
        wire_varint(wire, i);
        wire_varint(wire, naive->open[lane][i].name);
        wire_zigzag(wire, naive->time[lane] - naive->open[lane][i].start);
    }
    for (unsigned i = 0; i < events; i++) {
        unsigned delta = random_below(random, 1 << random_below(random, 14)), name = 1 + random_below(random, 5);
        naive->time[lane] += delta;
        bool begin = naive->depth[lane] == 0 || (naive->depth[lane] < DEPTHS && random_below(random, 2));
        wire_u8(wire, begin ? 1 : 2);
        wire_varint(wire, delta);
        if (begin) {
            wire_varint(wire, name);
            naive->open[lane][naive->depth[lane]].name = name;
            naive->open[lane][naive->depth[lane]++].start = naive->time[lane];
        } else
            naive_close(naive, lane, naive->time[lane]);
    }
    naive->seq[lane] += events;
    wire_block_close(wire);
}

static void random_capture(struct naive *naive, struct wire *wire, unsigned *random, unsigned chunks)
{
    wire_preamble(wire, 1, 0);
    wire_plain_header(wire);
    wire_block_open(wire, 3);
    wire_varint(wire, 5);
    for (unsigned i = 1; i <= 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        wire_varint(wire, i);
        wire_text(wire, name);
    }
    wire_block_close(wire);
    wire_block_open(wire, 4);
    wire_varint(wire, THREADS);
    for (unsigned i = 1; i <= THREADS; i++) {
        wire_varint(wire, i);
        wire_varint(wire, 71);
        wire_varint(wire, 800 + i);
        wire_text(wire, "t");
    }
    wire_block_close(wire);
    for (unsigned i = 0; i < chunks; i++)
        random_chunk(naive, wire, random_below(random, THREADS), random);
    for (unsigned lane = 0; lane < THREADS; lane++) /* the capture is cut: what is open ends at the latest time of all */
        while (naive->depth[lane]) {
            uint64_t end = 0;
            for (unsigned other = 0; other < THREADS; other++)
                end = naive->time[other] > end ? naive->time[other] : end;
            naive_close(naive, lane, end);
        }
}

static bool claim(struct naive *naive, const struct span *row)
{
    for (size_t i = 0; i < naive->count; i++) {
        struct span *span = &naive->spans[i];
        if (!span->found && span->lane == row->lane && span->depth == row->depth && span->name == row->name && span->start == row->start &&
            span->dur == row->dur)
            return span->found = true;
    }
    return false;
}

static size_t claim_regions(struct naive *naive, json_t *document)
{
    size_t index, rows = 0;
    json_t *chunk, *strings = json_array();
    json_array_foreach(json_object_get(document, "chunks"), index, chunk)
    {
        if (is_table(chunk, "str"))
            json_array_extend(strings, json_object_get(chunk, "v"));
        if (!is_table(chunk, "region"))
            continue;
        json_int_t at = column(chunk, "t0", 0), end = -1;
        for (size_t row = 0; row < (size_t)column(chunk, "n", 0); row++, rows++) {
            at += column(chunk, "dt", row);
            const char *name = json_string_value(json_array_get(strings, (size_t)column(chunk, "name", row)));
            struct span span = {(unsigned)column(chunk, "lane", 0),  (unsigned)column(chunk, "depth", 0),
                                (unsigned)atoi(name ? name : "0"),   (uint64_t)at,
                                (uint64_t)column(chunk, "dur", row), false};
            CU_ASSERT_TRUE(at >= end); /* sorted and disjoint */
            end = at + column(chunk, "dur", row);
            CU_ASSERT_TRUE(claim(naive, &span));
        }
    }
    json_decref(strings);
    return rows;
}

static void regions_are_those_of_a_naive_reference(void)
{
    unsigned random = 42;
    for (int round = 0; round < 30; round++) {
        struct naive *naive = calloc(1, sizeof *naive);
        struct wire wire = {0};
        random_capture(naive, &wire, &random, 1 + (unsigned)round);
        json_t *document = document_of(&wire);
        CU_ASSERT_EQUAL(claim_regions(naive, document), naive->count);
        json_decref(document);
        wire_free(&wire);
        free(naive);
    }
}

/* ---- Size ---- */

static int count_lines(void *arg, const void *bytes, size_t len)
{
    size_t *figures = arg; /* bytes, longest line, this line */
    figures[0] += len;
    for (size_t i = 0; i < len; i++) {
        figures[2] = ((const char *)bytes)[i] == '\n' ? 0 : figures[2] + 1;
        figures[1] = figures[2] > figures[1] ? figures[2] : figures[1];
    }
    return 0;
}

static void region_chunk(struct wire *wire, unsigned thread, unsigned regions)
{
    wire_block_open(wire, 5);
    wire_varint(wire, thread);
    wire_u8(wire, 0);
    for (int i = 0; i < 3; i++)
        wire_varint(wire, 0);
    wire_varint(wire, 2 * regions);
    for (int i = 0; i < 8; i++)
        wire_varint(wire, 0);
    for (unsigned i = 0; i < regions; i++)
        wire_bytes(wire, "\x01\x05\x01\x02\x07", 5);
    wire_block_close(wire);
}

/* 100,000 threads that each run once, then many rows: less is told, but memory stays within its bound and the document is whole. */
static void more_threads_than_memory_allows_still_make_a_document(void)
{
    struct wire wire = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (unsigned thread = 1; thread <= 100000; thread++)
        region_chunk(&wire, thread, 2);
    json_t *document = document_of(&wire), *end = json_object_get(document, "end");
    CU_ASSERT_TRUE(json_integer_value(json_object_get(end, "untold")) > 0);
    CU_ASSERT_TRUE(json_integer_value(json_object_get(end, "rows")) > 10000);
    CU_ASSERT_STRING_NOT_EQUAL(json_string_value(json_object_get(end, "identity")), "exact");
    json_decref(document);
    wire_free(&wire);
}

static void no_chunk_has_more_than_16384_rows(void)
{
    struct wire wire = {0};
    size_t index, full = 0, rows = 0, strings = 0;
    json_t *chunk;
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (int i = 0; i < 50; i++)
        region_chunk(&wire, 1, 1000);
    json_t *document = document_of(&wire);
    json_array_foreach(json_object_get(document, "chunks"), index, chunk)
    {
        if (is_table(chunk, "str"))
            strings += json_array_size(json_object_get(chunk, "v"));
        if (!is_table(chunk, "region"))
            continue;
        CU_ASSERT_TRUE((size_t)column(chunk, "name", 0) < strings); /* told before the first row that names it */
        CU_ASSERT_TRUE(column(chunk, "n", 0) <= 16384);
        full += column(chunk, "n", 0) == 16384;
        rows += (size_t)column(chunk, "n", 0);
    }
    CU_ASSERT_EQUAL(rows, 50000);
    CU_ASSERT_EQUAL(full, 3);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(document, "end"), "rows")), 50000);
    json_decref(document);
    wire_free(&wire);
}

static void pages_run_out_before_chunks_are_full(void)
{
    struct wire wire = {0};
    size_t figures[3] = {0};
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (int round = 0; round < 20; round++)
        for (unsigned thread = 1; thread <= 60; thread++)
            region_chunk(&wire, thread, 200);
    struct ttap__convert *convert = ttap__convert_new("json", count_lines, figures);
    CU_ASSERT_EQUAL(ttap__convert_feed(convert, wire.bytes, wire.len), 0);
    size_t before_the_end = figures[0];
    CU_ASSERT_EQUAL(ttap__convert_finish(convert), 0);
    ttap__convert_free(convert);
    CU_ASSERT_TRUE(before_the_end > figures[0] / 4); /* 60 threads of 4,000 rows do not fit: most was pushed out before */
    CU_ASSERT_TRUE(figures[1] < 200000);
    wire_free(&wire);
}

/* ---- Hostile ---- */

static json_t *document_of_text(const char *text)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    if (!text_capture_to_wire(text, strlen(text), &wire, error))
        printf("%s\n", error);
    json_t *document = document_of(&wire);
    wire_free(&wire);
    return document;
}

static void a_note_that_comes_twice_is_written_once(void)
{
    json_t *document = document_of_text("header\nnote key=\"a\" value=\"1\"\nnote key=\"a\" value=\"2\"\nnote key=\"b\" value=\"3\"\n");
    json_t *notes = json_object_get(json_object_get(document, "capture"), "notes");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(notes, "a")), "1");
    CU_ASSERT_EQUAL(json_object_size(notes), 2);
    json_decref(document);
}

static void a_name_that_was_never_defined_is_a_question_mark(void)
{
    json_t *document = document_of_text("thread 1 at 1: instant name=#99\nthread 1 at 2: instant name=\"\"\n");
    json_t *strings = json_object_get(json_array_get(json_object_get(document, "chunks"), 1), "v");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(strings, 0)), "?");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(strings, 1)), "");
    json_decref(document);
}

static void numbers_beyond_2_to_the_53_are_shown_as_that(void)
{
    json_t *document = document_of_text("header pid=18446744073709551615 duration_ns=18446744073709551615\n"
                                        "threads thread=1 pid=18446744073709551615 tid=18446744073709551615\n"
                                        "loss thread=1 lost=18446744073709551615 from=0 to=18446744073709551615\n");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(document, "capture"), "pid")), INT64_C(1) << 53);
    json_decref(document);
}

/* Chunks of one log line, each a megabyte of bytes that are six when escaped. */
static struct wire megabytes_of_log(int lines)
{
    struct wire wire = {0};
    char *text = malloc(1 << 20);
    memset(text, 0xff, 1 << 20);
    wire_preamble(&wire, 1, 0);
    wire_plain_header(&wire);
    for (int i = 0; i < lines; i++) {
        wire_block_open(&wire, 5);
        wire_varint(&wire, 1);
        wire_u8(&wire, 0);
        for (int k = 0; k < 3; k++)
            wire_varint(&wire, 0);
        wire_varint(&wire, 1);
        for (int k = 0; k < 8; k++)
            wire_varint(&wire, 0);
        wire_bytes(&wire, "\x06\x01\x00", 3);
        wire_string(&wire, text, (1 << 20) - 64);
        wire_block_close(&wire);
    }
    free(text);
    return wire;
}

static void a_text_of_a_megabyte_is_cut(void)
{
    struct wire wire = megabytes_of_log(20);
    json_t *document = document_of(&wire), *chunk;
    size_t index, rows = 0;
    json_array_foreach(json_object_get(document, "chunks"), index, chunk)
    {
        if (is_table(chunk, "log"))
            rows += (size_t)column(chunk, "n", 0);
    }
    CU_ASSERT_EQUAL(rows, 20);
    json_decref(document);
    wire_free(&wire);
}

static int refuse_after(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    size_t *left = arg;
    if (len > *left)
        return -EPIPE;
    *left -= len;
    return 0;
}

static void what_out_returns_ends_the_conversion(void)
{
    struct wire wire = megabytes_of_log(10);
    size_t left = 100000;
    struct ttap__convert *convert = ttap__convert_new("json", refuse_after, &left);
    CU_ASSERT_EQUAL(ttap__convert_feed(convert, wire.bytes, wire.len), -EPIPE);
    CU_ASSERT_EQUAL(ttap__convert_finish(convert), -EPIPE);
    ttap__convert_free(convert);
    wire_free(&wire);
}

static void native_is_the_identity_and_unknown_formats_are_refused(void)
{
    struct wire out = {0};
    struct ttap__convert *convert = ttap__convert_new("native", collect, &out);
    CU_ASSERT_EQUAL(ttap__convert_feed(convert, "any bytes", 9), 0);
    CU_ASSERT_EQUAL(ttap__convert_finish(convert), 0);
    ttap__convert_free(convert);
    CU_ASSERT_TRUE(out.len == 9 && memcmp(out.bytes, "any bytes", 9) == 0);
    wire_free(&out);
    CU_ASSERT_PTR_NULL(ttap__convert_new("xml", collect, &out));
    CU_ASSERT_STRING_EQUAL(ttap__formats[0].name, "native");
}

static CU_TestInfo statements[] = {
    {"numbers are written as printf does", numbers_are_written_as_printf_does},
    {"text is escaped to ASCII", text_is_escaped_to_ascii},
    {"any bytes become a literal that a parser reads", any_bytes_become_a_literal_that_a_parser_reads},
    {"regions are those of a naive reference", regions_are_those_of_a_naive_reference},
    {"more threads than memory allows still make a document", more_threads_than_memory_allows_still_make_a_document},
    {"no chunk has more than 16384 rows", no_chunk_has_more_than_16384_rows},
    {"pages run out before chunks are full", pages_run_out_before_chunks_are_full},
    {"a note that comes twice is written once", a_note_that_comes_twice_is_written_once},
    {"a name that was never defined is a question mark", a_name_that_was_never_defined_is_a_question_mark},
    {"numbers beyond 2^53 are shown as that", numbers_beyond_2_to_the_53_are_shown_as_that},
    {"a text of a megabyte is cut", a_text_of_a_megabyte_is_cut},
    {"what out returns ends the conversion", what_out_returns_ends_the_conversion},
    {"native is the identity and unknown formats are refused", native_is_the_identity_and_unknown_formats_are_refused},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
