/* debug_info.c - see debug_info.h.
 *
 *   address --units, sorted--> unit --its functions, sorted--> function --what is inlined there--> ... --> innermost
 *                                `--> its line table --> file:line of the innermost; each of the others is where the next one was inlined
 *
 * .debug_aranges would tell units too, but clang writes none. Tables are made once, of a unit when it is first asked for.
 */
#define _GNU_SOURCE
#include "debug_info.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 128u     /* each keeps a descriptor or two of the usual 1,024 */
#define SEGMENTS_MAX 16u   /* that are loaded; linkers make four */
#define CHAIN_MAX 64u      /* functions within each other at one address */
#define NAMESPACES_MAX 16u /* and classes within each other */

struct range {
    uint64_t start, end;
    Dwarf_Die function;
    size_t unit;
};

struct ranges {
    struct range *at;
    size_t count, room;
};

struct unit {
    Dwarf_Die lines, code; /* the same, unless the compiler put the code's description into a .dwo file */
    bool read;
    struct ranges functions;
};

struct file {
    char *path;
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    size_t build_id_bytes;
    enum cli_dwarf_result result;
    uint8_t found_id[TTAP__BUILD_ID_BYTES_MAX]; /* where it differs */
    size_t found_id_bytes;
    GElf_Phdr segment[SEGMENTS_MAX];
    unsigned segments;
    Dwarf *dwarf;
    struct unit *units;
    size_t units_count, units_room;
    struct ranges ranges; /* of units */
};

struct cli_dwarf {
    const char *debug_dir;
    struct file *files[FILES_MAX];
    unsigned count;
};

struct cli_dwarf *cli_dwarf_new(const char *debug_dir)
{
    struct cli_dwarf *dwarf = calloc(1, sizeof *dwarf);

    elf_version(EV_CURRENT);
    if (dwarf)
        dwarf->debug_dir = debug_dir;
    return dwarf;
}

/* ---- Tables of ranges ---- */

/* Room for one more of @size. False: no memory; what there is stays. */
static bool one_more(void *table, size_t *room, size_t count, size_t size)
{
    void **at = table, *grown;

    if (count < *room)
        return true;
    grown = realloc(*at, (*room ? *room * 2 : 64) * size);
    if (grown) {
        *at = grown;
        *room = *room ? *room * 2 : 64;
    }
    return grown != NULL;
}

static void add_ranges(struct ranges *ranges, Dwarf_Die *die, size_t unit)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t at = 0;

    while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0)
        if (start < end && one_more(&ranges->at, &ranges->room, ranges->count, sizeof *ranges->at))
            ranges->at[ranges->count++] = (struct range){start, end, *die, unit};
}

static int by_start(const void *a, const void *b)
{
    const struct range *one = a, *other = b;

    return one->start < other->start ? -1 : one->start > other->start;
}

static void sort(struct ranges *ranges)
{
    if (ranges->count)
        qsort(ranges->at, ranges->count, sizeof *ranges->at, by_start);
}

static struct range *range_at(const struct ranges *ranges, uint64_t address)
{
    size_t low = 0, high = ranges->count; /* the last that starts at or before it */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->at[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < ranges->at[low - 1].end ? &ranges->at[low - 1] : NULL;
}

static void read_units(struct file *file)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, split;
    uint8_t type;

    while (dwarf_get_units(file->dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        if (!one_more(&file->units, &file->units_room, file->units_count, sizeof *file->units))
            break;
        file->units[file->units_count] = (struct unit){.lines = die, .code = type == DW_UT_skeleton && split.addr ? split : die};
        add_ranges(&file->ranges, &die, file->units_count++);
    }
    sort(&file->ranges);
}

/* Functions are in units, and there in namespaces and classes. */
static void read_functions(struct ranges *functions, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;

    if (dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram)
            add_ranges(functions, &die, 0);
        else if (depth < NAMESPACES_MAX && (tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type))
            read_functions(functions, &die, depth + 1);
    } while (dwarf_siblingof(&die, &die) == 0);
}

/* ---- Files ---- */

static bool has_build_id(const struct ttap__elf_bytes *bytes, struct file *file)
{
    file->found_id_bytes = ttap__elf_build_id(bytes, file->found_id);
    return file->found_id_bytes == file->build_id_bytes && memcmp(file->found_id, file->build_id, file->build_id_bytes) == 0;
}

static void read_segments(Elf *elf, struct file *file)
{
    size_t count = 0;

    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count && i < INT32_MAX && file->segments < SEGMENTS_MAX; i++)
        if (gelf_getphdr(elf, (int)i, &file->segment[file->segments]) && file->segment[file->segments].p_type == PT_LOAD)
            file->segments++;
}

/* False: it has no DWARF. Elf and descriptor stay open as long as their Dwarf. */
static bool use_dwarf(struct file *file, Elf *elf)
{
    file->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
    if (file->dwarf)
        read_units(file);
    if (file->ranges.count)
        return true;
    dwarf_end(file->dwarf);
    file->dwarf = NULL;
    return false;
}

/* A separate debug file, if it is one of that build. */
static bool try_debug_file(struct file *file, const char *path)
{
    struct ttap__elf_bytes bytes;
    int fd = ttap__elf_open(path, &bytes);
    Elf *elf = fd >= 0 && has_build_id(&bytes, file) ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;

    if (elf && use_dwarf(file, elf))
        return true;
    elf_end(elf);
    ttap__elf_close(fd);
    return false;
}

static bool try_by_build_id(const struct cli_dwarf *dwarf, struct file *file)
{
    const char *home = getenv("HOME"), *cache = getenv("DEBUGINFOD_CACHE_PATH");
    char hex[2 * TTAP__BUILD_ID_BYTES_MAX + 1] = "", path[CLI_PATH_BYTES];

    for (size_t i = 0; i < file->build_id_bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", file->build_id[i]);
    snprintf(path, sizeof path, "%s/.build-id/%.2s/%s.debug", dwarf->debug_dir, hex, hex + 2);
    if (try_debug_file(file, path))
        return true;
    if (cache)
        snprintf(path, sizeof path, "%s/%s/debuginfo", cache, hex);
    else
        snprintf(path, sizeof path, "%s/.cache/debuginfod_client/%s/debuginfo", home ? home : "", hex);
    return try_debug_file(file, path);
}

/* .gnu_debuglink names a file beside this one, below .debug, or in the same folder below the place of debug files. */
static bool try_by_link(const struct cli_dwarf *dwarf, struct file *file, Elf *elf)
{
    const char *slash = strrchr(file->path, '/');
    int folder = (int)(slash - file->path) + 1;
    GElf_Word sum;
    const char *name = dwelf_elf_gnu_debuglink(elf, &sum); /* of the sum there is no need: the build id tells */
    const char *between[] = {"", ".debug/"};
    char path[CLI_PATH_BYTES];

    if (!name || strchr(name, '/'))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%.*s%s%s", folder, file->path, between[i], name);
        if (try_debug_file(file, path))
            return true;
    }
    snprintf(path, sizeof path, "%s%.*s%s", dwarf->debug_dir, folder, file->path, name);
    return try_debug_file(file, path);
}

static enum cli_dwarf_result open_file(const struct cli_dwarf *dwarf, struct file *file)
{
    struct ttap__elf_bytes bytes;
    int fd = ttap__elf_open(file->path, &bytes);
    Elf *elf = NULL;
    enum cli_dwarf_result result = CLI_DWARF_NONE;

    if (fd >= 0 && !has_build_id(&bytes, file))
        result = CLI_DWARF_DIFFERS;
    else if (fd >= 0)
        elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (elf) {
        read_segments(elf, file);
        if (use_dwarf(file, elf))
            return CLI_DWARF_FOUND;
        if (try_by_build_id(dwarf, file) || try_by_link(dwarf, file, elf))
            result = CLI_DWARF_FOUND;
    }
    elf_end(elf);
    ttap__elf_close(fd);
    return result;
}

static struct file *file_of(struct cli_dwarf *dwarf, const struct cli_place *place)
{
    for (unsigned i = 0; i < dwarf->count; i++) {
        struct file *file = dwarf->files[i];
        if (file->build_id_bytes == place->build_id_bytes && memcmp(file->build_id, place->build_id, place->build_id_bytes) == 0 &&
            strcmp(file->path, place->path) == 0)
            return file;
    }
    struct file *file = dwarf->count < FILES_MAX && place->build_id_bytes <= sizeof file->build_id ? calloc(1, sizeof *file) : NULL;
    if (!file || !(file->path = strdup(place->path))) {
        free(file);
        return NULL;
    }
    memcpy(file->build_id, place->build_id, place->build_id_bytes);
    file->build_id_bytes = place->build_id_bytes;
    file->result = open_file(dwarf, file);
    return dwarf->files[dwarf->count++] = file;
}

static bool address_of(const struct file *file, uint64_t offset, uint64_t *address)
{
    for (unsigned i = 0; i < file->segments; i++) {
        const GElf_Phdr *s = &file->segment[i];
        if (offset >= s->p_offset && offset - s->p_offset < s->p_filesz) {
            *address = s->p_vaddr + (offset - s->p_offset);
            return true;
        }
    }
    return false;
}

/* ---- An address ---- */

/* A path too long for its place keeps its end, which has the name. */
static void put_path(char out[sizeof((struct ttap__symbol *)0)->file], const char *path)
{
    size_t size = sizeof((struct ttap__symbol *)0)->file, len = strlen(path);

    if (len < size)
        memcpy(out, path, len + 1);
    else
        snprintf(out, size, "...%s", path + len - (size - 4));
}

/* The name it is linked by, as symbols have it, where that is another one. */
static const char *name_of(Dwarf_Die *function)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(function, DW_AT_linkage_name, &attribute));

    return name ? name : dwarf_diename(function);
}

/* Whatever has code at the address among its children, as the next one to look into. False: none has. */
static bool step_into(Dwarf_Die *die, uint64_t address)
{
    Dwarf_Die child;

    if (dwarf_child(die, &child) != 0)
        return false;
    do {
        int tag = dwarf_tag(&child);
        if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
            dwarf_haspc(&child, address) > 0) {
            *die = child;
            return true;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

/* The function and what is inlined in it there, outermost first. */
static unsigned chain_at(const Dwarf_Die *function, uint64_t address, Dwarf_Die chain[CHAIN_MAX])
{
    Dwarf_Die at = *function;
    unsigned count = 0, steps = 0;

    chain[count++] = at;
    while (count < CHAIN_MAX && steps++ < 4 * CHAIN_MAX && step_into(&at, address))
        if (dwarf_tag(&at) == DW_TAG_inlined_subroutine)
            chain[count++] = at;
    return count;
}

/* Where the inlined function's caller calls it. */
static void put_call(const struct unit *unit, Dwarf_Die *inlined, struct ttap__symbol *out)
{
    Dwarf_Die code = unit->code;
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    Dwarf_Files *files;
    size_t count;
    const char *path = NULL;

    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &value) == 0 && dwarf_getsrcfiles(&code, &files, &count) == 0)
        path = dwarf_filesrc(files, value, NULL, NULL);
    if (path)
        put_path(out->file, path);
    if (path && dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &value) == 0 && value <= INT32_MAX)
        out->line = (uint32_t)value;
}

static void put_line(struct unit *unit, uint64_t address, struct ttap__symbol *out)
{
    Dwarf_Line *line = dwarf_getsrc_die(&unit->lines, address);
    const char *path = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;

    if (path)
        put_path(out->file, path);
    if (path && dwarf_lineno(line, &number) == 0 && number > 0)
        out->line = (uint32_t)number;
}

/* What tells this function from others of the file. */
static uint64_t mark_of(const struct ttap__symbol *symbol)
{
    uint64_t mark = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const char *c = symbol->function; *c; c++)
        mark = (mark ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    for (const char *c = symbol->file; *c; c++)
        mark = (mark ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    return mark;
}

/* Innermost first. Of a chain too long the innermost ones, and the function itself. */
static void tell(struct unit *unit, Dwarf_Die *chain, unsigned count, uint64_t address, struct cli_dwarf_answer *answer)
{
    for (unsigned i = count; i > 0; i--) {
        if (answer->count + 1 == TTAP__SYMBOLS_AT_ADDRESS)
            i = 1;
        struct ttap__symbol *out = &answer->symbols[answer->count++];
        const char *name = name_of(&chain[i - 1]);
        *out = (struct ttap__symbol){0};
        snprintf(out->function, sizeof out->function, "%s", name ? name : "");
        if (i == count)
            put_line(unit, address, out);
        else
            put_call(unit, &chain[i], out);
        out->start = mark_of(out);
    }
}

static void find_in(struct file *file, uint64_t address, struct cli_dwarf_answer *answer)
{
    struct range *range = range_at(&file->ranges, address);
    Dwarf_Die chain[CHAIN_MAX];

    if (!range)
        return;
    struct unit *unit = &file->units[range->unit];
    if (!unit->read) {
        read_functions(&unit->functions, &unit->code, 0);
        sort(&unit->functions);
        unit->read = true;
    }
    range = range_at(&unit->functions, address);
    if (range) {
        tell(unit, chain, chain_at(&range->function, address, chain), address, answer);
        return;
    }
    answer->symbols[0] = (struct ttap__symbol){0}; /* assembly: lines, but no functions */
    put_line(unit, address, &answer->symbols[0]);
    answer->count = answer->symbols[0].file[0] != 0;
}

void cli_dwarf_find(struct cli_dwarf *dwarf, const struct cli_place *place, struct cli_dwarf_answer *answer)
{
    struct file *file = file_of(dwarf, place);
    uint64_t address;

    answer->count = 0;
    answer->result = file ? file->result : CLI_DWARF_TOO_MANY;
    if (file && file->result == CLI_DWARF_DIFFERS) {
        memcpy(answer->build_id, file->found_id, sizeof answer->build_id);
        answer->build_id_bytes = (uint8_t)file->found_id_bytes;
    }
    if (file && file->dwarf && address_of(file, place->offset, &address))
        find_in(file, address, answer);
}
