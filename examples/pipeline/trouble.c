/* trouble.c - a hot lock, a collector under pressure, bursts of background threads. */
#include "trouble.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <tracetap/tracetap.h>

#include "crew.h"
#include "work.h"

static const struct options *options;

/* ---- The hot lock ---- */

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

enum {
    SLOW_REFRESH_US = 1000, /* 200 requests/s with 3 lookups each then hold the lock 60 % of the time */
    CACHE_KEYS = 1024
};

static int cache[CACHE_KEYS];

int cache_lookup(long key)
{
    static struct ttap_name waits = TTAP_NAME_INIT("cache.lock wait"), holds = TTAP_NAME_INIT("cache.lock held");

    ttap_region_begin(&waits);
    pthread_mutex_lock(&cache_lock);
    ttap_region_end(&waits);
    ttap_region_begin(&holds);
    int *slot = &cache[(unsigned long)key % CACHE_KEYS];
    if (options->slow_lock)
        wait_us(SLOW_REFRESH_US); /* the classic: the slow refresh happens inside the lock */
    int value = (*slot)++;
    pthread_mutex_unlock(&cache_lock);
    ttap_region_end(&holds);
    return value;
}

/* ---- Allocation pressure: a list of garbage, and a collector that frees it all with the lock held ---- */

struct block {
    struct block *next;
    size_t bytes;
};

static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *garbage;
static size_t live_bytes;

enum {
    BLOCKS_PER_REQUEST = 400,
    BLOCK_BYTES_MIN = 64, /* sizes grow by this from one block to the next, up to 8 times */
    COLLECT_AT_BYTES = 4 << 20
};

static void collect(void)
{
    TTAP_GC_BEGIN("sweep");
    while (garbage) {
        struct block *block = garbage;
        garbage = block->next;
        live_bytes -= block->bytes;
        free(block);
    }
    TTAP_GC_END("sweep");
}

static void allocate(size_t bytes)
{
    struct block *block = malloc(bytes);

    if (!block)
        return;
    block->bytes = bytes;
    pthread_mutex_lock(&heap_lock);
    block->next = garbage;
    garbage = block;
    live_bytes += bytes;
    if (live_bytes > COLLECT_AT_BYTES)
        collect();
    pthread_mutex_unlock(&heap_lock);
}

void garbage_make(void)
{
    if (!options->alloc_pressure)
        return;
    TTAP_REGION("allocate");
    for (size_t i = 0; i < BLOCKS_PER_REQUEST; i++)
        allocate(BLOCK_BYTES_MIN * (1 + i % 8));
    pthread_mutex_lock(&heap_lock);
    TTAP_COUNTER("heap.live_bytes", (int64_t)live_bytes);
    pthread_mutex_unlock(&heap_lock);
}

/* ---- Oversubscription: all compactors wake at once and want a CPU each ---- */

enum {
    COMPACTORS_PER_CPU = 4,
    COMPACT_EVERY_US = 100000,
    COMPACT_CPU_US = 4000 /* 4 threads a CPU, 4 ms each, every 100 ms: a CPU is 16 % busy with it, in bursts */
};

static struct crew compactors;
static atomic_bool stopping;

static void compactor(void *arg)
{
    (void)arg;
    while (!atomic_load(&stopping)) {
        wait_until_multiple_us(COMPACT_EVERY_US);
        TTAP_REGION("compact");
        burn_us(COMPACT_CPU_US);
    }
}

static unsigned compactor_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    return cpus > 0 && cpus <= CREW_MAX / COMPACTORS_PER_CPU ? (unsigned)cpus * COMPACTORS_PER_CPU : CREW_MAX;
}

bool trouble_start(const struct options *opts)
{
    options = opts;
    return !options->oversubscribe || crew_start(&compactors, "compactor", compactor_count(), compactor, NULL);
}

void trouble_stop(void)
{
    atomic_store(&stopping, true);
    crew_join(&compactors);
    pthread_mutex_lock(&heap_lock);
    collect();
    pthread_mutex_unlock(&heap_lock);
}
