/* reply.c - what goes back: headers that every reply has, whole bodies, errors.
 *
 * Errors end their connection: after a request that was not understood, the next bytes may be anything. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "internal.h"

enum { MESSAGE_BYTES = 512, RAW_HEAD_BYTES = 1024 };

/* What a page served from here may do. No Cross-Origin-Opener-Policy: it would break handing a trace to another viewer's window. */
static const struct ttap__header security[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; "
     "font-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
     "trusted-types tracetap"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

static bool has_header(const struct ttap__header *extra, const char *name)
{
    for (; extra && extra->name; extra++)
        if (strcasecmp(extra->name, name) == 0)
            return true;
    return false;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

bool ttap__reply_headers(struct ttap__request *req, struct MHD_Response *response, const char *content_type, const struct ttap__header *extra)
{
    bool whole = !content_type || add(response, "Content-Type", content_type);
    for (size_t i = 0; whole && i < sizeof security / sizeof *security; i++)
        whole = add(response, security[i].name, security[i].value);
    if (whole && !has_header(extra, "Cache-Control"))
        whole = add(response, "Cache-Control", "no-store");
    if (whole && req->close)
        whole = add(response, "Connection", "close");
    for (; whole && extra && extra->name; extra++)
        whole = add(response, extra->name, extra->value);
    return whole;
}

void ttap__reply_queue(struct ttap__request *req, unsigned status, struct MHD_Response *response)
{
    req->result = MHD_queue_response(req->connection, status, response);
    MHD_destroy_response(response);
}

/* ---- Past libmicrohttpd ---- */

int ttap__request_fd(const struct ttap__request *req)
{
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return (tls && tls->tls_session) || !fd ? -1 : fd->connect_fd;
}

/* A short reply into a socket to which nothing of this request was written yet: it fits in the buffer, or the client goes without. */
static void send_raw(struct ttap__request *req, unsigned status, const char *content_type, const void *body, size_t len,
                     const struct ttap__header *extra)
{
    char head[RAW_HEAD_BYTES];
    int fd = ttap__request_fd(req);
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n",
                        status, MHD_get_reason_phrase_for(status), content_type, len);
    for (; extra && extra->name && used < RAW_HEAD_BYTES - 200; extra++)
        used += snprintf(head + used, sizeof head - (size_t)used, "%.40s: %.80s\r\n", extra->name, extra->value);
    used += snprintf(head + used, sizeof head - (size_t)used, "\r\n");
    req->result = MHD_NO;
    if (fd >= 0 && send(fd, head, (size_t)used, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE) == used && req->method != TTAP__HEAD)
        (void)!send(fd, body, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- Replies ---- */

void ttap__reply(struct ttap__request *req, unsigned status, const char *content_type, const void *body, size_t len_bytes,
                 const struct ttap__header *extra)
{
    req->answered = true;
    req->close = req->close || status >= 400;
    if (req->raw) {
        send_raw(req, status, content_type, body, len_bytes, extra);
        return;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(len_bytes, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (response && ttap__reply_headers(req, response, content_type, extra))
        ttap__reply_queue(req, status, response);
    else if (response)
        MHD_destroy_response(response);
}

static int error_json(char *out, size_t size, const char *code, const char *message, const char *hint)
{
    char safe_message[3 * MESSAGE_BYTES], safe_hint[3 * MESSAGE_BYTES];
    ttap__escape_json(safe_message, sizeof safe_message, message);
    ttap__escape_json(safe_hint, sizeof safe_hint, hint);
    return snprintf(out, size, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"hint\":\"%s\"}}\n", code, safe_message, safe_hint);
}

static int error_plain(char *out, size_t size, const char *message, const char *hint)
{
    char safe_message[2 * MESSAGE_BYTES], safe_hint[2 * MESSAGE_BYTES];
    ttap__escape_plain(safe_message, sizeof safe_message, message);
    ttap__escape_plain(safe_hint, sizeof safe_hint, hint);
    return snprintf(out, size, "%s%s%s\n", safe_message, *safe_hint ? "\n" : "", safe_hint);
}

void ttap__reply_error(struct ttap__request *req, unsigned status, const char *code, const char *hint, const struct ttap__header *extra,
                       const char *message_format, ...)
{
    char message[MESSAGE_BYTES], body[7 * MESSAGE_BYTES];
    bool plain = req->route && (req->route->flags & TTAP__ROUTE_PLAIN_ERRORS);
    va_list args;
    va_start(args, message_format);
    vsnprintf(message, sizeof message, message_format, args);
    va_end(args);
    hint = hint ? hint : "";
    int len = plain ? error_plain(body, sizeof body, message, hint) : error_json(body, sizeof body, code, message, hint);
    ttap__reply(req, status, plain ? "text/plain; charset=utf-8" : "application/json", body, (size_t)len, extra);
}
