/* Any bytes as a JSON literal: ASCII, of the promised length, and jansson reads it. */
#include <jansson.h>
#include <stdlib.h>

#include "json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *literal = malloc(size * TTAP__JSON_ESCAPED_BYTES_MAX + 2);
    size_t used = 0;
    if (!literal)
        return 0;
    literal[used++] = '"';
    for (size_t at = 0; at < size;) {
        size_t before = at, bytes = ttap__json_escaped(literal + used, (const char *)data, size, &at);
        if (at <= before || at > size || bytes == 0 || bytes > TTAP__JSON_ESCAPED_BYTES_MAX)
            abort();
        used += bytes;
    }
    literal[used++] = '"';
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)literal[i] < 0x20 || (unsigned char)literal[i] >= 0x7f)
            abort();
    json_t *read = json_loadb(literal, used, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!read)
        abort();
    json_decref(read);
    free(literal);
    return 0;
}
