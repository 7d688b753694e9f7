/* work.h - stand-ins for real work: waiting for somebody else, and using the CPU. */
#ifndef PIPELINE_WORK_H
#define PIPELINE_WORK_H

#include <stddef.h>
#include <stdint.h>

void wait_us(unsigned us);
/** Sleep until the monotonic clock reaches the next multiple of @us: threads that do so wake together. */
void wait_until_multiple_us(unsigned us);
/** Use @us of this thread's CPU time. */
void burn_us(unsigned us);
/** FNV-1a, @rounds times over. */
uint64_t checksum(const char *bytes, size_t count, unsigned rounds);

#endif
