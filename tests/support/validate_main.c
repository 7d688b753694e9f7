/* ttap-validate - one verdict a line for each capture: `exact`, `cut: ...`, `wrong: rule: what`.
 * With --tiles also what the counter check found. Exit status 0 if all are exact, 1 if not, 2 if a file cannot be read.
 */
#include "validator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t room = 0;
    *size = 0;
    while (file) {
        if (*size == room) {
            room = room ? room * 2 : 65536;
            char *bigger = realloc(bytes, room);
            if (!bigger)
                break;
            bytes = bigger;
        }
        size_t got = fread(bytes + *size, 1, room - *size, file);
        *size += got;
        if (!got)
            break;
    }
    bool failed = !file || ferror(file) || !bytes;
    if (file)
        fclose(file);
    if (failed) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static void print_tile(const struct validation_tile *tile)
{
    printf("  tile.%llu thread %llu: %llu delivered, %lld to %lld, %llu missing, %llu twice, %llu out of order, %s", (unsigned long long)tile->number,
           (unsigned long long)tile->thread, (unsigned long long)tile->delivered, (long long)tile->first_value, (long long)tile->last_value,
           (unsigned long long)tile->missing, (unsigned long long)tile->duplicates, (unsigned long long)tile->order_violations,
           tile->covered ? "covered" : "not covered");
    if (tile->pure)
        printf(", window %lld to %lld", (long long)tile->start_value, (long long)tile->end_value);
    printf("\n");
}

static void print_verdict(const char *path, const struct validation *v, bool tiles)
{
    if (v->verdict == VALIDATION_WRONG)
        printf("%s: wrong: %s: %s\n", path, v->rule, v->sentence);
    else
        printf("%s: %s\n", path, v->verdict == VALIDATION_EXACT ? "exact" : "cut: no TRAILER");
    for (size_t i = 0; tiles && i < v->tile_count; i++)
        print_tile(&v->tiles[i]);
}

static int validate_file(const char *path, bool tiles)
{
    size_t size;
    void *bytes = read_file(path, &size);
    if (!bytes) {
        fprintf(stderr, "ttap-validate: cannot read %s: %s\n", path, strerror(errno));
        return 2;
    }
    struct validation v;
    int rc = validate_capture(bytes, size, &v);
    free(bytes);
    if (rc == -ENOMEM)
        fprintf(stderr, "ttap-validate: not enough memory for %s\n", path);
    else
        print_verdict(path, &v, tiles);
    validation_free(&v);
    return rc == -ENOMEM ? 2 : rc != 0;
}

int main(int argc, char **argv)
{
    int first = 1, worst = 0;
    bool tiles = argc > 1 && strcmp(argv[1], "--tiles") == 0;
    first += tiles;
    if (first >= argc) {
        fprintf(stderr, "usage: ttap-validate [--tiles] FILE...\n");
        return 2;
    }
    for (int i = first; i < argc; i++) {
        int status = validate_file(argv[i], tiles);
        worst = status > worst ? status : worst;
    }
    return worst;
}
