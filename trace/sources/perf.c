/* perf.c - see perf.h. Facts and figures: docs/design/states.md. */
#include "perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "clerk.h"
#include "proc.h"
#include "source.h"
#include "traced.h"
#include "sys.h"

#define CPUS_MAX 256u
/* The fastest switching seen is 400,000 a second on a CPU: 800,000 records of 32 bytes, 128 KiB in a tick of 5 ms. So the largest ring is
 * enough when the drainer, which comes when a quarter is full, looks 10 ms late; the smallest holds 20,000 switches a second at that. */
#define RING_BYTES_MAX (512u << 10)
#define RING_BYTES_MIN (16u << 10)
#define RINGS_SHARE 32u     /* of the budget: 2 MiB of 64 */
#define SAMPLE_ID_BYTES 24u /* pid, tid; time; cpu: behind each record that is not a sample */
#define RECORD_BYTES_MAX 512u

struct ring {
    struct perf_event_mmap_page *page;
    uint64_t tail;
    bool parsed; /* next is what lies at tail */
    struct ttap__perf_record next;
    uint32_t next_bytes;
    _Alignas(8) unsigned char bounce[RECORD_BYTES_MAX]; /* a record that goes over the end */
};

static struct {
    unsigned cpus, threads;
    int fd[CPUS_MAX]; /* of the rings, in the clerk's table */
    uint32_t cpu[CPUS_MAX];
    struct ring *ring;
    uint32_t ring_bytes;
    uint64_t charged_bytes;
    unsigned wakee_offset;  /* in a sched_waking record */
    bool no_inherit_thread; /* the kernel is older than 5.13 */
    bool wide;              /* all that runs on these CPUs, whoever it is */
} perf;

uint64_t ttap__perf_ring_bytes(void)
{
    return perf.charged_bytes;
}

unsigned ttap__perf_threads(void)
{
    return perf.threads;
}

unsigned ttap__perf_cpus(void)
{
    return perf.cpus;
}

/* ---- Opening ---- */

static struct perf_event_attr attr_of_ring(void)
{
    return (struct perf_event_attr){
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(struct perf_event_attr),
        .config = PERF_COUNT_SW_DUMMY,
        .exclude_kernel = 1, /* else it takes a privilege at paranoid 2; switches are recorded all the same */
        .exclude_hv = 1,
        .sample_id_all = 1,
        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .watermark = 1,
        .wakeup_watermark = 1u << 30, /* nobody waits for it */
    };
}

static struct perf_event_attr attr_of_switches(void)
{
    struct perf_event_attr attr = attr_of_ring();
    attr.context_switch = 1;
    attr.task = 1;
    attr.comm = 1;
    return attr;
}

static struct perf_event_attr attr_of_thread(void)
{
    struct perf_event_attr attr = attr_of_switches();
    attr.inherit = 1;
    attr.inherit_thread = !perf.no_inherit_thread && !ttap__traced_are_many(); /* threads, and children only where they are traced too */
    return attr;
}

static long event_open(struct perf_event_attr *attr, int tid, uint32_t cpu)
{
    return ttap__syscall6(SYS_perf_event_open, (long)attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC, 0);
}

static int try_open(struct perf_event_attr *attr, int tid, uint32_t cpu)
{
    attr->disabled = 1;
    long fd = event_open(attr, tid, cpu);
    if (fd < 0)
        return (int)fd;
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
    return 0;
}

/* May tasks of anybody be recorded? */
static bool others_are_allowed(void)
{
    struct perf_event_attr attr = attr_of_ring();
    return try_open(&attr, -1, perf.cpus ? perf.cpu[0] : 0) == 0;
}

/* "0-3,8": the CPUs that are online. */
static unsigned list_cpus(void)
{
    char text[512];
    unsigned count = 0;
    if (!ttap__proc_line("/sys/devices/system/cpu/online", text, sizeof(text))) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        while (count < CPUS_MAX && count < (unsigned)(online > 0 ? online : 1)) {
            perf.cpu[count] = count;
            count++;
        }
        return count;
    }
    for (char *at = text; *at >= '0' && *at <= '9';) {
        unsigned long first = strtoul(at, &at, 10), last = *at == '-' ? strtoul(at + 1, &at, 10) : first;
        for (; first <= last && count < CPUS_MAX; first++)
            perf.cpu[count++] = (uint32_t)first;
        at += *at == ',';
    }
    return count;
}

static size_t map_bytes(void)
{
    return (size_t)perf.ring_bytes + (size_t)sysconf(_SC_PAGESIZE);
}

static void unmap_rings(void)
{
    for (unsigned i = 0; i < perf.cpus; i++)
        if (perf.ring[i].page)
            ttap__unmap(perf.ring[i].page, map_bytes());
    memset(perf.ring, 0, perf.cpus * sizeof(*perf.ring));
}

static long open_ring(unsigned at)
{
    struct perf_event_attr attr = perf.wide ? attr_of_switches() : attr_of_ring();
    long fd = event_open(&attr, perf.wide ? -1 : 0, perf.cpu[at]);
    if (fd < 0)
        return fd;
    long page = ttap__syscall6(SYS_mmap, 0, (long)map_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page < 0 && page > -4096) {
        ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
        return page == -EPERM || page == -EAGAIN ? -ENOMEM : page; /* EPERM: beyond the locked memory allowed */
    }
    perf.fd[at] = (int)fd;
    perf.ring[at].page = (struct perf_event_mmap_page *)page;
    return 0;
}

static long open_rings_of(uint32_t bytes)
{
    perf.ring_bytes = bytes;
    for (unsigned i = 0; i < perf.cpus; i++) {
        long error = open_ring(i);
        if (error) {
            unmap_rings();
            ttap__clerk_close_all();
            return error;
        }
    }
    return 0;
}

/* The largest rings that budget and locked memory allow. */
static long open_rings(void)
{
    for (uint32_t bytes = RING_BYTES_MAX; bytes >= RING_BYTES_MIN; bytes /= 2) {
        uint64_t charge = (uint64_t)perf.cpus * bytes;
        if ((charge > ttap__budget_bytes() / RINGS_SHARE && bytes > RING_BYTES_MIN) || !ttap__budget_take(charge))
            continue;
        long error = open_rings_of(bytes);
        if (!error) {
            perf.charged_bytes = charge;
            return 0;
        }
        ttap__budget_give(charge);
        if (error != -ENOMEM)
            return error;
    }
    return -ENOMEM;
}

static long open_into_ring(struct perf_event_attr *attr, int tid, unsigned at)
{
    long fd = event_open(attr, tid, perf.cpu[at]);
    if (fd < 0)
        return fd;
    return ttap__syscall6(SYS_ioctl, fd, PERF_EVENT_IOC_SET_OUTPUT, perf.fd[at], 0, 0, 0);
}

static long open_thread(int tid)
{
    for (unsigned i = 0; i < perf.cpus; i++) {
        struct perf_event_attr attr = attr_of_thread();
        long error = open_into_ring(&attr, tid, i);
        if (error == -EINVAL && !perf.no_inherit_thread && i == 0) {
            perf.no_inherit_thread = true;
            attr = attr_of_thread();
            error = open_into_ring(&attr, tid, i);
        }
        if (error == -ESRCH)
            return 0; /* it has ended */
        if (error)
            return error;
    }
    return 0;
}

/* Threads whose events are open, sorted: what a scan finds beyond them was created by one that had none yet. */
struct known {
    int *tid;
    unsigned count, room;
    unsigned added;
    long error;
};

static bool is_known(const struct known *known, int tid)
{
    for (unsigned i = known->count; i > 0; i--)
        if (known->tid[i - 1] == tid)
            return true;
    return false;
}

static void add_thread(void *arg, int pid, int tid)
{
    (void)pid;
    struct known *known = arg;
    if (known->error || (known->added != UINT32_MAX && is_known(known, tid)))
        return;
    if (known->count == known->room) {
        unsigned room = known->room ? known->room * 2 : 256;
        int *grown = realloc(known->tid, room * sizeof(*grown));
        if (!grown) {
            known->error = -ENOMEM;
            return;
        }
        known->tid = grown;
        known->room = room;
    }
    known->tid[known->count++] = tid;
    known->error = open_thread(tid);
    known->added += known->added != UINT32_MAX;
}

/* Until a scan finds nobody new: whoever is created after that has a parent whose events it inherits. */
static long open_threads(void)
{
    struct known known = {.added = UINT32_MAX}; /* the first scan need not look for doubles */
    if (ttap__traced_threads(add_thread, &known) <= 0)
        known.error = -ENOENT;
    for (int scan = 0; scan < 50 && !known.error; scan++) {
        known.added = 0;
        ttap__traced_threads(add_thread, &known);
        if (!known.added)
            break;
    }
    perf.threads = known.count;
    free(known.tid);
    return known.error;
}

int ttap__perf_open(void)
{
    perf.threads = 0;
    perf.wakee_offset = 0;
    perf.cpus = list_cpus();
    perf.ring = calloc(perf.cpus, sizeof(*perf.ring));
    if (!perf.ring)
        return -ENOMEM;
    perf.wide = others_are_allowed();
    long error = open_rings();
    if (!error && !perf.wide && (error = open_threads()) != 0) {
        unmap_rings();
        ttap__clerk_close_all();
        ttap__budget_give(perf.charged_bytes);
    }
    if (error) {
        free(perf.ring);
        perf.ring = NULL;
        perf.charged_bytes = 0;
    }
    return (int)error;
}

void ttap__perf_close(void)
{
    if (!perf.ring)
        return;
    unmap_rings();
    free(perf.ring);
    perf.ring = NULL;
    ttap__budget_give(perf.charged_bytes);
    perf.charged_bytes = 0;
}

void ttap__perf_after_fork(void)
{
    perf.ring = NULL; /* rings are not mapped in children; the table is a few KiB that stay the parent's copy */
    perf.charged_bytes = 0;
}

/* ---- Wakes ---- */

static bool read_format(const char *root, const char *what, char *out, unsigned size)
{
    char path[96];
    size_t n = strlen(root), m = strlen(what);
    if (n + m + 1 > sizeof(path))
        return false;
    memcpy(path, root, n);
    memcpy(path + n, what, m + 1);
    return ttap__proc_line(path, out, size);
}

/* For services that may record but not read tracefs. Copied before the program's first thread, since it may change its environment. */
static long given_waking_id;

__attribute__((constructor(101))) static void read_environment(void)
{
    const char *text = secure_getenv("TRACETAP_WAKING_ID");
    given_waking_id = text && *text >= '0' && *text <= '9' ? strtol(text, NULL, 10) : 0;
}

static long waking_id(void)
{
    static const char *const roots[] = {"/sys/kernel/tracing/events/sched/sched_waking/", "/sys/kernel/debug/tracing/events/sched/sched_waking/"};
    char text[32];
    for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
        if (read_format(roots[i], "id", text, sizeof(text)))
            return strtol(text, NULL, 10);
    return given_waking_id;
}

static const struct ttap__perf_refusal refused_others = {"not allowed to record other tasks",
                                                         "docker run --cap-add=PERFMON, or systemd: AmbientCapabilities=CAP_PERFMON"},
                                       refused_namespace = {"in a PID namespace the kernel's wake records carry numbers that mean nothing here",
                                                            "docker run --pid=host"},
                                       refused_no_tracefs = {"the id of sched_waking cannot be read from tracefs",
                                                             "mount -t tracefs nodev /sys/kernel/tracing"},
                                       refused_tracefs = {"the id of sched_waking cannot be read from tracefs",
                                                          "TRACETAP_WAKING_ID=$(sudo cat /sys/kernel/tracing/events/sched/sched_waking/id)"},
                                       refused_descriptors = {"too few descriptors (RLIMIT_NOFILE)",
                                                              "systemd: LimitNOFILE=65536, or ulimit -n 65536"};

/* The tracepoint's number, or why it cannot be used. */
static const struct ttap__perf_refusal *find_waking(long *id)
{
    char link[64];
    long n = ttap__syscall6(SYS_readlinkat, -100, (long)"/proc/self/ns/pid", (long)link, sizeof(link) - 1, 0, 0);
    link[n > 0 ? n : 0] = 0;
    if (strcmp(link, "pid:[4026531836]") != 0) /* the first namespace's number is fixed */
        return &refused_namespace;
    if (!others_are_allowed()) /* asked before tracefs, since without it nothing there helps */
        return &refused_others;
    *id = waking_id();
    return *id > 0 ? NULL : geteuid() == 0 ? &refused_no_tracefs : &refused_tracefs;
}

static struct perf_event_attr attr_of_waking(long id)
{
    struct perf_event_attr attr = attr_of_ring();
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = (uint64_t)id;
    attr.exclude_kernel = 0;
    attr.sample_period = 1;
    attr.sample_type |= PERF_SAMPLE_RAW;
    return attr;
}

int ttap__perf_probe(void)
{
    struct perf_event_attr attr = attr_of_thread();
    attr.inherit_thread = 0; /* whether it has that is another question */
    return try_open(&attr, 0, 0);
}

const struct ttap__perf_refusal *ttap__perf_probe_wakes(void)
{
    long id;
    const struct ttap__perf_refusal *refusal = find_waking(&id);
    if (refusal)
        return refusal;
    struct perf_event_attr attr = attr_of_waking(id);
    return try_open(&attr, -1, 0) ? &refused_others : NULL;
}

const struct ttap__perf_refusal *ttap__perf_watch_wakes(void)
{
    long id;
    const struct ttap__perf_refusal *refusal = find_waking(&id);
    if (refusal)
        return refusal;
    for (unsigned i = 0; i < perf.cpus; i++) {
        struct perf_event_attr attr = attr_of_waking(id);
        long error = open_into_ring(&attr, -1, i);
        if (error)
            return error == -EMFILE ? &refused_descriptors : &refused_others;
    }
    perf.wakee_offset = 24; /* behind 8 bytes common to all, and comm[16]; so since 2.6.31 */
    return NULL;
}

/* ---- Reading ---- */

static uint32_t u32_at(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t u64_at(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

#define TRACE_FLAG_HARDIRQ 0x08
#define TRACE_FLAG_SOFTIRQ 0x10

/* header; pid, tid; time; cpu, 0; raw size; raw: type, flags, preempt count, pid; comm; pid of the wakee */
static void parse_wake(const unsigned char *at, uint32_t bytes, struct ttap__perf_record *out)
{
    unsigned raw = 8 + SAMPLE_ID_BYTES + 4;
    out->ns = u64_at(at + 16);
    out->cpu = u32_at(at + 24);
    if (!perf.wakee_offset || bytes < raw + perf.wakee_offset + 4)
        return;
    out->what = TTAP__PERF_WAKE;
    out->by_pid = (int)u32_at(at + 8);
    out->by_tid = (int)u32_at(at + 12);
    out->interrupt = at[raw + 2] & (TRACE_FLAG_HARDIRQ | TRACE_FLAG_SOFTIRQ);
    out->tid = (int)u32_at(at + raw + perf.wakee_offset);
    out->pid = 0; /* not told */
}

/* Of each switch there are two, the first by who leaves and the second by who has come; each names the other one, too. */
static void parse_cpu_switch(const unsigned char *body, uint16_t misc, struct ttap__perf_record *out)
{
    int other_pid = (int)u32_at(body), other_tid = (int)u32_at(body + 4);
    bool leaves = misc & PERF_RECORD_MISC_SWITCH_OUT;
    out->what = leaves ? TTAP__PERF_SWITCH : TTAP__PERF_ARRIVE;
    out->preempted = misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT;
    out->by_pid = leaves ? out->pid : other_pid;
    out->by_tid = leaves ? out->tid : other_tid;
    if (leaves) {
        out->pid = other_pid;
        out->tid = other_tid;
    }
}

static void parse(const unsigned char *at, const struct perf_event_header *head, struct ttap__perf_record *out)
{
    *out = (struct ttap__perf_record){.what = TTAP__PERF_OTHER};
    if (head->type == PERF_RECORD_SAMPLE) {
        if (head->size >= 8 + SAMPLE_ID_BYTES)
            parse_wake(at, head->size, out);
        return;
    }
    if (head->size < sizeof(*head) + SAMPLE_ID_BYTES)
        return;
    const unsigned char *id = at + head->size - SAMPLE_ID_BYTES, *body = at + sizeof(*head);
    bool has_16_bytes = head->size >= sizeof(*head) + 16 + SAMPLE_ID_BYTES;
    out->pid = (int)u32_at(id);
    out->tid = (int)u32_at(id + 4);
    out->ns = u64_at(id + 8);
    out->cpu = u32_at(id + 16);
    switch (head->type) {
    case PERF_RECORD_SWITCH:
        out->what = !(head->misc & PERF_RECORD_MISC_SWITCH_OUT)        ? TTAP__PERF_RUN
                    : head->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT ? TTAP__PERF_PREEMPT
                                                                       : TTAP__PERF_BLOCK;
        break;
    case PERF_RECORD_SWITCH_CPU_WIDE:
        if (head->size >= sizeof(*head) + 8 + SAMPLE_ID_BYTES)
            parse_cpu_switch(body, head->misc, out);
        break;
    case PERF_RECORD_FORK:
    case PERF_RECORD_EXIT:
        if (!has_16_bytes)
            break;
        out->what = head->type == PERF_RECORD_FORK ? TTAP__PERF_BEGIN : TTAP__PERF_END;
        out->pid = (int)u32_at(body);
        out->by_pid = (int)u32_at(body + 4);
        out->tid = (int)u32_at(body + 8);
        out->by_tid = (int)u32_at(body + 12);
        break;
    case PERF_RECORD_COMM:
        if (head->size < sizeof(*head) + 8 + SAMPLE_ID_BYTES)
            break;
        out->what = TTAP__PERF_NAME;
        out->pid = (int)u32_at(body); /* not always of who says so */
        out->tid = (int)u32_at(body + 4);
        break;
    case PERF_RECORD_LOST:
        if (!has_16_bytes)
            break;
        out->what = TTAP__PERF_LOST;
        out->lost = u64_at(body + 8);
        break;
    default:
        break;
    }
}

static const unsigned char *record_at(struct ring *ring, uint64_t tail, uint32_t bytes)
{
    const unsigned char *data = (const unsigned char *)ring->page + ring->page->data_offset;
    uint32_t from = (uint32_t)(tail & (perf.ring_bytes - 1)), first = perf.ring_bytes - from;
    if (bytes <= first)
        return data + from;
    memcpy(ring->bounce, data + from, first);
    memcpy(ring->bounce + first, data, bytes - first);
    return ring->bounce;
}

bool ttap__perf_is_wide(void)
{
    return perf.wide;
}

bool ttap__perf_rings_fill(void)
{
    for (unsigned i = 0; i < perf.cpus; i++)
        if (__atomic_load_n(&perf.ring[i].page->data_head, __ATOMIC_RELAXED) - perf.ring[i].tail >= perf.ring_bytes / 4)
            return true;
    return false;
}

/* Parse what comes next in the ring. False: nothing. */
static bool look_ahead(struct ring *ring)
{
    if (ring->parsed)
        return true;
    uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE); /* the kernel's release */
    if (ring->tail == head)
        return false;
    struct perf_event_header record;
    memcpy(&record, record_at(ring, ring->tail, sizeof(record)), sizeof(record));
    if (record.size < sizeof(record) || record.size > RECORD_BYTES_MAX || record.size > head - ring->tail) {
        ring->tail = head; /* no record of ours is like that: skip what is there */
        return false;
    }
    parse(record_at(ring, ring->tail, record.size), &record, &ring->next);
    ring->next_bytes = record.size;
    ring->parsed = true;
    return true;
}

bool ttap__perf_next(uint64_t until_ns, struct ttap__perf_record *out)
{
    struct ring *earliest = NULL;
    for (unsigned i = 0; i < perf.cpus; i++) {
        struct ring *ring = &perf.ring[i];
        if (look_ahead(ring) && ring->next.ns <= until_ns && (!earliest || ring->next.ns < earliest->next.ns))
            earliest = ring;
    }
    if (!earliest)
        return false;
    *out = earliest->next;
    earliest->tail += earliest->next_bytes;
    earliest->parsed = false;
    return true;
}

void ttap__perf_read_done(void)
{
    for (unsigned i = 0; i < perf.cpus; i++)
        __atomic_store_n(&perf.ring[i].page->data_tail, perf.ring[i].tail, __ATOMIC_RELEASE); /* read before it is written again */
}
