/* source_memory.h - the source "memory": how large each process is. */
#ifndef TTAP_SOURCES_MEMORY_H
#define TTAP_SOURCES_MEMORY_H

#include "source.h"

extern const struct ttap__source ttap__source_memory;

#endif
