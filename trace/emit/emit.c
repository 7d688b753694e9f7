/* emit.c - one function per event that belongs to the calling thread. Everything here may run in a signal handler. */
#include "emit.h"
#include "sys.h"
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
extern __typeof__(ttap__own_gate) ttap__own_gate __attribute__((alias("ttap_gate")));

static inline uint32_t name_id(struct ttap_name *name)
{
    uint32_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id)) {
        id = ttap_name(name->text);
        ttap__store_release(&name->id, id); /* release: known_names() in packer.c */
    }
    return id;
}

/* No frame that the kernel makes for a handler is smaller, so less far down the stack it is not a handler: 128 bytes of red zone, 440 of
 * frame and 576 of floating point state on x86-64, 4.6 KB on aarch64. What calls of ours lie between take 512. */
#if defined(__SANITIZE_THREAD__)
#define SIGNAL_FRAME_MIN 0u /* its runtime calls handlers itself, later, from within our own calls */
#else
#define SIGNAL_FRAME_MIN 1024u
#endif

/* How often to make sure, see below: handlers come in hundreds. */
#define MAKE_SURE_EACH 256u

/* The event that set @busy will not be finished: the thread is above it again (siglongjmp out of the handler that interrupted it). An
 * alternate stack may lie anywhere, so where it would make a difference the kernel is asked; rarely when we are below, where the event was
 * left behind only if it was on an alternate stack and we are not. */
static bool was_left(struct ttap__record *rec, uint64_t busy)
{
    struct {
        uint64_t start;
        int flags;
        uint64_t bytes;
    } alternate;
    bool below = ttap__stack_here() + SIGNAL_FRAME_MIN < busy;
    if (below && ++rec->nested % MAKE_SURE_EACH)
        return false;
    if (ttap__syscall6(SYS_sigaltstack, 0, (long)&alternate, 0, 0, 0, 0) < 0)
        return false;
    bool was_on_it = busy - alternate.start <= alternate.bytes;
    if (alternate.flags & 1 /* SS_ONSTACK */)
        return was_on_it && !below;
    return was_on_it || !below;
}

static bool in_stream(struct ttap__emission *e, unsigned level)
{
    e->rec = ttap__tls;
    e->s = &e->rec->stream[level];
    e->shared = e->s->shared;
    return e->shared != NULL;
}

static bool in_first_handler(struct ttap__emission *e)
{
    if (!in_stream(e, 1))
        return false;
    if (!ttap__load(&e->shared->busy))
        return true;
    __atomic_fetch_add(&e->shared->lost_nested, 1, __ATOMIC_RELAXED);
    return false;
}

/* We were torn away from handing it over, before it was listed or after: the drainer will know when it has seen the list. May itself be left
 * anywhere: a value that is there twice is one too many, no more. False: no room. */
static bool leave_orphan(struct ttap__slot *slot, uint32_t level, uint64_t published)
{
    uint64_t *free_place = NULL;
    for (int i = TTAP__ORPHANS_MAX; i-- > 0;) {
        uint64_t *place = &slot->orphan[level][i];
        uint64_t there = ttap__load(place);
        if (there == published)
            return true;
        if (!there)
            free_place = place;
    }
    if (free_place)
        ttap__store_release(free_place, published); /* acquire: adopt() in drainer.c */
    return free_place != NULL;
}

/* The stream as what it has published tells: the event that was left is forgotten, wherever it was. With busy set, so that handlers keep out.
 * False: not now. */
static bool mend(struct ttap__stream *s, struct ttap__slot_stream *shared, uint32_t level)
{
    struct ttap__slot *slot = (struct ttap__slot *)(shared - level);
    uint64_t published = ttap__load(&shared->published);
    uint32_t chunk = TTAP__PUB_CHUNK(published);
    if ((published & TTAP__PUB_HANDED_OVER) && !leave_orphan(slot, level, published))
        return false;
    bool continues = chunk && !(published & TTAP__PUB_HANDED_OVER);
    s->cell = continues ? ttap__chunks[chunk - 1].cells + 2 * TTAP__PUB_USED(published) : NULL;
    s->end = continues ? ttap__chunks[chunk - 1].cells + 2 * TTAP__CHUNK_CELLS : NULL;
    s->publish = published;
    s->serial = TTAP__PUB_SERIAL(published);
    s->epoch = UINT64_MAX;                                            /* refresh */
    s->nested_marked = UINT64_MAX;                                    /* tell again */
    s->task_marked = level ? UINT64_MAX : ttap__load(&slot->task[0]); /* a change of task that was left half-way is not told */
    uint32_t session = ttap__load(&ttap__arena_here()->session);
    if (s->session == session)
        ttap__store_release(&shared->dirty, session); /* as in ttap__refresh() */
    return true;
}

/* We are a signal handler inside an event of this thread, or such a handler was left by a jump. An event of stream 1 is always inside one of
 * stream 0: that one over, it was left. Again when a handler did the same meanwhile. */
__attribute__((noinline)) bool ttap__emission_nested(struct ttap__emission *e)
{
    for (;;) {
        uint64_t busy = ttap__load(&e->shared->busy);
        if (busy && !was_left(e->rec, busy))
            return in_first_handler(e);
        if (!busy && !ttap__load(&e->shared[1].busy))
            return true;
        if (!__atomic_compare_exchange_n(&e->shared->busy, &busy, ttap__stack_here(), 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            continue;
        if (busy && !mend(e->s, e->shared, 0))
            return in_first_handler(e);
        if (!ttap__load(&e->shared[1].busy) || mend(e->s + 1, e->shared + 1, 1))
            ttap__store_release(&e->shared[1].busy, 0);
        ttap__store_release(&e->shared->busy, 0);
        if (ttap__load(&e->shared[1].busy))
            return true;
    }
}

static uint64_t *mark_lost(struct ttap__stream *s, uint64_t *cell, uint64_t lost)
{
    ttap__emission_write_head(cell, TTAP__CELL_LOST_NESTED, lost);
    s->nested_marked = lost;
    s->publish += 1;
    return s->cell = cell + 2;
}

static void mark_task(struct ttap__stream *s, uint64_t *cell, const struct ttap_task *task)
{
    ttap__emission_write_head(cell, TTAP__CELL_TASK, task->id);
    ttap__store(&cell[2], task->parent);
    ttap__store(&cell[3], (uint64_t)task->draw << 32 | task->kind);
    ttap__store(&cell[4], task->root_kind);
    ttap__store(&cell[5], task->start_ticks);
    s->task_marked = task->id;
    s->publish += 3;
    s->cell = cell + 6;
}

static uint64_t *mark_depth(struct ttap__stream *s, uint64_t *cell, uint32_t depth)
{
    ttap__emission_write_head(cell, TTAP__CELL_DEPTH, depth);
    s->low_depth = TTAP__LOW_DEPTH_NONE;
    s->publish += 1;
    return s->cell = cell + 2;
}

/* We are in a handler that interrupted entering a task. */
static bool is_entering(struct ttap__record *rec)
{
    if (ttap__likely(!rec->entering))
        return false;
    if (!was_left(rec, rec->entering))
        return true;
    rec->entering = 0;
    return false;
}

/* Tell in its place what this stream's events do not: what a deeper handler lost, so that sequence numbers stay in order; and the task, of
 * which a handler has no event, nor has the thread itself when it was entered while nobody kept it. Published together with the event that follows. */
bool ttap__emission_mark(struct ttap__emission *e)
{
    struct ttap__stream *s = e->s;
    const struct ttap__slot *slot = ttap__emission_slot(e);
    uint64_t lost = ttap__load(&e->shared->lost_nested);
    uint64_t task = ttap__load(&slot->task[0]); /* 0 also while the thread is between two */
    if (s == &e->rec->stream[0]) {
        s->marks = is_entering(e->rec);
        ttap__fast_choose(e->rec);
        if (s->marks || e->rec->muted)
            task = s->task_marked; /* the event of entering will tell, not we before it; and nobody, of a task that nobody keeps */
    }
    uint32_t low_depth = s->low_depth;
    if (ttap__likely(lost == s->nested_marked && task == s->task_marked && low_depth == TTAP__LOW_DEPTH_NONE))
        return true;
    uint64_t *cell = s->cell;
    if (s->end - cell < 2 * TTAP__MARK_CELLS_MAX && (!ttap__take_chunk(e) || !(cell = s->cell))) {
        ttap__emission_close(e);
        return false;
    }
    if (lost != s->nested_marked)
        cell = mark_lost(s, cell, lost);
    if (low_depth != TTAP__LOW_DEPTH_NONE)
        cell = mark_depth(s, cell, low_depth);
    if (task != s->task_marked) {
        struct ttap_task current = task ? ttap__slot_task(slot) : (struct ttap_task)TTAP_TASK_NONE;
        mark_task(s, cell, &current);
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
    struct ttap__fast f;
    uint64_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id || !ttap__fast_open(&f, rec, TTAP_GROUP_REGION, 1))) {
        if (ttap__fast_passes_by(rec))
            rec->stream[0].depth++; /* also when muted: begins and ends must stay paired */
        else
            region_begin_unusual(name);
        return;
    }
    uint64_t depth = rec->stream[0].depth++;
    ttap__fast_publish(&f, rec, TTAP__REGION_BEGIN, depth << 32 | id, 1);
}

/* The region that ends, as a cell tells it. */
static inline uint64_t ending(const struct ttap__stream *s, uint64_t id)
{
    return ttap__likely(s->depth) ? (uint64_t)(s->depth - 1) << 32 | id : TTAP__END_UNMATCHED | id;
}

/* One level up; after it was told. Who jumps out in between leaves the count too high, as any jump out of a region does. Too low would tell
 * the reader of regions that nobody ended. */
static inline void go_up(struct ttap__stream *s)
{
    s->depth -= ttap__likely(s->depth);
}

static inline void go_up_untold(struct ttap__stream *s)
{
    go_up(s);
    if (s->depth < s->told_depth && s->depth < s->low_depth)
        s->low_depth = s->depth;
}

static __attribute__((noinline)) void region_end_unusual(struct ttap_name *name)
{
    uint64_t id = name_id(name);
    struct ttap__emission e;
    if (!ttap__emission_stream(&e))
        return;
    if (ttap__emission_passes_by(&e)) {
        go_up_untold(e.s);
        return;
    }
    if (!ttap__emission_start(&e, TTAP_GROUP_REGION))
        return;
    if (ttap__emission_muted(&e)) {
        go_up_untold(e.s);
        return;
    }
    uint64_t *cell = ttap__emission_reserve(&e, 1);
    uint64_t arg = ending(e.s, id);
    if (!cell) {
        go_up_untold(e.s);
        return;
    }
    ttap__emission_write_head(cell, TTAP__REGION_END, arg);
    ttap__emission_show(&e, 1);
    go_up(e.s);
    ttap__emission_close(&e);
}

void ttap__region_end(struct ttap_name *name)
{
    struct ttap__record *rec = ttap__tls;
    struct ttap__fast f;
    uint64_t id = ttap__load(&name->id);
    if (ttap__unlikely(!id || !ttap__fast_open(&f, rec, TTAP_GROUP_REGION, 1))) {
        if (ttap__fast_passes_by(rec))
            go_up_untold(&rec->stream[0]);
        else
            region_end_unusual(name);
        return;
    }
    ttap__fast_show(&f, rec, TTAP__REGION_END, ending(&rec->stream[0], id), 1);
    go_up(&rec->stream[0]);
    ttap__fast_close(&f);
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
    struct ttap__fast f;
    if (ttap__likely(ttap__fast_open(&f, rec, group, 1)))
        ttap__fast_publish(&f, rec, kind, arg, 1);
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
    struct ttap__fast f;
    if (ttap__unlikely(!ttap__fast_open(&f, rec, group, 2))) {
        if (!ttap__fast_passes_by(rec))
            emit_3_unusual(group, kind, a, b, c);
        return;
    }
    ttap__store(&f.cell[2], b);
    ttap__store(&f.cell[3], c);
    ttap__fast_publish(&f, rec, kind, a, 2);
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
