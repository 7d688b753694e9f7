/* load.h - the load generator: real HTTP requests over loopback, at a steady mean rate with random gaps. */
#ifndef PIPELINE_LOAD_H
#define PIPELINE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

/** @rate_hz requests a second in all. False: no threads; load_stop() is still due. */
bool load_start(uint16_t port, unsigned rate_hz);
void load_stop(void);

#endif
