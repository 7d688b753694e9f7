/* test_scribbled.c - a program under `tracetap run` that writes where it should not, into the arena that it shares with the keeper.
 *
 *   this process --fork--> keeper: captures                                  what is recorded then is worth nothing; but the keeper must neither
 *                --fork--> member: joins, records, and spoils one thing      fall over it nor run in circles
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "emit.h"
#include "share.h"
#include "statements.h"

enum { RANDOM_SPOILS = 12, WORDS_A_RANDOM_SPOIL = 4000, HANG_S = 60, CARD_AT = 65536, CARD_CHUNKS_AT = 24 };

static struct meeting {
    char path[64]; /* of the arena, when the keeper has one */
    uint32_t is_spoilt;
} * meeting;

static void nap(void)
{
    static const struct timespec short_while = {0, 200000};
    nanosleep(&short_while, NULL);
}

static void wait_for(uint32_t *flag)
{
    while (!ttap__load_acquire(flag))
        nap();
}

/* ---- What is spoilt ---- */

static struct ttap__arena *arena;
static struct ttap__slot *slot; /* of the member's thread */
static uint32_t last_chunk;     /* index */
static uint64_t random_state;
static int arena_fd;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void many_slots(void)
{
    ttap__store(&arena->slots_made, UINT32_MAX);
}

static void full_list_leads_out(void)
{
    ttap__store(&arena->full_chunks, UINT64_C(7) << 32 | 0x7ffffff);
}

static void full_list_goes_out_later(void)
{
    ttap__store(&ttap__chunks[last_chunk].next, 0x7ffffff);
    ttap__store(&arena->full_chunks, UINT64_C(7) << 32 | (last_chunk + 1));
}

static void full_list_is_a_circle(void)
{
    ttap__store(&ttap__chunks[last_chunk].next, last_chunk);
    ttap__store(&ttap__chunks[last_chunk - 1].next, last_chunk - 1);
    ttap__store(&ttap__chunks[last_chunk - 2].next, last_chunk);
    ttap__store(&arena->full_chunks, UINT64_C(7) << 32 | (last_chunk + 1));
}

static void full_chunk_of_nobody(void)
{
    struct ttap__chunk *chunk = &ttap__chunks[last_chunk];
    memset(chunk, 0xee, sizeof(*chunk));
    chunk->next = 0;
    ttap__store(&arena->full_chunks, UINT64_C(7) << 32 | (last_chunk + 1));
}

static void stream_in_no_chunk(void)
{
    ttap__store(&slot->stream[0].published, TTAP__PUB(UINT64_C(0xffffff), slot->drained[0].serial + 1) | 100);
    ttap__store(&slot->stream[1].published, TTAP__PUB(UINT64_C(0xffffff), 1) | 100);
}

/* A chunk that looks as if it were this thread's, with cells of all kinds, and one more than there are. */
static void stream_beyond_its_chunk(void)
{
    struct ttap__chunk *chunk = &ttap__chunks[last_chunk], *own = &ttap__chunks[TTAP__PUB_CHUNK(slot->stream[0].published) - 1];
    memcpy(chunk, own, offsetof(struct ttap__chunk, cells));
    chunk->serial = slot->drained[0].serial + 1;
    for (unsigned i = 0; i < TTAP__CHUNK_CELLS; i++) {
        chunk->cells[2 * i] = ttap__ticks() << 8 | TTAP__INSTANT;
        chunk->cells[2 * i + 1] = 1;
    }
    slot->drained[0].used = 0;
    ttap__store_release(&slot->stream[0].published, TTAP__PUB(last_chunk + 1, chunk->serial) | 511);
}

static void cells_of_anything(void)
{
    struct ttap__chunk *own = &ttap__chunks[TTAP__PUB_CHUNK(slot->stream[0].published) - 1];
    for (unsigned i = TTAP__PUB_USED(slot->stream[0].published); i < TTAP__CHUNK_CELLS; i++) {
        own->cells[2 * i] = ttap__ticks() << 8 | random_word() % 256;
        own->cells[2 * i + 1] = random_word() >> (random_word() % 64);
    }
    ttap__store_release(&slot->stream[0].published, TTAP__PUB(TTAP__PUB_CHUNK(slot->stream[0].published), own->serial) | TTAP__CHUNK_CELLS);
}

static void orphans_of_nobody(void)
{
    for (uint64_t i = 0; i < TTAP__ORPHANS_MAX; i++)
        ttap__store(&slot->orphan[0][i], TTAP__PUB(UINT64_C(0xffff00) + i, slot->drained[0].serial + 1) | 3);
}

static void ended_list_leads_out(void)
{
    ttap__store(&arena->ended_slots, UINT64_C(7) << 32 | 0x7ffffff);
}

static void ended_list_is_a_circle(void)
{
    uint32_t own = (uint32_t)(slot - arena->slot) + 1;
    ttap__store(&slot->next, own);
    ttap__store(&slot->state, TTAP__SLOT_ENDED);
    ttap__store(&arena->ended_slots, UINT64_C(7) << 32 | own);
}

static void names_lie_elsewhere(void)
{
    for (uint32_t id = 1; id <= TTAP_NAMES_MAX + 1; id++)
        arena->name[id] = (struct ttap__name_entry){UINT32_MAX, id % 3 ? 20 : UINT32_MAX, 0};
    ttap__store(&arena->names_full, 1);
    ttap__store_release(&arena->names_made, UINT32_MAX);
}

/* The keeper looks up the names of calls that have not returned. */
static void names_are_found_elsewhere(void)
{
    for (uint32_t i = 0; i < TTAP__NAME_HASH_SLOTS; i++)
        ttap__store(&arena->name_hash[i], 0x7fffffff - i);
    ttap__store(&slot->call_start, ttap__ticks());
    ttap__store_release(&slot->call, 1);
}

static void calls_that_are_none(void)
{
    ttap__store(&slot->call_start, ttap__ticks());
    ttap__store_release(&slot->call, UINT64_MAX);
}

static void slot_of_anything(void)
{
    memset((void *)slot, 0xa5, sizeof(*slot));
    slot->state = TTAP__SLOT_LIVE;
}

static void card_of_many_chunks(void)
{
    char *card = mmap(NULL, CARD_AT, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, CARD_AT);
    memset(card + CARD_CHUNKS_AT, 0x3f, CARD_AT - CARD_CHUNKS_AT);
    full_list_leads_out();
}

static void (*const spoils[])(void) = {
    many_slots,
    full_list_leads_out,
    full_list_goes_out_later,
    full_list_is_a_circle,
    full_chunk_of_nobody,
    stream_in_no_chunk,
    stream_beyond_its_chunk,
    cells_of_anything,
    orphans_of_nobody,
    ended_list_leads_out,
    ended_list_is_a_circle,
    names_lie_elsewhere,
    names_are_found_elsewhere,
    calls_that_are_none,
    slot_of_anything,
    card_of_many_chunks,
};
enum { SPOILS = sizeof(spoils) / sizeof(spoils[0]) };

/* Half of them near the heads of things, where the numbers are. */
static void spoil_at_random(void)
{
    for (int i = 0; i < WORDS_A_RANDOM_SPOIL; i++) {
        uint64_t at = random_word(), value = random_word() >> (random_word() % 64);
        uint64_t *words[] = {(uint64_t *)arena + at % 64, (uint64_t *)slot + at % (sizeof(*slot) / 8), (uint64_t *)arena + at % (sizeof(*arena) / 8),
                             (uint64_t *)ttap__chunks + at % (4 * TTAP__CHUNK_BYTES / 8)};
        ttap__store(words[random_word() % 4], value);
    }
}

/* ---- Who does it ---- */

static void record_something(void)
{
    static struct ttap_name lamp = TTAP_NAME_INIT("lamp");
    for (int i = 0; i < 2000; i++) {
        ttap__region_begin(&lamp);
        ttap__log(&lamp, "a text", 6);
        ttap__region_end(&lamp);
    }
}

static void wait_for_ticks(int ticks)
{
    for (uint64_t last = 0; ticks; nap()) {
        uint64_t now = ttap__load(&arena->drainer_ticks);
        ticks -= now != last;
        last = now;
    }
}

static void member(int which)
{
    while (!ttap__load_acquire((uint8_t *)meeting->path))
        nap();
    arena_fd = open(meeting->path, O_RDWR | O_CLOEXEC);
    if (arena_fd < 0 || ttap__share_join(arena_fd) != 0)
        _exit(1);
    while (!TTAP_ENABLED(TTAP_GROUP_LOG))
        nap();
    record_something();
    arena = ttap__arena_here();
    slot = ttap__tls->slot;
    last_chunk = ttap__share_chunks() - 1;
    random_state = (uint64_t)which * UINT64_C(0x9e3779b97f4a7c15) + 1;
    if (which < SPOILS)
        spoils[which]();
    else
        spoil_at_random();
    wait_for_ticks(3);
    ttap__store_release(&meeting->is_spoilt, 1);
    pause();
}

static int take_all(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)arg += len;
    return 0;
}

static bool capture_once(uint32_t *until)
{
    size_t taken = 0;
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture;
    opts.duration_ns = 0;
    opts.groups = TTAP_GROUPS_ALL & ~TTAP_GROUP_SCHED; /* and what each thread of other processes does is not asked */
    if (ttap_capture_start(&opts, take_all, &taken, &capture) != 0)
        return false;
    wait_for(until);
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    ttap_capture_stop(capture);
    return taken != 0;
}

static void keeper(void)
{
    char path[64];
    alarm(HANG_S);
    int fd = ttap__keeper_start();
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
    memcpy(meeting->path + 1, path + 1, sizeof(path) - 1);
    ttap__store_release((uint8_t *)meeting->path, (uint8_t)path[0]);
    bool captured = fd >= 0 && capture_once(&meeting->is_spoilt);
    captured &= capture_once(&meeting->is_spoilt); /* a session on top of what is left */
    ttap__keeper_members();
    _exit(!captured);
}

static int keeper_beside(int which)
{
    int status = -1;
    memset(meeting, 0, sizeof(*meeting));
    pid_t keeps = fork();
    if (!keeps)
        keeper();
    pid_t spoils_it = fork();
    if (!spoils_it)
        member(which);
    waitpid(keeps, &status, 0);
    kill(spoils_it, SIGKILL);
    waitpid(spoils_it, NULL, 0);
    return status;
}

static void the_keeper_outlives_a_program_that_writes_over_the_arena(void)
{
    meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(meeting != MAP_FAILED);
    for (int which = 0; which < SPOILS + RANDOM_SPOILS; which++) {
        int status = keeper_beside(which);
        CU_ASSERT_EQUAL(status, 0);
        if (status)
            fprintf(stderr, "spoil %d: the keeper ended with %#x\n", which, (unsigned)status);
    }
}

static CU_TestInfo statements[] = {
    {"the keeper outlives a program that writes over the arena", the_keeper_outlives_a_program_that_writes_over_the_arena},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
