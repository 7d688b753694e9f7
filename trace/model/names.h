/* names.h - strings of a capture, numbered in order of appearance, and told once.
 *
 * Texts are kept (cut at 255 bytes) only for what needs them again: names of queues. Ids above the limit share one "?". */
#ifndef TTAP_MODEL_NAMES_H
#define TTAP_MODEL_NAMES_H

#include "idmap.h"
#include "rows.h"

#define TTAP__NAMES_MAX 65536 /* ids that get a number of their own; a program's names are literals, a few hundred */
#define TTAP__NAME_KEPT_BYTES 255
#define TTAP__NAMES_DIRECT 1024 /* engines number names from 1; these ids are found without a search */
#define TTAP__RECENT_TEXTS 16   /* failure texts recognised when they come again */
#define TTAP__RECENT_BYTES 96

enum ttap__word { /* strings of our own, told at their first use */
                  TTAP__WORD_EMPTY_NAME,
                  TTAP__WORD_UNKNOWN,
                  TTAP__WORD_FULL,
                  TTAP__WORD_EMPTY,
                  TTAP__WORD_NESTED,
                  TTAP__WORD_QUEUE,
                  TTAP__WORD_LATE,
                  TTAP__WORD_STALL,
                  TTAP__WORD_RUNNING,
                  TTAP__WORD_RUNNABLE,
                  TTAP__WORD_BLOCKED,
                  TTAP__WORD_LOCK,
                  TTAP__WORD_NETWORK,
                  TTAP__WORD_FILE,
                  TTAP__WORD_SLEEP,
                  TTAP__WORD_GONE,
                  TTAP__WORD_UNKNOWN_STATE,
                  TTAP__WORD_THREAD,
                  TTAP__WORD_PROCESS,
                  TTAP__WORD_INTERRUPT,
                  TTAP__WORD_STOPPED,
                  TTAP__WORD_SERVED,
                  TTAP__WORD_ASKED,
                  TTAP__WORDS
};

struct ttap__names {
    const struct ttap__rows *rows;
    void *arg;
    struct ttap__allowance *allowance;
    struct ttap__idmap ids; /* name id -> index into kept */
    struct ttap__kept_name {
        uint32_t number;
        uint8_t len;
        char *text;
    } * kept;
    size_t kept_count, kept_room;
    uint32_t direct[TTAP__NAMES_DIRECT]; /* number + 1 by id; 0: look in ids */
    uint32_t count;                      /* strings told */
    int32_t words[TTAP__WORDS];          /* number + 1; 0: not yet told */
    struct {
        uint32_t number;
        uint8_t len; /* 0: free */
        char text[TTAP__RECENT_BYTES];
    } recent[TTAP__RECENT_TEXTS];
    unsigned recent_at;
    int rc; /* what a call returned */
};

void ttap__names_start(struct ttap__names *names, const struct ttap__rows *rows, void *arg, struct ttap__allowance *allowance);
void ttap__names_define(struct ttap__names *names, uint64_t id, struct ttap__text text);
uint32_t ttap__names_search(struct ttap__names *names, uint64_t id);
/** The string's number. Id 0 is "", an undefined one "?". */
static inline uint32_t ttap__names_number(struct ttap__names *names, uint64_t id)
{
    if (__builtin_expect(id < TTAP__NAMES_DIRECT && names->direct[id], 1))
        return names->direct[id] - 1;
    return ttap__names_search(names, id);
}
struct ttap__text ttap__names_text(const struct ttap__names *names, uint64_t id);
uint32_t ttap__names_word(struct ttap__names *names, enum ttap__word word);
/** A text that is no name: the number of a string told for it, the same again if it came lately. */
uint32_t ttap__names_of_text(struct ttap__names *names, struct ttap__text text);
void ttap__names_free(struct ttap__names *names);

#endif
