/* keeper.h - the helper process of `tracetap run`: port, drainer and conversions live here, not in the program. */
#ifndef TTAP_CLI_KEEPER_H
#define TTAP_CLI_KEEPER_H

#include <stddef.h>
#include <stdint.h>

struct cli_keeper_opts {
    const char *program; /* what will be executed */
    const char *address; /* NULL: no endpoint */
    uint16_t port;
    const char *unix_path, *token_file;
    int output_fd;               /* record into it from the start; -1: do not */
    double after_s;              /* begin that recording so long after the start */
    double seconds;              /* 0: until the program ends */
    const char *sample;          /* for that recording; may be NULL */
    uint32_t samples_hz;         /* likewise; 0: none */
    uint32_t long_wait_us;       /* with it; 0: the default */
    uint32_t alloc_sample_bytes; /* as samples_hz */
    uint64_t groups;             /* the same */
    double linger_s;             /* answer so long after the last process has ended */
};

/** cli_keeper_start() - start the keeper for the calling process, which will exec the program.
 *  @arena_path: receives what the program's TRACETAP_ARENA has to be.
 *  @port:       receives the port in use.
 *  Returns when the endpoint answers and the recording has begun: 0; or -1 with a sentence in @error. The keeper is no child of the caller's
 *  afterwards, holds none of its descriptors but @opts->output_fd, and ends by itself. */
int cli_keeper_start(const struct cli_keeper_opts *opts, char *arena_path, size_t arena_path_size, uint16_t *port, char *error, size_t error_size);

#endif
