/* Any bytes as an ELF file: functions in order, each named or not, and nothing read beyond the bytes. */
#include <stdlib.h>
#include <string.h>

#include "elf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static bool read_input(void *arg, uint64_t offset, void *out, size_t len)
{
    const struct input *input = arg;
    if (offset > input->size || len > input->size - offset)
        abort();
    if (len)
        memcpy(out, input->data + offset, len);
    return true;
}

static void look_at(const struct ttap__elf_bytes *file, const struct ttap__elf_functions *functions)
{
    char name[TTAP__ELF_NAME_BYTES];
    uint64_t address;
    for (size_t i = 0; i < functions->count; i++) {
        if (i && functions->at[i].start < functions->at[i - 1].start)
            abort();
        ttap__elf_name(file, functions, &functions->at[i], name);
        if (!memchr(name, 0, sizeof name))
            abort();
    }
    for (uint64_t offset = 0; offset < file->size; offset += 16)
        if (ttap__elf_address(functions, offset, &address))
            ttap__elf_function_at(functions, address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct ttap__elf_bytes file = {size, read_input, &input};
    struct ttap__elf_functions functions;
    uint8_t build_id[TTAP__BUILD_ID_BYTES_MAX];
    uint64_t offset_of;
    if (ttap__elf_build_id(&file, build_id) > sizeof build_id)
        abort();
    if (ttap__elf_functions_read(&file, 1u << 20, &functions) == 0)
        look_at(&file, &functions);
    ttap__elf_functions_free(&functions);
    if (ttap__elf_variables_read(&file, 1u << 20, &functions) == 0)
        look_at(&file, &functions);
    ttap__elf_functions_free(&functions);
    if (ttap__elf_segments_read(&file, &functions))
        for (uint64_t offset = 0; offset < file.size; offset += 4096)
            ttap__elf_address_loaded(&functions, &(struct ttap__elf_code){UINT64_C(0x7f0000000000) + offset, offset}, UINT64_C(0x7f0000001000),
                                     &offset_of);
    return 0;
}
