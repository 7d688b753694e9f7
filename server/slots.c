/* slots.c - the connections of our own listeners: how long they may wait, and which makes room.
 *
 *      accepted --WAITING--> request complete --ANSWERING--> reply sent --WAITING (idle)--> ...
 *
 * libmicrohttpd's timeout is one of inactivity: a byte a second holds a connection for ever. So the time from accept to a complete
 * request is bounded here. From three quarters of the slots on, whoever has waited longest is shut, so that silent clients
 * cannot keep an honest one out. One that has only come is spared, for its request may be on the way: 250 ms at three quarters, less the
 * fewer slots are left, 10 ms when there is none. (With 250 ms always, 64 clients that came again at once kept honest ones waiting for 200 ms.)
 * Whoever does not take its reply counts as waiting then. Who is waited for is the client only if it has sent nothing that is not read yet, and has
 * bytes of its reply to take: on a busy machine it may be our own thread that is late, and then nobody is shut. That thread may also have just
 * read the request and not told us yet: so who is waited for loses its reading half only, and is answered after all.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define IDLE_NS (10000 * TTAP__NS_PER_MS)   /* between two requests of a connection */
#define ANSWER_NS (60000 * TTAP__NS_PER_MS) /* to take a whole reply that is not a stream */
#define SPARED_NS (250 * TTAP__NS_PER_MS)
#define SPARED_LEAST_NS (10 * TTAP__NS_PER_MS)
enum { SEND_BUFFER_BYTES = 65536 }; /* else the kernel takes megabytes for a client that reads nothing */

/* ---- With the lock ---- */

static bool is_live(const struct slot *slot)
{
    return slot->fd >= 0 && !slot->shut;
}

/* How many wait between two requests, and the one that has waited longest. */
static unsigned count_idle(struct listener *listener, struct slot **longest)
{
    unsigned count = 0;
    *longest = NULL;
    for (unsigned i = 0; i < listener->slot_room; i++) {
        struct slot *slot = &listener->slots[i];
        if (!is_live(slot) || !slot->waiting_since_ns || !slot->served)
            continue;
        count++;
        if (!*longest || slot->waiting_since_ns < (*longest)->waiting_since_ns)
            *longest = slot;
    }
    return count;
}

/* ---- Where a connection is, told by MHD's thread ---- */

static bool peer_is_own_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static bool is_crowded(const struct listener *listener)
{
    return listener->slots_used * 4 >= listener->slot_count * 3;
}

static bool has_too_many_idle(struct listener *listener)
{
    struct slot *longest;
    return count_idle(listener, &longest) > TTAP__IDLE_KEPT;
}

static void set_waiting(struct listener *listener, struct slot *slot, uint64_t allowed_ns)
{
    slot->answering_since_ns = 0;
    slot->waiting_since_ns = ttap__now_ns();
    slot->deadline_ns = slot->waiting_since_ns + allowed_ns;
    bool now = is_crowded(listener) || (slot->served && has_too_many_idle(listener));
    ttap__control_arm(listener->server, now ? 0 : slot->deadline_ns);
}

static struct slot *take_slot(struct listener *listener, int fd)
{
    for (unsigned i = 0; i < listener->slot_room; i++) {
        struct slot *slot = &listener->slots[i];
        if (slot->fd >= 0)
            continue;
        *slot = (struct slot){.fd = -1, .peer_ok = listener->is_unix && peer_is_own_user(fd)};
        __atomic_store_n(&slot->fd, fd, __ATOMIC_RELEASE);
        listener->slots_used++;
        return slot;
    }
    return NULL; /* not reached: libmicrohttpd holds no more than there is room for */
}

static void on_started(struct listener *listener, int fd, void **socket_context)
{
    const int bytes = SEND_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    pthread_mutex_lock(&listener->server->lock);
    listener->coming -= listener->coming > 0;
    if (listener->server->stopping)
        pthread_cond_broadcast(&listener->server->changed);
    struct slot *slot = take_slot(listener, fd);
    if (slot)
        set_waiting(listener, slot, listener->server->head_deadline_ns);
    pthread_mutex_unlock(&listener->server->lock);
    *socket_context = slot;
}

void ttap__slot_request(struct slot *slot, struct ttap__request *req)
{
    if (!slot)
        return;
    ttap__request_free(slot->request);
    slot->request = req;
}

/* The socket is still open now: nobody can shut down a number that means something else. */
static void on_closed(struct listener *listener, struct slot *slot)
{
    if (!slot)
        return;
    ttap__slot_request(slot, NULL);
    pthread_mutex_lock(&listener->server->lock);
    __atomic_store_n(&slot->fd, -1, __ATOMIC_RELEASE);
    if (listener->slots_used-- + listener->coming >= listener->slot_count)
        ttap__control_arm(listener->server, 0); /* the next one may come in */
    pthread_mutex_unlock(&listener->server->lock);
}

void ttap__on_connection(void *arg, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode what)
{
    ttap__thread_is_ours();
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        on_started(arg, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, socket_context);
    else
        on_closed(arg, *socket_context);
}

static void set_answering(struct ttap__server *server, const struct listener *listener, struct slot *slot, uint64_t deadline_ns)
{
    if (!slot)
        return;
    pthread_mutex_lock(&server->lock);
    slot->waiting_since_ns = 0;
    slot->deaf |= slot->shut;
    slot->shut = false;
    slot->answering_since_ns = deadline_ns == UINT64_MAX ? 0 : ttap__now_ns();
    slot->served = true;
    slot->deadline_ns = deadline_ns;
    ttap__control_arm(server, slot->answering_since_ns && is_crowded(listener) ? 0 : deadline_ns);
    pthread_mutex_unlock(&server->lock);
}

void ttap__slot_answering(struct listener *listener, struct slot *slot)
{
    set_answering(listener->server, listener, slot, ttap__now_ns() + ANSWER_NS);
}

void ttap__slot_streaming(struct ttap__server *server, struct slot *slot)
{
    set_answering(server, NULL, slot, UINT64_MAX);
}

bool ttap__slot_is_deaf(const struct slot *slot)
{
    return slot && slot->deaf;
}

void ttap__slot_waiting(struct listener *listener, struct slot *slot)
{
    pthread_mutex_lock(&listener->server->lock);
    set_waiting(listener, slot, IDLE_NS);
    pthread_mutex_unlock(&listener->server->lock);
}

bool ttap__slots_may_stream(const struct listener *listener)
{
    unsigned streams = 0;
    for (unsigned i = 0; listener && i < listener->slot_room; i++)
        streams += is_live(&listener->slots[i]) && listener->slots[i].deadline_ns == UINT64_MAX;
    return !listener || (streams + 1) * 4 <= listener->slot_count * 3;
}

/* ---- What the control thread does about it ---- */

static void shut(struct slot *slot)
{
    slot->shut = true;
    shutdown(slot->fd, slot->waiting_since_ns ? SHUT_RD : SHUT_RDWR);
}

static uint64_t shut_late(struct listener *listener, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < listener->slot_room; i++) {
        struct slot *slot = &listener->slots[i];
        if (is_live(slot) && now_ns >= slot->deadline_ns)
            shut(slot);
        else if (is_live(slot) && slot->deadline_ns < next_ns)
            next_ns = slot->deadline_ns;
    }
    return next_ns;
}

static void shut_idle(struct listener *listener)
{
    struct slot *longest;
    while (count_idle(listener, &longest) > TTAP__IDLE_KEPT)
        shut(longest);
}

static uint64_t spared_ns(const struct listener *listener, unsigned live)
{
    unsigned quarter = listener->slot_count - listener->slot_count * 3 / 4, left = live < listener->slot_count ? listener->slot_count - live : 0;
    return SPARED_LEAST_NS + (SPARED_NS - SPARED_LEAST_NS) * (left < quarter ? left : quarter) / quarter;
}

/* Whether it is its client that keeps it: no request in the socket that is not read yet, or a reply in it that nobody takes. */
static bool is_kept_by_client(const struct slot *slot)
{
    int bytes = 0;
    if (slot->waiting_since_ns)
        return ioctl(slot->fd, SIOCINQ, &bytes) != 0 || bytes == 0;
    return ioctl(slot->fd, SIOCOUTQ, &bytes) != 0 || bytes > 0;
}

/* Who has longest not said, or not taken, what it came for; since when; and whether anybody waits for us. */
static struct slot *longest_holding(struct listener *listener, uint64_t *since_ns, unsigned *live, bool *we_are_late)
{
    struct slot *longest = NULL;
    *since_ns = UINT64_MAX;
    *live = 0;
    *we_are_late = false;
    for (unsigned i = 0; i < listener->slot_room; i++) {
        struct slot *slot = &listener->slots[i];
        uint64_t slot_since_ns = slot->waiting_since_ns ? slot->waiting_since_ns : slot->answering_since_ns;
        *live += is_live(slot);
        if (!is_live(slot) || !slot_since_ns || slot_since_ns >= *since_ns)
            continue;
        if (!is_kept_by_client(slot)) {
            *we_are_late = true;
            continue;
        }
        *since_ns = slot_since_ns;
        longest = slot;
    }
    return longest;
}

static uint64_t make_room(struct listener *listener, uint64_t now_ns)
{
    for (;;) {
        uint64_t since_ns;
        unsigned live;
        bool we_are_late;
        struct slot *longest = longest_holding(listener, &since_ns, &live, &we_are_late);
        if (live * 4 < listener->slot_count * 3)
            return UINT64_MAX;
        uint64_t soon_ns = we_are_late ? now_ns + SPARED_LEAST_NS : UINT64_MAX, until_ns = longest ? since_ns + spared_ns(listener, live) : soon_ns;
        if (!longest || now_ns < until_ns)
            return until_ns < soon_ns ? until_ns : soon_ns;
        shut(longest);
    }
}

uint64_t ttap__slots_look(struct listener *listener, uint64_t now_ns)
{
    uint64_t late_ns = shut_late(listener, now_ns);
    shut_idle(listener);
    uint64_t room_ns = make_room(listener, now_ns);
    return late_ns < room_ns ? late_ns : room_ns;
}
