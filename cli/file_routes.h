/* file_routes.h - the endpoint of docs/http.md for one document that lies in a file: the viewer sees a service with one
 * kept capture. */
#ifndef TTAP_CLI_FILE_ROUTES_H
#define TTAP_CLI_FILE_ROUTES_H

#include "document.h"
#include "server.h"

/** What the routes answer from; constant while the server runs. */
struct cli_served_file {
    const struct cli_document *document;
    const char *name; /* for downloads; safe in a header */
};

enum { CLI_FILE_ROUTE_COUNT = 5 };
/** The routes; the server's arg must be a struct cli_served_file. */
extern const struct ttap__route cli_file_routes[CLI_FILE_ROUTE_COUNT];
/** False: this build left the viewer out. */
bool cli_file_routes_have_viewer(void);

#endif
