/* validator_tiles.c - the counter check: can lost events hide, or be invented?
 *
 * A test thread sets the counter "tile.<k>" to 0, 1, 2, ... So the values that arrive say by themselves what is
 * missing, and the sequence numbers of the stream say it a second time, from the engine's books:
 *
 *      value           0 1 2 3 4 |           | 9 10 11    | 14 15         hole(a, b): values between that did not
 * arrive delivered       EVENTS    | LOSS of 4 | EVENTS     | LOSS of 2 .. sequence        7 8 9 ... |  12..15   | 16
 * ...                     gap(a, b): sequence numbers between that were not delivered
 *
 * For every two delivered values a before b of one counter in one stream:
 *   hole(a, b) <= gap(a, b)      nothing was lost that the books do not show ("tile-hole")
 *   hole(a, b) == gap(a, b)      if the stream holds nothing but this counter (pure): no loss was invented either
 * ("tile-invented") A run without filtered events gives each event's exact number. In one with `filtered` of them they
 * may lie anywhere, so an event's gap is known between two bounds; sampled-out events have no number at all, and the
 * account in the heads says between which runs they fell:
 *
 *      gap_low(e) <= undelivered or unrecorded events of the stream before e <= gap_high(e)
 *      with holes(e) = value(e) - (delivered values of this counter before e):
 *      holes(b) - gap_high(b) <= holes(a) - gap_low(a)   for all a before b: keep the least right side so far, one
 * pass.
 *
 * A handler that emits the same counter can land on either level of its thread. Then neighbours are in two streams and
 * only the totals are compared: all holes <= the gaps of both streams together. A counter of two threads proves nothing
 * and is refused ("tile-threads"). What cannot be proven: loss before the first and after the last delivered value, but
 * in a pure stream; there start_value and end_value let the test compare with what it emitted. And a thread whose other
 * events are all among the lost looks pure though it is not. */
#include "validator_internal.h"

#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 signed_wide;

/* A delivered value with what its stream's books say about it. */
struct sighting {
    uint64_t number, thread, seq, stream; /* stream: index of the stream's first piece, unique */
    uint64_t order;                       /* in sequence: pieces are sorted */
    int64_t value;
    signed_wide gap_low, gap_high;
};

/* What all pieces of one stream say. */
struct stream_books {
    size_t first, end; /* pieces */
    const struct account_row *row;
    uint64_t delivered, tiles, undelivered, sampled_out;
    bool hidden; /* filtered or sampled-out events: values and numbers need not rise together */
};

static int compare_row(const void *key, const void *item)
{
    const struct piece *piece = key;
    const struct account_row *row = item;
    if (piece->thread != row->thread)
        return piece->thread < row->thread ? -1 : 1;
    return (int)piece->level - (int)row->level;
}

static const struct account_row *row_of(const struct check *c, const struct piece *piece)
{
    if (!c->rows.used)
        return NULL;
    return bsearch(piece, c->rows.items, c->rows.used, sizeof(struct account_row), compare_row);
}

static struct stream_books open_books(const struct check *c, size_t first)
{
    const struct piece *pieces = c->pieces.items;
    struct stream_books books = {.first = first, .end = first, .row = row_of(c, &pieces[first])};
    while (books.end < c->pieces.used && pieces[books.end].thread == pieces[first].thread && pieces[books.end].level == pieces[first].level) {
        const struct piece *p = &pieces[books.end++];
        books.delivered += p->reason ? 0 : p->count;
        books.tiles += p->tiles;
        books.sampled_out = p->reason ? books.sampled_out : p->sampled_out_before;
        books.hidden |= p->filtered > 0;
    }
    if (books.row)
        books.sampled_out = books.row->columns[ACCOUNT_COLUMNS - 1];
    books.undelivered = pieces[books.end - 1].end_seq - pieces[first].first_seq - books.delivered;
    books.hidden |= books.sampled_out > 0;
    return books;
}

/* sampled_out at the end of the drain that brought this run. Several runs may come of one drain, and all their heads have what was
 * sampled out by the drain before; so it is what the next head that has more says, or at last the account. A cut capture may have lost
 * that head. */
static signed_wide sampled_after(const struct check *c, const struct stream_books *books, size_t piece)
{
    const struct piece *pieces = c->pieces.items;
    for (size_t i = piece + 1; i < books->end; i++) {
        if (!pieces[i].reason && pieces[i].sampled_out_before > pieces[piece].sampled_out_before)
            return pieces[i].sampled_out_before;
    }
    return books->row ? books->sampled_out : INT64_MAX; /* also without a rule of its own: what others left out as it joined */
}

static void look_at_run(struct check *c, const struct stream_books *books, size_t piece, uint64_t delivered_before, struct pile *sightings)
{
    const struct piece *p = (const struct piece *)c->pieces.items + piece;
    const struct piece *first = (const struct piece *)c->pieces.items + books->first;
    const struct tile_event *events = (const struct tile_event *)c->tile_events.items + p->tiles_at;
    signed_wide undelivered = p->first_seq - first->first_seq - delivered_before;
    signed_wide sampled_high = p->tiles ? sampled_after(c, books, piece) : 0;
    for (size_t i = 0; i < p->tiles; i++) {
        struct sighting *s = pile_add(sightings);
        if (!s) {
            c->no_memory = true;
            return;
        }
        *s = (struct sighting){.number = events[i].number,
                               .thread = p->thread,
                               .seq = p->first_seq + events[i].index,
                               .stream = books->first,
                               .order = sightings->used,
                               .value = events[i].value,
                               .gap_low = undelivered + p->sampled_out_before,
                               .gap_high = undelivered + p->filtered + sampled_high};
    }
}

/* All sightings of all streams, in the order of pieces. */
static void look(struct check *c, struct pile *sightings)
{
    const struct piece *pieces = c->pieces.items;
    for (size_t at = 0; at < c->pieces.used;) {
        struct stream_books books = open_books(c, at);
        uint64_t delivered = 0;
        for (; at < books.end; at++) {
            look_at_run(c, &books, at, delivered, sightings);
            delivered += pieces[at].reason ? 0 : pieces[at].count;
        }
    }
}

static int compare_sightings(const void *left, const void *right)
{
    const struct sighting *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_values(const void *left, const void *right)
{
    const struct sighting *a = left, *b = right;
    return a->value < b->value ? -1 : a->value > b->value;
}

static void tile_wrong(struct check *c, const struct validation_tile *tile, const char *rule, const char *what, int64_t value)
{
    validation_wrong(c->out, rule, "tile.%llu: %s (at value %lld)", (unsigned long long)tile->number, what, (long long)value);
}

/* The pairwise comparison, one stream after the other. The order of sightings within a stream is that of its sequence
 * numbers. */
static void compare_neighbours(struct check *c, struct validation_tile *tile, const struct sighting *seen, size_t count)
{
    signed_wide least = 0;
    uint64_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        bool starts = i == 0 || seen[i].stream != seen[i - 1].stream;
        rank = starts ? 0 : rank + 1;
        signed_wide holes = (signed_wide)seen[i].value - rank;
        if (!starts && seen[i].value < seen[i - 1].value) {
            tile->order_violations++;
            tile_wrong(c, tile, "tile-order", "a lower value after a higher one", seen[i].value);
        }
        if (!starts && tile->covered && holes - seen[i].gap_high > least)
            tile->covered = false;
        least = starts || holes - seen[i].gap_low < least ? holes - seen[i].gap_low : least;
    }
}

/* Value and sequence number must rise together; that values do not rise more is what tile-hole says. */
static void compare_pure(struct check *c, struct validation_tile *tile, const struct stream_books *books, const struct sighting *seen, size_t count)
{
    const struct piece *pieces = c->pieces.items;
    uint64_t start_seq = books->row ? books->row->start_seq : pieces[books->first].first_seq;
    uint64_t end_seq = books->row ? books->row->end_seq : pieces[books->end - 1].end_seq;
    tile->start_value = (int64_t)((uint64_t)seen[0].value - (seen[0].seq - start_seq));
    tile->end_value = (int64_t)((uint64_t)tile->start_value + (end_seq - start_seq));
    for (size_t i = 1; i < count; i++) {
        if ((uint64_t)seen[i].value - (uint64_t)seen[i - 1].value < seen[i].seq - seen[i - 1].seq)
            tile_wrong(c, tile, "tile-invented", "more events missing than values", seen[i].value);
    }
}

/* Sorts by value for this, and back. */
static void count_values(struct check *c, struct validation_tile *tile, struct sighting *seen, size_t count)
{
    qsort(seen, count, sizeof(*seen), compare_values);
    tile->first_value = seen[0].value;
    tile->last_value = seen[count - 1].value;
    for (size_t i = 1; i < count; i++) {
        if (seen[i].value == seen[i - 1].value) {
            tile->duplicates++;
            tile_wrong(c, tile, "tile-twice", "a value is delivered twice", seen[i].value);
        }
    }
    tile->missing = (uint64_t)tile->last_value - (uint64_t)tile->first_value + 1 - (count - tile->duplicates);
    qsort(seen, count, sizeof(*seen), compare_sightings);
}

/* The books of the one or two streams a counter was seen in. 0: it was seen on two threads. */
static size_t books_of(struct check *c, const struct sighting *seen, size_t count, struct stream_books books[2])
{
    size_t streams = 0;
    for (size_t i = 0; i < count; i++) {
        if (seen[i].thread != seen[0].thread)
            return 0;
        if (i == 0 || seen[i].stream != seen[i - 1].stream)
            books[streams++] = open_books(c, seen[i].stream);
    }
    return streams;
}

static void check_tile(struct check *c, struct validation_tile *tile, struct sighting *seen, size_t count)
{
    struct stream_books books[2];
    size_t streams = books_of(c, seen, count, books);
    *tile = (struct validation_tile){.number = seen[0].number, .thread = seen[0].thread, .delivered = count, .covered = true};
    if (!streams) {
        tile->covered = false;
        tile_wrong(c, tile, "tile-threads", "one counter on two threads proves nothing", seen[0].value);
        return;
    }
    count_values(c, tile, seen, count);
    compare_neighbours(c, tile, seen, count);
    tile->pure = streams == 1 && books[0].tiles == books[0].delivered && books[0].delivered == count && !books[0].hidden;
    tile->told = books[streams - 1].row != NULL;
    if (tile->pure && !tile->order_violations && !tile->duplicates)
        compare_pure(c, tile, &books[0], seen, count);
    if (streams == 2) { /* a neighbour may be in the other stream: only the totals say something */
        signed_wide gaps = (signed_wide)books[0].undelivered + books[0].sampled_out + books[1].undelivered + books[1].sampled_out;
        tile->covered = tile->missing <= gaps;
    }
    if (!tile->covered)
        tile_wrong(c, tile, "tile-hole", "values are missing that no lost or filtered event accounts for", tile->first_value);
}

static size_t same_number(const struct sighting *seen, size_t count)
{
    size_t same = 1;
    while (same < count && seen[same].number == seen[0].number)
        same++;
    return same;
}

static size_t count_tiles(const struct sighting *seen, size_t count)
{
    size_t tiles = 0;
    for (size_t at = 0; at < count; at += same_number(seen + at, count - at))
        tiles++;
    return tiles;
}

static void check_all(struct check *c, struct sighting *seen, size_t count)
{
    if (!count)
        return;
    qsort(seen, count, sizeof(*seen), compare_sightings);
    c->out->tiles = calloc(count_tiles(seen, count), sizeof(*c->out->tiles));
    c->no_memory |= !c->out->tiles;
    for (size_t at = 0; c->out->tiles && at < count; c->out->tile_count++) {
        size_t same = same_number(seen + at, count - at);
        check_tile(c, &c->out->tiles[c->out->tile_count], seen + at, same);
        at += same;
    }
}

void check_tiles(struct check *c)
{
    struct pile sightings = {.item_bytes = sizeof(struct sighting)};
    look(c, &sightings);
    if (!c->no_memory)
        check_all(c, sightings.items, sightings.used);
    free(sightings.items);
}
