/* names.c - text to number, once, for ever.
 *
 * An open-addressed hash table of name ids over an append-only text store. Whoever finds an empty slot copies the text, then swaps the
 * id in; the loser of a race takes the winner's id (its own copy stays behind as an alias of the same text). Nobody waits, so a
 * signal handler may intern while its thread does.
 */
#include "arena.h"

#define NAMES_FULL (TTAP_NAMES_MAX + 1u)

static uint32_t hash_bytes(const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, folded: short keys, once per place */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

static bool same(const struct ttap__arena *arena, uint32_t id, uint32_t hash, const char *text, size_t len)
{
    const struct ttap__name_entry *entry = &arena->name[id <= TTAP_NAMES_MAX ? id : 0];
    uint32_t offset = entry->offset;
    if (entry->hash != hash || ttap__load(&entry->len_plus_1) != len + 1 || offset > TTAP__NAME_TEXT_BYTES - len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (arena->name_text[offset + i] != text[i])
            return false;
    return true;
}

/* A fresh id holding a copy of @text, not yet in the hash table; 0 when there is no room. */
static uint32_t store(struct ttap__arena *arena, uint32_t hash, const char *text, size_t len)
{
    if (ttap__load(&arena->names_made) >= TTAP_NAMES_MAX || ttap__load(&arena->name_text_used) + len > TTAP__NAME_TEXT_BYTES)
        return 0;
    uint32_t id = __atomic_add_fetch(&arena->names_made, 1, __ATOMIC_RELAXED);
    uint32_t offset = __atomic_fetch_add(&arena->name_text_used, (uint32_t)len, __ATOMIC_RELAXED);
    if (id > TTAP_NAMES_MAX)
        return 0;
    if (offset + len > TTAP__NAME_TEXT_BYTES) {
        ttap__store_release(&arena->name[id].len_plus_1, 1); /* empty, for good: send_names() waits for those that are not ready */
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        arena->name_text[offset + i] = text[i];
    struct ttap__name_entry *entry = &arena->name[id];
    entry->offset = offset;
    entry->hash = hash;
    ttap__store_release(&entry->len_plus_1, (uint32_t)len + 1); /* acquire: send_names() in sub.c */
    return id;
}

uint32_t ttap__name_intern(const char *text, size_t len)
{
    struct ttap__arena *arena = ttap__arena();
    if (!arena || !len)
        return 0;
    if (len > TTAP_NAME_BYTES_MAX)
        len = TTAP_NAME_BYTES_MAX;
    uint32_t hash = hash_bytes(text, len);
    uint32_t fresh = 0;
    for (uint32_t at = hash, probes = 0; probes < TTAP__NAME_HASH_SLOTS; at++, probes++) {
        uint32_t *slot = &arena->name_hash[at % TTAP__NAME_HASH_SLOTS];
        uint32_t id = ttap__load_acquire(slot); /* partner: the swap below */
        if (!id) {
            if (!fresh)
                fresh = store(arena, hash, text, len);
            if (!fresh)
                break;
            if (__atomic_compare_exchange_n(slot, &id, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return fresh;
        }
        if (same(arena, id, hash, text, len))
            return id;
    }
    __atomic_fetch_add(&arena->names_full, 1, __ATOMIC_RELAXED);
    return NAMES_FULL;
}

uint32_t ttap_name(const char *text)
{
    size_t len = 0;
    if (text)
        while (len < TTAP_NAME_BYTES_MAX && text[len])
            len++;
    return ttap__name_intern(text, len);
}
