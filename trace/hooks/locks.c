/* locks.c - mutexes, read-write locks, spin locks, conditions, semaphores, barriers, joins.
 *
 * Only contended locks are timed. A lock that looks free is taken by the real call at once; while somebody records, by a trylock, whose refusal is
 * what "contended" means. The holder is what glibc notes in the mutex. Robust, error-checking and priority-inheriting mutexes return what they
 * would: whatever trylock says besides "taken" and "busy" is said again by the real call.
 *
 * What ends somebody's wait is told before the real call does it. So the last that is told of an object before a wait for it ends has ended it; told
 * behind the call it may come a time slice late, when others have had the lock. Who is last at a barrier learns it there, and tells it inside its own wait.
 */
#include "hooks.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <time.h>

#include "sys.h"

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

/* A trylock that finds one not recoverable keeps it (seen: glibc 2.36), so that the next lock never returns: these are not tried. */
static inline bool is_robust(const pthread_mutex_t *mutex)
{
    enum { ROBUST = 16 }; /* in glibc's kinds */
    return mutex->__data.__kind & ROBUST;
}

/* Taken without waiting? Then nothing happened that is worth telling. */
static inline bool taken_at_once(pthread_mutex_t *mutex, int *result)
{
    if (!RECORDED() || is_robust(mutex))
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
    if (looks_free(mutex) && (!RECORDED() || is_robust(mutex)))
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
    if (is_robust(mutex) && looks_free(mutex))
        return real_pthread_mutex_timedlock()(mutex, until);
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

/* The calling thread is about to let go of it. Not one that it does not hold, nor the inner ones of several times. */
static inline void tell_let_go(const pthread_mutex_t *mutex)
{
    unsigned word = (unsigned)ttap__load(&mutex->__data.__lock);
    if (word != 2 && !(word & FUTEX_WAITERS)) /* somebody sleeps, or is about to: the one, or the other beside the owner's id */
        return;
    const struct ttap__slot *slot = ttap__tls->slot ? ttap__tls->slot : ttap__call_slot();
    if (slot && holder_of(mutex) == (uint32_t)slot->tid && mutex->__data.__count <= 1)
        ttap__wake_record(OP_MUTEX_UNLOCK, mutex);
}

static __attribute__((noinline)) int unlock_unusual(pthread_mutex_t *mutex)
{
    if (RECORDED())
        tell_let_go(mutex);
    return real_pthread_mutex_unlock()(mutex);
}

HOOK int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (ttap__unlikely(ttap__wanted(TTAP_GROUP_LOCK)))
        return unlock_unusual(mutex);
    return ttap__load(&unlock_now)(mutex);
}

/* ---- Read-write locks, spin locks ---- */

static inline uint32_t writer_of(const pthread_rwlock_t *lock)
{
    return (uint32_t)ttap__load(&lock->__data.__cur_writer);
}

HOOK int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    int result = real_pthread_rwlock_tryrdlock()(lock);
    if (result == 0)
        return 0;
    uint32_t holder = writer_of(lock);
    BEGIN(OP_RWLOCK_READ, lock);
    result = real_pthread_rwlock_rdlock()(lock);
    ttap__lock_call_end(&call, holder);
    return result;
}

HOOK int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    int result = real_pthread_rwlock_trywrlock()(lock);
    if (result == 0)
        return 0;
    uint32_t holder = writer_of(lock);
    BEGIN(OP_RWLOCK_WRITE, lock);
    result = real_pthread_rwlock_wrlock()(lock);
    ttap__lock_call_end(&call, holder);
    return result;
}

HOOK int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    uint32_t holder = writer_of(lock);
    BEGIN(OP_RWLOCK_READ, lock);
    int result = real_pthread_rwlock_timedrdlock()(lock, until);
    ttap__lock_call_end(&call, holder);
    return result;
}

HOOK int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    uint32_t holder = writer_of(lock);
    BEGIN(OP_RWLOCK_WRITE, lock);
    int result = real_pthread_rwlock_timedwrlock()(lock, until);
    ttap__lock_call_end(&call, holder);
    return result;
}

/* In glibc's word of readers: a writer has the lock, or waits until those that read let it in. Their number is above it. */
enum { RWLOCK_WRITER = 2, RWLOCK_READER_SHIFT = 3 };

/* A writer, with others behind it; or a reader, with a writer behind it. */
static inline bool is_waited_for(const pthread_rwlock_t *lock)
{
    unsigned readers = ttap__load(&lock->__data.__readers);
    return readers & RWLOCK_WRITER && (readers >> RWLOCK_READER_SHIFT || ttap__load(&lock->__data.__writers));
}

HOOK int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    if (ttap__unlikely(RECORDED()) && is_waited_for(lock))
        ttap__wake_record(OP_RWLOCK_UNLOCK, lock);
    return real_pthread_rwlock_unlock()(lock);
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
    if (ttap__unlikely(RECORDED()))
        tell_let_go(mutex);
    int result = real_pthread_cond_wait()(cond, mutex);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    BEGIN(OP_COND_WAIT, cond);
    if (ttap__unlikely(RECORDED()))
        tell_let_go(mutex);
    int result = real_pthread_cond_timedwait()(cond, mutex, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    BEGIN(OP_COND_WAIT, cond);
    if (ttap__unlikely(RECORDED()))
        tell_let_go(mutex);
    int result = real_pthread_cond_clockwait()(cond, mutex, clock, until);
    ttap__lock_call_end(&call, 0);
    return result;
}

HOOK int pthread_cond_signal(pthread_cond_t *cond)
{
    if (ttap__unlikely(RECORDED()))
        ttap__wake_record(OP_COND_SIGNAL, cond);
    return real_pthread_cond_signal()(cond);
}

HOOK int pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (ttap__unlikely(RECORDED()))
        ttap__wake_record(OP_COND_BROADCAST, cond);
    return real_pthread_cond_broadcast()(cond);
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
    if (ttap__unlikely(RECORDED()))
        ttap__wake_record(OP_SEM_POST, sem);
    return real_sem_post()(sem);
}

HOOK int pthread_barrier_wait(pthread_barrier_t *barrier)
{
    BEGIN(OP_BARRIER_WAIT, barrier);
    int result = real_pthread_barrier_wait()(barrier);
    if (ttap__unlikely(RECORDED()) && result == PTHREAD_BARRIER_SERIAL_THREAD) /* which with glibc is the last one to come */
        ttap__wake_record(OP_BARRIER_WAIT, barrier);
    ttap__lock_call_end(&call, 0);
    return result;
}

/* Where glibc keeps a thread's kernel id, in what a pthread_t points to: the kernel clears it when the thread ends, and so knows the place. 0: it does not. */
static size_t tid_offset;

__attribute__((constructor(102))) static void find_tid_offset(void)
{
    enum { THREAD_BYTES = 1536 }; /* less than glibc keeps of any thread */
    uintptr_t self = (uintptr_t)pthread_self(), place = 0;
    if (ttap__syscall6(SYS_prctl, PR_GET_TID_ADDRESS, (long)&place, 0, 0, 0, 0) == 0 && place > self && place - self < THREAD_BYTES &&
        ttap__load((const int *)place) == ttap__gettid())
        tid_offset = place - self;
}

/* Of a thread that may be joined; 0: it has ended. The real call looks at the same place. */
static uint32_t id_of(pthread_t thread)
{
    return tid_offset ? ttap__load((const uint32_t *)((uintptr_t)thread + tid_offset)) : 0;
}

HOOK int pthread_join(pthread_t thread, void **value)
{
    uint32_t joined = id_of(thread);
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_join()(thread, value);
    ttap__lock_call_end(&call, joined);
    return result;
}

HOOK int pthread_timedjoin_np(pthread_t thread, void **value, const struct timespec *until)
{
    uint32_t joined = id_of(thread);
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_timedjoin_np()(thread, value, until);
    ttap__lock_call_end(&call, joined);
    return result;
}

HOOK int pthread_clockjoin_np(pthread_t thread, void **value, clockid_t clock, const struct timespec *until)
{
    uint32_t joined = id_of(thread);
    BEGIN(OP_JOIN, thread);
    int result = real_pthread_clockjoin_np()(thread, value, clock, until);
    ttap__lock_call_end(&call, joined);
    return result;
}
