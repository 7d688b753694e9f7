/* accept.c - the control thread takes connections and hands them to libmicrohttpd.
 *
 *      backlog --accept4--> coming --MHD_add_connection--> MHD's thread says STARTED: in a slot
 *
 * libmicrohttpd's own loop spins when the process has no descriptor left and it has no connection itself ("will try busy waiting"), and stays deaf
 * until one of its connections ends when it has one, which may be a window of minutes. Here any failure means a rest, and then another try. While all
 * places are taken nothing is accepted: clients wait in the backlog.
 *
 * Before each use the descriptor is compared with what was opened: a service that closes all its descriptors may have got the number again.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"

#define REST_NS (50 * TTAP__NS_PER_MS)     /* 20 tries a second cost nothing, and clients do not notice more */
#define COMING_NS (1000 * TTAP__NS_PER_MS) /* libmicrohttpd drops one without a word when it has no memory: then its place is free again */

/* ---- With the lock ---- */

static unsigned places(struct listener *listener, uint64_t now_ns)
{
    if (listener->coming && now_ns >= listener->coming_since_ns + COMING_NS)
        listener->coming = 0;
    unsigned taken = listener->slots_used + listener->coming;
    return taken < listener->slot_count ? listener->slot_count - taken : 0;
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

int ttap__accept_watched_fd(struct listener *listener, uint64_t now_ns, uint64_t *next_ns)
{
    if (!listener->daemon || listener->server->stopping)
        return -1;
    if (now_ns < listener->rest_until_ns) {
        *next_ns = earlier(*next_ns, listener->rest_until_ns);
        return -1;
    }
    if (places(listener, now_ns))
        return listener->fd;
    if (listener->coming)
        *next_ns = earlier(*next_ns, listener->coming_since_ns + COMING_NS);
    return -1;
}

static void count_coming(struct listener *listener, int by)
{
    pthread_mutex_lock(&listener->server->lock);
    if (by > 0)
        listener->coming_since_ns = ttap__now_ns();
    if (by > 0 || listener->coming)
        listener->coming = (unsigned)((int)listener->coming + by);
    pthread_mutex_unlock(&listener->server->lock);
}

/* ---- Without it: what follows may log ---- */

static bool is_still_ours(struct listener *listener)
{
    if (ttap__listener_is_ours(listener))
        return true;
    __atomic_store_n(&listener->fd, -1, __ATOMIC_RELEASE);
    ttap__log(listener->server, "the service closed the endpoint's listening socket: nobody can connect any more");
    return false;
}

static void rest(struct listener *listener, int why)
{
    if (!listener->rested)
        ttap__log(listener->server, "no connection can be taken: %s; trying again every %d ms", strerror(why), (int)(REST_NS / TTAP__NS_PER_MS));
    listener->rested = true;
    listener->rest_until_ns = ttap__now_ns() + REST_NS;
}

static void hand_over(struct listener *listener, int fd, const struct sockaddr *peer, socklen_t len)
{
    listener->rested = false;
    count_coming(listener, 1);
    if (MHD_add_connection(listener->daemon, fd, peer, len) != MHD_YES) /* it closed it */
        count_coming(listener, -1);
}

void ttap__accept_ready(struct listener *listener)
{
    pthread_mutex_lock(&listener->server->lock);
    unsigned count = places(listener, ttap__now_ns());
    pthread_mutex_unlock(&listener->server->lock);
    if (!is_still_ours(listener))
        return;
    while (count--) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            hand_over(listener, fd, (struct sockaddr *)&peer, len);
        else if (errno != ECONNABORTED) {
            if (errno != EAGAIN)
                rest(listener, errno);
            return;
        }
    }
}
