/* writer.c - the parts of the native format that are not events. */
#include "writer.h"

#include <string.h>

void ttap__out_bytes_of(struct ttap__out *out, const void *bytes, size_t len)
{
    if (!len || !ttap__out_room(out, len))
        return;
    memcpy(out->at, bytes, len);
    out->at += len;
}

void ttap__out_string(struct ttap__out *out, const char *text, size_t len)
{
    ttap__out_varint(out, len);
    ttap__out_bytes_of(out, text, len);
}

void ttap__out_preamble(struct ttap__out *out)
{
    ttap__out_bytes_of(out, TTAP__WIRE_MAGIC, 8);
    static const unsigned char version[8] = {TTAP__WIRE_MAJOR, 0, TTAP__WIRE_MINOR, 0, 0, 0, 0, 0};
    ttap__out_bytes_of(out, version, sizeof(version));
}

void ttap__block_head(unsigned char head[TTAP__WIRE_BLOCK_HEAD_BYTES], enum ttap__block type, size_t payload_bytes)
{
    head[0] = (unsigned char)type;
    head[1] = 'T';
    head[2] = 'T';
    head[3] = 'B';
    for (int i = 0; i < 4; i++)
        head[4 + i] = (unsigned char)(payload_bytes >> (8 * i));
}

size_t ttap__out_block_open(struct ttap__out *out, enum ttap__block type)
{
    size_t opened = ttap__out_bytes(out);
    unsigned char head[TTAP__WIRE_BLOCK_HEAD_BYTES];
    ttap__block_head(head, type, 0);
    ttap__out_bytes_of(out, head, sizeof(head));
    return opened;
}

void ttap__out_block_close(struct ttap__out *out, size_t opened)
{
    if (out->full)
        return;
    unsigned char *head = out->start + opened;
    ttap__block_head(head, (enum ttap__block)head[0], ttap__out_bytes(out) - opened - TTAP__WIRE_BLOCK_HEAD_BYTES);
}

/* Text behind text: a table of pointers would be 80 relocations at each start of the program. */
static const unsigned char kind_numbers[] = {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) number,
#include "events.def"
#undef TTAP_KIND
};
static const char kind_names_and_fields[] =
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) name "\0" fields "\0"
#include "events.def"
#undef TTAP_KIND
    ;

static const char *out_text(struct ttap__out *out, const char *text)
{
    size_t len = strlen(text);
    ttap__out_string(out, text, len);
    return text + len + 1;
}

void ttap__out_kind_table(struct ttap__out *out)
{
    const char *at = kind_names_and_fields;
    ttap__out_varint(out, sizeof(kind_numbers));
    for (size_t i = 0; i < sizeof(kind_numbers); i++) {
        ttap__out_varint(out, kind_numbers[i]);
        at = out_text(out, at);
        at = out_text(out, at);
    }
}
