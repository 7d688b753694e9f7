/* ttap-text: captures as text and back, for people who write or read test captures.
 *
 *      ttap-text to-wire FILE.txt OUT     ttap-text to-text FILE OUT     ttap-text to-json FILE OUT     ("-": standard input or output)
 *
 * to-json takes either. */
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "text_capture.h"

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
    if (!direction) {
        fprintf(stderr, "usage: ttap-text to-wire FILE.txt OUT | to-text FILE OUT | to-json FILE OUT   (- for standard input or output)\n");
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
