/* capture.h - windows: who listens, to what, for how long. What handlers and the public API build on.
 *
 *      opening ----> recording ----> draining ----> ended            A subscriber is a window plus a bounded queue of
 *        |  (joined)      (window over)   (trailer queued)           wire bytes. The drainer thread fills the queue and
 *        `-- sub_open waits for "joined"                             never waits for it; one reader empties it.
 *
 * Invariants: the window ends on time whatever the reader does; a full queue makes only its own subscriber lose, counted;
 * the trailer always fits. Every byte is charged to the one budget.
 */
#ifndef TTAP_CAPTURE_CAPTURE_H
#define TTAP_CAPTURE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracetap/tracetap.h"

/* Visible outside libtracetap, for libtracetap-http alone: they are listed in the private part of trace/tracetap.map, whose
 * version is the exact release, so that libraries of two releases do not load together. */
#pragma GCC visibility push(default)

/* Numbers of the TRAILER's reason, docs/format.md. */
enum ttap__end { TTAP__END_NONE, TTAP__END_WINDOW, TTAP__END_BYTES, TTAP__END_STOPPED, TTAP__END_CLIENT, TTAP__END_LEASE, TTAP__END_SHUTDOWN };

enum ttap__sub_state {
    TTAP__SUB_RECORDING, /* the window is open; more bytes will come */
    TTAP__SUB_DRAINING,  /* the window is over, all bytes incl. the trailer are queued */
    TTAP__SUB_ENDED      /* everything was read, or the queue was dropped: read() returns 0 from now on */
};

struct ttap__sub; /* one subscriber */

struct ttap__sub_opts {
    uint64_t duration_ns; /* 0: until stopped */
    uint64_t groups;      /* TTAP_GROUP_* */
    uint64_t max_bytes;   /* window ends early after this many bytes were queued; 0: no limit */
    const char *sample;   /* sampling rule, or NULL for the process-wide one */
    bool keep;            /* a kept capture: bytes stay, ttap__sub_peek() reads them any number of times, ttap__sub_read() not allowed */
    /* Called on the drainer thread, no lock held, when a reader that saw 0 has something to read that is worth a wake (limits.h), or at the end.
     * May be NULL. Must not call back into this file except sub_stop. */
    void (*ready)(void *arg);
    void *arg;
    uint32_t samples_hz;         /* stacks of running threads, so often in a second of CPU time, and of long waits; 0: none, whatever groups says */
    uint32_t long_wait_us;       /* which waits those are: from so long on; 0: from TTAP__LONG_WAIT_US */
    uint32_t alloc_sample_bytes; /* stacks of allocations, one in so many bytes in the mean; 0: none, whatever groups says */
};
#define TTAP__SAMPLES_HZ_MAX 1000u /* a kernel's tick takes at most as many */
#define TTAP__LONG_WAIT_US_MAX 1000000u
/* At least: below that a stack of 10 us for every few allocations is all that a thread would do. At most: no thread may ever come to more. */
#define TTAP__ALLOC_SAMPLE_BYTES_MIN (1u << 10)
#define TTAP__ALLOC_SAMPLE_BYTES_MAX (1u << 30)
#define TTAP__SUB_OPTS_INIT                                                                                                                          \
    {                                                                                                                                                \
        0, TTAP_GROUPS_ALL, 0, NULL, false, NULL, NULL, 0, 0, 0                                                                                      \
    }

/** Open a window. Starts the drainer if nobody listened. On return the window is open: events emitted after the call are in it.
 *  0, or -EINVAL (options), -EBUSY (ttap__captures_max() reached), -ENOMEM, -EAGAIN (no thread), -ENOSPC (keep: the pool is full of pinned captures).
 *  -EBUSY does not block; else about a millisecond. Any thread but the drainer's. */
int ttap__sub_open(const struct ttap__sub_opts *opts, struct ttap__sub **out);

/** Take up to @max bytes off the queue. Never blocks. 0 means nothing now: look at ttap__sub_state(). One reader at a time. */
size_t ttap__sub_read(struct ttap__sub *sub, void *buf, size_t max);

/** Copy up to @max bytes at @offset of a kept capture. Never blocks; any number of readers. 0 when offset is at what has arrived so far. */
size_t ttap__sub_peek(struct ttap__sub *sub, uint64_t offset, void *buf, size_t max);

enum ttap__sub_state ttap__sub_state(struct ttap__sub *sub);

/** Wait until the state leaves RECORDING or something can be read; @timeout_ms -1 for ever. Returns false on timeout. For readers without a ready callback.
 *  What is recorded can be read TTAP__TICK_MS later where much is, and TTAP__LONG_TICK_MS where little. */
bool ttap__sub_wait(struct ttap__sub *sub, int timeout_ms);

/** End the window now, for @why. Returns at once; the drainer finishes it within a few milliseconds (recording for this subscriber is off when its
 *  state has left RECORDING; if it was the last, the gate is closed by then). Idempotent; signal-unsafe; any thread, also from ready(). */
void ttap__sub_stop(struct ttap__sub *sub, enum ttap__end why);

/** Figures for progress bars and lists. */
struct ttap__sub_info {
    enum ttap__sub_state state;
    enum ttap__end why; /* NONE while recording */
    uint64_t started_unix_ns, duration_ns /* asked for */, elapsed_ns /* of the window */;
    uint64_t groups;
    uint64_t bytes; /* queued so far, read or not */
    uint64_t events, delivered, filtered, lost, sampled_out;
    uint64_t queued_bytes; /* not yet read */
};
void ttap__sub_info(struct ttap__sub *sub, struct ttap__sub_info *out);

/** Stop if needed and free, dropping what was not read. Waits for the drainer to let go (<= 20 ms). Not from ready(). */
void ttap__sub_close(struct ttap__sub *sub);

/** How many windows may be open or draining at once (default 4; 1 to 16). Kept captures count only while they record. */
unsigned ttap__captures_max(void);
int ttap__captures_max_set(unsigned n);

/* ---- Kept captures: capture once, any format later ----
 * They live in the budget's kept quarter: when a new one needs room the oldest unpinned finished one goes. */
struct ttap__kept;
struct ttap__kept_info {
    uint64_t id;
    struct ttap__sub_info sub;
    bool pinned;
};

/** Begin a kept capture: opts->keep is implied, opts->ready and arg may be set. 0 and *@id, or as ttap__sub_open(). */
int ttap__kept_start(const struct ttap__sub_opts *opts, uint64_t *id);
/** Copy the list, oldest first. Returns how many there are, also when more than @max. */
size_t ttap__kept_list(struct ttap__kept_info *out, size_t max);
/** Pin by id: it will not go away until ttap__kept_put(). NULL: no such capture. */
struct ttap__kept *ttap__kept_get(uint64_t id);
struct ttap__sub *ttap__kept_sub(struct ttap__kept *kept); /* for ttap__sub_peek, _info, _state, _stop */
void ttap__kept_put(struct ttap__kept *kept);
/** Delete; while pinned it disappears from lists at once and from memory at the last put. 0 or -ENOENT. */
int ttap__kept_delete(uint64_t id);

/* ---- The engine as a whole ---- */

/** Charge and release memory that others (conversions) use, against the one budget. False: not available. */
bool ttap__budget_take(uint64_t bytes);
void ttap__budget_give(uint64_t bytes);

/** Mark the calling thread as the tracer's own: nothing it does is recorded. For every thread the library starts. */
void ttap__thread_is_own(void);

/** Parse a sampling rule without applying it. 0, or -EINVAL with *@error_offset at the first wrong byte, -ENOSPC over 64 kinds. */
int ttap__sampling_check(const char *spec, size_t *error_offset);

/** What the @at-th source records, or would if somebody asked for its groups. @why and @enable (the line that would change it) may be
 *  ""; both have @size bytes. NULL behind the last one, else its name. Any thread; the first call may take some milliseconds. */
const char *ttap__source_status(unsigned at, bool *on, char *why, char *enable, size_t size);
/** Its tier, for a source that has several (docs/design/states.md); else -1. */
int ttap__source_tier(unsigned at);

/** The process that captures are about: this one, or the keeper's program. */
int ttap__traced_pid(void);
/** What it is called, cut to @size with its end (program.c). Its length; 0 where that cannot be known. */
size_t ttap__traced_name(char *out, size_t size);

/** Are libc's calls recorded? */
bool ttap__hooks_present(void);

/* ---- For `tracetap run`: record other processes (trace/emit/share.h) ---- */

/** Make this process the keeper of an arena that others join. Before any other call of the library. Returns the arena's descriptor, to be
 *  handed to them, close-on-exec; or a negative errno. */
int ttap__keeper_start(void);
/** Captures are about this process's program; else about the first that joined. Until it has executed another file than the keeper's it
 *  is called @name, which stays where it is. */
void ttap__keeper_program(int pid, const char *name);
/** Notice which members have ended; what they recorded is drained and closed at the drainer's next tick. Returns how many have not.
 *  For one thread at a time, about 10 us a member. */
unsigned ttap__keeper_members(void);

/** End all windows with TTAP__END_SHUTDOWN and wait until they are draining (<= 100 ms). For service stop. */
void ttap__captures_stop_all(void);

#pragma GCC visibility pop

#endif
