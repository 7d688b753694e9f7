/* account.c - tiling, see account.h. All sums wrap: a hostile capture may reach 2^64, and then does not add up. */
#include "account.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CLOSED (TTAP__IDMAP_NONE - 1) /* the stream's ACCOUNT row was seen */

struct span {
    uint64_t from, to; /* sequence numbers, [from, to) */
};

struct ttap__stream_account {
    uint64_t thread;
    uint8_t level, spans_count;
    bool start_known; /* a head said how much came before it */
    uint64_t start_seq, sampled_out_before;
    uint64_t delivered, filtered, lost[TTAP__LOSS_REASONS + 1];
    struct span spans[TTAP__ACCOUNT_SPANS]; /* sorted, none touching */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct ttap__account *account, const char *format, ...)
{
    va_list args;
    if (account->wrong[0])
        return;
    va_start(args, format);
    vsnprintf(account->wrong, sizeof account->wrong, format, args);
    va_end(args);
}

static unsigned long long llu(uint64_t value)
{
    return (unsigned long long)value;
}

uint64_t ttap__lost_sum(const uint64_t lost[TTAP__LOSS_REASONS + 1])
{
    uint64_t sum = 0;
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        sum += lost[reason];
    return sum;
}

void ttap__account_start(struct ttap__account *account, struct ttap__allowance *allowance)
{
    *account = (struct ttap__account){.allowance = allowance};
}

void ttap__account_free(struct ttap__account *account)
{
    ttap__allowance_free(account->allowance, account->open, account->open_room * sizeof *account->open);
    ttap__idmap_free(&account->streams, account->allowance);
}

/* Thread numbers are the engine's small ones; a hostile one that loses its top bits only makes the account not exact. */
static uint64_t stream_key(uint64_t thread, uint8_t level)
{
    return thread << 3 | (level & TTAP__LEVEL_MAX);
}

static struct ttap__stream_account *stream_new(struct ttap__account *account, uint64_t thread, uint8_t level)
{
    if (!ttap__allowance_one_more(account->allowance, &account->open, &account->open_room, account->open_count, sizeof *account->open) ||
        !ttap__idmap_put(&account->streams, account->allowance, stream_key(thread, level), (uint32_t)account->open_count)) {
        wrong(account, "not checked: too many threads for the memory a reader may use");
        return NULL;
    }
    struct ttap__stream_account *stream = &account->open[account->open_count++];
    *stream = (struct ttap__stream_account){.thread = thread, .level = level};
    return stream;
}

/* NULL when it cannot or may not be: already said in account->wrong. */
static struct ttap__stream_account *stream_of(struct ttap__account *account, uint64_t thread, uint8_t level)
{
    uint32_t at = ttap__idmap_get(&account->streams, stream_key(thread, level));
    if (at == TTAP__IDMAP_NONE)
        return stream_new(account, thread, level);
    if (at != CLOSED)
        return &account->open[at];
    wrong(account, "thread %llu level %u: a block comes after its account", llu(thread), level);
    return NULL;
}

/* The last one takes its place. */
static void stream_close(struct ttap__account *account, struct ttap__stream_account *stream)
{
    struct ttap__stream_account *last = &account->open[--account->open_count];
    ttap__idmap_put(&account->streams, account->allowance, stream_key(stream->thread, stream->level), CLOSED);
    if (stream != last) {
        *stream = *last;
        ttap__idmap_put(&account->streams, account->allowance, stream_key(stream->thread, stream->level), (uint32_t)(stream - account->open));
    }
}

static void spans_insert(struct ttap__account *account, struct ttap__stream_account *stream, unsigned at, struct span span)
{
    if (stream->spans_count == TTAP__ACCOUNT_SPANS) {
        wrong(account, "thread %llu level %u: more than %d holes", llu(stream->thread), stream->level, TTAP__ACCOUNT_SPANS);
        return;
    }
    memmove(&stream->spans[at + 1], &stream->spans[at], (stream->spans_count - at) * sizeof stream->spans[0]);
    stream->spans[at] = span;
    stream->spans_count++;
}

static void tile(struct ttap__account *account, struct ttap__stream_account *stream, uint64_t from, uint64_t count)
{
    struct span span = {from, from + count};
    unsigned at = stream->spans_count;
    if (span.to < span.from) {
        wrong(account, "thread %llu level %u: sequence numbers beyond 2^64", llu(stream->thread), stream->level);
        return;
    }
    if (count == 0)
        return;
    while (at > 0 && stream->spans[at - 1].from >= span.to)
        at--; /* spans from here on lie behind */
    struct span *before = at > 0 ? &stream->spans[at - 1] : NULL;
    if (before && before->to > from) {
        wrong(account, "thread %llu level %u: sequence number %llu comes twice", llu(stream->thread), stream->level,
              llu(before->from > from ? before->from : from));
        return;
    }
    bool joins_after = at < stream->spans_count && stream->spans[at].from == span.to;
    if (before && before->to == from) {
        before->to = joins_after ? stream->spans[at].to : span.to;
        if (joins_after)
            memmove(&stream->spans[at], &stream->spans[at + 1], (--stream->spans_count - at) * sizeof span);
    } else if (joins_after)
        stream->spans[at].from = from;
    else
        spans_insert(account, stream, at, span);
}

/* What a head says came before it must lead back to one and the same start. */
static void check_before(struct ttap__account *account, struct ttap__stream_account *stream, const struct ttap__events *block)
{
    uint64_t start = block->first_seq - (block->delivered_before + block->filtered_before + block->lost_before);
    if (stream->start_known && start != stream->start_seq)
        wrong(account, "thread %llu level %u: the run at %llu and an earlier one disagree on where the window began (%llu, %llu)",
              llu(stream->thread), stream->level, llu(block->first_seq), llu(start), llu(stream->start_seq));
    if (block->sampled_out_before < stream->sampled_out_before)
        wrong(account, "thread %llu level %u: sampled_out_before falls at %llu", llu(stream->thread), stream->level, llu(block->first_seq));
    stream->start_known = true;
    stream->start_seq = start;
    stream->sampled_out_before = block->sampled_out_before;
}

void ttap__account_events(struct ttap__account *account, const struct ttap__events *block)
{
    account->seen.delivered += block->count;
    account->seen.filtered += block->filtered;
    struct ttap__stream_account *stream = stream_of(account, block->thread, block->level);
    if (!stream)
        return;
    check_before(account, stream, block);
    tile(account, stream, block->first_seq, block->count + block->filtered);
    stream->delivered += block->count;
    stream->filtered += block->filtered;
}

void ttap__account_loss(struct ttap__account *account, const struct ttap__loss_row *row)
{
    if (row->reason == 0 || row->reason > TTAP__LOSS_REASONS) {
        wrong(account, "thread %llu level %u: lost for reason %u, which this build does not know", llu(row->thread), row->level, row->reason);
        return;
    }
    account->seen.filtered += row->filtered;
    account->seen.lost[row->reason] += row->lost;
    if (row->thread == 0) {
        account->nobody_seen.filtered += row->filtered;
        account->nobody_seen.lost[row->reason] += row->lost;
        return;
    }
    struct ttap__stream_account *stream = stream_of(account, row->thread, row->level);
    if (!stream)
        return;
    tile(account, stream, row->first_seq, row->lost + row->filtered);
    stream->filtered += row->filtered;
    stream->lost[row->reason] += row->lost;
}

static void sums_add_row(struct ttap__sums *sums, const struct ttap__account_row *row)
{
    sums->events += row->end_seq - row->start_seq;
    sums->delivered += row->delivered;
    sums->filtered += row->filtered;
    sums->sampled_out += row->sampled_out;
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        sums->lost[reason] += row->lost[reason];
}

static void check_tiled(struct ttap__account *account, const struct ttap__stream_account *stream, const struct ttap__account_row *row)
{
    unsigned long long thread = llu(row->thread);
    uint64_t from = stream->spans_count ? stream->spans[0].from : row->start_seq;
    uint64_t to = stream->spans_count ? stream->spans[stream->spans_count - 1].to : row->start_seq;
    if (stream->spans_count > 1)
        wrong(account, "thread %llu level %u: %llu to %llu is in no block", thread, row->level, llu(stream->spans[0].to), llu(stream->spans[1].from));
    if (from != row->start_seq || to != row->end_seq)
        wrong(account, "thread %llu level %u: blocks of %llu to %llu, account of %llu to %llu", thread, row->level, llu(from), llu(to),
              llu(row->start_seq), llu(row->end_seq));
    if (stream->start_known && stream->start_seq != row->start_seq)
        wrong(account, "thread %llu level %u: its runs count from %llu, its account from %llu", thread, row->level, llu(stream->start_seq),
              llu(row->start_seq));
    if (stream->delivered != row->delivered || stream->filtered != row->filtered)
        wrong(account, "thread %llu level %u: blocks have %llu delivered and %llu filtered, its account %llu and %llu", thread, row->level,
              llu(stream->delivered), llu(stream->filtered), llu(row->delivered), llu(row->filtered));
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        if (stream->lost[reason] != row->lost[reason])
            wrong(account, "thread %llu level %u: blocks have %llu lost for reason %d, its account %llu", thread, row->level,
                  llu(stream->lost[reason]), reason, llu(row->lost[reason]));
}

void ttap__account_row(struct ttap__account *account, const struct ttap__account_row *row)
{
    uint64_t parts = row->delivered + row->filtered + ttap__lost_sum(row->lost);
    if (row->end_seq - row->start_seq != parts)
        wrong(account, "thread %llu level %u: %llu to %llu are not %llu events", llu(row->thread), row->level, llu(row->start_seq), llu(row->end_seq),
              llu(parts));
    account->rows_count++;
    sums_add_row(&account->rows, row);
    account->seen.sampled_out += row->sampled_out;
    if (row->thread == 0) {
        account->nobody_rows++;
        sums_add_row(&account->nobody, row);
        return;
    }
    if (ttap__idmap_get(&account->streams, stream_key(row->thread, row->level)) == CLOSED) {
        wrong(account, "thread %llu level %u has two accounts", llu(row->thread), row->level);
        return;
    }
    struct ttap__stream_account *stream = stream_of(account, row->thread, row->level);
    if (!stream)
        return;
    check_tiled(account, stream, row);
    if (row->sampled_out < stream->sampled_out_before)
        wrong(account, "thread %llu level %u: sampled_out is less than before its last run", llu(row->thread), row->level);
    stream_close(account, stream);
}

static void check_sum(struct ttap__account *account, const char *what, uint64_t trailer, uint64_t rows)
{
    if (trailer != rows)
        wrong(account, "the trailer says %llu %s, the accounts %llu", llu(trailer), what, llu(rows));
}

/* Streams without a row must be those whose sums thread 0's rows have taken over. */
static void check_rowless(struct ttap__account *account)
{
    struct ttap__sums left = account->nobody_seen;
    for (size_t i = 0; i < account->open_count; i++) {
        const struct ttap__stream_account *stream = &account->open[i];
        if (account->nobody_rows == 0)
            wrong(account, "thread %llu level %u has no account", llu(stream->thread), stream->level);
        left.delivered += stream->delivered;
        left.filtered += stream->filtered;
        for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
            left.lost[reason] += stream->lost[reason];
    }
    bool covered = left.delivered <= account->nobody.delivered && left.filtered <= account->nobody.filtered;
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        covered = covered && left.lost[reason] <= account->nobody.lost[reason];
    if (!covered)
        wrong(account, "thread 0 accounts for less than the blocks that have no account of their own");
}

void ttap__account_trailer(struct ttap__account *account, const struct ttap__trailer *trailer, uint64_t blocks, uint64_t bytes)
{
    account->ended = true;
    account->trailer = *trailer;
    check_rowless(account);
    check_sum(account, "streams", trailer->streams, account->rows_count);
    check_sum(account, "events", trailer->events, account->rows.events);
    check_sum(account, "delivered", trailer->delivered, account->rows.delivered);
    check_sum(account, "filtered", trailer->filtered, account->rows.filtered);
    check_sum(account, "sampled out", trailer->sampled_out, account->rows.sampled_out);
    for (int reason = 1; reason <= TTAP__LOSS_REASONS; reason++)
        check_sum(account, "lost", trailer->lost[reason], account->rows.lost[reason]);
    if (trailer->blocks != blocks || trailer->bytes != bytes)
        wrong(account, "the trailer says %llu blocks and %llu bytes before it; there are %llu and %llu", llu(trailer->blocks), llu(trailer->bytes),
              llu(blocks), llu(bytes));
}

const char *ttap__account_identity(struct ttap__account *account, const char *problem)
{
    if (!account->ended)
        wrong(account, "truncated, so all counts are lower bounds: %.150s", problem[0] ? problem : "no trailer");
    return account->wrong[0] ? account->wrong : "exact";
}

struct ttap__sums ttap__account_sums(const struct ttap__account *account)
{
    struct ttap__sums sums = account->seen;
    sums.events = sums.delivered + sums.filtered + ttap__lost_sum(sums.lost);
    return sums;
}

struct ttap__sums ttap__account_said(const struct ttap__account *account)
{
    const struct ttap__trailer *trailer = &account->trailer;
    if (!account->ended)
        return ttap__account_sums(account);
    struct ttap__sums sums = {
        .events = trailer->events, .delivered = trailer->delivered, .filtered = trailer->filtered, .sampled_out = trailer->sampled_out};
    memcpy(sums.lost, trailer->lost, sizeof sums.lost);
    return sums;
}
