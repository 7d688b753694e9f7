/* recording.h - record into memory, check the bytes with the validator, look at what arrived.
 *
 *      struct recording r;
 *      recording_start(&r, NULL);              all groups, until stopped
 *      ... annotations ...
 *      CU_ASSERT(recording_stop(&r));          exact by the validator; else it prints which rule was broken
 *      CU_ASSERT(recording_count(&r, TTAP__INSTANT, "lamp") == 1);
 *      recording_free(&r);
 */
#ifndef TTAP_TEST_RECORDING_H
#define TTAP_TEST_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"
#include "tracetap/tracetap.h"
#include "validator.h"

/* One delivered event. Fields are numbered as in events.def. */
struct recorded_event {
    uint64_t thread, seq, ticks;
    unsigned level, kind; /* enum ttap__kind */
    uint64_t a[8];
    const char *name; /* of its first name field; "" for id 0 and for kinds without a name */
    const char *text; /* of its text field, not NUL-terminated; NULL without */
    size_t text_len;
    uint64_t task;         /* current on its stream, 0 for none */
    uint32_t run;          /* which EVENTS block, from 0 */
    uint64_t head_regions; /* open at the start of that block */
};

struct recorded_thread {
    uint64_t thread, pid, tid;
    char name[64];
};

struct recorded_loss {
    uint64_t thread, first_seq, lost, filtered;
    unsigned level, reason;
};

struct recorded_account {
    uint64_t thread, start_seq, end_seq, delivered, filtered, sampled_out;
    uint64_t lost[TTAP__LOSS_REASONS + 1];
    unsigned level;
};

struct recorded_task {
    uint64_t task, parent, start_ticks, thread;
    const char *kind;
};

struct recording {
    struct ttap_capture *capture;
    unsigned char *bytes;
    size_t len, room;
    struct validation check;
    bool checked;
    int verdict; /* of validate_capture() */
    int result;  /* of ttap_capture_stop() */
    struct recorded_event *events;
    size_t events_count, events_room;
    struct recorded_thread *threads;
    size_t threads_count;
    struct recorded_loss *losses;
    size_t losses_count;
    struct recorded_account *accounts;
    size_t accounts_count;
    struct recorded_task *tasks; /* rows of TASKS blocks */
    size_t tasks_count;
    char **names; /* by id */
    size_t names_room;
    size_t name_rows;                                                        /* also repeated ones */
    uint64_t lost[TTAP__LOSS_REASONS + 1], sampled_out, filtered, delivered; /* of the trailer */
    uint64_t reason, start_ticks, end_ticks, start_mono_ns, end_mono_ns, duration_ns, pid;
    uint32_t runs;
};

/** NULL: everything, until stopped. 0 or what ttap_capture_start() returned. */
int recording_start(struct recording *r, const struct ttap_capture_opts *opts);
/** End its window; the bytes are looked at later, by recording_stop(), when the threads that recorded are out of the way. */
void recording_end(struct recording *r);
/** Stop, if need be, and look at it. True: the validator found it exact. */
bool recording_stop(struct recording *r);
/** Bytes from elsewhere, copied. True: exact. */
bool recording_of_bytes(struct recording *r, const void *bytes, size_t len);
void recording_free(struct recording *r);

/** Events of a kind (0: any) and a name (NULL: any). */
size_t recording_count(const struct recording *r, unsigned kind, const char *name);
/** The @nth of them (from 0) in the order of delivery, or NULL. */
const struct recorded_event *recording_find(const struct recording *r, unsigned kind, const char *name, size_t nth);
/** What was lost, for all reasons. */
uint64_t recording_lost(const struct recording *r);
const struct recorded_thread *recording_thread(const struct recording *r, uint64_t thread);

#endif
