/* text_capture.h - captures as text that a person can write, and back. tests/traces/README.md has the language by example.
 *
 *      thread 3 at 1250: region_begin name="parse"          <->          EVENTS block
 *
 * To wire: what a line leaves out (sequence numbers, account so far, open regions, names, sums) is filled in as an honest writer
 * would; what it gives is written as given, also when it is wrong. To text: everything is given, so nothing is lost on the way. */
#ifndef TTAP_TEST_TEXT_CAPTURE_H
#define TTAP_TEST_TEXT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire_builder.h"

#define TEXT_CAPTURE_ERROR_BYTES 256

/** False: @error says the line and why, and @out is as far as it got. */
bool text_capture_to_wire(const char *text, size_t len, struct wire *out, char error[TEXT_CAPTURE_ERROR_BYTES]);

/** Writes all blocks that are whole; what follows them as one `raw` line. False: not even a header was there. */
bool text_capture_to_text(const void *bytes, size_t len, FILE *out);

/** A whole file; NULL when it cannot be read. Free it. */
char *text_capture_file(const char *path, size_t *len);

#endif
