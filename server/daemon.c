/* daemon.c - libmicrohttpd as we want it: one thread with poll() for each listener, which accept.c feeds.
 *
 * Tried and dropped: its epoll mode keeps clients that send half a request and leave until
 * the timeout; thread-per-connection hangs when a connection is suspended; select has FD_SETSIZE. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "internal.h"

enum {
    TIMEOUT_S = 10,           /* second line behind slots.c */
    MEMORY_BYTES = 16384,     /* per connection: bounds a head */
    STACK_BYTES = 512 * 1024, /* a thread's static TLS comes out of it, and services have large ones */
    FLAGS =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC /* accept.c listens */
};

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *format, va_list args)
{
    struct listener *listener = arg;
    bool without_memory = errno == ENOMEM; /* its loop allocates each time around, and goes around at once when that fails */
    ttap__log_v(listener->server, format, args);
    if (!without_memory)
        return;
    nanosleep(&(struct timespec){0, 10000000}, NULL);
    errno = 0; /* so that the next line, about something else, does not rest */
}

static struct MHD_Daemon *start(struct listener *listener)
{
    return MHD_start_daemon(FLAGS, 0, NULL, NULL, ttap__on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_log, listener,
                            MHD_OPTION_CONNECTION_LIMIT, listener->slot_room, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, ttap__on_uri, listener, MHD_OPTION_NOTIFY_CONNECTION,
                            ttap__on_connection, listener, MHD_OPTION_NOTIFY_COMPLETED, ttap__on_completed, listener, MHD_OPTION_END);
}

int ttap__daemon_start(struct listener *listener, char *error, size_t error_size)
{
    struct ttap__server *server = listener->server;
    sigset_t before;
    ttap__signals_block(&before);
    errno = 0;
    struct MHD_Daemon *daemon = start(listener);
    int why = errno ? errno : ENOMEM;
    ttap__signals_restore(&before);
    if (!daemon)
        return ttap__say(error, error_size, -why, "the HTTP daemon did not start: %s", strerror(why));
    pthread_mutex_lock(&server->lock);
    listener->daemon = daemon;
    ttap__control_arm(server, 0);
    pthread_mutex_unlock(&server->lock);
    return 0;
}
