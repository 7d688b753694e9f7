/* document.h - any file that `view` accepts as one JSON document (docs/format.md section 7) in an unlinked temporary
 * file. */
#ifndef TTAP_CLI_DOCUMENT_H
#define TTAP_CLI_DOCUMENT_H

#include <jansson.h>
#include <stdint.h>

#include "input.h"
#include "lines.h"

/** What a conversion may hold here: some ten thousand threads. In a service it is 4 MiB. */
#define CLI_CONVERT_BYTES_MAX (64u << 20)

struct cli_document {
    int fd; /* read it with pread(2) */
    uint64_t bytes;
    uint64_t source_bytes; /* what was read to make it, decompressed */
    json_t *capture;       /* the document's "capture"; never NULL */
    json_t *end;           /* its "end"; NULL when the document is cut */
};

/** cli_document_make() - from a native capture, a JSON document, or either of them compressed with gzip.
 *  0, or CLI_FAILED after having said on standard error what was wrong. */
int cli_document_make(struct cli_document *document, struct cli_input *input, const struct cli_lines_wish *wish);
void cli_document_free(struct cli_document *document);

#endif
