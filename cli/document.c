/* document.c - what the viewer reads.
 *
 *      input --> (inflate) --> native? convert --> temporary file, unlinked: gone with us, however we end
 *                         `--> JSON?  as it is -^
 *
 * The file's first line holds "capture" and its last line "end" (docs/format.md section 7), so these two are all that
 * is parsed here, whatever the length.
 */
#define _GNU_SOURCE
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli.h"
#include "convert.h"
#include "kinds.h"
#include "output.h"
#include "tally.h"
#include "text.h"

enum {
    PIECE_BYTES = 65536,
    HEAD_MAX = 1 << 20,   /* "capture" with its notes: the native header it comes from is no longer */
    TAIL_MAX = 1 << 16,   /* "end" has a fixed set of figures and one sentence */
    GZIP_WINDOW = 15 + 16 /* zlib: the largest window, and a gzip header is expected */
};

/* ---- Where the bytes go ---- */

struct maker {
    struct cli_document *document;
    const char *name; /* for messages */
    const struct cli_lines_wish *wish;
    struct ttap__convert *convert; /* native input; else NULL and bytes are copied */
    struct cli_tally *header;      /* of native input: says what is wrong with a header that is not whole */
    struct cli_lines *lines;
    bool decided;
    unsigned char head[sizeof TTAP__WIRE_MAGIC - 1]; /* kept until there are enough to decide by */
    size_t head_bytes;
    bool cut; /* the input was damaged or ended early */
};

enum { SAID = 1 /* failed, and already reported */ };

static const char *temporary_folder(void)
{
    const char *dir = getenv("TMPDIR");

    return dir && *dir ? dir : "/tmp";
}

static int say_no_room(int error)
{
    cli_error("the temporary file in %s: %s (TMPDIR names another folder)", temporary_folder(), strerror(-error));
    return SAID;
}

static int make_file(void)
{
    const char *dir = temporary_folder();
    char name[4096];

    if (snprintf(name, sizeof name, "%s/tracetap-view-XXXXXX", dir) >= (int)sizeof name)
        return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(name);
    return fd;
}

static int write_file(void *arg, const void *bytes, size_t len)
{
    struct cli_document *document = arg;

    document->bytes += len;
    int result = cli_write_all(document->fd, bytes, len);
    return result ? say_no_room(result) : 0;
}

static int pass_on(struct maker *maker, const void *bytes, size_t len)
{
    if (maker->cut || len == 0)
        return 0;
    if (!maker->convert)
        return write_file(maker->document, bytes, len);
    if (maker->document->bytes == 0) /* nothing is written before the header was whole */
        cli_tally_feed(maker->header, bytes, len);
    int result = ttap__convert_feed(maker->convert, bytes, len);
    maker->cut = result == -EBADMSG;
    return maker->cut ? 0 : result;
}

/* Native or JSON: the first eight bytes tell. */
static int decide(struct maker *maker)
{
    maker->decided = true;
    if (maker->head_bytes == sizeof maker->head && memcmp(maker->head, TTAP__WIRE_MAGIC, sizeof maker->head) == 0) {
        maker->convert = ttap__convert_new("json", write_file, maker->document);
        if (!maker->convert)
            return -ENOMEM;
        ttap__convert_may_hold(maker->convert, CLI_CONVERT_BYTES_MAX);
        maker->header = cli_tally_new();
        maker->lines = cli_lines_new(maker->wish);
        if (maker->lines)
            ttap__convert_lines(maker->convert, cli_lines_find, maker->lines);
    }
    return pass_on(maker, maker->head, maker->head_bytes);
}

static int take(struct maker *maker, const unsigned char *bytes, size_t len)
{
    maker->document->source_bytes += len;
    while (!maker->decided && len > 0) {
        maker->head[maker->head_bytes++] = *bytes++;
        len--;
        if (maker->head_bytes == sizeof maker->head) {
            int result = decide(maker);
            if (result != 0)
                return result;
        }
    }
    return pass_on(maker, bytes, len);
}

static int say_unreadable(const struct maker *maker)
{
    const struct ttap__stat_result *result = cli_tally_finish(maker->header);

    cli_error("%s: %s", maker->name, result && result->problem[0] ? result->problem : strerror(EBADMSG));
    return SAID;
}

static int finish(struct maker *maker)
{
    int result = maker->decided ? 0 : decide(maker);

    if (result == 0 && maker->convert)
        result = ttap__convert_finish(maker->convert);
    if (result == -EBADMSG)
        result = say_unreadable(maker);
    ttap__convert_free(maker->convert);
    cli_tally_free(maker->header);
    cli_lines_free(maker->lines);
    return result;
}

/* ---- Where they come from ---- */

static int copy_plain(struct cli_input *input, struct maker *maker)
{
    unsigned char bytes[PIECE_BYTES];
    ssize_t count;
    int result = 0;

    while (result == 0 && (count = cli_input_read(input, bytes, sizeof bytes)) > 0)
        result = take(maker, bytes, (size_t)count);
    return result ? result : (int)count;
}

/* One piece of compressed bytes. -EBADMSG: it is damaged. *@ended: a member of the file is over; another may follow. */
static int inflate_piece(z_stream *stream, struct maker *maker, bool *ended)
{
    unsigned char out[PIECE_BYTES];

    do {
        stream->next_out = out;
        stream->avail_out = sizeof out;
        if (*ended)
            inflateReset(stream);
        int status = inflate(stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return status == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        *ended = status == Z_STREAM_END;
        int result = take(maker, out, sizeof out - stream->avail_out);
        if (result != 0)
            return result;
    } while (stream->avail_in > 0 || stream->avail_out == 0);
    return 0;
}

static int copy_inflated(struct cli_input *input, struct maker *maker)
{
    unsigned char in[PIECE_BYTES];
    z_stream stream = {0};
    bool ended = false;
    ssize_t count = 0;
    int result = inflateInit2(&stream, GZIP_WINDOW) == Z_OK ? 0 : -ENOMEM;

    while (result == 0 && (count = cli_input_read(input, in, sizeof in)) > 0) {
        stream.next_in = in;
        stream.avail_in = (unsigned)count;
        result = inflate_piece(&stream, maker, &ended);
    }
    inflateEnd(&stream);
    if (result == -EBADMSG || (result == 0 && count == 0 && !ended)) {
        cli_error("warning: %s: its gzip data is %s; what came before is shown", maker->name, result ? "damaged" : "cut");
        result = 0;
    }
    return result ? result : (int)count;
}

/* ---- What it says of itself ---- */

static json_t *read_object(const struct cli_document *document, uint64_t offset, size_t max, bool last, const char *key)
{
    char *bytes = malloc(max + 1);
    ssize_t count = bytes ? pread(document->fd, bytes, max, (off_t)offset) : -1;
    json_t *object = NULL;

    if (count > 0) {
        char *found = NULL;
        bytes[count] = 0;
        for (char *p = bytes; (p = strstr(p, key)); p++) {
            found = p;
            if (!last)
                break;
        }
        if (found)
            object = json_loads(found + strlen(key), JSON_DISABLE_EOF_CHECK, NULL);
    }
    free(bytes);
    return object;
}

/* Inside a document's strings quotes are escaped, so these keys cannot be found in one. */
static bool describe(struct cli_document *document)
{
    static const char start[] = "{\"format\":\"tracetap\"";
    char head[sizeof start] = "";
    uint64_t tail_at = document->bytes > TAIL_MAX ? document->bytes - TAIL_MAX : 0;

    if (pread(document->fd, head, sizeof start - 1, 0) != sizeof start - 1 || strcmp(head, start) != 0)
        return false;
    document->capture = read_object(document, 0, HEAD_MAX, false, "\"capture\":");
    document->end = read_object(document, tail_at, TAIL_MAX, true, "\"end\":");
    return json_is_object(document->capture);
}

static int convert(struct cli_document *document, struct cli_input *input, const struct cli_lines_wish *wish)
{
    struct maker maker = {.document = document, .name = input->name, .wish = wish};
    int result = cli_input_kind(input) == CLI_INPUT_GZIP ? copy_inflated(input, &maker) : copy_plain(input, &maker);
    int finished = finish(&maker);

    return result ? result : finished;
}

int cli_document_make(struct cli_document *document, struct cli_input *input, const struct cli_lines_wish *wish)
{
    enum cli_input_kind kind = cli_input_kind(input);

    *document = (struct cli_document){.fd = -1};
    if (kind == CLI_INPUT_EMPTY || kind == CLI_INPUT_FOREIGN)
        return cli_input_refuse(input, "a tracetap capture or document");
    document->fd = make_file();
    int result = document->fd < 0 ? say_no_room(document->fd) : convert(document, input, wish);
    if (result == 0 && describe(document))
        return CLI_OK;
    if (result == 0)
        cli_error("%s: not a tracetap capture or document%s", input->name,
                  kind == CLI_INPUT_JSON   ? ", though it is JSON"
                  : kind == CLI_INPUT_GZIP ? ", though compressed with gzip"
                                           : "");
    else if (result != SAID)
        cli_error("%s: %s", input->name, strerror(-result));
    cli_document_free(document);
    return CLI_FAILED;
}

void cli_document_free(struct cli_document *document)
{
    if (document->fd >= 0)
        close(document->fd);
    json_decref(document->capture);
    json_decref(document->end);
    *document = (struct cli_document){.fd = -1};
}
