/* call.c - recording hooked calls, and knowing what a descriptor is. */
#include "hooks.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "init.h"
#include "stacks.h"
#include "sys.h"

/* ---- Real functions ---- */

extern struct ttap__real __start_ttap_reals[], __stop_ttap_reals[];

void *ttap__real_find(struct ttap__real *real)
{
    void *found = real->version ? dlvsym(RTLD_NEXT, real->name, real->version) : NULL;
    if (!found)
        found = dlsym(RTLD_NEXT, real->name);
    ttap__store(&real->function, found);
    return found;
}

__attribute__((constructor(101))) static void find_real_functions(void)
{
    int saved_errno = errno;
    ttap__hooks_linked = 1;
    for (struct ttap__real *real = __start_ttap_reals; real < __stop_ttap_reals; real++)
        ttap__real_find(real);
    ttap__alloc_is_known();
    ttap__fd_renew(0); /* object 0 is none */
    errno = saved_errno;
}

/* ---- Names of calls ---- */

static struct ttap_name op_names[] = {
#define TTAP_OP(number, NAME, name, KIND) [number] = TTAP_NAME_INIT(name),
#include "ops.def"
#undef TTAP_OP
};

static inline uint64_t op_word(unsigned op, uint32_t arg)
{
    uint32_t known = ttap__load(&op_names[op].id);
    return (uint64_t)arg << 32 | (ttap__likely(known) ? known : ttap__emit_name(&op_names[op]));
}

/* ---- Where the thread is ---- */

struct ttap__slot *ttap__call_slot(void)
{
    /* Only where there is an arena already: a program that nobody can record shall not get one by reading a file. */
    if (!ttap__arena_here() || ttap__tls_silent)
        return NULL;
    return ttap__attach() ? ttap__tls->slot : NULL;
}

struct ttap__note ttap__note_take(struct ttap__slot *slot)
{
    struct ttap__note note = {ttap__load(&slot->call), ttap__load(&slot->call_object), ttap__load(&slot->call_frame), ttap__load(&slot->call_start)};
    ttap__store_release(&slot->call, 0); /* its words change */
    return note;
}

void ttap__note_put(struct ttap__slot *slot, struct ttap__note note)
{
    ttap__store_release(&slot->call, 0);
    ttap__store(&slot->call_object, note.object);
    ttap__store(&slot->call_frame, note.frame);
    ttap__store(&slot->call_start, note.start);
    ttap__store_release(&slot->call, note.op);
}

/* ---- Descriptors ---- */

enum { TEXT_BYTES = 300 };
enum fd_kind { FD_UNKNOWN, FD_SOCKET, FD_OTHER };

struct ttap__fd_state ttap__fd_states[TTAP__FDS];

static struct ttap__fd_state *state_of(int fd)
{
    return (unsigned)fd < TTAP__FDS ? &ttap__fd_states[fd] : NULL;
}

void ttap__fd_rename(int fd)
{
    struct ttap__fd_state *state = state_of(fd);
    if (!state)
        return;
    uint64_t next = ttap__load(&state->generation) + (UINT64_C(1) << TTAP__FD_NUMBER_BITS);
    ttap__store(&state->generation, next & ((UINT64_C(1) << (TTAP__FD_NUMBER_BITS + TTAP__FD_GENERATION_BITS)) - 1));
    ttap__store(&state->told_epoch, 0);
    if (ttap__load(&state->kind) == FD_OTHER) /* who connects has a socket, wherever it is from */
        ttap__store(&state->kind, FD_UNKNOWN);
}

static void renew_as(int fd, enum fd_kind kind, enum ttap__fd_blocks blocks)
{
    struct ttap__fd_state *state = state_of(fd);
    if (!state)
        return;
    ttap__fd_rename(fd);
    ttap__store(&state->kind, (uint8_t)kind);
    ttap__store(&state->blocks, (uint8_t)blocks);
}

void ttap__fd_renew(int fd)
{
    renew_as(fd, FD_UNKNOWN, TTAP__FD_BLOCKS);
}

void ttap__fd_renew_socket(int fd, bool nonblocking)
{
    renew_as(fd, FD_SOCKET, nonblocking ? TTAP__FD_AWAKE : TTAP__FD_BLOCKS);
}

/* Reading a file may sleep whatever its flags are, and of a pipe we do not know whether its other numbers are used. */
void ttap__fd_set_nonblocking(int fd, bool nonblocking)
{
    struct ttap__fd_state *state = state_of(fd);
    if (state && ttap__load(&state->kind) == FD_SOCKET && ttap__load(&state->blocks) != TTAP__FD_SHARED)
        ttap__store(&state->blocks, (uint8_t)(nonblocking ? TTAP__FD_AWAKE : TTAP__FD_BLOCKS));
}

void ttap__fd_share(int fd)
{
    struct ttap__fd_state *state = state_of(fd);
    if (state)
        ttap__store(&state->blocks, (uint8_t)TTAP__FD_SHARED);
}

static enum fd_kind kind_of(int fd)
{
    struct ttap__fd_state *state = state_of(fd);
    uint8_t known = state ? ttap__load(&state->kind) : FD_UNKNOWN;
    if (known != FD_UNKNOWN)
        return known;
    struct stat st;
    if (ttap__syscall6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) != 0)
        return FD_OTHER;
    enum fd_kind kind = S_ISSOCK(st.st_mode) ? FD_SOCKET : FD_OTHER;
    if (state)
        ttap__store(&state->kind, (uint8_t)kind);
    return kind;
}

/* ---- Describing them, without libc: no locale, no lock, any stack ---- */

struct text {
    size_t len;
    char bytes[TEXT_BYTES];
};

static void put_bytes(struct text *t, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && t->len < sizeof(t->bytes); i++)
        t->bytes[t->len++] = bytes[i];
}

static void put_text(struct text *t, const char *text)
{
    put_bytes(t, text, strlen(text));
}

static void put_number(struct text *t, unsigned value, unsigned base)
{
    char digits[12];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base));
    while (n)
        put_bytes(t, &digits[--n], 1);
}

static void put_ipv4(struct text *t, const unsigned char *address)
{
    for (int i = 0; i < 4; i++) {
        put_text(t, i ? "." : "");
        put_number(t, address[i], 10);
    }
}

/* All eight groups, no "::" but for the two addresses that everybody knows in that form. */
static void put_ipv6(struct text *t, const unsigned char *address)
{
    static const unsigned char zeros[15], mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(address, mapped, sizeof(mapped)) == 0) {
        put_ipv4(t, address + 12);
        return;
    }
    put_text(t, "[");
    if (memcmp(address, zeros, sizeof(zeros)) == 0 && address[15] <= 1)
        put_text(t, address[15] ? "::1" : "::");
    else
        for (int i = 0; i < 16; i += 2) {
            put_text(t, i ? ":" : "");
            put_number(t, (unsigned)address[i] << 8 | address[i + 1], 16);
        }
    put_text(t, "]");
}

static unsigned port_of(uint16_t network_order)
{
    return (unsigned)(network_order >> 8 | (network_order & 0xff) << 8);
}

static void put_address(struct text *t, const struct sockaddr_storage *address, size_t bytes)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    const struct sockaddr_un *un = (const struct sockaddr_un *)address;
    switch (address->ss_family) {
    case AF_INET:
        put_ipv4(t, (const unsigned char *)&in->sin_addr);
        put_text(t, ":");
        put_number(t, port_of(in->sin_port), 10);
        break;
    case AF_INET6:
        put_ipv6(t, (const unsigned char *)&in6->sin6_addr);
        put_text(t, ":");
        put_number(t, port_of(in6->sin6_port), 10);
        break;
    case AF_UNIX:
        if (bytes <= offsetof(struct sockaddr_un, sun_path))
            put_text(t, "-");
        else if (un->sun_path[0])
            put_text(t, un->sun_path);
        else {
            put_text(t, "@");
            put_bytes(t, un->sun_path + 1, bytes - offsetof(struct sockaddr_un, sun_path) - 1);
        }
        break;
    default:
        put_text(t, "-");
    }
}

/* "tcp LOCAL PEER", "unix PATH -" */
static void put_socket(struct text *t, int fd)
{
    int type = 0;
    socklen_t bytes = sizeof(type);
    struct sockaddr_storage local = {0}, peer = {0};
    socklen_t local_bytes = sizeof(local) - 1, peer_bytes = sizeof(peer) - 1; /* one less: a path stays terminated */
    ttap__syscall6(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type, (long)&bytes, 0);
    ttap__syscall6(SYS_getsockname, fd, (long)&local, (long)&local_bytes, 0, 0, 0);
    bool connected = ttap__syscall6(SYS_getpeername, fd, (long)&peer, (long)&peer_bytes, 0, 0, 0) == 0;
    bool internet = local.ss_family == AF_INET || local.ss_family == AF_INET6;
    if (internet)
        put_text(t, type == SOCK_STREAM ? "tcp " : type == SOCK_DGRAM ? "udp " : "ip ");
    else
        put_text(t, local.ss_family == AF_UNIX ? "unix " : "socket ");
    put_address(t, &local, local_bytes);
    put_text(t, " ");
    if (connected)
        put_address(t, &peer, peer_bytes);
    else
        put_text(t, "-");
}

/* A path, or "pipe:[N]", "anon_inode:[eventfd]" as the kernel names it. */
static void put_link(struct text *t, int fd)
{
    struct text path = {0};
    put_text(&path, "/proc/self/fd/");
    put_number(&path, (unsigned)fd, 10);
    put_bytes(&path, "", 1);
    long n = ttap__syscall6(SYS_readlinkat, -100 /* AT_FDCWD */, (long)path.bytes, (long)t->bytes, sizeof(t->bytes), 0, 0);
    t->len = n > 0 ? (size_t)n : 0;
}

/* Who has been told: the listeners of an epoch, by this process. What its parent told them is not told of it, though the table was copied; as
 * neither number goes back, no earlier sum of the two comes again. */
static inline uint32_t telling_now(void)
{
    return (uint32_t)(ttap__load(&ttap_gate) >> TTAP__GATE_EPOCH_SHIFT) + ttap__load(&ttap__forks);
}

static __attribute__((noinline)) enum fd_kind find_and_tell_kind(int fd, uint64_t object)
{
    enum fd_kind kind = kind_of(fd);
    if (ttap__load(&ttap__fd_states[fd].told_epoch) == telling_now())
        return kind;
    ttap__store(&ttap__fd_states[fd].told_epoch, telling_now());
    struct text text = {0};
    if (kind == FD_SOCKET)
        put_socket(&text, fd);
    else
        put_link(&text, fd);
    ttap__emit_object(kind == FD_SOCKET ? TTAP_GROUP_NET : TTAP_GROUP_FILE, kind == FD_SOCKET ? TTAP__NET_OBJECT : TTAP__FILE_OBJECT, object,
                      text.bytes, text.len);
    return kind;
}

/* What an object's descriptor is; whoever listens has been told then, but of those beyond the table. */
static inline enum fd_kind kind_as_told(uint64_t object)
{
    if (ttap__unlikely(object >> TTAP__FD_BEYOND_BIT))
        return kind_of((int)(object >> TTAP__FD_NUMBER_BITS));
    int fd = (int)(object & (TTAP__FDS - 1));
    enum fd_kind kind = ttap__load(&ttap__fd_states[fd].kind);
    bool told = ttap__load(&ttap__fd_states[fd].told_epoch) == telling_now();
    return ttap__likely(told && kind != FD_UNKNOWN) ? kind : find_and_tell_kind(fd, object);
}

/* ---- Recording ---- */

/* The stack is the same after the call as before it, so only those that turned out to be long pay for it. Told before the call itself. */
static __attribute__((noinline)) void tell_where(uint64_t start_ticks, const void *frame)
{
    if (!ttap__arena_here() || ttap__tls_silent)
        return;
    if (ttap__share_role == TTAP__SHARE_MEMBER)
        ttap__samples_wanted();
    if (start_ticks && ttap__ticks() - start_ticks >= ttap__load(&ttap__arena_here()->long_wait_ticks))
        ttap__stack_of_call(start_ticks, frame);
}
#define TELL_WHERE()                                                                                                                                 \
    do                                                                                                                                               \
        if (TTAP_ENABLED(TTAP_GROUP_SAMPLE))                                                                                                         \
            tell_where(start_ticks, __builtin_frame_address(0));                                                                                     \
    while (0)

/* What the drainer is to know of a call that returns now, and no event tells it. False: no event will, as the gate is closed. */
static inline bool note_return(unsigned op, uint64_t object, uint64_t start_ticks)
{
    struct ttap__slot *slot = ttap__tls->slot;
    uint64_t gate = ttap__load(&ttap_gate);
    if (ttap__unlikely(!slot))
        return true;
    if (ttap__unlikely(!start_ticks)) {
        ttap__store(&slot->untimed_told, slot->untimed_told + 1);
    } else if (ttap__unlikely(!(gate & TTAP__GATE_GROUPS))) {
        ttap__store(&slot->late_object, object);
        ttap__store(&slot->late_start, start_ticks);
        ttap__store_release(&slot->late_call, gate >> TTAP__GATE_EPOCH_SHIFT << 32 | op); /* acquire: returned_late() in sub.c */
        return false;
    }
    return true;
}

static bool waits_for_descriptors(unsigned op)
{
    return op == OP_POLL || op == OP_SELECT || op == OP_GETADDRINFO;
}

void ttap__fd_call_record(unsigned op, uint64_t object, uint64_t start_ticks, int64_t result)
{
    if (!note_return(op, object, start_ticks))
        return;
    bool net = waits_for_descriptors(op) || kind_as_told(object) == FD_SOCKET || op == OP_EPOLL_WAIT;
    TELL_WHERE();
    ttap__emit_fact(net ? TTAP_GROUP_NET : TTAP_GROUP_FILE, net ? TTAP__NET_CALL : TTAP__FILE_CALL, op_word(op, (uint32_t)(int32_t)result),
                    start_ticks, object);
}

void ttap__sleep_call_record(unsigned op, uint64_t object, uint64_t start_ticks, int64_t result)
{
    if (!note_return(op, object, start_ticks))
        return;
    TELL_WHERE();
    ttap__emit_fact(TTAP_GROUP_SLEEP, TTAP__SLEEP_CALL, op_word(op, (uint32_t)(int32_t)result), start_ticks, object);
}

void ttap__lock_call_record(unsigned op, uint64_t object, uint64_t start_ticks, uint32_t holder)
{
    if (!note_return(op, object, start_ticks))
        return;
    TELL_WHERE();
    ttap__emit_fact(TTAP_GROUP_LOCK, TTAP__LOCK_CALL, op_word(op, holder), start_ticks, object);
}

/* Read before the note is taken back: a handler may make calls behind it. */
int64_t ttap__quiet_fd_call_late(struct ttap__slot *slot, enum ttap__told told, int64_t result)
{
    uint64_t op = ttap__load(&slot->call), object = ttap__load(&slot->call_object);
    ttap__store_release(&slot->call, 0);
    ttap__fd_call_record((unsigned)op, object, 0, ttap__told(told, result));
    return result;
}

int64_t ttap__quiet_sleep_call_late(struct ttap__slot *slot, enum ttap__told told, int64_t result)
{
    uint64_t op = ttap__load(&slot->call), object = ttap__load(&slot->call_object);
    ttap__store_release(&slot->call, 0);
    ttap__sleep_call_record((unsigned)op, object, 0, ttap__told(told, result));
    return result;
}

void ttap__wake_record(unsigned op, const void *object)
{
    if (!ttap__tls_silent)
        ttap__emit_fact(TTAP_GROUP_LOCK, TTAP__LOCK_WAKE, op_word(op, 0), (uintptr_t)object, 0);
}
