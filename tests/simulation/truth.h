/* truth.h - what really happened, written down by those who did it, and held against each capture's bytes.
 *
 *   emission   one annotation call of one thread: what, when it began and returned, what the gate said before and after
 *   window     one capture: when it was asked for, when it could be used, when it was told to end, the bytes that came
 *
 *          open_call   open_ret                        end_from        end_to
 *   ----------|====edge====|============ in ==============|====edge====|------------       An emission that is surely in must be in the
 *                                                                                          account; one at an edge may be.
 */
#ifndef TTAP_SIMULATION_TRUTH_H
#define TTAP_SIMULATION_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"
#include "tracetap/tracetap.h"

/* ---- Sampling rules that captures ask for ---- */
#define TASK_KINDS 3 /* named "k0", "k1", ... */
struct rule {
    const char *text;
    double otherwise, kind[TASK_KINDS]; /* below 0: as otherwise */
};
extern const struct rule truth_rules[];
extern const unsigned truth_rules_count;

/* ---- Emissions ---- */
#define NESTING_MAX 3 /* normal course, handler, handler inside a handler */

struct emission {
    uint64_t from_ns, to_ns; /* to_ns UINT64_MAX: it has not returned */
    uint64_t gate_before, gate_after;
    uint64_t task; /* of task events */
    uint32_t draw;
    int8_t root; /* kind of the task tree that sampling looks at; -1: no task */
    uint8_t kind, nesting;
    bool entering; /* in the middle of entering or leaving a task: which one counts is open */
    int32_t tid;
    uint64_t seq;     /* + 1, once a capture told it */
    unsigned seen_in; /* window number + 1 */
};

/* Begin and end of an emission by the running fiber. @task: whose sampling counts; NULL none. Returns its number, which is its payload too. */
uint32_t truth_begins(unsigned kind, const struct ttap_task *task);
void truth_ends(uint32_t number);
struct emission *truth_emission(uint32_t number);
/* Number of the next counter value of the running fiber, and the name to set it by. */
struct ttap_name *truth_tile(uint32_t emission, int64_t *value);
uint64_t truth_emissions(void);
/* Which kind of task has that name: for what is drawn by truth_rules. */
extern struct ttap_name truth_task_kinds[TASK_KINDS];

/* ---- Windows ---- */
struct window {
    unsigned number;
    uint64_t groups, duration_ns, max_bytes;
    const struct rule *rule; /* NULL: the process-wide one, told by the header */
    uint64_t open_call_ns, open_ret_ns;
    uint64_t told_ns;          /* when somebody began to tell it to end; UINT64_MAX */
    int teller;                /* who that was */
    uint64_t teller_frozen_ns; /* until it had done so it was kept from running for so long; UINT64_MAX: it has not returned */
    uint64_t over_ns;          /* when it was surely over for a capture that was not read to its end */
    bool opened, keep;
    bool whole; /* read to its end */
    bool ready; /* its ready() was called */
    unsigned char *bytes;
    size_t len, room;
    uint64_t kept_id;
    /* Set by the check. */
    uint64_t end_from_ns, end_to_ns;
    unsigned reason;
};

struct window *truth_window(void);
/* The options were refused, or no memory: as if it had never been. */
void truth_not_opened(struct window *w);
void truth_bytes(struct window *w, const void *bytes, size_t len);
void truth_shutdown_called(void);
void truth_shutdown_returned(void); /* by the same fiber */
unsigned truth_windows(void);

struct truth_figures {
    uint64_t captures, whole, events, lost, sampled_out, at_edges, bytes, identified;
    uint64_t reasons[8];
};
extern struct truth_figures truth_figures;
extern bool truth_print_digests;
extern const char *truth_save_folder; /* each capture becomes a file there; NULL */
/* Everything against everything. Ends the process where it does not fit. Returns a digest of all bytes. */
uint64_t truth_check(void);

#endif
