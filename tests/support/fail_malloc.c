#include "fail_malloc.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);

static _Thread_local long left = -1; /* allocations until the failing one; -1: none fails */
static _Thread_local bool delivered;

static bool fails(void)
{
    if (left < 0 || left-- > 0)
        return false;
    delivered = true;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return fails() ? NULL : __real_realloc(block, bytes);
}

void fail_malloc_after(long allowed)
{
    delivered = false;
    left = allowed;
}

bool fail_malloc_off(void)
{
    left = -1;
    return delivered;
}

long fail_malloc_each(void (*attempt)(void *arg), void *arg)
{
    for (long allowed = 0;; allowed++) {
        fail_malloc_after(allowed);
        attempt(arg);
        if (!fail_malloc_off())
            return allowed;
    }
}
