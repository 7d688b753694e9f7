/* emit.c - one function per event that belongs to the calling thread. Everything here may run in a signal handler. */
#include "emit.h"
#include "share.h"

/* The word every annotation tests. Default visibility, never protected and never bound inside the library: in a program linked
 * -no-pie the copy relocation makes the program's copy the only one. The object fills a page, so that the copy does too and share.c can
 * map another page over it; users see only its first word. */
struct gate_page {
    uint64_t gate;
    char rest[TTAP__GATE_PAGE_BYTES - sizeof(uint64_t)];
};
extern TTAP_API struct gate_page gate_page __asm__("ttap_gate");
struct gate_page gate_page __attribute__((aligned(TTAP__GATE_PAGE_BYTES)));

static inline uint32_t name_id(struct ttap_name *name)
{
    uint32_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id)) {
        id = ttap_name(name->text);
        ttap__store_release(&name->id, id); /* release: known_names() in packer.c */
    }
    return id;
}

void ttap__emission_lost_nested(struct ttap__stream *s)
{
    __atomic_fetch_add(&s->shared->lost_nested, 1, __ATOMIC_RELAXED);
}

static void mark_lost(struct ttap__stream *s, uint64_t lost)
{
    ttap__emission_write_head(s->cell, TTAP__CELL_LOST_NESTED, lost);
    s->nested_marked = lost;
    s->cell += 2;
    s->publish += 1;
}

static void mark_task(struct ttap__stream *s, const struct ttap_task *task)
{
    uint64_t *cell = s->cell;
    ttap__emission_write_head(cell, TTAP__CELL_TASK, task->id);
    ttap__store(&cell[2], task->parent);
    ttap__store(&cell[3], (uint64_t)task->draw << 32 | task->kind);
    ttap__store(&cell[4], task->root_kind);
    ttap__store(&cell[5], task->start_ticks);
    s->task_marked = task->id;
    s->cell += 6;
    s->publish += 3;
}

/* Tell in its place what this stream's events do not: what a deeper handler lost, so that sequence numbers stay in order; and the task, of
 * which a handler has no event, nor has the thread itself when it was entered while nobody kept it. Published together with the event that follows. */
bool ttap__emission_mark(struct ttap__record *rec, struct ttap__stream *s)
{
    uint64_t lost = ttap__load(&s->shared->lost_nested);
    uint64_t task = ttap__load(&rec->slot->task[0]); /* 0 also while the thread is between two */
    if (!s->level) {
        s->marks = 0;
        ttap__fast_choose(rec);
    }
    if (ttap__likely(lost == s->nested_marked && task == s->task_marked))
        return true;
    if (s->end - s->cell < 2 * TTAP__MARK_CELLS_MAX && !ttap__take_chunk(rec, s)) {
        ttap__store_release(&s->shared->busy, 0);
        return false;
    }
    if (lost != s->nested_marked)
        mark_lost(s, lost);
    if (task != s->task_marked) {
        struct ttap_task current = task ? ttap__slot_task(rec->slot) : (struct ttap_task)TTAP_TASK_NONE;
        mark_task(s, &current);
    }
    return true;
}

static __attribute__((noinline)) void region_begin_unusual(struct ttap_name *name)
{
    uint64_t id = name_id(name);
    struct ttap__emission e;
    if (!ttap__emission_stream(&e))
        return;
    if (ttap__emission_passes_by(&e)) {
        e.s->depth++;
        return;
    }
    if (!ttap__emission_start(&e, TTAP_GROUP_REGION))
        return;
    if (ttap__emission_muted(&e)) {
        e.s->depth++;
        return;
    }
    uint64_t *cell = ttap__emission_reserve(&e, 1); /* before the depth changes: a new chunk notes how many are open */
    uint64_t depth = e.s->depth++;
    if (!cell)
        return;
    ttap__emission_write_head(cell, TTAP__REGION_BEGIN, depth << 32 | id);
    ttap__emission_publish(&e, 1);
}

void ttap__region_begin(struct ttap_name *name)
{
    struct ttap__record *rec = ttap__tls;
    uint64_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id || !ttap__fast_open(rec, TTAP_GROUP_REGION, 1))) {
        if (ttap__fast_passes_by(rec))
            rec->stream[0].depth++; /* also when muted: begins and ends must stay paired */
        else
            region_begin_unusual(name);
        return;
    }
    uint64_t depth = rec->stream[0].depth++;
    ttap__fast_publish(rec, TTAP__REGION_BEGIN, depth << 32 | id, 1);
}

/* The region that ends, as a cell tells it; one level up. */
static inline uint64_t ending(struct ttap__stream *s, uint64_t id)
{
    return ttap__likely(s->depth) ? (uint64_t)--s->depth << 32 | id : TTAP__END_UNMATCHED | id;
}

static __attribute__((noinline)) void region_end_unusual(struct ttap_name *name)
{
    uint64_t id = name_id(name);
    struct ttap__emission e;
    if (!ttap__emission_stream(&e))
        return;
    if (ttap__emission_passes_by(&e)) {
        ending(e.s, id);
        return;
    }
    if (!ttap__emission_start(&e, TTAP_GROUP_REGION))
        return;
    if (ttap__emission_muted(&e)) {
        ending(e.s, id);
        return;
    }
    uint64_t *cell = ttap__emission_reserve(&e, 1);
    uint64_t arg = ending(e.s, id);
    if (!cell) {
        e.s->low_depth = e.s->depth < e.s->low_depth ? e.s->depth : e.s->low_depth;
        return;
    }
    ttap__emission_write_head(cell, TTAP__REGION_END, arg);
    ttap__emission_publish(&e, 1);
}

void ttap__region_end(struct ttap_name *name)
{
    struct ttap__record *rec = ttap__tls;
    uint64_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id || !ttap__fast_open(rec, TTAP_GROUP_REGION, 1))) {
        if (ttap__fast_passes_by(rec))
            ending(&rec->stream[0], id);
        else
            region_end_unusual(name);
        return;
    }
    ttap__fast_publish(rec, TTAP__REGION_END, ending(&rec->stream[0], id), 1);
}

/* An event of the current task with one argument. */
static __attribute__((noinline)) void emit_1_unusual(uint64_t group, unsigned kind, uint64_t arg)
{
    struct ttap__emission e;
    if (!ttap__emission_open(&e, group))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, 1);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, arg);
    ttap__emission_publish(&e, 1);
}

static inline void emit_1(uint64_t group, unsigned kind, uint64_t arg)
{
    struct ttap__record *rec = ttap__tls;
    if (ttap__likely(ttap__fast_open(rec, group, 1) != NULL))
        ttap__fast_publish(rec, kind, arg, 1);
    else if (!ttap__fast_passes_by(rec))
        emit_1_unusual(group, kind, arg);
}

/* The same with three. */
static __attribute__((noinline)) void emit_3_unusual(uint64_t group, unsigned kind, uint64_t a, uint64_t b, uint64_t c)
{
    struct ttap__emission e;
    if (!ttap__emission_open(&e, group))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, 2);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, a);
    ttap__store(&cell[2], b);
    ttap__store(&cell[3], c);
    ttap__emission_publish(&e, 2);
}

static inline __attribute__((always_inline)) void emit_3(uint64_t group, unsigned kind, uint64_t a, uint64_t b, uint64_t c)
{
    struct ttap__record *rec = ttap__tls;
    uint64_t *cell = ttap__fast_open(rec, group, 2);
    if (ttap__unlikely(!cell)) {
        if (!ttap__fast_passes_by(rec))
            emit_3_unusual(group, kind, a, b, c);
        return;
    }
    ttap__store(&cell[2], b);
    ttap__store(&cell[3], c);
    ttap__fast_publish(rec, kind, a, 2);
}

void ttap__instant(struct ttap_name *name)
{
    emit_1(TTAP_GROUP_LOG, TTAP__INSTANT, name_id(name));
}

void ttap__counter(struct ttap_name *name, int64_t value)
{
    emit_3(TTAP_GROUP_COUNTER, TTAP__COUNTER, name_id(name), (uint64_t)value, 0);
}

void ttap__gc(struct ttap_name *phase, int begin)
{
    emit_1(TTAP_GROUP_GC, begin ? TTAP__GC_BEGIN : TTAP__GC_END, name_id(phase));
}

void ttap__queue(struct ttap_queue *queue, unsigned op, uint64_t arg)
{
    static const unsigned kinds[4] = {TTAP__QUEUE_ENQUEUE, TTAP__QUEUE_DEQUEUE, TTAP__QUEUE_WAIT_BEGIN, TTAP__QUEUE_WAIT_END};
    uint32_t name = ttap__load(&queue->name_id);
    uint32_t id = ttap__load(&queue->id);
    if (ttap__unlikely(!name || !id)) {
        struct ttap__arena *arena = ttap__arena();
        if (!arena)
            return;
        name = ttap_name(queue->name);
        ttap__store_release(&queue->name_id, name);
        uint32_t fresh = __atomic_add_fetch(&arena->next_queue_id, 1, __ATOMIC_RELAXED);
        id = 0;
        if (__atomic_compare_exchange_n(&queue->id, &id, fresh, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            id = fresh;
    }
    emit_3(TTAP_GROUP_QUEUE, kinds[op & 3], (uint64_t)name << 32 | id, arg, 0);
}

void ttap__log(struct ttap_name *category, const char *text, size_t len_bytes)
{
    uint64_t id = name_id(category);
    if (!text)
        len_bytes = 0;
    if (len_bytes > TTAP_LOG_BYTES_MAX)
        len_bytes = TTAP_LOG_BYTES_MAX;
    unsigned cells = 1 + (unsigned)(len_bytes + 15) / 16;
    struct ttap__emission e;
    if (!ttap__emission_open(&e, TTAP_GROUP_LOG))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, cells);
    if (!cell)
        return;
    ttap__emission_write_head(cell, TTAP__LOG, (uint64_t)len_bytes << 32 | id);
    ttap__emission_write_text(cell + 2, text, len_bytes);
    ttap__emission_publish(&e, cells);
}

/* ---- For hooks ---- */

void ttap__emit_fact(uint64_t group, unsigned kind, uint64_t a, uint64_t b, uint64_t c)
{
    emit_3(group, kind, a, b, c);
}

void ttap__emit_object(uint64_t group, unsigned kind, uint64_t object, const char *text, size_t len_bytes)
{
    if (len_bytes > TTAP_LOG_BYTES_MAX)
        len_bytes = TTAP_LOG_BYTES_MAX;
    unsigned cells = 2 + (unsigned)(len_bytes + 15) / 16;
    struct ttap__emission e;
    if (!ttap__emission_open(&e, group))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, cells);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, (uint64_t)len_bytes << 32);
    ttap__store(&cell[2], object);
    ttap__store(&cell[3], 0);
    ttap__emission_write_text(cell + 4, text, len_bytes);
    ttap__emission_publish(&e, cells);
}

uint32_t ttap__emit_name(struct ttap_name *name)
{
    return name_id(name);
}
