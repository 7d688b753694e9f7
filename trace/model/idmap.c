#include "idmap.h"

#include <stdlib.h>

static size_t home(const struct ttap__idmap *map, uint64_t id)
{
    return (size_t)ttap__mix64(id) & (map->room - 1);
}

/* The slot of @id, or the free one where it would go. */
static struct ttap__idmap_slot *find(const struct ttap__idmap *map, uint64_t id)
{
    size_t at = home(map, id);
    while (map->slots[at].value != TTAP__IDMAP_NONE && map->slots[at].id != id)
        at = (at + 1) & (map->room - 1);
    return &map->slots[at];
}

uint32_t ttap__idmap_get(const struct ttap__idmap *map, uint64_t id)
{
    return map->room ? find(map, id)->value : TTAP__IDMAP_NONE;
}

static bool grow(struct ttap__idmap *map, struct ttap__allowance *allowance)
{
    struct ttap__idmap larger = {.room = map->room ? map->room * 2 : 16, .count = map->count};
    larger.slots = ttap__allowance_grow(allowance, NULL, 0, larger.room * sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < larger.room; i++)
        larger.slots[i].value = TTAP__IDMAP_NONE;
    for (size_t i = 0; i < map->room; i++)
        if (map->slots[i].value != TTAP__IDMAP_NONE)
            *find(&larger, map->slots[i].id) = map->slots[i];
    ttap__allowance_free(allowance, map->slots, map->room * sizeof *map->slots);
    *map = larger;
    return true;
}

bool ttap__idmap_put(struct ttap__idmap *map, struct ttap__allowance *allowance, uint64_t id, uint32_t value)
{
    if (map->count * 4 >= map->room * 3 && !grow(map, allowance))
        return false;
    struct ttap__idmap_slot *slot = find(map, id);
    map->count += slot->value == TTAP__IDMAP_NONE;
    *slot = (struct ttap__idmap_slot){id, value};
    return true;
}

void ttap__idmap_remove(struct ttap__idmap *map, uint64_t id)
{
    struct ttap__idmap_slot *hole = map->room ? find(map, id) : NULL;
    if (!hole || hole->value == TTAP__IDMAP_NONE)
        return;
    map->count--;
    size_t mask = map->room - 1, gap = (size_t)(hole - map->slots);
    for (size_t at = (gap + 1) & mask; map->slots[at].value != TTAP__IDMAP_NONE; at = (at + 1) & mask) {
        size_t from_home = (at - home(map, map->slots[at].id)) & mask; /* how far this one was pushed */
        if (from_home < ((at - gap) & mask))
            continue; /* the gap lies before its home */
        map->slots[gap] = map->slots[at];
        gap = at;
    }
    map->slots[gap].value = TTAP__IDMAP_NONE;
}

void ttap__idmap_free(struct ttap__idmap *map, struct ttap__allowance *allowance)
{
    ttap__allowance_free(allowance, map->slots, map->room * sizeof *map->slots);
    *map = (struct ttap__idmap){0};
}
