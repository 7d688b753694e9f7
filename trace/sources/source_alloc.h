/* source_alloc.h - the source "alloc": what each thread allocates. */
#ifndef TTAP_SOURCES_ALLOC_H
#define TTAP_SOURCES_ALLOC_H

#include "source.h"

extern const struct ttap__source ttap__source_alloc;

#endif
