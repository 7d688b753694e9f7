/* conversion.c - native bytes in, another format out, on a thread of its own.
 *
 *      live window or kept capture --> [worker: wire reader, model, writer] --> queue (256 KiB) --> the stream's read
 *                                        nice 10, all signals blocked              |
 *                                        `---- waits for room <--------------------'
 *
 * Two hold a conversion, its worker and its reader; the last one frees it. The worker never touches the reader's
 * stream after ttap__conversion_release(): a wake in progress is waited for.
 *
 * Converting inside the stream's read was tried on paper and dropped: one piece of input can make megabytes of
 * output (all open lanes are written at the end), which would have to be held somewhere, and the daemon thread
 * serves everybody else too.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "convert.h"
#include "handlers.h"

#define QUEUE_BYTES ((size_t)262144) /* 4 writes to a socket: the worker goes on while one is sent */
#define INPUT_BYTES ((size_t)16384)
/* Taken from the engine's queue in one go, under a lock that the drainer needs too: this thread is nice, and should be
 * preempted with that lock held as seldom as can be. */
enum {
    NICE = 10,          /* the traced service comes first, but not SCHED_IDLE: the capture shall end some day */
    IDLE_POLL_MS = 250, /* how late an abandoned worker notices that, when nothing else wakes it */
    STACK_BYTES = 524288
};

struct conversion {
    struct ttap_http *http;
    struct ttap__source source;
    bool owns_source; /* false only when the start failed */
    struct ttap__convert *convert;
    void (*wake)(void *arg);
    void *wake_arg;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned holders;
    bool abandoned;    /* nobody reads any more */
    bool done, failed; /* the worker is at its end */
    bool reader_waits; /* the reader saw an empty queue */
    bool waking;       /* the worker is inside wake() */
    size_t head, fill; /* of the queue, a ring */
    unsigned char queue[QUEUE_BYTES];
    unsigned char input[INPUT_BYTES]; /* the worker's own */
};

static unsigned running; /* in the process, atomically: the limit protects the service, not an endpoint */

int ttap__conversion_reserve(void)
{
    unsigned now = __atomic_load_n(&running, __ATOMIC_RELAXED);
    do {
        if (now >= TTAP__CONVERSIONS_MAX)
            return -EBUSY;
    } while (!__atomic_compare_exchange_n(&running, &now, now + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    if (ttap__budget_take(TTAP__CONVERSION_BYTES))
        return 0;
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
    return -ENOMEM;
}

void ttap__conversion_unreserve(void)
{
    ttap__budget_give(TTAP__CONVERSION_BYTES);
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
}

unsigned ttap__conversions_running(void)
{
    return __atomic_load_n(&running, __ATOMIC_RELAXED);
}

/* ---- The source ---- */

long ttap__source_read(struct ttap__source *source, void *buf, size_t max)
{
    if (source->kept) { /* its window is over: all its bytes are there */
        size_t taken = ttap__sub_peek(source->sub, source->offset, buf, max);
        source->offset += taken;
        return (long)taken;
    }
    size_t taken = ttap__sub_read(source->sub, buf, max);
    if (taken)
        return (long)taken;
    /* Asked after the read: once ended, there is nothing that could have been missed. */
    return ttap__sub_state(source->sub) == TTAP__SUB_ENDED ? TTAP__SOURCE_END : TTAP__SOURCE_WAIT;
}

void ttap__source_close(struct ttap__source *source)
{
    if (source->kept)
        ttap__kept_put(source->kept);
    else
        ttap__sub_close(source->sub);
}

/* ---- The queue ---- */

/* With the lock held; lets go of it around wake(). */
static void wake_reader(struct conversion *c)
{
    pthread_cond_broadcast(&c->changed);
    if (!c->reader_waits || c->abandoned)
        return;
    c->reader_waits = false;
    c->waking = true;
    pthread_mutex_unlock(&c->lock);
    c->wake(c->wake_arg);
    pthread_mutex_lock(&c->lock);
    c->waking = false;
    pthread_cond_broadcast(&c->changed);
}

static size_t put_some(struct conversion *c, const unsigned char *bytes, size_t len)
{
    size_t tail = (c->head + c->fill) % QUEUE_BYTES;
    size_t room = QUEUE_BYTES - c->fill;
    size_t straight = QUEUE_BYTES - tail;
    size_t take = len < room ? len : room;
    take = take < straight ? take : straight;
    memcpy(c->queue + tail, bytes, take);
    c->fill += take;
    return take;
}

/* The converter's output. Blocks the worker until there is room. */
static int put(void *arg, const void *bytes, size_t len)
{
    struct conversion *c = arg;
    const unsigned char *next = bytes;
    pthread_mutex_lock(&c->lock);
    while (len && !c->abandoned) {
        size_t taken = put_some(c, next, len);
        next += taken;
        len -= taken;
        if (taken)
            wake_reader(c);
        else
            pthread_cond_wait(&c->changed, &c->lock);
    }
    int result = c->abandoned ? -ECANCELED : 0;
    pthread_mutex_unlock(&c->lock);
    return result;
}

static size_t get_some(struct conversion *c, unsigned char *out, size_t max)
{
    size_t straight = QUEUE_BYTES - c->head;
    size_t take = max < c->fill ? max : c->fill;
    take = take < straight ? take : straight;
    memcpy(out, c->queue + c->head, take);
    c->head = (c->head + take) % QUEUE_BYTES;
    c->fill -= take;
    return take;
}

static struct timespec after_ms(unsigned ms)
{
    uint64_t then = ttap__clock_ns(CLOCK_MONOTONIC) + ms * UINT64_C(1000000);
    return (struct timespec){(time_t)(then / TTAP__NS_PER_S), (long)(then % TTAP__NS_PER_S)};
}

/* With the lock held. */
static void wait_for_output(struct conversion *c, unsigned wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    while (wait_ms && !c->fill && !c->done)
        if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0)
            return;
}

long ttap__conversion_read(struct conversion *c, void *buf, size_t max, unsigned wait_ms)
{
    pthread_mutex_lock(&c->lock);
    wait_for_output(c, wait_ms);
    long result = (long)get_some(c, buf, max);
    if (result)
        pthread_cond_broadcast(&c->changed);
    else if (c->done)
        result = c->failed ? TTAP__STREAM_ERROR : TTAP__STREAM_END;
    else
        c->reader_waits = true; /* and result is TTAP__STREAM_WAIT */
    pthread_mutex_unlock(&c->lock);
    return result;
}
_Static_assert(TTAP__STREAM_WAIT == 0, "nothing read is the same as wait");

/* ---- Life ---- */

static void http_worker_ended(struct ttap_http *http)
{
    pthread_mutex_lock(&http->lock);
    http->workers--;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

static void drop(struct conversion *c)
{
    pthread_mutex_lock(&c->lock);
    bool last = --c->holders == 0;
    pthread_mutex_unlock(&c->lock);
    if (!last)
        return;
    if (c->owns_source) /* not by the worker at its end: the reader's side may still stop the window */
        ttap__source_close(&c->source);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void ttap__conversion_release(struct conversion *c)
{
    pthread_mutex_lock(&c->lock);
    c->abandoned = true;
    pthread_cond_broadcast(&c->changed);
    while (c->waking)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
    drop(c);
}

static bool is_abandoned(struct conversion *c)
{
    pthread_mutex_lock(&c->lock);
    bool abandoned = c->abandoned;
    pthread_mutex_unlock(&c->lock);
    return abandoned;
}

/* Feeds until the source ends, the capture proves damaged, or nobody wants it any more. Damage still closes the
 * document. */
static int feed_all(struct conversion *c)
{
    int error = 0;
    while (!error && !is_abandoned(c)) {
        long got = ttap__source_read(&c->source, c->input, INPUT_BYTES);
        if (got == TTAP__SOURCE_END)
            break;
        if (got == TTAP__SOURCE_WAIT)
            ttap__sub_wait(c->source.sub, IDLE_POLL_MS);
        else
            error = ttap__convert_feed(c->convert, c->input, (size_t)got);
    }
    return error == -EBADMSG ? 0 : error;
}

static void *work(void *arg)
{
    struct conversion *c = arg;
    struct ttap_http *http = c->http;
    ttap__thread_is_own();
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    int error = feed_all(c);
    if (!error && !is_abandoned(c))
        error = ttap__convert_finish(c->convert);
    ttap__convert_free(c->convert);
    ttap__conversion_unreserve();

    pthread_mutex_lock(&c->lock);
    c->done = true;
    c->failed = error != 0;
    wake_reader(c);
    pthread_mutex_unlock(&c->lock);
    drop(c);
    http_worker_ended(http);
    return NULL;
}

/* Signals stay with the service's own threads. */
static int start_thread(struct conversion *c)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    int error = pthread_attr_init(&attr);
    if (error)
        return -error;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attr, work, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -error;
}

static struct conversion *make(struct ttap_http *http, const struct ttap__source *source, const char *format)
{
    struct conversion *c = calloc(1, sizeof *c);
    pthread_condattr_t monotonic;
    if (!c)
        return NULL;
    c->convert = ttap__convert_new(format, put, c);
    if (!c->convert) {
        free(c);
        return NULL;
    }
    c->http = http;
    c->source = *source;
    c->owns_source = true;
    c->holders = 2;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return c;
}

int ttap__conversion_start(struct ttap_http *http, const struct ttap__source *source, const char *format, void (*wake)(void *arg), void *arg,
                           struct conversion **out)
{
    struct conversion *c = make(http, source, format);
    if (!c)
        return -ENOMEM;
    c->wake = wake;
    c->wake_arg = arg;
    pthread_mutex_lock(&http->lock);
    http->workers++;
    pthread_mutex_unlock(&http->lock);
    int error = start_thread(c);
    if (!error) {
        *out = c;
        return 0;
    }
    http_worker_ended(http);
    ttap__convert_free(c->convert);
    c->owns_source = false;
    c->holders = 1;
    drop(c);
    return error;
}
