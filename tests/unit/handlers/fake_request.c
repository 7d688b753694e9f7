/* fake_request.c - the part of server.h that handlers call while they answer from memory. */
#include "fake_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ttap__method ttap__request_method(const struct ttap__request *req)
{
    return req->method;
}

const char *ttap__request_path_arg(const struct ttap__request *req)
{
    return req->path_arg;
}

const char *ttap__request_param(const struct ttap__request *req, const char *name)
{
    for (size_t i = 0; i < 8 && req->params[i][0]; i++)
        if (strcmp(req->params[i][0], name) == 0)
            return req->params[i][1];
    return NULL;
}

const char *ttap__request_header(const struct ttap__request *req, const char *name)
{
    return strcmp(name, "If-Match") == 0 ? req->if_match : NULL;
}

const void *ttap__request_body(const struct ttap__request *req, size_t *len_bytes)
{
    *len_bytes = req->body_len ? req->body_len : req->body ? strlen(req->body) : 0;
    return req->body;
}

static void keep_headers(struct ttap__request *req, const struct ttap__header *extra)
{
    for (; extra && extra->name; extra++) {
        if (strcmp(extra->name, "Location") == 0)
            snprintf(req->location, sizeof req->location, "%s", extra->value);
        if (strcmp(extra->name, "ETag") == 0)
            snprintf(req->tag, sizeof req->tag, "%s", extra->value);
    }
}

void ttap__reply(struct ttap__request *req, unsigned status, const char *content_type, const void *body, size_t len_bytes,
                 const struct ttap__header *extra)
{
    (void)content_type;
    req->replies++;
    req->status = status;
    snprintf(req->message, sizeof req->message, "%.*s", (int)len_bytes, (const char *)body);
    keep_headers(req, extra);
}

void ttap__reply_error(struct ttap__request *req, unsigned status, const char *code, const char *hint, const struct ttap__header *extra,
                       const char *message_format, ...)
{
    va_list args;
    (void)hint;
    req->replies++;
    req->status = status;
    snprintf(req->code, sizeof req->code, "%s", code);
    va_start(args, message_format);
    vsnprintf(req->message, sizeof req->message, message_format, args);
    va_end(args);
    keep_headers(req, extra);
}
