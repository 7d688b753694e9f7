/* writer.h - bytes of the native format, docs/format.md. Writes into memory that the caller owns; allocates nothing.
 *
 * A struct ttap__out is a window into a buffer. Writing past its end sets `full` and writes nothing more, so that callers check once, at
 * the end.
 */
#ifndef TTAP_WIRE_WRITER_H
#define TTAP_WIRE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

struct ttap__out {
    unsigned char *start, *at, *end;
    bool full;
};

static inline struct ttap__out ttap__out_of(void *buffer, size_t bytes)
{
    unsigned char *start = buffer;
    return (struct ttap__out){start, start, start + bytes, false};
}

static inline size_t ttap__out_bytes(const struct ttap__out *out)
{
    return (size_t)(out->at - out->start);
}

/* The longest varint; where this much room is left no check is needed. */
#define TTAP__VARINT_BYTES_MAX 10

/* Without a check, for the packer, which made sure of the room beforehand. */
static inline unsigned char *ttap__write_varint(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

static inline uint64_t ttap__zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline bool ttap__out_room(struct ttap__out *out, size_t bytes)
{
    if ((size_t)(out->end - out->at) >= bytes && !out->full)
        return true;
    out->full = true;
    return false;
}

static inline void ttap__out_u8(struct ttap__out *out, unsigned value)
{
    if (ttap__out_room(out, 1))
        *out->at++ = (unsigned char)value;
}

static inline void ttap__out_varint(struct ttap__out *out, uint64_t value)
{
    if (ttap__out_room(out, TTAP__VARINT_BYTES_MAX))
        out->at = ttap__write_varint(out->at, value);
}

static inline void ttap__out_zigzag(struct ttap__out *out, int64_t value)
{
    ttap__out_varint(out, ttap__zigzag(value));
}

void ttap__out_bytes_of(struct ttap__out *out, const void *bytes, size_t len);
void ttap__out_string(struct ttap__out *out, const char *text, size_t len);

/* ---- Blocks ---- */

/* Preamble of a capture: TTAP__WIRE_PREAMBLE_BYTES. */
void ttap__out_preamble(struct ttap__out *out);

/* Head of a block whose payload will be @payload_bytes long, into 8 bytes. */
void ttap__block_head(unsigned char head[TTAP__WIRE_BLOCK_HEAD_BYTES], enum ttap__block type, size_t payload_bytes);

/* A block written in place: open it, write the payload, close it (which fills in the length). */
size_t ttap__out_block_open(struct ttap__out *out, enum ttap__block type);
void ttap__out_block_close(struct ttap__out *out, size_t opened);

/* The kind table, as the HEADER block carries it: count, then rows. */
void ttap__out_kind_table(struct ttap__out *out);

#endif
