/* tally.c - two readers of the same bytes: one that can be asked at any moment (blocks' heads and losses), one that
 * knows all at the end. */
#include "tally.h"

#include <stdlib.h>

#include "reader.h"

struct cli_tally {
    struct ttap__reader *reader;
    struct ttap__stat *stat;
    bool finished;
    const struct ttap__stat_result *result;
    uint64_t events, lost;
};

static int on_events(void *arg, const struct ttap__events *block)
{
    struct cli_tally *tally = arg;

    tally->events += block->count;
    return 0;
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    struct cli_tally *tally = arg;

    tally->lost += row->lost;
    return 0;
}

static const struct ttap__read_calls calls = {.events = on_events, .loss = on_loss};

struct cli_tally *cli_tally_new(void)
{
    struct cli_tally *tally = calloc(1, sizeof *tally);

    if (!tally)
        return NULL;
    tally->reader = ttap__reader_new(&calls, tally);
    tally->stat = ttap__stat_new();
    if (tally->reader && tally->stat)
        return tally;
    cli_tally_free(tally);
    return NULL;
}

void cli_tally_feed(struct cli_tally *tally, const void *bytes, size_t len)
{
    if (!tally || tally->finished)
        return;
    /* Damage ends counting, not the capture: the file keeps every byte, and the end tells where it was. */
    ttap__reader_feed(tally->reader, bytes, len);
    ttap__stat_feed(tally->stat, bytes, len);
}

bool cli_tally_so_far(const struct cli_tally *tally, uint64_t *events, uint64_t *lost)
{
    if (!tally)
        return false;
    *events = tally->events;
    *lost = tally->lost;
    return true;
}

const struct ttap__stat_result *cli_tally_finish(struct cli_tally *tally)
{
    if (!tally)
        return NULL;
    if (!tally->finished)
        tally->result = ttap__stat_finish(tally->stat);
    tally->finished = true;
    return tally->result;
}

void cli_tally_free(struct cli_tally *tally)
{
    if (!tally)
        return;
    ttap__reader_free(tally->reader);
    ttap__stat_free(tally->stat);
    free(tally);
}
