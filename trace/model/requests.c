/* requests.c - see requests.h. */
#include "requests.h"

#include <string.h>

#define NONE UINT32_MAX
#define EPHEMERAL_PORT 32768 /* Linux takes ports from here on for who connects, unless it is told otherwise */

/* ---- Which calls ---- */

enum op { OP_NOT_LOOKED_AT, OP_OTHER, OP_RECEIVE, OP_SEND, OP_RECEIVE_MESSAGES, OP_SEND_MESSAGES, OP_CONNECT };

static enum op op_named(struct ttap__text text)
{
    static const struct {
        const char *name;
        enum op op;
    } ops[] = {{"read", OP_RECEIVE},    {"readv", OP_RECEIVE},
               {"recv", OP_RECEIVE},    {"recvfrom", OP_RECEIVE},
               {"recvmsg", OP_RECEIVE}, {"write", OP_SEND},
               {"writev", OP_SEND},     {"send", OP_SEND},
               {"sendto", OP_SEND},     {"sendmsg", OP_SEND},
               {"sendfile", OP_SEND},   {"recvmmsg", OP_RECEIVE_MESSAGES},
               {"connect", OP_CONNECT}, {"sendmmsg", OP_SEND_MESSAGES},
               {"splice", OP_RECEIVE} /* told on a socket where that is what it takes from */};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strlen(ops[i].name) == text.len && memcmp(ops[i].name, text.bytes, text.len) == 0)
            return ops[i].op;
    return OP_OTHER;
}

static enum op op_of(struct ttap__requests *requests, uint32_t number, struct ttap__text text)
{
    if (number >= TTAP__TRANSFER_OPS)
        return op_named(text);
    if (requests->ops[number] == OP_NOT_LOOKED_AT)
        requests->ops[number] = (uint8_t)op_named(text);
    return requests->ops[number];
}

/* ---- Connections, by when they were used last ---- */

static void list_leave(struct ttap__requests *requests, uint32_t at)
{
    struct ttap__connection *connection = &requests->connections[at];
    *(connection->newer == NONE ? &requests->newest : &requests->connections[connection->newer].older) = connection->older;
    *(connection->older == NONE ? &requests->oldest : &requests->connections[connection->older].newer) = connection->newer;
}

static void list_enter(struct ttap__requests *requests, uint32_t at)
{
    struct ttap__connection *connection = &requests->connections[at];
    connection->newer = NONE;
    connection->older = requests->newest;
    *(requests->newest == NONE ? &requests->oldest : &requests->connections[requests->newest].newer) = at;
    requests->newest = at;
}

static void tell(struct ttap__requests *requests, struct ttap__connection *connection, int64_t end_ns, uint8_t flags)
{
    struct ttap__lanes_around *around = requests->around;
    if (!connection->open)
        return;
    connection->open = false;
    if (end_ns > connection->last_ns)
        connection->last_ns = end_ns; /* the next begins behind it */
    struct ttap__request_row row = {.object = connection->object,
                                    .side = ttap__names_word(around->names, connection->asked ? TTAP__WORD_ASKED : TTAP__WORD_SERVED),
                                    .lane = connection->lane,
                                    .end_lane = connection->end_lane,
                                    .start_ns = connection->start_ns,
                                    .dur_ns = end_ns > connection->start_ns ? end_ns - connection->start_ns : 0,
                                    .bytes_in = connection->bytes_in,
                                    .bytes_out = connection->bytes_out,
                                    .receives = connection->receives,
                                    .sends = connection->sends,
                                    .flags = flags};
    if (around->rc == 0)
        around->rc = around->rows->request(around->arg, &row);
}

/* An index to use: a new one, or that of the connection quiet longest. NONE: no memory for any. */
static uint32_t place_for_one(struct ttap__requests *requests)
{
    if (requests->connections_count < TTAP__CONNECTIONS_MAX &&
        ttap__allowance_one_more(requests->around->allowance, &requests->connections, &requests->connections_room, requests->connections_count,
                                 sizeof *requests->connections))
        return (uint32_t)requests->connections_count++;
    uint32_t at = requests->oldest;
    if (at == NONE)
        return NONE;
    tell(requests, &requests->connections[at], requests->connections[at].end_ns, 0);
    list_leave(requests, at);
    ttap__idmap_remove(&requests->by_object, requests->connections[at].object);
    return at;
}

static struct ttap__connection *connection_of(struct ttap__requests *requests, uint32_t object)
{
    uint32_t at = ttap__idmap_get(&requests->by_object, object);
    if (at != TTAP__IDMAP_NONE) {
        list_leave(requests, at);
        list_enter(requests, at);
        return &requests->connections[at];
    }
    at = place_for_one(requests);
    if (at == NONE)
        return NULL;
    requests->connections[at] = (struct ttap__connection){.object = object, .end_lane = -1};
    list_enter(requests, at);
    /* Without room in the index it cannot be found again, and is let go in its turn. */
    if (!ttap__idmap_put(&requests->by_object, requests->around->allowance, object, at))
        requests->around->untold++;
    return &requests->connections[at];
}

/* ---- Requests ---- */

static void begin(struct ttap__requests *requests, struct ttap__connection *connection, const struct ttap__transfer *transfer)
{
    if (connection->open && connection->end_lane >= 0)
        tell(requests, connection, connection->end_ns < transfer->at_ns ? connection->end_ns : transfer->at_ns, 0);
    if (connection->open)
        return; /* one more piece of the same */
    connection->open = true;
    connection->start_ns = connection->end_ns = transfer->at_ns;
    connection->bytes_in = connection->bytes_out = connection->receives = connection->sends = 0;
    connection->lane = transfer->lane;
    connection->end_lane = -1;
}

static void transfer_take(struct ttap__requests *requests, struct ttap__transfer *transfer)
{
    struct ttap__connection *connection = connection_of(requests, transfer->object);
    if (!connection) {
        requests->around->untold++;
        return;
    }
    if (transfer->at_ns < connection->last_ns)
        transfer->at_ns = connection->last_ns; /* it came later than any order could be kept */
    connection->last_ns = transfer->at_ns;
    if (transfer->over) {
        tell(requests, connection, connection->end_ns, 0);
        return;
    }
    bool asks = transfer->received != connection->asked;
    if (asks)
        begin(requests, connection, transfer);
    if (!connection->open)
        return; /* an answer to nothing that is on record */
    *(transfer->received ? &connection->bytes_in : &connection->bytes_out) += transfer->bytes;
    *(transfer->received ? &connection->receives : &connection->sends) += 1;
    if (!asks)
        connection->end_lane = (int32_t)transfer->lane;
    if (transfer->end_ns > connection->end_ns)
        connection->end_ns = transfer->end_ns;
}

/* ---- In order of time ---- */

static bool earlier(const struct ttap__transfer *one, const struct ttap__transfer *other)
{
    return one->at_ns != other->at_ns ? one->at_ns < other->at_ns : one->order < other->order;
}

static void heap_take_first(struct ttap__requests *requests, struct ttap__transfer *out)
{
    struct ttap__transfer *heap = requests->transfers;
    *out = heap[0];
    size_t count = --requests->transfers_count, at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && earlier(&heap[child + 1], &heap[child]))
            child++;
        if (!earlier(&heap[child], &heap[count]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = heap[count];
}

static void heap_put(struct ttap__requests *requests, const struct ttap__transfer *transfer)
{
    struct ttap__transfer *heap = requests->transfers;
    size_t at = requests->transfers_count++;
    for (; at && earlier(transfer, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = *transfer;
}

static void transfer_put(struct ttap__requests *requests, struct ttap__transfer *transfer)
{
    struct ttap__transfer first;
    transfer->order = requests->order++;
    bool room = requests->transfers_count < TTAP__TRANSFERS_MAX &&
                ttap__allowance_one_more(requests->around->allowance, &requests->transfers, &requests->transfers_room, requests->transfers_count,
                                         sizeof *requests->transfers);
    if (!room && (!requests->transfers_count || earlier(transfer, &requests->transfers[0]))) {
        transfer_take(requests, transfer);
        return;
    }
    if (!room) {
        heap_take_first(requests, &first);
        transfer_take(requests, &first);
    }
    heap_put(requests, transfer);
}

void ttap__requests_call(struct ttap__requests *requests, const struct ttap__call_row *row, struct ttap__text op_text)
{
    if (!requests->around->rows->request || row->object < 0)
        return;
    enum op op = op_of(requests, row->op, op_text);
    if (op == OP_CONNECT) {
        struct ttap__connection *connection = connection_of(requests, (uint32_t)row->object);
        if (connection)
            connection->asked = true;
        return;
    }
    bool received = op == OP_RECEIVE || op == OP_RECEIVE_MESSAGES, sent = op == OP_SEND || op == OP_SEND_MESSAGES;
    bool over = received && row->result == 0;
    if ((!received && !sent) || (row->result <= 0 && !over))
        return;
    int64_t end_ns = row->start_ns + row->dur_ns;
    struct ttap__transfer transfer = {.at_ns = received || row->flags & TTAP__OPEN_START ? end_ns : row->start_ns,
                                      .end_ns = end_ns,
                                      .bytes = op == OP_RECEIVE || op == OP_SEND ? (uint64_t)row->result : 0,
                                      .object = (uint32_t)row->object,
                                      .lane = row->lane,
                                      .received = received,
                                      .over = over};
    transfer_put(requests, &transfer);
}

/* ---- Who asks ---- */

/* The digits behind the last colon; 0: none. */
static unsigned port_at_end(struct ttap__text address)
{
    unsigned port = 0, scale = 1;
    for (size_t i = address.len; i-- > 0 && scale <= 100000; scale *= 10) {
        char c = address.bytes[i];
        if (c == ':')
            return port;
        if (c < '0' || c > '9')
            break;
        port += scale * (unsigned)(c - '0');
    }
    return 0;
}

/* "tcp 10.0.0.1:40312 10.0.0.2:5432", "unix - /run/db": a port of the kernel's choice, or no name, to one that was chosen. */
static bool asks_by_name(struct ttap__text name)
{
    const char *first = memchr(name.bytes, ' ', name.len);
    const char *end = name.bytes + name.len, *second = first ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return false;
    struct ttap__text local = {first + 1, (size_t)(second - first - 1)}, peer = {second + 1, (size_t)(end - second - 1)};
    if (name.len > 5 && memcmp(name.bytes, "unix ", 5) == 0)
        return local.len == 1 && local.bytes[0] == '-' && !(peer.len == 1 && peer.bytes[0] == '-');
    unsigned peer_port = port_at_end(peer);
    return port_at_end(local) >= EPHEMERAL_PORT && peer_port > 0 && peer_port < EPHEMERAL_PORT;
}

void ttap__requests_named(struct ttap__requests *requests, uint32_t object, struct ttap__text name)
{
    if (!requests->around->rows->request || !asks_by_name(name))
        return;
    struct ttap__connection *connection = connection_of(requests, object);
    if (connection)
        connection->asked = true;
}

/* ---- The whole ---- */

void ttap__requests_start(struct ttap__requests *requests, struct ttap__lanes_around *around)
{
    *requests = (struct ttap__requests){.around = around, .newest = NONE, .oldest = NONE};
}

void ttap__requests_finish(struct ttap__requests *requests, int64_t end_ns)
{
    struct ttap__transfer first;
    while (requests->transfers_count) {
        heap_take_first(requests, &first);
        transfer_take(requests, &first);
    }
    for (uint32_t at = requests->oldest; at != NONE; at = requests->connections[at].newer) {
        struct ttap__connection *connection = &requests->connections[at];
        bool answered = connection->end_lane >= 0;
        tell(requests, connection, answered ? connection->end_ns : end_ns, answered ? 0 : TTAP__OPEN_END);
    }
}

void ttap__requests_free(struct ttap__requests *requests)
{
    struct ttap__allowance *allowance = requests->around->allowance;
    ttap__allowance_free(allowance, requests->transfers, requests->transfers_room * sizeof *requests->transfers);
    ttap__allowance_free(allowance, requests->connections, requests->connections_room * sizeof *requests->connections);
    ttap__idmap_free(&requests->by_object, allowance);
}
