/* Any cells, as an emitter's chunk or as what damage makes of one: packed, and read back by the real reader.
 *
 *      byte 0: which groups | 1: rate | 2: raw cells or told ones | ops...       op: kind, arguments
 *
 * Each run must be read to its last byte, hold as many events as it says, and leave the reader with the regions and the task that the
 * packer goes on from. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "packed.h"
#include "packer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 2, BASE_TICKS = 1 << 20 };

static struct ttap__run run;
static struct ttap__follow follow;
static struct ttap__keep keep;
static struct ttap__view view = {0, &keep};
static struct packed packed;
static uint64_t cells[WORDS * TTAP__CHUNK_CELLS];

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct input {
    const uint8_t *at, *end;
};

static uint8_t take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* Cells as the fuzzer gives them, word by word. */
static unsigned raw_cells(struct input *input)
{
    size_t bytes = (size_t)(input->end - input->at) / 16 * 16;
    if (bytes > sizeof cells)
        bytes = sizeof cells;
    memcpy(cells, input->at, bytes);
    return (unsigned)(bytes / 16);
}

static unsigned cells_of(unsigned kind)
{
    switch (kind) {
    case TTAP__REGION_BEGIN:
    case TTAP__REGION_END:
    case TTAP__INSTANT:
    case TTAP__LOG:
    case TTAP__GC_BEGIN:
    case TTAP__GC_END:
    case TTAP__CELL_LOST_NESTED:
        return 1;
    case TTAP__COUNTER:
    case TTAP__QUEUE_ENQUEUE:
    case TTAP__QUEUE_WAIT_END:
        return 2;
    default:
        return 3;
    }
}

/* Regions nest as a thread's own count has them; now and then an end is skipped, as longjmp does. */
static void told_event(struct input *input, uint64_t *w, unsigned kind, uint32_t *depth)
{
    uint8_t a = take(input), b = take(input);
    w[1] = a;
    if (kind == TTAP__REGION_BEGIN)
        w[1] = (uint64_t)(*depth)++ << 32 | (a & 7);
    if (kind == TTAP__REGION_END) {
        uint32_t left = a >> 3 & 3 & (a >> 5);
        *depth -= left < *depth ? left : *depth;
        w[1] = *depth ? (uint64_t)-- * depth << 32 | (a & 7) : TTAP__END_UNMATCHED | (a & 7);
    }
    if (kind >= TTAP__TASK_BEGIN && kind <= TTAP__TASK_TRACE) {
        bool about = kind >= TTAP__TASK_ATTR_INT;
        w[2] = about ? (uint64_t)b << 24 << 32 | (b & 3) : b;
        w[3] = about ? b : (uint64_t)b << 24 << 32 | (b & 7);
        w[4] = b & 3;
        w[5] = BASE_TICKS / 2 + b;
    }
}

static unsigned told_cells(struct input *input)
{
    static const uint8_t kinds[] = {TTAP__REGION_BEGIN, TTAP__REGION_END,    TTAP__REGION_BEGIN, TTAP__REGION_END,
                                    TTAP__INSTANT,      TTAP__LOG,           TTAP__COUNTER,      TTAP__TASK_BEGIN,
                                    TTAP__TASK_END,     TTAP__TASK_ENTER,    TTAP__TASK_ENTER,   TTAP__TASK_ATTR_INT,
                                    TTAP__TASK_TRACE,   TTAP__QUEUE_ENQUEUE, TTAP__GC_BEGIN,     TTAP__CELL_LOST_NESTED};
    uint64_t now = BASE_TICKS;
    uint32_t depth = 0;
    unsigned used = 0;
    while (input->at < input->end && used + 3 <= TTAP__CHUNK_CELLS) {
        uint8_t op = take(input);
        unsigned kind = kinds[op & 15];
        uint64_t *w = cells + WORDS * used;
        memset(w, 0, 48);
        now += op >> 4;
        w[0] = (now - (op == 0xf4 ? 20 : 0)) << 8 | kind;
        told_event(input, w, kind, &depth);
        used += cells_of(kind);
    }
    return used;
}

static bool region_shown(const struct ttap__open_region *r)
{
    return (view.groups & TTAP_GROUP_REGION) && (!r->has_task || ttap__keep_matches(&keep, r->draw, r->root_kind));
}

/* What is open for the reader behind the run, innermost last; -1: deeper than the packer's table, where it knows less. */
static int regions_read(uint64_t *open)
{
    int count = 0;
    for (size_t i = 0; i < packed.regions_count; i++)
        open[count++] = packed.region[i].name;
    for (size_t i = 0; i < packed.events_count; i++) {
        const struct packed_event *event = &packed.event[i];
        if (event->kind == TTAP__REGION_BEGIN)
            open[count++] = event->a[0];
        if (event->kind == TTAP__REGION_END) {
            require(count > 0);
            count--;
        }
        if (event->kind == TTAP__REGION_END_AT && (int)event->a[1] < count) {
            require(open[event->a[1]] == event->a[0]);
            count = (int)event->a[1];
        }
        if (count > (int)TTAP__REGION_STACK)
            return -1;
    }
    return count;
}

static void check_regions(bool to_the_end)
{
    uint64_t open[PACKED_REGIONS_MAX + PACKED_EVENTS_MAX];
    int count = regions_read(open), known = 0;
    if (count < 0 || follow.regions_beyond)
        return;
    for (uint32_t i = 0; i < follow.regions; i++)
        if (region_shown(&follow.region[i])) {
            require(known < count && open[known] == follow.region[i].name);
            known++;
        }
    require(!to_the_end || known == count);
}

static void check_task(void)
{
    uint64_t task = packed.task;
    for (size_t i = 0; i < packed.events_count; i++)
        if (packed.event[i].kind == TTAP__TASK_ENTER || packed.event[i].kind == TTAP__TASK_ENTER_FULL)
            task = packed.event[i].a[0];
    bool shown = (view.groups & TTAP_GROUP_TASK) && ttap__keep_matches(&keep, follow.task_draw, follow.task_root_kind);
    require(task == (shown ? follow.task : 0));
}

/* An end that is left out but closes regions that were shown ends its run, as does a note of how many are open: the next head tells. */
static bool ends_with_an_end(const uint64_t *cell)
{
    unsigned kind = run.cells ? cell[WORDS * (run.cells - 1)] & 0xff : 0;
    return kind == TTAP__REGION_END || kind == TTAP__CELL_DEPTH;
}

/* A chunk's note of its task is for the next head as well. */
static bool ends_with_a_task(const uint64_t *cell)
{
    return run.cells >= 3 && (cell[WORDS * (run.cells - 3)] & 0xff) == TTAP__CELL_TASK;
}

static void check_run(const uint64_t *cell, unsigned left)
{
    struct packed_bytes bytes = {run.head, run.events, run.head_bytes, run.event_bytes, run.base_ticks, run.last_ticks, run.count, run.filtered};
    require(run.cells <= left && (run.cells > 0 || run.damaged));
    require(run.head_bytes <= sizeof run.head && run.event_bytes <= sizeof run.events && run.count + run.filtered <= run.cells);
    packed_read(&bytes, &packed);
    require(packed.whole && packed.events_count == run.count);
    bool to_the_end = run.cells == left && !run.damaged;
    check_regions(to_the_end && !ends_with_an_end(cell));
    if (to_the_end && !ends_with_a_task(cell))
        check_task();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    memset(&follow, 0, sizeof follow);
    view.groups = (uint64_t)~take(&input); /* none of the higher ones is left out */
    uint8_t rate = take(&input);
    keep.otherwise = rate ? (uint64_t)rate << 24 : TTAP__KEEP_ALL;
    keep.rules = rate & 1;
    keep.rule[0] = (struct ttap__keep_rule){2, TTAP__KEEP_ALL / 2};
    unsigned used = take(&input) & 1 ? raw_cells(&input) : told_cells(&input);
    for (unsigned done = 0; done < used; done += run.cells) {
        ttap__pack(&run, &follow, &view, cells + WORDS * done, used - done, BASE_TICKS);
        check_run(cells + WORDS * done, used - done);
        if (run.damaged)
            break;
    }
    return 0;
}
