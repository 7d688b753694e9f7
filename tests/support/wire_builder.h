/* wire_builder.h - writes bytes of the native format for tests, from docs/format.md alone.
 *
 * Shares nothing with the engine's writer, so that one mistake cannot hide in both, and lets a test write what no engine would. */
#ifndef TTAP_TEST_WIRE_BUILDER_H
#define TTAP_TEST_WIRE_BUILDER_H

#include <stddef.h>
#include <stdint.h>

struct wire {
    uint8_t *bytes;
    size_t len, room;
    size_t block_at; /* where the open block's head is */
};

void wire_free(struct wire *wire);
void wire_bytes(struct wire *wire, const void *bytes, size_t len);
void wire_u8(struct wire *wire, unsigned value);
void wire_fixed64(struct wire *wire, uint64_t value);
void wire_varint(struct wire *wire, uint64_t value);
void wire_zigzag(struct wire *wire, uint64_t value); /* of the number as a signed one */
void wire_string(struct wire *wire, const void *bytes, size_t len);
void wire_text(struct wire *wire, const char *text);

void wire_preamble(struct wire *wire, unsigned major, unsigned minor);
void wire_block_open(struct wire *wire, unsigned type);
void wire_block_close(struct wire *wire);

/* A header as a capture of version 1.0 has it: the monotonic clock from 0, and all kinds. */
void wire_plain_header(struct wire *wire);
void wire_kind_table(struct wire *wire); /* the rows without their count */
unsigned wire_kinds_count(void);

#endif
