/* source_boehm.h - the source "gc": phases of Boehm's collector, threads it stopped, its heap. */
#ifndef TTAP_SOURCES_BOEHM_H
#define TTAP_SOURCES_BOEHM_H

#include "source.h"

extern const struct ttap__source ttap__source_boehm;

#endif
