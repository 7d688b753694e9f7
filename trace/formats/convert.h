/* convert.h - wire bytes in, bytes of another format out. What handlers and the CLI call.
 *
 * One conversion is one object fed by one thread; bounded memory (about 4 MiB) whatever the length of the capture.
 */
#ifndef TTAP_FORMATS_CONVERT_H
#define TTAP_FORMATS_CONVERT_H

#include <stddef.h>
#include <stdint.h>

/** Receives output. 0 to go on, anything else ends the conversion and is returned by feed or finish. */
typedef int (*ttap__out_fn)(void *arg, const void *bytes, size_t len_bytes);

struct ttap__format {
    const char *name;       /* "json" */
    const char *media_type; /* "application/json" */
    const char *extension;  /* "json" */
    const char *doc;        /* one line */
};
/** NULL-name-terminated. "native" is first and is the identity. */
extern const struct ttap__format ttap__formats[];

struct ttap__convert;
struct ttap__symbol_module;
struct ttap__symbol;
/** As ttap__symbol_fn of names_of.h, which those that only convert need not see. */
typedef unsigned (*ttap__lines_fn)(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out);
/** NULL: no memory, or @format unknown (check the list first). */
struct ttap__convert *ttap__convert_new(const char *format, ttap__out_fn out, void *arg);
/** Before the first byte: hold up to so much instead. For a process of its own; a capture of a thousand threads takes more than 4 MiB to be told whole. */
void ttap__convert_may_hold(struct ttap__convert *convert, size_t bytes);
/** Before the first byte: who knows source lines and inlined functions. Names of whole functions come from the files' symbols first. */
void ttap__convert_lines(struct ttap__convert *convert, ttap__lines_fn lines, void *arg);
/** Any piece sizes. 0; -EBADMSG once the capture proves damaged (feed no more, call finish); -ENOMEM; or what out returned. */
int ttap__convert_feed(struct ttap__convert *convert, const void *bytes, size_t len_bytes);
/** No more bytes come. Closes the document also when the capture was cut. 0; what out returned; -ENOMEM; or -EBADMSG when the bytes
 *  are no capture at all (no whole header), and nothing was written. */
int ttap__convert_finish(struct ttap__convert *convert);
void ttap__convert_free(struct ttap__convert *convert);

#endif
