/* locks.c - mutexes, read-write locks, spin locks, conditions, semaphores, barriers, joins.
 *
 * Only contended locks are timed. A lock that looks free is taken by the real call at once; while somebody records, by a trylock, whose refusal is
 * what "contended" means. The holder is what glibc notes in the mutex. Robust, error-checking and priority-inheriting mutexes return what they
 * would: whatever trylock says besides "taken" and "busy" is said again by the real call.
 */
#include "hooks.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

/* glibc 2.3.2 changed the layout of conditions; an unversioned lookup could find the older ones. */
#if defined(__x86_64__)
#define COND_VERSION "GLIBC_2.3.2"
#else
#define COND_VERSION NULL
#endif

REAL_FUNCTION(int, pthread_mutex_lock, (pthread_mutex_t *))
REAL_FUNCTION(int, pthread_mutex_trylock, (pthread_mutex_t *))
REAL_FUNCTION(int, pthread_mutex_timedlock, (pthread_mutex_t *, const struct timespec *))
REAL_FUNCTION(int, pthread_mutex_clocklock, (pthread_mutex_t *, clockid_t, const struct timespec *))
REAL_FUNCTION(int, pthread_mutex_unlock, (pthread_mutex_t *))
REAL_FUNCTION(int, pthread_rwlock_rdlock, (pthread_rwlock_t *))
REAL_FUNCTION(int, pthread_rwlock_tryrdlock, (pthread_rwlock_t *))
REAL_FUNCTION(int, pthread_rwlock_wrlock, (pthread_rwlock_t *))
REAL_FUNCTION(int, pthread_rwlock_trywrlock, (pthread_rwlock_t *))
REAL_FUNCTION(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t *, const struct timespec *))
REAL_FUNCTION(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t *, const struct timespec *))
REAL_FUNCTION(int, pthread_rwlock_unlock, (pthread_rwlock_t *))
REAL_FUNCTION(int, pthread_spin_lock, (pthread_spinlock_t *))
REAL_FUNCTION(int, pthread_spin_trylock, (pthread_spinlock_t *))
REAL_VERSION(int, pthread_cond_wait, (pthread_cond_t *, pthread_mutex_t *), COND_VERSION)
REAL_VERSION(int, pthread_cond_timedwait, (pthread_cond_t *, pthread_mutex_t *, const struct timespec *), COND_VERSION)
REAL_FUNCTION(int, pthread_cond_clockwait, (pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *))
REAL_VERSION(int, pthread_cond_signal, (pthread_cond_t *), COND_VERSION)
REAL_VERSION(int, pthread_cond_broadcast, (pthread_cond_t *), COND_VERSION)
REAL_FUNCTION(int, sem_wait, (sem_t *))
REAL_FUNCTION(int, sem_trywait, (sem_t *))
REAL_FUNCTION(int, sem_timedwait, (sem_t *, const struct timespec *))
REAL_FUNCTION(int, sem_clockwait, (sem_t *, clockid_t, const struct timespec *))
REAL_FUNCTION(int, sem_post, (sem_t *))
REAL_FUNCTION(int, pthread_barrier_wait, (pthread_barrier_t *))
REAL_FUNCTION(int, pthread_join, (pthread_t, void **))
REAL_FUNCTION(int, pthread_timedjoin_np, (pthread_t, void **, const struct timespec *))
REAL_FUNCTION(int, pthread_clockjoin_np, (pthread_t, void **, clockid_t, const struct timespec *))

#define RECORDED() TTAP_ENABLED(TTAP_GROUP_LOCK)
#define BEGIN(op, object)                                                                                                                            \
    struct ttap__call call;                                                                                                                          \
    ttap__call_begin(&call, op, (uintptr_t)(object), TTAP_GROUP_LOCK)

/* ---- Mutexes ---- */

static inline bool looks_free(const pthread_mutex_t *mutex)
{
    return ttap__load(&mutex->__data.__lock) == 0;
}

static inline uint32_t holder_of(const pthread_mutex_t *mutex)
{
    return (uint32_t)ttap__load(&mutex->__data.__owner);
}

/* Taken without waiting? Then nothing happened that is worth telling. */
static inline bool taken_at_once(pthread_mutex_t *mutex, int *result)
{
    if (!RECORDED())
        return false;
    *result = real_pthread_mutex_trylock()(mutex);
    return *result == 0 || *result == EOWNERDEAD;
}

static __attribute__((noinline)) int lock_contended(pthread_mutex_t *mutex)
{
    uint32_t holder = holder_of(mutex);
    BEGIN(OP_MUTEX_LOCK, mutex);
    int result = real_pthread_mutex_lock()(mutex);
    ttap__lock_call_end(&call, holder);
    return result;
}

static __attribute__((noinline)) int lock_unusual(pthread_mutex_t *mutex)
{
    int result;
    if (!RECORDED() && looks_free(mutex))
        return real_pthread_mutex_lock()(mutex);
    if (taken_at_once(mutex, &result))
        return result;
    return lock_contended(mutex);
}

/* Uncontended locks are the most frequent calls there are: whether the real one has been found is not asked each time. */
static int first_lock(pthread_mutex_t *mutex);
static int first_unlock(pthread_mutex_t *mutex);
static pthread_mutex_lock_function lock_now = first_lock;
static pthread_mutex_unlock_function unlock_now = first_unlock;

static int first_lock(pthread_mutex_t *mutex)
{
    ttap__store(&lock_now, real_pthread_mutex_lock());
    return lock_now(mutex);
}

static int first_unlock(pthread_mutex_t *mutex)
{
    ttap__store(&unlock_now, real_pthread_mutex_unlock());
    return unlock_now(mutex);
}

HOOK int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (ttap__unlikely(ttap__wanted(TTAP_GROUP_LOCK) | (uint32_t)ttap__load(&mutex->__data.__lock))) /* recorded, or not free: one branch */
        return lock_unusual(mutex);
    return ttap__load(&lock_now)(mutex);
}

HOOK int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    int result;
    if (taken_at_once(mutex, &result))
        return result;
    uint32_t holder = holder_of(mutex);
    BEGIN(OP_MUTEX_LOCK, mutex);
    result = real_pthread_mutex_timedlock()(mutex, until);
    ttap__lock_call_end(&call, holder);
    return result;
}

HOOK int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    uint32_t holder = holder_of(mutex);
    BEGIN(OP_MUTEX_LOCK, mutex);
    int result = real_pthread_mutex_clocklock()(mutex, clock, until);
    ttap__lock_call_end(&call, looks_free(mutex) ? 0 : holder);
    return result;
}

static __attribute__((noinline)) int unlock_unusual(pthread_mutex_t *mutex)
{
    bool waited_for = RECORDED() && ttap__load(&mutex->__data.__lock) > 1; /* 2: somebody sleeps, or is about to */
    int result = real_pthread_mutex_unlock()(mutex);
    if (ttap__unlikely(waited_for) && !result)
        ttap__wake_record(OP_MUTEX_UNLOCK, mutex);
    return result;
}

HOOK int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (ttap__unlikely(ttap__wanted(TTAP_GROUP_LOCK)))
        return unlock_unusual(mutex);
    return ttap__load(&unlock_now)(mutex);
}

/* ---- Read-write locks, spin locks ---- */

HOOK int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    int result = real_pthread_rwlock_tryrdlock()(lock);
    if (result == 0)
        return 0;
    BEGIN(OP_RWLOCK_READ, lock);
    result = real_pthread_rwlock_rdlock()(lock);
    ttap__lock_call_end(&call, (uint32_t)lock->__data.__cur_writer);
    return result;
}

HOOK int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    int result = real_pthread_rwlock_trywrlock()(lock);
    if (result == 0)
        return 0;
    uint32_t holder = (uint32_t)ttap__load(&lock->__data.__cur_writer);
    BEGIN(OP_RWLOCK_WRITE, lock);
    result = real_pthread_rwlock_wrlock()(lock);
    ttap__lock_call_end(&call, holder);
    return result;
}

HOOK int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    BEGIN(OP_RWLOCK_READ, lock);
    int result = real_pthread_rwlock_timedrdlock()(lock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    BEGIN(OP_RWLOCK_WRITE, lock);
    int result = real_pthread_rwlock_timedwrlock()(lock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int result = real_pthread_rwlock_unlock()(lock);
    if (ttap__unlikely(RECORDED()) && !result)
        ttap__wake_record(OP_RWLOCK_UNLOCK, lock);
    return result;
}

HOOK int pthread_spin_lock(pthread_spinlock_t *lock)
{
    if (ttap__likely(!RECORDED()))
        return real_pthread_spin_lock()(lock);
    int result = real_pthread_spin_trylock()(lock);
    if (result != EBUSY)
        return result;
    BEGIN(OP_SPIN_LOCK, lock);
    result = real_pthread_spin_lock()(lock);
    ttap__lock_call_end(&call, 0);
    return result;
}

/* ---- Conditions ---- */

HOOK int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    BEGIN(OP_COND_WAIT, cond);
    int result = real_pthread_cond_wait()(cond, mutex);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    BEGIN(OP_COND_WAIT, cond);
    int result = real_pthread_cond_timedwait()(cond, mutex, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    BEGIN(OP_COND_WAIT, cond);
    int result = real_pthread_cond_clockwait()(cond, mutex, clock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_signal(pthread_cond_t *cond)
{
    int result = real_pthread_cond_signal()(cond);
    if (ttap__unlikely(RECORDED()))
        ttap__wake_record(OP_COND_SIGNAL, cond);
    return result;
}

HOOK int pthread_cond_broadcast(pthread_cond_t *cond)
{
    int result = real_pthread_cond_broadcast()(cond);
    if (ttap__unlikely(RECORDED()))
        ttap__wake_record(OP_COND_BROADCAST, cond);
    return result;
}

/* ---- Semaphores, barriers, joins ---- */

HOOK int sem_wait(sem_t *sem)
{
    int saved_errno = errno;
    pthread_testcancel(); /* as the real one does, also when there is nothing to wait for */
    if (real_sem_trywait()(sem) == 0)
        return 0;
    errno = saved_errno;
    BEGIN(OP_SEM_WAIT, sem);
    int result = real_sem_wait()(sem);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    BEGIN(OP_SEM_WAIT, sem);
    int result = real_sem_timedwait()(sem, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    BEGIN(OP_SEM_WAIT, sem);
    int result = real_sem_clockwait()(sem, clock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int sem_post(sem_t *sem)
{
    int result = real_sem_post()(sem);
    if (ttap__unlikely(RECORDED()) && !result)
        ttap__wake_record(OP_SEM_POST, sem);
    return result;
}

HOOK int pthread_barrier_wait(pthread_barrier_t *barrier)
{
    BEGIN(OP_BARRIER_WAIT, barrier);
    int result = real_pthread_barrier_wait()(barrier);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_join(pthread_t thread, void **value)
{
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_join()(thread, value);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_timedjoin_np(pthread_t thread, void **value, const struct timespec *until)
{
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_timedjoin_np()(thread, value, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_clockjoin_np(pthread_t thread, void **value, clockid_t clock, const struct timespec *until)
{
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_clockjoin_np()(thread, value, clock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}
