/* shim.h - included before anything else into the engine's own sources (trace/emit, trace/capture, trace/wire), which are compiled
 * a second time for the simulation. No line of them is changed; what they call is.
 *
 *   every __atomic_* access        a point at which the scheduler may preempt, interrupt or freeze the thread
 *   clocks, sleeping, threads,     those of world.h
 *     locks, conditions, memory,
 *     descriptors, system calls
 *   limits.h                       small chunks, queues and tables, so that what is rare in production happens in every run
 *
 * Points are in the order of the program: weak memory is not simulated (docs/design/simulation.md).
 */
#ifndef TTAP_SIMULATION_SHIM_H
#define TTAP_SIMULATION_SHIM_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if !defined(__x86_64__)
#error "the simulation replaces the time stamp counter of x86-64"
#endif
#include <cpuid.h>

#include "world.h"

/* ---- Limits ---- */
#include "limits.h"
#include "tracetap/tracetap.h"
#ifndef SIM_LIMITS_OF_PRODUCTION
#undef TTAP__CHUNK_BYTES
#define TTAP__CHUNK_BYTES 1024u /* 56 cells: the largest event takes 36 */
#undef TTAP__BUDGET_MIN_BYTES
#define TTAP__BUDGET_MIN_BYTES (16ull << 10) /* 5 chunks */
#undef TTAP__THREADS_MAX
#define TTAP__THREADS_MAX 10u
#undef TTAP__SEGMENT_BYTES
#define TTAP__SEGMENT_BYTES WORLD_SEGMENT_BYTES
#undef TTAP__QUEUE_RESERVE_BYTES
#define TTAP__QUEUE_RESERVE_BYTES 8192u
#undef TTAP__KEPT_MAX
#define TTAP__KEPT_MAX 5u
#undef TTAP_NAMES_MAX
#define TTAP_NAMES_MAX 400
#undef TTAP__NAME_HASH_SLOTS
#define TTAP__NAME_HASH_SLOTS 1024u
#undef TTAP__NAME_TEXT_BYTES
#define TTAP__NAME_TEXT_BYTES (16u << 10)
#endif

/* ---- Points. A macro is not expanded within itself, so these still end in the builtins. ---- */
#define __atomic_load_n(p, order) (world_point(), __atomic_load_n(p, order))
#define __atomic_store_n(p, value, order)                                                                                                            \
    __extension__({                                                                                                                                  \
        __typeof__(*(p)) stored_ = (value);                                                                                                          \
        world_point();                                                                                                                               \
        __atomic_store_n(p, stored_, order);                                                                                                         \
    })
#define __atomic_compare_exchange_n(...) (world_point(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) (world_point(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) (world_point(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_add_fetch(...) (world_point(), __atomic_add_fetch(__VA_ARGS__))

/* ---- Time ---- */
uint64_t sim_counter(void);
int sim_cpuid(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d);
int sim_clock_gettime(clockid_t clock, struct timespec *out);
int sim_nanosleep(const struct timespec *length, struct timespec *left);
int sim_getcpuclockid(pthread_t thread, clockid_t *clock);
#define __builtin_ia32_rdtsc() sim_counter()
#define __get_cpuid(leaf, a, b, c, d) sim_cpuid(leaf, a, b, c, d)
#define clock_gettime(clock, out) sim_clock_gettime(clock, out)
#define nanosleep(length, left) sim_nanosleep(length, left)
#define pthread_getcpuclockid(thread, clock) sim_getcpuclockid(thread, clock)

/* ---- Threads ---- */
int sim_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg);
int sim_join(pthread_t thread, void **result);
int sim_key_create(pthread_key_t *key, void (*destroy)(void *));
int sim_setspecific(pthread_key_t key, const void *value);
int sim_sigmask(int how, const sigset_t *set, sigset_t *before);
int sim_once(pthread_once_t *once, void (*call)(void));
#define pthread_create(thread, attr, main, arg) sim_create(thread, attr, main, arg)
#define pthread_join(thread, result) sim_join(thread, result)
#define pthread_key_create(key, destroy) sim_key_create(key, destroy)
#define pthread_setspecific(key, value) sim_setspecific(key, value)
#define pthread_sigmask(how, set, before) sim_sigmask(how, set, before)
#define pthread_once(once, call) sim_once(once, call)
#define pthread_atfork(prepare, parent, child) ((void)(child)) /* nobody forks here */
#define prctl(...) ((void)0)

/* ---- Locks ---- */
int sim_mutex_init(pthread_mutex_t *mutex);
int sim_mutex_lock(pthread_mutex_t *mutex);
int sim_mutex_unlock(pthread_mutex_t *mutex);
int sim_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int sim_cond_wake(pthread_cond_t *cond, bool all);
#define pthread_mutex_init(mutex, attr) sim_mutex_init(mutex)
#define pthread_mutex_destroy(mutex) ((void)(mutex))
#define pthread_mutex_lock(mutex) sim_mutex_lock(mutex)
#define pthread_mutex_unlock(mutex) sim_mutex_unlock(mutex)
#define pthread_cond_init(cond, attr) ((void)(cond), (void)(attr))
#define pthread_cond_destroy(cond) ((void)(cond))
#define pthread_cond_wait(cond, mutex) sim_cond_wait(cond, mutex, NULL)
#define pthread_cond_timedwait(cond, mutex, until) sim_cond_wait(cond, mutex, until)
#define pthread_cond_signal(cond) sim_cond_wake(cond, false)
#define pthread_cond_broadcast(cond) sim_cond_wake(cond, true)

/* ---- Memory ---- */
void *sim_realloc(void *old, size_t bytes);
void *sim_calloc(size_t count, size_t bytes);
void sim_free(void *memory);
#define malloc(bytes) sim_realloc(NULL, bytes)
#define realloc(old, bytes) sim_realloc(old, bytes)
#define calloc(count, bytes) sim_calloc(count, bytes)
#define free(memory) sim_free(memory)

/* ---- Descriptors ---- */
int sim_open(const char *path);
ssize_t sim_read(int fd, void *out, size_t max);
ssize_t sim_write(int fd, const void *bytes, size_t len);
int sim_close(int fd);
int sim_poll(struct pollfd *fd);
ssize_t sim_readlink(char *out, size_t size);
#define open(path, flags) sim_open(path)
#define read(fd, out, max) sim_read(fd, out, max)
#define close(fd) sim_close(fd)
#define poll(fds, count, timeout) sim_poll(fds)
#define readlink(path, out, size) sim_readlink(out, size)
/* api.c also has a callback of this name. */
#define write(to, bytes, len) _Generic((to), int : sim_write, default : write)(to, bytes, len)

/* ---- The process ---- */
#define getpid() 4711
#define sysconf(name) 8L
#define secure_getenv(name) ((const char *)NULL)

/* ---- trace/emit/sys.h: the same functions, answered here ---- */
#define TTAP_EMIT_SYS_H
long ttap__syscall6(long number, long a, long b, long c, long d, long e, long f);
void *ttap__map(size_t bytes);
void ttap__unmap(void *memory, size_t bytes);
long ttap__advise(void *memory, size_t bytes, int advice);
int ttap__gettid(void);
int ttap__getpid(void);

#endif
