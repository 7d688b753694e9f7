/* symbols.c - see symbols.h. */
#include "symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_file.h"

#define FILES_MAX 512u /* a process maps some hundred; more have no names */

struct table {
    bool looked_for;
    char *names_path; /* of the file that the symbols came from; NULL: there are none */
    uint64_t size;    /* of that file when it was read: another one has its place since */
    struct ttap__elf_functions symbols;
};

struct file {
    uint32_t module;
    struct table functions, variables;
    bool place_looked_for;
    struct ttap__elf_functions place; /* its segments alone: most files are asked no more than whether an address is theirs */
};

struct ttap__symbols {
    size_t left_bytes;
    struct file *files;
    size_t count;
};

struct ttap__symbols *ttap__symbols_new(size_t max_bytes)
{
    struct ttap__symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols)
        symbols->left_bytes = max_bytes;
    return symbols;
}

static bool has_build_id(const struct ttap__elf_bytes *bytes, const struct ttap__symbol_module *module)
{
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    size_t len = ttap__elf_build_id(bytes, build_id);
    return len == module->build_id_bytes && memcmp(build_id, module->build_id, len) == 0;
}

/* Where Debian and others put what they stripped. "": it has no build id. */
static void debug_path(const struct ttap__symbol_module *module, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "/usr/lib/debug/.build-id/");
    for (size_t i = 0; i < module->build_id_bytes; i++)
        used += (size_t)snprintf(out + used, size - used, "%02x%s", module->build_id[i], i ? "" : "/");
    snprintf(out + used, size - used, ".debug");
    if (module->build_id_bytes < 2)
        out[0] = 0;
}

typedef int (*read_fn)(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out);

/* The module's own file or what stands for it, if it is the one that was recorded; -1. Close with ttap__elf_close(). */
static int open_file(const char *path, const struct ttap__symbol_module *module, struct ttap__elf_bytes *bytes)
{
    int fd = ttap__elf_open(path, bytes);
    if (fd < 0 || has_build_id(bytes, module))
        return fd;
    ttap__elf_close(fd);
    return -1;
}

/* False: nothing there that could be used. */
static bool read_symbols(struct ttap__symbols *symbols, struct table *table, const char *path, const struct ttap__symbol_module *module, read_fn read)
{
    struct ttap__elf_bytes bytes;
    int fd = open_file(path, module, &bytes);
    if (fd < 0)
        return false;
    int error = read(&bytes, symbols->left_bytes, &table->symbols);
    ttap__elf_close(fd);
    if (error)
        return false;
    table->names_path = strdup(path);
    table->size = bytes.size;
    symbols->left_bytes -= table->symbols.room * sizeof(*table->symbols.at);
    return true;
}

/* Where the file is loaded, which it says itself alone. False: it is not here. */
static bool has_place(struct file *file, const struct ttap__symbol_module *module)
{
    struct ttap__elf_bytes bytes;
    if (file->place_looked_for)
        return file->place.segments != 0;
    file->place_looked_for = true;
    int fd = open_file(module->path, module, &bytes);
    bool known = fd >= 0 && ttap__elf_segments_read(&bytes, &file->place);
    ttap__elf_close(fd);
    return known;
}

/* The debug file has all symbols, a file that was stripped those that others may use. */
static void read_table(struct ttap__symbols *symbols, struct file *file, struct table *table, const struct ttap__symbol_module *module, read_fn read)
{
    char path[160];
    if (table->looked_for)
        return;
    table->looked_for = true;
    debug_path(module, path, sizeof path);
    if (!has_place(file, module))
        return;
    if (!path[0] || !read_symbols(symbols, table, path, module, read))
        read_symbols(symbols, table, module->path, module, read);
    table->symbols.segments = file->place.segments;
    memcpy(table->symbols.segment, file->place.segment, sizeof file->place.segment);
}

static struct file *file_of(struct ttap__symbols *symbols, const struct ttap__symbol_module *module)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (symbols->files[i].module == module->number)
            return &symbols->files[i];
    if (symbols->count == FILES_MAX)
        return NULL;
    struct file *grown = realloc(symbols->files, (symbols->count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    symbols->files = grown;
    struct file *file = &symbols->files[symbols->count++];
    *file = (struct file){.module = module->number};
    return file;
}

/* "": it cannot be read any more. */
static void read_name(const struct table *table, const struct ttap__elf_function *symbol, char out[TTAP__ELF_NAME_BYTES])
{
    struct ttap__elf_bytes bytes;
    int fd = ttap__elf_open(table->names_path, &bytes);
    out[0] = 0;
    if (fd >= 0 && bytes.size == table->size)
        ttap__elf_name(&bytes, &table->symbols, symbol, out);
    ttap__elf_close(fd);
}

bool ttap__symbols_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out)
{
    struct ttap__symbols *symbols = arg;
    struct file *file = module->path[0] == '/' ? file_of(symbols, module) : NULL;
    uint64_t address;
    if (file)
        read_table(symbols, file, &file->functions, module, ttap__elf_functions_read);
    if (!file || !file->functions.names_path || !ttap__elf_address(&file->functions.symbols, offset, &address))
        return false;
    const struct ttap__elf_function *function = ttap__elf_function_at(&file->functions.symbols, address);
    if (!function)
        return false;
    *out = (struct ttap__symbol){.start = function->start};
    read_name(&file->functions, function, out->function);
    return out->function[0] != 0;
}

/* ---- Variables ---- */

/* NULL: none that is known. */
static const struct ttap__elf_function *variable_at(const struct file *file, uint64_t address)
{
    return file->variables.names_path ? ttap__elf_function_at(&file->variables.symbols, address) : NULL;
}

enum ttap__variable_found ttap__symbols_variable(void *arg, const struct ttap__symbol_module *module, uint64_t start, uint64_t offset,
                                                 uint64_t loaded, struct ttap__variable *out)
{
    struct ttap__symbols *symbols = arg;
    struct file *file = module->path[0] == '/' ? file_of(symbols, module) : NULL;
    struct ttap__elf_code code = {start, offset};
    uint64_t address;
    if (!file || !has_place(file, module) || !ttap__elf_address_loaded(&file->place, &code, loaded, &address))
        return TTAP__VARIABLE_ELSEWHERE;
    read_table(symbols, file, &file->variables, module, ttap__elf_variables_read);
    const struct ttap__elf_function *variable = variable_at(file, address);
    if (!variable)
        return TTAP__VARIABLE_UNNAMED;
    out->inside = address - variable->start;
    read_name(&file->variables, variable, out->name);
    return out->name[0] ? TTAP__VARIABLE_NAMED : TTAP__VARIABLE_UNNAMED;
}

void ttap__symbols_free(struct ttap__symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->count; i++) {
        ttap__elf_functions_free(&symbols->files[i].functions.symbols);
        ttap__elf_functions_free(&symbols->files[i].variables.symbols);
        free(symbols->files[i].functions.names_path);
        free(symbols->files[i].variables.names_path);
    }
    free(symbols->files);
    free(symbols);
}
