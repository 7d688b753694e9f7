/* test_rare.c - what emitters do when there is no chunk, no slot, no room for names, nobody who keeps their task, or a handler in a handler.
 * The drainer's part is played by moments.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "emit.h"
#include "init.h"
#include "moments.h"
#include "statements.h"
#include "sys.h"

/* ---- Everything one can say; each function says it once ---- */

static struct ttap_name name = TTAP_NAME_INIT("rare");
static struct ttap_task task = {.id = 77, .kind = 5, .root_kind = 5, .draw = 1000};
static struct ttap_queue queue = {.name = "rare queue"};

static void say_begin(void)
{
    ttap_region_begin(&name);
}
static void say_end(void)
{
    ttap_region_end(&name);
}
static void say_instant(void)
{
    ttap_instant(&name);
}
static void say_counter(void)
{
    ttap_counter(&name, 5);
}
static void say_log(void)
{
    ttap_log(&name, "text", 4);
}
static void say_gc(void)
{
    ttap__gc(&name, 1);
}
static void say_queue(void)
{
    ttap__queue(&queue, 0, 1);
}
static void say_attr_int(void)
{
    ttap__task_attr_int(&task, &name, 5);
}
static void say_attr_str(void)
{
    ttap__task_attr_str(&task, &name, "text");
}
static void say_task_end(void)
{
    ttap__task_end(&task);
}

/* In pairs that leave the depth as it was. */
static void (*const everything[])(void) = {say_begin, say_end,   say_instant,  say_counter,  say_log,
                                           say_gc,    say_queue, say_attr_int, say_attr_str, say_task_end};
static const uint64_t groups_of[] = {TTAP_GROUP_REGION, TTAP_GROUP_REGION, TTAP_GROUP_LOG,  TTAP_GROUP_COUNTER, TTAP_GROUP_LOG,
                                     TTAP_GROUP_GC,     TTAP_GROUP_QUEUE,  TTAP_GROUP_TASK, TTAP_GROUP_TASK,    TTAP_GROUP_TASK};
static const unsigned cells_of[] = {1, 1, 1, 2, 2, 1, 2, 3, 4, 3};
enum { EVERYTHING = sizeof everything / sizeof *everything };

static void without_a_chunk_each_event_is_lost_and_counted(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(0, light);
        say_instant();
        for (int i = 0; i < EVERYTHING; i++) {
            uint64_t before = stream(0)->lost_full;
            uint32_t depth = ttap__tls->stream[0].depth;
            everything[i]();
            CU_ASSERT_EQUAL(stream(0)->lost_full, before + 1);
            CU_ASSERT_EQUAL(stream(0)->busy, 0);
            CU_ASSERT_EQUAL(stream(0)->published, 0);
            CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, depth + (i == 0) - (i == 1)); /* they stay paired */
        }
        close_gate();
    }
}

static void with_a_chunk_each_event_takes_its_cells(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(2, light);
        say_instant();
        for (int i = 0; i < EVERYTHING; i++) {
            unsigned before = TTAP__PUB_USED(stream(0)->published);
            everything[i]();
            CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), before + cells_of[i]);
            CU_ASSERT_EQUAL(stream(0)->published, ttap__tls->stream[0].publish);
            CU_ASSERT_EQUAL(ttap__tls->stream[0].cell, pool[0].cells + 2 * TTAP__PUB_USED(stream(0)->published));
            CU_ASSERT_EQUAL(stream(0)->busy, 0);
        }
        CU_ASSERT_EQUAL(ttap__tls->fast != NULL, ttap__light_busy != 0);
        close_gate();
    }
}

static void what_is_not_asked_for_leaves_no_trace(void)
{
    for (int light = 0; light < 2; light++)
        for (int i = 0; i < EVERYTHING; i++) {
            afresh(2, light);
            say_instant();
            open_gate(TTAP_GROUPS_ALL & ~groups_of[i]);
            uint64_t published = stream(0)->published, sampled = stream(0)->sampled_out;
            __atomic_store_n(&ttap_gate, ttap_gate, __ATOMIC_RELAXED);
            switch (i) { /* past the macros' own test, as when the gate closes behind it */
            case 0:
                ttap__region_begin(&name);
                break;
            case 1:
                ttap__region_end(&name);
                break;
            case 2:
                ttap__instant(&name);
                break;
            case 3:
                ttap__counter(&name, 5);
                break;
            case 4:
                ttap__log(&name, "text", 4);
                break;
            default:
                everything[i]();
                break;
            }
            CU_ASSERT_EQUAL(stream(0)->published, published);
            CU_ASSERT_EQUAL(stream(0)->sampled_out, sampled);
            CU_ASSERT_EQUAL(stream(0)->busy, 0);
            close_gate();
        }
}

/* Within a task that nobody keeps: counted once each, whatever path, also when that is found out only after the barrier. */
static void within_a_task_that_nobody_keeps_each_event_is_counted_as_such(void)
{
    for (int light = 0; light < 2; light++)
        for (int fresh_epoch = 0; fresh_epoch < 2; fresh_epoch++) {
            struct ttap_task before;
            afresh(2, light);
            keep_below(1000); /* the task's draw is not below */
            ttap_task_enter(&task, &before);
            uint64_t published = stream(0)->published;
            for (int i = 0; i < EVERYTHING; i++) {
                if (fresh_epoch)
                    open_gate(TTAP_GROUPS_ALL);
                uint64_t sampled = stream(0)->sampled_out;
                uint32_t depth = ttap__tls->stream[0].depth;
                everything[i]();
                CU_ASSERT_EQUAL(stream(0)->sampled_out, sampled + 1);
                CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, depth + (i == 0) - (i == 1));
                CU_ASSERT_EQUAL(stream(0)->busy, 0);
            }
            CU_ASSERT_EQUAL(stream(0)->published, published);
            keep_below(1001);
            open_gate(TTAP_GROUPS_ALL); /* as the drainer does: rates count from the next epoch on */
            say_instant();
            CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), TTAP__PUB_USED(published) + 3 + 1); /* which task it is goes before it */
            ttap_task_leave(&before);
            close_gate();
        }
}

static void fill_a_chunk(void)
{
    for (unsigned left = TTAP__CHUNK_CELLS - TTAP__PUB_USED(stream(0)->published); left; left--)
        say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), TTAP__CHUNK_CELLS);
}

/* To the last cell, and not beyond: what does not fit goes into the next chunk whole. */
static void an_event_that_just_fits_is_the_chunks_last(void)
{
    for (int light = 0; light < 2; light++)
        for (unsigned left = 0; left < 4; left++)
            for (int i = 0; i < EVERYTHING; i++) {
                afresh(2, light);
                say_instant();
                while (TTAP__PUB_USED(stream(0)->published) < TTAP__CHUNK_CELLS - left)
                    say_instant();
                everything[i]();
                bool fits = cells_of[i] <= left;
                CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(stream(0)->published), fits ? 1 : 2);
                CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), fits ? TTAP__CHUNK_CELLS - left + cells_of[i] : cells_of[i]);
                CU_ASSERT_EQUAL(pool[0].used, fits ? 0 : TTAP__CHUNK_CELLS - left);
                close_gate();
            }
}

/* An event that is being recorded further up the stack: busy may say where. */
static uintptr_t up_the_stack;
#define INSIDE ((__typeof__(stream(0)->busy))up_the_stack)

/* ---- Handlers: busy is set by hand, as if a signal had come inside of an event ---- */

static void a_handler_inside_an_event_has_a_stream_of_its_own(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(2, light);
        say_instant();
        uint64_t published = stream(0)->published;
        stream(0)->busy = INSIDE;
        say_instant(); /* and whatever mark is due */
        for (int i = 0; i < EVERYTHING; i++) {
            unsigned before = TTAP__PUB_USED(stream(1)->published);
            everything[i]();
            CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), before + cells_of[i]);
            CU_ASSERT_EQUAL(stream(1)->busy, 0);
        }
        CU_ASSERT_EQUAL(stream(0)->published, published);
        CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, 0);
        stream(0)->busy = 0;
        close_gate();
    }
}

static void a_handler_inside_a_handler_loses_and_counts(void)
{
    afresh(2, true);
    say_instant();
    stream(0)->busy = stream(1)->busy = INSIDE;
    for (int i = 0; i < EVERYTHING; i++) {
        uint64_t lost = stream(1)->lost_nested;
        everything[i]();
        CU_ASSERT_EQUAL(stream(1)->lost_nested, lost + 1);
        CU_ASSERT(stream(0)->busy && stream(1)->busy);
    }
    struct ttap_task before;
    uint64_t lost = stream(1)->lost_nested;
    ttap_task_enter(&task, &before); /* it is entered all the same */
    struct ttap_task now;
    ttap_task_current(&now);
    CU_ASSERT_EQUAL(now.id, 77);
    ttap_task_leave(&before);
    CU_ASSERT_EQUAL(stream(1)->lost_nested, lost + 2);
    stream(0)->busy = stream(1)->busy = 0;
    close_gate();
}

/* Marks come right before the next event of the handler's stream, and once. */
static void what_a_deeper_handler_lost_is_marked_in_its_place(void)
{
    afresh(2, true);
    say_instant();
    stream(0)->busy = INSIDE;
    say_instant();
    unsigned used = TTAP__PUB_USED(stream(1)->published);
    const struct ttap__chunk *chunk = &pool[TTAP__PUB_CHUNK(stream(1)->published) - 1];
    stream(1)->lost_nested += 3;
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), used + 2);
    CU_ASSERT_EQUAL(cell_of(chunk, used)[0] & 0xff, TTAP__CELL_LOST_NESTED);
    CU_ASSERT_EQUAL(cell_of(chunk, used)[1], stream(1)->lost_nested);
    CU_ASSERT_EQUAL(cell_of(chunk, used + 1)[0] & 0xff, TTAP__INSTANT);
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), used + 3);
    stream(0)->busy = 0;
    close_gate();
}

/* With little room left in the chunk the mark goes into the next one; without a next one the event is lost too. */
static void a_mark_finds_room_in_the_next_chunk_or_waits(void)
{
    for (unsigned chunks = 2; chunks <= 3; chunks++) {
        afresh(chunks, true);
        say_instant();
        stream(0)->busy = INSIDE;
        for (unsigned i = 0; i < TTAP__CHUNK_CELLS && TTAP__PUB_USED(stream(1)->published) < TTAP__CHUNK_CELLS - 1; i++)
            say_instant();
        stream(1)->lost_nested++;
        uint64_t marked = stream(1)->lost_nested, full = stream(1)->lost_full;
        say_instant();
        CU_ASSERT_EQUAL(stream(1)->busy, 0);
        CU_ASSERT_EQUAL(stream(1)->lost_full, full + (chunks == 2));
        if (chunks == 3) {
            const struct ttap__chunk *chunk = &pool[TTAP__PUB_CHUNK(stream(1)->published) - 1];
            CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), 2);
            CU_ASSERT_EQUAL(cell_of(chunk, 0)[0] & 0xff, TTAP__CELL_LOST_NESTED);
            CU_ASSERT_EQUAL(cell_of(chunk, 0)[1], marked);
        }
        stream(0)->busy = 0;
        close_gate();
    }
}

static void a_handler_in_a_task_that_nobody_keeps_counts_in_its_own_stream(void)
{
    struct ttap_task before;
    afresh(2, true);
    keep_below(1000);
    ttap_task_enter(&task, &before);
    stream(0)->busy = INSIDE;
    for (int twice = 0; twice < 2; twice++) /* with the barrier, and passing by without it */
        for (int i = 0; i < EVERYTHING; i++) {
            uint64_t sampled = stream(1)->sampled_out, of_the_other = stream(0)->sampled_out;
            uint32_t depth = ttap__tls->stream[1].depth;
            everything[i]();
            CU_ASSERT_EQUAL(stream(1)->sampled_out, sampled + 1);
            CU_ASSERT_EQUAL(stream(0)->sampled_out, of_the_other);
            CU_ASSERT_EQUAL(ttap__tls->stream[1].depth, depth + (i == 0) - (i == 1));
            CU_ASSERT_EQUAL(stream(1)->busy, 0);
        }
    CU_ASSERT_EQUAL(stream(1)->published, 0);
    stream(0)->busy = 0;
    ttap_task_leave(&before);
    close_gate();
}

/* ---- What the cells say ---- */

static void a_region_says_its_depth_and_its_end_finds_it(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(2, light);
        for (uint64_t depth = 0; depth < 3; depth++) {
            say_begin();
            CU_ASSERT_EQUAL(last_cells(0, 1)[0] & 0xff, TTAP__REGION_BEGIN);
            CU_ASSERT_EQUAL(last_cells(0, 1)[1], depth << 32 | name.id);
        }
        for (uint64_t depth = 3; depth-- > 0;) {
            say_end();
            CU_ASSERT_EQUAL(last_cells(0, 1)[0] & 0xff, TTAP__REGION_END);
            CU_ASSERT_EQUAL(last_cells(0, 1)[1], depth << 32 | name.id);
        }
        say_end();
        CU_ASSERT_EQUAL(last_cells(0, 1)[1], TTAP__END_UNMATCHED | name.id);
        close_gate();
    }
}

static void an_object_has_its_number_and_text_cut_at_the_longest(void)
{
    char text[TTAP_LOG_BYTES_MAX + 10];
    memset(text, 'o', sizeof text);
    for (size_t len = 0; len < sizeof text; len += len < 40 || len > 500 ? 1 : 59) {
        size_t kept = len < TTAP_LOG_BYTES_MAX ? len : TTAP_LOG_BYTES_MAX;
        unsigned cells = 2 + (unsigned)(kept + 15) / 16;
        afresh(2, true);
        say_instant();
        ttap__emit_object(TTAP_GROUP_NET, TTAP__NET_OBJECT, 0x1234567890, text, len);
        CU_ASSERT_EQUAL_FATAL(TTAP__PUB_USED(stream(0)->published), 1 + cells);
        const uint64_t *w = last_cells(0, cells);
        CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__NET_OBJECT);
        CU_ASSERT_EQUAL(w[1], (uint64_t)kept << 32);
        CU_ASSERT_EQUAL(w[2], 0x1234567890);
        CU_ASSERT_EQUAL(w[3], 0);
        CU_ASSERT_EQUAL(memcmp(w + 4, text, kept), 0);
        for (size_t i = kept; i < (kept + 15) / 16 * 16; i++)
            CU_ASSERT_EQUAL(((const char *)(w + 4))[i], 0);
        CU_ASSERT_EQUAL(stream(0)->busy, 0);
        close_gate();
    }
    afresh(2, true);
    open_gate(TTAP_GROUP_LOG);
    say_instant();
    ttap__emit_object(TTAP_GROUP_NET, TTAP__NET_OBJECT, 1, text, 5); /* not asked for */
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    afresh(0, true);
    uint64_t lost = stream(0)->lost_full;
    ttap__emit_object(TTAP_GROUP_NET, TTAP__NET_OBJECT, 1, text, 5);
    CU_ASSERT_EQUAL(stream(0)->lost_full, lost + 1);
    close_gate();
}

static void a_fact_has_its_three_words(void)
{
    for (int light = 0; light < 2; light++) {
        afresh(2, light);
        say_instant();
        ttap__emit_fact(TTAP_GROUP_NET, TTAP__NET_CALL, 11, 12, 13);
        const uint64_t *w = last_cells(0, 2);
        CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__NET_CALL);
        CU_ASSERT(w[1] == 11 && w[2] == 12 && w[3] == 13);
        CU_ASSERT_EQUAL(ttap__emit_name(&name), ttap_name("rare"));
        close_gate();
    }
}

static void what_is_said_of_a_task_carries_what_sampling_asks_for(void)
{
    afresh(2, true);
    ttap__task_attr_int(&task, &name, -5);
    const uint64_t *w = last_cells(0, 3);
    CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__TASK_ATTR_INT);
    CU_ASSERT(w[1] == 77 && w[2] == (UINT64_C(1000) << 32 | 5) && w[3] == name.id && w[4] == (uint64_t)-5 && w[5] == 0);
    ttap__task_attr_str(&task, &name, "text");
    w = last_cells(0, 4);
    CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__TASK_ATTR_STR);
    CU_ASSERT(w[1] == 77 && w[2] == (UINT64_C(1000) << 32 | 5) && w[3] == (UINT64_C(4) << 32 | name.id) && w[4] == 0 && w[5] == 0);
    CU_ASSERT(memcmp(w + 6, "text", 5) == 0 && w[7] == 0);
    close_gate();
}

static void a_handlers_first_event_says_which_task_it_is_in(void)
{
    struct ttap_task before, of_another = {.id = 99, .parent = 98, .start_ticks = 97, .kind = 96, .root_kind = 95, .draw = 94};
    afresh(3, true);
    say_instant();
    stream(0)->busy = INSIDE;
    say_instant();
    stream(0)->busy = 0;
    ttap_task_enter(&of_another, &before);
    stream(0)->busy = INSIDE;
    say_instant();
    const uint64_t *w = last_cells(1, 4);
    CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__CELL_TASK);
    CU_ASSERT(w[1] == 99 && w[2] == 98 && w[3] == (UINT64_C(94) << 32 | 96) && w[4] == 95 && w[5] == 97);
    CU_ASSERT_EQUAL(w[6] & 0xff, TTAP__INSTANT);
    unsigned used = TTAP__PUB_USED(stream(1)->published);
    say_instant(); /* and no second time */
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(1)->published), used + 1);
    stream(0)->busy = 0;
    ttap_task_leave(&before);
    close_gate();
}

static void queues_are_numbered_once_each(void)
{
    struct ttap_queue one = {.name = "one"}, two = {.name = "two"};
    afresh(2, true);
    for (int i = 0; i < 3; i++)
        ttap__queue(&one, 1, 7);
    ttap__queue(&two, 3, 8);
    CU_ASSERT(one.id != 0 && two.id == one.id + 1);
    const uint64_t *w = last_cells(0, 2);
    CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__QUEUE_WAIT_END);
    CU_ASSERT(w[1] == ((uint64_t)ttap_name("two") << 32 | two.id) && w[2] == 8);
    close_gate();
}

static void a_task_of_no_parent_is_a_root_and_a_remote_one_may_have_half_an_id(void)
{
    static const struct ttap_task nothing = TTAP_TASK_NONE;
    struct ttap_task root, remote;
    afresh(2, true);
    ttap_task_begin(&root, &name, &nothing);
    CU_ASSERT(root.parent == 0 && root.root_kind == root.kind);
    CU_ASSERT_EQUAL(ttap_task_begin_remote(&remote, &name, "00-00000000000000010000000000000000-0000000000000002-01"), 1);
    CU_ASSERT(remote.trace_id[0] == 1 && remote.trace_id[1] == 0 && remote.parent == 0);
    const uint64_t *w = last_cells(0, 6); /* its begin, and whose trace it continues */
    CU_ASSERT(w[1] == remote.id && w[4] == remote.root_kind && w[6 + 1] == remote.id && w[6 + 3] == 1 && w[6 + 4] == 0 && w[6 + 5] == 2);
    char text[TTAP_TRACEPARENT_BYTES];
    unsigned used = TTAP__PUB_USED(stream(0)->published);
    ttap_task_traceparent(&remote, text); /* half an id is one */
    CU_ASSERT_EQUAL(memcmp(text, "00-00000000000000010000000000000000-", 36), 0);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), used);
    ttap_task_traceparent(&root, text); /* gets one, of this process */
    CU_ASSERT(root.trace_id[0] == (arena->trace_seed[0] ^ root.id) && root.trace_id[1] != 0 && root.trace_id[1] != root.trace_id[0]);
    w = last_cells(0, 3);
    CU_ASSERT_EQUAL(w[0] & 0xff, TTAP__TASK_TRACE);
    CU_ASSERT(w[1] == root.id && w[3] == root.trace_id[0] && w[4] == root.trace_id[1] && w[5] == 0);
    close_gate();
}

static void text_about_a_task_takes_the_cells_it_needs(void)
{
    char text[TTAP_LOG_BYTES_MAX + 10];
    memset(text, 't', sizeof text);
    for (size_t len = 0; len < sizeof text - 1; len += len < 40 || len > 500 ? 1 : 59) {
        size_t kept = len < TTAP_LOG_BYTES_MAX ? len : TTAP_LOG_BYTES_MAX;
        unsigned cells = 3 + (unsigned)(kept + 15) / 16;
        afresh(2, true);
        say_instant();
        text[len] = 0;
        ttap__task_attr_str(&task, &name, text);
        text[len] = 't';
        CU_ASSERT_EQUAL_FATAL(TTAP__PUB_USED(stream(0)->published), 1 + cells);
        const uint64_t *w = last_cells(0, cells);
        CU_ASSERT_EQUAL(w[3], (uint64_t)kept << 32 | name.id);
        CU_ASSERT_EQUAL(memcmp(w + 6, text, kept), 0);
        close_gate();
    }
}

/* From a task that nobody keeps to another there is nothing to tell; and nothing is left open. */
static void between_tasks_that_nobody_keeps_nothing_is_told(void)
{
    struct ttap_task before, other = task;
    other.id++;
    for (int light = 0; light < 2; light++) {
        afresh(2, light);
        say_instant();
        keep_below(1000);
        ttap_task_enter(&task, &before);
        uint64_t published = stream(0)->published, sampled = stream(0)->sampled_out;
        ttap_task_enter(&other, NULL);
        CU_ASSERT(stream(0)->published == published && stream(0)->busy == 0 && stream(0)->sampled_out == sampled + 1);
        ttap_task_leave(&before);
        CU_ASSERT(stream(0)->busy == 0 && ttap__tls->entering == 0);
        close_gate();
    }
}

/* Inside a task that nobody keeps two regions end that were open before it, and one of its own. Its first told event after says what is left. */
static void regions_that_ended_untold_are_made_up_for_once(void)
{
    for (int light = 0; light < 2; light++)
        for (int of_before = 0; of_before < 2; of_before++) {
            struct ttap_task before;
            afresh(2, light);
            say_begin();
            say_begin();
            say_begin();
            keep_below(1000);
            ttap_task_enter(&task, &before);
            say_begin();
            say_end();
            if (of_before) {
                say_end();
                say_end();
            }
            say_begin();
            unsigned used = TTAP__PUB_USED(stream(0)->published), marks = 0;
            ttap_task_leave(&before);
            say_instant();
            say_instant();
            for (unsigned at = used; at < TTAP__PUB_USED(stream(0)->published); at++)
                if ((cell_of(&pool[0], at)[0] & 0xff) == TTAP__CELL_DEPTH) {
                    CU_ASSERT_EQUAL(cell_of(&pool[0], at)[1], 1);
                    marks++;
                }
            CU_ASSERT_EQUAL(marks, (unsigned)of_before);
            CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, of_before ? 2 : 4);
            close_gate();
        }
}

/* What is said of another task, which is kept, says nothing of the one that is not. */
static void a_task_that_nobody_keeps_is_not_told_by_what_is_said_of_another(void)
{
    struct ttap_task before, kept = task;
    kept.id++;
    kept.draw = 5;
    afresh(2, true);
    say_instant();
    keep_below(1000);
    ttap_task_enter(&task, &before);
    unsigned used = TTAP__PUB_USED(stream(0)->published);
    ttap__tls->stream[0].marks = 1;
    ttap__task_attr_int(&kept, &name, 5);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), used + 3);
    CU_ASSERT_EQUAL(last_cells(0, 3)[1], kept.id);
    ttap_task_leave(&before);
    close_gate();
}

/* As above, where the task is not left, but kept by somebody from the next epoch on. */
static void regions_that_ended_untold_are_made_up_for_when_the_task_is_kept_after_all(void)
{
    struct ttap_task before;
    afresh(2, true);
    say_begin();
    keep_below(1000);
    ttap_task_enter(&task, &before);
    say_end();
    keep_below(1001);
    open_gate(TTAP_GROUPS_ALL);
    say_instant();
    const uint64_t *w = last_cells(0, 5); /* which regions are left, which task it is, and the event */
    CU_ASSERT((w[0] & 0xff) == TTAP__CELL_DEPTH && w[1] == 0 && (w[2] & 0xff) == TTAP__CELL_TASK && w[3] == 77);
    CU_ASSERT_EQUAL(w[8] & 0xff, TTAP__INSTANT);
    say_instant();
    CU_ASSERT_EQUAL(last_cells(0, 2)[0] & 0xff, TTAP__INSTANT); /* once */
    ttap_task_leave(&before);
    close_gate();
    afresh(2, true); /* and where the task had been told already */
    say_begin();
    ttap_task_enter(&task, &before);
    keep_below(1000);
    open_gate(TTAP_GROUPS_ALL);
    say_end();
    unsigned used = TTAP__PUB_USED(stream(0)->published);
    keep_below(1001);
    open_gate(TTAP_GROUPS_ALL);
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), used + 2);
    CU_ASSERT((last_cells(0, 2)[0] & 0xff) == TTAP__CELL_DEPTH && last_cells(0, 2)[1] == 0);
    ttap_task_leave(&before);
    close_gate();
}

static void only_rules_in_force_count(void)
{
    static struct ttap__keep keep = {.otherwise = 500, .rules = 1, .rule = {{.kind = 5, .below = 100}, {.kind = 6, .below = 1000}}};
    CU_ASSERT(ttap__keep_matches(&keep, 99, 5) && !ttap__keep_matches(&keep, 100, 5));
    CU_ASSERT(ttap__keep_matches(&keep, 499, 6) && !ttap__keep_matches(&keep, 500, 6)); /* the second is not */
    keep.rules = 2;
    CU_ASSERT(ttap__keep_matches(&keep, 999, 6) && !ttap__keep_matches(&keep, 1000, 6));
}

static void *begins_tasks(void *arg)
{
    static struct ttap_name kind = TTAP_NAME_INIT("kind of a counted task");
    struct ttap_task first, second;
    CU_ASSERT_FATAL(ttap__attach());
    ttap_task_begin(&first, &kind, NULL);
    ttap_task_begin(&second, &kind, &first);
    uint64_t uid = ttap__tls->slot->uid;
    CU_ASSERT(first.id == (uid << 32 | 1) && second.id == (uid << 32 | 2) && second.parent == first.id);
    CU_ASSERT(kind.id != 0 && kind.id == first.kind && kind.id == ttap_name(kind.text));
    uint32_t version = ttap__tls->slot->name_version;
    ttap_thread_name("a thread's name");
    CU_ASSERT_STRING_EQUAL(ttap__tls->slot->name, "a thread's name");
    CU_ASSERT_EQUAL(ttap__tls->slot->name_version, version + 2);
    return arg;
}

static void a_threads_tasks_are_numbered_and_its_name_is_in_its_slot(void)
{
    afresh(2, true);
    close_gate();
    in_a_thread(begins_tasks);
}

/* ---- Chunks ---- */

static void a_chunk_says_how_things_stand_when_it_is_taken(void)
{
    struct ttap_task before;
    afresh(4, false);
    ttap_task_enter(&task, &before);
    stream(0)->lost_full = 11;
    stream(0)->sampled_out = 12;
    fill_a_chunk();
    const struct ttap__chunk *first = &pool[0], *second = &pool[1];
    stream(0)->lost_full = 13;
    stream(0)->sampled_out = 14;
    uint64_t then = ttap__ticks();
    say_begin();
    CU_ASSERT_EQUAL(first->serial, 1);
    CU_ASSERT_EQUAL(first->used, TTAP__CHUNK_CELLS);
    CU_ASSERT_EQUAL(first->sampled_until, 14);
    CU_ASSERT_EQUAL(second->serial, 2);
    CU_ASSERT_EQUAL(second->used, 0);
    CU_ASSERT_EQUAL(second->slot, ttap__tls->slot_index);
    CU_ASSERT_EQUAL(second->level, 0);
    CU_ASSERT_EQUAL(second->session, arena->session);
    CU_ASSERT_EQUAL(second->uid, ttap__tls->slot->uid);
    CU_ASSERT(second->base_ticks >= then && second->base_ticks <= ttap__ticks());
    CU_ASSERT_EQUAL(second->lost_before, 13);
    CU_ASSERT_EQUAL(second->sampled_before, 14);
    CU_ASSERT_EQUAL(second->depth, 0);
    CU_ASSERT_EQUAL(second->task[0], 77);
    CU_ASSERT_EQUAL(second->task[1], 0);
    CU_ASSERT_EQUAL(second->task[2], UINT64_C(1000) << 32 | 5);
    CU_ASSERT_EQUAL(second->task[3], 5);
    CU_ASSERT_EQUAL(second->task[4], task.start_ticks);
    CU_ASSERT_EQUAL((uint32_t)arena->full_chunks, 1); /* index + 1 of the first */
    fill_a_chunk();
    say_instant();
    CU_ASSERT_EQUAL(pool[2].depth, 1);
    say_end();
    ttap_task_leave(&before);
    close_gate();
}

/* Regions that were open when the chunk before ended, and still are: the least depth while events were lost. */
static void behind_a_gap_a_chunk_tells_the_least_depth_in_between(void)
{
    afresh(1, false);
    say_begin();
    say_begin();
    say_begin();
    fill_a_chunk();
    say_end(); /* lost, as all of these */
    say_end();
    say_begin();
    CU_ASSERT(stream(0)->published & TTAP__PUB_HANDED_OVER);
    arena->chunks_limit = 2;
    say_instant();
    CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, 2);
    CU_ASSERT_EQUAL(pool[1].depth, 1);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    CU_ASSERT_FALSE(stream(0)->published & TTAP__PUB_HANDED_OVER);
    say_end();
    say_end();
    close_gate();
}

static void full_chunks_come_oldest_first_and_free_ones_newest_first(void)
{
    afresh(3, false);
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 0);
    for (int i = 0; i < 3; i++) {
        say_instant();
        fill_a_chunk();
    }
    say_instant(); /* lost: hands the third over */
    uint32_t at = ttap__full_chunks_take(3), order = 0;
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 0);
    for (; at; at = pool[at - 1].next)
        order = order * 10 + at;
    CU_ASSERT_EQUAL(order, 123);
    arena->full_chunks = 4; /* beyond the area: somebody wrote over it */
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 0);
    arena->full_chunks = 2;
    pool[1].next = 2; /* a circle */
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 2);
    ttap__chunk_release(1);
    ttap__chunk_release(0);
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(stream(0)->published), 1);
    CU_ASSERT_EQUAL(TTAP__PUB_SERIAL(stream(0)->published), 4);
    ttap__chunk_give_back(TTAP__PUB(3, 9) | TTAP__PUB_HANDED_OVER); /* is not the stream's to give */
    CU_ASSERT_EQUAL((uint32_t)arena->free_chunks, 2);
    ttap__chunk_give_back(0); /* nothing */
    CU_ASSERT_EQUAL((uint32_t)arena->free_chunks, 2);
    ttap__chunk_give_back(TTAP__PUB(3, 9));
    CU_ASSERT_EQUAL((uint32_t)arena->free_chunks, 3);
    close_gate();
}

/* A child that goes on inside its parent's event finds its record wiped, piece by piece: there is nothing to hand over, nothing to write to. */
static void a_chunk_that_is_nobodys_any_more_is_not_handed_over(void)
{
    afresh(3, false);
    say_instant();
    fill_a_chunk();
    ttap__tls->stream[0].publish = 0;
    say_instant();
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 0);
    CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(stream(0)->published), 2);
    CU_ASSERT_EQUAL(TTAP__PUB_USED(stream(0)->published), 1);
    struct ttap__slot_stream *of_handlers = ttap__tls->stream[1].shared;
    uint64_t lost = stream(1)->lost_nested, published = stream(0)->published;
    ttap__tls->stream[1].shared = NULL;
    stream(0)->busy = INSIDE;
    say_instant();
    CU_ASSERT(stream(0)->published == published && stream(1)->published == 0 && stream(1)->busy == 0 && stream(1)->lost_nested == lost);
    ttap__tls->stream[1].shared = of_handlers;
    stream(0)->busy = 0;
    close_gate();
}

/* Each change of a list's head has a number of its own: whoever was torn away in between must not take it for unchanged. */
static void no_two_heads_of_a_list_are_alike(void)
{
    afresh(2, false);
    arena->free_chunks = UINT64_C(7) << 32;
    ttap__chunk_release(0);
    CU_ASSERT_EQUAL(arena->free_chunks, UINT64_C(8) << 32 | 1);
    ttap__chunk_release(1);
    CU_ASSERT_EQUAL(arena->free_chunks, UINT64_C(9) << 32 | 2);
    say_instant(); /* takes the second */
    CU_ASSERT_EQUAL(arena->free_chunks, UINT64_C(10) << 32 | 1);
    arena->full_chunks = UINT64_C(20) << 32;
    fill_a_chunk();
    say_instant(); /* hands it over and takes the first */
    CU_ASSERT_EQUAL(arena->full_chunks, UINT64_C(21) << 32 | 2);
    CU_ASSERT_EQUAL(arena->free_chunks, UINT64_C(11) << 32);
    CU_ASSERT_EQUAL(ttap__full_chunks_take(3), 2);
    CU_ASSERT_EQUAL(arena->full_chunks, UINT64_C(22) << 32);
    close_gate();
}

static void a_chunk_left_from_the_session_before_is_given_back(void)
{
    afresh(4, false);
    say_instant();
    uint64_t left = stream(0)->published;
    CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(left), 1);
    stream(0)->dirty = 0;
    ttap__tls->stream[0].depth = 9;
    arena->session++;
    open_gate(TTAP_GROUPS_ALL);
    say_instant();
    CU_ASSERT_EQUAL(TTAP__PUB_CHUNK(stream(0)->published), 1); /* taken again at once */
    CU_ASSERT_EQUAL(TTAP__PUB_SERIAL(stream(0)->published), 1);
    CU_ASSERT_EQUAL(stream(0)->dirty, arena->session);
    CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, 0);
    CU_ASSERT_EQUAL(arena->chunks_made, 1);
    close_gate();
}

/* While the regions' group was off nobody followed them: what was open is forgotten; else it is kept over epochs. */
static void regions_are_forgotten_when_they_were_not_followed(void)
{
    afresh(4, false);
    say_begin();
    open_gate(TTAP_GROUPS_ALL);
    arena->clean_epoch = (uint32_t)(epoch - 1);
    say_instant();
    CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, 1);
    open_gate(TTAP_GROUPS_ALL);
    arena->clean_epoch = (uint32_t)epoch;
    say_instant();
    CU_ASSERT_EQUAL(ttap__tls->stream[0].depth, 0);
    arena->clean_epoch = 0;
    close_gate();
}

/* ---- The lease ---- */

static void a_drainer_that_has_not_ticked_for_its_lease_closes_the_gate(void)
{
    afresh(4, false);
    say_instant();
    uint64_t expired = arena->lease_expired, gate = ttap_gate;
    arena->lease_ticks = 1u << 30;
    arena->drainer_ticks = ttap__ticks();
    fill_a_chunk();
    say_instant();
    CU_ASSERT_EQUAL(ttap_gate, gate); /* in time */
    arena->drainer_ticks = ttap__ticks() - (UINT64_C(1) << 31);
    fill_a_chunk();
    say_instant();
    CU_ASSERT_EQUAL(ttap_gate & TTAP__GATE_GROUPS, 0);
    CU_ASSERT_EQUAL(ttap_gate >> TTAP__GATE_EPOCH_SHIFT, (gate >> TTAP__GATE_EPOCH_SHIFT) + 1);
    CU_ASSERT_EQUAL(arena->lease_expired, expired + 1);
    struct ttap__emission e = {ttap__tls, &ttap__tls->stream[0], ttap__tls->stream[0].shared};
    CU_ASSERT(ttap__take_chunk(&e)); /* closed already: nothing more to close */
    CU_ASSERT_EQUAL(arena->lease_expired, expired + 1);
    CU_ASSERT_EQUAL(ttap_gate >> TTAP__GATE_EPOCH_SHIFT, (gate >> TTAP__GATE_EPOCH_SHIFT) + 1);
    epoch++;
    close_gate();
}

/* ---- Threads without a record ---- */

static void *says_everything_without_a_slot(void *arg)
{
    for (int i = 0; i < EVERYTHING; i++) {
        uint64_t lost = arena->lost_norecord;
        everything[i]();
        CU_ASSERT_EQUAL(arena->lost_norecord, lost + 1);
    }
    struct ttap_task mine, before = {.id = 5}, now = {.id = 5};
    ttap_task_begin(&mine, &name, NULL);
    CU_ASSERT(mine.id >> 63 && mine.start_ticks && mine.kind == mine.root_kind && mine.kind);
    uint64_t before_entering = arena->lost_norecord;
    ttap_task_enter(&mine, &before);
    CU_ASSERT_EQUAL(arena->lost_norecord, before_entering + 1);
    ttap_task_current(&now);
    CU_ASSERT(before.id == 0 && now.id == 0);
    ttap_task_leave(&before);
    ttap_thread_name("has none");
    CU_ASSERT_PTR_EQUAL(ttap__tls, &ttap__no_record);
    close_gate();
    uint64_t lost = arena->lost_norecord;
    ttap__instant(&name); /* past the macro's test */
    ttap_task_enter(&mine, &before);
    CU_ASSERT_EQUAL(arena->lost_norecord, lost);
    return arg;
}

static void *says_everything_for_the_tracer(void *arg)
{
    ttap__thread_is_own();
    uint64_t lost = arena->lost_norecord;
    for (int i = 0; i < EVERYTHING; i++)
        everything[i]();
    CU_ASSERT_EQUAL(arena->lost_norecord, lost);
    return arg;
}

static void a_thread_without_a_slot_loses_and_counts_and_its_tasks_are_whole(void)
{
    afresh(2, true);
    uint64_t free_slots = arena->free_slots;
    uint32_t made = arena->slots_made;
    arena->free_slots = 0;
    arena->slots_made = TTAP__THREADS_MAX;
    in_a_thread(says_everything_without_a_slot);
    open_gate(TTAP_GROUPS_ALL);
    in_a_thread(says_everything_for_the_tracer);
    arena->free_slots = free_slots;
    arena->slots_made = made;
    close_gate();
}

static int which_flag;

static void *leaves_one_thing_to_drain(void *arg)
{
    CU_ASSERT_FATAL(ttap__attach());
    struct ttap__slot *slot = ttap__tls->slot;
    uint32_t *const dirty[] = {&slot->stream[0].dirty, &slot->stream[1].dirty};
    slot->stream[0].dirty = slot->stream[1].dirty = 0;
    slot->stream[0].published = slot->stream[1].published = 0;
    slot->stream[0].busy = slot->stream[1].busy = 1; /* as if cancelled in the middle */
    if (which_flag < 2)
        *dirty[which_flag] = 1;
    else if (which_flag < 4)
        slot->stream[which_flag - 2].published = TTAP__PUB(1, 1);
    return arg;
}

static void a_thread_that_ends_goes_to_the_drainer_if_it_left_anything(void)
{
    afresh(2, true);
    close_gate();
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), 0);
    for (which_flag = 0; which_flag < 5; which_flag++) {
        in_a_thread(leaves_one_thing_to_drain);
        uint32_t ended = ttap__ended_slots_take();
        CU_ASSERT_EQUAL(ended != 0, which_flag < 4);
        uint32_t index = (ended ? ended : (uint32_t)arena->free_slots) - 1;
        struct ttap__slot *slot = &arena->slot[index];
        CU_ASSERT_EQUAL(slot->state, ended ? TTAP__SLOT_ENDED : TTAP__SLOT_FREE);
        CU_ASSERT(slot->stream[0].busy == 0 && slot->stream[1].busy == 0);
        CU_ASSERT_EQUAL(slot->uid != 0, ended != 0);
        CU_ASSERT_EQUAL(ttap__ended_slots_take(), 0);
        if (ended)
            ttap__slot_release(index);
    }
}

/* The destructor may meet a record that is not this thread's, or one that a raw clone wiped. */
static void a_record_that_is_not_ours_is_left_alone(void)
{
    static struct ttap__record stranger;
    say_instant();
    struct ttap__record *own = ttap__tls;
    uint32_t made = arena->slots_made, free_slots = (uint32_t)arena->free_slots;
    CU_ASSERT(ttap__attach() && ttap__tls == own); /* one is enough */
    CU_ASSERT(arena->slots_made == made && (uint32_t)arena->free_slots == free_slots);
    struct ttap__record *mine = ttap__tls, kept = *mine;
    ttap__thread_exit(&stranger);
    CU_ASSERT_EQUAL(stranger.exit_rounds, 0);
    memset(mine, 0, sizeof *mine);
    ttap__thread_exit(mine);
    CU_ASSERT(ttap__tls == mine && mine->exit_rounds == 0);
    *mine = kept;
}

static void *wiped_like_a_clones_child(void *arg)
{
    ttap__instant(&name);
    struct ttap__record *mine = ttap__tls, kept = *mine;
    uint64_t lost = arena->lost_norecord;
    memset(mine, 0, sizeof *mine);
    for (int i = 0; i < EVERYTHING; i++)
        everything[i]();
    CU_ASSERT_EQUAL(arena->lost_norecord, lost); /* the parent's capture is not ours to write */
    CU_ASSERT_PTR_EQUAL(ttap__tls, mine);
    *mine = kept;
    return arg;
}

static void a_clones_child_is_silent_and_counts_nothing(void)
{
    afresh(4, true);
    in_a_thread(wiped_like_a_clones_child);
    close_gate();
    uint32_t ended = ttap__ended_slots_take();
    CU_ASSERT(ended != 0);
    if (ended)
        ttap__slot_release(ended - 1);
}

static void slots_of_a_process_that_is_no_more_end_and_others_do_not(void)
{
    afresh(2, true);
    say_instant();
    struct ttap__slot *slot = ttap__tls->slot;
    ttap__slots_end_of(slot->pid + 1);
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), 0);
    slot->stream[0].busy = slot->stream[1].busy = 1;
    ttap__slots_end_of(slot->pid);
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), ttap__tls->slot_index + 1);
    CU_ASSERT_EQUAL(slot->state, TTAP__SLOT_ENDED);
    CU_ASSERT(slot->stream[0].busy == 0 && slot->stream[1].busy == 0);
    ttap__slots_end_of(slot->pid); /* it has ended already */
    CU_ASSERT_EQUAL(ttap__ended_slots_take(), 0);
    slot->state = TTAP__SLOT_LIVE;
    close_gate();
}

/* More threads than there are places for the numbers of the tracer's own: those that are gone give theirs away. */
static void *is_the_tracers_twice(void *arg)
{
    ttap__thread_is_own();
    ttap__thread_is_own();
    CU_ASSERT_TRUE(ttap__tid_is_own(ttap__gettid()));
    return arg;
}

static void threads_of_the_tracer_are_known_however_many_there_were(void)
{
    CU_ASSERT_FALSE(ttap__tid_is_own(ttap__gettid()));
    for (int i = 0; i < 100; i++)
        in_a_thread(is_the_tracers_twice);
}

/* ---- Limits ---- */

static void a_kind_has_a_seconds_worth_of_tokens_and_then_one_an_interval(void)
{
    static struct ttap__limits limits = {
        .otherwise_ticks = 100, .second_ticks = 1000, .any = 1, .rules = 1, .rule = {{.kind = 5, .interval_ticks = 500}}};
    const uint64_t start = UINT64_C(1) << 40;
    afresh(2, true);
    ttap__limits_apply(&limits);
    arena->limit_due_ticks[4] = arena->limit_due_ticks[5] = 0;
    for (int i = 0; i < 10; i++)
        CU_ASSERT_TRUE(ttap__limit_allows(4, start));
    CU_ASSERT_FALSE(ttap__limit_allows(4, start));
    CU_ASSERT_FALSE(ttap__limit_allows(4, start + 99));
    CU_ASSERT_TRUE(ttap__limit_allows(4, start + 100));
    CU_ASSERT_FALSE(ttap__limit_allows(4, start + 100));
    CU_ASSERT(ttap__limit_allows(5, start) && ttap__limit_allows(5, start) && !ttap__limit_allows(5, start)); /* a rule of its own */
    arena->limit_due_ticks[4] = start + 2000;                                                                 /* as far ahead as it can be */
    CU_ASSERT_FALSE(ttap__limit_allows(4, start));
    arena->limit_due_ticks[4] = start + 2001; /* of another clock: from now on */
    CU_ASSERT_TRUE(ttap__limit_allows(4, start));
    CU_ASSERT_EQUAL(arena->limit_due_ticks[4], start + 100);
    limits.any = 0;
    ttap__limits_apply(&limits);
    for (int i = 0; i < 30; i++)
        CU_ASSERT_TRUE(ttap__limit_allows(4, start));
    close_gate();
}

/* ---- Names ---- */

static void names_differ_in_length_also_where_their_hashes_agree(void)
{
    uint32_t id = ttap_name("a name to collide");
    struct ttap__name_entry *entry = &arena->name[id];
    CU_ASSERT_EQUAL(ttap_name("a name to collide"), id);
    entry->len_plus_1--; /* now a shorter name of the same hash */
    uint32_t other = ttap_name("a name to collide");
    CU_ASSERT_NOT_EQUAL(other, id);
    entry->len_plus_1++;
    arena->name_text[arena->name[other].offset] ^= 1; /* and of the same length, with another text */
    entry->hash++;                                    /* the first one is another name by now */
    CU_ASSERT(ttap_name("a name to collide") > other);
    entry->hash--;
    CU_ASSERT_EQUAL(ttap_name("a name to collide"), id);
}

static void a_name_is_cut_at_its_longest(void)
{
    char text[TTAP_NAME_BYTES_MAX + 2];
    memset(text, 'l', sizeof text);
    text[sizeof text - 1] = 0;
    uint32_t id = ttap_name(text);
    CU_ASSERT_EQUAL(arena->name[id].len_plus_1, TTAP_NAME_BYTES_MAX + 1);
    CU_ASSERT_EQUAL(ttap__name_intern(text, TTAP_NAME_BYTES_MAX + 1), id);
    CU_ASSERT_EQUAL(ttap__name_intern(text, TTAP_NAME_BYTES_MAX), id);
    CU_ASSERT_NOT_EQUAL(ttap__name_intern(text, TTAP_NAME_BYTES_MAX - 1), id);
    CU_ASSERT_EQUAL(ttap__name_intern(text, 0), 0);
    CU_ASSERT_EQUAL(ttap_name(""), 0);
    CU_ASSERT_EQUAL(ttap_name(NULL), 0);
}

static void text_of_names_is_used_to_its_last_byte(void)
{
    uint32_t used = arena->name_text_used;
    uint64_t full = arena->names_full;
    arena->name_text_used = TTAP__NAME_TEXT_BYTES - 4;
    CU_ASSERT_EQUAL(ttap_name("five!"), TTAP_NAMES_MAX + 1);
    CU_ASSERT_EQUAL(arena->names_full, full + 1);
    uint32_t id = ttap_name("four");
    CU_ASSERT(id && id <= TTAP_NAMES_MAX);
    CU_ASSERT_EQUAL(memcmp(arena->name_text + TTAP__NAME_TEXT_BYTES - 4, "four", 4), 0);
    CU_ASSERT_EQUAL(arena->name_text_used, TTAP__NAME_TEXT_BYTES);
    CU_ASSERT_EQUAL(ttap_name("1"), TTAP_NAMES_MAX + 1);
    arena->name_text_used = used;
}

static void no_number_is_given_beyond_the_last(void)
{
    uint32_t made = arena->names_made, used = arena->name_text_used;
    arena->names_made = TTAP_NAMES_MAX;
    CU_ASSERT_EQUAL(ttap_name("one too many"), TTAP_NAMES_MAX + 1);
    CU_ASSERT(arena->names_made == TTAP_NAMES_MAX && arena->name_text_used == used);
    arena->names_made = made;
}

static void a_table_without_a_gap_ends_the_search(void)
{
    uint32_t *kept = malloc(sizeof arena->name_hash), id = ttap_name("somewhere");
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    memcpy(kept, arena->name_hash, sizeof arena->name_hash);
    for (uint32_t i = 0; i < TTAP__NAME_HASH_SLOTS; i++)
        arena->name_hash[i] = id;
    CU_ASSERT_EQUAL(ttap_name("nowhere"), TTAP_NAMES_MAX + 1);
    memset(arena->name_hash, 0, sizeof arena->name_hash);
    for (uint32_t i = 0; i < TTAP__NAME_HASH_SLOTS; i++)
        arena->name_hash[i] = i == 7 ? kept[0] : id;
    memcpy(arena->name_hash, kept, sizeof arena->name_hash);
    free(kept);
}

/* ---- Children ---- */

static int forgets_the_parents(void)
{
    uint32_t half = ttap_name("half written");
    arena->name[half].len_plus_1 = 0;
    uint32_t whole = ttap_name("whole");
    arena->names_made = TTAP_NAMES_MAX + 3; /* as races can leave it */
    arena->full_chunks = arena->ended_slots = 5;
    arena->lost_norecord = 5;
    ttap__emit_after_fork();
    if (ttap_gate || ttap__tls != &ttap__no_record)
        return 1;
    if (arena->name[half].len_plus_1 != 1 || arena->name[whole].len_plus_1 != 6)
        return 2;
    if (arena->chunks_made || arena->chunks_limit || arena->free_slots || arena->free_chunks)
        return 3;
    return arena->full_chunks || arena->ended_slots || arena->lost_norecord || arena->slot[0].uid ? 4 : 0;
}

static void a_child_forgets_what_is_its_parents(void)
{
    afresh(2, true);
    say_instant();
    in_a_child(forgets_the_parents);
    close_gate();
}

/* A handler inside an event forked: the child's copy of that event goes on in its old slot, so that no thread of the child's may have it. */
static int busy_level;

static int takes_another_slot(void)
{
    uint32_t parents = ttap__tls->slot_index;
    ttap__emit_after_fork();
    if (arena->slot[parents].stream[0].busy || arena->slot[parents].stream[1].busy)
        return 1;
    if (!ttap__attach())
        return 2;
    return busy_level < 0 ? ttap__tls->slot_index != 0 : ttap__tls->slot_index != parents + 1;
}

static void a_child_inside_its_parents_event_takes_another_slot(void)
{
    afresh(2, true);
    say_instant();
    for (busy_level = -1; busy_level < 2; busy_level++) {
        if (busy_level >= 0)
            stream(busy_level)->busy = INSIDE;
        in_a_child(takes_another_slot);
        stream(0)->busy = stream(1)->busy = 0;
    }
    close_gate();
}

/* In a process that has not annotated yet and can have no memory: everything does nothing, and task handles are whole. */
static int without_memory(void)
{
    struct rlimit limit;
    struct ttap_task mine = {0}, before = {.id = 5};
    char text[TTAP_TRACEPARENT_BYTES];
    getrlimit(RLIMIT_AS, &limit);
    rlim_t kept = limit.rlim_cur;
    limit.rlim_cur = 1u << 20; /* less than is mapped already: nothing can be added */
    setrlimit(RLIMIT_AS, &limit);
    ttap__emit_after_fork();                       /* with nothing to forget */
    open_gate(TTAP_GROUPS_ALL & ~TTAP_GROUP_TASK); /* tasks ask for who keeps them, which needs the arena */
    for (int i = 0; i < EVERYTHING; i++)
        everything[i]();
    ttap_gate = 0;
    ttap_task_begin(&mine, &name, NULL);
    ttap_task_enter(&mine, &before);
    ttap_task_traceparent(&mine, text);
    ttap_thread_name("none");
    int wrong = !(mine.id >> 63) || before.id || ttap__arena_here() || ttap__records_map() || ttap__arena();
    wrong |= strlen(text) != 55 || ttap_name("no table") != 0;
    limit.rlim_cur = kept;
    setrlimit(RLIMIT_AS, &limit);
    return wrong || !ttap__records_map() || !ttap__records_map() || !ttap__arena() || !ttap_name("a table");
}

static void without_memory_everything_does_nothing(void)
{
    NOT_UNDER_ASAN("its shadow is beyond any limit");
    NOT_UNDER_TSAN("its shadow is beyond any limit");
    in_a_child(without_memory);
}

/* A capture's group bits without tasks: entering one is not told, but known. */
static void entering_is_known_where_it_is_not_recorded(void)
{
    struct ttap_task before, now;
    afresh(2, true);
    open_gate(TTAP_GROUP_LOG);
    say_instant();
    uint64_t published = stream(0)->published;
    ttap_task_enter(&task, &before);
    CU_ASSERT_EQUAL(stream(0)->published, published);
    ttap_task_current(&now);
    CU_ASSERT_EQUAL(now.id, 77);
    keep_below(1000);
    ttap_task_enter(&task, &now); /* not kept: muted, though entering is not recorded */
    say_instant();
    CU_ASSERT_EQUAL(stream(0)->published, published);
    ttap_task_leave(&before);
    say_instant();
    CU_ASSERT(TTAP__PUB_USED(stream(0)->published) > TTAP__PUB_USED(published));
    close_gate();
}

static CU_TestInfo statements[] = {
    {"without memory everything does nothing", without_memory_everything_does_nothing}, /* first: nothing is mapped yet */
    {"without a chunk each event is lost and counted", without_a_chunk_each_event_is_lost_and_counted},
    {"with a chunk each event takes its cells", with_a_chunk_each_event_takes_its_cells},
    {"what is not asked for leaves no trace", what_is_not_asked_for_leaves_no_trace},
    {"within a task that nobody keeps each event is counted as such", within_a_task_that_nobody_keeps_each_event_is_counted_as_such},
    {"entering is known where it is not recorded", entering_is_known_where_it_is_not_recorded},
    {"an event that just fits is the chunk's last", an_event_that_just_fits_is_the_chunks_last},
    {"a handler inside an event has a stream of its own", a_handler_inside_an_event_has_a_stream_of_its_own},
    {"a handler inside a handler loses and counts", a_handler_inside_a_handler_loses_and_counts},
    {"what a deeper handler lost is marked in its place", what_a_deeper_handler_lost_is_marked_in_its_place},
    {"a mark finds room in the next chunk, or waits", a_mark_finds_room_in_the_next_chunk_or_waits},
    {"a handler in a task that nobody keeps counts in its own stream", a_handler_in_a_task_that_nobody_keeps_counts_in_its_own_stream},
    {"a region says its depth, and its end finds it", a_region_says_its_depth_and_its_end_finds_it},
    {"an object has its number, and text cut at the longest", an_object_has_its_number_and_text_cut_at_the_longest},
    {"a fact has its three words", a_fact_has_its_three_words},
    {"what is said of a task carries what sampling asks for", what_is_said_of_a_task_carries_what_sampling_asks_for},
    {"a handler's first event says which task it is in", a_handlers_first_event_says_which_task_it_is_in},
    {"queues are numbered once each", queues_are_numbered_once_each},
    {"a task of no parent is a root, and a remote one may have half an id", a_task_of_no_parent_is_a_root_and_a_remote_one_may_have_half_an_id},
    {"text about a task takes the cells it needs", text_about_a_task_takes_the_cells_it_needs},
    {"between tasks that nobody keeps nothing is told", between_tasks_that_nobody_keeps_nothing_is_told},
    {"regions that ended untold are made up for, once", regions_that_ended_untold_are_made_up_for_once},
    {"a task that nobody keeps is not told by what is said of another", a_task_that_nobody_keeps_is_not_told_by_what_is_said_of_another},
    {"regions that ended untold are made up for when the task is kept after all",
     regions_that_ended_untold_are_made_up_for_when_the_task_is_kept_after_all},
    {"only rules in force count", only_rules_in_force_count},
    {"a thread's tasks are numbered, and its name is in its slot", a_threads_tasks_are_numbered_and_its_name_is_in_its_slot},
    {"a chunk says how things stand when it is taken", a_chunk_says_how_things_stand_when_it_is_taken},
    {"behind a gap a chunk tells the least depth in between", behind_a_gap_a_chunk_tells_the_least_depth_in_between},
    {"full chunks come oldest first, and free ones newest first", full_chunks_come_oldest_first_and_free_ones_newest_first},
    {"a chunk that is nobody's any more is not handed over", a_chunk_that_is_nobodys_any_more_is_not_handed_over},
    {"no two heads of a list are alike", no_two_heads_of_a_list_are_alike},
    {"a chunk left from the session before is given back", a_chunk_left_from_the_session_before_is_given_back},
    {"regions are forgotten when they were not followed", regions_are_forgotten_when_they_were_not_followed},
    {"a drainer that has not ticked for its lease closes the gate", a_drainer_that_has_not_ticked_for_its_lease_closes_the_gate},
    {"a thread without a slot loses and counts, and its tasks are whole", a_thread_without_a_slot_loses_and_counts_and_its_tasks_are_whole},
    {"a thread that ends goes to the drainer if it left anything", a_thread_that_ends_goes_to_the_drainer_if_it_left_anything},
    {"a record that is not ours is left alone", a_record_that_is_not_ours_is_left_alone},
    {"a clone's child is silent and counts nothing", a_clones_child_is_silent_and_counts_nothing},
    {"slots of a process that is no more end, and others do not", slots_of_a_process_that_is_no_more_end_and_others_do_not},
    {"threads of the tracer are known, however many there were", threads_of_the_tracer_are_known_however_many_there_were},
    {"a kind has a second's worth of tokens, and then one an interval", a_kind_has_a_seconds_worth_of_tokens_and_then_one_an_interval},
    {"names differ in length also where their hashes agree", names_differ_in_length_also_where_their_hashes_agree},
    {"a name is cut at its longest", a_name_is_cut_at_its_longest},
    {"text of names is used to its last byte", text_of_names_is_used_to_its_last_byte},
    {"no number is given beyond the last", no_number_is_given_beyond_the_last},
    {"a table without a gap ends the search", a_table_without_a_gap_ends_the_search},
    {"a child forgets what is its parent's", a_child_forgets_what_is_its_parents},
    {"a child inside its parent's event takes another slot", a_child_inside_its_parents_event_takes_another_slot},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    volatile char room[1 << 16]; /* more than a signal's frame */
    room[0] = 0;
    up_the_stack = (uintptr_t)&room[sizeof room - 1];
    return run_statements(statements);
}
