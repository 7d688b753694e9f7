#include "allowance.h"

#include <stdlib.h>
#include <string.h>

void *ttap__allowance_grow(struct ttap__allowance *allowance, void *block, size_t old_bytes, size_t new_bytes)
{
    size_t more = new_bytes - old_bytes, limit = allowance->limit - allowance->kept;
    while (allowance->used + more > limit)
        if (!allowance->reclaim || !allowance->reclaim(allowance->arg))
            return NULL;
    void *grown = realloc(block, new_bytes);
    if (grown)
        allowance->used += more;
    else
        allowance->no_memory = true;
    return grown;
}

void *ttap__allowance_rows(struct ttap__allowance *allowance, size_t bytes)
{
    if (allowance->used + bytes > allowance->limit)
        return NULL;
    void *block = malloc(bytes);
    if (block)
        allowance->used += bytes;
    else
        allowance->no_memory = true;
    return block;
}

void ttap__allowance_free(struct ttap__allowance *allowance, void *block, size_t bytes)
{
    if (block)
        allowance->used -= bytes;
    free(block);
}

bool ttap__allowance_one_more(struct ttap__allowance *allowance, void *array_pointer, size_t *room, size_t count, size_t size)
{
    void *array;
    if (count < *room)
        return true;
    memcpy(&array, array_pointer, sizeof array); /* a pointer to any kind of pointer, without the aliasing */
    size_t grown_room = *room ? *room * 2 : 4;
    void *grown = ttap__allowance_grow(allowance, array, *room * size, grown_room * size);
    if (!grown)
        return false;
    memcpy(array_pointer, &grown, sizeof grown);
    *room = grown_room;
    return true;
}
