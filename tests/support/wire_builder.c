#include "wire_builder.h"

#include <stdlib.h>
#include <string.h>

void wire_free(struct wire *wire)
{
    free(wire->bytes);
    memset(wire, 0, sizeof *wire);
}

void wire_bytes(struct wire *wire, const void *bytes, size_t len)
{
    if (wire->len + len > wire->room) {
        wire->room = (wire->len + len) * 2 + 256;
        wire->bytes = realloc(wire->bytes, wire->room);
        if (!wire->bytes)
            abort();
    }
    if (len)
        memcpy(wire->bytes + wire->len, bytes, len);
    wire->len += len;
}

void wire_u8(struct wire *wire, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    wire_bytes(wire, &byte, 1);
}

void wire_fixed64(struct wire *wire, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        wire_u8(wire, (unsigned)(value >> (8 * i)) & 0xff);
}

void wire_varint(struct wire *wire, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        wire_u8(wire, (unsigned)(value & 0x7f) | 0x80);
    wire_u8(wire, (unsigned)value);
}

void wire_zigzag(struct wire *wire, uint64_t value)
{
    wire_varint(wire, (value >> 63) ? ~(value << 1) : value << 1);
}

void wire_string(struct wire *wire, const void *bytes, size_t len)
{
    wire_varint(wire, len);
    wire_bytes(wire, bytes, len);
}

void wire_text(struct wire *wire, const char *text)
{
    wire_string(wire, text, strlen(text));
}

void wire_preamble(struct wire *wire, unsigned major, unsigned minor)
{
    const uint8_t numbers[8] = {(uint8_t)major, (uint8_t)(major >> 8), (uint8_t)minor, (uint8_t)(minor >> 8)};
    wire_bytes(wire, "TRACETAP", 8);
    wire_bytes(wire, numbers, 8);
}

void wire_block_open(struct wire *wire, unsigned type)
{
    wire->block_at = wire->len;
    wire_u8(wire, type);
    wire_bytes(wire, "TTB\0\0\0\0", 7);
}

void wire_block_close(struct wire *wire)
{
    size_t payload = wire->len - wire->block_at - 8;
    for (int i = 0; i < 4; i++)
        wire->bytes[wire->block_at + 4 + (size_t)i] = (uint8_t)(payload >> (8 * i));
}

static const struct {
    unsigned number;
    const char *name, *fields;
} kinds[] = {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) {number, name, fields},
#include "events.def"
#undef TTAP_KIND
};

unsigned wire_kinds_count(void)
{
    return sizeof kinds / sizeof kinds[0];
}

void wire_kind_table(struct wire *wire)
{
    for (unsigned i = 0; i < wire_kinds_count(); i++) {
        wire_varint(wire, kinds[i].number);
        wire_text(wire, kinds[i].name);
        wire_text(wire, kinds[i].fields);
    }
}

void wire_plain_header(struct wire *wire)
{
    wire_block_open(wire, 1);
    wire_u8(wire, 2);
    wire_varint(wire, 1000000000); /* ticks per second */
    for (int i = 0; i < 3; i++)
        wire_varint(wire, 0);      /* base on the three clocks */
    wire_varint(wire, 1000000000); /* duration */
    wire_varint(wire, 63);         /* groups */
    wire_varint(wire, 71);         /* pid */
    wire_varint(wire, 4);          /* cpus */
    wire_varint(wire, 64 << 20);   /* budget */
    wire_text(wire, "svc");
    wire_text(wire, "");
    wire_text(wire, "wire_builder");
    wire_varint(wire, wire_kinds_count());
    wire_kind_table(wire);
    wire_varint(wire, 0); /* notes */
    wire_block_close(wire);
}
