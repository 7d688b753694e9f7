/* requests.h - what each connection was asked, by its receives and sends alone: a request where nobody annotated one.
 *
 *   served   recv----] recv--]          [--send] [--send]         recv--]     [--send]
 *                    |______________request 1___________|               |_request 2__|     from the return of a receive that got bytes to the
 *   asked    [--send] recv-----------------]                                              return of the last send before the next receive
 *            |________request______________|                      of a connection that this program made: the other way round
 *
 * Calls of one connection are made by any threads, and streams come in turns: so transfers are put in order of time first, over the last
 * TRANSFERS_MAX of all connections. A receive counts when it returns and a send when it begins: nothing is answered before it came.
 * Memory is bounded: at most CONNECTIONS_MAX are followed; the one that was quiet longest is let go, and begins anew if it speaks again.
 */
#ifndef TTAP_MODEL_REQUESTS_H
#define TTAP_MODEL_REQUESTS_H

#include "idmap.h"
#include "lanes.h"

/* The drainer takes all streams within some milliseconds: 8,192 are 20 ms at 400,000 calls a second. */
enum { TTAP__TRANSFERS_MAX = 8192, TTAP__CONNECTIONS_MAX = 4096, TTAP__TRANSFER_OPS = 64 };

struct ttap__transfer {
    int64_t at_ns, end_ns; /* where it stands in order of time, and its return */
    uint64_t order, bytes;
    uint32_t object, lane;
    bool received, over; /* over: the peer has said its last */
};

struct ttap__connection {
    uint32_t object;
    bool asked; /* this program asks, and the peer answers */
    bool open;  /* a request is; what follows is about it */
    int64_t start_ns, end_ns, last_ns;
    uint64_t bytes_in, bytes_out, receives, sends;
    uint32_t lane;
    int32_t end_lane;      /* who answered last; -1: nobody yet */
    uint32_t newer, older; /* in order of use; by index, NONE ends */
};

struct ttap__requests {
    struct ttap__lanes_around *around;
    struct ttap__transfer *transfers; /* a heap: the earliest first */
    size_t transfers_count, transfers_room;
    uint64_t order;
    struct ttap__connection *connections;
    size_t connections_count, connections_room;
    uint32_t newest, oldest;
    struct ttap__idmap by_object;
    uint8_t ops[TTAP__TRANSFER_OPS]; /* what the op of a string number is, where that is known already */
};

void ttap__requests_start(struct ttap__requests *requests, struct ttap__lanes_around *around);
/** A call on a socket. @op: its name. */
void ttap__requests_call(struct ttap__requests *requests, const struct ttap__call_row *row, struct ttap__text op);
/** What the socket is, as in docs/format.md: whether it asks may be seen from that. */
void ttap__requests_named(struct ttap__requests *requests, uint32_t object, struct ttap__text name);
/** No more calls come: tell all. */
void ttap__requests_finish(struct ttap__requests *requests, int64_t end_ns);
void ttap__requests_free(struct ttap__requests *requests);

#endif
