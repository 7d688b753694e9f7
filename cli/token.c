/* token.c - see token.h. */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

bool cli_token_read(const char *name, char token[CLI_TOKEN_SIZE])
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, token, CLI_TOKEN_BYTES_MAX + 1) : -1;

    if (count < 0) {
        cli_error("%s: %s", name, strerror(errno));
    } else {
        token[count] = 0;
        token[strcspn(token, "\r\n")] = 0;
    }
    if (fd >= 0)
        close(fd);
    if (count < 0)
        return false;
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p > '~')
            token[0] = 0;
    if (token[0] && strlen(token) <= CLI_TOKEN_BYTES_MAX)
        return true;
    cli_error("%s: must hold a token of 1 to %d visible ASCII characters", name, CLI_TOKEN_BYTES_MAX);
    return false;
}
