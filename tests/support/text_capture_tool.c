/* ttap-text: captures as text and back, for people who write or read test captures.
 *
 *      ttap-text to-wire FILE.txt OUT        ttap-text to-text FILE OUT        ("-": standard input or output) */
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
    int (*direction)(const char *, size_t, FILE *) = NULL;
    if (argc == 4)
        direction = strcmp(argv[1], "to-wire") == 0 ? to_wire : strcmp(argv[1], "to-text") == 0 ? to_text : NULL;
    if (!direction) {
        fprintf(stderr, "usage: ttap-text to-wire FILE.txt OUT | to-text FILE OUT   (- for standard input or output)\n");
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
