/* engine.h - the capture room's inside: one engine, one drainer thread, its subscribers.
 *
 *   callers (any thread)                     drainer thread
 *   sub_open  -> joining list  --------->    join: header, start of each stream's account, gate
 *   sub_stop  -> why set       --------->    end of the window: last drain, accounts, trailer
 *   sub_close -> waits for draining          drain: chunks -> packer -> each subscriber's queue
 *
 * Locks, in this order: engine.mutex, then a sub's mutex, then queue.c's own. The drainer holds engine.mutex only to look at the lists, and
 * never while it packs or calls ready(). What only the drainer touches needs no lock and says so.
 */
#ifndef TTAP_CAPTURE_ENGINE_H
#define TTAP_CAPTURE_ENGINE_H

#include <pthread.h>
#include <signal.h>

#include "arena.h"
#include "capture.h"
#include "clock.h"
#include "packer.h"
#include "queue.h"
#include "sampling.h"
#include "source.h"
#include "writer.h"

/* One stream as one subscriber sees it. Drainer only. */
struct ttap__account {
    uint64_t uid; /* 0: nothing yet */
    uint64_t start_seq, delivered, filtered, sampled_out;
    uint64_t lost[TTAP__LOSS_REASONS + 1];
    uint32_t name_version; /* of the THREADS row sent; 0: none */
    bool pending;          /* a loss that could not be told yet, because the queue is full */
    uint64_t pending_seq, pending_lost, pending_filtered, pending_from, pending_to;
};

struct ttap__accounts {
    struct ttap__account *row;
    uint32_t room;
};

struct ttap__sums {
    uint64_t rows, events, delivered, filtered, sampled_out;
    uint64_t lost[TTAP__LOSS_REASONS + 1];
};

enum sub_phase { SUB_JOINING, SUB_RECORDING, SUB_DRAINING };

#define TTAP__SOURCE_LEVELS (TTAP__LEVEL_MAX + 1 - TTAP__LEVEL_SCHED)

/* Sources tell of a thread at most some ticks behind its slot: as many as may end meanwhile. */
#define TTAP__NAMED 64u

struct ttap__sub {
    struct ttap__sub *next;
    struct ttap__sub_opts opts;
    struct ttap__sampling sampling;
    struct ttap__view view;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under mutex. */
    struct ttap__queue queue;
    enum sub_phase phase;
    enum ttap__end why; /* set by sub_stop, or by the drainer */
    bool waiting;       /* the reader saw 0: tell it */
    uint64_t tell_ns;   /* not before, where little has come */
    struct ttap__sub_info shown;
    bool cut; /* there was no memory for the last accounts, or for the trailer */
    int join_error;
    bool joined;   /* under engine.mutex: the window is open, or join_error says why not */
    bool released; /* under engine.mutex: the drainer will not touch it again */
    /* Drainer only. */
    bool begun;          /* what is drained is for it */
    bool over;           /* its window ends in this tick */
    bool full;           /* max_bytes was reached: the window of every stream ends where it is now */
    unsigned view_index; /* subscribers that ask for the same share one packing */
    struct ttap__clock_pair start;
    uint64_t end_mono_ns;
    uint64_t next_clock_ns, clock_step_ns;
    uint64_t drainer_cpu_start_ns;
    uint32_t names_sent; /* all up to this one, but for: */
    uint32_t names_skipped;
    uint32_t name_skipped[TTAP__NAMES_SKIPPED_MAX]; /* reserved, not filled in when their turn came */
    bool names_full_sent;
    uint32_t modules_sent, mapped_sent, stacks_sent; /* all up to this one */
    uint64_t blocks;
    uint64_t named[TTAP__NAMED]; /* the last threads whose slots are over and told their names */
    uint32_t named_at;
    struct ttap__accounts accounts;                             /* [slot * 2 + level] */
    struct ttap__accounts source_accounts[TTAP__SOURCE_LEVELS]; /* of each level [index in the source's table] */
    struct ttap__account merged;                                /* threads without a record, and rows that did not fit */
    struct ttap__sums sums;
};

/* How long a window of this age can wait for what little has come: a young one's reader wants to see that it has begun. */
static inline uint64_t ttap__patience_ns(uint64_t age_ns)
{
    const uint64_t least = TTAP__TICK_MS * 1000000u, most = TTAP__LONG_TICK_MS * 1000000u;
    return age_ns < 2 * least ? least : age_ns > 2 * most ? most : age_ns / 2;
}

/* ---- sub.c: what the drainer does to one subscriber ---- */

/* Identity of a stream, for the functions below. */
struct ttap__stream_id {
    uint32_t slot, level;
    uint64_t uid;
};

/* The groups that a window with these options has. */
uint64_t ttap__sub_groups(const struct ttap__sub_opts *opts);
int ttap__sub_new(const struct ttap__sub_opts *opts, struct ttap__pool *pool, struct ttap__sub **out);
void ttap__sub_free(struct ttap__sub *sub);
/* False: no memory for the header. */
bool ttap__sub_begin(struct ttap__sub *sub, uint64_t drainer_cpu_ns);
void ttap__sub_events(struct ttap__sub *sub, struct ttap__stream_id id, uint64_t first_seq, const struct ttap__run *run);
void ttap__sub_lost(struct ttap__sub *sub, struct ttap__stream_id id, enum ttap__loss why, uint64_t first_seq, uint64_t lost, uint64_t from_ticks,
                    uint64_t to_ticks);
/* It has been told something of this stream. */
bool ttap__sub_knows(struct ttap__sub *sub, struct ttap__stream_id id);
void ttap__sub_sampled_out(struct ttap__sub *sub, struct ttap__stream_id id, uint64_t next_seq, uint64_t events);
void ttap__sub_stream_over(struct ttap__sub *sub, struct ttap__stream_id id);
void ttap__sub_clock(struct ttap__sub *sub, uint64_t now_ns);
/* Close the account, queue the trailer, leave the window. */
void ttap__sub_finish(struct ttap__sub *sub, uint64_t drainer_cpu_ns);
/* What calls threads are in that nobody timed; when a window has begun, and again before the gate is closed. */
void ttap__untimed_calls_note(void);
void ttap__untimed_calls_look(void);
/* The thread of this slot has ended: the call that it was in will not return. Before its stream is over. */
void ttap__sub_last_call(struct ttap__sub *sub, uint32_t slot);
bool ttap__current_task_of(const struct ttap__slot *slot, struct ttap_task *task);
/* Tell the reader, if it waits and there is something worth a wake. */
void ttap__sub_notify(struct ttap__sub *sub, uint64_t now_ns);

/* ---- budget.c ---- */
extern struct ttap__pool ttap__pool_queues, ttap__pool_kept, ttap__pool_other;
uint32_t ttap__budget_chunks(void);
bool ttap__pool_has_room(const struct ttap__queue *queue, uint64_t cost, uint64_t reserve);

/* ---- guard.c ---- */
/* A thread of ours: every signal is blocked on it, so that no handler of the host ever runs there. 0 or -EAGAIN. */
int ttap__thread_spawn(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg);
/* Around write(2) on behalf of a caller, whom SIGPIPE and SIGXFSZ must not reach. 0 or -EAGAIN. */
struct ttap__write_guard {
    sigset_t before, pending;
};
int ttap__write_guard_enter(struct ttap__write_guard *guard);
void ttap__write_guard_leave(const struct ttap__write_guard *guard, int error);
/* A thread that is cancelled while it waits in here would keep our lock for ever. */
int ttap__cancel_off(void);
void ttap__cancel_as(int state);

/* ---- kept.c ---- */
/* Make room in the kept pool by dropping the oldest finished, unpinned capture. False: there is none. */
bool ttap__kept_evict_one(void);
void ttap__kept_after_fork(void);

/* ---- drainer.c ---- */
int ttap__engine_join(struct ttap__sub *sub);  /* returns when the window is open */
void ttap__engine_part(struct ttap__sub *sub); /* returns when the drainer has let go of it */
void ttap__engine_poke(void);                  /* something to look at: a stop */
void ttap__engine_status(struct ttap_status *status);
void ttap__engine_after_fork(void);
bool ttap__engine_idle(void);
bool ttap__engine_running(void); /* there is a drainer */
uint64_t ttap__thread_cpu_ns(void);

#endif
