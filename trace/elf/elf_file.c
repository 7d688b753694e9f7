/* elf_file.c - see elf_file.h. What does not fit the file is as if it were not there. */
#include "elf_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_parts.h"

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

bool ttap__elf_take(const struct ttap__elf_bytes *file, uint64_t offset, void *out, size_t len)
{
    return offset <= file->size && len <= file->size - offset && file->read(file->arg, offset, out, len);
}

bool ttap__elf_header(const struct ttap__elf_bytes *file, Elf64_Ehdr *header)
{
    return ttap__elf_take(file, 0, header, sizeof(*header)) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
}

unsigned ttap__elf_program_headers(const struct ttap__elf_bytes *file, const Elf64_Ehdr *header, Elf64_Phdr out[TTAP__PROGRAM_HEADERS_MAX])
{
    unsigned count = header->e_phnum < TTAP__PROGRAM_HEADERS_MAX ? header->e_phnum : TTAP__PROGRAM_HEADERS_MAX;
    if (header->e_phentsize != sizeof(*out) || !ttap__elf_take(file, header->e_phoff, out, count * sizeof(*out)))
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
    Elf64_Phdr program[TTAP__PROGRAM_HEADERS_MAX];
    uint8_t notes[NOTES_BYTES_MAX];
    unsigned count = ttap__elf_header(file, &header) ? ttap__elf_program_headers(file, &header, program) : 0;
    for (unsigned i = 0; i < count; i++) {
        size_t len = program[i].p_filesz < sizeof(notes) ? program[i].p_filesz : sizeof(notes);
        if (program[i].p_type != PT_NOTE || !ttap__elf_take(file, program[i].p_offset, notes, len))
            continue;
        size_t bytes = build_id_among(notes, len, out);
        if (bytes)
            return bytes;
    }
    return 0;
}
