/* symbols.c - see symbols.h. */
#include "symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_file.h"

#define FILES_MAX 512u /* a process maps some hundred; more have no names */

struct file {
    uint32_t module;
    char *names_path; /* of the file that the functions came from; NULL: there are none */
    uint64_t size;    /* of that file when it was read: another one has its place since */
    struct ttap__elf_functions functions;
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

/* False: nothing there that could be used. */
static bool read_functions(struct ttap__symbols *symbols, struct file *file, const char *path, const struct ttap__symbol_module *module)
{
    struct ttap__elf_bytes bytes;
    int fd = ttap__elf_open(path, &bytes);
    if (fd < 0)
        return false;
    int error = has_build_id(&bytes, module) ? ttap__elf_functions_read(&bytes, symbols->left_bytes, &file->functions) : -ENOEXEC;
    ttap__elf_close(fd);
    if (error)
        return false;
    file->names_path = strdup(path);
    file->size = bytes.size;
    symbols->left_bytes -= file->functions.room * sizeof(*file->functions.at);
    return true;
}

/* The debug file has all functions; where they are loaded is in the file itself alone. */
static void read_file(struct ttap__symbols *symbols, struct file *file, const struct ttap__symbol_module *module)
{
    char path[160];
    struct ttap__elf_functions own = {0};
    debug_path(module, path, sizeof path);
    if (!read_functions(symbols, file, module->path, module))
        return;
    struct file debug = {.module = file->module};
    if (!path[0] || !read_functions(symbols, &debug, path, module))
        return;
    own = file->functions;
    debug.functions.segments = own.segments;
    memcpy(debug.functions.segment, own.segment, sizeof own.segment);
    symbols->left_bytes += own.room * sizeof(*own.at);
    ttap__elf_functions_free(&file->functions);
    free(file->names_path);
    *file = debug;
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
    read_file(symbols, file, module);
    return file;
}

bool ttap__symbols_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out)
{
    struct ttap__symbols *symbols = arg;
    struct file *file = module->path[0] == '/' ? file_of(symbols, module) : NULL;
    struct ttap__elf_bytes bytes;
    uint64_t address;
    if (!file || !file->names_path || !ttap__elf_address(&file->functions, offset, &address))
        return false;
    const struct ttap__elf_function *function = ttap__elf_function_at(&file->functions, address);
    if (!function)
        return false;
    *out = (struct ttap__symbol){.start = function->start};
    int fd = ttap__elf_open(file->names_path, &bytes);
    if (fd >= 0 && bytes.size == file->size)
        ttap__elf_name(&bytes, &file->functions, function, out->function);
    ttap__elf_close(fd);
    return out->function[0] != 0;
}

void ttap__symbols_free(struct ttap__symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->count; i++) {
        ttap__elf_functions_free(&symbols->files[i].functions);
        free(symbols->files[i].names_path);
    }
    free(symbols->files);
    free(symbols);
}
