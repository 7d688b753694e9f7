/* elf_symbols.c - tables of symbols; see elf_file.h. They are read in pieces of PIECE bytes; what does not fit the file is as if it were not there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf_parts.h"

#define PIECE 16384u
#define SECTIONS_MAX 65536u
#define PAGE UINT64_C(4096)

/* ---- Where it is loaded ---- */

static void read_segments(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, struct ttap__elf_functions *out)
{
    Elf64_Phdr program[TTAP__PROGRAM_HEADERS_MAX];
    unsigned count = ttap__elf_program_headers(file, header, program);
    for (unsigned i = 0; i < count && out->segments < sizeof(out->segment) / sizeof(out->segment[0]); i++)
        if (program[i].p_type == PT_LOAD)
            out->segment[out->segments++] = (struct ttap__elf_segment){.offset = program[i].p_offset,
                                                                       .file_size = program[i].p_filesz,
                                                                       .address = program[i].p_vaddr,
                                                                       .memory_size = program[i].p_memsz,
                                                                       .executable = program[i].p_flags & PF_X};
}

bool ttap__elf_segments_read(const struct ttap__elf_bytes *file, struct ttap__elf_functions *out)
{
    Elf64_Ehdr header;
    *out = (struct ttap__elf_functions){0};
    if (ttap__elf_header(file, &header))
        read_segments(file, &header, out);
    return out->segments != 0;
}

/* How far above its own addresses the file is mapped. The mapping begins on a page, the segment maybe behind that. */
static bool distance_of(const struct ttap__elf_functions *functions, const struct ttap__elf_code *code, uint64_t *distance)
{
    for (unsigned i = 0; i < functions->segments; i++) {
        const struct ttap__elf_segment *s = &functions->segment[i];
        if (s->executable && code->offset >= (s->offset & ~(PAGE - 1)) && code->offset < s->offset + s->file_size) {
            *distance = code->start - (s->address + code->offset - s->offset);
            return true;
        }
    }
    return false;
}

bool ttap__elf_address_loaded(const struct ttap__elf_functions *functions, const struct ttap__elf_code *code, uint64_t loaded, uint64_t *address)
{
    uint64_t distance;
    if (!distance_of(functions, code, &distance))
        return false;
    *address = loaded - distance;
    for (unsigned i = 0; i < functions->segments; i++)
        if (*address - functions->segment[i].address < functions->segment[i].memory_size)
            return true;
    return false;
}

/* ---- Tables of symbols ---- */

static bool section_at(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, uint32_t index, Elf64_Shdr *out)
{
    return index < header->e_shnum && index < SECTIONS_MAX && header->e_shentsize == sizeof(*out) &&
           ttap__elf_take(file, header->e_shoff + (uint64_t)index * sizeof(*out), out, sizeof(*out));
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

/* Of a size that is told: what lies behind it is not known to be its own. */
static bool is_variable(const Elf64_Sym *symbol)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT && symbol->st_shndx != SHN_UNDEF && symbol->st_value && symbol->st_name && symbol->st_size;
}

typedef bool (*wanted_fn)(const Elf64_Sym *symbol);

static int add_symbol(struct ttap__elf_functions *out, size_t max_bytes, const Elf64_Sym *symbol)
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

static int read_table(const struct ttap__elf_bytes *file, const Elf64_Shdr *table, wanted_fn is_wanted, size_t max_bytes,
                      struct ttap__elf_functions *out)
{
    Elf64_Sym piece[PIECE / sizeof(Elf64_Sym)];
    uint64_t left = table->sh_size / sizeof(*piece), offset = table->sh_offset;
    while (left) {
        size_t count = left < sizeof(piece) / sizeof(*piece) ? (size_t)left : sizeof(piece) / sizeof(*piece);
        if (!ttap__elf_take(file, offset, piece, count * sizeof(*piece)))
            return -ENOEXEC;
        for (size_t i = 0; i < count; i++) {
            int error = is_wanted(&piece[i]) ? add_symbol(out, max_bytes, &piece[i]) : 0;
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

static int read_symbols(const struct ttap__elf_bytes *file, wanted_fn is_wanted, size_t max_bytes, struct ttap__elf_functions *out)
{
    Elf64_Ehdr header;
    Elf64_Shdr table, names;
    *out = (struct ttap__elf_functions){0};
    if (!ttap__elf_header(file, &header))
        return -ENOEXEC;
    read_segments(file, &header, out);
    if (!find_table(file, &header, SHT_SYMTAB, &table) && !find_table(file, &header, SHT_DYNSYM, &table))
        return -ENOEXEC;
    if (!section_at(file, &header, table.sh_link, &names) || names.sh_type != SHT_STRTAB || names.sh_offset > file->size ||
        names.sh_size > file->size - names.sh_offset)
        return -ENOEXEC;
    out->names_offset = names.sh_offset;
    out->names_size = names.sh_size;
    int error = read_table(file, &table, is_wanted, max_bytes, out);
    if (error) {
        ttap__elf_functions_free(out);
        return error;
    }
    qsort(out->at, out->count, sizeof(*out->at), by_start);
    return 0;
}

int ttap__elf_functions_read(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out)
{
    int error = read_symbols(file, is_function, max_bytes, out);
    stretch(out);
    return error;
}

int ttap__elf_variables_read(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out)
{
    return read_symbols(file, is_variable, max_bytes, out);
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
    if (!ttap__elf_take(file, functions->names_offset + function->name, out, len))
        out[0] = 0;
}
