/* stacks.h - where a thread is: its stack, taken by the thread itself, as an event.
 *
 *   SIGURG --> handler --> unwind from the interrupted instruction --> one event: sample
 *   a hooked call returns late --> unwind from the hook             --> one event: call_stack, just before the call's own
 *   so many bytes allocated    --> unwind from who called the hook  --> one event: alloc_sample
 *
 * Taking a stack is signal-safe: no lock, no allocation. What makes it so is that the unwinder finds unwind tables by _dl_find_object()
 * (glibc 2.35), which takes no loader lock, and that it is linked into this library, so that no lock of a shared one (JIT compilers register
 * frames there) is in the way. Where that is not so, ttap__stacks_unwind() is false, and a sample is the interrupted instruction alone.
 * Addresses are raw here; the drainer (capture/stacktable.h) turns them into module and offset.
 */
#ifndef TTAP_STACKS_STACKS_H
#define TTAP_STACKS_STACKS_H

#include <stdbool.h>
#include <stdint.h>

/* Deeper stacks are cut at their outer end. 96 x 8 bytes also fit on small alternate signal stacks. */
#define TTAP__STACK_FRAMES_MAX 96u
/* Of the third word of a stack's cells: pid << 32 | cut << 16 | frames (of alloc_sample the weight is the first of them). */
#define TTAP__STACK_CUT UINT64_C(0x10000)

/* Make the unwinder ready: what it does only once is done now. Not in a signal handler. True: stacks can be taken. */
bool ttap__stacks_warm_up(void);
/* As warm_up said last; false before. */
bool ttap__stacks_unwind(void);

/* An event of this thread: it ran for @cpu_ns, and is at what @context (ucontext_t) tells. For signal handlers. */
void ttap__stack_sample(const void *context, uint64_t cpu_ns);
/* An event: the stack of a hooked call that began at @start_ticks. @frame: that of the hook; what is above it is left out. */
void ttap__stack_of_call(uint64_t start_ticks, const void *frame);
/* An event: an allocation of @bytes that stands for @weight bytes. @caller: where the hook returns to; what is above it is left out. Where the
 * handler of a signal with little room allocates, or nothing can unwind, the caller is all there is. */
void ttap__stack_of_alloc(uint64_t bytes, uint64_t weight, const void *caller);

#endif
