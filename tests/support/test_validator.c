/* test_validator.c - the validator itself: reads nothing beyond what it is given, and survives each allocation failing.
 *
 * The capture is written here by hand: one thread, "tile.0" 0..2, a loss of two, 5..6. What the verdicts mean is tested
 * by test_reader.py; here every prefix lies against a page that cannot be read, so one byte too far is a crash. */
#include "validator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int failures;

#define EXPECT(what, condition)                                                                                                                      \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            failures++;                                                                                                                              \
            printf("line %d: not so: %s\n", __LINE__, what);                                                                                         \
        }                                                                                                                                            \
    } while (0)

/* Allocations, counted and failed on demand (the linker wraps them) */

static long allocations, failing_allocation = -1;

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return allocations++ == failing_allocation ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return allocations++ == failing_allocation ? NULL : __real_realloc(old, size);
}

/* A capture. No number in it is above 127 but the lengths of blocks, so every varint is one byte. */

struct text {
    char bytes[512];
    size_t size;
};

static void append(struct text *text, const void *bytes, size_t size)
{
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

static void append_block(struct text *text, char type, const void *payload, size_t size)
{
    char head[8] = {type, 'T', 'T', 'B', (char)size};
    append(text, head, sizeof(head));
    append(text, payload, size);
}

#define BLOCK(text, type, literal) append_block(text, type, literal, sizeof(literal) - 1)

static void make_capture(struct text *text)
{
    text->size = 0;
    append(text, "TRACETAP\1\0\0\0\0\0\0\0", 16);
    BLOCK(text, 1, "\2\1\1\1\1\0\7\1\1\1\0\0\0\1\7\7counter\x0ename:n value:i\0");
    BLOCK(text, 3, "\1\1\6tile.0");
    BLOCK(text, 4, "\1\1\1\1\1w");
    BLOCK(text, 5, "\1\0\0\5\2\3\0\0\0\0\0\0\0\0\7\0\1\0\7\1\1\2\7\1\1\4");
    BLOCK(text, 6, "\1\0\1\3\2\0\5\6");
    BLOCK(text, 5, "\1\0\5\11\1\2\0\3\0\2\0\0\0\0\7\0\1\12\7\1\1\14");
    BLOCK(text, 8, "\1\1\0\0\7\5\0\2\0\0\0\0\0");
    char trailer[] = "\1\20\20\20\1\7\5\0\2\0\0\0\0\0\1\7\0\1";
    trailer[16] = (char)(text->size & 0x7f) | (char)0x80;
    trailer[17] = (char)(text->size >> 7);
    append_block(text, 9, trailer, sizeof(trailer) - 1);
}

static void a_whole_capture_is_exact_and_its_counter_proven(const struct text *text)
{
    struct validation v;
    int rc = validate_capture(text->bytes, text->size, &v);
    EXPECT(v.sentence, rc == 0 && v.verdict == VALIDATION_EXACT);
    EXPECT("sums", v.delivered == 5 && v.lost == 2 && v.filtered == 0 && v.streams == 1 && v.end_reason == 1);
    const struct validation_tile *tile = validation_tile(&v, 0);
    EXPECT("a tile, and only that", tile && v.tile_count == 1 && !validation_tile(&v, 1));
    EXPECT("its values", tile && tile->first_value == 0 && tile->last_value == 6 && tile->missing == 2 && tile->delivered == 5);
    EXPECT("its proof", tile && tile->covered && tile->pure && tile->start_value == 0 && tile->end_value == 7);
    validation_free(&v);
}

/* Returns the first byte of a page that cannot be read. */
static char *guard_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) {
        printf("skipped: no guard page: %s\n", strerror(errno));
        exit(77);
    }
    return pages + page;
}

static void nothing_is_read_beyond_any_cut(const struct text *text)
{
    char *guard = guard_page();
    for (size_t size = 0; size < text->size; size++) {
        struct validation v;
        memcpy(guard - size, text->bytes, size);
        int rc = validate_capture(guard - size, size, &v);
        EXPECT("a cut", rc == (size < 16 ? -EBADMSG : -ENODATA));
        validation_free(&v);
    }
}

static void nothing_is_read_beyond_a_changed_capture(const struct text *text)
{
    char *bytes = guard_page() - text->size;
    memcpy(bytes, text->bytes, text->size);
    for (size_t at = 0; at < text->size; at++) {
        for (int change = 1; change < 256; change++) {
            struct validation v;
            bytes[at] = (char)(text->bytes[at] ^ change);
            validate_capture(bytes, text->size, &v);
            validation_free(&v);
        }
        bytes[at] = text->bytes[at];
    }
}

static void each_allocation_may_fail(const struct text *text)
{
    struct validation v;
    allocations = 0;
    validate_capture(text->bytes, text->size, &v);
    validation_free(&v);
    long needed = allocations;
    EXPECT("allocations are counted", needed > 5);
    for (failing_allocation = 0; failing_allocation < needed; failing_allocation++) {
        allocations = 0;
        EXPECT("a failed allocation is said", validate_capture(text->bytes, text->size, &v) == -ENOMEM);
        validation_free(&v);
    }
    failing_allocation = -1;
}

int main(void)
{
    struct text text;
    make_capture(&text);
    a_whole_capture_is_exact_and_its_counter_proven(&text);
    nothing_is_read_beyond_any_cut(&text);
    nothing_is_read_beyond_a_changed_capture(&text);
    each_allocation_may_fail(&text);
    return failures != 0;
}
