/* fuzz_cli_names.c - text from servers and captures, through everything that shows it or makes a file name of it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_name.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void escaped_text_has_no_control_characters(const char *text, size_t len, size_t room)
{
    char out[512];

    cli_text_escape(text, len, out, room);
    must(strlen(out) < room, "escaped text is longer than its room");
    for (const char *p = out; *p; p++)
        must((unsigned char)*p >= 0x20 && *p != 0x7f, "a control character is left");
}

static void utf8_is_its_own_image(const char *text, size_t len)
{
    char once[512], twice[512];

    cli_text_utf8(text, len, once, sizeof once);
    cli_text_utf8(once, strlen(once), twice, sizeof twice);
    must(strcmp(once, twice) == 0, "repaired text is not valid");
}

static void file_names_are_safe(const char *text, size_t len)
{
    char header[600], name[CLI_FILE_NAME_SIZE], numbered[CLI_FILE_NAME_SIZE];

    snprintf(header, sizeof header, "attachment; filename=%.*s", (int)(len < 500 ? len : 500), text);
    cli_file_name_from_header(header, "capture.trace", name);
    must(name[0] && name[0] != '.' && name[0] != '-' && !strchr(name, '/'), "not a safe name");
    must(cli_file_name_numbered(name, 1000, numbered), "no room for a number");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    escaped_text_has_no_control_characters(text, size, 512);
    escaped_text_has_no_control_characters(text, size, 8);
    utf8_is_its_own_image(text, size);
    file_names_are_safe(text, size);
    return 0;
}
