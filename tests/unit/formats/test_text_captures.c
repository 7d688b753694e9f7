/* test_text_captures FILE.txt - is what comes of one text capture what its first lines say?
 *
 *      text -> wire -> JSON, whole and byte by byte (same bytes?), jansson reads it, identity is as expected, FILE.json is the same
 *                   -> figures (stat): the same verdict
 *                   -> text -> wire again: the same bytes
 *                   -> cut at each length: still a document that jansson reads, or none without a header */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "fail_malloc.h"
#include "stat.h"
#include "text_capture.h"

static int failures;

#define CHECK(condition, ...)                                                                                                                        \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            printf("not so: " __VA_ARGS__);                                                                                                          \
            putchar('\n');                                                                                                                           \
            failures++;                                                                                                                              \
        }                                                                                                                                            \
    } while (0)

static int collect(void *arg, const void *bytes, size_t len)
{
    wire_bytes(arg, bytes, len);
    return 0;
}

/* What finish said; the document in *out. */
static int to_json(const uint8_t *bytes, size_t len, size_t piece, struct wire *out)
{
    struct ttap__convert *convert = ttap__convert_new("json", collect, out);
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece)
        rc = ttap__convert_feed(convert, bytes + at, len - at < piece ? len - at : piece);
    CHECK(rc == 0 || rc == -EBADMSG, "feed gave %d", rc);
    rc = ttap__convert_finish(convert);
    ttap__convert_free(convert);
    return rc;
}

static json_t *parsed(const struct wire *json)
{
    json_error_t error;
    json_t *document = json_loadb((const char *)json->bytes, json->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    CHECK(document, "the document is JSON: %s at byte %d", error.text, error.position);
    for (size_t i = 0; i < json->len; i++)
        if (json->bytes[i] >= 0x80) {
            CHECK(false, "the document is ASCII at byte %zu", i);
            break;
        }
    return document;
}

static const char *identity_of(json_t *document)
{
    const char *identity = json_string_value(json_object_get(json_object_get(document, "end"), "identity"));
    return identity ? identity : "(none)";
}

static void as_expected(const char *expected, bool exact, bool truncated, const char *identity)
{
    if (strcmp(expected, "exact") == 0)
        CHECK(exact && !truncated, "exact: %s", identity);
    else if (strcmp(expected, "cut") == 0)
        CHECK(!exact && truncated, "cut: %s", identity);
    else if (strncmp(expected, "wrong ", 6) == 0)
        CHECK(!exact && !truncated && strstr(identity, expected + 6), "%s: %s", expected, identity);
    else
        CHECK(strcmp(expected, "refused") == 0, "an expectation is exact, cut, wrong ... or refused, not %s", expected);
}

static size_t digits_at(const char *at, size_t left)
{
    size_t n = 0;
    while (n < left && at[n] >= '0' && at[n] <= '9')
        n++;
    return n;
}

/* Equal but for where in the file something stands ("at byte 1244"): that moves with the length of the kind table. */
static bool same_document(const char *a, size_t a_len, const char *b, size_t b_len)
{
    static const char place[] = "at byte ";
    size_t i = 0, j = 0;
    while (i < a_len && j < b_len && a[i] == b[j]) {
        i++;
        j++;
        if (i >= sizeof(place) - 1 && memcmp(a + i - (sizeof(place) - 1), place, sizeof(place) - 1) == 0) {
            i += digits_at(a + i, a_len - i);
            j += digits_at(b + j, b_len - j);
        }
    }
    return i == a_len && j == b_len;
}

static void check_json(const struct wire *wire, const char *expected, const char *golden_path)
{
    struct wire whole = {0}, pieces = {0};
    int rc = to_json(wire->bytes, wire->len, wire->len ? wire->len : 1, &whole);
    to_json(wire->bytes, wire->len, 1, &pieces);
    CHECK(whole.len == pieces.len && (!whole.len || memcmp(whole.bytes, pieces.bytes, whole.len) == 0), "byte by byte gives the same document");
    if (strcmp(expected, "refused") == 0)
        CHECK(rc == -EBADMSG && whole.len == 0, "no document: %d, %zu bytes", rc, whole.len);
    else {
        CHECK(rc == 0, "finish gives %d", rc);
        json_t *document = parsed(&whole);
        const char *identity = identity_of(document);
        as_expected(expected, strcmp(identity, "exact") == 0, json_is_true(json_object_get(json_object_get(document, "end"), "truncated")), identity);
        json_decref(document);
    }
    size_t golden_len;
    char *golden = text_capture_file(golden_path, &golden_len);
    if (golden)
        CHECK(same_document(golden, golden_len, (const char *)whole.bytes, whole.len), "the document is that of %s:\n%.*s", golden_path,
              (int)whole.len, (const char *)whole.bytes);
    free(golden);
    wire_free(&whole);
    wire_free(&pieces);
}

static void check_stat(const struct wire *wire, const char *expected)
{
    struct ttap__stat *stat = ttap__stat_new();
    ttap__stat_feed(stat, wire->bytes, wire->len);
    const struct ttap__stat_result *result = ttap__stat_finish(stat);
    if (strcmp(expected, "refused") == 0)
        CHECK(!result->has_header && result->problem[0], "refused with a reason");
    else
        as_expected(expected, result->exact, result->truncated, result->identity);
    CHECK(result->offered == result->emitted + result->sampled_out, "offered = emitted + sampled out");
    uint64_t delivered = 0;
    for (size_t i = 0; i < result->kinds_count; i++)
        delivered += result->kinds[i].delivered;
    CHECK(delivered == result->delivered, "kinds add up to what was delivered");
    ttap__stat_free(stat);
}

static void check_round_trip(const struct wire *wire)
{
    char *text = NULL, error[TEXT_CAPTURE_ERROR_BYTES];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct wire again = {0};
    text_capture_to_text(wire->bytes, wire->len, out);
    fclose(out);
    CHECK(text_capture_to_wire(text, len, &again, error), "its own text is read: %s\n%s", error, text);
    CHECK(again.len == wire->len && memcmp(again.bytes, wire->bytes, wire->len) == 0, "wire -> text -> wire gives the same bytes:\n%s", text);
    wire_free(&again);
    free(text);
}

static void check_cuts(const struct wire *wire)
{
    for (size_t len = 0; len < wire->len; len++) {
        struct wire json = {0};
        int rc = to_json(wire->bytes, len, 100, &json);
        CHECK(rc == 0 || (rc == -EBADMSG && json.len == 0), "cut at %zu: %d with %zu bytes", len, rc, json.len);
        if (rc == 0)
            json_decref(parsed(&json));
        wire_free(&json);
    }
}

static int count_out(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)arg += len;
    return 0;
}

static void check_without_memory(const struct wire *wire)
{
    long allowed = 0;
    for (bool delivered = true; delivered; allowed++) {
        size_t bytes = 0;
        fail_malloc_after(allowed);
        struct ttap__convert *convert = ttap__convert_new("json", count_out, &bytes);
        int rc = convert ? ttap__convert_feed(convert, wire->bytes, wire->len) : -ENOMEM;
        if (rc == 0 || rc == -EBADMSG)
            rc = ttap__convert_finish(convert);
        ttap__convert_free(convert);
        delivered = fail_malloc_off();
        if (delivered)
            CHECK(rc == -ENOMEM, "allocation %ld fails: %d", allowed, rc);
    }
}

/* The value of "# key: value" among the first lines. */
static void directive(const char *text, const char *key, char *out, size_t room)
{
    const char *at = strstr(text, key);
    snprintf(out, room, "%.*s", at ? (int)strcspn(at + strlen(key), "\n") : 0, at ? at + strlen(key) : "");
}

int main(int argc, char **argv)
{
    size_t len;
    char *text = argc == 2 ? text_capture_file(argv[1], &len) : NULL;
    if (!text) {
        fprintf(stderr, "usage: %s FILE.txt\n", argv[0]);
        return 2;
    }
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES], expected[128], round_trip[16], golden[4096];
    CHECK(text_capture_to_wire(text, len, &wire, error), "the text is read: %s", error);
    directive(text, "# expect: ", expected, sizeof expected);
    directive(text, "# roundtrip: ", round_trip, sizeof round_trip);
    snprintf(golden, sizeof golden, "%.*s.json", (int)strlen(argv[1]) - 4, argv[1]);
    if (failures == 0) {
        check_json(&wire, expected, golden);
        check_stat(&wire, expected);
        if (strcmp(round_trip, "no") != 0)
            check_round_trip(&wire);
        check_cuts(&wire);
        check_without_memory(&wire);
    }
    wire_free(&wire);
    free(text);
    return failures ? 1 : 0;
}
