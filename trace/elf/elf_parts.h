/* elf_parts.h - what elf_file.c and elf_symbols.c both read. */
#ifndef TTAP_ELF_ELF_PARTS_H
#define TTAP_ELF_ELF_PARTS_H

#include <elf.h>

#include "elf_file.h"

#define TTAP__PROGRAM_HEADERS_MAX 64u

/* Bytes that are there; false: not all of them. */
bool ttap__elf_take(const struct ttap__elf_bytes *file, uint64_t offset, void *out, size_t len);
bool ttap__elf_header(const struct ttap__elf_bytes *file, Elf64_Ehdr *header);
/* How many there are. */
unsigned ttap__elf_program_headers(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, Elf64_Phdr out[TTAP__PROGRAM_HEADERS_MAX]);

#endif
