/* arena.h - what emitters and the drainer share, and what stays private to a thread.
 *
 *   private, wiped in forked children             shared, offsets and indices only, no pointers
 *   +----------------+      +---------------------------------------------------------------------------+
 *   | record (T)     |      | control | slot (T): busy, published, counters | name table | chunks ...   |
 *   |  stream[0] ----+----> |                stream[0], stream[1]                         8 KiB each     |
 *   |  stream[1]     |      +---------------------------------------------------------------------------+
 *   +----------------+
 *
 * Each thread has two streams: 0 for its normal course, 1 for signal handlers that interrupt stream 0 in the middle of an event.
 * One writer a stream (the thread), one reader (the drainer).
 *
 * Invariants
 *   - busy says where on the stack the event is being written: deeper is a handler inside it, higher up is somebody who left it by longjmp.
 *   - Records are wiped in forked children, perhaps while a handler that forked stands inside an event. So what an event dereferences it has
 *     read once, before busy was set; what it reads from the record later may be 0 and must do no harm then.
 *   - A cell is visible to the drainer once `published` says so (release; the drainer's load is its acquire).
 *   - Gate and busy are a Dekker pair: an emitter stores busy, then loads the gate; who closes the gate stores it, then loads busy. So after
 *     the gate is closed and busy was seen 0, no cell is written until it opens again. Each side needs a full barrier in between: the
 *     closing side has it, and while ttap__light_busy is set it makes the kernel put one into every running thread as well
 *     (membarrier), so that the fast path does without.
 *   - A chunk belongs to exactly one of: the free list, one stream, the full list, the drainer.
 *   - An epoch change sends every emitter once through ttap__refresh(), which is where it learns about new sessions and sampling.
 */
#ifndef TTAP_EMIT_ARENA_H
#define TTAP_EMIT_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracetap/tracetap.h"
#include "limits.h"

/* Every word that two threads touch is accessed through these, so that ThreadSanitizer and the reader see the ordering. */
#define ttap__load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ttap__store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ttap__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ttap__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define ttap__likely(x) __builtin_expect(!!(x), 1)
#define ttap__unlikely(x) __builtin_expect(!!(x), 0)

#define TTAP__GATE_GROUPS UINT64_C(0xffffffff)
#define TTAP__GATE_EPOCH_SHIFT 32

/* ---- Chunks ---- */
struct ttap__chunk {
    uint32_t next;           /* index + 1 of the next in its list; 0 ends it */
    uint32_t slot;           /* whose events */
    uint32_t level;          /* 0 or 1 */
    uint32_t serial;         /* 1, 2, 3, ... within the stream and session */
    uint32_t used;           /* cells, once full */
    uint32_t session;        /* in which it was taken */
    uint64_t uid;            /* the thread's number */
    uint64_t base_ticks;     /* 64-bit time at which it was taken; cells carry the low 56 bits */
    uint64_t lost_before;    /* the stream's lost_full when it was taken */
    uint64_t task[5];        /* the thread's current task then: id, parent, draw << 32 | kind, root kind, start */
    uint64_t sampled_before; /* the stream's sampled_out then */
    uint64_t sampled_until;  /* and when it was handed over */
    uint32_t depth;          /* regions that were open when the chunk before this one ended and still are */
    uint32_t unused_[5];
    uint64_t cells[TTAP__CHUNK_CELLS * 2];
};
_Static_assert(sizeof(struct ttap__chunk) == TTAP__CHUNK_BYTES, "a chunk's head and cells fill it");

/* published: chunk index + 1 | serial | handed over | cells used. 0: the stream has no chunk. Handed over: the chunk is on the full list, or
 * was; it is not this stream's to give back. That lasts only while there is no other chunk to take. */
#define TTAP__PUB_USED_BITS 10
#define TTAP__PUB_SERIAL_BITS 30
#define TTAP__PUB_HANDED_OVER UINT64_C(512)
#define TTAP__PUB_USED(p) ((uint32_t)((p) & (TTAP__PUB_HANDED_OVER - 1)))
_Static_assert(TTAP__CHUNK_CELLS < TTAP__PUB_HANDED_OVER, "the flag is above the largest count");
#define TTAP__PUB_SERIAL(p) ((uint32_t)((p) >> TTAP__PUB_USED_BITS) & ((1u << TTAP__PUB_SERIAL_BITS) - 1))
#define TTAP__PUB_CHUNK(p) ((uint32_t)((p) >> (TTAP__PUB_USED_BITS + TTAP__PUB_SERIAL_BITS)))
#define TTAP__PUB(chunk, serial) ((uint64_t)(chunk) << (TTAP__PUB_USED_BITS + TTAP__PUB_SERIAL_BITS) | (uint64_t)(serial) << TTAP__PUB_USED_BITS)

/* ---- Slots: the shared half of a thread ---- */
enum ttap__slot_state { TTAP__SLOT_FREE, TTAP__SLOT_LIVE, TTAP__SLOT_ENDED };

struct ttap__slot_stream {
    uint64_t published;   /* written by the owner; by the drainer only to 0, gate closed and busy 0 */
    uint64_t busy;        /* the owner's stack pointer while it is between testing the gate and publishing, else 0 */
    uint32_t dirty;       /* the session it was used in; the drainer has to look */
    uint64_t lost_full;   /* owner only, rising, for the slot's life */
    uint64_t lost_nested; /* stream 1: a second handler found it busy */
    uint64_t sampled_out; /* owner only */
};

/* It takes a jump out of the few instructions that hand a chunk over to make one, and the drainer's next tick takes it. */
#define TTAP__ORPHANS_MAX 4

#define TTAP__TASK_WORDS (sizeof(struct ttap_task) / 8)
_Static_assert(sizeof(struct ttap_task) == 56, "a task is whole words");

/* What the drainer has taken note of; written by the drainer alone. */
struct ttap__slot_drained {
    uint64_t uid;                                 /* whose events next_seq counts */
    uint64_t next_seq;                            /* of the stream's next event, since the thread began */
    uint64_t lost_full, lost_nested, sampled_out; /* of the owner's counters */
    uint64_t last_ticks;                          /* of the last event, or the session's start */
    uint32_t serial;                              /* the last chunk that is done */
    uint32_t used;                                /* cells that are done of the one after it */
    uint32_t gap;                                 /* lost_full rose since that chunk: the next one's head tells how things stand */
};

struct ttap__slot {
    struct ttap__slot_stream stream[2];
    struct ttap__slot_drained drained[2];
    uint32_t state; /* enum ttap__slot_state */
    uint32_t next;  /* in the free or ended list */
    uint64_t uid;   /* never reused; 0 while free */
    int32_t pid, tid;
    uint32_t name_version;            /* odd while the owner writes name */
    uint64_t call;                    /* the hooked call its thread is in (enum ttap__op of trace/hooks); 0: none, or no hooks */
    uint64_t call_object, call_frame; /* on what; and on which stack frame the note was made */
    uint64_t call_start;              /* ticks; 0 if nobody recorded when it was made */
    uint64_t untimed_told;            /* calls made while nobody recorded, of which an event tells */
    uint64_t late_call;               /* the last that was timed and returned behind the gate: its epoch, and in the lower half the call */
    uint64_t late_object, late_start;
    uint64_t alloc_calls, alloc_bytes, alloc_frees; /* by the owner's hooks, while somebody wants to know */
    int64_t alloc_left;               /* bytes until the next sample of an allocation; that and the two below are trace/hooks/alloc.c's */
    uint64_t alloc_every, alloc_seed; /* for which mean alloc_left was drawn, 0: not yet; the state of what draws */
    uint64_t task[TTAP__TASK_WORDS];  /* struct ttap_task of the current task. Word 0, its id, is 0 while the others change */
    char name[TTAP__THREAD_NAME_BYTES];
    char comm[16]; /* members only: the kernel's name when it attached, for after it is gone */
    /* By level: published, of full chunks of which their owner cannot know whether they are listed, see mend() in emit.c. 0: free. */
    uint64_t orphan[2][TTAP__ORPHANS_MAX];
} __attribute__((aligned(64)));

/* ---- Records: the private half ---- */

/* The fast path may be used: the kernel can put the barriers in, and the clock is a counter. 0 until the first session, and for ever where
 * membarrier is not to be had; then every event takes the general course, with a barrier of its own. */
extern uint32_t ttap__light_busy;

struct ttap__stream {
    struct ttap__slot_stream *shared; /* NULL in the record of a thread that has none, and in forked children */
    uint64_t *cell;                   /* where the next event goes */
    uint64_t *end;
    uint64_t publish;   /* the value to store into shared->published, for everything written so far */
    uint64_t epoch;     /* high half of the gate when ttap__refresh() last ran */
    uint32_t depth;     /* open regions */
    uint32_t low_depth; /* to which regions ended that no cell told of: they were lost, or of a task that nobody keeps */
#define TTAP__LOW_DEPTH_NONE UINT32_MAX
    uint32_t told_depth; /* regions that were open when a task that nobody keeps was entered; else UINT32_MAX */
    uint32_t serial;     /* of the chunk at hand */
    uint32_t session;
    uint32_t level;
    uint64_t nested_marked; /* stream 1: how much of lost_nested the cells already tell */
    uint64_t task_marked;   /* the task that the cells tell is current, or: */
#define TTAP__TASK_MARKED_NONE UINT64_MAX
    uint32_t marks; /* look for something to tell before the next event: always in stream 1, see ttap__emission_mark() */
};

struct ttap__record {
    /* stream[0].shared while an event may take the fast path of emit.h, else NULL; and the gate that stream 0 saw last, else 0. In the cache
     * line of what the fast path uses of stream 0. */
    struct ttap__slot_stream *fast;
    uint64_t fast_gate;
    struct ttap__stream stream[2];
    struct ttap__slot *slot;
    uint64_t next_task_id;
    uint32_t slot_index;
    uint32_t muted;       /* the current task is kept by nobody */
    uint64_t seen_gate;   /* as stream 0 saw it last */
    uint64_t enter_epoch; /* when a task was entered last while somebody listened */
    uint32_t exit_rounds;
    uint32_t nested;   /* events met inside others, for was_left() */
    uint64_t entering; /* the stack pointer while another task becomes the current one and its event is not written yet, else 0 */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct ttap__record, stream[0].depth) + sizeof(uint32_t) <= 64, "one cache line for an event");

/* To be called where either of what it depends on may have changed. */
static inline void ttap__fast_choose(struct ttap__record *rec)
{
    rec->fast = rec->muted || rec->stream[0].marks || !ttap__load(&ttap__light_busy) ? NULL : rec->stream[0].shared;
    rec->fast_gate = rec->fast ? rec->seen_gate : 0; /* also for who has read fast before a handler came here: a closed gate is never the one */
}

/* Where on its stack this thread is. */
static inline uint64_t ttap__stack_here(void)
{
    uint64_t here;
#if defined(__x86_64__)
    __asm__("movq %%rsp, %0" : "=r"(here));
#else
    __asm__("mov %0, sp" : "=r"(here));
#endif
    return here;
}

/* A task as words. Copies go word by word, in one size: a vector load behind two narrow stores waits for both to reach the
 * cache, and begin, enter, leave, end copy the same task within nanoseconds (measured: 47 ns mixed, 15 ns in words). */
typedef uint64_t __attribute__((may_alias)) ttap__task_word;

static inline void ttap__task_copy(void *to, const void *from)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < TTAP__TASK_WORDS; i++)
        ttap__store_release((ttap__task_word *)to + i, ttap__load_acquire((const ttap__task_word *)from + i));
}

/* The current task, out of the slot. For its owner; the drainer looks at word 0 again afterwards, see write_current_task(). */
static inline struct ttap_task ttap__slot_task(const struct ttap__slot *slot)
{
    struct ttap_task task;
    ttap__task_copy(&task, slot->task);
    return task;
}

/* ---- Sampling, as emitters see it: what at least one subscriber keeps ---- */
struct ttap__keep_rule {
    uint32_t kind;  /* name id of a root task's kind */
    uint64_t below; /* kept when draw < below */
};
struct ttap__keep {
    uint64_t otherwise;
    uint32_t rules;
    struct ttap__keep_rule rule[TTAP__SAMPLING_KINDS_MAX * 4];
};
#define TTAP__KEEP_ALL UINT64_C(0xffffffff)
#define TTAP__DRAW_NEVER UINT32_C(0xffffffff) /* kept by nobody: its kind was over the limit when the root began */

/* Limits of the whole process: how far apart root tasks of a kind have to be, on average, to be kept. 0: no limit. */
struct ttap__limit_rule {
    uint32_t kind;
    uint64_t interval_ticks;
};
struct ttap__limits {
    uint64_t otherwise_ticks; /* of each kind without a rule, by itself */
    uint64_t second_ticks;
    uint32_t any;
    uint32_t rules;
    struct ttap__limit_rule rule[TTAP__SAMPLING_KINDS_MAX];
};

/* ---- Names ---- */
struct ttap__name_entry {
    uint32_t offset;
    uint32_t len_plus_1; /* stored last (release): 0 means not ready */
    uint32_t hash;
};

/* ---- The arena ---- */
struct ttap__arena {
    uint32_t session;            /* rises by one when the first listener comes */
    uint32_t clean_epoch;        /* epoch since when the region group was never off */
    uint64_t free_chunks;        /* tag << 32 | index + 1 */
    uint64_t full_chunks;        /* same */
    uint32_t chunks_made;        /* chunks [0, chunks_made) have been handed out at least once */
    uint32_t chunks_limit;       /* from the budget */
    uint64_t drainer_ticks;      /* when the drainer last ticked */
    uint64_t lease_ticks;        /* how old that may be */
    uint64_t lease_expired;      /* how often it was older */
    uint64_t lease_over_ticks;   /* when an emitter found it so last; told before the gate is closed, and so perhaps a bit too early */
    uint64_t sample_period_ns;   /* of CPU time; 0: nobody wants samples */
    uint64_t long_wait_ticks;    /* a hooked call that takes as long is told with its stack, while somebody wants samples */
    uint64_t alloc_sample_bytes; /* of what threads allocate, the bytes from one sample to the next in the mean; 0: nobody wants any */
    uint64_t ms_ticks;           /* in a millisecond, for processes that have not measured the clock */
    uint64_t free_slots;         /* tag << 32 | index + 1 */
    uint64_t ended_slots;
    uint32_t slots_made;
    uint32_t next_queue_id;
    uint64_t next_uid;
    uint64_t lost_norecord; /* events of threads without a record */
    uint64_t trace_seed[2]; /* for W3C ids */
    uint32_t names_made;    /* ids 1 .. names_made */
    uint32_t name_text_used;
    uint64_t names_full;
    uint32_t keep_index; /* which of keep[] is in force */
    struct ttap__keep keep[2];
    uint32_t limits_index; /* which of limits[] is in force */
    struct ttap__limits limits[2];
    uint64_t limit_due_ticks[TTAP_NAMES_MAX + 2]; /* by kind: when its next root task would be due if they came evenly, see buckets.c */
    uint32_t name_hash[TTAP__NAME_HASH_SLOTS];
    struct ttap__name_entry name[TTAP_NAMES_MAX + 2];
    char name_text[TTAP__NAME_TEXT_BYTES];
    struct ttap__slot slot[TTAP__THREADS_MAX];
};

extern struct ttap__arena *ttap__arena_base; /* NULL until first needed; set once, see ttap__arena() */
extern struct ttap__chunk *ttap__chunks;     /* chunks_limit of them */

/* This thread's record. Initial-exec: no lazy allocation at the first touch in a signal handler. Never NULL: points to
 * ttap__no_record, all zero, until the thread attaches, so that the fast path needs one test for "none" and "wiped". */
extern __thread struct ttap__record *ttap__tls __attribute__((tls_model("initial-exec")));
extern struct ttap__record ttap__no_record;

/* Nothing this thread does is recorded: it is the tracer's own, or past its last breath. */
extern __thread uint32_t ttap__tls_silent __attribute__((tls_model("initial-exec")));

/* For who knows that it is there, or asks whether it is. Not a plain load: of two threads that map it at once the second fails to swap, and
 * that counts as a write for ThreadSanitizer, which others then read beside. */
static inline struct ttap__arena *ttap__arena_here(void)
{
    return ttap__load(&ttap__arena_base);
}

/* Slots [0, this) have been handed out at least once. What lies in a shared arena may be written over by any of its members, and is to harm the
 * keeper in nothing but what it tells: so numbers are taken from there no larger than they can be. */
static inline uint32_t ttap__slots_made(const struct ttap__arena *arena)
{
    uint32_t made = ttap__load_acquire(&arena->slots_made);
    return made < TTAP__THREADS_MAX ? made : TTAP__THREADS_MAX;
}

/* Map the arena if need be. NULL: no memory. Signal-safe, any number of threads at once. */
struct ttap__arena *ttap__arena(void);

/* The calling thread is the tracer's own; capture.h has the same for other rooms, and for libtracetap-http: hence visible. */
__attribute__((visibility("default"))) void ttap__thread_is_own(void);
bool ttap__tid_is_own(int tid);

/* The private half: a record for each possible thread. False: no memory. */
bool ttap__records_map(void);
void ttap__arena_init(struct ttap__arena *arena);

/* Give the calling thread a record. False: it is silent, forked without us noticing, or the table is full. Signal-safe. */
bool ttap__attach(void);

/* An event of a thread that can have no record is lost. Not those of our own threads, which have none to record, and of a raw clone's
 * child. Apart from ttap__attach(), which is tried more than once for some events. */
void ttap__count_without_record(void);

struct ttap__emission;
/* The slow half of opening an emission: the epoch changed. Called with busy set. */
void ttap__refresh(struct ttap__emission *e, uint64_t gate);

/* Make room: hand the full chunk over and take a fresh one. False: none left (counted lost_full). Called with busy set. */
bool ttap__take_chunk(struct ttap__emission *e);

void ttap__chunk_release(uint32_t index);

/* The chunk of a stream that stood at @published and is over: to the free list, unless it was handed over. */
void ttap__chunk_give_back(uint64_t published);

/* All full chunks, oldest first, linked by next; 0 if none. Indices from @there on are none. Drainer only. */
uint32_t ttap__full_chunks_take(uint32_t there);

/* Slots of threads that ended, linked by next, newest first; 0 if none. Drainer only. */
uint32_t ttap__ended_slots_take(void);
void ttap__slot_release(uint32_t index);
void ttap__slots_end_of(int32_t pid);
/* Threads of this process that ended unnoticed. For the drainer. */
void ttap__slots_end_of_gone_threads(void);
/* This process records here, not one that shares its memory for a while. */
void ttap__owner_is_this_process(void);
/* Nor does any thread of it. */
void ttap__owner_is_nobody(void);

/* Would a task with this draw be recorded for anybody? */
bool ttap__kept_by_any(uint32_t draw, uint32_t root_kind);
bool ttap__keep_matches(const struct ttap__keep *keep, uint32_t draw, uint32_t root_kind);

/* May another root task of this kind be kept, by the limits in force? Takes its token. Signal-safe. */
bool ttap__limit_allows(uint32_t kind, uint64_t now_ticks);
/* Put new limits in force. One caller at a time. */
void ttap__limits_apply(const struct ttap__limits *limits);

/* Number of a name; TTAP_NAMES_MAX + 1, "(names full)", when there is no room. */
uint32_t ttap__name_intern(const char *text, size_t len_bytes);

/* The child of fork(): forget everything that belongs to the parent. */
void ttap__emit_after_fork(void);

#endif
