/* http.h - serve captures, status and the viewer over HTTP from inside your service.
 *
 *      struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
 *      struct ttap_http *http;
 *      if (ttap_http_start(&opts, &http) == 0) ...        curl 'localhost:6060/debug/trace?seconds=5'
 *
 * The routes are in docs/http.md. Two threads of its own, asleep while nobody asks; they block all signals.
 * Link libtracetap-http. These calls are not for signal handlers.
 */
#ifndef TRACETAP_HTTP_H
#define TRACETAP_HTTP_H

#include "tracetap/tracetap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ttap_http;
struct MHD_Daemon;
struct MHD_Connection;

/** How to serve. Set with TTAP_HTTP_OPTS_INIT, then change fields; strings are copied; fields are only ever appended. */
struct ttap_http_opts {
    size_t size;
    const char *address;      /* numeric IPv4 or IPv6 address; default "127.0.0.1". Anything but loopback needs token_file */
    uint16_t port;            /* default 6060; 0: any free one, see ttap_http_port() */
    const char *unix_path;    /* also listen on this unix socket (mode 0600, same user only); default NULL */
    const char *token_file;   /* file with a bearer token of 22 to 256 characters, readable by its owner only; default NULL: no token asked */
    const char *const *hosts; /* NULL-terminated host names to accept beside localhost, 127.0.0.1 and [::1]; default NULL */
    double seconds_max;       /* longest window a request may ask for; default 300, 0.001 to 3600 */
    unsigned captures_max;    /* at once; default 4, 1 to 16. Of the process: the last endpoint started or mounted sets it */
    unsigned connections_max; /* default 64, 4 to 1024 */
    const char *static_dir;   /* serve the viewer from this directory instead of the built-in copy, while developing; default NULL */
    void (*log)(void *arg, const char *line); /* told of refused requests and failures, at most 10 lines a second, escaped; default NULL: silent */
    void *log_arg;
};
#define TTAP_HTTP_OPTS_INIT                                                                                                                          \
    {                                                                                                                                                \
        sizeof(struct ttap_http_opts), "127.0.0.1", 6060, NULL, NULL, NULL, 300.0, 4, 64, NULL, NULL, NULL                                           \
    }

/** ttap_http_start() - start the endpoint.
 *  @out: the endpoint, yours; end it with ttap_http_stop(). Untouched on error.
 *  Returns 0, or a negative errno; ttap_http_error() then says in words what was wrong and what is allowed:
 *  -EINVAL an option; -ENOENT, -ENOTDIR, -EACCES a file it names; -EPERM a token file that others can reach; -EEXIST a unix_path that is
 *  something else than a socket; -EADDRINUSE, -EADDRNOTAVAIL as bind(2); -EMFILE, -ENOMEM, -EAGAIN. */
TTAP_API int ttap_http_start(const struct ttap_http_opts *opts, struct ttap_http **out);

/** ttap_http_stop() - end all captures of this endpoint with their trailers, close and free. At most 2 s. NULL is allowed. */
TTAP_API void ttap_http_stop(struct ttap_http *http);

/** ttap_http_port() - the TCP port in use; 0 of a mounted endpoint. Any thread. */
TTAP_API uint16_t ttap_http_port(const struct ttap_http *http);

/** ttap_http_error() - why the calling thread's last ttap_http_start() or ttap_http_mount() failed. Valid until its next call. */
TTAP_API const char *ttap_http_error(void);

/* ---- Inside a libmicrohttpd daemon of your own ----
 * Our routes answer under the same paths. They suspend connections only if your daemon was started with MHD_ALLOW_SUSPEND_RESUME and not
 * thread-per-connection; otherwise GET /debug/trace answers 501 and names the POST way (kept captures), which always works.
 * You must call ttap_http_unmount() before MHD_stop_daemon() if you want streams: stopping a daemon with suspended connections aborts the process
 * inside libmicrohttpd. So streaming has to be asked for: TTAP_MOUNT_STREAMS. */
enum ttap_mount_flags {
    TTAP_MOUNT_STREAMS = 1, /* I promise to call ttap_http_unmount() before MHD_stop_daemon() */
    TTAP_ACCESS_BY_HOST = 2 /* skip the Host, Fetch-Metadata, Origin and token checks: my handler has already decided who may ask */
};

/** ttap_http_mount() - prepare our routes for a daemon of yours. @opts: limits, token_file and hosts apply; address, port and unix_path do not; may be NULL.
 *  @flags: of enum ttap_mount_flags. @out: yours; end it with ttap_http_unmount(). Untouched on error.
 *  Returns 0, or -EINVAL, -ENOENT, -ENOTDIR, -EACCES, -EPERM, -ENOMEM as ttap_http_start() does, with words in ttap_http_error(). */
TTAP_API int ttap_http_mount(struct MHD_Daemon *daemon, const struct ttap_http_opts *opts, unsigned flags, struct ttap_http **out);

/** ttap_http_handle() - call first in your access handler, with its arguments as they are.
 *  @result: MHD_YES or MHD_NO, to be returned from your handler, if the request was ours.
 *  Returns 1 if it was ours, 0 if not (nothing was done; *con_cls is untouched). */
TTAP_API int ttap_http_handle(struct ttap_http *http, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *upload_data, size_t *upload_data_size, void **con_cls, int *result);

/** ttap_http_completed() - call in your MHD_OPTION_NOTIFY_COMPLETED callback, so that uploads cut by the client are freed.
 *  @http may be NULL, or be gone already: libmicrohttpd says that requests of ours are over when their connections end, which may be after
 *  ttap_http_unmount(). It is not followed; *con_cls is, and only if it is ours. */
TTAP_API void ttap_http_completed(struct ttap_http *http, struct MHD_Connection *connection, void **con_cls);

/** ttap_http_unmount() - end our streams (their connections are resumed and finish) and free. Before MHD_stop_daemon(), at most 2 s.
 *  Your daemon must be running: its threads are what finishes the streams. Not from inside ttap_http_handle() or any other callback of
 *  libmicrohttpd: it waits for those. Calls of ttap_http_handle() on other threads are waited for, and later ones say that nothing is ours.
 *  Captures that were being recorded are ended, with their trailers for clients who take them; kept ones stay in the process and can be had through
 *  the next endpoint. A stream that does not end in time is cut and left behind, never freed under its client. NULL is allowed. */
TTAP_API void ttap_http_unmount(struct ttap_http *http);

#ifdef __cplusplus
}
#endif
#endif /* TRACETAP_HTTP_H */
