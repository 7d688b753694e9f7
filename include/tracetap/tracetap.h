/* tracetap.h - record what your threads do, on demand.
 *
 * From simple to powerful:
 *   1. regions       TTAP_REGION("parse");              a stretch of one thread's time, closed at the end of the scope
 *   2. tasks         ttap_task_begin / _end             one request, however many threads work for it
 *   3. logs, counters, instants, queues, collectors     what else is worth a mark on the timeline
 *   4. captures      ttap_capture_fd, ttap_capture_start  switch recording on for a bounded time and get the bytes
 *
 * While nobody captures, an annotation is one load and one test of a word (regions, logs, counters, queues, GC), or a few
 * stores (tasks, which are kept so that a capture shows requests that began before it). While somebody does, an event is
 * 16 bytes in a buffer of the calling thread. The endpoint that serves captures over HTTP is in <tracetap/http.h>.
 *
 * What holds for every annotating call (everything up to "Captures" below):
 *   - never fails, never allocates from the heap, never takes a lock, never makes a blocking system call, keeps errno;
 *   - any thread may call it, also in a signal handler, before main, after fork and in thread-exit destructors. Exceptions
 *     say so: ttap_logf formats and is not signal-safe;
 *   - strings are copied during the call, at most once per place for names; nothing you pass needs to outlive it;
 *   - what cannot be recorded is counted and shown in the capture, never silently missing.
 *
 * Define TTAP_DISABLE before including this file and every annotation compiles to nothing.
 * Clean as C99 and C++11 and later. Two static copies of the library in one process are two tracers: link it shared.
 */
#ifndef TRACETAP_TRACETAP_H
#define TRACETAP_TRACETAP_H

#include <stddef.h>
#include <stdint.h>

#define TTAP_VERSION_MAJOR 0
#define TTAP_VERSION_MINOR 1
#define TTAP_VERSION_PATCH 0
#define TTAP_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define TTAP_API __attribute__((visibility("default")))
#define TTAP_PRINTF_(fmt, args) __attribute__((format(printf, fmt, args)))
#define TTAP_UNLIKELY_(x) __builtin_expect(!!(x), 0)
#else
#error "tracetap needs gcc or clang"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Groups -----------------------------------------------------------------------------------------------------
 * Event kinds come in groups; a capture names the groups it wants. The numbers are compiled into your program by the
 * inline functions below: they are ABI and never change. Bits 7 to 31 are for sources and hooks. */
#define TTAP_GROUP_TASK (UINT64_C(1) << 0)
#define TTAP_GROUP_REGION (UINT64_C(1) << 1)
#define TTAP_GROUP_LOG (UINT64_C(1) << 2)
#define TTAP_GROUP_COUNTER (UINT64_C(1) << 3)
#define TTAP_GROUP_QUEUE (UINT64_C(1) << 4)
#define TTAP_GROUP_GC (UINT64_C(1) << 5)
#define TTAP_GROUP_SCHED (UINT64_C(1) << 7)         /* when threads ran, could have run, and waited; nothing in your program records it */
#define TTAP_GROUP_LOCK (UINT64_C(1) << 8)          /* hooks: waits for locks, conditions, semaphores, barriers, joins; who ended them */
#define TTAP_GROUP_NET (UINT64_C(1) << 9)           /* hooks: calls on sockets, and waits for descriptors */
#define TTAP_GROUP_FILE (UINT64_C(1) << 10)         /* hooks: calls on files, pipes and other descriptors */
#define TTAP_GROUP_SLEEP (UINT64_C(1) << 11)        /* hooks: sleeps, waits for signals and for children */
#define TTAP_GROUP_SAMPLE (UINT64_C(1) << 12)       /* stacks: where threads spend their CPU time, and where they wait long; on request only */
#define TTAP_GROUP_ALLOC (UINT64_C(1) << 13)        /* memory: how large the process is; hooks: what each thread allocates */
#define TTAP_GROUP_ALLOC_SAMPLE (UINT64_C(1) << 14) /* hooks: stacks of allocations; on request only */
#define TTAP_GROUPS_ALL UINT64_C(0xffffffff)

/* The gate. Low half: the groups somebody listens to. High half: an epoch, for the library's own use.
 * Read it only through TTAP_ENABLED; never write it. Default visibility on purpose (see docs/design/emit.md): a program
 * linked -no-pie owns the only copy of this word, and the library must see the same one. */
extern TTAP_API uint64_t ttap_gate;

/** TTAP_ENABLED(groups) - true while a capture wants one of @groups. One relaxed load; signal-safe; <= 0.3 ns.
 *  For skipping work that only feeds annotations, such as formatting. */
#define TTAP_ENABLED(groups) TTAP_UNLIKELY_(__atomic_load_n(&ttap_gate, __ATOMIC_RELAXED) & (groups))

/* ---- Names ------------------------------------------------------------------------------------------------------
 * A name is copied and hashed the first time it is used (about 0.1 us) and is a number from then on. The usual form is one
 * static struct per place, which the macros make for you. At most 512 bytes are kept, and at most TTAP_NAMES_MAX distinct names
 * per process; later ones all read "(names full)" and are counted in the status. */
#define TTAP_NAMES_MAX 65536
#define TTAP_NAME_BYTES_MAX 512

/** A name and, once used, its number. Give it static storage; zero @id. */
struct ttap_name {
    const char *text;
    uint32_t id;
};
#define TTAP_NAME_INIT(text)                                                                                                                         \
    {                                                                                                                                                \
        text, 0                                                                                                                                      \
    }

/** ttap_name() - a name that is only known at run time.
 *  @text: any bytes up to the NUL; NULL counts as "".
 *  Returns the number to put into a struct ttap_name's @id (whose @text may then be NULL). About 40 ns for a known name,
 *  105 ns for a new one. For names of bounded variety: a name is kept until the process ends. */
TTAP_API uint32_t ttap_name(const char *text);

/* ---- Regions ---------------------------------------------------------------------------------------------------- */

/** TTAP_REGION(name) - the rest of this scope is a region called @name (a string literal).
 *  Leaving the scope in any way but longjmp closes it; the reader closes what longjmp skipped.
 *  Cost of the pair: <= 0.5 ns while off, about 20 ns while recording (`./dev bench emit`). */

/** TTAP_REGION_BEGIN(name), TTAP_REGION_END(name) - the same with both ends written out, for regions that do not follow
 *  scopes. Ends close the innermost open region of the thread; the name serves readers when the begin was not recorded. */

/** ttap_region_begin(), ttap_region_end() - the functions behind the macros, for your own name structs.
 *  Both ends must be on one thread. */

/* ---- Tasks ------------------------------------------------------------------------------------------------------
 * A task is one unit of work as your users see it: a request, a job, a query. It may move between threads: the struct is a
 * plain value, copy it along with the work. Whoever enters it on a thread makes it that thread's current task, and
 * everything recorded there belongs to it until it is left.
 *
 *      struct ttap_task t, before;
 *      ttap_task_begin(&t, &kind_checkout, NULL);       a root task
 *      ttap_task_enter(&t, &before);
 *      ... work, TTAP_REGION(...), hand a copy of t to other threads ...
 *      ttap_task_leave(&before);
 *      ttap_task_end(&t);                               from any thread
 *
 * Sampling keeps or drops a whole task tree: the decision is drawn once, at the root, and travels in the struct. */

/** A task. All of it is the library's; read @id if you like (never 0 for a begun task, unique within the process). */
struct ttap_task {
    uint64_t id;
    uint64_t parent;
    uint64_t start_ticks;
    uint64_t trace_id[2]; /* W3C trace id, most significant half first; {0,0} until asked for or received */
    uint32_t kind;
    uint32_t root_kind;
    uint32_t draw; /* sampling keeps the tree when this is below the rate, as a fraction of 2^32 */
    uint32_t flags;
};
#define TTAP_TASK_NONE                                                                                                                               \
    {                                                                                                                                                \
        0, 0, 0, {0, 0}, 0, 0, 0, 0                                                                                                                  \
    }

/* ---- Queues ----------------------------------------------------------------------------------------------------- */

/** A queue of yours, so that the capture can say who waited because it was full or empty. Zero @id; it is filled at first use. */
struct ttap_queue {
    const char *name;
    uint32_t name_id;
    uint32_t id;
};
#define TTAP_QUEUE_INIT(name)                                                                                                                        \
    {                                                                                                                                                \
        name, 0, 0                                                                                                                                   \
    }
enum ttap_queue_why { TTAP_QUEUE_FULL = 1, TTAP_QUEUE_EMPTY = 2 };

#ifndef TTAP_DISABLE

/* Out-of-line halves: call through the inline functions and macros below, which test the gate first. */
TTAP_API void ttap__region_begin(struct ttap_name *name);
TTAP_API void ttap__region_end(struct ttap_name *name);
TTAP_API void ttap__instant(struct ttap_name *name);
TTAP_API void ttap__log(struct ttap_name *category, const char *text, size_t len_bytes);
TTAP_API void ttap__counter(struct ttap_name *name, int64_t value);
TTAP_API void ttap__queue(struct ttap_queue *queue, unsigned op, uint64_t arg);
TTAP_API void ttap__gc(struct ttap_name *phase, int begin);
TTAP_API void ttap__task_end(const struct ttap_task *task);
TTAP_API void ttap__task_attr_int(const struct ttap_task *task, struct ttap_name *key, int64_t value);
TTAP_API void ttap__task_attr_str(const struct ttap_task *task, struct ttap_name *key, const char *text);

static inline void ttap_region_begin(struct ttap_name *name)
{
    if (TTAP_ENABLED(TTAP_GROUP_REGION))
        ttap__region_begin(name);
}

static inline void ttap_region_end(struct ttap_name *name)
{
    if (TTAP_ENABLED(TTAP_GROUP_REGION))
        ttap__region_end(name);
}

/** ttap_instant() - mark that something happened. Group log. */
static inline void ttap_instant(struct ttap_name *name)
{
    if (TTAP_ENABLED(TTAP_GROUP_LOG))
        ttap__instant(name);
}

/** ttap_log() - a line of text under @category.
 *  @text: @len_bytes bytes, copied; what exceeds TTAP_LOG_BYTES_MAX is cut. Need not be NUL-terminated. Signal-safe. */
#define TTAP_LOG_BYTES_MAX 512
static inline void ttap_log(struct ttap_name *category, const char *text, size_t len_bytes)
{
    if (TTAP_ENABLED(TTAP_GROUP_LOG))
        ttap__log(category, text, len_bytes);
}

/** ttap_logf() - ttap_log() with printf formatting into 512 bytes of stack. NOT signal-safe (vsnprintf is not).
 *  Nothing is formatted while nobody listens, but the arguments are evaluated. */
TTAP_API void ttap_logf(struct ttap_name *category, const char *format, ...) TTAP_PRINTF_(2, 3);

/** ttap_counter() - the counter @name is @value from now on (queue length, open connections, bytes in use). */
static inline void ttap_counter(struct ttap_name *name, int64_t value)
{
    if (TTAP_ENABLED(TTAP_GROUP_COUNTER))
        ttap__counter(name, value);
}

/** ttap_task_begin() - begin a task.
 *  @task:   filled completely, whether or not anybody listens.
 *  @kind:   what sort of work; sampling rates and latency histograms go by it.
 *  @parent: the task this one works for, or NULL for a root.
 *  Does not enter it. <= 15 ns for begin, enter, leave and end together while off. */
TTAP_API void ttap_task_begin(struct ttap_task *task, struct ttap_name *kind, const struct ttap_task *parent);

/** ttap_task_begin_remote() - begin a root task that continues a trace from another service.
 *  @traceparent: the W3C header's value (version 00 form); anything malformed, or NULL, begins an ordinary root.
 *  Returns 1 if the header was taken, 0 if not. Not for children: those inherit. */
TTAP_API int ttap_task_begin_remote(struct ttap_task *task, struct ttap_name *kind, const char *traceparent);

/** ttap_task_traceparent() - write the header to send along with a call made for @task.
 *  @out: receives 55 characters and a NUL. The sampled flag is set while a capture keeps this task.
 *  Gives the task a trace id if it has none yet; children begun before that call do not get it. */
#define TTAP_TRACEPARENT_BYTES 56
TTAP_API void ttap_task_traceparent(struct ttap_task *task, char out[TTAP_TRACEPARENT_BYTES]);

/** ttap_task_enter() - this thread works for @task from now on (NULL: for none).
 *  @before: if not NULL, receives the task that was current, for ttap_task_leave(). */
TTAP_API void ttap_task_enter(const struct ttap_task *task, struct ttap_task *before);

/** ttap_task_leave() - make @before, as filled by ttap_task_enter() on this thread, current again. */
TTAP_API void ttap_task_leave(const struct ttap_task *before);

/** ttap_task_current() - copy this thread's current task; its id is 0 if there is none. */
TTAP_API void ttap_task_current(struct ttap_task *out);

/** ttap_task_end() - the task is over. From any thread; does not leave it. Ending it twice shows two ends. */
static inline void ttap_task_end(const struct ttap_task *task)
{
    if (TTAP_ENABLED(TTAP_GROUP_TASK))
        ttap__task_end(task);
}

/** ttap_task_fail() - end the task as failed.
 *  @code: your error number. @text: why, NUL-terminated, cut at TTAP_LOG_BYTES_MAX; may be NULL. */
TTAP_API void ttap_task_fail(struct ttap_task *task, int64_t code, const char *text);

/** ttap_task_attr_int(), ttap_task_attr_str() - attach a value to a task. Text is cut at TTAP_LOG_BYTES_MAX; NULL is "". */
static inline void ttap_task_attr_int(const struct ttap_task *task, struct ttap_name *key, int64_t value)
{
    if (TTAP_ENABLED(TTAP_GROUP_TASK))
        ttap__task_attr_int(task, key, value);
}
static inline void ttap_task_attr_str(const struct ttap_task *task, struct ttap_name *key, const char *text)
{
    if (TTAP_ENABLED(TTAP_GROUP_TASK))
        ttap__task_attr_str(task, key, text);
}

/** ttap_thread_name() - name the calling thread in captures (cut at 63 bytes). Otherwise the kernel's name is shown. */
TTAP_API void ttap_thread_name(const char *name);

/** ttap_queue_enqueue(), ttap_queue_dequeue() - an item went in or out, and @depth items are now inside. */
static inline void ttap_queue_enqueue(struct ttap_queue *queue, uint64_t depth)
{
    if (TTAP_ENABLED(TTAP_GROUP_QUEUE))
        ttap__queue(queue, 0, depth);
}
static inline void ttap_queue_dequeue(struct ttap_queue *queue, uint64_t depth)
{
    if (TTAP_ENABLED(TTAP_GROUP_QUEUE))
        ttap__queue(queue, 1, depth);
}

/** ttap_queue_wait_begin(), ttap_queue_wait_end() - around the call that waits until @queue has room or an item. */
static inline void ttap_queue_wait_begin(struct ttap_queue *queue, enum ttap_queue_why why)
{
    if (TTAP_ENABLED(TTAP_GROUP_QUEUE))
        ttap__queue(queue, 2, (uint64_t)why);
}
static inline void ttap_queue_wait_end(struct ttap_queue *queue, enum ttap_queue_why why)
{
    if (TTAP_ENABLED(TTAP_GROUP_QUEUE))
        ttap__queue(queue, 3, (uint64_t)why);
}

/** ttap_gc_begin(), ttap_gc_end() - a phase of a garbage collector ("mark", "sweep", "pause", ...). Callable with the world
 *  stopped: no lock, no heap. */
static inline void ttap_gc_begin(struct ttap_name *phase)
{
    if (TTAP_ENABLED(TTAP_GROUP_GC))
        ttap__gc(phase, 1);
}
static inline void ttap_gc_end(struct ttap_name *phase)
{
    if (TTAP_ENABLED(TTAP_GROUP_GC))
        ttap__gc(phase, 0);
}

#else /* TTAP_DISABLE: the same calls, all empty; their arguments are still evaluated and type-checked */

static inline void ttap_region_begin(struct ttap_name *name)
{
    (void)name;
}
static inline void ttap_region_end(struct ttap_name *name)
{
    (void)name;
}
static inline void ttap_instant(struct ttap_name *name)
{
    (void)name;
}
static inline void ttap_log(struct ttap_name *category, const char *text, size_t len_bytes)
{
    (void)category;
    (void)text;
    (void)len_bytes;
}
TTAP_PRINTF_(2, 3) static inline void ttap_logf(struct ttap_name *category, const char *format, ...)
{
    (void)category;
    (void)format;
}
static inline void ttap_counter(struct ttap_name *name, int64_t value)
{
    (void)name;
    (void)value;
}
static inline void ttap_task_begin(struct ttap_task *task, struct ttap_name *kind, const struct ttap_task *parent)
{
    struct ttap_task none = TTAP_TASK_NONE;
    *task = none;
    (void)kind;
    (void)parent;
}
static inline int ttap_task_begin_remote(struct ttap_task *task, struct ttap_name *kind, const char *traceparent)
{
    (void)traceparent;
    ttap_task_begin(task, kind, NULL);
    return 0;
}
#define TTAP_TRACEPARENT_BYTES 56
static inline void ttap_task_traceparent(struct ttap_task *task, char out[TTAP_TRACEPARENT_BYTES])
{
    (void)task;
    out[0] = 0;
}
static inline void ttap_task_enter(const struct ttap_task *task, struct ttap_task *before)
{
    struct ttap_task none = TTAP_TASK_NONE;
    if (before)
        *before = none;
    (void)task;
}
static inline void ttap_task_leave(const struct ttap_task *before)
{
    (void)before;
}
static inline void ttap_task_current(struct ttap_task *out)
{
    struct ttap_task none = TTAP_TASK_NONE;
    *out = none;
}
static inline void ttap_task_end(const struct ttap_task *task)
{
    (void)task;
}
static inline void ttap_task_fail(struct ttap_task *task, int64_t code, const char *text)
{
    (void)task;
    (void)code;
    (void)text;
}
static inline void ttap_task_attr_int(const struct ttap_task *task, struct ttap_name *key, int64_t value)
{
    (void)task;
    (void)key;
    (void)value;
}
static inline void ttap_task_attr_str(const struct ttap_task *task, struct ttap_name *key, const char *text)
{
    (void)task;
    (void)key;
    (void)text;
}
static inline void ttap_thread_name(const char *name)
{
    (void)name;
}
static inline void ttap_queue_enqueue(struct ttap_queue *queue, uint64_t depth)
{
    (void)queue;
    (void)depth;
}
static inline void ttap_queue_dequeue(struct ttap_queue *queue, uint64_t depth)
{
    (void)queue;
    (void)depth;
}
static inline void ttap_queue_wait_begin(struct ttap_queue *queue, enum ttap_queue_why why)
{
    (void)queue;
    (void)why;
}
static inline void ttap_queue_wait_end(struct ttap_queue *queue, enum ttap_queue_why why)
{
    (void)queue;
    (void)why;
}
static inline void ttap_gc_begin(struct ttap_name *phase)
{
    (void)phase;
}
static inline void ttap_gc_end(struct ttap_name *phase)
{
    (void)phase;
}

#endif /* TTAP_DISABLE */

#ifdef __cplusplus
} /* extern "C" */
#endif

/* ---- Macros: the function of the same name, with one static name struct per place; @literal is a string literal - */
#define TTAP_CAT2_(a, b) a##b
#define TTAP_CAT_(a, b) TTAP_CAT2_(a, b)

#define TTAP_WITH_NAME_(literal, call)                                                                                                               \
    do {                                                                                                                                             \
        static struct ttap_name ttap_site_ = TTAP_NAME_INIT(literal);                                                                                \
        call;                                                                                                                                        \
    } while (0)

#define TTAP_REGION_BEGIN(literal) TTAP_WITH_NAME_(literal, ttap_region_begin(&ttap_site_))
#define TTAP_REGION_END(literal) TTAP_WITH_NAME_(literal, ttap_region_end(&ttap_site_))
#define TTAP_INSTANT(literal) TTAP_WITH_NAME_(literal, ttap_instant(&ttap_site_))
#define TTAP_COUNTER(literal, value) TTAP_WITH_NAME_(literal, ttap_counter(&ttap_site_, (value)))
#define TTAP_LOG(literal, text, len_bytes) TTAP_WITH_NAME_(literal, ttap_log(&ttap_site_, (text), (len_bytes)))
#define TTAP_TASK_BEGIN(task, literal, parent) TTAP_WITH_NAME_(literal, ttap_task_begin((task), &ttap_site_, (parent)))
#define TTAP_TASK_ATTR_INT(task, literal, value) TTAP_WITH_NAME_(literal, ttap_task_attr_int((task), &ttap_site_, (value)))
#define TTAP_TASK_ATTR_STR(task, literal, text) TTAP_WITH_NAME_(literal, ttap_task_attr_str((task), &ttap_site_, (text)))
#define TTAP_GC_BEGIN(literal) TTAP_WITH_NAME_(literal, ttap_gc_begin(&ttap_site_))
#define TTAP_GC_END(literal) TTAP_WITH_NAME_(literal, ttap_gc_end(&ttap_site_))

#ifdef __cplusplus
/* The scoped forms are classes, so that exceptions close them too. */
struct ttap_region_scope_ {
    struct ttap_name *name;
    explicit ttap_region_scope_(struct ttap_name *n) : name(n)
    {
        ttap_region_begin(n);
    }
    ~ttap_region_scope_()
    {
        ttap_region_end(name);
    }
};
struct ttap_task_scope_ {
    struct ttap_task before;
    explicit ttap_task_scope_(const struct ttap_task *t)
    {
        ttap_task_enter(t, &before);
    }
    ~ttap_task_scope_()
    {
        ttap_task_leave(&before);
    }
};
#define TTAP_REGION(literal)                                                                                                                         \
    static struct ttap_name TTAP_CAT_(ttap_site_, __LINE__) = TTAP_NAME_INIT(literal);                                                               \
    ttap_region_scope_ TTAP_CAT_(ttap_scope_, __LINE__)(&TTAP_CAT_(ttap_site_, __LINE__))
#define TTAP_TASK_SCOPE(task) ttap_task_scope_ TTAP_CAT_(ttap_scope_, __LINE__)(task)
#else
static inline void ttap_region_scope_end_(struct ttap_name **name)
{
    ttap_region_end(*name);
}
static inline struct ttap_name *ttap_region_scope_begin_(struct ttap_name *name)
{
    ttap_region_begin(name);
    return name;
}
static inline struct ttap_task ttap_task_scope_begin_(const struct ttap_task *task)
{
    struct ttap_task before;
    ttap_task_enter(task, &before);
    return before;
}
static inline void ttap_task_scope_end_(struct ttap_task *before)
{
    ttap_task_leave(before);
}
#define TTAP_REGION(literal)                                                                                                                         \
    static struct ttap_name TTAP_CAT_(ttap_site_, __LINE__) = TTAP_NAME_INIT(literal);                                                               \
    __extension__ struct ttap_name *TTAP_CAT_(ttap_scope_, __LINE__) __attribute__((cleanup(ttap_region_scope_end_), unused)) =                      \
        ttap_region_scope_begin_(&TTAP_CAT_(ttap_site_, __LINE__))
/** TTAP_TASK_SCOPE(task) - the rest of this scope works for @task. */
#define TTAP_TASK_SCOPE(task)                                                                                                                        \
    __extension__ struct ttap_task TTAP_CAT_(ttap_scope_, __LINE__) __attribute__((cleanup(ttap_task_scope_end_), unused)) =                         \
        ttap_task_scope_begin_(task)
#endif

/* ---- Captures ---------------------------------------------------------------------------------------------------
 * These start threads and use memory; they are not for signal handlers. Available with TTAP_DISABLE too, for what they are. */
#ifdef __cplusplus
extern "C" {
#endif

/** What to capture. Set with TTAP_CAPTURE_OPTS_INIT, then change fields; fields are only ever appended. */
struct ttap_capture_opts {
    size_t size;                 /* sizeof(struct ttap_capture_opts), set by the initialiser */
    uint64_t duration_ns;        /* window on the monotonic clock, 1 us to 10 min; 0: until ttap_capture_stop(). Default 1 s */
    uint64_t groups;             /* TTAP_GROUP_*; default all */
    uint64_t max_bytes;          /* end the window early once this many bytes were taken for delivery; 0 (default): no such limit */
    const char *sample;          /* which tasks to keep, as in ttap_sampling_set() without limits; NULL (default): the process-wide setting */
    uint32_t samples_hz;         /* stacks of running threads, 1 to 1000 in a second of CPU time, and of long waits; 0 (default): none */
    uint32_t long_wait_us;       /* with samples_hz: hooked calls that take as long are told with their stack, 1 to 1,000,000; 0 (default): 1,000 */
    uint32_t alloc_sample_bytes; /* stacks of allocations, one in so many bytes of each thread, 1,024 to 2^30; 0 (default): none. By hooks alone */
};
#define TTAP_CAPTURE_OPTS_INIT                                                                                                                       \
    {                                                                                                                                                \
        sizeof(struct ttap_capture_opts), UINT64_C(1000000000), TTAP_GROUPS_ALL, 0, NULL, 0, 0, 0                                                    \
    }

/** ttap_capture_fd() - record for opts->duration_ns and write the native format (docs/format.md) to @fd.
 *  @fd: any descriptor that write(2) takes; not closed. SIGPIPE and SIGXFSZ are not raised.
 *  Returns 0 when the whole capture with its trailer was written. Else a negative errno: -EINVAL an option is out of range
 *  (duration_ns must not be 0); -EBUSY too many captures; -ENOMEM, -EAGAIN no memory or thread to start with; or
 *  what write(2) failed with, and the file is then cut.
 *  Blocks for the window and the writing. */
TTAP_API int ttap_capture_fd(int fd, const struct ttap_capture_opts *opts);

/** Receives a capture piece by piece, on a thread of the library. Returns 0 to go on, anything else to give up. Pieces need
 *  not match blocks of the format. May block: what piles up beyond its queue is counted as lost, for this capture alone. */
typedef int (*ttap_write_fn)(void *arg, const void *bytes, size_t len_bytes);

struct ttap_capture;

/** ttap_capture_start() - begin a capture whose bytes go to @write(@arg, ...).
 *  @out: the capture, yours: end it with ttap_capture_stop(). Untouched on error.
 *  Returns 0, or a negative errno as ttap_capture_fd() does. */
TTAP_API int ttap_capture_start(const struct ttap_capture_opts *opts, ttap_write_fn write, void *arg, struct ttap_capture **out);

/** ttap_capture_stop() - end the window if it has not ended, deliver the rest and the trailer, free the capture.
 *  Returns 0, or what @write returned when it gave up, or -ENOMEM when there was no memory for the capture's end: it has no trailer.
 *  Blocks until @write has seen everything. In a forked child the parent's captures do not exist: -ECHILD at once. None of these calls
 *  is a cancellation point. */
TTAP_API int ttap_capture_stop(struct ttap_capture *capture);

/** ttap_sampling_set() - which tasks captures keep from now on, for the captures that do not say so themselves.
 *  @spec: a default rate and rates by kind of the root task: "0.01,checkout=1". Rates are decimal, 0 to 1. A kind without a
 *         rate has the default; no default means 1. What is recorded outside of any task is always kept.
 *         A rate may have a limit, "0.01/100,checkout=1/20": of each such kind no more than so many root tasks a second, 1 to 1000000, are
 *         kept by all captures together (a token bucket that holds a second's worth). It is decided where the root begins and holds
 *         for its whole tree; what goes beyond is counted with what sampling leaves out. Limits apply at once, also to running captures;
 *         tasks that begin while nobody listens take no token.
 *  Returns 0; with nothing changed -EINVAL, -ENOSPC for more than 64 kinds, -ENOMEM. Captures already running keep the rates they had. */
TTAP_API int ttap_sampling_set(const char *spec);

/** ttap_sampling_get() - the setting in force, in the form ttap_sampling_set() takes.
 *  Returns its length without the NUL, like snprintf(3), also when @size is too small. */
TTAP_API size_t ttap_sampling_get(char *out, size_t size);

/** What the tracer is doing. Fields are only ever appended. */
struct ttap_status {
    size_t size;       /* set by you to sizeof(struct ttap_status) */
    uint64_t groups;   /* groups recorded right now; 0: nobody listens */
    uint32_t captures; /* windows open or being delivered */
    uint32_t captures_max;
    uint32_t threads;          /* threads known */
    uint32_t names;            /* names known, of TTAP_NAMES_MAX */
    uint64_t names_full;       /* uses of a name that found the table full */
    uint64_t budget_bytes;     /* the most the tracer may use */
    uint64_t used_bytes;       /* what it uses */
    uint64_t chunks_live;      /* 8 KiB buffers with threads or waiting for the drainer */
    uint64_t events;           /* events drained since the library started */
    uint64_t lost;             /* events lost since then, for all reasons */
    uint64_t sampled_out;      /* events not recorded because no capture kept their task */
    uint64_t captures_started; /* since the library started */
    uint64_t drainer_cpu_ns;   /* CPU time of the drainer threads */
    uint64_t lease_expired;    /* times the gate closed itself because the drainer had stalled */
};

/** ttap_status_get() - fill *@status. Any thread; takes the control lock, a few microseconds. */
TTAP_API void ttap_status_get(struct ttap_status *status);

/** ttap_budget_set() - the most memory the tracer may use, 1 MiB to 16 GiB; default 64 MiB, or TRACETAP_BUDGET from the
 *  environment (bytes, or with K, M or G; what is none or out of range is as if not set). 0; -EINVAL out of range; -EBUSY while captures run. */
TTAP_API int ttap_budget_set(uint64_t bytes);

/** ttap_version() - the library's version, as "0.1.0". Compare with TTAP_VERSION_STRING, which is what you compiled against. */
TTAP_API const char *ttap_version(void);

#ifdef __cplusplus
}
#endif
#endif /* TRACETAP_TRACETAP_H */
