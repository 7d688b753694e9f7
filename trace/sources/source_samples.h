/* source_samples.h - the source "cpu_samples": stacks of running threads. */
#ifndef TTAP_SOURCES_SOURCE_SAMPLES_H
#define TTAP_SOURCES_SOURCE_SAMPLES_H

#include "source.h"

extern const struct ttap__source ttap__source_samples;

#endif
