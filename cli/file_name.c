/* file_name.c - the server's word is a wish. */
#include "file_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/* Where the value of the parameter filename begins, in `attachment; filename="x"`; NULL: there is none. */
static const char *find_value(const char *disposition)
{
    static const char name[] = "filename=";

    for (const char *p = strchr(disposition, ';'); p; p = strchr(p, ';')) {
        p++;
        p += strspn(p, " \t");
        if (strncasecmp(p, name, sizeof name - 1) == 0)
            return p + sizeof name - 1;
    }
    return NULL;
}

/* The value without its quotes; a folder is dropped on the way by starting again after each slash. */
static size_t copy_last_part(const char *value, char *out, size_t size)
{
    bool quoted = *value == '"';
    size_t used = 0;

    for (const char *p = value + quoted; *p && *p != (quoted ? '"' : ';'); p++) {
        if (*p == '/' || *p == '\\')
            used = 0;
        else if (used + 1 < size && (used > 0 || (*p != '.' && *p != '-')))
            out[used++] = is_safe(*p) ? *p : '_';
    }
    out[used] = 0;
    return used;
}

void cli_file_name_from_header(const char *disposition, const char *fallback, char out[CLI_FILE_NAME_SIZE])
{
    enum { ROOM_FOR_NUMBER = 12 };
    const char *value = disposition ? find_value(disposition) : NULL;

    if (!value || copy_last_part(value, out, CLI_FILE_NAME_SIZE - ROOM_FOR_NUMBER) == 0)
        snprintf(out, CLI_FILE_NAME_SIZE, "%s", fallback);
}

int cli_file_name_numbered(const char *name, unsigned number, char out[CLI_FILE_NAME_SIZE])
{
    const char *dot = strrchr(name, '.');
    size_t stem = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    int length = number <= 1 ? snprintf(out, CLI_FILE_NAME_SIZE, "%s", name)
                             : snprintf(out, CLI_FILE_NAME_SIZE, "%.*s-%u%s", (int)stem, name, number, name + stem);

    return length >= 0 && length < CLI_FILE_NAME_SIZE;
}
