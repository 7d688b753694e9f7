/* test_share.c - one arena for several processes: who made it, who joined it, and what is not joined.
 *
 *   this process: uses nothing of the library --fork--> keeper: creates, counts its members
 *                                             --fork--> members: open the keeper's descriptor, join, record into its arena
 *
 * What each finds wrong is in its exit code: the line.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "emit.h"
#include "share.h"
#include "statements.h"

enum { CHUNKS = 5, PAGE = 65536 };

#define MUST(condition)                                                                                                                              \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            fprintf(stderr, "line %d: " #condition "\n", __LINE__);                                                                                  \
            _exit(1);                                                                                                                                \
        }                                                                                                                                            \
    } while (0)

static struct shared {
    pid_t keeper;
    int fd;
    char as_file[64];
    uint64_t uid; /* of a member's slot */
} * shared;

static int status_of(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

/* Each part in a process of its own, which has used nothing yet. */
static int in_another_process(void (*part)(void))
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        part();
        _exit(0);
    }
    return status_of(child);
}

static int opened(void)
{
    int fd = open(shared->as_file, O_RDWR | O_CLOEXEC);
    MUST(fd >= 0);
    return fd;
}

/* ---- Members ---- */

static void join_and_record(void)
{
    int fd = opened();
    MUST(ttap__share_join(fd) == 0);
    MUST(fcntl(fd, F_GETFD) >= 0); /* it is left alone */
    MUST(ttap__share_role == TTAP__SHARE_MEMBER && ttap__clock_kind != 0 && ttap__share_chunks() == CHUNKS);
    MUST(ttap__attach());
    MUST(ttap__arena_here()->slot[ttap__tls->slot_index].pid == getpid());
    shared->uid = ttap__tls->slot->uid;
    MUST(ttap__share_join(fd) == -EBUSY && ttap__share_role == TTAP__SHARE_MEMBER);
    pid_t child = fork();
    if (child == 0) {
        ttap__share_after_fork();
        MUST(ttap__tls == &ttap__no_record && ttap__attach() && ttap__tls->slot->pid == getpid());
        _exit(0);
    }
    MUST(status_of(child) == 0);
}

static void join_twice_as_the_same_process(void)
{
    ttap__share_join(opened());
    ttap__share_after_fork();
}

static void see_the_gate_of_all(void)
{
    int fd = opened();
    MUST(!TTAP_ENABLED(TTAP_GROUP_LOG));
    MUST(ttap__share_join(fd) == 0);
    MUST(TTAP_ENABLED(TTAP_GROUP_LOG) && !TTAP_ENABLED(TTAP_GROUP_COUNTER));
}

static void refuse_what_is_something_else(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), small = memfd_create("small", MFD_CLOEXEC), zeros = memfd_create("zeros", MFD_CLOEXEC);
    MUST(ttap__share_join(-1) == -EINVAL && ttap__share_join(fd) == -EINVAL);
    MUST(ftruncate(small, 2 * PAGE) == 0 && ttap__share_join(small) == -EINVAL);
    MUST(ftruncate(zeros, 64 << 20) == 0 && ttap__share_join(zeros) == -EINVAL);
    MUST(!ttap__arena_here() && ttap__share_role == TTAP__SHARE_NONE);
}

/* The keeper's file with one word of the card changed, for as long as it is looked at: magic, bytes of the arena, bytes of the chunks. */
static void refuse_another_version(void)
{
    int fd = opened();
    uint64_t *card = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    MUST(card != MAP_FAILED);
    for (int word = 0; word < 3; word++) {
        card[word]++;
        int got = ttap__share_join(fd);
        card[word]--;
        MUST(got == -EINVAL && !ttap__arena_here() && ttap__share_role == TTAP__SHARE_NONE);
    }
    MUST(ttap__share_join(fd) == 0);
}

static void refuse_who_has_recorded(void)
{
    MUST(ttap__arena() && ttap__attach());
    MUST(ttap__share_join(opened()) == -EBUSY && ttap__share_role == TTAP__SHARE_NONE);
}

/* ---- The keeper ---- */

static void forget_members(void)
{
    uint32_t at = 0;
    for (int32_t pid; (pid = ttap__share_next_member(&at));)
        ttap__share_forget_member(pid);
}

static unsigned members(void)
{
    uint32_t at = 0;
    unsigned count = 0;
    while (ttap__share_next_member(&at))
        count++;
    return count;
}

static void create(void)
{
    MUST(ttap__share_role == TTAP__SHARE_NONE);
    shared->keeper = getpid();
    shared->fd = ttap__share_create(CHUNKS);
    MUST(shared->fd >= 0 && fcntl(shared->fd, F_GETFD) == FD_CLOEXEC);
    MUST(ttap__share_role == TTAP__SHARE_KEEPER && ttap__share_chunks() == CHUNKS && ttap__clock_kind != 0);
    MUST(members() == 0 && ttap__share_program() == 0);
    MUST(!ttap__attach()); /* it records nothing */
    snprintf(shared->as_file, sizeof(shared->as_file), "/proc/%d/fd/%d", getpid(), shared->fd);
}

/* A fresh process is asked of the first one, which has used nothing. */
static int ask[2], told[2];

static void let(char part)
{
    char right = 0;
    MUST(write(ask[1], &part, 1) == 1 && read(told[0], &right, 1) == 1);
    MUST(right == 'y');
}

static void keep(void)
{
    create();
    let('j');
    MUST(ttap__arena_here()->slots_made == 2); /* of the member, and of its child */
    MUST(ttap__arena_here()->next_uid >= shared->uid && members() == 2);
    uint32_t at = 0;
    int32_t first = ttap__share_next_member(&at);
    MUST(at == 1 && ttap__share_program() == first); /* the first one, unless told */
    MUST(ttap__share_next_member(&at) != first);
    ttap__share_forget_member(first);
    MUST(members() == 1 && ttap__share_program() == first);
    ttap__share_name_program(4711);
    MUST(ttap__share_program() == 4711);
    forget_members();
    MUST(members() == 0);
    let('2');
    MUST(members() == 1 && ttap__share_program() == 4711);
    let('x');
    let('v');
    let('r');
    MUST(members() == 2); /* the one that found it right in the end */
    __atomic_store_n(&ttap_gate, UINT64_C(1) << TTAP__GATE_EPOCH_SHIFT | TTAP_GROUP_LOG, __ATOMIC_SEQ_CST);
    let('g');
}

static void (*part_of(char asked))(void)
{
    switch (asked) {
    case 'j':
        return join_and_record;
    case '2':
        return join_twice_as_the_same_process;
    case 'x':
        return refuse_what_is_something_else;
    case 'v':
        return refuse_another_version;
    case 'r':
        return refuse_who_has_recorded;
    default:
        return see_the_gate_of_all;
    }
}

static void one_arena_is_made_joined_and_left_alone_by_what_is_not_of_it(void)
{
    char asked;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(shared != MAP_FAILED && pipe(ask) == 0 && pipe(told) == 0);
    pid_t keeper = fork();
    if (keeper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ask[0]);
        keep();
        _exit(0);
    }
    close(ask[1]);
    while (read(ask[0], &asked, 1) == 1) {
        int status = in_another_process(part_of(asked));
        CU_ASSERT(write(told[1], status ? "n" : "y", 1) == 1);
    }
    CU_ASSERT_EQUAL(status_of(keeper), 0);
}

static CU_TestInfo statements[] = {
    {"one arena is made, joined, and left alone by what is not of it", one_arena_is_made_joined_and_left_alone_by_what_is_not_of_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
