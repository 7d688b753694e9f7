/* test_begin.c - a thread is preempted between the gate that let its event in and publishing it, and comes back while a window begins.
 *
 *   emitter   0 | opens 1 ......................................... publishes 1, calls 2 | calls 3, 4
 *   windows     [ old one, over ]                    [ new one: its header is being made | open ]
 *
 * The drainer asks for the program's name while it makes a header: that is where it is made to wait for the emitter.
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "emit.h"
#include "recording.h"
#include "statements.h"

static struct ttap_name tile = {.text = "tile.0"};
static sem_t let_in, come_back, came_back, go_on;
static _Atomic bool wait_for_emitter;

ssize_t __real_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size)
{
    if (wait_for_emitter) {
        wait_for_emitter = false;
        sem_post(&come_back);
        sem_wait(&came_back);
    }
    return __real_readlink(path, out, size);
}

static void finish(struct ttap__emission *e, uint64_t gate, int64_t value)
{
    if ((gate >> TTAP__GATE_EPOCH_SHIFT) != e->s->epoch)
        ttap__refresh(e, gate);
    uint64_t *cell = ttap__emission_reserve(e, 2);
    CU_ASSERT_FATAL(cell != NULL);
    ttap__emission_write_head(cell, TTAP__COUNTER, ttap__emit_name(&tile));
    ttap__store(&cell[2], (uint64_t)value);
    ttap__store(&cell[3], 0);
    ttap__emission_publish(e, 2);
}

/* @is_first: 1 is the thread's first event in that session. */
static void *emit(void *is_first)
{
    struct ttap__emission e;
    if (!is_first)
        ttap_counter(&tile, 0);
    CU_ASSERT_FATAL(ttap__emission_stream(&e));
    __atomic_store_n(&e.shared->busy, ttap__stack_here(), __ATOMIC_SEQ_CST); /* the first half of ttap__emission_start() */
    uint64_t gate = __atomic_load_n(&ttap_gate, __ATOMIC_SEQ_CST);
    CU_ASSERT_FATAL(gate & TTAP_GROUP_COUNTER);
    sem_post(&let_in);
    sem_wait(&come_back);
    finish(&e, gate, 1);
    ttap_counter(&tile, 2);
    sem_post(&came_back);
    sem_wait(&go_on);
    ttap_counter(&tile, 3);
    ttap_counter(&tile, 4);
    return NULL;
}

static void start(struct recording *r, uint64_t groups)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    opts.groups = groups;
    CU_ASSERT_FATAL(recording_start(r, &opts) == 0);
}

/* What the new window has is 1, 2, 3, 4 or an end of that. */
static void look_at_new_window(bool is_first)
{
    struct recording old, new;
    pthread_t emitter;
    start(&old, TTAP_GROUP_COUNTER);
    CU_ASSERT_FATAL(pthread_create(&emitter, NULL, emit, is_first ? "" : NULL) == 0);
    sem_wait(&let_in);
    CU_ASSERT(recording_stop(&old));
    wait_for_emitter = true;
    start(&new, TTAP_GROUP_COUNTER);
    CU_ASSERT(!wait_for_emitter);
    sem_post(&go_on);
    pthread_join(emitter, NULL);
    CU_ASSERT(recording_stop(&new)); /* the validator finds no value missing that is not accounted for */
    unsigned count = recording_count(&new, TTAP__COUNTER, "tile.0");
    CU_ASSERT(count >= 2 && count <= 4);
    recording_free(&old);
    recording_free(&new);
}

static void an_event_of_the_session_before_leaves_no_hole(void)
{
    look_at_new_window(true);
}

static void an_event_of_the_same_session_that_another_window_let_in_leaves_no_hole(void)
{
    struct recording wants_no_counters;
    start(&wants_no_counters, TTAP_GROUP_LOG);
    look_at_new_window(false);
    look_at_new_window(true);
    CU_ASSERT(recording_stop(&wants_no_counters));
    recording_free(&wants_no_counters);
}

static CU_TestInfo statements[] = {
    {"an event of the session before leaves no hole", an_event_of_the_session_before_leaves_no_hole},
    {"an event of the same session that another window let in leaves no hole",
     an_event_of_the_same_session_that_another_window_let_in_leaves_no_hole},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    sem_init(&let_in, 0, 0);
    sem_init(&come_back, 0, 0);
    sem_init(&came_back, 0, 0);
    sem_init(&go_on, 0, 0);
    return run_statements(statements);
}
