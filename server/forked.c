/* forked.c - a forked child lets go of everything: else it holds the port and its parent's clients long after the parent died.
 *
 * The child's handler takes no lock and calls nothing but close(): another thread may have held any lock when the process forked. It finds
 * the descriptors through words that are stored after a socket is opened and cleared before it is closed, so it never closes a
 * number that means something else. A socket accepted in the instant of the fork stays open in the child; so does libmicrohttpd's own wake-up
 * descriptor, which keeps nobody waiting. */
#include <unistd.h>

#include "internal.h"

static struct ttap__server *alive;
static pthread_mutex_t alive_lock = PTHREAD_MUTEX_INITIALIZER; /* between parents' threads; never taken in a child's handler */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void close_word(int *word)
{
    int fd = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (fd >= 0)
        close(fd);
    *word = -1;
}

static void let_go(struct ttap__server *server)
{
    for (int i = 0; i < TTAP__LISTENERS; i++) {
        struct listener *listener = &server->listeners[i];
        close_word(&listener->fd);
        for (unsigned slot = 0; slot < listener->slot_room; slot++)
            close_word(&listener->slots[slot].fd);
    }
    close_word(&server->event_fd);
}

static void in_child(void)
{
    for (struct ttap__server *server = alive; server; server = server->next)
        let_go(server);
    alive = NULL;
    alive_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void register_handler(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

void ttap__forked_watch(struct ttap__server *server)
{
    pthread_once(&once, register_handler);
    pthread_mutex_lock(&alive_lock);
    server->next = alive;
    __atomic_store_n(&alive, server, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&alive_lock);
}

void ttap__forked_unwatch(struct ttap__server *server)
{
    pthread_mutex_lock(&alive_lock);
    struct ttap__server **at = &alive;
    while (*at && *at != server)
        at = &(*at)->next;
    if (*at)
        __atomic_store_n(at, server->next, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&alive_lock);
}
