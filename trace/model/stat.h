/* stat.h - what is in a capture, in figures. What `tracetap stat` prints.
 *
 *      new -> feed, feed, ... -> finish -> read the result -> free
 *
 * Bounded memory: grows with the number of threads and kinds in the capture, not with its length.
 */
#ifndef TTAP_MODEL_STAT_H
#define TTAP_MODEL_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"
#include "states.h"

#define TTAP__STAT_TEXT_BYTES 64      /* names in the result are cut to this, NUL included; any bytes, not always UTF-8 */
#define TTAP__STAT_SENTENCE_BYTES 256 /* room for a sentence about what is wrong */

/** One row per kind of the capture's own kind table, in the order of that table. */
struct ttap__stat_kind {
    char name[TTAP__STAT_TEXT_BYTES];
    uint64_t delivered; /* events of this kind in the capture */
    uint8_t number;
};

/** One row per thread, in order of appearance; both levels together. thread 0: threads that could get no record of their own. */
struct ttap__stat_thread {
    uint64_t thread, pid, tid;
    char name[TTAP__STAT_TEXT_BYTES];
    uint64_t delivered, signal_delivered;  /* events; of these, recorded by signal handlers (level 1) */
    uint64_t filtered;                     /* not asked for */
    uint64_t lost[TTAP__LOSS_REASONS + 1]; /* by enum ttap__loss; [0] is the sum */
    uint64_t sampled_out;                  /* known once the thread's account was read */
    bool has_states;                       /* the scheduler's source told of it: these add up to the window */
    uint64_t state_ns[TTAP__STATES];       /* by enum ttap__state */
    uint64_t estimated_ns;                 /* of these, known in sum but not where */
    struct ttap__states *states;           /* stat.c's own */
};

struct ttap__stat_note {
    char key[TTAP__STAT_TEXT_BYTES];
    char value[TTAP__STAT_SENTENCE_BYTES];
};

struct ttap__stat_result {
    /* From the header. has_header false: not a capture, or cut before its header was whole; see problem. */
    bool has_header;
    uint16_t major, minor;
    unsigned clock; /* enum ttap__clock_kind */
    uint64_t ticks_per_second, start_unix_ns, asked_ns /* 0: until stopped */, groups, pid, cpus, budget_bytes;
    char exe[TTAP__STAT_SENTENCE_BYTES], sample[TTAP__STAT_SENTENCE_BYTES], producer[TTAP__STAT_TEXT_BYTES];
    const struct ttap__stat_note *notes;
    size_t notes_count;

    const struct ttap__stat_kind *kinds;
    size_t kinds_count;
    const struct ttap__stat_thread *threads;
    size_t threads_count;
    uint64_t threads_untold; /* threads beyond what memory allows (about 10,000): in the sums, but without a row */

    /* Totals. offered = emitted + sampled_out; emitted = delivered + filtered + lost[0].
     * From the blocks themselves; the trailer's figures are only compared with them (identity). */
    uint64_t offered, sampled_out, emitted, delivered, filtered;
    uint64_t lost[TTAP__LOSS_REASONS + 1]; /* by enum ttap__loss; [0] is the sum */

    bool truncated;                           /* no trailer: cut or damaged, and all counts are lower bounds */
    unsigned reason;                          /* the trailer's; 0 when there is none */
    const char *reason_name;                  /* "window" "bytes" "stopped" "client" "lease" "shutdown"; "cut" when there is none; "unknown" */
    bool exact;                               /* identity is "exact" */
    char identity[TTAP__STAT_SENTENCE_BYTES]; /* "exact", or a sentence that says what does not add up */
    char problem[TTAP__STAT_SENTENCE_BYTES];  /* "", or where and why reading stopped: "block 7 at byte 812: ..." */

    uint64_t window_ns;      /* length of the window; to the last event when truncated */
    uint64_t blocks, bytes;  /* whole blocks and their bytes, preamble included */
    double bytes_per_event;  /* bytes / delivered; 0 without events */
    uint64_t drainer_cpu_ns; /* from the trailer */
};

struct ttap__stat;
/** NULL: no memory. */
struct ttap__stat *ttap__stat_new(void);
/** Any piece sizes. 0; -EBADMSG once the capture proves damaged or is none (feed no more, call finish); -ENOMEM. */
int ttap__stat_feed(struct ttap__stat *stat, const void *bytes, size_t len_bytes);
/** No more bytes come. Never NULL; belongs to @stat. Also after feed failed: what was read until then. */
const struct ttap__stat_result *ttap__stat_finish(struct ttap__stat *stat);
void ttap__stat_free(struct ttap__stat *stat);

#endif
