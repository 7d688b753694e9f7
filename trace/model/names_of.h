/* names_of.h - what the model asks of whoever knows the names of addresses. */
#ifndef TTAP_MODEL_NAMES_OF_H
#define TTAP_MODEL_NAMES_OF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ttap__symbol_module {
    uint32_t number; /* the same module, the same number */
    const char *path;
    const uint8_t *build_id;
    size_t build_id_bytes; /* 0: it has none */
};

struct ttap__symbol {
    char function[256]; /* "": not known */
    char file[256];     /* "": not known */
    uint32_t line;
    uint64_t start; /* of the function; two addresses of one function differ in nothing else but the line */
};

/* Functions at one address: those that the compiler inlined there, and the one they are in. More than a few are rare. */
#define TTAP__SYMBOLS_AT_ADDRESS 16u

/* What is at an offset of the module's file, innermost first. Returns how many; 0: nothing is known. */
typedef unsigned (*ttap__symbol_fn)(void *arg, const struct ttap__symbol_module *module, uint64_t offset,
                                    struct ttap__symbol out[TTAP__SYMBOLS_AT_ADDRESS]);

struct ttap__variable {
    char name[256];
    uint64_t inside; /* how far behind its start */
};

enum ttap__variable_found { TTAP__VARIABLE_ELSEWHERE, TTAP__VARIABLE_UNNAMED, TTAP__VARIABLE_NAMED };

/* What lies at an address of a process that has the module's file mapped, from @offset on at @start. ELSEWHERE: nothing of the module's. */
typedef enum ttap__variable_found (*ttap__variable_fn)(void *arg, const struct ttap__symbol_module *module, uint64_t start, uint64_t offset,
                                                       uint64_t loaded, struct ttap__variable *out);

#endif
