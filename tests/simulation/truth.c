/* truth.c - see truth.h. The validator says whether a capture is consistent in itself; this says whether it is true. */
#include "truth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"
#include "validator.h"
#include "world.h"

const struct rule truth_rules[] = {
    {"", 1, {-1, -1, -1}},      {"0", 0, {-1, -1, -1}},
    {"0.1", 0.1, {-1, -1, -1}}, {"0.5", 0.5, {-1, -1, -1}},
    {"0,k0=1", 0, {1, -1, -1}}, {"0.1,k1=0.5", 0.1, {-1, 0.5, -1}},
    {"1,k2=0", 1, {-1, -1, 0}}, {"k1=0.1,k0=0,0.5", 0.5, {0, 0.1, -1}},
};
const unsigned truth_rules_count = sizeof(truth_rules) / sizeof(truth_rules[0]);
struct ttap_name truth_task_kinds[TASK_KINDS] = {TTAP_NAME_INIT("k0"), TTAP_NAME_INIT("k1"), TTAP_NAME_INIT("k2")};
struct truth_figures truth_figures;
bool truth_print_digests;
const char *truth_save_folder;

/* ---- Piles that only grow ---- */

static void *one_more(void *items, size_t count, size_t item_bytes)
{
    if (count >= 64 ? count & (count - 1) : count)
        return items;
    items = realloc(items, (count ? count * 2 : 64) * item_bytes);
    if (!items)
        world_fail("no memory for what is true");
    return items;
}

/* ---- Emissions ---- */

static struct emission *said;
static uint32_t said_count;

#define LEVELS 8 /* streams a thread may have in captures */

/* One thread, from birth to death. */
struct teller {
    uint64_t uid; /* as captures call it; 0: not told yet */
    uint32_t *tile[NESTING_MAX];
    uint32_t tiles[NESTING_MAX];
    struct ttap_name name[NESTING_MAX];
    char text[NESTING_MAX][24];
    uint64_t unattended_since_ns;
    unsigned unattended; /* events recorded although the drainer's lease was over */
    /* Of the window being checked. */
    uint64_t row_seqs, row_sampled_out, row_lost, row_late, row_queue;
    bool has_row;
    int64_t last[LEVELS][NESTING_MAX];
};
#define FIRST_TID 1001
#define TELLERS_MAX 65536u
/* Where a thread's is, it stays: the engine holds on to names while their thread is not scheduled. */
static struct teller tellers[TELLERS_MAX];
static uint32_t tellers_count;

static struct teller *teller_of(int tid)
{
    uint32_t at = (uint32_t)(tid - FIRST_TID);
    if (at >= TELLERS_MAX)
        world_fail("too many threads for one seed");
    if (at >= tellers_count)
        tellers_count = at + 1;
    return &tellers[at];
}

static int8_t root_kind_of(const struct ttap_task *task)
{
    if (!task || !task->id)
        return -1;
    for (int8_t i = 0; i < TASK_KINDS; i++)
        if (truth_task_kinds[i].id == task->root_kind)
            return i;
    return TASK_KINDS; /* a name that found no room: no rule has it */
}

uint32_t truth_begins(unsigned kind, const struct ttap_task *task)
{
    said = one_more(said, said_count, sizeof(*said));
    said[said_count] = (struct emission){.from_ns = world_now_ns,
                                         .to_ns = UINT64_MAX,
                                         .gate_before = ttap_gate,
                                         .draw = task ? task->draw : 0,
                                         .root = root_kind_of(task),
                                         .task = task ? task->id : 0,
                                         .kind = (uint8_t)kind,
                                         .nesting = (uint8_t)world_fiber->handlers,
                                         .tid = world_fiber->tid};
    return said_count++;
}

struct emission *truth_emission(uint32_t number)
{
    return &said[number];
}

static uint64_t group_of(unsigned kind)
{
    switch (kind) {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc)                                                                                            \
    case number:                                                                                                                                     \
        return TTAP_GROUP_##GROUP;
#include "events.def"
#undef TTAP_KIND
    default:
        return 0;
    }
}

/* A stuck drainer may cost a thread what is left of its chunks, and no more. */
#define LEASE_NS (3 * WORLD_S)
#ifdef SIM_LIMITS_OF_PRODUCTION
#define CHUNK_CELLS 504u
#else
#define CHUNK_CELLS 56u
#endif
#define UNATTENDED_MAX (2 * (CHUNK_CELLS + 1)) /* two streams; an event that finds its chunk full closes the gate, and is still recorded */

static void check_lease(const struct emission *e)
{
    uint64_t last_ns = world_drainer_last_ran_ns();
    struct teller *t = teller_of(e->tid);
    if (t->unattended_since_ns != last_ns)
        t->unattended = 0;
    t->unattended_since_ns = last_ns;
    if (!world_has_record()) /* its events are counted, in no chunk: nothing fills up */
        return;
    if (e->root >= 0 || e->gate_before != e->gate_after || !(e->gate_before & group_of(e->kind)) || e->from_ns < last_ns + LEASE_NS)
        return;
    if (++t->unattended > UNATTENDED_MAX)
        world_fail("thread %d recorded %u events after the drainer's lease was over", e->tid, t->unattended);
}

void truth_ends(uint32_t number)
{
    struct emission *e = &said[number];
    e->to_ns = world_now_ns;
    e->gate_after = ttap_gate;
    check_lease(e);
}

struct ttap_name *truth_tile(uint32_t emission, int64_t *value)
{
    struct teller *t = teller_of(world_fiber->tid);
    unsigned n = world_fiber->handlers;
    if (!t->tiles[n]) /* the validator's tiles are for one stream; what handlers say may come in two, and be lost in the other */
        snprintf(t->text[n], sizeof(t->text[n]), "%s.%d", n ? "nest" : "tile", (world_fiber->tid - FIRST_TID) * NESTING_MAX + (int)n);
    t->tile[n] = one_more(t->tile[n], t->tiles[n], sizeof(uint32_t));
    *value = t->tiles[n];
    t->tile[n][t->tiles[n]++] = emission;
    t->name[n].text = t->text[n];
    return &t->name[n];
}

uint64_t truth_emissions(void)
{
    return said_count;
}

/* ---- Windows ---- */

static struct window *windows[4096];
static unsigned windows_count;
static struct {
    uint64_t call_ns, ret_ns;
    uint64_t frozen_ns; /* of its caller: when it called; and when it has returned, in between */
    int caller;
} * shutdowns;
static unsigned shutdowns_count;

struct window *truth_window(void)
{
    if (windows_count == sizeof(windows) / sizeof(windows[0]))
        world_fail("too many captures for one seed");
    struct window *w = calloc(1, sizeof(*w));
    w->number = windows_count;
    w->open_call_ns = world_now_ns;
    w->open_ret_ns = w->told_ns = w->over_ns = w->teller_frozen_ns = UINT64_MAX;
    return windows[windows_count++] = w;
}

void truth_not_opened(struct window *w)
{
    w->opened = false;
    w->over_ns = world_now_ns;
}

void truth_bytes(struct window *w, const void *bytes, size_t len)
{
    if (w->len + len > w->room) {
        w->room = (w->len + len) * 2;
        w->bytes = realloc(w->bytes, w->room);
        if (!w->bytes)
            world_fail("no memory for a capture");
    }
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

void truth_shutdown_called(void)
{
    shutdowns = one_more(shutdowns, shutdowns_count, sizeof(*shutdowns));
    shutdowns[shutdowns_count].call_ns = world_now_ns;
    shutdowns[shutdowns_count].caller = world_fiber->tid;
    shutdowns[shutdowns_count].frozen_ns = world_fiber->frozen_ns;
    shutdowns[shutdowns_count++].ret_ns = UINT64_MAX;
}

void truth_shutdown_returned(void)
{
    for (unsigned i = 0; i < shutdowns_count; i++)
        if (shutdowns[i].ret_ns == UINT64_MAX && shutdowns[i].caller == world_fiber->tid) {
            shutdowns[i].ret_ns = world_now_ns;
            shutdowns[i].frozen_ns = world_fiber->frozen_ns - shutdowns[i].frozen_ns;
        }
}

unsigned truth_windows(void)
{
    return windows_count;
}

/* ---- What should be in a window ---- */

enum where { OUT, EDGE, IN };

/* An older gate let it in. Which task is told with it was decided then, or by a handler in between that saw the newer gate: perhaps none. */
static bool was_underway(const struct emission *e)
{
    return e->gate_before != e->gate_after;
}

static enum where where_of(const struct window *w, const struct emission *e)
{
    if (e->to_ns <= w->open_call_ns || e->from_ns >= w->end_to_ns)
        return OUT;
    return e->from_ns >= w->open_ret_ns && e->to_ns <= w->end_from_ns ? IN : EDGE;
}

static bool keeps(const struct rule *rule, const struct emission *e)
{
    if (e->root < 0)
        return true;
    double rate = e->root < TASK_KINDS && rule->kind[e->root] >= 0 ? rule->kind[e->root] : rule->otherwise;
    return e->draw < (uint64_t)(rate * 4294967296.0);
}

static bool keeps_all(const struct rule *rule)
{
    return rule == &truth_rules[0];
}

/* Does some open window keep this emission's task? An emission that none keeps has no number, and is counted as sampled out. */
enum kept { KEPT_NO, KEPT_PERHAPS, KEPT_YES };

static enum kept kept_by_any(const struct emission *e)
{
    enum kept kept = KEPT_NO;
    if (e->root < 0)
        return KEPT_YES;
    for (unsigned i = 0; i < windows_count && kept != KEPT_YES; i++) {
        const struct window *w = windows[i];
        enum where where = where_of(w, e);
        if (where != OUT && (!w->rule || keeps(w->rule, e)))
            kept = where == IN && w->rule ? KEPT_YES : KEPT_PERHAPS;
    }
    return kept;
}

struct bounds {
    uint64_t low, high;
};

struct expected {
    struct bounds total, numbered, sampled_out;
    uint64_t in_progress; /* calls that began before the window's end and returned after it */
};

static void expect(struct bounds *b, bool surely, bool perhaps)
{
    b->low += surely;
    b->high += surely || perhaps;
}

static void expect_emission(struct expected *x, const struct window *w, const struct emission *e)
{
    enum where where = where_of(w, e);
    uint64_t group = group_of(e->kind);
    bool open = e->gate_before & group, same = e->to_ns != UINT64_MAX && e->gate_before == e->gate_after;
    bool was_open_later = e->to_ns == UINT64_MAX || (e->gate_after & group) || !same;
    if (where == OUT || (!open && (same || !was_open_later)))
        return;
    x->in_progress += e->to_ns > w->end_from_ns;
    bool sure = where == IN && open && same;
    enum kept kept = e->entering || !same ? KEPT_PERHAPS : kept_by_any(e);
    bool entered = e->kind == TTAP__TASK_ENTER;
    if (entered && (e->root < 0 || kept != KEPT_YES)) { /* told or not, by what was told before */
        expect(&x->numbered, false, true);
        expect(&x->sampled_out, sure && kept == KEPT_NO, kept != KEPT_YES);
        expect(&x->total, sure && kept == KEPT_NO, true);
        x->total.high += kept != KEPT_YES;
        return;
    }
    if (e->nesting == 2 && kept == KEPT_NO)
        kept = KEPT_PERHAPS; /* a handler in a handler is lost before anybody looks at its task */
    expect(&x->total, sure, true);
    expect(&x->numbered, sure && kept == KEPT_YES, kept != KEPT_NO);
    expect(&x->sampled_out, sure && kept == KEPT_NO, kept != KEPT_YES);
    truth_figures.at_edges += !sure;
}

/* ---- Reading a capture ---- */

struct checking {
    struct window *w;
    char (*name)[24]; /* by id: the names that mean something here */
    uint32_t names;
    bool folded; /* some threads were merged into thread 0 */
    bool has_header, has_trailer;
    uint64_t duration_ns, base_mono_ns;
    uint64_t seqs, sampled_out;
    struct ttap__trailer trailer;
    bool times_only; /* first pass: when did it begin and end? */
};

static void fail_window(const struct window *w, const char *what, uint64_t a, uint64_t b)
{
    world_fail("capture %u (groups %llx, reason %u, sampling \"%s\", %zu bytes, %.9f to %.9f s): %s (%llu, %llu)", w->number,
               (unsigned long long)w->groups, w->reason, w->rule ? w->rule->text : "?", w->len, (double)w->open_call_ns / 1e9,
               w->end_to_ns == UINT64_MAX ? 0.0 : (double)w->end_to_ns / 1e9, what, (unsigned long long)a, (unsigned long long)b);
}

static const struct rule *rule_of(struct ttap__text text)
{
    for (unsigned i = 0; i < truth_rules_count; i++)
        if (strlen(truth_rules[i].text) == text.len && !memcmp(truth_rules[i].text, text.bytes, text.len))
            return &truth_rules[i];
    return NULL;
}

static int on_header(void *arg, const struct ttap__header *header)
{
    struct checking *c = arg;
    c->has_header = true;
    c->base_mono_ns = header->base_mono_ns;
    c->duration_ns = header->duration_ns;
    if (header->duration_ns != c->w->duration_ns || header->groups != c->w->groups)
        fail_window(c->w, "the header has other options than were asked for", header->duration_ns, header->groups);
    const struct rule *rule = rule_of(header->sample);
    if (!rule || (c->w->rule && c->w->rule != rule))
        fail_window(c->w, "the header has another sampling rule", 0, 0);
    c->w->rule = rule;
    return 0;
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    struct checking *c = arg;
    while (id >= c->names) {
        c->name = one_more(c->name, c->names, sizeof(*c->name));
        c->name[c->names++][0] = 0;
    }
    size_t len = text.len < sizeof(c->name[id]) - 1 ? text.len : sizeof(c->name[id]) - 1;
    memcpy(c->name[id], text.bytes, len);
    c->name[id][len] = 0;
    return 0;
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    struct checking *c = arg;
    if (row->tid < FIRST_TID || row->tid - FIRST_TID >= TELLERS_MAX)
        fail_window(c->w, "a thread that does not exist", row->thread, row->tid);
    struct teller *t = teller_of((int)row->tid);
    if (t->uid && t->uid != row->thread)
        fail_window(c->w, "a thread has two numbers", t->uid, row->thread);
    t->uid = row->thread;
    return 0;
}

static struct teller *teller_of_uid(uint64_t uid)
{
    for (uint32_t i = 0; i < tellers_count; i++)
        if (tellers[i].uid == uid)
            return &tellers[i];
    return NULL;
}

/* The emission an event speaks of; NULL: it carries no payload. */
static struct emission *emission_of(struct checking *c, const struct ttap__event *event)
{
    uint64_t number = UINT64_MAX;
    unsigned long tile;
    switch (event->row->known) {
    case TTAP__COUNTER:
        if (event->a[0] >= c->names || sscanf(c->name[event->a[0]], "%*4s.%lu", &tile) != 1)
            return NULL;
        if (tile / NESTING_MAX >= tellers_count || event->a[1] >= tellers[tile / NESTING_MAX].tiles[tile % NESTING_MAX])
            fail_window(c->w, "a counter value that nobody set", tile, event->a[1]);
        number = tellers[tile / NESTING_MAX].tile[tile % NESTING_MAX][event->a[1]];
        break;
    case TTAP__LOG:
    case TTAP__TASK_ATTR_STR:
    case TTAP__TASK_FAIL: {
        struct ttap__text text = ttap__event_text(event, event->row->known == TTAP__LOG ? 1 : 2);
        char copy[16] = "";
        memcpy(copy, text.bytes, text.len < 15 ? text.len : 15);
        number = strtoull(copy, NULL, 10);
        break;
    }
    case TTAP__TASK_ATTR_INT:
    case TTAP__QUEUE_ENQUEUE:
    case TTAP__QUEUE_DEQUEUE:
        number = event->a[2];
        break;
    default:
        return NULL;
    }
    if (number >= said_count || said[number].kind != event->row->known)
        fail_window(c->w, "an event that nobody emitted", number, event->row->known);
    return &said[number];
}

static void check_event(struct checking *c, const struct ttap__events *block, const struct ttap__event *event, uint64_t seq)
{
    struct window *w = c->w;
    if (event->row->known && !(w->groups & group_of(event->row->known)))
        fail_window(w, "an event of a group that was not asked for", event->row->known, w->groups);
    struct emission *e = emission_of(c, event);
    if (!e)
        return;
    uint64_t number = (uint64_t)(e - said);
    struct teller *t = teller_of(e->tid);
    if (t->uid != block->thread)
        fail_window(w, "an event of another thread", number, block->thread);
    if (where_of(w, e) == OUT)
        fail_window(w, "an event from outside the window", number, e->from_ns);
    if (e->seen_in == w->number + 1)
        fail_window(w, "an event came twice", number, seq);
    e->seen_in = w->number + 1;
    if (!keeps(w->rule, e) && !e->nesting && !world_was_short_of_memory && !was_underway(e))
        fail_window(w, "an event of a task that sampling leaves out", number, e->task);
    int64_t *last = &t->last[block->level][e->nesting];
    if (*last > (int64_t)number)
        fail_window(w, "an event came after a later one of its thread", number, (uint64_t)*last);
    *last = (int64_t)number;
    uint64_t latest_ns = e->to_ns == UINT64_MAX ? world_now_ns : e->to_ns;
    uint64_t skew = world_faults.clock == 1 ? world_faults.skew_ticks : 0;
    uint64_t from = world_faults.clock == 1 ? world_ticks_at(e->from_ns) : e->from_ns;
    uint64_t to = world_faults.clock == 1 ? world_ticks_at(latest_ns) : latest_ns;
    if ((int64_t)(event->ticks - from) < 0 || (int64_t)(event->ticks - to) > (int64_t)skew)
        fail_window(w, "an event has another time than it was emitted at", number, event->ticks);
    if (!block->filtered && e->seq && e->seq != seq + 1)
        fail_window(w, "an event has another sequence number than in another capture", seq, e->seq - 1);
    if (!block->filtered)
        e->seq = seq + 1;
    truth_figures.identified++;
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct checking *c = arg;
    struct ttap__event_walk walk;
    struct ttap__event event;
    uint64_t seq = block->first_seq;
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        truth_figures.events++;
        if (!c->times_only)
            check_event(c, block, &event, seq++);
    }
    return 0;
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    struct checking *c = arg;
    c->seqs += row->end_seq - row->start_seq;
    c->sampled_out += row->sampled_out;
    struct teller *t = row->thread ? teller_of_uid(row->thread) : NULL;
    c->folded |= !t;
    if (!t)
        return 0;
    t->has_row = true;
    t->row_seqs += row->end_seq - row->start_seq;
    t->row_sampled_out += row->sampled_out;
    t->row_late += row->lost[TTAP__LOSS_LATE];
    t->row_queue += row->lost[TTAP__LOSS_QUEUE];
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++) {
        t->row_lost += row->lost[i];
        truth_figures.lost += row->lost[i];
    }
    truth_figures.sampled_out += row->sampled_out;
    return 0;
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    struct checking *c = arg;
    c->has_trailer = true;
    c->trailer = *trailer;
    return 0;
}

static void read_window(struct checking *c)
{
    static const struct ttap__read_calls times = {.header = on_header, .thread = on_thread, .trailer = on_trailer};
    static const struct ttap__read_calls all = {
        .header = on_header, .name = on_name, .thread = on_thread, .events = on_events, .account = on_account, .trailer = on_trailer};
    struct ttap__reader *reader = ttap__reader_new(c->times_only ? &times : &all, c);
    int error = ttap__reader_feed(reader, c->w->bytes, c->w->len);
    if (error)
        world_fail("capture %u: the reader says %s", c->w->number, ttap__reader_problem(reader));
    ttap__reader_free(reader);
}

/* ---- Checks of one window ---- */

static bool had_something_underway(const struct window *w, uint64_t uid)
{
    const struct teller *t = teller_of_uid(uid);
    int tid = t ? (int)(t - tellers) + FIRST_TID : 0;
    bool found = false;
    for (uint32_t i = 0; i < said_count && !found; i++)
        found = said[i].tid == tid && where_of(w, &said[i]) != OUT && was_underway(&said[i]);
    return found;
}

/* What the validator may complain about without anything being wrong: */
static bool is_excused(const struct window *w, const struct validation *v)
{
    const char *rule = v->rule;
    unsigned long long uid;
    /* an event that an older gate let in is told with another task and other regions than the next one, which knows the newer gate */
    if ((!strcmp(rule, "head-task") || !strcmp(rule, "head-regions")) && sscanf(v->sentence, "thread %llu level", &uid) == 1 &&
        had_something_underway(w, uid))
        return true;
    /* its own limit: a thread whose other events were all lost looks as if it had only that counter; truth knows better */
    if (!strcmp(rule, "tile-invented"))
        return true;
    /* the packer's: what is open and current is forgotten when there is no memory to remember it */
    static const char *const forgotten[] = {"head-regions", "head-task", "head-open-ends", "end-of-nothing", "open-level", "task-unknown"};
    for (unsigned i = 0; i < sizeof(forgotten) / sizeof(forgotten[0]) && world_was_short_of_memory; i++)
        if (!strcmp(rule, forgotten[i]))
            return true;
    return false;
}

static void validate(const struct window *w)
{
    if (w->len < TTAP__WIRE_PREAMBLE_BYTES && !w->whole)
        return; /* no capture yet */
    /* Without memory for the trailer it ends without; who reads by himself cannot tell, the others got -ENOMEM. */
    struct validation v;
    int verdict = validate_capture(w->bytes, w->len, &v);
    if ((v.verdict == VALIDATION_WRONG && !is_excused(w, &v)) || (w->whole && verdict == -ENODATA && !world_was_short_of_mappings))
        world_fail("capture %u of %zu bytes: %s: %s", w->number, w->len, v.rule,
                   w->whole && !v.rule[0] ? "it was read to its end, and is cut" : v.sentence);
    validation_free(&v);
}

/* The first shutdown that may have met a window opened at @ns. */
static uint64_t shutdown_after(uint64_t ns)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < shutdowns_count; i++) {
        uint64_t at_ns = shutdowns[i].call_ns > ns ? shutdowns[i].call_ns : ns;
        if (shutdowns[i].ret_ns >= ns && at_ns < first)
            first = at_ns;
    }
    return first;
}

/* When the first that surely met it had been called, by somebody who may have been kept from it. */
static uint64_t shutdown_called_after(uint64_t ns)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < shutdowns_count; i++)
        if (shutdowns[i].call_ns >= ns && shutdowns[i].ret_ns != UINT64_MAX && shutdowns[i].call_ns + shutdowns[i].frozen_ns < first)
            first = shutdowns[i].call_ns + shutdowns[i].frozen_ns;
    return first;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the window may have begun to end, and when it was surely over. */
static void find_end(struct window *w)
{
    struct checking c = {.w = w, .times_only = true};
    if (w->len)
        read_window(&c);
    w->end_to_ns = w->over_ns;
    w->end_from_ns = w->open_ret_ns;
    if (!w->opened || !c.has_header)
        return;
    if (c.base_mono_ns < w->open_call_ns || c.base_mono_ns > w->open_ret_ns)
        fail_window(w, "the header's time is not that of the opening", c.base_mono_ns, w->open_ret_ns);
    if (!c.has_trailer)
        return;
    w->reason = (unsigned)c.trailer.reason;
    w->end_to_ns = least(w->end_to_ns, c.trailer.end_mono_ns);
    uint64_t deadline_ns = c.duration_ns ? c.base_mono_ns + c.duration_ns : UINT64_MAX;
    uint64_t asked_ns = least(least(deadline_ns, w->told_ns), shutdown_after(w->open_call_ns));
    switch (c.trailer.reason) {
    case 2: /* bytes: somewhere in a drainer's pass, stream by stream */
        break;
    case 5: /* lease: the gate closed itself, which emissions saw */
        w->end_from_ns = least(asked_ns, c.trailer.end_mono_ns);
        break;
    default:
        w->end_from_ns = asked_ns;
    }
}

/* The drainer may wait 5 ms for emitters that are in the middle of an event, in naps; the rest of its time it must not idle. */
#define END_WAIT_NS (5 * WORLD_MS + 100000)
#define LEASE_LEAST_NS (LEASE_NS * 9 / 10)

static void check_end(const struct window *w, const struct checking *c)
{
    uint64_t end_ns = c->trailer.end_mono_ns, deadline_ns = c->base_mono_ns + c->duration_ns;
    truth_figures.reasons[c->trailer.reason]++;
    switch (c->trailer.reason) {
    case 1:
        if (!c->duration_ns || end_ns < deadline_ns)
            fail_window(w, "its window ended too early", end_ns, deadline_ns);
        break;
    case 2:
        if (!w->max_bytes && !w->keep)
            fail_window(w, "it ended for a byte limit that it does not have", w->len, 0);
        break;
    case 3:
    case 4:
        if (w->told_ns > end_ns)
            fail_window(w, "it was stopped by nobody", w->told_ns, end_ns);
        break;
    case 5:
        if (world_drainer_away_ns(w->open_call_ns > 4 * WORLD_S ? w->open_call_ns - 4 * WORLD_S : 0, end_ns) < LEASE_LEAST_NS)
            fail_window(w, "it ended for a lease that was not over", w->open_call_ns, end_ns);
        break;
    case 6:
        if (shutdown_after(w->open_call_ns) > end_ns)
            fail_window(w, "it was shut down by nobody", w->open_call_ns, end_ns);
        break;
    default:
        fail_window(w, "it ended for no reason", c->trailer.reason, 0);
    }
    uint64_t told_ns = w->teller_frozen_ns == UINT64_MAX ? UINT64_MAX : w->told_ns + w->teller_frozen_ns;
    uint64_t due_ns = least(c->duration_ns ? deadline_ns : UINT64_MAX, least(told_ns, shutdown_called_after(w->open_ret_ns)));
    if (due_ns < end_ns && world_drainer_idle_ns(due_ns, end_ns) > END_WAIT_NS)
        fail_window(w, "its window ended late, while the drainer waited", due_ns, end_ns);
}

static void in_bounds(const struct window *w, int tid, const char *what, uint64_t value, struct bounds b)
{
    if (value < b.low || value > b.high)
        world_fail("capture %u of %zu bytes, opened at %.9f s, over at %.9f s: thread %d: %s: %llu, but %llu to %llu are true", w->number, w->len,
                   (double)w->open_call_ns / 1e9, (double)w->end_to_ns / 1e9, tid, what, (unsigned long long)value, (unsigned long long)b.low,
                   (unsigned long long)b.high);
}

/* One for each stream that was found in the middle of an event at the end, also when that had just been published. Told as lost to the queue where
 * that is full. */
static uint64_t late_of(const struct teller *t, const struct expected *x)
{
    uint64_t to_queue = t->row_queue < x->in_progress ? t->row_queue : x->in_progress;
    return t->row_late + to_queue;
}

static void check_teller(const struct window *w, const struct teller *t, const struct expected *x)
{
    int tid = (int)(t - tellers) + FIRST_TID;
    struct expected late = *x;
    late.total.high += late_of(t, x);
    late.numbered.high += late_of(t, x);
    x = &late;
    in_bounds(w, tid, "events, recorded or sampled out", t->row_seqs + t->row_sampled_out, x->total);
    in_bounds(w, tid, "events with a sequence number", t->row_seqs, x->numbered);
    in_bounds(w, tid, "events sampled out", t->row_sampled_out, x->sampled_out);
}

/* While a window is open nobody sees the gate closed to what it asked for. */
static void check_gate(const struct window *w, const struct checking *c)
{
    if (c->trailer.reason == 5)
        return;
    for (uint32_t i = 0; i < said_count; i++) {
        const struct emission *e = &said[i];
        uint64_t group = group_of(e->kind) & w->groups;
        if (group && where_of(w, e) == IN && (!(e->gate_before & group) || !(e->gate_after & group)))
            fail_window(w, "the gate was closed during the window", i, e->from_ns);
    }
}

/* Each event that surely is the window's and was asked for has come, or its thread lost some. */
static void check_missing(const struct window *w)
{
    for (uint32_t i = 0; i < said_count; i++) {
        const struct emission *e = &said[i];
        struct teller *t = teller_of(e->tid);
        bool has_payload = e->kind == TTAP__COUNTER || e->kind == TTAP__LOG || e->kind == TTAP__TASK_ATTR_INT || e->kind == TTAP__TASK_ATTR_STR ||
                           e->kind == TTAP__TASK_FAIL || e->kind == TTAP__QUEUE_ENQUEUE || e->kind == TTAP__QUEUE_DEQUEUE;
        if (!has_payload || e->seen_in == w->number + 1 || where_of(w, e) != IN || !(w->groups & group_of(e->kind)) || !keeps(w->rule, e))
            continue;
        if (e->gate_before != e->gate_after || !(e->gate_before & group_of(e->kind)) ||
            ((e->nesting || world_was_short_of_memory) && !keeps_all(w->rule)) || e->entering)
            continue;
        if (e->kind == TTAP__COUNTER && t->name[e->nesting].id > 400)
            continue; /* the table of names was full: nobody can tell whose value it is */
        if (!t->row_lost)
            world_fail("capture %u of %zu bytes, opened at %.9f s: event %u of thread %d at %.9f s is missing, and nothing was lost", w->number,
                       w->len, (double)w->open_call_ns / 1e9, i, e->tid, (double)e->from_ns / 1e9);
        t->row_lost--;
    }
}

static void check_account(const struct window *w, const struct checking *c)
{
    struct expected *x = calloc(tellers_count + 1, sizeof(*x)), all = {0};
    for (uint32_t i = 0; i < said_count; i++) {
        expect_emission(&all, w, &said[i]);
        expect_emission(&x[said[i].tid - FIRST_TID], w, &said[i]);
    }
    for (uint32_t i = 0; i < tellers_count && !c->folded; i++)
        check_teller(w, &tellers[i], &x[i]);
    for (uint32_t i = 0; i < tellers_count; i++)
        all.total.high += late_of(&tellers[i], &x[i]);
    in_bounds(w, 0, "events of all threads, recorded or sampled out", c->seqs + c->sampled_out, all.total);
    if (!c->folded)
        check_missing(w);
    free(x);
}

/* What was emitted, for whoever looks into one seed. Only once. */
static void trace_emissions(const struct window *w)
{
    static bool done;
    for (uint32_t i = 0; i < said_count && !done; i++) {
        const struct emission *e = &said[i];
        printf("call %u: thread %d kind %u nesting %u %.9f to %.9f s, gate %llx %llx, task %llx of kind %d draw %u%s\n", i, e->tid, e->kind,
               e->nesting, (double)e->from_ns / 1e9, (double)e->to_ns / 1e9, (unsigned long long)e->gate_before, (unsigned long long)e->gate_after,
               (unsigned long long)e->task, e->root, e->draw, e->entering ? ", while entering a task" : "");
    }
    done = true;
    printf("capture %u: groups %llx, sampling \"%s\", %zu bytes; asked %.9f, open %.9f, may end from %.9f, over %.9f s\n", w->number,
           (unsigned long long)w->groups, w->rule ? w->rule->text : "?", w->len, (double)w->open_call_ns / 1e9, (double)w->open_ret_ns / 1e9,
           (double)w->end_from_ns / 1e9, (double)w->end_to_ns / 1e9);
}

static void check_window(struct window *w)
{
    truth_figures.captures++;
    truth_figures.bytes += w->len;
    if (!w->len) {
        if (w->whole)
            fail_window(w, "it was read to its end, and had no bytes", 0, 0);
        return;
    }
    if (world_tracing)
        trace_emissions(w);
    validate(w);
    for (uint32_t i = 0; i < tellers_count; i++) {
        struct teller *t = &tellers[i];
        t->has_row = false;
        t->row_seqs = t->row_sampled_out = t->row_lost = t->row_late = t->row_queue = 0;
        for (int level = 0; level < LEVELS; level++)
            for (int nesting = 0; nesting < NESTING_MAX; nesting++)
                t->last[level][nesting] = -1;
    }
    struct checking c = {.w = w};
    read_window(&c);
    if (c.has_trailer) {
        truth_figures.whole++;
        check_end(w, &c);
        check_gate(w, &c);
        check_account(w, &c);
    }
    free(c.name);
}

static uint64_t digest_of(const struct window *w, uint64_t digest)
{
    for (size_t i = 0; i < w->len; i++)
        digest = (digest ^ w->bytes[i]) * 0x100000001b3u;
    return digest ^ w->len;
}

static void save(const struct window *w)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%04u.tt", truth_save_folder, w->number);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(w->bytes, 1, w->len, file) != w->len || fclose(file))
        world_fail("%s cannot be written", path);
}

uint64_t truth_check(void)
{
    uint64_t digest = 0xcbf29ce484222325u;
    teller_of((int)(FIRST_TID));
    for (unsigned i = 0; i < windows_count; i++)
        find_end(windows[i]);
    for (unsigned i = 0; i < windows_count && truth_save_folder; i++)
        save(windows[i]);
    for (unsigned i = 0; i < windows_count; i++) {
        if (windows[i]->opened)
            check_window(windows[i]);
        digest = digest_of(windows[i], digest);
        if (truth_print_digests)
            printf("capture %u: %zu bytes, %016llx\n", i, windows[i]->len, (unsigned long long)digest_of(windows[i], 0xcbf29ce484222325u));
    }
    return digest;
}
