/* options.h - struct ttap_http_opts, checked. */
#ifndef TTAP_HANDLERS_OPTIONS_H
#define TTAP_HANDLERS_OPTIONS_H

#include "tracetap/http.h"

/** Copy @given (NULL: defaults; possibly of an older, shorter struct) to @out with defaults filled in. 0, or -EINVAL
 * and a sentence in
 *  ttap_http_error(). Strings are not copied. */
int ttap__options_take(const struct ttap_http_opts *given, struct ttap_http_opts *out);

/** Set what ttap_http_error() says on this thread. Returns @error. */
int ttap__options_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The buffer behind ttap_http_error(), for those who write sentences of their own. */
#define TTAP__ERROR_BYTES ((size_t)512)
char *ttap__options_error_buffer(void);

#endif
