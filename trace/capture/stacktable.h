/* stacktable.h - stacks of raw addresses in, numbers out: each stack is kept once, as (module, offset in its file).
 *
 *   process --/proc/PID/maps--> executable mappings ----> modules: numbered, shared by processes that map them alike
 *   addresses of one stack ---> frames: module << 48 | file offset, or 0 << 48 | address ----> hash --> stack number
 *
 * /proc and not dl_iterate_phdr(): it holds no lock of the loader, which a slow constructor may have for seconds, and it works for the
 * members of a shared arena too. Drainer only. Bounded by the budget and by the limits below; what is beyond them is stack 0.
 */
#ifndef TTAP_CAPTURE_STACKTABLE_H
#define TTAP_CAPTURE_STACKTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Different stacks of one session. A service that does one thing at a time has hundreds, a large one some thousands. */
#define TTAP__STACKS_MAX 16384u
#define TTAP__STACK_FRAMES_TOTAL_MAX (512u << 10) /* 4 MiB */
#define TTAP__MODULES_MAX 4096u
#define TTAP__MAPPED_MAX 16384u

#define TTAP__FRAME_MODULE(frame) ((uint32_t)((frame) >> 48))
#define TTAP__FRAME_OFFSET(frame) ((frame) & ((UINT64_C(1) << 48) - 1))

struct ttap__module {
    uint64_t start, end, offset; /* an executable mapping, as first seen */
    char *path;                  /* "[vdso]"; "" for memory without a file */
    uint8_t build_id[32];
    uint8_t build_id_bytes;
};

struct ttap__stack_entry {
    uint32_t first, hash, next;
    uint16_t count;
    bool cut;
};

/* A process has a module mapped. */
struct ttap__mapped {
    uint32_t pid, module;
};

/* The number of a stack; from 1 on, in order. @pc: addresses, innermost first. */
uint32_t ttap__stack_number(int pid, const uint64_t *pc, unsigned count, bool cut);
uint32_t ttap__stacks_made(void);
const struct ttap__stack_entry *ttap__stack_at(uint32_t number, const uint64_t **frames);
uint32_t ttap__modules_made(void);
const struct ttap__module *ttap__module_at(uint32_t number);
/* Look what a process has mapped, if that was not done lately. @again: in any case, it may be another program by now. */
void ttap__modules_look(int pid, bool again);
uint32_t ttap__mapped_made(void);
struct ttap__mapped ttap__mapped_at(uint32_t number);
/* Samples whose stack had no room. */
uint64_t ttap__stacks_untold(void);
/* The session is over. */
void ttap__stacks_forget(void);
/* The child of fork(): the drainer may have been in the middle of it. */
void ttap__stacks_after_fork(void);

#endif
