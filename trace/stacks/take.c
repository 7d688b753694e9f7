/* take.c - see stacks.h. */
#include "stacks.h"

#include <signal.h>
#include <ucontext.h>

#include "emit.h"
#include "sys.h"

#if defined(__GLIBC__)
#include <unwind.h>
#define HAS_UNWINDER 1
/* glibc 2.35: finds the object of an address without a lock. Weak: an older one has none. */
extern int _dl_find_object(void *address, void *result) __attribute__((weak));
#else
#define HAS_UNWINDER 0 /* musl: dl_iterate_phdr() takes the loader's lock */
#endif

/* What the kernel puts on an alternate stack (up to 3.5 KB with AVX-512), the handler and the unwinder; less is left to the host's handlers. */
#define ALTERNATE_STACK_MIN_BYTES 16384u

static uint32_t unwinds;

struct taking {
    uint64_t pc[TTAP__STACK_FRAMES_MAX];
    unsigned count;
    bool cut;
    bool begun;
    uint64_t from_pc; /* of a sample: where it was interrupted; of an allocation, where it returns to. 0: a call */
    uintptr_t above;  /* of a call: frames up to this one are left out */
};

static uint64_t interrupted_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[16 /* REG_RIP */];
#else
    return context->uc_mcontext.pc;
#endif
}

static void take_pc(struct taking *taking, uint64_t pc)
{
    if (taking->count < TTAP__STACK_FRAMES_MAX)
        taking->pc[taking->count++] = pc;
    else
        taking->cut = true;
}

#if HAS_UNWINDER
static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct taking *taking = arg;
    int exact = 0; /* not a return address: the frame was interrupted by a signal */
    uint64_t pc = _Unwind_GetIPInfo(context, &exact);
    if (!taking->begun)
        taking->begun = taking->from_pc ? pc == taking->from_pc : (uintptr_t)_Unwind_GetCFA(context) > taking->above;
    if (taking->begun && pc)
        take_pc(taking, exact ? pc : pc - 1);
    return taking->cut || !pc ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void unwind(struct taking *taking)
{
    if (ttap__load(&unwinds))
        _Unwind_Backtrace(on_frame, taking);
}

bool ttap__stacks_warm_up(void)
{
    struct taking taking = {.above = 1};
    _Unwind_Backtrace(on_frame, &taking);
    ttap__store(&unwinds, taking.count > 0 && _dl_find_object);
    return ttap__stacks_unwind();
}
#else
static void unwind(struct taking *taking)
{
    (void)taking;
}

bool ttap__stacks_warm_up(void)
{
    return false;
}
#endif

bool ttap__stacks_unwind(void)
{
    return ttap__load(&unwinds);
}

/* Of no task: a stack is recorded whether or not its task is kept. */
static void emit_words(unsigned kind, uint64_t arg, const uint64_t *words, unsigned count, bool cut)
{
    struct ttap__emission e;
    unsigned cells = (3 + count + 1) / 2;
    if (!ttap__emission_stream(&e) || !ttap__emission_start(&e, kind == TTAP__ALLOC_SAMPLE ? TTAP_GROUP_ALLOC_SAMPLE : TTAP_GROUP_SAMPLE))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, cells);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, arg);
    ttap__store(&cell[2], (uint64_t)(uint32_t)ttap__getpid() << 32 | (cut ? TTAP__STACK_CUT : 0) | count);
    for (unsigned i = 0; i < count; i++)
        ttap__store(&cell[3 + i], words[i]);
    if (count % 2 == 0)
        ttap__store(&cell[3 + count], 0);
    ttap__emission_publish(&e, cells);
}

static void emit_stack(unsigned kind, uint64_t arg, const struct taking *taking)
{
    emit_words(kind, arg, taking->pc, taking->count, taking->cut);
}

/* On an alternate stack too small for an unwinder beside what it is there for. */
static bool is_cramped(const stack_t *alternate)
{
    uintptr_t here = (uintptr_t)ttap__stack_here(), start = (uintptr_t)alternate->ss_sp;
    if (alternate->ss_flags & SS_DISABLE || here - start >= alternate->ss_size)
        return false;
    return here - start < ALTERNATE_STACK_MIN_BYTES / 2 || alternate->ss_size < ALTERNATE_STACK_MIN_BYTES;
}

void ttap__stack_sample(const void *context, uint64_t cpu_ns)
{
    struct taking taking;
    taking.count = 0;
    taking.cut = taking.begun = false;
    taking.from_pc = interrupted_pc(context);
    if (!is_cramped(&((const ucontext_t *)context)->uc_stack))
        unwind(&taking);
    if (!taking.count)
        take_pc(&taking, taking.from_pc);
    emit_stack(TTAP__SAMPLE, cpu_ns, &taking);
}

void ttap__stack_of_call(uint64_t start_ticks, const void *frame)
{
    struct taking taking;
    taking.count = 0;
    taking.cut = taking.begun = false;
    taking.from_pc = 0;
    taking.above = (uintptr_t)frame;
    unwind(&taking);
    if (taking.count)
        emit_stack(TTAP__CALL_STACK, start_ticks, &taking);
}

/* What it needs of the stack only where there is room for it. */
static __attribute__((noinline)) void stack_of_alloc(uint64_t bytes, uint64_t weight, uint64_t return_pc)
{
    struct taking taking;
    taking.pc[0] = weight;
    taking.count = 1;
    taking.cut = taking.begun = false;
    taking.from_pc = return_pc;
    unwind(&taking);
    if (taking.count == 1)
        take_pc(&taking, return_pc - 1);
    emit_stack(TTAP__ALLOC_SAMPLE, bytes, &taking);
}

void ttap__stack_of_alloc(uint64_t bytes, uint64_t weight, const void *caller)
{
    stack_t alternate = {.ss_flags = SS_DISABLE};
    uint64_t return_pc = (uintptr_t)caller, words[2] = {weight, return_pc - 1};
    ttap__syscall6(SYS_sigaltstack, 0, (long)&alternate, 0, 0, 0, 0);
    if (is_cramped(&alternate))
        emit_words(TTAP__ALLOC_SAMPLE, bytes, words, 2, false);
    else
        stack_of_alloc(bytes, weight, return_pc);
}
