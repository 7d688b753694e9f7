/* address.h - from what one types to the URL that is asked. */
#ifndef TTAP_CLI_ADDRESS_H
#define TTAP_CLI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/** A query parameter; @value NULL: not asked for. */
struct cli_param {
    const char *name, *value;
};

/** cli_address_url() - the URL of a capture.
 *  @text:   "localhost:6060", ":6060", "6060", "[::1]:6060", or a whole http or https URL. Without a scheme the port
 * defaults to 6060. Without a path it is /debug/trace.
 *  @params: NULL-name-terminated, added to the query, percent-encoded.
 *  @out:    yours, to free().
 *  False, with a sentence in @error: not a URL, another scheme, or a parameter that @text has already. */
bool cli_address_url(const char *text, const struct cli_param *params, char **out, char *error, size_t error_size);

/** Does the query of @text name @param? Then its value as it stands there, cut to @size, is in @out. */
bool cli_address_param(const char *text, const char *param, char *out, size_t size);

/** Is the URL's host this machine's loopback (localhost, 127.x.x.x, ::1)? Such a request goes past any proxy. */
bool cli_address_is_loopback(const char *url);

#endif
