/* system_calls.c - each system call that the engine makes fails: its nth use alone, or every use. The host must not notice.
 *
 *   supervisor (this process)                          the host (a child for each case)
 *   for each notification: is its call armed? ------>  seccomp stops the call and asks        emitters, with work of their own
 *      no: let it run     yes: count, maybe refuse     start, record, stop; to a callback, a full pipe, a pipe without reader
 *
 * seccomp's filters cannot be taken away, but the supervisor decides anew at each call. So the same process shows that once the failure
 * is over, the next capture is whole. Each case is a process of its own: what happens only at the first start can then fail too.
 * The host's own work uses calls that the engine does not make.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "recording.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* its runtime needs memory and signal masks of its own, and gives up without */
#else
#define SANITIZED 0
#endif

enum { EMITTERS = 2, USES = 20, CYCLES_WHEN_FOR_EVER = 4, STUCK_S = 30 };

/* One way to fail. */
struct fault {
    const char *call;
    int number, error;
    bool runtime;         /* sanitizers' own runtimes do not survive it */
    bool only_once;       /* for ever, the C library itself aborts or spins */
    int with, with_error; /* another call that always fails meanwhile; 0: none */
};

/* Not here: rseq, without which the C library refuses to run threads. */
static const struct fault faults[] = {
    {"mmap", SYS_mmap, ENOMEM, true, false, 0, 0},
    {"munmap", SYS_munmap, EINVAL, true, false, 0, 0},
    {"madvise", SYS_madvise, EINVAL, true, false, 0, 0},
    {"mprotect", SYS_mprotect, ENOMEM, true, false, 0, 0},
    {"clone3", SYS_clone3, EAGAIN, true, false, 0, 0},
    {"clone3, as if old", SYS_clone3, ENOSYS, true, false, 0, 0},
    {"clone3, refused", SYS_clone3, EPERM, true, false, 0, 0},
    {"clone", SYS_clone, EAGAIN, true, false, SYS_clone3, ENOSYS},
    {"membarrier", SYS_membarrier, EPERM, false, false, 0, 0},
    {"membarrier, no memory", SYS_membarrier, ENOMEM, false, false, 0, 0},
    {"getrandom", SYS_getrandom, ENOSYS, false, false, 0, 0},
    {"futex, interrupted", SYS_futex, EINTR, true, true, 0, 0},
    {"futex, woken for nothing", SYS_futex, EAGAIN, true, true, 0, 0},
    {"clock_gettime", SYS_clock_gettime, EINVAL, true, false, 0, 0},
    {"read", SYS_read, EIO, false, false, 0, 0},
    {"write", SYS_write, EIO, false, false, 0, 0},
    {"write, interrupted", SYS_write, EINTR, false, true, 0, 0},
    {"write, disk full", SYS_write, ENOSPC, false, false, 0, 0},
#ifdef SYS_poll
    {"poll", SYS_poll, ENOMEM, false, false, 0, 0},
    {"poll, interrupted", SYS_poll, EINTR, false, true, 0, 0},
#else
    {"ppoll", SYS_ppoll, ENOMEM, false, false, 0, 0},
#endif
    {"openat", SYS_openat, EMFILE, false, false, 0, 0},
    {"openat, refused", SYS_openat, EACCES, false, false, 0, 0},
    {"close", SYS_close, EINTR, false, false, 0, 0},
#ifdef SYS_readlink
    {"readlink", SYS_readlink, EACCES, false, false, 0, 0},
#endif
    {"prctl", SYS_prctl, EINVAL, true, false, 0, 0},
    {"gettid", SYS_gettid, ENOSYS, true, false, 0, 0},
    {"getpid", SYS_getpid, ENOSYS, true, false, 0, 0},
    {"sigaltstack", SYS_sigaltstack, EPERM, true, false, 0, 0},
    {"tgkill", SYS_tgkill, EPERM, true, false, 0, 0},
    {"rt_sigprocmask", SYS_rt_sigprocmask, EPERM, true, false, 0, 0},
    {"rt_sigpending", SYS_rt_sigpending, EPERM, false, false, 0, 0},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, ENOSYS, false, false, 0, 0},
    {"set_robust_list", SYS_set_robust_list, ENOSYS, true, false, 0, 0},
};
enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

/* What the two processes share. */
struct shared {
    int listener;          /* descriptor number in the host; -1: seccomp will not have it */
    int armed;             /* fault + 1, 0: nothing fails */
    int nth;               /* 0: every use */
    int uses, refused;     /* while armed */
    unsigned progress;     /* for the watchdog */
    int started, finished; /* results of the last start, and of the last stop */
    char verdict[200];     /* what was wrong; "" if nothing */
};
static struct shared *shared;

#define load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* ---- The host ---- */

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!shared->verdict[0])
        vsnprintf(shared->verdict, sizeof(shared->verdict), format, args);
    va_end(args);
}

static void nap_ms(long ms) /* not by a call of the engine's */
{
    struct timespec nap = {ms / 1000, ms % 1000 * 1000000};
    pselect(0, NULL, NULL, NULL, &nap, NULL);
}

static void *area(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int stop, scratch;
static int64_t worked[EMITTERS];

static void *work_and_emit(void *arg)
{
    static struct ttap_name tiles[EMITTERS] = {TTAP_NAME_INIT("tile.0"), TTAP_NAME_INIT("tile.1")};
    intptr_t me = (intptr_t)arg;
    for (int64_t i = 0; !load(&stop); i++) {
        int64_t back = -1;
        TTAP_REGION("work");
        ttap_counter(&tiles[me], i);
        errno = 4711;
        if (pwrite(scratch, &i, sizeof(i), me * 8) != sizeof(i) || pread(scratch, &back, sizeof(back), me * 8) != sizeof(back) || back != i)
            wrong("the host's own work failed: %s", strerror(errno));
        if (errno != 4711)
            wrong("the host's errno became %d", errno);
        store(&worked[me], i);
        if (i % 50 == 0)
            nap_ms(1);
    }
    return NULL;
}

/* Received bytes, in memory that is there already. */
enum { SINK = 4 << 20 };
static unsigned char *sink;
static size_t sunk;

static int to_sink(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    if (sunk + len > SINK)
        return -EFBIG;
    memcpy(sink + sunk, bytes, len);
    sunk += len;
    return 0;
}

static void check_sink(const char *what)
{
    struct recording r;
    if (!recording_of_bytes(&r, sink, sunk))
        wrong("%s: not exact: %s %s", what, r.check.rule, r.check.sentence);
    recording_free(&r);
}

static bool is_documented(int error)
{
    return !error || error == -ENOMEM || error == -EAGAIN;
}

static void to_a_callback(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    struct ttap_capture *capture = NULL;
    opts.duration_ns = 0;
    sunk = 0;
    int started = ttap_capture_start(&opts, to_sink, NULL, &capture), finished = 0;
    if (!started) {
        nap_ms(8);
        finished = ttap_capture_stop(capture);
    }
    shared->started = started;
    shared->finished = finished;
    if (!is_documented(started) || !is_documented(finished))
        wrong("start returned %d, stop %d", started, finished);
}

static int pipe_read, pipe_write, pipe_broken;

static void *read_pipe(void *arg)
{
    static unsigned char piece[4096];
    struct iovec all = {piece, 1024};
    while (readv(pipe_read, &all, 1) > 0)
        nap_ms(1); /* so that the pipe fills and the writer has to poll */
    return arg;
}

/* @expected: what the descriptor fails with by itself. */
static void to_a_descriptor(int fd, int expected, int injected)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 8000000;
    int result = ttap_capture_fd(fd, &opts);
    if (!is_documented(result) && result != -expected && result != -injected)
        wrong("capture_fd returned %d", result);
}

static void same_mask(const sigset_t *before, int injected_call)
{
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    for (int signo = 1; signo < 32; signo++) {
        bool may_stay = (signo == SIGPIPE || signo == SIGXFSZ) && injected_call == SYS_rt_sigtimedwait; /* rather blocked than raised */
        if (sigismember(&now, signo) != sigismember(before, signo) && !may_stay)
            wrong("signal %d is %sblocked", signo, sigismember(&now, signo) ? "" : "not ");
    }
}

static void arm(int fault, int nth)
{
    shared->uses = shared->refused = 0;
    shared->nth = nth;
    store(&shared->armed, fault + 1);
}

static void disarm(void)
{
    store(&shared->armed, 0);
}

static long virtual_pages(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (read(fd, text, sizeof(text) - 1) <= 0)
        wrong("no statm");
    close(fd);
    return atol(text);
}

static void one_cycle(const struct fault *fault, int index, int nth)
{
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    arm(index, nth);
    to_a_callback();
    to_a_descriptor(pipe_write, 0, fault->error);
    to_a_descriptor(pipe_broken, EPIPE, fault->error);
    disarm();
    bool for_ever_unmaskable = fault->number == SYS_rt_sigprocmask && !nth; /* then nobody can give the mask back */
    if (!for_ever_unmaskable)
        same_mask(&before, fault->number);
    signal(SIGPIPE, SIG_IGN); /* forgets a pending one */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (!shared->started && !shared->finished)
        check_sink("under the failure");
    store(&shared->progress, shared->progress + 1);
}

/* The failure is over: nothing of it may be left. */
static void a_whole_capture(void)
{
    struct recording r;
    if (recording_start(&r, NULL)) {
        wrong("no capture after the failure");
        return;
    }
    int64_t enough[EMITTERS] = {load(&worked[0]) + 60, load(&worked[1]) + 60};
    for (int i = 0; i < 5000 && (load(&worked[0]) < enough[0] || load(&worked[1]) < enough[1]); i++)
        nap_ms(1);
    if (!recording_stop(&r))
        wrong("after the failure: not exact: %s %s", r.check.rule, r.check.sentence);
    if (recording_lost(&r) || !validation_tile(&r.check, 0) || !validation_tile(&r.check, 1))
        wrong("after the failure: %llu lost of %zu", (unsigned long long)recording_lost(&r), r.events_count);
    recording_free(&r);
}

static void wait_until_recording_is_off(void)
{
    for (int i = 0; i < 200 && TTAP_ENABLED(TTAP_GROUPS_ALL); i++)
        nap_ms(5);
    struct ttap_status status = {.size = sizeof(status)};
    ttap_status_get(&status);
    if (TTAP_ENABLED(TTAP_GROUPS_ALL) || status.captures)
        wrong("%u captures are left, the gate is at %llx", status.captures, (unsigned long long)ttap_gate);
}

static void run_case(int index, int nth)
{
    const struct fault *fault = &faults[index];
    int descriptors = folder_entries("/proc/self/fd"), threads = folder_entries("/proc/self/task");
    long pages = 0;
    for (int cycle = 0; cycle < (nth ? 1 : CYCLES_WHEN_FOR_EVER); cycle++) {
        one_cycle(fault, index, nth);
        if (cycle == 1)
            pages = virtual_pages();
    }
    long pages_now = virtual_pages();
    wait_until_recording_is_off();
    a_whole_capture();
    if (fault->number != SYS_close && folder_entries("/proc/self/fd") != descriptors)
        wrong("descriptors: %d before, %d after", descriptors, folder_entries("/proc/self/fd"));
    if (folder_entries("/proc/self/task") > threads + 1) /* our one thread lingers for a second */
        wrong("threads: %d before, %d after", threads, folder_entries("/proc/self/task"));
    if (!nth && fault->number != SYS_munmap && fault->number != SYS_madvise && pages_now - pages > 1024)
        wrong("two cycles kept %ld pages of address space", pages_now - pages);
}

static int install_filter(void)
{
    struct sock_filter program[4 + 2 * FAULTS + 1];
    unsigned short n = 0;
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < FAULTS; i++) {
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)faults[i].number, 0, 1);
        program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {n, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

static void host(int index, int nth)
{
    pthread_t emitters[EMITTERS], reader;
    int ends[2], broken[2];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    scratch = memfd_create("host", MFD_CLOEXEC);
    sink = area(SINK);
    if (pipe2(ends, O_CLOEXEC) || pipe2(broken, O_CLOEXEC))
        _exit(2);
    close(broken[0]);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    pipe_read = ends[0], pipe_write = ends[1], pipe_broken = broken[1];
    int listener = install_filter();
    store(&shared->listener, listener < 0 ? -1 : listener);
    if (listener < 0)
        _exit(77);
    pthread_create(&reader, NULL, read_pipe, NULL);
    for (intptr_t i = 0; i < EMITTERS; i++)
        pthread_create(&emitters[i], NULL, work_and_emit, (void *)i);
    nap_ms(2);
    run_case(index, nth);
    store(&stop, 1);
    for (int i = 0; i < EMITTERS; i++)
        pthread_join(emitters[i], NULL);
    if (!worked[0] || !worked[1])
        wrong("an emitter did not work");
    close(pipe_write);
    pthread_join(reader, NULL);
    _exit(shared->verdict[0] ? 1 : 0);
}

/* ---- The supervisor ---- */

/* What shall become of this call? 0: let it run. Else the error. */
static int error_for(int number, uint64_t second_arg)
{
    int armed = load(&shared->armed);
    if (!armed)
        return 0;
    const struct fault *fault = &faults[armed - 1];
    if (fault->with && number == fault->with)
        return fault->with_error;
    if (number != fault->number)
        return 0;
    bool waits = (second_arg & FUTEX_CMD_MASK) == FUTEX_WAIT || (second_arg & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    if (number == SYS_futex && !waits)
        return 0; /* waking does not fail, and the C library counts on it */
    int use = ++shared->uses;
    if (shared->nth && use != shared->nth)
        return 0;
    shared->refused++;
    return fault->error;
}

static void answer_one(int listener)
{
    struct seccomp_notif call;
    struct seccomp_notif_resp answer;
    memset(&call, 0, sizeof(call)); /* the kernel insists */
    memset(&answer, 0, sizeof(answer));
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
        return; /* the thread was killed meanwhile */
    answer.id = call.id;
    answer.error = -error_for(call.data.nr, call.data.args[1]);
    answer.flags = answer.error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static int listener_of(pid_t host_pid)
{
    while (!load(&shared->listener)) {
        if (waitpid(host_pid, NULL, WNOHANG) == host_pid)
            return -1;
        sched_yield();
    }
    if (shared->listener < 0)
        return -1;
    int pidfd = (int)syscall(SYS_pidfd_open, host_pid, 0);
    int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, shared->listener, 0);
    if (pidfd >= 0)
        close(pidfd);
    return fd;
}

/* Until the host ends. Returns its status; a host that makes no progress is ended with SIGABRT. */
static int supervise(pid_t host_pid, int listener)
{
    struct pollfd fd = {.fd = listener, .events = POLLIN};
    unsigned seen = 0;
    int idle = 0, status = -1; /* idle: in steps of 100 ms */
    for (;;) {
        int ready = poll(&fd, 1, 100);
        if (ready > 0 && (fd.revents & POLLIN))
            answer_one(listener);
        else if (waitpid(host_pid, &status, WNOHANG) == host_pid)
            return status;
        bool moved = load(&shared->progress) != seen;
        seen = load(&shared->progress);
        idle = moved ? 0 : idle + (ready == 0);
        if (idle == STUCK_S * 10) {
            wrong("stuck");
            kill(host_pid, SIGABRT);
        }
    }
}

/* True: the failure had been met. False: there is no such use any more. */
static bool met(int index, int nth, unsigned *failures)
{
    memset(shared, 0, sizeof(*shared));
    fflush(stdout);
    pid_t host_pid = fork();
    if (!host_pid)
        host(index, nth);
    int listener = listener_of(host_pid);
    if (listener < 0) {
        printf("skipped: no seccomp notifications here (%s)\n", strerror(errno));
        kill(host_pid, SIGKILL);
        exit(77);
    }
    int status = supervise(host_pid, listener);
    close(listener);
    if (status) {
        (*failures)++;
        printf("%s, use %d: status %x: %s\n", faults[index].call, nth, status, shared->verdict);
    }
    return shared->refused > 0;
}

int main(int argc, char **argv)
{
    unsigned failures = 0, cases = 0, calls = 0;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < FAULTS; i++) {
        const struct fault *fault = &faults[i];
        if ((SANITIZED && fault->runtime) || (argc > 1 && strcmp(argv[1], fault->call)))
            continue;
        int nth = 1;
        while (nth <= USES && met(i, nth, &failures))
            nth++;
        bool used = nth > 1;
        if (!fault->only_once && used)
            met(i, 0, &failures);
        printf("%-26s %2d use%s failed once%s\n", fault->call, nth - 1, nth == 2 ? "" : "s", fault->only_once ? "" : used ? ", and all" : "");
        cases += (unsigned)nth - 1 + (used && !fault->only_once);
        calls += used && (!i || faults[i - 1].number != fault->number);
    }
    printf("%u system calls, %u cases, %u wrong\n", calls, cases, failures);
    return failures || (argc == 1 && calls < (SANITIZED ? 8 : 20)) ? 1 : 0;
}
