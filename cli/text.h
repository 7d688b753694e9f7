/* text.h - messages to people. */
#ifndef TTAP_CLI_TEXT_H
#define TTAP_CLI_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/** "tracetap: ...", one line, to standard error. Control characters and broken UTF-8 are shown as \xNN: a name from
 * outside cannot move the cursor or recolour the terminal. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_error_v(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/** Write @text so that it is safe on a terminal. Cut, with "...", where @size ends. Returns @out. */
char *cli_text_escape(const char *text, size_t len, char *out, size_t size);

/** Write @text as valid UTF-8, bytes that are none as U+FFFD, cut where @size ends. Returns @out. */
char *cli_text_utf8(const char *text, size_t len, char *out, size_t size);

enum { CLI_FIGURE_SIZE = 32 };
/** 1234567 -> "1,234,567". Return @out. */
char *cli_text_count(uint64_t value, char out[CLI_FIGURE_SIZE]);
/** 1536 -> "1.5 KiB" */
char *cli_text_bytes(uint64_t bytes, char out[CLI_FIGURE_SIZE]);
/** 5000000000 -> "5.000 s", 2500000 -> "2.500 ms" */
char *cli_text_duration(uint64_t ns, char out[CLI_FIGURE_SIZE]);

#endif
