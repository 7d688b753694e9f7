/* token.c - the bearer token: read from a file that only its owner can read, compared in constant time.
 *
 * Both sides are padded with zeros to the same TTAP__TOKEN_MAX bytes and all of them are compared, so the time tells neither where the
 * first difference is nor how long the right token is. Comparing digests instead would need a hash of our own and add nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static int check_file(int fd, const char *path, char *error, size_t error_size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return ttap__say(error, error_size, -errno, "token file %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return ttap__say(error, error_size, -EINVAL, "token file %s is not a regular file", path);
    if (info.st_uid != geteuid() && info.st_uid != 0)
        return ttap__say(error, error_size, -EPERM, "token file %s belongs to user %u; allowed is the service's own user or root", path,
                         (unsigned)info.st_uid);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return ttap__say(error, error_size, -EPERM, "token file %s has mode %04o; others than its owner must not reach it: chmod 600", path,
                         (unsigned)info.st_mode & 07777);
    return 0;
}

static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, out + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static int take(struct ttap__server *server, const char *text, size_t len, const char *path, char *error, size_t error_size)
{
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    if (len < TTAP__TOKEN_MIN || len > TTAP__TOKEN_MAX)
        return ttap__say(error, error_size, -EINVAL, "token file %s holds a token of %zu characters%s; allowed is %d to %d", path, len,
                         len > TTAP__TOKEN_MAX ? " or more" : "", TTAP__TOKEN_MIN, TTAP__TOKEN_MAX);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return ttap__say(error, error_size, -EINVAL, "token file %s: character %zu is not a printable ASCII character", path, i + 1);
    memcpy(server->token, text, len);
    server->token_len = len;
    return 0;
}

int ttap__token_load(struct ttap__server *server, const char *path, char *error, size_t error_size)
{
    char text[TTAP__TOKEN_MAX + 64]; /* room for blanks at its end, and to see that there is too much */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ttap__say(error, error_size, -errno, "token file %s: %s", path, strerror(errno));
    int result = check_file(fd, path, error, error_size);
    if (!result) {
        ssize_t len = read_all(fd, text, sizeof text);
        result = len < 0 ? ttap__say(error, error_size, (int)len, "token file %s: %s", path, strerror((int)-len))
                         : take(server, text, (size_t)len, path, error, error_size);
    }
    close(fd);
    explicit_bzero(text, sizeof text);
    return result;
}

static bool same_padded(const char *a, const char *b)
{
    const volatile unsigned char *left = (const volatile unsigned char *)a, *right = (const volatile unsigned char *)b;
    unsigned char difference = 0;
    for (size_t i = 0; i < TTAP__TOKEN_MAX; i++)
        difference |= left[i] ^ right[i];
    return difference == 0;
}

bool ttap__token_matches(const struct ttap__server *server, const char *authorization)
{
    char given[TTAP__TOKEN_MAX] = {0};
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    size_t len = strlen(authorization + 7);
    bool fits = len <= TTAP__TOKEN_MAX;
    memcpy(given, authorization + 7, fits ? len : TTAP__TOKEN_MAX);
    bool same = same_padded(given, server->token);
    explicit_bzero(given, sizeof given);
    return same && fits;
}
