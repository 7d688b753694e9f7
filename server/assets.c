/* assets.c - serving files: from the table by exact match, so that no path can lead elsewhere; or, while developing, from a directory. */
#include "assets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 8 << 20, PATH_MAX_CHARS = 255 };

static void reply_none(struct ttap__request *req)
{
    ttap__reply_error(req, 404, "not_found", NULL, NULL, "no such file");
}

static const char *or_index(const char *path)
{
    return path && *path ? path : "index.html";
}

/* ---- From the table ---- */

/* Whether a comma-separated header lists @word; what follows a ';' is handed back in *@params. */
static bool lists(const char *header, const char *word, const char **params, size_t *params_len)
{
    size_t word_len = strlen(word);
    while (header && *header) {
        header += strspn(header, ", \t");
        size_t len = strcspn(header, ",;"), all = strcspn(header, ",");
        while (len && (header[len - 1] == ' ' || header[len - 1] == '\t'))
            len--;
        if (len == word_len && strncasecmp(header, word, len) == 0) {
            *params = header + len;
            *params_len = all - len;
            return true;
        }
        header += all;
    }
    return false;
}

/* "gzip;q=0" is a refusal. */
static bool is_zero_quality(const char *params, size_t len)
{
    bool zero = false;
    for (size_t i = 0; i + 1 < len; i++)
        if ((params[i] == 'q' || params[i] == 'Q') && params[i + 1] == '=')
            zero = true;
    for (size_t i = 0; i < len; i++)
        zero = zero && !(params[i] >= '1' && params[i] <= '9');
    return zero;
}

static bool takes_gzip(const struct ttap__request *req)
{
    const char *params;
    size_t len;
    return lists(ttap__request_header(req, "Accept-Encoding"), "gzip", &params, &len) && !is_zero_quality(params, len);
}

/* Compared weakly, as caches do: "W/" in front makes no difference. */
static bool has_it(const struct ttap__request *req, const struct ttap__asset *asset)
{
    char weak[80] = "W/";
    const char *held = ttap__request_header(req, "If-None-Match"), *params;
    size_t len;
    strncat(weak, asset->etag, sizeof weak - 3);
    return lists(held, "*", &params, &len) || lists(held, asset->etag, &params, &len) || lists(held, weak, &params, &len);
}

static const struct ttap__asset *find(const struct ttap__assets *assets, const char *path)
{
    for (size_t i = 0; i < assets->count; i++)
        if (strcmp(assets->items[i].path, path) == 0)
            return &assets->items[i];
    return NULL;
}

/* The tag is weak: it stands for both encodings. */
static void reply_asset(struct ttap__request *req, const struct ttap__asset *asset)
{
    char tag[80] = "W/";
    bool gzip = asset->gzip && takes_gzip(req);
    strncat(tag, asset->etag, sizeof tag - 3);
    const struct ttap__header extra[] = {
        {"ETag", tag}, {"Cache-Control", "no-cache"}, {"Vary", "Accept-Encoding"}, {gzip ? "Content-Encoding" : NULL, "gzip"}, {NULL, NULL}};
    const struct ttap__header unchanged[] = {extra[0], extra[1], extra[2], {NULL, NULL}};
    if (has_it(req, asset))
        ttap__reply(req, 304, NULL, "", 0, unchanged);
    else if (gzip)
        ttap__reply(req, 200, asset->mime, asset->gzip, asset->gzip_len, extra);
    else
        ttap__reply(req, 200, asset->mime, asset->bytes, asset->len, extra);
}

void ttap__assets_reply(struct ttap__request *req, const struct ttap__assets *assets, const char *path)
{
    const struct ttap__asset *asset = find(assets, or_index(path));
    if (asset)
        reply_asset(req, asset);
    else
        reply_none(req);
}

/* ---- From a directory ---- */

static const char *mime_of(const char *path)
{
    static const char *const known[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".json", "application/json"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strcmp(dot, known[i][0]) == 0)
            return known[i][1];
    return "application/octet-stream";
}

/* One step down at a time, so that no component is "..", hidden, empty or a symbolic link. */
static int open_below(int directory, const char *path)
{
    char name[PATH_MAX_CHARS + 1];
    size_t len = strcspn(path, "/");
    bool last = !path[len];
    if (!len || len > PATH_MAX_CHARS || *path == '.')
        return -1;
    memcpy(name, path, len);
    name[len] = 0;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (last ? 0 : O_DIRECTORY));
    if (fd < 0 || last)
        return fd;
    int below = open_below(fd, path + len + 1);
    close(fd);
    return below;
}

static int open_file(const char *directory, const char *path)
{
    if (strlen(path) > PATH_MAX_CHARS) /* bounds how deep open_below() goes, too */
        return -1;
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return -1;
    int fd = open_below(top, path);
    close(top);
    return fd;
}

static char *read_file(int fd, size_t *len)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX_BYTES)
        return NULL;
    char *bytes = malloc((size_t)info.st_size + 1);
    ssize_t got = 1;
    for (*len = 0; bytes && got > 0 && *len<(size_t)info.st_size; *len += got> 0 ? (size_t)got : 0)
        do
            got = read(fd, bytes + *len, (size_t)info.st_size - *len);
        while (got < 0 && errno == EINTR);
    if (got >= 0)
        return bytes;
    free(bytes);
    return NULL;
}

void ttap__assets_reply_from(struct ttap__request *req, const char *directory, const char *path)
{
    size_t len;
    int fd = open_file(directory, or_index(path));
    char *bytes = fd >= 0 ? read_file(fd, &len) : NULL;
    if (bytes)
        ttap__reply(req, 200, mime_of(or_index(path)), bytes, len, NULL);
    else
        reply_none(req);
    free(bytes);
    if (fd >= 0)
        close(fd);
}
