/* input.c - opening, reading, and a table of what people hand us by mistake. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

static ssize_t read_retrying(int fd, void *bytes, size_t max)
{
    ssize_t count;

    do
        count = read(fd, bytes, max);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static int fail(struct cli_input *input, int error)
{
    cli_error("%s: %s", input->name, strerror(-error));
    cli_input_close(input);
    return error;
}

static int read_head(struct cli_input *input)
{
    while (input->head_bytes < sizeof input->head) {
        ssize_t count = read_retrying(input->fd, input->head + input->head_bytes, sizeof input->head - input->head_bytes);
        if (count < 0)
            return fail(input, (int)count);
        if (count == 0)
            break;
        input->head_bytes += (size_t)count;
    }
    return 0;
}

int cli_input_open(struct cli_input *input, const char *name)
{
    bool standard = strcmp(name, "-") == 0;

    *input = (struct cli_input){.name = standard ? "standard input" : name, .fd = STDIN_FILENO};
    if (!standard)
        input->fd = open(name, O_RDONLY | O_CLOEXEC);
    return input->fd < 0 ? fail(input, -errno) : read_head(input);
}

void cli_input_close(struct cli_input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
}

ssize_t cli_input_read(struct cli_input *input, void *bytes, size_t max)
{
    size_t left = input->head_bytes - input->head_given;

    if (left > 0) {
        size_t count = left < max ? left : max;
        memcpy(bytes, input->head + input->head_given, count);
        input->head_given += count;
        return (ssize_t)count;
    }
    ssize_t count = read_retrying(input->fd, bytes, max);
    if (count < 0)
        cli_error("%s: %s", input->name, strerror((int)-count));
    return count;
}

/* ---- What it is ---- */

struct magic {
    const char *bytes;
    size_t len, offset;
    enum cli_input_kind kind;
    const char *what; /* for messages */
};
#define MAGIC(text, offset, kind, what)                                                                                                              \
    {                                                                                                                                                \
        text, sizeof(text) - 1, offset, kind, what                                                                                                   \
    }

static const struct magic magics[] = {
    MAGIC("TRACETAP", 0, CLI_INPUT_NATIVE, "a tracetap capture"),
    MAGIC("\x1f\x8b", 0, CLI_INPUT_GZIP, "compressed with gzip (gunzip it first)"),
    MAGIC("\x28\xb5\x2f\xfd", 0, CLI_INPUT_FOREIGN, "compressed with zstd (unzstd it first)"),
    MAGIC("\xfd"
          "7zXZ",
          0, CLI_INPUT_FOREIGN, "compressed with xz (unxz it first)"),
    MAGIC("PK\x03\x04", 0, CLI_INPUT_FOREIGN, "a zip archive"),
    MAGIC("go 1.", 0, CLI_INPUT_FOREIGN, "a trace of Go's runtime (go tool trace reads it)"),
    MAGIC("PERFILE2", 0, CLI_INPUT_FOREIGN, "a perf.data file (perf reads it)"),
    MAGIC("\x7f"
          "ELF",
          0, CLI_INPUT_FOREIGN, "a program or library"),
    MAGIC("<!DOCTYPE", 0, CLI_INPUT_FOREIGN, "an HTML page"),
    MAGIC("<html", 0, CLI_INPUT_FOREIGN, "an HTML page"),
    MAGIC("HTTP/1.", 0, CLI_INPUT_FOREIGN, "an HTTP reply with its headers (curl without -i gives the capture alone)"),
    MAGIC("{\"error\":", 0, CLI_INPUT_FOREIGN, "a server's error message, not a capture"),
};

static const struct magic *find_magic(const struct cli_input *input)
{
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const struct magic *magic = &magics[i];
        if (input->head_bytes >= magic->offset + magic->len && memcmp(input->head + magic->offset, magic->bytes, magic->len) == 0)
            return magic;
    }
    return NULL;
}

static bool looks_like_json(const struct cli_input *input)
{
    size_t at = 0;

    while (at < input->head_bytes && strchr(" \t\r\n", input->head[at]) && input->head[at])
        at++;
    return at < input->head_bytes && (input->head[at] == '{' || input->head[at] == '[');
}

/* Perfetto: protobuf field 1 (packet), length-delimited, of a packet that begins with a field number it uses first of
 * all. */
static bool looks_like_perfetto(const struct cli_input *input)
{
    size_t at = 1;

    if (input->head_bytes < 4 || input->head[0] != 0x0a)
        return false;
    while (at < 5 && input->head[at] & 0x80)
        at++;
    unsigned char tag = at + 1 < input->head_bytes ? input->head[at + 1] : 0;
    return (tag & 7) <= 2 && tag >= 0x08;
}

static bool is_cut_native(const struct cli_input *input)
{
    static const char magic[] = "TRACETAP";

    return input->head_bytes > 0 && input->head_bytes < sizeof magic - 1 && memcmp(input->head, magic, input->head_bytes) == 0;
}

enum cli_input_kind cli_input_kind(const struct cli_input *input)
{
    const struct magic *magic = find_magic(input);

    if (magic)
        return magic->kind;
    if (input->head_bytes == 0)
        return CLI_INPUT_EMPTY;
    return looks_like_json(input) ? CLI_INPUT_JSON : CLI_INPUT_FOREIGN;
}

static const char *describe(const struct cli_input *input)
{
    const struct magic *magic = find_magic(input);

    if (magic)
        return magic->what;
    if (input->head_bytes == 0)
        return "empty";
    if (is_cut_native(input))
        return "a tracetap capture cut within its first bytes";
    if (looks_like_json(input))
        return "JSON (tracetap view opens it if it is a tracetap document)";
    if (looks_like_perfetto(input))
        return "perhaps a Perfetto trace (ui.perfetto.dev reads it)";
    return NULL;
}

int cli_input_refuse(const struct cli_input *input, const char *wanted)
{
    const char *what = describe(input);
    char head[CLI_INPUT_HEAD_BYTES];

    if (what)
        cli_error("%s: not %s but %s", input->name, wanted, what);
    else
        cli_error("%s: not %s; it begins with \"%s\"", input->name, wanted,
                  cli_text_escape((const char *)input->head, input->head_bytes < 16 ? input->head_bytes : 16, head, sizeof head));
    return CLI_FAILED;
}
