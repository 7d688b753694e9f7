/* fake_request.h - requests without a server: a handler is called, and what it answered can be looked at. */
#ifndef FAKE_REQUEST_H
#define FAKE_REQUEST_H

#include <stddef.h>

#include "server.h"

struct ttap__request {
    enum ttap__method method;
    const char *path_arg, *body;
    size_t body_len;          /* 0: body is a string */
    const char *params[8][2]; /* name, value */
    const char *if_match;
    /* The answer. */
    int replies;
    unsigned status;
    char code[64];      /* of an error */
    char message[8192]; /* of an error, else the body's beginning */
    char location[128], tag[64];
};

#endif
