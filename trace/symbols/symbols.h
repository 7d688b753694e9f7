/* symbols.h - names for addresses, from the files that a capture names, if they are here and have the same build id.
 *
 *   module (path, build id) --> its file, or /usr/lib/debug/.build-id --> functions, read once --> name of an offset
 *                                                                          variables -------------> name of an address in memory
 *
 * One thread. Memory is limited; a file whose table is beyond the limit has no names. No file stays open.
 */
#ifndef TTAP_SYMBOLS_SYMBOLS_H
#define TTAP_SYMBOLS_SYMBOLS_H

#include <stddef.h>

#include "names_of.h"

/* In a service: 170,000 functions. */
#define TTAP__SYMBOLS_BYTES (4u << 20)

struct ttap__symbols;
/* NULL: no memory. */
struct ttap__symbols *ttap__symbols_new(size_t max_bytes);
/* The function at an offset of the module's file; @arg is the struct ttap__symbols. False: not known. */
bool ttap__symbols_find(void *arg, const struct ttap__symbol_module *module, uint64_t offset, struct ttap__symbol *out);
/* As ttap__variable_fn. */
enum ttap__variable_found ttap__symbols_variable(void *arg, const struct ttap__symbol_module *module, uint64_t start, uint64_t offset,
                                                 uint64_t loaded, struct ttap__variable *out);
void ttap__symbols_free(struct ttap__symbols *symbols);

#endif
