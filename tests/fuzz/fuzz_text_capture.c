/* Any text as a capture, and what came of it as text again. */
#include <stdlib.h>
#include <string.h>

#include "text_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire = {0};
    char error[TEXT_CAPTURE_ERROR_BYTES], *text = NULL;
    size_t len;
    bool good = text_capture_to_wire((const char *)data, size, &wire, error);
    if (good == (error[0] != 0))
        abort();
    FILE *out = open_memstream(&text, &len);
    text_capture_to_text(wire.bytes, wire.len, out);
    fclose(out);
    free(text);
    wire_free(&wire);
    return 0;
}
