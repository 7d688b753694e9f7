/* limits.h - every limit of the engine, once, with the reason of each number. */
#ifndef TTAP_LIMITS_H
#define TTAP_LIMITS_H

/* Memory. One budget for everything; the shares add up to it. Live chunks come first because a chunk that is missing loses
 * events for every subscriber, while a full queue or a full store only hurts its own. */
#define TTAP__BUDGET_DEFAULT_BYTES (64ull << 20)
#define TTAP__BUDGET_MIN_BYTES (1ull << 20)
#define TTAP__BUDGET_MAX_BYTES (16ull << 30)
#define TTAP__SHARE_CHUNKS_PERCENT                                                                                                                   \
    34 /* 22 MiB of 64: 0.25 s of 5 M events/s while the drainer is not scheduled. The rest, 10 MiB, is room for two conversions,
                                        * 1 MiB of rings and 1,000 threads of the scheduler's source */
#define TTAP__SHARE_QUEUES_PERCENT 25 /* packed bytes that clients have not taken yet */
#define TTAP__SHARE_KEPT_PERCENT 25   /* finished captures, any format later */

/* A chunk: big enough that taking one is rare (every 500 cells), small enough that 1,000 threads hold 8 MiB, not all of the
 * budget; 4 KiB made a region pair 1.05 to 1.09 x the floor, 8 KiB and more 1.01 to 1.04. */
#define TTAP__CHUNK_BYTES 8192u
#define TTAP__CHUNK_HEAD_BYTES 128u
#define TTAP__CHUNK_CELLS ((TTAP__CHUNK_BYTES - TTAP__CHUNK_HEAD_BYTES) / 16u)

/* Threads with a record at the same time. 16,384 is a large service's thread count; the table is virtual until used. */
#define TTAP__THREADS_MAX 16384u
#define TTAP__THREAD_NAME_BYTES 64u

/* Names: TTAP_NAMES_MAX distinct ones; text is 64 bytes each on average; the hash table is half full at most. */
#define TTAP__NAME_TEXT_BYTES (4u << 20)
#define TTAP__NAME_HASH_SLOTS (2u * 65536u)
/* Names that threads were in the middle of making when the drainer came by; of more than these the oldest is never told. */
#define TTAP__NAMES_SKIPPED_MAX 64u

/* Open regions the packer remembers per thread, for the heads of chunks; deeper ones are recorded but not listed there. */
#define TTAP__REGION_STACK 64u

/* Sampling rules: kinds with a rate of their own. The emit path scans them, so they stay few. */
#define TTAP__SAMPLING_KINDS_MAX 64u
/* Kept root tasks a second and kind: a million is beyond what one process begins. */
#define TTAP__SAMPLING_PER_SECOND_MAX 1000000u
#define TTAP__SUBS_MAX 16u
#define TTAP__CAPTURES_MAX_DEFAULT 4u

/* The drainer looks each 5 ms whether much has come, and drains it: at 5 M events/s that is 0.5 MB of cells, which is still in the second-level
 * cache then. Little it leaves for up to 100 ms. Each drain wakes a reader and what serves it, and takes a CPU from the traced program where
 * none is free: of a saturated redis-server the 99th percentile is 1.12 to 1.14 x at 50 ms, 1.05 to 1.09 x at 100, no less at 200. A graph of
 * what arrives is still alive at 10 a second. */
#define TTAP__TICK_MS 5u
#define TTAP__LONG_TICK_MS 100u
/* Much: 2 MiB of cells; as many threads ended as sources' tables of them can stand several times. */
#define TTAP__MUCH_CHUNKS 256u
#define TTAP__MUCH_ENDED 16u
/* A reader that has taken everything hears at once of so much of the budget, a 64th of what queues may have (256 KiB: a saturated server with
 * 4 MB/s is told at each drain), and of less as late as a drain may be. */
#define TTAP__TELL_SHARE 256u
/* From here on a wait is long enough that it matters where it was, unless the capture says otherwise: taking its stack costs 10 to 20 us. */
#define TTAP__LONG_WAIT_US 1000u
/* Without a tick for this long the gate closes itself, so that a stuck drainer costs the host nothing. */
#define TTAP__LEASE_MS 3000u
/* Stop waits this long for emitters that were preempted in the middle of an event (worst seen without the bound: 76 ms). */
#define TTAP__STOP_WAIT_US 5000u
/* Memory goes back this long after the last listener left. */
#define TTAP__LINGER_MS 1000u

/* Windows of the public API: below a microsecond nothing can be recorded, above ten minutes it is not "on demand". */
#define TTAP__DURATION_MIN_NS 1000ull
#define TTAP__DURATION_MAX_NS 600000000000ull

/* Queue segments: 64 KiB is what one write to a socket takes, and little waste for a capture that stays small. */
#define TTAP__SEGMENT_BYTES 65536u
/* Beyond a queue's limit, for blocks that tell what is missing: names, threads and losses of a few hundred threads. */
#define TTAP__QUEUE_RESERVE_BYTES (256u << 10)
#define TTAP__KEPT_MAX 64u

#endif
