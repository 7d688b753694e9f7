/* uring_work.c - a thread that waits for a ring: a timeout of MS milliseconds, some times, by each of liburing's ways to wait.
 *
 *   uring_work MS
 *
 * Prints how often it waited. Exits with 77 where the kernel gives no ring.
 */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct io_uring ring;
static unsigned waits;

static void ask_for_timeout(struct __kernel_timespec *ts)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_timeout(sqe, ts, 0, 0);
}

static void check(int result, struct io_uring_cqe *cqe)
{
    if (result < 0 || !cqe || cqe->res != -ETIME) {
        fprintf(stderr, "wait %u: %s, completion %d\n", waits, strerror(result < 0 ? -result : 0), cqe ? cqe->res : 0);
        exit(1);
    }
    io_uring_cqe_seen(&ring, cqe);
    waits++;
}

int main(int argc, char **argv)
{
    long ms = argc > 1 ? atol(argv[1]) : 20;
    struct __kernel_timespec ts = {.tv_sec = 0, .tv_nsec = ms * 1000000}, long_ts = {.tv_sec = 20};
    struct io_uring_cqe *cqe = NULL;
    int error = io_uring_queue_init(8, &ring, 0);
    if (error) {
        printf("no ring: %s\n", strerror(-error));
        return 77;
    }
    for (int i = 0; i < 3; i++) {
        ask_for_timeout(&ts);
        int result = io_uring_submit_and_wait(&ring, 1);
        io_uring_peek_cqe(&ring, &cqe);
        check(result, cqe);
        ask_for_timeout(&ts);
        io_uring_submit(&ring);
        check(io_uring_wait_cqe(&ring, &cqe), cqe);
        ask_for_timeout(&ts);
        io_uring_submit(&ring);
        check(io_uring_wait_cqe_timeout(&ring, &cqe, &long_ts), cqe);
    }
    printf("%u %ld\n", waits, ms);
    io_uring_queue_exit(&ring);
    return 0;
}
