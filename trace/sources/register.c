/* register.c - which sources libtracetap has. capture/ knows none by name. */
#include "source_sched.h"

const struct ttap__source *const ttap__sources_linked[] = {&ttap__source_sched, NULL};
