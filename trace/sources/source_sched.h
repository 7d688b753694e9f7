/* source_sched.h - the source "sched": when each thread of the process ran, could have run, waited. */
#ifndef TTAP_SOURCES_SCHED_H
#define TTAP_SOURCES_SCHED_H

#include "source.h"

extern const struct ttap__source ttap__source_sched;

#endif
