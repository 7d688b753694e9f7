/* ttap-text: captures as text and back, for people who write or read test captures.
 *
 *      ttap-text to-wire FILE.txt OUT     ttap-text to-text FILE OUT     ttap-text to-json FILE OUT     ("-": standard input or output)
 *
 * to-json takes either.
 *
 *      ttap-text spans COUNT OUT     a native capture of COUNT regions on 50 threads, four deep, for measuring readers:
 *                                    `ttap-text spans 5000000 - | time ttap-text to-json - /dev/null` */
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "text_capture.h"

enum { THREADS = 50, NAMES = 20, DEPTH = 4, CHUNK_EVENTS = 2000 }; /* a chunk of the engine packs to about this many */

struct spans {
    struct wire wire; /* what is not yet written */
    uint64_t bytes, blocks, seq[THREADS + 1], time[THREADS + 1];
    unsigned random;
    FILE *out;
};

static void spans_flush(struct spans *spans)
{
    fwrite(spans->wire.bytes, 1, spans->wire.len, spans->out);
    spans->bytes += spans->wire.len;
    spans->wire.len = 0;
}

static void varints(struct wire *wire, unsigned count, uint64_t value)
{
    for (; count > 0; count--)
        wire_varint(wire, value);
}

static void spans_tables(struct spans *spans)
{
    char text[32];
    wire_preamble(&spans->wire, 1, 0);
    wire_plain_header(&spans->wire);
    wire_block_open(&spans->wire, 3);
    wire_varint(&spans->wire, NAMES);
    for (unsigned id = 1; id <= NAMES; id++) {
        snprintf(text, sizeof text, "region_%u", id);
        wire_varint(&spans->wire, id);
        wire_text(&spans->wire, text);
    }
    wire_block_close(&spans->wire);
    wire_block_open(&spans->wire, 4);
    wire_varint(&spans->wire, THREADS);
    for (unsigned thread = 1; thread <= THREADS; thread++) {
        snprintf(text, sizeof text, "worker-%u", thread);
        wire_varint(&spans->wire, thread);
        wire_varint(&spans->wire, 71);
        wire_varint(&spans->wire, 800 + thread);
        wire_text(&spans->wire, text);
    }
    wire_block_close(&spans->wire);
    spans->blocks = 3;
}

/* A begin or end, after a time that takes one byte as often as two. */
static void spans_event(struct spans *spans, unsigned thread, bool begin)
{
    spans->random = spans->random * 1103515245 + 12345;
    unsigned delta = (spans->random >> 16) % 3000;
    spans->time[thread] += delta;
    wire_u8(&spans->wire, begin ? 1 : 2);
    wire_varint(&spans->wire, delta);
    if (begin)
        wire_varint(&spans->wire, 1 + (spans->random >> 20) % NAMES);
}

static void spans_chunk(struct spans *spans, unsigned thread)
{
    wire_block_open(&spans->wire, 5);
    wire_varint(&spans->wire, thread);
    wire_u8(&spans->wire, 0);
    wire_varint(&spans->wire, spans->seq[thread]);
    wire_varint(&spans->wire, spans->time[thread]);
    wire_varint(&spans->wire, 0);
    wire_varint(&spans->wire, CHUNK_EVENTS);
    wire_varint(&spans->wire, 0);
    wire_varint(&spans->wire, spans->seq[thread]);
    varints(&spans->wire, 6, 0); /* nothing filtered, lost or sampled out before; no task, no open ends, no regions */
    for (unsigned i = 0; i < CHUNK_EVENTS; i++)
        spans_event(spans, thread, i / DEPTH % 2 == 0);
    wire_block_close(&spans->wire);
    spans->seq[thread] += CHUNK_EVENTS;
    spans->blocks++;
    spans_flush(spans);
}

static void spans_end(struct spans *spans)
{
    uint64_t events = 0, end = 0;
    wire_block_open(&spans->wire, 8);
    wire_varint(&spans->wire, THREADS);
    for (unsigned thread = 1; thread <= THREADS; thread++) {
        wire_varint(&spans->wire, thread);
        wire_u8(&spans->wire, 0);
        wire_varint(&spans->wire, 0);
        varints(&spans->wire, 2, spans->seq[thread]);
        varints(&spans->wire, 7, 0);
        events += spans->seq[thread];
        end = spans->time[thread] > end ? spans->time[thread] : end;
    }
    wire_block_close(&spans->wire);
    spans->blocks++;
    spans_flush(spans);
    wire_block_open(&spans->wire, 9);
    wire_varint(&spans->wire, 1);
    varints(&spans->wire, 3, end);
    wire_varint(&spans->wire, THREADS);
    varints(&spans->wire, 2, events);
    varints(&spans->wire, 8, 0); /* filtered, five losses, sampled out, the drainer's time */
    wire_varint(&spans->wire, spans->blocks);
    wire_varint(&spans->wire, spans->bytes);
    wire_block_close(&spans->wire);
    spans_flush(spans);
}

static int spans_write(long count, FILE *out)
{
    struct spans spans = {.random = 1, .out = out};
    spans_tables(&spans);
    spans_flush(&spans);
    for (unsigned thread = 0; count > 0; count -= CHUNK_EVENTS / 2, thread++)
        spans_chunk(&spans, thread % THREADS + 1);
    spans_end(&spans);
    wire_free(&spans.wire);
    return 0;
}

static char *input(const char *path, size_t *len)
{
    return text_capture_file(strcmp(path, "-") == 0 ? "/dev/stdin" : path, len);
}

static int to_wire(const char *bytes, size_t len, FILE *out)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    if (!text_capture_to_wire(bytes, len, &wire, error)) {
        fprintf(stderr, "ttap-text: %s\n", error);
        wire_free(&wire);
        return 1;
    }
    fwrite(wire.bytes, 1, wire.len, out);
    wire_free(&wire);
    return 0;
}

static int to_text(const char *bytes, size_t len, FILE *out)
{
    return text_capture_to_text(bytes, len, out) ? 0 : 1;
}

static int write_out(void *arg, const void *bytes, size_t len)
{
    return fwrite(bytes, 1, len, arg) == len ? 0 : -1;
}

static int to_json(const char *bytes, size_t len, FILE *out)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES];
    bool native = len >= 8 && memcmp(bytes, "TRACETAP", 8) == 0;
    if (native)
        wire_bytes(&wire, bytes, len);
    else if (!text_capture_to_wire(bytes, len, &wire, error)) {
        fprintf(stderr, "ttap-text: %s\n", error);
        return 1;
    }
    struct ttap__convert *convert = ttap__convert_new("json", write_out, out);
    int rc = convert ? 0 : 1;
    if (convert) {
        ttap__convert_feed(convert, wire.bytes, wire.len); /* a damaged capture has a document, too */
        rc = ttap__convert_finish(convert) ? 1 : 0;
    }
    ttap__convert_free(convert);
    wire_free(&wire);
    return rc;
}

int main(int argc, char **argv)
{
    int (*direction)(const char *, size_t, FILE *) = NULL;
    if (argc == 4)
        direction = strcmp(argv[1], "to-wire") == 0   ? to_wire
                    : strcmp(argv[1], "to-text") == 0 ? to_text
                    : strcmp(argv[1], "to-json") == 0 ? to_json
                                                      : NULL;
    if (argc == 4 && strcmp(argv[1], "spans") == 0) {
        FILE *spans_out = strcmp(argv[3], "-") == 0 ? stdout : fopen(argv[3], "wb");
        return !spans_out || spans_write(atol(argv[2]), spans_out) || fclose(spans_out) != 0;
    }
    if (!direction) {
        fprintf(stderr,
                "usage: ttap-text to-wire FILE.txt OUT | to-text FILE OUT | to-json FILE OUT | spans COUNT OUT   (- for standard input or output)\n");
        return 2;
    }
    size_t len;
    char *bytes = input(argv[2], &len);
    FILE *out = strcmp(argv[3], "-") == 0 ? stdout : fopen(argv[3], "wb");
    if (!bytes || !out) {
        perror(bytes ? argv[3] : argv[2]);
        return 1;
    }
    int rc = direction(bytes, len, out);
    free(bytes);
    return fclose(out) == 0 ? rc : 1;
}
