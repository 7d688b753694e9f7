/* transfer.h - one HTTP GET whose body goes to a callback while it comes. SIGINT and SIGTERM end it at once, keeping
 * what came. */
#ifndef TTAP_CLI_TRANSFER_H
#define TTAP_CLI_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

enum cli_transfer_end {
    CLI_TRANSFER_DONE,        /* the whole reply came */
    CLI_TRANSFER_INTERRUPTED, /* by a signal, or by the callback */
    CLI_TRANSFER_FAILED       /* see error; some of the body may have come */
};

enum { CLI_TRANSFER_TEXT_SIZE = 512 };

struct cli_transfer {
    /* The request. */
    const char *url;
    const char *token;     /* NULL: none is sent */
    const char *unix_path; /* NULL: TCP */
    double quiet_s;        /* give up when nothing came for this long */
    /** A piece of the body; the status and headers below are known by then. 0 to go on, anything else ends the transfer
     * as INTERRUPTED. */
    int (*body)(void *arg, const void *bytes, size_t len);
    /** About ten times a second. */
    void (*tick)(void *arg);
    void *arg;
    /* The reply. */
    long status;                              /* 0: none came */
    char disposition[CLI_TRANSFER_TEXT_SIZE]; /* Content-Disposition; "" if there was none */
    char error[CLI_TRANSFER_TEXT_SIZE];
};

enum cli_transfer_end cli_transfer_run(struct cli_transfer *transfer);

/** Did a signal end it? */
bool cli_transfer_was_signalled(void);

#endif
