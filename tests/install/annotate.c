/* annotate.c - an outside program, C or C++, that uses the installed library: records itself into argv[1]. */
#include <tracetap/tracetap.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int record(int fd)
{
    struct ttap_capture_opts opts = TTAP_CAPTURE_OPTS_INIT;

    opts.duration_ns = 50000000;
    return ttap_capture_fd(fd, &opts);
}

int main(int argc, char **argv)
{
    int fd, error;

    if (argc != 2 || strcmp(ttap_version(), TTAP_VERSION_STRING) != 0) {
        fprintf(stderr, "headers of %s, library of %s\n", TTAP_VERSION_STRING, ttap_version());
        return 1;
    }
    fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return 1;
    {
        TTAP_REGION("recording");
        error = record(fd);
    }
    close(fd);
    return error != 0;
}
