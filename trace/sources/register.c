/* register.c - which sources libtracetap has. capture/ knows none by name. */
#include "source_alloc.h"
#include "source_boehm.h"
#include "source_memory.h"
#include "source_samples.h"
#include "source_sched.h"

const struct ttap__source *const ttap__sources_linked[] = {&ttap__source_sched,  &ttap__source_samples, &ttap__source_boehm,
                                                           &ttap__source_memory, &ttap__source_alloc,   NULL};
