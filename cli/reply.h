/* reply.h - a short reply as a whole, and what a server says when it refuses. */
#ifndef TTAP_CLI_REPLY_H
#define TTAP_CLI_REPLY_H

#include <stddef.h>

struct cli_reply {
    char *bytes; /* terminated; NULL: nothing came */
    size_t len;
};

/** Append, up to 64 KiB in all; what is beyond is dropped. 0, or -1 without memory. */
int cli_reply_keep(struct cli_reply *reply, const void *bytes, size_t len);
/** Say that the server refused, in its own words if it has some. Returns CLI_FAILED. */
int cli_reply_refused(struct cli_reply *reply, const char *url, long status);
void cli_reply_free(struct cli_reply *reply);

#endif
