/* output.c - open, write all, rename. */
#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_name.h"

enum { FILE_MODE = 0666, TRIES_MAX = 1000 };

/* An open of a FIFO waits for its reader and a device is written in place: neither can be renamed over. */
static bool is_special(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 && !S_ISREG(st.st_mode);
}

static int open_part(struct cli_output *output, const char *name, int flags)
{
    output->name = strdup(name);
    if (!output->name || asprintf(&output->part_name, "%s.part", name) < 0) {
        output->part_name = NULL;
        cli_output_free(output);
        return -ENOMEM;
    }
    output->fd = open(output->part_name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, FILE_MODE);
    if (output->fd >= 0)
        return 0;
    int error = -errno;
    cli_output_free(output);
    return error;
}

int cli_output_open(struct cli_output *output, const char *name)
{
    *output = (struct cli_output)CLI_OUTPUT_NONE;
    if (strcmp(name, "-") == 0) {
        output->fd = STDOUT_FILENO;
        return 0;
    }
    if (!is_special(name))
        return open_part(output, name, O_TRUNC);
    output->name = strdup(name);
    output->fd = output->name ? open(name, O_WRONLY | O_CLOEXEC) : -1;
    return output->fd >= 0 ? 0 : -errno;
}

int cli_output_open_new(struct cli_output *output, const char *name)
{
    char numbered[CLI_FILE_NAME_SIZE];
    struct stat st;

    for (unsigned number = 1; number <= TRIES_MAX && cli_file_name_numbered(name, number, numbered); number++) {
        *output = (struct cli_output)CLI_OUTPUT_NONE;
        if (lstat(numbered, &st) == 0)
            continue;
        int result = open_part(output, numbered, O_EXCL);
        if (result != -EEXIST)
            return result;
    }
    return -EEXIST;
}

int cli_write_all(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;

    while (len > 0) {
        ssize_t written = write(fd, p, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        p += written;
        len -= (size_t)written;
    }
    return 0;
}

int cli_output_write(struct cli_output *output, const void *bytes, size_t len)
{
    int result = cli_write_all(output->fd, bytes, len);

    output->bytes += result ? 0 : len;
    return result;
}

static int close_output(struct cli_output *output)
{
    int fd = output->fd;

    output->fd = -1;
    return fd < 0 || fd == STDOUT_FILENO || close(fd) == 0 ? 0 : -errno;
}

int cli_output_commit(struct cli_output *output)
{
    int result = close_output(output);

    if (result == 0 && output->part_name && rename(output->part_name, output->name) != 0)
        result = -errno;
    return result;
}

void cli_output_discard(struct cli_output *output)
{
    close_output(output);
    if (output->part_name)
        unlink(output->part_name);
    cli_output_free(output);
}

const char *cli_output_name(const struct cli_output *output)
{
    return output->name ? output->name : "standard output";
}

void cli_output_free(struct cli_output *output)
{
    free(output->name);
    free(output->part_name);
    *output = (struct cli_output)CLI_OUTPUT_NONE;
}
