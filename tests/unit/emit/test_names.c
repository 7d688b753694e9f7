/* test_names.c - text to number. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "recording.h"
#include "signal_storm.h"
#include "statements.h"

enum { THREADS = 8, NAMES = 5000 };

static uint32_t ids[THREADS][NAMES];
static uint32_t handler_ids[NAMES];
static uint32_t handler_at, handler_wrong;
static pthread_barrier_t start_line;

static void name_of_number(char out[32], unsigned number)
{
    snprintf(out, 32, "shared name %u", number);
}

/* Also from handlers: each looks up some of the same names, in another order. */
static void intern_in_handler(int signo)
{
    (void)signo;
    unsigned number = __atomic_add_fetch(&handler_at, 7919, __ATOMIC_RELAXED) % NAMES;
    char text[32] = "shared name ";
    char digits[8];
    int n = 0;
    unsigned left = number;
    do
        digits[n++] = (char)('0' + left % 10);
    while (left /= 10);
    for (int i = 0; i < n; i++)
        text[12 + i] = digits[n - 1 - i];
    uint32_t id = ttap_name(text), none = 0;
    if (!__atomic_compare_exchange_n(&handler_ids[number], &none, id, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) && none != id)
        __atomic_fetch_add(&handler_wrong, 1, __ATOMIC_RELAXED);
}

static void *intern_all(void *arg)
{
    uint32_t *mine = arg;
    struct signal_storm storm;
    int stormy = !signal_storm_start(&storm, SIGUSR1, 2500); /* 8 threads: 20 kHz together */
    pthread_barrier_wait(&start_line);
    for (unsigned i = 0; i < NAMES; i++) {
        char text[32];
        name_of_number(text, i);
        mine[i] = ttap_name(text);
    }
    if (stormy)
        signal_storm_stop(&storm);
    return NULL;
}

static void the_same_text_has_the_same_number_on_eight_threads_under_signals(void)
{
    pthread_t threads[THREADS];
    unsigned wrong = 0, twice = 0;
    signal_storm_handle(SIGUSR1, intern_in_handler);
    pthread_barrier_init(&start_line, NULL, THREADS);
    for (unsigned t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, intern_all, ids[t]);
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (unsigned i = 0; i < NAMES; i++) {
        for (unsigned t = 1; t < THREADS; t++)
            wrong += ids[t][i] != ids[0][i];
        wrong += handler_ids[i] && handler_ids[i] != ids[0][i];
        wrong += ids[0][i] == 0 || ids[0][i] > TTAP_NAMES_MAX;
    }
    for (unsigned i = 0; i < NAMES; i++)
        for (unsigned k = i + 1; k < NAMES; k++)
            twice += ids[0][i] == ids[0][k];
    CU_ASSERT(wrong == 0);
    CU_ASSERT(twice == 0);
    CU_ASSERT(handler_wrong == 0);
    CU_ASSERT(handler_at != 0);
}

static void a_name_is_cut_at_512_bytes(void)
{
    char text[700];
    memset(text, 'n', sizeof(text));
    text[699] = 0;
    uint32_t longest = ttap_name(text);
    text[600] = 'x'; /* behind the cut: the same name */
    CU_ASSERT(ttap_name(text) == longest);
    text[511] = 'x'; /* the last byte that counts */
    CU_ASSERT(ttap_name(text) != longest);
    text[511] = 'n';
    text[512] = 0;
    CU_ASSERT(ttap_name(text) == longest);
    text[511] = 0;
    CU_ASSERT(ttap_name(text) != longest);
}

static void null_and_the_empty_text_are_number_0(void)
{
    CU_ASSERT(ttap_name(NULL) == 0);
    CU_ASSERT(ttap_name("") == 0);
}

static void names_made_while_off_and_while_recording_arrive_as_they_are(void)
{
    static const char odd[] = "\xff\x01<b>\"\\ \xe2\x82";
    struct ttap_name early = {NULL, ttap_name("made while off")}, late = {odd, 0}, none = {NULL, 0};
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    ttap_instant(&early);
    ttap_instant(&late);
    ttap_instant(&none);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "made while off") == 1);
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, odd) == 1);
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "") == 1);
    CU_ASSERT(late.id != 0 && early.id != 0);
    recording_free(&r);
}

static void a_name_may_vanish_after_its_first_use(void)
{
    char *text = strdup("text on the heap");
    struct ttap_name name = {text, 0};
    struct recording r;
    CU_ASSERT_FATAL(recording_start(&r, NULL) == 0);
    ttap_instant(&name);
    memset(text, '?', strlen(text));
    free(text);
    ttap_instant(&name);
    CU_ASSERT(recording_stop(&r));
    CU_ASSERT(recording_count(&r, TTAP__INSTANT, "text on the heap") == 2);
    recording_free(&r);
}

static CU_TestInfo statements[] = {
    {"the same text has the same number on eight threads under signals", the_same_text_has_the_same_number_on_eight_threads_under_signals},
    {"a name is cut at 512 bytes", a_name_is_cut_at_512_bytes},
    {"NULL and the empty text are number 0", null_and_the_empty_text_are_number_0},
    {"names made while off and while recording arrive as they are", names_made_while_off_and_while_recording_arrive_as_they_are},
    {"a name may vanish after its first use", a_name_may_vanish_after_its_first_use},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
