/* test_share.c - one arena for several processes: who made it, who joined it, and what is not joined.
 *
 *   this process: uses nothing of the library --fork--> keeper: creates, counts its members
 *                                             --fork--> members: open the keeper's descriptor, join, record into its arena
 *
 * What each finds wrong is said with its line. share.c is compiled in here, so that its system calls can be looked at and fail.
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
#include "statements.h"
#include "sys.h"

enum { CHUNKS = 5, PAGE = 65536 };

#define MUST(condition)                                                                                                                              \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            fprintf(stderr, "line %d: " #condition "\n", __LINE__);                                                                                  \
            _exit(1);                                                                                                                                \
        }                                                                                                                                            \
    } while (0)

/* ---- Its system calls ---- */

static struct {
    long number, answer; /* this one fails so; 0: none */
    int nth;             /* of its uses */
} fails;

static bool is_complete(long number, const long *arg)
{
    static const struct {
        long number;
        int args;
    } known[] = {{SYS_mmap, 6}, {SYS_memfd_create, 2}, {SYS_ftruncate, 2}, {SYS_close, 1}, {SYS_membarrier, 1}, {SYS_lseek, 3}, {SYS_newfstatat, 4}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].number == number) {
            for (int at = known[i].args; at < 6; at++)
                if (arg[at])
                    return false;
            return true;
        }
    return false;
}

static long looked_at(long number, long a, long b, long c, long d, long e, long f)
{
    MUST(is_complete(number, (long[]){a, b, c, d, e, f}));
    MUST(number != SYS_lseek || (b == 0 && c == SEEK_END));
    if (number == fails.number && --fails.nth == 0)
        return fails.answer;
    return ttap__syscall6(number, a, b, c, d, e, f);
}

static void fail(long number, int nth, long answer)
{
    fails.number = number;
    fails.nth = nth;
    fails.answer = answer;
}

#define ttap__syscall6 looked_at
#include "share.c"
#undef ttap__syscall6

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
#if !defined(__SANITIZE_THREAD__)
    MUST(ttap__light_busy == (card->global_barrier && ttap__ticks_are_counter()));
#endif
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
    MUST(ttap__share_join(opened()) == 0 && ttap__attach());
    const struct ttap__slot *before = ttap__tls->slot;
    ttap__thread_is_own();
    ttap__share_after_fork(); /* as after an exec: what it had is over */
    MUST(before->state == TTAP__SLOT_ENDED && ttap__attach());
    ttap__light_busy = 1;
    fail(SYS_membarrier, 1, -EPERM);
    become_member();
    MUST(!ttap__light_busy);
    card->global_barrier = 0;
    ttap__light_busy = 1;
    fail(0, 0, 0);
    become_member();
    MUST(!ttap__light_busy);
}

/* Barriers in other processes: by a bit of what the kernel says it can, and if it lets us. */
static void know_what_the_kernel_can(void)
{
    const struct {
        long answer;
        bool can;
    } kernels[] = {{-ENOSYS, false}, {0, false}, {MEMBARRIER_CMD_GLOBAL, false}, {MEMBARRIER_CMD_GLOBAL_EXPEDITED, true}};
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        fail(SYS_membarrier, 1, kernels[i].answer);
        MUST(kernel_has_global_barriers() == kernels[i].can);
    }
#if !defined(__SANITIZE_THREAD__)
    fail(SYS_membarrier, 1, 0);
    MUST(register_for_barriers());
#endif
    fail(SYS_membarrier, 1, -EPERM);
    MUST(!register_for_barriers());
}

static int mappings(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    MUST(maps);
    while (fgets(line, sizeof(line), maps))
        count += strstr(line, "memfd:tracetap") != NULL;
    fclose(maps);
    return count;
}

/* The errors that a kernel may answer reach down to -4095. */
static void join_when_there_is_memory(void)
{
    int fd = opened();
    for (int nth = 1; nth <= 4; nth++) {
        fail(SYS_mmap, nth, -4095);
        MUST(ttap__share_join(fd) == (nth == 1 ? -EINVAL : -ENOMEM));
        MUST(mappings() == 0 && !ttap__arena_here() && ttap__share_role == TTAP__SHARE_NONE);
    }
    MUST(ttap__share_join(fd) == 0 && mappings() > 0);
}

static void create_when_all_is_there(void)
{
    const struct {
        long number;
        int nth, answer;
    } calls[] = {{SYS_memfd_create, 1, -EMFILE}, {SYS_ftruncate, 1, -EFBIG}, {SYS_mmap, 1, -ENOMEM}, {SYS_mmap, 2, -ENOMEM}, {SYS_mmap, 3, -ENOMEM}};
    int next = dup(0);
    close(next);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fail(calls[i].number, calls[i].nth, calls[i].answer);
        MUST(ttap__share_create(CHUNKS) == calls[i].answer && ttap__share_role == TTAP__SHARE_NONE && !ttap__arena_here());
        MUST(fcntl(next, F_GETFD) < 0);
    }
    MUST(ttap__share_create(CHUNKS) == next);
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
    uint64_t *its = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    MUST(its != MAP_FAILED);
    for (int word = 0; word < 3; word++) {
        its[word]++;
        int got = ttap__share_join(fd);
        its[word]--;
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
    for (const char *part = "xrkcvm"; *part; part++)
        let(*part);
    MUST(members() == 3); /* those that found it right in the end, too */
    uint32_t last = TTAP__MEMBERS_MAX;
    *(volatile int32_t *)(card + 1) = 4711; /* what lies behind the table is no member */
    MUST(ttap__share_next_member(&last) == 0);
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
    case 'k':
        return know_what_the_kernel_can;
    case 'c':
        return create_when_all_is_there;
    case 'm':
        return join_when_there_is_memory;
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
