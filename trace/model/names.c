#include "names.h"

#include <string.h>

void ttap__names_start(struct ttap__names *names, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance)
{
    *names = (struct ttap__names){.rows = rows, .arg = arg, .allowance = allowance};
}

static uint32_t tell(struct ttap__names *names, struct ttap__text text)
{
    uint32_t number = names->count++;
    if (names->rows->string && names->rc == 0)
        names->rc = names->rows->string(names->arg, number, text);
    return number;
}

static void keep(struct ttap__names *names, uint64_t id, struct ttap__text text)
{
    size_t len = text.len < TTAP__NAME_KEPT_BYTES ? text.len : TTAP__NAME_KEPT_BYTES;
    if (names->kept_count >= TTAP__NAMES_MAX ||
        !ttap__allowance_one_more(names->allowance, &names->kept, &names->kept_room, names->kept_count, sizeof *names->kept))
        return;
    char *copy = ttap__allowance_grow(names->allowance, NULL, 0, len + 1);
    if (!copy)
        return;
    memcpy(copy, text.bytes, len);
    copy[len] = 0;
    if (!ttap__idmap_put(&names->ids, names->allowance, id, (uint32_t)names->kept_count)) {
        ttap__allowance_free(names->allowance, copy, len + 1);
        return;
    }
    names->kept[names->kept_count] = (struct ttap__kept_name){tell(names, text), (uint8_t)len, copy};
    if (id < TTAP__NAMES_DIRECT)
        names->direct[id] = names->kept[names->kept_count].number + 1;
    names->kept_count++;
}

void ttap__names_define(struct ttap__names *names, uint64_t id, struct ttap__text text)
{
    if (id != 0 && ttap__idmap_get(&names->ids, id) == TTAP__IDMAP_NONE) /* ids are not reused: the first text stays */
        keep(names, id, text);
}

uint32_t ttap__names_word(struct ttap__names *names, enum ttap__word word)
{
    static const char *const words[TTAP__WORDS] = {"",        "?",        "full",    "empty",     "nested",  "queue",  "late",  "stall",
                                                   "running", "runnable", "blocked", "lock",      "network", "file",   "sleep", "gone",
                                                   "unknown", "thread",   "process", "interrupt", "stopped", "served", "asked"};
    if (names->words[word] == 0)
        names->words[word] = (int32_t)tell(names, (struct ttap__text){words[word], strlen(words[word])}) + 1;
    return (uint32_t)names->words[word] - 1;
}

uint32_t ttap__names_search(struct ttap__names *names, uint64_t id)
{
    uint32_t at = ttap__idmap_get(&names->ids, id);
    if (__builtin_expect(at != TTAP__IDMAP_NONE, 1))
        return names->kept[at].number;
    return ttap__names_word(names, id == 0 ? TTAP__WORD_EMPTY_NAME : TTAP__WORD_UNKNOWN);
}

struct ttap__text ttap__names_text(const struct ttap__names *names, uint64_t id)
{
    uint32_t at = ttap__idmap_get(&names->ids, id);
    if (at != TTAP__IDMAP_NONE)
        return (struct ttap__text){names->kept[at].text, names->kept[at].len};
    return id == 0 ? (struct ttap__text){"", 0} : (struct ttap__text){"?", 1};
}

uint32_t ttap__names_of_text(struct ttap__names *names, struct ttap__text text)
{
    if (text.len == 0)
        return ttap__names_word(names, TTAP__WORD_EMPTY_NAME);
    for (unsigned i = 0; i < TTAP__RECENT_TEXTS; i++)
        if (names->recent[i].len == text.len && memcmp(names->recent[i].text, text.bytes, text.len) == 0)
            return names->recent[i].number;
    uint32_t number = tell(names, text);
    if (text.len <= TTAP__RECENT_BYTES) {
        unsigned at = names->recent_at++ % TTAP__RECENT_TEXTS;
        names->recent[at].number = number;
        names->recent[at].len = (uint8_t)text.len;
        memcpy(names->recent[at].text, text.bytes, text.len);
    }
    return number;
}

void ttap__names_free(struct ttap__names *names)
{
    for (size_t i = 0; i < names->kept_count; i++)
        ttap__allowance_free(names->allowance, names->kept[i].text, (size_t)names->kept[i].len + 1);
    ttap__allowance_free(names->allowance, names->kept, names->kept_room * sizeof *names->kept);
    ttap__idmap_free(&names->ids, names->allowance);
}
