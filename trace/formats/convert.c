#include "convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "model.h"
#include "symbols.h"

const struct ttap__format ttap__formats[] = {
    {"native", "application/octet-stream", "ttap", "what was recorded, as it is (docs/format.md)"},
    {"json", "application/json", "json", "tables for the viewer, one chunk a line (docs/format.md section 7)"},
    {NULL, NULL, NULL, NULL},
};

struct ttap__convert {
    ttap__out_fn out;
    void *arg;
    struct ttap__allowance allowance;
    struct ttap__json *json;
    struct ttap__symbols *symbols;
    struct ttap__model *model; /* NULL: the identity */
    ttap__lines_fn lines;      /* NULL: nobody knows them */
    void *lines_arg;
};

/* Who knows lines knows the function in its source; the file's symbols have the name it is linked by, which all others show. */
static unsigned name_address(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol out[TTAP__SYMBOLS_AT_ADDRESS])
{
    struct ttap__convert *convert = arg;
    struct ttap__symbol own;
    unsigned count = convert->lines ? convert->lines(convert->lines_arg, module, offset, out) : 0;
    if (!ttap__symbols_find(convert->symbols, module, offset, &own))
        return count;
    if (count == 0)
        out[count++] = own;
    memcpy(out[count - 1].function, own.function, sizeof own.function);
    out[count - 1].start = own.start;
    return count;
}

static struct ttap__convert *free_and_null(struct ttap__convert *convert)
{
    ttap__convert_free(convert);
    return NULL;
}

struct ttap__convert *ttap__convert_new(const char *format, ttap__out_fn out, void *arg)
{
    struct ttap__convert *convert = calloc(1, sizeof *convert);
    if (!convert)
        return NULL;
    convert->out = out;
    convert->arg = arg;
    if (strcmp(format, "native") == 0)
        return convert;
    if (strcmp(format, "json") != 0)
        return free_and_null(convert);
    convert->allowance = (struct ttap__allowance){.limit = TTAP__ALLOWANCE_BYTES, .kept = TTAP__ALLOWANCE_ROWS};
    convert->json = ttap__json_new(&convert->allowance, out, arg);
    if (convert->json)
        convert->model = ttap__model_new(&ttap__json_rows, convert->json, &convert->allowance);
    if (convert->model)
        convert->symbols = ttap__symbols_new(TTAP__SYMBOLS_BYTES);
    if (!convert->symbols)
        return free_and_null(convert);
    ttap__model_symbols(convert->model, name_address, convert);
    ttap__model_variables(convert->model, ttap__symbols_variable, convert->symbols);
    return convert;
}

void ttap__convert_may_hold(struct ttap__convert *convert, size_t bytes)
{
    convert->allowance.limit = bytes;
}

void ttap__convert_lines(struct ttap__convert *convert, ttap__lines_fn lines, void *arg)
{
    convert->lines = lines;
    convert->lines_arg = arg;
}

int ttap__convert_feed(struct ttap__convert *convert, const void *bytes, size_t len_bytes)
{
    if (!convert->model)
        return len_bytes ? convert->out(convert->arg, bytes, len_bytes) : 0;
    return ttap__model_feed(convert->model, bytes, len_bytes);
}

int ttap__convert_finish(struct ttap__convert *convert)
{
    return convert->model ? ttap__model_finish(convert->model) : 0;
}

void ttap__convert_free(struct ttap__convert *convert)
{
    if (!convert)
        return;
    ttap__model_free(convert->model);
    ttap__json_free(convert->json);
    ttap__symbols_free(convert->symbols);
    free(convert);
}
