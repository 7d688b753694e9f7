/* test_write.c - ttap_capture_fd() on descriptors that do not take everything. A signal that escapes ends the test. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "subs.h"

static struct ttap_capture_opts short_window(void)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;
    opts.duration_ns = 30000000;
    return opts;
}

static void a_file_gets_the_whole_capture(void)
{
    struct ttap_capture_opts opts = short_window();
    struct recording r;
    struct emitters e;
    FILE *file = tmpfile();
    emitters_start(&e, 2, 100);
    errno = 4711;
    CU_ASSERT(ttap_capture_fd(fileno(file), &opts) == 0);
    CU_ASSERT(errno == 4711);
    emitters_stop(&e);
    size_t len = (size_t)lseek(fileno(file), 0, SEEK_END);
    unsigned char *bytes = malloc(len);
    CU_ASSERT(pread(fileno(file), bytes, len, 0) == (ssize_t)len);
    CU_ASSERT(recording_of_bytes(&r, bytes, len));
    CU_ASSERT(r.events_count > 0);
    recording_free(&r);
    free(bytes);
    fclose(file);
}

static void fails_with(int fd, int error)
{
    struct ttap_capture_opts opts = short_window();
    struct emitters e;
    sigset_t before, after, pending;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    emitters_start(&e, 2, 100);
    CU_ASSERT(ttap_capture_fd(fd, &opts) == error);
    emitters_stop(&e);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    sigpending(&pending);
    for (int signo = 1; signo < 32; signo++)
        CU_ASSERT(sigismember(&before, signo) == sigismember(&after, signo));
    CU_ASSERT(!sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ));
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
}

static void a_full_disk_is_its_error(void)
{
    struct stat st;
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0 || fstat(fd, &st) || !S_ISCHR(st.st_mode)) {
        printf("(no /dev/full here) ");
        close(fd);
        return;
    }
    fails_with(fd, -ENOSPC);
    close(fd);
}

static void a_pipe_without_a_reader_is_its_error(void)
{
    int ends[2];
    CU_ASSERT_FATAL(pipe(ends) == 0);
    close(ends[0]);
    fails_with(ends[1], -EPIPE);
    close(ends[1]);
}

static void a_descriptor_that_is_not_open_is_its_error(void)
{
    fails_with(1000, -EBADF);
    fails_with(-1, -EBADF);
}

static void a_file_that_may_not_grow_is_its_error(void)
{
    struct rlimit before, small;
    FILE *file = tmpfile();
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 3000;
    setrlimit(RLIMIT_FSIZE, &small);
    fails_with(fileno(file), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    fclose(file);
}

/* A pipe that is full most of the time, and does not block. */
static void *slow_reader(void *arg)
{
    static unsigned char bytes[16u << 20];
    size_t *len = arg, n;
    int fd = (int)*len;
    *len = 0;
    ttap__thread_is_own();
    while ((n = (size_t)read(fd, bytes + *len, 1000)) > 0 && n <= 1000) {
        *len += n;
        if (*len % 7000 < 1000)
            nap_ms(1);
    }
    struct recording r;
    CU_ASSERT(recording_of_bytes(&r, bytes, *len));
    recording_free(&r);
    return NULL;
}

static void a_slow_reader_of_a_pipe_that_does_not_block_gets_everything(void)
{
    struct ttap_capture_opts opts = short_window();
    struct emitters e;
    pthread_t thread;
    int ends[2];
    CU_ASSERT_FATAL(pipe2(ends, O_NONBLOCK) == 0);
    fcntl(ends[0], F_SETFL, 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    size_t arg = (size_t)ends[0];
    pthread_create(&thread, NULL, slow_reader, &arg);
    emitters_start(&e, 2, 100);
    CU_ASSERT(ttap_capture_fd(ends[1], &opts) == 0);
    emitters_stop(&e);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
}

/* ---- Callbacks ---- */

static int give_up(void *arg, const void *bytes, size_t len)
{
    unsigned *calls = arg;
    (void)bytes, (void)len;
    return ++*calls == 3 ? 42 : 0;
}

static void a_callback_that_gives_up_ends_the_window_and_its_word_comes_back(void)
{
    struct ttap_capture *capture;
    struct ttap_capture_opts opts = short_window();
    struct emitters e;
    unsigned calls = 0;
    opts.duration_ns = 0;
    CU_ASSERT_FATAL(ttap_capture_start(&opts, give_up, &calls, &capture) == 0);
    emitters_start(&e, 2, 100);
    for (int i = 0; i < 1000 && (TTAP_ENABLED(TTAP_GROUPS_ALL)); i++)
        nap_ms(10);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
    emitters_stop(&e);
    CU_ASSERT(ttap_capture_stop(capture) == 42);
    CU_ASSERT(calls == 3);
}

static CU_TestInfo statements[] = {
    {"a file gets the whole capture", a_file_gets_the_whole_capture},
    {"a full disk is its error", a_full_disk_is_its_error},
    {"a pipe without a reader is its error", a_pipe_without_a_reader_is_its_error},
    {"a descriptor that is not open is its error", a_descriptor_that_is_not_open_is_its_error},
    {"a file that may not grow is its error", a_file_that_may_not_grow_is_its_error},
    {"a slow reader of a pipe that does not block gets everything", a_slow_reader_of_a_pipe_that_does_not_block_gets_everything},
    {"a callback that gives up ends the window", a_callback_that_gives_up_ends_the_window_and_its_word_comes_back},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    return run_statements(statements);
}
