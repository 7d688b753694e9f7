/* elf_file.h - what an ELF file says about an address: its build id, and the function or the variable there.
 *
 *   file offset (what captures carry) --program headers--> virtual address --.symtab, else .dynsym--> function
 *   address in memory, and where the code is mapped -----> virtual address -------------------------> variable
 *
 * Files come from anywhere: a capture names them. So only regular files are opened, every number is checked against what the file really has,
 * nothing is mapped (a file that shrinks would kill us), and memory is limited by the caller. Little-endian ELF of 64 bits.
 */
#ifndef TTAP_ELF_ELF_FILE_H
#define TTAP_ELF_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTAP__BUILD_ID_BYTES_MAX 32u /* 20 is usual */
#define TTAP__ELF_NAME_BYTES 256u    /* longer function names are cut */

struct ttap__elf_bytes {
    uint64_t size;
    /* Copy @len bytes at @offset, both within size. False: it cannot be read. */
    bool (*read)(void *arg, uint64_t offset, void *out, size_t len);
    void *arg;
};

struct ttap__elf_function {
    uint64_t start, end; /* virtual addresses; end is not in it */
    uint32_t name;       /* for ttap__elf_name */
};

/* Or variables. */
struct ttap__elf_functions {
    struct ttap__elf_function *at; /* sorted, by virtual address */
    size_t count, room;
    uint64_t names_offset, names_size;
    struct ttap__elf_segment {
        uint64_t offset, file_size, address, memory_size;
        bool executable;
    } segment[16];
    unsigned segments;
};

/* Where a process has a file's code: what is in the file from @offset on. */
struct ttap__elf_code {
    uint64_t start, offset;
};

/* An open regular file as bytes; -1 and size 0 if it is none. Close with ttap__elf_close(). */
int ttap__elf_open(const char *path, struct ttap__elf_bytes *out);
void ttap__elf_close(int fd);

/* How many bytes the build id has; 0: none, or not an ELF file. */
size_t ttap__elf_build_id(const struct ttap__elf_bytes *file, uint8_t out[TTAP__BUILD_ID_BYTES_MAX]);

/* The functions of a file, at most @max_bytes of them. 0; -ENOEXEC: no such file or table; -EFBIG: more; -ENOMEM. */
int ttap__elf_functions_read(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out);
void ttap__elf_functions_free(struct ttap__elf_functions *functions);
/* The virtual address of a file offset; false: it is not loaded. */
bool ttap__elf_address(const struct ttap__elf_functions *functions, uint64_t offset, uint64_t *address);
/* Likewise the variables that have a size. */
int ttap__elf_variables_read(const struct ttap__elf_bytes *file, size_t max_bytes, struct ttap__elf_functions *out);
/* Its segments alone; false: none. */
bool ttap__elf_segments_read(const struct ttap__elf_bytes *file, struct ttap__elf_functions *out);
/* The virtual address of one in the memory of a process; false: it is not the file's. */
bool ttap__elf_address_loaded(const struct ttap__elf_functions *functions, const struct ttap__elf_code *code, uint64_t loaded, uint64_t *address);
/* The function at a virtual address; NULL: none that is known to reach there. */
const struct ttap__elf_function *ttap__elf_function_at(const struct ttap__elf_functions *functions, uint64_t address);
/* Its name, always terminated; "" if it cannot be read. */
void ttap__elf_name(const struct ttap__elf_bytes *file, const struct ttap__elf_functions *functions, const struct ttap__elf_function *function,
                    char out[TTAP__ELF_NAME_BYTES]);

#endif
