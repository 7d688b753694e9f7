/* hostile_names.c FILE - a service whose names and texts are whatever FILE holds: records of a length (4 bytes, little endian) and that many bytes.
 *
 *   stdout: "port 41234"; "emitted FROM" after each order on stdin: "FROM TO". Each record becomes a counter's name with its number as the value, a log
 *   text, and every 64th also a region, a task kind, an attribute and its value, a queue and a thread's name. End of file: exit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tracetap/http.h"

enum { RECORDS_MAX = 20000, RARE = 64, REST_EVERY = 50 };

static struct record {
    char *bytes; /* with a NUL behind */
    uint32_t len;
} records[RECORDS_MAX];
static int count;

static int load(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint32_t len;
    while (file && count < RECORDS_MAX && fread(&len, sizeof len, 1, file) == 1) {
        struct record *record = &records[count++];
        record->len = len;
        record->bytes = calloc(1, (size_t)len + 1);
        if (!record->bytes || fread(record->bytes, 1, len, file) != len)
            return -1;
    }
    return file ? fclose(file) : -1;
}

static void emit_rare(const struct record *record)
{
    struct ttap_name name = {.text = record->bytes}, kind = {.text = record->bytes}, key = {.text = record->bytes};
    struct ttap_task task;
    ttap_task_begin(&task, &kind, NULL);
    ttap_task_attr_str(&task, &key, record->bytes);
    ttap_region_begin(&name);
    ttap_region_end(&name);
    ttap_instant(&name);
    ttap_task_end(&task);
    ttap_thread_name(record->bytes);
}

static void emit(int number)
{
    static struct ttap_name category = TTAP_NAME_INIT("hostile");
    const struct record *record = &records[number];
    struct ttap_name name = {.text = record->bytes};
    ttap_counter(&name, number);
    ttap_log(&category, record->bytes, record->len);
    if (number % RARE == 0)
        emit_rare(record);
}

int main(int argc, char **argv)
{
    const struct timespec rest = {0, 1000000};
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;
    char line[64];
    setvbuf(stdout, NULL, _IOLBF, 0);
    opts.port = 0;
    if (argc != 2 || load(argv[1]) != 0 || ttap_http_start(&opts, &http) != 0) {
        printf("error %s\n", ttap_http_error());
        return 1;
    }
    printf("port %u\n", ttap_http_port(http));
    while (fgets(line, sizeof line, stdin)) {
        char *end;
        long from = strtol(line, &end, 10), to = strtol(end, NULL, 10);
        for (int i = (int)from; i < to && i < count; i++) {
            emit(i);
            if (i % REST_EVERY == 0)
                nanosleep(&rest, NULL); /* so that nothing is lost */
        }
        printf("emitted %ld\n", from);
    }
    ttap_http_stop(http);
    for (int i = 0; i < count; i++)
        free(records[i].bytes);
    return 0;
}
