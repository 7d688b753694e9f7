/* request.h - one request, as it travels from the application's daemon through the stages and back.
 *
 *      http daemon --> fetch --> transform --> enrich --> serialize --> http daemon
 *                                                | three child tasks on the pool
 * Exactly one thread owns a request at a time; a queue hands it on.
 */
#ifndef PIPELINE_REQUEST_H
#define PIPELINE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <tracetap/tracetap.h>

struct MHD_Connection;

enum { LOOKUPS = 3 };

struct request {
    struct ttap_task task;
    struct MHD_Connection *connection; /* suspended while the stages have the request */
    long item;
    unsigned status;   /* HTTP; 0 until known. A request with a status passes the stages untouched */
    const char *error; /* static text, when status is not 200 */
    char *document;
    size_t document_bytes;
    uint64_t checksum;
    int lookups[LOOKUPS]; /* negative: that lookup failed */
    char *reply;
    size_t reply_bytes;
};

#endif
