/* run_corpus.c - runs a fuzz target without a fuzzer: argv[1] is a folder of kept inputs.
 *
 * Each input goes in whole, then cut at every length up to CUTS_MAX and at a spread of longer ones. The bytes lie right before
 * a page that cannot be read, so a target that reads one byte too far ends here and not in a user's process. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cutting at every length costs the square of the input's size; kept inputs are small, and this bounds the odd large one. */
enum { CUTS_MAX = 600 };

static size_t page_bytes;

static void feed(const uint8_t *data, size_t size)
{
    size_t room = (size + page_bytes - 1) / page_bytes * page_bytes;
    uint8_t *pages = mmap(NULL, room + page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED || mprotect(pages + room, page_bytes, PROT_NONE) != 0) {
        perror("guard page");
        exit(1);
    }
    if (size)
        memcpy(pages + room - size, data, size);
    LLVMFuzzerTestOneInput(pages + room - size, size);
    munmap(pages, room + page_bytes);
}

static void feed_whole_and_cut(const uint8_t *data, size_t size)
{
    size_t stride = size > CUTS_MAX ? size / CUTS_MAX : 1;

    feed(data, size);
    for (size_t cut = 0; cut < size; cut += cut < CUTS_MAX / 2 ? 1 : stride)
        feed(data, cut);
}

static int run_file(const char *folder, const char *name)
{
    char path[4096];
    static uint8_t bytes[1 << 22];
    size_t size;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    feed_whole_and_cut(bytes, size);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **names;
    int count = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1;
    int files = 0, bad = 0;

    if (count < 0) {
        fprintf(stderr, "usage: %s FOLDER_OF_INPUTS\n", argv[0]);
        return 1;
    }
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            bad |= run_file(argv[1], names[i]->d_name);
            files++;
        }
        free(names[i]);
    }
    free(names);
    printf("%d inputs, each whole and cut\n", files);
    return bad || files == 0;
}
