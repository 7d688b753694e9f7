/* stress_windows.c - ten thousand windows of 5 ms, four at a time, over 16 emitters: each exact, and hardly one without events. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "recording.h"
#include "stress.h"

enum { EMITTERS = 16, TOGGLERS = 4, WINDOWS = 10000 };

static int stop;
static uint64_t deadline_ns;
static unsigned begun, exact, wrong, with_events;

static void *emit(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        TTAP_REGION("emit");
        TTAP_COUNTER("emit", 1);
        stress_nap_us(300);
    }
    return arg;
}

static void *toggle(void *arg)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 0;
    while (__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED) < WINDOWS && stress_now_ns() < deadline_ns) {
        struct recording r;
        if (recording_start(&r, &opts)) {
            __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
            break;
        }
        stress_nap_us(5000);
        __atomic_fetch_add(recording_stop(&r) ? &exact : &wrong, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&with_events, r.events_count != 0, __ATOMIC_RELAXED);
        recording_free(&r);
    }
    return arg;
}

int main(void)
{
    pthread_t emitters[EMITTERS], togglers[TOGGLERS];
    deadline_ns = stress_deadline_ns(30);
    for (int i = 0; i < EMITTERS; i++)
        pthread_create(&emitters[i], NULL, emit, NULL);
    for (int i = 0; i < TOGGLERS; i++)
        pthread_create(&togglers[i], NULL, toggle, NULL);
    for (int i = 0; i < TOGGLERS; i++)
        pthread_join(togglers[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < EMITTERS; i++)
        pthread_join(emitters[i], NULL);
    printf("%u windows, %u exact, %u wrong, %.2f %% with events\n", exact + wrong, exact, wrong, 100.0 * with_events / (exact + wrong + !exact));
    return exact && !wrong && with_events * 100ull >= 99ull * exact ? 0 : 1;
}
