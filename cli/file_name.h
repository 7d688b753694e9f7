/* file_name.h - the name for a capture that was given none. */
#ifndef TTAP_CLI_FILE_NAME_H
#define TTAP_CLI_FILE_NAME_H

#include <stddef.h>

enum { CLI_FILE_NAME_SIZE = 128 };

/** cli_file_name_from_header() - a name that is safe to create in the current folder.
 *  @disposition: the value of a Content-Disposition header, any bytes; NULL: none.
 *  @fallback:    taken when the header names nothing usable; safe already.
 *  Only letters, digits, '.', '-' and '_' are left; no folder; no leading '.' or '-'; the rest of what the server says
 * is not believed. */
void cli_file_name_from_header(const char *disposition, const char *fallback, char out[CLI_FILE_NAME_SIZE]);

/** "svc.ttap" -> "svc-2.ttap": the @number-th try for a name, when those before exist. False: it would not fit. */
int cli_file_name_numbered(const char *name, unsigned number, char out[CLI_FILE_NAME_SIZE]);

#endif
