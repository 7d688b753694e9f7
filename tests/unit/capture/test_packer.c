/* test_packer.c - cells in, what a reader is told out: each kind, each reason to leave an event out, each way in which a run ends. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emit.h"
#include "packed.h"
#include "packer.h"
#include "stacks.h"
#include "stacktable.h"
#include "statements.h"

enum { CELL_WORDS = 2, T0 = 1000 };

static struct ttap__run run;
static struct ttap__follow follow;
static struct ttap__keep keep;
static struct ttap__view view = {TTAP_GROUPS_ALL, &keep};
static uint64_t cells[2 * TTAP__CHUNK_CELLS];
static unsigned used; /* cells */
static uint64_t now;

static void afresh(void)
{
    memset(&follow, 0, sizeof follow);
    memset(&keep, 0, sizeof keep);
    keep.otherwise = TTAP__KEEP_ALL;
    view.groups = TTAP_GROUPS_ALL;
    memset(cells, 0, sizeof cells);
    used = 0;
    now = T0;
}

/* ---- Writing cells, as emitters do ---- */

static uint64_t *event(unsigned kind, unsigned count)
{
    uint64_t *w = cells + CELL_WORDS * used;
    w[0] = now << 8 | kind;
    now += 10;
    used += count;
    return w;
}

static void put_1(unsigned kind, uint64_t arg)
{
    event(kind, 1)[1] = arg;
}

static void begin(uint32_t depth, uint32_t name)
{
    put_1(TTAP__REGION_BEGIN, (uint64_t)depth << 32 | name);
}

static void end(uint32_t depth, uint32_t name)
{
    put_1(TTAP__REGION_END, (uint64_t)depth << 32 | name);
}

static void put_3(unsigned kind, uint64_t a, uint64_t b)
{
    uint64_t *w = event(kind, 2);
    w[1] = a;
    w[2] = b;
}

static void put_text(uint64_t *words, const char *text)
{
    memcpy(words, text, strlen(text));
}

static void put_log(uint32_t category, const char *text)
{
    uint64_t *w = event(TTAP__LOG, 1 + (unsigned)(strlen(text) + 15) / 16);
    w[1] = (uint64_t)strlen(text) << 32 | category;
    put_text(w + 2, text);
}

struct task {
    uint64_t id, parent, start_ticks;
    uint32_t kind, root_kind, draw;
};

static void put_task(unsigned kind, struct task task, uint32_t status)
{
    uint64_t *w = event(kind, 3);
    w[1] = task.id;
    w[2] = task.parent;
    w[3] = (uint64_t)task.draw << 32 | task.kind;
    w[4] = (uint64_t)status << 32 | task.root_kind;
    w[5] = task.start_ticks;
}

static void put_about(unsigned kind, struct task task, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t *w = event(kind, 3);
    w[1] = task.id;
    w[2] = (uint64_t)task.draw << 32 | task.root_kind;
    w[3] = a;
    w[4] = b;
    w[5] = c;
}

static void put_about_text(unsigned kind, struct task task, uint32_t key, int64_t code, const char *text)
{
    uint64_t *w = cells + CELL_WORDS * used;
    put_about(kind, task, (uint64_t)strlen(text) << 32 | key, (uint64_t)code, 0);
    put_text(w + 6, text);
    used += (unsigned)(strlen(text) + 15) / 16;
}

static const struct task get = {.id = 7, .parent = 3, .start_ticks = 900, .kind = 2, .root_kind = 13, .draw = 500}; /* a child of some 13 */
static const struct task put = {.id = 8, .parent = 0, .start_ticks = 950, .kind = 4, .root_kind = 4, .draw = 1500};

/* ---- Packing and what comes out ---- */

static struct packed packed;
static char said[1 << 16];

/* Packs from cell @from on and reads it back. Returns how many cells that took. */
static unsigned pack_from(unsigned from)
{
    ttap__pack(&run, &follow, &view, cells + CELL_WORDS * from, used - from, T0);
    struct packed_bytes bytes = {run.head, run.events, run.head_bytes, run.event_bytes, run.base_ticks, run.last_ticks, run.count, run.filtered};
    packed_read(&bytes, &packed);
    packed_say(&packed, said, sizeof said);
    CU_ASSERT(packed.whole && packed.events_count == run.count);
    return run.cells;
}

static void says_line(const char *expected, int line)
{
    if (strcmp(said, expected) == 0)
        return;
    fprintf(stderr, "    line %d: %s\n    expected: %s\n", line, said, expected);
    CU_FAIL("a run says something else");
}
#define SAYS(expected) says_line(expected, __LINE__)

/* All cells are one run, and this is what it says, with so many events left out. */
static void run_line(const char *expected, uint32_t filtered, int line)
{
    CU_ASSERT_EQUAL(pack_from(0), used);
    CU_ASSERT_FALSE(run.damaged);
    CU_ASSERT_EQUAL(run.lost_nested, 0);
    CU_ASSERT_EQUAL(run.filtered, filtered);
    says_line(expected, line);
}
#define RUN(expected, filtered) run_line(expected, filtered, __LINE__)

static void every_kind_says_what_its_cells_say(void)
{
    afresh();
    put_1(TTAP__INSTANT, 5);
    put_1(TTAP__GC_BEGIN, 6);
    put_1(TTAP__GC_END, 6);
    put_3(TTAP__COUNTER, 9, (uint64_t)-12);
    put_3(TTAP__QUEUE_ENQUEUE, UINT64_C(3) << 32 | 70, 2);
    put_3(TTAP__QUEUE_DEQUEUE, UINT64_C(3) << 32 | 70, 1);
    put_3(TTAP__QUEUE_WAIT_BEGIN, UINT64_C(3) << 32 | 70, 1);
    put_3(TTAP__QUEUE_WAIT_END, UINT64_C(3) << 32 | 70, 2);
    put_log(11, "seventeen letters");
    put_log(11, "");
    put_3(TTAP__GC_STOPPED, 4711, 0);
    put_3(TTAP__GC_RESUMED, 4711, 0);
    RUN("1000 instant name=5; 1010 gc_begin phase=6; 1020 gc_end phase=6; 1030 counter name=9 value=-12; "
        "1040 queue_enqueue queue=70 name=3 depth=2; 1050 queue_dequeue queue=70 name=3 depth=1; "
        "1060 queue_wait_begin queue=70 name=3 why=1; 1070 queue_wait_end queue=70 name=3 why=2; "
        "1080 log category=11 'seventeen letters'; 1090 log category=11 ''; 1100 gc_stopped tid=4711; 1110 gc_resumed tid=4711",
        0);
}

static void every_kind_of_hooked_call_says_what_its_cells_say(void)
{
    static const unsigned calls[] = {TTAP__LOCK_CALL, TTAP__NET_CALL, TTAP__FILE_CALL, TTAP__SLEEP_CALL};
    afresh();
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *w = event(calls[i], 2);
        w[1] = (uint64_t)(uint32_t)-11 << 32 | (20 + i);
        w[2] = T0 - 7;
        w[3] = 0x7f0000001234;
    }
    put_3(TTAP__LOCK_WAKE, 24, 0x7f0000001234);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t *w = event(i ? TTAP__FILE_OBJECT : TTAP__NET_OBJECT, 3);
        w[1] = UINT64_C(16) << 32;
        w[2] = UINT64_C(1) << 16 | 9;
        put_text(w + 4, "/sixteen/letters");
    }
    RUN("1000 lock_call op=20 start=993 object=139637976732212 holder=4294967285; 1010 net_call op=21 start=993 object=139637976732212 result=-11; "
        "1020 file_call op=22 start=993 object=139637976732212 result=-11; 1030 sleep_call op=23 start=993 object=139637976732212 result=-11; "
        "1040 lock_wake op=24 object=139637976732212; 1050 net_object object=65545 '/sixteen/letters'; 1060 file_object object=65545 "
        "'/sixteen/letters'",
        0);
}

/* Everything up to a cell that makes no sense is kept. */
static void stops_at_damage(void)
{
    CU_ASSERT_EQUAL(pack_from(0), 1);
    CU_ASSERT_TRUE(run.damaged);
    CU_ASSERT_EQUAL(run.last_ticks, T0);
    SAYS("1000 instant name=5");
}

/* Ends that were not told: of the regions that were open so many still are. */
static void a_noted_depth_ends_the_run_and_the_next_head_has_what_is_left(void)
{
    static const char *const next[] = {"1030 instant name=9", "0:5@1000 | 1030 instant name=9", "0:5@1000 1:6@1010 | 1030 instant name=9"};
    for (uint32_t depth = 0; depth < 4; depth++) {
        afresh();
        begin(0, 5);
        begin(1, 6);
        put_1(TTAP__CELL_DEPTH, depth < 3 ? depth : UINT64_MAX);
        put_1(TTAP__INSTANT, 9);
        CU_ASSERT_EQUAL(pack_from(0), 3);
        CU_ASSERT_FALSE(run.damaged);
        CU_ASSERT_EQUAL(follow.regions, depth < 2 ? depth : 2);
        CU_ASSERT_EQUAL(pack_from(3), 1);
        SAYS(next[depth < 2 ? depth : 2]);
    }
}

/* Of so many addresses, of which the first tells stacks apart. */
static void put_stack(unsigned kind, uint64_t first_word, unsigned frames, uint64_t innermost, uint64_t cut)
{
    uint64_t *w = event(kind, (3 + frames + 1) / 2);
    w[1] = first_word;
    w[2] = (uint64_t)getpid() << 32 | cut | frames;
    for (unsigned i = 0; i < frames; i++)
        w[3 + i] = i ? 0x1000 + i : innermost;
}

static void stacks_are_told_by_number_each_once_the_same(void)
{
    ttap__stacks_forget();
    afresh();
    put_stack(TTAP__SAMPLE, 10101010, 3, 0x900, 0);
    put_stack(TTAP__CALL_STACK, T0 - 7, 4, 0x900, TTAP__STACK_CUT);
    put_stack(TTAP__SAMPLE, 5, 3, 0x900, 0);
    put_stack(TTAP__SAMPLE, 6, 3, 0x900, TTAP__STACK_CUT); /* the same but for its outer end */
    put_stack(TTAP__SAMPLE, 7, 0, 0, 0);                   /* nothing is known of it */
    put_1(TTAP__INSTANT, 5);
    RUN("1000 sample cpu_ns=10101010 stack=1; 1010 call_stack start=993 stack=2; 1020 sample cpu_ns=5 stack=1; 1030 sample cpu_ns=6 stack=3; "
        "1040 sample cpu_ns=7 stack=0; 1050 instant name=5",
        0);
    const uint64_t *frames = NULL;
    const struct ttap__stack_entry *stack = ttap__stack_at(2, &frames);
    CU_ASSERT(ttap__stacks_made() == 3 && stack && stack->count == 4 && stack->cut && TTAP__FRAME_OFFSET(frames[0]) == 0x900);
    view.groups = TTAP_GROUPS_ALL & ~TTAP_GROUP_SAMPLE;
    RUN("1050 instant name=5", 5);
    ttap__stacks_forget();
}

/* The first of its words is the weight. */
static void samples_of_allocations_are_a_group_of_their_own(void)
{
    ttap__stacks_forget();
    afresh();
    put_stack(TTAP__ALLOC_SAMPLE, 100, 3, 5000, TTAP__STACK_CUT);
    put_stack(TTAP__ALLOC_SAMPLE, 200, 1, 6000, 0); /* of an unknown caller */
    put_stack(TTAP__SAMPLE, 7, 0, 0, 0);
    RUN("1000 alloc_sample bytes=100 weight=5000 stack=1; 1010 alloc_sample bytes=200 weight=6000 stack=0; 1020 sample cpu_ns=7 stack=0", 0);
    const uint64_t *frames = NULL;
    const struct ttap__stack_entry *stack = ttap__stack_at(1, &frames);
    CU_ASSERT(stack && stack->count == 2 && stack->cut && TTAP__FRAME_OFFSET(frames[0]) == 0x1001);
    view.groups = TTAP_GROUPS_ALL & ~TTAP_GROUP_ALLOC_SAMPLE;
    RUN("1020 sample cpu_ns=7 stack=0", 2);
    view.groups = TTAP_GROUPS_ALL & ~TTAP_GROUP_SAMPLE;
    RUN("1000 alloc_sample bytes=100 weight=5000 stack=1; 1010 alloc_sample bytes=200 weight=6000 stack=0", 1);
    afresh();
    put_1(TTAP__INSTANT, 5);
    put_stack(TTAP__ALLOC_SAMPLE, 100, 0, 0, 0); /* without a weight */
    stops_at_damage();
    ttap__stacks_forget();
}

static void a_stack_longer_than_any_or_than_its_chunk_is_damage(void)
{
    for (unsigned frames = 0; frames <= TTAP__STACK_FRAMES_MAX + 1; frames++)
        for (unsigned missing = 0; missing <= 2; missing++) {
            unsigned whole = (3 + frames + 1) / 2;
            if (missing >= whole)
                continue;
            afresh();
            put_1(TTAP__INSTANT, 5);
            put_stack(TTAP__SAMPLE, 1, frames, 0x900, 0);
            used -= missing;
            if (missing || frames > TTAP__STACK_FRAMES_MAX)
                stops_at_damage();
            else
                CU_ASSERT(pack_from(0) == 1 + whole && !run.damaged);
        }
    ttap__stacks_forget();
}

static void every_kind_about_tasks_says_what_its_cells_say(void)
{
    afresh();
    put_task(TTAP__TASK_BEGIN, get, 0);
    put_about(TTAP__TASK_ATTR_INT, get, 12, (uint64_t)-1, 0);
    put_about_text(TTAP__TASK_ATTR_STR, get, 12, 0, "a value");
    put_about_text(TTAP__TASK_FAIL, get, 0, -5, "no such file");
    put_about(TTAP__TASK_TRACE, get, 0x1122, 0x3344, 0x5566);
    put_task(TTAP__TASK_END, get, 1);
    RUN("1000 task_begin task=7 parent=3 kind=2; 1010 task_attr_int task=7 key=12 value=-1; 1020 task_attr_str task=7 key=12 'a value'; "
        "1030 task_fail task=7 code=-5 'no such file'; 1040 task_trace task=7 trace_hi=4386 trace_lo=13124 span=21862; "
        "1050 task_end task=7 parent=3 kind=2 start=900 status=1",
        0);
}

/* ---- Tasks ---- */

static void a_task_is_described_once_a_run(void)
{
    afresh();
    put_task(TTAP__TASK_ENTER, get, 0);
    put_task(TTAP__TASK_ENTER, put, 0);
    put_task(TTAP__TASK_ENTER, get, 0);
    put_task(TTAP__TASK_ENTER, (struct task){0}, 0);
    RUN("1000 task_enter_full task=7 parent=3 kind=2 start=900; 1010 task_enter_full task=8 parent=0 kind=4 start=950; 1020 task_enter task=7; "
        "1030 task_enter task=0",
        0);
    used = 0;
    put_task(TTAP__TASK_BEGIN, put, 0);
    put_task(TTAP__TASK_ENTER, put, 0);
    RUN("1040 task_begin task=8 parent=0 kind=4; 1050 task_enter task=8", 0);
}

static void a_run_begins_with_the_task_it_found(void)
{
    afresh();
    put_task(TTAP__TASK_ENTER, get, 0);
    pack_from(0);
    used = 0;
    put_1(TTAP__INSTANT, 5);
    put_task(TTAP__TASK_ENTER, get, 0);
    RUN("task 7/3 kind 2 draw 500 since 900 | 1010 instant name=5; 1020 task_enter task=7", 0);
}

/* 16 tasks are remembered by their number: another with the same remainder takes the place. */
static void a_task_whose_place_was_taken_is_described_again(void)
{
    struct task other = get;
    other.id += 16;
    afresh();
    put_task(TTAP__TASK_ENTER, get, 0);
    put_task(TTAP__TASK_BEGIN, other, 0);
    put_task(TTAP__TASK_ENTER, get, 0);
    RUN("1000 task_enter_full task=7 parent=3 kind=2 start=900; 1010 task_begin task=23 parent=3 kind=2; "
        "1020 task_enter_full task=7 parent=3 kind=2 start=900",
        0);
    afresh();
    other.id = get.id + 15;
    put_task(TTAP__TASK_ENTER, get, 0);
    put_task(TTAP__TASK_BEGIN, other, 0);
    put_task(TTAP__TASK_ENTER, get, 0);
    RUN("1000 task_enter_full task=7 parent=3 kind=2 start=900; 1010 task_begin task=22 parent=3 kind=2; 1020 task_enter task=7", 0);
}

/* A rule for a kind, and one for the rest: draws below it are kept. */
static void keep_below(uint64_t otherwise, uint32_t kind, uint64_t below)
{
    keep.otherwise = otherwise;
    keep.rules = kind != 0;
    keep.rule[0] = (struct ttap__keep_rule){kind, below};
}

static void what_sampling_leaves_out_is_filtered(void)
{
    afresh();
    keep_below(1000, 0, 0);
    put_task(TTAP__TASK_BEGIN, get, 0);
    put_task(TTAP__TASK_BEGIN, put, 0);
    put_about(TTAP__TASK_ATTR_INT, put, 12, 1, 0);
    put_about_text(TTAP__TASK_FAIL, put, 0, 1, "sixteen letters!");
    put_about(TTAP__TASK_ATTR_INT, get, 12, 1, 0);
    put_task(TTAP__TASK_END, put, 0);
    put_task(TTAP__TASK_END, get, 0);
    RUN("1000 task_begin task=7 parent=3 kind=2; 1040 task_attr_int task=7 key=12 value=1; "
        "1060 task_end task=7 parent=3 kind=2 start=900 status=0",
        4);
}

static void a_task_that_nobody_may_keep_is_left_out_where_all_are_kept(void)
{
    struct task never = get;
    never.draw = TTAP__DRAW_NEVER;
    afresh();
    put_task(TTAP__TASK_BEGIN, never, 0);
    never.draw--;
    put_task(TTAP__TASK_END, never, 0);
    RUN("1010 task_end task=7 parent=3 kind=2 start=900 status=0", 1);
}

static void a_rule_for_a_kind_goes_before_the_rest(void)
{
    afresh();
    keep_below(0, 4, 1501);
    put_task(TTAP__TASK_BEGIN, get, 0);
    put_task(TTAP__TASK_BEGIN, put, 0);
    RUN("1010 task_begin task=8 parent=0 kind=4", 1);
    afresh();
    keep_below(TTAP__KEEP_ALL, 4, 1500);
    put_task(TTAP__TASK_BEGIN, get, 0);
    put_task(TTAP__TASK_BEGIN, put, 0);
    RUN("1000 task_begin task=7 parent=3 kind=2", 1);
}

/* Between tasks that are left out the view is in no task at all, which is told once. */
static void entering_what_is_left_out_is_leaving(void)
{
    struct task other = put;
    other.id = 9;
    afresh();
    keep_below(1000, 0, 0);
    put_task(TTAP__TASK_ENTER, get, 0);
    put_1(TTAP__INSTANT, 5);
    put_task(TTAP__TASK_ENTER, put, 0);
    put_1(TTAP__INSTANT, 5);
    begin(0, 6);
    put_task(TTAP__TASK_ENTER, other, 0);
    end(0, 6);
    put_task(TTAP__TASK_ENTER, (struct task){0}, 0);
    put_1(TTAP__INSTANT, 5);
    RUN("1000 task_enter_full task=7 parent=3 kind=2 start=900; 1010 instant name=5; 1020 task_enter task=0; 1070 task_enter task=0; "
        "1080 instant name=5",
        4);
    used = 0;
    put_task(TTAP__TASK_ENTER, put, 0);
    put_1(TTAP__INSTANT, 5);
    pack_from(0);
    CU_ASSERT_EQUAL(run.filtered, 2);
    SAYS("");
    used = 0;
    put_1(TTAP__INSTANT, 5); /* and the next run does not tell of that task */
    RUN("", 1);
}

static void each_group_is_left_out_by_itself(void)
{
    static const struct {
        uint64_t group;
        const char *left;
    } groups[] = {
        {TTAP_GROUP_TASK, "1000 region_begin name=6; 1050 instant name=5; 1060 counter name=9 value=1; "
                          "1070 queue_enqueue queue=70 name=3 depth=2; 1080 gc_begin phase=6; 1090 region_end"},
        {TTAP_GROUP_REGION, "1010 task_begin task=7 parent=3 kind=2; 1020 task_enter task=7; 1030 task_attr_int task=7 key=12 value=1; "
                            "1040 task_end task=7 parent=3 kind=2 start=900 status=0; 1050 instant name=5; 1060 counter name=9 value=1; "
                            "1070 queue_enqueue queue=70 name=3 depth=2; 1080 gc_begin phase=6"},
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        afresh();
        view.groups = TTAP_GROUPS_ALL & ~groups[i].group;
        begin(0, 6);
        put_task(TTAP__TASK_BEGIN, get, 0);
        put_task(TTAP__TASK_ENTER, get, 0);
        put_about(TTAP__TASK_ATTR_INT, get, 12, 1, 0);
        put_task(TTAP__TASK_END, get, 0);
        put_1(TTAP__INSTANT, 5);
        put_3(TTAP__COUNTER, 9, 1);
        put_3(TTAP__QUEUE_ENQUEUE, UINT64_C(3) << 32 | 70, 2);
        put_1(TTAP__GC_BEGIN, 6);
        end(0, 6);
        RUN(groups[i].left, groups[i].group == TTAP_GROUP_TASK ? 4 : 2);
        used = 0;
        put_1(TTAP__INSTANT, 5); /* the next run's head knows no more than the events */
        RUN(groups[i].group == TTAP_GROUP_TASK ? "1100 instant name=5" : "task 7/3 kind 2 draw 500 since 900 | 1100 instant name=5", 0);
    }
    afresh();
    view.groups = TTAP_GROUPS_ALL & ~(TTAP_GROUP_LOG | TTAP_GROUP_COUNTER | TTAP_GROUP_QUEUE | TTAP_GROUP_GC);
    put_1(TTAP__INSTANT, 5);
    put_log(11, "text");
    put_3(TTAP__COUNTER, 9, 1);
    put_3(TTAP__QUEUE_WAIT_BEGIN, UINT64_C(3) << 32 | 70, 2);
    put_1(TTAP__GC_END, 6);
    RUN("", 5);
}

/* ---- Regions ---- */

static void a_run_begins_with_the_regions_that_are_open(void)
{
    afresh();
    begin(0, 5);
    begin(1, 6);
    RUN("1000 region_begin name=5; 1010 region_begin name=6", 0);
    used = 0;
    end(1, 6);
    RUN("0:5@1000 1:6@1010 | 1020 region_end", 0);
    used = 0;
    end(0, 5);
    RUN("0:5@1000 | 1030 region_end", 0);
    used = 0;
    put_1(TTAP__INSTANT, 5);
    RUN("1040 instant name=5", 0);
}

static void an_end_finds_its_begin_by_name_and_the_depth_decides_between_equals(void)
{
    afresh();
    begin(0, 5);
    begin(1, 6);
    begin(2, 6);
    begin(3, 7);
    end(1, 6); /* the inner 6 and 7 were left by longjmp */
    end(0, 5);
    RUN("1000 region_begin name=5; 1010 region_begin name=6; 1020 region_begin name=6; 1030 region_begin name=7; "
        "1040 region_end_at name=6 depth=1; 1050 region_end",
        0);
    afresh();
    begin(0, 6);
    begin(1, 6);
    begin(2, 7);
    end(9, 6); /* no such depth: the innermost of that name */
    RUN("1000 region_begin name=6; 1010 region_begin name=6; 1020 region_begin name=7; 1030 region_end_at name=6 depth=1", 0);
    CU_ASSERT_EQUAL(follow.regions, 1);
}

static void what_has_ended_is_not_found_again(void)
{
    afresh();
    begin(0, 5);
    begin(1, 6);
    end(1, 6);
    end(1, 6);
    end(0, 5);
    end(0, 5);
    RUN("1000 region_begin name=5; 1010 region_begin name=6; 1020 region_end; 1030 region_end_open name=6 level=1; 1040 region_end; "
        "1050 region_end_open name=5 level=2",
        0);
}

static void ends_without_a_begin_are_numbered(void)
{
    afresh();
    put_1(TTAP__REGION_END, TTAP__END_UNMATCHED | 5);
    put_1(TTAP__REGION_END, TTAP__END_UNMATCHED | 6);
    RUN("1000 region_end_open name=5 level=1; 1010 region_end_open name=6 level=2", 0);
    used = 0;
    begin(0, 7);
    put_1(TTAP__REGION_END, TTAP__END_UNMATCHED | 6);
    RUN("ends 2 | 1020 region_begin name=7; 1030 region_end_open name=6 level=3", 0);
    used = 0;
    view.groups &= ~TTAP_GROUP_REGION;
    put_1(TTAP__REGION_END, TTAP__END_UNMATCHED | 6);
    RUN("ends 3 | ", 1);
    CU_ASSERT_EQUAL(follow.open_ends, 4);
}

/* A region belongs to the task it began in, and is shown or not as that task is, whoever ends it. */
static void regions_of_tasks_that_are_left_out_are_left_out(void)
{
    afresh();
    keep_below(1000, 0, 0);
    begin(0, 5);
    put_task(TTAP__TASK_ENTER, put, 0);
    begin(1, 6);
    put_task(TTAP__TASK_ENTER, get, 0);
    begin(2, 7);
    RUN("1000 region_begin name=5; 1030 task_enter_full task=7 parent=3 kind=2 start=900; 1040 region_begin name=7", 2);
    used = 0;
    put_1(TTAP__INSTANT, 9);
    RUN("task 7/3 kind 2 draw 500 since 900 | 0:5@1000 1:7@1040 | 1050 instant name=9", 0); /* depths as this view counts them */
    used = 0;
    end(2, 7);
    end(1, 6);
    end(0, 5);
    RUN("task 7/3 kind 2 draw 500 since 900 | 0:5@1000 1:7@1040 | 1060 region_end; 1080 region_end", 1);
}

/* The end is not shown but closes shown ones: only a new head can tell. */
static void a_hidden_end_over_shown_regions_ends_the_run(void)
{
    afresh();
    keep_below(1000, 0, 0);
    put_task(TTAP__TASK_ENTER, put, 0);
    begin(0, 5);
    put_task(TTAP__TASK_ENTER, get, 0);
    begin(1, 6);
    end(0, 5); /* 6 was left by longjmp */
    put_1(TTAP__INSTANT, 9);
    unsigned done = pack_from(0);
    SAYS("1020 task_enter_full task=7 parent=3 kind=2 start=900; 1030 region_begin name=6");
    CU_ASSERT_EQUAL(run.filtered, 3);
    CU_ASSERT_EQUAL(done, used - 1);
    CU_ASSERT_EQUAL(pack_from(done), 1);
    SAYS("task 7/3 kind 2 draw 500 since 900 | 1050 instant name=9");
}

static void a_begin_at_a_depth_that_is_open_ends_the_run(void)
{
    afresh();
    begin(0, 5);
    begin(1, 6);
    begin(1, 7); /* the end of 6 was not recorded */
    unsigned done = pack_from(0);
    SAYS("1000 region_begin name=5; 1010 region_begin name=6");
    CU_ASSERT_EQUAL(done, 2);
    CU_ASSERT_EQUAL(pack_from(done), 1);
    SAYS("0:5@1000 | 1020 region_begin name=7");
    CU_ASSERT_EQUAL(follow.regions, 2);
}

static void behind_a_gap_only_the_regions_above_it_are_open(void)
{
    for (uint32_t depth = 0; depth <= 3; depth++) {
        afresh();
        for (uint32_t i = 0; i < 3; i++)
            begin(i, 5 + i);
        pack_from(0);
        ttap__follow_gap(&follow, depth);
        CU_ASSERT_EQUAL(follow.regions, depth);
    }
}

static void deep(unsigned count)
{
    afresh();
    for (uint32_t i = 0; i < count; i++)
        begin(i, 5);
    pack_from(0);
    CU_ASSERT_EQUAL(follow.regions + follow.regions_beyond, count);
}

static void regions_deeper_than_the_table_are_counted_and_found_again(void)
{
    deep(TTAP__REGION_STACK + 2);
    CU_ASSERT_EQUAL(follow.regions_beyond, 2);
    used = 0;
    end(TTAP__REGION_STACK + 1, 5); /* began in an earlier run: its head could not list it */
    begin(TTAP__REGION_STACK + 1, 8);
    end(TTAP__REGION_STACK + 1, 8);
    end(TTAP__REGION_STACK, 5);
    end(TTAP__REGION_STACK - 1, 5);
    pack_from(0);
    const char *events = strstr(said, "| ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(events);
    CU_ASSERT_STRING_EQUAL(events, "| 1660 region_end_at name=5 depth=64; 1670 region_begin name=8; 1680 region_end; "
                                   "1690 region_end_at name=5 depth=64; 1700 region_end");
    CU_ASSERT_EQUAL(packed.regions_count, TTAP__REGION_STACK);
    CU_ASSERT_EQUAL(follow.regions, TTAP__REGION_STACK - 1);
    CU_ASSERT_EQUAL(follow.regions_beyond, 0);
}

static void regions_deeper_than_the_table_are_left_out_like_others(void)
{
    deep(TTAP__REGION_STACK + 1);
    used = 0;
    view.groups &= ~TTAP_GROUP_REGION;
    begin(TTAP__REGION_STACK + 1, 5);
    end(TTAP__REGION_STACK + 1, 5);
    end(TTAP__REGION_STACK, 5);
    RUN("", 3);
    CU_ASSERT_EQUAL(follow.regions_beyond, 0);
    CU_ASSERT_EQUAL(follow.regions, TTAP__REGION_STACK);
}

static void a_gap_above_the_table_forgets_what_was_below_it(void)
{
    deep(TTAP__REGION_STACK + 3);
    ttap__follow_gap(&follow, TTAP__REGION_STACK + 1);
    CU_ASSERT_EQUAL(follow.regions_beyond, 3); /* who can tell which */
    ttap__follow_gap(&follow, TTAP__REGION_STACK);
    CU_ASSERT_EQUAL(follow.regions_beyond, 0);
    CU_ASSERT_EQUAL(follow.regions, TTAP__REGION_STACK);
}

/* ---- Time ---- */

static void a_step_back_is_told_and_equal_times_are_none(void)
{
    static const struct {
        int64_t step;
        unsigned bytes; /* of the event: kind, delta, name; a step back takes two or more before it */
    } steps[] = {{0, 3}, {1, 3}, {127, 3}, {128, 4}, {-1, 5}, {-128, 6}, {0, 3}};
    uint64_t expected[7];
    unsigned bytes = 0;
    afresh();
    for (unsigned i = 0; i < 7; i++) {
        now = expected[i] = (i ? expected[i - 1] : T0) + (uint64_t)steps[i].step;
        put_1(TTAP__INSTANT, 5);
        bytes += steps[i].bytes;
    }
    pack_from(0);
    CU_ASSERT_EQUAL(run.event_bytes, bytes);
    CU_ASSERT_EQUAL(run.base_ticks, T0);
    CU_ASSERT_EQUAL(run.last_ticks, expected[6]);
    for (unsigned i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(packed.event[i].ticks, expected[i]);
}

/* A run's times count from its first cell, wherever that is from when the chunk was taken. */
static void a_run_counts_from_its_first_event(void)
{
    for (uint64_t first = T0 - 500; first <= T0 + 500; first += 500) {
        afresh();
        now = first;
        put_1(TTAP__INSTANT, 5);
        put_1(TTAP__INSTANT, 5);
        pack_from(0);
        CU_ASSERT_EQUAL(run.base_ticks, first);
        CU_ASSERT_EQUAL(run.last_ticks, first + 10);
        CU_ASSERT_EQUAL(packed.event[0].ticks, first);
        CU_ASSERT_EQUAL(packed.event[1].ticks, first + 10);
    }
}

/* Clocks of two CPUs may differ a little around 0; a time long before it is garbage. */
static void a_time_long_before_0_is_damage(void)
{
    const int64_t around[] = {-5, -(INT64_C(1) << 32) + 1, -(INT64_C(1) << 32), -(INT64_C(1) << 54)};
    for (int i = 0; i < 4; i++) {
        afresh();
        put_1(TTAP__INSTANT, 5);
        cells[2] = (uint64_t)around[i] << 8 | TTAP__INSTANT;
        cells[3] = 5;
        used = 2;
        ttap__pack(&run, &follow, &view, cells, used, 0);
        CU_ASSERT_EQUAL(run.damaged, i >= 2);
        CU_ASSERT_EQUAL(run.cells, i >= 2 ? 1 : 2);
    }
}

/* ---- Where a run ends ---- */

static void a_mark_of_nested_losses_ends_the_run_behind_it(void)
{
    afresh();
    put_1(TTAP__INSTANT, 5);
    put_1(TTAP__CELL_LOST_NESTED, 42);
    put_1(TTAP__INSTANT, 6);
    CU_ASSERT_EQUAL(pack_from(0), 2);
    SAYS("1000 instant name=5");
    CU_ASSERT_EQUAL(run.lost_nested, 42);
    CU_ASSERT_EQUAL(run.last_ticks, 1000);
    CU_ASSERT_FALSE(run.damaged);
    CU_ASSERT_EQUAL(pack_from(2), 1);
    CU_ASSERT_EQUAL(run.lost_nested, 0);
    SAYS("1020 instant name=6");
}

/* Emitters note the task at the start of a signal handler's chunk: no event, but the next head tells it. */
static void a_noted_task_ends_the_run_and_is_in_the_next_head(void)
{
    afresh();
    put_1(TTAP__INSTANT, 5);
    put_task(TTAP__CELL_TASK, get, 0);
    put_1(TTAP__INSTANT, 6);
    CU_ASSERT_EQUAL(pack_from(0), 4);
    CU_ASSERT_FALSE(run.damaged);
    SAYS("1000 instant name=5");
    CU_ASSERT_EQUAL(run.filtered, 0);
    CU_ASSERT_EQUAL(pack_from(4), 1);
    SAYS("task 7/3 kind 2 draw 500 since 900 | 1020 instant name=6");
    for (unsigned cut = 1; cut < 3; cut++) {
        afresh();
        put_1(TTAP__INSTANT, 5);
        event(TTAP__CELL_TASK, cut);
        stops_at_damage();
    }
    afresh();
    put_1(TTAP__INSTANT, 5);
    put_task(TTAP__CELL_TASK, (struct task){.id = 7, .kind = UINT32_MAX}, 0);
    stops_at_damage();
}

static void no_cells_are_an_empty_run(void)
{
    afresh();
    begin(0, 5);
    used = 0; /* what lies there is not looked at */
    CU_ASSERT_EQUAL(pack_from(0), 0);
    CU_ASSERT_FALSE(run.damaged);
    CU_ASSERT_EQUAL(run.count, 0);
    SAYS("");
}

static void a_kind_that_is_none_is_damage(void)
{
    static const unsigned none[] = {TTAP__KIND_TIME_BACK, TTAP__REGION_END_AT, TTAP__REGION_END_OPEN, TTAP__TASK_ENTER_FULL, 250};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        afresh();
        put_1(TTAP__INSTANT, 5);
        event(none[i], 5);
        stops_at_damage();
    }
}

/* Ids up to the table's last, and the one that stands for "(names full)". */
static void a_name_that_does_not_exist_is_damage(void)
{
    static const struct {
        unsigned kind, cells, word, shift;
    } places[] = {{TTAP__INSTANT, 1, 1, 0},         {TTAP__GC_BEGIN, 1, 1, 0},   {TTAP__COUNTER, 2, 1, 0},       {TTAP__QUEUE_ENQUEUE, 2, 1, 32},
                  {TTAP__QUEUE_WAIT_END, 2, 1, 32}, {TTAP__LOG, 1, 1, 0},        {TTAP__REGION_BEGIN, 1, 1, 0},  {TTAP__REGION_END, 1, 1, 0},
                  {TTAP__TASK_BEGIN, 3, 3, 0},      {TTAP__TASK_ENTER, 3, 3, 0}, {TTAP__TASK_ATTR_INT, 3, 3, 0}, {TTAP__TASK_ATTR_STR, 3, 3, 0},
                  {TTAP__LOCK_CALL, 2, 1, 0},       {TTAP__LOCK_WAKE, 2, 1, 0}};
    static const uint64_t names[] = {TTAP_NAMES_MAX, TTAP_NAMES_MAX + 1, TTAP_NAMES_MAX + 2, UINT32_MAX};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int n = 0; n < 4; n++) {
            afresh();
            put_1(TTAP__INSTANT, 5);
            event(places[i].kind, places[i].cells)[places[i].word] = names[n] << places[i].shift;
            if (n >= 2)
                stops_at_damage();
            else
                CU_ASSERT(pack_from(0) == used && !run.damaged);
        }
}

static void an_event_that_ends_beyond_its_chunk_is_damage(void)
{
    static const struct {
        unsigned kind, cells;
    } kinds[] = {{TTAP__LOCK_CALL, 2},     {TTAP__NET_CALL, 2},    {TTAP__FILE_CALL, 2},  {TTAP__SLEEP_CALL, 2},    {TTAP__LOCK_WAKE, 2},
                 {TTAP__NET_OBJECT, 2},    {TTAP__FILE_OBJECT, 2}, {TTAP__COUNTER, 2},    {TTAP__QUEUE_ENQUEUE, 2}, {TTAP__QUEUE_WAIT_END, 2},
                 {TTAP__TASK_BEGIN, 3},    {TTAP__TASK_END, 3},    {TTAP__TASK_ENTER, 3}, {TTAP__TASK_ATTR_INT, 3}, {TTAP__TASK_TRACE, 3},
                 {TTAP__TASK_ATTR_STR, 3}, {TTAP__TASK_FAIL, 3}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned cut = 1; cut <= kinds[i].cells; cut++) {
            afresh();
            put_1(TTAP__INSTANT, 5);
            event(kinds[i].kind, cut);
            if (cut < kinds[i].cells)
                stops_at_damage();
            else
                CU_ASSERT(pack_from(0) == 1 + cut && !run.damaged);
        }
}

/* Text of each length, with all of its cells and with one too few. */
static void text_takes_whole_cells_up_to_its_limit(void)
{
    static const unsigned lengths[] = {0, 1, 15, 16, 17, 31, 32, 33, TTAP_LOG_BYTES_MAX - 1, TTAP_LOG_BYTES_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned len = lengths[i], needed = (len + 15) / 16;
        for (unsigned cut = 0; cut <= (needed > 0); cut++) {
            afresh();
            put_1(TTAP__INSTANT, 5);
            uint64_t *w = event(TTAP__LOG, 1 + needed - cut);
            w[1] = (uint64_t)len << 32 | 11;
            memset(w + 2, 'x', len);
            if (cut) {
                stops_at_damage();
                continue;
            }
            CU_ASSERT_EQUAL(pack_from(0), used);
            CU_ASSERT_FALSE(run.damaged);
            CU_ASSERT_EQUAL(packed.events_count, 2);
            CU_ASSERT_EQUAL(strlen(packed.event[1].text), len);
            CU_ASSERT_EQUAL(strspn(packed.event[1].text, "x"), len);
        }
    }
    afresh();
    put_1(TTAP__INSTANT, 5);
    event(TTAP__LOG, 40)[1] = (uint64_t)(TTAP_LOG_BYTES_MAX + 1) << 32 | 11;
    stops_at_damage();
    afresh();
    put_1(TTAP__INSTANT, 5);
    event(TTAP__TASK_ATTR_STR, 40)[3] = (uint64_t)(TTAP_LOG_BYTES_MAX + 1) << 32 | 11;
    stops_at_damage();
}

static void a_chunk_full_of_the_largest_events_fits(void)
{
    afresh();
    while (used < TTAP__CHUNK_CELLS) {
        begin(0, UINT32_MAX >> 16);
        end(0, UINT32_MAX >> 16);
        now += UINT64_C(1) << 46; /* seven bytes; all of them together stay within half of the 56 bits */
    }
    CU_ASSERT_EQUAL(pack_from(0), used);
    CU_ASSERT(run.event_bytes <= sizeof run.events);
    CU_ASSERT_EQUAL(run.count, TTAP__CHUNK_CELLS);
}

static void the_deepest_head_fits(void)
{
    deep(TTAP__REGION_STACK);
    follow.task = follow.task_parent = UINT64_MAX;
    follow.task_start_ticks = UINT64_C(1) << 63;
    follow.task_kind = follow.open_ends = UINT32_MAX;
    follow.task_draw = TTAP__DRAW_NEVER - 1;
    for (uint32_t i = 0; i < follow.regions; i++)
        follow.region[i].begin_ticks = (UINT64_C(1) << 63) + i;
    used = 0;
    put_1(TTAP__INSTANT, 5);
    pack_from(0);
    CU_ASSERT(run.head_bytes < sizeof run.head);
    CU_ASSERT_EQUAL(packed.regions_count, TTAP__REGION_STACK);
    CU_ASSERT_EQUAL(packed.task, UINT64_MAX);
}

static CU_TestInfo statements[] = {
    {"every kind says what its cells say", every_kind_says_what_its_cells_say},
    {"every kind of hooked call says what its cells say", every_kind_of_hooked_call_says_what_its_cells_say},
    {"every kind about tasks says what its cells say", every_kind_about_tasks_says_what_its_cells_say},
    {"a task is described once a run", a_task_is_described_once_a_run},
    {"a run begins with the task it found", a_run_begins_with_the_task_it_found},
    {"a task whose place was taken is described again", a_task_whose_place_was_taken_is_described_again},
    {"what sampling leaves out is filtered", what_sampling_leaves_out_is_filtered},
    {"a task that nobody may keep is left out where all are kept", a_task_that_nobody_may_keep_is_left_out_where_all_are_kept},
    {"a rule for a kind goes before the rest", a_rule_for_a_kind_goes_before_the_rest},
    {"entering what is left out is leaving", entering_what_is_left_out_is_leaving},
    {"each group is left out by itself", each_group_is_left_out_by_itself},
    {"a run begins with the regions that are open", a_run_begins_with_the_regions_that_are_open},
    {"an end finds its begin by name, and the depth decides between equals", an_end_finds_its_begin_by_name_and_the_depth_decides_between_equals},
    {"what has ended is not found again", what_has_ended_is_not_found_again},
    {"ends without a begin are numbered", ends_without_a_begin_are_numbered},
    {"regions of tasks that are left out are left out", regions_of_tasks_that_are_left_out_are_left_out},
    {"a hidden end over shown regions ends the run", a_hidden_end_over_shown_regions_ends_the_run},
    {"a begin at a depth that is open ends the run", a_begin_at_a_depth_that_is_open_ends_the_run},
    {"behind a gap only the regions above it are open", behind_a_gap_only_the_regions_above_it_are_open},
    {"regions deeper than the table are counted and found again", regions_deeper_than_the_table_are_counted_and_found_again},
    {"regions deeper than the table are left out like others", regions_deeper_than_the_table_are_left_out_like_others},
    {"a gap above the table forgets what was below it", a_gap_above_the_table_forgets_what_was_below_it},
    {"a step back is told, and equal times are none", a_step_back_is_told_and_equal_times_are_none},
    {"a run counts from its first event", a_run_counts_from_its_first_event},
    {"a time long before 0 is damage", a_time_long_before_0_is_damage},
    {"a name that does not exist is damage", a_name_that_does_not_exist_is_damage},
    {"a mark of nested losses ends the run behind it", a_mark_of_nested_losses_ends_the_run_behind_it},
    {"a noted task ends the run and is in the next head", a_noted_task_ends_the_run_and_is_in_the_next_head},
    {"a noted depth ends the run, and the next head has what is left", a_noted_depth_ends_the_run_and_the_next_head_has_what_is_left},
    {"stacks are told by number, each once the same", stacks_are_told_by_number_each_once_the_same},
    {"a stack longer than any, or than its chunk, is damage", a_stack_longer_than_any_or_than_its_chunk_is_damage},
    {"samples of allocations are a group of their own", samples_of_allocations_are_a_group_of_their_own},
    {"no cells are an empty run", no_cells_are_an_empty_run},
    {"a kind that is none is damage", a_kind_that_is_none_is_damage},
    {"an event that ends beyond its chunk is damage", an_event_that_ends_beyond_its_chunk_is_damage},
    {"text takes whole cells, up to its limit", text_takes_whole_cells_up_to_its_limit},
    {"a chunk full of the largest events fits", a_chunk_full_of_the_largest_events_fits},
    {"the deepest head fits", the_deepest_head_fits},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
