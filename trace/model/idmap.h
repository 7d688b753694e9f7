/* idmap.h - 64-bit ids of a capture to small numbers of ours.
 *
 * Ids are whatever the capture says: sparse, huge, hostile. Open addressing with linear probing over mixed bits; at most three
 * quarters full; deleting moves followers back, so that no tombstones pile up. Grows within an allowance. */
#ifndef TTAP_MODEL_IDMAP_H
#define TTAP_MODEL_IDMAP_H

#include <stdint.h>

#include "allowance.h"

#define TTAP__IDMAP_NONE UINT32_MAX /* never a value */

struct ttap__idmap_slot {
    uint64_t id;
    uint32_t value; /* NONE: the slot is free */
};

struct ttap__idmap {
    struct ttap__idmap_slot *slots;
    size_t room, count; /* room: 0 or a power of two */
};

/** The value, or TTAP__IDMAP_NONE. */
uint32_t ttap__idmap_get(const struct ttap__idmap *map, uint64_t id);
/** Add or replace. False: no room in the allowance or no memory. */
bool ttap__idmap_put(struct ttap__idmap *map, struct ttap__allowance *allowance, uint64_t id, uint32_t value);
void ttap__idmap_remove(struct ttap__idmap *map, uint64_t id);
void ttap__idmap_free(struct ttap__idmap *map, struct ttap__allowance *allowance);

/** Mixes all bits: neighbouring ids land far apart. For other tables' keys too. */
static inline uint64_t ttap__mix64(uint64_t bits)
{
    bits ^= bits >> 32;
    bits *= UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio, odd */
    bits ^= bits >> 29;
    bits *= UINT64_C(0x9e3779b97f4a7c15);
    return bits ^ bits >> 32;
}

#endif
