/* json_text.h - numbers and text as JSON, all of it ASCII. */
#ifndef TTAP_FORMATS_JSON_TEXT_H
#define TTAP_FORMATS_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TTAP__JSON_NUMBER_BYTES 21      /* a sign and the 20 digits of 2^64 */
#define TTAP__JSON_ESCAPED_BYTES_MAX 12 /* of one character: a surrogate pair */

/** Writes at most TTAP__JSON_NUMBER_BYTES; returns how many. */
size_t ttap__json_number(char *out, int64_t value);
size_t ttap__json_unsigned(char *out, uint64_t value);

/** Writes the next character of @text from *@at on, escaped: at most TTAP__JSON_ESCAPED_BYTES_MAX bytes; advances *@at. A byte that
 *  begins no valid UTF-8 (broken, overlong, a surrogate, beyond U+10FFFF) becomes \ufffd. Returns how many bytes. */
size_t ttap__json_escaped(char out[TTAP__JSON_ESCAPED_BYTES_MAX], const char *text, size_t len, size_t *at);

/** How many bytes of @text from @at on need no escaping. */
size_t ttap__json_plain_bytes(const char *text, size_t len, size_t at);

#endif
