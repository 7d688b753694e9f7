/* init.c - what runs when the library is loaded: the thread-exit key. Nothing else happens until somebody annotates or captures. */
#include "init.h"

#include <pthread.h>

/* Keys below this have their value in the thread descriptor itself; setting a later one may call malloc (glibc). */
#define KEYS_WITHOUT_MALLOC 32

int ttap__hooks_linked;
uint32_t ttap__forks;

static pthread_key_t exit_key;
static int exit_key_usable;

__attribute__((constructor(101))) static void make_exit_key(void)
{
    if (pthread_key_create(&exit_key, ttap__thread_exit))
        return;
    __atomic_store_n(&exit_key_usable, exit_key < KEYS_WITHOUT_MALLOC, __ATOMIC_RELEASE);
}

void ttap__exit_hook_arm(struct ttap__record *record)
{
    if (__atomic_load_n(&exit_key_usable, __ATOMIC_ACQUIRE))
        pthread_setspecific(exit_key, record);
}
