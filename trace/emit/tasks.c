/* tasks.c - tasks: whole values made while off, events while on.
 *
 * A handle carries all that a later reader or another thread needs, so nothing about a task is stored centrally. The thread's current
 * task is kept in its record, and copied to its slot so that a window can begin with who is working for whom.
 */
#include "emit.h"

#define FLAG_REMOTE 1u /* the trace id came from another service */

/* value += 1, as one instruction as far as signal handlers of this thread are concerned. */
static inline uint64_t next_id(uint64_t *value)
{
#if defined(__x86_64__)
    uint64_t one = 1;
    __asm__ volatile("xaddq %0, %1" : "+r"(one), "+m"(*value));
    return one + 1;
#else
    return __atomic_add_fetch(value, 1, __ATOMIC_RELAXED);
#endif
}

/* Uniform over 2^32: ids of one thread are consecutive, draws must not be. */
static inline uint32_t draw_of(uint64_t id)
{
    id ^= id >> 33;
    id *= 0xff51afd7ed558ccdu;
    id ^= id >> 33;
    id *= 0xc4ceb9fe1a85ec53u;
    uint32_t draw = (uint32_t)(id >> 32);
    return draw == TTAP__DRAW_NEVER ? draw - 1 : draw;
}

bool ttap__keep_matches(const struct ttap__keep *keep, uint32_t draw, uint32_t root_kind)
{
    uint32_t rules = ttap__load(&keep->rules);
    for (uint32_t i = 0; i < rules; i++)
        if (ttap__load(&keep->rule[i].kind) == root_kind)
            return draw < ttap__load(&keep->rule[i].below);
    return draw < ttap__load(&keep->otherwise);
}

bool ttap__kept_by_any(uint32_t draw, uint32_t root_kind)
{
    struct ttap__arena *arena = ttap__arena_here();
    return ttap__keep_matches(&arena->keep[ttap__load_acquire(&arena->keep_index) & 1], draw, root_kind);
}

static struct ttap__record *this_record(void)
{
    struct ttap__record *rec = ttap__tls;
    if (ttap__likely(rec->stream[0].shared != NULL))
        return rec;
    return ttap__attach() ? ttap__tls : NULL;
}

static uint32_t kind_id(struct ttap_name *kind)
{
    uint32_t id = ttap__load(&kind->id);
    if (ttap__unlikely(!id)) {
        id = ttap_name(kind->text);
        ttap__store_release(&kind->id, id); /* release: as in emit.c */
    }
    return id;
}

/* The 3-cell form that begin, end and enter share. */
static void write_task(struct ttap__emission *e, unsigned kind, const struct ttap_task *task, uint32_t status)
{
    if (kind == TTAP__TASK_ENTER)
        e->s->task_marked = task->id; /* this event tells it */
    uint64_t *cell = ttap__emission_reserve(e, 3);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, task->id);
    ttap__store(&cell[2], task->parent);
    ttap__store(&cell[3], (uint64_t)task->draw << 32 | task->kind);
    ttap__store(&cell[4], (uint64_t)status << 32 | task->root_kind);
    ttap__store(&cell[5], task->start_ticks);
    ttap__emission_publish(e, 3);
}

static __attribute__((noinline)) bool open_listened(struct ttap__emission *e, const struct ttap_task *task)
{
    if (!ttap__emission_stream(e) || !ttap__emission_start(e, TTAP_GROUP_TASK))
        return false;
    if (ttap__likely(ttap__kept_by_any(task->draw, task->root_kind)))
        return true;
    ttap__emission_count_muted(e);
    ttap__emission_close(e);
    return false;
}

/* Open an emission about @task, which need not be the current one. False: nobody wants it (counted if sampling said so). The gate is
 * looked at in the caller: while nobody listens, there is no second call. */
static inline bool open_about(struct ttap__emission *e, const struct ttap_task *task)
{
    return TTAP_ENABLED(TTAP_GROUP_TASK) && open_listened(e, task);
}

static const uint64_t no_trace_id[2];

/* In words, for ttap__task_copy(). The two 32-bit pairs are little-endian on all machines we build for. */
static inline void write_handle(struct ttap_task *task, uint64_t id, uint64_t parent, uint64_t start_ticks, const uint64_t *trace_id, uint64_t kinds,
                                uint64_t draw)
{
    ttap__task_word *word = (ttap__task_word *)task;
    uint64_t high = trace_id[0], low = trace_id[1]; /* of the parent, which may be @task itself */
    ttap__store_release(&word[0], id);
    ttap__store_release(&word[1], parent);
    ttap__store_release(&word[2], start_ticks);
    ttap__store_release(&word[3], high);
    ttap__store_release(&word[4], low);
    ttap__store_release(&word[5], kinds);
    ttap__store_release(&word[6], draw);
}

/* The draw of a root, or the one that nobody keeps. Only what would be kept takes a token. */
static __attribute__((noinline)) uint32_t limited(uint32_t draw, uint32_t kind, uint64_t now_ticks)
{
    return ttap__kept_by_any(draw, kind) && !ttap__limit_allows(kind, now_ticks) ? TTAP__DRAW_NEVER : draw;
}

/* @seed: what a root's draw is made of; 0: its id. */
static void begin(struct ttap_task *task, struct ttap_name *kind, const struct ttap_task *parent, uint64_t seed)
{
    struct ttap__record *rec = this_record();
    uint64_t now_ticks = ttap__ticks();
    uint32_t name = kind_id(kind);
    /* Without a record: high bit set, so that it collides with no thread's ids. */
    uint64_t id = ttap__likely(rec != NULL) ? next_id(&rec->next_task_id) : now_ticks | UINT64_C(1) << 63;
    if (parent && parent->id) {
        write_handle(task, id, parent->id, now_ticks, parent->trace_id, (uint64_t)parent->root_kind << 32 | name, parent->draw);
        return;
    }
    uint32_t draw = draw_of(seed ? seed : id);
    if (TTAP_ENABLED(TTAP__GATE_GROUPS))
        draw = limited(draw, name, now_ticks);
    write_handle(task, id, 0, now_ticks, no_trace_id, (uint64_t)name << 32 | name, draw);
}

void ttap_task_begin(struct ttap_task *task, struct ttap_name *kind, const struct ttap_task *parent)
{
    begin(task, kind, parent, 0);
    struct ttap__emission e;
    if (open_about(&e, task))
        write_task(&e, TTAP__TASK_BEGIN, task, 0);
}

void ttap__task_end(const struct ttap_task *task)
{
    struct ttap__emission e;
    if (task->id && open_about(&e, task))
        write_task(&e, TTAP__TASK_END, task, 0);
}

/* ---- The current task ---- */

/* The slot holds it, where the drainer reads it when a window begins. The id goes first and comes last, so that whoever reads the same
 * id before and after has read one task: ids are never reused. (A version to count up would be a chain through memory, 5 ns.) */
static inline void set_current(struct ttap__slot *slot, const struct ttap_task *task)
{
    const ttap__task_word *word = (const ttap__task_word *)task;
    ttap__store(&slot->task[0], 0);
#pragma GCC unroll 8
    for (size_t i = 1; i < TTAP__TASK_WORDS; i++)
        ttap__store_release(&slot->task[i], ttap__load(&word[i])); /* release: after the 0 */
    ttap__store_release(&slot->task[0], ttap__load(&word[0]));     /* acquire: write_current_task() in sub.c */
}

static const struct ttap_task none;

/* The half of entering that only happens while somebody listens. What is told are changes between tasks that somebody keeps: a stretch
 * of tasks that nobody does is one stretch without a task. */
static __attribute__((noinline)) void record_enter(struct ttap__record *rec, const struct ttap_task *task, uint64_t id_before)
{
    uint64_t kept_before = rec->muted ? 0 : id_before;
    bool muted = task->id && !ttap__kept_by_any(task->draw, task->root_kind);
    ttap__set_muted(rec, muted);
    if (!muted && rec->stream[0].low_depth != TTAP__LOW_DEPTH_NONE)
        rec->stream[0].marks = 1;
    ttap__fast_choose(rec);
    struct ttap__emission e;
    if (!TTAP_ENABLED(TTAP_GROUP_TASK) || !ttap__emission_stream(&e) || !ttap__emission_start(&e, TTAP_GROUP_TASK))
        return;
    muted = rec->muted; /* since we decided, other rates may have come into force with a new epoch */
    if (muted)
        ttap__emission_count_muted(&e);
    bool told_before = kept_before || rec->enter_epoch != e.s->epoch; /* by other rates, perhaps: then tell in any case */
    rec->enter_epoch = e.s->epoch;
    if (told_before || (!muted && task->id))
        write_task(&e, TTAP__TASK_ENTER, muted ? &none : task, 0);
    else
        ttap__emission_close(&e);
}

/* Handlers in the middle of it say nothing about tasks. */
static __attribute__((noinline)) void enter_recorded(struct ttap__record *rec, struct ttap__slot *slot, const struct ttap_task *task,
                                                     uint64_t id_before)
{
    uint64_t outer = rec->entering; /* of the enter that the handler we may be in has interrupted */
    rec->entering = ttap__stack_here();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    set_current(slot, task);
    record_enter(rec, task, id_before);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    rec->entering = outer;
}

static inline void enter(struct ttap__record *rec, struct ttap__slot *slot, const struct ttap_task *task)
{
    uint64_t id_before = ttap__load(&slot->task[0]);
    if (TTAP_ENABLED(TTAP__GATE_GROUPS)) {
        enter_recorded(rec, slot, task, id_before);
        return;
    }
    set_current(slot, task);
    if (TTAP_ENABLED(TTAP__GATE_GROUPS)) /* since we looked */
        record_enter(rec, task, id_before);
}

/* Everything unusual, out of the way so that the usual course needs no stack: no record yet, none to be had, no task, or @before is
 * @task itself. */
static __attribute__((noinline, cold)) void enter_unusual(const struct ttap_task *task, struct ttap_task *before)
{
    struct ttap__record *rec = this_record();
    struct ttap__slot *slot = rec ? rec->slot : NULL;
    struct ttap_task entered = task ? *task : none;
    if (before)
        *before = slot ? ttap__slot_task(slot) : none;
    if (slot)
        enter(rec, slot, &entered);
    else if (TTAP_ENABLED(TTAP_GROUP_TASK))
        ttap__count_without_record();
}

void ttap_task_enter(const struct ttap_task *task, struct ttap_task *before)
{
    struct ttap__record *rec = ttap__tls;
    struct ttap__slot *slot = rec->slot;
    if (ttap__unlikely(!slot || !task || !before || before == task)) {
        enter_unusual(task, before);
        return;
    }
    ttap__task_copy(before, slot->task);
    enter(rec, slot, task);
}

void ttap_task_leave(const struct ttap_task *before)
{
    struct ttap__record *rec = ttap__tls;
    struct ttap__slot *slot = rec->slot;
    if (ttap__likely(slot != NULL))
        enter(rec, slot, before);
    else
        enter_unusual(before, NULL);
}

void ttap_task_current(struct ttap_task *out)
{
    const struct ttap__slot *slot = ttap__tls->slot;
    *out = slot ? ttap__slot_task(slot) : none;
}

/* ---- What is said about a task ---- */

static size_t bounded_length(const char *text)
{
    size_t len = 0;
    if (text)
        while (len < TTAP_LOG_BYTES_MAX && text[len])
            len++;
    return len;
}

static uint64_t sampling_word(const struct ttap_task *task)
{
    return (uint64_t)task->draw << 32 | task->root_kind;
}

static void about_text(const struct ttap_task *task, unsigned kind, uint32_t key, int64_t code, const char *text)
{
    size_t len_bytes = bounded_length(text);
    unsigned cells = 3 + (unsigned)(len_bytes + 15) / 16;
    struct ttap__emission e;
    if (!task->id || !open_about(&e, task))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, cells);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, task->id);
    ttap__store(&cell[2], sampling_word(task));
    ttap__store(&cell[3], (uint64_t)len_bytes << 32 | key);
    ttap__store(&cell[4], (uint64_t)code);
    ttap__store(&cell[5], 0);
    ttap__emission_write_text(cell + 6, text, len_bytes);
    ttap__emission_publish(&e, cells);
}

static void about_words(const struct ttap_task *task, unsigned kind, uint64_t a, uint64_t b, uint64_t c)
{
    struct ttap__emission e;
    if (!task->id || !open_about(&e, task))
        return;
    uint64_t *cell = ttap__emission_reserve(&e, 3);
    if (!cell)
        return;
    ttap__emission_write_head(cell, kind, task->id);
    ttap__store(&cell[2], sampling_word(task));
    ttap__store(&cell[3], a);
    ttap__store(&cell[4], b);
    ttap__store(&cell[5], c);
    ttap__emission_publish(&e, 3);
}

void ttap_task_fail(struct ttap_task *task, int64_t code, const char *text)
{
    about_text(task, TTAP__TASK_FAIL, 0, code, text);
    struct ttap__emission e;
    if (task->id && open_about(&e, task))
        write_task(&e, TTAP__TASK_END, task, 1);
}

void ttap__task_attr_int(const struct ttap_task *task, struct ttap_name *key, int64_t value)
{
    about_words(task, TTAP__TASK_ATTR_INT, kind_id(key), (uint64_t)value, 0);
}

void ttap__task_attr_str(const struct ttap_task *task, struct ttap_name *key, const char *text)
{
    about_text(task, TTAP__TASK_ATTR_STR, kind_id(key), 0, text);
}

/* ---- W3C trace context: 00-<32 hex trace id>-<16 hex span>-<2 hex flags> ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* the standard allows lower case only */
}

static bool read_hex(const char *text, unsigned digits, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return false; /* also at the NUL: nothing behind it is read */
        *out = *out << 4 | (unsigned)digit;
    }
    return true;
}

static void write_hex(char *out, unsigned digits, uint64_t value)
{
    for (unsigned i = digits; i-- > 0; value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
}

static bool parse_traceparent(const char *text, uint64_t trace[2], uint64_t *span)
{
    uint64_t version, flags;
    if (!text || !read_hex(text, 2, &version) || version == 0xff || text[2] != '-')
        return false;
    if (!read_hex(text + 3, 16, &trace[0]) || !read_hex(text + 19, 16, &trace[1]) || text[35] != '-')
        return false;
    if (!read_hex(text + 36, 16, span) || text[52] != '-' || !read_hex(text + 53, 2, &flags))
        return false;
    char after = text[55]; /* version 00 ends here; later ones may append fields after a dash */
    if (after && (version == 0 || after != '-'))
        return false;
    return (trace[0] | trace[1]) && *span;
}

int ttap_task_begin_remote(struct ttap_task *task, struct ttap_name *kind, const char *traceparent)
{
    uint64_t trace[2], span;
    if (!parse_traceparent(traceparent, trace, &span)) {
        ttap_task_begin(task, kind, NULL);
        return 0;
    }
    begin(task, kind, NULL, trace[1] ? trace[1] : trace[0]); /* so that services with equal rates keep the same traces */
    task->trace_id[0] = trace[0];
    task->trace_id[1] = trace[1];
    task->flags = FLAG_REMOTE;
    struct ttap__emission e;
    if (open_about(&e, task))
        write_task(&e, TTAP__TASK_BEGIN, task, 0);
    about_words(task, TTAP__TASK_TRACE, trace[0], trace[1], span);
    return 1;
}

void ttap_task_traceparent(struct ttap_task *task, char out[TTAP_TRACEPARENT_BYTES])
{
    struct ttap__arena *arena = ttap__arena();
    if (!(task->trace_id[0] | task->trace_id[1]) && arena) {
        task->trace_id[0] = arena->trace_seed[0] ^ task->id;
        task->trace_id[1] = arena->trace_seed[1] + ((uint64_t)draw_of(task->id) << 32 | 1);
        about_words(task, TTAP__TASK_TRACE, task->trace_id[0], task->trace_id[1], 0);
    }
    bool kept = arena && TTAP_ENABLED(TTAP_GROUP_TASK) && ttap__kept_by_any(task->draw, task->root_kind);
    out[0] = out[1] = '0';
    out[2] = out[35] = out[52] = '-';
    write_hex(out + 3, 16, task->trace_id[0]);
    write_hex(out + 19, 16, task->trace_id[1]);
    write_hex(out + 36, 16, task->id);
    write_hex(out + 53, 2, kept);
    out[55] = 0;
}

/* ---- Thread names ---- */

void ttap_thread_name(const char *name)
{
    struct ttap__record *rec = this_record();
    if (!rec)
        return;
    struct ttap__slot *slot = rec->slot;
    if (!slot)
        return;
    uint32_t version = ttap__load(&slot->name_version) | 1;
    ttap__store(&slot->name_version, version);
    size_t i = 0;
    for (; name && name[i] && i < TTAP__THREAD_NAME_BYTES - 1; i++)
        ttap__store_release(&slot->name[i], name[i]); /* release: after the odd version */
    ttap__store_release(&slot->name[i], 0);
    ttap__store_release(&slot->name_version, version + 1); /* acquire: thread_name_of() in drainer.c */
}
