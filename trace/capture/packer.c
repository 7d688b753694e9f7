/* packer.c - from the 16-byte cells of emitters to about 4 bytes an event.
 *
 *   cell words      0: ticks << 8 | kind     1.. as follows                                       wire: docs/format.md section 4
 *   region_begin    depth << 32 | name
 *   region_end      depth << 32 | name, or TTAP__END_UNMATCHED | name
 *   instant, gc     name
 *   counter         name, value, -
 *   queue_*         name << 32 | queue, depth or why, -
 *   log             length << 32 | category, text...
 *   *_call          arg << 32 | op, start, object            lock_wake: - << 32 | op, object, -
 *   *_object        length << 32, object, -, text...
 *   sample          CPU time, process << 32 | cut << 16 | addresses, addresses...     call_stack: the same with the start of the call
 *   alloc_sample    bytes asked for, as sample but one more, weight, addresses...
 *   task_begin, _end, _enter     id, parent, draw << 32 | kind, status << 32 | root_kind, start
 *   task_attr_int, task_trace    id, draw << 32 | root_kind, 3 words
 *   task_attr_str, task_fail     id, draw << 32 | root_kind, length << 32 | key, code, -, text...
 *
 * Depths on the wire count the regions a view can see, not those the thread has: sampling leaves some out.
 */
#include "packer.h"

#include <string.h>

#include "emit.h"
#include "stacks.h"
#include "stacktable.h"

/* Tasks that this run has described already, so that entering them again takes two or three bytes. Direct-mapped. */
#define DESCRIBED 16

struct packer {
    uint32_t names; /* ids up to here exist */
    struct ttap__run *run;
    struct ttap__follow *f;
    const struct ttap__view *view;
    unsigned char *at;
    uint64_t previous_ticks;
    uint64_t last_task;
    uint32_t visible_regions;
    uint32_t beyond_here; /* regions deeper than the table that this run began: its reader knows them */
    bool shown;           /* the current task, if any, is kept by this view */
    uint64_t described[DESCRIBED];
};

static const uint32_t kind_groups[256] = {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) [number] = (uint32_t)TTAP_GROUP_##GROUP,
#include "events.def"
#undef TTAP_KIND
};

static bool region_shown(const struct packer *p, const struct ttap__open_region *r)
{
    return (p->view->groups & TTAP_GROUP_REGION) && (!r->has_task || ttap__keep_matches(p->view->keep, r->draw, r->root_kind));
}

static bool task_shown(const struct packer *p)
{
    return !p->f->task || ttap__keep_matches(p->view->keep, p->f->task_draw, p->f->task_root_kind);
}

/* ---- Writing: room was made sure of by TTAP__PACKED_BYTES_MAX ---- */

static inline void put(struct packer *p, uint64_t value)
{
    p->at = ttap__write_varint(p->at, value);
}

static inline void put_task(struct packer *p, uint64_t task)
{
    put(p, ttap__zigzag((int64_t)(task - p->last_task)));
    p->last_task = task;
}

static void put_bytes(struct packer *p, const uint64_t *words, size_t len)
{
    put(p, len);
    memcpy(p->at, words, len); /* emitters store little-endian words */
    p->at += len;
}

static inline void put_head(struct packer *p, unsigned kind, uint64_t ticks)
{
    p->run->count++;
    uint64_t delta = ticks - p->previous_ticks;
    if (ttap__unlikely((int64_t)delta < 0)) {
        *p->at++ = TTAP__KIND_TIME_BACK;
        put(p, 0 - delta);
        delta = 0;
    }
    p->previous_ticks = ticks;
    *p->at++ = (unsigned char)kind;
    put(p, delta);
}

/* ---- Regions ----
 * Ends find their begin by name, innermost first: a longjmp out of a region skips its end, and then the thread's own count of open
 * regions is too high for good, but the next end of an enclosing region still has a name. */

static bool wants_regions(const struct packer *p)
{
    return p->shown && (p->view->groups & TTAP_GROUP_REGION);
}

/* Regions at @depth or deeper when one begins at @depth: their ends were lost or not recorded. */
static bool has_stale(const struct ttap__follow *f, uint32_t depth)
{
    return f->regions && f->region[f->regions - 1].depth >= depth;
}

static void drop_stale(struct ttap__follow *f, uint32_t depth)
{
    while (has_stale(f, depth))
        f->regions--;
}

void ttap__follow_gap(struct ttap__follow *f, uint32_t depth)
{
    drop_stale(f, depth);
    if (depth <= TTAP__REGION_STACK)
        f->regions_beyond = 0;
}

static void pack_region_begin(struct packer *p, uint64_t ticks, uint64_t arg)
{
    struct ttap__follow *f = p->f;
    uint32_t depth = (uint32_t)(arg >> 32), name = (uint32_t)arg;
    bool show = wants_regions(p);
    if (ttap__likely(f->regions < TTAP__REGION_STACK)) {
        struct ttap__open_region *r = &f->region[f->regions++];
        *r = (struct ttap__open_region){depth, name, ticks, f->task_draw, f->task_root_kind, f->task != 0};
        p->visible_regions += show;
    } else {
        f->regions_beyond++;
        p->beyond_here += show;
    }
    if (!show) {
        p->run->filtered++;
        return;
    }
    put_head(p, TTAP__REGION_BEGIN, ticks);
    put(p, name);
}

static int find_region(const struct ttap__follow *f, uint32_t name, uint32_t depth)
{
    int by_name = -1;
    for (int i = (int)f->regions - 1; i >= 0; i--) {
        if (f->region[i].name != name)
            continue;
        if (f->region[i].depth == depth)
            return i;
        if (by_name < 0)
            by_name = i;
    }
    return by_name;
}

static void pack_region_end_unmatched(struct packer *p, uint64_t ticks, uint32_t name)
{
    p->f->open_ends++;
    if (!wants_regions(p)) {
        p->run->filtered++;
        return;
    }
    put_head(p, TTAP__REGION_END_OPEN, ticks);
    put(p, name);
    put(p, p->f->open_ends);
}

/* The innermost region is deeper than the table. If it began before this run its head could not list it, and a plain end would close
 * another one: an end at a depth that is not open closes nothing. */
static void pack_region_end_beyond(struct packer *p, uint64_t ticks, uint32_t name)
{
    p->f->regions_beyond--;
    if (!wants_regions(p)) {
        p->run->filtered++;
        return;
    }
    if (p->beyond_here) {
        p->beyond_here--;
        put_head(p, TTAP__REGION_END, ticks);
        return;
    }
    put_head(p, TTAP__REGION_END_AT, ticks);
    put(p, name);
    put(p, p->visible_regions);
}

/* Returns false when the run has to end behind this event: the view still shows regions that are gone. */
static bool pack_region_end(struct packer *p, uint64_t ticks, uint64_t arg)
{
    struct ttap__follow *f = p->f;
    uint32_t name = (uint32_t)arg, depth = (uint32_t)(arg >> 32) & 0x7fffffff;
    if (ttap__unlikely(f->regions_beyond)) {
        pack_region_end_beyond(p, ticks, name);
        return true;
    }
    int found = f->regions && f->region[f->regions - 1].name == name ? (int)f->regions - 1 : find_region(f, name, depth);
    if (found < 0) {
        pack_region_end_unmatched(p, ticks, name);
        return true;
    }
    uint32_t shown_above = 0;
    while ((int)f->regions - 1 > found)
        shown_above += region_shown(p, &f->region[--f->regions]);
    bool show = region_shown(p, &f->region[--f->regions]);
    p->visible_regions -= shown_above + show;
    if (!show) {
        p->run->filtered++;
        return shown_above == 0;
    }
    if (ttap__likely(!shown_above)) {
        put_head(p, TTAP__REGION_END, ticks);
        return true;
    }
    put_head(p, TTAP__REGION_END_AT, ticks);
    put(p, name);
    put(p, p->visible_regions);
    return true;
}

/* ---- Tasks ---- */

static bool task_wanted(const struct packer *p, uint32_t draw, uint32_t root_kind)
{
    return (p->view->groups & TTAP_GROUP_TASK) && ttap__keep_matches(p->view->keep, draw, root_kind);
}

static void pack_task_begin(struct packer *p, uint64_t ticks, const uint64_t *w)
{
    if (!task_wanted(p, (uint32_t)(w[3] >> 32), (uint32_t)w[4])) {
        p->run->filtered++;
        return;
    }
    put_head(p, TTAP__TASK_BEGIN, ticks);
    put_task(p, w[1]);
    put_task(p, w[2]);
    put(p, (uint32_t)w[3]);
    p->described[w[1] % DESCRIBED] = w[1];
}

static void pack_task_end(struct packer *p, uint64_t ticks, const uint64_t *w)
{
    if (!task_wanted(p, (uint32_t)(w[3] >> 32), (uint32_t)w[4])) {
        p->run->filtered++;
        return;
    }
    put_head(p, TTAP__TASK_END, ticks);
    put_task(p, w[1]);
    put_task(p, w[2]);
    put(p, (uint32_t)w[3]);
    put(p, ttap__zigzag((int64_t)(ticks - w[5])));
    put(p, w[4] >> 32);
}

static void follow_task_of(struct ttap__follow *f, const uint64_t *w)
{
    f->task = w[1];
    f->task_parent = w[2];
    f->task_kind = (uint32_t)w[3];
    f->task_draw = (uint32_t)(w[3] >> 32);
    f->task_root_kind = (uint32_t)w[4];
    f->task_start_ticks = w[5];
}

static void pack_task_enter(struct packer *p, uint64_t ticks, const uint64_t *w)
{
    struct ttap__follow *f = p->f;
    bool was_visible = f->task && p->shown;
    follow_task_of(f, w);
    p->shown = task_shown(p);
    if (!(p->view->groups & TTAP_GROUP_TASK) || (!p->shown && !was_visible)) {
        p->run->filtered++;
        return;
    }
    uint64_t task = p->shown ? f->task : 0; /* for a view that does not keep it: none */
    if (!task || p->described[task % DESCRIBED] == task) {
        put_head(p, TTAP__TASK_ENTER, ticks);
        put_task(p, task);
        return;
    }
    put_head(p, TTAP__TASK_ENTER_FULL, ticks);
    put_task(p, task);
    put_task(p, f->task_parent);
    put(p, f->task_kind);
    put(p, ttap__zigzag((int64_t)(ticks - f->task_start_ticks)));
    p->described[task % DESCRIBED] = task;
}

/* Attributes, failures, trace ids. */
static void pack_task_about(struct packer *p, uint64_t ticks, unsigned kind, const uint64_t *w)
{
    if (!task_wanted(p, (uint32_t)(w[2] >> 32), (uint32_t)w[2])) {
        p->run->filtered++;
        return;
    }
    put_head(p, kind, ticks);
    put_task(p, w[1]);
    switch (kind) {
    case TTAP__TASK_ATTR_INT:
        put(p, (uint32_t)w[3]);
        put(p, ttap__zigzag((int64_t)w[4]));
        break;
    case TTAP__TASK_ATTR_STR:
        put(p, (uint32_t)w[3]);
        put_bytes(p, w + 6, w[3] >> 32);
        break;
    case TTAP__TASK_FAIL:
        put(p, ttap__zigzag((int64_t)w[4]));
        put_bytes(p, w + 6, w[3] >> 32);
        break;
    case TTAP__TASK_TRACE:
        memcpy(p->at, w + 3, 24);
        p->at += 24;
        break;
    }
}

/* ---- Events of the current task that are mere facts ---- */

static void pack_fact(struct packer *p, uint64_t ticks, unsigned kind, const uint64_t *w)
{
    if (!p->shown || !(p->view->groups & kind_groups[kind])) {
        p->run->filtered++;
        return;
    }
    put_head(p, kind, ticks);
    switch (kind) {
    case TTAP__COUNTER:
        put(p, w[1]);
        put(p, ttap__zigzag((int64_t)w[2]));
        break;
    case TTAP__LOG:
        put(p, (uint32_t)w[1]);
        put_bytes(p, w + 2, w[1] >> 32);
        break;
    case TTAP__QUEUE_ENQUEUE:
    case TTAP__QUEUE_DEQUEUE:
    case TTAP__QUEUE_WAIT_BEGIN:
    case TTAP__QUEUE_WAIT_END:
        put(p, (uint32_t)w[1]);
        put(p, w[1] >> 32);
        put(p, w[2]);
        break;
    case TTAP__LOCK_CALL:
    case TTAP__NET_CALL:
    case TTAP__FILE_CALL:
    case TTAP__SLEEP_CALL:
        put(p, (uint32_t)w[1]);
        put(p, ttap__zigzag((int64_t)(ticks - w[2])));
        put(p, w[3]);
        put(p, kind == TTAP__LOCK_CALL ? w[1] >> 32 : ttap__zigzag((int32_t)(w[1] >> 32)));
        break;
    case TTAP__GC_STOPPED:
    case TTAP__GC_RESUMED:
        put(p, (uint32_t)w[1]);
        break;
    case TTAP__LOCK_WAKE:
        put(p, (uint32_t)w[1]);
        put(p, w[2]);
        break;
    case TTAP__NET_OBJECT:
    case TTAP__FILE_OBJECT:
        put(p, w[2]);
        put_bytes(p, w + 4, w[1] >> 32);
        break;
    default: /* instant, gc: a name */
        put(p, w[1]);
        break;
    }
}

/* ---- Stacks: of whichever task ---- */

static void pack_stack(struct packer *p, uint64_t ticks, unsigned kind, const uint64_t *w)
{
    bool has_weight = kind == TTAP__ALLOC_SAMPLE;
    if (!(p->view->groups & kind_groups[kind])) {
        p->run->filtered++;
        return;
    }
    put_head(p, kind, ticks);
    put(p, kind == TTAP__CALL_STACK ? ttap__zigzag((int64_t)(ticks - w[1])) : w[1]);
    if (has_weight)
        put(p, w[3]);
    put(p, ttap__stack_number((int)(w[2] >> 32), w + 3 + has_weight, (uint16_t)w[2] - has_weight, (w[2] & TTAP__STACK_CUT) != 0));
}

/* ---- The loop ---- */

/* Garbage may look like an event; one that names what does not exist would make the whole capture unreadable. */
static inline bool is_name(const struct packer *p, uint64_t id)
{
    return id <= p->names || id == TTAP_NAMES_MAX + 1;
}

/* What the words of an event say of its size, and the name it has; most are of two cells. */
struct shape {
    unsigned cells, text_bytes;
    uint64_t name; /* 0: none */
};

static inline struct shape shape_of_task_event(const uint64_t *w)
{
    unsigned kind = w[0] & 0xff;
    bool has_text = kind == TTAP__TASK_ATTR_STR || kind == TTAP__TASK_FAIL;
    uint32_t name = kind == TTAP__TASK_TRACE ? 0 : (uint32_t)w[3]; /* where word 3 is half of an id */
    return (struct shape){3, has_text ? (unsigned)(w[3] >> 32) : 0, name};
}

/* Cells an event takes; 0: no such event, or more than @left. */
static unsigned event_cells(const struct packer *p, const uint64_t *w, unsigned left)
{
    struct shape shape = {.cells = 2};
    switch (w[0] & 0xff) {
    case TTAP__REGION_BEGIN:
    case TTAP__REGION_END:
        return is_name(p, (uint32_t)w[1]);
    case TTAP__INSTANT:
    case TTAP__GC_BEGIN:
    case TTAP__GC_END:
        return is_name(p, w[1]);
    case TTAP__COUNTER:
        shape.name = w[1];
        break;
    case TTAP__QUEUE_ENQUEUE:
    case TTAP__QUEUE_DEQUEUE:
    case TTAP__QUEUE_WAIT_BEGIN:
    case TTAP__QUEUE_WAIT_END:
        shape.name = w[1] >> 32;
        break;
    case TTAP__LOCK_CALL:
    case TTAP__NET_CALL:
    case TTAP__FILE_CALL:
    case TTAP__SLEEP_CALL:
    case TTAP__LOCK_WAKE:
        shape.name = (uint32_t)w[1];
        break;
    case TTAP__GC_STOPPED:
    case TTAP__GC_RESUMED:
        break;
    case TTAP__NET_OBJECT:
    case TTAP__FILE_OBJECT:
        shape.text_bytes = (unsigned)(w[1] >> 32);
        break;
    case TTAP__SAMPLE:
    case TTAP__CALL_STACK:
    case TTAP__ALLOC_SAMPLE:
        if (left < 2 || (uint16_t)w[2] > TTAP__STACK_FRAMES_MAX || (uint16_t)w[2] < ((w[0] & 0xff) == TTAP__ALLOC_SAMPLE))
            return 0;
        shape.cells = (3 + (unsigned)(uint16_t)w[2] + 1) / 2;
        break;
    case TTAP__LOG:
        shape = (struct shape){1, (unsigned)(w[1] >> 32), (uint32_t)w[1]};
        break;
    case TTAP__TASK_BEGIN:
    case TTAP__TASK_END:
    case TTAP__TASK_ENTER:
    case TTAP__TASK_ATTR_INT:
    case TTAP__TASK_TRACE:
    case TTAP__TASK_ATTR_STR:
    case TTAP__TASK_FAIL:
        if (left < 3)
            return 0;
        shape = shape_of_task_event(w);
        break;
    default:
        return 0;
    }
    if (shape.text_bytes > TTAP_LOG_BYTES_MAX || !is_name(p, shape.name))
        return 0;
    shape.cells += (shape.text_bytes + 15) / 16;
    return shape.cells <= left ? shape.cells : 0;
}

static uint64_t unwrap(uint64_t word, uint64_t base_ticks)
{
    /* Cells carry 56 bits, which wrap after 208 days at 4 GHz; the chunk says in 64 bits when it was taken. */
    return base_ticks + (uint64_t)((int64_t)(((word >> 8) - base_ticks) << 8) >> 8);
}

/* A damaged time may lie before 0, which no reader takes. Clocks of two CPUs may differ there, but not by 2^32 ticks. */
static bool is_possible(uint64_t ticks, uint64_t base_ticks)
{
    int64_t delta = (int64_t)(ticks - base_ticks);
    return delta >= 0 || ticks < base_ticks || delta > -(INT64_C(1) << 32);
}

static void write_run_head(struct packer *p, uint64_t base_ticks)
{
    struct ttap__run *run = p->run;
    const struct ttap__follow *f = p->f;
    struct ttap__out out = ttap__out_of(run->head, sizeof(run->head));
    uint64_t task = p->shown && (p->view->groups & TTAP_GROUP_TASK) ? f->task : 0;
    ttap__out_varint(&out, task);
    if (task) {
        ttap__out_varint(&out, f->task_parent);
        ttap__out_varint(&out, f->task_kind);
        ttap__out_varint(&out, f->task_draw);
        ttap__out_zigzag(&out, (int64_t)(base_ticks - f->task_start_ticks));
        p->described[task % DESCRIBED] = task;
    }
    ttap__out_varint(&out, f->open_ends);
    ttap__out_varint(&out, p->visible_regions);
    for (uint32_t i = 0, depth = 0; i < f->regions; i++) {
        if (!region_shown(p, &f->region[i]))
            continue;
        ttap__out_varint(&out, depth++);
        ttap__out_varint(&out, f->region[i].name);
        ttap__out_zigzag(&out, (int64_t)(base_ticks - f->region[i].begin_ticks));
    }
    run->head_bytes = ttap__out_bytes(&out);
}

static void begin_run(struct packer *p, const uint64_t *cell, unsigned cells, uint64_t chunk_base_ticks)
{
    struct ttap__run *run = p->run;
    run->cells = run->count = run->filtered = 0;
    run->lost_nested = 0;
    run->damaged = false;
    run->base_ticks = run->last_ticks = p->previous_ticks = unwrap(cell[0], chunk_base_ticks);
    if (cells && (cell[0] & 0xff) == TTAP__REGION_BEGIN)
        drop_stale(p->f, (uint32_t)(cell[1] >> 32));
    p->shown = task_shown(p);
    for (uint32_t i = 0; i < p->f->regions; i++)
        p->visible_regions += region_shown(p, &p->f->region[i]);
    write_run_head(p, run->base_ticks);
    p->at = run->events;
}

/* One event. Returns false when the run has to end behind it. */
static bool pack_event(struct packer *p, uint64_t ticks, const uint64_t *w)
{
    unsigned kind = w[0] & 0xff;
    switch (kind) {
    case TTAP__REGION_BEGIN:
        pack_region_begin(p, ticks, w[1]);
        return true;
    case TTAP__REGION_END:
        return pack_region_end(p, ticks, w[1]);
    case TTAP__TASK_BEGIN:
        pack_task_begin(p, ticks, w);
        return true;
    case TTAP__TASK_END:
        pack_task_end(p, ticks, w);
        return true;
    case TTAP__TASK_ENTER:
        pack_task_enter(p, ticks, w);
        return true;
    case TTAP__TASK_ATTR_INT:
    case TTAP__TASK_ATTR_STR:
    case TTAP__TASK_FAIL:
    case TTAP__TASK_TRACE:
        pack_task_about(p, ticks, kind, w);
        return true;
    case TTAP__SAMPLE:
    case TTAP__CALL_STACK:
    case TTAP__ALLOC_SAMPLE:
        pack_stack(p, ticks, kind, w);
        return true;
    default:
        pack_fact(p, ticks, kind, w);
        return true;
    }
}

/* After the cells were seen, so that their names are among them: an id is stored (release) after the number it raised. */
static uint32_t known_names(void)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = arena ? ttap__load_acquire(&arena->names_made) : TTAP_NAMES_MAX;
    return made < TTAP_NAMES_MAX ? made : TTAP_NAMES_MAX;
}

void ttap__pack(struct ttap__run *run, struct ttap__follow *follow, const struct ttap__view *view, const uint64_t *cell, unsigned cells,
                uint64_t chunk_base_ticks)
{
    struct packer p = {.run = run, .f = follow, .view = view, .names = known_names()};
    begin_run(&p, cell, cells, chunk_base_ticks);
    unsigned done = 0;
    while (done < cells) {
        const uint64_t *w = cell + 2 * done;
        if (ttap__unlikely((w[0] & 0xff) == TTAP__CELL_TASK && cells - done >= 3 && is_name(&p, (uint32_t)w[3]))) {
            follow_task_of(follow, w); /* the next run's head tells it */
            done += 3;
            break;
        }
        if (ttap__unlikely((w[0] & 0xff) == TTAP__CELL_DEPTH)) {
            ttap__follow_gap(follow, w[1] < UINT32_MAX ? (uint32_t)w[1] : UINT32_MAX); /* as above */
            done++;
            break;
        }
        if (ttap__unlikely((w[0] & 0xff) == TTAP__CELL_LOST_NESTED)) {
            run->lost_nested = w[1];
            done++;
            break;
        }
        if (ttap__unlikely(done && (w[0] & 0xff) == TTAP__REGION_BEGIN && has_stale(follow, (uint32_t)(w[1] >> 32))))
            break; /* the next run's head tells which regions are really open */
        unsigned n = event_cells(&p, w, cells - done);
        uint64_t ticks = unwrap(w[0], chunk_base_ticks);
        if (ttap__unlikely(!n || !is_possible(ticks, chunk_base_ticks))) {
            run->damaged = true;
            break;
        }
        done += n;
        run->last_ticks = ticks;
        if (ttap__unlikely(!pack_event(&p, ticks, w)))
            break;
    }
    run->cells = done;
    run->event_bytes = (size_t)(p.at - run->events);
}
