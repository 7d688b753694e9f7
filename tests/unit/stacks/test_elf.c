/* test_elf.c - this program's own file as bytes: whole, cut, and with each field of its tables damaged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf_file.h"
#include "statements.h"

__attribute__((noinline)) int function_to_find(int value);

static struct {
    int before, inside;
} variable_to_find = {1, 2};           /* in .data */
static long variable_without_bytes[9]; /* in .bss, which the file has not */

int function_to_find(int value)
{
    return value * 2 + 1;
}

/* ---- Bytes before a page that cannot be read ---- */

struct image {
    uint8_t *pages, *at;
    size_t room, size;
};

static struct image image_of(const uint8_t *bytes, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
    struct image image = {.room = room + page, .size = size};
    image.pages = mmap(NULL, image.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(image.pages + room, page, PROT_NONE);
    image.at = image.pages + room - size;
    if (size)
        memcpy(image.at, bytes, size);
    return image;
}

static bool read_image(void *arg, uint64_t offset, void *out, size_t len)
{
    struct image *image = arg;
    CU_ASSERT_FATAL(offset <= image->size && len <= image->size - offset);
    memcpy(out, image->at + offset, len);
    return true;
}

static int look_up(struct image *image, char name[TTAP__ELF_NAME_BYTES], uint64_t wanted_offset)
{
    struct ttap__elf_bytes bytes = {image->size, read_image, image};
    struct ttap__elf_functions functions;
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    uint64_t address;
    name[0] = 0;
    ttap__elf_build_id(&bytes, build_id);
    int error = ttap__elf_functions_read(&bytes, 8u << 20, &functions);
    if (!error && ttap__elf_address(&functions, wanted_offset, &address)) {
        const struct ttap__elf_function *function = ttap__elf_function_at(&functions, address);
        if (function)
            ttap__elf_name(&bytes, &functions, function, name);
    }
    ttap__elf_functions_free(&functions);
    if (ttap__elf_variables_read(&bytes, 8u << 20, &functions) == 0 &&
        ttap__elf_address_loaded(&functions, &(struct ttap__elf_code){wanted_offset & ~UINT64_C(4095), wanted_offset & ~UINT64_C(4095)},
                                 wanted_offset, &address))
        ttap__elf_function_at(&functions, address);
    ttap__elf_functions_free(&functions);
    return error;
}

/* ---- This program ---- */

static uint8_t *whole;
static size_t whole_size;
static uint64_t offset_of_function;
static struct ttap__elf_code code; /* where this program's is */

static bool load(void)
{
    char line[512];
    unsigned long start, end, offset, here = (unsigned long)(uintptr_t)function_to_find;
    FILE *self = fopen("/proc/self/exe", "rb"), *maps = fopen("/proc/self/maps", "r");
    whole = malloc(64u << 20);
    whole_size = fread(whole, 1, 64u << 20, self);
    fclose(self);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && here >= start && here < end)
            offset_of_function = here - start + offset, code = (struct ttap__elf_code){start, offset};
    fclose(maps);
    return whole_size && offset_of_function;
}

static void a_function_is_found_by_its_place_in_the_file(void)
{
    char name[TTAP__ELF_NAME_BYTES];
    struct image image = image_of(whole, whole_size);
    CU_ASSERT_EQUAL(look_up(&image, name, offset_of_function), 0);
    CU_ASSERT_STRING_EQUAL(name, "function_to_find");
    CU_ASSERT_EQUAL(look_up(&image, name, offset_of_function + 1), 0);
    CU_ASSERT_STRING_EQUAL(name, "function_to_find");
    CU_ASSERT_EQUAL(look_up(&image, name, UINT64_MAX), 0);
    CU_ASSERT_STRING_EQUAL(name, "");
    munmap(image.pages, image.room);
}

static void a_file_that_is_cut_has_what_it_has(void)
{
    char name[TTAP__ELF_NAME_BYTES];
    size_t misled = 0, step = whole_size / 300;
    for (size_t cut = 0; cut < whole_size; cut += cut < 400 ? 1 : step) {
        struct image image = image_of(whole, cut);
        look_up(&image, name, offset_of_function);
        misled += name[0] && strcmp(name, "function_to_find") != 0;
        munmap(image.pages, image.room);
    }
    CU_ASSERT_EQUAL(misled, 0);
}

/* Every byte of the header and of the two tables that say where everything is, with every bit turned and with large numbers. */
static void a_damaged_table_leads_nowhere_else(void)
{
    char name[TTAP__ELF_NAME_BYTES];
    uint64_t sections = 0;
    struct image image = image_of(whole, whole_size);
    memcpy(&sections, image.at + 40, sizeof sections);
    for (size_t at = 0; at < 64 + 13 * 56; at++)
        for (int change = 0; change < 3; change++) {
            uint8_t before = image.at[at];
            image.at[at] = change == 0 ? 0xff : change == 1 ? (uint8_t)~before : (uint8_t)(before + 1);
            look_up(&image, name, offset_of_function);
            image.at[at] = before;
        }
    for (size_t at = sections; at < whole_size; at++) {
        uint8_t before = image.at[at];
        image.at[at] = 0xff;
        look_up(&image, name, offset_of_function);
        image.at[at] = before;
    }
    CU_ASSERT_EQUAL(look_up(&image, name, offset_of_function), 0);
    CU_ASSERT_STRING_EQUAL(name, "function_to_find");
    munmap(image.pages, image.room);
}

static const char *variable_named(const struct ttap__elf_bytes *bytes, const struct ttap__elf_functions *variables, const void *at, uint64_t *inside)
{
    static char name[TTAP__ELF_NAME_BYTES];
    uint64_t address;
    if (!ttap__elf_address_loaded(variables, &code, (uintptr_t)at, &address))
        return "(elsewhere)";
    const struct ttap__elf_function *variable = ttap__elf_function_at(variables, address);
    if (!variable)
        return "(none)";
    *inside = address - variable->start;
    ttap__elf_name(bytes, variables, variable, name);
    return name;
}

static void a_variable_is_found_by_its_place_in_memory(void)
{
    struct image image = image_of(whole, whole_size);
    struct ttap__elf_bytes bytes = {image.size, read_image, &image};
    struct ttap__elf_functions variables;
    uint64_t inside = 0;
    void *elsewhere = malloc(1);
    CU_ASSERT_EQUAL_FATAL(ttap__elf_variables_read(&bytes, 8u << 20, &variables), 0);
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &variable_to_find, &inside), "variable_to_find");
    CU_ASSERT_EQUAL(inside, 0);
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &variable_to_find.inside, &inside), "variable_to_find");
    CU_ASSERT_EQUAL(inside, sizeof(int));
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &variable_without_bytes[8], &inside), "variable_without_bytes");
    CU_ASSERT_EQUAL(inside, 8 * sizeof(long));
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, elsewhere, &inside), "(elsewhere)");
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &elsewhere, &inside), "(elsewhere)");
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, (void *)(uintptr_t)function_to_find, &inside), "(none)");
    uint64_t offset = code.offset;
    code.offset = UINT64_MAX;
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &variable_to_find, &inside), "(elsewhere)");
    code.offset = offset;
    ttap__elf_functions_free(&variables);
    CU_ASSERT_TRUE(ttap__elf_segments_read(&bytes, &variables));
    CU_ASSERT_STRING_EQUAL(variable_named(&bytes, &variables, &variable_to_find, &inside), "(none)");
    munmap(image.pages, image.room);
    free(elsewhere);
}

static void more_functions_than_there_is_room_for_are_none(void)
{
    struct image image = image_of(whole, whole_size);
    struct ttap__elf_bytes bytes = {image.size, read_image, &image};
    struct ttap__elf_functions functions;
    CU_ASSERT_EQUAL(ttap__elf_functions_read(&bytes, 1024, &functions), -EFBIG);
    CU_ASSERT_PTR_NULL(functions.at);
    munmap(image.pages, image.room);
}

static void only_regular_files_are_opened(void)
{
    struct ttap__elf_bytes bytes;
    CU_ASSERT_EQUAL(ttap__elf_open("/dev/null", &bytes), -1);
    CU_ASSERT_EQUAL(ttap__elf_open("/", &bytes), -1);
    CU_ASSERT_EQUAL(ttap__elf_open("/no/such/file", &bytes), -1);
    CU_ASSERT_EQUAL(ttap__elf_open("relative", &bytes), -1);
    CU_ASSERT_EQUAL(ttap__elf_open("", &bytes), -1);
    CU_ASSERT_EQUAL(bytes.size, 0);
    int fd = ttap__elf_open("/proc/self/exe", &bytes);
    CU_ASSERT(fd >= 0);
    CU_ASSERT_EQUAL(bytes.size, whole_size);
    ttap__elf_close(fd);
}

int main(void)
{
    CU_TestInfo statements[] = {
        {"a function is found by its place in the file", a_function_is_found_by_its_place_in_the_file},
        {"a file that is cut has what it has", a_file_that_is_cut_has_what_it_has},
        {"a damaged table leads nowhere else", a_damaged_table_leads_nowhere_else},
        {"a variable is found by its place in memory", a_variable_is_found_by_its_place_in_memory},
        {"more functions than there is room for are none", more_functions_than_there_is_room_for_are_none},
        {"only regular files are opened", only_regular_files_are_opened},
        CU_TEST_INFO_NULL,
    };
    if (!load()) {
        printf("this program's own file cannot be read\n");
        return 77;
    }
    int result = run_statements(statements);
    free(whole);
    return result;
}
