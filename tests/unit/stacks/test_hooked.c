/* test_hooked.c - what hooks do for samples, with a handler or a fork in between: trace/hooks/samples.c and alloc.c as they are, but that the allocators
 * they define have other names, and a stack of an allocation is told to us, who are then the handler that came just there. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "recording.h"
#include "stacks.h"
#include "statements.h"

#define malloc hooked_malloc
#define calloc hooked_calloc
#define realloc hooked_realloc
#define free hooked_free
#define posix_memalign hooked_posix_memalign
#define aligned_alloc hooked_aligned_alloc
#define memalign hooked_memalign
#define valloc hooked_valloc
#define pvalloc hooked_pvalloc
#define hooked_aligned_alloc_function aligned_alloc_function
#define hooked_aligned_alloc_entry aligned_alloc_entry
#define hooked_memalign_function memalign_function
#define hooked_memalign_entry memalign_entry
#define hooked_valloc_function valloc_function
#define hooked_valloc_entry valloc_entry
#define hooked_pvalloc_function pvalloc_function
#define hooked_pvalloc_entry pvalloc_entry
#define ttap__stack_of_alloc tell_us
static void tell_us(uint64_t bytes, uint64_t weight, const void *caller);
#include "alloc.c"
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef posix_memalign
#undef aligned_alloc
#undef memalign
#undef valloc
#undef pvalloc
#undef ttap__stack_of_alloc
#include "samples.c"

/* What trace/hooks/call.c has. */
struct ttap__fd_state ttap__fd_states[TTAP__FDS];

void *ttap__real_find(struct ttap__real *real)
{
    (void)real;
    return NULL;
}

struct ttap__slot *ttap__call_slot(void)
{
    return NULL;
}

static struct {
    unsigned stacks;
    uint64_t largest_weight, all_weights;
    void (*handler)(void); /* once, while a stack is taken */
} told;

static void tell_us(uint64_t bytes, uint64_t weight, const void *caller)
{
    void (*handler)(void) = told.handler;
    told.stacks++;
    told.all_weights += weight;
    told.largest_weight = weight > told.largest_weight ? weight : told.largest_weight;
    told.handler = NULL;
    if (handler)
        handler();
    ttap__stack_of_alloc(bytes, weight, caller);
}

enum { EACH = 100, COARSE = 1 << 16, FINE = 1 << 14 };

static void allocate(unsigned times)
{
    static char anything;
    for (unsigned i = 0; i < times; i++)
        sampled(&anything, EACH, __builtin_return_address(0));
}

static void begin(struct recording *r, uint32_t every)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.groups = TTAP_GROUPS_ALL & ~(TTAP_GROUP_SCHED | TTAP_GROUP_SAMPLE);
    opts.alloc_sample_bytes = every;
    CU_ASSERT_FATAL(recording_start(r, &opts) == 0);
    ttap__attach();
    memset(&told, 0, sizeof(told));
}

/* ---- Allocations ---- */

static uint64_t distance(void)
{
    return ttap__load(&ttap__arena_here()->alloc_sample_bytes);
}

static void of_two_captures_the_finer_one_counts_as_long_as_it_lasts(void)
{
    struct recording coarse, fine, without;
    begin(&coarse, COARSE);
    CU_ASSERT_EQUAL(distance(), COARSE);
    begin(&without, 0);
    CU_ASSERT_EQUAL(distance(), COARSE);
    begin(&fine, FINE);
    CU_ASSERT_EQUAL(distance(), FINE);
    allocate(100000);
    unsigned with_both = told.stacks;
    CU_ASSERT(with_both > 0);
    CU_ASSERT(recording_stop(&fine));
    CU_ASSERT_EQUAL(distance(), COARSE);
    allocate(100000);
    CU_ASSERT(told.stacks > with_both && told.stacks - with_both < with_both);
    CU_ASSERT(recording_stop(&coarse));
    CU_ASSERT_EQUAL(distance(), 0);
    unsigned of_all = told.stacks;
    allocate(100000);
    CU_ASSERT_EQUAL(told.stacks, of_all);
    CU_ASSERT(recording_stop(&without));
    CU_ASSERT_EQUAL(recording_count(&fine, TTAP__ALLOC_SAMPLE, NULL), with_both);
    CU_ASSERT_EQUAL(recording_count(&coarse, TTAP__ALLOC_SAMPLE, NULL), of_all);
    CU_ASSERT_EQUAL(recording_count(&without, TTAP__ALLOC_SAMPLE, NULL), 0);
    recording_free(&fine);
    recording_free(&coarse);
    recording_free(&without);
}

static void ask_for_more(void)
{
    ttap__store(&ttap__arena_here()->alloc_sample_bytes, FINE);
    allocate(1);
}

/* The handler draws anew, and what was put aside while the stack was taken is not taken off once more. */
static void a_handler_that_is_the_first_at_another_distance_spoils_no_weight(void)
{
    struct recording r;
    begin(&r, COARSE);
    for (int i = 0; i < 50; i++) {
        ttap__store(&ttap__arena_here()->alloc_sample_bytes, COARSE);
        told.handler = ask_for_more;
        allocate(10000);
    }
    CU_ASSERT(told.stacks > 50);
    CU_ASSERT(told.largest_weight < COARSE + 2 * EACH);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
}

static void an_allocation_that_failed_is_told_by_nobody(void)
{
    struct recording r;
    begin(&r, 1024);
    errno = ENOMEM;
    for (int i = 0; i < 100; i++)
        CU_ASSERT_PTR_NULL(sampled(NULL, SIZE_MAX, NULL));
    CU_ASSERT(errno == ENOMEM && told.stacks == 0);
    CU_ASSERT(recording_stop(&r));
    recording_free(&r);
}

/* ---- Timers ---- */

static void want_timers(void)
{
    ttap__arena();
    ttap__attach();
    ttap__store(&ttap__arena_here()->ms_ticks, 1000000);
    ttap__store(&ttap__arena_here()->sample_period_ns, 10000000);
    next_scan_ticks = 0;
    ttap__samples_wanted();
}

/* Another thread was making timers as this one forked. */
static void a_child_of_fork_makes_timers_whoever_was_making_some(void)
{
    int status = -1;
    working = getpid();
    want_timers();
    CU_ASSERT_EQUAL(live, 0); /* the other one does */
    pid_t child = fork();
    if (child == 0) {
        want_timers();
        _exit(!(live == 1 && !working));
    }
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    working = 0;
    ttap__store(&ttap__arena_here()->sample_period_ns, 0);
}

/* ---- Descriptors ---- */

static void a_descriptor_beyond_the_table_is_none_that_is_in_it(void)
{
    CU_ASSERT_EQUAL(ttap__fd_object(TTAP__FDS - 1), TTAP__FDS - 1);
    CU_ASSERT_EQUAL(ttap__fd_object(TTAP__FDS), (UINT64_C(1) << 48) + (UINT64_C(65536) << 16));
    CU_ASSERT_EQUAL(ttap__fd_object(-1), (UINT64_C(1) << 48) + (UINT64_C(0xffffffff) << 16));
}

static CU_TestInfo statements[] = {
    {"of two captures the finer one counts, as long as it lasts", of_two_captures_the_finer_one_counts_as_long_as_it_lasts},
    {"a handler that is the first at another distance spoils no weight", a_handler_that_is_the_first_at_another_distance_spoils_no_weight},
    {"an allocation that failed is told by nobody", an_allocation_that_failed_is_told_by_nobody},
    {"a child of fork makes timers, whoever was making some", a_child_of_fork_makes_timers_whoever_was_making_some},
    {"a descriptor beyond the table is none that is in it", a_descriptor_beyond_the_table_is_none_that_is_in_it},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
