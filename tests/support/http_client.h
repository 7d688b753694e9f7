/* http_client.h - a client made of bare sockets, for requests that no decent client sends. All calls give up after 10 s. */
#ifndef TTAP_TESTS_HTTP_CLIENT_H
#define TTAP_TESTS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply {
    int status;         /* of the first reply; 0: none came */
    char bytes[131072]; /* all that came, cut at its size, with a NUL behind */
    size_t len;
    bool closed; /* the server has closed */
};

/** A connected socket, or -1. @receive_bytes > 0: a small receive buffer, for clients that do not read. */
int http_connect(uint16_t port, int receive_bytes);
int http_connect_unix(const char *path);
bool http_send(int fd, const void *bytes, size_t len);
bool http_send_text(int fd, const char *text);
/** Read until the server closes, or @quiet_ms pass without a byte. */
void http_read(int fd, struct http_reply *reply, int quiet_ms);
/** Read to the end of the first reply that has a length; a refusal is read to the closing. */
void http_read_reply(int fd, struct http_reply *reply);
/** Add what comes within @timeout_ms; false: nothing, or the server has closed. */
bool http_read_more(int fd, struct http_reply *reply, int timeout_ms);
/** Read until @text has come; false: it did not. */
bool http_read_until(int fd, const char *text, int timeout_ms);
/** Send, read to the end of the first reply, close. Returns the status. */
int http_ask(uint16_t port, const char *request, struct http_reply *reply);
/** Close so that the other side gets a reset. */
void http_reset(int fd);
double http_now_s(void);

#endif
