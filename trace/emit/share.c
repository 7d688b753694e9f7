/* share.c - laying an arena out in a memfd, and joining one. */
#include "share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/stat.h>

#include "arena.h"
#include "clock.h"
#include "sys.h"

#define PAGE_MAX 65536u
#define MAGIC UINT64_C(0x3170617474706174) /* "tapttap1" */

/* What a joining process checks and copies. Written once, before anybody else can see it; only `member` changes. */
struct card {
    uint64_t magic;
    uint64_t arena_bytes, chunk_bytes; /* of the library that laid it out: all members are of one build */
    uint32_t chunks;
    int32_t clock_kind;
    uint64_t pid_namespace;  /* the keeper's; 0: not known */
    uint32_t global_barrier; /* the keeper puts barriers into all members: they may use the light store */
    int32_t program;
    int32_t member[TTAP__MEMBERS_MAX]; /* process ids; 0: free */
};

#define ROUND_UP(bytes) (((bytes) + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX)
#define CARD_AT ((size_t)PAGE_MAX)
#define ARENA_AT (CARD_AT + ROUND_UP(sizeof(struct card)))
#define CHUNKS_AT (ARENA_AT + ROUND_UP(sizeof(struct ttap__arena)))

int ttap__share_role;
static struct card *card;
static uint32_t chunks_there; /* as the card says, which others may write over */

static void *map_shared(void *at, int fd, size_t offset, size_t bytes)
{
    long p =
        ttap__syscall6(SYS_mmap, (long)at, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), fd, (long)offset);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* A program linked without -fPIC by a linker that did not keep our alignment has other variables beside the gate. */
static bool gate_fills_its_page(void)
{
    return (uintptr_t)&ttap_gate % TTAP__GATE_PAGE_BYTES == 0;
}

static bool register_for_barriers(void)
{
#if defined(__SANITIZE_THREAD__)
    return false;
#else
    return ttap__syscall6(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0, 0, 0, 0) == 0;
#endif
}

static bool kernel_has_global_barriers(void)
{
    long commands = ttap__syscall6(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0, 0, 0, 0);
    return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

static uint64_t pid_namespace(void)
{
    static const char path[] = "/proc/self/ns/pid";
    struct stat st;
    return ttap__syscall6(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0, 0) == 0 ? st.st_ino : 0;
}

/* In another PID namespace processes have other numbers than the keeper knows them by: it would take them for somebody else, or for dead. */
static bool is_numbered_elsewhere(const struct card *of)
{
    uint64_t here = pid_namespace();
    return here && of->pid_namespace && here != of->pid_namespace;
}

/* Mostly that is one page, mapped twice. If the second fails, hooks ask a gate that stays closed. */
static bool map_gates(int fd)
{
    return map_shared(&ttap__own_gate, fd, 0, TTAP__GATE_PAGE_BYTES) && map_shared(&ttap_gate, fd, 0, TTAP__GATE_PAGE_BYTES);
}

/* A program that was linked to find the gate at a fixed place has it in a page of its own (a copy relocation). */
static bool own_gate_is_another(void)
{
    uint64_t *own = &ttap__own_gate;
    __asm__("" : "+r"(own)); /* to the compiler two variables are never one */
    return own != &ttap_gate;
}

void ttap__own_gate_follow(uint64_t gate)
{
    if (ttap__share_role == TTAP__SHARE_NONE && own_gate_is_another())
        ttap__store(&ttap__own_gate, gate);
}

/* Everything is mapped or nothing is; the gate comes last, because that cannot be undone. */
static int map_all(int fd, size_t chunk_bytes)
{
    if (ttap__arena_here() || !gate_fills_its_page())
        return -EBUSY;
    if (!ttap__records_map())
        return -ENOMEM;
    char *arena = map_shared(NULL, fd, ARENA_AT, ROUND_UP(sizeof(struct ttap__arena)));
    char *chunks = arena ? map_shared(NULL, fd, CHUNKS_AT, chunk_bytes) : NULL;
    if (!chunks || !map_gates(fd)) {
        if (arena)
            ttap__unmap(arena, ROUND_UP(sizeof(struct ttap__arena)));
        if (chunks)
            ttap__unmap(chunks, chunk_bytes);
        return -ENOMEM;
    }
    ttap__chunks = (struct ttap__chunk *)chunks;
    ttap__store_release(&ttap__arena_base, (struct ttap__arena *)arena); /* acquire: ttap__arena() */
    return 0;
}

static struct card *map_card(int fd)
{
    return map_shared(NULL, fd, CARD_AT, ROUND_UP(sizeof(struct card)));
}

int ttap__share_create(uint32_t chunks)
{
    static const char name[] = "tracetap";
    size_t chunk_bytes = ROUND_UP((size_t)chunks * sizeof(struct ttap__chunk));
    long fd = ttap__syscall6(SYS_memfd_create, (long)name, 1 /* MFD_CLOEXEC */, 0, 0, 0, 0);
    if (fd < 0)
        return (int)fd;
    long error = ttap__syscall6(SYS_ftruncate, fd, (long)(CHUNKS_AT + chunk_bytes), 0, 0, 0, 0);
    if (!error)
        error = (card = map_card((int)fd)) ? map_all((int)fd, chunk_bytes) : -ENOMEM;
    if (error) {
        ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
        return (int)error;
    }
    ttap__clock_init();
    ttap__arena_init(ttap__arena_here());
    card->arena_bytes = sizeof(struct ttap__arena);
    card->chunk_bytes = chunk_bytes;
    card->chunks = chunks_there = chunks;
    card->clock_kind = ttap__clock_kind;
    card->pid_namespace = pid_namespace();
    card->global_barrier = kernel_has_global_barriers();
    ttap__share_role = TTAP__SHARE_KEEPER;
    ttap__thread_is_own();
    ttap__store_release(&card->magic, MAGIC);
    return (int)fd;
}

/* ---- Members ---- */

static void enlist(int32_t pid)
{
    for (uint32_t i = 0; i < TTAP__MEMBERS_MAX; i++) {
        int32_t expected = 0;
        if (ttap__load(&card->member[i]) == pid)
            return;
        if (__atomic_compare_exchange_n(&card->member[i], &expected, pid, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) || expected == pid)
            return;
    }
}

/* Forked into another namespace, or by who was: nobody of this process gets a slot. */
static bool is_outside;

static void become_member(void)
{
    is_outside |= is_numbered_elsewhere(card);
    if (is_outside) {
        ttap__owner_is_nobody();
        return;
    }
    int32_t pid = ttap__getpid(), nobody = 0;
    ttap__owner_is_this_process();
    ttap__store(&ttap__light_busy, card->global_barrier && register_for_barriers() && ttap__ticks_are_counter());
    enlist(pid);
    __atomic_compare_exchange_n(&card->program, &nobody, pid, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    ttap__slots_end_of(pid); /* it had another program before an exec */
}

int ttap__share_join(int fd)
{
    struct card *found = map_card(fd);
    if (!found)
        return -EINVAL;
    int error = -EINVAL;
    long end = ttap__syscall6(SYS_lseek, fd, 0, 2 /* SEEK_END */, 0, 0, 0);
    if (end >= (long)CHUNKS_AT && ttap__load_acquire(&found->magic) == MAGIC && found->arena_bytes == sizeof(struct ttap__arena) &&
        (uint64_t)end == CHUNKS_AT + found->chunk_bytes && !is_numbered_elsewhere(found)) {
        __atomic_store_n(&ttap__clock_kind, found->clock_kind, __ATOMIC_RELEASE);
        error = map_all(fd, found->chunk_bytes);
    }
    if (error) {
        ttap__unmap(found, ROUND_UP(sizeof(struct card)));
        return error;
    }
    card = found;
    chunks_there = found->chunks;
    ttap__share_role = TTAP__SHARE_MEMBER;
    become_member();
    return 0;
}

/* Only this thread is left here; its record was wiped. */
void ttap__share_after_fork(void)
{
    ttap__tls = &ttap__no_record;
    ttap__tls_silent = 0;
    become_member();
}

int32_t ttap__share_next_member(uint32_t *at)
{
    while (*at < TTAP__MEMBERS_MAX) {
        int32_t pid = ttap__load(&card->member[(*at)++]);
        if (pid)
            return pid;
    }
    return 0;
}

void ttap__share_forget_member(int32_t pid)
{
    for (uint32_t i = 0; i < TTAP__MEMBERS_MAX; i++) {
        int32_t expected = pid;
        __atomic_compare_exchange_n(&card->member[i], &expected, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}

uint32_t ttap__share_chunks(void)
{
    return chunks_there;
}

void ttap__share_name_program(int32_t pid)
{
    ttap__store(&card->program, pid);
}

int32_t ttap__share_program(void)
{
    return ttap__load(&card->program);
}
