/* stops.h - threads that a collector stopped before anything else was told of them.
 *
 * Their row may come up to 100 ms later: what is known by its kernel id waits here for it. Bounded: a thread that never gets a row is not
 * worth more, and what does not fit was never about a lane. */
#ifndef TTAP_MODEL_STOPS_H
#define TTAP_MODEL_STOPS_H

#include <stdbool.h>
#include <stdint.h>

#define TTAP__STOPS_WAITING_MAX 1024u /* as many young threads times collections in 100 ms */

struct ttap__stop {
    uint64_t pid, tid;
    uint32_t by; /* the lane that tells of it */
    int64_t begin_ns, end_ns;
    bool begun, ended;
};

struct ttap__stops {
    uint32_t count;
    struct ttap__stop waiting[TTAP__STOPS_WAITING_MAX];
};

void ttap__stops_begin(struct ttap__stops *stops, uint64_t pid, uint64_t tid, uint32_t by, int64_t ns);
void ttap__stops_end(struct ttap__stops *stops, uint64_t pid, uint64_t tid, uint32_t by, int64_t ns);
/** The earliest of the thread, which is then no longer here. False: none. */
bool ttap__stops_take(struct ttap__stops *stops, uint64_t pid, uint64_t tid, struct ttap__stop *out);

#endif
