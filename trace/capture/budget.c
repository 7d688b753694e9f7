/* budget.c - one budget, divided into shares that cannot starve each other.
 *
 *   live chunks 34 % | queues 25 % | kept captures 25 % | conversions, sources 16 %      of TRACETAP_BUDGET, default 64 MiB
 */
#include <errno.h>
#include <stdlib.h>

#include "engine.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t budget_bytes;

struct ttap__pool ttap__pool_queues, ttap__pool_kept, ttap__pool_other;

static void divide(uint64_t bytes)
{
    ttap__store(&budget_bytes, bytes);
    ttap__store(&ttap__pool_queues.limit_bytes, bytes * TTAP__SHARE_QUEUES_PERCENT / 100);
    ttap__store(&ttap__pool_kept.limit_bytes, bytes * TTAP__SHARE_KEPT_PERCENT / 100);
    ttap__store(&ttap__pool_other.limit_bytes,
                bytes * (100 - TTAP__SHARE_CHUNKS_PERCENT - TTAP__SHARE_QUEUES_PERCENT - TTAP__SHARE_KEPT_PERCENT) / 100);
}

/* "64M", "1G", "1048576". 0: not a size, or out of range. */
static uint64_t parse_size(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *text < '0' || *text > '9')
        return 0;
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if ((shift ? end[1] : end[0]) || value > TTAP__BUDGET_MAX_BYTES >> shift)
        return 0;
    value <<= shift;
    return value >= TTAP__BUDGET_MIN_BYTES ? value : 0;
}

static void read_environment(void)
{
    const char *text = secure_getenv("TRACETAP_BUDGET");
    int saved_errno = errno;
    uint64_t bytes = text ? parse_size(text) : 0;
    errno = saved_errno;
    divide(bytes ? bytes : TTAP__BUDGET_DEFAULT_BYTES);
}

uint64_t ttap__budget_bytes(void)
{
    pthread_once(&once, read_environment);
    return ttap__load(&budget_bytes);
}

uint32_t ttap__budget_chunks(void)
{
    return (uint32_t)(ttap__budget_bytes() * TTAP__SHARE_CHUNKS_PERCENT / 100 / TTAP__CHUNK_BYTES);
}

int ttap_budget_set(uint64_t bytes)
{
    if (bytes < TTAP__BUDGET_MIN_BYTES || bytes > TTAP__BUDGET_MAX_BYTES)
        return -EINVAL;
    pthread_once(&once, read_environment);
    if (!ttap__engine_idle())
        return -EBUSY;
    divide(bytes);
    return 0;
}

bool ttap__budget_take(uint64_t bytes)
{
    pthread_once(&once, read_environment);
    uint64_t used = __atomic_add_fetch(&ttap__pool_other.used_bytes, bytes, __ATOMIC_RELAXED);
    if (used <= ttap__load(&ttap__pool_other.limit_bytes))
        return true;
    ttap__budget_give(bytes);
    return false;
}

void ttap__budget_give(uint64_t bytes)
{
    __atomic_fetch_sub(&ttap__pool_other.used_bytes, bytes, __ATOMIC_RELAXED);
}

/* No queue may hold more than half of what the others leave: a stalled client then makes only itself lose. A kept capture may fill
 * its pool, since older ones make room for it. @reserve: how far beyond that limit this cost may go. */
bool ttap__pool_has_room(const struct ttap__queue *queue, uint64_t cost, uint64_t reserve)
{
    const struct ttap__pool *pool = queue->pool;
    uint64_t limit = ttap__load(&pool->limit_bytes), used = ttap__load(&pool->used_bytes);
    if (queue->keep)
        return used + cost <= limit + reserve;
    /* One segment being read and one being filled, whatever the others hold: with less, a reader that keeps up could be refused for ever,
     * because the segment it has read to its end is only let go when the next one begins. */
    if (queue->held_bytes + cost <= 2u * TTAP__SEGMENT_BYTES)
        return true;
    uint64_t others = used - queue->held_bytes;
    return others <= limit && queue->held_bytes + cost <= (limit - others) / 2 + reserve;
}
