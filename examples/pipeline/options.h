/* options.h - what the command line of pipeline can say. */
#ifndef PIPELINE_OPTIONS_H
#define PIPELINE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    char listen_address[64]; /* of the debug endpoint */
    uint16_t listen_port;    /* 0: any free one */
    uint16_t app_port;       /* of the application; 0: any free one */
    const char *token_file;
    unsigned rate_hz;
    unsigned threads; /* per stage */
    unsigned seconds; /* 0: until a signal comes */
    bool no_load;
    bool slow_lock, small_queue, alloc_pressure, oversubscribe;
};

/** Returns -1 to go on, or the exit code: 0 after --help, 2 after telling on stderr what is wrong. */
int options_parse(int argc, char **argv, struct options *out);

#endif
