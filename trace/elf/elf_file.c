/* elf_file.c - see elf_file.h. Tables are read in pieces of PIECE bytes; what does not fit the file is as if it were not there. */
#include "elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 16384u
#define PROGRAM_HEADERS_MAX 64u
#define SECTIONS_MAX 65536u
#define NOTES_BYTES_MAX 4096u

/* ---- Bytes ---- */

static bool read_fd(void *arg, uint64_t offset, void *out, size_t len)
{
    return pread((int)(intptr_t)arg, out, len, (off_t)offset) == (ssize_t)len;
}

int ttap__elf_open(const char *path, struct ttap__elf_bytes *out)
{
    struct stat st;
    int fd = -1;
    if (path[0] == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode)) /* before it is opened, which devices may take as a request */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0)) {
        close(fd);
        fd = -1;
    }
    *out = (struct ttap__elf_bytes){fd >= 0 ? (uint64_t)st.st_size : 0, read_fd, (void *)(intptr_t)fd};
    return fd;
}

void ttap__elf_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool take(const struct ttap__elf_bytes *file, uint64_t offset, void *out, size_t len)
{
    return offset <= file->size && len <= file->size - offset && file->read(file->arg, offset, out, len);
}

static bool read_header(const struct ttap__elf_bytes *file, Elf64_Ehdr *header)
{
    return take(file, 0, header, sizeof(*header)) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB;
}

static unsigned program_headers(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, Elf64_Phdr out[PROGRAM_HEADERS_MAX])
{
    unsigned count = header->e_phnum < PROGRAM_HEADERS_MAX ? header->e_phnum : PROGRAM_HEADERS_MAX;
    if (header->e_phentsize != sizeof(*out) || !take(file, header->e_phoff, out, count * sizeof(*out)))
        return 0;
    return count;
}

/* ---- Build id ---- */

static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

static size_t build_id_among(const uint8_t *notes, size_t len, uint8_t out[TTAP__BUILD_ID_BYTES_MAX])
{
    Elf64_Nhdr note;
    for (size_t at = 0; len - at >= sizeof(note);) {
        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);
        size_t name = at, description = name + padded(note.n_namesz);
        if (note.n_namesz > len || note.n_descsz > len || description > len || note.n_descsz > len - description)
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
            note.n_descsz <= TTAP__BUILD_ID_BYTES_MAX) {
            memcpy(out, notes + description, note.n_descsz);
            return note.n_descsz;
        }
        at = description + padded(note.n_descsz);
        if (at > len)
            return 0;
    }
    return 0;
}

size_t ttap__elf_build_id(const struct ttap__elf_bytes *file, uint8_t out[TTAP__BUILD_ID_BYTES_MAX])
{
    Elf64_Ehdr header;
    Elf64_Phdr program[PROGRAM_HEADERS_MAX];
    uint8_t notes[NOTES_BYTES_MAX];
    unsigned count = read_header(file, &header) ? program_headers(file, &header, program) : 0;
    for (unsigned i = 0; i < count; i++) {
        size_t len = program[i].p_filesz < sizeof(notes) ? program[i].p_filesz : sizeof(notes);
        if (program[i].p_type != PT_NOTE || !take(file, program[i].p_offset, notes, len))
            continue;
        size_t bytes = build_id_among(notes, len, out);
        if (bytes)
            return bytes;
    }
    return 0;
}

/* ---- Functions ---- */

static void read_segments(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, struct ttap__elf_functions *out)
{
    Elf64_Phdr program[PROGRAM_HEADERS_MAX];
    unsigned count = program_headers(file, header, program);
    for (unsigned i = 0; i < count && out->segments < sizeof(out->segment) / sizeof(out->segment[0]); i++)
        if (program[i].p_type == PT_LOAD)
            out->segment[out->segments++] = (struct ttap__elf_segment){program[i].p_offset, program[i].p_filesz, program[i].p_vaddr};
}

static bool section_at(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, uint32_t index, Elf64_Shdr *out)
{
    return index < header->e_shnum && index < SECTIONS_MAX && header->e_shentsize == sizeof(*out) &&
           take(file, header->e_shoff + (uint64_t)index * sizeof(*out), out, sizeof(*out));
}

/* .symtab has all functions; where it was stripped, .dynsym has the exported ones. */
static bool find_table(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, uint32_t type, Elf64_Shdr *table)
{
    for (uint32_t i = 0; i < header->e_shnum; i++)
        if (section_at(file, header, i, table) && table->sh_type == type && table->sh_entsize == sizeof(Elf64_Sym) &&
            table->sh_size >= sizeof(Elf64_Sym) && table->sh_offset <= file->size && table->sh_size <= file->size - table->sh_offset)
            return true;
    return false;
}

static bool is_function(const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF && symbol->st_value && symbol->st_name;
}

static int add_function(struct ttap__elf_functions *out, size_t max_bytes, const Elf64_Sym *symbol)
{
    if (out->count == out->room) {
        size_t room = out->room ? out->room * 2 : 512;
        if (room * sizeof(*out->at) > max_bytes)
            return -EFBIG;
        struct ttap__elf_function *grown = realloc(out->at, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        out->at = grown;
        out->room = room;
    }
    uint64_t end = symbol->st_value + symbol->st_size;
    out->at[out->count++] = (struct ttap__elf_function){symbol->st_value, end < symbol->st_value ? UINT64_MAX : end, symbol->st_name};
    return 0;
}

static int read_table(const struct ttap__elf_bytes *file, const Elf64_Shdr *table, size_t max_bytes, struct ttap__elf_functions *out)
{
    Elf64_Sym piece[PIECE / sizeof(Elf64_Sym)];
    uint64_t left = table->sh_size / sizeof(*piece), offset = table->sh_offset;
    while (left) {
        size_t count = left < sizeof(piece) / sizeof(*piece) ? (size_t)left : sizeof(piece) / sizeof(*piece);
        if (!take(file, offset, piece, count * sizeof(*piece)))
            return -ENOEXEC;
        for (size_t i = 0; i < count; i++) {
            int error = is_function(&piece[i]) ? add_function(out, max_bytes, &piece[i]) : 0;
            if (error)
                return error;
        }
        offset += count * sizeof(*piece);
        left -= count;
    }
    return out->count ? 0 : -ENOEXEC;
}

static int by_start(const void *a, const void *b)
{
    const struct ttap__elf_function *one = a, *other = b;
    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    if (one->end != other->end)
        return one->end < other->end ? -1 : 1;
    return (one->name < other->name) - (one->name > other->name); /* so that which of two names is shown does not depend on the sort */
}

/* Assembly has functions without a size: they reach as far as the next one. */
static void stretch(struct ttap__elf_functions *out)
{
    for (size_t i = 0; i + 1 < out->count; i++)
        if (out->at[i].end == out->at[i].start)
            out->at[i].end = out->at[i + 1].start;
}

int ttap__elf_functions_read(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out)
{
    Elf64_Ehdr header;
    Elf64_Shdr table, names;
    *out = (struct ttap__elf_functions){0};
    if (!read_header(file, &header))
        return -ENOEXEC;
    read_segments(file, &header, out);
    if (!find_table(file, &header, SHT_SYMTAB, &table) && !find_table(file, &header, SHT_DYNSYM, &table))
        return -ENOEXEC;
    if (!section_at(file, &header, table.sh_link, &names) || names.sh_type != SHT_STRTAB || names.sh_offset > file->size ||
        names.sh_size > file->size - names.sh_offset)
        return -ENOEXEC;
    out->names_offset = names.sh_offset;
    out->names_size = names.sh_size;
    int error = read_table(file, &table, max_bytes, out);
    if (error) {
        ttap__elf_functions_free(out);
        return error;
    }
    qsort(out->at, out->count, sizeof(*out->at), by_start);
    stretch(out);
    return 0;
}

void ttap__elf_functions_free(struct ttap__elf_functions *functions)
{
    free(functions->at);
    *functions = (struct ttap__elf_functions){0};
}

bool ttap__elf_address(const struct ttap__elf_functions *functions, uint64_t offset, uint64_t *address)
{
    for (unsigned i = 0; i < functions->segments; i++) {
        const struct ttap__elf_segment *s = &functions->segment[i];
        if (offset >= s->offset && offset - s->offset < s->file_size) {
            *address = s->address + (offset - s->offset);
            return true;
        }
    }
    return false;
}

const struct ttap__elf_function *ttap__elf_function_at(const struct ttap__elf_functions *functions, uint64_t address)
{
    size_t low = 0, high = functions->count; /* the last that starts at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (functions->at[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    const struct ttap__elf_function *found = &functions->at[low - 1];
    return address < found->end ? found : NULL;
}

void ttap__elf_name(const struct ttap__elf_bytes *file, const struct ttap__elf_functions *functions, const struct ttap__elf_function *function,
                    char out[TTAP__ELF_NAME_BYTES])
{
    uint64_t left = function->name < functions->names_size ? functions->names_size - function->name : 0;
    size_t len = left < TTAP__ELF_NAME_BYTES - 1 ? (size_t)left : TTAP__ELF_NAME_BYTES - 1;
    memset(out, 0, TTAP__ELF_NAME_BYTES);
    if (!take(file, functions->names_offset + function->name, out, len))
        out[0] = 0;
}
